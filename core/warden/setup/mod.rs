//! Set-up: applies the steps of the plan in order. Each kind of step has its file.

mod ids;
mod landlock;
mod mounts;
mod populate;
mod scratch;
mod seal;
mod target;

use crate::control::{Control, RequestBuffer};
use crate::first::First;
use crate::scan::ProcessScan;
use crate::sys::{self, Call, Errno, Fd, Result, process};
use crate::text::Note;
use crate::wire::codec::List;
use crate::wire::message::{Request, VERSION, reason};
use crate::wire::plan::{self, Step, guard, namespace, protection};
use core::ffi::CStr;
use landlock::CommandRuleset;
use mounts::Mounts;
use scratch::Scratch;
use target::Spot;

/// The step that failed, the error, and the path where that is not the plan's own.
pub struct Refusal {
    pub step: u32,
    pub errno: Errno,
    pub path: Note,
    /// What else is known: one of [`reason`], and the number of the system call that it is about,
    /// or -1.
    pub reason: u32,
    pub call: i32,
}

/// A failure inside a step. The text is the path, if the step works on several.
pub struct StepFailure(pub Errno, pub Note);

impl From<Errno> for StepFailure {
    fn from(errno: Errno) -> StepFailure {
        StepFailure(errno, Note::NONE)
    }
}

/// What the steps work on.
struct SetupContext<'a> {
    control: &'a Control,
    outside: (u32, u32),
    /// The user and group that the warden has become.
    user: (u32, u32),
    /// The mount namespace is new and belongs to this warden.
    own_mounts: bool,
    /// The kernel keeps the reserved process ids for the wardens of entering commands.
    reserves_pids: bool,
    mounts: Mounts<'a>,
    /// The whole plan, and the number of the step that is carried out.
    plan: List<'a, Step<'a>>,
    step: usize,
    finished: FinishedSetup,
}

/// The result of set-up, as commands and limits need it.
pub struct FinishedSetup {
    /// The active protections.
    pub protections: u64,
    /// The tmpfs mounts with a limit.
    pub scratch: Scratch,
    /// The view for process scans, if a limit needs them.
    pub scan: Option<ProcessScan>,
    /// The Landlock ruleset for the commands.
    pub ruleset: Option<CommandRuleset>,
    /// The ABI of the Landlock rulesets; 0 if there are none.
    pub landlock: u32,
    /// The root of the devpts, if there is one.
    pub terminals: Option<Fd>,
    /// The file that the caller is to write to, until it is sent.
    pub callers_file: Option<Fd>,
    /// The changes to an overlay, for the caller, until they are sent.
    pub changes: Option<Fd>,
    /// The process that becomes the command, if that is to be process 1 of a tree of its own.
    pub first: Option<First>,
    /// The user and the network namespace for the caller, until they are sent.
    pub lent: Option<[Fd; 2]>,
}

/// Applies the plan in `incoming`.
// Not inlined: its large frame would become part of the frame of the loop.
#[inline(never)]
pub fn apply<'a>(
    control: &'a Control,
    incoming: &'a RequestBuffer,
) -> core::result::Result<FinishedSetup, Refusal> {
    const BEFORE_THE_PLAN: u32 = u32::MAX;
    let refuse = |step: u32| {
        move |StepFailure(errno, path): StepFailure| Refusal {
            step,
            errno,
            path,
            reason: reason::ERRNO,
            call: -1,
        }
    };
    let Ok(Request::Setup {
        version: VERSION,
        namespaces,
        outside_uid,
        outside_gid,
        classic_mounts,
        plan,
        ..
    }) = incoming.request()
    else {
        return Err(refuse(BEFORE_THE_PLAN)(Errno::EPROTO.into()));
    };
    // A step adds one source or file system at most, but these two add more.
    let most = plan.iter().map(|step| match step {
        Step::Await { trees } => trees as usize,
        Step::Overlay { .. } => 2,
        _ => 1,
    });
    let mounts = Mounts::new(classic_mounts, most.sum())
        .map_err(|errno| refuse(BEFORE_THE_PLAN)(errno.into()))?;
    let finished = FinishedSetup {
        protections: 0,
        scratch: Scratch::new(),
        scan: None,
        ruleset: None,
        landlock: 0,
        terminals: None,
        callers_file: None,
        changes: None,
        first: None,
        lent: None,
    };
    let own_mounts = namespaces & namespace::MOUNT != 0;
    let mut context = SetupContext {
        control,
        outside: (outside_uid, outside_gid),
        user: (u32::MAX, u32::MAX),
        own_mounts,
        reserves_pids: false,
        mounts,
        plan,
        step: 0,
        finished,
    };
    context.finished.protections |=
        seal::lifetime(namespaces).map_err(|errno| refuse(BEFORE_THE_PLAN)(errno.into()))?;
    for (index, step) in plan.iter().enumerate() {
        context.step = index;
        if let Err(failure) = context.carry_out(&step) {
            // The warden's own ruleset forbids mounts too, so the test would say nothing.
            let (reason, call) =
                why(&step, failure.0, own_mounts && context.finished.landlock == 0);
            return Err(Refusal { reason, call, ..refuse(index as u32)(failure) });
        }
        #[cfg(stage_clock)]
        crate::stages::mark(index as u64);
    }
    context.mounts.close_sources();
    Ok(context.finished)
}

