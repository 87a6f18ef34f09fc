//! A cell: a sandbox that stays up and runs many commands, in turn or at once.

use crate::base::error::{Error, Result};
use crate::base::processes::Process;
use crate::lives::named::Published;
use crate::policy::outcome::{Enforced, Usage};
use crate::policy::{Cores, Limit, Limits};
use crate::run::alive::{Alive, Freezer, Purpose};
use crate::run::command::Command;
use crate::run::ground::{Ground, Keeper, Place};
use crate::run::sandbox::Sandbox;
use crate::run::transfer::{Copied, Transfer};
use crate::run::usage_so_far;
use crate::wire::message::{Request, end};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A sandbox that is alive: its commands share files, processes and network, and what one leaves
/// behind is there for the next.
///
/// The sandbox's limits on memory, processes, processor time and input and output bound what all
/// commands use together; those on wall time and output each command by itself, and so do
/// [`Command::memory`], [`Command::cpu_time`] and [`Command::pids`]. A command has an outcome and
/// usage of its own: what its first process and those that this has waited for have used; where it
/// has a cgroup of its own, what that has counted.
///
/// A handle: clones are the same cell. Dropping the last one, and the last of its children, ends
/// everything inside; so does the caller's end, and [`Cell::close`]. In a process forked by the
/// caller, dropping it only closes its descriptors.
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// let cell = seclude::Sandbox::new().tmpfs("/tmp", seclude::MiB(16)).cell()?;
/// cell.command("sh").args(["-c", "echo hello > /tmp/greeting"]).output()?;
/// assert_eq!(cell.command("cat").arg("/tmp/greeting").output()?.stdout, b"hello\n");
/// cell.reset()?;
/// assert_ne!(cell.command("cat").arg("/tmp/greeting").output()?.outcome.status, Some(0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Cell(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    sandbox: Sandbox,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once it has been closed.
    alive: Option<Arc<Alive>>,
    enforced: Enforced,
    limits: Limits,
    /// Under a name, for other processes.
    published: Option<Published>,
}

impl Sandbox {
    /// Starts a [`Cell`]: a sandbox that stays up, for many commands. When this returns it is set
    /// up.
    pub fn cell(&self) -> Result<Cell> {
        Cell::start(self)
    }
}

impl Cell {
    fn start(sandbox: &Sandbox) -> Result<Cell> {
        let alive = Alive::start(sandbox, Purpose::Cell)?;
        let enforced = alive.ready()?;
        let limits = sandbox.policy().limits.clone();
        let state = State { alive: Some(Arc::new(alive)), enforced, limits, published: None };
        Ok(Cell(Arc::new(Shared { sandbox: sandbox.clone(), state: Mutex::new(state) })))
    }

