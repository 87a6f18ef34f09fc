//! Two ways to make a mount: the calls of Linux 5.2 and 5.12, or mount(2) where the kernel lacks
//! them.
//!
//! mount(2) gets each path as `/proc/self/fd/N`, which names a descriptor too. It attaches a bind
//! before it sets its attributes, and it sets those of submounts one by one. No process of the
//! payload runs meanwhile.

use super::with_tmpfs_options;
use crate::sys::{self, Call, Errno, Fd, FileSystem, Result, open};
use crate::text::ShortText;
use crate::wire::plan::attribute;
use core::ffi::CStr;

mod classic;

pub use classic::mount_id;

/// Options of a file system, with their values.
pub type Options<'a> = &'a [(&'a CStr, &'a CStr)];

/// The way that is used on this kernel.
pub struct Attach {
    classic: bool,
}

/// A mount tree that is to be attached.
pub enum MountTree {
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
        with_tmpfs_options(size, inodes, 0o755, |options| self.new_root(options))
    }

    fn new_root(&self, options: Options<'_>) -> Result<Fd> {
        let attributes = attribute::NO_SUID | attribute::NO_DEV;
        if self.classic {
            classic::mount(c"/", c"tmpfs", options, attributes)?;
            // The mount now covers "/". A lookup that starts at "/" does not step onto it, but one
            // through ".." does.
            return self.top();
        }
        let root = configured(c"tmpfs", options)?.mount(attributes)?;
        sys::attach_tree(&root, sys::CWD, c"/")?;
        Ok(root)
    }

    /// The topmost mount at the root.
    pub fn top(&self) -> Result<Fd> {
        sys::open(sys::CWD, c"/..", open::PATH | open::DIRECTORY, 0)
    }

    /// Copies the tree at `source`, with all mounts below it.
    pub fn copy(&self, source: i32) -> Result<MountTree> {
        if self.classic {
            Ok(MountTree::Original(source))
        } else {
            sys::copy_tree(source, true).map(MountTree::Detached)
        }
    }

    /// Attaches `tree` to `point`, with `attributes` on all its mounts. Returns its descriptor if
    /// there is one.
    pub fn put(&self, tree: MountTree, point: &Fd, attributes: u64) -> Result<Option<Fd>> {
        self.put_copy(tree, point, attributes, 0)
    }

    /// The same. The copy has this number of copies of new roots on top, which are detached.
    pub fn put_copy(
        &self,
        tree: MountTree,
        point: &Fd,
        attributes: u64,
        covers: usize,
    ) -> Result<Option<Fd>> {
        match tree {
            MountTree::Detached(tree) => {
                sys::add_attributes(&tree, attributes, true)?;
                sys::attach_tree(&tree, point.number(), c"")?;
                for _ in 0..covers {
                    sys::detach(ShortText::of_descriptor(point.number()).as_c_str())?;
                }
                Ok(Some(tree))
            }
            MountTree::Original(source) => {
                classic::bind(source, point, attributes, covers).map(|()| None)
            }
        }
    }

    /// Attaches the tree with this descriptor. A kernel that can idmap mounts has the newer calls.
    pub fn put_tree(&self, tree: i32, point: &Fd, attributes: u64) -> Result<()> {
        sys::add_attributes_to(tree, attributes, true)?;
        sys::attach_number(tree, point.number(), c"")
    }

    /// Attaches a copy of an attached tree to `point`. The copy has the attributes already.
    pub fn attach_copy(&self, attached: &Fd, point: &Fd) -> Result<()> {
        sys::attach_tree(&sys::copy_tree(attached.number(), true)?, point.number(), c"")
    }

    /// Mounts a new file system of this kind on `point`. Returns its descriptor if there is one
    /// already.
    pub fn mount(
        &self,
        point: &Fd,
        kind: &CStr,
        options: Options<'_>,
        attributes: u64,
    ) -> Result<Option<Fd>> {
        if self.classic {
            let target = ShortText::of_descriptor(point.number());
            return classic::mount(target.as_c_str(), kind, options, attributes).map(|()| None);
        }
        self.put_new(configured(kind, options)?, point, attributes).map(Some)
    }

    /// Mounts a file system that is configured on `point`.
    pub fn put_new(&self, new: FileSystem, point: &Fd, attributes: u64) -> Result<Fd> {
        let tree = new.mount(attributes)?;
        drop(new);
        sys::attach_tree(&tree, point.number(), c"")?;
        Ok(tree)
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

    /// Makes the mount with this root read-only. EINVAL if it is the root of no mount.
    pub fn make_read_only(&self, root: &Fd) -> Result<()> {
        if self.classic {
            classic::make_read_only(root)
        } else {
            sys::add_attributes(root, attribute::READ_ONLY, false)
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

fn configured(kind: &CStr, options: Options<'_>) -> Result<FileSystem> {
    let new = FileSystem::open(kind)?;
    configure(&new, options)?;
    Ok(new)
}

pub fn configure(new: &FileSystem, options: Options<'_>) -> Result<()> {
    options.iter().try_for_each(|(key, value)| new.set(key, value))
}

/// A filter around the caller may allow only some of them. So mount_setattr(2), the newest (5.12),
/// does not stand for the others.
fn modern_calls_exist() -> bool {
    !Call::MODERN_MOUNTS.into_iter().any(Call::is_absent)
}
