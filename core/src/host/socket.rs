//! The caller's end of the control socket: sends requests, receives reports.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::{self, Kept};
use crate::base::sys::memfd_create;
use crate::host::file_size;
use crate::wire::codec::{Reader, Wire};
use crate::wire::message::{DESCRIPTORS_MAX, INLINE_MAX, REPORT_MAX, Report, Request};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::memfd::MFdFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, Shutdown, SockFlag, SockType, sendmsg, shutdown,
    socketpair,
};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Instant;

/// One end of a socket pair.
#[derive(Debug)]
pub struct Socket(Kept);

/// A received report, not decoded yet, with the descriptors that came with it.
pub struct Received {
    bytes: Vec<u8>,
    /// The first descriptor: a pidfd, where the report has one.
    pub descriptor: Option<OwnedFd>,
    /// The other descriptors, in order.
    pub others: Vec<OwnedFd>,
}

impl Received {
    pub fn report(&self) -> Result<Report<'_>> {
        Reader::new(&self.bytes).only().map_err(|_| {
            Error::new(ErrorKind::WardenLost, "read the warden's report").because("it is malformed")
        })
    }
}

/// Creates a pair of connected sockets with descriptor numbers above the standard three.
///
/// # Errors
///
/// An error if the caller has no free descriptors.
pub fn pair() -> Result<(Socket, Socket)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
            .map_err(|errno| failed("make the control socket", errno))?;
    Ok((Socket(above_stdio(ours)?.into()), Socket(above_stdio(theirs)?.into())))
}

/// Moves a descriptor to a number of 3 or more: the caller may have closed its standard
/// descriptors.
///
/// # Errors
///
/// An error if there is no free number.
pub fn above_stdio(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    let number = fcntl(&fd, FcntlArg::F_DUPFD_CLOEXEC(3))
        .map_err(|errno| failed("move a descriptor above the standard ones", errno))?;
    Ok(crate::base::sys::own(number))
}

pub(crate) fn failed(action: &str, errno: Errno) -> Error {
    Error::io(action, errno)
}

impl Socket {
    /// Sends a request and passes `descriptors` with it. A large request goes into a file in
    /// memory, whose descriptor is passed instead. Never blocks, because there may be no warden yet
    /// that would read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WardenLost`] if the warden has ended. [`ErrorKind::HostLimit`] if the socket is
    /// full. [`ErrorKind::Invalid`] if there are too many descriptors.
    pub fn send(&self, request: &Request<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let socket = self.as_fd()?;
        let mut bytes = Vec::with_capacity(1024);
        request.encode(&mut bytes);
        let mut numbers: Vec<RawFd> = descriptors.iter().map(|fd| fd.as_raw_fd()).collect();
        let attached = if bytes.len() > INLINE_MAX { Some(in_memory(&bytes)?) } else { None };
        if let Some(file) = &attached {
            let length = bytes.len() as u64;
            bytes.clear();
            Request::Attached { length }.encode(&mut bytes);
            numbers.push(file.as_raw_fd());
        }
        if numbers.len() > DESCRIPTORS_MAX {
            return Err(Error::invalid(
                format!("{} descriptors", numbers.len()),
                format!("a command can be given at most {}", DESCRIPTORS_MAX - 1),
            ));
        }
        let rights = [ControlMessage::ScmRights(&numbers)];
        let rights = if numbers.is_empty() { &rights[..0] } else { &rights[..] };
        let sent = loop {
            match sendmsg::<()>(
                socket.as_raw_fd(),
                &[IoSlice::new(&bytes)],
                rights,
                MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
                None,
            ) {
                Err(Errno::EINTR) => {}
                result => break result,
            }
        };
        drop(attached);
        match sent {
            Ok(_) => Ok(()),
            Err(Errno::EPIPE | Errno::ECONNRESET) => Err(lost()),
            Err(Errno::EAGAIN | Errno::EMSGSIZE) => {
                Err(Error::new(ErrorKind::HostLimit, "send a request to the warden")
                    .because("the socket is full")
                    .hint("raise net.core.wmem_default"))
            }
            Err(errno) => Err(failed("send a request to the warden", errno)),
        }
    }

