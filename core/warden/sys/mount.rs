//! Mounts, by descriptor where the kernel can.

use super::number as nr;
use super::{AT_EMPTY_PATH, AT_RECURSIVE, CWD, Fd, Result, descriptor, done, open};
use core::ffi::CStr;

/// A copy of the mount tree at `fd`, attached nowhere.
pub fn copy_tree(fd: i32, recursive: bool) -> Result<Fd> {
    const OPEN_TREE_CLONE: u64 = 1;
    let deep = if recursive { AT_RECURSIVE as u64 } else { 0 };
    descriptor(call!(nr::OPEN_TREE, fd, c"".as_ptr(), OPEN_TREE_CLONE | deep | AT_EMPTY_PATH as u64 | open::CLOSE_ON_EXEC))
}

/// Attaches the tree at `tree` to what `target` stands for.
pub fn attach_tree(tree: &Fd, target: i32, path: &CStr) -> Result<()> {
    const FROM_EMPTY_PATH: u32 = 0x4;
    const TO_EMPTY_PATH: u32 = 0x40;
    let to = if path.is_empty() { TO_EMPTY_PATH } else { 0 };
    done(call!(nr::MOVE_MOUNT, tree.0, c"".as_ptr(), target, path.as_ptr(), FROM_EMPTY_PATH | to))
}

/// Attaches the tree at `tree` under the mount that `top` is the root of, where nobody comes upon it. Linux 6.5.
pub fn attach_beneath(tree: &Fd, top: &Fd) -> Result<()> {
    const FROM_EMPTY_PATH: u32 = 0x4;
    const TO_EMPTY_PATH: u32 = 0x40;
    const BENEATH: u32 = 0x200;
    let flags = FROM_EMPTY_PATH | TO_EMPTY_PATH | BENEATH;
    done(call!(nr::MOVE_MOUNT, tree.0, c"".as_ptr(), top.0, c"".as_ptr(), flags))
}

/// Adds attributes to the mount at `fd`, and to all below it if `recursive`.
pub fn add_attributes(fd: &Fd, attributes: u64, recursive: bool) -> Result<()> {
    set_attributes(fd.0, c"", [attributes, 0, 0, 0], recursive)
}

/// An empty request, which every kernel that has mount_setattr(2) accepts.
pub fn change_no_attributes() -> Result<()> {
    set_attributes(CWD, c"", [0; 4], false)
}

/// Stops propagation, both ways, of every mount that the warden sees.
pub fn stop_propagation() -> Result<()> {
    const MS_PRIVATE: u64 = 1 << 18;
    const MS_REC: u64 = 1 << 14;
    mount(None, c"/", None, MS_PRIVATE | MS_REC, None)
}

fn set_attributes(directory: i32, path: &CStr, attributes: [u64; 4], recursive: bool) -> Result<()> {
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    done(call!(nr::MOUNT_SETATTR, directory, path.as_ptr(), flags, attributes.as_ptr(), size_of_val(&attributes)))
}

/// A file system that is being configured: `fsopen(2)`.
pub struct FileSystem(Fd);

impl FileSystem {
    pub fn open(kind: &CStr) -> Result<FileSystem> {
        descriptor(call!(nr::FSOPEN, kind.as_ptr(), 1)).map(FileSystem)
    }
    /// With flags that there are not: every kernel that has fsopen(2) refuses to make anything.
    pub fn ask_without_sense() -> Result<()> {
        done(call!(nr::FSOPEN, c"tmpfs".as_ptr(), u32::MAX))
    }
    pub fn set(&self, key: &CStr, value: &CStr) -> Result<()> {
        const SET_STRING: u32 = 1;
        done(call!(nr::FSCONFIG, self.0.0, SET_STRING, key.as_ptr(), value.as_ptr(), 0))
    }
    /// Makes it, as a tree attached nowhere.
    pub fn mount(&self, attributes: u64) -> Result<Fd> {
        const CREATE: u32 = 6;
        done(call!(nr::FSCONFIG, self.0.0, CREATE, 0, 0, 0))?;
        descriptor(call!(nr::FSMOUNT, self.0.0, 1, attributes))
    }
}

/// The classic call, for kernels without the others.
pub fn mount(source: Option<&CStr>, target: &CStr, kind: Option<&CStr>, flags: u64, data: Option<&CStr>) -> Result<()> {
    fn pointer(text: Option<&CStr>) -> *const core::ffi::c_char {
        text.map_or(core::ptr::null(), CStr::as_ptr)
    }
    done(call!(nr::MOUNT, pointer(source), target.as_ptr(), pointer(kind), flags, pointer(data)))
}

pub fn pivot_root(new: &CStr, old: &CStr) -> Result<()> {
    done(call!(nr::PIVOT_ROOT, new.as_ptr(), old.as_ptr()))
}

/// Lets go of the mount tree at `path`; it disappears once nobody uses it.
pub fn detach(path: &CStr) -> Result<()> {
    const MNT_DETACH: u32 = 2;
    done(call!(nr::UMOUNT2, path.as_ptr(), MNT_DETACH))
}
