//! Freezing: stops every process in the sandbox except the warden, which must go on to enforce the
//! wall time.

use super::Cgroup;
use super::directory::{Directory, FROZEN, failed, threads, write};
use super::hierarchy::{Controller, Hierarchies};
use crate::base::error::{Error, ErrorKind, Result};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long to move processes, and then how long to wait until the kernel has frozen them. A
/// process freezes when it next runs, and on a loaded machine that may take seconds.
const TIME: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);
const FREEZE: &str = "freeze everything inside";

/// The directories whose processes are frozen.
#[derive(Debug)]
pub enum Frozen {
    /// Directories below the sandbox's v2 directory, removed with it: those of single commands,
    /// then one for the processes that were beside the warden.
    V2(Vec<PathBuf>),
    /// A directory in the v1 freezer hierarchy.
    V1(Directory),
}

/// Which freezer froze the processes.
pub enum Froze {
    V2,
    /// A v1 freezer. A frozen process there cannot die before it is thawed, by a write to this file
    /// (`freezer.state`).
    V1(File),
}

impl Cgroup {
    /// Freezes every process in the sandbox except the warden. `inside` lists a thread of each.
    /// Returns `None` if this host has no freezer.
    ///
    /// # Errors
    ///
    /// An error if the warden's process id is unknown or a cgroup file cannot be written. An error
    /// if new processes appear faster than they can be frozen, or if the kernel does not freeze
    /// them in time. Nothing stays frozen after an error.
    pub fn freeze(
        &mut self,
        warden: i32,
        inside: impl Fn() -> Result<Vec<i32>>,
    ) -> Result<Option<Froze>> {
        // The id distinguishes the warden from the processes to freeze.
        if warden <= 0 {
            return Err(Error::new(ErrorKind::WardenLost, "find the warden's process id")
                .because("it has ended, or the caller's /proc does not show it"));
        }
        if let Some(v2) = self.v2.as_ref()
            && v2.directory.has("cgroup.freeze")?
        {
            // Freeze the single commands first. `freeze_v2` freezes the directory around theirs and
            // thaws it again, which must not wake them. A directory whose command has ended needs
            // no freezing.
            let (mut frozen, mut all) = (Vec::new(), Ok(()));
            for place in v2.directory.command_directories()? {
                match write(&place.join("cgroup.freeze"), "1") {
                    Ok(()) => frozen.push(place),
                    Err(error) => all = all.and(unless_gone(&place, Err(error))),
                }
            }
            let moved = freeze_v2(v2.process_directory(), warden);
            frozen.push(v2.process_directory().path().join(FROZEN));
            let held = all.and(moved).and_then(|()| await_v2(&frozen));
            if held.is_err() {
                let _ = thaw_v2(&frozen);
            }
            self.frozen = Some(Frozen::V2(frozen));
            return held.map(|()| Some(Froze::V2));
        }
        let directory = match self.frozen.take() {
            Some(Frozen::V1(directory)) => Some(directory),
            _ => {
                let hierarchies = Hierarchies::find()?;
                match hierarchies
                    .v1(Controller::Freezer)
                    .map(|hierarchy| Directory::make(&hierarchy.own))
                {
                    Some(Err(error)) if error.kind() == ErrorKind::HostLimit => return Err(error),
                    made => made.and_then(Result::ok),
                }
            }
        };
        let Some(directory) = directory else { return Ok(None) };
        let path = directory.path().join("freezer.state");
        let state = freeze_v1(&directory, inside).and_then(|()| {
            File::options().write(true).open(&path).map_err(|error| failed("open", &path, &error))
        });
        if state.is_err() {
            let _ = directory.write("freezer.state", "THAWED");
        }
        // It is kept after an error too, because dropping it would kill the processes in it.
        self.frozen = Some(Frozen::V1(directory));
        state.map(|state| Some(Froze::V1(state)))
    }

    /// Thaws every process. Returns whether a cgroup had frozen them.
    ///
    /// # Errors
    ///
    /// An error if a cgroup file cannot be written.
    pub fn thaw(&mut self) -> Result<bool> {
        match &self.frozen {
            Some(Frozen::V2(paths)) => thaw_v2(paths).map(|()| true),
            Some(Frozen::V1(directory)) => {
                directory.write("freezer.state", "THAWED").map(|()| true)
            }
            None => Ok(false),
        }
    }
}

/// Ignores a failure for a directory that is gone. A single command's directory goes with its
/// command at any time. Its files return ENODEV while it is being removed.
fn unless_gone(path: &Path, result: Result<()>) -> Result<()> {
    let going = |error: &Error| error.raw_os_error() == Some(libc::ENODEV);
    if path.exists() && !result.as_ref().is_err_and(going) { result } else { Ok(()) }
}

/// Moves the processes of these threads. One that has ended is no error. Returns whether one was
/// moved.
fn admit(path: &Path, threads: &[i32]) -> Result<bool> {
    let mut any = false;
    for thread in threads {
        match write(&path.join("cgroup.procs"), &thread.to_string()) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            result => any |= result.map(|()| true)?,
        }
    }
    Ok(any)
}

