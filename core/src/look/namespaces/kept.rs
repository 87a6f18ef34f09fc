//! Namespaces that a mount keeps, as `ip netns add` makes them: `nsfs` lines of
//! `/proc/PID/mountinfo`, proc_pid_mountinfo(5).

use crate::base::error::{Error, Result};
use crate::host::namespace::number;
use crate::policy::Namespace;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A mount that keeps a namespace.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount {
    pub kind: Namespace,
    pub id: u64,
    pub path: PathBuf,
}

/// Those of the caller's mount namespace; none where `/proc` does not tell.
pub fn mounts() -> Result<Vec<Mount>> {
    match fs::read("/proc/thread-self/mountinfo") {
        Ok(text) => Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("read /proc/thread-self/mountinfo", error)),
    }
}

/// `id parent device root path options [tags] - type source options`, where blanks within a field
/// are written as `\040`.
fn parse(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let dash = fields.iter().position(|field| *field == b"-")?;
    if *fields.get(dash + 1)? != b"nsfs" {
        return None;
    }
    let root = str::from_utf8(fields.get(3)?).ok()?;
    let kind = match root.split_once(':')?.0 {
        "mnt" => Namespace::Mount,
        name => Namespace::from_name(name)?,
    };
    Some(Mount { kind, id: number(root)?, path: OsString::from_vec(plain(fields.get(4)?)).into() })
}

/// The bytes of a field: three octal digits behind each backslash.
fn plain(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind
            .get(..3)
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 8).ok());
        let (byte, behind) = match digits {
            Some(byte) if *first == b'\\' => (byte, &behind[3..]),
            _ => (*first, behind),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes
}

impl Mount {
    /// A descriptor of the namespace. What is found at the path is looked at before it is opened:
    /// it may be anything that was mounted later.
    pub fn open(&self) -> io::Result<File> {
        let found = open(&self.path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
        if fstatfs(&found)?.filesystem_type() != NSFS_MAGIC || fstat(&found)?.st_ino != self.id {
            return Err(Errno::ESTALE.into());
        }
        File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_a_namespace_is_read_whatever_its_path_is() {
        let line = |path: &str| {
            format!("105 24 0:4 net:[4026532281] {path} rw shared:5 - nsfs nsfs rw").into_bytes()
        };
        let mount =
            |path: &str| Some(Mount { kind: Namespace::Net, id: 4_026_532_281, path: path.into() });
        assert_eq!(parse(&line("/run/netns/a")), mount("/run/netns/a"));
        assert_eq!(parse(&line(r"/run/a\040b\134c")), mount(r"/run/a b\c"));
        assert_eq!(parse(&line(r"/run/a\9")), mount(r"/run/a\9"));
        let mounts = b"106 24 0:4 mnt:[7] /m rw - nsfs nsfs rw";
        assert_eq!(parse(mounts).map(|mount| (mount.kind, mount.id)), Some((Namespace::Mount, 7)));
    }

    #[test]
    fn other_mounts_are_none_of_ours() {
        for line in [
            "",
            "24 1 8:1 / / rw - ext4 /dev/sda1 rw",
            "24 1 0:4 net:[7] /x rw - proc proc rw",
            "24 1 0:4 odd:[7] /x rw - nsfs nsfs rw",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
