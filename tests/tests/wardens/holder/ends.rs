//! A stopped warden or template keeps nothing alive: commands are killed and dropped, cells are
//! closed and reset, and pools are closed.

use super::{BEYOND, LAST_RESORT, WALL, hold, in_every_mode, nobody_left, stop};
use seclude::{Child, Ended};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each_with_cells;
use seclude_tests::census::wardens;
use seclude_tests::mode::{Mode, Scene};
use seclude_tests::payload::{PLACE, mark, sandbox};
use seclude_tests::watchdog::{Victims, returns};
use std::time::{Duration, Instant};

#[test]
fn a_stopped_warden_does_not_keep_its_command_from_being_killed() {
    in_every_mode("a_stopped_warden_does_not_keep_its_command_from_being_killed", |mode| {
        let mut held = hold(mode, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))?;
        let killed = held.returns("kill", Duration::ZERO, |child| {
            child.kill().map_err(|error| error.to_string())
        });
        let ended = killed
            .and_then(|killed| killed)
            .and_then(|()| held.ends(Duration::ZERO, Ended::Killed));
        ended.and(held.close())
    });
}

/// `/proc` shows a process as ended when its main thread has.
#[test]
fn a_process_without_its_main_thread_is_killed_as_every_other() {
    in_every_mode("a_process_without_its_main_thread_is_killed_as_every_other", |mode| {
        for stopped in [false, true] {
            let mut held = hold(mode, "headless-sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))?;
            if !stopped {
                held.resume();
            }
            held.await_headless()?;
            let killed = held.returns("kill", Duration::ZERO, |child| {
                child.kill().map_err(|error| error.to_string())
            });
            killed.and_then(|killed| killed).and(held.close())?;
        }
        Ok(())
    });
}

#[test]
fn a_command_of_a_stopped_warden_can_be_dropped() {
    in_every_mode("a_command_of_a_stopped_warden_can_be_dropped", |mode| {
        hold(mode, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))?.close()
    });
}

#[test]
fn a_cell_whose_warden_is_stopped_can_be_closed() {
    in_every_mode("a_cell_whose_warden_is_stopped_can_be_closed", |mode| {
        let (Mode::Cell | Mode::Entered | Mode::Joined) = mode else { return Ok(()) };
        let mut held = hold(mode, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))?;
        let cell = held.scene.cell.clone().expect("this mode has one");
        if mode != Mode::Cell {
            stop(cell.id().expect("it is open"));
        }
        let victims = held.victims();
        let closed = returns("close", BEYOND, &victims, || cell.close()).map(drop);
        // The pid namespace has ended, even with stopped processes in it.
        let waited = held.returns("wait", Duration::ZERO, Child::wait).map(drop);
        closed.and(waited).and(held.close())
    });
}

/// Only the caller can reap a command that has entered a cell, and a pid namespace ends only when
/// all of its processes are reaped.
#[test]
fn a_cell_can_be_closed_before_anybody_waits_for_a_command_that_has_entered_it() {
    let _alone = alone();
    as_each_with_cells(
        "a_cell_can_be_closed_before_anybody_waits_for_a_command_that_has_entered_it",
        |_| {
            let mark = mark();
            let scene =
                Scene::new(Mode::Entered, sandbox(), &|sandbox| sandbox.wall_time(LAST_RESORT))
                    .expect("it starts");
            let mut child = scene
                .command(PLACE)
                .args(["sleep", "1", "/tmp", &mark])
                .spawn()
                .expect("it starts");
            let victims = Victims { wardens: scene.wardens(&child), mark: mark.clone() };
            let cell = scene.cell.clone().expect("this mode has one");
            returns("close", BEYOND, &victims, || cell.close()).expect("it does not hang");
            let (outcome, _) =
                returns("wait", BEYOND, &victims, || child.wait()).expect("it does not hang");
            assert_ne!(outcome.expect("it is reported").ended, Ended::Exited(0));
            nobody_left(&mark).expect("nothing survives");
        },
    );
}

#[test]
fn a_cell_whose_warden_is_stopped_can_be_reset() {
    let _alone = alone();
    as_each_with_cells("a_cell_whose_warden_is_stopped_can_be_reset", |_| {
        let held = hold(Mode::Cell, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))
            .expect("it starts");
        let cell = held.scene.cell.clone().expect("this mode has one");
        let (reset, _) =
            returns("reset", BEYOND, &held.victims(), || cell.reset()).expect("it does not hang");
        reset.expect("a new one takes its place");
        let outcome = cell.command(PLACE).args(["exit", "3"]).status().expect("it starts");
        assert_eq!(outcome.ended, Ended::Exited(3));
        held.close().expect("it ends");
    });
}

