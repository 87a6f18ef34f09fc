//! Devices that a policy names: what depends on nodes that only root can make, and hostile
//! directories of specifications. The table has the rest (`tests/cases/devices.toml`).

use nix::libc;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use seclude::{Ended, Error, ErrorKind, Sandbox};
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

const NAME: &str = "vendor.example/toy=0";

/// Writes a specification with this node of the host.
fn specify(directory: &Path, node: &Path) {
    let text = format!(
        r#"{{"cdiVersion": "0.6.0", "kind": "vendor.example/toy", "devices": [{{"name": "0",
            "containerEdits": {{"deviceNodes": [{{"path": "/dev/toy", "hostPath": {node:?}}}]}}}}]}}"#
    );
    fs::write(directory.join("toy.json"), text).expect("there is room");
}

/// Writes to the device inside.
fn write_to_device(directory: &Path) -> Result<Ended, Error> {
    let sandbox =
        Sandbox::new().devices([NAME]).cdi_spec_dirs([directory.to_str().expect("it is a text")]);
    let output = sandbox.command("sh").args(["-c", "echo x >/dev/toy"]).output()?;
    Ok(output.outcome.ended)
}

#[test]
fn a_node_that_the_commands_user_may_not_open_is_an_error_before_the_start() {
    const TEST: &str = "a_node_that_the_commands_user_may_not_open_is_an_error_before_the_start";
    as_each(TEST, |who| {
        if who != Caller::Root {
            // Only root makes device nodes. For a user, the host's own are tested in the table.
            return;
        }
        let place = scratch::directory();
        let node = place.path().join("node");
        let null = makedev(1, 3);
        if mknod(&node, SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), null).is_err() {
            return eprintln!("SKIPPED: this caller cannot make device nodes");
        }
        specify(place.path(), &node);
        let error = write_to_device(place.path()).expect_err("the node is root's alone");
        let kind = (error.kind(), error.raw_os_error(), error.path());
        let expected = (ErrorKind::SourceUnreadable, Some(libc::EACCES), Some(node.as_path()));
        assert_eq!(kind, expected, "{error}");
        for part in [&*format!("uid {} outside", who.uid_behind()), "owner 0, group 0, mode 0600"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        // The control, and a node for the command's user alone.
        for (mode, owner) in [(0o666, 0), (0o600, who.uid_behind())] {
            fs::set_permissions(&node, Permissions::from_mode(mode)).expect("it is ours");
            std::os::unix::fs::chown(&node, Some(owner), None).expect("root may");
            assert_eq!(write_to_device(place.path()), Ok(Ended::Exited(0)), "{mode:o} of {owner}");
        }
    });
}

#[test]
fn no_file_among_specifications_holds_the_caller_up() {
    as_each("no_file_among_specifications_holds_the_caller_up", |_| {
        let place = scratch::directory();
        mkfifo(&place.path().join("a.json"), Mode::from_bits_truncate(0o600)).expect("it is ours");
        let start = Instant::now();
        let error = write_to_device(place.path()).expect_err("there is no specification");
        assert!(error.to_string().contains("a.json: it is no regular file"), "{error}");
        let large = place.path().join("b.json");
        let file = fs::File::create(&large).expect("there is room");
        file.set_len(1 << 40).expect("the file is sparse");
        std::os::unix::fs::symlink("/dev/zero", place.path().join("c.json"))
            .expect("there is room");
        let error = write_to_device(place.path()).expect_err("there is none still");
        assert_eq!(error.kind(), ErrorKind::Policy);
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        // Deep nesting does not exhaust the stack.
        fs::write(place.path().join("a0.json"), "[".repeat(100_000)).expect("there is room");
        assert_eq!(write_to_device(place.path()).unwrap_err().kind(), ErrorKind::Policy);
        // The control: beside all these, a device is found.
        specify(place.path(), Path::new("/dev/null"));
        assert_eq!(write_to_device(place.path()), Ok(Ended::Exited(0)));
    });
}

#[test]
fn a_specification_is_read_once_for_a_sandbox() {
    as_each("a_specification_is_read_once_for_a_sandbox", |_| {
        let place = scratch::directory();
        specify(place.path(), Path::new("/dev/null"));
        let directory = place.path().to_str().expect("it is a text");
        let sandbox = Sandbox::new().devices([NAME]).cdi_spec_dirs([directory]);
        let run = |sandbox: &Sandbox| {
            let output = sandbox.command("test").args(["-c", "/dev/toy"]).output();
            output.map(|output| output.outcome.ended)
        };
        assert_eq!(run(&sandbox), Ok(Ended::Exited(0)));
        fs::remove_file(place.path().join("toy.json")).expect("it is ours");
        assert_eq!(run(&sandbox), Ok(Ended::Exited(0)));
        let other = Sandbox::new().devices([NAME]).cdi_spec_dirs([directory]);
        assert_eq!(run(&other).unwrap_err().kind(), ErrorKind::SourceMissing);
    });
}