    /// A command to run in it. Many can run at once.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.0.sandbox.clone(), Ground::Kept(self.0.clone()), program.as_ref())
    }

    /// What is enforced on all that run in it.
    pub fn enforced(&self) -> Enforced {
        self.state().enforced
    }

    /// Its warden's process id, as the caller counts: another one after a reset.
    pub fn id(&self) -> Result<u32> {
        Ok(self.alive()?.warden.pid().unsigned_abs())
    }

    /// Publishes it under a name, by which other processes of the caller's user find and enter it
    /// ([`NamedCell`](crate::NamedCell)), until it is closed or published under another. 1 to
    /// 64 letters, digits, dots, hyphens and underscores, not beginning with a dot; an error if
    /// another cell lives under it.
    ///
    /// In the directory that the environment variable SECLUDE_CELLS names; else in
    /// `$XDG_RUNTIME_DIR/seclude`, root's in `/run/seclude`, and the rest in
    /// `/tmp/seclude-UID`. It must be the user's own, and closed to others' writing.
    pub fn publish(&self, name: &str) -> Result<()> {
        if self.state().published.as_ref().is_some_and(|published| published.name() == name) {
            return Ok(());
        }
        let published = Published::new(name, self)?;
        // The entry of an earlier name goes.
        let before = self.state().published.replace(published);
        drop(before);
        Ok(())
    }

    /// Every process inside, the warden first: its ids inside and outside, parent, command, user.
    pub fn processes(&self) -> Result<Vec<Process>> {
        self.alive()?.processes()
    }

    /// What all commands have used so far, since the cell was started or reset: exactly where a
    /// cgroup counts, else as far as the processes that are there tell, and those they and the
    /// warden have waited for.
    pub fn usage(&self) -> Result<Usage> {
        let alive = self.alive()?;
        usage_so_far::of(
            &alive.processes()?,
            Some(alive.warden.pid()),
            alive.started(),
            &alive.counters(),
        )
    }

    /// Stops everything inside, until [`Cell::thaw`]; by what. Wall times go on.
    pub fn freeze(&self) -> Result<Freezer> {
        self.alive()?.freeze()
    }

    /// Lets everything inside go on. No error if it does already.
    pub fn thaw(&self) -> Result<()> {
        self.alive()?.thaw()
    }

    /// Kills everything inside; commands that run end as [`Ended::Killed`](crate::Ended::Killed).
    /// The cell stays, with its files. Does not wait.
    pub fn kill_all(&self) -> Result<()> {
        self.alive()?.ask(None, &Request::Kill { how: end::KILLED }, &[])
    }

    /// Back to the state after set-up: no process, the scratch file systems empty, network, System
    /// V objects, message queues, keys and clocks new, the cgroups' counters at zero. Files of
    /// the caller's that are bound writable stay as they are. Commands that run end as
    /// [`Ended::Killed`](crate::Ended::Killed).
    ///
    /// The first one makes a [template](Sandbox::prepare) where the policy can have one, and from
    /// then on a reset costs a fraction of a new cell.
    pub fn reset(&self) -> Result<()> {
        self.0.sandbox.prepare()?;
        let mut state = self.state();
        let old = state.alive.clone().ok_or_else(closed)?;
        let alive = Alive::start(&self.0.sandbox, Purpose::Cell)?;
        state.enforced = alive.ready()?;
        state.limits = self.0.sandbox.policy().limits.clone();
        state.alive = Some(Arc::new(alive));
        let published = state.published.take();
        drop(state);
        old.close();
        // The name is its, whichever process the warden is.
        published.map_or(Ok(()), |published| self.publish(published.name()))
    }

    /// Ends everything inside and waits until it is gone. Using the cell afterwards is an error;
    /// closing it again is none.
    pub fn close(&self) {
        let (alive, published) = {
            let mut state = self.state();
            (state.alive.take(), state.published.take())
        };
        drop(published);
        if let Some(alive) = alive {
            alive.close();
        }
    }

    /// Whether it can run commands: it has not been closed, and its warden lives.
    pub fn is_alive(&self) -> bool {
        self.alive().is_ok_and(|alive| alive.warden.serves())
    }

    // ---- files

    /// Copies a file or tree out of it: as [`Child::copy_out`](crate::Child::copy_out).
    pub fn copy_out(
        &self,
        inside: impl AsRef<Path>,
        to: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.alive()?.copy_out(inside, to, transfer)
    }

    /// Copies a file or tree into it: as [`Child::copy_in`](crate::Child::copy_in).
    pub fn copy_in(
        &self,
        from: impl AsRef<Path>,
        inside: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.alive()?.copy_in(from, inside, transfer)
    }

    // ---- other limits than it was started with, until it is reset

    /// From now on, at most so many bytes of memory for all together: as
    /// [`Child::set_memory`](crate::Child::set_memory).
    pub fn set_memory(&self, bytes: impl Into<u64>) -> Result<()> {
        let bytes = bytes.into();
        self.change(Limit::Memory, |limits| limits.memory = Some(bytes))
    }

    /// From now on, at most so many processors' worth of time for all together.
    pub fn set_cpus(&self, number: f64) -> Result<()> {
        self.change(Limit::Cpus, |limits| limits.cpus = Some(Cores(number)))
    }

    /// From now on, at most so many processes and threads for all together.
    pub fn set_pids(&self, number: u64) -> Result<()> {
        self.change(Limit::Pids, |limits| limits.pids = Some(number))
    }

    fn change(&self, limit: Limit, change: impl FnOnce(&mut Limits)) -> Result<()> {
        let alive = self.alive()?;
        let mut state = self.state();
        if !state.limits.sets(limit) {
            return Err(Error::invalid(
                format!("limit {limit}"),
                "the policy sets none, so there is none to change",
            )
            .hint(format!("set {limit} in the sandbox's policy: it can be changed from there")));
        }
        let mut limits = state.limits.clone();
        change(&mut limits);
        alive.change(limit, &limits)?;
        alive.hold_together(&limits)?;
        state.limits = limits;
        Ok(())
    }

    pub(crate) fn alive(&self) -> Result<Arc<Alive>> {
        self.0.alive()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }
}

impl Shared {
    fn alive(&self) -> Result<Arc<Alive>> {
        self.state().alive.clone().ok_or_else(closed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for Shared {
    /// Any number of commands can run in a cell at once.
    fn take(
        &self,
        number: usize,
        _: Option<Instant>,
        _: Option<Instant>,
    ) -> Result<Option<Vec<Place>>> {
        let alive = self.alive()?;
        Ok(Some((0..number).map(|_| Place { alive: alive.clone(), lease: None }).collect()))
    }
}

fn closed() -> Error {
    Error::invalid("cell", "it has been closed")
        .hint("run commands before that, or start another cell")
}
