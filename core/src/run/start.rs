//! From a command to a child, in four steps: `Prepared::new` claims a sandbox, which may still be
//! in set-up; `Prepared::complete` keeps its files, if they are wanted; `Prepared::run` lets the
//! command start; `Prepared::started` waits until it has. An
//! [`Interaction`](crate::Interaction) so sets up several commands side by side and starts them
//! together.

use crate::base::error::{Error, Result};
use crate::base::processes;
use crate::host::listener::Listener;
use crate::host::terminal::Terminal;
use crate::policy::profile;
use crate::policy::seccomp::Situation;
use crate::policy::{Limits, Policy, Resource};
use crate::run::alive::{Alive, Purpose};
use crate::run::child::{Child, StartedChild};
use crate::run::collect::held::HeldFiles;
use crate::run::command::{Command, Stream, Texts};
use crate::run::failure;
use crate::run::ground::{Ground, Lease, Place};
use crate::run::streams::Streams;
use crate::run::tenancy::Tenancy;
use crate::run::watchdog;
use crate::wire::codec::ListBuilder;
use crate::wire::message::{Relay, Report, Request, Rlimit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// A sandbox, and the command that is to run in it.
pub struct Prepared<'a> {
    command: &'a Command,
    texts: Texts,
    streams: Streams,
    alive: Arc<Alive>,
    /// Present if the sandbox is a pool's.
    lease: Option<Box<dyn Lease>>,
    /// Present once the command may start, if its files are to be collected.
    files: Option<HeldFiles>,
    /// The limits that apply to the command by itself.
    limits: Limits,
    tenancy: Tenancy,
    situation: Situation,
}

impl<'a> Prepared<'a> {
    /// Checks the command, opens its streams and claims a sandbox for it from `place`. Returns
    /// `None` if `place` gives none.
    ///
    /// `stdin` and `others` are the defaults of the standard streams. `joined` holds ends of pipes
    /// to other commands, each with its descriptor number inside.
    pub fn new(
        command: &'a Command,
        stdin: Stream,
        others: Stream,
        joined: Vec<(i32, OwnedFd)>,
        place: impl FnOnce() -> Result<Option<Place>>,
    ) -> Result<Option<Prepared<'a>>> {
        let texts = command.texts()?;
        command.sandbox.check()?;
        let (policy, share) = (command.sandbox.policy(), &command.share);
        share.check(&policy.limits)?;
        let streams = Streams::new(command, stdin, others, joined)?;
        if streams.on_terminal() != 0 && !policy.has_terminals() {
            let why = "the sandbox has none: its policy leaves them out, shares the mount \
            namespace, or puts something else there";
            return Err(Error::invalid("terminal", why)
                .hint("terminals: a policy that insists on them is told what is in their way"));
        }
        let Some(Place { alive, mut lease }) = place()? else { return Ok(None) };
        if let Some((uid, gid)) = alive.owner {
            streams.give_pipes_to(uid, gid);
        }
        if let Some(lease) = lease.as_mut().filter(|_| command.collect.is_wanted()) {
            lease.keep();
        }
        let (tenancy, limits) = Tenancy::begin(&alive, lease.as_mut(), policy, share)?;
        let situation = Situation {
            counted: tenancy.memory_in_cgroup(&alive),
            gated: alive.filters.has_gate() && alive.enforcement().gates(),
        };
        Ok(Some(Prepared {
            command,
            texts,
            streams,
            alive,
            lease,
            files: None,
            limits,
            tenancy,
            situation,
        }))
    }

    /// Lets the command start.
    pub fn run(&self) -> Result<()> {
        let (policy, texts) = (self.command.sandbox.policy(), &self.texts);
        let mut arguments = ListBuilder::new(Vec::new());
        texts.arguments.iter().for_each(|argument| arguments.push(&argument.as_c_str()));
        let mut environment = ListBuilder::new(Vec::new());
        texts.environment.iter().for_each(|variable| environment.push(&variable.as_c_str()));
        let sandbox = &self.alive.sandbox;
        let devices = sandbox.compiled().devices(sandbox.policy())?;
        for variable in texts.others(&devices.environment)? {
            environment.push(&variable.as_c_str());
        }
        let mut targets = ListBuilder::new(Vec::new());
        // The warden takes the descriptors in the order in which they are pushed here: streams,
        // relays, meter, gauge, cgroup entries, command socket.
        let mut descriptors: Vec<BorrowedFd<'_>> =
            Vec::with_capacity(8 + self.command.descriptors.len());
        let standard = self.streams.inside.iter().enumerate();
        let standard = standard
            .filter_map(|(target, fd)| fd.as_ref().map(|fd| (target as i32, Ok(fd.as_fd()))));
        let given = self.command.descriptors.iter().map(|(target, fd)| (*target, fd.get()));
        let joined = self.streams.joined.iter().map(|(target, fd)| (*target, Ok(fd.as_fd())));
        for (target, fd) in standard.chain(given).chain(joined) {
            targets.push(&target);
            descriptors.push(fd?);
        }
        let mut relays = ListBuilder::new(Vec::new());
        for (from, to) in &self.streams.relays {
            relays.push(&Relay { limit: policy.limits.output.unwrap_or(u64::MAX) });
            descriptors.extend([from.as_fd(), to.as_fd()]);
        }
        let whole = self.alive.enforcement();
        let own = self.tenancy.own_enforcement().unwrap_or(&*whole);
        let limits = self.tenancy.wardens_limits(&whole, &self.limits, self.command.wall_time);
        let ((meter, file), (gauge, stat)) = (own.meter()?, own.gauge(&self.limits)?);
        let entries = self.tenancy.cgroup_entries()?;
        let processes = self.tenancy.process_limit(&whole, &self.limits, policy);
        let flags = self.tenancy.flags(&whole);
        drop(whole);
        descriptors.extend(file.iter().chain(&stat).chain(&entries).map(AsFd::as_fd));
        descriptors.extend(self.tenancy.wardens_end()?);
        let cpu_time = self.limits.cpu_time.into_iter().chain(policy.limits.cpu_time).min();
        let rlimits = rlimits(policy, processes, cpu_time)?;
        let filters = &self.alive.filters;
        let (programs, pass) = filters.load(self.situation)?;
        let request = Request::Run {
            flags,
            program: &texts.program,
            search: &texts.search,
            arguments: arguments.list(),
            environment: environment.list(),
            directory: &texts.directory,
            targets: targets.list(),
            rlimits: rlimits.list(),
            umask: self.command.attributes.umask,
            ignored: self.command.attributes.ignored()?,
            limits,
            relays: relays.list(),
            meter,
            gauge,
            cgroup_entries: entries.len() as u32,
            filters: programs.list(),
            listener: filters.listener(self.situation),
            bypass: pass,
            terminal: self.command.window_size.terminal(self.streams.on_terminal()),
        };
        self.alive.warden.run(&request, &descriptors)
    }

    /// Holds the sandbox's files, if they are to be collected, and shows it the other members of
    /// its network. To be called before the command can start, and so can end.
    pub fn complete(&mut self) -> Result<()> {
        let command = self.command;
        // The warden has its final root directory only when the set-up is complete. A keeper has
        // waited for that.
        if self.alive.purpose == Purpose::Wait && !matches!(command.ground, Ground::Kept(_)) {
            self.alive.ready()?;
        }
        if !command.collect.is_wanted() {
            return Ok(());
        }
        self.files = Some(HeldFiles::open(&self.alive, &command.collect, &command.directory)?);
        Ok(())
    }

    /// Waits until the program runs.
    pub fn started(self) -> Result<Child> {
        let Prepared {
            command, streams, alive, lease, files, limits, mut tenancy, situation, ..
        } = self;
        tenancy.requested();
        let received = match alive.warden.await_report(tenancy.socket(), "start the command") {
            Ok(received) => received,
            Err(error) => {
                let error = alive.force_if_stopped(error);
                return Err(alive.under_memory_limit(error, &limits, tenancy.counters_before()));
            }
        };
        match received.report()? {
            Report::Started { pid, protections, landlock } => {
                lease.as_ref().map_or(Ok(()), |lease| lease.started())?;
                // The kernel drops a descriptor from a message if this process has no free number
                // for it (unix(7), MSG_CTRUNC).
                let pidfd = received.descriptor.ok_or_else(|| {
                    failure::of_descriptors("receive the command's descriptor", libc::EMFILE)
                })?;
                let own = tenancy.own_enforcement();
                let enforced = alive.enforced(protections, landlock, own, command.wall_time);
                let outside_pid = processes::pid_of(&pidfd)?.unwrap_or(0);
                let mut others = received.others.into_iter();
                let terminal = if streams.on_terminal() == 0 {
                    None
                } else {
                    others.next().map(Terminal::from)
                };
                let listener = others.next().map(Listener::new);
                tenancy.started();
                Ok(Child::new(StartedChild {
                    wall_time: command.wall_time,
                    streams,
                    alive,
                    lease,
                    files,
                    tenancy,
                    pidfd,
                    outside_pid,
                    inside_pid: pid.unsigned_abs(),
                    limits,
                    enforced,
                    terminal,
                    listener,
                }))
            }
            report => {
                let own_filters = alive.filters.own(situation);
                let error = failure::of_report(&report, &alive.plan, command, own_filters);
                Err(alive.under_memory_limit(error, &limits, tenancy.counters_before()))
            }
        }
    }
}

