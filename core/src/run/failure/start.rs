//! Why a command could not be started after the set-up of its sandbox.

use super::of_descriptors;
use crate::base::error::{Error, ErrorKind};
use crate::base::sys;
use crate::run::command::Command;
use crate::wire::message::stage;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The most pages that one argument may fill (MAX_ARG_STRLEN of the kernel, execve(2)).
const ARGUMENT_PAGES: u64 = 32;

/// The error for a failed stage of the command's start.
pub fn of_start(
    stage: u32,
    errno: i32,
    detail: u32,
    path: &[u8],
    head: &[u8],
    command: &Command,
    filters: u32,
) -> Error {
    let program = PathBuf::from(OsStr::from_bytes(path));
    let directory = command.directory.display();
    match stage {
        stage::SEARCH => {
            let name = command.program.to_string_lossy();
            let path = command.environment.get(OsStr::new("PATH")).map_or_else(
                || crate::policy::profile::PATH.to_owned(),
                |path| path.to_string_lossy().into_owned(),
            );
            let error = Error::new(ErrorKind::ProgramMissing, format!("execute {name}"))
                .because("no such program inside the sandbox")
                .errno(libc::ENOENT)
                .at(&*name);
            match command_line_hint(command) {
                Some(hint) => error.hint(hint),
                None => error.hint(format!("looked for in {path}; bind the directory that has it")),
            }
        }
        stage::EXEC => {
            let error = of_exec(&program, errno, detail, head);
            match command_line_hint(command).filter(|_| error.kind() == ErrorKind::ProgramMissing) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        }
        stage::DIRECTORY => {
            let error =
                Error::new(ErrorKind::Setup, format!("enter the working directory {directory}"))
                    .errno(errno)
                    .at(&command.directory);
            match errno {
                libc::ENOENT => error.hint(
                    "it does not exist inside the sandbox: bind one there, or have an empty one \
                    made",
                ),
                libc::EACCES => error.hint("the command's user may not enter it"),
                libc::ELOOP => error.hint(
                    "a link of /proc's to what a process has open, works in or has as its root is \
                    not followed",
                ),
                _ => error,
            }
        }
        stage::RLIMIT => {
            let name = crate::policy::Resource::ALL
                .iter()
                .find(|resource| resource.number() == detail)
                .map_or("?", |resource| resource.name());
            Error::new(ErrorKind::Setup, format!("set rlimit {name}"))
                .errno(errno)
                .hint("a limit cannot be raised above the caller's own hard limit")
        }
        stage::CLONE => of_process(errno),
        stage::DESCRIPTORS
            if errno == libc::EMFILE || errno == libc::EINVAL || errno == libc::EBADF =>
        {
            of_descriptors("place the command's descriptors", libc::EMFILE)
        }
        stage::DESCRIPTORS if errno == libc::ETOOMANYREFS => {
            of_descriptors("hand over the command's descriptor", errno)
        }
        stage::DESCRIPTORS => {
            Error::new(ErrorKind::Setup, "place the command's descriptors").errno(errno)
        }
        stage::SESSION => Error::new(ErrorKind::Setup, "start a new session").errno(errno),
        stage::FILTER => of_filter(errno, detail, filters),
        stage::ATTRIBUTES => Error::new(ErrorKind::Setup, "set the umask and the signals")
            .errno(errno)
            .hint("the filter of a surrounding container forbids it"),
        stage::LANDLOCK => {
            Error::new(ErrorKind::Setup, "put on the Landlock ruleset").errno(errno).hint(
                "at most 16 rulesets hold one process, those of surrounding sandboxes included; \
                no_landlock leaves it out",
            )
        }
        stage::TERMINAL => {
            let error = Error::new(ErrorKind::Setup, "give the command a terminal").errno(errno);
            match errno {
                libc::ENOSPC => error
                    .of_kind(ErrorKind::HostLimit)
                    .hint("the machine has no more pseudo-terminals: kernel.pty.max"),
                _ => error,
            }
        }
        stage::CGROUP => Error::new(ErrorKind::LimitUnavailable, "enter the command's own cgroup")
            .errno(errno)
            .hint("the caller must be able to write to the cell's cgroups while it runs"),
        stage::LISTENER => {
            Error::new(ErrorKind::Setup, "hand over the listener of the seccomp filter")
                .errno(errno)
        }
        _ => Error::new(ErrorKind::Setup, "start the command").errno(errno),
    }
}

