//! The second holder: the caller's side knows by when a command must have ended, and ends it if its
//! warden has not.
//!
//! The warden holds the limits. It could be stopped from outside, or starved of its processor, and
//! then nobody would; so no call of the library waits for it longer than this allows. No thread is
//! started: every call that waits looks when it is time to, and a caller that only polls is told
//! when that is ([`Child::deadline`](crate::Child::deadline)).

use crate::policy::Limits;
use crate::policy::outcome::Ended;
use std::time::{Duration, Instant};

/// A warden reports so long after the end at the latest, or is taken to be held.
pub const MARGIN: Duration = Duration::from_secs(1);
/// Between two looks at the processor time.
const PAUSE: Duration = Duration::from_millis(100);

/// What one process may use before the kernel itself ends it (RLIMIT_CPU), whatever becomes of
/// those who hold the limit: well above that, for it counts by the process, and a limit that is
/// raised later cannot raise it.
pub fn backstop(limit: Duration) -> Duration {
    const ABOVE: Duration = Duration::from_secs(60);
    limit.saturating_add(ABOVE)
}

/// When one command must have ended.
#[derive(Debug, Clone, Copy)]
pub struct Holder {
    started: Instant,
    /// The caller asked for its end: when, and what that end is called.
    asked: Option<(Instant, Ended)>,
    /// When its processor time is looked at next.
    look: Option<Instant>,
    /// When its processor time was first seen to be used up.
    spent: Option<Instant>,
}

impl Holder {
    pub fn new(started: Instant, limits: &Limits) -> Holder {
        let mut holder = Holder { started, asked: None, look: None, spent: None };
        holder.look_anew(limits);
        holder
    }

    /// The limits have changed.
    pub fn look_anew(&mut self, limits: &Limits) {
        self.spent = None;
        self.look =
            limits.cpu_time.and_then(|limit| self.started.checked_add(limit / processors()));
    }

    /// The caller has asked for its end, which is called so.
    pub fn ask(&mut self, ended: Ended) {
        self.asked.get_or_insert((Instant::now(), ended));
    }

    /// The end that the caller has asked for.
    pub fn asked(&self) -> Option<Ended> {
        self.asked.map(|(_, ended)| ended)
    }

    /// When it is time to look; `None` if there is no limit on time, and nobody has asked for its
    /// end.
    pub fn next(&self, limits: &Limits, wall_time: Option<Duration>) -> Option<Instant> {
        let asked = self.asked.and_then(|(at, _)| at.checked_add(MARGIN));
        [asked, self.wall(limits, wall_time), self.look].into_iter().flatten().min()
    }

    fn wall(&self, limits: &Limits, wall_time: Option<Duration>) -> Option<Instant> {
        let grace = limits.grace.map_or(Duration::ZERO, |(_, grace)| grace);
        self.started.checked_add(wall_time?)?.checked_add(grace)?.checked_add(MARGIN)
    }

    /// How it is to be ended now, if it is. `used`: its processor time so far, if that can be read.
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
        if !passed(self.look) {
            return None;
        }
        let limit = limits.cpu_time?;
        // What cannot be read now is looked at again.
        let rest = used().map_or(PAUSE, |used| limit.saturating_sub(used));
        if rest.is_zero() {
            let since = *self.spent.get_or_insert(now);
            if passed(since.checked_add(MARGIN)) {
                return Some(Ended::CpuTime);
            }
        }
        self.look = now.checked_add((rest / processors()).max(PAUSE));
        None
    }
}

/// Nobody uses up processor time faster than all processors at once.
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
        Instant::now().checked_sub(duration).expect("the clock has run so long")
    }

    #[test]
    fn without_a_limit_on_time_nothing_is_due() {
        let mut holder = Holder::new(ago(Duration::from_secs(9)), &limits(None));
        assert_eq!(holder.next(&limits(None), None), None);
        assert_eq!(holder.overdue(&limits(None), None, || None), None);
        holder.ask(Ended::Killed);
        assert!(holder.next(&limits(None), None).is_some());
        assert_eq!(holder.overdue(&limits(None), None, || None), None);
    }

    #[test]
    fn the_wall_time_is_due_a_second_later() {
        let (limits, wall) = (limits(None), Some(Duration::from_secs(3)));
        assert_eq!(
            Holder::new(ago(Duration::from_millis(3500)), &limits).overdue(&limits, wall, || None),
            None
        );
        let mut late = Holder::new(ago(Duration::from_secs(5)), &limits);
        assert_eq!(late.overdue(&limits, wall, || None), Some(Ended::WallTime));
    }

    #[test]
    fn processor_time_is_due_a_second_after_it_was_seen_to_be_spent() {
        let limits = limits(Some(Duration::from_secs(1)));
        let mut holder = Holder::new(ago(Duration::from_secs(9)), &limits);
        assert_eq!(holder.overdue(&limits, None, || Some(Duration::from_millis(900))), None);
        holder.look = Some(ago(Duration::ZERO));
        assert_eq!(holder.overdue(&limits, None, || Some(Duration::from_secs(2))), None);
        (holder.look, holder.spent) = (Some(ago(Duration::ZERO)), Some(ago(MARGIN)));
        assert_eq!(
            holder.overdue(&limits, None, || Some(Duration::from_secs(2))),
            Some(Ended::CpuTime)
        );
    }
}
