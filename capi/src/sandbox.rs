//! `seclude_sandbox`: a policy and its setters, each a translation of one method of the core's
//! `Sandbox`. Its limits have a file of their own, `limits`.

use crate::boundary::{Answer, Sticky, bytes, code, data, free, made, read, set, texts, utf8};
use crate::command::seclude_command;
use crate::error::seclude_error;
use crate::text::seclude_text;
use seclude_core::{Bind, Clock, Entry, Namespace, Resource, Sandbox, Tmpfs};
use std::ffi::{c_char, c_int, c_void};
use std::mem;
use std::ptr;

/// User and group ids, keyrings, capabilities: user_namespaces(7). The number is that of
/// `CLONE_NEWUSER`, and so below.
pub const SECLUDE_NAMESPACE_USER: c_int = 0x1000_0000;
/// The file system tree: mount_namespaces(7).
pub const SECLUDE_NAMESPACE_MOUNT: c_int = 0x0002_0000;
/// Process ids: pid_namespaces(7).
pub const SECLUDE_NAMESPACE_PID: c_int = 0x2000_0000;
/// Network devices, addresses, ports, abstract sockets: network_namespaces(7).
pub const SECLUDE_NAMESPACE_NET: c_int = 0x4000_0000;
/// System V IPC, POSIX message queues: ipc_namespaces(7).
pub const SECLUDE_NAMESPACE_IPC: c_int = 0x0800_0000;
/// Host and domain name: uts_namespaces(7).
pub const SECLUDE_NAMESPACE_UTS: c_int = 0x0400_0000;
/// The view of the cgroup tree: cgroup_namespaces(7).
pub const SECLUDE_NAMESPACE_CGROUP: c_int = 0x0200_0000;
/// The monotonic and boot clocks: time_namespaces(7), Linux 5.6.
pub const SECLUDE_NAMESPACE_TIME: c_int = 0x0000_0080;

/// The clock that never jumps, and its kin. The number is that of `CLOCK_MONOTONIC`.
pub const SECLUDE_CLOCK_MONOTONIC: c_int = 1;
/// The time since boot, and `/proc/uptime`. The number is that of `CLOCK_BOOTTIME`.
pub const SECLUDE_CLOCK_BOOTTIME: c_int = 7;

/// For `seclude_sandbox_bind`: the command may write, as far as the file permissions let the user
/// behind it.
pub const SECLUDE_BIND_WRITABLE: u32 = 1;
/// For `seclude_sandbox_bind`: passed over if the source does not exist.
pub const SECLUDE_BIND_OPTIONAL: u32 = 2;
/// For `seclude_sandbox_bind`: nothing in it can be executed.
pub const SECLUDE_BIND_NOEXEC: u32 = 4;
/// For `seclude_sandbox_bind`: device nodes in it work.
pub const SECLUDE_BIND_DEVICES: u32 = 8;
/// For `seclude_sandbox_bind`: no symbolic link in the source's path is followed: for a path
/// through a directory that a program inside could write to in an earlier run.
pub const SECLUDE_BIND_NOFOLLOW: u32 = 16;

/// For `seclude_sandbox_tmpfs_with`: nothing in it can be executed.
pub const SECLUDE_TMPFS_NOEXEC: u32 = 1;

/// No limit, where a size, a number or a resource is limited: `UINT64_MAX`.
pub const SECLUDE_UNLIMITED: u64 = u64::MAX;

/// A policy: what world a program sees, and what it may use. Nothing runs yet.
///
/// A new one is safe by default: every namespace private but the clocks', no network but loopback,
/// the host's `/usr` read-only, nothing writable but `/tmp` and `/dev/shm`, which are its own, a
/// user id that means nothing outside, no privileges. Each setter opens or shapes one thing. A
/// mistake in a setter sticks: everything that uses the sandbox reports the first one.
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

/// A setter: the core's builder takes a sandbox and gives a changed one.
pub(crate) fn build(
    sandbox: *mut seclude_sandbox,
    change: impl FnOnce(Sandbox) -> Answer<Sandbox>,
) {
    set(sandbox, |object| {
        object.sandbox = change(mem::take(&mut object.sandbox))?;
        Ok(())
    });
}

