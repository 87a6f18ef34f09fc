//! One cgroup directory that this library created. Its name identifies the caller. A lock marks it
//! as in use while the caller lives. Dropping it kills what is in it and removes it.
//!
//! The file is longer than 400 lines because its unit tests are in it.

use crate::base::error::{self, Error, Result};
use crate::base::kept::Kept;
use crate::host::socket;
use nix::fcntl::{Flock, FlockArg};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const NAME: &str = "seclude";
/// The name prefix of single commands' directories, below a cell's.
const COMMAND: &str = "command";
/// The directory for frozen processes, below a sandbox's.
pub const FROZEN: &str = "frozen";

/// A directory that this library created.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The directory itself, locked. While a copy of the descriptor is open somewhere, no other
    /// caller takes the directory for abandoned.
    lock: Kept,
    /// The process that created it. A process forked from that one must not remove it.
    owner: u32,
    /// Whether it lies below another directory of ours, which removes it as well. Its own drop
    /// removes it only when it is empty.
    below: bool,
}

/// A name that no other caller uses: `seclude-PID-N-TOKEN`.
///
/// Callers in different pid namespaces often have the same process id: the first process of a
/// container always has id 1. The token tells them apart. The id is only there for people who read
/// the list.
pub fn new_name() -> Result<String> {
    let pid = std::process::id();
    let token = token_of(pid, &mut TOKEN.lock().unwrap_or_else(PoisonError::into_inner))?;
    Ok(format!("{NAME}-{pid}-{}-{token}", next()))
}

/// The length of a token in hexadecimal digits.
const TOKEN_LENGTH: usize = 16;

/// The token of this process, and the id of the process that drew it. A forked process draws its
/// own.
static TOKEN: Mutex<Option<(u32, String)>> = Mutex::new(None);

fn token_of(pid: u32, kept: &mut Option<(u32, String)>) -> Result<String> {
    if let Some((_, token)) = kept.as_ref().filter(|(owner, _)| *owner == pid) {
        return Ok(token.clone());
    }
    let mut bytes = [0; TOKEN_LENGTH / 2];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(error::ErrorKind::Setup, "draw the name of a cgroup").because(error.to_string())
    })?;
    let token = format!("{:0TOKEN_LENGTH$x}", u64::from_ne_bytes(bytes));
    *kept = Some((pid, token.clone()));
    Ok(token)
}

