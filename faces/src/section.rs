//! Replaces a marked section of a file.

use std::io::{Error, ErrorKind, Result, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// A file, the name of a section in it, and the function that returns its lines without
/// indentation.
pub type Section = (&'static str, &'static str, fn() -> Vec<String>);

/// Updates a section, or with `look_only` only compares it. Returns whether it differed.
pub fn write(root: &Path, (file, name, lines): &Section, look_only: bool) -> Result<bool> {
    let path = root.join(file);
    let text = std::fs::read_to_string(&path)?;
    let mut replaced = replaced(&text, name, &lines())?;
    if file.ends_with(".rs") {
        replaced = formatted(root, &replaced)?;
    }
    let differs = replaced != text;
    if differs && !look_only {
        std::fs::write(&path, replaced)?;
    }
    Ok(differs)
}

/// Writes a whole file, or with `look_only` only compares it. Returns whether it differed.
pub fn write_whole(path: &Path, lines: &[String], look_only: bool) -> Result<bool> {
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    let differs = match std::fs::read_to_string(path) {
        Ok(present) => present != text,
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(error),
    };
    if differs && !look_only {
        std::fs::write(path, text)?;
    }
    Ok(differs)
}

/// The text as `cargo fmt` leaves it: both are checked, so they must agree.
fn formatted(root: &Path, text: &str) -> Result<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    // rustfmt reads all before it writes.
    rustfmt.stdin.take().expect("it is piped").write_all(text.as_bytes())?;
    let output = rustfmt.wait_with_output()?;
    if !output.status.success() {
        return Err(Error::new(ErrorKind::InvalidData, "rustfmt cannot read it"));
    }
    String::from_utf8(output.stdout).map_err(|error| Error::new(ErrorKind::InvalidData, error))
}

/// The text with these lines in the section `name`.
fn replaced(text: &str, name: &str, lines: &[String]) -> Result<String> {
    let wrong = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let begin = format!("faces: begin {name}");
    let is_begin = |line: &str| marker(line) == Some(begin.as_str());
    let mut all = text.split_inclusive('\n').peekable();
    let mut out = String::new();
    let mut found = false;
    while let Some(line) = all.next() {
        out.push_str(line);
        if !is_begin(line) {
            continue;
        }
        if std::mem::replace(&mut found, true) {
            return Err(wrong("there are two sections of this name"));
        }
        let indentation = &line[..line.len() - line.trim_start().len()];
        for line in lines {
            if !line.is_empty() {
                out.push_str(indentation);
                out.push_str(line);
            }
            out.push('\n');
        }
        while all.next_if(|line| marker(line) != Some("faces: end")).is_some() {}
        if all.peek().is_none() {
            return Err(wrong("it has no end"));
        }
    }
    if found { Ok(out) } else { Err(wrong("there is no such section")) }
}

/// The content of a comment that is a line of its own, in C, Rust, Python or Markdown.
fn marker(line: &str) -> Option<&str> {
    let line = line.trim();
    let comments = [("// ", ""), ("# ", ""), ("/* ", " */"), ("<!-- ", " -->")];
    comments.iter().find_map(|(open, close)| line.strip_prefix(open)?.strip_suffix(close))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_section_is_replaced_and_keeps_its_indentation() {
        let text = "a\n    // faces: begin x\n    old\n    // faces: end\nb\n";
        let new = replaced(text, "x", &lines(&["one", "", "two"])).expect("it has the section");
        assert_eq!(new, "a\n    // faces: begin x\n    one\n\n    two\n    // faces: end\nb\n");
        assert_eq!(replaced(&new, "x", &lines(&["one", "", "two"])).expect("still"), new);
    }

    #[test]
    fn a_marker_is_a_comment_in_each_language() {
        for line in ["// faces: end", "  # faces: end\n", "/* faces: end */", "<!-- faces: end -->"]
        {
            assert_eq!(marker(line), Some("faces: end"));
        }
        assert_eq!(marker("faces: end"), None);
    }

    #[test]
    fn a_section_that_is_not_there_once_is_an_error() {
        let error = |text: &str| replaced(text, "x", &[]).expect_err("an error").to_string();
        assert_eq!(error("a\n"), "there is no such section");
        assert_eq!(error("// faces: begin x\n"), "it has no end");
        let one = "# faces: begin x\n# faces: end\n";
        assert_eq!(error(&format!("{one}{one}")), "there are two sections of this name");
    }
}
