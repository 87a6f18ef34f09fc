//! What the warden gives up. Each right it gives up here, nothing that it starts can have.

use super::mounts::Mounts;
use crate::sys::{self, Errno, Result, process};
use crate::wire::plan::{namespace, protection};
use core::ffi::CStr;

/// Makes sure that whatever is started inside ends with the warden.
pub fn lifetime(namespaces: u64) -> Result<u64> {
    if namespaces & namespace::PID != 0 {
        return Ok(protection::KILL_BY_NAMESPACE);
    }
    // Orphans come to us instead of the host's init, so that we can end them.
    sys::prctl(process::SET_CHILD_SUBREAPER, 1)?;
    Ok(protection::KILL_BY_WARDEN)
}

/// Takes back what a process inherits besides what a policy speaks of: a caller's ignored signals, its umask, its timer slack, its word against large pages, its protection
/// from the kernel's out-of-memory killer. (Its scheduling cannot be undone without privileges outside.)
pub fn forget_attributes() -> Result<()> {
    const DEFAULT_SLACK_NS: usize = 50_000;
    const KNOB: &CStr = c"/proc/self/oom_score_adj";
    sys::default_signals()?;
    sys::umask(0)?;
    sys::prctl(process::SET_TIMERSLACK, DEFAULT_SLACK_NS)?;
    match sys::prctl(process::SET_THP_DISABLE, 0) {
        // A kernel without large pages.
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    // Where the caller has no /proc, nobody has set it by one.
    let Ok(knob) = sys::open(sys::CWD, KNOB, sys::open::READ, 0) else { return Ok(()) };
    let mut sign = [0];
    match sys::read(&knob, &mut sign)? {
        1 if sign[0] == b'-' => sys::write_file(KNOB, b"0"),
        _ => Ok(()),
    }
}

/// The count of user namespaces is kept by the namespace they are made in: with a maximum of 0 here, none can be made
/// below, by anybody; raising it again takes CAP_SYS_RESOURCE here, which nobody inside has.
pub fn no_nested_users(mounts: &Mounts) -> Result<()> {
    let knob = mounts.open_inside(c"proc/sys/user/max_user_namespaces", sys::open::WRITE)?;
    sys::write(&knob, b"0")?;
    // A user has 128 of these in all by default, and what is made here counts as the caller's: one
    // sandbox must not leave none to the host's own services.
    match mounts.open_inside(c"proc/sys/user/max_inotify_instances", sys::open::WRITE) {
        Ok(knob) => sys::write(&knob, b"32"),
        // A kernel without inotify.
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

pub fn keyring() -> Result<u64> {
    match sys::new_session_keyring() {
        Ok(()) => Ok(protection::KEYRING),
        // A kernel without keys has none to protect.
        Err(Errno::ENOSYS) => Ok(0),
        Err(errno) => Err(errno),
    }
}

/// Gives up all capabilities for good.
pub fn seal() -> Result<u64> {
    /// Each of these with its lock: user id 0 means nothing, ids change no capabilities, none can be kept or made ambient.
    const NOROOT: usize = 0b11;
    const NO_SETUID_FIXUP: usize = 0b1100;
    const KEEP_CAPS_LOCKED: usize = 0b10_0000;
    const NO_CAP_AMBIENT_RAISE: usize = 0b1100_0000;
    const LINUX_PERSONALITY: u32 = 0;

    sys::personality(LINUX_PERSONALITY)?;
    sys::prctl(process::SET_DUMPABLE, 0)?;
    for capability in 0..64 {
        match sys::prctl(process::CAPBSET_DROP, capability) {
            Ok(()) => {}
            // Past the last capability that this kernel has.
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    match sys::prctl(process::CAP_AMBIENT, process::CAP_AMBIENT_CLEAR_ALL) {
        Ok(()) => {}
        Err(errno) => return Err(errno),
    }
    sys::prctl(process::SET_SECUREBITS, NOROOT | NO_SETUID_FIXUP | KEEP_CAPS_LOCKED | NO_CAP_AMBIENT_RAISE)?;
    sys::drop_capabilities()?;
    sys::prctl(process::SET_NO_NEW_PRIVS, 1)?;
    Ok(protection::CAPABILITIES | protection::SECUREBITS | protection::NO_NEW_PRIVS | protection::WARDEN_HIDDEN)
}