/// Makes the next name use another token. A forked process in a pid namespace of its own can have
/// its parent's id. It would then reuse the parent's token, and its names could be taken already.
fn forget_token() {
    *TOKEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

const MAKE: &str = "make a cgroup in";

/// Why an attempt to create a directory failed.
struct FailedAttempt {
    action: &'static str,
    at: PathBuf,
    error: std::io::Error,
}

/// Whether this open directory is the one that `path` names now.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let (open, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Directory {
    /// Creates a directory below `parent`. First removes the directories that callers left there
    /// which have ended.
    pub fn make(parent: &Path) -> Result<Directory> {
        reclaim(parent);
        Directory::create(parent, new_name, false)
    }

    /// Creates a directory for a single command below a cell's. First removes empty ones of earlier
    /// commands.
    pub fn below(parent: &Directory) -> Result<Directory> {
        for_each_abandoned(&parent.path, is_of_command, |path| drop(fs::remove_dir(path)));
        Directory::create(&parent.path, || Ok(format!("{COMMAND}-{}", next())), true)
    }

    /// Creates a directory with this name below another one.
    pub fn named(parent: &Directory, name: &str) -> Result<Directory> {
        Directory::create(&parent.path, || Ok(name.to_owned()), true)
    }

    /// Creates a directory and locks it. If another process takes the name or the lock first, it
    /// tries again under another name: a coincidence must not cost a caller its limits.
    fn create(parent: &Path, name: impl Fn() -> Result<String>, below: bool) -> Result<Directory> {
        const ATTEMPTS: u32 = 32;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let path = parent.join(name()?);
            let (action, at, error) = match Directory::attempt(path, below) {
                Ok(directory) => return Ok(directory),
                Err(FailedAttempt { action, at, error }) => (action, at, error),
            };
            let retry = matches!(
                error.raw_os_error(),
                Some(libc::EEXIST | libc::ENOENT | libc::EWOULDBLOCK | libc::ENODEV)
            );
            if !retry || !parent.is_dir() || attempts == ATTEMPTS {
                // Creating the directory failed, so the error names the parent.
                let at = if action == MAKE { parent } else { &at };
                return Err(failed(action, at, &error));
            }
            if error.raw_os_error() == Some(libc::EEXIST) {
                forget_token();
            }
        }
    }

    fn attempt(path: PathBuf, below: bool) -> std::result::Result<Directory, FailedAttempt> {
        let failed = |action| {
            let at = path.clone();
            move |error| FailedAttempt { action, at, error }
        };
        // Mode 0700, because anyone who can open a directory can lock it (flock(2)).
        DirBuilder::new().mode(0o700).create(&path).map_err(failed(MAKE))?;
        let locked = File::open(&path).map_err(failed("open the cgroup")).and_then(|file| {
            // Not under a standard number: the caller may put a stream of its own there, which
            // would release the lock.
            let file = socket::above_stdio(file.into()).map_err(|error| {
                let errno = error.raw_os_error().unwrap_or(libc::EMFILE);
                failed("open the cgroup")(std::io::Error::from_raw_os_error(errno))
            })?;
            let lock = Flock::lock(File::from(file), FlockArg::LockExclusiveNonblock);
            lock.map_err(|(_, errno)| failed("lock the cgroup")(errno.into()))
        });
        // Before the lock was taken, another caller could remove the directory as abandoned. So
        // check that the path still names the locked directory.
        let locked = locked.and_then(|lock| match is_at(&lock, &path) {
            Ok(true) => Ok(lock),
            Ok(false) => {
                Err(failed("lock the cgroup")(std::io::Error::from_raw_os_error(libc::ENOENT)))
            }
            Err(error) => Err(failed("lock the cgroup")(error)),
        });
        match locked {
            Ok(lock) => {
                let number = lock.as_raw_fd();
                // `Flock` unlocks on drop. In a process forked from this one, that would release
                // the lock for both. `Kept` only closes.
                std::mem::forget(lock);
                Ok(Directory {
                    path,
                    lock: crate::base::sys::own(number).into(),
                    owner: std::process::id(),
                    below,
                })
            }
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }

    /// The directories of single commands below this one.
    pub fn command_directories(&self) -> Result<Vec<PathBuf>> {
        let is_one = |path: &PathBuf| path.file_name().is_some_and(is_of_command);
        let below = directories_below(&self.path)
            .map_err(|error| failed("list the cgroups in", &self.path, &error))?;
        Ok(below.into_iter().filter(is_one).collect())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets a group of other users read the directory. They can then wait for its lock, but not
    /// take it while the caller lives.
    ///
    /// An unprivileged caller may not give it to one of its subordinate groups. Then everybody may
    /// read files by their names, but not open the directory, and so not lock it.
    pub fn show_to(&self, group: u32) -> Result<()> {
        let failed = |error| failed("show the command", &self.path, &error);
        let mode = match chown(&self.path, None, Some(group)) {
            Ok(()) => 0o750,
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => 0o711,
            Err(error) => return Err(failed(error)),
        };
        fs::set_permissions(&self.path, Permissions::from_mode(mode)).map_err(failed)
    }

    /// The open directory. `None` if the caller has closed the descriptor.
    pub fn opened(&self) -> Option<BorrowedFd<'_>> {
        self.lock.intact()
    }

    /// Whether the directory has this file, which depends on the kernel.
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

    /// Reads a file on which a decision depends. Empty if this kernel has no such file; any other
    /// failure is an error.
    pub fn text(&self, file: &str) -> Result<String> {
        let path = self.path.join(file);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            result => result.map_err(|error| failed("read", &path, &error)),
        }
    }

    /// Reads a file of counters. Empty if it cannot be read.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).unwrap_or_default()
    }

    /// Writes a file of the directory in one write(2), which the kernel requires.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        write(&self.path.join(file), text)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        const TIME: Duration = Duration::from_secs(1);
        if std::process::id() != self.owner {
            return;
        }
        if self.below {
            let _ = fs::remove_dir(&self.path);
        } else {
            remove(&self.path, TIME);
        }
        // Unlocks explicitly, because a forked process may hold a copy of the descriptor. Another
        // caller can then remove what is left.
        if let Some(directory) = self.lock.intact() {
            crate::base::sys::unlock(directory);
        }
    }
}

