//! A pool's places, as one descriptor tells of them: an epoll(7) instance that polls as readable
//! while a start has reason to try. It watches the commands that run, so that a place becomes free
//! when its command ends, whether or not anybody asks that command. It needs no thread: whoever
//! wants a place looks here.
//!
//! Nothing is ever read from or written to a descriptor here: a caller that has closed the
//! library's descriptors (closefrom(3)) may have given their numbers to files of its own.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::{self, Kept};
use crate::host::socket::{failed, wait_readable};
use crate::run::holder::MARGIN;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// The number of the bell. Leases have others.
const BELL: u64 = 0;

/// What is watched, and by what.
#[derive(Debug)]
pub struct Places {
    epoll: Kept,
    /// Always readable: watched while a place is offered, and only then.
    bell: Kept,
}

impl Places {
    pub fn new() -> Result<Places> {
        let made = |errno| failed("make the pool's descriptor", errno);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(made)?;
        let bell = EventFd::from_value_and_flags(1, EfdFlags::EFD_CLOEXEC).map_err(made)?;
        let places = Places { epoll: epoll.0.into(), bell: OwnedFd::from(bell).into() };
        places
            .epoll()?
            .add(places.bell.get()?, EpollEvent::new(EpollFlags::empty(), BELL))
            .map_err(made)?;
        Ok(places)
    }

    /// Borrowed, as what changes it: it is not closed here. An error if the caller has closed it.
    fn epoll(&self) -> Result<ManuallyDrop<Epoll>> {
        let epoll = self.epoll.intact().ok_or_else(closed)?;
        Ok(ManuallyDrop::new(Epoll(crate::base::sys::own(epoll.as_raw_fd()))))
    }

    /// Whether there is a place to be had, from now on.
    pub fn offer(&self, on: bool) -> Result<()> {
        let events = if on { EpollFlags::EPOLLIN } else { EpollFlags::empty() };
        let (epoll, bell) = (self.epoll()?, self.bell.intact().ok_or_else(closed)?);
        let modify = || epoll.modify(bell, &mut EpollEvent::new(events, BELL));
        // A failure of a moment would leave whoever waits already without news.
        modify().or_else(|_| modify()).map_err(|errno| match errno {
            Errno::EBADF | Errno::EINVAL | Errno::ENOENT | Errno::EPERM => closed(),
            errno => failed("watch the pool's commands", errno),
        })
    }

    /// Watches a sandbox of this number, where a command is about to start: the end of its warden,
    /// and over which socket the command's own end will be told. What the socket says before
    /// [`Places::started`] is an answer to the start.
    pub fn watch(&self, number: u64, warden: BorrowedFd<'_>, socket: BorrowedFd<'_>) -> Result<()> {
        let epoll = self.epoll()?;
        let add = |fd: BorrowedFd<'_>, events| {
            let mut event = EpollEvent::new(events | EpollFlags::EPOLLONESHOT, number);
            match epoll.add(fd, event) {
                // It could not be forgotten when somebody else had it.
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

    /// Its command runs: what the socket says next is the end.
    pub fn started(&self, number: u64, socket: BorrowedFd<'_>) -> Result<()> {
        let mut event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, number);
        self.epoll()?
            .modify(socket, &mut event)
            .map_err(|errno| failed("watch the pool's command", errno))
    }

    /// Watches a warden or a socket no more. No error if it was not watched; one that the caller
    /// has closed the kernel has forgotten.
    pub fn forget(&self, descriptor: Result<BorrowedFd<'_>>) {
        if let (Ok(epoll), Ok(descriptor)) = (self.epoll(), descriptor) {
            let _ = epoll.delete(descriptor);
        }
    }

    /// The numbers whose commands have ended since the last call, perhaps some of them twice.
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
                            .filter(|number| *number != BELL),
                    );
                    if count < BATCH {
                        return ended;
                    }
                }
            }
        }
    }

    /// Waits until there is reason to try, or until the deadline; not for ever, since only a try
    /// tells that the descriptors are no longer ours.
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
    fn an_end_is_told_once_and_only_after_the_start() {
        let places = Places::new().expect("epoll works");
        let ((warden, alive), (socket, says)) = (pipe().expect("a pipe"), pipe().expect("a pipe"));
        places.watch(7, warden.as_fd(), socket.as_fd()).expect("it is watched");
        write(&says, b"started").expect("there is room");
        assert!(!readable(&places));
        places.started(7, socket.as_fd()).expect("it is watched");
        assert!(readable(&places));
        assert_eq!(places.ended(), [7]);
        assert!(!readable(&places) && places.ended().is_empty());
        // One that was not forgotten has another number from now on.
        places.watch(8, warden.as_fd(), socket.as_fd()).expect("it is watched");
        // The warden's end is another one, which a number that is no longer known makes harmless.
        drop(alive);
        assert_eq!(places.ended(), [8]);
        for descriptor in [&warden, &socket, &socket] {
            places.forget(Ok(descriptor.as_fd()));
        }
        assert!(!readable(&places));
    }

    #[test]
    fn more_ends_than_one_look_takes_are_all_told() {
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
