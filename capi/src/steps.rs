//! The steps of the set-up, of which an error names the one that failed.

use crate::boundary::query;
use crate::error::seclude_error;
use crate::words::{Words, name_of};
use std::ffi::{c_char, c_int};

// faces: begin steps as C constants
/// Create the namespaces and execute the warden: `clone(2)`, `execveat(2)`.
pub const SECLUDE_STEP_LAUNCH: c_int = 1;
/// Enter existing namespaces: `setns(2)`.
pub const SECLUDE_STEP_JOIN: c_int = 2;
/// Reset inherited process attributes: ignored signals, the umask, the timer slack.
pub const SECLUDE_STEP_ATTRIBUTES: c_int = 3;
/// Open a path outside the sandbox: the source of a bind, or a root directory.
pub const SECLUDE_STEP_OPEN_SOURCE: c_int = 4;
/// Open a device node of the host.
pub const SECLUDE_STEP_OPEN_DEVICE: c_int = 5;
/// Wait until the caller has written the id maps and moved the warden into its cgroups.
pub const SECLUDE_STEP_ADMISSION: c_int = 6;
/// Open the `/proc` that the process scan reads, for sampled limits.
pub const SECLUDE_STEP_PROCESS_VIEW: c_int = 7;
/// Reserve process ids for the wardens of commands that enter a cell.
pub const SECLUDE_STEP_RESERVE_PIDS: c_int = 8;
/// Write an id map of one line.
pub const SECLUDE_STEP_MAP_IDS: c_int = 9;
/// Compare the kernel's id maps with those that were written.
pub const SECLUDE_STEP_CHECK_IDS: c_int = 10;
/// Change to the user and group of the command.
pub const SECLUDE_STEP_BECOME_USER: c_int = 11;
/// Check that the command's user may read a source.
pub const SECLUDE_STEP_CHECK_READABLE: c_int = 12;
/// Create a time namespace and set its clocks.
pub const SECLUDE_STEP_CLOCKS: c_int = 13;
/// Create a cgroup namespace.
pub const SECLUDE_STEP_CGROUP_NAMESPACE: c_int = 14;
/// Make the process that becomes process 1 of its tree.
pub const SECLUDE_STEP_PROCESS_TREE: c_int = 15;
/// Set the host name.
pub const SECLUDE_STEP_HOST_NAME: c_int = 16;
/// Set the NIS domain name.
pub const SECLUDE_STEP_DOMAIN_NAME: c_int = 17;
/// Bring up the loopback device.
pub const SECLUDE_STEP_LOOPBACK: c_int = 18;
/// Detach mount propagation from the caller's mount namespace.
pub const SECLUDE_STEP_PRIVATE_MOUNTS: c_int = 19;
/// Mount a tmpfs as the new root.
pub const SECLUDE_STEP_ROOT: c_int = 20;
/// Bind entries of a directory: the host's programs, or those of another root.
pub const SECLUDE_STEP_SHOW_ENTRIES: c_int = 21;
/// Bind a file or directory.
pub const SECLUDE_STEP_BIND: c_int = 22;
/// Mount a tmpfs.
pub const SECLUDE_STEP_TMPFS: c_int = 23;
/// Mount a mqueue file system.
pub const SECLUDE_STEP_MESSAGE_QUEUES: c_int = 24;
/// Create a directory.
pub const SECLUDE_STEP_DIRECTORY: c_int = 25;
/// Create a file.
pub const SECLUDE_STEP_FILE: c_int = 26;
/// Make a mount read-only: `mount_setattr(2)`.
pub const SECLUDE_STEP_REMOUNT: c_int = 27;
/// Change the mode of a file.
pub const SECLUDE_STEP_CHMOD: c_int = 28;
/// Create a symbolic link.
pub const SECLUDE_STEP_SYMLINK: c_int = 29;
/// Mount a proc file system.
pub const SECLUDE_STEP_PROC: c_int = 30;
/// Mask files of `/proc`.
pub const SECLUDE_STEP_MASK_PROC: c_int = 31;
/// Make files of `/proc` read-only.
pub const SECLUDE_STEP_READ_ONLY_PROC: c_int = 32;
/// Mount a devpts file system.
pub const SECLUDE_STEP_TERMINALS: c_int = 33;
/// Change to the new root: `pivot_root(2)`.
pub const SECLUDE_STEP_PIVOT_ROOT: c_int = 34;
/// Make the root read-only.
pub const SECLUDE_STEP_READ_ONLY_ROOT: c_int = 35;
/// Take over the file system of a template or a cell.
pub const SECLUDE_STEP_ADOPT_ROOT: c_int = 36;
/// Forbid nested user namespaces.
pub const SECLUDE_STEP_NO_NESTED_USERS: c_int = 37;
/// Create a Landlock ruleset.
pub const SECLUDE_STEP_LANDLOCK: c_int = 38;
/// Join a new session keyring.
pub const SECLUDE_STEP_KEYRING: c_int = 39;
/// Drop all capabilities.
pub const SECLUDE_STEP_DROP_PRIVILEGES: c_int = 40;
/// Load the warden's seccomp filter.
pub const SECLUDE_STEP_SECCOMP_FILTER: c_int = 41;
/// Give the caller descriptors of the namespaces of a private network.
pub const SECLUDE_STEP_LEND_NAMESPACES: c_int = 42;
/// Start the command in the finished sandbox.
pub const SECLUDE_STEP_START: c_int = 43;
/// Mount an overlay file system.
pub const SECLUDE_STEP_OVERLAY: c_int = 44;
/// Mount the sandbox's own cgroup.
pub const SECLUDE_STEP_CGROUP: c_int = 45;
// faces: end

