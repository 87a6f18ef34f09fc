//! The files of a sandbox: its root, binds, file systems in memory, and terminals.

use crate::boundary::{Answer, bytes, data, strings, texts};
use crate::error::seclude_error;
use crate::limits::SECLUDE_UNLIMITED;
use crate::sandbox::{build, seclude_sandbox};
use seclude_core::{Bind, File, Overlay, Tmpfs};
use std::ffi::{c_char, c_int, c_void};

/// The command may write, as far as the file permissions let its user outside.
pub const SECLUDE_BIND_WRITABLE: u32 = 0x1;
/// The bind is skipped if its source does not exist.
pub const SECLUDE_BIND_OPTIONAL: u32 = 0x2;
/// Nothing in it can be executed.
pub const SECLUDE_BIND_NOEXEC: u32 = 0x4;
/// Device nodes in it work.
pub const SECLUDE_BIND_DEVICES: u32 = 0x8;
/// No symbolic link in the path of the source is followed. For a path through a directory that a
/// program inside could write to in an earlier run.
pub const SECLUDE_BIND_NOFOLLOW: u32 = 0x10;
/// The caller's files in it belong to the command, and what the command makes there to the caller
/// (docs/files.md). Excludes `SECLUDE_BIND_OPTIONAL`. For a privileged caller: Linux 5.12.
pub const SECLUDE_BIND_IDMAPPED: u32 = 0x20;

/// Nothing in it can be executed.
pub const SECLUDE_TMPFS_NOEXEC: u32 = 0x1;

/// Takes the programs from `directory`, which holds another system, instead of from the host's
/// `/usr`.
///
/// The top level of the directory appears inside read-only, except for `/dev`, `/proc`, `/run`,
/// `/sys` and `/tmp`. Nothing is ever written to it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_root(
    sandbox: *mut seclude_sandbox,
    directory: *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.root(bytes("root", directory)?)));
}

/// Begins with an empty root: only what the policy adds is there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_empty_root(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.empty_root()));
}

/// Shows these files of the host's `/etc` read-only, and no others.
///
/// `names` ends with NULL. A name is relative to `/etc`: "ssl/certs". In its last part, a `*`
/// stands for any characters. The list may be empty. Files that do not exist, or that not everybody
/// may read, are skipped.
///
/// By default the sandbox shows the files that programs in `/usr` need; docs/policy.md lists them.
/// With `seclude_sandbox_root` it shows the `/etc` of that root, and with
/// `seclude_sandbox_empty_root` none. Together with either, this setter is a mistake, which is
/// reported when the policy is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_etc(
    sandbox: *mut seclude_sandbox,
    names: *const *const c_char,
) {
    build(sandbox, |sandbox| Ok(sandbox.etc(texts("etc", names)?)));
}

/// Shows the caller's file or directory `source` at the absolute path `at`, read-only.
///
/// Everything that is mounted below a directory appears with it. Set-user-id bits and device nodes
/// have no effect. Mount points are made only in the sandbox's own file systems: below a bound
/// directory, `at` must exist already.
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

/// Shows the caller's file or directory `source` at the absolute path `at`, writable. Otherwise
/// like `seclude_sandbox_bind_ro`.
///
/// If the caller has CAP_SETUID, the command is another user outside (`seclude_sandbox_host_ids`).
/// The start fails with `SECLUDE_ESOURCE_UNREADABLE` if the owners, groups and modes in the source
/// let that user write no file or directory at all. One that it may write is enough.
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

/// Shows the caller's file or directory `source` at the absolute path `at`, with `SECLUDE_BIND_...`
/// flags joined by `|`, or 0.
///
/// With 0 it is the same as `seclude_sandbox_bind_ro`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_bind(
    sandbox: *mut seclude_sandbox,
    source: *const c_char,
    at: *const c_char,
    flags: u32,
) {
    type Flag = (u32, fn(Bind) -> Bind);
    const FLAGS: [Flag; 6] = [
        (SECLUDE_BIND_WRITABLE, Bind::writable),
        (SECLUDE_BIND_OPTIONAL, Bind::optional),
        (SECLUDE_BIND_NOEXEC, Bind::noexec),
        (SECLUDE_BIND_DEVICES, Bind::devices),
        (SECLUDE_BIND_NOFOLLOW, Bind::nofollow),
        (SECLUDE_BIND_IDMAPPED, Bind::idmapped),
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

/// Adds an empty, writable file system in memory at the absolute path `at`, of at most `size`
/// bytes, at least 1. Its mode is 01777.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_tmpfs(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    size: u64,
) {
    unsafe { seclude_sandbox_tmpfs_with(sandbox, at, size, SECLUDE_UNLIMITED, 0o1777, 0) };
}

/// Adds a file system in memory, like `seclude_sandbox_tmpfs`, with every choice.
///
/// It holds at most `size` bytes and `inodes` files and directories, its root included. Both are 1
/// or more, or `SECLUDE_UNLIMITED` for the kernel's own limit, half of the memory. `mode` is the
/// mode of its root, 0 to 07777. `flags` are `SECLUDE_TMPFS_...` joined by `|`, or 0.
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
        Ok(sandbox.entry(tmpfs))
    });
}

