//! Gives up the warden's privileges. Nothing that the warden starts can have a privilege that is
//! given up here.

use super::mounts::Mounts;
use crate::sys::{self, Call, Errno, Fd, Pages, Result, process};
use crate::wire::message::BypassToken;
use crate::wire::plan::{guard, namespace, protection};
use core::ffi::CStr;

/// Reads back from the kernel what was set: the user, all five capability sets, securebits and
/// `no_new_privs`. `unprivileged`: the bounding set and securebits stay the caller's.
///
/// The ambient set is not read: it is empty where the permitted set is (capabilities(7)).
///
/// # Errors
///
/// EBADE if any of them is not as it should be.
pub fn verify((uid, gid): (u32, u32), kept: u64, unprivileged: bool) -> Result<()> {
    const DUMPABLE: usize = 0;
    let [low, high] = words(kept);
    let inherited = if is_inherited(kept, uid) { [low, high] } else { [0, 0] };
    let (uids, gids) = sys::user()?;
    let mut sealed = uids == [uid; 3] && gids == [gid; 3];
    sealed &= sys::capabilities()? == [low, low, inherited[0], high, high, inherited[1]];
    for capability in (0..64).filter(|_| !unprivileged) {
        match sys::ask(process::CAPBSET_READ, capability) {
            Ok(held) => sealed &= held as u64 == kept >> capability & 1,
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    sealed &= unprivileged || sys::ask(process::GET_SECUREBITS, 0)? == securebits(kept);
    sealed &= sys::ask(process::GET_NO_NEW_PRIVS, 0)? == 1;
    sealed &= sys::ask(process::GET_DUMPABLE, 0)? == DUMPABLE;
    if sealed { Ok(()) } else { Err(Errno::EBADE) }
}

/// Loads the warden's own filter. Replaces the placeholders in it with the process ids: that of
/// this warden, and those reserved for entering wardens if there are any.
///
/// # Errors
///
/// Also the error of getpid(2), which a filter around the caller may refuse. A filter with another
/// process id would guard nothing.
pub fn load_filter(program: &[u8], reserves_pids: bool) -> Result<()> {
    /// BPF_JMP | BPF_JEQ | BPF_K
    const JUMP_EQUAL: u16 = 0x15;
    const INSTRUCTION: usize = 8;
    let placeholder = |instruction: &[u8]| match *instruction {
        [a, b, _, _, c, d, e, f] if u16::from_ne_bytes([a, b]) == JUMP_EQUAL => {
            let k = u32::from_ne_bytes([c, d, e, f]);
            let own = k == guard::OWN || k == guard::OWN_GROUP;
            (own || k == guard::ENTRANTS && reserves_pids).then_some(k)
        }
        _ => None,
    };
    if !program.chunks_exact(INSTRUCTION).any(|instruction| placeholder(instruction).is_some()) {
        return sys::load_filter(program, BypassToken::default());
    }
    let own = sys::known_process_id()?;
    let mut copy = Pages::new(program.len(), false)?;
    let copy = copy.bytes().get_mut(..program.len()).ok_or(Errno::EPROTO)?;
    copy.copy_from_slice(program);
    for instruction in copy.chunks_exact_mut(INSTRUCTION) {
        if let Some(k) = placeholder(instruction) {
            let number = match k {
                guard::OWN => own,
                guard::OWN_GROUP => own.wrapping_neg(),
                _ => guard::FIRST_ENTRANT,
            };
            instruction[4..].copy_from_slice(&number.to_ne_bytes());
        }
    }
    sys::load_filter(copy, BypassToken::default())
}

/// Checks that the kernel has a filter loaded for this process; EBADE if not.
pub fn verify_filter() -> Result<()> {
    const FILTER: usize = 2;
    if sys::ask(process::GET_SECCOMP, 0)? == FILTER { Ok(()) } else { Err(Errno::EBADE) }
}

/// Makes sure that every process inside ends with the warden. Also checks that the warden can send
/// signals, which a filter around the caller may refuse.
pub fn lifetime(namespaces: u64) -> Result<u64> {
    let own_tree = namespaces & namespace::PID != 0;
    // Signal 0 is only a check. In a new pid namespace there is no other process yet: ESRCH.
    match sys::kill(if own_tree { -1 } else { sys::process_id() }, 0) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => return Err(errno),
    }
    if own_tree {
        return Ok(protection::KILL_BY_NAMESPACE);
    }
    // Orphans become children of the warden instead of the host's init, so that the warden can find
    // them.
    sys::prctl(process::SET_CHILD_SUBREAPER, 1)?;
    Ok(protection::KILL_BY_WARDEN)
}

/// Resets what a process inherits from the caller and no policy covers: ignored signals, the umask,
/// the timer slack, a ban on huge pages, and a protection from the out-of-memory killer. (Resetting
/// the scheduling takes privileges outside.)
pub fn forget_attributes() -> Result<()> {
    const DEFAULT_SLACK_NS: usize = 50_000;
    const KNOB: &CStr = c"/proc/self/oom_score_adj";
    sys::default_signals()?;
    sys::umask(0)?;
    sys::prctl(process::SET_TIMERSLACK, DEFAULT_SLACK_NS)?;
    match sys::prctl(process::SET_THP_DISABLE, 0) {
        // A kernel without transparent huge pages.
        Ok(()) | Err(Errno::EINVAL) => {}
        Err(errno) => return Err(errno),
    }
    // Without /proc, the caller cannot have set it there.
    let Ok(knob) = sys::open(sys::CWD, KNOB, sys::open::READ, 0) else { return Ok(()) };
    let mut sign = [0];
    match sys::read(&knob, &mut sign)? {
        1 if sign[0] == b'-' => sys::write_file(KNOB, b"0"),
        _ => Ok(()),
    }
}

/// Forbids user namespaces below this one.
///
/// The user namespace in which others are made counts them. With a maximum of 0 here, none can be
/// made below, by any process. Raising it again takes CAP_SYS_RESOURCE here, which no process
/// inside has.
///
/// With `given`, what the policy puts at `/proc` may be read-only or no proc at all. Every proc has
/// this file for the process that opens it: the caller's proc has it, and so has one that the
/// warden mounts.
pub fn no_nested_users(mounts: &Mounts, given: bool) -> Result<()> {
    const KNOB: &CStr = c"/proc/sys/user/max_user_namespaces";
    const INSTANCES: &CStr = c"/proc/sys/user/max_inotify_instances";
    let knob = open_knob(mounts, given, KNOB)?;
    sys::write(&knob, b"0")?;
    // By default, a user has 128 inotify instances in total, and those made inside count as the
    // caller's. One sandbox must leave some to the services of the host.
    match open_knob(mounts, given, INSTANCES) {
        Ok(knob) => sys::write(&knob, b"32"),
        // A kernel without inotify.
        Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn open_knob(mounts: &Mounts, given: bool, path: &'static CStr) -> Result<Fd> {
    if !given {
        return of_the_kernel(mounts.open_inside(path, sys::open::WRITE)?);
    }
    match sys::open(sys::CWD, path, sys::open::WRITE, 0).and_then(of_the_kernel) {
        Ok(knob) => Ok(knob),
        Err(_) => {
            let below = path.to_bytes_with_nul().strip_prefix(b"/proc/").unwrap_or_default();
            let below = CStr::from_bytes_with_nul(below).map_err(|_| Errno::EPROTO)?;
            sys::open(mounts.hidden_proc()?.number(), below, sys::open::WRITE, 0)
        }
    }
}

/// Checks that a knob is in a proc file system. An ordinary file of the same name would accept the
/// write without any effect.
fn of_the_kernel(knob: Fd) -> Result<Fd> {
    if sys::is_in_proc(&knob)? { Ok(knob) } else { Err(Errno::ENODEV) }
}

/// Makes a new session keyring. With `dispensable`, the filter of the command refuses every call on
/// keys, so the caller's keyring is out of its reach anyway.
pub fn keyring(dispensable: bool) -> Result<u64> {
    match sys::new_session_keyring() {
        Ok(()) => Ok(protection::KEYRING),
        // A kernel without keys has none to protect. But a filter can answer ENOSYS to this one
        // call only, so the other calls are tried too.
        Err(Errno::ENOSYS) if dispensable || sys::has_no_keys() => Ok(0),
        // The quota of the user is charged for the new keyring if the caller has a session keyring.
        Err(Errno::EDQUOT) if dispensable => Ok(0),
        Err(Errno::EPERM) if dispensable && Call::KEYCTL.is_absent() => Ok(0),
        Err(errno) => Err(errno),
    }
}

/// The securebits, each with its lock: user id 0 has no special meaning, a change of ids changes no
/// capabilities, and none can be kept or made ambient.
const SECUREBITS: usize = {
    const NOROOT: usize = 0b11;
    const NO_SETUID_FIXUP: usize = 0b1100;
    const KEEP_CAPS_LOCKED: usize = 0b10_0000;
    const NO_CAP_AMBIENT_RAISE: usize = 0b1100_0000;
    NOROOT | NO_SETUID_FIXUP | KEEP_CAPS_LOCKED | NO_CAP_AMBIENT_RAISE
};

/// A command that keeps capabilities may use them as on any system: user id 0 has its usual
/// meaning, and another user passes them on as ambient ones.
fn securebits(kept: u64) -> usize {
    if kept == 0 { SECUREBITS } else { 0 }
}

/// Whether programs get the capabilities as ambient ones. Those of user id 0 get them anyway.
fn is_inherited(kept: u64, uid: u32) -> bool {
    kept != 0 && uid != 0
}

const LINUX_PERSONALITY: u32 = 0;

fn words(set: u64) -> [u32; 2] {
    [set as u32, (set >> 32) as u32]
}

/// Gives up all capabilities for good, as a process that has none outside a user namespace of its
/// own. It may change neither the bounding set nor securebits, but with `no_new_privs` no program
/// gains a capability from them.
pub fn seal_unprivileged() -> Result<u64> {
    sys::personality(LINUX_PERSONALITY)?;
    sys::prctl(process::SET_DUMPABLE, 0)?;
    sys::prctl(process::CAP_AMBIENT, process::CAP_AMBIENT_CLEAR_ALL)?;
    sys::limit_capabilities(words(0), false)?;
    sys::prctl(process::SET_NO_NEW_PRIVS, 1)?;
    Ok(protection::NO_NEW_PRIVS | protection::WARDEN_HIDDEN)
}

/// Gives up all capabilities but those in `kept` for good.
///
/// The warden keeps them, too: it starts the command, which cannot have more than the warden.
pub fn seal(kept: u64, uid: u32) -> Result<u64> {
    sys::personality(LINUX_PERSONALITY)?;
    sys::prctl(process::SET_DUMPABLE, 0)?;
    for capability in (0..64).filter(|capability| kept >> capability & 1 == 0) {
        match sys::prctl(process::CAPBSET_DROP, capability) {
            Ok(()) => {}
            // Past the last capability of this kernel.
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    match sys::prctl(process::CAP_AMBIENT, process::CAP_AMBIENT_CLEAR_ALL) {
        Ok(()) => {}
        Err(errno) => return Err(errno),
    }
    sys::prctl(process::SET_SECUREBITS, securebits(kept))?;
    let inherited = is_inherited(kept, uid);
    sys::limit_capabilities(words(kept), inherited)?;
    sys::prctl(process::SET_NO_NEW_PRIVS, 1)?;
    if kept != 0 {
        for capability in (0..64).filter(|capability| inherited && kept >> capability & 1 != 0) {
            sys::raise_ambient(capability)?;
        }
        return Ok(protection::NO_NEW_PRIVS);
    }
    Ok(protection::CAPABILITIES
        | protection::SECUREBITS
        | protection::NO_NEW_PRIVS
        | protection::WARDEN_HIDDEN)
}
