//! How files are read that may be closed to the caller.
//!
//! With a range of ids, files belong to subordinate ids of the caller's, and their modes can close
//! them to the caller itself: a directory of a user of the image's with mode 700. What the kernel
//! refuses to the caller then, a program in a sandbox with these ids opens for it
//! (core/unpacker/look.rs).

use super::overlay::{error_number, flags, open_at};
use super::owner::Origin;
use super::unpacker::PROGRAM;
use crate::base::error::{Error, Result};
use crate::base::sys;
use crate::base::sys::attributes::{attribute, user_attributes};
use crate::host::image::UNPACKER;
use crate::policy::{Capability, File, Ids};
use crate::run::child::Child;
use crate::run::command::Stdio;
use crate::run::sandbox::Sandbox;
use crate::wire::codec::{Reader, Wire};
use crate::wire::unpack::{Look, SEEN_MAX, Seen};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlinkat};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::sys::stat::{FileStat, fstat, fstatat};
use std::cell::OnceCell;
use std::ffi::{CStr, CString, OsString};
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// Reads files, also those of the caller's subordinate ids.
pub struct Reach {
    has_subordinates: bool,
    /// Started for the first file that is closed. `None` inside if it cannot be: then the file
    /// stays closed.
    opener: OnceCell<Option<Opener>>,
}

impl Reach {
    /// Reads files of these origins.
    pub fn of(origins: impl IntoIterator<Item = Origin>) -> Reach {
        let is_subordinate = |origin| matches!(origin, Origin::Subordinate(_));
        let has_subordinates = origins.into_iter().any(is_subordinate);
        Reach { has_subordinates, opener: OnceCell::new() }
    }

    /// Opens a name in a directory to read it. No link is followed.
    pub fn open(&self, at: &OwnedFd, name: &CStr, more: OFlag) -> nix::Result<OwnedFd> {
        or_else_closed(open_at(at, name, more), || self.open_closed(at, name, more))
    }

    /// The same, where the caller may not.
    pub fn open_closed(&self, at: &OwnedFd, name: &CStr, more: OFlag) -> nix::Result<OwnedFd> {
        let flags = u64::from(flags(more).bits().cast_unsigned());
        let seen = self.ask(at.as_fd(), &Look::Open { name, flags })?;
        seen.descriptor.ok_or(Errno::EPROTO)
    }

    /// The status of a name. A link is not followed.
    pub fn status(&self, at: &OwnedFd, name: &CStr) -> nix::Result<FileStat> {
        let status = fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        or_else_closed(status, || fstat(self.open_closed(at, name, OFlag::O_PATH)?))
    }

    /// The target of a link.
    pub fn link(&self, at: &OwnedFd, name: &CStr) -> nix::Result<OsString> {
        or_else_closed(readlinkat(at, name), || {
            readlinkat(self.open_closed(at, name, OFlag::O_PATH)?, c"")
        })
    }

    /// The names in a directory.
    pub fn names(&self, at: &OwnedFd) -> nix::Result<Vec<CString>> {
        let mut directory = Dir::from_fd(self.open(at, c".", OFlag::O_DIRECTORY)?)?;
        let mut names = Vec::new();
        for entry in directory.iter() {
            let name = entry?.file_name().to_owned();
            if name.as_c_str() != c"." && name.as_c_str() != c".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The value of an attribute; `None` if the file does not have it.
    pub fn attribute(&self, file: BorrowedFd<'_>, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
        let value = attribute(file, name).map_err(|error| error_number(&error));
        or_else_closed(value, || match self.ask(file, &Look::Attribute { name }) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => Ok(None),
            seen => Ok(Some(seen?.value)),
        })
    }

    /// The attributes that any user may set.
    pub fn attributes(&self, file: BorrowedFd<'_>) -> nix::Result<Vec<(CString, Vec<u8>)>> {
        let attributes = user_attributes(file, |name| Ok(self.attribute(file, name)?));
        attributes.map_err(|error| error_number(&error))
    }

    fn ask(&self, at: BorrowedFd<'_>, look: &Look<'_>) -> nix::Result<Answer> {
        let opener = self.has_subordinates.then(|| self.opener.get_or_init(Opener::started));
        opener.and_then(Option::as_ref).ok_or(Errno::EACCES)?.ask(at, look)
    }
}

fn or_else_closed<T>(
    tried: nix::Result<T>,
    otherwise: impl FnOnce() -> nix::Result<T>,
) -> nix::Result<T> {
    match tried {
        Err(Errno::EACCES) => otherwise(),
        tried => tried,
    }
}

/// The program that opens files, and the socket to it.
struct Opener {
    /// Ends it when dropped.
    _child: Child,
    socket: OwnedFd,
}

struct Answer {
    value: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

impl Opener {
    fn started() -> Option<Opener> {
        Opener::start().ok()
    }

    fn start() -> Result<Opener> {
        let sandbox = Sandbox::new()
            .uid(0)
            .gid(0)
            .empty_root()
            .ids(Ids::Range)
            .capability(Capability::DacReadSearch)
            // It opens files below descriptors, which no rule allows. Nothing else is in it.
            .no_landlock()
            .entry(File::new(PROGRAM, UNPACKER).mode(0o555));
        let stream = (SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
        let (socket, theirs) = socketpair(AddressFamily::Unix, stream.0, None, stream.1)
            .map_err(|errno| Error::io("make a socket", errno))?;
        let mut command = sandbox.command(PROGRAM);
        let child = command.arg("look").stdin(Stdio::from(theirs)).spawn()?;
        Ok(Opener { _child: child, socket })
    }

    fn ask(&self, at: BorrowedFd<'_>, look: &Look<'_>) -> nix::Result<Answer> {
        let mut request = Vec::new();
        look.encode(&mut request);
        let numbers = [at.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&numbers)];
        let request = [IoSlice::new(&request)];
        let socket = self.socket.as_raw_fd();
        repeated(|| sendmsg::<()>(socket, &request, &rights, MsgFlags::MSG_NOSIGNAL, None))?;
        let mut bytes = vec![0; SEEN_MAX];
        let mut space = nix::cmsg_space!(RawFd);
        let (length, descriptor) = repeated(|| {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(socket, &mut parts, Some(&mut space), flags)?;
            let mut descriptors = message.cmsgs()?.filter_map(|message| match message {
                ControlMessageOwned::ScmRights(numbers) => numbers.first().copied(),
                _ => None,
            });
            Ok((message.bytes, descriptors.next().map(sys::own)))
        })?;
        match Reader::new(&bytes[..length]).only() {
            Ok(Seen::Opened {}) => Ok(Answer { value: Vec::new(), descriptor }),
            Ok(Seen::Value { value }) => Ok(Answer { value: value.to_vec(), descriptor: None }),
            Ok(Seen::Failed { errno }) => Err(Errno::from_raw(errno)),
            // It has ended, as by a limit of the host's.
            Err(_) => Err(Errno::EACCES),
        }
    }
}

fn repeated<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}
