//! Tells a function of the caller's how far a copy has come, and asks it whether to go on.

use crate::base::error::{Error, ErrorKind, Result};
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The shortest time between two calls, apart from the first and the last.
const PAUSE: Duration = Duration::from_millis(100);

/// How far a copy has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyProgress {
    /// The number of files and directories that have been copied or begun.
    pub entries: u64,
    /// The number of bytes in files that have been copied.
    pub bytes: u64,
}

type Watch = dyn Fn(&CopyProgress) -> ControlFlow<()> + Send + Sync;

/// A function of the caller's.
#[derive(Clone)]
pub struct Watcher(Arc<Watch>);

impl Watcher {
    pub fn new(
        watch: impl Fn(&CopyProgress) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Watcher {
        Watcher(Arc::new(watch))
    }

    pub fn tell(&self, progress: CopyProgress) -> ControlFlow<()> {
        (self.0)(&progress)
    }
}

impl Eq for Watcher {}

impl PartialEq for Watcher {
    fn eq(&self, other: &Watcher) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

type Tell<'a> = Box<dyn FnMut(CopyProgress) -> ControlFlow<()> + 'a>;

/// Calls the function at the beginning, then at most ten times a second, and at the end.
pub struct Ticker<'a> {
    tell: Option<Tell<'a>>,
    last: Option<Instant>,
}

impl<'a> Ticker<'a> {
    pub fn new(tell: Option<Tell<'a>>) -> Ticker<'a> {
        Ticker { tell, last: None }
    }

    /// Tells the progress if it is time to.
    ///
    /// # Errors
    ///
    /// ECANCELED if the function wants no more.
    pub fn tick(&mut self, progress: CopyProgress, at: &Path) -> Result<()> {
        if self.tell.is_none() || self.last.is_some_and(|last| last.elapsed() < PAUSE) {
            return Ok(());
        }
        self.tell(progress, at)
    }

    /// Tells the progress now.
    pub fn tell(&mut self, progress: CopyProgress, at: &Path) -> Result<()> {
        let Some(tell) = &mut self.tell else { return Ok(()) };
        let answer = tell(progress);
        self.last = Some(Instant::now());
        match answer {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(Error::new(ErrorKind::Io, format!("copy {}", at.display()))
                    .because("the function that is told about the progress has cancelled it")
                    .errno(libc::ECANCELED)
                    .at(at))
            }
        }
    }
}
