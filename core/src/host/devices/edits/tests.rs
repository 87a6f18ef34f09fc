//! Tests of the edits of specifications, hostile ones among them.

use super::*;
use crate::host::devices::cdi::edits_of;

fn specification(edits: &str) -> String {
    format!(
        r#"{{"cdiVersion": "0.6.0", "kind": "a/b", "containerEdits": {edits},
            "devices": [{{"name": "0", "containerEdits": {{}}}}]}}"#
    )
}

/// Paths as hostile specifications may have them, outside and inside.
const PATHS: &[&str] = &[
    "",
    ".",
    "..",
    "/",
    "//",
    "/.",
    "/..",
    "/../",
    "/./.",
    "/a",
    "/a/..",
    "/a/../..",
    "/opt/x",
    "/opt//x/",
    "opt/x",
    "/dev",
    "/dev/",
    "/dev/x",
    "/dev/x/y",
    "/dev/./x",
    "/dev/../x",
    "/dev/null",
    "/dev/null/",
    "/dev/null/x",
    "/dev/zero",
    "/dev/pts",
    "/dev/pts/0",
    "/dev/ptmx",
    "/dev/fd",
    "/dev/stdin",
    "/dev/tty",
    "/dev/shm",
    "/dev/shm/x",
    "/proc",
    "/proc/",
    "/proc/self",
    "//proc/sys",
    "/proc/../opt/x",
    "/sys",
    "/usr",
    "/usr/lib",
    "/etc",
    "/etc/passwd",
    "/tmp",
    "\u{0}",
    "/opt/\u{0}",
    "/opt/x/../../etc",
];

#[test]
fn no_path_of_a_specification_reaches_what_it_must_not() {
    let (mut accepted, mut refused) = (0, 0);
    for one in PATHS {
        for other in PATHS {
            let (one, other) = (serde_json::json!(one), serde_json::json!(other));
            for edits in [
                format!(r#"{{"mounts": [{{"hostPath": {one}, "containerPath": {other}}}]}}"#),
                format!(r#"{{"deviceNodes": [{{"path": {one}, "hostPath": {other}}}]}}"#),
                format!(
                    r#"{{"hooks": [{{"hookName": "createContainer", "path": "/nvidia-cdi-hook",
                        "args": ["", "create-symlinks", "--link", {}]}}]}}"#,
                    serde_json::json!(format!(
                        "{}::{}",
                        one.as_str().unwrap(),
                        other.as_str().unwrap()
                    ))
                ),
            ] {
                match edits_of(&specification(&edits)) {
                    Ok(edits) => {
                        edits.assert_harmless();
                        accepted += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(accepted > 100 && refused > 1000, "{accepted} and {refused}");
}

#[test]
fn every_part_of_a_specification_that_is_not_given_is_an_error() {
    for edits in [
        r#"{"netDevices": []}"#,
        r#"{"intelRdt": {}}"#,
        r#"{"additionalGIDs": [5]}"#,
        r#"{"hooks": [{"hookName": "x", "path": "/bin/sh"}]}"#,
        r#"{"hooks": [{"hookName": "x", "path": "/bin/sh", "args": ["nvidia-ctk", "hook", "chmod"]}]}"#,
        r#"{"env": ["=x"]}"#,
        r#"{"env": ["x"]}"#,
        r#"{"env": "x=y"}"#,
        r#"{"mounts": [{"hostPath": "/usr/lib", "containerPath": "/opt/x", "options": ["suid"]}]}"#,
        r#"{"mounts": [{"hostPath": "/usr/lib", "containerPath": "/opt/x", "type": 5}]}"#,
        r#"{"mounts": [{"containerPath": "/opt/x"}]}"#,
        r#"{"deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "major": "1"}]}"#,
        r#"{"deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "permissions": "m"}]}"#,
    ] {
        let error = edits_of(&specification(edits)).expect_err(edits);
        assert_eq!(error.kind(), ErrorKind::Policy, "{edits}: {error}");
    }
    // The control: all that is given.
    let edits = r#"{"env": ["a=b=c", "a=d"], "additionalGIDs": [],
        "deviceNodes": [{"path": "/dev/x", "hostPath": "/dev/null", "fileMode": 438, "gid": 5}],
        "mounts": [{"hostPath": "/usr/lib", "containerPath": "/opt/x", "options": ["noexec"]}],
        "hooks": [{"hookName": "x", "path": "/bin/nvidia-ctk", "timeout": 5, "env": [],
            "args": ["nvidia-ctk", "hook", "update-ldcache", "--folder=/opt/x", "--folder", "/opt/y"]}]}"#;
    let edits = edits_of(&specification(edits)).unwrap();
    assert_eq!(edits.environment, [("a".into(), "d".into())]);
    assert_eq!((edits.nodes.len(), edits.mounts.len(), edits.mounts[0].noexec), (1, 1, true));
    assert_eq!(edits.libraries, [PathBuf::from("/opt/x"), PathBuf::from("/opt/y")]);
}