/// A start needs the warden. Without an answer it fails, or the wall time ends the command. It must
/// not hang.
#[test]
fn a_start_in_a_cell_whose_warden_is_stopped_returns() {
    let _alone = alone();
    as_each_with_cells("a_start_in_a_cell_whose_warden_is_stopped_returns", |_| {
        let held =
            hold(Mode::Cell, "sleep", &|sandbox| sandbox.wall_time(WALL)).expect("it starts");
        let mut command = held.scene.command(PLACE);
        let told = returns("a start", WALL + BEYOND, &held.victims(), || {
            command.args(["exit", "3"]).status()
        });
        match told.expect("it does not hang").0 {
            Ok(outcome) => assert_eq!(outcome.ended, Ended::WallTime),
            Err(error) => assert!(!error.step().is_empty(), "{error}"),
        }
        held.close().expect("it ends");
    });
}

#[test]
fn a_pool_whose_wardens_are_stopped_can_be_closed() {
    let _alone = alone();
    as_each_with_cells("a_pool_whose_wardens_are_stopped_can_be_closed", |_| {
        let mut held = hold(Mode::Pool, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))
            .expect("it starts");
        let pool = held.scene.pool.clone().expect("this mode has one");
        let end = Instant::now() + Duration::from_secs(30);
        while pool.statistics().ready == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        // The ready sandboxes and the template that they were copied from.
        let all: Vec<u32> = wardens().into_iter().map(|(_, pid)| pid).collect();
        assert!(all.len() >= 2, "{all:?}");
        all.iter().copied().for_each(stop);
        let everybody = Victims { wardens: all, mark: held.mark.clone() };
        returns("close", BEYOND, &everybody, || pool.close()).expect("it does not hang");
        let child = held.child.take();
        returns("drop of the child", BEYOND, &everybody, || drop(child)).expect("it does not hang");
        returns("drop of the pool", BEYOND, &everybody, || drop((pool, held.scene)))
            .expect("it does not hang");
        nobody_left(&held.mark).expect("nothing survives");
        assert_eq!(wardens(), [], "wardens are left");
    });
}

#[test]
fn a_pool_whose_ready_wardens_are_stopped_gives_others_or_tells() {
    let _alone = alone();
    as_each_with_cells("a_pool_whose_ready_wardens_are_stopped_gives_others_or_tells", |_| {
        let pool = sandbox().wall_time(WALL).pool(1).expect("it starts");
        let copies = || -> Vec<u32> {
            let all = wardens();
            let own = std::process::id();
            let template: Vec<u32> =
                all.iter().filter(|(parent, _)| *parent == own).map(|(_, pid)| *pid).collect();
            all.iter()
                .filter(|(parent, _)| template.contains(parent))
                .map(|(_, pid)| *pid)
                .collect()
        };
        let end = Instant::now() + Duration::from_secs(30);
        while pool.statistics().ready == 0 || copies().is_empty() {
            assert!(Instant::now() < end, "none is ready");
            std::thread::sleep(Duration::from_millis(2));
        }
        let stopped = copies();
        stopped.iter().copied().for_each(stop);
        let victims = Victims { wardens: stopped, mark: String::new() };
        let told = returns("a start", WALL + BEYOND, &victims, || {
            pool.command(PLACE).args(["exit", "3"]).status()
        });
        match told.expect("it does not hang").0 {
            Ok(outcome) => assert!(
                matches!(outcome.ended, Ended::Exited(3) | Ended::WallTime),
                "{:?}",
                outcome.ended
            ),
            Err(error) => assert!(!error.step().is_empty(), "{error}"),
        }
        returns("drop of the pool", BEYOND, &Victims::default(), || drop(pool))
            .expect("it does not hang");
    });
}

/// Copies end with their template. A template that does not answer is replaced, or the start fails.
#[test]
fn a_stopped_template_hangs_nobody() {
    let _alone = alone();
    as_each_with_cells("a_stopped_template_hangs_nobody", |_| {
        let sandbox = sandbox().wall_time(WALL);
        sandbox.prepare().expect("it is made");
        let templates: Vec<u32> = wardens().into_iter().map(|(_, pid)| pid).collect();
        assert_eq!(templates.len(), 1);
        stop(templates[0]);
        let victims = Victims { wardens: templates, mark: String::new() };
        let told = returns("a start", WALL + BEYOND, &victims, || {
            sandbox.command(PLACE).args(["exit", "3"]).status()
        });
        match told.expect("it does not hang").0 {
            Ok(outcome) => assert!(
                matches!(outcome.ended, Ended::Exited(3) | Ended::WallTime),
                "{:?}",
                outcome.ended
            ),
            Err(error) => assert!(!error.step().is_empty(), "{error}"),
        }
        returns("drop of the sandbox", BEYOND, &victims, || drop(sandbox))
            .expect("it does not hang");
    });
}
