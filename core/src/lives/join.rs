//! Joining: commands in namespaces that exist already, whoever made them.

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

/// Namespaces that exist, named by a process, a path, or a descriptor. What is said later of a kind
/// replaces what was said before.
///
/// Nothing is looked up until [`Sandbox::join`] or [`Join::persist`].
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// use seclude::{Join, Namespace, Sandbox};
/// let mut server = Sandbox::new().command("sleep").arg("1000").spawn()?;
/// let beside = Sandbox::new().join(&Join::new().process(server.id()).only([Namespace::User, Namespace::Net, Namespace::Uts]))?;
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
    /// None.
    pub fn new() -> Join {
        Join::default()
    }

    /// Those that a process is in, by its id as the caller counts. If it ends and another gets its
    /// number before they are looked up, they are that one's: a pidfd is never mistaken.
    pub fn process(mut self, pid: u32) -> Join {
        self.sources.push(Source::Process(pid));
        self
    }

    /// Those that a process is in, by a descriptor of it: `pidfd_open(2)`, or
    /// [`Child::pidfd`](crate::Child::pidfd) duplicated.
    pub fn pidfd(mut self, pidfd: impl Into<OwnedFd>) -> Join {
        self.sources.push(Source::Pidfd(Arc::new(pidfd.into().into())));
        self
    }

    /// The one that a path leads to: `/proc/PID/ns/net`, or where one is kept by a mount
    /// ([`Join::persist`], `ip netns add`).
    pub fn path(mut self, path: impl AsRef<Path>) -> Join {
        self.sources.push(Source::Path(path.as_ref().into()));
        self
    }

    /// The one behind a descriptor.
    pub fn descriptor(mut self, namespace: impl Into<OwnedFd>) -> Join {
        self.sources.push(Source::Descriptor(Arc::new(namespace.into().into())));
        self
    }

    /// Of a process, only namespaces of these kinds.
    pub fn only(mut self, kinds: impl IntoIterator<Item = Namespace>) -> Join {
        self.only = Some(kinds.into_iter().collect());
        self
    }

    /// Keeps the namespace of this kind among them, with processes or without, by a mount of it at
    /// `path`, where a file of mode 444 is made for it: until [`release`](crate::release) or
    /// the machine's end. As `ip netns add` does: takes CAP_SYS_ADMIN over the caller's mount
    /// namespace.
    pub fn persist(&self, kind: Namespace, path: impl AsRef<Path>) -> Result<()> {
        let found = self.find()?.into_iter().find(|(found, _)| *found == kind);
        let (_, namespace) = found.ok_or_else(|| {
            Error::invalid(format!("{kind} namespace"), "is not among those that are named")
        })?;
        namespace::persist(&namespace, path.as_ref())
    }

    /// What it names, by kind, outer kinds of user namespaces' rights first.
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

/// A policy, and namespaces that exist: commands run in those, and what the policy says of the
/// other kinds holds. Made by [`Sandbox::join`], or by
/// [`NamedCell::enter`](crate::NamedCell::enter).
///
/// It holds the namespaces by descriptors: they are there as long as it is. A process tree ends
/// with its first process all the same.
#[derive(Debug, Clone)]
pub struct Joined {
    sandbox: Sandbox,
    existing: Arc<Existing>,
}

impl Sandbox {
    /// For commands in namespaces that exist already, instead of new ones of these kinds: a
    /// process's, all or some, or those that paths or descriptors lead to. The policy holds for
    /// all the rest: who the command is, its filter, limits, files if the mount namespace is not
    /// among them. The user is the policy's by its number in the user namespace that is joined,
    /// and never the host's root. `setns(2)`.
    ///
    /// They are entered in the right order, the user namespace in the middle: each that the
    /// caller's rights reach first, then those that it gives rights over. Joining a process
    /// tree, a command takes what it has started with it when it ends, by the warden's hand.
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
                // There is nothing to enter. In the caller's user namespace the host's root would
                // be within reach.
                policy.share.insert(kind);
                policy.unshare.remove(&kind);
            }
        }
        let sandbox = Sandbox::from_policy(policy);
        sandbox.check()?;
        Ok(Joined::new(sandbox, Existing { namespaces, cell: None }))
    }

    pub(crate) fn new(sandbox: Sandbox, existing: Existing) -> Joined {
        Joined { sandbox, existing: Arc::new(existing) }
    }

    /// A command to run in them. All that it starts ends with it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        Command::new(self.sandbox.clone(), Ground::Joined(self.existing.clone()), program.as_ref())
    }

    /// The kinds that are entered. The others are as the policy has them; those that a process has
    /// in common with the caller are shared.
    pub fn kinds(&self) -> BTreeSet<Namespace> {
        self.existing.namespaces.iter().map(|(kind, _)| *kind).collect()
    }
}

/// Lets go of a namespace that [`Join::persist`] keeps at `path`: takes the mount and the file
/// away. What still runs in it goes on. An error if none is kept there.
pub fn release(path: impl AsRef<Path>) -> Result<()> {
    namespace::release(path.as_ref())
}
