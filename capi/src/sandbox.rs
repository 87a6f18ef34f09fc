//! `seclude_sandbox`: a policy and its setters, each of which calls one method of the core's
//! `Sandbox`. The setters of files, limits, filters and Landlock have files of their own.

use crate::boundary::{Answer, Sticky, bytes, code, create, free, read, set, texts, utf8};
use crate::error::seclude_error;
use seclude_core::{Capability, Clock, Namespace, Sandbox};
use std::ffi::{c_char, c_int};
use std::mem;
use std::ptr;

/// User and group ids, keyrings, capabilities: user_namespaces(7), `CLONE_NEWUSER`.
pub const SECLUDE_NAMESPACE_USER: c_int = 0x1000_0000;
/// The file system tree: mount_namespaces(7), `CLONE_NEWNS`.
pub const SECLUDE_NAMESPACE_MOUNT: c_int = 0x0002_0000;
/// Process ids: pid_namespaces(7), `CLONE_NEWPID`.
pub const SECLUDE_NAMESPACE_PID: c_int = 0x2000_0000;
/// Network devices, addresses, ports, abstract sockets: network_namespaces(7), `CLONE_NEWNET`.
pub const SECLUDE_NAMESPACE_NET: c_int = 0x4000_0000;
/// System V IPC, POSIX message queues: ipc_namespaces(7), `CLONE_NEWIPC`.
pub const SECLUDE_NAMESPACE_IPC: c_int = 0x0800_0000;
/// Host and domain name: uts_namespaces(7), `CLONE_NEWUTS`.
pub const SECLUDE_NAMESPACE_UTS: c_int = 0x0400_0000;
/// The view of the cgroup tree: cgroup_namespaces(7), `CLONE_NEWCGROUP`.
pub const SECLUDE_NAMESPACE_CGROUP: c_int = 0x0200_0000;
/// The monotonic and boot clocks: time_namespaces(7), `CLONE_NEWTIME`, Linux 5.6.
pub const SECLUDE_NAMESPACE_TIME: c_int = 0x0000_0080;

/// The monotonic clock: `CLOCK_MONOTONIC`, and the clocks that are derived from it.
pub const SECLUDE_CLOCK_MONOTONIC: c_int = 1;
/// The time since boot: `CLOCK_BOOTTIME`, and `/proc/uptime`.
pub const SECLUDE_CLOCK_BOOTTIME: c_int = 7;

/// A policy: what a program sees, and what it may use. No process runs yet.
///
/// A new sandbox is restrictive. It has every namespace of its own except the time namespace. Its
/// network has only a loopback device. It shows the host's `/usr` read-only. Only `/tmp` and
/// `/dev/shm` are writable, and both are its own. The user id inside means nothing outside, and the
/// command has no privileges. Each setter changes one of these things.
///
/// A mistake in a setter sticks to the sandbox. Every function that uses the sandbox reports the
/// first one.
#[derive(Clone, Default)]
pub struct seclude_sandbox {
    sandbox: Sandbox,
    sticky: Option<seclude_error>,
}

impl seclude_sandbox {
    pub(crate) fn sound(&self) -> Answer<&Sandbox> {
        self.sticky.clone().map_or(Ok(&self.sandbox), Err)
    }
}

impl Sticky for seclude_sandbox {
    fn sticky(&mut self) -> &mut Option<seclude_error> {
        &mut self.sticky
    }
}

/// Runs a setter. The core's builder methods take the sandbox by value and return the changed one.
pub(crate) fn build(
    sandbox: *mut seclude_sandbox,
    change: impl FnOnce(Sandbox) -> Answer<Sandbox>,
) {
    set(sandbox, |object| {
        object.sandbox = change(mem::take(&mut object.sandbox))?;
        Ok(())
    });
}

pub(crate) fn from_policy(sandbox: Sandbox) -> seclude_sandbox {
    seclude_sandbox { sandbox, sticky: None }
}

