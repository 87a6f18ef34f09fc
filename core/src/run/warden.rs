//! The warden as the caller sees it: a process and the socket to it. It starts with a plan, and
//! ends with everything inside.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept;
use crate::base::processes;
use crate::base::sys::{Gone, mount, reap};
use crate::base::watched::Watched;
use crate::host::bounded;
use crate::host::disk_image;
use crate::host::enforce::Enforcement;
use crate::host::launch::visit::{Stop, visit};
use crate::host::launch::{Birthplace, Launched, launch};
use crate::host::namespace;
use crate::host::socket::{self, Received, Socket, wait_readable};
use crate::host::trees::{self, Shape};
use crate::plan::idmap::{self, Mapping};
use crate::plan::{GivenTree, Part, Plan};
use crate::policy::{Namespace, Policy};
use crate::run::failure;
use crate::run::sandbox::Sandbox;
use crate::run::template::Template;
use crate::run::watchdog::MARGIN;
use crate::wire::codec::ListBuilder;
use crate::wire::message::{Report, Request, VERSION, end};
use crate::wire::plan::namespace as flag;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// The process that is PID 1 inside, and the socket to it.
#[derive(Debug)]
pub struct Warden {
    socket: Socket,
    process: Watched,
    /// The process that started it. One that was forked from that process must not end the warden.
    creator: u32,
    by_namespace: bool,
    /// The template that it is a copy of, which must live as long.
    _template: Option<Arc<Template>>,
}

