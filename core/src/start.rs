//! From a command to a child, in three strokes: `Prepared` (the sandbox is being set up), `run` (the command may start), `started` (it has).
//! So several commands can be set up side by side and started together.

use crate::child::Child;
use crate::command::{Command, Stream, Texts};
use crate::enforce::Enforcement;
use crate::error::{Error, ErrorKind, Result};
use crate::failure;
use crate::idmap::Mapping;
use crate::listener::Listener;
use crate::outcome::Enforced;
use crate::plan::{Manner, Plan};
use crate::policy::{HOST_IDS, Policy, Resource};
use crate::processes;
use crate::profile;
use crate::seccomp::Filters;
use crate::streams::Streams;
use crate::warden::{ONLY, Warden};
use crate::wire::codec::ListBuilder;
use crate::wire::message::{Relay, Report, Request, Rlimit, run};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A sandbox that is being set up, and what is to run in it.
pub struct Prepared<'a> {
    command: &'a Command,
    texts: Texts,
    streams: Streams,
    plan: Arc<Plan>,
    filters: Arc<Filters>,
    warden: Warden,
    enforcement: Enforcement,
    /// Who the command is outside, where that is not the caller.
    owner: Option<(u32, u32)>,
}

impl<'a> Prepared<'a> {
    /// `stdin` and `others`: what the standard streams are if the command does not say. `joined`: ends of pipes to other commands, and the
    /// descriptors that they are to be.
    pub fn new(command: &'a Command, stdin: Stream, others: Stream, joined: Vec<(i32, OwnedFd)>) -> Result<Prepared<'a>> {
        let texts = command.texts()?;
        let policy = command.sandbox.policy();
        policy.check()?;
        let filters = command.sandbox.compiled().filters(policy)?;
        let streams = Streams::new(command, stdin, others, joined)?;
        let mapping = Mapping::choose(policy)?;
        let outside = |id: u32| policy.host_ids + id.min(HOST_IDS - 1);
        let owner = (mapping != Mapping::Own).then(|| (outside(policy.uid), outside(policy.gid)));
        if let Some((uid, gid)) = owner {
            streams.give_pipes_to(uid, gid);
        }
        let mut without_scope = None;
        loop {
            let mut enforcement = Enforcement::prepare(policy, command.wall_time, without_scope.as_ref())?;
            let watches = enforcement.watches(&policy.limits);
            let manner = Manner { mapping, admits: enforcement.admits(), watches };
            let plan = command.sandbox.compiled().plan(policy, manner)?;
            match Warden::start(command, &plan, &mut enforcement) {
                Ok(warden) => return Ok(Prepared { command, texts, streams, plan, filters, warden, enforcement, owner }),
                // Then without one.
                Err(error) if enforcement.scope_failed => without_scope = Some(error),
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the command start.
    pub fn run(&self) -> Result<()> {
        let (policy, texts) = (self.command.sandbox.policy(), &self.texts);
        let mut arguments = ListBuilder::new(Vec::new());
        texts.arguments.iter().for_each(|argument| arguments.push(&argument.as_c_str()));
        let mut environment = ListBuilder::new(Vec::new());
        texts.environment.iter().for_each(|variable| environment.push(&variable.as_c_str()));
        let mut targets = ListBuilder::new(Vec::new());
        let mut descriptors: Vec<BorrowedFd<'_>> = Vec::with_capacity(8 + self.command.descriptors.len());
        let standard = self.streams.inside.iter().enumerate().map(|(target, fd)| (target as i32, fd.as_fd()));
        let given = self.command.descriptors.iter().chain(&self.streams.joined).map(|(target, fd)| (*target, fd.as_fd()));
        for (target, fd) in standard.chain(given) {
            targets.push(&target);
            descriptors.push(fd);
        }
        let mut relays = ListBuilder::new(Vec::new());
        for (from, to) in &self.streams.relays {
            relays.push(&Relay { limit: policy.limits.output.unwrap_or(u64::MAX) });
            descriptors.extend([from.as_fd(), to.as_fd()]);
        }
        let (meter, file) = self.enforcement.meter();
        descriptors.extend(file.as_ref().map(AsFd::as_fd));
        let rlimits = rlimits(policy, self.enforcement.process_limit(&policy.limits));
        let (filters, pass) = self.filters.load()?;
        let request = Request::Run {
            id: ONLY,
            // In a scope of systemd's the warden stays until its cgroup has been read.
            flags: if self.enforcement.in_scope { 0 } else { run::LAST },
            program: &texts.program,
            search: &texts.search,
            arguments: arguments.list(),
            environment: environment.list(),
            directory: &texts.directory,
            targets: targets.list(),
            rlimits: rlimits.list(),
            umask: profile::UMASK,
            limits: self.enforcement.wardens(&policy.limits, self.command.wall_time),
            relays: relays.list(),
            meter,
            filters: filters.list(),
            listener: self.filters.listener(),
            pass,
        };
        self.warden.run(&request, &descriptors)
    }

    /// Waits until the program runs.
    pub fn started(self) -> Result<Child> {
        let Prepared { command, streams, plan, warden, enforcement, owner, .. } = self;
        let policy = command.sandbox.policy();
        let received = match warden.receive(None) {
            Ok(Some(received)) => received,
            Ok(None) => return Err(Error::new(ErrorKind::WardenLost, "start the command")),
            Err(error) => return Err(too_little_memory(&enforcement, policy).unwrap_or(error)),
        };
        match received.report()? {
            Report::Started { id: ONLY, pid, protections, landlock } => {
                // What did not arrive beside the message found no free number here.
                let pidfd =
                    received.descriptor.ok_or_else(|| failure::of_descriptors("receive the command's descriptor", libc::EMFILE))?;
                let protections = protections | enforcement.protections(policy);
                let enforced = Enforced::new(policy.flags(), protections, landlock, enforcement.mechanisms);
                let outside = processes::pid_of(&pidfd).unwrap_or(0);
                let pids = (outside, pid.unsigned_abs());
                let listener = received.listener.map(Listener::new);
                Ok(Child::new(command, streams, warden, pidfd, pids, enforcement, enforced, listener, owner))
            }
            report => {
                let error = failure::of_report(&report, &plan, command);
                Err(too_little_memory(&enforcement, policy).unwrap_or(error))
            }
        }
    }
}

/// Nothing runs, because the kernel killed for want of memory: that is the limit's doing.
fn too_little_memory(enforcement: &Enforcement, policy: &Policy) -> Option<Error> {
    let limit = policy.limits.memory.filter(|_| enforcement.cgroup.counters().out_of_memory)?;
    Some(
        Error::new(ErrorKind::HostLimit, format!("start the command in {limit} bytes of memory"))
            .because("the limit on memory leaves too little for it to start")
            .errno(libc::ENOMEM)
            .hint("raise the limit memory: the sandbox itself takes less than 2 MiB, and a program what it takes"),
    )
}

/// The policy's limits over the profile's. The latter are ceilings: where the caller's own hard limit is lower, that stays.
fn rlimits(policy: &Policy, processes: Option<u64>) -> ListBuilder<Vec<u8>> {
    let mut list = ListBuilder::new(Vec::new());
    for &(resource, soft, hard) in profile::RLIMITS.iter().filter(|(resource, _, _)| !policy.rlimits.contains_key(resource)) {
        let ceiling = crate::sys::hard_limit(resource.number());
        list.push(&Rlimit { resource: resource.number(), soft: soft.min(ceiling), hard: hard.min(ceiling) });
    }
    let mut chosen = policy.rlimits.clone();
    if let Some(number) = processes {
        let ceiling = number.min(crate::sys::hard_limit(Resource::Nproc.number()));
        let (soft, hard) = chosen.get(&Resource::Nproc).copied().unwrap_or((ceiling, ceiling));
        chosen.insert(Resource::Nproc, (soft.min(ceiling), hard.min(ceiling)));
    }
    for (resource, (soft, hard)) in chosen {
        list.push(&Rlimit { resource: resource.number(), soft, hard });
    }
    list
}
