//! How a mount is made: by the mount calls of Linux 5.2 and 5.12, or, where the kernel lacks them,
//! by mount(2) through `/proc/self/fd`, which names a descriptor too. The second way sets the
//! attributes of a bind after it is attached, and those of its submounts one by one; nothing of the
//! payload's runs meanwhile.

use super::{FileSystem, tmpfs_options};
use crate::sys::{self, Call, Errno, Fd, Result, open};
use crate::text::ShortText;
use crate::wire::plan::attribute;
use core::ffi::CStr;

mod classic;

/// Which way this kernel offers.
pub struct Attach {
    classic: bool,
}

/// Something that can be put at a place.
pub enum Tree {
    /// A tree attached nowhere.
    Detached(Fd),
    /// The original, which mount(2) copies while it attaches.
    Original(i32),
}

impl Attach {
    /// `classic`: the caller asks for the old way. It is also taken once a newer call turns out to
    /// be missing.
    pub fn new(classic: bool) -> Attach {
        Attach { classic: classic || !modern_calls_exist() }
    }

    pub fn root(&self, size: u64, inodes: u64) -> Result<Fd> {
        const MODE: u32 = 0o755;
        if self.classic {
            classic::tmpfs(c"/", size, inodes, MODE, attribute::NO_SUID | attribute::NO_DEV)?;
            // The mount now lies over "/", where a lookup that starts at "/" does not step onto it;
            // one through ".." does.
            return sys::open(sys::CWD, c"/..", open::PATH | open::DIRECTORY, 0);
        }
        let root = new_tmpfs(size, inodes, MODE)?.mount(attribute::NO_SUID | attribute::NO_DEV)?;
        sys::attach_tree(&root, sys::CWD, c"/")?;
        Ok(root)
    }

    /// A copy of what `source` stands for, with everything that is mounted below.
    pub fn copy(&self, source: i32) -> Result<Tree> {
        if self.classic {
            Ok(Tree::Original(source))
        } else {
            sys::copy_tree(source, true).map(Tree::Detached)
        }
    }

    /// Puts `tree` over what `point` stands for, with `attributes` on all of it. Its descriptor,
    /// where it has one.
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

    /// Puts what has been put elsewhere over what `point` stands for, too: a copy has the
    /// attributes already.
    pub fn attach_copy(&self, attached: &Fd, point: &Fd) -> Result<()> {
        sys::attach_tree(&sys::copy_tree(attached.number(), true)?, point.number(), c"")
    }

    /// The new one's descriptor, where there is one by now.
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

    /// A devpts that is nobody else's. Its terminals are opened by all through `ptmx`, and each by
    /// who made it.
    pub fn terminals(&self, point: &Fd) -> Result<()> {
        // The host has some thousand terminals altogether (kernel.pty.max): one sandbox must leave
        // others some.
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

    /// A file system of this kind that is attached nowhere, for our own use.
    pub fn unattached(&self, kind: &CStr) -> Result<Fd> {
        let attributes = attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;
        if self.classic {
            classic::unattached(kind, attributes)
        } else {
            FileSystem::open(kind)?.mount(attributes)
        }
    }

    /// Puts `tree` where nobody comes upon it, under what is mounted at `top`, if this kernel can
    /// (Linux 6.5).
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

/// A surrounding filter may know some of them only, and mount_setattr(2), the youngest (5.12), does
/// not speak for the others.
fn modern_calls_exist() -> bool {
    !Call::MODERN_MOUNTS.into_iter().any(Call::is_absent)
}