/// Writes a cgroup file in one write(2). The file must exist.
pub fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let written =
        File::options().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| failed(&format!("write {text:?} to"), path, &error))
}

/// The error for a failed action on a cgroup directory or file, with a remedy where one is known.
pub fn failed(action: &str, path: &Path, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let making = action == MAKE;
    let failure =
        Error::new(error::ErrorKind::LimitUnavailable, format!("{action} {}", path.display()))
            .errno(errno)
            .at(path);
    match errno {
        // A shortage may be gone in a moment, so it must not weaken a limit: it is an error of its
        // own kind.
        libc::EAGAIN | libc::ENOSPC if making => failure.of_kind(error::ErrorKind::HostLimit).hint(
            "a limit on cgroups is reached: cgroup.max.descendants or cgroup.max.depth there or \
            above, or the kernel's own",
        ),
        libc::EACCES | libc::EPERM => failure.hint(
            "the caller may not write there: delegate a cgroup to it (systemd: Delegate=yes) and \
            name that (Sandbox::cgroup or SECLUDE_CGROUP)",
        ),
        libc::EROFS => failure.hint(
            "a surrounding container mounts the cgroups read-only: start that one with writable \
            cgroups",
        ),
        libc::EBUSY => failure.hint(
            "a cgroup whose processes are directly in it cannot give controllers to others below \
            it: name an empty one (Sandbox::cgroup or SECLUDE_CGROUP)",
        ),
        _ => failure,
    }
}

/// Kills every process in the directory and below it, and removes them all. The kernel needs a
/// moment between the end of the last process and an empty cgroup.
fn remove(path: &Path, time: Duration) {
    const PAUSE: Duration = Duration::from_millis(2);
    let deadline = Instant::now() + time;
    loop {
        match fs::remove_dir(path) {
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY))
                    && Instant::now() < deadline => {}
            _ => return,
        }
        kill(path);
        let below = directories_below(path).unwrap_or_default();
        below.iter().for_each(|place| kill(place));
        // Directories that are empty already go at once. The others go in a later round.
        let removed = below.iter().filter(|place| fs::remove_dir(place).is_ok()).count();
        if removed == 0 {
            thread::sleep(PAUSE);
        }
    }
}

