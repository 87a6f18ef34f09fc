//! Cells by name: a living cell is published in a directory of its user's own, and another process
//! of that user finds and enters it.
//!
//! An entry is a file that says which process the warden is, what the policy, and which cgroups.
//! Nobody needs to answer for it: whether it still tells the truth is seen from the process. All
//! who write or tidy up hold the directory's lock meanwhile.

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

mod directory;

/// The longest name.
const NAME_MAX: usize = 64;

/// A cell that has been published, seen from any process of its user's.
#[derive(Debug, Clone)]
pub struct NamedCell {
    name: String,
    warden: Identity,
    sandbox: Sandbox,
    cgroups: Vec<PathBuf>,
    mechanisms: Mechanisms,
}

/// A process, told from another one that may get its number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    pid: u32,
    /// When it started, in the kernel's ticks since the boot.
    started: u64,
    boot: String,
    /// The pid namespace in which it has that number.
    tree: u64,
}

impl NamedCell {
    /// Every published cell of this user's that lives, by name. Entries of others are removed: of a
    /// caller that was killed, for one.
    pub fn all() -> Result<Vec<NamedCell>> {
        let directory = Directory::open()?;
        let mut cells = Vec::new();
        for name in directory.names()? {
            cells.extend(directory.living(&name)?);
        }
        cells.sort_by(|one: &NamedCell, other| one.name.cmp(&other.name));
        Ok(cells)
    }

    /// The one of this name; an error if none lives.
    pub fn find(name: &str) -> Result<NamedCell> {
        check_name(name)?;
        let found = Directory::open()?.living(name)?;
        found.ok_or_else(|| {
            Error::invalid(format!("cell {name}"), "no cell of this name lives")
                .hint("Cell::publish gives it one")
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its warden's process id, as the caller counts.
    pub fn pid(&self) -> u32 {
        self.warden.pid
    }

    /// Its policy.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Enters it: commands run in all its namespaces and cgroups, under its policy, beside those of
    /// the cell's own caller. What one has started ends with it. Wall time, output and
    /// processor time are each command's own; the other limits are the cell's.
    ///
    /// What Landlock says of signals and abstract sockets is left out, for they would not reach the
    /// cell's own processes.
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
        // What is opened through it is of one process: of this one, if this one is still there
        // then.
        let namespaces = namespace::of_directory(process.as_fd(), pid, |_| true)?;
        match self.warden.life() {
            Life::Lives => {}
            Life::Ended => return Err(lost()),
            Life::Unknown => {
                return Err(Error::new(
                    ErrorKind::WardenLost,
                    format!("enter the cell {}", self.name),
                )
                .because("the caller's /proc does not tell whether it lives"));
            }
        }
        let mut entered = Vec::new();
        for (kind, namespace) in namespaces {
            if !namespace::is_callers(kind, namespace.as_fd())? {
                entered.push((kind, namespace.into()));
            }
        }
        let cell = EnteredCell { cgroups: self.cgroups.clone(), mechanisms: self.mechanisms };
        Ok(Joined::new(self.sandbox.clone(), Existing { namespaces: entered, cell: Some(cell) }))
    }
}

/// A cell under a name; not any more, when this is dropped.
#[derive(Debug)]
pub(crate) struct Published {
    name: String,
    directory: PathBuf,
    warden: Identity,
    owner: u32,
}

impl Published {
    pub fn new(name: &str, cell: &Cell) -> Result<Published> {
        check_name(name)?;
        let alive = cell.alive()?;
        let warden = Identity::of(alive.warden.pid().unsigned_abs())?;
        let directory = Directory::open()?;
        if let Some(other) = directory.living(name)?.filter(|other| other.warden != warden) {
            return Err(Error::invalid(
                format!("cell {name}"),
                format!("another one lives under this name: process {}", other.warden.pid),
            )
            .errno(libc::EEXIST));
        }
        let text = {
            let enforcement = alive.enforcement();
            write(&alive.sandbox, &warden, &enforcement.cgroup, &enforcement.mechanisms)?
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

impl Identity {
    fn of(pid: u32) -> Result<Identity> {
        let unknown = || {
            Error::new(ErrorKind::WardenLost, "look at the cell's warden")
                .because("the caller's /proc does not show it")
        };
        let started = processes::started(pid)?.ok_or_else(unknown)?;
        Ok(Identity {
            pid,
            started,
            boot: boot().ok_or_else(unknown)?,
            tree: tree()?.ok_or_else(unknown)?,
        })
    }

    fn life(&self) -> Life {
        match boot() {
            None => return Life::Unknown,
            // A number and a time of an earlier boot may be another process's in this one.
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

/// What the caller can say of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Lives,
    Ended,
    /// The caller counts in another process tree, or its `/proc` does not tell.
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
                "a name has 1 to {NAME_MAX} letters, digits, dots, hyphens and underscores, and does not begin with a dot"
            ),
        ));
    }
    Ok(())
}

// ---- the entry as text

fn write(
    sandbox: &Sandbox,
    warden: &Identity,
    cgroup: &cgroup::Cgroup,
    mechanisms: &Mechanisms,
) -> Result<String> {
    let policy: Value = serde_json::from_str(&sandbox.to_json()?).unwrap_or_default();
    let held: Map<String, Value> = Limit::ALL
        .iter()
        .filter_map(|limit| Some((limit.name().into(), json!(mechanisms[*limit as usize]?.name()))))
        .collect();
    let Identity { pid, started, boot, tree } = warden;
    let cgroups: Vec<_> = cgroup.paths().collect();
    Ok(json!({"pid": pid, "started": started, "boot": boot, "tree": tree, "policy": policy, "cgroups": cgroups, "limits": held})
        .to_string())
}

fn read(name: &str, text: &str) -> Option<NamedCell> {
    let value: Value = serde_json::from_str(text).ok()?;
    let warden = Identity {
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
