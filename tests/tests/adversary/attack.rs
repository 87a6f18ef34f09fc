//! One attack: started in a mode, and ended in a manner.

use seclude::{Child, Ended, Limit, Mechanism, MiB, Outcome, Sandbox, Stdio};
use seclude_tests::caller::program;
use seclude_tests::census::{has_ended, survivors};
use seclude_tests::knobs;
use seclude_tests::mode::{Mode, Scene};
use seclude_tests::payload::mark;
use seclude_tests::watchdog::{Victims, returns, slay};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

pub const PLACE: &str = "/adversary";
pub const WALL: Duration = Duration::from_secs(1);
/// How long an attack has before `kill` or `drop`.
pub const A_WHILE: Duration = Duration::from_millis(300);
pub const GRACE: Duration = Duration::from_secs(2);
pub const NONE: [u32; 0] = [];

/// How an attack is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    WallTime,
    Kill,
    Drop,
}

pub const FINISHES: [Finish; 3] = [Finish::WallTime, Finish::Kill, Finish::Drop];

pub fn sandbox() -> Sandbox {
    Sandbox::new().bind_ro(program("adversary"), PLACE).tmpfs("/tmp", MiB(4))
}

pub fn limits(sandbox: Sandbox, quota: bool) -> Sandbox {
    let sandbox = sandbox.wall_time(WALL).output(MiB(64)).pids(60).memory(MiB(128));
    let sandbox = sandbox.best_effort(Limit::Pids).best_effort(Limit::Memory);
    if quota { sandbox.cpus(0.5).best_effort(Limit::Cpus) } else { sandbox }
}

/// An attack that runs.
pub struct Attack {
    pub word: &'static str,
    mark: String,
    child: Child,
    scene: Scene,
    warden: u32,
    pub victims: Victims,
    before: BTreeMap<String, String>,
    started: Instant,
    /// What must stay open meanwhile: the other end of a socket that nobody reads.
    _peer: Option<TcpStream>,
}

impl Attack {
    /// Starts one: it waits for its signal.
    pub fn start(mode: Mode, word: &'static str, quota: bool) -> Result<Attack, String> {
        let mark = mark();
        let scene = Scene::new(mode, sandbox(), &|sandbox| limits(sandbox, quota))
            .map_err(|error| format!("the scene: {error}"))?;
        let mut command = scene.command(PLACE);
        // Numbers of the caller's own tree are not the sandbox's to attack.
        let reach = if mode == Mode::SharedPid { "parent" } else { "all" };
        command
            .args([word, reach, &mark])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut peer = None;
        if word == "linger" {
            let (socket, other) = connected();
            command
                .stdout(OwnedFd::from(socket.try_clone().expect("a copy")))
                .fd(3, OwnedFd::from(socket));
            peer = Some(other);
        }
        let child = command.spawn().map_err(|error| format!("the start: {error}"))?;
        // With it, the caller's own copies of what the command has.
        drop(command);
        let started = Instant::now();
        let warden = scene.warden(&child);
        let before = knobs::of(warden);
        let victims = Victims { wardens: scene.wardens(&child), mark: mark.clone() };
        Ok(Attack { word, mark, child, scene, warden, victims, before, started, _peer: peer })
    }

    pub fn begin(&mut self) {
        let _ = self.child.stdin.as_mut().expect("it is piped").write_all(b"go\n");
    }