/// Makes a sandbox with the default policy. Never NULL.
///
/// Owned: free it with `seclude_sandbox_free`. Commands made from it do not depend on it.
#[unsafe(no_mangle)]
#[must_use]
pub extern "C" fn seclude_sandbox_new() -> *mut seclude_sandbox {
    Box::into_raw(Box::default())
}

/// Copies a sandbox, together with the mistake that sticks to it. The copy is cheap. NULL for NULL.
///
/// Owned: free it with `seclude_sandbox_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_clone(
    sandbox: *const seclude_sandbox,
) -> *mut seclude_sandbox {
    let mut copy = ptr::null_mut();
    create("sandbox", &mut copy, ptr::null_mut(), || Ok(read("sandbox", sandbox)?.clone()));
    copy
}

/// Frees a sandbox. NULL is a no-op. Commands and children made from it are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_free(sandbox: *mut seclude_sandbox) {
    free(sandbox);
}

/// Reports the first mistake in the policy without starting anything. Returns 0 if there is none.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_check(
    sandbox: *const seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        read("sandbox", sandbox)?.sound()?.check()?;
        Ok(0)
    })
}

// ---- namespaces

/// Shares the caller's namespaces of these kinds: `SECLUDE_NAMESPACE_...`, joined by `|`.
///
/// - User: takes CAP_SYS_ADMIN and `seclude_sandbox_nested`. Ids inside are the host's.
/// - Mount: the command sees the caller's files as they are, and the policy cannot add any.
/// - Pid: the warden ends the process tree itself. This is weaker than the kernel's guarantee: if
///   the warden is killed from outside, the processes inside live on.
/// - Time: shared by default.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_share(sandbox: *mut seclude_sandbox, kinds: c_int) {
    build(sandbox, |sandbox| Ok(namespaces(kinds)?.fold(sandbox, Sandbox::share)));
}

/// Lets the command keep these capabilities in the sandbox's user namespace: bits such as
/// `1 << CAP_NET_ADMIN`, as in `/proc/PID/status`. Default: 0. Further calls add more.
///
/// With a shared user namespace and `seclude_sandbox_as_caller`, they are the caller's own and act
/// on the whole host. Only for programs that the caller trusts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_capabilities(sandbox: *mut seclude_sandbox, set: u64) {
    build(sandbox, |sandbox| {
        let known = Capability::ALL.iter().fold(0, |set, one| set | 1u64 << one.number());
        if set & !known != 0 {
            return Err(seclude_error::invalid(
                &format!("capabilities {:#x}", set & !known),
                "no capability has this number",
            ));
        }
        let wanted = |one: &&Capability| set >> one.number() & 1 != 0;
        Ok(Capability::ALL
            .iter()
            .copied()
            .filter(|one| wanted(&one))
            .fold(sandbox, Sandbox::capability))
    });
}

/// Gives the sandbox namespaces of its own of these kinds: `SECLUDE_NAMESPACE_...`, joined by `|`.
///
/// By default a sandbox has its own of every kind except time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_unshare(sandbox: *mut seclude_sandbox, kinds: c_int) {
    build(sandbox, |sandbox| Ok(namespaces(kinds)?.fold(sandbox, Sandbox::unshare)));
}

pub(crate) fn namespaces(kinds: c_int) -> Answer<impl Iterator<Item = Namespace>> {
    // A negative number has bits that no namespace has.
    let kinds = i64::from(kinds) as u64;
    let known = Namespace::ALL.iter().fold(0, |flags, kind| flags | kind.flag());
    match kinds {
        0 => Err(seclude_error::invalid("namespaces", "none is named")),
        kinds if kinds & !known != 0 => Err(seclude_error::invalid(
            &format!("namespaces {:#x}", kinds & !known),
            "no kind of namespace has this number",
        )),
        kinds => Ok(Namespace::ALL.iter().copied().filter(move |kind| kinds & kind.flag() != 0)),
    }
}

