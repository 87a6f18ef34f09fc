//! Two ways to make a mount: the calls of Linux 5.2 and 5.12, or mount(2) where the kernel lacks
//! them.
//!
//! mount(2) gets each path as `/proc/self/fd/N`, which names a descriptor too. It attaches a bind
//! before it sets its attributes, and it sets those of submounts one by one. No process of the
//! payload runs meanwhile.

use super::{FileSystem, tmpfs_options};
use crate::sys::{self, Call, Errno, Fd, Result, open};
use crate::text::ShortText;
use crate::wire::plan::attribute;
use core::ffi::CStr;

mod classic;

/// The way that is used on this kernel.
pub struct Attach {
    classic: bool,
}

/// A mount tree that is to be attached.
pub enum Tree {
    /// A copy that is attached nowhere.
    Detached(Fd),
    /// The original, which mount(2) copies when it attaches.
    Original(i32),
}

impl Attach {
    /// `classic`: the caller asks for mount(2). It is also used if one of the newer calls is
    /// missing.
    pub fn new(classic: bool) -> Attach {
        Attach { classic: classic || !modern_calls_exist() }
    }

    pub fn root(&self, size: u64, inodes: u64) -> Result<Fd> {
        const MODE: u32 = 0o755;
        if self.classic {
            classic::tmpfs(c"/", size, inodes, MODE, attribute::NO_SUID | attribute::NO_DEV)?;
            // The mount now covers "/". A lookup that starts at "/" does not step onto it, but one
            // through ".." does.
            return sys::open(sys::CWD, c"/..", open::PATH | open::DIRECTORY, 0);
        }
        let root = new_tmpfs(size, inodes, MODE)?.mount(attribute::NO_SUID | attribute::NO_DEV)?;
        sys::attach_tree(&root, sys::CWD, c"/")?;
        Ok(root)
    }

    /// Copies the tree at `source`, with all mounts below it.
    pub fn copy(&self, source: i32) -> Result<Tree> {
        if self.classic {
            Ok(Tree::Original(source))
        } else {
            sys::copy_tree(source, true).map(Tree::Detached)
        }
    }

    /// Attaches `tree` to `point`, with `attributes` on all its mounts. Returns its descriptor if
    /// there is one.
    pub fn put(&self, tree: Tree, point: &Fd, attributes: u64) -> Result<Option<Fd>> {
        match tree {
            Tree::Detached(tree) => {
                sys::add_attributes(&tree, attributes, true)?;
                sys::attach_tree(&tree, point.number(), c"")?;
                Ok(Some(tree))
            }
            Tree::Original(source) => classic::bind(source, point, attributes).map(|()| None),
        }
    }

    /// Attaches a copy of an attached tree to `point`. The copy has the attributes already.
    pub fn attach_copy(&self, attached: &Fd, point: &Fd) -> Result<()> {
        sys::attach_tree(&sys::copy_tree(attached.number(), true)?, point.number(), c"")
    }

    /// Mounts a tmpfs. Returns its descriptor if there is one already.
    pub fn tmpfs(
        &self,
        point: &Fd,
        size: u64,
        inodes: u64,
        mode: u32,
        attributes: u64,
    ) -> Result<Option<Fd>> {
        if self.classic {
            classic::tmpfs(
                ShortText::of_descriptor(point.number()).as_c_str(),
                size,
                inodes,
                mode,
                attributes,
            )?;
            return Ok(None);
        }
        let tree = new_tmpfs(size, inodes, mode)?.mount(attributes)?;
        sys::attach_tree(&tree, point.number(), c"")?;
        Ok(Some(tree))
    }

    pub fn proc(&self, point: &Fd, hide: bool) -> Result<()> {
        const HIDE: (&CStr, &CStr) = (c"hidepid", c"2");
        let attributes = attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        if self.classic {
            return classic::proc(point, hide, attributes);
        }
        let proc = FileSystem::open(c"proc")?;
        if hide {
            proc.set(HIDE.0, HIDE.1)?;
        }
        sys::attach_tree(&proc.mount(attributes)?, point.number(), c"")
    }

    /// Mounts a new devpts. Every user may open `ptmx`, and each terminal only the user who made
    /// it.
    pub fn terminals(&self, point: &Fd) -> Result<()> {
        // The host has a few thousand terminals in total (kernel.pty.max), and one sandbox must
        // leave some to others.
        const OPTIONS: [(&CStr, &CStr); 3] =
            [(c"ptmxmode", c"0666"), (c"mode", c"0620"), (c"max", c"256")];
        let attributes = attribute::NO_SUID | attribute::NO_EXEC;
        if self.classic {
            return classic::terminals(point, attributes);
        }
        let terminals = FileSystem::open(c"devpts")?;
        for (key, value) in OPTIONS {
            terminals.set(key, value)?;
        }
        sys::attach_tree(&terminals.mount(attributes)?, point.number(), c"")
    }

    /// Mounts a file system of this kind that is attached nowhere, for the warden itself.
    pub fn unattached(&self, kind: &CStr) -> Result<Fd> {
        let attributes = attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        if self.classic {
            classic::unattached(kind, attributes)
        } else {
            FileSystem::open(kind)?.mount(attributes)
        }
    }

    /// Attaches `tree` beneath the mount at `top`, where no process can reach it, if this kernel
    /// can (Linux 6.5).
    pub fn hide(&self, tree: &Fd, top: &Fd) -> Result<()> {
        if self.classic {
            return Ok(());
        }
        match sys::attach_beneath(tree, top) {
            Err(Errno::EINVAL) => Ok(()),
            result => result,
        }
    }

    pub fn read_only_root(&self, root: &Fd) -> Result<()> {
        let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV;
        if self.classic {
            classic::remount(c"/", attributes)
        } else {
            sys::add_attributes(root, attributes, false)
        }
    }
}

fn new_tmpfs(size: u64, inodes: u64, mode: u32) -> Result<FileSystem> {
    let tmpfs = FileSystem::open(c"tmpfs")?;
    tmpfs_options(size, inodes, mode, |key, value| tmpfs.set(key, value))?;
    Ok(tmpfs)
}

/// A filter around the caller may allow only some of them. So mount_setattr(2), the newest (5.12),
/// does not stand for the others.
fn modern_calls_exist() -> bool {
    !Call::MODERN_MOUNTS.into_iter().any(Call::is_absent)
}