/// All directories below, deeper ones first.
fn directories_below(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        // The directory was removed in the meantime.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(directories_below(&entry.path())?);
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The threads in this one cgroup. The kernel lists one outside this pid namespace as 0.
///
/// Not the processes: `cgroup.procs` lists a process by its main thread, which may have ended, and
/// then it stays where it ended.
pub fn threads(path: &Path) -> Result<BTreeSet<i32>> {
    let v2 = path.join("cgroup.threads");
    let path = if v2.exists() { v2 } else { path.join("tasks") };
    let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Kills every process in this one cgroup.
fn kill(path: &Path) {
    if fs::write(path.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    // A signal to a thread's id goes to its process.
    for thread in threads(path).unwrap_or_default().into_iter().filter(|thread| *thread > 1) {
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(thread),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
    let _ = fs::write(path.join("freezer.state"), "THAWED");
    let _ = fs::write(path.join("cgroup.freeze"), "0");
}

/// Removes the directories below `parent` that belong to callers which have ended.
pub fn reclaim(parent: &Path) {
    const TIME: Duration = Duration::from_millis(200);
    for_each_abandoned(parent, is_another_callers, |path| remove(path, TIME));
}

/// Calls `visit` with each directory that has such a name and is not locked. Only the lock decides:
/// a process id says nothing about callers in other pid namespaces. The lock is held during the
/// call, so that a caller that has just created the directory cannot lock it and rely on it.
fn for_each_abandoned(parent: &Path, is_such: impl Fn(&OsStr) -> bool, visit: impl Fn(&Path)) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in
        entries.flatten().filter(|entry| is_such(&entry.file_name())).map(|entry| entry.path())
    {
        let Ok(file) = File::open(&path) else { continue };
        if let Ok(lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock)
            && is_at(&lock, &path).unwrap_or(false)
        {
            visit(&path);
        }
    }
}

fn is_of_command(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(COMMAND))
}

/// Whether this is the name of another caller's directory. This process's own are in use, and there
/// can be thousands of them.
fn is_another_callers(name: &OsStr) -> bool {
    let Some((pid, token)) = name.to_str().and_then(parts) else { return false };
    let kept = TOKEN.lock().unwrap_or_else(PoisonError::into_inner);
    kept.as_ref().is_none_or(|(owner, own)| {
        (*owner, own.as_str()) != (pid, token) || *owner != std::process::id()
    })
}

/// The process id and the token in the name of a caller's directory. `None` for any other name,
/// even one that begins like ours.
fn parts(name: &str) -> Option<(u32, &str)> {
    let mut parts = name.strip_prefix(NAME)?.strip_prefix('-')?.split('-');
    let (pid, _number, token) =
        (parts.next()?.parse().ok()?, parts.next()?.parse::<u32>().ok()?, parts.next()?);
    let is_token =
        token.len() == TOKEN_LENGTH && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_token && parts.next().is_none()).then_some((pid, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_recognized() {
        let (one, other) = (new_name().unwrap(), new_name().unwrap());
        assert_ne!(one, other);
        assert_eq!(parts(&one).map(|(pid, _)| pid), Some(std::process::id()));
        // A caller with the same process id in another pid namespace has another token.
        let mut kept = None;
        let first = token_of(1, &mut kept).unwrap();
        assert_eq!(token_of(1, &mut kept).unwrap(), first);
        assert_ne!(token_of(1, &mut None).unwrap(), first);
        assert!(!is_another_callers(OsStr::new(&one)));
        let pid = std::process::id();
        assert!(is_another_callers(OsStr::new(&format!("seclude-{pid}-0-0123456789abcdef"))));
        for name in [
            "seclude",
            "seclude-1",
            "seclude-1-2",
            "seclude-1-2-web",
            "seclude-1-2-0123456789abcdef.scope",
            "seclude-web-0-0123456789abcdef",
        ] {
            assert_eq!(parts(name), None, "{name}");
        }
    }

    /// This works on any file system, because only the lock decides.
    #[test]
    fn reclaim_removes_only_unlocked_directories() {
        let place = std::env::temp_dir().join(new_name().unwrap());
        fs::create_dir(&place).unwrap();
        let (living, dead) = (
            place.join("seclude-1-0-0123456789abcdef"),
            place.join("seclude-1-0-fedcba9876543210"),
        );
        fs::create_dir(&living).unwrap();
        fs::create_dir(&dead).unwrap();
        let lock = Flock::lock(File::open(&living).unwrap(), FlockArg::LockExclusive).unwrap();
        reclaim(&place);
        assert!(living.exists() && !dead.exists());
        drop(lock);
        reclaim(&place);
        assert!(!living.exists());
        // A name that is taken costs another attempt, not a limit.
        let taken = std::cell::Cell::new(0);
        let name = || {
            taken.set(taken.get() + 1);
            Ok(if taken.get() < 3 { "taken".to_owned() } else { "free".to_owned() })
        };
        fs::create_dir(place.join("taken")).unwrap();
        let made = Directory::create(&place, name, true).unwrap();
        assert_eq!((made.path(), taken.get()), (place.join("free").as_path(), 3));
        drop(made);
        fs::remove_dir_all(&place).unwrap();
    }
}
