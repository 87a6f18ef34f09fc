//! Which commands of a cell ran at the same time as others. The events that the cell's cgroup
//! counts, such as a kill for memory, are certain to be a command's own only if it ran alone.

use super::Alive;
use std::sync::{Arc, MutexGuard, PoisonError};

/// The commands that a cell runs.
#[derive(Debug, Default)]
pub struct Occupancy {
    present: usize,
    /// How many commands have started while others ran.
    overlaps: u64,
}

/// The time that one command spends in a cell.
#[derive(Debug)]
pub struct Stay {
    alive: Arc<Alive>,
    started_alone: bool,
    /// The cell's count when this stay began.
    overlaps: u64,
    ended: bool,
}

impl Stay {
    pub fn begin(alive: &Arc<Alive>) -> Stay {
        let mut occupancy = occupancy(alive);
        let started_alone = occupancy.present == 0;
        occupancy.overlaps += u64::from(!started_alone);
        occupancy.present += 1;
        let overlaps = occupancy.overlaps;
        Stay { alive: alive.clone(), started_alone, overlaps, ended: false }
    }

    /// Whether no other command has run in the cell since this stay began.
    pub fn was_alone(&self) -> bool {
        self.started_alone && occupancy(&self.alive).overlaps == self.overlaps
    }

    /// Ends the stay. Calling it again has no effect.
    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) {
            occupancy(&self.alive).present -= 1;
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.end();
    }
}

fn occupancy(alive: &Alive) -> MutexGuard<'_, Occupancy> {
    alive.occupancy.lock().unwrap_or_else(PoisonError::into_inner)
}
