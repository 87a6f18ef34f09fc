//! Temporary directories that the caller of either kind, and the ids behind a sandbox, can enter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// An empty directory of mode 755, removed when dropped.
pub fn directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("seclude-test-")
        .tempdir()
        .expect("there is a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    directory
}
