//! A pool: sandboxes set up before they are asked for.

mod lease;
mod places;
mod take;

use crate::base::error::{Error, Result};
use crate::run::alive::{Alive, Purpose};
use crate::run::command::Command;
use crate::run::failure;
use crate::run::ground::{Ground, Place};
use crate::run::sandbox::Sandbox;
use crate::run::template::{self, NetworkStatistics};
use lease::PoolLease;
use places::Places;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Keeps sandboxes of one policy ready, so that a command finds one that has only to start it.
/// Every command has one of its own, as fresh and as apart from all others as one that was made for
/// it; or with [`Sandbox::reusing_pool`] one in which others have run before.
///
/// They are copies of the policy's [template](Sandbox::prepare), where it can have one, made by
/// threads of the pool's own: at most one for each processor. At most as many commands run at one
/// time as are kept ready: each has a place, and gives it back when it has ended, whether or not
/// anybody has asked it. A start for which there is no place waits ([`Command::spawn`]), for as
/// long as it is told to ([`Command::spawn_timeout`]), or not at all ([`Command::try_spawn`],
/// [`Pool::fd`]).
///
/// A handle: clones are the same pool. Dropping the last one, and the last of its commands, or
/// [`Pool::close`], ends what is ready and the threads; commands that run go on. A process forked
/// from the caller has no part in it.
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

/// What a pool has done and has. Times are those of the last 1000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatistics {
    /// How many are kept ready, and can be in use at one time.
    pub size: usize,
    /// How many are ready now.
    pub ready: usize,
    /// How many are in use now.
    pub in_use: usize,
    /// How many were in use at one time, at the most.
    pub most_in_use: usize,
    /// How many have been made.
    pub made: u64,
    /// How many have been handed out.
    pub handed_out: u64,
    /// How often who asked had to wait, for one to be ready or for the number in use to fall.
    pub waited: u64,
    /// How many were found dead when they were wanted, and replaced.
    pub lost: u64,
    /// How often one could not be made.
    pub failed: u64,
    /// How long it took to be handed one: the median.
    pub hand_out_p50: Duration,
    /// How long it took to be handed one: all but one in a hundred.
    pub hand_out_p99: Duration,
    /// How long it took to make one: the median.
    pub make_p50: Duration,
    /// How long it took to make one: all but one in a hundred.
    pub make_p99: Duration,
}

/// The last handle's end is the pool's.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    makers: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    sandbox: Sandbox,
    size: usize,
    reuse: bool,
    /// The process that made it, and whose threads fill it.
    owner: u32,
    state: Mutex<State>,
    places: Places,
    /// There is something to do for the pool's threads.
    wanted: Condvar,
    /// Nobody takes several places at one time any more.
    gathered: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Arc<Alive>>,
    /// Those in use, by number: one that is used again goes back.
    in_use: BTreeMap<u64, Option<Arc<Alive>>>,
    /// The number of the last one that was handed out.
    last: u64,
    /// `places` says that there is one to be had.
    offered: bool,
    /// Somebody takes several places at one time.
    gathering: bool,
    /// In which everything has ended: what is left is to be cleared away.
    over: Vec<Arc<Alive>>,
    making: usize,
    closed: bool,
    /// Why the last one could not be made.
    failure: Option<Error>,
    statistics: PoolStatistics,
    hand_out: Times,
    make: Times,
}

/// The last thousand durations.
#[derive(Debug, Default)]
struct Times(VecDeque<Duration>);

impl Times {
    fn add(&mut self, time: Duration) {
        const MOST: usize = 1000;
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(time);
    }

    /// The median, and the 99th of a hundred.
    fn told(&self) -> (Duration, Duration) {
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let at = |hundredth: usize| {
            sorted.get(sorted.len() * hundredth / 100).copied().unwrap_or_default()
        };
        (at(50), at(99))
    }
}

/// Waits for wardens that have nothing to do any more, and removes their cgroups.
fn clear_away(over: impl IntoIterator<Item = Arc<Alive>>) {
    over.into_iter().for_each(|alive| {
        alive.end();
    });
}

impl Sandbox {
    /// Starts a [`Pool`] that keeps so many sandboxes ready, one for each command. When this
    /// returns, one is.
    pub fn pool(&self, size: usize) -> Result<Pool> {
        Pool::start(self, size, false)
    }

    /// The same, but that a sandbox is used again when its command has ended: what that left
    /// behind, processes included, is there for the next, and so are its limits. For commands
    /// that trust one another.
    pub fn reusing_pool(&self, size: usize) -> Result<Pool> {
        Pool::start(self, size, true)
    }
}