/// Finds out why a step was refused, beyond the error number: the reason, and the system call that
/// it is about.
#[cold]
fn why(step: &Step<'_>, errno: Errno, own_mounts: bool) -> (u32, i32) {
    let number = sys::refused_call();
    match errno {
        Errno::ENOSYS => return (reason::ABSENT, number as i32),
        Errno::EPERM | Errno::EACCES if own_mounts && sys::mounts_are_forbidden() => {
            return (reason::NO_MOUNTS, -1);
        }
        Errno::EPERM if Call::numbered(number).is_absent() => {
            return (reason::FILTER, number as i32);
        }
        _ => {}
    }
    match *step {
        Step::Source { path, follow: true, .. }
            if errno == Errno::ELOOP && mounts::is_automount_out_of_reach(path) =>
        {
            (reason::AUTOMOUNT, -1)
        }
        Step::NoNestedUsers { given: true } => (reason::NO_PROC, -1),
        _ => (reason::ERRNO, -1),
    }
}

impl<'a> SetupContext<'a> {
    fn carry_out(&mut self, step: &Step<'a>) -> core::result::Result<(), StepFailure> {
        match *step {
            Step::Attributes {} => seal::forget_attributes()?,
            Step::MapOwnIds { uid, gid } => ids::map_own(uid, gid, self.outside)?,
            Step::CheckMaps { uids, gids, own } => {
                let (uid, gid) = self.outside;
                let of = |id: u32| own.then_some(id);
                ids::check_map(c"/proc/self/uid_map", uids, of(uid))?;
                ids::check_map(c"/proc/self/gid_map", gids, of(gid))?;
            }
            Step::Await { trees } => {
                let mounts = &mut self.mounts;
                ids::await_caller(self.control, |incoming| mounts.take_trees(incoming, trees))?;
            }
            Step::BecomeUser { uid, gid, groups, exact } => {
                self.finished.protections |= ids::become_user(uid, gid, groups, exact)?;
                self.user = (uid, gid);
            }
            Step::KeepUser { uid, gid } => {
                self.finished.protections |= ids::keep_user(uid, gid)?;
                self.user = (uid, gid);
            }
            Step::TimeOffsets { monotonic, boottime } => ids::time_offsets(monotonic, boottime)?,
            Step::ReservePids {} => {
                // A kernel without `ns_last_pid` may give these ids to any process. The filter then
                // guards none of them.
                self.reserves_pids =
                    self.finished.scan.as_ref().is_some_and(|scan| scan.reserve_pids().is_ok());
            }
            Step::CgroupNamespace {} => sys::unshare(namespace::CGROUP)?,
            Step::HostName { name } => sys::set_host_name(name)?,
            Step::DomainName { name } => sys::set_domain_name(name)?,
            Step::Loopback {} => sys::loopback_up()?,
            Step::PrivateMounts {} => sys::stop_propagation()?,
            Step::Source { path, optional, follow } => {
                self.mounts.open_source(path, optional, follow)?
            }
            Step::Device { path, major, minor } => self.mounts.open_device(path, (major, minor))?,
            Step::Readable { source } => self.mounts.check_readable(source)?,
            Step::Reach { path } => drop(sys::open(sys::CWD, path, sys::open::PATH, 0)?),
            Step::Root { size, inodes, anywhere } => {
                self.mounts.new_root(size, inodes, anywhere)?
            }
            Step::Directory { at, mode } => self.mounts.directory(at, mode)?,
            Step::Bind { source, at, attributes, tree: false } => {
                self.mounts.bind(source, at, attributes)?
            }
            Step::Bind { source, at, attributes, tree: true } => {
                self.mounts.bind_tree_of_caller(source, at, attributes)?
            }
            Step::Tmpfs { at, size, inodes, mode, attributes } => {
                let mounted = self.mounts.tmpfs(at, size, inodes, mode, attributes)?;
                if size > 0 || inodes > 0 {
                    self.finished.scratch.push(mounted);
                }
            }
            Step::Overlay { at, layers, trees, size, inodes, kept, bounded, lend } => {
                let scratch = self.mounts.tmpfs(at, size, inodes, 0o755, mounts::FIXED)?;
                self.mounts.overlay(at, layers, trees, &scratch, kept)?;
                if lend {
                    self.finished.changes = Some(self.mounts.changes(&scratch, kept)?);
                }
                if bounded {
                    self.finished.scratch.push(self.mounts.room_of_changes(scratch, kept)?);
                }
            }
            Step::MessageQueues { at } => self.mounts.message_queues(at)?,
            Step::Symlink { at, target } => self.mounts.symlink(&Spot::of(at), target)?,
            Step::File { at, mode, data, optional } => {
                self.mounts.file(at, mode, data, optional)?
            }
            Step::BoundFile { at, mode, data, attributes, callers: false } => {
                self.mounts.bound_file(at, mode, data, attributes)?
            }
            Step::BoundFile { at, mode, data, attributes, callers: true } => {
                let file = self.mounts.bound_file_of_caller(at, mode, data, attributes)?;
                self.finished.callers_file = Some(file);
            }
            Step::Lend {} => {
                let open = |path| sys::open(sys::CWD, path, sys::open::READ, 0);
                self.finished.lent =
                    Some([open(c"/proc/self/ns/user")?, open(c"/proc/self/ns/net")?]);
            }
            Step::Remount { at } => self.mounts.make_read_only(at)?,
            Step::Chmod { at, mode } => self.mounts.change_mode(at, mode)?,
            Step::Populate { source, at, names, except, attributes } => {
                populate::populate(&mut self.mounts, source, at, names, except, attributes)?
            }
            Step::PopulateEach { source, at, prefix, names, attributes } => {
                populate::populate_each(&mut self.mounts, source, at, prefix, names, attributes)?
            }
            Step::Cgroup { at, controllers } => self.mounts.cgroup(at, controllers)?,
            Step::First {} => self.finished.first = Some(First::make(self.plan, self.user)?),
            Step::Proc { at, hide, subset } => match &self.finished.first {
                Some(first) => self.mounts.proc_of(first.open_proc()?, at, hide, subset)?,
                None => self.mounts.proc(at, hide, subset)?,
            },
            Step::Terminals { at } => self.finished.terminals = Some(self.mounts.terminals(at)?),
            Step::Watch { own, alone } => {
                self.finished.scan = Some(if own {
                    ProcessScan::new(self.mounts.hidden_proc()?, alone)
                } else {
                    ProcessScan::shared()?
                })
            }
            Step::Mask { paths, null } => {
                self.mounts.mask(paths, null)?;
                self.finished.protections |= protection::MASKED_PROC;
            }
            Step::ReadOnly { paths } => self.mounts.read_only(paths)?,
            Step::NoNestedUsers { given } => {
                seal::no_nested_users(&self.mounts, given)?;
                self.finished.protections |= protection::NO_NESTED_USERS;
            }
            Step::Pivot {} => {
                self.mounts.pivot()?;
                self.finished.protections |= protection::ROOT;
            }
            Step::ReadOnlyRoot {} => {
                self.mounts.read_only_root()?;
                self.finished.protections |= protection::READ_ONLY_ROOT;
            }
            Step::Landlock { rules, readable, writable, devices, bind, connect } => {
                if rules & plan::landlock::ALONE != 0 {
                    // A user namespace would give CAP_SYS_ADMIN. Without it a ruleset takes this
                    // (landlock(7)).
                    sys::prctl(process::SET_NO_NEW_PRIVS, 1)?;
                }
                self.finished.ruleset = CommandRuleset::new(rules, &self.mounts, bind, connect)?;
                if let Some(ruleset) = &self.finished.ruleset {
                    ruleset.readable(&self.mounts, readable)?;
                    ruleset.writable(&self.mounts, writable)?;
                    ruleset.devices(&self.mounts, devices)?;
                    if rules & plan::landlock::ALONE == 0 {
                        ruleset.queues(&self.mounts, self.own_mounts)?;
                    }
                }
                // Signals may go no way out of a Landlock domain. So where the first process has
                // one of its own, the warden has none.
                let (landlock, protections) = match &self.finished.first {
                    Some(first) => first.repeat(self.step)?,
                    None => landlock::restrict_warden(rules, &self.mounts)?,
                };
                let (more, by_ruleset) = self
                    .finished
                    .ruleset
                    .as_ref()
                    .map_or((0, 0), |ruleset| (ruleset.abi, ruleset.protections));
                self.finished.landlock = landlock.max(more);
                self.finished.protections |= protections | by_ruleset;
            }
            Step::AdoptRoot { protections } => {
                self.mounts.use_current_root()?;
                self.finished.protections |= protections;
            }
            Step::Filter { program, protections, entrant } => {
                let kept = entrant
                    && sys::process_id().unsigned_abs() & guard::RESERVED_MASK
                        == guard::FIRST_ENTRANT;
                seal::load_filter(program, kept || self.reserves_pids)?;
                seal::verify_filter()?;
                self.repeat()?;
                self.finished.protections |=
                    protections | if kept { protection::WARDEN_GUARDED } else { 0 };
            }
            Step::Keyring { dispensable } => {
                self.finished.protections |= seal::keyring(dispensable)?;
                self.repeat()?;
            }
            Step::Seal { capabilities, unprivileged } => {
                let protections = if unprivileged {
                    seal::seal_unprivileged()?
                } else {
                    seal::seal(capabilities, self.user.0)?
                };
                seal::verify(self.user, capabilities, unprivileged)?;
                self.finished.protections |= protections;
                self.repeat()?;
            }
        }
        Ok(())
    }

