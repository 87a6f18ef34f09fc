//! A command's standard streams: what they are connected to, and our ends of the pipes among them.

use crate::command::{Command, Stdio, Stream};
use crate::error::{Error, Result};
use crate::socket;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat, major};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Gid, Uid, fchown};
use std::fs::{self, OpenOptions};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

/// The command's ends of its standard streams, and ours.
pub struct Streams {
    /// `None`: its terminal.
    pub inside: [Option<OwnedFd>; 3],
    pub stdin: Option<PipeWriter>,
    pub stdout: Option<PipeReader>,
    pub stderr: Option<PipeReader>,
    /// What passes through the warden: where it reads, and where it writes. Standard output first; one if both streams are one file.
    pub relays: Vec<(OwnedFd, OwnedFd)>,
    /// Ends of pipes to other commands, under other numbers than the standard ones.
    pub joined: Vec<(i32, OwnedFd)>,
}

impl Streams {
    pub fn new(command: &Command, stdin: Stream, others: Stream, joined: Vec<(i32, OwnedFd)>) -> Result<Streams> {
        let (mut standard, mut further) = ([None, None, None], Vec::new());
        for (target, fd) in joined {
            match standard.get_mut(usize::try_from(target).unwrap_or(usize::MAX)) {
                Some(place) => *place = Some(fd),
                None => further.push((target, fd)),
            }
        }
        let [joined_in, joined_out, joined_err] = standard;
        let choose = |joined: Option<OwnedFd>, given: &Option<Stdio>, default: &Stream| -> Result<Chosen> {
            if let Some(fd) = joined {
                return Ok(Chosen::Descriptor(fd));
            }
            match given.as_ref().map_or(default, |stdio| &stdio.0) {
                Stream::Inherit => Ok(Chosen::Inherit),
                Stream::Null => Ok(Chosen::Null),
                Stream::Piped => Ok(Chosen::Piped),
                Stream::Terminal => Ok(Chosen::Terminal),
                Stream::Descriptor(fd) => {
                    fd.try_clone().map(Chosen::Descriptor).map_err(|error| Error::io("copy a descriptor", error))
                }
            }
        };
        let (mut our_stdin, mut ours) = (None, [None, None]);
        let input = match choose(joined_in, &command.stdin, &stdin)? {
            Chosen::Piped => {
                let (reader, writer) = pipe()?;
                our_stdin = Some(writer);
                Some(reader.into())
            }
            chosen => chosen.open(0)?,
        };
        let mut output = |joined, given, number: i32| -> Result<Option<OwnedFd>> {
            match choose(joined, given, &others)? {
                Chosen::Piped => {
                    let (reader, writer) = pipe()?;
                    ours[number as usize - 1] = Some(reader);
                    Ok(Some(writer.into()))
                }
                chosen => chosen.open(number),
            }
        };
        let (mut first, mut second) = (output(joined_out, &command.stdout, 1)?, output(joined_err, &command.stderr, 2)?);
        let mut relays = Vec::new();
        if command.sandbox.policy().limits.output.is_some() {
            let (Some(first), Some(second)) = (&mut first, &mut second) else {
                return Err(Error::invalid("limit output", "what is written to a terminal cannot be counted")
                    .hint("give the command pipes, or leave the limit out"));
            };
            let one = is_one_file(first, second);
            let (reader, writer) = relayed_pipe()?;
            if one {
                *second = writer.try_clone().map_err(|error| Error::io("copy a descriptor", error))?;
            }
            relays.push((reader, never_waiting(std::mem::replace(first, writer))?));
            if !one {
                let (reader, writer) = relayed_pipe()?;
                relays.push((reader, never_waiting(std::mem::replace(second, writer))?));
            }
        }
        let [stdout, stderr] = ours;
        Ok(Streams { inside: [input, first, second], stdin: our_stdin, stdout, stderr, relays, joined: further })
    }
}

fn pipe() -> Result<(PipeReader, PipeWriter)> {
    io::pipe().map_err(|error| Error::io("make a pipe", error))
}

