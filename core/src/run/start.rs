//! From a command to a child, in three strokes: `Prepared` (the sandbox is being set up, or is
//! there), `run` (the command may start), `started` (it has). So several commands can be set up
//! side by side and started together.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::processes;
use crate::host::cgroup::Counters;
use crate::host::enforce::Enforcement;
use crate::host::listener::Listener;
use crate::host::socket::{self, Socket};
use crate::host::terminal::Terminal;
use crate::policy::profile;
use crate::policy::{Limit, Limits, Mechanism, Policy, Resource};
use crate::run::alive::{Alive, Beginning, Purpose, Visit};
use crate::run::child::{Among, Child};
use crate::run::command::{Command, Stream, Texts};
use crate::run::failure;
use crate::run::ground::{Lease, Place};
use crate::run::holder;
use crate::run::streams::Streams;
use crate::wire::codec::ListBuilder;
use crate::wire::message::{Relay, Report, Request, Rlimit, run};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// A sandbox, and what is to run in it.
pub struct Prepared<'a> {
    command: &'a Command,
    texts: Texts,
    streams: Streams,
    alive: Arc<Alive>,
    /// It is a pool's.
    lease: Option<Box<dyn Lease>>,
    /// Of one command among others: over which it is spoken of, our end and the warden's.
    line: Option<(Arc<Socket>, Socket)>,
    /// What it is held to by itself.
    limits: Limits,
    /// What its cell had counted before, its stay there, and what holds it beyond what holds all.
    cell: Option<(Counters, Visit, Enforcement)>,
    /// A cgroup counts all its memory, where that is limited.
    counted: bool,
    /// Until it has begun in a cell, that is not made to stand still.
    _beginning: Option<Beginning>,
}

