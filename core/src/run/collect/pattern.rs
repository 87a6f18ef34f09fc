//! A pattern of paths, as in glob(7): `*`, `?` and `[...]` match within one name, and a backslash
//! makes the next character plain.

use crate::base::error::{Error, Result};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The longest pattern in bytes, and the most names in one: no path inside is longer or deeper.
const LENGTH_MAX: usize = 4096;
const NAMES_MAX: usize = 64;

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// The pattern as the caller gave it.
    pub text: OsString,
    /// Whether it begins at the root, and not at the command's working directory.
    pub is_absolute: bool,
    /// At least one.
    pub names: Vec<Name>,
}

/// The part of a pattern that stands for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// This name and no other.
    Exact(CString),
    /// Each name that these signs match.
    Wild(Vec<Sign>),
}

/// A sign of a pattern, for one character or, if it is [`Sign::Any`], for any number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    Plain(u32),
    /// `*`
    Any,
    /// `?`
    One,
    /// `[...]`: ranges of characters, each with its last one.
    Set {
        negated: bool,
        ranges: Vec<(u32, u32)>,
    },
}

impl Pattern {
    /// Parses and checks a pattern.
    pub fn new(text: &OsStr) -> Result<Pattern> {
        let bytes = text.as_bytes();
        let wrong =
            |why: &str| Error::invalid(format!("pattern {text:?} of files to collect"), why);
        if bytes.is_empty() {
            return Err(wrong("empty").hint("name files inside, such as out/*.txt"));
        }
        if bytes.contains(&0) {
            return Err(wrong("contains a NUL byte"));
        }
        if bytes.len() > LENGTH_MAX {
            return Err(wrong(&format!("longer than {LENGTH_MAX} bytes")));
        }
        if bytes.ends_with(b"/") {
            return Err(wrong("ends in a slash").hint(
                "leave the slash out: a directory that matches is collected with all it contains",
            ));
        }
        let mut names = Vec::new();
        for part in bytes.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")) {
            if part == b".." {
                return Err(wrong("must not contain \"..\""));
            }
            if part.windows(2).any(|pair| pair == b"**") {
                return Err(wrong("** matches no more than *").hint(
                    "name the directory alone: one that matches is collected with all it contains",
                ));
            }
            names.push(Name::new(part).map_err(wrong)?);
        }
        if names.is_empty() {
            return Err(wrong("names no file").hint("a * matches all names that have no dot first"));
        }
        if names.len() > NAMES_MAX {
            return Err(wrong(&format!("has more than {NAMES_MAX} names")));
        }
        Ok(Pattern { text: text.into(), is_absolute: bytes.starts_with(b"/"), names })
    }
}

impl Name {
    fn new(part: &[u8]) -> Result<Name, &'static str> {
        let mut signs = Vec::new();
        let mut rest = part;
        while let Some(sign) = take(&mut rest) {
            signs.push(match sign {
                STAR => Sign::Any,
                QUESTION => Sign::One,
                OPEN => set(&mut rest)?,
                BACKSLASH => Sign::Plain(take(&mut rest).ok_or("ends in a backslash")?),
                sign => Sign::Plain(sign),
            });
        }
        let plain: Option<Vec<u32>> = signs
            .iter()
            .map(|sign| if let Sign::Plain(sign) = sign { Some(*sign) } else { None })
            .collect();
        let Some(plain) = plain else { return Ok(Name::Wild(signs)) };
        let name: Vec<u8> = plain.into_iter().flat_map(bytes_of).collect();
        // A backslash can hide dots from the check of the whole pattern.
        if matches!(&name[..], b"." | b"..") {
            return Err("must not contain \"..\"");
        }
        CString::new(name).map(Name::Exact).map_err(|_| "contains a NUL byte")
    }

    /// Whether a name matches. A dot at its beginning must be in the pattern.
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Name::Exact(exact) => exact.to_bytes() == name,
            Name::Wild(signs) => {
                let is_hidden = name.starts_with(b".");
                (!is_hidden || signs.first() == Some(&Sign::Plain(b'.'.into())))
                    && fits(signs, name)
            }
        }
    }
}

