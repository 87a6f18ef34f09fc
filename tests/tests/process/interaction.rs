//! Commands connected by pipes: started together, each in its own sandbox with its own limits,
//! outcome and usage.

use seclude::{Command, Ended, ErrorKind, Interaction, MiB, Outcome, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::census::{descendants, descriptors, marked, survivors};
use seclude_tests::payload::{PLACE, mark, sandbox};
use std::io::Read;
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(1);

/// Ends every command in the end, whatever goes wrong.
const LAST_RESORT: Duration = Duration::from_secs(60);

fn python(sandbox: &Sandbox, script: &str) -> Command {
    let mut command = sandbox.clone().wall_time(LAST_RESORT).command("python3");
    command.args(["-uc", script]);
    command
}

/// Guesses a number below 1000 by bisection, guided by the judge's answers.
const GUESSER: &str = "
low, high, tries = 0, 1000, 0
while True:
    guess, tries = (low + high) // 2, tries + 1
    print(guess)
    answer = input()
    if answer == 'yes': break
    low, high = (guess + 1, high) if answer == 'more' else (low, guess)
import sys
print('found in', tries, file=sys.stderr)
";

const JUDGE: &str = "
import sys
number, questions = 617, 0
for line in sys.stdin:
    questions += 1
    guess = int(line)
    print('yes' if guess == number else 'more' if guess < number else 'less')
    if guess == number: break
print('asked', questions, 'times', file=sys.stderr)
sys.exit(0 if questions <= 10 else 1)
";

#[test]
fn two_talk_and_both_end() {
    let _alone = alone();
    as_each("two_talk_and_both_end", |_| {
        let before = (descriptors(), descendants());
        for _ in 0..5 {
            let solution = python(&Sandbox::new().memory(MiB(128)).pids(5), GUESSER);
            let judge = python(&Sandbox::new().uid(7), JUDGE);
            let outputs = Interaction::between(solution, judge).output().expect("they start");
            let [solution, judge] = &outputs[..] else { panic!("{} outputs", outputs.len()) };
            assert_eq!(
                solution.outcome.ended,
                Ended::Exited(0),
                "{}",
                String::from_utf8_lossy(&solution.stderr)
            );
            assert_eq!(
                judge.outcome.ended,
                Ended::Exited(0),
                "{}",
                String::from_utf8_lossy(&judge.stderr)
            );
            let tries = String::from_utf8_lossy(&solution.stderr)
                .trim()
                .rsplit(' ')
                .next()
                .map(str::to_owned);
            let asked = format!("asked {} times\n", tries.expect("a number"));
            assert_eq!(String::from_utf8_lossy(&judge.stderr), asked);
            assert!(
                solution.stdout.is_empty() && judge.stdout.is_empty(),
                "what is joined is not collected"
            );
            assert!(
                solution.outcome.usage.cpu() > Duration::ZERO
                    && judge.outcome.usage.cpu() > Duration::ZERO
            );
            assert_eq!(solution.outcome.enforced.limits().count(), 3);
            assert_eq!(judge.outcome.enforced.limits().count(), 1);
        }
        assert_eq!((descriptors(), descendants()), before, "what is left");
    });
}

/// Numbers pass from the first command to the second, which doubles them, and to the third, which
/// adds them up and tells the first when to stop.
#[test]
fn three_in_a_ring() {
    let _alone = alone();
    as_each("three_in_a_ring", |_| {
        let source = "
import sys
number = 0
while True:
    print(number)
    if input() == 'enough': break
    number += 1
print('sent', number + 1, file=sys.stderr)
";
        let doubler = "
import sys
for line in sys.stdin: print(int(line) * 2)
print('end of input', file=sys.stderr)
";
        let adder = "
import os, sys
total = 0
for line in sys.stdin:
    total += int(line)
    os.write(5, b'enough\\n' if total >= 90 else b'more\\n')
print(total)
";
        let mut ring = Interaction::new();
        let source = ring.add(python(&Sandbox::new(), source));
        let doubler = ring.add(python(&Sandbox::new(), doubler));
        let adder = ring.add(python(&Sandbox::new(), adder));
        assert_eq!([source, doubler, adder], [0, 1, 2]);
        // The adder sends its answers through another descriptor, so its standard output stays
        // free.
        ring.pipe((source, 1), (doubler, 0))
            .pipe((doubler, 1), (adder, 0))
            .pipe((adder, 5), (source, 0));
        let outputs = ring.output().expect("they start");
        let shown: Vec<(Ended, String, String)> = outputs
            .iter()
            .map(|output| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (output.outcome.ended, text(&output.stdout), text(&output.stderr))
            })
            .collect();
        let row =
            |stdout: &str, stderr: &str| (Ended::Exited(0), stdout.to_owned(), stderr.to_owned());
        assert_eq!(shown, [row("", "sent 10\n"), row("", "end of input\n"), row("90\n", "")]);
    });
}

