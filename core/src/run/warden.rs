//! The warden as the caller knows it: a process, and the socket to it. Started with a plan, ended
//! with everything inside.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::{self, Kept};
use crate::base::processes;
use crate::base::sys::{Gone, reap};
use crate::base::watched::Watched;
use crate::host::enforce::Enforcement;
use crate::host::launch::{Launched, launch};
use crate::host::socket::{self, Received, Socket, wait_readable};
use crate::plan::idmap;
use crate::plan::{Part, Plan};
use crate::policy::{Namespace, Policy};
use crate::run::failure;
use crate::run::holder::MARGIN;
use crate::run::sandbox::Sandbox;
use crate::run::template::Template;
use crate::wire::codec::ListBuilder;
use crate::wire::message::{Report, Request, VERSION, end};
use crate::wire::plan::namespace;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

/// The process that is PID 1 inside, and the socket to it.
#[derive(Debug)]
pub struct Warden {
    socket: Socket,
    process: Watched,
    /// Who started it: a process forked from that one must not end it.
    owner: u32,
    by_namespace: bool,
    /// What it was copied from, which must live as long.
    _template: Option<Arc<Template>>,
}

impl Warden {
    /// Executes one in new namespaces, and has it carry out a plan in its cgroups. `tell`: it
    /// reports when it is ready.
    ///
    /// `joined`: the namespaces to enter before.
    pub fn start(
        sandbox: &Sandbox,
        plan: &Plan,
        enforcement: &mut Enforcement,
        tell: bool,
        joined: Option<&[(Namespace, Kept)]>,
    ) -> Result<Warden> {
        let policy = sandbox.policy();
        let image = sandbox.compiled().image(policy)?;
        let (ours, theirs) = socket::pair()?;
        let founds = joined.is_some() || image.makes_namespaces();
        // What is sent waits for the warden: there is always room for so much.
        if founds {
            send_found(&ours, plan, joined.unwrap_or_default())?;
        }
        send_setup(&ours, policy, plan, tell)?;
        let flags = if founds { None } else { Some(plan.flags) };
        let Launched { pidfd, pid, entered } =
            launch(&image, flags, theirs.as_fd()?, &enforcement.cgroup.doors())
                .map_err(|error| failure::of_launch(error, &image, policy))?;
        drop(theirs);
        let by_namespace = plan.flags & namespace::PID != 0;
        let process = Watched::new(pidfd, pid.unsigned_abs());
        let mut warden = Warden {
            socket: ours,
            process,
            owner: std::process::id(),
            by_namespace,
            _template: None,
        };
        if founds {
            warden.meet_founded(policy)?;
        }
        if plan.manner.awaits() {
            let admitted = enforcement.admit(policy, warden.pid(), entered);
            let admitted = admitted.and_then(|()| plan.manner.mapping.write(warden.pid()));
            warden.let_go_on(admitted)?;
        }
        Ok(warden)
    }

    /// Has a template make one, which carries out a plan in its cgroups.
    pub fn copy(
        template: &Arc<Template>,
        sandbox: &Sandbox,
        plan: &Plan,
        enforcement: &mut Enforcement,
        tell: bool,
    ) -> Result<Warden> {
        let policy = sandbox.policy();
        let (ours, theirs) = socket::pair()?;
        send_setup(&ours, policy, plan, tell)?;
        let doors = enforcement.doors()?.unwrap_or_default();
        template.ask(plan, &theirs, &doors)?;
        drop(theirs);
        let received = template.await_birth(&ours)?;
        let Report::Born { errno: 0, .. } = received.report()? else {
            return Err(match received.report()? {
                Report::Born { errno, kind, .. } => failure::of_birth(errno, kind, policy),
                report => failure::of_refusal(&report, plan),
            });
        };
        let pidfd = received.descriptor.ok_or_else(|| {
            failure::of_descriptors("receive the warden's descriptor", libc::EMFILE)
        })?;
        // Its own number there says nothing here.
        let pid = processes::pid_of(&pidfd)?.unwrap_or(0);
        let (process, owner) = (Watched::new(pidfd, pid), std::process::id());
        let warden = Warden {
            socket: ours,
            process,
            owner,
            by_namespace: true,
            _template: Some(template.clone()),
        };
        if plan.manner.awaits() {
            let admitted = enforcement.admit(policy, warden.pid(), Default::default());
            warden.let_go_on(admitted)?;
        }
        Ok(warden)
    }