const STAR: u32 = b'*' as u32;
const QUESTION: u32 = b'?' as u32;
const OPEN: u32 = b'[' as u32;
const CLOSE: u32 = b']' as u32;
const BACKSLASH: u32 = b'\\' as u32;

/// What a byte that is no UTF-8 counts as: a character beyond all others.
const NOT_UTF8: u32 = 0x11_0000;

/// Takes the first character. Names need not be UTF-8: each byte that belongs to no character is
/// one by itself.
fn take(rest: &mut &[u8]) -> Option<u32> {
    let first = *rest.first()?;
    let known = (1..=rest.len().min(4))
        .find_map(|length| std::str::from_utf8(&rest[..length]).ok().map(|text| (length, text)))
        .and_then(|(length, text)| Some((length, text.chars().next()? as u32)));
    let (length, sign) = known.unwrap_or((1, NOT_UTF8 + u32::from(first)));
    *rest = &rest[length..];
    Some(sign)
}

/// The bytes of a character from [`take`].
fn bytes_of(sign: u32) -> Vec<u8> {
    match char::from_u32(sign) {
        Some(letter) => letter.encode_utf8(&mut [0; 4]).as_bytes().to_vec(),
        None => vec![(sign - NOT_UTF8) as u8],
    }
}

/// Takes the rest of a set, after its `[`.
fn set(rest: &mut &[u8]) -> Result<Sign, &'static str> {
    const OPEN_SET: &str = "has a [ without its ]; \\[ is a plain one";
    let negated = rest.first() == Some(&b'!');
    if negated {
        *rest = &rest[1..];
    } else if rest.first() == Some(&b'^') {
        // POSIX leaves its meaning open (glob(7)).
        return Err("has [^, which has no certain meaning; [! matches what is not in a set");
    }
    let mut ranges = Vec::new();
    loop {
        let mut sign = take(rest).ok_or(OPEN_SET)?;
        match sign {
            // First in the set it stands for itself.
            CLOSE if !ranges.is_empty() => return Ok(Sign::Set { negated, ranges }),
            OPEN if matches!(rest.first(), Some(b':' | b'.' | b'=')) => {
                return Err("has a class such as [:alpha:], and no classes are known");
            }
            BACKSLASH => sign = take(rest).ok_or(OPEN_SET)?,
            _ => {}
        }
        let mut last = sign;
        if let Some((b'-', after)) = rest.split_first()
            && after.first().is_some_and(|next| *next != b']')
        {
            *rest = after;
            last = take(rest).ok_or(OPEN_SET)?;
            if last == BACKSLASH {
                last = take(rest).ok_or(OPEN_SET)?;
            }
            if last < sign {
                return Err("has a range whose end comes before its beginning");
            }
        }
        ranges.push((sign, last));
    }
}

/// Whether the whole name fits the signs. After a mismatch only the last `*` takes one character
/// more: earlier ones need no second try. So the time is at most the product of both lengths.
fn fits(signs: &[Sign], name: &[u8]) -> bool {
    let mut at = 0;
    let mut rest = name;
    // The place after the last `*`, and what was left of the name there.
    let mut again: Option<(usize, &[u8])> = None;
    loop {
        let mut next = rest;
        let letter = take(&mut next);
        let fitting = match (signs.get(at), letter) {
            (None, None) => return true,
            (Some(Sign::Any), _) => {
                at += 1;
                again = Some((at, rest));
                continue;
            }
            (None, Some(_)) => false,
            // Nothing but `*` fits no character, and a longer `*` leaves even less.
            (Some(_), None) => return false,
            (Some(sign), Some(letter)) => sign.fits(letter),
        };
        if fitting {
            (at, rest) = (at + 1, next);
            continue;
        }
        let Some((after, left)) = &mut again else { return false };
        if take(left).is_none() {
            return false;
        }
        (at, rest) = (*after, left);
    }
}

