//! The cgroups of one sandbox: one directory in the v2 hierarchy, and one in each v1 hierarchy
//! whose controller a limit needs. `hierarchy` finds the hierarchies, `place` chooses where to
//! create the directories, `directory` owns and removes them, `settings` writes limits, `counters`
//! reads usage.
//!
//! The library changes only directories that carry its name. It moves no process except the warden.
//! It enables controllers only below a directory that the caller named or that systemd delegated.
//! Directories below the caller's own cgroup share the limits of that cgroup.

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

/// The directories of one sandbox, or those of one command in a cell, which lie below the cell's.
#[derive(Debug, Default)]
pub struct Cgroup {
    /// The directory in the v2 hierarchy.
    v2: Option<V2>,
    /// The directories in v1 hierarchies, each with the controllers of its hierarchy.
    v1: Vec<(Directory, Vec<Controller>)>,
    /// The directories that hold frozen processes.
    frozen: Option<freezer::Frozen>,
    /// Whether the cgroup belongs to a single command in a cell. The warden is then not in it.
    single_command: bool,
    /// The group outside that may read the directories, because the policy shows them to it.
    shown_to: Option<u32>,
}

/// The descriptors through which a new process enters the directories of one sandbox.
#[derive(Debug)]
pub struct EntryDescriptors<'c> {
    /// The v2 directory, for `CLONE_INTO_CGROUP`.
    pub v2: Option<BorrowedFd<'c>>,
    /// The `tasks` files of the v1 directories, in their order. The new process writes 0 to each.
    /// The list stops at the first directory that the process may not enter by itself.
    pub v1: Vec<File>,
}

/// The directories that a process is in already.
#[derive(Debug, Default, Clone, Copy)]
pub struct Entered {
    pub v2: bool,
    /// How many v1 directories, counted from the first.
    pub v1: usize,
}

impl Cgroup {
    /// Whether there is no directory at all.
    pub fn is_empty(&self) -> bool {
        self.v2.is_none() && self.v1.is_empty()
    }

    /// Whether there is a directory in the v2 hierarchy.
    pub fn has_v2(&self) -> bool {
        self.v2.is_some()
    }