/// The hint for a program name that contains blanks, if there are no arguments. Most likely it is a
/// whole command line, which only a shell would split.
fn command_line_hint(command: &Command) -> Option<String> {
    let name = command.program.to_str().filter(|_| command.arguments.len() == 1)?;
    let (program, rest) = name.trim().split_once(char::is_whitespace)?;
    Some(format!(
        "the blanks are part of this name: run {program} and pass {rest:?} as arguments, each by \
        itself"
    ))
}

/// A seccomp filter could not be loaded.
fn of_filter(errno: i32, number: u32, own: u32) -> Error {
    let brought = number.checked_sub(own);
    let action = brought.map_or("load the command's seccomp filter".to_owned(), |number| {
        format!("load seccomp_bpf program {number}")
    });
    match errno {
        libc::EMFILE | libc::ENFILE => of_descriptors(action, errno),
        libc::EBUSY => Error::new(ErrorKind::Unsupported, action).errno(errno).hint(
            "the kernel tells one listener only, and a surrounding sandbox has one: use a filter \
            without kill and notify here",
        ),
        libc::EINVAL if brought.is_none() => {
            Error::new(ErrorKind::Unsupported, action).errno(errno).hint(
                "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), or tells no listener \
                (Linux 5.0)",
            )
        }
        libc::EINVAL => {
            Error::invalid(action, "the kernel does not take this program").errno(errno)
        }
        libc::ENOMEM => Error::new(ErrorKind::HostLimit, action).errno(errno).hint(
            "all filters of a process together have at most 32768 instructions, those of \
            surrounding sandboxes included",
        ),
        libc::EPERM | libc::EACCES => Error::new(ErrorKind::Setup, action)
            .errno(errno)
            .hint("a filter loaded before it, here or around this sandbox, forbids seccomp(2)"),
        _ => Error::new(ErrorKind::Setup, action).errno(errno),
    }
}

fn of_process(errno: i32) -> Error {
    let error = Error::new(
        if errno == libc::EAGAIN || errno == libc::ENOMEM {
            ErrorKind::HostLimit
        } else {
            ErrorKind::Setup
        },
        "start a process for the command",
    )
    .errno(errno);
    if errno == libc::EAGAIN {
        error.hint(
            "a limit on processes is reached: RLIMIT_NPROC counts the whole host for that user, or \
            pids.max of the caller's cgroup",
        )
    } else {
        error
    }
}