impl Sign {
    fn fits(&self, letter: u32) -> bool {
        match self {
            Sign::Plain(plain) => *plain == letter,
            Sign::One | Sign::Any => true,
            Sign::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != *negated
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &[u8]) -> bool {
        let pattern = Pattern::new(OsStr::new(pattern)).expect(pattern);
        assert_eq!(pattern.names.len(), 1);
        pattern.names[0].matches(name)
    }

    #[test]
    fn names_match_as_in_glob() {
        for (pattern, yes, no) in [
            ("a", &["a"][..], &["b", "aa", ""][..]),
            ("*", &["a", "a.b", "é", "a\nb"], &[".a"]),
            ("*.txt", &["a.txt", "a.txt.txt"], &[".txt", "a.txtx", "txt"]),
            ("a*b*c", &["abc", "aXbYc", "abcbc"], &["ab", "abcd", "acb"]),
            ("?", &["a", "é", "\u{1f600}"], &["ab", ".", ""]),
            ("a?", &["ab", "a."], &["a", "abc"]),
            (".*", &[".a", "."], &["a"]),
            ("[.]a", &[], &[".a"]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[!a-c]x", &["dx", "-x"], &["ax", "x", ".x"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("[!]a]", &["b"], &["]", "a"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[α-γ]", &["β"], &["δ", "b"]),
            ("[\\]x]", &["]", "x"], &["\\"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("a\\bc", &["abc"], &["a\\bc"]),
            ("x\\[1]", &["x[1]"], &["x1"]),
        ] {
            for name in yes {
                assert!(matches(pattern, name.as_bytes()), "{pattern} matches {name:?}");
            }
            for name in no {
                assert!(!matches(pattern, name.as_bytes()), "{pattern} does not match {name:?}");
            }
        }
        assert!(matches("?\u{e9}?", b"\xff\xc3\xa9\xc3"), "a byte that is no UTF-8 is a character");
        assert!(!matches("?", b"\xff\xff"));
    }

    #[test]
    fn a_hostile_name_takes_no_more_than_quadratic_time() {
        let name = vec![b'a'; 255];
        let pattern = "*a".repeat(60) + "*b";
        assert!(!matches(&pattern, &name));
    }

    #[test]
    fn a_pattern_is_split_into_names() {
        let pattern = Pattern::new(OsStr::new("/a//./b*/c")).unwrap();
        assert!(pattern.is_absolute);
        assert_eq!(pattern.names.len(), 3);
        assert_eq!(pattern.names[0], Name::Exact(c"a".into()));
        assert!(matches!(pattern.names[1], Name::Wild(_)));
        assert!(!Pattern::new(OsStr::new("./a")).unwrap().is_absolute);
        let bytes = Pattern::new(OsStr::from_bytes(b"\xff\\*")).unwrap();
        assert_eq!(bytes.names, [Name::Exact(CString::new(&b"\xff*"[..]).unwrap())]);
    }

    #[test]
    fn bad_patterns_are_refused() {
        let deep = "a/".repeat(64) + "a";
        let long = "a".repeat(4097);
        for (pattern, why) in [
            ("", "empty"),
            ("a\0b", "NUL"),
            ("..", "\"..\""),
            ("a/../b", "\"..\""),
            ("\\.\\.", "\"..\""),
            ("/", "names no file"),
            (".", "names no file"),
            ("out/", "names no file"),
            ("a/**/b", "**"),
            ("a[", "without its ]"),
            ("a[]", "without its ]"),
            ("a[b\\", "without its ]"),
            ("[^a]", "[!"),
            ("[[:alpha:]]", "classes"),
            ("[b-a]", "range"),
            ("a\\", "backslash"),
            (&deep, "64 names"),
            (&long, "4096 bytes"),
        ] {
            let why = if pattern.ends_with('/') { "slash" } else { why };
            let error = Pattern::new(OsStr::new(pattern)).expect_err(pattern);
            assert_eq!(error.kind(), crate::base::error::ErrorKind::Invalid);
            assert!(error.to_string().contains(why), "{pattern}: {error}");
        }
    }
}
