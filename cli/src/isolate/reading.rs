//! Reads a command line as getopt_long(3) does, and writes the help. The options are those of
//! `table`.

use super::asked::{Asked, Work};
use super::table::{Declared, Effect, OPTIONS, Scope, Value};
use super::{Refusal, Result};
use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// Reads a command line: options, and the program with its arguments.
pub fn read(asked: &mut Asked, arguments: Vec<OsString>) -> Result<Work> {
    let mut rest = arguments.into_iter();
    let mut of_run = None;
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            asked.command = rest.collect();
            break;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            let end = long.iter().position(|byte| *byte == b'=');
            let option = by_name(&long[..end.unwrap_or(long.len())])?;
            let mut value = end.map(|end| OsStr::from_bytes(&long[end + 1..]).to_owned());
            if value.is_none() && matches!(option.value, Value::Needed(_)) {
                value = rest.next();
            }
            apply(asked, option, value.as_deref(), &mut of_run)?;
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            read_cluster(asked, &bytes[1..], &mut rest, &mut of_run)?;
        } else {
            asked.command = std::iter::once(word).chain(rest).collect();
            // getopt_long(3) would read these as options of its own.
            if asked.command.iter().any(|word| word.as_bytes().starts_with(b"-")) {
                return Err(Refusal::new("write -- before the program and its arguments"));
            }
            break;
        }
        if matches!(asked.work, Some(Work::Help | Work::Version)) {
            break;
        }
    }
    let work = asked.check()?;
    match of_run {
        Some(name) if matches!(work, Work::Init | Work::Cleanup) => {
            Err(Refusal::new(format!("--{name} belongs to --run")))
        }
        _ => Ok(work),
    }
}

/// Reads short options that share one word. A value is the rest of the word, or the next word.
fn read_cluster(
    asked: &mut Asked,
    mut letters: &[u8],
    rest: &mut impl Iterator<Item = OsString>,
    of_run: &mut Option<&'static str>,
) -> Result<()> {
    while let Some((letter, more)) = letters.split_first() {
        let Some(option) = OPTIONS.iter().find(|option| option.short == Some(*letter as char))
        else {
            return Err(Refusal::new(format!("there is no option -{}", *letter as char)));
        };
        letters = more;
        let attached = || Some(OsStr::from_bytes(more).to_owned()).filter(|_| !more.is_empty());
        let value = match option.value {
            Value::None => None,
            Value::Optional(_) => attached(),
            Value::Needed(_) => attached().or_else(|| rest.next()),
        };
        apply(asked, option, value.as_deref(), of_run)?;
        if !matches!(option.value, Value::None) {
            break;
        }
    }
    Ok(())
}

/// The option of this name, or the only one that begins with it.
fn by_name(name: &[u8]) -> Result<&'static Declared> {
    let shown = String::from_utf8_lossy(name);
    if let Some(option) = OPTIONS.iter().find(|option| option.name.as_bytes() == name) {
        return Ok(option);
    }
    let mut begun = OPTIONS.iter().filter(|option| option.name.as_bytes().starts_with(name));
    match (begun.next(), begun.next()) {
        (Some(option), None) => Ok(option),
        (Some(_), Some(_)) => Err(Refusal::new(format!("--{shown} can be several options"))),
        (None, _) => Err(Refusal::new(format!("there is no option --{shown}"))),
    }
}

fn apply(
    asked: &mut Asked,
    option: &'static Declared,
    value: Option<&OsStr>,
    of_run: &mut Option<&'static str>,
) -> Result<()> {
    let name = option.name;
    if let Effect::Refused(why) = option.effect {
        return Err(Refusal::new(format!("--{name} is refused: {why}")));
    }
    match (&option.value, value) {
        (Value::None, Some(_)) => return Err(Refusal::new(format!("--{name} takes no value"))),
        (Value::Needed(kind), None) => {
            return Err(Refusal::new(format!("--{name} takes a value: {kind}")));
        }
        _ => {}
    }
    if option.scope == Scope::Run {
        *of_run = Some(name);
    }
    let Effect::Exact(effect) = option.effect else { return Ok(()) };
    effect(asked, value).map_err(|Refusal(message)| Refusal(format!("--{name}: {message}")))
}

/// The text of `--help`.
pub fn help(name: &str) -> String {
    let mut text = String::from("usage:\n");
    for command in ["--init", "--run -- PROGRAM [ARGS...]", "--cleanup"] {
        let _ = writeln!(text, "    {name} [OPTIONS...] {command}");
    }
    text.push('\n');
    for Declared { name, short, value, help, effect, .. } in OPTIONS {
        let short = short.map_or("    ".into(), |letter| format!("-{letter}, "));
        let value = match value {
            Value::None => String::new(),
            Value::Needed(kind) => format!("={kind}"),
            Value::Optional(kind) => format!("[={kind}]"),
        };
        let refused = match effect {
            Effect::Exact(_) => String::new(),
            Effect::Refused(why) => format!(" (refused: {why})"),
        };
        let _ = writeln!(text, "    {short}{:28} {help}{refused}", format!("--{name}{value}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    fn parse(line: &str) -> std::result::Result<Asked, String> {
        let mut asked = Asked::default();
        let words = line.split_whitespace().map(OsString::from).collect();
        read(&mut asked, words).map(|_| asked).map_err(|Refusal(message)| message)
    }

    #[test]
    fn every_option_is_declared_once_and_has_a_help() {
        let names: BTreeSet<&str> = OPTIONS.iter().map(|option| option.name).collect();
        assert_eq!(names.len(), OPTIONS.len());
        let letters: Vec<char> = OPTIONS.iter().filter_map(|option| option.short).collect();
        assert_eq!(letters.iter().collect::<BTreeSet<_>>().len(), letters.len());
        assert!(OPTIONS.iter().all(|option| help("x").contains(&format!("--{}", option.name))));
    }

    #[test]
    fn values_are_written_in_each_form_of_getopt() {
        for line in ["--time=1.5", "--time 1.5", "-t1.5", "-t 1.5", "-vt1.5", "--tim=1.5"] {
            let asked = parse(&format!("{line} --run -- a")).unwrap();
            assert_eq!(asked.time, Some(Duration::from_millis(1500)), "{line}");
        }
        assert_eq!(parse("-p --run -- a").unwrap().processes, None);
        assert_eq!(parse("-p7 --run -- a").unwrap().processes, Some(7));
        assert_eq!(parse("--processes=7 --run -- a").unwrap().processes, Some(7));
        assert_eq!(parse("--run -- a").unwrap().processes, Some(1));
    }

    #[test]
    fn mistakes_are_errors() {
        for (line, message) in [
            ("", "give one of"),
            ("--run", "needs a program"),
            ("--init --cleanup", "only one of"),
            ("--init -- a", "only --run takes"),
            ("--init --time=1", "--time belongs to --run"),
            ("--nosuch", "no option --nosuch"),
            ("-Z", "no option -Z"),
            ("--std", "can be several"),
            ("--time", "takes a value: SEC"),
            ("--init=1", "takes no value"),
            ("--run --mem=0 -- a", "--mem: must be above 0"),
            ("--run a -b", "write -- before"),
            ("--run --cg-mem=1 -- a", "--cg-mem needs --cg"),
            ("--run -r a --stderr-to-stdout -- a", "exclude each other"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(message), "{line}: {error}");
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        for option in OPTIONS {
            if let Effect::Refused(why) = option.effect {
                let error = parse(&format!("--{} 1", option.name)).unwrap_err();
                assert_eq!(error, format!("--{} is refused: {why}", option.name));
            }
        }
    }
}
