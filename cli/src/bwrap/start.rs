//! Starts the program, tells the outside about it, and waits for its end.

use super::asked::{Asked, Change};
use super::layout::{Seen, has_terminals, seen};
use super::{Refusal, Result, asked, descriptors, display, policy};
use crate::{run, session, signals, status};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;
use seclude::{Cell, Child, Command, Ended, Error, ErrorKind, Join, Namespace, Sandbox, Step};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The kinds of namespace whose ids are told, with the names of their files in `/proc/PID/ns`.
const TOLD: [(Namespace, &str); 6] = [
    (Namespace::Cgroup, "cgroup"),
    (Namespace::Ipc, "ipc"),
    (Namespace::Mount, "mnt"),
    (Namespace::Net, "net"),
    (Namespace::Pid, "pid"),
    (Namespace::Uts, "uts"),
];

/// Runs the program to its end. Returns the exit status.
pub fn run(mut asked: Asked) -> Result<u8> {
    if asked.die_with_parent {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
            .map_err(|errno| Refusal::new(format!("--die-with-parent: {}", errno.desc())))?;
    }
    let sandbox = policy::sandbox(&asked)?;
    let locks = lock(&asked)?;
    let inherited = descriptors::inherited()?;
    // The cell has the namespaces before the program starts. Whoever reads the ids may set up more
    // in them, and then let the program start.
    let told = asked.info.is_some() || asked.status.is_some();
    let cell = if told { Some(cell_of(&sandbox, &asked)?) } else { None };
    if let Some(cell) = &cell {
        tell_start(&mut asked, cell.id()?)?;
    }
    if let Some(block) = asked.block.take() {
        descriptors::wait_for(&block)?;
    }
    let signals = signals::listen()?;
    let child = start(&sandbox, cell.as_ref(), &asked, &inherited)?;
    drop(inherited);
    let (outcome, _) = session::attend(child, &signals)?;
    drop(locks);
    let status = match outcome.ended {
        Ended::WardenLost(_) => return Err(Refusal::new(outcome.to_string())),
        _ => status::of(&outcome),
    };
    if let Some(told) = &asked.status {
        write_line(told, "--json-status-fd", &format!("{{ \"exit-code\": {status} }}\n"))?;
    }
    Ok(status)
}

fn cell_of(sandbox: &Sandbox, asked: &Asked) -> Result<Cell> {
    if asked.userns.is_some() || asked.pidns.is_some() {
        return Err(Refusal::new(
            "--info-fd and --json-status-fd with --userns or --pidns: not supported together",
        ));
    }
    sandbox.cell().map_err(|error| of_set_up(asked, &error))
}

/// Starts the program in its directory: that of `--chdir`, or the caller's, or HOME, or the root.
fn start(
    sandbox: &Sandbox,
    cell: Option<&Cell>,
    asked: &Asked,
    inherited: &[(i32, OwnedFd)],
) -> Result<Child> {
    let environment = environment(asked);
    let mut command = command(sandbox, cell, asked)?;
    command.args(asked.arguments()).env_clear().envs(&environment);
    if let Some(name) = &asked.argv0 {
        command.arg0(name);
    }
    for (number, descriptor) in inherited {
        let copy = descriptor.try_clone();
        let copy = copy.map_err(|error| Refusal::new(format!("copy a descriptor: {error}")))?;
        command.fd(*number, copy);
    }
    let on_terminal = stdin().is_terminal() && stdout().is_terminal();
    if on_terminal && !asked.new_session && has_terminals(&asked.operations) {
        run::use_terminal(&mut command)?;
    }
    let directories = match &asked.chdir {
        Some(directory) => vec![asked::inside(directory.as_os_str())],
        None => std::env::current_dir()
            .into_iter()
            .chain(environment.get(OsStr::new("HOME")).map(PathBuf::from))
            .filter(|directory| directory.is_absolute())
            .chain([PathBuf::from("/")])
            .collect(),
    };
    let mut failure = None;
    for directory in directories {
        command.current_dir(&directory).env("PWD", &directory);
        match command.spawn() {
            Ok(child) => return Ok(child),
            Err(error) if is_of_directory(&error, &directory) => {
                failure = failure.or(Some((directory, error)));
            }
            Err(error) => return Err(of_set_up(asked, &error)),
        }
    }
    Err(match failure {
        Some((directory, error)) => {
            let directory = display(&directory);
            let why =
                error.raw_os_error().map_or("", |errno| nix::errno::Errno::from_raw(errno).desc());
            Refusal::new(format!("Can't chdir to {directory}: {why}"))
        }
        None => Refusal::new("there is no directory to start in"),
    })
}

