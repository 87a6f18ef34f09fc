//! A bound on the connections that are carried at once. Each takes two descriptors of the caller's,
//! and a program in a sandbox must not be able to use up all of them.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for connections of all sandboxes, and the share of one of them.
#[derive(Debug)]
pub struct Places {
    all: Arc<Semaphore>,
    /// The places for one sandbox.
    each: usize,
}

/// The place of one connection. Dropping it gives the place back.
#[derive(Debug)]
pub struct Seat {
    _own: OwnedSemaphorePermit,
    _common: OwnedSemaphorePermit,
}

impl Places {
    /// All connections together take at most half of the descriptors that the caller may open, and
    /// those of one sandbox an eighth.
    pub fn new() -> Places {
        let descriptors =
            nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let descriptors = descriptors.map_or(0, |(soft, _)| soft);
        let all = usize::try_from(descriptors / 4).unwrap_or(usize::MAX).clamp(4, 1 << 16);
        Places { all: Arc::new(Semaphore::new(all)), each: (all / 4).max(1) }
    }

    /// The places of one sandbox.
    pub fn of_one(&self) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(self.each))
    }

    /// Waits for a place. `own`: the places of the sandbox.
    pub async fn take(&self, own: &Arc<Semaphore>) -> Option<Seat> {
        let own = own.clone().acquire_owned().await.ok()?;
        let common = self.all.clone().acquire_owned().await.ok()?;
        Some(Seat { _own: own, _common: common })
    }

    /// Takes a place if one is free.
    pub fn try_take(&self, own: &Arc<Semaphore>) -> Option<Seat> {
        let own = own.clone().try_acquire_owned().ok()?;
        let common = self.all.clone().try_acquire_owned().ok()?;
        Some(Seat { _own: own, _common: common })
    }
}
