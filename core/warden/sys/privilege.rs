//! Namespaces, ids, capabilities and limits of the process.

use super::number as nr;
use super::{Errno, Fd, Result, descriptor, done, open};

pub fn unshare(namespaces: u64) -> Result<()> {
    done(call!(nr::UNSHARE, namespaces))
}

/// Enters the namespace behind a descriptor, which must be of this kind.
pub fn join_namespace(namespace: i32, kind: u64) -> Result<()> {
    done(call!(nr::SETNS, namespace, kind))
}

/// The mount namespace of the process behind a pidfd, if the warden may look into that process
/// (ioctl_pidfd(2)). Linux 6.11.
pub fn mount_namespace_of(pidfd: &Fd) -> Result<Fd> {
    const PIDFD_GET_MNT_NAMESPACE: u32 = 0xff03;
    descriptor(call!(nr::IOCTL, pidfd.0, PIDFD_GET_MNT_NAMESPACE, 0))
}

/// The parent of a namespace, if it is within the caller's (ioctl_nsfs(2)).
pub fn parent_namespace(namespace: i32) -> Result<Fd> {
    const NS_GET_PARENT: u32 = 0xb702;
    descriptor(call!(nr::IOCTL, namespace, NS_GET_PARENT, 0))
}

/// The user namespace that a namespace belongs to (ioctl_nsfs(2)).
pub fn owner_namespace(namespace: i32) -> Result<Fd> {
    const NS_GET_USERNS: u32 = 0xb701;
    descriptor(call!(nr::IOCTL, namespace, NS_GET_USERNS, 0))
}

pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    done(call!(nr::SETRESGID, gid, gid, gid))?;
    done(call!(nr::SETRESUID, uid, uid, uid))
}

/// Sets the supplementary groups.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    done(call!(nr::SETGROUPS, groups.len(), groups.as_ptr()))
}

/// The number of supplementary groups.
pub fn count_groups() -> Result<usize> {
    call!(nr::GETGROUPS, 0, 0)
}

pub fn set_host_name(name: &[u8]) -> Result<()> {
    done(call!(nr::SETHOSTNAME, name.as_ptr(), name.len()))
}

pub fn set_domain_name(name: &[u8]) -> Result<()> {
    done(call!(nr::SETDOMAINNAME, name.as_ptr(), name.len()))
}

pub fn new_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: u32 = 1;
    done(call!(nr::KEYCTL, JOIN_SESSION_KEYRING, 0, 0, 0, 0))
}

/// Whether no call on keys works: the kernel has no keys, or a filter answers all three calls as if
/// it had none.
pub fn has_no_keys() -> bool {
    let refused = |result| result == Err(Errno::ENOSYS);
    // A kernel with keys answers EFAULT for a missing type, and EOPNOTSUPP for an operation that
    // does not exist.
    refused(call!(nr::ADD_KEY, 0, 0, 0, 0, 0))
        && refused(call!(nr::REQUEST_KEY, 0, 0, 0, 0))
        && refused(call!(nr::KEYCTL, u32::MAX, 0, 0, 0, 0))
}

/// The options of `prctl(2)` that the warden uses.
pub mod process {
    pub const GET_DUMPABLE: u32 = 3;
    pub const SET_DUMPABLE: u32 = 4;
    pub const GET_SECCOMP: u32 = 21;
    pub const CAPBSET_READ: u32 = 23;
    pub const CAPBSET_DROP: u32 = 24;
    pub const GET_SECUREBITS: u32 = 27;
    pub const SET_SECUREBITS: u32 = 28;
    pub const SET_CHILD_SUBREAPER: u32 = 36;
    pub const SET_NO_NEW_PRIVS: u32 = 38;
    pub const GET_NO_NEW_PRIVS: u32 = 39;
    pub const CAP_AMBIENT: u32 = 47;
    pub const CAP_AMBIENT_CLEAR_ALL: usize = 4;
    pub const SET_PDEATHSIG: u32 = 1;
    pub const SET_TIMERSLACK: u32 = 29;
    pub const SET_THP_DISABLE: u32 = 41;
}

pub fn prctl(option: u32, value: usize) -> Result<()> {
    done(call!(nr::PRCTL, option, value, 0, 0, 0))
}

/// Returns the answer of an option that asks for a value.
pub fn ask(option: u32, value: usize) -> Result<usize> {
    call!(nr::PRCTL, option, value, 0, 0, 0)
}

const VERSION_3: u32 = 0x2008_0522;

/// The effective, permitted and inheritable sets: their lower words, then their upper words.
pub fn capabilities() -> Result<[u32; 6]> {
    let header = [VERSION_3, 0];
    let mut sets = [u32::MAX; 6];
    done(call!(nr::CAPGET, header.as_ptr(), sets.as_mut_ptr()))?;
    Ok(sets)
}

/// The real, effective and saved user ids, and the same group ids.
pub fn user() -> Result<([u32; 3], [u32; 3])> {
    let (mut uids, mut gids) = ([0u32; 3], [0u32; 3]);
    let [real, effective, saved] = uids.each_mut().map(|id| &raw mut *id);
    done(call!(nr::GETRESUID, real, effective, saved))?;
    let [real, effective, saved] = gids.each_mut().map(|id| &raw mut *id);
    done(call!(nr::GETRESGID, real, effective, saved))?;
    Ok((uids, gids))
}

/// Sets the effective and the permitted set, each in two words. The inheritable set becomes the
/// same if programs shall `inherit` them, else empty.
pub fn limit_capabilities([low, high]: [u32; 2], inherit: bool) -> Result<()> {
    let header = [VERSION_3, 0];
    let inherited = |word: u32| if inherit { word } else { 0 };
    let sets = [low, low, inherited(low), high, high, inherited(high)];
    done(call!(nr::CAPSET, header.as_ptr(), sets.as_ptr()))
}

/// Adds a capability to the ambient set. It must be permitted and inheritable.
pub fn raise_ambient(capability: usize) -> Result<()> {
    const RAISE: usize = 2;
    done(call!(nr::PRCTL, process::CAP_AMBIENT, RAISE, capability, 0, 0))
}

pub fn personality(value: u32) -> Result<()> {
    done(call!(nr::PERSONALITY, value))
}

pub fn new_session() -> Result<()> {
    done(call!(nr::SETSID))
}

/// Sets the umask. This fails only if a filter around the caller forbids it.
pub fn umask(mask: u32) -> Result<()> {
    done(call!(nr::UMASK, mask))
}

pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = [soft, hard];
    done(call!(nr::PRLIMIT64, 0, resource, limit.as_ptr(), 0))
}

pub fn limit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = [0u64; 2];
    done(call!(nr::PRLIMIT64, 0, resource, 0, limit.as_mut_ptr()))?;
    Ok((limit[0], limit[1]))
}

/// Makes a UDP socket in the warden's network namespace. Every kernel with networking has this
/// kind.
pub fn socket() -> Result<Fd> {
    const AF_INET: u32 = 2;
    const SOCK_DGRAM: u32 = 2;
    descriptor(call!(nr::SOCKET, AF_INET, SOCK_DGRAM | open::CLOSE_ON_EXEC as u32, 0))
}

/// Brings up the loopback device of the warden's network namespace.
pub fn loopback_up() -> Result<()> {
    const SIOCSIFFLAGS: u32 = 0x8914;
    const IFF_UP_RUNNING: u16 = 0x41;
    let socket = socket()?;
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&IFF_UP_RUNNING.to_ne_bytes());
    done(call!(nr::IOCTL, socket.0, SIOCSIFFLAGS, request.as_mut_ptr()))
}
