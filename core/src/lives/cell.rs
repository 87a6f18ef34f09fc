//! A cell: a sandbox that keeps running and executes many commands, in turn or at the same time.

use crate::base::error::{Error, Result};
use crate::base::processes::Process;
use crate::lives::named::Published;
use crate::policy::outcome::{EgressReport, Enforced, Usage};
use crate::policy::{Cores, Limit, Limits};
use crate::run::alive::{Alive, Freezer, Purpose};
use crate::run::command::Command;
use crate::run::current_usage;
use crate::run::ground::{Ground, Keeper, Place};
use crate::run::network::Network;
use crate::run::ports::PublishedPort;
use crate::run::sandbox::Sandbox;
use crate::run::transfer::{Copied, Transfer};
use crate::wire::message::{Request, end};
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A running sandbox for many commands. They share files, processes and network, and each command
/// finds what earlier ones left behind.
///
/// The sandbox's limits on memory, processes, processor time, and input and output apply to all
/// commands together. Its limits on wall time and output apply to each command separately, and so
/// do [`Command::memory`], [`Command::cpu_time`] and [`Command::pids`]. Each command has its own
/// outcome and usage. The usage is that of its first process and of the processes that this one has
/// waited for. If the command has a cgroup of its own, the usage is what that has counted.
///
/// This is a handle: clones refer to the same cell. Everything inside ends when the last clone and
/// the last child are dropped, when the caller ends, or with [`Cell::close`]. In a process forked
/// by the caller, dropping it only closes its descriptors.
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
pub struct Cell(Arc<SharedCell>);

#[derive(Debug)]
struct SharedCell {
    sandbox: Sandbox,
    state: Mutex<CellState>,
}

#[derive(Debug)]
struct CellState {
    /// `None` once the cell has been closed.
    alive: Option<Arc<Alive>>,
    enforced: Enforced,
    limits: Limits,
    /// The entry under which other processes find the cell.
    published: Option<Published>,
}

impl Sandbox {
    /// Starts a [`Cell`]: a sandbox that keeps running, for many commands. Set-up is complete when
    /// this returns.
    ///
    /// # Errors
    ///
    /// The error of the set-up step that failed, as [`Command::spawn`] returns it.
    pub fn cell(&self) -> Result<Cell> {
        Cell::start(self)
    }
}

impl Cell {
    fn start(sandbox: &Sandbox) -> Result<Cell> {
        let alive = Alive::start(sandbox, Purpose::Cell)?;
        let enforced = alive.ready()?;
        let limits = sandbox.policy().limits.clone();
        let state = CellState { alive: Some(Arc::new(alive)), enforced, limits, published: None };
        Ok(Cell(Arc::new(SharedCell { sandbox: sandbox.clone(), state: Mutex::new(state) })))
    }

