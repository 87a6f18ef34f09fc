//! Trees of files as data: made as directories of the host, and as entries of archives. The
//! archives are written here byte by byte, so that they can also be wrong in any way.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The time of every file that says no other.
pub const TIME: i64 = 1_700_000_000;

#[derive(Debug, Clone)]
pub enum What {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    /// Another name for an earlier path.
    Link(Vec<u8>),
    Fifo,
    /// Any other type, by its letter in an archive.
    Other(u8),
}

/// One entry.
#[derive(Debug, Clone)]
pub struct Node {
    pub path: Vec<u8>,
    pub what: What,
    pub mode: u32,
    pub owner: (u32, u32),
    pub time: (i64, u32),
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Node {
    fn new(path: impl AsRef<[u8]>, what: What, mode: u32) -> Node {
        let path = path.as_ref().to_vec();
        Node { path, what, mode, owner: (0, 0), time: (TIME, 0), attributes: Vec::new() }
    }

    pub fn mode(mut self, mode: u32) -> Node {
        self.mode = mode;
        self
    }

    pub fn owner(mut self, uid: u32, gid: u32) -> Node {
        self.owner = (uid, gid);
        self
    }

    pub fn time(mut self, seconds: i64, nanoseconds: u32) -> Node {
        self.time = (seconds, nanoseconds);
        self
    }

    pub fn attribute(mut self, name: &str, value: &[u8]) -> Node {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

pub fn dir(path: impl AsRef<[u8]>) -> Node {
    Node::new(path, What::Directory, 0o755)
}

pub fn file(path: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> Node {
    Node::new(path, What::File(contents.as_ref().into()), 0o644)
}

pub fn link(path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Node {
    Node::new(path, What::Symlink(target.as_ref().into()), 0o777)
}

pub fn hard(path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Node {
    Node::new(path, What::Link(target.as_ref().into()), 0o644)
}

pub fn fifo(path: impl AsRef<[u8]>) -> Node {
    Node::new(path, What::Fifo, 0o640)
}

pub fn other(path: impl AsRef<[u8]>, letter: u8) -> Node {
    Node::new(path, What::Other(letter), 0o644)
}

/// The whiteout of a path.
pub fn gone(path: &str) -> Node {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let slash = if above.is_empty() { "" } else { "/" };
    file(format!("{above}{slash}.wh.{name}"), "")
}

/// The whiteout of everything in a directory.
pub fn opaque(directory: &str) -> Node {
    let slash = if directory.is_empty() { "" } else { "/" };
    file(format!("{directory}{slash}.wh..wh..opq"), "")
}

/// Makes the tree in a directory, which is there. Owners are given if this process can.
pub fn make(root: &Path, nodes: &[Node]) {
    let full = |path: &[u8]| match path {
        b"" => root.to_path_buf(),
        path => root.join(OsStr::from_bytes(path)),
    };
    for node in nodes {
        let path = full(&node.path);
        match &node.what {
            What::Directory => fs::create_dir_all(&path).expect("there is room"),
            What::File(contents) => fs::write(&path, contents).expect("there is room"),
            What::Symlink(target) => {
                symlink(OsStr::from_bytes(target), &path).expect("there is room");
            }
            What::Link(target) => {
                fs::hard_link(full(target), &path).expect("there is room");
                continue;
            }
            What::Fifo => {
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::empty()).expect("there is room");
            }
            What::Other(letter) => panic!("no directory has {}", char::from(*letter)),
        }
        for (name, value) in &node.attributes {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::setxattr(&path, OsStr::from_bytes(name), value, flags).expect("it is ours");
        }
        if nix::unistd::geteuid().is_root() {
            let (uid, gid) = node.owner;
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid)).expect("root may");
        }
        if !matches!(node.what, What::Symlink(_) | What::Directory) {
            fs::set_permissions(&path, Permissions::from_mode(node.mode)).expect("it is ours");
        }
    }
    // What is made in a directory changes its time, and it may be closed to its owner.
    for node in nodes.iter().rev().filter(|node| !matches!(node.what, What::Link(_))) {
        let path = full(&node.path);
        if matches!(node.what, What::Directory) {
            fs::set_permissions(&path, Permissions::from_mode(node.mode)).expect("it is ours");
        }
        set_time(&path, node.time);
    }
}

fn set_time(path: &Path, (seconds, nanoseconds): (i64, u32)) {
    let time = rustix::fs::Timespec { tv_sec: seconds, tv_nsec: i64::from(nanoseconds) };
    let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags).expect("it is ours");
}

/// A tar archive, which is not ended.
#[derive(Debug, Clone, Default)]
pub struct Archive(pub Vec<u8>);

/// The fields of a header.
#[derive(Debug, Clone)]
pub struct Header {
    pub name: Vec<u8>,
    pub letter: u8,
    pub size: [u8; 12],
    pub mode: u32,
    pub owner: (u32, u32),
    pub time: u64,
    pub target: Vec<u8>,
}

impl Header {
    pub fn new(name: impl AsRef<[u8]>, letter: u8, size: u64) -> Header {
        Header {
            name: name.as_ref().into(),
            letter,
            size: octal(size),
            mode: 0o644,
            owner: (0, 0),
            time: 0,
            target: Vec::new(),
        }
    }

    pub fn bytes(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name[..self.name.len().min(100)]);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, format!("{:07o}\0", self.owner.0).as_bytes());
        put(116, format!("{:07o}\0", self.owner.1).as_bytes());
        put(124, &self.size);
        put(136, &octal(self.time));
        put(148, b"        ");
        put(156, &[self.letter]);
        put(157, &self.target[..self.target.len().min(100)]);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

fn octal(number: u64) -> [u8; 12] {
    let mut field = [0; 12];
    field[..11].copy_from_slice(format!("{:011o}", number.min(0o77_777_777_777)).as_bytes());
    field
}

/// A number of bytes in the binary form of GNU tar.
pub fn binary(number: u64) -> [u8; 12] {
    let mut field = [0; 12];
    field[0] = 0x80;
    field[4..].copy_from_slice(&number.to_be_bytes());
    field
}

/// One record of a pax header.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if length.to_string().len() > rest.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
}

impl Archive {
    /// An archive with all of these.
    pub fn of(nodes: &[Node]) -> Archive {
        nodes.iter().fold(Archive::default(), |archive, node| archive.node(node))
    }

