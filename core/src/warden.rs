//! The warden as the caller knows it: a process, and the socket to it. Started with a plan, ended with everything inside.

use crate::cgroup::Entered;
use crate::command::Command;
use crate::enforce::Enforcement;
use crate::error::{Error, ErrorKind, Result};
use crate::failure;
use crate::idmap::{self, Mapping};
use crate::launch::{Launched, launch};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::socket::{self, Received, Socket, wait_readable};
use crate::sys::reap;
use crate::wire::message::{Report, Request, VERSION, end};
use crate::wire::plan::namespace;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// The number of a one-shot sandbox's only command.
pub const ONLY: u32 = 0;

/// The process that is PID 1 inside, and the socket to it.
#[derive(Debug)]
pub struct Warden {
    socket: Socket,
    pidfd: OwnedFd,
    pid: i32,
    /// Who started it: a process forked from that one must not end it.
    owner: u32,
    by_namespace: bool,
}

impl Warden {
    /// Starts one, and has it set up the sandbox, in its cgroups.
    pub fn start(command: &Command, plan: &Plan, enforcement: &mut Enforcement) -> Result<Warden> {
        let policy = command.sandbox.policy();
        let image = command.sandbox.compiled().image(policy)?;
        let (ours, theirs) = socket::pair()?;
        let caller =
            crate::sys::pidfd_open(std::process::id()).map_err(|error| Error::io("open a descriptor of the caller", error))?;
        let (outside_uid, outside_gid) = idmap::callers();
        let setup = Request::Setup {
            version: VERSION,
            namespaces: policy.flags(),
            outside_uid,
            outside_gid,
            classic_mounts: policy.classic_mounts,
            plan: plan.steps.list(),
        };
        // It waits for the warden: there is always room for one message.
        ours.send(&setup, &[caller.as_fd()])?;
        let Launched { pidfd, pid, entered } = launch(&image, plan.flags, theirs.as_fd(), &enforcement.cgroup.doors())
            .map_err(|error| failure::of_launch(error, &image, policy))?;
        drop(theirs);
        let by_namespace = plan.flags & namespace::PID != 0;
        let mut warden = Warden { socket: ours, pidfd, pid, owner: std::process::id(), by_namespace };
        if image.makes_namespaces() {
            warden.meet_founded(policy)?;
        }
        if plan.manner.awaits() {
            let admitted = warden.admit(policy, plan.manner.mapping, enforcement, entered);
            warden.unless_refused(admitted)?;
        }
        Ok(warden)
    }

    /// Does for a warden that waits what only its caller can, and lets it go on.
    fn admit(&self, policy: &Policy, mapping: Mapping, enforcement: &mut Enforcement, entered: Entered) -> Result<()> {
        enforcement.admit(policy, self.pid, entered)?;
        if mapping == Mapping::Range {
            Mapping::write(policy, self.pid)?;
        }
        self.send(&Request::Admitted {}, &[])
    }

    /// A warden that has refused a step meanwhile has said why: that report, which is still to be read, is the better answer.
    fn unless_refused(&self, result: Result<()>) -> Result<()> {
        if self.socket.has_report() { Ok(()) } else { result }
    }

    /// Has it run a command.
    pub fn run(&self, request: &Request<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.unless_refused(self.send(request, descriptors))
    }

    /// A warden at an installed path has made the namespaces and a process in them: that one is ours from now on.
    fn meet_founded(&mut self, policy: &Policy) -> Result<()> {
        let received = self.receive(None)?.ok_or_else(|| Error::new(ErrorKind::WardenLost, "make the namespaces"))?;
        let (errno, pid) = match received.report()? {
            Report::Born { errno, pid } => (errno, pid),
            _ => (libc::EPROTO, 0),
        };
        match (errno, received.descriptor) {
            (0, Some(pidfd)) => {
                let founder = std::mem::replace(&mut self.pidfd, pidfd);
                self.pid = pid;
                reap(&founder);
                Ok(())
            }
            (0 | libc::EPROTO, _) => Err(Error::new(ErrorKind::WardenLost, "make the namespaces")
                .because("the installed warden speaks another language")
                .hint("install the one of this version")),
            (errno, _) => Err(failure::of_clone(errno, policy)),
        }
    }

    pub fn receive(&self, deadline: Option<Instant>) -> Result<Option<Received>> {
        self.socket.receive(self.pidfd.as_fd(), deadline)
    }

    pub fn send(&self, request: &Request<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.socket.send(request, descriptors)
    }

    /// Its process id, as the caller sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether this process started it, and not one that it was forked from.
    pub fn is_ours(&self) -> bool {
        std::process::id() == self.owner
    }

    pub fn is_alive(&self) -> Result<bool> {
        Ok(wait_readable(&[self.pidfd.as_fd()], Some(Instant::now()))?.is_none())
    }

    /// Lets it go, and waits until it is gone, and everything inside with it; the signal that killed it, if one did.
    pub fn end(&self) -> Option<i32> {
        self.socket.hang_up();
        reap(&self.pidfd)
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        if self.by_namespace {
            let _ = crate::sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        } else {
            // Without a namespace of its own it must end what is inside before it ends.
            let _ = self.socket.send(&Request::Kill { id: ONLY, how: end::KILLED }, &[]);
            self.socket.hang_up();
        }
        reap(&self.pidfd);
    }
}
