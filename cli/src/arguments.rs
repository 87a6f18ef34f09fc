//! What can be written on the command line: the commands, and the options of each. Those of a
//! policy are in `policy`.

mod image;
mod policy;

pub use policy::{Form, form, leave_out_documentation};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use policy::with_policy;
use std::ffi::OsString;
use std::path::PathBuf;

/// The whole command line. The options of a command are built when they are needed: those of all
/// commands would take longer than a sandbox.
pub fn command() -> Command {
    Command::new("seclude")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run programs in isolation, in Linux namespaces of their own")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("run").about("Run a program in a sandbox, and exit as it does").defer(run),
        )
        .subcommand(
            Command::new("shell")
                .about("Run a shell, or another program, on a terminal of its own in a sandbox")
                .defer(shell),
        )
        .subcommand(
            Command::new("explain")
                .about("List the steps that would set up a sandbox; start nothing")
                .defer(with_policy),
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
                .arg(flag("json").help("In JSON, for programs"))
                .args(doctor()),
        )
        .subcommand(
            Command::new("learn")
                .about("Run a program once, and write the policy that allows just its system calls")
                .defer(learn),
        )
        .subcommand(of_others("bwrap", "Run a program with the options of bubblewrap"))
        .subcommand(of_others("isolate", "Run programs in boxes with the options of isolate"))
        .subcommand(
            Command::new("cells")
                .about("List and use the cells that programs of this user have published")
                .defer(cells),
        )
        .subcommand(
            Command::new("image")
                .about("Import, list and remove images, and write them for other programs")
                .defer(image::image),
        )
        .subcommand(
            Command::new("tree")
                .about("Draw the processes in their pid namespaces, each by its ids outside and inside")
                .defer(tree),
        )
        .subcommand(
            Command::new("batch")
                .about("Run the jobs of a file, many at a time, each in a sandbox of its own")
                .defer(batch),
        )
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

fn run(command: Command) -> Command {
    with_command(with_policy(command))
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
        .arg(
            Arg::new("collect")
                .long("collect")
                .value_name("PATTERN")
                .value_parser(value_parser!(OsString))
                .action(ArgAction::Append)
                .help("Collect the files that match this when the program has ended")
                .long_help(
                    "Collect the files that match this when the program has ended. It is absolute, \
                    or relative to the working directory; *, ? and [...] match within one name. A \
                    directory that matches is collected with all it contains. No link is followed",
                ),
        )
        .arg(
            Arg::new("collect-into")
                .long("collect-into")
                .value_name("DIRECTORY")
                .value_parser(value_parser!(PathBuf))
                .requires("collect")
                .help("Write the collected files below this directory, which is empty or new")
                .long_help(
                    "Write the collected files below this directory, which is empty or new. \
                    Without it, --json prints what they contain",
                ),
        )
        .arg(
            Arg::new("collect-bytes")
                .long("collect-bytes")
                .value_name("SIZE")
                .requires("collect")
                .help("The most bytes to collect; 64M if not given"),
        )
        .arg(
            Arg::new("collect-entries")
                .long("collect-entries")
                .value_name("NUMBER")
                .value_parser(value_parser!(u64))
                .requires("collect")
                .help("The most files and directories to collect; 1000 if not given"),
        )
        .arg(flag("quiet").short('q').help("Do not say which limit stopped the program"))
}

fn shell(command: Command) -> Command {
    with_command(with_policy(command)).after_help(STATUS).mut_arg("COMMAND", |command| {
        command.required(false).help("The program and its arguments; sh if not given")
    })
}

/// What else `doctor` does than report.
fn doctor() -> [Arg; 3] {
    [
        flag("fix").conflicts_with("json").help(
            "Show how to install the warden with its AppArmor profile, which Ubuntu needs, and do \
            it if the answer is yes",
        ),
        Arg::new("root")
            .long("root")
            .value_name("DIR")
            .requires("fix")
            .value_parser(value_parser!(PathBuf))
            .help("Install into the system in this directory, such as an image, instead"),
        flag("seccomp-profile")
            .conflicts_with_all(["json", "fix"])
            .help("Print the seccomp profile for containers, for Docker and Podman"),
    ]
}

