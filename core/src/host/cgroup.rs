//! The cgroups of one sandbox: a directory in the v2 hierarchy, one in each v1 hierarchy whose
//! controller it takes. Found by `hierarchy`, made by `place`, owned and removed by `directory`,
//! written by `settings`, read by `counters`.
//!
//! Nothing of this host's is changed but directories that carry our name: no process is moved but
//! the warden, no controller is turned on but below a directory that the caller named or systemd
//! gave us. What is below the caller's own cgroup shares its limits.

mod counters;
mod directory;
mod freezer;
mod hierarchy;
mod place;
mod settings;
mod systemd;

pub use counters::Counters;
pub use freezer::Froze;
pub use hierarchy::Controller;
pub use place::find;

use crate::base::error::{Error, Result, Shortage};
use crate::policy::{Limit, Limits, Mechanism};
use crate::wire::message::{gauge, meter};
use directory::Directory;
use place::V2;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::path::Path;

/// The directories of one sandbox, or below them, of one command among others.
#[derive(Debug, Default)]
pub struct Cgroup {
    /// In the v2 hierarchy.
    v2: Option<V2>,
    /// In v1 hierarchies, each with the controllers of that hierarchy.
    v1: Vec<(Directory, Vec<Controller>)>,
    /// Where the processes are while they stand still.
    frozen: Option<freezer::Frozen>,
    /// It is a command's alone: the warden is not in it.
    among: bool,
}

/// By what a new process enters the directories of one sandbox.
#[derive(Debug)]
pub struct Doors<'c> {
    /// The v2 directory, for `CLONE_INTO_CGROUP`.
    pub v2: Option<BorrowedFd<'c>>,
    /// The file `tasks` of the v1 directories, in their order, for it to write: as many as it may
    /// enter by itself.
    pub v1: Vec<File>,
}

/// Which directories a process stands in.
#[derive(Debug, Default, Clone, Copy)]
pub struct Entered {
    pub v2: bool,
    /// So many of version 1, from the first.
    pub v1: usize,
}

impl Cgroup {
    /// Whether there is no directory at all.
    pub fn is_empty(&self) -> bool {
        self.v2.is_none() && self.v1.is_empty()
    }

    /// The directory in which this controller counts for us, and of which version it is.
    fn with(&self, controller: Controller) -> Option<(Mechanism, &Directory)> {
        let v2 = self
            .v2
            .iter()
            .find(|v2| v2.controllers.contains(&controller))
            .map(|v2| (Mechanism::CgroupV2, &v2.directory));
        v2.or_else(|| {
            let v1 = self.v1.iter().find(|(_, on)| on.contains(&controller));
            v1.map(|(directory, _)| (Mechanism::CgroupV1, directory))
        })
    }

    /// Whether there is a directory with the controller that this limit takes.
    pub fn controls(&self, limit: Limit) -> bool {
        Controller::of(limit).is_some_and(|controller| self.with(controller).is_some())
    }

