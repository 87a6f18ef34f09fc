//! The end, put together from what the warden reports and what the cgroup has counted.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::sys::Gone;
use crate::host::cgroup::Counters;
use crate::policy::Limits;
use crate::policy::outcome::{Ended, Usage};
use crate::policy::seccomp::Syscall;
use crate::wire::message::{Report, end, seen};
use crate::wire::usage as told;
use std::time::Duration;

/// What is known of the command's limits at its end.
pub struct Held<'a> {
    /// Its own; of the only command there is, those of the whole.
    pub limits: &'a Limits,
    /// Those on all commands together.
    pub whole: &'a Limits,
    pub wall_time: Option<Duration>,
    /// The caller stopped it, because it wrote more than this where the caller was reading.
    pub overflow: Option<u64>,
    /// Others ran beside it: what the counters tell may have happened to them.
    pub in_company: bool,
}

/// What cgroups have counted.
pub struct Counted<'a> {
    /// Of the command alone.
    pub own: &'a Counters,
    /// Of all that were there.
    pub whole: &'a Counters,
}

/// How the whole ended, the first process's own end, the limit's value, and what was used.
pub type Verdict = (Ended, Option<i32>, Option<u64>, Usage);

/// The end as the warden reports it.
pub fn reported(report: &Report<'_>, counted: &Counted<'_>, held: &Held<'_>) -> Result<Verdict> {
    let &Report::Ended { how, value, status, seen: bits, scratch, usage } = report else {
        return Err(Error::new(ErrorKind::WardenLost, "read the warden's report")
            .because("it is out of turn"));
    };
    let saw = |bit: u32| bits & bit != 0;
    let killed = match how {
        _ if counted.own.killed_at_limit() => Some(held.limits),
        // Version 1 counts a kill only where the victim was.
        _ if counted.own.killed > 0 && counted.whole.memory_met => Some(held.whole),
        // In company, it may have been somebody else who was killed.
        end::SIGNALED if value == libc::SIGKILL && counted.whole.killed_at_limit() => {
            Some(held.whole)
        }
        _ if counted.whole.killed_at_limit() && !held.in_company => Some(held.whole),
        _ => None,
    };
    // Nobody alone comes to a limit that is above that on all.
    let own_processes =
        held.limits.pids.filter(|own| held.whole.pids.is_none_or(|whole| *own <= whole));
    let refused = if saw(seen::PROCESSES) || counted.own.refused_at(own_processes) {
        held.limits.pids.map(|_| held.limits)
    } else {
        let refused = saw(seen::CROWDED)
            || counted.whole.processes_refused > 0
            || counted.own.processes_refused > 0;
        held.whole.pids.filter(|_| refused).map(|_| held.whole)
    };
    let by_itself = |ended: Ended| match ended {
        Ended::Exited(0) => ended,
        _ if refused.is_some() => Ended::ProcessLimit,
        _ if saw(seen::SCRATCH) => Ended::ScratchFull,
        _ => ended,
    };
    let ended = match how {
        _ if killed.is_some() => Ended::MemoryLimit,
        _ if held.overflow.is_some() => Ended::OutputLimit,
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
    let usage = used(usage, counted.own);
    let looked_at = if value == end::TOGETHER { held.whole } else { held.limits };
    let limits = match ended {
        Ended::MemoryLimit => killed.unwrap_or(looked_at),
        Ended::ProcessLimit if how != end::PROCESSES => refused.unwrap_or(looked_at),
        _ => looked_at,
    };
    Ok((ended, status, value_of(ended, limits, held, scratch), usage))
}

/// The end of one whose warden is no more, after so long: by this signal, if anybody knows.
pub fn lost(gone: Gone, wall: Duration, counted: &Counted<'_>, held: &Held<'_>) -> Verdict {
    let (own, whole) = (counted.own.killed_at_limit(), counted.whole.killed_at_limit());
    let ended =
        if own || whole { Ended::MemoryLimit } else { Ended::WardenLost(gone.signal.unwrap_or(0)) };
    let usage = unreported(&Usage::NONE, gone, wall, counted);
    (ended, None, value_of(ended, if own { held.limits } else { held.whole }, held, 0), usage)
}

/// The end of one that the caller's side has ended. `seen`: what it had used when it was last
/// looked at.
pub fn forced(
    ended: Ended,
    seen: &Usage,
    gone: Gone,
    wall: Duration,
    counted: &Counted<'_>,
    held: &Held<'_>,
) -> Verdict {
    (ended, None, value_of(ended, held.limits, held, 0), unreported(seen, gone, wall, counted))
}

/// What was used, when the warden does not tell: by the cgroup's account, the kernel's of the
/// warden and all that it waited for, or as it was last seen.
fn unreported(seen: &Usage, gone: Gone, wall: Duration, counted: &Counted<'_>) -> Usage {
    let mut usage = Usage { wall, memory: 0, processes: 0, ..*seen };
    let known = counted.own.cpu.or(gone.cpu).filter(|(user, system)| *user + *system > usage.cpu());
    (usage.user, usage.system) = known.unwrap_or((usage.user, usage.system));
    counted.own.add_to(&mut usage);
    usage
}

/// The value of the limit that was the end, one of `limits` where both the command and all together
/// have one.
fn value_of(ended: Ended, limits: &Limits, held: &Held<'_>, scratch: u64) -> Option<u64> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    match ended {
        Ended::WallTime => held.wall_time.map(nanoseconds),
        Ended::CpuTime => limits.cpu_time.map(nanoseconds),
        Ended::MemoryLimit => limits.memory,
        Ended::ProcessLimit => limits.pids,
        Ended::OutputLimit => held.overflow.or(held.limits.output),
        Ended::ScratchFull => Some(scratch),
        Ended::Exited(_)
        | Ended::Signaled(_)
        | Ended::Syscall(_)
        | Ended::Killed
        | Ended::WardenLost(_) => None,
    }
}

/// The warden's account, and the cgroup's where that knows better.
fn used(told: told::Usage, counters: &Counters) -> Usage {
    let mut usage = Usage::from(told);
    // Processes that nobody waited for are in the meter alone; how the time divides is told by the
    // others.
    let (metered, waited) = (Duration::from_nanos(told.meter), usage.cpu());
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
