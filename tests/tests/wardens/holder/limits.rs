//! A stopped warden lifts no limit, because the caller's side enforces it instead.

use super::{BEYOND, CPU, LAST_RESORT, WALL, hold, in_every_mode, nobody_left, stop};
use seclude::{Child, Ended, MiB, Sandbox};
use seclude_tests::census::here;
use seclude_tests::mode::Scene;
use seclude_tests::payload::{PLACE, mark, sandbox};
use seclude_tests::watchdog::{Victims, returns};
use std::time::{Duration, Instant};

#[test]
fn a_stopped_warden_does_not_lift_the_wall_time() {
    in_every_mode("a_stopped_warden_does_not_lift_the_wall_time", |mode| {
        let mut held = hold(mode, "sleep", &|sandbox| sandbox.wall_time(WALL))?;
        let ended = held.ends(WALL, Ended::WallTime);
        ended.and(held.close())
    });
}

#[test]
fn a_stopped_warden_does_not_lift_the_limit_on_processor_time() {
    in_every_mode("a_stopped_warden_does_not_lift_the_limit_on_processor_time", |mode| {
        let mut held = hold(mode, "spin", &|sandbox| sandbox.cpu_time(CPU).wall_time(LAST_RESORT))?;
        let ended = held.ends(CPU, Ended::CpuTime);
        ended.and(held.close())
    });
}

#[test]
fn polling_holds_the_wall_time_as_waiting_does() {
    in_every_mode("polling_holds_the_wall_time_as_waiting_does", |mode| {
        let mut held = hold(mode, "sleep", &|sandbox| sandbox.wall_time(WALL))?;
        let end = Instant::now() + WALL + BEYOND + here(Duration::from_secs(5));
        let ended = loop {
            let short = Duration::from_millis(50);
            let told = held.returns("wait_timeout", short, |child| child.wait_timeout(short));
            let polled = held.returns("try_wait", Duration::ZERO, Child::try_wait);
            match (told, polled) {
                (Ok(Ok(None)), Ok(Ok(None))) if Instant::now() > end => {
                    break Err("the limit is not held".to_owned());
                }
                (Ok(Ok(None)), Ok(Ok(None))) => {}
                (Ok(Ok(told)), Ok(Ok(polled))) => {
                    let outcome = told.or(polled).expect("one of them is there");
                    break if outcome.ended == Ended::WallTime {
                        Ok(())
                    } else {
                        Err(format!("{:?}", outcome.ended))
                    };
                }
                (told, polled) => break Err(format!("{told:?} {polled:?}")),
            }
        };
        ended.and(held.close())
    });
}

#[test]
fn what_is_written_is_collected_until_the_wall_time_is_over() {
    in_every_mode("what_is_written_is_collected_until_the_wall_time_is_over", |mode| {
        let mark = mark();
        let limits = |sandbox: Sandbox| sandbox.wall_time(WALL).output(MiB(1));
        let scene = Scene::new(mode, sandbox().tmpfs("/tmp", MiB(1)), &limits)
            .map_err(|error| error.to_string())?;
        let mut command = scene.command(PLACE);
        command
            .args(["sleep", "1", "/tmp", &mark])
            .stdout(seclude::Stdio::piped())
            .stderr(seclude::Stdio::piped());
        let child = command.spawn().map_err(|error| error.to_string())?;
        let victims = Victims { wardens: scene.wardens(&child), mark: mark.clone() };
        stop(scene.warden(&child));
        let told =
            returns("wait_with_output", WALL + BEYOND, &victims, || child.wait_with_output());
        let ended = told.and_then(|(told, _)| match told {
            Ok(output) if output.outcome.ended == Ended::WallTime => Ok(()),
            told => Err(format!("{told:?}")),
        });
        let gone = nobody_left(&mark);
        returns("drop of the scene", BEYOND, &victims, || drop(scene)).and(ended).and(gone)
    });
}

/// The control: a running warden enforces the limit itself, and the outcome says so.
#[test]
fn a_warden_that_acts_ends_its_command_itself() {
    in_every_mode("a_warden_that_acts_ends_its_command_itself", |mode| {
        let mark = mark();
        let limits = |sandbox: Sandbox| sandbox.wall_time(CPU);
        let scene = Scene::new(mode, sandbox(), &limits).map_err(|error| error.to_string())?;
        let outcome = scene
            .command(PLACE)
            .args(["sleep", "1", "/tmp", &mark])
            .status()
            .map_err(|error| error.to_string())?;
        match (outcome.ended, outcome.by_caller) {
            (Ended::WallTime, false) => Ok(()),
            told => Err(format!("{told:?}")),
        }
    });
}