/// Adds a writable view of the caller's directories `layers` at the absolute path `at`: an overlay
/// file system. Nothing is written to them. What the sandbox changes is kept in the directory
/// `kept`, or with NULL in memory, and is then gone when the sandbox ends.
///
/// `layers` ends with NULL and has 1 to 64 directories, the lowest first: what is in several is the
/// one in the last of them. At "/" they are the root, with the programs of another system
/// (docs/roots.md). In memory, the changes take at most `size` bytes and `inodes` files and
/// directories. With 0, these are 64 MiB and 65536.
///
/// `kept` must exist, be the caller's own, and be closed to other users (mode 0700). One sandbox at
/// a time can use it. A later one with the same layers goes on with the changes. With both 0, they
/// are not bounded. Otherwise they are in a file system of their own, an ext4 in a file of the
/// directory, of about this size and at least 1 MiB: only for the host's root as the caller, with
/// e2fsprogs and Linux 5.8.
///
/// For a privileged caller's command, the owner of each file is the user with the same number
/// inside, so id 0 owns what the host's root owns (Linux 5.19). For an unprivileged caller's, the
/// caller's files are the command's, and all others belong to nobody. Needs Linux 5.11, and without
/// `kept` 6.6.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_overlay(
    sandbox: *mut seclude_sandbox,
    layers: *const *const c_char,
    at: *const c_char,
    kept: *const c_char,
    size: u64,
    inodes: u64,
) {
    build(sandbox, |sandbox| {
        let layers = strings("layers of overlay", layers)?;
        let overlay = Overlay::new(layers, bytes("overlay", at)?);
        Ok(sandbox.entry(keeping(overlay, kept, size, inodes)?))
    });
}

/// The overlay with its changes kept in `kept`, or in memory within these bounds.
pub(crate) fn keeping(
    mut overlay: Overlay,
    kept: *const c_char,
    size: u64,
    inodes: u64,
) -> Answer<Overlay> {
    if !kept.is_null() {
        overlay = overlay.kept(bytes("kept of overlay", kept)?);
    }
    if size != 0 {
        overlay = overlay.size(size);
    }
    if inodes != 0 {
        overlay = overlay.inodes(inodes);
    }
    Ok(overlay)
}

// faces: begin plain entries
/// Adds a directory that shows the sandbox's POSIX message queues as files, usually at
/// `/dev/mqueue` (`mq_overview(7)`).
///
/// Programs can list, read and remove queues there. `mq_open(3)` works without it. The queues
/// belong to the ipc namespace, which must be the sandbox's own. Each copy of a template has its
/// own queues, and all commands of a cell share theirs.
///
/// - `at`: The path inside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_mqueue(sandbox: *mut seclude_sandbox, at: *const c_char) {
    build(sandbox, |sandbox| {
        Ok(sandbox.entry(seclude_core::Mqueue::new(bytes("at of mqueue", at)?)))
    });
}

/// Adds a disk image: a file with a squashfs or an erofs file system, which is visible inside,
/// read-only. Only for the host's root as the caller, because the kernel lets nobody else mount it.
///
/// The kernel reads the image, and one that is made to harm it endangers the whole host: use only
/// images that you trust. The files keep their owners, so those of the host's root belong to nobody
/// inside, and the command can read what everybody may. Set-user-ID bits and device nodes have no
/// effect. The image must not change while it is in use. squashfs takes a loop device and Linux
/// 5.8, as erofs does before Linux 6.12.
///
/// - `source`: The image outside.
/// - `at`: The path inside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_disk_image(
    sandbox: *mut seclude_sandbox,
    source: *const c_char,
    at: *const c_char,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.entry(seclude_core::DiskImage::new(
            bytes("source of disk_image", source)?,
            bytes("at of disk_image", at)?,
        )))
    });
}

