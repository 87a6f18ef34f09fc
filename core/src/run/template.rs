//! Templates. A template is a warden in the finished file system of a policy, or with the sources
//! of that, not yet locked down, out of reach of any command. It copies itself on request. A copy
//! has its own process tree, network, ids and scratch files, but does not repeat the mounts.

use crate::base::error::Result;
use crate::host::enforce::Enforcement;
use crate::host::socket::{Received, Socket};
use crate::plan::idmap::Mapping;
use crate::plan::{Manner, Part, Plan, copy};
use crate::run::alive::Alive;
use crate::run::sandbox::Sandbox;
use crate::run::warden::Warden;
use crate::wire::codec::ListBuilder;
use crate::wire::message::{NETWORK_FILES, Report, Request};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A policy's template.
#[derive(Debug)]
pub struct Template {
    warden: Warden,
    /// How its ids and those of its copies are mapped.
    pub mapping: Mapping,
    /// Held while a question other than for a copy waits for its answer.
    question: Mutex<()>,
    /// It has been stopped from outside, and makes no more copies. Its copies live on.
    stopped: AtomicBool,
}

/// What has become of the network namespaces of a policy's [template](crate::Sandbox::prepare).
///
/// Each copy of the template has a network namespace to itself. When the copy has ended, another
/// one may use that namespace, but only if the kernel's account of it (`/proc/net`) equals that of
/// a new one. All values are zero without a template, or if the policy has no private network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkStatistics {
    /// How many namespaces were made.
    pub made: u64,
    /// How many times a used namespace was used again.
    pub reused: u64,
    /// How many namespaces showed traces of their use, and were given up.
    pub retired: u64,
    /// The namespace that was given up last.
    pub last_retired: Option<RetiredNetwork>,
}

/// A network namespace that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetiredNetwork {
    /// Its inode number, as `/proc/PID/ns/net` shows it (namespaces(7)).
    pub id: u64,
    /// The file in `/proc/net` that differs from that of a new namespace. For example `dev` or
    /// `snmp` after traffic, or `sockstat` while a socket is left.
    pub why: &'static str,
}

impl Template {
    fn start(sandbox: &Sandbox) -> Result<Template> {
        let policy = sandbox.policy();
        let mapping = Mapping::choose(policy)?;
        let manner = Manner {
            part: Part::Template,
            mapping,
            admits: false,
            watches: false,
            in_cell: false,
            cgroups: Default::default(),
        };
        let plan = sandbox.compiled().plan(policy, manner)?;
        let warden = Warden::start(sandbox, &plan, &mut Enforcement::default(), true, None, None)?;
        Alive::await_ready(&warden, &plan)?;
        Ok(Template {
            warden,
            mapping,
            question: Mutex::default(),
            stopped: AtomicBool::new(false),
        })
    }

    /// Asks for a copy. `theirs` becomes the copy's command socket.
    pub fn request_copy(&self, plan: &Plan, theirs: &Socket, entries: &[File]) -> Result<()> {
        let lines = plan.manner.mapping.lines();
        let (mut uids, mut gids) = (ListBuilder::new(Vec::new()), ListBuilder::new(Vec::new()));
        for (uid, gid) in lines.iter().flat_map(|(all, others)| all.iter().zip(others)) {
            uids.push(uid);
            gids.push(gid);
        }
        let request = Request::Clone {
            namespaces: plan.flags,
            maps: lines.is_some(),
            uids: uids.list(),
            gids: gids.list(),
            cgroup_entries: entries.len() as u32,
        };
        let descriptors: Vec<BorrowedFd<'_>> =
            std::iter::once(theirs.as_fd()?).chain(entries.iter().map(AsFd::as_fd)).collect();
        self.warden.send(&request, &descriptors)
    }

