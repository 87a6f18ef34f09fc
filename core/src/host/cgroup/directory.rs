//! One cgroup directory of ours: named after its caller, locked while that lives, removed with what
//! is in it.

use crate::base::error::{self, Error, Result};
use crate::base::kept::Kept;
use crate::host::socket;
use nix::fcntl::{Flock, FlockArg};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
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
    /// The directory itself, locked. While this is open somewhere, nobody takes it for abandoned.
    lock: Kept,
    /// Who made it: a process forked from that one must not remove it.
    owner: u32,
    /// It lies in one of ours, and goes with that: by itself only when it is empty.
    below: bool,
}

/// A name that no other caller uses: `seclude-PID-N-TOKEN`.
///
/// Callers in different pid namespaces often have the same number (the first process of a container
/// is always 1), so the token tells them apart. The number is only for people who read the list.
pub fn new_name() -> Result<String> {
    let pid = std::process::id();
    let token = token_of(pid, &mut TOKEN.lock().unwrap_or_else(PoisonError::into_inner))?;
    Ok(format!("{NAME}-{pid}-{}-{token}", next()))
}

/// Hexadecimal digits of a token.
const TOKEN_LENGTH: usize = 16;

/// The token of this process, and the process that drew it: a forked process draws its own.
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

/// A forked process can have the number of its parent, in a pid namespace of its own. Then the name
/// that it composes can be taken, and it needs another token.
fn forget_token() {
    *TOKEN.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

const MAKE: &str = "make a cgroup in";

/// Why an attempt to make a directory came to nothing.
struct Lost {
    action: &'static str,
    at: PathBuf,
    error: std::io::Error,
}

/// Whether this open directory is the one at `path`.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let (open, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((open.dev(), open.ino()) == (there.dev(), there.ino()))
}

fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Directory {
    /// Makes one below `parent`, and removes those that callers that have ended left there.
    pub fn make(parent: &Path) -> Result<Directory> {
        reclaim(parent);
        Directory::create(parent, new_name, false)
    }

    /// Makes one for a single command below a cell's, and removes empty ones of earlier commands.
    pub fn below(parent: &Directory) -> Result<Directory> {
        abandoned(&parent.path, is_of_command, |path| drop(fs::remove_dir(path)));
        Directory::create(&parent.path, || Ok(format!("{COMMAND}-{}", next())), true)
    }

    /// Makes one of this name below another one.
    pub fn named(parent: &Directory, name: &str) -> Result<Directory> {
        Directory::create(&parent.path, || Ok(name.to_owned()), true)
    }

    /// Makes one and locks it. Whatever takes its name or the lock first costs another attempt,
    /// under another name: a caller must not lose its limits to a coincidence.
    fn create(parent: &Path, name: impl Fn() -> Result<String>, below: bool) -> Result<Directory> {
        const ATTEMPTS: u32 = 32;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let path = parent.join(name()?);
            let (action, at, error) = match Directory::attempt(path, below) {
                Ok(directory) => return Ok(directory),
                Err(Lost { action, at, error }) => (action, at, error),
            };
            let lost = matches!(
                error.raw_os_error(),
                Some(libc::EEXIST | libc::ENOENT | libc::EWOULDBLOCK | libc::ENODEV)
            );
            if !lost || !parent.is_dir() || attempts == ATTEMPTS {
                // No directory was made: the error is about the place where it should be.
                let at = if action == MAKE { parent } else { &at };
                return Err(failed(action, at, &error));
            }
            if error.raw_os_error() == Some(libc::EEXIST) {
                forget_token();
            }
        }
    }

    fn attempt(path: PathBuf, below: bool) -> std::result::Result<Directory, Lost> {
        let lost = |action| {
            let at = path.clone();
            move |error| Lost { action, at, error }
        };
        // Closed to other users: anyone who can open a directory can lock it.
        DirBuilder::new().mode(0o700).create(&path).map_err(lost(MAKE))?;
        let locked = File::open(&path).map_err(lost("open the cgroup")).and_then(|file| {
            // A number that the caller may take for a stream of its own would not keep the lock.
            let file = socket::above_stdio(file.into()).map_err(|error| {
                let errno = error.raw_os_error().unwrap_or(libc::EMFILE);
                lost("open the cgroup")(std::io::Error::from_raw_os_error(errno))
            })?;
            let lock = Flock::lock(File::from(file), FlockArg::LockExclusiveNonblock);
            lock.map_err(|(_, errno)| lost("lock the cgroup")(errno.into()))
        });
        // Until it was locked, another caller could take it for abandoned: what is locked must be
        // what is there.
        let locked = locked.and_then(|lock| match is_at(&lock, &path) {
            Ok(true) => Ok(lock),
            Ok(false) => {
                Err(lost("lock the cgroup")(std::io::Error::from_raw_os_error(libc::ENOENT)))
            }
            Err(error) => Err(lost("lock the cgroup")(error)),
        });
        match locked {
            Ok(lock) => {
                let number = lock.as_raw_fd();
                // The guard would unlock what it is dropped in: in a process forked from this one,
                // for both.
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

    /// Those of single commands, below it.
    pub fn of_commands(&self) -> Result<Vec<PathBuf>> {
        let is_one = |path: &PathBuf| path.file_name().is_some_and(is_of_command);
        let below = each_below(&self.path)
            .map_err(|error| failed("list the cgroups in", &self.path, &error))?;
        Ok(below.into_iter().filter(is_one).collect())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory, opened; `None` if the caller has closed that.
    pub fn opened(&self) -> Option<BorrowedFd<'_>> {
        self.lock.intact()
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
        if std::process::id() != self.owner {
            return;
        }
        if self.below {
            let _ = fs::remove_dir(&self.path);
        } else {
            remove(&self.path, TIME);
        }
        // What is still there is abandoned, whoever has a copy of the descriptor.
        if let Some(directory) = self.lock.intact() {
            crate::base::sys::unlock(directory);
        }
    }
}

/// Writes a cgroup's file: it must exist, and takes one write.
pub fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let written =
        File::options().write(true).open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| failed(&format!("write {text:?} to"), path, &error))
}

