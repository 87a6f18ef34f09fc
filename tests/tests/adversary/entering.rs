//! Commands that start in a cell in which an attack is running.

use crate::attack::{A_WHILE, GRACE, NONE, PLACE, limits, sandbox, wall};
use seclude::{Ended, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::{as_each, as_each_with_cells};
use seclude_tests::census::{has_ended, survivors};
use seclude_tests::knobs;
use seclude_tests::mode::{Mode, Scene};
use seclude_tests::payload::{mark, rounds};
use seclude_tests::waiting::Sampler;
use seclude_tests::watchdog::{Victims, returns, slay};
use std::io::Write;
use std::time::{Duration, Instant};

/// Starts a path in a cell that changes between a file that is no program, a FIFO, a link to a
/// device, and a file under a lease. Each start must return soon.
pub fn start_swapped(time: Duration, sampler: Option<&Sampler<'_>>) -> Result<(), String> {
    let cell = sandbox()
        .terminals()
        .wall_time(time + Duration::from_secs(600))
        .cell()
        .map_err(|error| error.to_string())?;
    let warden = cell.id().map_err(|error| error.to_string())?;
    if let Some(sampler) = sampler {
        sampler.watch(warden, "a swapped path");
    }
    let mark = mark();
    let mut hostile = cell
        .command(PLACE)
        .args(["swap", "all", &mark])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let hostile = hostile.as_mut().map_err(|error| error.to_string())?;
    hostile
        .stdin
        .as_mut()
        .expect("it is piped")
        .write_all(b"go\n")
        .map_err(|error| error.to_string())?;
    let mut line = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(hostile.stdout.as_mut().expect("it is piped")),
        &mut line,
    )
    .map_err(|error| error.to_string())?;
    let victims = Victims::of(warden, &mark);
    let end = Instant::now() + time;
    let mut wrong = Ok(());
    let mut starts = 0;
    while Instant::now() < end && wrong.is_ok() {
        let mut command = cell.command("/tmp/w/program");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).wall_time(wall());
        // Whatever the path is at the moment, it is no program: the start fails, or the wall time
        // ends it.
        wrong = match returns("a start of a swapped path", wall(), &victims, || command.status()) {
            Ok((Ok(outcome), _)) if outcome.ended == Ended::Exited(0) => Err("it has run".into()),
            Ok(_) => Ok(()),
            Err(why) => Err(why),
        };
        starts += 1;
    }
    // Other starts in the cell are not delayed.
    if wrong.is_ok() {
        wrong = match returns("another command", wall(), &victims, || {
            cell.command(PLACE).arg("nothing").wall_time(wall()).output()
        }) {
            Ok((Ok(output), _)) if output.outcome.ended == Ended::Exited(0) => Ok(()),
            Ok((told, _)) => {
                Err(format!("another command: {:?}", told.map(|output| output.outcome.ended)))
            }
            Err(why) => Err(why),
        };
    }
    println!("{starts} starts of a swapped path");
    returns("close", Duration::ZERO, &victims, || cell.close()).map(drop)?;
    returns("wait", Duration::ZERO, &victims, || hostile.wait()).map(drop)?;
    match survivors(&mark, GRACE) {
        left if left == NONE => wrong,
        left => Err(format!("{left:?} survive")),
    }
}

#[test]
fn a_path_that_changes_while_it_is_started_holds_nobody() {
    let _alone = alone();
    as_each("a_path_that_changes_while_it_is_started_holds_nobody", |_| {
        let time = Duration::from_secs(u64::from(rounds(3)).min(60));
        start_swapped(time, None).unwrap_or_else(|why| panic!("{why}"));
    });
}