    /// Asks what has become of the template's network namespaces.
    fn networks(&self) -> Result<NetworkStatistics> {
        let _question = self.question.lock().unwrap_or_else(PoisonError::into_inner);
        self.warden.send(&Request::Networks {}, &[])?;
        let received = self.warden.await_report(None, "ask the template of its networks")?;
        let Report::Networks { made, reused, retired, last, file } = received.report()? else {
            return Ok(NetworkStatistics::default());
        };
        let path = NETWORK_FILES
            .get(file as usize)
            .and_then(|path| path.to_str().ok())
            .unwrap_or_default();
        let why = path.rsplit('/').next().unwrap_or(path);
        let last_retired = (retired > 0).then_some(RetiredNetwork { id: last, why });
        Ok(NetworkStatistics { made, reused, retired, last_retired })
    }

    /// Waits for the template's answer, which comes over the command socket of the copy. If the
    /// template has been stopped and does not answer, it is not asked for copies again.
    pub fn await_copy(&self, socket: &Socket) -> Result<Received> {
        let received = self.warden.await_report(Some(socket), "copy the template");
        if received.is_err() && self.warden.is_stopped() == Some(true) {
            self.stopped.store(true, Ordering::Release);
        }
        received
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Whether it has ended or is about to. A copy can be seen to end before its template does.
    pub fn is_dying(&self) -> bool {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.is_stopped() || self.warden.lives_until(Instant::now() + PATIENCE) != Ok(true)
    }

    fn serves(&self) -> bool {
        self.warden.is_ours() && !self.is_stopped() && self.warden.serves()
    }
}

/// Returns the template of a policy that has been prepared, and makes a new one if it is gone.
/// `None` if the policy has not been prepared.
pub fn of(sandbox: &Sandbox) -> Result<Option<Arc<Template>>> {
    let mut known = sandbox.compiled().template.lock().unwrap_or_else(PoisonError::into_inner);
    match &*known {
        None => Ok(None),
        Some(template) if template.serves() => Ok(Some(template.clone())),
        // In a process that was forked from the one that made the template, do not touch it.
        Some(template) if !template.warden.is_ours() => Ok(None),
        Some(_) => {
            let made = Arc::new(Template::start(sandbox)?);
            *known = Some(made.clone());
            Ok(Some(made))
        }
    }
}

impl Sandbox {
    /// Makes a template of this policy. Later runs and cells of this sandbox and its clones are
    /// copied from the template, which avoids the cost of the mounts. They are as fresh and as
    /// isolated as without a template.
    ///
    /// The template lives as long as one of the copies, or one of the sandbox's clones. A sandbox
    /// with a changed policy has no template.
    ///
    /// Does nothing where a template is not possible: with a shared user, mount or pid namespace,
    /// with a network of the caller's, or with an overlay that keeps its changes in a directory.
    /// The sources of binds are opened now, and not again.
    ///
    /// With a writable root, an overlay, or exact files, each copy makes its own mounts, and only
    /// the start of the process is saved.
    ///
    /// # Errors
    ///
    /// A mistake in the policy ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid)), or a step of
    /// the set-up that fails.
    pub fn prepare(&self) -> Result<()> {
        prepare(self)
    }
}

/// Makes a template if there is none and the policy can have one.
fn prepare(sandbox: &Sandbox) -> Result<()> {
    sandbox.policy().check()?;
    let sandbox = sandbox.on_this_host()?;
    if copy::stock(sandbox.policy()).is_none() {
        return Ok(());
    }
    let sandbox = &sandbox.with_layers()?;
    let mut known = sandbox.compiled().template.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.as_ref().is_some_and(|template| template.serves()) {
        *known = Some(Arc::new(Template::start(sandbox)?));
    }
    Ok(())
}

/// The statistics of the template's network namespaces. All zero if there is no template to ask.
pub fn networks(sandbox: &Sandbox) -> NetworkStatistics {
    let known = sandbox.compiled().template.lock().unwrap_or_else(PoisonError::into_inner).clone();
    known
        .filter(|template| template.serves())
        .and_then(|template| template.networks().ok())
        .unwrap_or_default()
}
