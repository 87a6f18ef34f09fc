//! The outcome of a command, worked out from the warden's report and the cgroup's counters.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::sys::Gone;
use crate::host::cgroup::Counters;
use crate::policy::Limits;
use crate::policy::outcome::{Ended, Usage};
use crate::policy::seccomp::Syscall;
use crate::wire::message::{Report, end, seen};
use crate::wire::usage as wire;
use std::time::Duration;

/// The limits of the command at its end, and what else decides between them.
pub struct LimitsInForce<'a> {
    /// The command's own. If it is alone, the sandbox's.
    pub own: &'a Limits,
    /// Those on all commands of the sandbox together.
    pub whole: &'a Limits,
    pub wall_time: Option<Duration>,
    /// Set if the caller stopped the command because it wrote more than this many bytes.
    pub overflow: Option<u64>,
    /// Other commands ran in the cell at the same time, so the cell's counters may count their
    /// events.
    pub beside_others: bool,
}

/// The counters of the command's cgroups.
pub struct CgroupCounts<'a> {
    /// Of the command alone.
    pub own: &'a Counters,
    /// Of the whole sandbox.
    pub whole: &'a Counters,
}

/// The end of the command, the status of its first process, the value of the limit that ended it,
/// and what it used.
pub type Verdict = (Ended, Option<i32>, Option<u64>, Usage);

/// Works out the end from the warden's report.
pub fn reported(
    report: &Report<'_>,
    counts: &CgroupCounts<'_>,
    in_force: &LimitsInForce<'_>,
) -> Result<Verdict> {
    let &Report::Ended { how, value, status, seen: bits, scratch, usage } = report else {
        return Err(Error::new(ErrorKind::WardenLost, "read the warden's report")
            .because("it is out of turn"));
    };
    let saw = |bit: u32| bits & bit != 0;
    let killed = match how {
        _ if counts.own.killed_at_limit() => Some(in_force.own),
        // cgroup v1 counts a kill only in the victim's cgroup, not where the limit is.
        _ if counts.own.killed > 0 && counts.whole.memory_met => Some(in_force.whole),
        // If other commands ran, the kill may have been theirs. It was this command's if it died of
        // SIGKILL.
        end::SIGNALED if value == libc::SIGKILL && counts.whole.killed_at_limit() => {
            Some(in_force.whole)
        }
        _ if counts.whole.killed_at_limit() && !in_force.beside_others => Some(in_force.whole),
        _ => None,
    };
    // A command cannot reach a limit of its own that is higher than the cell's.
    let own_processes =
        in_force.own.pids.filter(|own| in_force.whole.pids.is_none_or(|whole| *own <= whole));
    let refused = if saw(seen::PROCESSES) || counts.own.refused_at(own_processes) {
        in_force.own.pids.map(|_| in_force.own)
    } else {
        let refused = saw(seen::CELL_PROCESSES)
            || counts.whole.processes_refused > 0
            || counts.own.processes_refused > 0;
        in_force.whole.pids.filter(|_| refused).map(|_| in_force.whole)
    };
    let by_itself = |ended: Ended| match ended {
        Ended::Exited(0) => ended,
        _ if refused.is_some() => Ended::ProcessLimit,
        _ if saw(seen::SCRATCH) => Ended::ScratchFull,
        _ => ended,
    };
    let ended = match how {
        _ if killed.is_some() => Ended::MemoryLimit,
        _ if in_force.overflow.is_some() => Ended::OutputLimit,
        end::EXITED => by_itself(Ended::Exited(value)),
        end::SIGNALED => by_itself(Ended::Signaled(value)),
        end::WALL_TIME => Ended::WallTime,
        end::KILLED => Ended::Killed,
        end::SYSCALL => Ended::Syscall(Syscall::new(value)),
        end::FOREIGN_SYSCALL => Ended::Syscall(Syscall::foreign(value)),
        end::CPU_TIME => Ended::CpuTime,
        end::MEMORY => Ended::MemoryLimit,
        end::OUTPUT => Ended::OutputLimit,
        end::PROCESSES => Ended::ProcessLimit,
        _ => {
            return Err(Error::new(ErrorKind::WardenLost, "read the warden's report")
                .because("it is malformed"));
        }
    };
    let status = saw(seen::STATUS).then(|| match status & 0x7f {
        0 => status >> 8 & 0xff,
        signal => -signal,
    });
    let usage = used(usage, counts.own);
    let limit_set = if value == end::TOGETHER { in_force.whole } else { in_force.own };
    let limits = match ended {
        Ended::MemoryLimit => killed.unwrap_or(limit_set),
        Ended::ProcessLimit if how != end::PROCESSES => refused.unwrap_or(limit_set),
        _ => limit_set,
    };
    Ok((ended, status, value_of(ended, limits, in_force, scratch), usage))
}

