//! A pool's places, reported by one descriptor: an epoll(7) instance that is readable while a start
//! is worth trying. It watches the running commands, so that a place becomes free when its command
//! ends, even if nobody waits for the command. It needs no thread: each caller that wants a place
//! checks it.
//!
//! No descriptor is ever read or written here. A caller that has closed the library's descriptors
//! (closefrom(3)) may have reused their numbers for its own files.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::{self, Kept};
use crate::host::socket::{failed, wait_readable};
use crate::run::watchdog::MARGIN;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// The epoll data of the offer event. Leases have numbers from 1.
const OFFER: u64 = 0;

/// The epoll instance and its offer event.
#[derive(Debug)]
pub struct Places {
    epoll: Kept,
    /// An eventfd that is always readable. The epoll instance watches it only while a place is
    /// offered.
    offer_event: Kept,
}

impl Places {
    pub fn new() -> Result<Places> {
        let made = |errno| failed("make the pool's descriptor", errno);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(made)?;
        let offer_event = EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC).map_err(made)?;
        let places =
            Places { epoll: epoll.0.into(), offer_event: OwnedFd::from(offer_event).into() };
        places
            .epoll()?
            .add(places.offer_event.get()?, EpollEvent::new(EpollFlags::empty(), OFFER))
            .map_err(made)?;
        Ok(places)
    }

    /// The epoll instance, in `ManuallyDrop` so that it is not closed here. An error if the caller
    /// has closed it.
    fn epoll(&self) -> Result<ManuallyDrop<Epoll>> {
        let epoll = self.epoll.intact().ok_or_else(closed)?;
        Ok(ManuallyDrop::new(Epoll(crate::base::sys::own(epoll.as_raw_fd()))))
    }

    /// Sets whether a place is offered.
    pub fn offer(&self, on: bool) -> Result<()> {
        let events = if on { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        let (epoll, offer_event) = (self.epoll()?, self.offer_event.intact().ok_or_else(closed)?);
        let modify = || epoll.modify(offer_event, &mut EpollEvent::new(events, OFFER));
        // Retry once: callers that wait already would miss the change after a temporary failure.
        modify().or_else(|_| modify()).map_err(|errno| match errno {
            Errno::EBADF | Errno::EINVAL | Errno::ENOENT | Errno::EPERM => closed(),
            errno => failed("watch the pool's commands", errno),
        })
    }

    /// Watches a sandbox under this number before a command starts in it. It watches for the end of
    /// the warden, and later for the command's end on `socket`. What the socket reports before
    /// [`Places::started`] is the reply to the start.
    pub fn watch(&self, number: u64, warden: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> Result<()> {
        let epoll = self.epoll()?;
        let add = |fd: BorrowedFd<'_>, events| {
            let mut event = EpollEvent::new(events | EpollFlags::EPOLLONESHOT, number);
            match epoll.add(fd, event) {
                // The previous lease could not remove it.
                Err(Errno::EEXIST) => epoll.modify(fd, &mut event),
                result => result,
            }
        };
        let added =
            add(warden, EpollFlags::EPOLLIN).and_then(|()| add(socket, EpollFlags::empty()));
        added.map_err(|errno| match errno {
            Errno::ENOSPC => Error::new(ErrorKind::HostLimit, "watch the pool's command")
                .errno(libc::ENOSPC)
                .hint("this user watches too many descriptors: raise fs.epoll.max_user_watches"),
            errno => failed("watch the pool's command", errno),
        })
    }

    /// The command runs: the next report on the socket is its end.
    pub fn started(&self, number: u64, socket: BorrowedFd<'_>) -> Result<()> {
        let mut event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, number);
        self.epoll()?
            .modify(socket, &mut event)
            .map_err(|errno| failed("watch the pool's command", errno))
    }

    /// Stops watching a warden or a socket. Has no effect if it was not watched. The kernel removes
    /// one that the caller has closed.
    pub fn forget(&self, descriptor: Result<BorrowedFd<'_>>) {
        if let (Ok(epoll), Ok(descriptor)) = (self.epoll(), descriptor) {
            let _ = epoll.delete(descriptor);
        }
    }

    /// The numbers of commands that have ended since the last call. A number may appear twice.
    pub fn ended(&self) -> Vec<u64> {
        const BATCH: usize = 32;
        let mut ended = Vec::new();
        let Ok(epoll) = self.epoll() else { return ended };
        loop {
            let mut events = [EpollEvent::empty(); BATCH];
            match epoll.wait(&mut events, 0u8) {
                Err(Errno::EINTR) => {}
                Err(_) => return ended,
                Ok(count) => {
                    ended.extend(
                        events[..count]
                            .iter()
                            .map(EpollEvent::data)
                            .filter(|number| *number != OFFER),
                    );
                    if count < BATCH {
                        return ended;
                    }
                }
            }
        }
    }

    /// Waits until a start is worth trying, or until the deadline. Returns after `MARGIN` at the
    /// latest: only a new attempt can detect that the caller closed the descriptors.
    pub fn wait(&self, deadline: Option<Instant>) -> Result<()> {
        let epoll = self.epoll.intact().ok_or_else(closed)?;
        let look = Instant::now().checked_add(MARGIN);
        wait_readable(&[epoll], deadline.into_iter().chain(look).min()).map(drop)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.unchecked()
    }
}

