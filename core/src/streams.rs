//! A command's standard streams: what they are connected to, and our ends of the pipes among them.

use crate::command::{Command, Stdio, Stream};
use crate::error::{Error, Result};
use crate::socket::{self, wait_readable};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Gid, Uid, fchown};
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ChildStderr, ChildStdout};

/// The command's ends of its standard streams, and ours.
pub struct Streams {
    pub inside: [OwnedFd; 3],
    pub stdin: Option<PipeWriter>,
    pub stdout: Option<PipeReader>,
    pub stderr: Option<PipeReader>,
}

impl Streams {
    pub fn new(command: &Command, stdin: Stream, others: Stream) -> Result<Streams> {
        let failed = |error: io::Error| Error::io("make a pipe", error);
        let or = |given: &'_ Option<Stdio>, default: &Stream| -> Result<Chosen> {
            match given.as_ref().map_or(default, |stdio| &stdio.0) {
                Stream::Inherit => Ok(Chosen::Inherit),
                Stream::Null => Ok(Chosen::Null),
                Stream::Piped => Ok(Chosen::Piped),
                Stream::Descriptor(fd) => {
                    fd.try_clone().map(Chosen::Descriptor).map_err(|error| Error::io("copy a descriptor", error))
                }
            }
        };
        let (mut our_stdin, mut ours) = (None, [None, None]);
        let input = match or(&command.stdin, &stdin)? {
            Chosen::Piped => {
                let (reader, writer) = io::pipe().map_err(failed)?;
                our_stdin = Some(writer);
                reader.into()
            }
            chosen => chosen.open(0)?,
        };
        let mut output = |given, number: i32| -> Result<OwnedFd> {
            match or(given, &others)? {
                Chosen::Piped => {
                    let (reader, writer) = io::pipe().map_err(failed)?;
                    ours[number as usize - 1] = Some(reader);
                    Ok(writer.into())
                }
                chosen => chosen.open(number),
            }
        };
        let inside = [input, output(&command.stdout, 1)?, output(&command.stderr, 2)?];
        let [stdout, stderr] = ours;
        Ok(Streams { inside, stdin: our_stdin, stdout, stderr })
    }
}

impl Streams {
    /// Gives the pipes among them to the user that a privileged caller's command is outside. A pipe belongs to who made it, and
    /// who opens it anew by name (`/dev/stderr`) is asked for rights to it. A pipe has no other name, so nobody else is concerned.
    pub fn give_pipes_to(&self, uid: u32, gid: u32) {
        const PIPEFS: FsType = FsType(0x5049_5045);
        for fd in &self.inside {
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
    Descriptor(OwnedFd),
}

impl Chosen {
    fn open(self, number: i32) -> Result<OwnedFd> {
        match self {
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
    }
}

/// Reads two pipes to their ends, whichever has something first.
pub fn read_both(
    first: Option<ChildStdout>,
    into_first: &mut Vec<u8>,
    second: Option<ChildStderr>,
    into_second: &mut Vec<u8>,
) -> Result<()> {
    let (mut first, mut second) = (first.map(OwnedFd::from).map(File::from), second.map(OwnedFd::from).map(File::from));
    let read = |pipe: &mut Option<File>, into: &mut Vec<u8>| -> Result<()> {
        let mut piece = [0; 64 << 10];
        let Some(file) = pipe else { return Ok(()) };
        match file.read(&mut piece) {
            Ok(0) => *pipe = None,
            Ok(length) => into.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read what the command writes", error)),
        }
        Ok(())
    };
    loop {
        let ready = match (&first, &second) {
            (Some(one), Some(two)) => wait_readable(&[one.as_fd(), two.as_fd()], None)?.unwrap_or([true, true]),
            (one, two) => [one.is_some(), two.is_some()],
        };
        if ready == [false, false] {
            return Ok(());
        }
        if ready[0] {
            read(&mut first, into_first)?;
        }
        if ready[1] {
            read(&mut second, into_second)?;
        }
    }
}
