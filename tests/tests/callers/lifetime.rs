//! Nothing survives its caller, whenever the caller is killed, and even if a worker that it forked
//! lives on.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seclude::Sandbox;
use seclude_tests::caller::{Caller, as_each, driver, program};
use seclude_tests::census::{await_marked, here, marked, survivors, survivors_beside};
use seclude_tests::job::Job;
use seclude_tests::scratch;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long the kernel may take to end the processes.
const GRACE: Duration = Duration::from_secs(1);

const NONE: [u32; 0] = [];

/// A command that leaves a double-forked grandchild in its own session. The mark is in the
/// arguments of both.
const CLINGING: &str =
    "(setsid sh -c 'while :; do sleep 0.2; done' $0 &); while :; do sleep 0.2; done";

fn mark(purpose: &str) -> String {
    format!("seclude-{purpose}-{}-{}", Caller::present().name(), std::process::id())
}

fn slay(pid: u32) {
    let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
}

/// Kills a caller and reaps it.
fn slay_child(mut child: Child) {
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
}

#[test]
fn a_caller_killed_at_random_moments_leaves_nobody() {
    as_each("a_caller_killed_at_random_moments_leaves_nobody", |_| {
        let mark = mark("killed");
        let place = scratch::directory();
        let (job, result) = (place.path().join("job"), place.path().join("result"));
        let lines = Job {
            program: "sh".into(),
            arguments: ["-c", CLINGING, &mark].map(Into::into).to_vec(),
            ..Job::default()
        }
        .write();
        std::fs::write(&job, lines).expect("a file of our own");
        // The callers are killed before, during and after the start of their command: at moments up
        // to twice as long as an undisturbed start takes here.
        let start = |_| {
            let begin = std::time::Instant::now();
            let caller =
                Command::new(driver()).args([&job, &result]).spawn().expect("the driver is there");
            await_marked(&mark, 2);
            let duration = begin.elapsed().as_micros() as u64;
            slay_child(caller);
            assert_eq!(survivors(&mark, GRACE), NONE);
            duration
        };
        let window = (0..5).map(start).min().expect("five counts have a minimum") * 2;
        let mut state = u64::from(std::process::id()) | 1;
        let mut alive_at_the_end = 0;
        let moments = seclude_tests::payload::rounds(200);
        for _ in 0..moments {
            let caller =
                Command::new(driver()).args([&job, &result]).spawn().expect("the driver is there");
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            std::thread::sleep(Duration::from_micros(state % window));
            alive_at_the_end += usize::from(!marked(&mark).is_empty());
            slay_child(caller);
        }
        // A process that was just being started when its caller died also has the time to end.
        std::thread::sleep(here(GRACE));
        assert_eq!(marked(&mark), NONE, "left inside after a second");
        assert!(
            (moments as usize / 40..=moments as usize * 39 / 40).contains(&alive_at_the_end),
            "{alive_at_the_end} of {moments} moments lay after the start: too few or too many"
        );
    });
}

#[test]
fn a_worker_that_the_caller_forked_holds_nothing_alive() {
    as_each("a_worker_that_the_caller_forked_holds_nothing_alive", |_| {
        for round in 0..10 {
            let mark = mark(&format!("worker-{round}"));
            let mut caller = Command::new(program("worker"))
                .arg(&mark)
                .stdout(Stdio::piped())
                .spawn()
                .expect("the worker program is there");
            let mut line = String::new();
            BufReader::new(caller.stdout.take().expect("piped"))
                .read_line(&mut line)
                .expect("it prints a line");
            let worker: u32 = line.trim().parse().expect("the worker's id");
            // The command, its grandchild, the caller and the worker all have the mark.
            await_marked(&mark, 4);
            slay_child(caller);
            let left = survivors_beside(&[worker], &mark, GRACE);
            let worker_lives = marked(&mark).contains(&worker);
            slay(worker);
            assert_eq!(left, NONE, "only the worker lives on");
            assert!(worker_lives, "the worker lives on");
        }
    });
}

#[test]
fn a_dropped_child_leaves_nobody() {
    as_each("a_dropped_child_leaves_nobody", |_| {
        let mark = mark("dropped");
        let child =
            Sandbox::new().command("sh").args(["-c", CLINGING, &mark]).spawn().expect("it starts");
        await_marked(&mark, 2);
        drop(child);
        // Dropping waits for the end, so the test does not.
        assert_eq!(marked(&mark), NONE);
    });
}

#[test]
fn a_finished_command_leaves_nobody() {
    as_each("a_finished_command_leaves_nobody", |_| {
        let mark = mark("finished");
        let script = format!("(setsid sh -c 'while :; do sleep 0.2; done' {mark} &); sleep 0.05");
        let outcome = Sandbox::new().command("sh").args(["-c", &script]).status().expect("it runs");
        assert!(outcome.success());
        assert_eq!(marked(&mark), NONE);
    });
}

/// The same in a shared pid namespace, where the warden and not the kernel ends the processes.
#[test]
fn in_a_shared_pid_namespace_too() {
    as_each("in_a_shared_pid_namespace_too", |_| {
        let mark = mark("shared");
        let sandbox = Sandbox::new().share(seclude::Namespace::Pid);
        let child = sandbox.command("sh").args(["-c", CLINGING, &mark]).spawn().expect("it starts");
        await_marked(&mark, 2);
        drop(child);
        assert_eq!(survivors(&mark, GRACE), NONE);
    });
}

/// The negative control: without a sandbox the same command survives its caller, and the marks show
/// it.
#[test]
fn outside_of_a_sandbox_the_grandchild_survives() {
    as_each("outside_of_a_sandbox_the_grandchild_survives", |_| {
        let mark = mark("control");
        let caller = Command::new("sh")
            .args(["-c", CLINGING, &mark])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh is there");
        await_marked(&mark, 2);
        slay_child(caller);
        // Processes with the mark have survived. A process inside execve(2) shows no arguments, so
        // this waits first and then repeats the scan.
        std::thread::sleep(GRACE);
        await_marked(&mark, 1);
        while !survivors(&mark, Duration::ZERO).is_empty() {
            marked(&mark).into_iter().for_each(slay);
        }
    });
}
