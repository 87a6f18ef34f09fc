//! Mounts, by descriptor where the kernel can.

use super::number as nr;
use super::{AT_EMPTY_PATH, AT_RECURSIVE, Call, Errno, Fd, Result, descriptor, done, open};
use core::ffi::CStr;

/// Copies the mount tree at `fd`. The copy is attached nowhere.
pub fn copy_tree(fd: i32, recursive: bool) -> Result<Fd> {
    const OPEN_TREE_CLONE: u64 = 1;
    let deep = if recursive { AT_RECURSIVE as u64 } else { 0 };
    descriptor(call!(
        nr::OPEN_TREE,
        fd,
        c"".as_ptr(),
        OPEN_TREE_CLONE | deep | AT_EMPTY_PATH as u64 | open::CLOSE_ON_EXEC
    ))
}

/// Attaches `tree` to `path` in `target`, or to `target` itself if `path` is empty.
pub fn attach_tree(tree: &Fd, target: i32, path: &CStr) -> Result<()> {
    attach_number(tree.0, target, path)
}

/// The same, of the tree with this descriptor.
pub fn attach_number(tree: i32, target: i32, path: &CStr) -> Result<()> {
    const FROM_EMPTY_PATH: u32 = 0x4;
    const TO_EMPTY_PATH: u32 = 0x40;
    let to = if path.is_empty() { TO_EMPTY_PATH } else { 0 };
    done(call!(nr::MOVE_MOUNT, tree, c"".as_ptr(), target, path.as_ptr(), FROM_EMPTY_PATH | to))
}

/// Attaches `tree` beneath the mount with the root `top`, where no process can reach it. Linux 6.5.
pub fn attach_beneath(tree: &Fd, top: &Fd) -> Result<()> {
    const FROM_EMPTY_PATH: u32 = 0x4;
    const TO_EMPTY_PATH: u32 = 0x40;
    const BENEATH: u32 = 0x200;
    let flags = FROM_EMPTY_PATH | TO_EMPTY_PATH | BENEATH;
    done(call!(nr::MOVE_MOUNT, tree.0, c"".as_ptr(), top.0, c"".as_ptr(), flags))
}

/// Adds attributes to the mount at `fd`, and to all below it if `recursive`.
pub fn add_attributes(fd: &Fd, attributes: u64, recursive: bool) -> Result<()> {
    add_attributes_to(fd.0, attributes, recursive)
}

/// The same, to the mount with this descriptor.
pub fn add_attributes_to(fd: i32, attributes: u64, recursive: bool) -> Result<()> {
    let change = [attributes, 0, 0, 0];
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    done(call!(nr::MOUNT_SETATTR, fd, c"".as_ptr(), flags, change.as_ptr(), size_of_val(&change)))
}

/// Makes every mount that the warden sees private: nothing propagates from or to them.
pub fn stop_propagation() -> Result<()> {
    const MS_PRIVATE: u64 = 1 << 18;
    const MS_REC: u64 = 1 << 14;
    mount(None, c"/", None, MS_PRIVATE | MS_REC, None)
}

/// A file system that is being configured, with `fsopen(2)`.
pub struct FileSystem(Fd);

impl FileSystem {
    pub fn open(kind: &CStr) -> Result<FileSystem> {
        descriptor(call!(nr::FSOPEN, kind.as_ptr(), 1)).map(FileSystem)
    }
    /// One that a process has opened with which this one shares its descriptors.
    pub fn own(number: i32) -> FileSystem {
        FileSystem(Fd::own(number))
    }
    pub fn into_number(self) -> i32 {
        self.0.into_number()
    }
    pub fn set(&self, key: &CStr, value: &CStr) -> Result<()> {
        const SET_STRING: u32 = 1;
        done(call!(nr::FSCONFIG, self.0.0, SET_STRING, key.as_ptr(), value.as_ptr(), 0))
    }
    /// Makes the file system, as a tree attached nowhere.
    pub fn mount(&self, attributes: u64) -> Result<Fd> {
        const CREATE: u32 = 6;
        done(call!(nr::FSCONFIG, self.0.0, CREATE, 0, 0, 0))?;
        descriptor(call!(nr::FSMOUNT, self.0.0, 1, attributes))
    }
}

/// Whether mounting is refused although the right to mount is there: by Landlock or another
/// security module.
///
/// The tested request changes nothing in a mount namespace of the warden's own, where the mount at
/// `/` becomes private in any case.
pub fn mounts_are_forbidden() -> bool {
    const MS_PRIVATE: u64 = 1 << 18;
    // fsopen(2) checks the right to mount, and asks no security module.
    let may_mount = matches!(call!(nr::FSOPEN, c"tmpfs".as_ptr(), u32::MAX), Err(Errno::EINVAL));
    let refused =
        matches!(mount(None, c"/", None, MS_PRIVATE, None), Err(Errno::EPERM | Errno::EACCES));
    may_mount && refused && !Call::MOUNT.is_absent()
}

/// mount(2), for kernels without the newer calls.
pub fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: u64,
    data: Option<&CStr>,
) -> Result<()> {
    fn pointer(text: Option<&CStr>) -> *const core::ffi::c_char {
        text.map_or(core::ptr::null(), CStr::as_ptr)
    }
    done(call!(nr::MOUNT, pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data)))
}

pub fn pivot_root(new: &CStr, old: &CStr) -> Result<()> {
    done(call!(nr::PIVOT_ROOT, new.as_ptr(), old.as_ptr()))
}

/// Detaches the mount tree at `path`. It disappears once nothing uses it.
pub fn detach(path: &CStr) -> Result<()> {
    const MNT_DETACH: u32 = 2;
    done(call!(nr::UMOUNT2, path.as_ptr(), MNT_DETACH))
}
