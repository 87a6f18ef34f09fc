//! One cgroup directory of ours: named after its caller, locked while that lives, removed with what is in it.

use crate::error::{self, Error, Result};
use crate::socket;
use nix::fcntl::{Flock, FlockArg};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "seclude";
/// Those of single commands, below a cell's.
const COMMAND: &str = "command";
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
    /// It lies in one of ours, and goes with that: by itself only when it is empty.
    below: bool,
}

/// A name that nobody else in this process has: `seclude-PID-N`.
pub fn new_name() -> String {
    format!("{NAME}-{}-{}", std::process::id(), next())
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Directory {
    /// Makes one below `parent`, and removes what callers that are no more have left there.
    pub fn make(parent: &Path) -> Result<Directory> {
        reclaim(parent);
        Directory::create(parent, &new_name(), false)
    }

    /// Makes one for a single command below a cell's, and removes those of earlier ones that have left nobody.
    pub fn below(parent: &Directory) -> Result<Directory> {
        abandoned(&parent.path, is_of_command, |path| drop(fs::remove_dir(path)));
        Directory::create(&parent.path, &format!("{COMMAND}-{}", next()), true)
    }

    /// Makes one of this name below another one.
    pub fn named(parent: &Directory, name: &str) -> Result<Directory> {
        Directory::create(&parent.path, name, true)
    }

    fn create(parent: &Path, name: &str, below: bool) -> Result<Directory> {
        let path = parent.join(name);
        // The name is ours alone: what is told is where it cannot be made.
        fs::create_dir(&path).map_err(|error| failed("make a cgroup in", parent, &error))?;
        let opened = File::open(&path).map_err(|error| failed("open the cgroup", &path, &error));
        let locked = opened.and_then(|file| {
            // A number that the caller may take for a stream of its own would not keep the lock.
            let file = socket::above_stdio(file.into())?;
            let lock = Flock::lock(File::from(file), FlockArg::LockExclusiveNonblock);
            lock.map_err(|(_, errno)| failed("lock the cgroup", &path, &errno.into()))
        });
        match locked {
            Ok(lock) => Ok(Directory { path, lock, owner: std::process::id(), below }),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }

    /// Those of single commands, below it.
    pub fn of_commands(&self) -> Result<Vec<PathBuf>> {
        let is_one = |path: &PathBuf| path.file_name().is_some_and(is_of_command);
        let below = each_below(&self.path).map_err(|error| failed("list the cgroups in", &self.path, &error))?;
        Ok(below.into_iter().filter(is_one).collect())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }

    /// Whether this kernel has such a file here.
    pub fn has(&self, file: &str) -> Result<bool> {
        let path = self.path.join(file);
        path.try_exists().map_err(|error| failed("look for", &path, &error))
    }

    pub fn open(&self, file: &str) -> std::io::Result<File> {
        File::open(self.path.join(file))
    }

    pub fn open_to_write(&self, file: &str) -> std::io::Result<File> {
        File::options().write(true).open(self.path.join(file))
    }

    /// A file's contents, for a decision; empty where this kernel has no such file.
    pub fn text(&self, file: &str) -> Result<String> {
        let path = self.path.join(file);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            result => result.map_err(|error| failed("read", &path, &error)),
        }
    }

    /// What a file has counted; empty where it cannot be read.
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
        const TIME: Duration = Duration::from_secs(1);
        match std::process::id() == self.owner {
            true if self.below => drop(fs::remove_dir(&self.path)),
            true => remove(&self.path, TIME),
            false => {}
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
    let action = format!("{action} {}", path.display());
    let failure = Error::new(error::ErrorKind::LimitUnavailable, action.clone()).errno(errno).at(path);
    match errno {
        // The caller is short of something for a moment: that is no reason to hold a limit less well.
        libc::EMFILE | libc::ENFILE => Error::io(action, std::io::Error::from_raw_os_error(errno)).at(path),
        libc::ENOMEM => Error::new(error::ErrorKind::HostLimit, action)
            .errno(errno)
            .at(path)
            .hint("the machine is out of memory, or the caller's own cgroup is at its limit"),
        libc::EACCES | libc::EPERM => failure.hint(
            "the caller may not write there: delegate a cgroup to it (systemd: Delegate=yes) and name that (Sandbox::cgroup or SECLUDE_CGROUP)",
        ),
        libc::EROFS => failure.hint("a surrounding container mounts the cgroups read-only: start that one with writable cgroups"),
        libc::EBUSY => failure.hint("a cgroup whose processes are directly in it cannot give controllers to others below it: name an empty one (Sandbox::cgroup or SECLUDE_CGROUP)"),
        _ => failure,
    }
}

/// Kills what is in it, and in what lies below it, and removes it all. The kernel takes a moment between the last process's end and an
/// empty cgroup.
fn remove(path: &Path, time: Duration) {
    const PAUSE: Duration = Duration::from_millis(2);
    let deadline = Instant::now() + time;
    loop {
        match fs::remove_dir(path) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY)) && Instant::now() < deadline => {}
            _ => return,
        }
        kill(path);
        let below = each_below(path).unwrap_or_default();
        below.iter().for_each(|place| kill(place));
        // Who is empty now is gone at once; who is not yet, in the next round.
        let removed = below.iter().filter(|place| fs::remove_dir(place).is_ok()).count();
        if removed == 0 {
            thread::sleep(PAUSE);
        }
    }
}

/// The directories below, deeper ones first.
fn each_below(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        // Removed meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(each_below(&entry.path())?);
            found.push(entry.path());
        }
    }
    Ok(found)
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
    abandoned(parent, is_orphan, |path| remove(path, TIME));
}

/// Calls `visit` with each directory of such a name that nobody has locked.
fn abandoned(parent: &Path, is_such: impl Fn(&OsStr) -> bool, visit: impl Fn(&Path)) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().filter(|entry| is_such(&entry.file_name())).map(|entry| entry.path()) {
        if File::open(&path).is_ok_and(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok()) {
            visit(&path);
        }
    }
}

fn is_of_command(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(COMMAND))
}

fn is_orphan(name: &OsStr) -> bool {
    let owner = || name.to_str()?.strip_prefix(NAME)?.strip_prefix('-')?.split('-').next()?.parse::<u32>().ok();
    owner().is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}