    /// Has the first process, if there is one, do the same.
    fn repeat(&self) -> Result<()> {
        self.finished.first.as_ref().map_or(Ok(()), |first| first.repeat(self.step).map(drop))
    }
}

/// What the first process of a tree does of a step that it repeats. Returns the ABI of a Landlock
/// ruleset, and protections.
pub fn repeated(step: &Step<'_>, user: (u32, u32)) -> Result<(u32, u64)> {
    match *step {
        Step::Landlock { rules, .. } => {
            let mut mounts = Mounts::new(false, 0)?;
            mounts.use_current_root()?;
            landlock::restrict_warden(rules, &mounts)
        }
        Step::Keyring { dispensable } => Ok((0, seal::keyring(dispensable)?)),
        Step::Seal { capabilities, .. } => {
            let protections = seal::seal(capabilities, user.0)?;
            seal::verify(user, capabilities, false)?;
            Ok((0, protections))
        }
        Step::Filter { program, protections, .. } => {
            seal::load_filter(program, false)?;
            seal::verify_filter()?;
            Ok((0, protections))
        }
        _ => Err(Errno::EPROTO),
    }
}

/// Adds the path to a failure.
fn failing_at<T>(finished: &CStr, result: Result<T>) -> core::result::Result<T, StepFailure> {
    result.map_err(|errno| StepFailure(errno, Note::of(finished)))
}
