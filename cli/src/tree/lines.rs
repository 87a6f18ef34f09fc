//! Draws the tree in characters.

use super::grow::{Branch, Frame, escape};
use unicode_width::UnicodeWidthChar;

/// The drawing characters, and those that replace them in ASCII.
const PLAIN: [(char, char); 10] = [
    ('╭', '+'),
    ('╮', '+'),
    ('╰', '+'),
    ('╯', '+'),
    ('─', '-'),
    ('│', '|'),
    ('├', '|'),
    ('└', '`'),
    ('→', '>'),
    ('…', '~'),
];

/// The picture as lines. Each process shows its ids, outer first: `4711→2 sh`.
pub fn lines(frame: &Frame) -> Vec<String> {
    let inner: Vec<String> = frame.branches.iter().flat_map(drawn).collect();
    let title = format!(" {} ", frame.title);
    let width = inner.iter().chain([&title]).map(|line| columns(line)).max().unwrap_or_default();
    let filled = |line: &str, fill: &str| format!("{line}{}", fill.repeat(width - columns(line)));
    let mut drawn = vec![format!("╭─{}─╮", filled(&title, "─"))];
    drawn.extend(inner.iter().map(|line| format!("│ {} │", filled(line, " "))));
    drawn.push(format!("╰{}╯", "─".repeat(width + 2)));
    drawn
}

fn drawn(branch: &Branch) -> Vec<String> {
    let node = match branch {
        Branch::Frame(frame) => return lines(frame),
        Branch::Node(node) => node,
    };
    let ids = ids(&node.ids);
    let words: Vec<&str> =
        [&*ids, &*node.label].into_iter().filter(|word| !word.is_empty()).collect();
    let mut all = vec![words.join(" ")];
    for (number, below) in (1..).zip(&node.branches) {
        let is_last = number == node.branches.len();
        let (first, rest) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        for (index, line) in drawn(below).into_iter().enumerate() {
            all.push(format!("{}{line}", if index == 0 { first } else { rest }));
        }
    }
    all
}

/// The ids of a process, the outer one first.
pub fn ids(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join("→")
}

/// How many columns a terminal uses for the text.
pub fn columns(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or_default()).sum()
}

/// The part of a line that fits into so many columns. A cut line ends in an ellipsis.
pub fn cut(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 0);
    for letter in line.chars() {
        used += letter.width().unwrap_or_default();
        if used >= width {
            break;
        }
        kept.push(letter);
    }
    kept.push('…');
    kept
}

/// A line with colour codes: edges dim, ids in cyan, kinds of namespace in green.
pub fn painted(line: &str) -> String {
    let is_edge = |letter: char| "╭╮╰╯─│├└".contains(letter);
    let mut painted = String::new();
    for word in line.split_inclusive(' ') {
        let (text, end) = word.strip_suffix(' ').map_or((word, ""), |text| (text, " "));
        let is_id = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let code = if !text.is_empty() && text.chars().all(is_edge) {
            "2"
        } else if !end.is_empty() && text.split('→').all(is_id) {
            "1;36"
        } else if is_kind(text) {
            "32"
        } else {
            painted.push_str(word);
            continue;
        };
        painted.push_str(&format!("\x1b[{code}m{text}\x1b[0m{end}"));
    }
    painted
}

fn is_kind(word: &str) -> bool {
    word.strip_prefix('+')
        .is_some_and(|kind| !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_lowercase()))
}

/// A text in ASCII.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match PLAIN.iter().find(|(drawn, _)| *drawn == letter) {
            Some((_, simple)) => plain.push(*simple),
            None if letter.is_ascii() => plain.push(letter),
            None => plain.push_str(&escape(letter)),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::super::grow::Node;
    use super::*;

    fn node(ids: &[u32], label: &str, branches: Vec<Branch>) -> Branch {
        let (ids, label) = (ids.to_vec(), label.to_owned());
        Branch::Node(Node { ids, label, story: String::new(), branches })
    }

    #[test]
    fn frames_are_closed_and_as_wide_as_what_they_hold() {
        let inner = Branch::Frame(Frame {
            title: "inner".to_owned(),
            branches: vec![node(&[3, 1], "日本 e\u{301}", vec![])],
        });
        let below = vec![node(&[2], "shell", vec![inner]), node(&[4], "last", vec![])];
        let outer = Frame { title: "outer".to_owned(), branches: vec![node(&[1], "init", below)] };
        assert_eq!(
            lines(&outer),
            [
                "╭─ outer ──────────────╮",
                "│ 1 init               │",
                "│ ├─ 2 shell           │",
                "│ │  └─ ╭─ inner ────╮ │",
                "│ │     │ 3→1 日本 e\u{301} │ │",
                "│ │     ╰────────────╯ │",
                "│ └─ 4 last            │",
                "╰──────────────────────╯",
            ]
        );
    }

    #[test]
    fn a_line_is_cut_painted_and_made_plain() {
        assert_eq!(cut("│ 日本語", 5), "│ 日…");
        assert_eq!(cut("12345", 5), "12345");
        assert_eq!(
            painted("│ └─ 12→3 sh +net 7"),
            "\x1b[2m│\x1b[0m \x1b[2m└─\x1b[0m \x1b[1;36m12→3\x1b[0m sh \x1b[32m+net\x1b[0m 7"
        );
        assert_eq!(plain("╰→ \u{e4}日\u{1f600}"), "+> \\xe4\\u65e5\\U0001f600");
    }
}
