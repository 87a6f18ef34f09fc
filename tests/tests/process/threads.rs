//! Many threads, threads that end early, and callers that reap or ignore every child. Neither the
//! library nor the caller loses an exit status.

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use seclude::{Ended, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::{as_each, driver};
use seclude_tests::job::{Action, Job, read_told};
use seclude_tests::scratch;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// 32 threads with 200 runs each, while other threads constantly allocate and hold the allocator's
/// locks and their own. A lock or an allocation between clone and exec would deadlock or crash.
/// SECLUDE_TEST_THREADS and SECLUDE_TEST_RUNS set the numbers.
#[test]
fn many_threads_in_a_busy_program() {
    let _alone = alone();
    as_each("many_threads_in_a_busy_program", |_| {
        let (threads, runs) =
            (number("SECLUDE_TEST_THREADS", 32), number("SECLUDE_TEST_RUNS", 200));
        let done = AtomicBool::new(false);
        let churned = AtomicU64::new(0);
        let shared = Mutex::new(Vec::<Box<[u8]>>::new());
        let sandbox = Sandbox::new();
        std::thread::scope(|scope| {
            for size in [24, 70_000] {
                let (done, churned, shared) = (&done, &churned, &shared);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        let mut held = shared.lock().expect("no thread panics while it holds this");
                        held.push(vec![1; size].into());
                        if held.len() > 64 {
                            held.clear();
                        }
                        drop(held);
                        churned.fetch_add(1, Ordering::Relaxed);
                        // Leaves processor time to the runs on a machine with two cores.
                        if churned.load(Ordering::Relaxed) % 64 == 0 {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let workers: Vec<_> = (0..threads)
                .map(|thread| {
                    let sandbox = &sandbox;
                    scope.spawn(move || {
                        for run in 0..runs {
                            let code = ((thread * 7 + run) % 256) as i32;
                            // One run in ten starts a dynamic program and a shell, the others the
                            // smallest program there is.
                            let mut command = if run % 10 == 0 {
                                sandbox.command("sh")
                            } else {
                                sandbox.command("/bin/true")
                            };
                            if run % 10 == 0 {
                                command.args(["-c", &format!("echo {thread}.{run}; exit {code}")]);
                            }
                            let output = command.output().unwrap_or_else(|error| {
                                panic!("thread {thread}, run {run}: {error}")
                            });
                            if run % 10 == 0 {
                                assert_eq!(output.outcome.ended, Ended::Exited(code));
                                assert_eq!(output.stdout, format!("{thread}.{run}\n").into_bytes());
                            } else {
                                assert_eq!(output.outcome.ended, Ended::Exited(0));
                            }
                        }
                    })
                })
                .collect();
            let results: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            done.store(true, Ordering::Relaxed);
            assert!(results.iter().all(Result::is_ok), "a thread failed");
        });
        assert!(churned.into_inner() > 1000, "the other threads did not allocate meanwhile");
    });
}

/// PR_SET_PDEATHSIG would send its signal here. The command must not depend on the thread that
/// started it.
#[test]
fn the_thread_that_started_it_ends() {
    let _alone = alone();
    as_each("the_thread_that_started_it_ends", |_| {
        let start =
            || Sandbox::new().command("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            std::thread::spawn(start).join().expect("it does not panic").expect("it starts");
        // The thread has ended and its signals are delivered. The command must still answer.
        let mut byte = [0];
        for letter in b"abc" {
            child.stdin.as_mut().expect("piped").write_all(&[*letter]).expect("the command reads");
            child
                .stdout
                .as_mut()
                .expect("piped")
                .read_exact(&mut byte)
                .expect("the command writes");
            assert_eq!(byte, [*letter]);
        }
        assert_eq!(child.try_wait().expect("it can be asked"), None);
        assert_eq!(child.wait().expect("it ends").ended, Ended::Exited(0));
    });
}

/// An event loop that reaps every child. It may take the warden's status before the library does,
/// and must get the status of its own children.
#[test]
fn a_caller_that_reaps_every_child() {
    let _alone = alone();
    as_each("a_caller_that_reaps_every_child", |_| {
        const OWN: i32 = 40;
        let done = AtomicBool::new(false);
        let mut statuses = BTreeMap::new();
        let mut own = BTreeMap::new();
        std::thread::scope(|scope| {
            let reaper = scope.spawn(|| {
                let mut found = BTreeMap::new();
                loop {
                    match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                        Ok(WaitStatus::Exited(pid, code)) => {
                            found.insert(pid.as_raw(), code);
                        }
                        Ok(WaitStatus::Signaled(pid, signal, _)) => {
                            found.insert(pid.as_raw(), -(signal as i32));
                        }
                        _ if done.load(Ordering::Acquire) => return found,
                        _ => std::thread::sleep(std::time::Duration::from_micros(200)),
                    }
                }
            });
            let sandbox = Sandbox::new();
            for code in 0..OWN {
                #[allow(
                    clippy::zombie_processes,
                    reason = "the other thread's waitpid(-1) reaps it: that is the test"
                )]
                let child = Command::new("sh")
                    .args(["-c", &format!("sleep 0.0{}; exit {code}", code % 10)])
                    .spawn()
                    .expect("sh is there");
                own.insert(child.id() as i32, code);
                let output = sandbox
                    .command("sh")
                    .args(["-c", &format!("exit {}", 100 + code)])
                    .output()
                    .expect("it runs");
                assert_eq!(output.outcome.ended, Ended::Exited(100 + code));
            }
            // The caller's own children are still ending. The reaper takes each of them.
            let late = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while own.keys().any(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists())
                && std::time::Instant::now() < late
            {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            done.store(true, Ordering::Release);
            statuses = reaper.join().expect("the reaper does not panic");
        });
        for (pid, code) in own {
            assert_eq!(
                statuses.get(&pid),
                Some(&code),
                "the status of the caller's own child {pid}"
            );
        }
    });
}

/// With SIGCHLD ignored the kernel keeps no exit statuses.
#[test]
fn a_caller_that_ignores_sigchld() {
    let _alone = alone();
    as_each("a_caller_that_ignores_sigchld", |_| {
        let place = scratch::directory();
        let (job, result) = (place.path().join("job"), place.path().join("result"));
        for (script, ended) in [
            ("exit 3", "exited 3"),
            ("kill -9 $$", "signaled 9"),
            ("(exit 4) || exit 5", "exited 5"),
        ] {
            let lines = Job {
                action: Action::Twice,
                program: "sh".into(),
                arguments: vec!["-c".into(), script.into()],
                ..Job::default()
            }
            .write();
            std::fs::write(&job, lines).expect("a file of our own");
            // An ignored signal stays ignored across exec. A shell cannot do this: dash does not
            // pass on an ignored SIGCHLD.
            const IGNORE: &str = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])";
            let driver = Command::new("/usr/bin/python3")
                .args(["-c", IGNORE])
                .arg(driver())
                .args([&job, &result])
                .status();
            let status = driver.expect("python3 is there");
            assert!(status.success(), "{status}");
            let told = read_told(&std::fs::read_to_string(&result).expect("the driver wrote it"))
                .expect("and well");
            assert_eq!(told.get("ended").map(|text| &text[..]), Some(ended.as_bytes()), "{told:?}");
        }
    });
}
