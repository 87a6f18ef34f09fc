//! The durations behind the percentiles of a pool's statistics.

use std::collections::VecDeque;
use std::time::Duration;

/// The last thousand durations.
#[derive(Debug, Default)]
pub struct Times(VecDeque<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        const MOST: usize = 1000;
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(time);
    }

    /// The median and the 99th percentile.
    pub fn percentiles(&self) -> (Duration, Duration) {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let at = |hundredth: usize| {
            sorted.get(sorted.len() * hundredth / 100).copied().unwrap_or_default()
        };
        (at(50), at(99))
    }
}
