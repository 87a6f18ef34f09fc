//! One of a pool's sandboxes while it is in use: by a start, and by the command that came of it. It
//! has a place, which is free again when the command has ended, as the pool sees for itself, or
//! when this is dropped.

use super::{Shared, clear_away};
use crate::alive::Alive;
use crate::error::Result;
use crate::socket::Socket;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// A sandbox, and the lease of it.
pub(crate) type Taken = (Arc<Alive>, Lease);

#[derive(Debug)]
pub(crate) struct Lease {
    shared: Arc<Shared>,
    /// Among all that were handed out.
    number: u64,
    /// There until this is dropped.
    alive: Option<Arc<Alive>>,
    /// Over which its command is spoken of, if not the control socket.
    socket: Option<Arc<Socket>>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing has been asked of it: the next one may have it.
    Fresh,
    /// It is watched, and a command starts in it or runs.
    Used,
    /// Everything inside has ended, and the warden is about to.
    Left,
}

impl Lease {
    pub(super) fn of(alive: Arc<Alive>, shared: Arc<Shared>, number: u64) -> Taken {
        (
            alive.clone(),
            Lease { shared, number, alive: Some(alive), socket: None, stage: Stage::Fresh },
        )
    }

    /// Has the pool watch it, before a command starts in it: the end will be told over this socket,
    /// or the control socket.
    pub fn watch(&mut self, socket: Option<&Arc<Socket>>) -> Result<()> {
        self.socket = socket.cloned();
        if let Some((warden, socket)) = self.watched() {
            self.shared.places.watch(self.number, warden?, socket?)?;
        }
        self.stage = Stage::Used;
        Ok(())
    }

    /// The command runs: what is told from now on is its end.
    pub fn started(&self) -> Result<()> {
        self.watched()
            .map_or(Ok(()), |(_, socket)| self.shared.places.started(self.number, socket?))
    }

    /// Everything inside has ended, and the warden is about to: the pool's threads wait for that.
    pub fn leave(&mut self) {
        self.stage = Stage::Left;
    }

    /// Errors for those that the caller has closed.
    fn watched(&self) -> Option<(Result<BorrowedFd<'_>>, Result<BorrowedFd<'_>>)> {
        let alive = self.alive.as_ref()?;
        Some((
            alive.warden.pidfd(),
            self.socket.as_ref().map_or_else(|| alive.warden.socket(), |socket| socket.as_fd()),
        ))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.shared.is_ours() {
            return;
        }
        // Before the descriptors are closed: epoll(7) would not forget one of which a forked
        // process has a copy.
        if let Some((warden, socket)) = self.watched() {
            self.shared.places.forget(socket);
            if !self.shared.reuse {
                self.shared.places.forget(warden);
            }
        }
        let alive = self.alive.take();
        let (fresh, over) = match self.stage {
            Stage::Fresh => (alive, None),
            Stage::Left => (None, alive),
            // What a failed start leaves ends before its place is free. One that is used again is
            // in the pool's own keeping.
            Stage::Used => {
                drop(alive);
                (None, None)
            }
        };
        let mut state = self.shared.state();
        let mut left = None;
        if let Some(used_again) = state.in_use.remove(&self.number) {
            if let Some(alive) = &used_again {
                self.shared.places.forget(alive.warden.pidfd());
            }
            state.statistics.handed_out -= u64::from(fresh.is_some());
            left = self.shared.put_back(&mut state, used_again.or(fresh));
        }
        let mut over = over;
        if !state.closed {
            state.over.extend(over.take());
        }
        self.shared.offer(&mut state);
        drop(state);
        drop(left);
        clear_away(over);
        self.shared.wanted.notify_one();
    }
}
