//! Control of a running command: changing its limits, freezing and thawing it with every mechanism
//! of the host, and killing it while it is frozen.

use seclude::{Child, Ended, ErrorKind, Freezer, MiB, Sandbox, Stdio};
use seclude_tests::caller::{Caller, as_each, in_own_mounts, program};
use seclude_tests::census::{await_marked, survivors};
use seclude_tests::cgroups::{Cgroups, mounts};
use seclude_tests::payload::{command, mark, sandbox};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(1);

/// The payload that prints numbers as long as they are read: `word` is `count` or
/// `headless-count`.
fn counter(sandbox: &Sandbox, word: &str, mark: &str) -> Child {
    let mut command = command(sandbox, word, 0, mark);
    command.stdout(Stdio::piped()).spawn().expect("it starts")
}

/// The number of bytes in each read of a pipe. A thread reads the pipe and sends the numbers.
struct Flow(std::sync::mpsc::Receiver<usize>);

impl Flow {
    fn of(child: &mut Child) -> Flow {
        let mut pipe = child.stdout.take().expect("piped");
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while pipe
                .read(&mut buffer)
                .is_ok_and(|length| length > 0 && sender.send(length).is_ok())
            {}
        });
        Flow(receiver)
    }

    /// Waits until data arrives.
    fn await_some(&self) {
        self.0.recv_timeout(Duration::from_secs(30)).expect("it goes on");
    }

    /// Takes the data in flight, then checks that no more arrives for a while.
    fn assert_none(&self) {
        let end = Instant::now() + Duration::from_secs(30);
        while self.0.recv_timeout(Duration::from_millis(300)).is_ok() {
            assert!(Instant::now() < end, "it goes on and on");
        }
    }
}

/// Freezes and thaws counting commands. The main thread of the second has ended.
fn freeze_and_thaw(sandbox: &Sandbox, expected: &[Freezer]) {
    for word in ["count", "headless-count"] {
        freeze_and_thaw_word(sandbox, word, expected);
    }
}

/// Freezes and thaws a counting command twice, then kills it while it is frozen.
fn freeze_and_thaw_word(sandbox: &Sandbox, word: &str, expected: &[Freezer]) {
    let mark = mark();
    let mut child = counter(sandbox, word, &mark);
    let flow = Flow::of(&mut child);
    for _ in 0..2 {
        flow.await_some();
        let freezer = child.freeze().expect("it can be frozen");
        assert!(expected.contains(&freezer), "by {freezer}");
        flow.assert_none();
        let used = child.usage().expect("it runs").cpu();
        assert_eq!(
            child.wait_timeout(Duration::from_millis(200)).expect("it can be waited for"),
            None
        );
        let idle = child.usage().expect("it runs").cpu() - used;
        assert!(idle < Duration::from_millis(50), "it used {idle:?} while it was frozen");
        // Freezing twice is the same as freezing once.
        child.freeze().expect("it is frozen already");
        child.thaw().expect("it can be thawed");
        child.thaw().expect("it is thawed already");
        flow.await_some();
    }
    child.freeze().expect("it can be frozen");
    child.kill().expect("it can be killed");
    assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
    assert_eq!(survivors(&mark, GRACE), [0; 0]);
    // After the end thawing does nothing.
    child.thaw().expect("there is nothing to thaw");

    let mut dropped = counter(sandbox, word, &mark);
    Flow::of(&mut dropped).await_some();
    dropped.freeze().expect("it can be frozen");
    drop(dropped);
    assert_eq!(survivors(&mark, GRACE), [0; 0]);
}

#[test]
fn frozen_thawed_killed() {
    as_each("frozen_thawed_killed", |_| {
        for sandbox in [sandbox(), sandbox().memory(MiB(256)).pids(20)] {
            freeze_and_thaw(&sandbox, &[Freezer::CgroupV2, Freezer::CgroupV1, Freezer::Signal]);
        }
    });
}

