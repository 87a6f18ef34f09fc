//! The watchdog on the caller's side: it knows by when a command must have ended, and says so if
//! the warden has not ended it.
//!
//! The warden enforces the limits. If it is stopped from outside, or gets no processor time, it
//! enforces nothing. So no call of the library waits for the warden longer than the watchdog
//! allows. There is no thread for this: each call that waits checks the watchdog in time. A caller
//! that only polls learns from [`Child::deadline`](crate::Child::deadline) when to poll next.

use crate::policy::Limits;
use crate::policy::outcome::Ended;
use std::time::{Duration, Instant};

/// How long after a command's end its warden may take to report it. After that, the watchdog acts.
pub const MARGIN: Duration = Duration::from_secs(1);
/// The shortest time between two readings of the processor time.
const PAUSE: Duration = Duration::from_millis(100);

/// The processor time at which the kernel itself kills a process (`RLIMIT_CPU`): 60 seconds above
/// the limit. This holds even if both the warden and the caller fail. It is that far above the
/// limit because the kernel counts each process by itself, and because it cannot be raised together
/// with the limit.
pub fn kernel_cpu_limit(limit: Duration) -> Duration {
    const ABOVE: Duration = Duration::from_secs(60);
    limit.saturating_add(ABOVE)
}

/// The time limits of one command, or of a whole cell.
#[derive(Debug, Clone, Copy)]
pub struct Watchdog {
    started: Instant,
    /// When the caller asked for the command's end, and the end to report for that.
    asked: Option<(Instant, Ended)>,
    /// When to read the processor time next.
    next_reading: Option<Instant>,
    /// When the processor time was first seen to be used up.
    cpu_spent: Option<Instant>,
}

impl Watchdog {
    pub fn new(started: Instant, limits: &Limits) -> Watchdog {
        let mut watchdog = Watchdog { started, asked: None, next_reading: None, cpu_spent: None };
        watchdog.limits_changed(limits);
        watchdog
    }

    /// Starts the reading of processor time afresh, for changed limits.
    pub fn limits_changed(&mut self, limits: &Limits) {
        self.cpu_spent = None;
        self.next_reading =
            limits.cpu_time.and_then(|limit| self.started.checked_add(limit / processors()));
    }

    /// Notes that the caller has asked for the command's end, and that the end is to be `ended`.
    pub fn ask(&mut self, ended: Ended) {
        self.asked.get_or_insert((Instant::now(), ended));
    }

    /// The end that the caller has asked for.
    pub fn asked(&self) -> Option<Ended> {
        self.asked.map(|(_, ended)| ended)
    }

    /// When to call [`Watchdog::overdue`] next. `None` if there is no limit on time and the caller
    /// has not asked for the end.
    pub fn next_check(&self, limits: &Limits, wall_time: Option<Duration>) -> Option<Instant> {
        let asked = self.asked.and_then(|(at, _)| at.checked_add(MARGIN));
        [asked, self.wall(limits, wall_time), self.next_reading].into_iter().flatten().min()
    }

    fn wall(&self, limits: &Limits, wall_time: Option<Duration>) -> Option<Instant> {
        let grace = limits.grace.map_or(Duration::ZERO, |(_, grace)| grace);
        self.started.checked_add(wall_time?)?.checked_add(grace)?.checked_add(MARGIN)
    }

    /// The end to enforce now, or `None` if nothing is overdue. `used` reads the processor time so
    /// far, if that is possible.
    pub fn overdue(
        &mut self,
        limits: &Limits,
        wall_time: Option<Duration>,
        used: impl FnOnce() -> Option<Duration>,
    ) -> Option<Ended> {
        let now = Instant::now();
        let passed = |moment: Option<Instant>| moment.is_some_and(|moment| moment <= now);
        if let Some((at, ended)) = self.asked
            && passed(at.checked_add(MARGIN))
        {
            return Some(ended);
        }
        if passed(self.wall(limits, wall_time)) {
            return Some(Ended::WallTime);
        }
        if !passed(self.next_reading) {
            return None;
        }
        let limit = limits.cpu_time?;
        // If the processor time cannot be read now, try again after the pause.
        let rest = used().map_or(PAUSE, |used| limit.saturating_sub(used));
        if rest.is_zero() {
            let since = *self.cpu_spent.get_or_insert(now);
            if passed(since.checked_add(MARGIN)) {
                return Some(Ended::CpuTime);
            }
        }
        self.next_reading = now.checked_add((rest / processors()).max(PAUSE));
        None
    }
}

/// The number of processors: processor time passes at most this many times as fast as wall time.
fn processors() -> u32 {
    std::thread::available_parallelism()
        .map_or(1, |number| u32::try_from(number.get()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(cpu_time: Option<Duration>) -> Limits {
        Limits { cpu_time, ..Limits::default() }
    }

    fn ago(duration: Duration) -> Instant {
        Instant::now().checked_sub(duration).expect("the clock has run for longer than that")
    }

    #[test]
    fn without_a_limit_on_time_nothing_is_due() {
        let mut watchdog = Watchdog::new(ago(Duration::from_secs(9)), &limits(None));
        assert_eq!(watchdog.next_check(&limits(None), None), None);
        assert_eq!(watchdog.overdue(&limits(None), None, || None), None);
        watchdog.ask(Ended::Killed);
        assert!(watchdog.next_check(&limits(None), None).is_some());
        assert_eq!(watchdog.overdue(&limits(None), None, || None), None);
    }

    #[test]
    fn the_wall_time_is_due_a_second_later() {
        let (limits, wall) = (limits(None), Some(Duration::from_secs(3)));
        assert_eq!(
            Watchdog::new(ago(Duration::from_millis(3500)), &limits)
                .overdue(&limits, wall, || None),
            None
        );
        let mut late = Watchdog::new(ago(Duration::from_secs(5)), &limits);
        assert_eq!(late.overdue(&limits, wall, || None), Some(Ended::WallTime));
    }

    #[test]
    fn processor_time_is_due_a_second_after_it_was_seen_to_be_spent() {
        let limits = limits(Some(Duration::from_secs(1)));
        let mut watchdog = Watchdog::new(ago(Duration::from_secs(9)), &limits);
        assert_eq!(watchdog.overdue(&limits, None, || Some(Duration::from_millis(900))), None);
        watchdog.next_reading = Some(ago(Duration::ZERO));
        assert_eq!(watchdog.overdue(&limits, None, || Some(Duration::from_secs(2))), None);
        (watchdog.next_reading, watchdog.cpu_spent) =
            (Some(ago(Duration::ZERO)), Some(ago(MARGIN)));
        assert_eq!(
            watchdog.overdue(&limits, None, || Some(Duration::from_secs(2))),
            Some(Ended::CpuTime)
        );
    }
}
