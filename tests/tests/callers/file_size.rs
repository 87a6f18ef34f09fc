//! A caller with a limit on file sizes (RLIMIT_FSIZE). The kernel sends SIGXFSZ to a process that
//! writes beyond it. The library must never cause that signal.

use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use seclude::{Ended, ErrorKind, Namespace, Output, Sandbox, Transfer};
use seclude_tests::caller::{Caller, as_each, only};
use seclude_tests::scratch;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const LIMIT: &str = "SECLUDE_TEST_FILE_SIZE";
/// A size that the warden's program exceeds. It is smaller than the larger limit.
const WARDEN: u64 = 20 << 10;
/// If set, the limit is the hard limit as well.
const HARD: &str = "SECLUDE_TEST_FILE_SIZE_HARD";

/// Runs the test `name` again in a process with this limit, and returns its status.
fn limited(name: &str, limit: u64, hard: bool) -> std::process::ExitStatus {
    let mut command = Command::new(std::env::current_exe().expect("/proc/self/exe can be read"));
    command.args(only(name)).env(LIMIT, limit.to_string());
    if hard {
        command.env(HARD, "1");
    }
    command.status().expect("it starts")
}

fn refused(error: &seclude::Error) {
    assert_eq!(
        (error.kind(), error.raw_os_error()),
        (ErrorKind::HostLimit, Some(libc::EFBIG)),
        "{error}"
    );
    assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
    assert!(error.remedy().is_some_and(|remedy| remedy.contains("raise RLIMIT_FSIZE")), "{error}");
}

/// A child of the library writes data that goes to memory only, under a limit of its own.
#[test]
fn a_limit_on_the_size_of_files_ends_no_caller() {
    const NAME: &str = "a_limit_on_the_size_of_files_ends_no_caller";
    as_each(NAME, |who| {
        let (Ok(limit), hard) = (std::env::var(LIMIT), std::env::var_os(HARD).is_some()) else {
            for limit in [0, 16 << 10, 256 << 10] {
                for hard in [false, true] {
                    let status = limited(NAME, limit, hard);
                    assert!(status.success(), "limit {limit}, hard {hard}: {status}");
                }
            }
            return;
        };
        let limit: u64 = limit.parse().expect("a number");
        let place = scratch::directory();
        fs::write(place.path().join("large"), vec![b'x'; 300 << 10]).expect("there is room");
        setrlimit(Resource::RLIMIT_FSIZE, limit, if hard { limit } else { u64::MAX })
            .expect("it may be lowered");
        // A process that may raise hard limits is not bound by one. Not every root may.
        let may = who == Caller::Root && setrlimit(Resource::RLIMIT_FSIZE, limit, u64::MAX).is_ok();
        setrlimit(Resource::RLIMIT_FSIZE, limit, if hard { limit } else { u64::MAX })
            .expect("it may be lowered");
        let held = |size: u64| hard && limit < size && !may;
        let judge = |size: u64, result: seclude::Result<Output>, written: &str| match result {
            Err(error) if held(size) => refused(&error),
            result => {
                let output = result.expect("it fits");
                let said =
                    (output.outcome.ended, String::from_utf8_lossy(&output.stdout).into_owned());
                assert_eq!(
                    said,
                    (Ended::Exited(0), written.to_owned()),
                    "limit {limit}, hard {hard}"
                );
            }
        };
        // The command inherits the caller's limit all the same.
        let told = if hard {
            format!("{0} {0}\n", limit >> 9)
        } else {
            format!("{} unlimited\n", limit >> 9)
        };
        let script = "echo $(ulimit -S -f) $(ulimit -H -f)";
        judge(WARDEN, Sandbox::new().command("sh").args(["-c", script]).output(), &told);
        let many = std::iter::repeat_n("x".repeat(100_000), 3);
        judge(
            290 << 10,
            Sandbox::new().command("sh").args(["-c", script]).args(many).output(),
            &told,
        );
        let words = ["x".repeat(100_000), "x".repeat(100_000)];
        judge(
            195 << 10,
            Sandbox::new().command("sh").args(["-c", script]).args(words).output(),
            &told,
        );
        for sandbox in [Sandbox::new(), Sandbox::new().share(Namespace::Pid)] {
            let sandbox = sandbox.file("/etc/large", vec![b'x'; 300 << 10]);
            let script = format!("wc -c </etc/large; {script}");
            match sandbox.command("sh").args(["-c", &script]).output() {
                // The warden writes it. It is in a user namespace of its own and cannot raise a
                // hard limit.
                Err(error) if hard => refused(&error),
                result => judge(300 << 10, result, &format!("{}\n{told}", 300 << 10)),
            }
        }
        refused(
            &Transfer::new()
                .copy(&place, "large", place.path().join("copy"))
                .expect_err("it does not fit"),
        );
        assert!(!place.path().join("copy").exists());
        // The library has left no process, and the caller's limit is unchanged.
        let left = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL));
        assert_eq!(left, Err(nix::errno::Errno::ECHILD));
        assert_eq!(getrlimit(Resource::RLIMIT_FSIZE).expect("there is one").0, limit);
        drop(place);
        std::process::exit(0);
    });
}

/// The control: a process that writes more is killed.
#[test]
fn a_program_that_writes_more_is_ended() {
    const NAME: &str = "a_program_that_writes_more_is_ended";
    if let Ok(limit) = std::env::var(LIMIT) {
        let limit = limit.parse().expect("a number");
        let memory = memfd_create("control", MFdFlags::empty()).expect("there is room");
        setrlimit(Resource::RLIMIT_FSIZE, limit, limit).expect("it may be lowered");
        let _ = fs::File::from(memory).write_all(&[0; 32 << 10]);
        std::process::exit(0);
    }
    assert_eq!(limited(NAME, 16 << 10, true).signal(), Some(libc::SIGXFSZ));
}
