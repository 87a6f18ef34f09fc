//! What can be written on the command line. The options of a policy come from the core's
//! declarations, so that each key of a policy has an option of the same name.

use clap::builder::{PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, Command, value_parser};
use seclude::schema::{ENTRIES, EntryKind, SETTINGS, Setting};
use std::ffi::OsString;
use std::path::PathBuf;

/// The form in which an option takes the value of a policy's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A text.
    Text,
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
        ("text", _) => Form::Text,
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
pub fn repeats(form: Form) -> bool {
    match form {
        Form::Words
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

/// The whole command line.
pub fn command() -> Command {
    Command::new("seclude")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run programs in isolation, in Linux namespaces of their own")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(run())
        .subcommand(shell())
        .subcommand(
            with_policy(Command::new("explain"))
                .about("List the steps that would set up a sandbox; start nothing"),
        )
        .subcommand(
            Command::new("check")
                .about("Check a policy file; print its policy with --json or --toml")
                .arg(file("POLICY").help("The policy, in JSON or TOML; - for standard input"))
                .arg(flag("json").help("Print the policy as JSON").conflicts_with("toml"))
                .arg(flag("toml").help("Print the policy as TOML")),
        )
        .subcommand(
            Command::new("doctor")
                .about("Report what this host allows, by trying it")
                .arg(flag("json").help("In JSON, for programs")),
        )
        .subcommand(learn())
        .subcommand(bwrap())
        .subcommand(cells())
        .subcommand(
            Command::new("completions").about("Print the completions of a shell").arg(
                Arg::new("SHELL")
                    .required(true)
                    .value_parser(value_parser!(clap_complete::Shell))
                    .help("The shell"),
            ),
        )
        .subcommand(
            Command::new("manual")
                .about("Write the manual pages, one for each command")
                .arg(file("DIRECTORY").help("Where to write them")),
        )
}

fn run() -> Command {
    with_command(with_policy(Command::new("run")))
        .about("Run a program in a sandbox, and exit as it does")
        .after_help(STATUS)
        .arg(
            flag("test")
                .help("Use the sandbox for tests: the host's files, and everything else private")
                .long_help(
                    "Use the sandbox for tests: the host's files at the same paths, the same \
                    working directory and environment, and a private network with loopback, \
                    /tmp, /run, /dev/shm and process tree. Leftover processes are killed. Exit \
                    with 77 and a reason where this host does not allow that",
                ),
        )
        .arg(
            Arg::new("tty")
                .long("tty")
                .value_name("WHEN")
                .value_parser(PossibleValuesParser::new(["auto", "always", "never"]))
                .default_value("auto")
                .help("Whether the program has a terminal of its own")
                .long_help(
                    "Whether the program has a terminal of its own. With auto, it has one if \
                    standard input and output are both a terminal",
                ),
        )
        .arg(flag("json").conflicts_with("report").help(
            "Collect what the program writes, and print that and the outcome as one JSON object",
        ))
        .arg(
            Arg::new("report")
                .long("report")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Write the outcome as JSON to this file"),
        )
        .arg(flag("quiet").short('q').help("Do not say which limit stopped the program"))
}

fn shell() -> Command {
    with_command(with_policy(Command::new("shell")))
        .about("Run a shell, or another program, on a terminal of its own in a sandbox")
        .after_help(STATUS)
        .mut_arg("COMMAND", |command| {
            command.required(false).help("The program and its arguments; sh if not given")
        })
}

fn learn() -> Command {
    with_command(with_policy(Command::new("learn")))
        .about("Run a program once, and write the policy that allows just its system calls")
        .arg(
            Arg::new("write")
                .long("write")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Where to write the policy, in TOML; standard error if not given"),
        )
        .arg(flag("paths").help("List the paths that the program names, too"))
}

fn bwrap() -> Command {
    Command::new("bwrap")
        .about("Run a program with the options of bubblewrap")
        .disable_help_flag(true)
        .arg(
            Arg::new("OPTIONS")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString))
                .help("Its options, the program and its arguments: see seclude bwrap --help"),
        )
}