    /// What only its caller can do for a warden that waits has been done, with this result.
    fn let_go_on(&self, done: Result<()>) -> Result<()> {
        self.unless_refused(done.and_then(|()| self.send(&Request::Admitted {}, &[])))
    }

    /// A warden that has refused a step meanwhile has said why: that report, which is still to be
    /// read, is the better answer.
    fn unless_refused(&self, result: Result<()>) -> Result<()> {
        if self.socket.has_report() { Ok(()) } else { result }
    }

    /// Has it run a command.
    pub fn run(&self, request: &Request<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.unless_refused(self.send(request, descriptors))
    }

    /// A founder has made the namespaces and a process in them: that one is ours from now on.
    fn meet_founded(&mut self, policy: &Policy) -> Result<()> {
        let received = self.await_report(None, "make the namespaces")?;
        let (errno, pid, kind) = match received.report()? {
            Report::Born { errno, pid, kind } => (errno, pid, kind),
            _ => (libc::EPROTO, 0, 0),
        };
        match (errno, received.descriptor) {
            (0, Some(pidfd)) => {
                let founder =
                    std::mem::replace(&mut self.process, Watched::new(pidfd, pid.unsigned_abs()));
                founder.get().and_then(|founder| reap(founder, MARGIN));
                Ok(())
            }
            (0 | libc::EPROTO, _) => Err(Error::new(ErrorKind::WardenLost, "make the namespaces")
                .because("the installed warden speaks another language")
                .hint("install the one of this version")),
            (errno, _) => Err(failure::of_birth(errno, kind, policy)),
        }
    }

    /// What it says next, over the control socket or one of a command's own.
    pub fn receive_over(
        &self,
        socket: Option<&Socket>,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>> {
        socket.unwrap_or(&self.socket).receive(self.process.get(), deadline)
    }

    /// The answer to something that it is to do at once, over the control socket or another one. It
    /// may take its time, but not while it is stopped.
    pub fn await_report(&self, socket: Option<&Socket>, action: &str) -> Result<Received> {
        let mut stopped = 0;
        loop {
            if let Some(received) = self.receive_over(socket, Instant::now().checked_add(MARGIN))? {
                return Ok(received);
            }
            stopped = if self.is_stopped() == Some(true) { stopped + 1 } else { 0 };
            if stopped > 1 {
                return Err(Error::new(ErrorKind::WardenLost, action)
                    .because("the warden has been stopped from outside")
                    .hint("let nobody send it signals, and try again"));
            }
        }
    }

    /// Asks it something, over the control socket or one of a command's own.
    pub fn send_over(
        &self,
        socket: Option<&Socket>,
        request: &Request<'_>,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<()> {
        socket.unwrap_or(&self.socket).send(request, descriptors)
    }

    pub fn send(&self, request: &Request<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.send_over(None, request, descriptors)
    }

    /// Its process id, as the caller sees it.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.process.pid()).unwrap_or(0)
    }

