//! The calls about files and descriptors.

use super::std::format;
use super::std::string::{String, ToString};
use super::std::vec;
use super::tree::{Bounds, Kind, PROC, Place, directory, file};
use super::{EFAULT, EROFS, Errno, Kernel, Object, Result, memory};
use crate::sys::number as nr;
use crate::sys::{CWD, open, resolve};

impl Kernel {
    pub fn file_call(&mut self, number: usize, a: [usize; 6]) -> Result<usize> {
        match number {
            nr::CLOSE => self.descriptors.remove(&(a[0] as i32)).map(|_| 0).ok_or(Errno::EBADF),
            nr::OPENAT => self.open(a[0], a[1], a[2], 0),
            nr::OPENAT2 if a[3] != 24 => Err(Errno::EINVAL),
            nr::OPENAT2 => self.open(a[0], a[1], memory::word(a[2])?, memory::word(a[2] + 16)?),
            nr::READ => self.read(a),
            nr::WRITE => self.write(a),
            nr::STATX if a[3] & 1 << 31 != 0 => Err(Errno::EINVAL),
            nr::STATX => self.status(a),
            nr::NEWFSTATAT => self.older_status(a),
            nr::FSTATFS => {
                let at = self.place(a[0])?;
                memory::write_numbers(a[1], &[self.tree.magic(at.node), 4096, 100, 50, 50, 100, 50])
                    .map(|()| 0)
            }
            nr::FACCESSAT2 if a[3] == u32::MAX as usize => Err(Errno::EINVAL),
            nr::FACCESSAT if a[2] == u32::MAX as usize => Err(Errno::EINVAL),
            nr::FACCESSAT2 | nr::FACCESSAT => Ok(0),
            nr::MKDIRAT => self.make(a[0], a[1], directory()),
            nr::SYMLINKAT => {
                let target = memory::text(a[0])?;
                self.make(a[1], a[2], Kind::Link(target))
            }
            nr::UNLINKAT => {
                let (at, name) = (self.place(a[0])?, memory::text(a[1])?);
                self.tree.remove(at, &name).map(|()| 0)
            }
            nr::READLINKAT => self.read_link(a),
            nr::GETDENTS64 => self.list(a),
            nr::CHDIR => {
                self.tree.cwd = self.at(CWD as usize, a[0], true)?;
                Ok(0)
            }
            nr::FCHDIR => {
                self.tree.cwd = self.place(a[0])?;
                Ok(0)
            }
            _ => panic!("the fake kernel has no {}", super::trace::name(number)),
        }
    }

    /// The place behind a descriptor.
    pub fn place(&self, fd: usize) -> Result<Place> {
        match self.descriptors.get(&(fd as i32)) {
            _ if fd as i32 == CWD => Ok(self.tree.cwd),
            Some(Object::Place { at, .. }) => Ok(*at),
            _ => Err(Errno::EBADF),
        }
    }

    /// The place at a path, or of the descriptor itself if the path is empty.
    pub fn at(&self, fd: usize, path: usize, follow_last: bool) -> Result<Place> {
        let path = memory::text(path)?;
        if path.is_empty() {
            return self.place(fd);
        }
        self.walk(fd, &path, Bounds { root: self.tree.root, follow_last, refuse_links: false })
    }

    fn walk(&self, fd: usize, path: &str, bounds: Bounds) -> Result<Place> {
        if let Some(number) = path.strip_prefix("/proc/self/fd/") {
            return self.place(number.parse().map_err(|_| Errno::ENOENT)?);
        }
        let start = if path.starts_with('/') { bounds.root } else { self.place(fd)? };
        self.tree.walk(start, path, bounds)
    }

    fn open(&mut self, fd: usize, path: usize, flags: usize, resolved: usize) -> Result<usize> {
        let (path, has) = (memory::text(path)?, |flag: u64| flags as u64 & flag != 0);
        let bounded = |bit: u64| resolved as u64 & bit != 0;
        let text = match path.strip_prefix("/proc/self/fdinfo/") {
            Some(number) => Some(self.descriptor_info(number)?),
            None => (path == "/proc/self/mountinfo").then(|| self.tree.mountinfo()),
        };
        if let Some(text) = text {
            return Ok(self.give(Object::Text { text, offset: 0 }));
        }
        let root = if bounded(resolve::IN_ROOT) { self.place(fd)? } else { self.tree.root };
        let at = if has(open::CREATE) {
            let start = self.place(fd)?;
            self.tree.make_at(start, &path, file())?
        } else {
            let bounds = Bounds {
                root,
                follow_last: !has(open::NO_FOLLOW),
                refuse_links: bounded(resolve::NO_SYMLINKS),
            };
            self.walk(fd, &path, bounds)?
        };
        match &self.tree.nodes[at.node].kind {
            Kind::Directory(_) => {}
            _ if has(open::DIRECTORY) => return Err(Errno::ENOTDIR),
            Kind::Link(_) if !has(open::PATH) => return Err(Errno::ELOOP),
            Kind::File(_) if has(open::WRITE) && self.tree.mounts[at.mount].attributes & 1 != 0 => {
                return Err(EROFS);
            }
            _ => {}
        }
        Ok(self.give(Object::Place { at, offset: 0, listed: false }))
    }

    /// The mount of a descriptor, as in proc_pid_fdinfo(5).
    fn descriptor_info(&self, number: &str) -> Result<String> {
        let at = self.place(number.parse().map_err(|_| Errno::ENOENT)?)?;
        Ok(format!("pos:\t0\nflags:\t0\nmnt_id:\t{}\n", at.mount))
    }