fn cells() -> Command {
    let name = || Arg::new("NAME").required(true).help("The name of the cell");
    Command::new("cells")
        .about("List and use the cells that programs of this user have published")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("list")
                .about("List the cells that run")
                .arg(flag("json").help("In JSON, for programs")),
        )
        .subcommand(
            with_command(Command::new("exec").arg(name()))
                .about("Run a program in a cell, and exit as it does")
                .after_help(STATUS),
        )
        .subcommand(
            with_policy(Command::new("open").arg(name()))
                .about("Open a cell, and keep it until this program ends"),
        )
        .subcommand(Command::new("freeze").about("Stop every process of a cell").arg(name()))
        .subcommand(Command::new("thaw").about("Let the processes of a cell continue").arg(name()))
        .subcommand(
            Command::new("kill").about("Kill every process of a cell; keep the cell").arg(name()),
        )
        .subcommand(Command::new("close").about("End a cell and all it holds").arg(name()))
}

/// The exit status, as the help of a command that runs a program explains it.
const STATUS: &str = "\
Exit status:
  the program's own, or 128 and the number of the signal that killed it
  124  a limit on time stopped it
  125  seclude failed, as the message tells
  126  the program cannot be executed
  127  there is no such program
   77  with --test: this host does not allow the isolation";

const POLICY: &str = "Policy";
const FILES: &str = "Files";

/// Adds the options of a policy.
fn with_policy(command: Command) -> Command {
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
        Form::Text => ("TEXT", value_parser!(String)),
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

/// The help of an option: the first sentence, and the first paragraph.
fn documentation(doc: &str) -> (String, String) {
    let paragraph = doc.split("\n\n").next().unwrap_or_default();
    let text = paragraph.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "");
    let first = text.split_inclusive(". ").next().unwrap_or(&text);
    (first.trim().trim_end_matches('.').to_owned(), text)
}

/// Adds the program, its arguments, and what else belongs to a single command.
fn with_command(command: Command) -> Command {
    command
        .next_help_heading("Command")
        .arg(
            Arg::new("env")
                .long("env")
                .short('e')
                .value_name("NAME[=VALUE]")
                .value_parser(value_parser!(OsString))
                .action(ArgAction::Append)
                .help("Set an environment variable; without a value, to that of the caller"),
        )
        .arg(flag("clear-env").help("Start with no environment variable at all"))
        .arg(flag("inherit-env").help("Start with all environment variables of the caller"))
        .arg(
            Arg::new("cwd")
                .long("cwd")
                .value_name("DIRECTORY")
                .value_parser(value_parser!(OsString))
                .help("The working directory inside"),
        )
        .arg(
            Arg::new("arg0")
                .long("arg0")
                .value_name("NAME")
                .value_parser(value_parser!(OsString))
                .help("The program's own name (argument 0)"),
        )
        .arg(
            Arg::new("fd")
                .long("fd")
                .value_name("NUMBER")
                .value_parser(value_parser!(i32).range(3..))
                .action(ArgAction::Append)
                .help("Pass this open descriptor, under the same number"),
        )
        .next_help_heading(None::<&str>)
        .arg(
            Arg::new("COMMAND")
                .required(true)
                .num_args(1..)
                .last(true)
                .value_parser(value_parser!(OsString))
                .help("The program and its arguments"),
        )
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn file(name: &'static str) -> Arg {
    Arg::new(name).required(true).value_parser(value_parser!(PathBuf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_key_of_a_policy_has_an_option() {
        let run = run();
        for setting in SETTINGS.iter().filter(|setting| setting.name != "files") {
            let option = setting.name.replace('_', "-");
            assert!(run.get_arguments().any(|arg| arg.get_long() == Some(&option)), "{option}");
        }
        for kind in ENTRIES {
            assert!(
                run.get_arguments()
                    .any(|arg| arg.get_long() == Some(kind.key.replace('_', "-").as_str())),
                "{}",
                kind.key
            );
        }
    }

    #[test]
    fn the_help_of_an_option_is_the_first_sentence_of_its_documentation() {
        let (help, long) = documentation("The `host` name, 1 to\n64 bytes. Default: `x`.\n\nMore.");
        assert_eq!(help, "The host name, 1 to 64 bytes");
        assert_eq!(long, "The host name, 1 to 64 bytes. Default: x.");
    }
}
