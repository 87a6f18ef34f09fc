//! The lease of one of a pool's sandboxes, held by a start and then by its command. It occupies a
//! place. The place becomes free when the command has ended, which the pool detects by itself, or
//! when the lease is dropped.

use super::{SharedPool, clean_up};
use crate::base::error::Result;
use crate::host::socket::Socket;
use crate::run::alive::Alive;
use crate::run::ground::{Lease, Place};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

#[derive(Debug)]
pub struct PoolLease {
    shared: Arc<SharedPool>,
    /// The number among all leases of the pool.
    number: u64,
    /// `Some` until the lease is dropped.
    alive: Option<Arc<Alive>>,
    /// The command socket, if the command has one of its own. Else its reports come over the
    /// control socket.
    socket: Option<Arc<Socket>>,
    stage: Stage,
    /// The place stays taken until this is dropped.
    kept: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The sandbox is unused: another start can have it.
    Fresh,
    /// The pool watches it, and a command is starting or running in it.
    Used,
    /// Everything inside has ended, and the warden is about to end.
    Ending,
}

impl PoolLease {
    pub(super) fn place(alive: Arc<Alive>, shared: Arc<SharedPool>, number: u64) -> Place {
        let lease = PoolLease {
            shared,
            number,
            alive: Some(alive.clone()),
            socket: None,
            stage: Stage::Fresh,
            kept: false,
        };
        Place { alive, lease: Some(Box::new(lease)) }
    }

    /// The warden's pidfd and the socket to watch. An error for each that the caller has closed.
    fn watched(&self) -> Option<(Result<BorrowedFd<'_>>, Result<BorrowedFd<'_>>)> {
        let alive = self.alive.as_ref()?;
        Some((
            alive.warden.pidfd(),
            self.socket.as_ref().map_or_else(|| alive.warden.socket(), |socket| socket.as_fd()),
        ))
    }
}

impl Lease for PoolLease {
    fn keep(&mut self) {
        self.kept = self.shared.reuse;
    }

    fn is_kept(&self) -> bool {
        self.kept
    }

    /// Has the pool watch the sandbox, before a command starts in it. The command's end will be
    /// reported over `socket`, or over the control socket.
    fn watch(&mut self, socket: Option<&Arc<Socket>>) -> Result<()> {
        self.socket = socket.cloned();
        // The pool frees the place of a watched command when that ends.
        if self.kept {
            self.stage = Stage::Used;
            return Ok(());
        }
        if let Some((warden, socket)) = self.watched() {
            self.shared.places.watch(self.number, warden?, socket?)?;
        }
        self.stage = Stage::Used;
        Ok(())
    }

    /// The command runs: the next report is its end.
    fn started(&self) -> Result<()> {
        if self.kept {
            return Ok(());
        }
        self.watched()
            .map_or(Ok(()), |(_, socket)| self.shared.places.started(self.number, socket?))
    }

    /// Everything inside has ended, and the warden is about to end. The pool's threads wait for
    /// that.
    fn leave(&mut self) {
        self.stage = Stage::Ending;
    }
}

impl Drop for PoolLease {
    fn drop(&mut self) {
        if !self.shared.is_ours() {
            return;
        }
        // Remove the descriptors from the epoll instance before they are closed. epoll(7) keeps a
        // closed descriptor if a forked process has a copy.
        if let Some((warden, socket)) = self.watched() {
            self.shared.places.forget(socket);
            if !self.shared.reuse {
                self.shared.places.forget(warden);
            }
        }
        let alive = self.alive.take();
        let (fresh, ended) = match self.stage {
            Stage::Fresh => (alive, None),
            Stage::Ending => (None, alive),
            // A failed start leaves a sandbox here, which ends before its place becomes free. A
            // reusing pool keeps its own reference.
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
        let mut ended = ended;
        if !state.closed {
            state.ended.extend(ended.take());
        }
        self.shared.offer(&mut state);
        drop(state);
        drop(left);
        clean_up(ended);
        self.shared.wanted.notify_one();
    }
}
