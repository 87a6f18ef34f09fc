//! The mounted cgroup hierarchies, and the caller's own cgroup in each: `/proc/self/mountinfo`,
//! `/proc/self/cgroup` (cgroups(7)).

use super::directory::failed;
use crate::base::error::Result;
use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A controller of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    Memory,
    Cpu,
    /// Only in version 1. In version 2 every cgroup counts its processor time.
    Cpuacct,
    Cpuset,
    Pids,
    Io,
    /// Only in version 1. In version 2 every cgroup can be frozen.
    Freezer,
}

impl Controller {
    const ALL: [Controller; 7] = [
        Controller::Memory,
        Controller::Cpu,
        Controller::Cpuacct,
        Controller::Cpuset,
        Controller::Pids,
        Controller::Io,
        Controller::Freezer,
    ];

    /// Its name in version 2. `None` where version 2 needs no controller.
    pub fn v2_name(self) -> Option<&'static str> {
        match self {
            Controller::Memory => Some("memory"),
            Controller::Cpu => Some("cpu"),
            Controller::Cpuset => Some("cpuset"),
            Controller::Pids => Some("pids"),
            Controller::Io => Some("io"),
            Controller::Cpuacct | Controller::Freezer => None,
        }
    }

    pub fn v1_name(self) -> &'static str {
        match self {
            Controller::Cpuacct => "cpuacct",
            Controller::Freezer => "freezer",
            Controller::Io => "blkio",
            _ => self.v2_name().unwrap_or_default(),
        }
    }
}

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub mount: PathBuf,
    /// The caller's own cgroup in it.
    pub own: PathBuf,
    /// The v1 controllers of this hierarchy.
    pub controllers: Vec<Controller>,
}

/// All mounted hierarchies that contain the caller's own cgroup.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchies {
    pub v2: Option<Hierarchy>,
    pub v1: Vec<Hierarchy>,
}

impl Hierarchies {
    pub fn find() -> Result<Hierarchies> {
        let read = |path: &str| match fs::read_to_string(path) {
            // A kernel without cgroups has no `cgroup` file. A caller without /proc has neither
            // file.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            result => result.map_err(|error| failed("read", Path::new(path), &error)),
        };
        let mut found =
            Hierarchies::parse(&read("/proc/self/mountinfo")?, &read("/proc/self/cgroup")?);
        // Another mount may cover this one. So check the file system that the path leads to.
        found.v2 = found.v2.filter(|hierarchy| is_v2(&hierarchy.own));
        found.v1.retain(|hierarchy| {
            statfs(&hierarchy.own).is_ok_and(|found| found.filesystem_type() == CGROUP_SUPER_MAGIC)
        });
        Ok(found)
    }

    fn parse(mounts: &str, membership: &str) -> Hierarchies {
        let mut found = Hierarchies::default();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let (left, right): (Vec<&str>, Vec<&str>) =
                (left.split(' ').collect(), right.split(' ').collect());
            let (&[_, _, _, root, mount, ..], &[kind, _, options, ..]) = (&left[..], &right[..])
            else {
                continue;
            };
            let options: Vec<&str> = options.split(',').collect();
            let is_own = |names: &str| match kind {
                "cgroup2" => names.is_empty(),
                _ => !names.is_empty() && names.split(',').all(|name| options.contains(&name)),
            };
            let own = membership.lines().find_map(|line| {
                let (names, path) = line.split_once(':')?.1.split_once(':')?;
                is_own(names).then_some(path)
            });
            // A mount may show only a part of the hierarchy. Skip one that does not show the
            // caller's own cgroup.
            let below = own.and_then(|own| Path::new(own).strip_prefix(unescape(root)).ok());
            let Some(below) = below.filter(|path| !path.starts_with("..")) else { continue };
            let mount = unescape(mount);
            let controllers = Controller::ALL
                .into_iter()
                .filter(|controller| options.contains(&controller.v1_name()))
                .collect();
            let hierarchy = Hierarchy { own: mount.join(below), mount, controllers };
            match kind {
                "cgroup2" => found.v2 = found.v2.or(Some(hierarchy)),
                "cgroup" if !hierarchy.controllers.is_empty() => found.v1.push(hierarchy),
                _ => {}
            }
        }
        found
    }

    /// The v1 hierarchy with this controller.
    pub fn v1(&self, controller: Controller) -> Option<&Hierarchy> {
        self.v1.iter().find(|hierarchy| hierarchy.controllers.contains(&controller))
    }
}

/// Whether a directory is a v2 cgroup.
pub fn is_v2(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// A path as `/proc/self/mountinfo` writes it: `\040` for a space, and so on.
fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let (mut plain, mut next) = (Vec::with_capacity(bytes.len()), 0);
    while next < bytes.len() {
        let octal = (bytes[next] == b'\\').then(|| text.get(next + 1..next + 4)).flatten();
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                next += 4;
            }
            None => {
                plain.push(bytes[next]);
                next += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hybrid_host() {
        let mounts = "\
            31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            35 31 0:32 / /sys/fs/cgroup/my\\040memory rw,relatime - cgroup cgroup rw,memory\n\
            40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n\
            41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";
        let membership = "9:name=systemd:/init\n4:memory:/a/b\n2:cpu,cpuacct:/\n0::/user.slice\n";
        let found = Hierarchies::parse(mounts, membership);
        assert_eq!(
            found.v2.as_ref().map(|v2| v2.own.as_path()),
            Some(Path::new("/sys/fs/cgroup/unified/user.slice"))
        );
        let own = |controller| found.v1(controller).map(|hierarchy| hierarchy.own.as_path());
        assert_eq!(own(Controller::Memory), Some(Path::new("/sys/fs/cgroup/my memory/a/b")));
        assert_eq!(own(Controller::Cpuacct), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct/")));
        assert_eq!((own(Controller::Pids), found.v1.len()), (None, 2));
    }

    #[test]
    fn a_container_that_mounts_a_part() {
        let mounts = "50 40 0:26 /docker/abc /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n";
        let own = |membership: &str| Hierarchies::parse(mounts, membership).v2.map(|v2| v2.own);
        assert_eq!(own("0::/docker/abc/x\n"), Some("/sys/fs/cgroup/x".into()));
        assert_eq!(own("0::/elsewhere\n"), None);
    }
}
