//! One cgroup directory of ours: named after its caller, locked while that lives, removed with what is in it.

use crate::error::{Error, ErrorKind, Result};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "seclude";
/// The directory below one of ours in which processes stand still.
pub const FROZEN: &str = "frozen";

/// A directory of ours.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The directory itself. While this is open somewhere, nobody takes it for abandoned.
    lock: Flock<File>,
    /// Who made it: a process forked from that one must not remove it.
    owner: u32,
}

/// A name that nobody else in this process has: `seclude-PID-N`.
pub fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{NAME}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Directory {
    /// Makes one below `parent`, and removes what callers that are no more have left there.
    pub fn make(parent: &Path) -> Result<Directory> {
        reclaim(parent);
        let path = parent.join(new_name());
        // The name is ours alone: what is told is where it cannot be made.
        fs::create_dir(&path).map_err(|error| failed("make a cgroup in", parent, &error))?;
        let locked = File::open(&path).map_err(|error| failed("open the cgroup", &path, &error)).and_then(|file| {
            let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock);
            lock.map_err(|(_, errno)| failed("lock the cgroup", &path, &errno.into()))
        });
        match locked {
            Ok(lock) => Ok(Directory { path, lock, owner: std::process::id() }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    pub fn has(&self, file: &str) -> bool {
        self.path.join(file).exists()
    }

    pub fn open(&self, file: &str) -> std::io::Result<File> {
        File::open(self.path.join(file))
    }

    pub fn open_to_write(&self, file: &str) -> std::io::Result<File> {
        File::options().write(true).open(self.path.join(file))
    }

    /// A file's contents; empty where there is no such file.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).unwrap_or_default()
    }

    /// Writes a file of the directory in one piece, as the kernel wants it.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        write(&self.path.join(file), text)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::process::id() == self.owner {
            const TIME: Duration = Duration::from_secs(1);
            remove(&self.path, TIME);
        }
    }
}

/// Writes a cgroup's file: it must exist, and takes one write.
pub fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let written = File::options().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| failed(&format!("write {text:?} to"), path, &error))
}

/// What could not be done with a cgroup's directory or file, and where that is known, what would help.
pub fn failed(action: &str, path: &Path, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let failure = Error::new(ErrorKind::LimitUnavailable, format!("{action} {}", path.display())).errno(errno).at(path);
    match errno {
        libc::EACCES | libc::EPERM => failure.hint(
            "the caller may not write there: delegate a cgroup to it (systemd: Delegate=yes) and name that (Sandbox::cgroup or SECLUDE_CGROUP)",
        ),
        libc::EROFS => failure.hint("a surrounding container mounts the cgroups read-only: start that one with writable cgroups"),
        libc::EBUSY => failure.hint("a cgroup whose processes are directly in it cannot give controllers to others below it: name an empty one (Sandbox::cgroup or SECLUDE_CGROUP)"),
        _ => failure,
    }
}

/// Kills what is in it, and in what is frozen below it, and removes both. The kernel takes a moment between the last process's end and an
/// empty cgroup.
fn remove(path: &Path, time: Duration) {
    const PAUSE: Duration = Duration::from_millis(2);
    let frozen = path.join(FROZEN);
    let deadline = Instant::now() + time;
    loop {
        let _ = fs::remove_dir(&frozen);
        match fs::remove_dir(path) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY)) && Instant::now() < deadline => {}
            _ => return,
        }
        for place in [path, &frozen] {
            kill(place);
        }
        thread::sleep(PAUSE);
    }
}

/// Ends every process in this one cgroup.
fn kill(path: &Path) {
    if fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let listed = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    // A 0 is a process that this pid namespace does not see.
    for pid in listed.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 1) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    let _ = fs::write(path.join("freezer.state"), "THAWED");
    let _ = fs::write(path.join("cgroup.freeze"), "0");
}

/// Removes what callers that are no more have left: of a process number that is nobody's here, and locked by nobody anywhere.
pub fn reclaim(parent: &Path) {
    const TIME: Duration = Duration::from_millis(200);
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().filter(|entry| is_orphan(&entry.file_name())).map(|entry| entry.path()) {
        let abandoned = File::open(&path).is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok());
        if abandoned {
            remove(&path, TIME);
        }
    }
}

fn is_orphan(name: &std::ffi::OsStr) -> bool {
    let owner = || name.to_str()?.strip_prefix(NAME)?.strip_prefix('-')?.split('-').next()?.parse::<u32>().ok();
    owner().is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}
