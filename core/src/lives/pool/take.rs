//! Taking sandboxes out of a pool, one or several for commands that start together.

use super::Handle;
use crate::base::error::{Error, Result};
use crate::run::ground::{Keeper, Place};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

impl Keeper for Handle {
    fn take(
        &self,
        number: usize,
        refused_since: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Result<Option<Vec<Place>>> {
        if number > self.shared.size {
            return Err(Error::invalid(
                "pool",
                format!("{number} commands start together, and it has {} places", self.shared.size),
            )
            .hint("make it as large as the interaction"));
        }
        self.shared.check_ours()?;
        match number {
            0 => Ok(Some(Vec::new())),
            1 => Ok(self.take_one(refused_since, deadline)?.map(|place| vec![place])),
            _ => self.take_several(number, deadline),
        }
    }
}

impl Handle {
    /// A sandbox in which nothing runs; `None` if there is none by the deadline.
    fn take_one(
        &self,
        refused_since: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Result<Option<Place>> {
        let start = refused_since.unwrap_or_else(Instant::now);
        let mut waited = refused_since.is_some();
        loop {
            // Before the attempt, so that one more follows after the deadline.
            let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if let Some(taken) = self.shared.try_take(start, waited)? {
                return Ok(Some(taken));
            }
            if late {
                return Ok(None);
            }
            waited = true;
            self.shared.places.wait(deadline)?;
        }
    }

    /// Several sandboxes; `None` if there are too few by the deadline. One caller at a time collects
    /// several: two callers that each hold a part would wait for each other.
    fn take_several(&self, number: usize, deadline: Option<Instant>) -> Result<Option<Vec<Place>>> {
        let shared = &self.shared;
        let mut state = shared.state();
        while state.gathering {
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Ok(None);
            }
            state =
                shared.gathered.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.gathering = true;
        drop(state);
        let taken = (0..number).map(|_| self.take_one(None, deadline)).collect();
        shared.state().gathering = false;
        shared.gathered.notify_one();
        taken
    }
}
