//! The second holder: when a warden does not act, its caller does. Every test stops wardens from
//! outside, as a kernel that is out of order or a user's own SIGSTOP may, and demands that no call
//! of the library hangs, that limits are held and that nothing survives.
//!
//! The last tests take kill(2) from the caller by a filter around it: a limit is held all the same,
//! or the start is refused.
#![deny(unsafe_code)]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seclude::{Child, Ended, MiB, Profile, Sandbox, Seccomp};
use seclude_tests::caller::{Caller, as_each, as_each_with_cells, driver};
use seclude_tests::census::{has_ended, here, survivors, wardens};
use seclude_tests::job::{Job, Stream};
use seclude_tests::mode::{Mode, Scene};
use seclude_tests::payload::{PLACE, mark, sandbox};
use seclude_tests::watchdog::{Victims, returns};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A watchdog may kill every warden of this process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const WALL: Duration = Duration::from_secs(1);
const CPU: Duration = Duration::from_millis(300);
/// No test depends on it: what is not stopped must end in the end.
const LAST_RESORT: Duration = Duration::from_secs(600);
/// What the second holder waits for beyond a deadline, by its promise.
const BEYOND: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(2);

const NONE: [u32; 0] = [];

/// A command whose warden is stopped.
struct Held {
    scene: Scene,
    child: Option<Child>,
    mark: String,
    wardens: Vec<u32>,
}

/// Starts the payload's `word` in a mode, under these limits, and stops its warden.
fn hold(mode: Mode, word: &str, limits: &dyn Fn(Sandbox) -> Sandbox) -> Result<Held, String> {
    let mark = mark();
    let scene = Scene::new(mode, sandbox().tmpfs("/tmp", MiB(1)), limits)
        .map_err(|error| format!("the scene: {error}"))?;
    let mut command = scene.command(PLACE);
    let child = command
        .args([word, "1", "/tmp", &mark])
        .spawn()
        .map_err(|error| format!("the start: {error}"))?;
    let warden = scene.warden(&child);
    let wardens = scene.wardens(&child);
    stop(warden);
    Ok(Held { scene, child: Some(child), mark, wardens })
}

/// Stops a process and waits until it stands.
fn stop(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGSTOP).expect("the warden is the caller's");
    let end = Instant::now() + Duration::from_secs(30);
    while !is_stopped(pid) {
        assert!(Instant::now() < end && !has_ended(pid), "{pid} does not stand still");
        std::thread::yield_now();
    }
}

fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

impl Held {
    fn victims(&self) -> Victims {
        Victims { wardens: self.wardens.clone(), mark: self.mark.clone() }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it has not been dropped")
    }

    /// Makes a call that must return.
    fn returns<T>(
        &mut self,
        what: &str,
        limit: Duration,
        call: impl FnOnce(&mut Child) -> T,
    ) -> Result<T, String> {
        let victims = self.victims();
        let child = self.child();
        returns(what, limit + BEYOND, &victims, || call(child)).map(|(value, _)| value)
    }

    /// Waits for the end, which must be this one, by the caller.
    fn ends(&mut self, limit: Duration, expected: Ended) -> Result<(), String> {
        let outcome =
            self.returns("wait", limit, Child::wait)?.map_err(|error| format!("wait: {error}"))?;
        if outcome.ended != expected {
            return Err(format!("the end is {:?} and not {expected:?}", outcome.ended));
        }
        if !outcome.by_caller {
            return Err("the outcome does not say that the caller's side ended it".into());
        }
        let again =
            self.child().wait().map(|outcome| outcome.ended).map_err(|error| error.to_string());
        if again == Ok(expected) { Ok(()) } else { Err(format!("a second wait says {again:?}")) }
    }

    /// Drops what is left, which must not hang either, and looks for survivors.
    fn close(self) -> Result<(), String> {
        let victims = self.victims();
        let Held { scene, child, mark, .. } = self;
        let dropped = returns("drop of the child", BEYOND, &victims, || drop(child)).map(drop);
        let gone = nobody_left(&mark);
        let closed = returns("drop of the scene", BEYOND, &victims, || drop(scene)).map(drop);
        dropped.and(gone).and(closed)
    }
}

fn nobody_left(mark: &str) -> Result<(), String> {
    match survivors(mark, GRACE) {
        left if left == NONE => Ok(()),
        left => {
            Victims { wardens: vec![u32::MAX / 3], mark: mark.into() }.slay();
            Err(format!("{left:?} survive"))
        }
    }
}

/// Does the same in every mode, as each caller; what has failed is told together.
fn in_every_mode(name: &str, body: impl Fn(Mode) -> Result<(), String> + Sync) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    as_each_with_cells(name, |caller| {
        let tell = |mode: &Mode| {
            body(*mode).err().map(|why| format!("{mode:?} as {}: {why}", caller.name()))
        };
        // They wait most of the time: side by side.
        let wrong: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = Mode::ALL.iter().map(|mode| scope.spawn(|| tell(mode))).collect();
            threads
                .into_iter()
                .filter_map(|thread| thread.join().unwrap_or_else(|_| Some("it panicked".into())))
                .collect()
        });
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

// ---- limits

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

/// Without a stop, the warden holds the limit itself, and the outcome does not say otherwise.
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

// ---- ends by the caller

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

#[test]
fn a_command_of_a_stopped_warden_can_be_dropped() {
    in_every_mode("a_command_of_a_stopped_warden_can_be_dropped", |mode| {
        hold(mode, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))?.close()
    });
}

// ---- cells, pools, templates

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
        // Its namespace has ended, whoever stood still in it.
        let waited = held.returns("wait", Duration::ZERO, Child::wait).map(drop);
        closed.and(waited).and(held.close())
    });
}