    /// Waits until `deadline` for the next report. Returns `None` if none came. Also watches
    /// `warden`, a pidfd, if there is one. A process forked by another thread may hold a copy of
    /// the warden's end of the socket. The socket alone would then not show that the warden has
    /// ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WardenLost`] if the warden ended without a report. An error if not all
    /// descriptors could be received.
    pub fn receive(
        &self,
        warden: Option<BorrowedFd<'_>>,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>> {
        let socket = self.as_fd()?;
        match wait_readable(&[socket, warden.unwrap_or(socket)], deadline)? {
            None => return Ok(None),
            // The warden may have sent a report and ended after poll checked the socket, but before
            // poll checked the pidfd. So check the socket again.
            Some(ready) if !ready[0] && !self.has_report() => return Err(lost()),
            Some(_) => {}
        }
        let mut bytes = vec![0; REPORT_MAX];
        let (length, descriptors) = loop {
            match crate::base::sys::receive(socket, &mut bytes) {
                // The warden ended before it read a request. The kernel reports that once, ahead of
                // the warden's last messages.
                Err(error)
                    if matches!(error.raw_os_error(), Some(libc::EINTR | libc::ECONNRESET)) => {}
                Err(error) => return Err(Error::io("receive the warden's report", error)),
                Ok(received) => break received,
            }
        };
        #[cfg(feature = "stage-clock")]
        if bytes[..length].first() == Some(&crate::host::stage_clock::TAG) {
            crate::host::stage_clock::take_in(&bytes[..length]);
            return self.receive(warden, deadline);
        }
        // A report without all its descriptors is useless.
        let mut descriptors = descriptors
            .ok_or_else(|| {
                failed("receive the descriptors beside the warden's report", Errno::EMFILE)
            })?
            .into_iter();
        if length == 0 {
            return Err(lost());
        }
        bytes.truncate(length);
        Ok(Some(Received { bytes, descriptor: descriptors.next(), others: descriptors.collect() }))
    }

    /// Whether a report is ready to be received.
    pub fn has_report(&self) -> bool {
        self.0.intact().is_some_and(|socket| {
            matches!(wait_readable(&[socket], Some(Instant::now())), Ok(Some([true])))
        })
    }

    /// Shuts the connection down, even if other processes hold copies of this end.
    pub fn hang_up(&self) {
        if let Some(socket) = self.0.intact() {
            let _ = shutdown(socket.as_raw_fd(), Shutdown::Both);
        }
    }

    /// Whether the descriptor is still open and ours.
    pub fn is_intact(&self) -> bool {
        self.0.intact().is_some()
    }

    /// The descriptor.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WardenLost`] if the caller has closed it. A warden ends when its last socket is
    /// closed.
    pub fn as_fd(&self) -> Result<BorrowedFd<'_>> {
        self.0.intact().ok_or_else(|| {
            kept::explained(
                Error::new(ErrorKind::WardenLost, "communicate with the warden").errno(libc::EBADF),
            )
        })
    }
}

fn in_memory(bytes: &[u8]) -> Result<File> {
    const REMEDY: &str = ", or give the command fewer or shorter arguments, variables and files";
    let memory = memfd_create(c"seclude-request", MFdFlags::MFD_CLOEXEC)
        .map_err(|errno| failed("make room for a large request", errno))?;
    let mut file = File::from(memory);
    file_size::fill(&mut file, bytes, "write a large request", REMEDY)?;
    Ok(file)
}

fn lost() -> Error {
    Error::new(ErrorKind::WardenLost, "receive the warden's report")
        .because("it ended without a report")
        .hint("was it killed from outside, or was the machine out of memory?")
}

/// Waits until one of `fds` is readable or hung up, and says which ones are. Returns `None` if the
/// deadline came first.
///
/// # Errors
///
/// An error if poll(2) fails.
pub fn wait_readable<const N: usize>(
    fds: &[BorrowedFd<'_>; N],
    deadline: Option<Instant>,
) -> Result<Option<[bool; N]>> {
    let mut polled = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    Ok(poll(&mut polled, deadline)?.then(|| polled.map(|fd| fd.any().unwrap_or(true))))
}

/// Like [`wait_readable`], for any number of descriptors. All entries are false if the deadline
/// came first.
///
/// # Errors
///
/// An error if poll(2) fails.
pub fn wait_for_any(fds: &[BorrowedFd<'_>], deadline: Option<Instant>) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    poll(&mut polled, deadline)?;
    Ok(polled.iter().map(|fd| fd.any().unwrap_or(true)).collect())
}

/// Polls until an event or the deadline. Returns whether there was an event.
fn poll(polled: &mut [PollFd<'_>], deadline: Option<Instant>) -> Result<bool> {
    loop {
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(deadline) => {
                // Rounded up, or poll would wake early and spin until the deadline.
                let left = deadline
                    .saturating_duration_since(Instant::now())
                    .as_nanos()
                    .div_ceil(1_000_000);
                PollTimeout::try_from(i32::try_from(left).unwrap_or(i32::MAX))
                    .unwrap_or(PollTimeout::MAX)
            }
        };
        match nix::poll::poll(polled, timeout) {
            Ok(0) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                return Ok(false);
            }
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(failed("wait for the warden", errno)),
        }
    }
}
