//! Samples the system calls that wardens wait in. A warden must wait only in its poll. If two
//! samples show the same wait in another call, a program inside could be holding the warden there.
//! Only root may look.

use crate::census::here;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a wait may last before it counts as a hold: the kernel may read in a page or wait for a
/// lock.
const MOMENT: Duration = Duration::from_millis(50);

/// PF_EXITING (linux/sched.h): an ending process waits for the processes that end with it.
const ENDS: u64 = 0x4;

/// One observed wait: the number of context switches, the call and the state of the process.
#[derive(Clone, PartialEq, Eq)]
struct Wait {
    switches: String,
    call: String,
    state: String,
    place: String,
}

/// A watched process and its label. The start time tells it from a later process with the same id.
#[derive(Clone)]
struct Watched {
    pid: u32,
    started: String,
    label: String,
}

/// A thread that samples until it is stopped.
pub struct Sampler<'scope> {
    shared: &'scope Shared,
}

/// The data shared between the sampling thread and its owner.
#[derive(Default)]
pub struct Shared {
    over: AtomicBool,
    watched: Mutex<Vec<Watched>>,
    held: Mutex<Vec<String>>,
    looks: Mutex<u64>,
}

impl<'scope> Sampler<'scope> {
    /// Starts the thread.
    pub fn start<'env>(
        scope: &'scope thread::Scope<'scope, 'env>,
        shared: &'scope Shared,
    ) -> Sampler<'scope> {
        scope.spawn(move || look(shared));
        Sampler { shared }
    }

    /// Adds a warden, which reports name by `label`.
    pub fn watch(&self, pid: u32, label: &str) {
        let Some(started) = started(pid) else { return };
        let mut watched = self.shared.watched.lock().expect("no thread panics while it holds this");
        watched.push(Watched { pid, started, label: label.into() });
    }

    /// Stops sampling and returns the number of samples and the holds that were found.
    pub fn stop(self) -> (u64, Vec<String>) {
        self.shared.over.store(true, Ordering::Release);
        let held = std::mem::take(
            &mut *self.shared.held.lock().expect("no thread panics while it holds this"),
        );
        (*self.shared.looks.lock().expect("no thread panics while it holds this"), held)
    }
}

impl Drop for Sampler<'_> {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
    }
}

fn look(shared: &Shared) {
    let mut seen: BTreeMap<u32, (Wait, Instant, bool)> = BTreeMap::new();
    while !shared.over.load(Ordering::Acquire) {
        let watched = shared.watched.lock().expect("no thread panics while it holds this").clone();
        let mut gone = Vec::new();
        for Watched { pid, started: own, label } in watched {
            let wait = wait_of(pid);
            if started(pid).is_none_or(|started| started != own) {
                gone.push(pid);
                seen.remove(&pid);
                continue;
            }
            *shared.looks.lock().expect("no thread panics while it holds this") += 1;
            let Some(wait) = wait else {
                seen.remove(&pid);
                continue;
            };
            match seen.get_mut(&pid) {
                Some((before, since, told)) if *before == wait => {
                    if since.elapsed() > here(MOMENT) && !*told {
                        *told = true;
                        let Wait { call, state, place, .. } = wait;
                        let told = format!(
                            "{label}: warden {pid} waits (state {state}) in {call} at {place}"
                        );
                        shared
                            .held
                            .lock()
                            .expect("no thread panics while it holds this")
                            .push(told);
                    }
                }
                _ => drop(seen.insert(pid, (wait, Instant::now(), false))),
            }
        }
        if !gone.is_empty() {
            shared
                .watched
                .lock()
                .expect("no thread panics while it holds this")
                .retain(|one| !gone.contains(&one.pid));
        }
        thread::sleep(Duration::from_micros(300));
    }
}

/// The start time of a process, or `None` if it has ended.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X");
    if ended { None } else { fields.nth(18).map(str::to_owned) }
}

/// The wait of a process, or `None` if it runs, is ending, has ended, or waits in its poll.
fn wait_of(pid: u32) -> Option<Wait> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?.to_owned();
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    if !matches!(&*state, "S" | "D") || flags & ENDS != 0 {
        return None;
    }
    // The file holds `running`, or the number and arguments of the call, or -1 outside of a call.
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let number = call.split_whitespace().next()?.to_owned();
    if number == "running" || number == libc::SYS_ppoll.to_string() {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let switches = status.lines().filter(|line| line.contains("ctxt_switches")).collect();
    let place = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    let call =
        number.parse().map_or(number, |number: i32| seclude::Syscall::new(number).to_string());
    Some(Wait { switches, call, state, place })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Caller;
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    /// The control: a process that waits in another call is found, and one that polls is not.
    #[test]
    fn who_waits_elsewhere_is_seen() {
        if Caller::present() == Caller::User {
            return eprintln!("who_waits_elsewhere_is_seen: SKIPPED: only root may look");
        }
        for (code, is_seen) in [
            ("import signal; signal.pause()", true),
            ("import select; select.poll().poll()", false),
        ] {
            let code = format!("print('ready', flush=True); {code}");
            let mut python = std::process::Command::new("python3");
            let mut process =
                python.args(["-c", &code]).stdout(Stdio::piped()).spawn().expect("it is there");
            // Waits during the start of the program are of no interest.
            let mut ready = String::new();
            BufReader::new(process.stdout.as_mut().expect("it is piped"))
                .read_line(&mut ready)
                .expect("it prints a line");
            // Python uses poll(2), not the warden's ppoll(2), so the wait channel tells it apart.
            let shared = Shared::default();
            let (looks, held) = thread::scope(|scope| {
                let sampler = Sampler::start(scope, &shared);
                sampler.watch(process.id(), "the control");
                thread::sleep(here(Duration::from_secs(1)));
                sampler.stop()
            });
            process.kill().expect("it is ours");
            process.wait().expect("it is ours");
            assert!(looks > 0 || !is_seen);
            assert_eq!(held.iter().any(|told| !told.contains("poll")), is_seen, "{held:?}");
        }
    }
}