/// Shifts a clock inside, one of `SECLUDE_CLOCK_...`, by `seconds`, forwards or backwards.
///
/// This gives the sandbox a time namespace of its own (Linux 5.6). The kernel refuses an offset
/// that makes the clock negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_clock_offset(
    sandbox: *mut seclude_sandbox,
    clock: c_int,
    seconds: i64,
) {
    build(sandbox, |sandbox| match clock {
        SECLUDE_CLOCK_MONOTONIC => Ok(sandbox.clock_offset(Clock::Monotonic, seconds)),
        SECLUDE_CLOCK_BOOTTIME => Ok(sandbox.clock_offset(Clock::Boottime, seconds)),
        _ => Err(seclude_error::invalid(
            &format!("clock {clock}"),
            "only the monotonic and the boot clock can be shifted",
        )),
    });
}

// ---- settings of one value

// faces: begin plain settings
/// The address in the network, IPv4 or IPv6. The address in the other subnet has the same number.
/// By default the network chooses one that no member has. UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_address(
    sandbox: *mut seclude_sandbox,
    address: *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.address(utf8("address", address)?)));
}

/// The TCP and UDP ports that are published on the host, each in the form
/// `[ADDRESS:][PORT:]PORT[/udp]` (docs/networks.md). The last port is the one in the sandbox. By
/// default the address is 127.0.0.1, and the kernel chooses the port. The list ends with NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_ports(
    sandbox: *mut seclude_sandbox,
    ports: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.ports(texts("ports", ports)?)));
}

/// The destinations that the sandbox may reach outside, each in the form
/// `HOST[:PORT[-PORT]][/PROTOCOL]` (docs/egress.md). HOST is a name, `*.` and a name, an address, a
/// network such as `10.0.0.0/8`, or `*`. Default: none. The list ends with NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_egress(
    sandbox: *mut seclude_sandbox,
    egress: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.egress(texts("egress", egress)?)));
}

/// Destinations that are denied, although `egress` allows them. They have the same form. The list
/// ends with NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_egress_deny(
    sandbox: *mut seclude_sandbox,
    egress_deny: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.egress_deny(texts("egress_deny", egress_deny)?)));
}

/// The addresses to which names lead instead of their own, each in the form `NAME=ADDRESS[:PORT]`.
/// `egress` must allow the name. The address may be one of the host's. The list ends with NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_egress_names(
    sandbox: *mut seclude_sandbox,
    egress_names: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.egress_names(texts("egress_names", egress_names)?)));
}

/// Credentials that the caller adds to what the sandbox sends to a host, each in the form
/// `ORIGIN=FILE` (docs/egress.md). ORIGIN is `https://NAME[:PORT]`, or `http://` without
/// encryption, and `egress` must allow it. The program speaks plain HTTP to port 80 of NAME, and
/// the caller speaks to ORIGIN. FILE is an absolute path of the caller's, with lines of the form
/// `HEADER: VALUE`. The caller reads it when the sandbox starts, and adds the headers to each
/// request. The list ends with NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_egress_credentials(
    sandbox: *mut seclude_sandbox,
    egress_credentials: *const *const c_char,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.egress_credentials(texts("egress_credentials", egress_credentials)?))
    });
}

/// Asks the program that runs the sandbox about destinations that no rule allows and none denies. A
/// policy as text only says so, and the program gives a function that decides (docs/egress.md).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_egress_ask(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.egress_ask()));
}

/// The host name, 1 to 64 bytes. Default: `sandbox`. The members of a network find each other by
/// it, if it is set. UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_hostname(
    sandbox: *mut seclude_sandbox,
    hostname: *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.hostname(utf8("hostname", hostname)?)));
}

/// The NIS domain name, 1 to 64 bytes. Default: the caller's. UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_domainname(
    sandbox: *mut seclude_sandbox,
    domainname: *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.domainname(utf8("domainname", domainname)?)));
}

