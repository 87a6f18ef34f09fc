//! Documentation text in lines of bounded length.

/// The length of the longest line, indentation included.
const COLUMNS: usize = 100;

/// The text in one line.
pub fn flowing(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The text in lines with `prefix`, for a place that is indented by `indentation` columns.
pub fn wrapped(prefix: &str, indentation: usize, text: &str) -> Vec<String> {
    let room = COLUMNS - indentation - prefix.len();
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| format!("{prefix}{line}")).collect()
}

/// The text as a Python docstring below an attribute.
pub fn docstring(text: &str) -> Vec<String> {
    const INDENTATION: usize = 4;
    const QUOTES: &str = "\"\"\"";
    let mut lines = wrapped("", INDENTATION + 2 * QUOTES.len(), text);
    lines[0].insert_str(0, QUOTES);
    let last = lines.len() - 1;
    lines[last].push_str(QUOTES);
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_as_long_as_they_may_be() {
        let words = vec!["12345"; 40].join(" ");
        let lines = wrapped("/// ", 4, &words);
        assert!(lines.iter().all(|line| line.len() <= 96), "{lines:?}");
        assert_eq!(lines.len(), 3);
        assert_eq!(wrapped("", 0, " a  b "), ["a b"]);
    }
}