    /// Ends it in this manner; how long after it should have ended it had.
    pub fn finish(self, finish: Finish) -> Result<Duration, String> {
        let mode = self.scene.mode();
        let mut wrong = Vec::new();
        let mut late = Duration::ZERO;
        let cells = mode == Mode::Cell;
        std::thread::sleep(A_WHILE);
        self.compare(&mut wrong);
        let Attack { word, mark, child, scene, warden, victims, before, started, _peer } = self;
        // A call that never returns ends the test, and says of which attack it was.
        let call = |name: &str| format!("{name}, {word} in {mode:?}, {finish:?}");
        let mut child = Some(child);
        if finish == Finish::Drop {
            let child = child.take();
            match returns(&call("drop of the child"), Duration::ZERO, &victims, || drop(child)) {
                Ok((_, taken)) => late = taken,
                Err(why) => wrong.push(why),
            }
        } else if let Some(child) = &mut child {
            if finish == Finish::Kill {
                match returns(&call("kill"), Duration::ZERO, &victims, || child.kill()) {
                    Ok((Ok(()), _)) => {}
                    Ok((Err(error), _)) => wrong.push(format!("kill: {error}")),
                    Err(why) => wrong.push(why),
                }
            }
            let limit = if finish == Finish::Kill {
                Duration::ZERO
            } else {
                WALL.saturating_sub(started.elapsed())
            };
            match returns(&call("wait"), limit, &victims, || child.wait()) {
                Ok((Ok(outcome), taken)) => {
                    late = taken.saturating_sub(limit);
                    wrong.extend(untrue(mode, finish, word, &outcome));
                }
                Ok((Err(error), _)) => wrong.push(format!("wait: {error}")),
                Err(why) => wrong.push(why),
            }
        }
        // Orphans in sessions of their own are a cell's, and end with it (docs/cells.md).
        let strays = cells && matches!(word, "odd" | "fork");
        if !strays {
            match survivors(&mark, GRACE) {
                left if left == NONE => {}
                left => {
                    wrong.push(format!("{left:?} survive"));
                    left.into_iter().for_each(slay);
                }
            }
        }
        if cells && !strays {
            // The cell's warden goes on, as it was, and so does the cell.
            // Read first: a warden that ends in between has no values left to compare.
            let after = knobs::of(warden);
            if !has_ended(warden) {
                wrong.extend(
                    knobs::changed(&before, &after)
                        .into_iter()
                        .map(|knob| format!("afterwards {knob}")),
                );
            }
            match returns(&call("the next command"), WALL, &victims, || {
                scene.command(PLACE).arg("nothing").output()
            }) {
                Ok((Ok(output), _)) if output.outcome.ended == Ended::Exited(0) => {}
                Ok((Ok(output), _)) => {
                    wrong.push(format!("the next command: {:?}", output.outcome.ended))
                }
                Ok((Err(error), _)) => wrong.push(format!("the next command: {error}")),
                Err(why) => wrong.push(why),
            }
        }
        if let Err(why) =
            returns(&call("drop of all"), Duration::ZERO, &victims, || drop((child, scene)))
        {
            wrong.push(why);
        }
        match survivors(&mark, GRACE) {
            left if left == NONE => {}
            left => wrong.push(format!("{left:?} survive all")),
        }
        if wrong.is_empty() { Ok(late) } else { Err(wrong.join("; ")) }
    }

    /// Looks whether the warden is as it was.
    fn compare(&self, wrong: &mut Vec<String>) {
        // Read first: a warden that ends in between has no values left to compare.
        let after = knobs::of(self.warden);
        if !has_ended(self.warden) {
            wrong.extend(
                knobs::changed(&self.before, &after)
                    .into_iter()
                    .map(|knob| format!("changed {knob}")),
            );
        }
    }
}

/// A TCP connection whose sender is full before long.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a loopback");
    let socket =
        TcpStream::connect(listener.local_addr().expect("it has one")).expect("it listens");
    let (peer, _) = listener.accept().expect("it is there");
    (socket, peer)
}

/// Why an outcome is none that can be; nothing if it is.
fn untrue(mode: Mode, finish: Finish, word: &str, outcome: &Outcome) -> Option<String> {
    let ended = outcome.ended;
    let by_limit = match ended {
        Ended::WallTime => true,
        Ended::Killed => finish == Finish::Kill,
        // Who writes without end may come to the limit first.
        Ended::OutputLimit => matches!(word, "relay" | "flood" | "linger"),
        // Zombies are processes. Where the limit is sampled, nothing refuses one more: what is seen
        // above it is ended.
        Ended::ProcessLimit => {
            let sampled = outcome.enforced.mechanism(Limit::Pids) == Some(Mechanism::Sampled);
            word == "fork" || word == "odd" && sampled
        }
        Ended::MemoryLimit => word == "fork",
        // Where it is an ordinary process, who is inside may kill it: the kernel knows no way to
        // forbid it but Landlock.
        Ended::WardenLost(_) => word == "signals" && !mode.warden_is_first(),
        // The adversary goes on for ever.
        _ => false,
    };
    // What has used a processor for a second has used time.
    let idle = outcome.usage.wall.is_zero()
        || (word == "spin" && (outcome.usage.user + outcome.usage.system).is_zero());
    if !by_limit {
        Some(format!("the end is told as {ended:?}"))
    } else if idle {
        Some(format!("the usage is told as {:?}", outcome.usage))
    } else {
        None
    }
}