pub(crate) const STEPS: &Words<c_int> = &[
    // faces: begin steps with their names
    (SECLUDE_STEP_LAUNCH, c"launch"),
    (SECLUDE_STEP_JOIN, c"join"),
    (SECLUDE_STEP_ATTRIBUTES, c"attributes"),
    (SECLUDE_STEP_OPEN_SOURCE, c"open-source"),
    (SECLUDE_STEP_OPEN_DEVICE, c"open-device"),
    (SECLUDE_STEP_ADMISSION, c"admission"),
    (SECLUDE_STEP_PROCESS_VIEW, c"process-view"),
    (SECLUDE_STEP_RESERVE_PIDS, c"reserve-pids"),
    (SECLUDE_STEP_MAP_IDS, c"map-ids"),
    (SECLUDE_STEP_CHECK_IDS, c"check-ids"),
    (SECLUDE_STEP_BECOME_USER, c"become-user"),
    (SECLUDE_STEP_CHECK_READABLE, c"check-readable"),
    (SECLUDE_STEP_CLOCKS, c"clocks"),
    (SECLUDE_STEP_CGROUP_NAMESPACE, c"cgroup-namespace"),
    (SECLUDE_STEP_PROCESS_TREE, c"process-tree"),
    (SECLUDE_STEP_HOST_NAME, c"host-name"),
    (SECLUDE_STEP_DOMAIN_NAME, c"domain-name"),
    (SECLUDE_STEP_LOOPBACK, c"loopback"),
    (SECLUDE_STEP_PRIVATE_MOUNTS, c"private-mounts"),
    (SECLUDE_STEP_ROOT, c"root"),
    (SECLUDE_STEP_SHOW_ENTRIES, c"show-entries"),
    (SECLUDE_STEP_BIND, c"bind"),
    (SECLUDE_STEP_TMPFS, c"tmpfs"),
    (SECLUDE_STEP_MESSAGE_QUEUES, c"message-queues"),
    (SECLUDE_STEP_DIRECTORY, c"directory"),
    (SECLUDE_STEP_FILE, c"file"),
    (SECLUDE_STEP_REMOUNT, c"remount"),
    (SECLUDE_STEP_CHMOD, c"chmod"),
    (SECLUDE_STEP_SYMLINK, c"symlink"),
    (SECLUDE_STEP_PROC, c"proc"),
    (SECLUDE_STEP_MASK_PROC, c"mask-proc"),
    (SECLUDE_STEP_READ_ONLY_PROC, c"read-only-proc"),
    (SECLUDE_STEP_TERMINALS, c"terminals"),
    (SECLUDE_STEP_PIVOT_ROOT, c"pivot-root"),
    (SECLUDE_STEP_READ_ONLY_ROOT, c"read-only-root"),
    (SECLUDE_STEP_ADOPT_ROOT, c"adopt-root"),
    (SECLUDE_STEP_NO_NESTED_USERS, c"no-nested-users"),
    (SECLUDE_STEP_LANDLOCK, c"landlock"),
    (SECLUDE_STEP_KEYRING, c"keyring"),
    (SECLUDE_STEP_DROP_PRIVILEGES, c"drop-privileges"),
    (SECLUDE_STEP_SECCOMP_FILTER, c"seccomp-filter"),
    (SECLUDE_STEP_LEND_NAMESPACES, c"lend-namespaces"),
    (SECLUDE_STEP_START, c"start"),
    (SECLUDE_STEP_OVERLAY, c"overlay"),
    (SECLUDE_STEP_CGROUP, c"cgroup"),
    // faces: end
];

/// Returns the step of the set-up or of the start that failed: one of `SECLUDE_STEP_...`.
///
/// 0 if no step had begun, if all were done, and for NULL. `seclude_error_step` describes the step
/// in words, with its object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_error_step_kind(error: *const seclude_error) -> c_int {
    query(error, 0, |error| Some(error.step_kind()))
}

/// Returns the name of a `SECLUDE_STEP_...`, which is the same in every language: "pivot-root".
/// NULL for any other number. Static: never freed.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_step_name(step: c_int) -> *const c_char {
    name_of(STEPS, step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::assert_complete;
    use seclude_core::Step;

    #[test]
    fn every_step_has_a_number_that_is_not_zero() {
        assert_complete(STEPS, Step::ALL.iter().map(|step| step.name()));
        assert!(seclude_step_name(0).is_null());
    }
}
