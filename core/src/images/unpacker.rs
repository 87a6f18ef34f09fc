//! The sandbox in which the files of an image are made, and the stream of records to it.
//!
//! Nothing of the host is in it but the destination. Its ids are those of the sandboxes that will
//! run the image.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::image::UNPACKER;
use crate::plan::idmap::Mapping;
use crate::policy::outcome::Ended;
use crate::policy::{Capability, File, Overlay};
use crate::run::child::Child;
use crate::run::command::Stdio;
use crate::run::sandbox::Sandbox;
use crate::wire::codec::{Reader, Wire};
use crate::wire::unpack::{Entry, RECORD_MAX, Refusal};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, Shutdown, SockFlag, SockType};
use nix::sys::socket::{send, shutdown, socketpair};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the destination is inside.
const DESTINATION: &str = "/image";
const PROGRAM: &str = "/unpack";

/// How much is sent at once.
const ROOM: usize = 256 * 1024;

/// The owners that files of an image can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The ids below this number.
    Below(u32),
    /// The one user to which an unprivileged caller maps everything.
    One,
}

impl Owners {
    /// The owners that this caller can give to files.
    pub fn of_caller() -> Result<Owners> {
        let sandbox = sandbox();
        Ok(match Mapping::choose(sandbox.policy())? {
            Mapping::Range { uids, gids } if (uids.inside, gids.inside) == (0, 0) => {
                match uids.count.min(gids.count) {
                    1 => Owners::One,
                    count => Owners::Below(count),
                }
            }
            _ => Owners::One,
        })
    }
}

/// A running unpacker.
pub struct Unpacker {
    child: Child,
    socket: OwnedFd,
    buffer: Vec<u8>,
}

fn sandbox() -> Sandbox {
    const CAPABILITIES: [Capability; 4] =
        [Capability::Chown, Capability::DacOverride, Capability::Fowner, Capability::Fsetid];
    let sandbox = Sandbox::new().uid(0).gid(0).empty_root();
    CAPABILITIES.into_iter().fold(sandbox, Sandbox::capability)
}

impl Unpacker {
    /// Starts an unpacker whose destination shows `below`, the lowest first, and writes to the
    /// directory `changes`, which is empty.
    pub fn over(below: &[PathBuf], changes: &Path) -> Result<Unpacker> {
        Unpacker::start(sandbox().entry(Overlay::new(below, DESTINATION).kept(changes)))
    }

    fn start(sandbox: Sandbox) -> Result<Unpacker> {
        let sandbox = sandbox.entry(File::new(PROGRAM, UNPACKER).mode(0o555));
        let failed = |errno: Errno| Error::io("make a socket", io::Error::from(errno));
        let stream = (SockType::Stream, SockFlag::SOCK_CLOEXEC);
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, stream.0, None, stream.1).map_err(failed)?;
        let mut command = sandbox.command(PROGRAM);
        command.current_dir(DESTINATION).stdin(Stdio::from(theirs)).stdout(Stdio::piped());
        let child = command.spawn()?;
        // Only the unpacker has the other end. Otherwise its end would not show.
        drop(command);
        Ok(Unpacker { child, socket: ours, buffer: Vec::with_capacity(ROOM) })
    }

    /// Sends a record.
    pub fn entry(&mut self, entry: &Entry<'_>) -> Result<()> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        entry.encode(&mut self.buffer);
        let length = self.buffer.len() - start - 4;
        if length > RECORD_MAX {
            self.buffer.truncate(start);
            return Err(Error::invalid(
                "unpack an entry of the image",
                "its description is too long",
            ));
        }
        self.buffer[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
        if self.buffer.len() >= ROOM { self.flush() } else { Ok(()) }
    }

    /// Sends contents of a file.
    pub fn contents(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= ROOM { self.flush() } else { Ok(()) }
    }

    /// Sends the last record and waits until everything is made.
    pub fn finish(mut self) -> Result<()> {
        self.entry(&Entry::End {})?;
        self.flush()?;
        self.ended()
    }

    fn flush(&mut self) -> Result<()> {
        let mut sent = 0;
        while sent < self.buffer.len() {
            // Not write(2): if the unpacker has ended, SIGPIPE would kill a caller that does not
            // ignore it.
            let rest = &self.buffer[sent..];
            match send(self.socket.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(length) => sent += length,
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE | Errno::ECONNRESET) => {
                    self.ended()?;
                    return Err(Error::new(ErrorKind::Io, "unpack the image")
                        .because("the unpacker ended before the image"));
                }
                Err(errno) => return Err(Error::io("unpack the image", io::Error::from(errno))),
            }
        }
        self.buffer.clear();
        Ok(())
    }

    /// Waits for the end. An error says what was wrong.
    fn ended(&mut self) -> Result<()> {
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
        let mut report = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            io::Read::read_to_end(&mut stdout, &mut report)
                .map_err(|error| Error::io("read the unpacker's report", error))?;
        }
        let outcome = self.child.wait()?;
        if outcome.ended == Ended::Exited(0) {
            return Ok(());
        }
        match Reader::new(&report).only() {
            Ok(Refusal::Refused { errno, path }) => Err(refused(errno, path)),
            Err(_) => Err(Error::new(ErrorKind::Io, "unpack the image")
                .because(format!("the unpacker ended: {}", outcome.ended))),
        }
    }
}

fn refused(errno: i32, path: &[u8]) -> Error {
    let shown = match path {
        b"" => "/".into(),
        path => String::from_utf8_lossy(path),
    };
    let error =
        Error::io(format!("unpack {shown} of the image"), io::Error::from_raw_os_error(errno));
    match Errno::from_raw(errno) {
        Errno::ENOSPC | Errno::EDQUOT => {
            error.hint("make room on the file system of the store, or name another store")
        }
        Errno::EEXIST | Errno::ELOOP | Errno::ENOTDIR | Errno::ENOENT | Errno::EINVAL => error
            .of_kind(ErrorKind::Invalid)
            .hint("an entry before it in the image is in its way, or is missing"),
        _ => error,
    }
}
