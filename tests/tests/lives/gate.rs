//! Fork bombs in a process tree that is not the sandbox's own, where the warden must find each
//! process to kill it: it kills by process group, and no process makes another group meanwhile.

use seclude::{Ended, Namespace, Protection, Sandbox};
use seclude_tests::caller::as_each;
use seclude_tests::census::survivors;
use seclude_tests::payload::{PLACE, mark, sandbox};
use seclude_tests::scratch;
use seclude_tests::surroundings::listened_to;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const GRACE: Duration = Duration::from_secs(2);
const SHORT: Duration = Duration::from_millis(300);

fn shared() -> Sandbox {
    sandbox().share(Namespace::Pid).wall_time(Duration::from_secs(60))
}

/// Runs the test `name` where commands in a shared process tree pass a gate.
fn as_each_gated(name: &str, body: impl Fn()) {
    as_each(name, |caller| {
        let outcome = shared().command("true").status().expect("it starts");
        if outcome.enforced.contains(Protection::KillByGroup) {
            return body();
        }
        let kills = outcome.enforced.contains(Protection::KillByCgroup);
        assert!(kills || !outcome.enforced.contains(Protection::KillByWarden), "{outcome:?}");
        eprintln!("{name}: SKIPPED as {}: cgroup.kill does without a gate", caller.name());
    });
}

#[test]
fn nothing_of_a_fork_bomb_is_left() {
    as_each_gated("nothing_of_a_fork_bomb_is_left", || {
        for word in ["fork", "sessions", "threads"] {
            let mark = mark();
            let mut command = shared().pids(300).wall_time(SHORT).command(PLACE);
            let ended = command.args([word, "1", "/tmp", &mark]).status().expect("it starts").ended;
            assert_eq!((ended, survivors(&mark, GRACE)), (Ended::WallTime, vec![]), "{word}");
        }
    });
}

#[test]
fn one_command_of_a_cell_is_held_and_the_others_go_on() {
    as_each_gated("one_command_of_a_cell_is_held_and_the_others_go_on", || {
        let cell = shared().pids(300).cell().expect("it starts");
        let beside = "while [ ! -e /tmp/end ]; do /bin/true || exit 9; done";
        let beside = cell.command("sh").args(["-c", beside]).spawn().expect("it starts");
        let mark = mark();
        let mut bomb = cell.command(PLACE);
        bomb.args(["sessions", "1", "/tmp", &mark]).pids(200);
        let ended = bomb.status().expect("it starts").ended;
        assert_eq!((ended, survivors(&mark, GRACE)), (Ended::ProcessLimit, vec![]));
        let last = cell.command("touch").arg("/tmp/end").status().expect("it starts");
        assert!(last.success(), "{last}");
        assert_eq!(beside.wait_with_output().expect("it ends").outcome.ended, Ended::Exited(0));
    });
}

/// What a command leaves behind in a cell passes the gate of that command.
#[test]
fn what_is_left_behind_starts_more() {
    as_each_gated("what_is_left_behind_starts_more", || {
        let place = scratch::directory();
        let mode = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(place.path(), mode).expect("it is ours");
        let cell = shared().pids(300).bind_rw(place.path(), "/place").cell().expect("it starts");
        let left = "(setsid sh -c 'sleep 0.3; /bin/true; touch /place/late' >/dev/null 2>&1 &)";
        assert!(cell.command("sh").args(["-c", left]).status().expect("it starts").success());
        let end = Instant::now() + Duration::from_secs(60);
        while !place.path().join("late").exists() {
            assert!(Instant::now() < end, "it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

/// The kernel allows one listener, and the caller has one around itself already.
#[test]
fn behind_another_listener_there_is_no_gate() {
    as_each_gated("behind_another_listener_there_is_no_gate", || {
        let outcome = listened_to(|| {
            let script = "/bin/true; exit 4";
            shared().command("sh").args(["-c", script]).status().expect("it starts")
        });
        assert_eq!(outcome.ended, Ended::Exited(4));
        assert!(!outcome.enforced.contains(Protection::KillByGroup));
    });
}
