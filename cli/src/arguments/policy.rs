//! The options of a policy. They come from the core's declarations, so that each key of a policy
//! has an option of the same name.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command, value_parser};
use seclude::schema::{ENTRIES, EntryKind, SETTINGS, Setting};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The form in which an option takes the value of a policy's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text.
    Text,
    /// Texts, one each time that the option is given.
    Texts,
    /// A path, which need not be UTF-8.
    Path,
    /// A whole number.
    Number,
    /// A number that may have a fraction.
    Fraction,
    /// A size such as `64M`, or a time such as `1.5s`: a number or a text.
    Quantity,
    /// True if the option is given without a value.
    Flag,
    /// Words, separated by commas.
    Words,
    /// Whole numbers and ranges of them, separated by commas.
    Numbers,
    /// The name of a profile, or a table in JSON.
    Filter,
    /// Files whose contents are the values.
    Contents,
    /// `NAME=NUMBER`, separated by commas.
    Offsets,
    /// `NAME=SOFT[:HARD]`, separated by commas.
    Rlimits,
    /// `PATH,RATE=NUMBER...`.
    Rates,
    /// `SIGNAL:TIME`.
    Grace,
    /// Each kind of entry has an option of its own.
    Entries,
}

/// The form of a key's option.
pub fn form(setting: &Setting) -> Form {
    match (setting.kind, setting.name) {
        ("text", _) | (_, "network" | "ids") => Form::Text,
        ("texts", _) => Form::Texts,
        ("path", _) | (_, "root") => Form::Path,
        ("id" | "count", _) => Form::Number,
        ("size" | "time", _) => Form::Quantity,
        ("fraction", _) => Form::Fraction,
        ("flag", _) | (_, "empty_root" | "terminals" | "landlock") => Form::Flag,
        (_, "share" | "unshare" | "capabilities" | "etc" | "require" | "best_effort") => {
            Form::Words
        }
        (_, "tcp_bind" | "tcp_connect" | "cpu_set") => Form::Numbers,
        (_, "seccomp") => Form::Filter,
        (_, "seccomp_bpf") => Form::Contents,
        (_, "clock_offsets") => Form::Offsets,
        (_, "rlimits") => Form::Rlimits,
        (_, "io") => Form::Rates,
        (_, "wall_time_grace") => Form::Grace,
        (_, "files") => Form::Entries,
        (kind, name) => unreachable!("the key {name} of kind {kind} has no form"),
    }
}

/// Whether an option can be given several times, each time for more values.
fn repeats(form: Form) -> bool {
    match form {
        Form::Texts
        | Form::Words
        | Form::Numbers
        | Form::Contents
        | Form::Offsets
        | Form::Rlimits
        | Form::Rates
        | Form::Entries => true,
        Form::Text
        | Form::Path
        | Form::Number
        | Form::Fraction
        | Form::Quantity
        | Form::Flag
        | Form::Filter
        | Form::Grace => false,
    }
}

const POLICY: &str = "Policy";
const FILES: &str = "Files";

/// Adds the options of a policy.
pub fn with_policy(command: Command) -> Command {
    let mut command = command
        .next_help_heading(POLICY)
        .arg(
            Arg::new("policy")
                .long("policy")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A policy in JSON or TOML, which further options change"),
        )
        .arg(
            Arg::new("image")
                .long("image")
                .value_name("NAME")
                .help("Take the root, the user and the environment of an image: seclude image"),
        )
        .arg(
            Arg::new("net")
                .long("net")
                .value_name("WHICH")
                .value_parser(PossibleValuesParser::new(["private", "host"]))
                .help("A private network with loopback, or the host's"),
        )
        .arg(
            Arg::new("set")
                .long("set")
                .value_name("KEY=VALUE")
                .action(ArgAction::Append)
                .help("Set any key of a policy, with its value in JSON"),
        );
    for setting in SETTINGS {
        if form(setting) != Form::Entries {
            command = command.arg(option(setting));
        }
    }
    command = command.next_help_heading(FILES);
    for kind in ENTRIES {
        command = command.arg(entry(kind));
    }
    command.next_help_heading(None::<&str>)
}

fn option(setting: &Setting) -> Arg {
    let form = form(setting);
    let (help, long_help) = documentation(setting.doc);
    let arg = Arg::new(setting.name)
        .long(setting.name.replace('_', "-"))
        .help(help)
        .long_help(long_help)
        .action(if repeats(form) { ArgAction::Append } else { ArgAction::Set });
    let (name, parser): (&str, ValueParser) = match form {
        Form::Text | Form::Texts => ("TEXT", value_parser!(String)),
        Form::Path => ("PATH", value_parser!(OsString)),
        Form::Number => ("NUMBER", value_parser!(u64).into()),
        Form::Fraction => ("NUMBER", value_parser!(f64).into()),
        Form::Quantity if setting.kind == "time" => ("TIME", value_parser!(String)),
        Form::Quantity => ("SIZE", value_parser!(String)),
        Form::Flag => {
            return arg
                .num_args(0..=1)
                .require_equals(true)
                .value_name("BOOL")
                .value_parser(value_parser!(bool))
                .default_missing_value("true");
        }
        Form::Words => ("NAME,...", value_parser!(String)),
        Form::Numbers => ("NUMBER,...", value_parser!(String)),
        Form::Filter => ("PROFILE", value_parser!(String)),
        Form::Contents => ("FILE", value_parser!(OsString)),
        Form::Offsets => ("CLOCK=SECONDS,...", value_parser!(String)),
        Form::Rlimits => ("NAME=SOFT[:HARD],...", value_parser!(String)),
        Form::Rates => ("PATH,RATE=NUMBER,...", value_parser!(String)),
        Form::Grace => ("SIGNAL:TIME", value_parser!(String)),
        Form::Entries => unreachable!("entries have options of their own"),
    };
    // A negative number is a value, and so is the offset of a clock.
    arg.value_name(name).value_parser(parser).allow_hyphen_values(form == Form::Offsets)
}

fn entry(kind: &EntryKind) -> Arg {
    let (help, long_help) = documentation(kind.doc);
    Arg::new(kind.key)
        .long(kind.key.replace('_', "-"))
        .value_name(crate::entries::syntax(kind))
        .value_parser(value_parser!(OsString))
        .action(ArgAction::Append)
        .help(help)
        .long_help(long_help)
}

static LEFT_OUT: AtomicBool = AtomicBool::new(false);

/// Builds the options without their documentation, which takes as long as to compile a policy.
pub fn leave_out_documentation() {
    LEFT_OUT.store(true, Ordering::Relaxed);
}

/// The help of an option: the first sentence, and the first paragraph.
fn documentation(doc: &str) -> (String, String) {
    if LEFT_OUT.load(Ordering::Relaxed) {
        return Default::default();
    }
    let paragraph = doc.split("\n\n").next().unwrap_or_default();
    let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "");
    let first = text.split_inclusive(". ").next().unwrap_or(&text);
    (first.trim().trim_end_matches('.').to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_of_an_option_is_the_first_sentence_of_its_documentation() {
        let (help, long) = documentation("The `host` name, 1 to\n64 bytes. Default: `x`.\n\nMore.");
        assert_eq!(help, "The host name, 1 to 64 bytes");
        assert_eq!(long, "The host name, 1 to 64 bytes. Default: x.");
    }
}
