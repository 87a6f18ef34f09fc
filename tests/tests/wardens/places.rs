//! A pool's places. The place of a command is free once the command has ended, whether or not the
//! caller has looked at it. A start waits for a place for a given time, for ever, or not at all. A
//! descriptor shows when to try again.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use seclude::{Child, Command, Ended, ErrorKind, Interaction, Pool, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::census::has_ended;
use seclude_tests::watchdog::{Victims, returns, slay};
use std::os::fd::BorrowedFd;
use std::thread;
use std::time::{Duration, Instant};

/// A test that takes longer counts as hung.
const PATIENCE: Duration = Duration::from_secs(30);
/// The waiting time of a start that must find no place.
const SHORT: Duration = Duration::from_millis(30);

fn each(name: &str, body: impl Fn()) {
    let _alone = alone();
    as_each(name, |_| body());
}

/// Pools of this size: one with a fresh sandbox for each command, one that uses sandboxes again.
fn pools(size: usize) -> [Pool; 2] {
    let sandbox = Sandbox::new().wall_time(Duration::from_secs(60));
    [sandbox.pool(size).expect("it starts"), sandbox.reusing_pool(size).expect("it starts")]
}

/// A command that ends at the end of its input.
fn cat(pool: &Pool) -> Command {
    let mut command = pool.command("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

fn readable(fd: BorrowedFd<'_>, patience: Duration) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(patience).expect("it is short");
    poll(&mut polled, timeout).expect("poll works") == 1
}

/// Ends the command and waits for its end without a call of the library.
fn end_unseen(child: &mut Child) {
    drop(child.stdin.take());
    assert!(readable(child.pidfd(), PATIENCE), "it does not end");
}

/// A start that must find a place.
fn started(pool: &Pool) -> Child {
    let started =
        returns("a start", PATIENCE, &Victims::default(), || cat(pool).spawn_timeout(PATIENCE));
    let (child, _) = started.unwrap_or_else(|hung| panic!("{hung}"));
    child.expect("it starts").expect("there is a place")
}

#[test]
fn a_command_that_has_ended_has_no_place_though_nobody_looked() {
    each("a_command_that_has_ended_has_no_place_though_nobody_looked", || {
        for pool in pools(1) {
            let mut ended = Vec::new();
            for _ in 0..5 {
                let mut child = started(&pool);
                assert_eq!(pool.statistics().in_use, 1);
                end_unseen(&mut child);
                ended.push(child);
            }
            while pool.statistics().in_use > 0 {
                thread::sleep(Duration::from_millis(1));
            }
            let told = pool.statistics();
            assert_eq!((told.handed_out, told.most_in_use), (5, 1), "{told:?}");
            // Each child still reports its own end, which frees no other place.
            let last = started(&pool);
            for mut child in ended {
                assert_eq!(child.wait().expect("it ended").ended, Ended::Exited(0));
            }
            assert_eq!(pool.statistics().in_use, 1);
            assert!(cat(&pool).try_spawn().expect("no error").is_none());
            drop(last);
            assert_eq!(pool.statistics().in_use, 0);
        }
    });
}

#[test]
fn a_full_pool_says_so_at_once_or_at_the_deadline() {
    each("a_full_pool_says_so_at_once_or_at_the_deadline", || {
        for pool in pools(2) {
            let mut first = started(&pool);
            let second = started(&pool);
            assert!(!readable(pool.fd(), Duration::ZERO));
            // One sandbox of a new pool is ready, so the start does not wait for a sandbox.
            let before = pool.statistics();
            let mut third = cat(&pool);
            assert!(third.try_spawn().expect("no error").is_none());
            let begin = Instant::now();
            assert!(third.spawn_timeout(SHORT).expect("no error").is_none());
            assert!(begin.elapsed() >= SHORT);
            assert_eq!(pool.statistics().waited, before.waited);

            end_unseen(&mut first);
            assert!(readable(pool.fd(), PATIENCE), "the descriptor does not show the free place");
            let third = third.spawn_timeout(PATIENCE).expect("no error").expect("there is a place");
            let told = pool.statistics();
            assert_eq!(
                (told.in_use, told.handed_out, told.waited),
                (2, 3, before.waited + 1),
                "{told:?}"
            );
            drop((second, third));
            assert_eq!(first.wait().expect("it ended").ended, Ended::Exited(0));
        }
    });
}

#[test]
fn a_caller_that_only_polls_the_descriptor_starts_all() {
    each("a_caller_that_only_polls_the_descriptor_starts_all", || {
        for pool in pools(2) {
            let (mut children, mut tries) = (Vec::new(), 0);
            while children.len() < 20 {
                assert!(
                    readable(pool.fd(), PATIENCE),
                    "the descriptor does not show the free place"
                );
                tries += 1;
                children.extend(pool.command("true").try_spawn().expect("no error"));
            }
            // A descriptor that is readable without reason would lead to thousands of tries.
            assert!(tries < 400, "{tries} tries");
            for mut child in children {
                assert_eq!(child.wait().expect("it ended").ended, Ended::Exited(0));
            }
        }
    });
}

#[test]
fn a_command_whose_warden_is_killed_has_no_place() {
    each("a_command_whose_warden_is_killed_has_no_place", || {
        for pool in pools(1) {
            let mut lost = started(&pool);
            let command = lost.processes().expect("it runs").pop().expect("it is there");
            slay(command.parent);
            // A start in a dying sandbox is reported as an error, which is not tested here.
            while !has_ended(command.parent) {
                thread::sleep(Duration::from_millis(1));
            }
            let mut next = started(&pool);
            assert!(matches!(lost.wait().expect("it ended").ended, Ended::WardenLost(_)));
            end_unseen(&mut next);
            assert_eq!(next.wait().expect("it ended").ended, Ended::Exited(0));
        }
    });
}

#[test]
fn a_start_that_waits_hears_that_the_pool_is_closed() {
    each("a_start_that_waits_hears_that_the_pool_is_closed", || {
        for pool in pools(1) {
            let running = started(&pool);
            thread::scope(|scope| {
                let waits = scope.spawn(|| {
                    returns("a start", PATIENCE, &Victims::default(), || cat(&pool).spawn())
                });
                thread::sleep(SHORT);
                pool.close();
                let (refused, _) =
                    waits.join().expect("no panic").unwrap_or_else(|hung| panic!("{hung}"));
                let refused = refused.expect_err("it is closed");
                assert_eq!(
                    (refused.kind(), refused.to_string().contains("closed")),
                    (ErrorKind::Invalid, true),
                    "{refused}"
                );
            });
            assert!(readable(pool.fd(), Duration::ZERO));
            cat(&pool).try_spawn().expect_err("it is closed");
            drop(running);
        }
    });
}

/// Two commands of one pool, of which the first writes to the second.
fn pair(pool: &Pool) -> Interaction {
    let mut interaction = Interaction::new();
    let mut last = pool.command("cat");
    last.stdout(Stdio::null());
    let (first, last) = (interaction.add(pool.command("echo")), interaction.add(last));
    interaction.pipe((first, 1), (last, 0));
    interaction
}

#[test]
fn commands_that_start_together_wait_for_all_their_places() {
    each("commands_that_start_together_wait_for_all_their_places", || {
        for pool in pools(2) {
            let mut running = started(&pool);
            assert!(pair(&pool).spawn_timeout(Duration::ZERO).expect("no error").is_none());
            assert!(pair(&pool).spawn_timeout(SHORT).expect("no error").is_none());
            // The place that was taken is given back, and no sandbox has been handed out.
            assert_eq!((pool.statistics().in_use, pool.statistics().handed_out), (1, 1));
            end_unseen(&mut running);
            let both =
                pair(&pool).spawn_timeout(PATIENCE).expect("no error").expect("there are places");
            for mut child in both {
                assert_eq!(child.wait().expect("it ended").ended, Ended::Exited(0));
            }
            let mut three = pair(&pool);
            three.add(pool.command("true"));
            let refused = three.spawn().expect_err("it has two places");
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
            assert_eq!(running.wait().expect("it ended").ended, Ended::Exited(0));
        }
    });
}

#[test]
fn interactions_do_not_wait_for_each_other_for_ever() {
    each("interactions_do_not_wait_for_each_other_for_ever", || {
        for pool in pools(2) {
            let all = returns("interactions", PATIENCE, &Victims::default(), || {
                thread::scope(|scope| {
                    for _ in 0..4 {
                        scope.spawn(|| {
                            for _ in 0..5 {
                                let outputs = pair(&pool).output().expect("they start");
                                assert!(outputs.iter().all(|output| output.outcome.success()));
                            }
                        });
                    }
                });
            });
            all.unwrap_or_else(|hung| panic!("{hung}"));
            assert!(pool.statistics().most_in_use <= 2);
        }
    });
}