impl Warden {
    /// Launches a warden in new namespaces, and has it carry out a plan in its cgroups. With
    /// `report_ready` it reports when the set-up is complete. `joined` are namespaces to enter
    /// first. With a `birthplace` it is made in that network namespace.
    pub fn start(
        sandbox: &Sandbox,
        plan: &Plan,
        enforcement: &mut Enforcement,
        report_ready: bool,
        joined: Option<&[(Namespace, BorrowedFd<'_>)]>,
        birthplace: Option<Birthplace<'_>>,
    ) -> Result<Warden> {
        let policy = sandbox.policy();
        let image = sandbox.compiled().image(policy)?;
        let (ours, theirs) = socket::pair()?;
        let via_founder = joined.is_some() || image.makes_namespaces();
        // These requests wait in the socket until the warden runs. There is always room for them.
        if via_founder {
            // A founder enters the network namespace itself.
            let network = birthplace.map(|birthplace| (Namespace::Net, birthplace.network));
            let joined: Vec<_> = joined.iter().copied().flatten().copied().chain(network).collect();
            send_found(&ours, plan, &joined, policy.has_given_network())?;
        }
        send_setup(&ours, policy, plan, report_ready)?;
        let flags = if via_founder { None } else { Some(plan.flags) };
        let birthplace = birthplace.filter(|_| !via_founder);
        let entry = enforcement.cgroup.entry_descriptors();
        let Launched { pidfd, pid, entered } =
            launch(&image, flags, birthplace, theirs.as_fd()?, &entry, policy.setup_capabilities())
                .map_err(|error| failure::of_launch(error, &image, policy))?;
        drop(theirs);
        let by_namespace = plan.flags & flag::PID != 0;
        let process = Watched::new(pidfd, pid.unsigned_abs());
        let mut warden = Warden {
            socket: ours,
            process,
            creator: std::process::id(),
            by_namespace,
            _template: None,
        };
        if via_founder {
            warden.adopt_founded(policy)?;
        }
        if plan.awaits() {
            let admitted = enforcement.admit(policy, warden.pid(), entered);
            let admitted =
                admitted.and_then(|()| write_maps(plan.manner.mapping, warden.pid(), birthplace));
            let trees = admitted.and_then(|()| warden.trees(sandbox, plan));
            warden.resume(trees)?;
        }
        Ok(warden)
    }

    /// Has a template make a copy, which carries out a plan in its cgroups.
    pub fn copy(
        template: &Arc<Template>,
        sandbox: &Sandbox,
        plan: &Plan,
        enforcement: &mut Enforcement,
        report_ready: bool,
    ) -> Result<Warden> {
        let policy = sandbox.policy();
        let (ours, theirs) = socket::pair()?;
        send_setup(&ours, policy, plan, report_ready)?;
        let entries = enforcement.entry_descriptors()?.unwrap_or_default();
        template.request_copy(plan, &theirs, &entries)?;
        drop(theirs);
        let received = template.await_copy(&ours)?;
        let Report::Born { errno: 0, .. } = received.report()? else {
            return Err(match received.report()? {
                Report::Born { errno, kind, .. } => {
                    failure::of_warden_creation(errno, kind, policy)
                }
                report => failure::of_refusal(&report, plan),
            });
        };
        let pidfd = received.descriptor.ok_or_else(|| {
            failure::of_descriptors("receive the warden's descriptor", libc::EMFILE)
        })?;
        // The process id in the report is that of another pid namespace. Read the caller's view of
        // it.
        let pid = processes::pid_of(&pidfd)?.unwrap_or(0);
        let (process, creator) = (Watched::new(pidfd, pid), std::process::id());
        let warden = Warden {
            socket: ours,
            process,
            creator,
            by_namespace: true,
            _template: Some(template.clone()),
        };
        if plan.manner.awaits() {
            let admitted = enforcement.admit(policy, warden.pid(), Default::default());
            warden.resume(admitted.map(|()| Vec::new()))?;
        }
        Ok(warden)
    }

    /// Lets a waiting warden continue after `done`, the steps that only the caller can take. They
    /// have made these mount trees for it.
    fn resume(&self, done: Result<Vec<OwnedFd>>) -> Result<()> {
        self.unless_refused(done.and_then(|trees| {
            let trees: Vec<BorrowedFd<'_>> = trees.iter().map(AsFd::as_fd).collect();
            self.send(&Request::Admitted {}, &trees)
        }))
    }

    /// Makes the mount trees of a plan.
    fn trees(&self, sandbox: &Sandbox, plan: &Plan) -> Result<Vec<OwnedFd>> {
        if plan.trees.is_empty() {
            return Ok(Vec::new());
        }
        let layer = |path: &Path, shape| {
            let users = self.namespace(Namespace::User)?;
            trees::idmapped(path, users.as_fd(), shape)
                .map_err(|error| failure::trees::of_layer(path, error))
        };
        let tree = |tree: &GivenTree| match tree {
            GivenTree::Layer(path) => layer(path, Shape::Layer),
            GivenTree::Kept { path, bounds: None } => layer(path, Shape::Directory),
            GivenTree::Kept { path, bounds: Some(bounds) } => {
                let mounted = bounded::mount(path, *bounds)?;
                let users = self.namespace(Namespace::User)?;
                mount::set_idmap(mounted.as_fd(), users.as_fd(), false, false)
                    .map_err(|error| failure::trees::of_layer(path, error))?;
                Ok(mounted)
            }
            GivenTree::DiskImage(path) => disk_image::mount(path),
            GivenTree::Callers { path, follow } => {
                let owner = plan.manner.mapping.known_owner(sandbox.policy());
                let owner = sandbox.compiled().file_owner(owner.unwrap_or_else(idmap::callers))?;
                trees::idmapped(path, owner.users()?, Shape::All { follow: *follow })
                    .map_err(|error| failure::trees::of_bind(path, error))
            }
        };
        plan.trees.iter().map(tree).collect()
    }

    /// Opens its namespace of this kind.
    pub fn namespace(&self, wanted: Namespace) -> Result<OwnedFd> {
        let pidfd = self.pidfd()?.try_clone_to_owned();
        let pidfd = pidfd.map_err(|error| Error::io("copy a descriptor", error))?;
        let found = namespace::of_pidfd(&pidfd, |kind| *kind == wanted)?.into_iter().next();
        let ended = || Error::invalid("sandbox", "it has ended");
        found.map(|(_, namespace)| namespace).ok_or_else(ended)
    }

    /// Ignores an error if the warden has reported one. That report is still to be read, and is
    /// more precise.
    fn unless_refused(&self, result: Result<()>) -> Result<()> {
        if self.socket.has_report() { Ok(()) } else { result }
    }

    /// Has it run a command.
    pub fn run(&self, request: &Request<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        self.unless_refused(self.send(request, descriptors))
    }

    /// Replaces a founder, the process that has made the namespaces, by the warden that it has
    /// started in them.
    fn adopt_founded(&mut self, policy: &Policy) -> Result<()> {
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
            (errno, _) => Err(failure::of_warden_creation(errno, kind, policy)),
        }
    }

    /// Receives the next report, from a command's own socket or from the command socket.
    pub fn receive_over(
        &self,
        socket: Option<&Socket>,
        deadline: Option<Instant>,
    ) -> Result<Option<Received>> {
        socket.unwrap_or(&self.socket).receive(self.process.get(), deadline)
    }

    /// Waits for an answer, from a command's own socket or from the command socket. Waits for as
    /// long as the warden needs, but gives up if it has been stopped.
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

    /// Sends a request, over a command's own socket or over the command socket.
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

    /// Its process id in the caller's pid namespace.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.process.pid()).unwrap_or(0)
    }

