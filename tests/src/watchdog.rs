//! Runs calls that must return under a watchdog. If a call does not return in time, the watchdog
//! kills the processes that it may wait for and reports the call as hung. If it does not return
//! even then, the watchdog aborts the test program.

use crate::census::{here, is_warden, marked, wardens};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a call may exceed its deadline on a usual machine. The library promises less, but a
/// test is no clock.
pub const SLACK: Duration = Duration::from_secs(5);

/// How long a call may take to return after the watchdog has killed the processes.
const LAST: Duration = Duration::from_secs(20);

/// The processes that a watchdog kills: the given wardens, or all wardens below this process if
/// none are given, and all processes with a mark.
#[derive(Debug, Clone, Default)]
pub struct Victims {
    /// The wardens, by process id.
    pub wardens: Vec<u32>,
    /// The mark of processes inside, or empty for none.
    pub mark: String,
}

impl Victims {
    /// The warden and the processes of one command.
    pub fn of(warden: u32, mark: &str) -> Victims {
        Victims { wardens: vec![warden], mark: mark.into() }
    }

    /// Kills them.
    pub fn slay(&self) {
        let all = || wardens().into_iter().map(|(_, pid)| pid).collect();
        let these = if self.wardens.is_empty() { all() } else { self.wardens.clone() };
        // An id that is no longer a warden's may belong to another process.
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

/// The most time that a call is granted because the machine gives its threads no processor.
const STARVED: Duration = Duration::from_secs(60);

/// How long each task has been runnable without a processor, from `/proc/PID/schedstat`. Zero where
/// the file cannot be read.
fn starved(tasks: &[u32]) -> Vec<Duration> {
    let waited = |task: &u32| {
        let text = std::fs::read_to_string(format!("/proc/{task}/schedstat")).unwrap_or_default();
        Duration::from_nanos(
            text.split_whitespace().nth(1).and_then(|field| field.parse().ok()).unwrap_or(0),
        )
    };
    tasks.iter().map(waited).collect()
}

/// Makes a call that must return within `limit` plus [`SLACK`]. Returns its result and how long it
/// took, or a message if it hung.
///
/// Time in which the calling thread or a warden was runnable without a processor does not count;
/// the longest of these counts as granted. A fork bomb beside other work starves them although
/// nothing holds them.
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
        // Dropped even if the call panics, so that the watchdog sees the end of the channel.
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

/// Prints what the wardens and, last, the calling thread wait in, and which victims are left, to
/// help find the cause.
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
