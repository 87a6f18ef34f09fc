//! The caller's view of the namespaces that exist: their kinds, who owns them, how they nest, and
//! which processes are in them. It is what lsns(8) and pstree(1) tell, in one value.
//!
//! Read from `/proc` and from descriptors, at one moment after the other: a process that ends
//! meanwhile is left out, and one that the caller may not look into is told as such. Nothing is
//! entered, stopped or changed. `find` asks the kernel about one namespace, `kept` knows those that
//! a mount keeps; `host::namespace` opens those that are to be entered.

mod find;
mod kept;

use crate::base::error::Result;
use crate::base::processes::{self, Process};
use crate::policy::Namespace;
use find::{Finder, Link};
use std::path::PathBuf;
use std::sync::Arc;

/// A namespace that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveNamespace {
    /// Its kind.
    pub kind: Namespace,
    /// Its number, which no other namespace of any kind has while it exists: the inode that
    /// `readlink /proc/PID/ns/…` shows.
    pub id: u64,
    /// The user namespace that it belongs to: who has capabilities there has them over it. For a
    /// user namespace, its parent. `None` where the caller may not know it, being in another
    /// branch or further inside; the first of all user namespaces has none.
    pub owner: Option<u64>,
    /// Of a user namespace, the user who made it, as the caller counts:
    /// `/proc/sys/kernel/overflowuid` if nobody that it knows.
    pub owner_uid: Option<u32>,
    /// Of a pid or user namespace, the one around it. `None` as for the owner.
    pub parent: Option<u64>,
    /// The processes in it, each after its parent. Those in namespaces further inside are not
    /// among them.
    pub processes: Vec<Arc<Process>>,
    /// The mounts that keep it, with processes or without: those of the caller's own mount
    /// namespace.
    pub held_by: Vec<PathBuf>,
}

/// The namespaces that the caller may see: the answer of [`namespaces`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespaces {
    /// Each namespace, by kind in the order of [`Namespace::ALL`], outer ones before inner ones.
    pub list: Vec<LiveNamespace>,
    /// The processes whose namespaces are not known, for the caller may not look into them
    /// (`ptrace(2)`, "access mode checking"): another user's, as a rule. How deep they are in
    /// pid namespaces is known, too: [`Process::pids`].
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

/// Finds every namespace that the caller may see, and the processes in each.
///
/// Found are the namespaces of all processes in `/proc`; those that a process has ready for its
/// next children; those that own or surround one of these, though nobody is in them; and those that
/// a mount keeps. Not found are namespaces that only an open descriptor keeps. An unprivileged
/// caller sees those of its own processes and sandboxes: the rest are told as
/// [`Namespaces::closed`].
///
/// Fails if `/proc` cannot be read, or no descriptor can be opened; never because of what another
/// process does meanwhile.
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
    for mount in kept::mounts()? {
        finder.mount(mount)?;
    }
    Ok(Namespaces { list: finder.sorted(), closed })
}
