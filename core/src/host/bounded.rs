//! Directories of a bounded size, in which an overlay keeps its changes: an ext4 file system in a
//! file of the directory. The kernel mounts it for the host's root alone, so the caller does, and
//! gives the mount to the warden. A program inside reaches the files in it, never the file itself.

use super::disk_image::loop_of;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::step::Step;
use crate::base::sys;
use crate::base::sys::loop_device::mounting;
use crate::plan::refused_bounds;
use crate::policy::Bounds;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The name of the file, and of one that is not finished.
pub const IMAGE: &str = "changes.ext4";
const DRAFT: &str = "changes.ext4.new";
/// Where changes without bounds are kept.
const UNBOUNDED: &str = "upper";

const BLOCK: u64 = 4096;
const INODE: u64 = 256;

/// MOUNT_ATTR_NOSUID and MOUNT_ATTR_NODEV.
const ATTRIBUTES: u64 = 0x6;

/// The length of the file, which holds what the file system needs for itself, too.
fn length_of(bounds: Bounds) -> u64 {
    let own = (1u64 << 20).saturating_add(bounds.inodes.saturating_mul(INODE));
    let length = bounds.size.saturating_add(own).saturating_add(bounds.size / 128);
    length.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX - u64::MAX % BLOCK)
}

/// Mounts the file system in `directory`, which nobody else uses now, and makes it if it is not
/// there yet. The mount is attached nowhere.
///
/// # Errors
///
/// `Unsupported` if the caller may not mount it, or mke2fs(8) is not installed. `Invalid` if the
/// directory has changes of other bounds.
pub fn mount(directory: &Path, bounds: Bounds) -> Result<OwnedFd> {
    let image = directory.join(IMAGE);
    let failed = |error: io::Error| explain(directory, &error);
    let invalid = |why: String, hint: &str| {
        let error = Error::new(ErrorKind::Invalid, action(directory)).because(why).hint(hint);
        Err(error.at(directory).during(Step::Overlay))
    };
    match fs::metadata(&image) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if directory.join(UNBOUNDED).exists() {
                return invalid(
                    "it has changes that are not bounded".into(),
                    "name another directory, or leave out size and inodes",
                );
            }
            make(directory, &image, bounds)?;
        }
        found => {
            let (length, expected) = (found.map_err(failed)?.len(), length_of(bounds));
            if length != expected {
                return invalid(
                    format!("its file has {length} bytes, and these bounds make {expected}"),
                    "say the size and inodes that it was made with, or name another directory",
                );
            }
        }
    }
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&image);
    let file = file.map_err(failed)?;
    await_unmounted(&file).map_err(failed)?;
    repair(directory, &image)?;
    let file_system = mounting::open(c"ext4").map_err(failed)?;
    let (device, name) = loop_of(&file, true).map_err(failed)?;
    // Blocks that are free again take no room in the file. The tables are written when they are
    // used, not by a thread of the kernel behind the scenes.
    let options = [c"discard", c"noinit_itable"];
    let mounted = mounting::mount(file_system.as_fd(), &name, &options, ATTRIBUTES);
    // The mount keeps the device, which is free again without it.
    drop(device);
    let mounted = mounted.map_err(failed)?;
    clear_work(&mounted).map_err(failed)?;
    Ok(mounted)
}