fn learn(command: Command) -> Command {
    with_command(with_policy(command))
        .arg(
            Arg::new("write")
                .long("write")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Where to write the policy, in TOML; standard error if not given"),
        )
        .arg(flag("paths").help("List the paths that the program names, too"))
}

/// A command with the options of another program, which are read by hand.
fn of_others(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).disable_help_flag(true).arg(
        Arg::new("OPTIONS")
            .num_args(0..)
            .trailing_var_arg(true)
            .allow_hyphen_values(true)
            .value_parser(value_parser!(OsString))
            .help(format!("Its options, and a program: see seclude {name} --help")),
    )
}

fn cells(command: Command) -> Command {
    let name = || Arg::new("NAME").required(true).help("The name of the cell");
    command
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
        .subcommand(Command::new("freeze").about("Stop the processes of a cell").arg(name()))
        .subcommand(Command::new("thaw").about("Let the processes of a cell continue").arg(name()))
        .subcommand(
            Command::new("kill").about("Kill the processes of a cell; keep the cell").arg(name()),
        )
        .subcommand(Command::new("close").about("End a cell and all it holds").arg(name()))
}

fn tree(command: Command) -> Command {
    command
        .arg(
            Arg::new("PID")
                .value_parser(value_parser!(u32))
                .help("Only what is below this process"),
        )
        .arg(flag("arguments").help("Show command lines instead of names"))
        .arg(
            Arg::new("svg")
                .long("svg")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Write an image to this file"),
        )
}

fn batch(command: Command) -> Command {
    with_policy(command)
        .long_about(
            "Run jobs, each in a sandbox of its own, many at a time. A job is a line of JSON: \
            {\"args\": [\"cc\", \"-xc\", \"-\"], \"input\": \"...\"}, and \"cwd\", \"env\", \"arg0\", \
            \"wall_time\", \"memory\", \"cpu_time\", \"pids\", \"collect\" and \"id\" if wanted. Each line is \
            answered by a line of JSON, in the same order, with how the job ended, what it \
            wrote and what it used, or with the error that kept it from running",
        )
        .after_help(
            "Exit status:\n  \
            0  every job exited with 0\n  \
            1  every job ran, and some ended otherwise\n  \
            2  a line was no job, a job could not be run, or the batch itself could not be",
        )
        .arg(file("FILE").help("The jobs, one on a line; - for standard input"))
        // Here --output names a file, as for other commands that work on files.
        .mut_arg("output", |limit| limit.long("output-limit"))
        .arg(
            Arg::new("answers")
                .long("output")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Where the answers go, instead of standard output"),
        )
        .arg(flag("as-completed").help("Answer first what has ended first"))
        .arg(
            Arg::new("workers")
                .long("workers")
                .value_name("NUMBER")
                .value_parser(value_parser!(usize))
                .help("How many jobs run at one time; as many as there are processors by default"),
        )
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
        .arg(
            Arg::new("umask")
                .long("umask")
                .value_name("MODE")
                .value_parser(|text: &str| u32::from_str_radix(text, 8))
                .help("The umask, in octal: 022 if not given"),
        )
        .arg(
            Arg::new("groups")
                .long("groups")
                .value_name("NUMBER,...")
                .value_delimiter(',')
                .value_parser(value_parser!(u32))
                .help("The supplementary groups inside; none if not given"),
        )
        .arg(
            Arg::new("ignore-signal")
                .long("ignore-signal")
                .value_name("SIGNAL")
                .action(ArgAction::Append)
                .help("Start the program with this signal ignored, as nohup does"),
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
    use seclude::schema::{ENTRIES, SETTINGS};

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_key_of_a_policy_has_an_option() {
        let run = run(Command::new("run"));
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
}
