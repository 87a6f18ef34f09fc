//! Hostile programs (`src/bin/adversary`) attack the process that enforces their limits. They use
//! every call that can name a process, a user, a descriptor or a path. They run in every mode, as
//! root and as an unprivileged user, with a CPU quota, and under load.
//!
//! The wall time must end each of them, `kill` and `drop` must return, and nothing may survive. The
//! reported end must be true, and no setting of a warden may have changed. A round runs all attacks
//! at once in one mode. SECLUDE_ROUNDS sets the number of rounds; `make test-adversary` runs 1,000.
//! The test prints the delay of the latest end.
//!
//! This is a binary of its own because its tests list the wardens of their whole process, measure
//! time, and take long.
#![deny(unsafe_code)]

mod attack;
mod entering;

use attack::{A_WHILE, Attack, FINISHES, GRACE, NONE, PLACE, limits, sandbox};
use entering::start_swapped;
use nix::unistd::{Pid, getsid};
use seclude::Stdio;
use seclude_tests::alone::alone;
use seclude_tests::caller::{Caller, as_each, as_each_with_cells, driver, program};
use seclude_tests::census::{here, marked, survivors};
use seclude_tests::job::{Job, Stream};
use seclude_tests::knobs;
use seclude_tests::mode::{Mode, Scene};
use seclude_tests::payload::{mark, rounds};
use seclude_tests::scratch;
use seclude_tests::waiting::{Sampler, Shared};
use seclude_tests::watchdog::slay;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

const WORDS: [&str; 9] =
    ["relay", "flood", "linger", "knobs", "signals", "proc", "spin", "fork", "odd"];
/// The words that run at once in a round. Some attacks need processors for their timing, some need
/// idle ones, and some need all processors busy.
const GROUPS: [&[&str]; 3] = [
    &["relay", "linger", "odd"],
    &["flood", "knobs", "signals", "proc"],
    &["spin", "fork", "knobs", "relay"],
];

/// Processes outside that keep the processors busy.
struct Load(Vec<std::process::Child>);