    pub fn raw(mut self, header: &Header, contents: &[u8]) -> Archive {
        self.0.extend_from_slice(&header.bytes());
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn pax(self, records: &[Vec<u8>]) -> Archive {
        let records = records.concat();
        self.raw(&Header::new("pax", b'x', records.len() as u64), &records)
    }

    pub fn node(self, node: &Node) -> Archive {
        let (letter, contents, target): (u8, &[u8], &[u8]) = match &node.what {
            What::Directory => (b'5', b"", b""),
            What::File(contents) => (b'0', contents, b""),
            What::Symlink(target) => (b'2', b"", target),
            What::Link(target) => (b'1', b"", target),
            What::Fifo => (b'6', b"", b""),
            What::Other(letter) => (*letter, b"", b""),
        };
        let name: &[u8] = if node.path.is_empty() { b"./" } else { &node.path };
        let mut records = Vec::new();
        if name.len() > 100 {
            records.push(record("path", name));
        }
        if target.len() > 100 {
            records.push(record("linkpath", target));
        }
        let (seconds, nanoseconds) = node.time;
        if nanoseconds > 0 || seconds < 0 {
            assert!(nanoseconds == 0 || seconds >= 0, "this writer has no such times");
            let fraction =
                if nanoseconds > 0 { format!(".{nanoseconds:09}") } else { String::new() };
            records.push(record("mtime", format!("{seconds}{fraction}").as_bytes()));
        }
        for (name, value) in &node.attributes {
            records.push(record(&format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value));
        }
        let archive = if records.is_empty() { self } else { self.pax(&records) };
        let header = Header {
            mode: node.mode,
            owner: node.owner,
            time: u64::try_from(seconds).unwrap_or(0),
            target: target.to_vec(),
            ..Header::new(name, letter, contents.len() as u64)
        };
        archive.raw(&header, contents)
    }

    /// The bytes of the whole archive.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// Writes the whole archive to a file.
    pub fn write(self, path: impl Into<PathBuf>) -> PathBuf {
        let path = path.into();
        fs::write(&path, self.end()).expect("there is room");
        path
    }
}
