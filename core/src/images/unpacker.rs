//! The sandbox in which the files of an image are made, and the stream of records to it.
//!
//! Nothing of the host is in it but the destination. Its ids are those of the sandboxes that will
//! run the image.

use super::layer::Records;
use crate::base::error::{Error, ErrorKind, Result};
use crate::host::image::UNPACKER;
use crate::host::store::IdsOnDisk;
use crate::plan::idmap::Mapping;
use crate::plan::idmap::subordinate::Subordinate;
use crate::policy::outcome::Ended;
use crate::policy::{Bind, Capability, File, Ids, Overlay};
use crate::run::child::Child;
use crate::run::command::Stdio;
use crate::run::sandbox::Sandbox;
use crate::wire::codec::{ListBuilder, Reader, Wire};
use crate::wire::unpack::{Entry, RECORD_MAX, Refusal};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, Shutdown, SockFlag, SockType};
use nix::sys::socket::{send, shutdown, socketpair};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where the destination is inside.
const DESTINATION: &str = "/image";
pub const PROGRAM: &str = "/unpack";

/// How much is sent at once.
const ROOM: usize = 256 * 1024;

/// The owners that files of an image can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// The ids below this number.
    Below(u32),
    /// The same, and on the disk the caller's subordinate ids.
    Subordinate(Subordinate),
    /// The one user to which an unprivileged caller maps everything.
    One,
}

impl Owners {
    /// The owners that this caller can give to files in a sandbox with so many ids.
    pub fn of_caller(ids: Option<Ids>) -> Result<Owners> {
        let sandbox = sandbox(ids);
        Ok(match Mapping::choose(sandbox.policy())? {
            Mapping::Range { uids, gids } if (uids.inside, gids.inside) == (0, 0) => {
                match uids.count.min(gids.count) {
                    1 => Owners::One,
                    count => Owners::Below(count),
                }
            }
            Mapping::Subordinate(ids) => Owners::Subordinate(ids),
            _ => Owners::One,
        })
    }

    /// The ids of files on the disk.
    pub fn on_disk(self) -> IdsOnDisk {
        match self {
            Owners::Below(_) => IdsOnDisk::Image,
            Owners::Subordinate(ids) => {
                IdsOnDisk::Range { uid: ids.uids.outside, gid: ids.gids.outside }
            }
            Owners::One => IdsOnDisk::One,
        }
    }

    /// The number of ids that can own a file. `None` if one owns all.
    pub fn count(self) -> Option<u32> {
        match self {
            Owners::Below(count) => Some(count),
            Owners::Subordinate(ids) => Some(ids.uids.count.min(ids.gids.count) + 1),
            Owners::One => None,
        }
    }

    fn ids(self) -> Ids {
        match self {
            Owners::Below(_) | Owners::Subordinate(_) => Ids::Range,
            Owners::One => Ids::Single,
        }
    }
}

/// A running unpacker.
pub struct Unpacker {
    child: Child,
    socket: OwnedFd,
    buffer: Vec<u8>,
}

fn sandbox(ids: Option<Ids>) -> Sandbox {
    const CAPABILITIES: [Capability; 4] =
        [Capability::Chown, Capability::DacOverride, Capability::Fowner, Capability::Fsetid];
    let sandbox = Sandbox::new().uid(0).gid(0).empty_root();
    let sandbox = ids.into_iter().fold(sandbox, Sandbox::ids);
    CAPABILITIES.into_iter().fold(sandbox, Sandbox::capability)
}

impl Unpacker {
    /// Starts an unpacker whose destination shows `below`, the lowest first, and writes to the
    /// directory `changes`, which is empty.
    pub fn over(owners: Owners, below: &[PathBuf], changes: &Path) -> Result<Unpacker> {
        let overlay = Overlay::new(below, DESTINATION).kept(changes);
        Unpacker::start(sandbox(Some(owners.ids())).entry(overlay))
    }

    /// Empties a directory in which files belong to subordinate ids of the caller's, which the
    /// caller itself cannot remove.
    pub fn empty(directory: &Path) -> Result<()> {
        let bind = Bind::new(directory, DESTINATION).writable();
        let mut unpacker = Unpacker::start(sandbox(Some(Ids::Range)).entry(bind))?;
        let keep = ListBuilder::new(Vec::new());
        let (path, keep) = (c"", keep.list());
        unpacker.entry(&Entry::Clear { path, after: c"", until: c"", keep })?;
        unpacker.finish()
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

impl Records for Unpacker {
    fn entry(&mut self, entry: &Entry<'_>) -> Result<()> {
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

    fn contents(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= ROOM { self.flush() } else { Ok(()) }
    }

    fn finish(mut self) -> Result<()> {
        self.entry(&Entry::End {})?;
        self.flush()?;
        self.ended()
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
        // EISDIR: another name for a directory, which no directory has.
        Errno::EEXIST
        | Errno::EISDIR
        | Errno::ELOOP
        | Errno::ENOTDIR
        | Errno::ENOENT
        | Errno::EINVAL => error
            .of_kind(ErrorKind::Invalid)
            .hint("an entry before it in the image is in its way, or is missing"),
        // The kernel's limits of an attribute (xattr(7)).
        Errno::ERANGE | Errno::E2BIG => error.of_kind(ErrorKind::Invalid),
        _ => error,
    }
}
