//! A command's own limits in a cell: each command is held to its own, all of them to the cell's,
//! and what a command leaves behind stays limited.

use seclude::{
    Cell, Child, Ended, ErrorKind, Freezer, KiB, Limit, Mechanism, MiB, Outcome, Sandbox, Stdio,
};
use seclude_tests::caller::as_each;
use seclude_tests::cgroups::{self, Cgroups};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A command that allocates this many MiB, prints a line, and keeps them.
fn holder(cell: &Cell, mebibytes: u32) -> seclude::Command {
    let text = format!(
        "import time; x = bytearray({mebibytes} << 20); print('held', flush=True); time.sleep(1000)"
    );
    let mut command = cell.command("python3");
    command.args(["-c", &text]).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Waits until the command has allocated its memory, and returns whether it did.
fn holds(child: &mut Child) -> bool {
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped"))
        .read_line(&mut line)
        .is_ok_and(|length| length > 0)
}

fn ended(mut child: Child) -> Outcome {
    child.wait().expect("it ends")
}

#[test]
fn each_is_held_to_its_own_and_the_others_go_on() {
    as_each("each_is_held_to_its_own_and_the_others_go_on", |_| {
        let cell = Sandbox::new().memory(MiB(512)).cell().expect("a cell");
        let mut modest = holder(&cell, 60).memory(MiB(200)).spawn().expect("it starts");
        assert!(holds(&mut modest));
        let greedy = ended(holder(&cell, 120).memory(MiB(64)).spawn().expect("it starts"));
        assert_eq!((greedy.ended, greedy.limit), (Ended::MemoryLimit, Some(64 << 20)));
        assert_eq!(modest.try_wait().expect("it runs"), None);
        modest.kill().expect("it ends");
        assert_eq!(ended(modest).ended, Ended::Killed);
    });
}

#[test]
fn the_cells_limit_bounds_the_sum() {
    as_each("the_cells_limit_bounds_the_sum", |_| {
        let cell = Sandbox::new().memory(MiB(128)).cell().expect("a cell");
        let mut first = holder(&cell, 70).memory(MiB(100)).spawn().expect("it starts");
        assert!(holds(&mut first));
        // Each takes less than its own limit, and both together more than the cell's.
        let mut second = holder(&cell, 80).memory(MiB(100)).spawn().expect("it starts");
        holds(&mut second);
        let deadline = Instant::now() + Duration::from_secs(20);
        let outcome = loop {
            let over = [&mut first, &mut second]
                .into_iter()
                .find_map(|child| child.try_wait().expect("a child"));
            match over {
                Some(outcome) => break outcome,
                None => assert!(Instant::now() < deadline, "no command has been ended"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!((outcome.ended, outcome.limit), (Ended::MemoryLimit, Some(128 << 20)));
    });
}

#[test]
fn processor_time_is_one_sum_and_each_its_own() {
    as_each("processor_time_is_one_sum_and_each_its_own", |_| {
        let cell = Sandbox::new().cpu_time(Duration::from_millis(1500)).cell().expect("a cell");
        let mut spin = cell.command("sh");
        spin.args(["-c", "while :; do :; done"]);
        let own = ended(spin.cpu_time(Duration::from_millis(300)).spawn().expect("it starts"));
        assert_eq!((own.ended, own.limit), (Ended::CpuTime, Some(300_000_000)));
        // What is left is shared by both. Once it is used up, no command gets more.
        let both = [spin.cpu_time(Duration::from_secs(1000)).spawn(), spin.spawn()]
            .map(|child| child.expect("it starts"));
        let outcomes = both.map(ended);
        for outcome in &outcomes {
            assert_eq!((outcome.ended, outcome.limit), (Ended::CpuTime, Some(1_500_000_000)));
        }
        let used: Duration = outcomes.iter().chain([&own]).map(|outcome| outcome.usage.cpu()).sum();
        assert!(
            (Duration::from_millis(1300)..Duration::from_millis(2500)).contains(&used),
            "{used:?}"
        );
        assert_eq!(ended(spin.spawn().expect("it starts")).ended, Ended::CpuTime);
    });
}

#[test]
fn another_limit_gives_no_processor_time_back() {
    as_each("another_limit_gives_no_processor_time_back", |_| {
        let cell = Sandbox::new()
            .cpu_time(Duration::from_millis(600))
            .memory(MiB(256))
            .cell()
            .expect("a cell");
        let mut busy = cell.command("python3");
        busy.args(["-c", "import time\nwhile time.process_time() < 0.4: pass"]);
        assert_eq!(busy.output().expect("it starts").outcome.ended, Ended::Exited(0));
        cell.set_memory(MiB(200)).expect("it can be changed");
        assert_eq!(busy.output().expect("it starts").outcome.ended, Ended::CpuTime);
    });
}

/// A process left behind beside `others` processes receives the word that it waits for, and must
/// end soon.
fn is_ended_once_it_takes_more(cell: &Cell, others: usize) {
    let there = || cell.processes().expect("it lives").len() > others;
    assert!(there(), "it is left behind");
    cell.command("sh").args(["-c", "echo go > /tmp/go"]).output().expect("it starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while there() {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_command_leaves_behind_stays_under_its_limits() {
    as_each("what_a_command_leaves_behind_stays_under_its_limits", |caller| {
        if Cgroups::of(caller) == Cgroups::None {
            println!(
                "SKIPPED: only a cgroup limits what a command leaves behind, and this caller has none"
            );
            return;
        }
        let cell = Sandbox::new().memory(MiB(512)).tmpfs("/tmp", MiB(1)).cell().expect("a cell");
        let directories = cgroups::of(cell.id().expect("it lives"));
        // It waits for a word before it takes more than its limit.
        let text = "open('/tmp/go').read(); x = bytearray(100 << 20); open('/tmp/more', 'w')";
        let text = format!("mkfifo /tmp/go; exec python3 -c \"{text}\" >/dev/null 2>&1 &");
        let left = cell
            .command("sh")
            .args(["-c", &text])
            .memory(MiB(32))
            .output()
            .expect("it starts")
            .outcome;
        assert_eq!(left.ended, Ended::Exited(0));
        is_ended_once_it_takes_more(&cell, 1);
        assert_eq!(
            cell.command("test")
                .args(["-e", "/tmp/more"])
                .output()
                .expect("it starts")
                .outcome
                .status,
            Some(1)
        );
        // Once one more command has ended, no other process must be left.
        assert_eq!(
            cell.command("true").memory(MiB(32)).output().expect("it starts").outcome.ended,
            Ended::Exited(0)
        );
        let below = |directory: &PathBuf| {
            fs::read_dir(directory).is_ok_and(|entries| {
                entries
                    .flatten()
                    .any(|entry| entry.file_name().as_encoded_bytes().starts_with(b"command"))
            })
        };
        assert_eq!(
            directories.iter().filter(|directory| below(directory)).count(),
            0,
            "{directories:?}"
        );
        cell.close();
        assert!(directories.iter().all(|directory| !directory.exists()), "{directories:?}");
    });
}

#[test]
fn a_share_too_small_to_start_with_ends_the_command_and_not_the_cell() {
    as_each("a_share_too_small_to_start_with_ends_the_command_and_not_the_cell", |_| {
        let cell = Sandbox::new().memory(MiB(256)).cell().expect("a cell");
        for size in [4, 64, 256, 1024] {
            let output = cell
                .command("python3")
                .args(["-c", "import time; time.sleep(1000)"])
                .memory(KiB(size))
                .output();
            match output {
                Ok(output) => assert_eq!(output.outcome.ended, Ended::MemoryLimit, "{size} KiB"),
                Err(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM), "{size} KiB: {error}")
                }
            }
            assert_eq!(
                cell.command("true").status().expect("the cell lives").ended,
                Ended::Exited(0)
            );
        }
    });
}

#[test]
fn a_share_is_changed_while_it_runs_and_counted_by_itself() {
    as_each("a_share_is_changed_while_it_runs_and_counted_by_itself", |_| {
        let cell = Sandbox::new().memory(MiB(512)).cell().expect("a cell");
        let mut beside = holder(&cell, 100).spawn().expect("it starts");
        assert!(holds(&mut beside));
        let mut child = holder(&cell, 40).memory(MiB(300)).spawn().expect("it starts");
        assert!(holds(&mut child));
        let memory = child.usage().expect("it runs").memory;
        assert!((40 << 20..90 << 20).contains(&memory), "{memory}");
        child
            .set_memory(MiB(20))
            .map(drop)
            .or_else(|error| if cgroups_v1(&child) { Ok(()) } else { Err(error) })
            .expect("it can");
        if !cgroups_v1(&child) {
            let outcome = child.wait().expect("it ends");
            assert_eq!((outcome.ended, outcome.limit), (Ended::MemoryLimit, Some(20 << 20)));
        }
        assert!(
            beside
                .set_memory(MiB(20))
                .is_err_and(|error| error.to_string().contains("it is the cell's"))
        );
    });
}

#[test]
fn who_ends_beside_one_at_its_own_limit_has_met_none() {
    as_each("who_ends_beside_one_at_its_own_limit_has_met_none", |_| {
        let cell = Sandbox::new().memory(MiB(512)).pids(100).cell().expect("a cell");
        let beside = |end: &str| {
            let text = format!("read word; {end}");
            cell.command("sh").args(["-c", &text]).stdin(Stdio::piped()).spawn().expect("it starts")
        };
        let (killed, failed) = (beside("kill -9 $$"), beside("exit 3"));
        let greedy = ended(holder(&cell, 120).memory(MiB(64)).spawn().expect("it starts"));
        assert_eq!((greedy.ended, greedy.limit), (Ended::MemoryLimit, Some(64 << 20)));
        let text =
            "exec 2>/dev/null; for i in 0 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; sleep 1; exit 9";
        let crowd =
            ended(cell.command("sh").args(["-c", text]).pids(5).spawn().expect("it starts"));
        assert_eq!((crowd.ended, crowd.limit), (Ended::ProcessLimit, Some(5)));
        assert_eq!(ended(killed).ended, Ended::Signaled(9));
        assert_eq!(ended(failed).ended, Ended::Exited(3));
    });
}

#[test]
fn many_begin_at_once_each_with_its_own() {
    as_each("many_begin_at_once_each_with_its_own", |_| {
        let cell = Sandbox::new().memory(MiB(512)).pids(100).cell().expect("a cell");
        let expected = |limit| match cell.enforced().mechanism(limit) {
            by @ Some(Mechanism::CgroupV2 | Mechanism::CgroupV1) => by,
            _ => Some(Mechanism::Sampled),
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        let outcome = cell
                            .command("true")
                            .memory(MiB(32))
                            .pids(5)
                            .output()
                            .expect("it starts")
                            .outcome;
                        assert_eq!(outcome.ended, Ended::Exited(0));
                        for limit in [Limit::Memory, Limit::Pids] {
                            assert_eq!(
                                outcome.enforced.mechanism(limit),
                                expected(limit),
                                "{limit}"
                            );
                        }
                    }
                });
            }
        });
    });
}

