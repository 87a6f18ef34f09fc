//! The caller's side acts when a warden does not.
//!
//! Each test stops wardens from outside, as a kernel fault or a user's SIGSTOP may. No call of the
//! library may hang, limits must hold, and nothing may survive.

mod ends;
mod filters;
mod limits;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use seclude::{Child, Ended, MiB, Sandbox};
use seclude_tests::alone::alone;
use seclude_tests::caller::{Caller, as_each, as_each_with_cells};
use seclude_tests::census::{has_ended, marked, survivors};
use seclude_tests::mode::{Mode, Scene};
use seclude_tests::payload::{PLACE, mark, sandbox};
use seclude_tests::watchdog::{Victims, returns};
use std::time::{Duration, Instant};

const WALL: Duration = Duration::from_secs(1);
const CPU: Duration = Duration::from_millis(300);
/// Ends what is not stopped. No test expects this end.
const LAST_RESORT: Duration = Duration::from_secs(600);
/// How long after a deadline the caller's side must have acted.
const BEYOND: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(2);

const NONE: [u32; 0] = [];

/// A command with a stopped warden.
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

/// Stops a process and waits until it has stopped.
fn stop(pid: u32) {
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGSTOP).expect("the warden is the caller's");
    let end = Instant::now() + Duration::from_secs(30);
    while !is_stopped(pid) {
        assert!(Instant::now() < end && !has_ended(pid), "{pid} does not stand still");
        std::thread::yield_now();
    }
}

fn is_stopped(pid: u32) -> bool {
    is_in_state(pid, 'T')
}

/// Whether the main thread of a process is in this state.
fn is_in_state(pid: u32, state: char) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(state))
}

impl Held {
    fn victims(&self) -> Victims {
        Victims { wardens: self.wardens.clone(), mark: self.mark.clone() }
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it has not been dropped")
    }

    /// Lets the warden continue.
    fn resume(&self) {
        let warden = self.child.as_ref().map(|child| self.scene.warden(child));
        let warden = warden.expect("it has not been dropped").cast_signed();
        kill(Pid::from_raw(warden), Signal::SIGCONT).expect("the warden is the caller's");
    }

    /// Waits until the main thread of the command has ended.
    fn await_headless(&self) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if marked(&self.mark).into_iter().any(|pid| is_in_state(pid, 'Z')) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err("the control: its main thread does not end".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Makes a call that must return in time.
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

    /// Waits for the end, which must be `expected` and caused by the caller's side.
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

    /// Drops the rest, which must not hang, and looks for survivors.
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

/// Runs `body` in every mode, as each caller, and reports all failures together.
fn in_every_mode(name: &str, body: impl Fn(Mode) -> Result<(), String> + Sync) {
    let _alone = alone();
    as_each_with_cells(name, |caller| {
        let tell = |mode: &Mode| {
            body(*mode).err().map(|why| format!("{mode:?} as {}: {why}", caller.name()))
        };
        // The modes run at the same time, because they mostly wait.
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

/// The control: a stopped warden really stops, and continues after SIGCONT.
#[test]
fn a_stopped_warden_that_goes_on_tells_of_its_command() {
    let _alone = alone();
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