/// Removes what the last overlay has left of its work. The kernel would do so as well, but it makes
/// its directory before the room of the old one is free, and mounts the overlay read-only if a full
/// file system has none.
fn clear_work(mounted: &OwnedFd) -> io::Result<()> {
    match fs::remove_dir_all(format!("/proc/self/fd/{}/work/work", mounted.as_raw_fd())) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Waits until no loop device has the file any more. The kernel unmounts a file system some time
/// after its last process has ended, and two mounts would destroy it.
fn await_unmounted(file: &File) -> io::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(10);
    const PAUSE: Duration = Duration::from_millis(2);
    let end = Instant::now() + PATIENCE;
    while !sys::is_only_user(file.as_fd())? {
        if Instant::now() > end {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn make(directory: &Path, image: &Path, bounds: Bounds) -> Result<()> {
    let failed = |error: io::Error| explain(directory, &error);
    let draft = directory.join(DRAFT);
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
    file.and_then(|file| file.set_len(length_of(bounds))).map_err(failed)?;
    let (block, inode) = (BLOCK.to_string(), INODE.to_string());
    let inodes = bounds.inodes.to_string();
    // With a journal, blocks that a removal frees are not free at once: see `clear_work`.
    let features = "^resize_inode,^has_journal";
    let arguments = ["-q", "-F", "-t", "ext4", "-m", "0", "-O", features];
    let sizes = ["-b", &block, "-I", &inode, "-N", &inodes];
    let how = ["-E", "nodiscard,lazy_itable_init=1"];
    run(directory, "mke2fs", arguments.iter().chain(&sizes).chain(&how), &draft, 0)?;
    fs::rename(&draft, image).map_err(failed)
}

/// Repairs the file system after a crash of the host. A clean one is left alone.
fn repair(directory: &Path, image: &Path) -> Result<()> {
    /// Errors were corrected.
    const CORRECTED: i32 = 1;
    run(directory, "e2fsck", ["-p"].iter(), image, CORRECTED)
}

/// Runs a program of e2fsprogs, which may exit with up to this code.
fn run<'a>(
    directory: &Path,
    name: &str,
    arguments: impl Iterator<Item = &'a &'a str>,
    image: &Path,
    most: i32,
) -> Result<()> {
    const PLACES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
    let places = PLACES.iter().map(|place| Path::new(place).join(name));
    let program = places.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, action(directory))
            .because(format!("{name}(8) is not installed"))
            .hint("install e2fsprogs, or leave out size and inodes")
            .during(Step::Overlay)
    })?;
    let mut command = Command::new(program);
    // The caller's environment and working directory are nothing to it.
    command.env_clear().current_dir("/").args(arguments).arg(image);
    let output = match command.stdin(Stdio::null()).output() {
        // The caller reaps all its children in another thread. The mount shows what is there.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
        output => output.map_err(|error| explain(directory, &error))?,
    };
    if output.status.code().is_some_and(|code| code <= most) {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let why = String::from_utf8_lossy(&said).trim().replace('\n', "; ");
    Err(Error::new(ErrorKind::Setup, action(directory))
        .because(format!("{name}: {why}"))
        .at(directory)
        .during(Step::Overlay))
}

fn action(directory: &Path) -> String {
    format!("keep bounded changes in {}", directory.display())
}

fn explain(directory: &Path, error: &io::Error) -> Error {
    match error.raw_os_error().unwrap_or(libc::EIO) {
        libc::EPERM | libc::EACCES => refused_bounds(directory),
        errno @ (libc::ENODEV | libc::ENOTTY | libc::ENXIO | libc::ENOSYS) => {
            Error::new(ErrorKind::Unsupported, action(directory))
                .errno(errno)
                .hint("it takes ext4, loop devices and Linux 5.8")
                .at(directory)
                .during(Step::Overlay)
        }
        errno @ libc::EBUSY => Error::new(ErrorKind::Setup, action(directory))
            .errno(errno)
            .because("another process has its file open")
            .hint("see which with fuser or losetup -j")
            .at(directory)
            .during(Step::Overlay),
        errno @ (libc::EUCLEAN | libc::EINVAL | libc::EBADMSG) => {
            Error::new(ErrorKind::Setup, action(directory))
                .errno(errno)
                .hint("the file system is damaged, the kernel's log says how (dmesg): fsck.ext4")
                .at(directory)
                .during(Step::Overlay)
        }
        errno => Error::io(action(directory), io::Error::from_raw_os_error(errno)).at(directory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_holds_more_than_the_changes_and_is_made_of_blocks() {
        for size in [1 << 20, (1 << 20) + 1, 64 << 20, 1 << 40, u64::MAX] {
            let length = length_of(Bounds { size, inodes: 65_536 });
            assert!(length >= size || size == u64::MAX);
            assert_eq!(length % BLOCK, 0);
        }
    }
}
