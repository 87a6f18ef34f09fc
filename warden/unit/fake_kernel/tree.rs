//! The file systems and mounts of the fake kernel. A place is a node in a mount, as in the real
//! one.

use super::std::collections::BTreeMap;
use super::std::format;
use super::std::string::{String, ToString};
use super::std::vec::Vec;
use super::{EROFS, Errno, Result};

pub const PROC: u64 = 0x9fa0;
pub const TMPFS: u64 = 0x0102_1994;
const DISK: u64 = 0xef53;

#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    Directory(BTreeMap<String, usize>),
    File(Vec<u8>),
    Link(String),
    Device(u32, u32),
}

pub struct Node {
    pub kind: Kind,
    pub file_system: usize,
    /// Itself for the root of a file system.
    parent: usize,
    name: String,
}

pub struct FileSystem {
    pub label: String,
    pub magic: u64,
}

pub struct Mount {
    pub root: usize,
    /// The place that it covers. `None` while it is attached nowhere.
    pub at: Option<Place>,
    pub attributes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub mount: usize,
    pub node: usize,
}

pub struct Tree {
    pub nodes: Vec<Node>,
    pub file_systems: Vec<FileSystem>,
    pub mounts: Vec<Mount>,
    /// The root directory of the warden.
    pub root: Place,
    pub cwd: Place,
}

/// How to treat links, and where absolute ones lead.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub root: Place,
    pub follow_last: bool,
    pub refuse_links: bool,
}

impl Tree {
    /// A host with a few files: the caller's root, and a proc.
    pub fn of_host() -> Tree {
        let start = Place { mount: 0, node: 0 };
        let mut tree = Tree {
            nodes: Vec::new(),
            file_systems: Vec::new(),
            mounts: Vec::new(),
            root: start,
            cwd: start,
        };
        let root = tree.new_file_system("host", DISK);
        tree.mounts.push(Mount { root, at: None, attributes: 0 });
        for (path, kind) in [
            ("usr/bin/sh", file()),
            ("usr/lib/libc.so", file()),
            ("bin", Kind::Link("usr/bin".into())),
            ("srv/data", file()),
            ("dev/null", Kind::Device(1, 3)),
            ("proc", directory()),
        ] {
            tree.add(root, path, kind);
        }
        let proc = tree.new_file_system("proc", PROC);
        let at = tree.find(Place { mount: 0, node: root }, "proc");
        tree.mounts.push(Mount { root: proc, at, attributes: 0 });
        tree
    }

    /// Makes a file system with its root directory. Every proc has the same files.
    pub fn new_file_system(&mut self, kind: &str, magic: u64) -> usize {
        let number = self.file_systems.len();
        let same = self.file_systems.iter().filter(|other| other.label.starts_with(kind)).count();
        let label = if same == 0 { kind.into() } else { format!("{kind}{}", same + 1) };
        self.file_systems.push(FileSystem { label, magic });
        let root = self.nodes.len();
        let (kind, parent) = (directory(), root);
        self.nodes.push(Node { kind, file_system: number, parent, name: String::new() });
        for path in super::PROC_FILES.iter().filter(|_| magic == PROC) {
            self.add(root, path, file());
        }
        root
    }

    pub fn magic(&self, node: usize) -> u64 {
        self.file_systems[self.nodes[node].file_system].magic
    }

    /// Adds a node and the directories above it.
    pub fn add(&mut self, root: usize, path: &str, kind: Kind) {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut here = root;
        for name in parents.split('/').filter(|name| !name.is_empty()) {
            here = match self.child(here, name) {
                Some(child) => child,
                None => self.make(here, name, directory()),
            };
        }
        self.make(here, name, kind);
    }

