//! Every system call by which a sandbox is set up fails once, with each of the errors that a machine in distress gives: the caller's own calls, the
//! warden's, and those of the process that becomes the command, one run each, by a tracer that turns the call into nothing and its result into the error.
//!
//! What may come of it: an error that names a step, or a run with every protection in force, as the command itself sees them; nothing that hangs, and no descriptor
//! more than before. SECLUDE_FAULTS=all tries every call with every error and writes the table of `docs/faults.md`; without it, every third call gets
//! one error, another one at each.
#![deny(unsafe_code)]
#![cfg(target_arch = "x86_64")]

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use seclude::Syscall;
use seclude_tests::caller::{Caller, as_each, program};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ERRORS: &[Errno] = &[Errno::EPERM, Errno::ENOSPC, Errno::EMFILE, Errno::ENOMEM, Errno::EAGAIN, Errno::EINTR, Errno::ENOSYS];

/// Who makes a call: in the order in which they appear.
const ROLES: [&str; 3] = ["caller", "warden", "command"];
/// A set-up that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(5);
const BEGIN: u64 = 0x5ec_1de1;
const END: u64 = 0x5ec_1de2;

/// A call: whose, and which of theirs.
type Place = (usize, usize);

/// For each call of each role, and each error: what came of it, how often.
type Table = BTreeMap<(usize, String), BTreeMap<i32, BTreeMap<String, u32>>>;

/// What came of one run.
#[derive(Debug)]
struct Run {
    said: String,
    /// Every call that was made, in turn.
    calls: Vec<(Place, i64)>,
    hung: bool,
}

#[derive(Default)]
struct Tracee {
    role: usize,
    calls: usize,
    /// The result that the call under way is to have.
    spoiled: bool,
}

/// Runs the starter once; `fault`: which call fails with what.
fn run(fault: Option<(Place, Errno)>) -> Run {
    let mut starter = Command::new(program("starter"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .expect("it is built");
    let caller = Pid::from_raw(starter.id().cast_signed());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(caller, options).expect("it is our child");
    ptrace::interrupt(caller).expect("it is our child");
    starter.stdin.take().expect("it is piped").write_all(b"go\n").expect("it reads");
    let run = watch(caller, fault);
    let mut said = String::new();
    let _ = starter.stdout.take().expect("it is piped").read_to_string(&mut said);
    let _ = starter.wait();
    Run { said, ..run }
}

fn watch(caller: Pid, fault: Option<(Place, Errno)>) -> Run {
    let mut tracees: BTreeMap<Pid, Tracee> = BTreeMap::from([(caller, Tracee::default())]);
    let mut run = Run { said: String::new(), calls: Vec::new(), hung: false };
    let started = Instant::now();
    // Between the marks, and until the command's program runs.
    let mut counting = false;
    let mut over = false;
    while !tracees.is_empty() {
        let status = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {
                if started.elapsed() > PATIENCE && !run.hung {
                    run.hung = true;
                    for pid in tracees.keys() {
                        let _ = kill(*pid, Signal::SIGKILL);
                    }
                }
                std::thread::sleep(Duration::from_micros(20));
                continue;
            }
            Ok(status) => status,
            Err(Errno::EINTR) => continue,
            Err(_) => break,
        };
        let Some(pid) = status.pid() else { continue };
        let mut deliver = None;
        match status {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                tracees.remove(&pid);
                continue;
            }
            WaitStatus::PtraceSyscall(_) => {
                let role = tracees.len().min(ROLES.len()) - 1;
                let tracee = tracees.entry(pid).or_insert(Tracee { role, ..Tracee::default() });
                let Ok(info) = ptrace::syscall_info(pid) else { continue };
                if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    let Ok(mut registers) = ptrace::getregs(pid) else { continue };
                    let number = registers.orig_rax.cast_signed();
                    if number == libc::SYS_getsid {
                        counting |= registers.rdi == BEGIN;
                        over |= registers.rdi == END;
                    } else if counting && !over {
                        let place = (tracee.role, tracee.calls);
                        tracee.calls += 1;
                        run.calls.push((place, number));
                        if fault.is_some_and(|(at, _)| at == place) {
                            registers.orig_rax = u64::MAX;
                            tracee.spoiled = ptrace::setregs(pid, registers).is_ok();
                        }
                    }
                } else if tracee.spoiled {
                    tracee.spoiled = false;
                    if let (Ok(mut registers), Some((_, errno))) = (ptrace::getregs(pid), fault) {
                        registers.rax = i64::from(-(errno as i32)).cast_unsigned();
                        let _ = ptrace::setregs(pid, registers);
                    }
                }
            }
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => {
                // The warden's exec is part of it; the command's ends it.
                over |= tracees.get(&pid).is_some_and(|tracee| tracee.role == 2);
            }
            WaitStatus::PtraceEvent(..) => {
                let role = tracees.len().min(ROLES.len() - 1);
                tracees.entry(pid).or_insert(Tracee { role, ..Tracee::default() });
            }
            WaitStatus::Stopped(_, signal) => deliver = Some(signal),
            _ => {}
        }
        let _ = if over { ptrace::cont(pid, deliver) } else { ptrace::syscall(pid, deliver) };
    }
    run
}