    /// Creates a command that runs in the cell. Many can run at once.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.0.sandbox.clone(), Ground::Kept(self.0.clone()), program.as_ref())
    }

    /// The protections and limits that are enforced on all commands in the cell.
    pub fn enforced(&self) -> Enforced {
        self.state().enforced
    }

    /// The warden's process id in the caller's pid namespace. A reset changes it.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed.
    pub fn id(&self) -> Result<u32> {
        Ok(self.alive()?.warden.pid().unsigned_abs())
    }

    /// Publishes the cell under a name, until it is closed or published under another one. Other
    /// processes of the caller's user find and enter it by that name
    /// ([`NamedCell`](crate::NamedCell)). A name has 1 to 64 letters, digits, dots, hyphens and
    /// underscores, and does not begin with a dot.
    ///
    /// The entry is in the directory that the environment variable SECLUDE_CELLS names, else in
    /// `$XDG_RUNTIME_DIR/seclude`, else in `/run/seclude` for root and in `/tmp/seclude-UID` for
    /// other users. The directory must belong to the user, and others must not be able to write to
    /// it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the name is malformed, if another cell
    /// uses it, or if others can write to the directory. An error if the entry cannot be written.
    pub fn publish(&self, name: &str) -> Result<()> {
        if self.state().published.as_ref().is_some_and(|published| published.name() == name) {
            return Ok(());
        }
        let published = Published::new(name, self)?;
        // Dropping the entry of an earlier name removes it.
        let before = self.state().published.replace(published);
        drop(before);
        Ok(())
    }

    /// Every process inside, the warden first: its ids inside and outside, parent, command, user.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed or `/proc` cannot be read.
    pub fn processes(&self) -> Result<Vec<Process>> {
        self.alive()?.processes()
    }

    /// What all commands have used since the cell was started or reset. With a cgroup the numbers
    /// are exact. Without one they cover the running processes, and the ended ones that these and
    /// the warden have waited for.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed or `/proc` cannot be read.
    pub fn usage(&self) -> Result<Usage> {
        let alive = self.alive()?;
        current_usage::read(
            &alive.processes()?,
            Some(alive.warden.pid()),
            alive.started(),
            &alive.counters(),
        )
    }

    /// Stops everything inside until [`Cell::thaw`]. Returns the mechanism. Wall times keep
    /// running.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed, if processes appear faster than they can be stopped,
    /// or if the kernel does not freeze them within 10 seconds (SIGSTOP: one). Everything continues
    /// then.
    pub fn freeze(&self) -> Result<Freezer> {
        self.alive()?.freeze()
    }

    /// Resumes everything inside. Has no effect if nothing is frozen.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed or a cgroup file cannot be written.
    pub fn thaw(&self) -> Result<()> {
        self.alive()?.thaw()
    }

    /// Kills everything inside. Running commands end as [`Ended::Killed`](crate::Ended::Killed).
    /// The cell stays, with its files. Does not wait for the processes to end.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed or the request cannot be sent.
    pub fn kill_all(&self) -> Result<()> {
        self.alive()?.ask(None, &Request::Kill { how: end::KILLED }, &[])
    }

    /// The addresses in the private networks that the cell is a member of, those of its policy's
    /// network first.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed.
    pub fn addresses(&self) -> Result<Vec<IpAddr>> {
        Ok(self.alive()?.addresses())
    }

    /// The ports that are published on the host ([`Sandbox::ports`]), in the order of the policy.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed.
    pub fn ports(&self) -> Result<Vec<PublishedPort>> {
        Ok(self.alive()?.ports())
    }

    /// What the cell's commands have reached outside by the rules of its policy
    /// ([`Sandbox::egress`]), and what they have tried in vain, since the cell was started or
    /// reset.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed.
    pub fn egress(&self) -> Result<EgressReport> {
        Ok(self.alive()?.egress())
    }

    /// Waits until a TCP socket listens on `port` in the cell's network, as
    /// [`Child::wait_ready`](crate::Child::wait_ready) does. Returns `false` if the cell has ended
    /// or `timeout` is over.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed or `/proc` cannot be read.
    pub fn wait_ready(&self, port: u16, timeout: Duration) -> Result<bool> {
        self.alive()?.wait_ready(None, port, timeout)
    }

    /// Makes the running cell a member of a private network, by a further Ethernet device. Returns
    /// its addresses there. The other members find it by its host name, if its policy sets one. It
    /// finds them by their addresses: its own `/etc/hosts` lists only the network of its policy.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the cell has been closed or has no
    /// network of its own, if the subnets overlap with those of a network that it is a member of,
    /// if a member has its host name, or if no address is left. Otherwise as
    /// [`Network::new`].
    pub fn connect(&self, network: &Network) -> Result<Vec<IpAddr>> {
        self.alive()?.connect(network)
    }

    /// Takes the running cell out of a private network. Its connections there stop.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the cell has been closed or is no
    /// member of the network. An error if the kernel cannot remove the link.
    pub fn disconnect(&self, network: &Network) -> Result<()> {
        self.alive()?.disconnect(network)
    }

    /// Returns the cell to its state after set-up. It has no processes, empty scratch file systems,
    /// and zero cgroup counters. Network, System V objects, message queues, keys and clocks are
    /// new. The caller's files that are bound writable stay as they are. Running commands end as
    /// [`Ended::Killed`](crate::Ended::Killed). The cell is a member of its policy's network again,
    /// and of no other. It keeps its address there, and its ports on the host.
    ///
    /// The first reset creates a [template](Sandbox::prepare) if the policy allows one. Later
    /// resets then cost a fraction of a new cell.
    ///
    /// # Errors
    ///
    /// An error if the cell has been closed or the new sandbox cannot be set up.
    pub fn reset(&self) -> Result<()> {
        self.0.sandbox.prepare()?;
        let mut state = self.state();
        let old = state.alive.clone().ok_or_else(closed)?;
        let alive = old.start_again()?;
        state.enforced = alive.ready()?;
        state.limits = self.0.sandbox.policy().limits.clone();
        state.alive = Some(Arc::new(alive));
        let published = state.published.take();
        drop(state);
        old.close();
        // The cell keeps its name, so publish it again with the new warden.
        published.map_or(Ok(()), |published| self.publish(published.name()))
    }

    /// Kills everything inside and waits until it is gone. Using the cell afterwards is an error.
    /// Closing it again has no effect.
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

    /// Whether the cell can run commands: it has not been closed, and its warden lives.
    pub fn is_alive(&self) -> bool {
        self.alive().is_ok_and(|alive| alive.warden.serves())
    }

    // ---- files

    /// Copies a file or tree out of the cell, as [`Child::copy_out`](crate::Child::copy_out) does.
    ///
    /// # Errors
    ///
    /// As [`Child::copy_out`](crate::Child::copy_out), or an error if the cell has been closed.
    pub fn copy_out(
        &self,
        inside: impl AsRef<Path>,
        to: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.alive()?.copy_out(inside, to, transfer)
    }

    /// Copies a file or tree into the cell, as [`Child::copy_in`](crate::Child::copy_in) does.
    ///
    /// # Errors
    ///
    /// As [`Child::copy_in`](crate::Child::copy_in), or an error if the cell has been closed.
    pub fn copy_in(
        &self,
        from: impl AsRef<Path>,
        inside: impl AsRef<Path>,
        transfer: &Transfer,
    ) -> Result<Copied> {
        self.alive()?.copy_in(from, inside, transfer)
    }

    // ---- changes of limits, which last until a reset

    /// Changes the limit on the memory of all commands together, in bytes, as
    /// [`Child::set_memory`](crate::Child::set_memory) does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the policy sets no such limit.
    /// Otherwise an error if the limit cannot be changed.
    pub fn set_memory(&self, bytes: impl Into<u64>) -> Result<()> {
        let bytes = bytes.into();
        self.change(Limit::Memory, |limits| limits.memory = Some(bytes))
    }

    /// Changes the limit on the processors that all commands together can use, as a number of
    /// cores.
    ///
    /// # Errors
    ///
    /// As [`Cell::set_memory`].
    pub fn set_cpus(&self, number: f64) -> Result<()> {
        self.change(Limit::Cpus, |limits| limits.cpus = Some(Cores(number)))
    }

    /// Changes the limit on the number of processes and threads of all commands together.
    ///
    /// # Errors
    ///
    /// As [`Cell::set_memory`].
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

    fn state(&self) -> MutexGuard<'_, CellState> {
        self.0.state()
    }
}

impl SharedCell {
    fn alive(&self) -> Result<Arc<Alive>> {
        self.state().alive.clone().ok_or_else(closed)
    }

    fn state(&self) -> MutexGuard<'_, CellState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for SharedCell {
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
