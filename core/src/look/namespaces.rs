//! The existing namespaces as the caller sees them: their kinds, their owners, how they nest, and
//! which processes are in them. That is the information of lsns(8) and pstree(1) in one value.
//!
//! The information comes from `/proc` and from descriptors, read one after another. A process that
//! ends meanwhile is left out, and one that the caller may not inspect is listed as such. Nothing
//! is entered, stopped or changed. `find` asks the kernel about one namespace. `mount` lists those
//! that a mount keeps. `host::namespace` opens namespaces to enter.

mod addresses;
mod find;
mod mount;

use crate::base::error::Result;
use crate::base::processes::{self, Process};
use crate::policy::Namespace;
use find::{Finder, Link};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// An existing namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveNamespace {
    /// The kind of the namespace.
    pub kind: Namespace,
    /// Its inode number, as `readlink /proc/PID/ns/…` shows it. No other namespace of any kind has
    /// it at the same time.
    pub id: u64,
    /// The user namespace that owns it: capabilities there apply to it. For a user namespace, its
    /// parent. `None` for the initial user namespace, and where the caller may not know it because
    /// it is in another branch or further inside.
    pub owner: Option<u64>,
    /// For a user namespace, the user who created it, as an id in the caller's user namespace:
    /// `/proc/sys/kernel/overflowuid` if the user has none there.
    pub owner_uid: Option<u32>,
    /// For a pid or user namespace, its parent. `None` in the same cases as for the owner.
    pub parent: Option<u64>,
    /// The processes in it, each after its parent. Processes in nested namespaces are not
    /// included.
    pub processes: Vec<Arc<Process>>,
    /// The mounts in the caller's own mount namespace that keep it alive, even without processes.
    pub held_by: Vec<PathBuf>,
    /// For a network namespace, the addresses that others can reach, IPv4 first, without loopback
    /// and link-local ones. None are known if no process is in it, or `/proc` does not show them.
    pub addresses: Vec<IpAddr>,
}

/// The namespaces that the caller can see: the result of [`namespaces`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespaces {
    /// The namespaces, by kind in the order of [`Namespace::ALL`], outer ones before inner ones.
    pub list: Vec<LiveNamespace>,
    /// The processes whose namespaces are unknown because the caller may not inspect them
    /// (`ptrace(2)`, "access mode checking"). They usually belong to another user. Their ids in
    /// nested pid namespaces are known nevertheless: [`Process::pids`].
    pub closed: Vec<Arc<Process>>,
}

impl Namespaces {
    /// The namespace with this number.
    pub fn get(&self, id: u64) -> Option<&LiveNamespace> {
        self.list.iter().find(|namespace| namespace.id == id)
    }

    /// The namespace of this kind that a process is in, by its id in the caller's pid namespace.
    pub fn of(&self, pid: u32, kind: Namespace) -> Option<&LiveNamespace> {
        let within = |namespace: &LiveNamespace| {
            namespace.processes.iter().any(|process| process.pid == pid)
        };
        self.list.iter().find(|namespace| namespace.kind == kind && within(namespace))
    }
}

/// Finds every namespace that the caller can see, and the processes in each.
///
/// The result has the namespaces of all processes in `/proc`; those that a process has set for its
/// next children; those that own or contain one of these, even without processes; and those that a
/// mount keeps. It lacks namespaces that only an open descriptor keeps. An unprivileged caller sees
/// those of its own processes and sandboxes. Other processes are in [`Namespaces::closed`].
///
/// # Errors
///
/// An error if `/proc` cannot be read or no descriptor can be opened. What other processes do
/// meanwhile never causes one.
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// use seclude::Namespace;
///
/// let mut child = seclude::Sandbox::new().command("sleep").arg("1000").spawn()?;
/// let seen = seclude::namespaces()?;
/// let inside = seen.of(child.id(), Namespace::Pid).expect("it may be looked into");
/// assert_eq!(inside.processes[0].inside_pid, 1);
/// let around = inside.parent.and_then(|id| seen.get(id)).expect("ours");
/// assert!(around.processes.iter().any(|process| process.pid == std::process::id()));
/// # child.kill()?;
/// # child.wait()?;
/// # Ok(())
/// # }
/// ```
pub fn namespaces() -> Result<Namespaces> {
    let mut finder = Finder::default();
    let mut closed = Vec::new();
    for process in processes::all()? {
        let process = Arc::new(process);
        for kind in Namespace::ALL {
            match finder.process(process.pid, *kind)? {
                Link::To(namespace) => namespace.processes.push(Arc::clone(&process)),
                Link::Nowhere => {}
                Link::Closed => {
                    closed.push(Arc::clone(&process));
                    break;
                }
            }
        }
    }
    for mount in mount::all()? {
        finder.mount(mount)?;
    }
    let mut list = finder.sorted();
    for network in list.iter_mut().filter(|one| one.kind == Namespace::Net) {
        network.addresses =
            network.processes.first().map_or_else(Vec::new, |process| addresses::of(process.pid));
    }
    Ok(Namespaces { list, closed })
}
