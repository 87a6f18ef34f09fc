//! How far a batch is, on the standard error if that is a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

/// How often the line is written at most.
const INTERVAL: Duration = Duration::from_millis(100);
const WIDTH: u64 = 30;

/// A line with a bar, which is written over itself.
pub struct Progress {
    is_shown: bool,
    /// The size of the input in bytes, if it is known.
    total: Option<u64>,
    done: u64,
    jobs: u64,
    errors: u64,
    start: Instant,
    last: Option<Instant>,
}

impl Progress {
    pub fn new(is_wanted: bool, total: Option<u64>) -> Progress {
        let is_shown = is_wanted && stderr().is_terminal();
        Progress { is_shown, total, done: 0, jobs: 0, errors: 0, start: Instant::now(), last: None }
    }

    /// Counts an answered line of this size.
    pub fn add(&mut self, size: u64, is_error: bool) {
        self.done += size;
        self.jobs += 1;
        self.errors += u64::from(is_error);
        if self.is_shown && self.last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            self.last = Some(Instant::now());
            self.write("");
        }
    }

    /// Makes room for a message.
    pub fn clear(&self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }

    /// Writes the line a last time.
    pub fn end(&self) {
        if self.is_shown {
            self.write("\n");
        }
    }

    fn write(&self, end: &str) {
        let bar = self.total.filter(|total| *total > 0).map(|total| {
            let filled = (self.done.min(total) * WIDTH / total) as usize;
            format!("[{}{}] ", "#".repeat(filled), ".".repeat(WIDTH as usize - filled))
        });
        let bar = bar.unwrap_or_default();
        let seconds = self.start.elapsed().as_secs();
        let time = format!("{}:{:02}", seconds / 60, seconds % 60);
        let counts = format!("{} jobs, {} not run", self.jobs, self.errors);
        // Without a standard error there is nobody to tell.
        let _ = write!(stderr(), "\r\x1b[K{bar}{counts}  {time}{end}");
    }
}