/// Works out the end if the warden died without a report. `gone` says by which signal, if it is
/// known.
pub fn lost(
    gone: Gone,
    wall: Duration,
    counts: &CgroupCounts<'_>,
    in_force: &LimitsInForce<'_>,
) -> Verdict {
    let (own, whole) = (counts.own.killed_at_limit(), counts.whole.killed_at_limit());
    let ended =
        if own || whole { Ended::MemoryLimit } else { Ended::WardenLost(gone.signal.unwrap_or(0)) };
    let usage = unreported(&Usage::NONE, gone, wall, counts);
    (
        ended,
        None,
        value_of(ended, if own { in_force.own } else { in_force.whole }, in_force, 0),
        usage,
    )
}

/// Works out the end of a command that the caller's side has ended. `seen` is its usage at the last
/// look.
pub fn forced(
    ended: Ended,
    seen: &Usage,
    gone: Gone,
    wall: Duration,
    counts: &CgroupCounts<'_>,
    in_force: &LimitsInForce<'_>,
) -> Verdict {
    (ended, None, value_of(ended, in_force.own, in_force, 0), unreported(seen, gone, wall, counts))
}

/// What was used, if the warden does not report it. The processor time is that of the cgroup, or
/// the kernel's account of the warden and all processes that it has reaped, or that of `seen`.
fn unreported(seen: &Usage, gone: Gone, wall: Duration, counts: &CgroupCounts<'_>) -> Usage {
    let mut usage = Usage { wall, memory: 0, processes: 0, ..*seen };
    let known = counts.own.cpu.or(gone.cpu).filter(|(user, system)| *user + *system > usage.cpu());
    (usage.user, usage.system) = known.unwrap_or((usage.user, usage.system));
    counts.own.add_to(&mut usage);
    usage
}

/// The value of the limit that ended the command. `limits` is the set that was exceeded, the
/// command's own or the whole sandbox's.
fn value_of(
    ended: Ended,
    limits: &Limits,
    in_force: &LimitsInForce<'_>,
    scratch: u64,
) -> Option<u64> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    match ended {
        Ended::WallTime => in_force.wall_time.map(nanoseconds),
        Ended::CpuTime => limits.cpu_time.map(nanoseconds),
        Ended::MemoryLimit => limits.memory,
        Ended::ProcessLimit => limits.pids,
        Ended::OutputLimit => in_force.overflow.or(in_force.own.output),
        Ended::ScratchFull => Some(scratch),
        Ended::Exited(_)
        | Ended::Signaled(_)
        | Ended::Syscall(_)
        | Ended::Killed
        | Ended::WardenLost(_) => None,
    }
}

/// Combines the warden's account with the cgroup's counters, which are more accurate.
fn used(reported: wire::Usage, counters: &Counters) -> Usage {
    let mut usage = Usage::from(reported);
    // The cgroup's meter includes processes that nobody has waited for. It does not separate user
    // and system time, so divide it in the ratio of the processes that were waited for.
    let (metered, waited) = (Duration::from_nanos(reported.meter), usage.cpu());
    if metered > waited {
        let system = metered.mul_f64(if waited.is_zero() {
            0.0
        } else {
            usage.system.as_secs_f64() / waited.as_secs_f64()
        });
        (usage.user, usage.system) = (metered.saturating_sub(system), system);
    }
    counters.add_to(&mut usage);
    usage
}