impl<'a> Prepared<'a> {
    /// `stdin` and `others`: what the standard streams are if the command does not say. `joined`:
    /// ends of pipes to other commands, and the descriptors that they are to be. `place` takes the
    /// sandbox; `None` if it does not get one.
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
            let why = "the sandbox has none: its policy leaves them out, shares the mount namespace, or puts something else there";
            return Err(Error::invalid("terminal", why)
                .hint("terminals: a policy that insists on them is told what is in their way"));
        }
        let Some(Place { alive, mut lease }) = place()? else { return Ok(None) };
        if let Some((uid, gid)) = alive.owner {
            streams.give_pipes_to(uid, gid);
        }
        let among = alive.purpose == Purpose::Cell;
        let line = if among {
            Some(socket::pair().map(|(ours, theirs)| (Arc::new(ours), theirs))?)
        } else {
            None
        };
        if let Some(lease) = &mut lease {
            lease.watch(line.as_ref().map(|(ours, _)| ours))?;
        }
        let limits = if among { share.alone(&policy.limits) } else { share.over(&policy.limits) };
        let beginning = among.then(|| Beginning::new(&alive));
        let cell = if among {
            let within = alive.enforcement().within(policy, share)?;
            Some((alive.counters(), Visit::begin(&alive), within))
        } else {
            let tightened = alive.enforcement().tighten(&limits, share);
            tightened.map_err(|error| alive.under_memory_limit(error, &limits, None))?;
            None
        };
        let sampled = |enforcement: &Enforcement| {
            enforcement.mechanism(Limit::Memory) == Some(Mechanism::Sampled)
        };
        let counted = !sampled(&alive.enforcement())
            && !cell.as_ref().is_some_and(|(_, _, within)| sampled(within));
        Ok(Some(Prepared {
            command,
            texts,
            streams,
            alive,
            lease,
            line,
            limits,
            cell,
            counted,
            _beginning: beginning,
        }))
    }

    /// Lets the command start.
    pub fn run(&self) -> Result<()> {
        let (policy, texts) = (self.command.sandbox.policy(), &self.texts);
        let mut arguments = ListBuilder::new(Vec::new());
        texts.arguments.iter().for_each(|argument| arguments.push(&argument.as_c_str()));
        let mut environment = ListBuilder::new(Vec::new());
        texts.environment.iter().for_each(|variable| environment.push(&variable.as_c_str()));
        let mut targets = ListBuilder::new(Vec::new());
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
        let all = self.alive.enforcement();
        let own = self.cell.as_ref().map_or(&*all, |(_, _, within)| within);
        let mut limits = own.wardens(&self.limits, self.command.wall_time);
        if self.cell.is_some()
            && limits.memory == 0
            && all.mechanism(Limit::Memory) == Some(Mechanism::Sampled)
        {
            // To tell its peak.
            limits.memory = u64::MAX;
        }
        let ((meter, file), (gauge, stat)) = (own.meter()?, own.gauge(&self.limits)?);
        let doors = if self.cell.is_some() { own.doors()? } else { Some(Vec::new()) };
        let doors = doors.ok_or_else(|| {
            Error::new(ErrorKind::LimitUnavailable, "open the command's own cgroup")
        })?;
        // Of one among others the kernel counts the processes of all.
        let processes =
            all.process_limit(if self.cell.is_some() { &policy.limits } else { &self.limits });
        let in_scope = all.in_scope;
        drop(all);
        descriptors.extend(file.iter().chain(&stat).chain(&doors).map(AsFd::as_fd));
        if let Some((_, theirs)) = &self.line {
            descriptors.push(theirs.as_fd()?);
        }
        let cpu_time = self.limits.cpu_time.into_iter().chain(policy.limits.cpu_time).min();
        let rlimits = rlimits(policy, processes, cpu_time)?;
        let filters = &self.alive.filters;
        let (programs, pass) = filters.load(self.counted)?;
        let flags = match self.line {
            Some(_) => run::AMONG,
            // In a scope of systemd's the warden stays until its cgroup has been read.
            None if in_scope => 0,
            None => run::LAST,
        };
        let request = Request::Run {
            flags,
            program: &texts.program,
            search: &texts.search,
            arguments: arguments.list(),
            environment: environment.list(),
            directory: &texts.directory,
            targets: targets.list(),
            rlimits: rlimits.list(),
            umask: profile::UMASK,
            ignored: self.command.ignored,
            limits,
            relays: relays.list(),
            meter,
            gauge,
            doors: doors.len() as u32,
            filters: programs.list(),
            listener: filters.listener(),
            pass,
            terminal: self.command.window_size.terminal(self.streams.on_terminal()),
        };
        self.alive.warden.run(&request, &descriptors)
    }

    /// Waits until the program runs.
    pub fn started(self) -> Result<Child> {
        let Prepared { command, streams, alive, lease, line, limits, cell, counted, .. } = self;
        let among = line.zip(cell).map(|((socket, _), (before, visit, within))| Among {
            socket,
            before,
            visit,
            within,
        });
        let (socket, before) =
            (among.as_ref().map(|among| &*among.socket), among.as_ref().map(|among| &among.before));
        let received = match alive.warden.await_report(socket, "start the command") {
            Ok(received) => received,
            Err(error) => {
                return Err(alive.under_memory_limit(alive.give_up(error), &limits, before));
            }
        };
        match received.report()? {
            Report::Started { pid, protections, landlock } => {
                lease.as_ref().map_or(Ok(()), |lease| lease.started())?;
                // What did not arrive beside the message found no free number here.
                let pidfd = received.descriptor.ok_or_else(|| {
                    failure::of_descriptors("receive the command's descriptor", libc::EMFILE)
                })?;
                let within = among.as_ref().map(|among| &among.within);
                let enforced = alive.enforced(protections, landlock, within, command.wall_time);
                let outside = processes::pid_of(&pidfd)?.unwrap_or(0);
                let pids = (outside, pid.unsigned_abs());
                let mut others = received.others.into_iter();
                let terminal = if streams.on_terminal() == 0 {
                    None
                } else {
                    others.next().map(Terminal::from)
                };
                let listener = others.next().map(Listener::new);
                Ok(Child::new(
                    command,
                    streams,
                    (alive, lease, among),
                    pidfd,
                    pids,
                    (limits, enforced),
                    (terminal, listener),
                ))
            }
            report => {
                let error =
                    failure::of_report(&report, &alive.plan, command, alive.filters.own(counted));
                Err(alive.under_memory_limit(error, &limits, before))
            }
        }
    }
}

/// The policy's limits over the profile's. The latter are ceilings: where the caller's own hard
/// limit is lower, that stays.
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
        let seconds = holder::backstop(limit).as_secs().min(ceiling(Resource::Cpu)?);
        let (soft, hard) = chosen.get(&Resource::Cpu).copied().unwrap_or((seconds, seconds));
        chosen.insert(Resource::Cpu, (soft.min(seconds), hard.min(seconds)));
    }
    for (resource, (soft, hard)) in chosen {
        list.push(&Rlimit { resource: resource.number(), soft, hard });
    }
    Ok(list)
}
