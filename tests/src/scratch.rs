//! Temporary directories that root, an unprivileged caller, and the ids behind a sandbox can enter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// Creates an empty directory of mode 755, which is removed when dropped.
pub fn directory() -> TempDir {
    let directory = tempfile::Builder::new()
        .prefix("seclude-test-")
        .tempdir()
        .expect("there is a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    directory
}
