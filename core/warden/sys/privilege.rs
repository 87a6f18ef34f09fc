//! Who the process is and what it may do.

use super::number as nr;
use super::{Errno, Fd, Result, descriptor, done, open};

pub fn unshare(namespaces: u64) -> Result<()> {
    done(call!(nr::UNSHARE, namespaces))
}

/// Enters the namespace of this kind behind a descriptor.
pub fn join_namespace(namespace: i32, kind: u64) -> Result<()> {
    done(call!(nr::SETNS, namespace, kind))
}

/// The mount namespace of the process behind a pidfd, if it may be looked into (ioctl_pidfd(2)).
/// Linux 6.11.
pub fn mount_namespace_of(pidfd: &Fd) -> Result<Fd> {
    const PIDFD_GET_MNT_NAMESPACE: u32 = 0xff03;
    descriptor(call!(nr::IOCTL, pidfd.0, PIDFD_GET_MNT_NAMESPACE, 0))
}

/// The namespace around one, if that is within the caller's (ioctl_nsfs(2)).
pub fn parent_namespace(namespace: i32) -> Result<Fd> {
    const NS_GET_PARENT: u32 = 0xb702;
    descriptor(call!(nr::IOCTL, namespace, NS_GET_PARENT, 0))
}

pub fn become_user(uid: u32, gid: u32) -> Result<()> {
    done(call!(nr::SETRESGID, gid, gid, gid))?;
    done(call!(nr::SETRESUID, uid, uid, uid))
}

pub fn drop_groups() -> Result<()> {
    done(call!(nr::SETGROUPS, 0, 0))
}

/// How many supplementary groups there are.
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

/// Whether nothing can be done with keys: the kernel has none, or a filter answers all three calls
/// as if it had none.
pub fn has_no_keys() -> bool {
    let refused = |result| result == Err(Errno::ENOSYS);
    // EFAULT for no type of key; EOPNOTSUPP for an operation that there is not.
    refused(call!(nr::ADD_KEY, 0, 0, 0, 0, 0))
        && refused(call!(nr::REQUEST_KEY, 0, 0, 0, 0))
        && refused(call!(nr::KEYCTL, u32::MAX, 0, 0, 0, 0))
}

/// The `prctl(2)` options in use.
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

/// The same for an option that asks something, and the answer.
pub fn ask(option: u32, value: usize) -> Result<usize> {
    call!(nr::PRCTL, option, value, 0, 0, 0)
}

const VERSION_3: u32 = 0x2008_0522;

/// The effective, permitted and inheritable sets, their lower words, then their upper ones.
pub fn capabilities() -> Result<[u32; 6]> {
    let header = [VERSION_3, 0];
    let mut sets = [u32::MAX; 6];
    done(call!(nr::CAPGET, header.as_ptr(), sets.as_mut_ptr()))?;
    Ok(sets)
}

/// The real, effective and saved user ids, and the group ids.
pub fn user() -> Result<([u32; 3], [u32; 3])> {
    let (mut uids, mut gids) = ([0u32; 3], [0u32; 3]);
    let [real, effective, saved] = uids.each_mut().map(|id| &raw mut *id);
    done(call!(nr::GETRESUID, real, effective, saved))?;
    let [real, effective, saved] = gids.each_mut().map(|id| &raw mut *id);
    done(call!(nr::GETRESGID, real, effective, saved))?;
    Ok((uids, gids))
}

/// Empties the effective, permitted and inheritable sets.
pub fn drop_capabilities() -> Result<()> {
    let header = [VERSION_3, 0];
    let sets = [0u32; 6];
    done(call!(nr::CAPSET, header.as_ptr(), sets.as_ptr()))
}

pub fn personality(value: u32) -> Result<()> {
    done(call!(nr::PERSONALITY, value))
}

pub fn new_session() -> Result<()> {
    done(call!(nr::SETSID))
}

/// Fails only where a surrounding filter forbids it.
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

/// A socket of the warden's network namespace, of the kind that every kernel with networks has.
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