/// When one command dies in any way, the other sees the end of its input, because no other process
/// keeps the pipe open.
#[test]
fn who_is_left_sees_the_end() {
    let _alone = alone();
    as_each("who_is_left_sees_the_end", |_| {
        let waits = "
import sys
rest = sys.stdin.read()
print(repr(rest), file=sys.stderr)
sys.exit(4)
";
        let deaths: [(&str, Sandbox, Ended); 4] = [
            ("print('last words'); raise SystemExit(3)", Sandbox::new(), Ended::Exited(3)),
            (
                "import os; print('last words'); os.kill(os.getpid(), 9)",
                Sandbox::new(),
                Ended::Signaled(9),
            ),
            (
                "print('last words')\nwhile True: pass",
                Sandbox::new().cpu_time(Duration::from_millis(300)),
                Ended::CpuTime,
            ),
            (
                "import time; print('last words'); x = bytearray(200 << 20); time.sleep(1000)",
                Sandbox::new().memory(MiB(64)),
                Ended::MemoryLimit,
            ),
        ];
        for (script, sandbox, ended) in deaths {
            let outputs =
                Interaction::between(python(&sandbox, script), python(&Sandbox::new(), waits))
                    .output()
                    .expect("they start");
            assert_eq!(outputs[0].outcome.ended, ended, "{script}");
            assert_eq!(outputs[1].outcome.ended, Ended::Exited(4), "{script}");
            assert_eq!(
                String::from_utf8_lossy(&outputs[1].stderr),
                "'last words\\n'\n",
                "{script}"
            );
        }
    });
}

/// Both commands wait for each other's first word. Each ends by its own wall time.
#[test]
fn both_wait_for_ever() {
    let _alone = alone();
    as_each("both_wait_for_ever", |_| {
        let waiting = |milliseconds: u64| {
            let mut command =
                Sandbox::new().wall_time(Duration::from_millis(milliseconds)).command("python3");
            command.args(["-c", "import sys, time; sys.stdin.read(1); time.sleep(1000)"]);
            command
        };
        let outputs =
            Interaction::between(waiting(300), waiting(600)).output().expect("they start");
        let shown: Vec<_> =
            outputs.iter().map(|output| (output.outcome.ended, output.outcome.limit)).collect();
        assert_eq!(
            shown,
            [(Ended::WallTime, Some(300_000_000)), (Ended::WallTime, Some(600_000_000))]
        );
    });
}

/// If one command fails to start, none is started.
#[test]
fn all_start_or_none() {
    let _alone = alone();
    as_each("all_start_or_none", |_| {
        let before = (descriptors(), descendants());
        let mark = mark();
        let mut sleeper = sandbox().command(PLACE);
        sleeper.args(["sleep", "0", "/tmp", &mark]);
        let missing = Sandbox::new().command("no-such-program");
        let error =
            Interaction::between(sleeper, missing).spawn().expect_err("one of them cannot start");
        assert_eq!(error.kind(), ErrorKind::ProgramMissing, "{error}");
        assert_eq!(survivors(&mark, GRACE), [0; 0]);
        assert_eq!((descriptors(), descendants()), before, "what is left");
    });
}

/// Invalid connections are refused before anything starts.
#[test]
fn impossible_pipes() {
    let _alone = alone();
    as_each("impossible_pipes", |_| {
        let command = || Sandbox::new().command("true");
        let refused = |join: &dyn Fn(&mut Interaction)| {
            let mut interaction = Interaction::new();
            interaction.add(command());
            interaction.add(command());
            join(&mut interaction);
            interaction.spawn().expect_err("it makes no sense").kind()
        };
        assert_eq!(
            refused(&|it| {
                it.pipe((0, 1), (2, 0));
            }),
            ErrorKind::Invalid,
            "there is no third command"
        );
        assert_eq!(
            refused(&|it| {
                it.pipe((0, 1), (1, 0)).pipe((0, 1), (1, 3));
            }),
            ErrorKind::Invalid,
            "one descriptor, two pipes"
        );
        assert_eq!(
            refused(&|it| {
                it.pipe((0, 1), (1, 0)).pipe((1, 1), (1, 0));
            }),
            ErrorKind::Invalid,
            "one descriptor, two pipes"
        );
        assert_eq!(
            refused(&|it| {
                it.pipe((0, -1), (1, 0));
            }),
            ErrorKind::Invalid,
            "no descriptor"
        );
        assert!(
            Interaction::new().spawn().is_err_and(|error| error.kind() == ErrorKind::Invalid),
            "nobody at all"
        );
    });
}

/// The caller can watch, control and kill each child by itself.
#[test]
fn each_is_a_child_of_its_own() {
    let _alone = alone();
    as_each("each_is_a_child_of_its_own", |_| {
        let mark = mark();
        let mut echo = sandbox().pids(10).command("cat");
        echo.stderr(Stdio::null());
        let mut counter = sandbox().pids(10).command(PLACE);
        counter.args(["count", "0", "/tmp", &mark]).stderr(Stdio::piped());
        let mut interaction = Interaction::new();
        let (counter, echo) = (interaction.add(counter), interaction.add(echo));
        interaction.pipe((counter, 1), (echo, 0));
        let mut children = interaction.spawn().expect("they start");
        assert_eq!(children.len(), 2);
        assert!(
            children[counter].stderr.is_some()
                && children[counter].stdout.is_none()
                && children[counter].stdin.is_none()
        );
        assert_eq!(children[counter].usage().expect("it runs").processes, 1);
        assert_ne!(marked(&mark), [0; 0]);
        children[counter].kill().expect("it runs");
        let ended = |outcome: seclude::Result<Outcome>| outcome.expect("it ends").ended;
        assert_eq!(ended(children[counter].wait()), Ended::Killed);
        if let Some(mut stdout) = children[echo].stdout.take() {
            stdout.read_to_end(&mut Vec::new()).expect("a pipe");
        }
        assert_eq!(ended(children[echo].wait()), Ended::Exited(0));
        drop(children);
        assert_eq!(survivors(&mark, GRACE), [0; 0]);
    });
}
