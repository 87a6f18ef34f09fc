//! What holds the files of an ended command: descriptors that end with the collection, or with the
//! child, whatever the caller does to them.

use seclude::{Command, ErrorKind, MiB, Sandbox};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use std::fs;
use std::path::PathBuf;

fn sandbox() -> Sandbox {
    Sandbox::new().tmpfs("/work", MiB(8))
}

/// A shell script in `/work`.
fn script(sandbox: &Sandbox, script: &str) -> Command {
    let mut command = sandbox.command("sh");
    command.args(["-c", script]).current_dir("/work");
    command
}

/// A careless caller closes every descriptor between the end and the collection.
#[test]
fn closed_descriptors_are_an_error_and_close_nothing_else() {
    let _alone = alone();
    as_each("closed_descriptors_are_an_error_and_close_nothing_else", |_| {
        let sandbox = sandbox();
        let mut child = script(&sandbox, "echo 1 >out").collect("out").spawn().expect("it starts");
        child.wait().expect("it ends");
        let ours = descriptors(|target| target.starts_with("mnt:[") || target == "/");
        assert_eq!(ours.len(), 2, "{ours:?}");
        for (number, _) in &ours {
            nix::unistd::close(*number).expect("it is open");
        }
        let files = child.collect().expect("it has ended");
        let error = files.error.expect("they are closed");
        assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::Io, Some(libc::EBADF)));
        assert!(error.to_string().contains("closed a descriptor of the library's"), "{error}");
    });
}

/// The descriptors of this process whose target fits.
fn descriptors(fits: impl Fn(&str) -> bool) -> Vec<(i32, PathBuf)> {
    fs::read_dir("/proc/self/fd")
        .expect("there is a /proc")
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, fs::read_link(&path).ok()?))
        })
        .filter(|(_, target)| target.to_str().is_some_and(&fits))
        .collect()
}

/// The namespace, its mounts and their memory end with the collection, or with the child.
#[test]
fn nothing_of_the_sandbox_outlives_the_collection() {
    let _alone = alone();
    as_each("nothing_of_the_sandbox_outlives_the_collection", |_| {
        let held = || descriptors(|target| target.starts_with("mnt:[") || target == "/").len();
        let before = held();
        let sandbox = sandbox();
        for collects in [true, false] {
            let mut child =
                script(&sandbox, "echo 1 >out").collect("out").spawn().expect("it starts");
            child.wait().expect("it ends");
            assert_eq!(held(), before + 2);
            if collects {
                child.collect().expect("it has ended");
                assert_eq!(held(), before);
            }
            drop(child);
            assert_eq!(held(), before);
        }
        // A start that fails holds nothing either.
        let mut command = sandbox.command("none-such");
        command.collect("out").spawn().expect_err("there is no such program");
        assert_eq!(held(), before);
    });
}
