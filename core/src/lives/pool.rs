//! A pool: sandboxes that are set up before they are needed.

mod fill;
mod lease;
mod places;
mod take;
mod times;

use crate::base::error::{Error, Result};
use crate::run::alive::Alive;
use crate::run::command::Command;
use crate::run::ground::{Ground, Place};
use crate::run::sandbox::Sandbox;
use crate::run::template::{self, NetworkStatistics};
use fill::clean_up;
use lease::PoolLease;
use places::Places;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use times::Times;

/// Keeps sandboxes of one policy ready, so that starting a command takes no set-up. Each command
/// gets a sandbox of its own, as fresh and isolated as one made for it. With
/// [`Sandbox::reusing_pool`] it gets one in which other commands may have run before.
///
/// The pool's own threads create the sandboxes, with at most one thread per processor. The
/// sandboxes are copies of the policy's [template](Sandbox::prepare) if it can have one. The pool's
/// size also bounds how many commands run at the same time. Each command occupies a place, and
/// frees it when it has ended, even if nobody waits for the command. A start that finds no free
/// place waits ([`Command::spawn`]), waits for a limited time ([`Command::spawn_timeout`]), or
/// returns at once ([`Command::try_spawn`], [`Pool::fd`]).
///
/// This is a handle: clones refer to the same pool. The idle sandboxes and the threads end when the
/// last clone and the last command are dropped, or with [`Pool::close`]. Running commands continue.
/// A process forked from the caller cannot use the pool.
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// let pool = seclude::Sandbox::new().pool(2)?;
/// for number in 0..4 {
///     let output = pool.command("echo").arg(number.to_string()).output()?;
///     assert_eq!(output.stdout, format!("{number}\n").into_bytes());
/// }
/// assert_eq!(pool.statistics().handed_out, 4);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pool(Arc<Handle>);

/// Statistics of a pool. Percentiles cover the last 1000 durations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatistics {
    /// How many sandboxes are kept ready, and how many can be in use at the same time.
    pub size: usize,
    /// How many sandboxes are ready now.
    pub ready: usize,
    /// How many sandboxes are in use now.
    pub in_use: usize,
    /// The largest number of sandboxes in use at the same time.
    pub most_in_use: usize,
    /// How many sandboxes have been created.
    pub made: u64,
    /// How many sandboxes have been handed out.
    pub handed_out: u64,
    /// How often a start had to wait for a sandbox or a place.
    pub waited: u64,
    /// How many sandboxes had died before they were handed out, and were replaced.
    pub lost: u64,
    /// How often a sandbox could not be created.
    pub failed: u64,
    /// The median time to be handed a sandbox.
    pub hand_out_p50: Duration,
    /// The 99th percentile of the time to be handed a sandbox.
    pub hand_out_p99: Duration,
    /// The median time to create a sandbox.
    pub make_p50: Duration,
    /// The 99th percentile of the time to create a sandbox.
    pub make_p99: Duration,
}

/// Closes the pool when the last clone is dropped.
#[derive(Debug)]
struct Handle {
    shared: Arc<SharedPool>,
    makers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct SharedPool {
    sandbox: Sandbox,
    size: usize,
    reuse: bool,
    /// The process that created the pool and runs its threads.
    owner: u32,
    state: Mutex<PoolState>,
    places: Places,
    /// Wakes the pool's threads: there is work.
    wanted: Condvar,
    /// Wakes callers that want several places: no other caller is taking several.
    several_taken: Condvar,
}

#[derive(Debug, Default)]
struct PoolState {
    ready: VecDeque<Arc<Alive>>,
    /// The sandboxes in use, by number. The value of a reusing pool's is the sandbox, which goes
    /// back to `ready`.
    in_use: BTreeMap<u64, Option<Arc<Alive>>>,
    /// The number of the last sandbox that was handed out.
    last: u64,
    /// Whether `places` currently reports a free place.
    offered: bool,
    /// Whether a caller is taking several places.
    taking_several: bool,
    /// Sandboxes in which everything has ended, and which the threads have to clean up.
    ended: Vec<Arc<Alive>>,
    making: usize,
    closed: bool,
    /// Why the last sandbox could not be created.
    failure: Option<Error>,
    statistics: PoolStatistics,
    hand_out: Times,
    make: Times,
}

impl Sandbox {
    /// Starts a [`Pool`] that keeps `size` sandboxes ready, one for each command. At least one is
    /// ready when this returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the size is 0. Otherwise the error of
    /// setting up the first sandbox or of starting a thread.
    pub fn pool(&self, size: usize) -> Result<Pool> {
        Pool::start(self, size, false)
    }