pub(crate) fn loaded(sandbox: Sandbox) -> seclude_sandbox {
    seclude_sandbox { sandbox, sticky: None }
}

/// The default sandbox. Never NULL. Free it with `seclude_sandbox_free`; commands made from it live
/// on.
#[unsafe(no_mangle)]
pub extern "C" fn seclude_sandbox_new() -> *mut seclude_sandbox {
    Box::into_raw(Box::default())
}

/// A copy, with the error that sticks to the original, if one does. Cheap. Its own
/// `seclude_sandbox_free`. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_clone(
    sandbox: *const seclude_sandbox,
) -> *mut seclude_sandbox {
    let mut copy = ptr::null_mut();
    made("sandbox", &mut copy, ptr::null_mut(), || Ok(read("sandbox", sandbox)?.clone()));
    copy
}

/// Frees a sandbox. NULL is a no-op. Commands and children made from it are not affected.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_free(sandbox: *mut seclude_sandbox) {
    free(sandbox);
}

/// A command that runs `program` in a copy of this sandbox, as it is now; later changes to the
/// sandbox do not reach it. A program without a slash is looked for in PATH inside. Never NULL: if
/// `sandbox` or `program` is, the command carries that error, and spawning it tells. Free it with
/// `seclude_command_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_command(
    sandbox: *const seclude_sandbox,
    program: *const c_char,
) -> *mut seclude_command {
    seclude_command::new(|| {
        Ok(read("sandbox", sandbox)?.sound()?.command(bytes("program", program)?))
    })
}

/// Tells the first mistake in the policy, or the error that sticks, without starting anything. 0 if
/// there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_check(
    sandbox: *const seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        read("sandbox", sandbox)?.sound()?.check()?;
        Ok(0)
    })
}

// ---- the policy as text

/// A sandbox from a policy in JSON, UTF-8: `{"hostname": "judge", "files": [{"tmpfs": "/tmp",
/// "size": "64M"}]}`. Unknown keys are refused with the nearest known one (`SECLUDE_EPOLICY`).
/// `*sandbox` is new, or NULL after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_from_json(
    json: *const c_char,
    sandbox: *mut *mut seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    made("sandbox", sandbox, err, || Ok(loaded(Sandbox::from_json(utf8("policy", json)?)?)))
}

/// A sandbox from a policy in TOML, with the keys of the JSON form. `*sandbox` is new, or NULL
/// after an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_from_toml(
    toml: *const c_char,
    sandbox: *mut *mut seclude_sandbox,
    err: *mut *mut seclude_error,
) -> c_int {
    made("sandbox", sandbox, err, || Ok(loaded(Sandbox::from_toml(utf8("policy", toml)?)?)))
}

/// The policy as JSON, with only what differs from the default. `*text` is new, or NULL after an
/// error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_to_json(
    sandbox: *const seclude_sandbox,
    text: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    made("text", text, err, || Ok(seclude_text::new(read("sandbox", sandbox)?.sound()?.to_json()?)))
}

/// The policy as TOML, with only what differs from the default. `*text` is new, or NULL after an
/// error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_to_toml(
    sandbox: *const seclude_sandbox,
    text: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    made("text", text, err, || Ok(seclude_text::new(read("sandbox", sandbox)?.sound()?.to_toml()?)))
}

// ---- namespaces

/// Shares the caller's namespaces of these kinds, one or several `SECLUDE_NAMESPACE_...` joined by
/// `|`.
///
/// User needs CAP_SYS_ADMIN and `seclude_sandbox_nested`, and ids are the host's. Mount: the
/// caller's files, as they are; the policy cannot add any. Pid: the warden ends the tree itself,
/// which is weaker than the kernel's promise: if the warden is killed from outside, what is inside
/// lives on. Time is shared anyway.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_share(sandbox: *mut seclude_sandbox, kinds: c_int) {
    build(sandbox, |sandbox| Ok(namespaces(kinds)?.fold(sandbox, Sandbox::share)));
}

/// Gives the sandbox namespaces of its own of these kinds, one or several joined by `|`. It has all
/// but time, unless shared.
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