fn closed() -> Error {
    kept::explained(Error::io("look for a place in the pool", Errno::EBADF))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::{pipe, write};
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn readable(places: &Places) -> bool {
        wait_readable(&[places.fd()], Some(Instant::now())).expect("poll works").is_some()
    }

    #[test]
    fn it_is_readable_while_a_place_is_offered() {
        let places = Places::new().expect("epoll works");
        assert!(!readable(&places));
        places.offer(true).expect("it is ours");
        assert!(readable(&places) && readable(&places));
        assert!(places.ended().is_empty() && readable(&places));
        places.offer(false).expect("it is ours");
        assert!(!readable(&places));
    }

    #[test]
    fn an_end_is_reported_once_and_only_after_the_start() {
        let places = Places::new().expect("epoll works");
        let ((warden, alive), (socket, says)) = (pipe().expect("a pipe"), pipe().expect("a pipe"));
        places.watch(7, warden.as_fd(), socket.as_fd()).expect("it is watched");
        write(&says, b"started").expect("there is room");
        assert!(!readable(&places));
        places.started(7, socket.as_fd()).expect("it is watched");
        assert!(readable(&places));
        assert_eq!(places.ended(), [7]);
        assert!(!readable(&places) && places.ended().is_empty());
        // Watching it again under another number replaces the first.
        places.watch(8, warden.as_fd(), socket.as_fd()).expect("it is watched");
        // The warden's end is a second event. The pool ignores a number that it does not know any
        // more.
        drop(alive);
        assert_eq!(places.ended(), [8]);
        for descriptor in [&warden, &socket, &socket] {
            places.forget(Ok(descriptor.as_fd()));
        }
        assert!(!readable(&places));
    }

    #[test]
    fn more_ends_than_one_batch_are_all_reported() {
        let places = Places::new().expect("epoll works");
        let pipes: Vec<_> =
            (0..100).map(|_| (pipe().expect("a pipe"), pipe().expect("a pipe"))).collect();
        for (number, ((warden, _), (socket, _))) in (1..).zip(&pipes) {
            places.watch(number, warden.as_fd(), socket.as_fd()).expect("it is watched");
            places.started(number, socket.as_fd()).expect("it is watched");
        }
        places.offer(true).expect("it is ours");
        for ((_, alive), (_, says)) in &pipes {
            write(alive, b"x").expect("there is room");
            write(says, b"x").expect("there is room");
        }
        let mut ended = places.ended();
        ended.sort_unstable();
        assert_eq!(ended, (1..=100).flat_map(|number| [number, number]).collect::<Vec<u64>>());
    }

    #[test]
    fn a_wait_ends_by_its_deadline() {
        let places = Places::new().expect("epoll works");
        let deadline = Instant::now() + Duration::from_millis(10);
        places.wait(Some(deadline)).expect("poll works");
        assert!(Instant::now() >= deadline);
    }
}