/// What could not be done with a cgroup's directory or file, and where that is known, what would
/// help.
pub fn failed(action: &str, path: &Path, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let making = action == MAKE;
    let failure =
        Error::new(error::ErrorKind::LimitUnavailable, format!("{action} {}", path.display()))
            .errno(errno)
            .at(path);
    match errno {
        // Short of something for a moment, as with the error numbers that say so of every call: no reason to hold a limit less well.
        libc::EAGAIN | libc::ENOSPC if making => failure.of_kind(error::ErrorKind::HostLimit).hint(
            "a limit on cgroups is reached: cgroup.max.descendants or cgroup.max.depth there or above, or the kernel's own",
        ),
        libc::EACCES | libc::EPERM => failure.hint(
            "the caller may not write there: delegate a cgroup to it (systemd: Delegate=yes) and name that (Sandbox::cgroup or SECLUDE_CGROUP)",
        ),
        libc::EROFS => failure.hint("a surrounding container mounts the cgroups read-only: start that one with writable cgroups"),
        libc::EBUSY => failure.hint("a cgroup whose processes are directly in it cannot give controllers to others below it: name an empty one (Sandbox::cgroup or SECLUDE_CGROUP)"),
        _ => failure,
    }
}

/// Kills what is in it, and in what lies below it, and removes it all. The kernel takes a moment
/// between the last process's end and an empty cgroup.
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
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGKILL,
        );
    }
    let _ = fs::write(path.join("freezer.state"), "THAWED");
    let _ = fs::write(path.join("cgroup.freeze"), "0");
}

/// Removes the directories of callers that have ended.
pub fn reclaim(parent: &Path) {
    const TIME: Duration = Duration::from_millis(200);
    abandoned(parent, is_anothers, |path| remove(path, TIME));
}

/// Calls `visit` with each directory of such a name that is not locked. The lock alone decides: a
/// process number says nothing about callers in other pid namespaces. It is held meanwhile, so that
/// a caller that has just made the directory cannot lock it and rely on it.
fn abandoned(parent: &Path, is_such: impl Fn(&OsStr) -> bool, visit: impl Fn(&Path)) {
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

/// Whether it is the name of a caller's directory, and not of this process's own. Those are in use,
/// and there can be thousands of them.
fn is_anothers(name: &OsStr) -> bool {
    let Some((pid, token)) = name.to_str().and_then(parts) else { return false };
    let kept = TOKEN.lock().unwrap_or_else(PoisonError::into_inner);
    kept.as_ref().is_none_or(|(owner, own)| {
        (*owner, own.as_str()) != (pid, token) || *owner != std::process::id()
    })
}

/// The process number and the token in the name of a caller's directory. Other names, also those
/// that merely begin like ours, are somebody else's.
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
    fn names_are_ours_alone() {
        let (one, other) = (new_name().unwrap(), new_name().unwrap());
        assert_ne!(one, other);
        assert_eq!(parts(&one).map(|(pid, _)| pid), Some(std::process::id()));
        // A caller of the same number in another pid namespace has another token.
        let mut kept = None;
        let first = token_of(1, &mut kept).unwrap();
        assert_eq!(token_of(1, &mut kept).unwrap(), first);
        assert_ne!(token_of(1, &mut None).unwrap(), first);
        assert!(!is_anothers(OsStr::new(&one)));
        let pid = std::process::id();
        assert!(is_anothers(OsStr::new(&format!("seclude-{pid}-0-0123456789abcdef"))));
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

    /// On any file system: what decides is the lock.
    #[test]
    fn what_is_locked_stays_and_what_is_not_goes() {
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
        // A name that is taken costs another attempt, and no limit.
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