/// The command that has entered a cell is nobody's but its caller's to reap, and a process tree
/// ends only when all in it are reaped.
#[test]
fn a_cell_can_be_closed_before_anybody_waits_for_a_command_that_has_entered_it() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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
            assert_ne!(outcome.expect("it is told").ended, Ended::Exited(0));
            nobody_left(&mark).expect("nothing survives");
        },
    );
}

#[test]
fn a_cell_whose_warden_is_stopped_can_be_reset() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

/// A start needs the warden. One that gets no answer is an error, or a command that its wall time
/// ends; it is no call that hangs.
#[test]
fn a_start_in_a_cell_whose_warden_is_stopped_returns() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    as_each_with_cells("a_pool_whose_wardens_are_stopped_can_be_closed", |_| {
        let mut held = hold(Mode::Pool, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT))
            .expect("it starts");
        let pool = held.scene.pool.clone().expect("this mode has one");
        let end = Instant::now() + Duration::from_secs(30);
        while pool.statistics().ready == 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        // Those that are ready, and the template that they are copied from.
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
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

/// What is copied from a template ends with it. One that does not answer is replaced, or the start
/// says so.
#[test]
fn a_stopped_template_hangs_nobody() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
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

// ---- filters around the caller

/// The caller is in a sandbox whose filter refuses these calls, and makes one of its own with a
/// wall time.
#[test]
fn where_a_filter_refuses_kill_the_wall_time_is_held_or_the_start_refused() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    as_each("where_a_filter_refuses_kill_the_wall_time_is_held_or_the_start_refused", |caller| {
        let mut wrong = Vec::new();
        for (calls, errno) in [
            (&["getuid"][..], libc::EPERM),
            (&["kill"], libc::EPERM),
            (&["kill"], libc::ENOSYS),
            (&["pidfd_send_signal"], libc::EPERM),
            (&["kill", "tgkill", "tkill", "rt_sigqueueinfo", "pidfd_send_signal"], libc::EPERM),
            (&["kill", "tgkill", "tkill", "rt_sigqueueinfo", "pidfd_send_signal"], libc::ENOSYS),
        ] {
            let policies = [
                r#"{"wall_time": 1}"#,
                r#"{"wall_time": 1, "share": ["pid"]}"#,
                r#"{"wall_time": 1, "output": "1M"}"#,
            ];
            let tell = |policy: &&str| {
                let told = without(calls, errno, policy).err()?;
                Some(format!("without {calls:?} ({errno}) as {}, {policy}: {told}", caller.name()))
            };
            wrong.extend(std::thread::scope(|scope| {
                let threads: Vec<_> =
                    policies.iter().map(|policy| scope.spawn(move || tell(policy))).collect();
                let told = |thread: std::thread::ScopedJoinHandle<'_, Option<String>>| {
                    thread.join().expect("it does not panic")
                };
                threads.into_iter().filter_map(told).collect::<Vec<_>>()
            }));
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

fn without(calls: &[&str], errno: i32, policy: &str) -> Result<(), String> {
    let mark = mark();
    let job = Job {
        policy: policy.into(),
        program: "sh".into(),
        arguments: ["-c", "sleep 1000; :", &mark].map(Into::into).to_vec(),
        streams: [Stream::Null, Stream::Inherit, Stream::Inherit],
        ..Job::default()
    };
    let filter = calls
        .iter()
        .fold(Seccomp::profile(Profile::Nested), |filter, call| filter.deny(*call, errno));
    let outer = Sandbox::new()
        .nested()
        .seccomp(filter)
        .bind_ro(driver(), "/driver")
        .file("/job", job.write());
    let outer = outer.tmpfs("/tmp", MiB(1)).wall_time(LAST_RESORT);
    let mut command = outer.command("sh");
    command.args(["-c", "/driver /job /tmp/r; cat /tmp/r"]).stdin(seclude::Stdio::null());
    command.stdout(seclude::Stdio::piped()).stderr(seclude::Stdio::piped());
    let child = command.spawn().map_err(|error| format!("the surroundings: {error}"))?;
    // Whoever hangs inside ends with the outer sandbox.
    let inside = child.processes().expect("ours");
    let victims = Victims {
        wardens: inside.iter().take(1).map(|process| process.pid).collect(),
        mark: mark.clone(),
    };
    let (output, _) = returns("the whole", WALL + BEYOND, &victims, || child.wait_with_output())?;
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let ended = text.lines().find(|line| line.starts_with("ended "));
    let error = text.lines().find(|line| line.starts_with("error "));
    match (ended, error) {
        (Some(ended), None) if ended.starts_with("ended wall-time") => Ok(()),
        // A start that is refused names its kind; that the library itself went wrong is no kind of
        // refusal.
        (None, Some(error)) if error != "error warden-lost" => Ok(()),
        _ => Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The control: who is stopped does stand still, and goes on when it is told to.
#[test]
fn a_stopped_warden_that_goes_on_tells_of_its_command() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    as_each("a_stopped_warden_that_goes_on_tells_of_its_command", |_: Caller| {
        let mut held =
            hold(Mode::Own, "sleep", &|sandbox| sandbox.wall_time(LAST_RESORT)).expect("it starts");
        let victims = held.victims();
        assert!(is_stopped(held.wardens[0]));
        let none = returns("wait_timeout", BEYOND, &victims, || {
            held.child().wait_timeout(Duration::from_millis(200))
        });
        assert_eq!(none.expect("it returns").0, Ok(None));
        kill(Pid::from_raw(held.wardens[0].cast_signed()), Signal::SIGCONT).expect("it is ours");
        held.child().kill().expect("it is asked");
        assert_eq!(held.child().wait().expect("it ends").ended, Ended::Killed);
        held.close().expect("it ends");
    });
}