#[test]
fn who_begins_while_all_are_being_stilled_is_in_its_own() {
    as_each("who_begins_while_all_are_being_stilled_is_in_its_own", |_| {
        let cell = Sandbox::new()
            .memory(MiB(512))
            .cpu_time(Duration::from_secs(600))
            .cell()
            .expect("a cell");
        let by = cell.freeze().expect("it freezes");
        cell.thaw().expect("it goes on");
        if by != Freezer::CgroupV2 {
            return;
        }
        let begin = || {
            for _ in 0..20 {
                let mut command = cell.command("cat");
                let output = command
                    .arg("/proc/self/cgroup")
                    .memory(MiB(64))
                    .cpu_time(Duration::from_secs(60))
                    .output();
                let output = output.expect("it starts");
                let places = String::from_utf8_lossy(&output.stdout);
                assert_eq!(output.outcome.ended, Ended::Exited(0));
                assert!(places.lines().any(|place| place.contains("/command-")), "{places}");
            }
        };
        std::thread::scope(|scope| {
            let threads = [scope.spawn(begin), scope.spawn(begin)];
            let mut frozen = 0;
            while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                match cell.freeze() {
                    Ok(_) => frozen += 1,
                    // On a busy machine a process that is just ending can take longer than the
                    // library waits. Nothing stays frozen then.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::HostLimit, "{error}"),
                }
                cell.thaw().expect("it goes on");
            }
            assert!(frozen > 0, "it freezes");
        });
    });
}

