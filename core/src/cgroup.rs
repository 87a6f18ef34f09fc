//! A cgroup around a sandbox that shares the caller's pid namespace: the kernel's own way to end all that is inside.
//!
//! It lies in the caller's own cgroup of the v2 hierarchy, where that can be written and has `cgroup.kill` (Linux 5.14). It
//! carries our name and the caller's process id, holds nobody but the sandbox, limits nothing, and is removed with it; what
//! a killed caller left is removed by the next run. Where there is none to be had, the warden ends the tree alone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const NAME: &str = "seclude";

/// A cgroup of ours.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    /// Who made it: a process forked from that one must not remove it.
    owner: u32,
}

impl Cgroup {
    /// Makes one below the caller's own, if this host and user can.
    pub fn make() -> Option<Cgroup> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let callers = callers_cgroup()?;
        reclaim(&callers);
        let owner = std::process::id();
        let path = callers.join(format!("{NAME}-{owner}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&path).ok()?;
        let cgroup = Cgroup { path, owner };
        cgroup.path.join("cgroup.kill").exists().then_some(cgroup)
    }

    /// Moves the process `pid` into it; what that starts from now on is in it too.
    pub fn admit(&self, pid: i32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if std::process::id() == self.owner {
            remove(&self.path);
        }
    }
}

/// Kills what is in it and removes it. The kernel takes a moment between the last process's end and an empty cgroup.
fn remove(path: &Path) {
    const ROUNDS: u32 = 200;
    let _ = fs::write(path.join("cgroup.kill"), "1");
    for _ in 0..ROUNDS {
        match fs::remove_dir(path) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(Duration::from_millis(5)),
            _ => return,
        }
    }
}

/// The directory of the caller's cgroup in the v2 hierarchy: cgroups(7).
fn callers_cgroup() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let mount = mounts.lines().find_map(|line| line.split_once(" - cgroup2 ")?.0.split(' ').nth(4).map(PathBuf::from))?;
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = membership.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(mount.join(own))
}

/// Removes what callers that are no more have left.
fn reclaim(callers: &Path) {
    let Ok(entries) = fs::read_dir(callers) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(NAME)?.strip_prefix('-')?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            remove(&entry.path());
        }
    }
}
