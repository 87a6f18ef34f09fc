//! Templates: a warden that stands in the finished file system of a policy, unsealed, in no
//! command's reach, and copies itself on request. A copy has a process tree, network, ids and
//! scratch files of its own, and spares the mounts.

use crate::base::error::Result;
use crate::host::enforce::Enforcement;
use crate::host::socket::{Received, Socket};
use crate::plan::idmap::Mapping;
use crate::plan::{Manner, Part, Plan, copy};
use crate::run::alive::Alive;
use crate::run::sandbox::Sandbox;
use crate::run::warden::Warden;
use crate::wire::message::{NETWORK, Report, Request};
use crate::wire::plan::IdRange;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A policy's template.
#[derive(Debug)]
pub struct Template {
    warden: Warden,
    /// How its ids are mapped, and so those of its copies.
    pub mapping: Mapping,
    /// Who has asked it something else than for a copy waits for the answer.
    asking: Mutex<()>,
    /// It has been stopped from outside. What has been copied from it lives on.
    held: AtomicBool,
}

/// What has become of the network namespaces of a policy's [template](crate::Sandbox::prepare).
/// Each copy has one to itself; when that has ended, the namespace serves another only if the
/// kernel's own account of it (`/proc/net`) is that of one that has just been made. All are zero
/// without a template, or without networks of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkStatistics {
    /// How many have been made.
    pub made: u64,
    /// How often one that had been used before was used again.
    pub reused: u64,
    /// How many showed that somebody had been there, and were given up.
    pub retired: u64,
    /// The last of these.
    pub last_retired: Option<RetiredNetwork>,
}

/// A network namespace that was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetiredNetwork {
    /// Its number, as `/proc/PID/ns/net` shows it (namespaces(7)).
    pub id: u64,
    /// Why: the file in `/proc/net` that is no longer as it was, such as `dev` or `snmp` after
    /// traffic, `sockstat` while a socket is left.
    pub why: &'static str,
}

impl Template {
    fn start(sandbox: &Sandbox) -> Result<Template> {
        let policy = sandbox.policy();
        let mapping = Mapping::choose(policy)?;
        let manner =
            Manner { part: Part::Template, mapping, admits: false, watches: false, among: false };
        let plan = sandbox.compiled().plan(policy, manner)?;
        let warden = Warden::start(sandbox, &plan, &mut Enforcement::default(), true, None)?;
        Alive::await_ready(&warden, &plan)?;
        Ok(Template { warden, mapping, asking: Mutex::default(), held: AtomicBool::new(false) })
    }

    /// Asks for a copy, whose control socket `theirs` is.
    pub fn ask(&self, plan: &Plan, theirs: &Socket, doors: &[File]) -> Result<()> {
        let (maps, uids, gids) = match plan.manner.mapping {
            Mapping::Range { uids, gids } => (true, uids, gids),
            Mapping::Own | Mapping::Shared { .. } | Mapping::Joined => {
                (false, IdRange::default(), IdRange::default())
            }
        };
        let request =
            Request::Clone { namespaces: plan.flags, maps, uids, gids, doors: doors.len() as u32 };
        let descriptors: Vec<BorrowedFd<'_>> =
            std::iter::once(theirs.as_fd()?).chain(doors.iter().map(AsFd::as_fd)).collect();
        self.warden.send(&request, &descriptors)
    }

    /// What has become of its network namespaces.
    fn networks(&self) -> Result<NetworkStatistics> {
        let _asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.warden.send(&Request::Networks {}, &[])?;
        let received = self.warden.await_report(None, "ask the template of its networks")?;
        let Report::Networks { made, reused, retired, last, file } = received.report()? else {
            return Ok(NetworkStatistics::default());
        };
        let path =
            NETWORK.get(file as usize).and_then(|path| path.to_str().ok()).unwrap_or_default();
        let why = path.rsplit('/').next().unwrap_or(path);
        let last_retired = (retired > 0).then_some(RetiredNetwork { id: last, why });
        Ok(NetworkStatistics { made, reused, retired, last_retired })
    }

    /// Its answer over the control socket of a copy. One that gives none, because it has been
    /// stopped, makes no more copies.
    pub fn await_birth(&self, socket: &Socket) -> Result<Received> {
        let received = self.warden.await_report(Some(socket), "copy the template");
        if received.is_err() && self.warden.is_stopped() == Some(true) {
            self.held.store(true, Ordering::Release);
        }
        received
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// Whether it has ended or is about to: what was copied from it goes first.
    pub fn is_dying(&self) -> bool {
        const PATIENCE: Duration = Duration::from_millis(500);
        self.is_held() || self.warden.lives_until(Instant::now() + PATIENCE) != Ok(true)
    }

    fn serves(&self) -> bool {
        self.warden.is_ours() && !self.is_held() && self.warden.serves()
    }
}

/// The template of a policy that has been prepared; made anew if it is gone. `None`: there is to be
/// none.
pub fn of(sandbox: &Sandbox) -> Result<Option<Arc<Template>>> {
    let mut known = sandbox.compiled().template.lock().unwrap_or_else(PoisonError::into_inner);
    match &*known {
        None => Ok(None),
        Some(template) if template.serves() => Ok(Some(template.clone())),
        // In a process that was forked from the one that made it, nothing of that may be touched.
        Some(template) if !template.warden.is_ours() => Ok(None),
        Some(_) => {
            let made = Arc::new(Template::start(sandbox)?);
            *known = Some(made.clone());
            Ok(Some(made))
        }
    }
}

impl Sandbox {
    /// Makes a template of this policy: later runs and cells of it, and of its clones, are copied
    /// from that, which spares them the mounts. They are as fresh and as apart as without it.
    /// It lives as long as one of them, or of the sandbox's clones, does; a sandbox changed by one
    /// of the methods below has none.
    ///
    /// Does nothing where a template cannot serve: with a writable root, a shared user, mount or
    /// pid namespace, or something else at `/proc`. What the policy binds is opened now, and
    /// not again.
    pub fn prepare(&self) -> Result<()> {
        prepare(self)
    }
}

/// Makes sure that there is one, where this policy can have one.
fn prepare(sandbox: &Sandbox) -> Result<()> {
    let policy = sandbox.policy();
    policy.check()?;
    if !copy::has_template(policy) {
        return Ok(());
    }
    let mut known = sandbox.compiled().template.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.as_ref().is_some_and(|template| template.serves()) {
        *known = Some(Arc::new(Template::start(sandbox)?));
    }
    Ok(())
}

/// What has become of the network namespaces of a policy's template, as far as there is one to ask.
pub fn networks(sandbox: &Sandbox) -> NetworkStatistics {
    let known = sandbox.compiled().template.lock().unwrap_or_else(PoisonError::into_inner).clone();
    known
        .filter(|template| template.serves())
        .and_then(|template| template.networks().ok())
        .unwrap_or_default()
}