#[test]
fn a_user_without_cgroups_freezes_by_signals() {
    as_each("a_user_without_cgroups_freezes_by_signals", |caller| {
        if Cgroups::of(caller) == Cgroups::None {
            freeze_and_thaw(&sandbox(), &[Freezer::Signal]);
        }
    });
}

/// The frozen parent of a process that has ended does not reap it.
#[test]
fn what_has_ended_and_is_not_reaped_is_no_obstacle() {
    as_each("what_has_ended_and_is_not_reaped_is_no_obstacle", |_| {
        let mut command = sandbox().command("perl");
        let script = "$| = 1; fork or exit 0; print 'x'; sleep 1 while 1";
        let child = command.args(["-e", script]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        Flow::of(&mut child).await_some();
        let is_zombie = |process: &seclude::Process| process.state == 'Z';
        let end = Instant::now() + Duration::from_secs(30);
        while !child.processes().expect("it runs").iter().any(is_zombie) {
            assert!(Instant::now() < end, "the control: one has ended");
        }
        child.freeze().expect("it can be frozen");
        child.thaw().expect("it can be thawed");
    });
}

#[test]
fn what_is_forked_meanwhile_is_stopped_too() {
    as_each("what_is_forked_meanwhile_is_stopped_too", |caller| {
        let mut command = sandbox().command("sh");
        let script =
            "while :; do (while :; do /bin/true & wait; echo; done) & /bin/true; wait; done";
        let child = command.args(["-c", script]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        let flow = Flow::of(&mut child);
        for _ in 0..20 {
            flow.await_some();
            match child.freeze() {
                Ok(_) => {
                    flow.assert_none();
                    child.thaw().expect("it goes on");
                }
                // On a busy machine the library may give up. Then nothing is stopped.
                Err(error) if Cgroups::of(caller) == Cgroups::None => {
                    assert_eq!(error.kind(), ErrorKind::HostLimit, "{error}");
                }
                Err(error) => panic!("a cgroup freezes all of it: {error}"),
            }
        }
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
    });
}

/// The parent of a vfork(2) waits uninterruptibly, and stops only afterwards.
#[test]
fn what_does_not_stop_is_an_error_and_everything_goes_on() {
    as_each("what_does_not_stop_is_an_error_and_everything_goes_on", |caller| {
        if Cgroups::of(caller) != Cgroups::None {
            return;
        }
        let vfork = nix::libc::CLONE_VM | nix::libc::CLONE_VFORK | nix::libc::SIGCHLD;
        let script = format!(
            "$| = 1; print 'x'; sleep 1000 if syscall({}, {vfork}, 0, 0, 0, 0) == 0",
            nix::libc::SYS_clone
        );
        let mut command = sandbox().command("perl");
        let child = command.args(["-e", &script]).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("it starts");
        Flow::of(&mut child).await_some();
        let states = |child: &Child| -> String {
            let processes = child.processes().expect("it runs");
            processes.iter().map(|process| process.state).collect()
        };
        let end = Instant::now() + Duration::from_secs(30);
        while !states(&child).contains('D') {
            assert!(Instant::now() < end, "the control: it waits: {}", states(&child));
        }
        let error = child.freeze().expect_err("one does not stop");
        assert_eq!(
            (error.kind(), error.step()),
            (ErrorKind::HostLimit, "freeze everything inside")
        );
        while states(&child).contains('T') {
            assert!(Instant::now() < end, "everything goes on: {}", states(&child));
        }
        child.kill().expect("it can be killed");
        assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
    });
}

#[test]
fn root_freezes_by_the_v2_hierarchy() {
    as_each("root_freezes_by_the_v2_hierarchy", |caller| {
        if caller == Caller::Root && !mounts("cgroup2").is_empty() {
            freeze_and_thaw(&sandbox().memory(MiB(256)), &[Freezer::CgroupV2]);
        }
    });
}

fn unmount(kind: &str) {
    for mount in mounts(kind).iter().rev() {
        assert!(Command::new("umount").arg(mount).status().expect("umount is there").success());
    }
}

#[test]
fn without_the_v2_hierarchy_the_v1_freezer() {
    in_own_mounts("without_the_v2_hierarchy_the_v1_freezer", || {
        if mounts("cgroup").iter().all(|mount| !mount.ends_with("freezer")) {
            return eprintln!("SKIPPED: this host has no freezer of cgroup v1");
        }
        unmount("cgroup2");
        freeze_and_thaw(&sandbox().memory(MiB(256)), &[Freezer::CgroupV1]);
    });
}

#[test]
fn without_any_hierarchy_signals() {
    in_own_mounts("without_any_hierarchy_signals", || {
        unmount("cgroup2");
        unmount("cgroup");
        freeze_and_thaw(&sandbox(), &[Freezer::Signal]);
    });
}

/// A caller that is killed while its command is frozen leaves no process, whatever mechanism froze
/// it.
fn killed_while_frozen() {
    for _ in 0..3 {
        let mark = mark();
        let mut caller = Command::new(program("worker"))
            .args([&mark, "frozen"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("the worker program is there");
        let mut line = String::new();
        BufReader::new(caller.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("it prints a line");
        if !line.starts_with("frozen by ") {
            // The sandbox would outlive this test.
            caller.kill().expect("it is ours");
            caller.wait().expect("it is ours");
            panic!("it does not freeze: {line:?}");
        }
        // The caller, the command and its grandchild.
        await_marked(&mark, 3);
        caller.kill().expect("it is ours");
        caller.wait().expect("it is ours");
        assert_eq!(survivors(&mark, GRACE), [0; 0], "left, {}", line.trim());
    }
}

#[test]
fn a_caller_killed_while_its_command_is_frozen_leaves_nobody() {
    as_each("a_caller_killed_while_its_command_is_frozen_leaves_nobody", |_| killed_while_frozen());
}

#[test]
fn with_the_v1_freezer_too() {
    in_own_mounts("with_the_v1_freezer_too", || {
        unmount("cgroup2");
        killed_while_frozen();
    });
}

/// A command with pipes for input and output, which answers each line with one line.
struct Dialogue {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Dialogue {
    fn start(sandbox: &Sandbox, script: &str) -> Dialogue {
        let mut command = sandbox.command("python3");
        command
            .args(["-uc", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Dialogue { child, output }
    }

    fn ask(&mut self, question: &str) -> String {
        let input = self.child.stdin.as_mut().expect("piped");
        // A command that has ended does not answer.
        let _ = writeln!(input, "{question}");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a pipe");
        line.trim().to_owned()
    }
}

/// Starts as many threads at once as each input line says, and prints how many it got.
const THREADS: &str = "
import sys, threading
for line in sys.stdin:
    event, got = threading.Event(), []
    try:
        for n in range(int(line)):
            thread = threading.Thread(target=event.wait)
            thread.start()
            got.append(thread)
    except RuntimeError:
        pass
    event.set()
    [thread.join() for thread in got]
    print(len(got))
";

#[test]
fn the_limit_on_processes_of_a_running_command() {
    as_each("the_limit_on_processes_of_a_running_command", |caller| {
        let mut dialogue = Dialogue::start(&sandbox().pids(5), THREADS);
        assert_eq!(dialogue.ask("10"), "4");
        if Cgroups::of(caller) == Cgroups::None {
            // An rlimit has been inherited by every process and cannot be changed any more.
            let error = dialogue.child.set_pids(9).expect_err("no cgroup holds it");
            assert_eq!(error.kind(), ErrorKind::LimitUnavailable, "{error}");
            return;
        }
        dialogue.child.set_pids(9).expect("it can be raised");
        assert_eq!(dialogue.ask("20"), "8");
        dialogue.child.set_pids(3).expect("it can be lowered");
        assert_eq!(dialogue.ask("20"), "2");
        let error = dialogue.child.set_pids(0).expect_err("nothing is no limit");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let error = dialogue.child.set_memory(1u64 << 30).expect_err("the policy does not set it");
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(dialogue.ask("20"), "2", "a refusal changes nothing");
        drop(dialogue.child.stdin.take());
        // It was refused more processes, handled that, and ended well.
        assert_eq!(dialogue.child.wait().expect("it ends").ended, Ended::Exited(0));
        dialogue.child.set_pids(7).expect("there is nothing to do");
    });
}

/// Allocates as many MiB as each input line says.
const HOLD: &str = "
import sys
for line in sys.stdin:
    held = None
    held = bytearray(int(line) << 20)
    print(len(held) >> 20)
";

#[test]
fn the_limit_on_memory_of_a_running_command() {
    as_each("the_limit_on_memory_of_a_running_command", |_| {
        let mut dialogue =
            Dialogue::start(&sandbox().memory(MiB(64)).wall_time(Duration::from_secs(60)), HOLD);
        assert_eq!(dialogue.ask("20"), "20");
        dialogue.child.set_memory(256u64 << 20).expect("it can be raised");
        assert_eq!(dialogue.ask("150"), "150");
        let usage = dialogue.child.usage().expect("it runs");
        assert!((150 << 20..256 << 20).contains(&usage.memory), "{usage:?}");
        assert!(usage.memory_peak >= 150 << 20 && usage.processes == 1, "{usage:?}");
        assert_eq!(dialogue.ask("1"), "1");
        dialogue.child.set_memory(64u64 << 20).expect("it can be lowered");
        dialogue.ask("150");
        let outcome = dialogue.child.wait().expect("it ends");
        assert_eq!(
            (outcome.ended, outcome.limit),
            (Ended::MemoryLimit, Some(64 << 20)),
            "{outcome:?}"
        );
        let told = dialogue.child.usage().expect("it is the outcome's");
        assert_eq!(told, outcome.usage);
    });
}

#[test]
fn the_processors_of_a_running_command() {
    as_each("the_processors_of_a_running_command", |caller| {
        if Cgroups::of(caller) == Cgroups::None {
            let error =
                sandbox().cpus(1.0).command("true").spawn().expect_err("nothing can hold it");
            assert_eq!(error.kind(), ErrorKind::LimitUnavailable);
            return;
        }
        let mut child =
            command(&sandbox().cpus(1.0), "spin", 2, &mark()).spawn().expect("it starts");
        child.set_cpus(0.1).expect("it can be lowered");
        // The quota applies to each tenth of a second. After one period the earlier grant is used
        // up.
        std::thread::sleep(Duration::from_millis(300));
        let (start, used) = (Instant::now(), child.usage().expect("it runs").cpu());
        std::thread::sleep(Duration::from_secs(2));
        let share = (child.usage().expect("it runs").cpu() - used).as_secs_f64()
            / start.elapsed().as_secs_f64();
        assert!((0.01..0.25).contains(&share), "{share} processors");
        child.kill().expect("it runs");
        assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
    });
}

#[test]
fn the_processor_time_of_a_running_command() {
    as_each("the_processor_time_of_a_running_command", |_| {
        let mut child = command(&sandbox().cpu_time(Duration::from_secs(1000)), "spin", 1, &mark())
            .spawn()
            .expect("it starts");
        child.set_cpu_time(Duration::from_millis(300)).expect("it can be lowered");
        let outcome = child.wait().expect("it ends");
        assert_eq!(
            (outcome.ended, outcome.limit),
            (Ended::CpuTime, Some(300_000_000)),
            "{outcome:?}"
        );
        assert!(outcome.usage.cpu() < Duration::from_secs(2), "{outcome:?}");
    });
}