impl Pool {
    pub(crate) fn start(sandbox: &Sandbox, size: usize, reuse: bool) -> Result<Pool> {
        if size == 0 {
            return Err(Error::invalid("pool", "must be of one at least"));
        }
        sandbox.prepare()?;
        let shared = Arc::new(Shared {
            sandbox: sandbox.clone(),
            size,
            reuse,
            owner: std::process::id(),
            state: Mutex::default(),
            places: Places::new()?,
            wanted: Condvar::new(),
            gathered: Condvar::new(),
        });
        // What is wrong with a policy is told here.
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
                maker.map_err(|error| failure::of_thread("start a thread of the pool", error))?;
            handle.makers.lock().unwrap_or_else(PoisonError::into_inner).push(maker);
        }
        Ok(Pool(Arc::new(handle)))
    }

    /// A command to run in one of its sandboxes. Starting it waits while as many as the pool's size
    /// run.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.0.shared.sandbox.clone(), Ground::Kept(self.0.clone()), program.as_ref())
    }

    /// A descriptor for `poll` and event loops, readable while there is reason to try a start: a
    /// place is free and a sandbox ready, or there is an error to be told, or the pool has been
    /// closed. [`Command::try_spawn`] then tells; another thread may have been faster. Nothing is
    /// to be read from it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.shared.places.fd()
    }

    /// What it has done so far.
    pub fn statistics(&self) -> PoolStatistics {
        let mut state = self.0.shared.state();
        if self.0.shared.is_ours() {
            self.0.shared.take_back(&mut state);
        }
        let ((hand_out_p50, hand_out_p99), (make_p50, make_p99)) =
            (state.hand_out.told(), state.make.told());
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

    /// What has become of the network namespaces of its sandboxes.
    pub fn networks(&self) -> NetworkStatistics {
        template::networks(&self.0.shared.sandbox)
    }

    /// Ends what is ready, and the pool's threads. Commands that run go on; starting another one is
    /// an error.
    pub fn close(&self) {
        self.0.close();
    }
}

impl AsFd for Pool {
    /// As [`Pool::fd`].
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
        let over = std::mem::take(&mut self.shared.state().over);
        clear_away(over);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
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

    /// One of those that are ready, if there is a place. An error if none can be made.
    fn try_take(self: &Arc<Shared>, start: Instant, waited: bool) -> Result<Option<Place>> {
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
                // What has ended is taken back in any case, or its descriptors would stay readable.
                None if self.take_back(&mut state) => {}
                None => match state.failure.take_if(|_| place) {
                    Some(error) => break Err(error),
                    None => {
                        // A wait on descriptors that are other files' by now would not end.
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

    /// Frees the places of those whose commands have ended; whether there were any.
    fn take_back(&self, state: &mut State) -> bool {
        let ended = self.places.ended();
        let mut any = false;
        for number in ended {
            if let Some(alive) = state.in_use.remove(&number) {
                any = true;
                if let Some(alive) = &alive {
                    // The next one to have it has it watched under another number.
                    self.places.forget(alive.warden.pidfd());
                }
                // Its lease still holds it: nothing is ended here, under the lock.
                drop(self.put_back(state, alive));
            }
        }
        self.offer(state);
        any
    }

    /// One is ready again, if there is room for it; else it is returned.
    fn put_back(&self, state: &mut State, alive: Option<Arc<Alive>>) -> Option<Arc<Alive>> {
        let room = !state.closed && state.ready.len() + state.making < self.size;
        let (fits, left) = if room { (alive, None) } else { (None, alive) };
        state.ready.extend(fits);
        left
    }

    /// Has `places` say whether there is one to be had.
    fn offer(&self, state: &mut State) {
        let place =
            state.in_use.len() < self.size && (!state.ready.is_empty() || state.failure.is_some());
        let offered = state.closed || place;
        // Where this fails, whoever is about to wait is told.
        if offered != state.offered && self.places.offer(offered).is_ok() {
            state.offered = offered;
        }
    }

    /// Whether more must be made at once, even while commands start: fewer than half are ready, or
    /// about to be.
    fn is_short(&self, state: &State) -> bool {
        2 * (state.ready.len() + state.making) < self.size
    }

    /// One more, ready.
    fn make(&self) -> Result<Arc<Alive>> {
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

    /// Whether as many as there should be are ready, or about to be. One that may be used again
    /// comes back.
    fn is_full(&self, state: &State) -> bool {
        let coming = if self.reuse { state.in_use.len() } else { 0 };
        state.ready.len() + state.making + coming >= self.size
    }

    /// What a thread of the pool's does: clears away what is over, and makes one whenever fewer are
    /// ready than there should be.
    fn keep_filled(&self) {
        /// After a failure: what was short may be there again.
        const PAUSE: Duration = Duration::from_millis(20);
        /// How long a command that has just been handed out has the processors to itself.
        const START: Duration = Duration::from_millis(5);
        let mut state = self.state();
        let mut waited = false;
        while !state.closed {
            let short = self.is_short(&state);
            if !state.over.is_empty() && (!short || state.over.len() > self.size) {
                let over = std::mem::take(&mut state.over);
                drop(state);
                clear_away(over);
                state = self.state();
                continue;
            }
            if self.is_full(&state) {
                state = self.wanted.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            // What has just been handed out has the processors first: a copy takes longer than a
            // short command.
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
                // Whatever else changes meanwhile, another thread's failure above all.
                let pause = self.wanted.wait_timeout_while(state, PAUSE, |state| !state.closed);
                state = pause.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}