/// A pipe whose reader never waits: the command can open it anew and take back what it wrote, just before it is read.
fn relayed_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe()?;
    let failed = |errno| socket::failed("make a pipe that is read without waiting", errno);
    let flags = fcntl(&reader, FcntlArg::F_GETFL).map_err(failed)?;
    let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
    fcntl(&reader, FcntlArg::F_SETFL(flags)).map_err(failed)?;
    Ok((reader.into(), writer.into()))
}

/// The same pipe or terminal by an open file description of its own, for writing without waiting. The flag is the
/// description's, and that of `fd` may be somebody else's, too: the caller's terminal above all. A file takes what
/// is written, and a socket is written to without waiting. What cannot be opened anew stays as it is: the warden
/// then writes no more at once than a pipe with room takes.
fn never_waiting(fd: OwnedFd) -> Result<OwnedFd> {
    let status = fstat(&fd).map_err(|errno| socket::failed("look at an output stream", errno))?;
    let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    // Of devices only the far sides of pseudo-terminals: opening another one anew can make something new.
    let terminal = kind == SFlag::S_IFCHR && (136..144).contains(&major(status.st_rdev));
    if kind != SFlag::S_IFIFO && !terminal {
        return Ok(fd);
    }
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(match open(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_str(), flags, Mode::empty()) {
        Ok(anew) if fstat(&anew).is_ok_and(|found| (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)) => anew,
        // Nobody reads the pipe, it belongs to another user, or the caller has no /proc.
        Ok(_) | Err(_) => fd,
    })
}

/// Whether what is written to either comes to one place. What goes to `/dev/null` comes to none.
fn is_one_file(first: &OwnedFd, second: &OwnedFd) -> bool {
    let null = fs::metadata("/dev/null").map(|status| status.rdev()).ok();
    let identity = |fd: &OwnedFd| fstat(fd).ok().filter(|status| Some(status.st_rdev) != null);
    match (identity(first), identity(second)) {
        (Some(one), Some(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

impl Streams {
    /// Which of the standard streams are the command's terminal, by their bits.
    pub fn on_terminal(&self) -> u32 {
        self.inside.iter().enumerate().filter(|(_, fd)| fd.is_none()).fold(0, |bits, (stream, _)| bits | 1 << stream)
    }

    /// Gives the pipes among them to the user that a privileged caller's command is outside. A pipe belongs to who made it, and
    /// who opens it anew by name (`/dev/stderr`) is asked for rights to it. A pipe has no other name, so nobody else is concerned.
    pub fn give_pipes_to(&self, uid: u32, gid: u32) {
        const PIPEFS: FsType = FsType(0x5049_5045);
        for fd in self.inside.iter().flatten().chain(self.joined.iter().map(|(_, fd)| fd)) {
            if fstatfs(fd).is_ok_and(|found| found.filesystem_type() == PIPEFS) {
                // Not being able to is no loss of a protection: the command then has the descriptor alone.
                let _ = fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            }
        }
    }
}

enum Chosen {
    Inherit,
    Null,
    Piped,
    Terminal,
    Descriptor(OwnedFd),
}

impl Chosen {
    /// `None`: the command's terminal.
    fn open(self, number: i32) -> Result<Option<OwnedFd>> {
        match self {
            Chosen::Terminal => return Ok(None),
            Chosen::Descriptor(fd) => Ok(fd),
            Chosen::Null | Chosen::Piped => {
                let null = OpenOptions::new().read(true).write(true).open("/dev/null");
                null.map(OwnedFd::from).map_err(|error| Error::io("open /dev/null", error))
            }
            Chosen::Inherit => {
                let stream = crate::sys::borrow(number);
                fcntl(stream, FcntlArg::F_DUPFD_CLOEXEC(3)).map(crate::sys::own).map_err(|errno| match errno {
                    Errno::EBADF => Error::invalid(format!("descriptor {number}"), "inherited, but closed in the caller")
                        .hint("give the command another stream, or none"),
                    errno => socket::failed("copy a descriptor", errno),
                })
            }
        }
        .map(Some)
    }
}