    /// By what a new process enters it.
    pub fn doors(&self) -> Doors<'_> {
        // Who enters a cpuset has its memory policy changed, which at that moment is the caller's.
        let v1 = self.v1.iter().take_while(|(_, on)| !on.contains(&Controller::Cpuset));
        Doors {
            v2: self.v2.as_ref().and_then(|v2| v2.home().opened()),
            v1: v1.map_while(|(directory, _)| directory.open_to_write("tasks").ok()).collect(),
        }
    }

    /// The files by which a process with a memory of its own enters all of it; `None` if the caller
    /// may not open one.
    pub fn all_doors(&self) -> Result<Option<Vec<File>>> {
        let v2 = self.v2.iter().map(|v2| (v2.home(), "cgroup.procs"));
        let v1 = self.v1.iter().map(|(directory, _)| (directory, "tasks"));
        let mut doors = Vec::new();
        for (directory, name) in v2.chain(v1) {
            match directory.open_to_write(name) {
                Ok(file) => doors.push(file),
                Err(error) if error.raw_os_error().and_then(Shortage::of).is_some() => {
                    return Err(directory::failed("open", &directory.path().join(name), &error));
                }
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(doors))
    }

    /// Whether the kernel ends all that is in it at one word: `cgroup.kill`, Linux 5.14.
    pub fn kills(&self) -> bool {
        // Where that cannot be seen, it is not promised.
        self.v2.as_ref().is_some_and(|v2| v2.directory.has("cgroup.kill").unwrap_or(false))
    }

    /// Has the kernel end all that is in it, where it can.
    pub fn kill(&self) {
        if let Some(v2) = self.v2.as_ref().filter(|_| self.kills()) {
            // The caller ends process by process whatever this leaves.
            let _ = v2.directory.write("cgroup.kill", "1");
        }
    }

    /// Moves the process into those that it has not entered yet; what that starts from now on is in
    /// it too.
    pub fn admit(&self, pid: i32, entered: Entered) -> Result<()> {
        let v2 = self.v2.iter().filter(|_| !entered.v2).map(V2::home);
        for directory in v2.chain(self.v1.iter().skip(entered.v1).map(|(directory, _)| directory)) {
            directory.write("cgroup.procs", &pid.to_string())?;
        }
        Ok(())
    }

    /// The directories in which its processes are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.v2
            .iter()
            .map(V2::home)
            .chain(self.v1.iter().map(|(directory, _)| directory))
            .map(Directory::path)
    }

    /// One below it for a command among others, with these controllers as far as they are on here.
    pub fn within(&self, controllers: &[Controller]) -> Result<Cgroup> {
        let mut inner = Cgroup { among: true, ..Cgroup::default() };
        for (directory, on) in self
            .v1
            .iter()
            .filter(|(_, on)| controllers.iter().any(|controller| on.contains(controller)))
        {
            place::bound_what_is_below(directory)?;
            inner.v1.push((Directory::below(directory)?, on.clone()));
        }
        // Who enters one of version 2 waits for an RCU grace period: not where version 1 has all
        // that is needed.
        let lacks =
            |controller: &Controller| !inner.v1.iter().any(|(_, on)| on.contains(controller));
        if let Some(v2) = self.v2.as_ref().filter(|_| controllers.iter().any(lacks)) {
            inner.v2 = Some(v2.within()?);
        }
        Ok(inner)
    }

    /// Sets one limit of the policy, proved by reading it back; what holds it.
    pub fn set(&self, limit: Limit, limits: &Limits) -> Result<Mechanism> {
        settings::set(self, limit, limits)
    }

    /// What measures the processor time of all that is in it.
    pub fn meter(&self) -> Result<Option<(Mechanism, u32, File)>> {
        let v2 = self
            .v2
            .iter()
            .map(|v2| (Mechanism::CgroupV2, meter::CPU_STAT, &v2.directory, "cpu.stat"));
        let v1 = self.v1.iter().filter(|(_, on)| on.contains(&Controller::Cpuacct));
        let v1 = v1.map(|(directory, _)| {
            (Mechanism::CgroupV1, meter::CPUACCT, directory, "cpuacct.usage")
        });
        for (mechanism, kind, directory, name) in v2.chain(v1) {
            match directory.open(name) {
                Ok(file) => return Ok(Some((mechanism, kind, file))),
                // This kernel has none.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(directory::failed("open", &directory.path().join(name), &error));
                }
            }
        }
        Ok(None)
    }

    /// What tells the anonymous memory of all that is in it.
    pub fn gauge(&self) -> Result<Option<(u32, File)>> {
        let Some((mechanism, directory)) = self.with(Controller::Memory) else { return Ok(None) };
        let kind = if mechanism == Mechanism::CgroupV2 { gauge::V2 } else { gauge::V1 };
        match directory.open("memory.stat") {
            Ok(file) => Ok(Some((kind, file))),
            Err(error) => {
                Err(directory::failed("open", &directory.path().join("memory.stat"), &error))
            }
        }
    }

    /// Whether the kernel tells the peak of its memory.
    pub fn tells_peak(&self) -> bool {
        match self.with(Controller::Memory) {
            Some((Mechanism::CgroupV2, directory)) => directory.has("memory.peak").unwrap_or(false),
            found => found.is_some(),
        }
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        Counters::read(self)
    }
}

/// Moves a process into a cgroup that somebody else has made.
pub fn move_into(directory: &Path, pid: i32) -> Result<()> {
    directory::write(&directory.join("cgroup.procs"), &pid.to_string())
}

/// A limit that cannot be held here.
fn unavailable(limit: Limit) -> Error {
    Error::new(crate::base::error::ErrorKind::LimitUnavailable, format!("limit {limit}"))
}