/// The user id inside. Default: 1000. The id 0 is root inside, without any capability.
///
/// Outside, the command of an unprivileged caller has the caller's own id. The command of a
/// privileged caller has the id `host_ids` plus this number, and never the host's root. This number
/// must then be below the number of mapped ids (see `host_ids`).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_uid(sandbox: *mut seclude_sandbox, uid: u32) {
    build(sandbox, |sandbox| Ok(sandbox.uid(uid)));
}

/// The group id inside. The rules for `uid` apply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_gid(sandbox: *mut seclude_sandbox, gid: u32) {
    build(sandbox, |sandbox| Ok(sandbox.gid(gid)));
}

/// The user's name in `/etc/passwd` and `/etc/group`, without colon, slash and newline. Default:
/// `user`. UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_user(sandbox: *mut seclude_sandbox, user: *const c_char) {
    build(sandbox, |sandbox| Ok(sandbox.user(utf8("user", user)?)));
}

/// The user's home directory in `/etc/passwd` and HOME, an absolute path. Default: `/tmp`. The
/// directory is not created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_home(sandbox: *mut seclude_sandbox, home: *const c_char) {
    build(sandbox, |sandbox| Ok(sandbox.home(bytes("home", home)?)));
}

/// The first host id to which a privileged caller's sandbox maps its ids, starting with id 0
/// inside. Must not be 0. The sandbox maps 65536 ids, or as many as the caller's user namespace has
/// from there on. It is an error if the caller's user namespace lacks the requested ids. Give
/// sandboxes different ranges if they must not access each other's files.
///
/// By default the range starts at 0x70000000, which distributions leave unused. If the caller's
/// user namespace lacks these ids, as in a container, the sandbox uses its highest ids, as many as
/// uid and gid need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_host_ids(sandbox: *mut seclude_sandbox, host_ids: u32) {
    build(sandbox, |sandbox| Ok(sandbox.host_ids(host_ids)));
}

/// Lets the command be the caller's own user and group outside, even if the caller is privileged.
/// `uid` and `gid` still are its numbers inside.
///
/// Only for programs that the caller trusts, such as its own tests. The command of the host's root
/// then owns root's files, and can change those that writable binds show. It has no capability over
/// them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_as_caller(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.as_caller()));
}

/// Keeps the root directory, a tmpfs, writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_writable_root(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.writable_root()));
}

/// The file system consists of the entries in `files` alone, which are applied in their order.
/// There is no program of the host's, no `/dev`, `/proc` and `/tmp` unless an entry adds it
/// (`proc`, `dev`).
///
/// An entry may be at `/`, and several may be at one path: a later mount covers what is there.
/// Directories, links, files and mount points are also created in writable binds, and so in the
/// caller's directories. The root is writable unless an entry makes it read-only (`read_only`).
/// With a shared pid namespace, a proc must be visible at `/proc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_exact_files(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.exact_files()));
}

/// Shows nothing but processes in `/proc`: the mount option `subset=pid` (`proc(5)`, Linux 5.8).
/// The files about the whole machine are not there, among them `cpuinfo`, `meminfo`, `stat`,
/// `loadavg`, `mounts` and `sys`. Programs that ask how many processors and how much memory there
/// is then may guess or fail. It also applies to `proc` entries. Excludes `nested` and a shared pid
/// namespace.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_proc_subset(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.proc_subset()));
}

/// The command is process 1 of its process tree, as some programs insist on being: systemd, s6,
/// runit. Otherwise process 1 is the sandbox's own, which reaps orphans.
///
/// The kernel delivers no signal to process 1 for which it has no handler, but SIGKILL and SIGSTOP
/// of the caller (`pid_namespaces(7)`). Orphans become its children. When it ends, everything
/// inside ends. One command alone can be process 1: such a sandbox has no cell and no reusing pool.
/// Excludes a shared or joined pid or mount namespace. Needs the mount calls of Linux 5.2.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_as_pid_1(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.as_pid_1()));
}