/// What the starter said, without the count of descriptors, and whether that was right.
fn sound(said: &str, kept: i32) -> Result<&str, String> {
    let (told, more) = said.trim_end().rsplit_once("\nmore ").ok_or_else(|| format!("it said {said:?}"))?;
    let more: i32 = more.parse().map_err(|_| format!("it said {said:?}"))?;
    if more <= kept { Ok(told) } else { Err(format!("{more} descriptors more: {told}")) }
}

/// The protections that the outcome tells, and the rest of the fingerprint.
fn parts(told: &str) -> Option<(BTreeSet<&str>, &str)> {
    let (enforced, seen) = told.strip_prefix("ok {")?.split_once('}')?;
    Some((enforced.split(", ").collect(), seen))
}

/// What a fault came to, in a word; an error if that must not be.
fn judge(baseline: &str, run: &Run, (name, errno): (&str, Errno)) -> Result<String, String> {
    if run.hung {
        return Err("it hung".into());
    }
    // Where the kernel gives no random numbers, a device does, which stays open for the next time.
    let told = sound(&run.said, if name == "getrandom" { 1 } else { 0 })?;
    if let Some(error) = told.strip_prefix("error ") {
        let mut words = error.splitn(3, ' ');
        let (kind, step) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
        if step.is_empty() || kind == "command" {
            return Err(format!("an error without a step: {error}"));
        }
        return Ok(kind.to_owned());
    }
    let (expected, found) = (parts(baseline).ok_or(baseline)?, parts(told).ok_or(told)?);
    let lost: Vec<&str> = expected.0.difference(&found.0).copied().collect();
    // What is best effort may be left out where the kernel lacks it, and is then not told as enforced.
    let dispensable = |name: &&str| name.contains("landlock") || name.contains("own-keyring");
    match (found.1 == expected.1, lost.is_empty()) {
        (true, true) => Ok("as usual".into()),
        (true, false) if errno == Errno::ENOSYS && lost.iter().all(dispensable) => Ok("without".into()),
        _ => Err(format!("it started with less: lost {lost:?}\n{}\n{}", expected.1, found.1)),
    }
}

#[test]
fn every_call_of_the_set_up_may_fail() {
    as_each("every_call_of_the_set_up_may_fail", |who| {
        let all = std::env::var_os("SECLUDE_FAULTS").is_some_and(|word| word == "all");
        let first = run(None);
        let baseline = sound(&first.said, 0).expect("without a fault it runs").to_owned();
        assert!(baseline.starts_with("ok {"), "{baseline}");
        assert!(first.calls.len() > 200, "only {} calls were seen", first.calls.len());
        let again = run(None);
        assert_eq!(sound(&again.said, 0), Ok(&*baseline), "two runs without a fault are alike");
        let mut table = Table::new();
        let (mut wrong, mut runs) = (Vec::new(), 0);
        for (index, (place, number)) in first.calls.iter().enumerate() {
            let name = Syscall::new(*number as i32).to_string();
            // Who ends is gone, by this call or by the next instruction; and a close has closed, whatever it says (close(2)).
            if matches!(&*name, "exit" | "exit_group" | "close") {
                continue;
            }
            const STRIDE: usize = 3;
            if !all && index % STRIDE != 0 {
                continue;
            }
            let tried = if all { ERRORS } else { &ERRORS[index % ERRORS.len()..=index % ERRORS.len()] };
            for errno in tried {
                runs += 1;
                match judge(&baseline, &run(Some((*place, *errno))), (&name, *errno)) {
                    Ok(word) => {
                        *table
                            .entry((place.0, name.clone()))
                            .or_default()
                            .entry(*errno as i32)
                            .or_default()
                            .entry(word)
                            .or_default() += 1
                    }
                    Err(why) => wrong.push(format!("{} {name} (call {}) with {errno:?}: {why}", ROLES[place.0], place.1)),
                }
            }
        }
        println!("{runs} faults as {}", who.name());
        if all {
            write_table(who, &table);
        }
        // The control: the check does see a run with less.
        let less = baseline.replace("\"no-capabilities\"", "\"\"");
        assert!(
            judge(&baseline, &Run { said: format!("{less}\nmore 0\n"), calls: Vec::new(), hung: false }, ("mount", Errno::EPERM))
                .is_err()
        );
        let seen = baseline.replace("NoNewPrivs: 1", "NoNewPrivs: 0");
        assert!(
            judge(&baseline, &Run { said: format!("{seen}\nmore 0\n"), calls: Vec::new(), hung: false }, ("mount", Errno::EPERM))
                .is_err()
        );
        assert!(wrong.is_empty(), "{} of {runs}:\n{}", wrong.len(), wrong.join("\n"));
    });
}

fn write_table(who: Caller, table: &Table) {
    let names: Vec<String> = ERRORS.iter().map(|errno| format!("{errno:?}")).collect();
    println!("\n## As {}\n\n| who | call | {} |\n|---|---|{}", who.name(), names.join(" | "), "---|".repeat(ERRORS.len()));
    for ((role, name), results) in table {
        let cell = |errno: &Errno| {
            let words = results
                .get(&(*errno as i32))
                .map(|words| words.iter().map(|(word, count)| format!("{word} {count}")).collect::<Vec<_>>());
            words.unwrap_or_default().join(", ")
        };
        println!("| {} | `{name}` | {} |", ROLES[*role], ERRORS.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}
