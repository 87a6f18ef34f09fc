//! Templates: a warden that stands in the finished file system of a policy, unsealed, in no command's reach, and copies itself on request. A
//! copy has a process tree, network, ids and scratch files of its own, and spares the mounts.

use crate::alive::Alive;
use crate::enforce::Enforcement;
use crate::error::Result;
use crate::idmap::Mapping;
use crate::plan::{Manner, Part, Plan, again};
use crate::policy::HOST_IDS;
use crate::sandbox::Sandbox;
use crate::socket::{Socket, wait_readable};
use crate::warden::Warden;
use crate::wire::message::Request;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// A policy's template.
#[derive(Debug)]
pub struct Template {
    warden: Warden,
}

impl Template {
    fn start(sandbox: &Sandbox) -> Result<Template> {
        let policy = sandbox.policy();
        let manner =
            Manner { part: Part::Template, mapping: Mapping::choose(policy)?, admits: false, watches: false, among: false };
        let plan = sandbox.compiled().plan(policy, manner)?;
        let warden = Warden::start(sandbox, &plan, &mut Enforcement::default(), true, None)?;
        Alive::await_ready(&warden, &plan)?;
        Ok(Template { warden })
    }

    /// Asks for a copy, whose control socket `theirs` is.
    pub fn ask(&self, plan: &Plan, theirs: &Socket, doors: &[File]) -> Result<()> {
        let ids = if plan.manner.mapping == Mapping::Range { HOST_IDS } else { 0 };
        let request = Request::Clone { namespaces: plan.flags, ids, doors: doors.len() as u32 };
        let descriptors: Vec<BorrowedFd<'_>> = std::iter::once(theirs.as_fd()).chain(doors.iter().map(AsFd::as_fd)).collect();
        self.warden.send(&request, &descriptors)
    }

    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.warden.pidfd()
    }

    /// Whether it has ended or is about to: what was copied from it goes first.
    pub fn is_dying(&self) -> bool {
        const PATIENCE: Duration = Duration::from_millis(500);
        matches!(wait_readable(&[self.pidfd()], Some(Instant::now() + PATIENCE)), Ok(Some(_)))
    }

    fn serves(&self) -> bool {
        self.warden.is_ours() && self.warden.is_alive().unwrap_or(false)
    }
}

/// The template of a policy that has been prepared; made anew if it is gone. `None`: there is to be none.
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

/// Makes sure that there is one, where this policy can have one.
pub fn prepare(sandbox: &Sandbox) -> Result<()> {
    let policy = sandbox.policy();
    policy.check()?;
    if !again::has_template(policy) {
        return Ok(());
    }
    let mut known = sandbox.compiled().template.lock().unwrap_or_else(PoisonError::into_inner);
    if !known.as_ref().is_some_and(|template| template.serves()) {
        *known = Some(Arc::new(Template::start(sandbox)?));
    }
    Ok(())
}