    fn child(&self, node: usize, name: &str) -> Option<usize> {
        match &self.nodes[node].kind {
            Kind::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    pub fn make(&mut self, parent: usize, name: &str, kind: Kind) -> usize {
        let node = self.nodes.len();
        let file_system = self.nodes[parent].file_system;
        self.nodes.push(Node { kind, file_system, parent, name: name.into() });
        if let Kind::Directory(children) = &mut self.nodes[parent].kind {
            children.insert(name.into(), node);
        }
        node
    }

    /// Makes an entry in a directory: EEXIST, or EROFS on a read-only mount.
    pub fn make_at(&mut self, at: Place, path: &str, kind: Kind) -> Result<Place> {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let bounds = Bounds { root: self.root, follow_last: true, refuse_links: false };
        let parent = self.walk(at, parents, bounds)?;
        match &self.nodes[parent.node].kind {
            Kind::Directory(children) if children.contains_key(name) => Err(Errno::EEXIST),
            Kind::Directory(_) if self.mounts[parent.mount].attributes & 1 != 0 => Err(EROFS),
            Kind::Directory(_) => Ok(Place { node: self.make(parent.node, name, kind), ..parent }),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub fn remove(&mut self, at: Place, name: &str) -> Result<()> {
        match &mut self.nodes[at.node].kind {
            Kind::Directory(children) => children.remove(name).map(drop).ok_or(Errno::ENOENT),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub fn walk(&self, start: Place, path: &str, bounds: Bounds) -> Result<Place> {
        let mut here = if path.starts_with('/') { bounds.root } else { start };
        let mut rest = path.trim_start_matches('/');
        while !rest.is_empty() {
            let (name, after) = rest.split_once('/').unwrap_or((rest, ""));
            rest = after.trim_start_matches('/');
            match name {
                "." => continue,
                ".." => {
                    here = self.top(self.above(here, bounds.root));
                    continue;
                }
                _ => {}
            }
            if !matches!(self.nodes[here.node].kind, Kind::Directory(_)) {
                return Err(Errno::ENOTDIR);
            }
            let node = self.child(here.node, name).ok_or(Errno::ENOENT)?;
            match &self.nodes[node].kind {
                Kind::Link(_) if bounds.refuse_links => return Err(Errno::ELOOP),
                Kind::Link(target) if bounds.follow_last || !rest.is_empty() => {
                    return self.walk(here, &format!("{target}/{rest}"), bounds);
                }
                _ => here = self.top(Place { node, ..here }),
            }
        }
        Ok(here)
    }

    /// The place at this path, below `start` and through all mounts.
    pub fn find(&self, start: Place, path: &str) -> Option<Place> {
        let bounds = Bounds { root: start, follow_last: true, refuse_links: false };
        self.walk(start, path, bounds).ok()
    }

    fn above(&self, at: Place, root: Place) -> Place {
        match self.mounts[at.mount] {
            _ if at == root => at,
            Mount { root: top, at: Some(below), .. } if top == at.node => self.above(below, root),
            _ => Place { node: self.nodes[at.node].parent, ..at },
        }
    }

    /// The root of the topmost mount on a place.
    pub fn top(&self, mut at: Place) -> Place {
        while let Some(mount) = self.mounts.iter().position(|mount| mount.at == Some(at)) {
            at = Place { mount, node: self.mounts[mount].root };
        }
        at
    }

    /// Whether a mount is part of the tree that a process with this root can reach.
    pub fn is_reachable(&self, mount: usize) -> bool {
        mount == self.root.mount
            || self.mounts[mount].at.is_some_and(|at| self.is_reachable(at.mount))
    }

    /// A file system and the path in it, for the trace.
    pub fn name(&self, at: Place) -> String {
        let label = &self.file_systems[self.nodes[at.node].file_system].label;
        let mut path = String::new();
        let mut node = at.node;
        while self.nodes[node].parent != node {
            path = format!("/{}{path}", self.nodes[node].name);
            node = self.nodes[node].parent;
        }
        format!("{label}:{}", if path.is_empty() { "/" } else { &path })
    }

    /// The path from the root, through all mounts.
    pub fn path(&self, at: Place) -> String {
        let mut path = String::new();
        let mut here = at;
        while here != self.root {
            let mount = &self.mounts[here.mount];
            match mount.at {
                Some(below) if mount.root == here.node => here = below,
                None if mount.root == here.node => break,
                _ => {
                    path = format!("/{}{path}", self.nodes[here.node].name);
                    here = Place { node: self.nodes[here.node].parent, ..here };
                }
            }
        }
        if path.is_empty() { "/".into() } else { path }
    }

    /// The mounts as in `/proc/self/mountinfo`.
    pub fn mountinfo(&self) -> String {
        let mut text = String::new();
        for (id, mount) in self.mounts.iter().enumerate().filter(|(id, _)| self.is_reachable(*id)) {
            let parent = mount.at.map_or(id, |at| at.mount);
            let place = self.path(Place { mount: id, node: mount.root });
            let flag = |bit: u64, name| if mount.attributes & bit == 0 { "" } else { name };
            text += &format!(
                "{id} {parent} 0:1 / {place} {}{}{}{} - any any rw\n",
                if mount.attributes & 1 == 0 { "rw" } else { "ro" },
                flag(2, ",nosuid"),
                flag(4, ",nodev"),
                flag(8, ",noexec"),
            );
        }
        text
    }

    /// Attaches a mount on top of what is at `at`.
    pub fn attach(&mut self, mount: usize, at: Place) {
        self.mounts[mount].at = Some(self.top(at));
    }

    pub fn new_mount(&mut self, root: usize, attributes: u64) -> Place {
        self.mounts.push(Mount { root, at: None, attributes });
        Place { mount: self.mounts.len() - 1, node: root }
    }

    pub fn contents(&self, at: Place) -> Vec<u8> {
        match &self.nodes[at.node].kind {
            Kind::File(data) => data.clone(),
            _ => Vec::new(),
        }
    }

    /// The name of a file in a proc, relative to its root.
    pub fn proc_file(&self, at: Place) -> Option<String> {
        (self.magic(at.node) == PROC)
            .then(|| self.name(at).split_once(":/").map(|(_, path)| path.to_string()))
            .flatten()
    }
}

pub fn directory() -> Kind {
    Kind::Directory(BTreeMap::new())
}

pub fn file() -> Kind {
    Kind::File(Vec::new())
}