/// Adds the parts of the host's `/sys` that programs read to learn how much they may use, usually
/// at `/sys`. All of it is read-only.
///
/// These are the numbers, the topology and the caches of processors (`devices/system/cpu`), the
/// memory nodes (`devices/system/node`), the settings of transparent huge pages, and in `fs/cgroup`
/// the sandbox's own cgroup with its limits and counters. docs/hardware.md lists the files, and
/// says what of the host they reveal. Entries can add others below.
///
/// `fs/cgroup` is empty without a limit that a cgroup enforces, and if the cgroup namespace is not
/// the sandbox's own.
///
/// - `at`: The path inside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_sys(sandbox: *mut seclude_sandbox, at: *const c_char) {
    build(sandbox, |sandbox| Ok(sandbox.entry(seclude_core::Sys::new(bytes("at of sys", at)?))));
}

/// Adds a proc file system of the sandbox's process tree. If the pid namespace is shared, the
/// caller's `/proc` is bound. Only with `exact_files`; other sandboxes have a `/proc`.
///
/// - `at`: The path inside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_proc(sandbox: *mut seclude_sandbox, at: *const c_char) {
    build(sandbox, |sandbox| Ok(sandbox.entry(seclude_core::Proc::new(bytes("at of proc", at)?))));
}

/// Adds the sandbox's own device directory: a tmpfs with `null`, `zero`, `full`, `random`,
/// `urandom`, `tty`, pseudo-terminals, the usual links, and a directory `shm`. Only with
/// `exact_files`; other sandboxes have a `/dev`.
///
/// - `at`: The path inside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_dev(sandbox: *mut seclude_sandbox, at: *const c_char) {
    build(sandbox, |sandbox| Ok(sandbox.entry(seclude_core::Dev::new(bytes("at of dev", at)?))));
}

/// Makes an existing mount read-only, without the mounts below it. Only with `exact_files`.
///
/// - `at`: The path inside: that of a mount.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_read_only(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.entry(seclude_core::ReadOnly::new(bytes("at of read_only", at)?)))
    });
}

/// Changes the mode of an existing file or directory. Only with `exact_files`.
///
/// - `at`: The path inside.
/// - `mode`: Sets the mode, 0 to 07777. Usual: 0755.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_chmod(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    mode: u32,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.entry(seclude_core::Chmod::new(bytes("at of chmod", at)?).mode(mode)))
    });
}

/// Adds an empty directory.
///
/// - `at`: The path inside.
/// - `mode`: Sets the mode, 0 to 07777. Usual: 0755.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_dir(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    mode: u32,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.entry(seclude_core::Dir::new(bytes("at of dir", at)?).mode(mode)))
    });
}

/// Adds a symbolic link. The arguments have the order of `symlink(2)`.
///
/// - `target`: The text of the link.
/// - `at`: The path inside.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_symlink(
    sandbox: *mut seclude_sandbox,
    target: *const c_char,
    at: *const c_char,
) {
    build(sandbox, |sandbox| {
        Ok(sandbox.entry(seclude_core::Symlink::new(
            bytes("target of symlink", target)?,
            bytes("at of symlink", at)?,
        )))
    });
}
// faces: end

/// Adds a file at the absolute path `at` with `size` bytes from `data`, of mode `mode`, 0 to 07777:
/// 0644, for example.
///
/// The bytes are copied. `data` may be NULL if `size` is 0.
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
        Ok(sandbox.entry(File::new(bytes("file", at)?, data).mode(mode)))
    });
}

/// Mounts a file with `size` bytes from `data` at the absolute path `at`, of mode `mode`, over an
/// existing file. It is read-only unless `writable` is not 0; nothing is written outside. Needs
/// `seclude_sandbox_exact_files`.
///
/// The bytes are copied. `data` may be NULL if `size` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_bound_file(
    sandbox: *mut seclude_sandbox,
    at: *const c_char,
    data: *const c_void,
    size: usize,
    mode: u32,
    writable: c_int,
) {
    build(sandbox, |sandbox| {
        let data = self::data("file data", data, size)?.to_vec();
        let file = File::new(bytes("file", at)?, data).mode(mode).bound();
        Ok(sandbox.entry(if writable == 0 { file } else { file.writable() }))
    });
}

/// Requires pseudo-terminals of the sandbox's own: `/dev/pts`, `/dev/ptmx` and `/dev/tty` (pts(4)).
///
/// Programs inside can then open terminals, and a command can have one as its standard streams
/// (`SECLUDE_STDIO_PTY`). None of the caller's terminals is among them. No program can push
/// characters back into one (TIOCSTI), unless the policy removes the filter of system calls.
///
/// A sandbox has them by default, unless the policy puts something else at these paths or shares
/// the mount namespace. With this setter, that is a mistake, which is reported when the policy is
/// used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_terminals(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.terminals()));
}

/// Leaves out the pseudo-terminals of the sandbox's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_no_terminals(sandbox: *mut seclude_sandbox) {
    build(sandbox, |sandbox| Ok(sandbox.no_terminals()));
}
