//! `seclude doctor --fix`: installs the warden with its AppArmor profile, on hosts that grant user
//! namespaces by executable only (Ubuntu since 23.10).
//!
//! It shows what it would do, and does it only if a person at a terminal says yes. With `--root` it
//! works on the system in a directory, and runs nothing there. It follows no symbolic link on the
//! way: the directory may belong to somebody else.

use crate::shown;
use crate::status::{Failure, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The directories and the name of the warden, as `make install` has them.
const WARDEN: &[&str] = &["usr", "local", "libexec", "seclude", "warden"];
/// The directories and the name of its profile.
const PROFILE: &[&str] = &["etc", "apparmor.d", "seclude-warden"];
/// The profile, with a mark where the path of the warden goes.
const TEMPLATE: &str = include_str!("../../capi/apparmor/seclude-warden.in");
/// The setting that makes all this necessary.
const SETTING: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

/// A file to install.
struct Installed {
    place: &'static [&'static str],
    what: &'static str,
    mode: u32,
    content: Vec<u8>,
}

impl Installed {
    /// The path within the system.
    fn path(&self) -> String {
        format!("/{}", self.place.join("/"))
    }
}

/// Shows what is to be done, and asks whether to do it.
pub fn fix(root: Option<&Path>) -> Result<ExitCode> {
    if root.is_none() && !is_restricted() {
        shown::print_line(
            "AppArmor does not restrict user namespaces here, and this command helps with nothing \
            else. `seclude doctor` tells what is missing.",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let system = root.unwrap_or(Path::new("/"));
    let files = files();
    let missing = files.iter().map(|file| Ok(!is_there(system, file)?));
    let missing = missing.collect::<Result<Vec<bool>>>()?;
    let warden = files[0].path();
    if !missing.contains(&true) {
        shown::print_line(&format!(
            "{warden} and its profile are installed. Programs use them with SECLUDE_WARDEN={warden}"
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    shown::print(&plan(root, &files, &missing))?;
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        shown::print_line("Nothing was changed: there is no terminal to ask at.")?;
        return Ok(ExitCode::FAILURE);
    }
    if root.is_none() && !geteuid().is_root() {
        shown::print_line("Nothing was changed: only root may. Run: sudo seclude doctor --fix")?;
        return Ok(ExitCode::FAILURE);
    }
    if !is_yes()? {
        shown::print_line("Nothing was changed.")?;
        return Ok(ExitCode::FAILURE);
    }
    for (file, _) in files.iter().zip(&missing).filter(|(_, missing)| **missing) {
        install(system, file)?;
    }
    if root.is_none() {
        load(&files[1].path())?;
    }
    shown::print_line(&format!(
        "Done. Set SECLUDE_WARDEN={warden} for programs that use seclude."
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn is_restricted() -> bool {
    std::fs::read_to_string(SETTING).is_ok_and(|value| value.trim() == "1")
}

fn files() -> [Installed; 2] {
    let warden = Installed {
        place: WARDEN,
        what: "the warden",
        mode: 0o755,
        content: seclude::warden_program().to_vec(),
    };
    let profile = Installed {
        place: PROFILE,
        what: "its AppArmor profile",
        mode: 0o644,
        content: TEMPLATE.replace("@WARDEN@", &warden.path()).into_bytes(),
    };
    [warden, profile]
}

fn plan(root: Option<&Path>, files: &[Installed], missing: &[bool]) -> String {
    let mut text = String::from(
        "AppArmor can grant user namespaces to executables by path. This lets the warden make \
        them, for every user who may execute it:\n",
    );
    let system = root.map_or(String::new(), |root| root.display().to_string());
    let system = system.trim_end_matches('/');
    for (file, _) in files.iter().zip(missing).filter(|(_, missing)| **missing) {
        let (what, path, mode) = (file.what, file.path(), file.mode);
        text.push_str(&format!("  write {what} to {system}{path}, mode {mode:o}\n"));
    }
    match root {
        None => text.push_str(&format!("  run apparmor_parser -r {}\n", files[1].path())),
        Some(_) => text.push_str("  the system there loads the profile when it starts\n"),
    }
    text
}

fn is_yes() -> Result<bool> {
    shown::print("Do this now? [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::at("standard input", &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Whether the file is there as it would be written.
fn is_there(system: &Path, file: &Installed) -> Result<bool> {
    let Some(directory) = walk(system, file, false)? else { return Ok(false) };
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let found = match openat(&directory, name(file), flags, Mode::empty()) {
        Ok(found) => found,
        Err(Errno::ENOENT) => return Ok(false),
        Err(errno) => return Err(failed("open", &file.path(), errno)),
    };
    let mut content = Vec::new();
    let limit = file.content.len() as u64 + 1;
    let read = File::from(found).take(limit).read_to_end(&mut content);
    Ok(read.is_ok() && content == file.content)
}

/// Writes the file under another name and renames it, so that nobody executes half of it.
fn install(system: &Path, file: &Installed) -> Result<()> {
    let path = file.path();
    let Some(directory) = walk(system, file, true)? else { unreachable!("it was made") };
    let temporary = format!(".{}.new", name(file));
    let _ = unlinkat(&directory, &*temporary, UnlinkatFlags::NoRemoveDir);
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let written = openat(&directory, &*temporary, flags | OFlag::O_NOFOLLOW, Mode::S_IWUSR)
        .map_err(|errno| failed("create", &path, errno))?;
    let mut written = File::from(written);
    written.write_all(&file.content).map_err(|error| Failure::at(&path, &error))?;
    fchmod(&written, Mode::from_bits_truncate(file.mode))
        .and_then(|()| renameat(&directory, &*temporary, &directory, name(file)))
        .map_err(|errno| failed("write", &path, errno))
}

/// The directory of a file, below the root of its system. None if it does not exist and is not to
/// be made.
fn walk(system: &Path, file: &Installed, make: bool) -> Result<Option<OwnedFd>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut directory = nix::fcntl::open(system, flags, Mode::empty())
        .map_err(|errno| failed("open", &system.display().to_string(), errno))?;
    let parents = &file.place[..file.place.len() - 1];
    for (depth, part) in parents.iter().enumerate() {
        if make {
            match mkdirat(&directory, *part, Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(failed("create", &joined(parents, depth), errno)),
            }
        }
        directory = match openat(&directory, *part, flags | OFlag::O_NOFOLLOW, Mode::empty()) {
            Ok(directory) => directory,
            Err(Errno::ENOENT) if !make => return Ok(None),
            Err(errno) => return Err(failed("open", &joined(parents, depth), errno)),
        };
    }
    Ok(Some(directory))
}

fn joined(parents: &[&str], depth: usize) -> String {
    format!("/{}", parents[..=depth].join("/"))
}

fn name(file: &Installed) -> &'static str {
    file.place.last().copied().unwrap_or_default()
}

fn failed(action: &str, path: &str, errno: Errno) -> Failure {
    let why = match errno {
        Errno::ELOOP | Errno::ENOTDIR => {
            "it is a symbolic link or no directory; hint: replace it by a directory".to_owned()
        }
        Errno::EACCES | Errno::EPERM => format!("{}; hint: run as root", errno.desc()),
        _ => errno.desc().to_owned(),
    };
    Failure::new(format!("{action} {path}: {why}"))
}

/// Has the kernel load the profile.
fn load(profile: &str) -> Result<()> {
    let status = Command::new("apparmor_parser").args(["-r", profile]).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("apparmor_parser -r {profile}: {status}"))),
        Err(error) => Err(Failure::new(format!(
            "apparmor_parser -r {profile}: {error}; hint: install the package apparmor, or restart"
        ))),
    }
}