    /// Like [`Sandbox::pool`], but a sandbox is reused when its command has ended. The next command
    /// finds what earlier ones left behind, processes included. The sandbox also keeps its limits
    /// as they are then. Only for commands that trust one another.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::pool`].
    pub fn reusing_pool(&self, size: usize) -> Result<Pool> {
        Pool::start(self, size, true)
    }
}

impl Pool {
    pub(crate) fn start(sandbox: &Sandbox, size: usize, reuse: bool) -> Result<Pool> {
        if size == 0 {
            return Err(Error::invalid("pool", "its size must be at least 1"));
        }
        sandbox.prepare()?;
        let shared = Arc::new(SharedPool {
            sandbox: sandbox.clone(),
            size,
            reuse,
            owner: std::process::id(),
            state: Mutex::default(),
            places: Places::new()?,
            wanted: Condvar::new(),
            several_taken: Condvar::new(),
        });
        // Create the first sandbox here, so that this call reports an error of the policy.
        let first = shared.make()?;
        let mut state = shared.state();
        state.ready.push_back(first);
        shared.offer(&mut state);
        drop(state);
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let handle = Handle { shared, makers: Mutex::default() };
        for _ in 0..processors.min(size) {
            let shared = handle.shared.clone();
            let maker = thread::Builder::new()
                .name("seclude-pool".into())
                .spawn(move || shared.keep_filled());
            let maker =
                maker.map_err(|error| Error::of_thread("start a thread of the pool", error))?;
            handle.makers.lock().unwrap_or_else(PoisonError::into_inner).push(maker);
        }
        Ok(Pool(Arc::new(handle)))
    }

    /// Creates a command that runs in one of the pool's sandboxes. Starting it waits while the
    /// pool's size is reached.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.0.shared.sandbox.clone(), Ground::Kept(self.0.clone()), program.as_ref())
    }

    /// A descriptor for `poll` and event loops. It is readable while a start is worth trying.
    /// Either a place is free and a sandbox is ready, or there is an error to report, or the pool
    /// has been closed. [`Command::try_spawn`] then tells which; another thread may have been
    /// faster. Do not read from the descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.shared.places.fd()
    }

    /// The pool's statistics so far.
    pub fn statistics(&self) -> PoolStatistics {
        let mut state = self.0.shared.state();
        if self.0.shared.is_ours() {
            self.0.shared.take_back(&mut state);
        }
        let ((hand_out_p50, hand_out_p99), (make_p50, make_p99)) =
            (state.hand_out.percentiles(), state.make.percentiles());
        let (size, ready, in_use) = (self.0.shared.size, state.ready.len(), state.in_use.len());
        PoolStatistics {
            size,
            ready,
            in_use,
            hand_out_p50,
            hand_out_p99,
            make_p50,
            make_p99,
            ..state.statistics
        }
    }

    /// What happened to the network namespaces of the pool's sandboxes.
    pub fn networks(&self) -> NetworkStatistics {
        template::networks(&self.0.shared.sandbox)
    }

    /// Ends the idle sandboxes and the pool's threads. Running commands continue. Starting another
    /// one is an error.
    pub fn close(&self) {
        self.0.close();
    }
}

