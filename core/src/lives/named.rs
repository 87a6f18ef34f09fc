//! Named cells: a cell is published in a directory of its user, and other processes of that user
//! find and enter it.
//!
//! An entry is a file with the identity of the warden, the policy, and the cgroups. Reading it
//! needs no answer from the warden: the warden's process shows whether the entry is still valid.
//! Whoever writes or removes entries holds the directory's lock.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes;
use crate::host::cgroup;
use crate::host::enforce::EnteredCell;
use crate::host::namespace::{self, gone};
use crate::lives::cell::Cell;
use crate::lives::join::Joined;
use crate::policy::outcome::Mechanisms;
use crate::policy::{Limit, Mechanism};
use crate::run::ground::Existing;
use crate::run::sandbox::Sandbox;
use directory::{Directory, Found};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use serde_json::{Map, Value, json};
use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;

mod control;
mod directory;

/// The longest name.
const NAME_MAX: usize = 64;

/// A published cell, as any process of its user sees it.
#[derive(Debug, Clone)]
pub struct NamedCell {
    name: String,
    warden: CellIdentity,
    sandbox: Sandbox,
    cgroups: Vec<PathBuf>,
    mechanisms: Mechanisms,
}

/// The identity of a process, which differs from that of a later process with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CellIdentity {
    pid: u32,
    /// The start time, in clock ticks since the boot (`/proc/PID/stat`).
    started: u64,
    boot: String,
    /// The pid namespace in which `pid` counts.
    tree: u64,
}

impl NamedCell {
    /// Every running published cell of this user, sorted by name. Removes entries of cells that
    /// have ended, for example because their caller was killed.
    ///
    /// # Errors
    ///
    /// An error if the directory cannot be opened or read.
    pub fn all() -> Result<Vec<NamedCell>> {
        let directory = Directory::open()?;
        let mut cells = Vec::new();
        for name in directory.names()? {
            cells.extend(directory.find_running(&name)?);
        }
        cells.sort_by(|one: &NamedCell, other| one.name.cmp(&other.name));
        Ok(cells)
    }

    /// Finds the cell with this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the name is malformed or no running cell has it. An error if the
    /// directory cannot be opened or read.
    pub fn find(name: &str) -> Result<NamedCell> {
        check_name(name)?;
        let found = Directory::open()?.find_running(name)?;
        found.ok_or_else(|| {
            Error::invalid(format!("cell {name}"), "no cell of this name lives")
                .hint("Cell::publish gives it one")
        })
    }

    /// The cell's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id of the cell's warden, in the caller's pid namespace.
    pub fn pid(&self) -> u32 {
        self.warden.pid
    }

