//! A command's standard streams: what they are connected to, and our ends of the pipes among them.

use crate::base::error::{Error, Result, Shortage};
use crate::host::socket;
use crate::run::command::{Command, Stdio, Stream};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat, major};
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
    /// What passes through the warden: where it reads, and where it writes. Standard output first;
    /// one if both streams are one file.
    pub relays: Vec<(OwnedFd, OwnedFd)>,
    /// Ends of pipes to other commands, under other numbers than the standard ones.
    pub joined: Vec<(i32, OwnedFd)>,
    /// Which of `inside` are pipes that this library made for this command.
    own_pipes: [bool; 3],
}

impl Streams {
    pub fn new(
        command: &Command,
        stdin: Stream,
        others: Stream,
        joined: Vec<(i32, OwnedFd)>,
    ) -> Result<Streams> {
        let (mut standard, mut further) = ([None, None, None], Vec::new());
        for (target, fd) in joined {
            match standard.get_mut(usize::try_from(target).unwrap_or(usize::MAX)) {
                Some(place) => *place = Some(fd),
                None => further.push((target, fd)),
            }
        }
        let [joined_in, joined_out, joined_err] = standard;
        let choose =
            |joined: Option<OwnedFd>, given: &Option<Stdio>, default: &Stream| -> Result<Chosen> {
                if let Some(fd) = joined {
                    return Ok(Chosen::OwnPipe(fd));
                }
                match given.as_ref().map_or(default, |stdio| &stdio.0) {
                    Stream::Inherit => Ok(Chosen::Inherit),
                    Stream::Null => Ok(Chosen::Null),
                    Stream::Piped => Ok(Chosen::Piped),
                    Stream::Terminal => Ok(Chosen::Terminal),
                    Stream::Descriptor(fd) => fd.try_clone().map(Chosen::Descriptor),
                    Stream::OwnPipe(fd) => fd.try_clone().map(Chosen::OwnPipe),
                }
            };
        let (mut our_stdin, mut ours, mut own_pipes) = (None, [None, None], [false; 3]);
        let chosen = choose(joined_in, &command.stdin, &stdin)?;
        own_pipes[0] = chosen.is_own_pipe();
        let input = match chosen {
            Chosen::Piped => {
                let (reader, writer) = pipe()?;
                our_stdin = Some(writer);
                Some(reader.into())
            }
            chosen => chosen.open(0)?,
        };
        let mut output = |joined, given, number: i32| -> Result<Option<OwnedFd>> {
            let chosen = choose(joined, given, &others)?;
            own_pipes[number as usize] = chosen.is_own_pipe();
            match chosen {
                Chosen::Piped => {
                    let (reader, writer) = pipe()?;
                    ours[number as usize - 1] = Some(reader);
                    Ok(Some(writer.into()))
                }
                chosen => chosen.open(number),
            }
        };
        let (mut first, mut second) =
            (output(joined_out, &command.stdout, 1)?, output(joined_err, &command.stderr, 2)?);
        let mut relays = Vec::new();
        if command.sandbox.policy().limits.output.is_some() {
            let (Some(first), Some(second)) = (&mut first, &mut second) else {
                return Err(Error::invalid(
                    "limit output",
                    "what is written to a terminal cannot be counted",
                )
                .hint("give the command pipes, or leave the limit out"));
            };
            let one = is_one_file(first, second)?;
            let (reader, writer) = relayed_pipe()?;
            if one {
                *second =
                    writer.try_clone().map_err(|error| Error::io("copy a descriptor", error))?;
            }
            relays.push((reader, never_waiting(std::mem::replace(first, writer))?));
            if !one {
                let (reader, writer) = relayed_pipe()?;
                relays.push((reader, never_waiting(std::mem::replace(second, writer))?));
            }
            // What they lead to is the warden's alone to write.
            (own_pipes[1], own_pipes[2]) = (true, true);
        }
        let [stdout, stderr] = ours;
        Ok(Streams {
            inside: [input, first, second],
            stdin: our_stdin,
            stdout,
            stderr,
            relays,
            joined: further,
            own_pipes,
        })
    }
}

/// A pipe with numbers above the standard three: what a caller writes to a standard stream that it
/// has closed must not come to a command.
pub fn pipe() -> Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe().map_err(|error| Error::io("make a pipe", error))?;
    Ok((socket::above_stdio(reader.into())?.into(), socket::above_stdio(writer.into())?.into()))
}

/// A pipe whose reader never waits: the command can open it anew and take back what it wrote, just
/// before it is read.
fn relayed_pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe()?;
    let failed = |errno| socket::failed("make a pipe that is read without waiting", errno);
    let flags = fcntl(&reader, FcntlArg::F_GETFL).map_err(failed)?;
    let flags = OFlag::from_bits_truncate(flags) | OFlag::O_NONBLOCK;
    fcntl(&reader, FcntlArg::F_SETFL(flags)).map_err(failed)?;
    Ok((reader.into(), writer.into()))
}

