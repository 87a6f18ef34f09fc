//! Attributes of the caller's process do not reach a sandbox. Each attribute is set, shown to be
//! inherited by an ordinary child, and looked for inside.

use seclude::{Ended, Profile, Sandbox};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::job::{Job, Stream};
use seclude_tests::{caller, scratch};
use std::fs;
use std::process::Command;

/// Sets each attribute, then executes its arguments.
const PREPARE: &str = r#"
import ctypes, os, sys, signal
libc = ctypes.CDLL(None)
libc.prctl(29, 123456, 0, 0, 0)
libc.prctl(41, 1, 0, 0, 0)
libc.personality(0x0040000)
os.umask(0o077)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
signal.signal(signal.SIGHUP, signal.SIG_IGN)
try:
    with open('/proc/self/oom_score_adj', 'w') as knob: knob.write('-500')
except OSError: pass
import resource
resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, resource.getrlimit(resource.RLIMIT_CORE)[1]))
os.execvp(sys.argv[1], sys.argv[1:])
"#;

/// Prints each attribute on a line.
const TELL: &str = r#"
import ctypes, os, resource
libc = ctypes.CDLL(None)
print('slack', libc.prctl(30, 0, 0, 0, 0))
print('large pages off', libc.prctl(42, 0, 0, 0, 0))
print('personality', hex(libc.personality(0xffffffff)))
mask = os.umask(0); print('umask', oct(mask))
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print('blocked', int(status['SigBlk'], 16), 'ignored', int(status['SigIgn'], 16) & 1)
print('protected', open('/proc/self/oom_score_adj').read().startswith('-'))
print('core', resource.getrlimit(resource.RLIMIT_CORE)[0])
"#;

#[test]
fn no_attribute_of_the_caller_is_inherited() {
    as_each("no_attribute_of_the_caller_is_inherited", |who| {
        let place = scratch::directory();
        let job = Job {
            policy: "{}".into(),
            program: "python3".into(),
            arguments: ["-c", TELL].map(Into::into).to_vec(),
            streams: [Stream::Null, Stream::Inherit, Stream::Inherit],
            ..Job::default()
        };
        let (job_file, result) = (place.path().join("job"), place.path().join("result"));
        fs::write(&job_file, job.write()).expect("there is room");
        let told = |words: &[&str]| {
            let output = Command::new("python3")
                .args(["-c", PREPARE])
                .args(words)
                .output()
                .expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let path = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
        let inside = told(&[&path(&caller::program("driver")), &path(&job_file), &path(&result)]);
        let expected = "slack 50000\nlarge pages off 0\npersonality 0x0\numask 0o22\nblocked 0 ignored 0\nprotected False\ncore 1\n";
        assert_eq!(inside, expected);
        // The control: an ordinary child inherits all of them.
        let outside = told(&["python3", "-c", TELL]);
        // Lowering the score takes CAP_SYS_RESOURCE, which not every root has.
        let protected = if outside.contains("protected True") { "True" } else { "False" };
        if who == Caller::Root && protected == "False" {
            eprintln!(
                "no_attribute_of_the_caller_is_inherited: SKIPPED oom_score_adj: this root may not lower it"
            );
        }
        let core = outside.lines().last().expect("it tells it").to_owned();
        assert_ne!(core, "core 1");
        let expected = format!(
            "slack 123456\nlarge pages off 1\npersonality 0x40000\numask 0o77\nblocked 16384 ignored 1\nprotected {protected}\n{core}\n"
        );
        assert_eq!(outside, expected);
    });
}

/// A caller that has a filter already, as in a container, gets a full sandbox or an error that says
/// why not.
#[test]
fn a_caller_with_a_filter_of_its_own_loses_nothing() {
    as_each("a_caller_with_a_filter_of_its_own_loses_nothing", |_| {
        let within = |outer: Sandbox, word: &str| {
            let job = Job {
                policy: r#"{"seccomp": {"rules": [{"call": "chroot", "action": "kill"}]}}"#.into(),
                program: "sh".into(),
                arguments: ["-c", "grep Seccomp: /proc/self/status"].map(Into::into).to_vec(),
                streams: [Stream::Null, Stream::Inherit, Stream::Inherit],
                ..Job::default()
            };
            let outer = outer
                .nested()
                .bind_ro(caller::program("driver"), "/driver")
                .file("/job", job.write())
                .tmpfs("/tmp", 65536u64);
            let output = outer
                .command("sh")
                .args(["-c", "/driver /job /tmp/r; cat /tmp/r"])
                .output()
                .expect("it starts");
            assert_eq!(output.outcome.ended, Ended::Exited(0));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains(word), "{text}");
        };
        within(Sandbox::new(), "Seccomp:\t2\n");
        // An outer filter with a listener. The kernel allows only one listener.
        let listened = seclude::Seccomp::profile(Profile::Nested).kill("ptrace");
        within(Sandbox::new().seccomp(listened), "error unsupported");
    });
}

/// A crash starts no handler. The machine's core_pattern may name a program, which would run
/// outside. Tests do not change that setting of the host. They show that core dumps are turned off,
/// and that no file is written where the kernel would write one.
#[test]
fn a_signal_is_ignored_where_it_is_asked_for() {
    as_each("a_signal_is_ignored_where_it_is_asked_for", |_| {
        let ignored = |signals: &[i32]| {
            let mut command = Sandbox::new().command("grep");
            command.args(["SigIgn:", "/proc/self/status"]);
            for &signal in signals {
                command.ignore_signal(signal);
            }
            let output = command.output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Ok::<u64, seclude::Error>(
                u64::from_str_radix(text.trim_start_matches("SigIgn:").trim(), 16).expect("a mask"),
            )
        };
        assert_eq!(ignored(&[]).expect("it runs"), 0);
        assert_eq!(ignored(&[1, 13, 64]).expect("it runs"), 1 | 1 << 12 | 1 << 63);
        for wrong in [9, 19, 0, -1, 65] {
            let error = ignored(&[1, wrong]).expect_err("it cannot be ignored");
            assert_eq!(
                (error.kind(), error.step()),
                (seclude::ErrorKind::Invalid, format!("ignore signal {wrong}").as_str())
            );
        }
    });
}

#[test]
fn a_crash_dumps_nothing() {
    as_each("a_crash_dumps_nothing", |_| {
        let crash = "cd /tmp && python3 -c 'import os; os.kill(os.getpid(), 11)'; echo $?; ls /tmp | wc -l; grep 'core file' /proc/self/limits | tr -s ' '";
        let sandbox = Sandbox::new().tmpfs("/tmp", 100_000_000u64);
        let output = sandbox.command("sh").args(["-c", crash]).output().expect("it starts");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "139\n0\nMax core file size 1 1 bytes \n"
        );
        let status = sandbox
            .command("python3")
            .args(["-c", "import os; os.kill(os.getpid(), 11)"])
            .status()
            .expect("it starts");
        assert_eq!(status.ended, Ended::Signaled(11));
    });
}
