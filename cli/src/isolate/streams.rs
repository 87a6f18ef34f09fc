//! Opens the files of the standard streams.
//!
//! Their names are paths inside, but they are opened outside, before the program starts. An earlier
//! program may have left a link or a pipe in their place. So no link is followed, and only plain
//! files are opened, as the program's user.

use super::boxes::Place;
use super::rules::{Rules, Shown};
use super::{Refusal, Result};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
}

const STEP: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Devices of the sandbox that are the host's as well.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Opens the file at a path inside.
pub fn open(place: &Place, rules: &Rules, at: &Path, direction: Direction) -> Result<File> {
    let refused = |why: &str| Refusal::new(format!("{}: {why}", at.display()));
    let (shown, rest) = rules.shows(at).ok_or_else(|| refused("no rule shows it inside"))?;
    let top = match shown {
        Shown::Directory { options, .. } if direction == Direction::Out && !options.writable => {
            return Err(refused("it is read-only inside"));
        }
        Shown::Directory { source, .. } => place.resolve(source),
        Shown::Temporary(name) => place.path().join(name),
        Shown::Devices if DEVICES.iter().any(|name| rest == Path::new(name)) => {
            return open_device(&Path::new("/dev").join(rest), direction);
        }
        Shown::Devices | Shown::Proc | Shown::Memory { .. } => {
            return Err(refused("it is on a file system that only programs inside have"));
        }
    };
    // What is in the box is the program's. The caller's own directories may be behind links.
    let inner = place.inner();
    let (top, rest) = match top.strip_prefix(&inner) {
        Ok(below) => (inner, below.join(rest)),
        Err(_) => (top, rest.to_owned()),
    };
    // The way to the box is the caller's, and closed to the program's user.
    let start = openat(AT_FDCWD, &top, STEP, Mode::empty())
        .map_err(|errno| Refusal::at("open", &top, errno))?;
    place.owner.act(|| {
        let file = open_below(start, &rest, direction).map_err(|errno| match errno {
            Errno::ELOOP | Errno::ENOTDIR => {
                refused("there is a link on the way, which is not followed, or no directory")
            }
            Errno::ENXIO => refused("is not a plain file"),
            errno => refused(errno.desc()),
        })?;
        let found = fstat(&file).map_err(|errno| refused(errno.desc()))?;
        if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(refused("is not a plain file"));
        }
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty())).map_err(|errno| refused(errno.desc()))?;
        Ok(file.into())
    })
}

fn open_device(path: &Path, direction: Direction) -> Result<File> {
    let options = &mut File::options();
    let opened = match direction {
        Direction::In => options.read(true).open(path),
        Direction::Out => options.write(true).open(path),
    };
    opened.map_err(|error| Refusal::at("open", path, error))
}

fn open_below(mut directory: OwnedFd, rest: &Path, direction: Direction) -> nix::Result<OwnedFd> {
    let name = rest.file_name().ok_or(Errno::EISDIR)?;
    for part in rest.parent().into_iter().flat_map(Path::components) {
        let flags = STEP | OFlag::O_NOFOLLOW;
        directory = openat(&directory, part.as_os_str(), flags, Mode::empty())?;
    }
    let how = match direction {
        Direction::In => OFlag::O_RDONLY,
        Direction::Out => OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC,
    };
    // A pipe without another end must not make the judge wait.
    let flags = how | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    openat(&directory, name, flags, Mode::from_bits_truncate(0o644))
}