impl Load {
    fn start(processes: usize) -> Load {
        let spin = |_| {
            std::process::Command::new(program("payload"))
                .args(["spin", "1"])
                .spawn()
                .expect("it is built")
        };
        Load((0..processes).map(spin).collect())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Runs one round: many words at once. Adds failures to `wrong` and returns the delay of the latest
/// end.
fn round(
    number: u32,
    caller: Caller,
    sampler: Option<&Sampler<'_>>,
    wrong: &mut Vec<String>,
) -> Duration {
    let modes = Mode::ALL.len() as u32;
    let words = GROUPS[(number % 3) as usize];
    let mode = Mode::ALL[(number / 3 % modes) as usize];
    let finish = FINISHES[((number / 3 + number) % 3) as usize];
    let quota = (number / 2) % 2 == 1;
    let _load = if number % 4 == 3 { Load::start(4) } else { Load(Vec::new()) };
    let told = |word: &str, why: String| {
        format!("{word} in {mode:?} as {}, {finish:?}, quota {quota}: {why}", caller.name())
    };
    let mut attacks = Vec::new();
    for word in words {
        match Attack::start(mode, word, quota) {
            Ok(attack) => attacks.push(attack),
            Err(why) => wrong.push(told(word, why)),
        }
    }
    for attack in &mut attacks {
        if let Some(sampler) = sampler {
            let label = format!("{} in {mode:?}, {finish:?}, quota {quota}", attack.word);
            attack.victims.wardens.iter().for_each(|warden| sampler.watch(*warden, &label));
        }
        attack.begin();
    }
    let ends: Vec<(&str, Result<Duration, String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = attacks
            .into_iter()
            .map(|attack| (attack.word, scope.spawn(move || attack.finish(finish))))
            .collect();
        threads
            .into_iter()
            .map(|(word, thread)| {
                (word, thread.join().unwrap_or_else(|_| Err("it panicked".into())))
            })
            .collect()
    });
    let mut latest = Duration::ZERO;
    for (word, end) in ends {
        match end {
            Ok(late) => latest = latest.max(late),
            Err(why) => wrong.push(told(word, why)),
        }
    }
    latest
}

/// The first round: SECLUDE_FIRST_ROUND, to repeat a single round, or zero.
fn first_round() -> u32 {
    std::env::var("SECLUDE_FIRST_ROUND").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn no_hostile_program_holds_fools_or_outlives_its_warden() {
    const NAME: &str = "no_hostile_program_holds_fools_or_outlives_its_warden";
    let _alone = alone();
    as_each_with_cells(NAME, |caller| {
        let (mut wrong, mut latest) = (Vec::new(), Duration::ZERO);
        let number = rounds(3 * Mode::ALL.len() as u32);
        let first = first_round();
        for round_number in first..first + number {
            latest = latest.max(round(round_number, caller, None, &mut wrong));
        }
        println!("{number} rounds as {}: the latest end came {latest:?} late", caller.name());
        assert!(
            wrong.is_empty(),
            "{} attacks in {number} rounds:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}

/// A warden waits only in its poll, whatever runs inside.
#[test]
fn a_warden_waits_in_its_poll_and_nowhere_else() {
    const NAME: &str = "a_warden_waits_in_its_poll_and_nowhere_else";
    let _alone = alone();
    if Caller::present() == Caller::User {
        return eprintln!("{NAME}: SKIPPED: only root may look");
    }
    as_each_with_cells(NAME, |caller| {
        if caller == Caller::User {
            return eprintln!("{NAME}: SKIPPED as a user: only root may look");
        }
        let shared = Shared::default();
        let mut ends = Vec::new();
        let (looks, held) = std::thread::scope(|scope| {
            let sampler = Sampler::start(scope, &shared);
            for number in 0..rounds(Mode::ALL.len() as u32) {
                // Each mode runs with one of the groups. The other test checks the ends.
                round(3 * number + number % 3, caller, Some(&sampler), &mut ends);
            }
            start_swapped(Duration::from_secs(2), Some(&sampler))
                .unwrap_or_else(|why| ends.push(why));
            sampler.stop()
        });
        println!("{looks} looks");
        assert!(looks > 100, "the control: it has looked {looks} times");
        assert!(held.is_empty(), "{} waits:\n{}", held.len(), held.join("\n"));
    });
}

/// The kernel may share the processors among sessions (autogroups, sched(7)), and a command can
/// create many sessions. A warden in the caller's session would share one turn with all of the
/// caller's processes.
#[test]
fn no_warden_is_in_the_session_of_its_caller() {
    const NAME: &str = "no_warden_is_in_the_session_of_its_caller";
    as_each_with_cells(NAME, |caller| {
        let own = getsid(None).expect("everybody is in one");
        for mode in Mode::ALL {
            let scene = Scene::new(mode, sandbox(), &|sandbox| limits(sandbox, false));
            let scene = scene.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
            let mut command = scene.command(PLACE);
            command.args(["rest", "all", &mark()]).stdin(Stdio::null()).stdout(Stdio::null());
            let mut child = command.spawn().unwrap_or_else(|error| panic!("{mode:?}: {error}"));
            for warden in scene.wardens(&child) {
                let number = Pid::from_raw(i32::try_from(warden).expect("a process id"));
                let session = getsid(Some(number)).expect("it lives");
                assert_ne!(session, own, "{mode:?} as {}", caller.name());
            }
            child.kill().expect("it is reported");
        }
    });
}

/// The caller is killed during an attack. The warden and everything inside must end.
#[test]
fn nothing_hostile_outlives_a_caller_that_is_killed() {
    let _alone = alone();
    as_each("nothing_hostile_outlives_a_caller_that_is_killed", |caller| {
        let mut wrong = Vec::new();
        let policy = serde_json::json!({
            "output": 1u64 << 40, "pids": 60, "wall_time": 600, "best_effort": ["pids"],
            "files": [{"bind": program("adversary").to_str().expect("UTF-8"), "at": PLACE}],
        });
        for word in WORDS.iter().filter(|word| **word != "linger") {
            let mark = mark();
            let place = scratch::directory();
            let (job, result) = (place.path().join("job"), place.path().join("result"));
            let lines = Job {
                policy: policy.to_string(),
                program: PLACE.into(),
                arguments: [*word, "all", &mark].map(Into::into).to_vec(),
                streams: [Stream::Null, Stream::Null, Stream::Null],
                ..Job::default()
            };
            std::fs::write(&job, lines.write()).expect("a file of our own");
            caller.own(place.path());
            let mut process = std::process::Command::new(driver())
                .args([&job, &result])
                .spawn()
                .expect("it is built");
            let end = Instant::now() + here(Duration::from_secs(20));
            while marked(&mark).is_empty()
                && Instant::now() < end
                && process.try_wait().expect("ours").is_none()
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            // Where the warden counts processes, it soon ends a fork bomb, so the caller is killed
            // at once.
            if *word != "fork" {
                std::thread::sleep(A_WHILE * 2);
            }
            let ran = !marked(&mark).is_empty();
            process.kill().expect("it is ours");
            process.wait().expect("it is ours");
            let left = survivors(&mark, GRACE);
            if left != NONE || !ran {
                let told = std::fs::read_to_string(&result).unwrap_or_default();
                wrong.push(format!(
                    "{word} as {}: ran {ran}, {left:?} survive {told}",
                    caller.name()
                ));
                left.into_iter().for_each(slay);
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// The control: the same attacks succeed against processes that are no wardens, and the test sees
/// it.
#[test]
fn an_ordinary_process_is_changed_stopped_and_held_by_the_same_attacks() {
    let _alone = alone();
    as_each("an_ordinary_process_is_changed_stopped_and_held_by_the_same_attacks", |_| {
        let mut sleeper =
            std::process::Command::new("sleep").arg("1000").spawn().expect("it is there");
        let attacker = |word: &str| {
            let mut process = std::process::Command::new(program("adversary"))
                .args([word, &sleeper.id().to_string()])
                .stdin(std::process::Stdio::piped())
                .spawn()
                .expect("it is built");
            process.stdin.as_mut().expect("it is piped").write_all(b"go\n").expect("it reads");
            process
        };
        let finish = |mut process: std::process::Child| {
            process.kill().expect("it is ours");
            process.wait().expect("it is ours");
        };
        let end = Instant::now() + here(Duration::from_secs(20));
        let before = knobs::of(sleeper.id());
        let attack = attacker("knobs");
        let mut seen = Vec::new();
        while !["limits", "nice", "policy", "io priority"]
            .iter()
            .all(|knob| seen.iter().any(|one: &String| one.starts_with(knob)))
        {
            assert!(Instant::now() < end, "only these are seen to change: {seen:?}");
            seen = knobs::changed(&before, &knobs::of(sleeper.id()));
        }
        finish(attack);
        let attack = attacker("signals");
        sleeper.wait().expect("it is ours");
        finish(attack);

        // A reader that polls and then makes a blocking read is held for good.
        let (other, stderr) = nix::unistd::pipe().expect("there are descriptors");
        let mut victim = std::process::Command::new(program("adversary"))
            .args(["victim", "all"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::from(other))
            .spawn()
            .expect("it is built");
        let pipe = OwnedFd::from(victim.stdin.take().expect("it is piped"));
        let mut thief = std::process::Command::new(program("adversary"))
            .args(["relay", "all"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::from(pipe))
            .stderr(std::process::Stdio::from(stderr))
            .spawn()
            .expect("it is built");
        thief.stdin.as_mut().expect("it is piped").write_all(b"go\n").expect("it reads");
        let victims_number = victim.id();
        let _both = Load(vec![victim, thief]);
        let end = Instant::now() + here(Duration::from_secs(20));
        let in_read = || {
            let call = std::fs::read_to_string(format!("/proc/{victims_number}/syscall"))
                .unwrap_or_default();
            call.starts_with(&format!("{} ", nix::libc::SYS_read))
        };
        // It is seen in the read several times in a row, so it does not return from it.
        let mut seen_in_read = 0;
        while seen_in_read < 10 {
            assert!(Instant::now() < end, "the thief takes nothing");
            seen_in_read = if in_read() { seen_in_read + 1 } else { 0 };
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}
