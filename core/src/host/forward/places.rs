//! A bound on the connections that are carried at once. Each takes two descriptors of the caller's,
//! and a program in a sandbox must not be able to use up all of them, nor keep other sandboxes from
//! having some.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The buffer of a connection, for each direction.
pub const BUFFER: usize = 64 * 1024;

/// The places for the connections of all sandboxes.
#[derive(Debug)]
pub struct Places {
    free: Mutex<usize>,
    freed: Notify,
}

/// The places that one sandbox has taken.
#[derive(Debug)]
pub struct Share {
    places: Arc<Places>,
    taken: AtomicUsize,
}

/// The place of one connection. Dropping it gives the place back.
#[derive(Debug)]
pub struct Seat(Arc<Share>);

impl Places {
    /// All connections together take at most half of the descriptors that the caller may open, and
    /// with their buffers at most half a gigabyte of its memory.
    pub fn new() -> Arc<Places> {
        const MOST: usize = (512 << 20) / (2 * BUFFER);
        let descriptors =
            nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let descriptors = descriptors.map_or(0, |(soft, _)| soft);
        Places::of(usize::try_from(descriptors / 4).unwrap_or(MOST).clamp(4, MOST))
    }

    fn of(count: usize) -> Arc<Places> {
        Arc::new(Places { free: Mutex::new(count), freed: Notify::new() })
    }

    /// The share of one more sandbox.
    pub fn share(self: &Arc<Places>) -> Arc<Share> {
        Arc::new(Share { places: self.clone(), taken: AtomicUsize::new(0) })
    }

    fn free(&self) -> MutexGuard<'_, usize> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes a place, unless the sandbox has as many as are left. So however many sandboxes take
    /// what they can get, there are places for the next one.
    pub fn try_take(self: &Arc<Share>) -> Option<Seat> {
        let mut free = self.places.free();
        if self.taken.load(Ordering::Relaxed) >= *free {
            return None;
        }
        *free -= 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(Seat(self.clone()))
    }

    /// Waits for a place.
    pub async fn take(self: &Arc<Share>) -> Seat {
        loop {
            let mut freed = pin!(self.places.freed.notified());
            // From here on, no place that is given back is missed.
            freed.as_mut().enable();
            if let Some(seat) = self.try_take() {
                return seat;
            }
            freed.await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut free = self.0.places.free();
        *free += 1;
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
        drop(free);
        self.0.places.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_many_as_possible(share: &Arc<Share>) -> Vec<Seat> {
        std::iter::from_fn(|| share.try_take()).collect()
    }

    #[test]
    fn greedy_sandboxes_leave_places_for_the_next_one() {
        let places = Places::of(240);
        let shares: Vec<_> = (0..5).map(|_| places.share()).collect();
        let seats: Vec<Vec<Seat>> = shares.iter().map(as_many_as_possible).collect();
        let counts: Vec<usize> = seats.iter().map(Vec::len).collect();
        assert_eq!(counts, [120, 60, 30, 15, 8]);
        assert!(places.share().try_take().is_some());
    }

    #[test]
    fn a_connection_that_waits_gets_the_place_that_is_given_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let share = Places::of(4).share();
            let mut seats = as_many_as_possible(&share);
            let waiting = tokio::spawn({
                let share = share.clone();
                async move { share.take().await }
            });
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            seats.pop();
            drop(waiting.await.unwrap());
            assert_eq!(*share.places.free(), 3);
        });
    }
}