    /// The command socket, for poll.
    pub fn socket(&self) -> Result<BorrowedFd<'_>> {
        self.socket.as_fd()
    }

    /// The pidfd, for poll.
    pub fn pidfd(&self) -> Result<BorrowedFd<'_>> {
        let lost = || {
            kept::explained(
                Error::new(ErrorKind::WardenLost, "look after the warden").errno(libc::EBADF),
            )
        };
        self.process.get().ok_or_else(lost)
    }

    /// Whether this process started it, not one that this process was forked from.
    pub fn is_ours(&self) -> bool {
        std::process::id() == self.creator
    }

    pub fn is_alive(&self) -> Result<bool> {
        self.lives_until(Instant::now())
    }

    /// Whether it still runs at `deadline`. Waits until then.
    pub fn lives_until(&self, deadline: Instant) -> Result<bool> {
        Ok(wait_readable(&[self.pidfd()?], Some(deadline))?.is_none())
    }

    /// Whether it can take requests: it runs, and the caller has not closed its socket.
    pub fn serves(&self) -> bool {
        self.socket.is_intact() && self.is_alive().unwrap_or(false)
    }

    /// Whether there is a report that has not been read.
    pub fn has_report(&self, socket: Option<&Socket>) -> bool {
        socket.unwrap_or(&self.socket).has_report()
    }

    /// Whether it has been stopped by a signal or a tracer. `None` if the caller's `/proc` does not
    /// tell.
    pub fn is_stopped(&self) -> Option<bool> {
        processes::state(self.process.pid()).map(|state| matches!(state, 'T' | 't'))
    }

    /// Hangs up, and waits until it is gone with everything inside.
    pub fn end(&self) -> Gone {
        self.socket.hang_up();
        // Without a pidfd there is nothing to wait for: the warden ends because the socket is
        // closed.
        self.process
            .get()
            .map_or(Gone::default(), |pidfd| reap(pidfd, MARGIN).unwrap_or_else(|| self.force()))
    }

    /// Kills it with everything inside, and waits until it is gone.
    pub fn kill(&self) {
        let pidfd = self.process.get();
        if self.by_namespace {
            // The signal may fail, for example where the filter of a surrounding container refuses
            // it. The warden still ends when its socket is hung up.
            if pidfd.is_none_or(|pidfd| {
                crate::base::sys::pidfd_send_signal(pidfd, libc::SIGKILL).is_err()
            }) {
                self.socket.hang_up();
            }
        } else {
            // Without a pid namespace of its own the warden must live to kill what is inside.
            let _ = self.socket.send(&Request::Kill { how: end::KILLED }, &[]);
            self.socket.hang_up();
        }
        if pidfd.is_some_and(|pidfd| reap(pidfd, MARGIN).is_none()) {
            self.force();
        }
    }

    /// Kills it and everything inside without its help, and waits until it is gone.
    ///
    /// The wait is bounded. A process in uninterruptible sleep, such as one that waits for a disk,
    /// cannot be killed. The init of a pid namespace ends only when every process in it has been
    /// reaped, also one that has entered it and is reaped late by its parent.
    pub fn force(&self) -> Gone {
        /// The number of waits of one second each. Enough for the kernel to free a large memory.
        const ROUNDS: u32 = 10;
        let Some(pidfd) = self.process.get() else {
            // Its process id may be another process's by now.
            self.socket.hang_up();
            return Gone::default();
        };
        if !self.by_namespace {
            // Kill its descendants first: once it is gone they have another parent and are not
            // found.
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
            // A command can delay its warden's exit by a lock on a pipe that both have open. Kill
            // the command first.
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

/// Writes the id maps of a warden, if the caller is to write them.
fn write_maps(mapping: Mapping, pid: i32, birthplace: Option<Birthplace<'_>>) -> Result<()> {
    let direct = |path: &str| OpenOptions::new().write(true).open(path);
    let written = mapping.write(pid, direct);
    let (Err(_), Some(Birthplace { users, .. })) = (&written, birthplace) else { return written };
    // Only from within the parent of its user namespace can a process write the maps of another
    // (user_namespaces(7)), and the parent is that of the network.
    mapping.write(pid, |path| {
        let path = CString::new(path)?;
        let stops = [Stop::Enter(users, Namespace::User.flag()), Stop::Open(&path, libc::O_WRONLY)];
        let opened = visit(&stops).map_err(|(_, error)| error)?;
        opened.into_iter().next().map(File::from).ok_or_else(|| io::ErrorKind::NotFound.into())
    })
}

fn send_found(
    socket: &Socket,
    plan: &Plan,
    joined: &[(Namespace, BorrowedFd<'_>)],
    member: bool,
) -> Result<()> {
    let mut kinds = ListBuilder::new(Vec::new());
    joined.iter().for_each(|(kind, _)| kinds.push(&kind.flag()));
    let descriptors: Vec<BorrowedFd<'_>> = joined.iter().map(|(_, fd)| *fd).collect();
    let request = Request::Join { joined: kinds.list(), namespaces: plan.flags, member };
    socket.send(&request, &descriptors)
}

fn send_setup(socket: &Socket, policy: &Policy, plan: &Plan, report_ready: bool) -> Result<()> {
    let caller = crate::base::sys::own_pidfd().map_err(failure::of_own_descriptor)?;
    let (outside_uid, outside_gid) = match plan.manner.part {
        Part::Whole | Part::Template | Part::Network | Part::Entered => idmap::callers(),
        // The ids behind the copy's are those of the template.
        Part::Copy => (policy.uid, policy.gid),
    };
    let setup = Request::Setup {
        version: VERSION,
        namespaces: plan.manner.part.makes(policy),
        outside_uid,
        outside_gid,
        classic_mounts: policy.classic_mounts,
        report_ready,
        plan: plan.steps.list(),
    };
    socket.send(&setup, &[caller.as_fd()])
}
