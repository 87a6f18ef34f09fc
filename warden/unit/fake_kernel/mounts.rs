//! The calls about mounts, in both ways to make them.

use super::std::string::String;
use super::std::vec::Vec;
use super::tree::{PROC, Place, TMPFS};
use super::{Errno, Kernel, Object, Result, memory};
use crate::sys::CWD;
use crate::sys::number as nr;

const MS_REMOUNT: usize = 32;
const MS_BIND: usize = 4096;
const MS_PRIVATE: usize = 1 << 18;
const MS_REC: usize = 1 << 14;

impl Kernel {
    /// `None` for another call.
    pub fn mount_call(&mut self, number: usize, a: [usize; 6]) -> Option<Result<usize>> {
        let result = match number {
            nr::OPEN_TREE if a[2] == u32::MAX as usize => Err(Errno::EINVAL),
            nr::OPEN_TREE => self.copy_tree(a[0]),
            nr::MOVE_MOUNT if a[4] == u32::MAX as usize => Err(Errno::EINVAL),
            nr::MOVE_MOUNT => self.move_mount(a),
            nr::MOUNT_SETATTR if a[2] == u32::MAX as usize => Err(Errno::EINVAL),
            nr::MOUNT_SETATTR => self.set_attributes(a),
            nr::FSOPEN => self.open_file_system(a),
            nr::FSCONFIG => self.configure(a),
            nr::FSMOUNT if a[1] == u32::MAX as usize => Err(Errno::EINVAL),
            nr::FSMOUNT => self.mount_configured(a),
            nr::MOUNT if a[1] == 0 => Err(super::EFAULT),
            nr::MOUNT => self.mount(a),
            nr::PIVOT_ROOT if a[0] == 0 => Err(super::EFAULT),
            nr::PIVOT_ROOT => self.pivot(),
            nr::UMOUNT2 if a[1] == u32::MAX as usize => Err(Errno::EINVAL),
            nr::UMOUNT2 => self.detach(a),
            _ => return None,
        };
        Some(result)
    }

    fn give_place(&mut self, at: Place) -> usize {
        self.give(Object::Place { at, offset: 0, listed: false })
    }

    fn copy_tree(&mut self, fd: usize) -> Result<usize> {
        self.process.needs_capability()?;
        let at = self.place(fd)?;
        let attributes = self.tree.mounts[at.mount].attributes;
        let copy = self.tree.new_mount(at.node, attributes);
        Ok(self.give_place(copy))
    }

    fn move_mount(&mut self, a: [usize; 6]) -> Result<usize> {
        const BENEATH: usize = 0x200;
        self.process.may_mount()?;
        let (tree, target) = (self.place(a[0])?, self.at(a[2], a[3], true)?);
        if self.tree.mounts[tree.mount].root != tree.node {
            return Err(Errno::EINVAL);
        }
        // What is beneath a mount is out of reach, so the model keeps it attached nowhere.
        if a[4] & BENEATH == 0 {
            self.tree.attach(tree.mount, target);
        }
        Ok(0)
    }

    fn set_attributes(&mut self, a: [usize; 6]) -> Result<usize> {
        self.process.needs_capability()?;
        let at = self.place(a[0])?;
        self.tree.mounts[at.mount].attributes |= memory::word(a[3])? as u64;
        Ok(0)
    }

    fn open_file_system(&mut self, a: [usize; 6]) -> Result<usize> {
        self.process.needs_capability()?;
        if a[1] == u32::MAX as usize {
            return Err(Errno::EINVAL);
        }
        let kind = memory::text(a[0])?;
        Ok(self.give(Object::Config { kind, options: Vec::new() }))
    }

    fn configure(&mut self, a: [usize; 6]) -> Result<usize> {
        const SET_STRING: usize = 1;
        let option = match a[1] {
            SET_STRING => Some((memory::text(a[2])?, memory::text(a[3])?)),
            _ => None,
        };
        let Object::Config { options, .. } = self.object(a[0])? else { return Err(Errno::EINVAL) };
        options.extend(option);
        Ok(0)
    }

    fn mount_configured(&mut self, a: [usize; 6]) -> Result<usize> {
        self.process.needs_capability()?;
        let Object::Config { kind, .. } = self.object(a[0])? else { return Err(Errno::EINVAL) };
        let kind = kind.clone();
        let at = self.new_mount(&kind, a[2] as u64);
        Ok(self.give_place(at))
    }

    fn new_mount(&mut self, kind: &str, attributes: u64) -> Place {
        let root = self.tree.new_file_system(kind, if kind == "proc" { PROC } else { TMPFS });
        self.tree.new_mount(root, attributes)
    }

    /// mount(2): a change of propagation, a remount, a bind, or a new file system.
    fn mount(&mut self, a: [usize; 6]) -> Result<usize> {
        self.process.may_mount()?;
        let target = self.at(CWD as usize, a[1], true)?;
        let attributes = (a[3] & 0xf) as u64;
        if a[3] & MS_PRIVATE != 0 {
            self.private_mounts |= a[3] & MS_REC != 0;
        } else if a[3] & MS_REMOUNT != 0 {
            self.tree.mounts[target.mount].attributes = attributes;
        } else if a[3] & MS_BIND != 0 {
            let source = self.at(CWD as usize, a[0], true)?;
            let inherited = self.tree.mounts[source.mount].attributes;
            let copy = self.tree.new_mount(source.node, inherited);
            self.tree.attach(copy.mount, target);
        } else {
            let kind: String = memory::text(a[2])?;
            let new = self.new_mount(&kind, attributes);
            self.tree.attach(new.mount, target);
        }
        Ok(0)
    }

    /// pivot_root(".", "."): the working directory, a mount, becomes the root, and the old root
    /// covers it (pivot_root(2)).
    fn pivot(&mut self) -> Result<usize> {
        self.process.may_mount()?;
        let (new, old) = (self.tree.cwd, self.tree.root);
        if self.tree.mounts[new.mount].root != new.node || new.mount == old.mount {
            return Err(Errno::EINVAL);
        }
        self.tree.mounts[new.mount].at = None;
        self.tree.mounts[old.mount].at = Some(new);
        self.tree.root = new;
        Ok(0)
    }

    /// Detaches the topmost mount at a path.
    fn detach(&mut self, a: [usize; 6]) -> Result<usize> {
        self.process.may_mount()?;
        let at = self.tree.top(self.at(CWD as usize, a[0], true)?);
        let mount = &mut self.tree.mounts[at.mount];
        if mount.root != at.node || mount.at.is_none() {
            return Err(Errno::EINVAL);
        }
        mount.at = None;
        Ok(0)
    }
}
