//! A caller with a limit on the size of its files (RLIMIT_FSIZE): the kernel ends a process that writes more than that by SIGXFSZ, which the library must never let come.
#![deny(unsafe_code)]

use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, setrlimit};
use seclude::{Ended, ErrorKind, Sandbox, Transfer};
use seclude_tests::caller::as_each;
use seclude_tests::scratch;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const LIMIT: &str = "SECLUDE_TEST_FILE_SIZE";

/// Runs the test of this name again in a process that has the limit; how it ended.
fn limited(name: &str, limit: u64) -> std::process::ExitStatus {
    let mut command = Command::new(std::env::current_exe().expect("/proc names it"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(LIMIT, limit.to_string());
    command.status().expect("it starts")
}

fn refused(error: &seclude::Error) {
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::HostLimit, Some(libc::EFBIG)), "{error}");
    assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
    assert!(error.remedy().is_some_and(|remedy| remedy.contains("raise RLIMIT_FSIZE")), "{error}");
}

#[test]
fn a_limit_on_the_size_of_files_ends_no_caller() {
    const NAME: &str = "a_limit_on_the_size_of_files_ends_no_caller";
    as_each(NAME, |_| {
        let Ok(limit) = std::env::var(LIMIT) else {
            for limit in [0, 16 << 10, 256 << 10] {
                let status = limited(NAME, limit);
                assert!(status.success(), "limit {limit}: {status}");
            }
            return;
        };
        let limit: u64 = limit.parse().expect("a number");
        let place = scratch::directory();
        fs::write(place.path().join("large"), vec![b'x'; 300 << 10]).expect("there is room");
        setrlimit(Resource::RLIMIT_FSIZE, limit, limit).expect("it may be lowered");
        let status = Sandbox::new().command("true").status();
        if limit < 256 << 10 {
            refused(&status.expect_err("the warden does not fit"));
        } else {
            assert_eq!(status.expect("the warden fits").ended, Ended::Exited(0));
            let many = std::iter::repeat_n("x".repeat(100_000), 3);
            refused(&Sandbox::new().command("true").args(many).status().expect_err("the request does not fit"));
            let words = ["x".repeat(100_000), "x".repeat(100_000)];
            assert_eq!(Sandbox::new().command("true").args(words).status().expect("it fits").ended, Ended::Exited(0));
        }
        refused(&Transfer::new().copy(&place, "large", place.path().join("copy")).expect_err("it does not fit"));
        assert!(!place.path().join("copy").exists());
        drop(place);
        std::process::exit(0);
    });
}

/// The control: a process that writes more is ended.
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
    assert_eq!(limited(NAME, 16 << 10).signal(), Some(libc::SIGXFSZ));
}
