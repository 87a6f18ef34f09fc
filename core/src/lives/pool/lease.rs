//! One of a pool's sandboxes while it is in use: by a start, and by the command that came of it. It
//! has a place, which is free again when the command has ended, as the pool sees for itself, or
//! when this is dropped.

use super::{Shared, clear_away};
use crate::base::error::Result;
use crate::host::socket::Socket;
use crate::run::alive::Alive;
use crate::run::ground::{Lease, Place};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

#[derive(Debug)]
pub struct PoolLease {
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

impl PoolLease {
    pub(super) fn place(alive: Arc<Alive>, shared: Arc<Shared>, number: u64) -> Place {
        let lease = PoolLease {
            shared,
            number,
            alive: Some(alive.clone()),
            socket: None,
            stage: Stage::Fresh,
        };
        Place { alive, lease: Some(Box::new(lease)) }
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

impl Lease for PoolLease {
    /// Has the pool watch it, before a command starts in it: the end will be told over this socket,
    /// or the control socket.
    fn watch(&mut self, socket: Option<&Arc<Socket>>) -> Result<()> {
        self.socket = socket.cloned();
        if let Some((warden, socket)) = self.watched() {
            self.shared.places.watch(self.number, warden?, socket?)?;
        }
        self.stage = Stage::Used;
        Ok(())
    }

    /// The command runs: what is told from now on is its end.
    fn started(&self) -> Result<()> {
        self.watched()
            .map_or(Ok(()), |(_, socket)| self.shared.places.started(self.number, socket?))
    }

    /// Everything inside has ended, and the warden is about to: the pool's threads wait for that.
    fn leave(&mut self) {
        self.stage = Stage::Left;
    }
}

impl Drop for PoolLease {
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
