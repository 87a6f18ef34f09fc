//! Asks the kernel about one namespace through a descriptor of it (`ioctl_ns(2)`), and about its
//! owner and parents.

use super::LiveNamespace;
use super::mount::Mount;
use crate::base::error::{Error, Result};
use crate::base::sys;
use crate::host::namespace::{file_name, number};
use crate::policy::Namespace;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// What an entry of `/proc/PID/ns` refers to.
pub enum Link<'a> {
    /// This namespace.
    To(&'a mut LiveNamespace),
    /// None: the process has ended or is a zombie, or this kernel lacks the kind.
    Nowhere,
    /// The caller may not inspect the process.
    Closed,
}

/// The namespaces found so far, by number.
#[derive(Default)]
pub struct Finder {
    found: BTreeMap<u64, LiveNamespace>,
}

impl Finder {
    /// The namespace of this kind that a process is in. Also adds the one for its next children,
    /// which may have no process yet.
    pub fn process(&mut self, pid: u32, kind: Namespace) -> Result<Link<'_>> {
        let next = match kind {
            Namespace::Pid => Some("pid_for_children"),
            Namespace::Time => Some("time_for_children"),
            _ => None,
        };
        if let Some(next) = next {
            self.link(pid, next, kind)?;
        }
        self.link(pid, file_name(kind), kind)
    }

    /// What one link refers to. It is opened only for an unknown namespace, because opening costs
    /// more than reading the link.
    fn link(&mut self, pid: u32, name: &str, kind: Namespace) -> Result<Link<'_>> {
        let path = format!("/proc/{pid}/ns/{name}");
        let number = fs::read_link(&path).map(|link| link.to_str().and_then(number));
        let id = match number {
            Ok(Some(id)) if self.found.contains_key(&id) => id,
            Ok(_) => match File::open(&path) {
                Ok(file) => self.add(kind, file.as_fd())?,
                Err(error) => return refused(&path, error),
            },
            Err(error) => return refused(&path, error),
        };
        Ok(self.found.get_mut(&id).map_or(Link::Nowhere, Link::To))
    }

    /// Adds a namespace that a mount keeps. If another mount covers it, or the path is not
    /// accessible, only its number is known.
    pub fn mount(&mut self, mount: Mount) -> Result<()> {
        if !self.found.contains_key(&mount.id) {
            match mount.open() {
                Ok(file) => {
                    self.add(mount.kind, file.as_fd())?;
                }
                Err(error) => {
                    refused(&mount.path.to_string_lossy(), error)?;
                }
            }
        }
        self.found
            .entry(mount.id)
            .or_insert_with(|| LiveNamespace::new(mount.kind, mount.id))
            .held_by
            .push(mount.path);
        Ok(())
    }

    /// Adds the namespace behind a descriptor, with its owner and all its parents. Returns its
    /// number.
    fn add(&mut self, kind: Namespace, descriptor: BorrowedFd<'_>) -> Result<u64> {
        let id = fstat(descriptor).map_err(|errno| Error::io("stat a namespace", errno))?.st_ino;
        if self.found.contains_key(&id) {
            return Ok(id);
        }
        let mut namespace = LiveNamespace::new(kind, id);
        if let Some(owner) = known(sys::namespace_owner(descriptor))? {
            namespace.owner = Some(self.add(Namespace::User, owner.as_fd())?);
        }
        if kind == Namespace::User {
            namespace.owner_uid = sys::namespace_owner_uid(descriptor).ok();
        }
        if matches!(kind, Namespace::Pid | Namespace::User)
            && let Some(parent) = known(sys::namespace_parent(descriptor))?
        {
            namespace.parent = Some(self.add(kind, parent.as_fd())?);
        }
        self.found.insert(id, namespace);
        Ok(id)
    }

    /// All namespaces found: by kind, outer before inner, then by number.
    pub fn sorted(self) -> Vec<LiveNamespace> {
        let depth = |namespace: &LiveNamespace| {
            std::iter::successors(namespace.parent, |parent| {
                self.found.get(parent).and_then(|outer| outer.parent)
            })
            .count()
        };
        let mut keyed: Vec<_> = self
            .found
            .values()
            .map(|namespace| ((namespace.kind, depth(namespace)), namespace))
            .collect();
        // The sort is stable: within one depth they stay in the order of their numbers.
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, namespace)| namespace.clone()).collect()
    }
}

impl LiveNamespace {
    fn new(kind: Namespace, id: u64) -> LiveNamespace {
        LiveNamespace {
            kind,
            id,
            owner: None,
            owner_uid: None,
            parent: None,
            processes: Vec::new(),
            held_by: Vec::new(),
            addresses: Vec::new(),
        }
    }
}

/// Classifies a failure to open a namespace. That another process has ended or is inaccessible is
/// no error. A shortage of the caller's own is one, because the result would be incomplete.
fn refused(path: &str, error: io::Error) -> Result<Link<'static>> {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ESRCH | Errno::ENOTDIR | Errno::ESTALE) => Ok(Link::Nowhere),
        Some(Errno::EACCES | Errno::EPERM) => Ok(Link::Closed),
        _ => Err(Error::io(format!("open {path}"), error).at(path)),
    }
}

/// The related namespace, or `None` if the caller may not know it or this kernel does not report
/// it.
fn known<T>(answer: io::Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(namespace) => Ok(Some(namespace)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EPERM | Errno::ENOTTY | Errno::EINVAL) => Ok(None),
            _ => Err(Error::io("ask for the owner of a namespace", error)),
        },
    }
}