    /// A sandbox with the cell's policy.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Enters the cell: commands run in all its namespaces and cgroups, under its policy, beside
    /// those of the cell's own caller. The processes that a command starts end with it. Wall time,
    /// output and processor time are limited for each command separately. The other limits are the
    /// cell's.
    ///
    /// Landlock's rules for signals and abstract sockets are not applied. They would separate the
    /// commands from the cell's own processes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if the cell has ended. [`ErrorKind::WardenLost`] if the caller's
    /// `/proc` does not show whether it lives. [`ErrorKind::NamespacesDenied`] if the caller may
    /// not open its namespaces.
    pub fn enter(&self) -> Result<Joined> {
        let pid = self.warden.pid;
        let lost = || gone(&format!("cell {}", self.name));
        let process = open(
            &*format!("/proc/{pid}"),
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map_err(|errno| match errno {
            Errno::ENOENT | Errno::ESRCH => lost(),
            errno => Error::io(format!("open /proc/{pid}"), errno),
        })?;
        // Everything opened through this descriptor belongs to one process. It is the warden if the
        // warden still lives afterwards.
        let namespaces = namespace::of_directory(process.as_fd(), pid, |_| true)?;
        match self.warden.life() {
            Life::Lives => {}
            Life::Ended => return Err(lost()),
            Life::Unknown => {
                return Err(Error::new(
                    ErrorKind::WardenLost,
                    format!("enter the cell {}", self.name),
                )
                .because("the caller's /proc does not show whether it lives"));
            }
        }
        let mut entered = Vec::new();
        for (kind, namespace) in namespaces {
            if !namespace::is_callers(kind, namespace.as_fd())? {
                entered.push((kind, namespace.into()));
            }
        }
        let cell = EnteredCell { cgroups: self.cgroups.clone(), mechanisms: self.mechanisms };
        Ok(Joined::new(
            self.sandbox.clone().without_network(),
            Existing { namespaces: entered, cell: Some(cell) },
        ))
    }
}

/// The entry of a published cell. Dropping it removes the entry.
#[derive(Debug)]
pub(crate) struct Published {
    name: String,
    directory: PathBuf,
    warden: CellIdentity,
    owner: u32,
}

impl Published {
    pub fn new(name: &str, cell: &Cell) -> Result<Published> {
        check_name(name)?;
        let alive = cell.alive()?;
        let warden = CellIdentity::of(alive.warden.pid().unsigned_abs())?;
        let directory = Directory::open()?;
        if let Some(other) = directory.find_running(name)?.filter(|other| other.warden != warden) {
            return Err(Error::invalid(
                format!("cell {name}"),
                format!("another one lives under this name: process {}", other.warden.pid),
            )
            .errno(libc::EEXIST));
        }
        let text = {
            let enforcement = alive.enforcement();
            encode(&alive.sandbox, &warden, &enforcement.cgroup, &enforcement.mechanisms)?
        };
        directory.write(name, &text)?;
        Ok(Published {
            name: name.into(),
            directory: directory.path().into(),
            warden,
            owner: std::process::id(),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if self.owner == std::process::id()
            && let Ok(directory) = Directory::at(&self.directory)
            && let Ok(Found::Cell(cell)) = directory.read(&self.name)
            && cell.warden == self.warden
        {
            directory.remove(&self.name);
        }
    }
}

impl CellIdentity {
    fn of(pid: u32) -> Result<CellIdentity> {
        let unknown = || {
            Error::new(ErrorKind::WardenLost, "look at the cell's warden")
                .because("the caller's /proc does not show it")
        };
        let started = processes::started(pid)?.ok_or_else(unknown)?;
        Ok(CellIdentity {
            pid,
            started,
            boot: boot().ok_or_else(unknown)?,
            tree: tree()?.ok_or_else(unknown)?,
        })
    }

    fn life(&self) -> Life {
        match boot() {
            None => return Life::Unknown,
            // After a reboot the same process id and start time may belong to another process.
            Some(boot) if boot != self.boot => return Life::Ended,
            Some(_) => {}
        }
        if !matches!(tree(), Ok(Some(tree)) if tree == self.tree) {
            return Life::Unknown;
        }
        match processes::started(self.pid) {
            Ok(Some(started)) if started == self.started => Life::Lives,
            Ok(_) => Life::Ended,
            Err(_) => Life::Unknown,
        }
    }
}

/// What the caller knows about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Lives,
    Ended,
    /// The caller is in another pid namespace, or its `/proc` does not show the process.
    Unknown,
}

fn boot() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn tree() -> Result<Option<u64>> {
    const LINK: &str = "/proc/thread-self/ns/pid";
    let link =
        fs::read_link(LINK).map_err(|error| Error::io(format!("read {LINK}"), error).at(LINK))?;
    Ok(link.to_str().and_then(namespace::number))
}

fn check_name(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > NAME_MAX || name.starts_with('.') || !name.bytes().all(plain)
    {
        return Err(Error::invalid(
            format!("cell {name:?}"),
            format!(
                "a name has 1 to {NAME_MAX} letters, digits, dots, hyphens and underscores, and \
                does not begin with a dot"
            ),
        ));
    }
    Ok(())
}

// ---- the entry as text

fn encode(
    sandbox: &Sandbox,
    warden: &CellIdentity,
    cgroup: &cgroup::Cgroup,
    mechanisms: &Mechanisms,
) -> Result<String> {
    let policy: Value = serde_json::from_str(&sandbox.to_json()?).unwrap_or_default();
    let held: Map<String, Value> = Limit::ALL
        .iter()
        .filter_map(|limit| Some((limit.name().into(), json!(mechanisms[*limit as usize]?.name()))))
        .collect();
    let CellIdentity { pid, started, boot, tree } = warden;
    let cgroups: Vec<_> = cgroup.paths().collect();
    Ok(json!({
        "pid": pid,
        "started": started,
        "boot": boot,
        "tree": tree,
        "policy": policy,
        "cgroups": cgroups,
        "limits": held,
    })
    .to_string())
}

fn decode(name: &str, text: &str) -> Option<NamedCell> {
    let value: Value = serde_json::from_str(text).ok()?;
    let warden = CellIdentity {
        pid: value["pid"].as_u64()?.try_into().ok()?,
        started: value["started"].as_u64()?,
        boot: value["boot"].as_str()?.into(),
        tree: value["tree"].as_u64()?,
    };
    let mut mechanisms = Mechanisms::default();
    for (limit, mechanism) in value["limits"].as_object()? {
        mechanisms[Limit::from_name(limit)? as usize] =
            Some(Mechanism::from_name(mechanism.as_str()?)?);
    }
    Some(NamedCell {
        name: name.into(),
        warden,
        sandbox: Sandbox::from_json(&value["policy"].to_string()).ok()?,
        cgroups: value["cgroups"]
            .as_array()?
            .iter()
            .filter_map(|path| Some(path.as_str()?.into()))
            .collect(),
        mechanisms,
    })
}