/// execve(2) failed. Its errno stands for several causes, so the first bytes of the file decide
/// between them.
fn of_exec(program: &Path, errno: i32, mode: u32, head: &[u8]) -> Error {
    let error = |kind: ErrorKind| {
        Error::new(kind, format!("execute {}", program.display())).errno(errno).at(program)
    };
    match errno {
        libc::ENOENT | libc::ENOTDIR if mode == 0 => error(ErrorKind::ProgramMissing)
            .because("no such program inside the sandbox")
            .hint("bind the directory that has it"),
        libc::ENOENT if mode & libc::S_IFMT == libc::S_IFLNK => {
            let mut parts =
                head.splitn(2, |byte| *byte == 0).map(|part| String::from_utf8_lossy(part));
            let (link, target) =
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            error(ErrorKind::ProgramMissing)
                .because(format!(
                    "{link} is a symbolic link to {target}, which leads to nothing inside the \
                    sandbox"
                ))
                .hint(format!("bind what {target} is, at that path"))
        }
        libc::ENOENT => {
            let interpreter = interpreter_of(head);
            if let Some(name) = interpreter.as_deref().and_then(|name| name.strip_suffix('\r')) {
                return error(ErrorKind::InterpreterMissing)
                    .because(format!(
                        "its first line ends in a carriage return, so that it names the \
                        interpreter \"{name}\\r\""
                    ))
                    .hint(format!(
                        "give it Unix line ends: dos2unix {program}, or \
                        sed -i 's/\\r$//' {program}",
                        program = program.display()
                    ));
            }
            let named =
                interpreter.as_deref().unwrap_or("its ELF interpreter (the dynamic linker)");
            error(ErrorKind::InterpreterMissing)
                .because(format!("{named} does not exist inside the sandbox"))
                .hint("bind what the program needs to be loaded, or use a static one")
        }
        libc::EACCES if mode & libc::S_IFMT == libc::S_IFDIR => {
            error(ErrorKind::ProgramNotExecutable).because("it is a directory")
        }
        libc::EACCES => error(ErrorKind::ProgramNotExecutable).because("permission denied").hint(
            "set its execute bit, and do not bind it noexec; a directory on the way may be closed \
            to the command's user",
        ),
        libc::ENOEXEC => match foreign_machine(head) {
            Some(machine) => error(ErrorKind::ProgramFormat)
                .because(format!("built for another architecture (ELF machine {machine})"))
                .hint(format!(
                    "build it for {}, this machine's architecture",
                    std::env::consts::ARCH
                )),
            None => error(ErrorKind::ProgramFormat)
                .because("not a program: neither ELF nor a script with #!")
                .hint("a script needs #! and its interpreter in the first line"),
        },
        libc::E2BIG => Error::invalid("arguments and environment", "longer than the kernel takes")
            .errno(errno)
            .hint(format!(
                "together at most a quarter of the stack limit, and each at most {} KiB",
                ARGUMENT_PAGES * sys::page_size() / 1024
            )),
        libc::EAGAIN => error(ErrorKind::HostLimit).hint(super::PROCESSES),
        libc::ETXTBSY => {
            error(ErrorKind::ProgramNotExecutable).because("a process has it open for writing")
        }
        libc::ELOOP => error(ErrorKind::ProgramMissing).because("too many symbolic links"),
        _ => error(ErrorKind::Setup),
    }
}

/// The interpreter in a script's first line. Like the kernel, this ends it at a blank, and takes a
/// carriage return as part of the name.
fn interpreter_of(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|byte| matches!(byte, b'\n' | 0)).next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    words.next().map(|word| String::from_utf8_lossy(word).into_owned())
}

/// The machine number of an ELF file that is built for another architecture.
fn foreign_machine(head: &[u8]) -> Option<u16> {
    // EM_X86_64, EM_AARCH64, EM_RISCV
    const OWN: u16 = if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else {
        243
    };
    let machine =
        u16::from_le_bytes(head.strip_prefix(b"\x7fELF").and(head.get(18..20))?.try_into().ok()?);
    (machine != OWN).then_some(machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_file_tells_why_it_cannot_be_executed() {
        assert_eq!(interpreter_of(b"#! /bin/foo -x\n").as_deref(), Some("/bin/foo"));
        assert_eq!(interpreter_of(b"#!/bin/sh\r\nexit\r\n").as_deref(), Some("/bin/sh\r"));
        assert_eq!(interpreter_of(b"#!\t/bin/sh").as_deref(), Some("/bin/sh"));
        assert_eq!(interpreter_of(b"#!\n"), None);
        assert_eq!(interpreter_of(b"\x7fELF"), None);
        let mut elf = *b"\x7fELF\0\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0";
        elf[18] = 8;
        assert_eq!(foreign_machine(&elf), Some(8));
        assert_eq!(foreign_machine(b"text"), None);
    }
}