/// Shifts a clock, one of `SECLUDE_CLOCK_...`, by so many seconds, forwards or back, in a time
/// namespace of the sandbox's own (Linux 5.6). The kernel refuses what would make the clock
/// negative.
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

// ---- settings that are one value

// faces: begin plain settings
/// The host name, 1 to 64 bytes. Default: `sandbox`. UTF-8.
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

/// Keeps the root directory, a tmpfs, writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_writable_root(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.writable_root()));
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

// ---- files

/// Takes the programs from `directory`, which holds another system, instead of from the host's
/// `/usr`. Its top level is shown read-only, but for `/dev`, `/proc`, `/run`, `/sys` and `/tmp`;
/// nothing is ever written to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_root(
    sandbox: *mut seclude_sandbox,
    directory: *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.root(bytes("root", directory)?)));
}

/// Takes no programs from anywhere: only what is bound is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_empty_root(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.empty_root()));
}

/// Shows these of the host's `/etc`, read-only, and nothing else of it: `names`, which ends with
/// NULL, of names like "ssl/certs", in whose last part a `*` stands for any characters. None at all
/// is possible. What is not there, and what not everybody may read, is passed over.
///
/// If nothing is said, what programs in `/usr` cannot do without: the list is in docs/policy.md. Of
/// another root (`seclude_sandbox_root`) its own `/etc` is shown, and of an empty one none: both
/// with this are an error when the policy is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_etc(
    sandbox: *mut seclude_sandbox,
    names: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.etc(texts("etc", names)?)));
}

/// Shows a file or directory of the caller's, `source`, at the absolute path `at`, read-only.
///
/// Everything mounted below a directory is shown with it. Set-user-id bits and device nodes have no
/// effect. Mount points are made only in the sandbox's own file systems; in a directory of the
/// caller's that is bound, the place must exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_bind_ro(
    sandbox: *mut seclude_sandbox,
    source: *const c_char,
    at: *const c_char,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.bind_ro(bytes("bind source", source)?, bytes("bind destination", at)?))
    });
}

/// Shows a file or directory of the caller's at the absolute path `at`, writable; otherwise as
/// `seclude_sandbox_bind_ro`.
///
/// The command of a caller with CAP_SETUID is another user outside (`seclude_sandbox_host_ids`).
/// If the owner, the group and the mode of every file in the source deny that user, the start fails
/// with `SECLUDE_ESOURCE_UNREADABLE`. One file or directory in it that the command may write is
/// enough.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_bind_rw(
    sandbox: *mut seclude_sandbox,
    source: *const c_char,
    at: *const c_char,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.bind_rw(bytes("bind source", source)?, bytes("bind destination", at)?))
    });
}

/// Shows a file or directory of the caller's at the absolute path `at`, with `SECLUDE_BIND_...`
/// flags joined by `|`, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_bind(
    sandbox: *mut seclude_sandbox,
    source: *const c_char,
    at: *const c_char,
    flags: u32,
) {
    type Flag = (u32, fn(Bind) -> Bind);
    const FLAGS: [Flag; 5] = [
        (SECLUDE_BIND_WRITABLE, Bind::writable),
        (SECLUDE_BIND_OPTIONAL, Bind::optional),
        (SECLUDE_BIND_NOEXEC, Bind::noexec),
        (SECLUDE_BIND_DEVICES, Bind::devices),
        (SECLUDE_BIND_NOFOLLOW, Bind::nofollow),
    ];
    build(sandbox, |sandbox| {
        known("bind flags", flags, FLAGS.iter().fold(0, |all, (flag, _)| all | flag))?;
        let bind = Bind::new(bytes("bind source", source)?, bytes("bind destination", at)?);
        Ok(sandbox.bind(
            FLAGS
                .iter()
                .filter(|(flag, _)| flags & flag != 0)
                .fold(bind, |bind, (_, apply)| apply(bind)),
        ))
    });
}

fn known(what: &str, flags: u32, all: u32) -> Answer<()> {
    match flags & !all {
        0 => Ok(()),
        strange => {
            Err(seclude_error::invalid(&format!("{what} {strange:#x}"), "no flag has this value"))
        }
    }
}