/// The host's devices that the command may use (docs/hardware.md). Each is a class of device nodes:
/// `accel`, `dri`, `fuse`, `kfd`, `kvm`, `render`, `snd`, `tun` or `video`, with all that the host
/// has of it. Or it is a device of a CDI specification, of the form `vendor.com/class=name`.
/// Default: none. The list ends with NULL.
///
/// It is an error if the host has no such device, and for a privileged caller if the command's user
/// may not open a node. A device of a specification can bring further files, links and environment
/// variables with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_devices(
    sandbox: *mut seclude_sandbox,
    devices: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.devices(texts("devices", devices)?)));
}

/// The directories with CDI specifications, instead of `/etc/cdi` and `/var/run/cdi`. In which one
/// a device is found last counts. The list ends with NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cdi_spec_dirs(
    sandbox: *mut seclude_sandbox,
    cdi_spec_dirs: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.cdi_spec_dirs(texts("cdi_spec_dirs", cdi_spec_dirs)?)));
}

/// Lets programs inside create user namespaces, and so nested sandboxes. `/proc` is then neither
/// masked nor partly hidden, because the kernel allows a fresh procfs only where a complete one is
/// visible.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_nested(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.nested()));
}

/// The parent directory of the sandbox's cgroup, in a mounted cgroup v2 hierarchy. The caller must
/// have write access, and no process may be directly in it. The library enables missing controllers
/// there. The environment variable SECLUDE_CGROUP has the same effect. By default the library looks
/// for a suitable directory (docs/limits.md).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_cgroup(
    sandbox: *mut seclude_sandbox,
    cgroup: *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.cgroup(bytes("cgroup", cgroup)?)));
}

/// An installed warden to execute instead of the built-in one. Needed on hosts that allow user
/// namespaces by the path of the executable (AppArmor), or forbid to execute memory files
/// (`vm.memfd_noexec=2`). `make install` puts one at `libexec/seclude/warden`. The environment
/// variable SECLUDE_WARDEN has the same effect.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_warden(
    sandbox: *mut seclude_sandbox,
    warden: *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.warden(bytes("warden", warden)?)));
}
// faces: end

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_have_the_numbers_of_the_core_and_of_the_kernel() {
        let ours = [
            (SECLUDE_NAMESPACE_USER, Namespace::User, libc::CLONE_NEWUSER),
            (SECLUDE_NAMESPACE_MOUNT, Namespace::Mount, libc::CLONE_NEWNS),
            (SECLUDE_NAMESPACE_PID, Namespace::Pid, libc::CLONE_NEWPID),
            (SECLUDE_NAMESPACE_NET, Namespace::Net, libc::CLONE_NEWNET),
            (SECLUDE_NAMESPACE_IPC, Namespace::Ipc, libc::CLONE_NEWIPC),
            (SECLUDE_NAMESPACE_UTS, Namespace::Uts, libc::CLONE_NEWUTS),
            (SECLUDE_NAMESPACE_CGROUP, Namespace::Cgroup, libc::CLONE_NEWCGROUP),
            (SECLUDE_NAMESPACE_TIME, Namespace::Time, libc::CLONE_NEWTIME),
        ];
        assert_eq!(ours.len(), Namespace::ALL.len());
        for (number, kind, kernel) in ours {
            assert_eq!((number as u64, number), (kind.flag(), kernel));
        }
        assert_eq!(
            (SECLUDE_CLOCK_MONOTONIC, SECLUDE_CLOCK_BOOTTIME),
            (libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME)
        );
    }

    #[test]
    fn namespaces_are_named_by_one_or_several_known_bits() {
        let list = |kinds| {
            namespaces(kinds)
                .map(|kinds| kinds.collect::<Vec<_>>())
                .map_err(|error| error.message().to_owned())
        };
        assert_eq!(
            list(SECLUDE_NAMESPACE_NET | SECLUDE_NAMESPACE_USER),
            Ok(vec![Namespace::User, Namespace::Net])
        );
        assert_eq!(list(0), Err("namespaces: none is named".into()));
        assert_eq!(list(1), Err("namespaces 0x1: no kind of namespace has this number".into()));
        assert!(list(-1).is_err());
    }
}