    fn read(&mut self, a: [usize; 6]) -> Result<usize> {
        let text = match self.object(a[0])? {
            Object::Text { text, .. } => Some(text.clone().into_bytes()),
            _ => None,
        };
        let data = text.map_or_else(|| Ok(self.tree.contents(self.place(a[0])?)), Ok)?;
        let (Object::Place { offset, .. } | Object::Text { offset, .. }) = self.object(a[0])?
        else {
            return Err(Errno::EINVAL);
        };
        let rest = data.get(*offset..).unwrap_or_default();
        let count = rest.len().min(a[2]);
        *offset += count;
        memory::write(a[1], &rest[..count]).map(|()| count)
    }

    fn write(&mut self, a: [usize; 6]) -> Result<usize> {
        let (at, data) = (self.place(a[0])?, memory::read(a[1], a[2])?);
        let text = String::from_utf8_lossy(&data).into_owned();
        let proc_file = self.tree.proc_file(at);
        if proc_file.as_deref() == Some("sys/user/max_user_namespaces") {
            self.process.needs_capability()?;
            self.user_namespaces = text.clone();
        }
        // The kernel shows a map in columns.
        let is_map = proc_file.is_some_and(|name| name.ends_with("id_map"));
        let columns = |text: &str| {
            text.split_whitespace().fold(String::new(), |line, word| format!("{line}{word:>11}"))
        };
        let shown = if is_map { columns(&text) + "\n" } else { text };
        if let Kind::File(data) = &mut self.tree.nodes[at.node].kind {
            *data = shown.into_bytes();
        }
        Ok(a[2])
    }

    fn make(&mut self, fd: usize, name: usize, kind: Kind) -> Result<usize> {
        let (start, name) = (self.place(fd)?, memory::text(name)?);
        self.tree.make_at(start, &name, kind).map(|_| 0)
    }

    fn mode(&self, at: Place) -> (u64, [u32; 2]) {
        match self.tree.nodes[at.node].kind {
            Kind::Directory(_) => (0o040_755, [0; 2]),
            Kind::File(_) => (0o100_644, [0; 2]),
            Kind::Link(_) => (0o120_777, [0; 2]),
            Kind::Device(major, minor) => (0o020_666, [major, minor]),
        }
    }

    fn status(&mut self, a: [usize; 6]) -> Result<usize> {
        let at = self.at(a[0], a[1], false)?;
        let (mode, [major, minor]) = self.mode(at);
        let mut raw = [0u64; 32];
        raw[0] = 0x17ff;
        raw[3] = mode << 32;
        raw[4] = at.node as u64 + 1;
        raw[16] = u64::from(major) | u64::from(minor) << 32;
        raw[17] = (self.tree.nodes[at.node].file_system as u64 + 1) << 32;
        raw[18] = at.mount as u64;
        memory::write_numbers(a[4], &raw).map(|()| 0)
    }

    fn older_status(&mut self, a: [usize; 6]) -> Result<usize> {
        let at = self.at(a[0], a[1], false)?;
        let (mode, [major, minor]) = self.mode(at);
        let mut raw = [0u64; 16];
        raw[0] = self.tree.nodes[at.node].file_system as u64 + 1;
        raw[1] = at.node as u64 + 1;
        let device = u64::from(major << 8 | minor);
        if cfg!(target_arch = "x86_64") {
            (raw[3], raw[5]) = (mode, device);
        } else {
            (raw[2], raw[4]) = (mode, device);
        }
        memory::write_numbers(a[2], &raw).map(|()| 0)
    }

    fn read_link(&mut self, a: [usize; 6]) -> Result<usize> {
        let path = memory::text(a[1])?;
        let text = match path.strip_prefix("/proc/self/fd/") {
            Some(_) => self.tree.path(self.at(a[0], a[1], true)?),
            None => match &self.tree.nodes[self.at(a[0], a[1], false)?.node].kind {
                Kind::Link(target) => target.clone(),
                _ => return Err(Errno::EINVAL),
            },
        };
        let length = text.len().min(a[3]);
        memory::write(a[2], &text.as_bytes()[..length]).map(|()| length)
    }

    fn list(&mut self, a: [usize; 6]) -> Result<usize> {
        let at = self.place(a[0])?;
        let Kind::Directory(children) = &self.tree.nodes[at.node].kind else {
            return Err(Errno::ENOTDIR);
        };
        // struct linux_dirent64: number, offset, length of the record, type, name.
        let mut records = vec![];
        for name in [".", ".."].into_iter().map(ToString::to_string).chain(children.keys().cloned())
        {
            let length = (19 + name.len() + 1).next_multiple_of(8);
            let end = records.len() + length;
            records.extend([0; 16]);
            records.extend((length as u16).to_ne_bytes());
            records.push(0);
            records.extend(name.bytes());
            records.resize(end, 0);
        }
        if records.len() > a[2] {
            return Err(EFAULT);
        }
        match self.object(a[0])? {
            Object::Place { listed, .. } if !*listed => *listed = true,
            _ => return Ok(0),
        }
        memory::write(a[1], &records).map(|()| records.len())
    }

    /// Whether a place is in a proc.
    pub fn is_proc(&self, at: Place) -> bool {
        self.tree.magic(at.node) == PROC
    }
}