/// An empty, writable file system in memory at the absolute path `at`: mode 1777, at most `size`
/// bytes, at least 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_tmpfs(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    size: u64,
) {
    unsafe { seclude_sandbox_tmpfs_with(sandbox, at, size, SECLUDE_UNLIMITED, 0o1777, 0) };
}

/// The same with every choice: at most `size` bytes and `inodes` files and directories, the root of
/// it among them, each 1 or more, or `SECLUDE_UNLIMITED` for the kernel's own limit (half of the
/// memory); the `mode` of its root, 0 to 07777; and `SECLUDE_TMPFS_...` flags joined by `|`, or 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_tmpfs_with(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    size: u64,
    inodes: u64,
    mode: u32,
    flags: u32,
) {
    build(sandbox, |sandbox| {
        known("tmpfs flags", flags, SECLUDE_TMPFS_NOEXEC)?;
        let mut tmpfs = Tmpfs::new(bytes("tmpfs", at)?).mode(mode);
        if size != SECLUDE_UNLIMITED {
            tmpfs = tmpfs.size(size);
        }
        if inodes != SECLUDE_UNLIMITED {
            tmpfs = tmpfs.inodes(inodes);
        }
        if flags & SECLUDE_TMPFS_NOEXEC != 0 {
            tmpfs = tmpfs.noexec();
        }
        Ok(sandbox.entry(Entry::Tmpfs(tmpfs)))
    });
}

/// An empty directory at the absolute path `at`, of this mode, 0 to 07777: 0755, say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_dir(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    mode: u32,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.entry(Entry::Dir { at: bytes("directory", at)?.into(), mode }))
    });
}

/// A symbolic link at the absolute path `at` with the text `target`, as for symlink(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_symlink(
    sandbox: *mut seclude_sandbox,
    target: *const c_char,
    at: *const c_char,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.symlink(bytes("symlink target", target)?, bytes("symlink", at)?))
    });
}

/// A file at the absolute path `at` that holds `size` bytes from `data`, which are copied, of this
/// mode, 0 to 07777: 0644, say. `data` may be NULL if `size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_file(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    data: *const c_void,
    size: usize,
    mode: u32,
) {
    build(sandbox, |sandbox| {
        let data = self::data("file data", data, size)?.to_vec();
        Ok(sandbox.entry(Entry::File { at: bytes("file", at)?.into(), data, mode }))
    });
}

/// Insists on pseudo-terminals of the sandbox's own: `/dev/pts`, `/dev/ptmx` and `/dev/tty`
/// (pts(4)), so that programs inside can make some, and a command can have one as its standard
/// streams, `SECLUDE_STDIO_PTY`. None of the caller's is ever among them. Characters
/// cannot be pushed back into one (TIOCSTI) unless the filter of system calls is taken off.
///
/// They are there by default, unless the policy puts something else at their places or shares the
/// mount namespace: then this is an error when the policy is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_terminals(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.terminals()));
}

/// Leaves out pseudo-terminals of the sandbox's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_no_terminals(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.no_terminals()));
}

// ---- hardening, and limits of single processes

/// A resource limit of each process, as for setrlimit(2): `resource` is an `RLIMIT_...` of
/// `<sys/resource.h>`, `SECLUDE_UNLIMITED` is no limit. If nothing is said: core 1 byte (no dump,
/// not even through a pipe), nofile 1024 of at most 10240, memlock 8 MiB, stack 8 MiB of at most
/// what the caller has, sigpending 4096, and the rest as the caller has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_rlimit(
    sandbox: *mut seclude_sandbox,
    resource: c_int,
    soft: u64,
    hard: u64,
) {
    build(sandbox, |sandbox| {
        match Resource::ALL.iter().find(|known| i64::from(known.number()) == i64::from(resource)) {
            Some(resource) => Ok(sandbox.rlimit(*resource, soft, hard)),
            None => Err(seclude_error::invalid(
                &format!("rlimit {resource}"),
                "no resource that can be limited has this number",
            )),
        }
    });
}

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