fn command(sandbox: &Sandbox, cell: Option<&Cell>, asked: &Asked) -> Result<Command> {
    let program = asked.program()?;
    if let Some(cell) = cell {
        return Ok(cell.command(program));
    }
    let mut join = Join::new();
    let entered =
        [("--userns", Namespace::User, &asked.userns), ("--pidns", Namespace::Pid, &asked.pidns)];
    let mut any = false;
    for (option, kind, descriptor) in entered {
        let Some(descriptor) = descriptor else { continue };
        let copy = descriptor.try_clone();
        join = join.descriptor(copy.map_err(|error| Refusal::new(format!("{option}: {error}")))?);
        any = true;
        let joined = sandbox.join(&join).map_err(Refusal::from)?;
        if !joined.kinds().contains(&kind) {
            return Err(Refusal::new(format!("{option}: the descriptor is no {kind} namespace")));
        }
    }
    Ok(if any { sandbox.join(&join)?.command(program) } else { sandbox.command(program) })
}

/// Whether the program could not start because it cannot be in this directory.
fn is_of_directory(error: &Error, directory: &Path) -> bool {
    error.kind() == ErrorKind::Setup
        && error.step_kind() == Some(Step::Start)
        && error.path() == Some(directory)
}

/// The error of a set-up, in the words of the command line where they are known.
fn of_set_up(asked: &Asked, error: &Error) -> Refusal {
    const EEXIST: i32 = 17;
    if error.step_kind() == Some(Step::Symlink)
        && error.raw_os_error() == Some(EEXIST)
        && let Some(at) = error.path()
        && let Seen::Host(path) = seen(&asked.operations, at)
        && let Ok(target) = fs::read_link(path)
    {
        let (at, target) = (display(at), display(&target));
        return Refusal::new(format!(
            "Can't make symlink at {at}: existing destination is {target}"
        ));
    }
    Refusal::new(error.to_string())
}

/// The environment: the caller's, as the options change it.
fn environment(asked: &Asked) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for change in &asked.environment {
        match change {
            Change::Set(name, value) => drop(environment.insert(name.clone(), value.clone())),
            Change::Unset(name) => drop(environment.remove(name)),
            Change::Clear => environment.clear(),
        }
    }
    environment
}

/// Takes the locks. They are this process's, which lives as long as the sandbox (fcntl_locking(2)).
fn lock(asked: &Asked) -> Result<Vec<fs::File>> {
    let mut held = Vec::new();
    for at in &asked.locks {
        let shown = display(at);
        let Seen::Host(path) = seen(&asked.operations, at) else {
            return Err(Refusal::new(format!("--lock-file {shown}: no bind shows it")));
        };
        let failed = |why: String| Refusal::new(format!("--lock-file {shown}: {why}"));
        let file = fs::File::open(path).map_err(|error| failed(error.to_string()))?;
        let whole = nix::libc::flock {
            l_type: nix::libc::F_RDLCK as i16,
            l_whence: nix::libc::SEEK_SET as i16,
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_SETLK(&whole)).map_err(|errno| failed(errno.desc().into()))?;
        held.push(file);
    }
    Ok(held)
}

/// Writes the process id of the sandbox, and the ids of the namespaces that it has of its own.
fn tell_start(asked: &mut Asked, pid: u32) -> Result<()> {
    let mut told = Map::new();
    told.insert("child-pid".into(), json!(pid));
    for (kind, file) in TOLD {
        let id = |process: &str| fs::metadata(format!("/proc/{process}/ns/{file}")).ok();
        let own = kind == Namespace::Mount || asked.unshare.contains(&kind);
        if let Some(id) = id(&pid.to_string()).filter(|_| own) {
            told.insert(format!("{file}-namespace"), json!(id.ino()));
        }
    }
    let spaced = |told: &Map<String, Value>, between: &str| {
        let members: Vec<String> =
            told.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
        members.join(between)
    };
    // Its reader may wait for the end of the file, so it is closed at once.
    if let Some(info) = asked.info.take() {
        let text = format!("{{\n    {}\n}}\n", spaced(&told, ",\n    "));
        write_line(&info, "--info-fd", &text)?;
    }
    if let Some(status) = &asked.status {
        write_line(status, "--json-status-fd", &format!("{{ {} }}\n", spaced(&told, ", ")))?;
    }
    Ok(())
}

fn write_line(descriptor: &OwnedFd, option: &str, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| Refusal::new(format!("{option}: {error}"));
    let mut file = fs::File::from(descriptor.try_clone().map_err(failed)?);
    file.write_all(text.as_bytes()).map_err(failed)
}
