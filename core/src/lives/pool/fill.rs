//! Fills a pool: its threads create sandboxes before they are needed, and clean up ended ones.

use super::{PoolState, SharedPool};
use crate::base::error::Result;
use crate::run::alive::{Alive, Purpose};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// Waits for wardens that have nothing left to do, and removes their cgroups.
pub(super) fn clean_up(ended: impl IntoIterator<Item = Arc<Alive>>) {
    ended.into_iter().for_each(|alive| {
        alive.end();
    });
}

impl SharedPool {
    /// Whether sandboxes must be created at once, even while commands start: fewer than half are
    /// ready or being created.
    pub(super) fn is_short(&self, state: &PoolState) -> bool {
        2 * (state.ready.len() + state.making) < self.size
    }

    /// Creates a sandbox and waits until it is ready.
    pub(super) fn make(&self) -> Result<Arc<Alive>> {
        let start = Instant::now();
        let made =
            Alive::start(&self.sandbox, if self.reuse { Purpose::Cell } else { Purpose::Wait });
        let made = made.and_then(|alive| alive.ready().map(|_| Arc::new(alive)));
        let mut state = self.state();
        match &made {
            Ok(_) => {
                state.statistics.made += 1;
                state.make.add(start.elapsed());
            }
            Err(_) => state.statistics.failed += 1,
        }
        made
    }

    /// Whether enough sandboxes are ready or being created. A reusing pool counts those in use,
    /// which come back.
    pub(super) fn is_full(&self, state: &PoolState) -> bool {
        let coming = if self.reuse { state.in_use.len() } else { 0 };
        state.ready.len() + state.making + coming >= self.size
    }

    /// The main loop of the pool's threads: cleans up ended sandboxes, and creates one whenever too
    /// few are ready.
    pub(super) fn keep_filled(&self) {
        /// How long to wait after a failure: a shortage may be over by then.
        const PAUSE: Duration = Duration::from_millis(20);
        /// How long a command that was just handed out has the processors to itself.
        const START: Duration = Duration::from_millis(5);
        let mut state = self.state();
        let mut waited = false;
        while !state.closed {
            let short = self.is_short(&state);
            if !state.ended.is_empty() && (!short || state.ended.len() > self.size) {
                let ended = std::mem::take(&mut state.ended);
                drop(state);
                clean_up(ended);
                state = self.state();
                continue;
            }
            if self.is_full(&state) {
                state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // Let the command that was just handed out use the processors first: copying a template
            // takes longer than a short command.
            if !state.in_use.is_empty() && !short && !waited {
                let (woken, time) =
                    self.wanted.wait_timeout(state, START).unwrap_or_else(PoisonError::into_inner);
                (state, waited) = (woken, time.timed_out());
                continue;
            }
            waited = false;
            state.making += 1;
            drop(state);
            let made = self.make();
            state = self.state();
            state.making -= 1;
            match made {
                Ok(alive) if !state.closed => {
                    state.ready.push_back(alive);
                    state.failure = None;
                }
                Ok(_) => {}
                Err(error) => state.failure = Some(error),
            }
            self.offer(&mut state);
            if state.failure.is_some() {
                // Wait the full pause even if the thread is woken, for example by another thread's
                // failure.
                let pause = self.wanted.wait_timeout_while(state, PAUSE, |state| !state.closed);
                state = pause.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}