/// The resource limits of the command: the policy's, and the profile's where the policy sets none.
/// `processes` and `cpu_time` lower `RLIMIT_NPROC` and `RLIMIT_CPU` further.
///
/// The profile's values are capped at the caller's hard limits, which an unprivileged process
/// cannot raise. The policy's are not: there the start fails, and names the limit.
fn rlimits(
    policy: &Policy,
    processes: Option<u64>,
    cpu_time: Option<Duration>,
) -> Result<ListBuilder<Vec<u8>>> {
    let ceiling = |resource: Resource| {
        let limit = crate::base::sys::hard_limit(resource.number());
        limit.map_err(|error| Error::io(format!("read the caller's hard limit {resource}"), error))
    };
    let mut list = ListBuilder::new(Vec::new());
    for &(resource, soft, hard) in
        profile::RLIMITS.iter().filter(|(resource, _, _)| !policy.rlimits.contains_key(resource))
    {
        let ceiling = ceiling(resource)?;
        list.push(&Rlimit {
            resource: resource.number(),
            soft: soft.min(ceiling),
            hard: hard.min(ceiling),
        });
    }
    let mut chosen = policy.rlimits.clone();
    if let Some(number) = processes {
        let ceiling = number.min(ceiling(Resource::Nproc)?);
        let (soft, hard) = chosen.get(&Resource::Nproc).copied().unwrap_or((ceiling, ceiling));
        chosen.insert(Resource::Nproc, (soft.min(ceiling), hard.min(ceiling)));
    }
    if let Some(limit) = cpu_time {
        let seconds = watchdog::kernel_cpu_limit(limit).as_secs().min(ceiling(Resource::Cpu)?);
        let (soft, hard) = chosen.get(&Resource::Cpu).copied().unwrap_or((seconds, seconds));
        chosen.insert(Resource::Cpu, (soft.min(seconds), hard.min(seconds)));
    }
    for (resource, (soft, hard)) in chosen {
        list.push(&Rlimit { resource: resource.number(), soft, hard });
    }
    Ok(list)
}
