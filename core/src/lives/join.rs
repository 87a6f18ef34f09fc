//! Joining: runs commands in namespaces that exist already, whoever created them.

use crate::base::error::{Error, Result};
use crate::base::kept::Kept;
use crate::host::namespace;
use crate::policy::Namespace;
use crate::run::command::Command;
use crate::run::ground::{Existing, Ground};
use crate::run::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Existing namespaces, named by a process, a path, or a descriptor. A later source replaces the
/// namespaces of the same kind from earlier ones.
///
/// Nothing is looked up until [`Sandbox::join`] or [`Join::persist`].
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// use seclude::{Join, Namespace, Sandbox};
/// let mut server = Sandbox::new().command("sleep").arg("1000").spawn()?;
/// let join = Join::new()
///     .process(server.id())
///     .only([Namespace::User, Namespace::Net, Namespace::Uts]);
/// let beside = Sandbox::new().join(&join)?;
/// assert_eq!(beside.command("hostname").output()?.stdout, b"sandbox\n");
/// # server.kill()
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Join {
    sources: Vec<Source>,
    only: Option<BTreeSet<Namespace>>,
}

#[derive(Debug, Clone)]
enum Source {
    Process(u32),
    Pidfd(Arc<Kept>),
    Path(PathBuf),
    Descriptor(Arc<Kept>),
}

impl Join {
    /// Names no namespace yet.
    pub fn new() -> Join {
        Join::default()
    }

    /// Adds the namespaces of a process, by its id in the caller's pid namespace. If the process
    /// ends and another one gets its id before the look-up, the namespaces are that one's. A pidfd
    /// does not have this problem.
    pub fn process(mut self, pid: u32) -> Join {
        self.sources.push(Source::Process(pid));
        self
    }

    /// Adds the namespaces of a process, by a descriptor of it: `pidfd_open(2)`, or a duplicate of
    /// [`Child::pidfd`](crate::Child::pidfd).
    pub fn pidfd(mut self, pidfd: impl Into<OwnedFd>) -> Join {
        self.sources.push(Source::Pidfd(Arc::new(pidfd.into().into())));
        self
    }

    /// Adds the namespace at a path: `/proc/PID/ns/net`, or a mount that keeps a namespace
    /// ([`Join::persist`], `ip netns add`).
    pub fn path(mut self, path: impl AsRef<Path>) -> Join {
        self.sources.push(Source::Path(path.as_ref().into()));
        self
    }

    /// Adds the namespace behind a descriptor.
    pub fn descriptor(mut self, namespace: impl Into<OwnedFd>) -> Join {
        self.sources.push(Source::Descriptor(Arc::new(namespace.into().into())));
        self
    }

    /// Takes only namespaces of these kinds from processes.
    pub fn only(mut self, kinds: impl IntoIterator<Item = Namespace>) -> Join {
        self.only = Some(kinds.into_iter().collect());
        self
    }

    /// Keeps the namespace of this kind alive, even without processes, by a mount of it at `path`.
    /// Creates a file of mode 444 there, as `ip netns add` does. The mount lasts until
    /// [`release`](crate::release) or until the machine shuts down. Takes CAP_SYS_ADMIN over the
    /// caller's mount namespace.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if no namespace of this kind is named.
    /// [`ErrorKind::NamespacesDenied`](crate::ErrorKind::NamespacesDenied) if the mount fails.
    /// Otherwise the error of creating the file.
    pub fn persist(&self, kind: Namespace, path: impl AsRef<Path>) -> Result<()> {
        let found = self.find()?.into_iter().find(|(found, _)| *found == kind);
        let (_, namespace) = found
            .ok_or_else(|| Error::invalid(format!("{kind} namespace"), "no source names one"))?;
        namespace::persist(&namespace, path.as_ref())
    }