    /// The names of the controllers of each directory in a v1 hierarchy.
    pub fn v1_controllers(&self) -> impl Iterator<Item = impl Iterator<Item = &'static str>> {
        self.v1.iter().map(|(_, on)| on.iter().map(|controller| controller.v1_name()))
    }

    /// Lets the group of the command read the directories. Another host user may otherwise read
    /// none: see `Directory`.
    ///
    /// # Errors
    ///
    /// An error if the group or the mode cannot be changed.
    pub fn show_to(&mut self, group: u32) -> Result<()> {
        self.shown_to = Some(group);
        let v2 = self.v2.iter().flat_map(V2::directories);
        v2.chain(self.v1.iter().map(|(directory, _)| directory))
            .try_for_each(|directory| directory.show_to(group))
    }

    /// The directory that has this controller, and its cgroup version.
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

    /// Whether a directory has the controller that this limit needs.
    pub fn controls(&self, limit: Limit) -> bool {
        Controller::of(limit).is_some_and(|controller| self.with(controller).is_some())
    }

    /// Opens the descriptors through which a new process enters the directories.
    pub fn entry_descriptors(&self) -> EntryDescriptors<'_> {
        // A process that enters a cpuset gets another memory policy. At that moment the new process
        // still shares the caller's memory, so the policy would be the caller's.
        let v1 = self.v1.iter().take_while(|(_, on)| !on.contains(&Controller::Cpuset));
        EntryDescriptors {
            v2: self.v2.as_ref().and_then(|v2| v2.process_directory().opened()),
            v1: v1.map_while(|(directory, _)| directory.open_to_write("tasks").ok()).collect(),
        }
    }

    /// Opens the files through which a process with its own address space enters every directory.
    /// Returns `None` if the caller may not open one of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::HostLimit`](crate::ErrorKind::HostLimit) if the caller ran out of descriptors
    /// or memory.
    pub fn all_entry_descriptors(&self) -> Result<Option<Vec<File>>> {
        let v2 = self.v2.iter().map(|v2| (v2.process_directory(), "cgroup.procs"));
        let v1 = self.v1.iter().map(|(directory, _)| (directory, "tasks"));
        let mut files = Vec::new();
        for (directory, name) in v2.chain(v1) {
            match directory.open_to_write(name) {
                Ok(file) => files.push(file),
                Err(error) if error.raw_os_error().and_then(Shortage::of).is_some() => {
                    return Err(directory::failed("open", &directory.path().join(name), &error));
                }
                Err(_) => return Ok(None),
            }
        }
        Ok(Some(files))
    }

    /// Whether the kernel can kill the whole cgroup with one write: `cgroup.kill`, Linux 5.14.
    pub fn kills(&self) -> bool {
        // If the look-up fails, assume that the file is missing: a false yes would be a broken
        // promise.
        self.v2.as_ref().is_some_and(|v2| v2.directory.has("cgroup.kill").unwrap_or(false))
    }

    /// Kills every process in the cgroup where the kernel supports it.
    pub fn kill(&self) {
        if let Some(v2) = self.v2.as_ref().filter(|_| self.kills()) {
            // A failure is harmless: the caller then kills the remaining processes one by one.
            let _ = v2.directory.write("cgroup.kill", "1");
        }
    }

    /// Moves the process into the directories that it has not entered yet. Processes that it starts
    /// afterwards are in them too.
    ///
    /// # Errors
    ///
    /// An error if the kernel or the file permissions refuse the move.
    pub fn admit(&self, pid: i32, entered: Entered) -> Result<()> {
        let v2 = self.v2.iter().filter(|_| !entered.v2).map(V2::process_directory);
        for directory in v2.chain(self.v1.iter().skip(entered.v1).map(|(directory, _)| directory)) {
            directory.write("cgroup.procs", &pid.to_string())?;
        }
        Ok(())
    }

    /// The directories that hold the cgroup's processes.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.v2
            .iter()
            .map(V2::process_directory)
            .chain(self.v1.iter().map(|(directory, _)| directory))
            .map(Directory::path)
    }

    /// Creates a cgroup below this one for a single command in a cell. It gets those of
    /// `controllers` that are enabled here.
    ///
    /// # Errors
    ///
    /// An error if a directory cannot be created.
    pub fn within(&self, controllers: &[Controller]) -> Result<Cgroup> {
        let mut inner = Cgroup { single_command: true, ..Cgroup::default() };
        for (directory, on) in self
            .v1
            .iter()
            .filter(|(_, on)| controllers.iter().any(|controller| on.contains(controller)))
        {
            place::use_hierarchy(directory)?;
            inner.v1.push((Directory::below(directory)?, on.clone()));
        }
        // Entering a v2 cgroup waits for an RCU grace period. Create one only for controllers that
        // v1 does not provide.
        let lacks =
            |controller: &Controller| !inner.v1.iter().any(|(_, on)| on.contains(controller));
        if let Some(v2) = self.v2.as_ref().filter(|_| controllers.iter().any(lacks)) {
            inner.v2 = Some(v2.within()?);
        }
        if let Some(group) = self.shown_to {
            inner.show_to(group)?;
        }
        Ok(inner)
    }

    /// Sets one limit of the policy and verifies it by reading it back. Returns the mechanism that
    /// enforces it.
    ///
    /// # Errors
    ///
    /// An error if no controller is available, or if the kernel does not accept the value.
    pub fn set(&self, limit: Limit, limits: &Limits) -> Result<Mechanism> {
        settings::set(self, limit, limits)
    }

    /// Opens the file that counts the processor time of the whole cgroup.
    ///
    /// # Errors
    ///
    /// An error if the file exists and cannot be opened.
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
                // This kernel does not have the file.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(directory::failed("open", &directory.path().join(name), &error));
                }
            }
        }
        Ok(None)
    }

    /// Opens the file that reports the anonymous memory of the whole cgroup.
    ///
    /// # Errors
    ///
    /// An error if the file cannot be opened.
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

    /// Whether the kernel reports the cgroup's peak memory: always in v1, since Linux 5.19 in v2.
    pub fn has_memory_peak(&self) -> bool {
        match self.with(Controller::Memory) {
            Some((Mechanism::CgroupV2, directory)) => directory.has("memory.peak").unwrap_or(false),
            found => found.is_some(),
        }
    }

    /// Reads the cgroup's counters.
    pub fn counters(&self) -> Counters {
        Counters::read(self)
    }
}

/// Moves a process into a cgroup that this process did not create.
///
/// # Errors
///
/// An error if the kernel or the file permissions refuse the move.
pub fn move_into(directory: &Path, pid: i32) -> Result<()> {
    directory::write(&directory.join("cgroup.procs"), &pid.to_string())
}

/// The error for a limit that cannot be enforced on this host.
fn unavailable(limit: Limit) -> Error {
    Error::new(crate::base::error::ErrorKind::LimitUnavailable, format!("limit {limit}"))
}
