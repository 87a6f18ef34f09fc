//! Ends what hangs. A call that must return is made under a watchdog: if it does not return in
//! time, the watchdog kills what the call waits for, and the call is a failure that says so. A call
//! that even then does not return ends the test program.

use crate::census::{here, is_warden, marked, wardens};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a call may take beyond its own deadline on a usual machine. The library's promise is
/// tighter; a test is not a clock.
pub const SLACK: Duration = Duration::from_secs(5);

/// How long a call has to return after the watchdog has killed what it waits for.
const LAST: Duration = Duration::from_secs(20);

/// What a watchdog kills: wardens by number, all below this process if there are none, and the
/// processes with a mark.
#[derive(Debug, Clone, Default)]
pub struct Victims {
    /// Wardens.
    pub wardens: Vec<u32>,
    /// The mark of processes inside; none if empty.
    pub mark: String,
}

impl Victims {
    /// One command's: its warden and its processes.
    pub fn of(warden: u32, mark: &str) -> Victims {
        Victims { wardens: vec![warden], mark: mark.into() }
    }

    /// Kills them.
    pub fn slay(&self) {
        let all = || wardens().into_iter().map(|(_, pid)| pid).collect();
        let these = if self.wardens.is_empty() { all() } else { self.wardens.clone() };
        // A number that is no warden's any more may be anybody's.
        these.into_iter().filter(|pid| is_warden(*pid)).for_each(slay);
        if !self.mark.is_empty() {
            marked(&self.mark).into_iter().for_each(slay);
        }
    }
}

/// Kills one process.
pub fn slay(pid: u32) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

/// For how long a call is at most excused by a machine that gives its threads no processor.
const STARVED: Duration = Duration::from_secs(60);

/// How long each of these tasks has been ready to run without a processor: `/proc/PID/schedstat`,
/// nothing where it does not tell.
fn starved(tasks: &[u32]) -> Vec<Duration> {
    let waited = |task: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
        Duration::from_nanos(
            text.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0),
        )
    };
    tasks.iter().map(waited).collect()
}

/// Makes a call that must return within `limit` and [`SLACK`]: what it returned and after how long,
/// or that it hung. Time in which the calling thread or a warden was ready to run without a
/// processor, whichever of them the longest, does not count: a fork bomb beside other work starves
/// them, and nobody holds them then.
pub fn returns<T>(
    what: &str,
    limit: Duration,
    victims: &Victims,
    call: impl FnOnce() -> T,
) -> Result<(T, Duration), String> {
    let patience = limit + here(SLACK);
    let (done, watched) = channel::<()>();
    let mut tasks = victims.wardens.clone();
    tasks.push(nix::unistd::gettid().as_raw().cast_unsigned());
    let told = tasks.clone();
    thread::scope(|scope| {
        let dog = scope.spawn(move || {
            let (begin, already) = (Instant::now(), starved(&tasks));
            loop {
                let delays = starved(&tasks).into_iter().zip(&already).map(|(now, then)| now.saturating_sub(*then));
                let excused = delays.max().unwrap_or_default().min(STARVED);
                let left = (patience + excused).saturating_sub(begin.elapsed());
                if left.is_zero() {
                    break;
                }
                if watched.recv_timeout(left) != Err(RecvTimeoutError::Timeout) {
                    return false;
                }
            }
            let end = Instant::now() + here(LAST);
            while Instant::now() < end {
                victims.slay();
                if watched.recv_timeout(Duration::from_millis(100)) != Err(RecvTimeoutError::Timeout) {
                    return true;
                }
            }
            eprintln!("{what}: did not return in {patience:?}, nor {LAST:?} after all that it may wait for was killed");
            tell_where(&told, victims);
            std::process::abort()
        });
        let begin = Instant::now();
        // Dropped in any case, also when the call panics: the watchdog sees the channel's end.
        let done: Sender<()> = done;
        let result = call();
        let taken = begin.elapsed();
        drop(done);
        match dog.join() {
            Ok(false) => Ok((result, taken)),
            Ok(true) => Err(format!(
                "{what}: hung; it returned only when its warden was killed, after {patience:?}"
            )),
            Err(_) => Err(format!("{what}: the watchdog failed")),
        }
    })
}

/// What the calling thread, which comes last, and the wardens wait in, and who of the victims is
/// left: for whoever looks for the cause.
fn tell_where(tasks: &[u32], victims: &Victims) {
    for task in tasks {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{task}/{file}"))
                .unwrap_or_else(|error| error.to_string())
        };
        let status = read("status");
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or("gone");
        eprintln!(
            "task {task}: {state}, in {:?}, call {:?}, schedstat {:?}",
            read("wchan"),
            read("syscall"),
            read("schedstat")
        );
    }
    eprintln!("marked processes left: {:?}; wardens: {:?}", marked(&victims.mark), wardens());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_returns_is_let_be() {
        let (value, _) =
            returns("a number", Duration::ZERO, &Victims::default(), || 7).expect("it returns");
        assert_eq!(value, 7);
    }

    #[test]
    fn a_call_that_waits_for_a_process_is_told_and_ended() {
        let mark = format!("watchdog-{}", std::process::id());
        let mut sleeper = std::process::Command::new("sh")
            .args(["-c", "while :; do sleep 0.1; done", &mark])
            .spawn()
            .expect("sh is there");
        let victims = Victims { wardens: vec![u32::MAX / 3], mark };
        let told =
            returns("a wait", Duration::ZERO, &victims, || sleeper.wait()).expect_err("it waits");
        assert!(told.starts_with("a wait: hung"), "{told}");
    }
}
