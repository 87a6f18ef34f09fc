//! Standing still: everything inside but the warden, which must go on to hold it to its wall time.

use super::Cgroup;
use super::directory::{Directory, FROZEN, failed, write};
use super::hierarchy::{Controller, Hierarchies};
use crate::base::error::{Error, ErrorKind, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// So often is looked whether all are in.
const ROUNDS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);

/// The directories whose processes stand still.
#[derive(Debug)]
pub enum Frozen {
    /// Below our own of version 2, and removed with it: those of single commands, then one for
    /// those who were beside the warden.
    V2(Vec<PathBuf>),
    /// In the v1 hierarchy of the freezer.
    V1(Directory),
}

/// How it was frozen.
pub enum Froze {
    V2,
    /// Nobody in it dies before it is thawed: by this file.
    V1(File),
}

impl Cgroup {
    /// Freezes all below the warden. `None`: there is no freezer here.
    pub fn freeze(
        &mut self,
        warden: i32,
        inside: impl Fn() -> Result<Vec<i32>>,
    ) -> Result<Option<Froze>> {
        // By its number it is told from those that are to stand still.
        if warden <= 0 {
            return Err(Error::new(ErrorKind::WardenLost, "find the warden's process id")
                .because("it has ended, or the caller's /proc does not tell"));
        }
        if let Some(v2) = self.v2.as_ref()
            && v2.directory.has("cgroup.freeze")?
        {
            // First the single commands, for what is said of the place around theirs, and then
            // taken back, is not to wake them. Who has ended meanwhile needs no
            // freezing.
            let (mut frozen, mut all) = (Vec::new(), Ok(()));
            for place in v2.directory.of_commands()? {
                match write(&place.join("cgroup.freeze"), "1") {
                    Ok(()) => frozen.push(place),
                    Err(error) => all = all.and(unless_gone(&place, Err(error))),
                }
            }
            let moved = freeze_v2(v2.home(), warden).map(|place| frozen.push(place));
            let still = frozen.iter().map(|path| {
                unless_gone(path, await_state(&path.join("cgroup.events"), "frozen 1"))
            });
            let still = still.fold(all.and(moved), Result::and);
            self.frozen = Some(Frozen::V2(frozen));
            return still.map(|()| Some(Froze::V2));
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
        freeze_v1(&directory, inside)?;
        let path = directory.path().join("freezer.state");
        let state = File::options()
            .write(true)
            .open(&path)
            .map_err(|error| failed("open", &path, &error))?;
        self.frozen = Some(Frozen::V1(directory));
        Ok(Some(Froze::V1(state)))
    }

    /// Lets all go on; whether this was ours to do.
    pub fn thaw(&mut self) -> Result<bool> {
        match &self.frozen {
            Some(Frozen::V2(paths)) => {
                let thawed = paths
                    .iter()
                    .map(|path| unless_gone(path, write(&path.join("cgroup.freeze"), "0")));
                // All of them, whatever became of one.
                thawed.fold(Ok(()), Result::and).map(|()| true)
            }
            Some(Frozen::V1(directory)) => {
                directory.write("freezer.state", "THAWED").map(|()| true)
            }
            None => Ok(false),
        }
    }
}

/// A single command's directory goes with the command, whoever is about to do something with it;
/// one that is just going has no files any more.
fn unless_gone(path: &Path, result: Result<()>) -> Result<()> {
    let going = |error: &Error| error.raw_os_error() == Some(libc::ENODEV);
    if path.exists() && !result.as_ref().is_err_and(going) { result } else { Ok(()) }
}

fn processes(path: &Path) -> Result<BTreeSet<i32>> {
    let path = path.join("cgroup.procs");
    let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Moves a process; one that has ended meanwhile needs no moving.
fn admit(path: &Path, pid: i32) -> Result<()> {
    match write(&path.join("cgroup.procs"), &pid.to_string()) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result,
    }
}

fn restless() -> Error {
    Error::new(ErrorKind::HostLimit, "freeze everything inside")
        .because("new processes came faster than they could be frozen")
}

/// All stand still together while they are moved, the warden with them: so nobody slips away by
/// forking.
fn freeze_v2(directory: &Directory, warden: i32) -> Result<PathBuf> {
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
    moved.map(|()| frozen)
}

fn move_all_but(directory: &Directory, frozen: &Path, warden: i32) -> Result<()> {
    for _ in 0..ROUNDS {
        let mut others = processes(directory.path())?;
        others.remove(&warden);
        if others.is_empty() {
            return Ok(());
        }
        for pid in others {
            admit(frozen, pid)?;
        }
    }
    Err(restless())
}

fn freeze_v1(directory: &Directory, inside: impl Fn() -> Result<Vec<i32>>) -> Result<()> {
    directory.write("freezer.state", "FROZEN")?;
    for _ in 0..ROUNDS {
        let held = processes(directory.path())?;
        let loose: Vec<i32> = inside()?.into_iter().filter(|pid| !held.contains(pid)).collect();
        if loose.is_empty() {
            return await_state(&directory.path().join("freezer.state"), "FROZEN");
        }
        for pid in loose {
            admit(directory.path(), pid)?;
        }
    }
    let _ = directory.write("freezer.state", "THAWED");
    Err(restless())
}

/// A process that waits for a disk stands still only afterwards: that may take its time.
fn await_state(file: &Path, wanted: &str) -> Result<()> {
    for _ in 0..ROUNDS {
        let text = fs::read_to_string(file).map_err(|error| failed("read", file, &error))?;
        if text.lines().any(|line| line == wanted) {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