impl AsFd for Pool {
    /// The descriptor of [`Pool::fd`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}

impl Handle {
    fn close(&self) {
        if !self.shared.is_ours() {
            return;
        }
        let mut state = self.shared.state();
        state.closed = true;
        let left = std::mem::take(&mut state.ready);
        self.shared.offer(&mut state);
        drop(state);
        self.shared.wanted.notify_all();
        drop(left);
        let makers =
            std::mem::take(&mut *self.makers.lock().unwrap_or_else(PoisonError::into_inner));
        makers.into_iter().for_each(|maker| drop(maker.join()));
        let ended = std::mem::take(&mut self.shared.state().ended);
        clean_up(ended);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl SharedPool {
    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ours(&self) -> bool {
        std::process::id() == self.owner
    }

    fn check_ours(&self) -> Result<()> {
        match self.is_ours() {
            true => Ok(()),
            false => Err(Error::invalid(
                "pool",
                "it belongs to the process that this one was forked from",
            )
            .hint("make another one here")),
        }
    }

    /// Takes a ready sandbox if there is a place. An error if none can be created.
    fn try_take(self: &Arc<SharedPool>, start: Instant, waited: bool) -> Result<Option<Place>> {
        let mut state = self.state();
        let taken = loop {
            if state.closed {
                return Err(Error::invalid("pool", "it has been closed")
                    .hint("run commands before that, or start another pool"));
            }
            let place = state.in_use.len() < self.size;
            let full = self.is_full(&state);
            match if place { state.ready.pop_front() } else { None } {
                Some(alive) if alive.warden.serves() => {
                    state.last += 1;
                    let (number, in_use) = (state.last, state.in_use.len() + 1);
                    state.in_use.insert(number, self.reuse.then(|| alive.clone()));
                    state.statistics.most_in_use = state.statistics.most_in_use.max(in_use);
                    state.statistics.handed_out += 1;
                    state.statistics.waited += u64::from(waited);
                    state.hand_out.add(start.elapsed());
                    match self.is_short(&state) {
                        true => self.wanted.notify_all(),
                        false if full => self.wanted.notify_one(),
                        false => {}
                    }
                    break Ok(Some(PoolLease::place(alive, self.clone(), number)));
                }
                Some(_) => {
                    state.statistics.lost += 1;
                    self.wanted.notify_all();
                }
                // Free the places of ended commands even if nothing was ready. Their descriptors
                // would keep the epoll instance readable.
                None if self.take_back(&mut state) => {}
                None => match state.failure.take_if(|_| place) {
                    Some(error) => break Err(error),
                    None => {
                        // An error here prevents an endless wait: the caller may have closed the
                        // pool's descriptors, and reused their numbers for other files.
                        self.places.offer(false)?;
                        state.offered = false;
                        return Ok(None);
                    }
                },
            }
        };
        self.offer(&mut state);
        taken
    }

    /// Frees the places of commands that have ended. Returns whether there were any.
    fn take_back(&self, state: &mut PoolState) -> bool {
        let ended = self.places.ended();
        let mut any = false;
        for number in ended {
            if let Some(alive) = state.in_use.remove(&number) {
                any = true;
                if let Some(alive) = &alive {
                    // The next lease watches this warden under another number.
                    self.places.forget(alive.warden.pidfd());
                }
                // The lease still holds a reference, so this drop does not end the sandbox while
                // the lock is held.
                drop(self.put_back(state, alive));
            }
        }
        self.offer(state);
        any
    }

    /// Makes a sandbox ready again if there is room, else returns it.
    fn put_back(&self, state: &mut PoolState, alive: Option<Arc<Alive>>) -> Option<Arc<Alive>> {
        let room = !state.closed && state.ready.len() + state.making < self.size;
        let (fits, left) = if room { (alive, None) } else { (None, alive) };
        state.ready.extend(fits);
        left
    }

    /// Updates whether `places` reports a free place.
    fn offer(&self, state: &mut PoolState) {
        let place =
            state.in_use.len() < self.size && (!state.ready.is_empty() || state.failure.is_some());
        let offered = state.closed || place;
        // A failure needs no handling here: `try_take` reports it before anyone waits.
        if offered != state.offered && self.places.offer(offered).is_ok() {
            state.offered = offered;
        }
    }
}
