//! A seccomp filter around the caller refuses `kill(2)`: the wall time holds all the same, or the
//! start is refused.

use super::{BEYOND, LAST_RESORT, WALL};
use seclude::{MiB, Profile, Sandbox, Seccomp};
use seclude_tests::alone::alone;
use seclude_tests::caller::{as_each, driver};
use seclude_tests::job::{Job, Stream};
use seclude_tests::payload::mark;
use seclude_tests::watchdog::{Victims, returns};

/// The caller runs in a sandbox with a filter that refuses these calls, and makes a sandbox of its
/// own with a wall time.
#[test]
fn where_a_filter_refuses_kill_the_wall_time_is_held_or_the_start_refused() {
    let _alone = alone();
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
    // A process that hangs inside ends with the outer sandbox.
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
        // An error must have a kind that explains the refusal. A lost warden is a fault of the
        // library.
        (None, Some(error)) if error != "error warden-lost" => Ok(()),
        _ => Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr))),
    }
}