/// The same pipe or terminal by an open file description of its own, for writing without waiting.
/// The flag is the description's, and that of `fd` may be somebody else's, too: the caller's
/// terminal above all. A file takes what is written, and a socket is written to without waiting.
/// What cannot be opened anew stays as it is: the warden then writes no more at once than a pipe
/// with room takes.
fn never_waiting(fd: OwnedFd) -> Result<OwnedFd> {
    let status = fstat(&fd).map_err(|errno| socket::failed("look at an output stream", errno))?;
    let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    // Of devices only the far sides of pseudo-terminals: opening another one anew can make
    // something new.
    let terminal = kind == SFlag::S_IFCHR && (136..144).contains(&major(status.st_rdev));
    if kind != SFlag::S_IFIFO && !terminal {
        return Ok(fd);
    }
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(match open(format!("/proc/self/fd/{}", fd.as_raw_fd()).as_str(), flags, Mode::empty()) {
        Ok(anew)
            if fstat(&anew).is_ok_and(|found| {
                (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino)
            }) =>
        {
            anew
        }
        Err(errno) if Shortage::of(errno as i32).is_some() => {
            return Err(socket::failed("open an output stream anew", errno));
        }
        // Nobody reads the pipe, it belongs to another user, or the caller has no /proc.
        Ok(_) | Err(_) => fd,
    })
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
        self.inside
            .iter()
            .enumerate()
            .filter(|(_, fd)| fd.is_none())
            .fold(0, |bits, (stream, _)| bits | 1 << stream)
    }

    /// Gives the pipes that this library made to the user that a privileged caller's command is
    /// outside. A pipe belongs to the user who made it, and the kernel asks for rights to it
    /// when it is opened anew by name (`/dev/stderr`).
    ///
    /// A pipe that the caller made stays as it is: the caller may give it to several sandboxes,
    /// whose commands have the same user outside. Each could then open the other's end for
    /// itself.
    pub fn give_pipes_to(&self, uid: u32, gid: u32) {
        let standard = self
            .inside
            .iter()
            .zip(self.own_pipes)
            .filter(|(_, own)| *own)
            .filter_map(|(fd, _)| fd.as_ref());
        for fd in standard.chain(self.joined.iter().map(|(_, fd)| fd)) {
            // Not being able to is no loss of a protection: the command then has the descriptor
            // alone.
            let _ = fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        }
    }
}

enum Chosen {
    Inherit,
    Null,
    Piped,
    Terminal,
    Descriptor(OwnedFd),
    OwnPipe(OwnedFd),
}

impl Chosen {
    fn is_own_pipe(&self) -> bool {
        match self {
            Chosen::Piped | Chosen::OwnPipe(_) => true,
            Chosen::Inherit | Chosen::Null | Chosen::Terminal | Chosen::Descriptor(_) => false,
        }
    }

    /// `None`: the command's terminal.
    fn open(self, number: i32) -> Result<Option<OwnedFd>> {
        match self {
            Chosen::Terminal => Ok(None),
            Chosen::Descriptor(fd) | Chosen::OwnPipe(fd) => Ok(Some(fd)),
            Chosen::Null | Chosen::Piped => null().map(Some),
            Chosen::Inherit => inherited(number)?.map_or_else(null, Ok).map(Some),
        }
    }
}

fn null() -> Result<OwnedFd> {
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map_err(|error| Error::io("open /dev/null", error))?;
    socket::above_stdio(null.into())
}

/// A copy of the caller's standard stream; `None` if the caller has none, as a daemon that has
/// closed it.
///
/// A descriptor of that number that `execve(2)` closes is no stream for programs: after the caller
/// has closed its own, whatever it opens next gets that number, and so do the library's
/// descriptors, for a moment. They all are close-on-exec.
fn inherited(number: i32) -> Result<Option<OwnedFd>> {
    let stream = crate::base::sys::borrow(number);
    let flags = match fcntl(stream, FcntlArg::F_GETFD) {
        Err(Errno::EBADF) => return Ok(None),
        result => result.map_err(|errno| socket::failed("look at a standard stream", errno))?,
    };
    if FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC) {
        return Ok(None);
    }
    match fcntl(stream, FcntlArg::F_DUPFD_CLOEXEC(3)) {
        Err(Errno::EBADF) => Ok(None),
        result => result
            .map(|copy| Some(crate::base::sys::own(copy)))
            .map_err(|errno| socket::failed("copy a descriptor", errno)),
    }
}
