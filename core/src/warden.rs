//! The warden as the caller knows it: a process, and the socket to it. Started with a plan, ended with everything inside.

use crate::cgroup::Cgroup;
use crate::command::Command;
use crate::error::{Error, ErrorKind, Result};
use crate::failure;
use crate::idmap::{self, Mapping};
use crate::launch::{Launched, launch};
use crate::plan::Plan;
use crate::policy::Policy;
use crate::socket::{self, Received, Socket, wait_readable};
use crate::sys::reap;
use crate::wire::message::{Report, Request, VERSION};
use crate::wire::plan::{namespace, protection};
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
    /// Where it has no pid namespace of its own: what ends all that the warden could not.
    cgroup: Option<Cgroup>,
}

impl Warden {
    /// Starts one, and has it set up the sandbox and, if given, run a command.
    pub fn start(command: &Command, plan: &Plan, first: Option<(&Request<'_>, &[BorrowedFd<'_>])>) -> Result<Warden> {
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
        // What fits is sent before there is anybody to read it: nobody waits for anybody then. A map or a cgroup must come in between.
        ours.send(&setup, &[caller.as_fd()])?;
        let by_namespace = plan.flags & namespace::PID != 0;
        let cgroup = if by_namespace { None } else { Cgroup::make() };
        let at_once = plan.mapping != Mapping::Range && cgroup.is_none();
        if let (true, Some((request, descriptors))) = (at_once, first) {
            ours.send(request, descriptors)?;
        }
        let Launched { pidfd, pid } =
            launch(&image, plan.flags, theirs.as_fd()).map_err(|error| failure::of_launch(error, &image, policy))?;
        drop(theirs);
        let mut warden = Warden { socket: ours, pidfd, pid, owner: std::process::id(), by_namespace, cgroup };
        if image.makes_namespaces() {
            warden.meet_founded(policy)?;
        }
        if !at_once && let Err(error) = warden.admit(policy, plan.mapping, first) {
            // A warden that has refused a step meanwhile has said why: that report is the better answer.
            return if warden.socket.has_report() { Ok(warden) } else { Err(error) };
        }
        Ok(warden)
    }

    /// Does for a warden that waits what only its caller can, and lets it go on.
    fn admit(&self, policy: &Policy, mapping: Mapping, first: Option<(&Request<'_>, &[BorrowedFd<'_>])>) -> Result<()> {
        if let Some(cgroup) = &self.cgroup {
            cgroup.admit(self.pid).map_err(|error| Error::io("move the warden into its cgroup", error))?;
        }
        if mapping == Mapping::Range {
            Mapping::write(policy, self.pid)?;
            self.socket.send(&Request::IdsMapped {}, &[])?;
        }
        first.map_or(Ok(()), |(request, descriptors)| self.socket.send(request, descriptors))
    }

    /// What the caller's side adds to the warden's protections.
    pub fn protections(&self) -> u64 {
        if self.cgroup.is_some() { protection::KILL_BY_CGROUP } else { 0 }
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

    pub fn send(&self, request: &Request<'_>) -> Result<()> {
        self.socket.send(request, &[])
    }

    /// Its process id, as the caller sees it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    pub fn is_alive(&self) -> Result<bool> {
        Ok(wait_readable(&[self.pidfd.as_fd()], Some(Instant::now()))?.is_none())
    }

    /// Waits until it is gone, and everything inside with it.
    pub fn end(&mut self) {
        reap(&self.pidfd);
        self.cgroup = None;
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        if std::process::id() != self.owner {
            return;
        }
        if self.by_namespace {
            let _ = crate::sys::pidfd_send_signal(self.pidfd.as_fd(), libc::SIGKILL);
        } else {
            // Without a namespace of its own it must end what is inside before it ends.
            let _ = self.socket.send(&Request::Kill { id: ONLY }, &[]);
            self.socket.hang_up();
        }
        reap(&self.pidfd);
    }
}
