//! One attack: how it is started in a mode, and how it is ended.

use seclude::{Child, Ended, Limit, Mechanism, MiB, Outcome, Sandbox, Stdio};
use seclude_tests::caller::program;
use seclude_tests::census::{has_ended, here, survivors};
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
/// How long an attack runs before `kill` or `drop`.
pub const A_WHILE: Duration = Duration::from_millis(300);
pub const GRACE: Duration = Duration::from_secs(2);
pub const NONE: [u32; 0] = [];

/// The wall time of each command. An attack must have begun before it ends.
pub fn wall() -> Duration {
    here(Duration::from_secs(1))
}

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
    let sandbox = sandbox.wall_time(wall()).output(MiB(64)).pids(60).memory(MiB(128));
    let sandbox = sandbox.best_effort(Limit::Pids).best_effort(Limit::Memory);
    if quota { sandbox.cpus(0.5).best_effort(Limit::Cpus) } else { sandbox }
}

/// A running attack.
pub struct Attack {
    pub word: &'static str,
    mark: String,
    child: Child,
    scene: Scene,
    warden: u32,
    pub victims: Victims,
    before: BTreeMap<String, String>,
    started: Instant,
    /// The other end of a socket, which is never read and must stay open.
    _peer: Option<TcpStream>,
}

impl Attack {
    /// Starts an attack, which then waits for its line of input.
    pub fn start(mode: Mode, word: &'static str, quota: bool) -> Result<Attack, String> {
        let mark = mark();
        let scene = Scene::new(mode, sandbox(), &|sandbox| limits(sandbox, quota))
            .map_err(|error| format!("the scene: {error}"))?;
        let mut command = scene.command(PLACE);
        // In a shared pid namespace `all` would include processes of the test itself.
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
        // The command holds copies of the descriptors that it passes on, so dropping it closes
        // them.
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

    /// Ends the attack this way. Returns how long after the expected end it ended.
    pub fn finish(self, finish: Finish) -> Result<Duration, String> {
        let mode = self.scene.mode();
        let mut wrong = Vec::new();
        let mut late = Duration::ZERO;
        let cells = mode == Mode::Cell;
        std::thread::sleep(A_WHILE);
        self.compare(&mut wrong);
        let Attack { word, mark, child, scene, warden, victims, before, started, _peer } = self;
        // If a call never returns, the watchdog prints this label and aborts the test.
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
                wall().saturating_sub(started.elapsed())
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
        // Orphans in sessions of their own belong to the cell and end with it (docs/cells.md).
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
            // The cell and its warden must go on unchanged. The values are read first, because a
            // warden that ends in between has none left to compare.
            let after = knobs::of(warden);
            if !has_ended(warden) {
                wrong.extend(
                    knobs::changed(&before, &after)
                        .into_iter()
                        .map(|knob| format!("afterwards {knob}")),
                );
            }
            match returns(&call("the next command"), wall(), &victims, || {
                scene.command(PLACE).arg("nothing").wall_time(wall()).output()
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

    /// Checks that the warden is unchanged.
    fn compare(&self, wrong: &mut Vec<String>) {
        // The values are read first, because a warden that ends in between has none left to
        // compare.
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

/// A TCP connection with a send buffer that soon fills up.
fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a loopback");
    let socket =
        TcpStream::connect(listener.local_addr().expect("it has one")).expect("it listens");
    let (peer, _) = listener.accept().expect("it is there");
    (socket, peer)
}

/// Why an outcome cannot be true, or `None` if it can.
fn untrue(mode: Mode, finish: Finish, word: &str, outcome: &Outcome) -> Option<String> {
    let ended = outcome.ended;
    let by_limit = match ended {
        Ended::WallTime => true,
        Ended::Killed => finish == Finish::Kill,
        // Attacks that write without end may reach the limit on output first.
        Ended::OutputLimit => matches!(word, "relay" | "flood" | "linger"),
        // Zombies count as processes. A sampled limit refuses no process, but ends a command that
        // exceeds it.
        Ended::ProcessLimit => {
            let sampled = outcome.enforced.mechanism(Limit::Pids) == Some(Mechanism::Sampled);
            word == "fork" || word == "odd" && sampled
        }
        Ended::MemoryLimit => word == "fork",
        // A warden that is an ordinary process can be killed from inside. Only Landlock can prevent
        // that.
        Ended::WardenLost(_) => word == "signals" && !mode.warden_is_first(),
        // The attacks run without end.
        _ => false,
    };
    // A command that kept a processor busy for a second must have used processor time.
    let idle = outcome.usage.wall.is_zero()
        || (word == "spin" && (outcome.usage.user + outcome.usage.system).is_zero());
    if !by_limit {
        Some(format!("the end is reported as {ended:?}"))
    } else if idle {
        Some(format!("the usage is reported as {:?}", outcome.usage))
    } else {
        None
    }
}
