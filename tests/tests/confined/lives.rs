//! Limits, cells and pools without namespaces; and nobody outlives a killed caller.

use crate::{where_namespaces_are_denied, with_payload};
use seclude::{Ended, KiB, MiB};
use seclude_tests::caller::only;
use seclude_tests::census::{await_marked, survivors};
use seclude_tests::payload::{mark, rounds};
use std::process::{Command, Stdio};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(2);
/// The mark of the command of a caller that is to be killed.
const MARK: &str = "SECLUDE_TEST_MARK";
/// What this command does, as a word of the payload.
const WORD: &str = "SECLUDE_TEST_WORD";

#[test]
fn limits_hold() {
    where_namespaces_are_denied("limits_hold", |place| {
        let (confined, payload) = with_payload(place);
        let time = Duration::from_millis(200);
        let rows = [
            ("sleep", confined.clone().wall_time(time), Ended::WallTime),
            ("deaf", confined.clone().wall_time(time), Ended::WallTime),
            ("spawn", confined.clone().pids(20), Ended::ProcessLimit),
            ("fork", confined.clone().pids(20), Ended::ProcessLimit),
            ("sessions", confined.clone().pids(20), Ended::ProcessLimit),
            ("threads", confined.clone().pids(20), Ended::ProcessLimit),
            ("spin", confined.clone().cpu_time(time), Ended::CpuTime),
            ("memory", confined.clone().memory(MiB(64)), Ended::MemoryLimit),
            ("headless-memory", confined.clone().memory(MiB(64)), Ended::MemoryLimit),
            ("write", confined.output(KiB(64)), Ended::OutputLimit),
        ];
        for (word, sandbox, expected) in rows {
            let number = if word == "spawn" { "200" } else { "1" };
            let mark = mark();
            let mut command = sandbox.command(&payload);
            let output = command.args([word, number, "/tmp", &mark]).output().expect(word);
            let ended = output.outcome.ended;
            assert_eq!(ended, expected, "{word}");
            assert_eq!(survivors(&mark, GRACE), [0; 0], "{word}");
        }
    });
}

#[test]
fn cells_and_pools_run() {
    where_namespaces_are_denied("cells_and_pools_run", |place| {
        let (confined, payload) = with_payload(place);
        let mark = mark();
        let cell = confined.cell().expect("it opens");
        for code in ["3", "4"] {
            let outcome = cell.command(&payload).args(["exit", code]).status().expect("it starts");
            assert_eq!(outcome.status.map(|status| status.to_string()), Some(code.into()));
        }
        let mut left = cell.command(&payload);
        let left = left.args(["sleep", "1", "/tmp", &mark]).spawn().expect("it starts");
        await_marked(&mark, 1);
        cell.reset().expect("it is made anew");
        assert_eq!(survivors(&mark, GRACE), [0; 0]);
        drop(left);
        let outcome = cell.command(&payload).args(["exit", "5"]).status().expect("it starts");
        assert_eq!(outcome.status, Some(5));
        cell.close();
        let pool = confined.pool(2).expect("it opens");
        for code in 0..4 {
            let mut command = pool.command(&payload);
            let outcome = command.args(["exit", &code.to_string()]).status().expect("it starts");
            assert_eq!(outcome.status, Some(code));
        }
    });
}

/// The caller is killed while the command and a daemon that it has left run, or a fork bomb.
#[test]
fn nobody_outlives_a_killed_caller() {
    const NAME: &str = "nobody_outlives_a_killed_caller";
    where_namespaces_are_denied(NAME, |place| {
        let (confined, payload) = with_payload(place);
        let confined = confined.pids(300);
        if let Ok(mark) = std::env::var(MARK) {
            let mut command = confined.command("sh");
            let script = "(setsid \"$0\" deaf 1 /tmp $1 >/dev/null &); exec \"$0\" $2 1 /tmp $1";
            command.args(["-c", script]).arg(&payload).arg(&mark);
            command.arg(std::env::var(WORD).expect("it is set beside the mark"));
            command.status().expect("it starts");
            return;
        }
        for round in 0..rounds(10) {
            let mark = mark();
            let mut caller = Command::new(std::env::current_exe().expect("it is there"))
                .args(only(NAME))
                .env(MARK, &mark)
                .env(WORD, ["sleep", "sleep", "fork", "sessions"][round as usize % 4])
                .stdout(Stdio::null())
                .spawn()
                .expect("it starts");
            if round % 4 == 0 {
                await_marked(&mark, 2);
            } else {
                // At some moment of the start, or of a bomb before its limit ends it.
                std::thread::sleep(Duration::from_millis(u64::from(round * 37 % 200)));
            }
            caller.kill().expect("it is ours");
            caller.wait().expect("it is ours");
            assert_eq!(survivors(&mark, GRACE), [0; 0], "round {round}");
        }
    });
}