#[test]
fn who_has_the_most_is_ended_and_not_who_is_beside_it() {
    as_each("who_has_the_most_is_ended_and_not_who_is_beside_it", |_| {
        let cell = Sandbox::new().memory(MiB(192)).tmpfs("/tmp", MiB(1)).cell().expect("a cell");
        let mut beside = holder(&cell, 40).spawn().expect("it starts");
        assert!(holds(&mut beside));
        // The process leaves its session, and its parent has ended, so it belongs to no command.
        let text = "import os; os.setsid(); open('/tmp/go').read(); x = bytearray(400 << 20); open('/tmp/more', 'w')";
        let text = format!("mkfifo /tmp/go; exec python3 -c \"{text}\" >/dev/null 2>&1 &");
        assert_eq!(
            cell.command("sh").args(["-c", &text]).status().expect("it starts").ended,
            Ended::Exited(0)
        );
        is_ended_once_it_takes_more(&cell, 2);
        assert_eq!(beside.try_wait().expect("it runs"), None);
        assert_eq!(cell.command("true").status().expect("the cell lives").ended, Ended::Exited(0));
    });
}

/// Whether this host refuses a limit below the current usage.
fn cgroups_v1(child: &Child) -> bool {
    child.enforced().mechanism(Limit::Memory) == Some(Mechanism::CgroupV1)
}

#[test]
fn a_cell_that_stands_still_does_so_with_all_its_commands() {
    as_each("a_cell_that_stands_still_does_so_with_all_its_commands", |_| {
        let cell = Sandbox::new()
            .memory(MiB(512))
            .cpu_time(Duration::from_secs(600))
            .cell()
            .expect("a cell");
        let spin = || {
            let mut command = cell.command("sh");
            command.args(["-c", "while :; do :; done"]);
            command
        };
        let mut children =
            [spin().memory(MiB(64)).spawn(), spin().spawn()].map(|child| child.expect("it starts"));
        let by = cell.freeze().expect("it freezes");
        let mut used =
            || children.each_mut().map(|child| child.usage().expect("it is there").cpu());
        let before = used();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(used(), before, "{by}");
        cell.thaw().expect("it goes on");
        std::thread::sleep(Duration::from_millis(500));
        let after = used();
        assert!(after[0] > before[0] && after[1] > before[1], "{by}: {before:?} {after:?}");
        // A frozen command is killed as well.
        assert_eq!(cell.freeze().expect("it freezes"), by);
        let _: Freezer = by;
        cell.kill_all().expect("it can");
        for child in children {
            assert_eq!(ended(child).ended, Ended::Killed);
        }
    });
}
