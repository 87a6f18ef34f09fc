//! What the operations make visible at a path inside, as far as the command line says it.
//!
//! The sandbox does not exist yet when this is asked. Symbolic links inside are not followed.

use super::asked::{Operation, What};
use nix::sys::statfs::{PROC_SUPER_MAGIC, statfs};
use std::path::{Path, PathBuf};

/// What is visible at a path inside.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// This file of the host, if it exists.
    Host(PathBuf),
    /// Something below a proc of the sandbox, or its top.
    Proc,
    /// Something that exists only in the sandbox, or nothing.
    Own,
}

/// What is visible at `path` after all operations.
pub fn seen(operations: &[Operation], path: &Path) -> Seen {
    // The last mount at the path or above it covers all earlier ones.
    for Operation { at, what, .. } in operations.iter().rev() {
        let Ok(below) = path.strip_prefix(at) else { continue };
        match what {
            What::Bind { source, .. } => {
                let whole = below.as_os_str().is_empty();
                return Seen::Host(if whole { source.clone() } else { source.join(below) });
            }
            What::Proc => return Seen::Proc,
            What::Dev
            | What::Tmpfs { .. }
            | What::Overlay { .. }
            | What::Mqueue
            | What::BoundFile { .. } => return Seen::Own,
            // These are no mounts. They change what is there, or fail.
            What::Dir { .. }
            | What::Symlink { .. }
            | What::File { .. }
            | What::Chmod { .. }
            | What::RemountReadOnly => {}
        }
    }
    Seen::Own
}

/// Whether a proc is visible at `/proc`.
pub fn has_proc(operations: &[Operation]) -> bool {
    match seen(operations, Path::new("/proc")) {
        Seen::Proc => true,
        Seen::Host(path) => {
            statfs(&path).is_ok_and(|status| status.filesystem_type() == PROC_SUPER_MAGIC)
        }
        Seen::Own => false,
    }
}

/// Whether devices of the sandbox's own are at `/dev`, with terminals.
pub fn has_terminals(operations: &[Operation]) -> bool {
    let at_dev = |operation: &&Operation| Path::new("/dev").starts_with(&operation.at);
    let last = operations.iter().rev().find(|operation| match operation.what {
        What::Bind { .. }
        | What::Dev
        | What::Tmpfs { .. }
        | What::Overlay { .. }
        | What::Proc
        | What::Mqueue => at_dev(operation),
        _ => false,
    });
    last.is_some_and(|operation| {
        matches!(operation.what, What::Dev) && operation.at == Path::new("/dev")
    })
}

#[cfg(test)]
mod tests {
    use super::super::asked::Asked;
    use super::*;
    use std::ffi::OsString;

    fn operations(line: &str) -> Vec<Operation> {
        let mut asked = Asked::default();
        let words = line.split_whitespace().map(OsString::from).collect();
        super::super::reading::read(&mut asked, words).unwrap();
        asked.operations
    }

    #[test]
    fn the_last_mount_above_a_path_decides() {
        let host = |path: &str| Seen::Host(path.into());
        for (line, path, expected) in [
            ("--ro-bind / /", "/etc/passwd", host("/etc/passwd")),
            ("--ro-bind / / --tmpfs /etc", "/etc/passwd", Seen::Own),
            ("--ro-bind /usr /opt/x", "/opt/x/bin", host("/usr/bin")),
            ("--ro-bind /usr /opt", "/opt", host("/usr")),
            ("--tmpfs /proc --proc /proc", "/proc/self", Seen::Proc),
            ("--proc /proc --ro-bind / /", "/etc", host("/etc")),
            ("--dir /a", "/a", Seen::Own),
        ] {
            assert_eq!(seen(&operations(line), Path::new(path)), expected, "{line}");
        }
    }

    #[test]
    fn a_proc_is_one_of_the_sandbox_or_of_the_host() {
        for (line, expected) in [
            ("--ro-bind / /", true),
            ("--proc /proc", true),
            ("--ro-bind / / --tmpfs /proc", false),
            ("--ro-bind /usr /usr", false),
            ("--ro-bind /usr /proc", false),
        ] {
            assert_eq!(has_proc(&operations(line)), expected, "{line}");
        }
    }

    #[test]
    fn terminals_are_those_of_a_directory_of_devices() {
        assert!(has_terminals(&operations("--ro-bind / / --dev /dev")));
        assert!(!has_terminals(&operations("--dev /dev --dev-bind / /")));
        assert!(!has_terminals(&operations("--dev /other")));
    }
}
