//! Which commands of a cell ran beside others: what a cgroup counts is then not one command's.

use super::Alive;
use std::sync::{Arc, MutexGuard, PoisonError};

/// Who is there.
#[derive(Debug, Default)]
pub struct Company {
    present: usize,
    /// How often somebody came while others were there.
    meetings: u64,
}

/// One command's stay in a cell.
#[derive(Debug)]
pub struct Visit {
    alive: Arc<Alive>,
    alone: bool,
    meetings: u64,
    over: bool,
}

impl Visit {
    pub fn begin(alive: &Arc<Alive>) -> Visit {
        let mut company = company(alive);
        let alone = company.present == 0;
        company.meetings += u64::from(!alone);
        company.present += 1;
        Visit { alive: alive.clone(), alone, meetings: company.meetings, over: false }
    }

    /// Whether nobody else has been there meanwhile.
    pub fn was_alone(&self) -> bool {
        self.alone && company(&self.alive).meetings == self.meetings
    }

    pub fn end(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            company(&self.alive).present -= 1;
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.end();
    }
}

fn company(alive: &Alive) -> MutexGuard<'_, Company> {
    alive.company.lock().unwrap_or_else(PoisonError::into_inner)
}