/// Moves the processes of the threads that `loose` returns to the cgroup at `path`, until it
/// returns nothing.
fn admit_all(path: &Path, loose: impl Fn() -> Result<Vec<i32>>) -> Result<()> {
    let end = Instant::now() + TIME;
    loop {
        let threads = loose()?;
        if threads.is_empty() {
            return Ok(());
        }
        let any = admit(path, &threads)?;
        if Instant::now() > end {
            return Err(too_many_new_processes());
        }
        // A pause would give a process that forks a lead. If all that is left has ended, it goes
        // when its parent or the warden has had time to reap it.
        if !any {
            thread::sleep(PAUSE);
        }
    }
}

fn too_many_new_processes() -> Error {
    Error::new(ErrorKind::HostLimit, FREEZE)
        .because("new processes came faster than they could be frozen")
}

/// Freezes the whole directory, the warden included, while the processes are moved. None of them
/// can escape by forking.
fn freeze_v2(directory: &Directory, warden: i32) -> Result<()> {
    let frozen = directory.path().join(FROZEN);
    match fs::create_dir(&frozen) {
        Err(error) if error.raw_os_error() != Some(libc::EEXIST) => {
            return Err(failed("make the cgroup", &frozen, &error));
        }
        _ => {}
    }
    write(&frozen.join("cgroup.freeze"), "1")?;
    directory.write("cgroup.freeze", "1")?;
    let moved = move_all_but(directory, &frozen, warden);
    directory.write("cgroup.freeze", "0")?;
    moved
}

/// Waits until the kernel reports these directories as frozen.
fn await_v2(frozen: &[PathBuf]) -> Result<()> {
    frozen.iter().try_for_each(|path| {
        unless_gone(path, await_state(&path.join("cgroup.events"), "frozen 1", || Ok(())))
    })
}

fn thaw_v2(frozen: &[PathBuf]) -> Result<()> {
    let thawed =
        frozen.iter().map(|path| unless_gone(path, write(&path.join("cgroup.freeze"), "0")));
    // `fold` goes through all of them, even after a failure.
    thawed.fold(Ok(()), Result::and)
}

fn move_all_but(directory: &Directory, frozen: &Path, warden: i32) -> Result<()> {
    admit_all(frozen, || {
        // The warden has one thread.
        Ok(threads(directory.path())?.into_iter().filter(|thread| *thread != warden).collect())
    })
}

fn freeze_v1(directory: &Directory, inside: impl Fn() -> Result<Vec<i32>>) -> Result<()> {
    let freeze = || directory.write("freezer.state", "FROZEN");
    freeze()?;
    admit_all(directory.path(), || {
        let held = threads(directory.path())?;
        Ok(inside()?.into_iter().filter(|thread| !held.contains(thread)).collect())
    })?;
    // Write again each time: since Linux 6.1 the parent of a vfork(2) that was about to wait when
    // it was told to freeze waits without being frozen, until it is told again.
    await_state(&directory.path().join("freezer.state"), "FROZEN", freeze)
}

/// Waits for a state, at most for `TIME`, with a call of `again` before each further look.
///
/// # Errors
///
/// An error if the file does not show the state by then. A process in an uninterruptible wait for a
/// disk freezes only afterwards, which may take longer.
fn await_state(file: &Path, wanted: &str, again: impl Fn() -> Result<()>) -> Result<()> {
    let end = Instant::now() + TIME;
    loop {
        let text = fs::read_to_string(file).map_err(|error| failed("read", file, &error))?;
        if text.lines().any(|line| line == wanted) {
            return Ok(());
        }
        if Instant::now() > end {
            break;
        }
        thread::sleep(PAUSE);
        again()?;
    }
    let waited = TIME.as_secs();
    Err(Error::new(ErrorKind::HostLimit, FREEZE)
        .because(format!("{} does not show {wanted:?} after {waited} s", file.display()))
        .hint("a process that waits for a disk freezes only afterwards: try again"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with the files of a cgroup that is to be frozen.
    fn cgroup(below: &Path, name: &str, events: &str) -> PathBuf {
        let path = below.join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("cgroup.freeze"), "1").unwrap();
        fs::write(path.join("cgroup.events"), events).unwrap();
        path
    }

    #[test]
    fn a_process_that_does_not_freeze_is_an_error_that_says_so() {
        let place = std::env::temp_dir().join(super::super::directory::new_name().unwrap());
        let frozen = cgroup(&place, "frozen", "populated 1\nfrozen 1\n");
        let waits = cgroup(&place, "waits", "populated 1\nfrozen 0\n");
        let gone = place.join("gone");
        await_v2(&[frozen.clone(), gone.clone()]).expect("the control: both count as frozen");
        let all = [frozen.clone(), waits.clone(), gone];
        let error = await_v2(&all).expect_err("one is not frozen");
        assert_eq!((error.kind(), error.step()), (ErrorKind::HostLimit, FREEZE));
        let told = error.to_string();
        assert!(told.contains("waits/cgroup.events does not show \"frozen 1\""), "{told}");
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("try again")), "{told}");
        thaw_v2(&all).expect("the files are there");
        for path in [frozen, waits] {
            assert_eq!(fs::read_to_string(path.join("cgroup.freeze")).unwrap(), "0");
        }
        fs::remove_dir_all(place).unwrap();
    }
}
