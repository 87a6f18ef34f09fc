//! A command's standard streams: what they are connected to, and our ends of the pipes among them.

use crate::command::{Command, Stdio, Stream};
use crate::error::{Error, Result};
use crate::socket;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Gid, Uid, fchown};
use std::fs::{self, OpenOptions};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
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
            let one = is_one_file(first, second)?;
            let (reader, writer) = pipe()?;
            let writer = OwnedFd::from(writer);
            if one {
                *second = writer.try_clone().map_err(|error| Error::io("copy a descriptor", error))?;
            }
            relays.push((reader.into(), std::mem::replace(first, writer)));
            if !one {
                let (reader, writer) = pipe()?;
                relays.push((reader.into(), std::mem::replace(second, writer.into())));
            }
        }
        let [stdout, stderr] = ours;
        Ok(Streams { inside: [input, first, second], stdin: our_stdin, stdout, stderr, relays, joined: further })
    }
}

fn pipe() -> Result<(PipeReader, PipeWriter)> {
    io::pipe().map_err(|error| Error::io("make a pipe", error))
}

/// Whether what is written to either comes to one place. What goes to `/dev/null` comes to none.
fn is_one_file(first: &OwnedFd, second: &OwnedFd) -> Result<bool> {
    let null = fs::metadata("/dev/null").map(|status| status.rdev()).ok();
    let status = |fd: &OwnedFd| fstat(fd).map_err(|errno| Error::io("look at an output", errno));
    let (one, other) = (status(first)?, status(second)?);
    let is_null = Some(one.st_rdev) == null || Some(other.st_rdev) == null;
    Ok(!is_null && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
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