/// Commands enter a cell in which an attack is running. Their wardens enforce their limits and end
/// them.
#[test]
fn who_enters_a_cell_is_held_whoever_is_in_it() {
    const NAME: &str = "who_enters_a_cell_is_held_whoever_is_in_it";
    let _alone = alone();
    as_each_with_cells(NAME, |caller| {
        let mut wrong = Vec::new();
        for mode in [Mode::Entered, Mode::Joined] {
            for word in ["knobs", "signals", "proc"] {
                for landlock in [true, false] {
                    let set =
                        |sandbox: Sandbox| if landlock { sandbox } else { sandbox.no_landlock() };
                    let told = bystander(mode, word, &set).err();
                    wrong.extend(told.map(|why| {
                        format!(
                            "{mode:?}, {word}, Landlock {landlock}, as {}: {why}",
                            caller.name()
                        )
                    }));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Runs a command that enters a cell beside an attack and takes no part in it.
fn bystander(mode: Mode, word: &str, set: &dyn Fn(Sandbox) -> Sandbox) -> Result<(), String> {
    let text = |error: seclude::Error| error.to_string();
    let scene =
        Scene::new(mode, sandbox(), &|sandbox| set(limits(sandbox, false))).map_err(text)?;
    let cell = scene.cell.clone().expect("this mode has one");
    let (hostile_mark, mark) = (mark(), mark());
    let mut hostile = cell.command(PLACE);
    hostile
        .args([word, "all", &hostile_mark])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut hostile = hostile.wall_time(Duration::from_secs(600)).spawn().map_err(text)?;
    hostile
        .stdin
        .as_mut()
        .expect("it is piped")
        .write_all(b"go\n")
        .map_err(|error| error.to_string())?;
    std::thread::sleep(A_WHILE / 3);
    let mut command = scene.command(PLACE);
    command
        .args(["rest", "all", &mark])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let cells = Victims { wardens: vec![cell.id().map_err(text)?], mark: mark.clone() };
    let (child, _) = returns("a start", wall(), &cells, || command.spawn())?;
    let told = match child {
        // A command that is killed during its start is reported as an error with a kind.
        Err(_) => Ok(()),
        Ok(mut child) => {
            // The command may have been killed already, and its warden may have ended.
            let warden = child
                .processes()
                .map_err(text)?
                .first()
                .map_or(cells.wardens[0], |first| first.pid);
            let before = knobs::of(warden);
            std::thread::sleep(A_WHILE);
            let after = knobs::of(warden);
            let changed =
                if has_ended(warden) { Vec::new() } else { knobs::changed(&before, &after) };
            let victims = Victims { wardens: vec![warden, cells.wardens[0]], mark: mark.clone() };
            let waited = returns("wait", wall(), &victims, || child.wait());
            waited.and_then(|(outcome, _)| match outcome.map_err(text)?.ended {
                Ended::WallTime if changed.is_empty() => Ok(()),
                // Other processes of the cell may kill the command, with a signal or with a limit
                // on its processor time. Where Landlock does not scope signals, they may kill its
                // warden as well.
                Ended::Signaled(_) if matches!(word, "signals" | "knobs") && changed.is_empty() => {
                    Ok(())
                }
                // Under a limit of no descriptors the program fails before its first line.
                Ended::Exited(127) if word == "knobs" && changed.is_empty() => Ok(()),
                Ended::WardenLost(_) if word == "signals" => Ok(()),
                ended => Err(format!("{ended:?}, its warden changed: {changed:?}")),
            })
        }
    };
    let closed = returns("close", Duration::ZERO, &cells, || cell.close()).map(drop);
    let hostile =
        returns("wait for the hostile one", Duration::ZERO, &cells, || hostile.wait()).map(drop);
    let left = marked_after(&[&mark, &hostile_mark]);
    let dropped = returns("drop of the scene", Duration::ZERO, &cells, || drop(scene)).map(drop);
    told.and(closed).and(hostile).and(left).and(dropped)
}

fn marked_after(marks: &[&str]) -> Result<(), String> {
    for mark in marks {
        let left = survivors(mark, GRACE);
        if left != NONE {
            left.iter().copied().for_each(slay);
            return Err(format!("{left:?} survive"));
        }
    }
    Ok(())
}