    /// The control socket, to be watched.
    pub fn socket(&self) -> Result<BorrowedFd<'_>> {
        self.socket.as_fd()
    }

    /// The process, to be watched.
    pub fn pidfd(&self) -> Result<BorrowedFd<'_>> {
        let lost = || {
            kept::explained(
                Error::new(ErrorKind::WardenLost, "look after the warden").errno(libc::EBADF),
            )
        };
        self.process.get().ok_or_else(lost)
    }

    /// Whether this process started it, and not one that it was forked from.
    pub fn is_ours(&self) -> bool {
        std::process::id() == self.owner
    }

    pub fn is_alive(&self) -> Result<bool> {
        self.lives_until(Instant::now())
    }

    /// Whether it has not ended by then, which is waited for.
    pub fn lives_until(&self, deadline: Instant) -> Result<bool> {
        Ok(wait_readable(&[self.pidfd()?], Some(deadline))?.is_none())
    }

    /// Whether it can be asked something: it lives, and the caller has not closed the socket to it.
    pub fn serves(&self) -> bool {
        self.socket.is_intact() && self.is_alive().unwrap_or(false)
    }

    /// Whether there is a report that nobody has read.
    pub fn has_report(&self, socket: Option<&Socket>) -> bool {
        socket.unwrap_or(&self.socket).has_report()
    }

    /// Whether it does nothing, because somebody has stopped it or traces it; `None` if the
    /// caller's `/proc` does not tell.
    pub fn is_stopped(&self) -> Option<bool> {
        processes::state(self.process.pid()).map(|state| matches!(state, 'T' | 't'))
    }

    /// Lets it go, and waits until it is gone, and everything inside with it.
    pub fn end(&self) -> Gone {
        self.socket.hang_up();
        // One whose descriptor is lost ends without the socket, and nobody can tell when.
        self.process
            .get()
            .map_or(Gone::default(), |pidfd| reap(pidfd, MARGIN).unwrap_or_else(|| self.force()))
    }

    /// Kills it, with everything inside, and waits until it is gone.
    pub fn kill(&self) {
        let pidfd = self.process.get();
        if self.by_namespace {
            // Where the filter of a surrounding container forbids the call, say, it still ends when
            // it has nobody to hear.
            if pidfd.is_none_or(|pidfd| {
                crate::base::sys::pidfd_send_signal(pidfd, libc::SIGKILL).is_err()
            }) {
                self.socket.hang_up();
            }
        } else {
            // Without a namespace of its own it must end what is inside before it ends.
            let _ = self.socket.send(&Request::Kill { how: end::KILLED }, &[]);
            self.socket.hang_up();
        }
        if pidfd.is_some_and(|pidfd| reap(pidfd, MARGIN).is_none()) {
            self.force();
        }
    }

    /// Kills it and everything inside without its help, and waits until it is gone.
    ///
    /// Not for ever: a process that waits for a disk that does not answer cannot be ended, and the
    /// first process of a tree ends only when every process in it has been reaped, also one
    /// that has entered it and whose parent takes its time.
    pub fn force(&self) -> Gone {
        /// Enough for the kernel to give back a large memory.
        const ROUNDS: u32 = 10;
        let Some(pidfd) = self.process.get() else {
            // Its number may be another process's by now.
            self.socket.hang_up();
            return Gone::default();
        };
        if !self.by_namespace {
            // First what is below, for what has lost its parent is found no more.
            processes::kill_below(self.pid());
        }
        let _ = crate::base::sys::pidfd_send_signal(pidfd, libc::SIGKILL);
        self.socket.hang_up();
        for _ in 0..ROUNDS {
            if let Some(gone) = reap(pidfd, MARGIN) {
                return gone;
            }
            if processes::lives_below(self.pid()) == Some(false) {
                break;
            }
            // A command can keep its warden's exit waiting, for a lock on a pipe that both have: it
            // goes first then.
            processes::kill_below(self.pid());
        }
        Gone::default()
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        if self.is_ours() {
            self.kill();
        }
    }
}

fn send_found(socket: &Socket, plan: &Plan, joined: &[(Namespace, Kept)]) -> Result<()> {
    let mut kinds = ListBuilder::new(Vec::new());
    joined.iter().for_each(|(kind, _)| kinds.push(&kind.flag()));
    let descriptors =
        joined.iter().map(|(_, fd)| fd.get()).collect::<Result<Vec<BorrowedFd<'_>>>>()?;
    socket.send(&Request::Found { joined: kinds.list(), namespaces: plan.flags }, &descriptors)
}

fn send_setup(socket: &Socket, policy: &Policy, plan: &Plan, tell: bool) -> Result<()> {
    let caller = crate::base::sys::own_pidfd().map_err(failure::of_own_descriptor)?;
    let (outside_uid, outside_gid) = match plan.manner.part {
        Part::Whole | Part::Template | Part::Entered => idmap::callers(),
        // What stands behind its ids are the template's.
        Part::Copy => (policy.uid, policy.gid),
    };
    let setup = Request::Setup {
        version: VERSION,
        namespaces: plan.manner.part.makes(policy),
        outside_uid,
        outside_gid,
        classic_mounts: policy.classic_mounts,
        tell,
        plan: plan.steps.list(),
    };
    socket.send(&setup, &[caller.as_fd()])
}