    /// Opens the namespaces that are named, at most one of each kind.
    fn find(&self) -> Result<Vec<(Namespace, OwnedFd)>> {
        if self.sources.is_empty() {
            return Err(Error::invalid("namespaces to join", "none is named"));
        }
        let mut found: Vec<(Namespace, OwnedFd)> = Vec::new();
        let wanted = |kind: &Namespace| self.only.as_ref().is_none_or(|only| only.contains(kind));
        for source in &self.sources {
            let more = match source {
                Source::Process(pid) => namespace::of_process(*pid, wanted)?,
                Source::Pidfd(pidfd) => namespace::of_pidfd(&pidfd.try_clone()?, wanted)?,
                Source::Path(path) => vec![namespace::at(path)?],
                Source::Descriptor(descriptor) => {
                    let copy = descriptor.try_clone()?;
                    vec![(namespace::kind(copy.as_fd(), "the descriptor")?, copy)]
                }
            };
            found.retain(|(kind, _)| more.iter().all(|(other, _)| other != kind));
            found.extend(more);
        }
        Ok(found)
    }
}

/// A policy and existing namespaces. Commands run in these namespaces, and the policy determines
/// the other kinds. Made by [`Sandbox::join`] or [`NamedCell::enter`](crate::NamedCell::enter).
///
/// It holds descriptors of the namespaces, which keep them alive. A pid namespace ends with its
/// first process nevertheless.
#[derive(Debug, Clone)]
pub struct Joined {
    sandbox: Sandbox,
    existing: Arc<Existing>,
}

impl Sandbox {
    /// Prepares commands that run in existing namespaces instead of new ones of these kinds
    /// (`setns(2)`). The policy applies to everything else: the command's user, its filter, its
    /// limits, and its files unless the mount namespace is joined. The policy's user id counts in
    /// the joined user namespace, and is never root on the host.
    ///
    /// The order of entering follows from the caller's rights: first the namespaces that these
    /// reach, then the user namespace, then those over which it gives rights. If a command joins a
    /// pid namespace, the warden kills the processes that it started when it ends.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if no namespace is named or one does not
    /// exist any more. [`ErrorKind::NamespacesDenied`](crate::ErrorKind::NamespacesDenied) if the
    /// caller may not open one. Otherwise an error of the policy.
    pub fn join(&self, join: &Join) -> Result<Joined> {
        Joined::find(self, join)
    }
}

impl Joined {
    fn find(sandbox: &Sandbox, join: &Join) -> Result<Joined> {
        let mut policy = sandbox.policy().clone();
        let mut namespaces = Vec::new();
        for (kind, namespace) in join.find()? {
            if !namespace::is_callers(kind, namespace.as_fd())? {
                policy.joined.insert(kind);
                policy.share.remove(&kind);
                namespaces.push((kind, namespace.into()));
            } else if kind != Namespace::User && kind != Namespace::Time {
                // The caller is in this namespace already, so there is nothing to enter. The
                // caller's user namespace is left out, because the host's root would be within
                // reach there.
                policy.share.insert(kind);
                policy.unshare.remove(&kind);
            }
        }
        let network = policy.network.as_ref().map(|name| format!("network {name}"));
        let port = policy.ports.first().map(|text| format!("port {text:?}"));
        let out = policy.has_way_out().then(|| "egress".to_owned());
        if let Some(what) = network.or(port).or(out) {
            return Err(Error::invalid(
                what,
                "a command in existing namespaces has no network of its own besides",
            )
            .hint("leave it out, or join only the network's member"));
        }
        let sandbox = Sandbox::from_policy(policy);
        sandbox.check()?;
        Ok(Joined::new(sandbox, Existing { namespaces, cell: None }))
    }

    pub(crate) fn new(sandbox: Sandbox, existing: Existing) -> Joined {
        Joined { sandbox, existing: Arc::new(existing) }
    }

    /// Creates a command that runs in these namespaces. Every process that it starts ends with it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.sandbox.clone(), Ground::Joined(self.existing.clone()), program.as_ref())
    }

    /// The kinds of namespaces that the command enters. The policy determines the others. Kinds
    /// that the process has in common with the caller are shared.
    pub fn kinds(&self) -> BTreeSet<Namespace> {
        self.existing.namespaces.iter().map(|(kind, _)| *kind).collect()
    }
}

/// Stops keeping a namespace that [`Join::persist`] mounted at `path`: removes the mount and the
/// file. Processes in the namespace keep running.
///
/// # Errors
///
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if no namespace is mounted there. Otherwise
/// the error of the unmount.
pub fn release(path: impl AsRef<Path>) -> Result<()> {
    namespace::release(path.as_ref())
}
