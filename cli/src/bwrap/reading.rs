//! Reads a command line, and writes the help. The options are those of `table`.

use super::asked::{Asked, UNUSED_LAYERS};
use super::table::{Declared, Effect, OPTIONS};
use super::{Refusal, Result};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Reads a command line: options, and the program with its arguments.
pub fn read(asked: &mut Asked, arguments: Vec<OsString>) -> Result<()> {
    let mut rest = arguments.into_iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            asked.command = rest.collect();
            break;
        }
        if !word.as_bytes().starts_with(b"-") {
            asked.command = std::iter::once(word).chain(rest).collect();
            break;
        }
        read_option(asked, &word, &mut rest)?;
        if asked.help || asked.version {
            return Ok(());
        }
    }
    asked.check()
}

/// Reads the options of `--args`.
pub fn read_list(asked: &mut Asked, list: &[u8]) -> Result<()> {
    let mut words: Vec<OsString> =
        list.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
    // Each word is ended by a NUL, so nothing follows the last one.
    words.pop_if(|word| word.is_empty());
    let mut rest = words.into_iter();
    while let Some(word) = rest.next() {
        if !word.as_bytes().starts_with(b"--") {
            let word = word.to_string_lossy();
            return Err(Refusal::new(format!("--args: {word} is no option")));
        }
        read_option(asked, &word, &mut rest)?;
    }
    Ok(())
}

fn read_option(
    asked: &mut Asked,
    word: &OsStr,
    rest: &mut impl Iterator<Item = OsString>,
) -> Result<()> {
    let Some(option) = OPTIONS.iter().find(|option| word == option.name) else {
        return Err(Refusal::new(format!("Unknown option {}", word.to_string_lossy())));
    };
    let values: Vec<OsString> = rest.take(option.values.len()).collect();
    if values.len() < option.values.len() {
        let needed = option.values.join(" ");
        return Err(Refusal::new(format!("{} takes {needed}", option.name)));
    }
    let layers = asked.layers.len();
    match option.effect {
        Effect::Exact(effect) => effect(asked, &values)?,
        Effect::Refused(why) => {
            return Err(Refusal::new(format!("{} is refused: {why}", option.name)));
        }
    }
    // Another option than these stands between them.
    if layers > 0 && asked.layers.len() == layers {
        return Err(Refusal::new(UNUSED_LAYERS));
    }
    Ok(())
}

/// The text of `--help`.
pub fn help(name: &str) -> String {
    let mut text = format!("usage: {name} [OPTIONS...] [--] COMMAND [ARGS...]\n\n");
    for Declared { name, values, help, effect } in OPTIONS {
        let form = format!("{name} {}", values.join(" "));
        let refused = match effect {
            Effect::Exact(_) => String::new(),
            Effect::Refused(why) => format!(" (refused: {why})"),
        };
        let _ = writeln!(text, "    {form:30} {help}{refused}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn parse(line: &str) -> std::result::Result<Asked, String> {
        let mut asked = Asked::default();
        let words = line.split_whitespace().map(OsString::from).collect();
        read(&mut asked, words).map(|()| asked).map_err(|Refusal(message)| message)
    }

    #[test]
    fn every_option_is_declared_once_and_has_a_help() {
        let names: BTreeSet<&str> = OPTIONS.iter().map(|option| option.name).collect();
        assert_eq!(names.len(), OPTIONS.len());
        assert_eq!(OPTIONS.len(), 67);
        for option in OPTIONS {
            assert!(option.name.starts_with("--") && help("x").contains(option.name));
        }
    }

    #[test]
    fn the_program_begins_at_the_first_word_that_is_no_option() {
        let command = |line: &str| parse(line).unwrap().command;
        assert_eq!(command("--tmpfs /a sh --dir"), ["sh", "--dir"]);
        assert_eq!(command("--tmpfs /a -- --dir b"), ["--dir", "b"]);
    }

    #[test]
    fn mistakes_are_errors() {
        for (line, message) in [
            ("--nosuch", "Unknown option --nosuch"),
            ("--tmpfs", "--tmpfs takes DEST"),
            ("--bind /", "--bind takes SRC DEST"),
            ("--perms 9 --dir /a", "octal"),
            ("--perms 0700 --perms 0700 --dir /a", "twice"),
            ("--perms 0700 --proc /a", "--perms must stand before"),
            ("--size 1 --dir /a", "--size must stand before"),
            ("--size 0 --tmpfs /a", "above 0"),
            ("--size -5 --tmpfs /a", "above 0"),
            ("--size 9223372036854775809 --tmpfs /a", "above 0"),
            ("--uid x", "--uid takes an id"),
            ("--cap-add CAP_NOSUCH", "unknown capability CAP_NOSUCH"),
            ("--setenv = b", "not the name"),
            ("--hostname a", "requires --unshare-uts"),
            ("--disable-userns", "requires --unshare-user"),
            ("--bind /nosuch /a", "Can't find source path /nosuch: No such file or directory"),
            ("--perms 0700", "must stand before an operation"),
            ("--overlay-src /", "--overlay-src must be followed by"),
            ("--overlay-src / --proc /a", "--overlay-src must be followed by"),
            ("--overlay-src / --tmp-overlay /a --tmp-overlay /a", "requires at least one"),
            ("--overlay-src / --ro-overlay /a", "requires at least two"),
            ("--overlay-src /nosuch", "Can't find source path /nosuch"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        for option in OPTIONS {
            if let Effect::Refused(why) = option.effect {
                let line = format!("{} {}", option.name, "1 ".repeat(option.values.len()));
                let error = parse(&line).unwrap_err();
                assert_eq!(error, format!("{} is refused: {why}", option.name));
            }
        }
    }
}
