//! Wardens and templates are killed. Each caller of a command in them gets an error with a kind,
//! and a pool replaces what it lost and goes on.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seclude::{Child, Ended, ErrorKind, Limit, MiB, Pool, Sandbox};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::census::{descendants, descriptors, has_ended, wardens};
use seclude_tests::cgroups;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SIZE: usize = 4;
/// A test that takes longer counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox with limits that cgroups enforce, where there are any. The cgroups must disappear as
/// well.
fn sandbox() -> Sandbox {
    let sandbox =
        Sandbox::new().tmpfs("/tmp", MiB(16)).wall_time(PATIENCE).memory(MiB(64)).pids(32);
    sandbox.best_effort(Limit::Memory).best_effort(Limit::Pids)
}

fn slay(pid: u32) {
    let _ = kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL);
}

/// The wardens that templates made, and the templates. A process that is about to become a command
/// still has a warden's arguments, and counts as neither.
fn copies_and_templates() -> (Vec<u32>, Vec<u32>) {
    let all = wardens();
    let below = |these: &[u32]| -> Vec<u32> {
        all.iter().filter(|(parent, _)| these.contains(parent)).map(|(_, pid)| *pid).collect()
    };
    let templates = below(&[std::process::id()]);
    (below(&templates), templates)
}

/// Kills the processes and waits until they have ended.
fn slay_all(victims: &[u32]) {
    victims.iter().copied().for_each(slay);
    until("they live on", || victims.iter().all(|pid| has_ended(*pid)));
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn await_full(pool: &Pool) {
    until("the pool is not full again", || pool.statistics().ready == SIZE);
}

/// Runs this many commands in turn, each of which must end by itself.
fn runs(pool: &Pool, number: usize) {
    for _ in 0..number {
        let script = "test ! -e /tmp/left && touch /tmp/left && exit 7";
        let outcome = pool.command("sh").args(["-c", script]).status().expect("it starts");
        assert_eq!(outcome.ended, Ended::Exited(7));
    }
}

fn sleeper(pool: &Pool) -> Child {
    pool.command("sleep").arg("1000").spawn().expect("it starts")
}

/// The frame of every test here: it runs alone, as each caller, and must leave nothing.
fn lose(name: &str, body: impl Fn(&Pool)) {
    let _alone = alone();
    as_each(name, |_| {
        // Makes what is made once for each process.
        sandbox().command("true").status().expect("it starts");
        let before = descriptors();
        let pool = sandbox().pool(SIZE).expect("it starts");
        await_full(&pool);
        let (copies, templates) = copies_and_templates();
        assert_eq!((copies.len(), templates.len()), (SIZE, 1));
        body(&pool);
        await_full(&pool);
        runs(&pool, 2 * SIZE);
        assert_eq!(pool.statistics().in_use, 0);
        drop(pool);
        assert_eq!(descriptors(), before);
        until("processes are left", || descendants().is_empty());
        let own = std::process::id();
        assert_eq!(
            cgroups::left_after(Duration::from_secs(2), |owner| owner == own),
            Vec::<std::path::PathBuf>::new()
        );
    });
}

#[test]
fn a_pools_wardens_that_are_killed_are_replaced() {
    lose("a_pools_wardens_that_are_killed_are_replaced", |pool| {
        assert_eq!(pool.statistics().lost, 0);
        slay_all(&copies_and_templates().0);
        runs(pool, SIZE);
        let told = pool.statistics();
        assert_eq!((told.lost, told.failed), (SIZE as u64, 0), "{told:?}");
    });
}

#[test]
fn a_command_whose_warden_is_killed_tells_so() {
    lose("a_command_whose_warden_is_killed_tells_so", |pool| {
        let mut children: Vec<Child> = (0..SIZE).map(|_| sleeper(pool)).collect();
        let (first, rest) = children.split_first_mut().expect("there are some");
        slay(first.processes().expect("ours")[0].pid);
        assert!(matches!(first.wait().expect("it is reported").ended, Ended::WardenLost(_)));
        // Its place is free again, and the other commands go on.
        runs(pool, 1);
        for child in rest {
            assert_eq!(child.try_wait().expect("it can be asked"), None);
            child.kill().expect("it runs");
            assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
        }
    });
}

#[test]
fn with_a_template_all_that_was_copied_from_it_ends_and_another_is_made() {
    lose("with_a_template_all_that_was_copied_from_it_ends_and_another_is_made", |pool| {
        for _ in 0..3 {
            let mut children: Vec<Child> = (0..SIZE).map(|_| sleeper(pool)).collect();
            await_full(pool);
            let (copies, templates) = copies_and_templates();
            assert_eq!(
                (copies.len(), templates.len()),
                (2 * SIZE, 1),
                "in use, ready; and one template"
            );
            slay_all(&templates);
            until("they outlive it", || copies.iter().all(|pid| has_ended(*pid)));
            for child in &mut children {
                assert!(matches!(
                    child.wait().expect("it is reported").ended,
                    Ended::WardenLost(_)
                ));
            }
            drop(children);
            runs(pool, 2 * SIZE);
            assert_ne!(copies_and_templates().1, templates, "another one");
        }
    });
}

/// Wardens and templates are killed at random moments while many commands run. Each command ends as
/// expected or reports that it lost its warden.
#[test]
fn whatever_is_killed_when_every_command_has_an_end_of_its_own() {
    lose("whatever_is_killed_when_every_command_has_an_end_of_its_own", |pool| {
        const COMMANDS: usize = 25;
        let (over, lost, well) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                let mut state = u64::from(std::process::id()) | 1;
                let (mut wardens, mut templates) = (0, 0);
                while !over.load(Ordering::Relaxed) {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    std::thread::sleep(Duration::from_micros(state % 20_000));
                    let (copies, all) = copies_and_templates();
                    let (victims, count) = if state.is_multiple_of(8) {
                        (all, &mut templates)
                    } else {
                        (copies, &mut wardens)
                    };
                    if let Some(victim) = victims.get(state as usize / 8 % victims.len().max(1)) {
                        slay_all(&[*victim]);
                        *count += 1;
                    }
                }
                (wardens, templates)
            });
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..COMMANDS {
                            let script =
                                "test ! -e /tmp/left && touch /tmp/left && sleep 0.01 && exit 7";
                            match pool
                                .command("sh")
                                .args(["-c", script])
                                .output()
                                .map(|output| output.outcome.ended)
                            {
                                Ok(Ended::Exited(7)) => well.fetch_add(1, Ordering::Relaxed),
                                Ok(Ended::WardenLost(_)) => lost.fetch_add(1, Ordering::Relaxed),
                                Err(error) if error.kind() == ErrorKind::WardenLost => {
                                    lost.fetch_add(1, Ordering::Relaxed)
                                }
                                result => panic!("{result:?}"),
                            };
                        }
                    })
                })
                .collect();
            let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
            over.store(true, Ordering::Relaxed);
            let killed = killer.join().expect("it only kills");
            assert!(ended.iter().all(Result::is_ok), "{ended:?}");
            let (lost, well) = (lost.load(Ordering::Relaxed), well.load(Ordering::Relaxed));
            println!(
                "{well} as they should and {lost} without their warden; killed, wardens and templates: {killed:?}; {:?}",
                pool.statistics()
            );
            assert!(
                killed.0 > 0 && killed.1 > 0 && well > 0,
                "the control: some were killed, and some not"
            );
        });
    });
}
