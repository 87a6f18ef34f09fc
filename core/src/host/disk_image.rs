//! Disk images: files that hold a read-only file system, squashfs or erofs. The kernel mounts them
//! for the host's root alone, so the caller mounts them, attached nowhere, and gives them to the
//! warden.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::step::Step;
use crate::base::sys::loop_device::{self, mounting};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How often another process may take a free loop device first.
const TRIES: u32 = 16;

/// The attributes of the mount: MOUNT_ATTR_RDONLY, NOSUID and NODEV.
const ATTRIBUTES: u64 = 0x7;

/// A kind of file system, and how its images are recognised: by these bytes at this offset.
struct Kind {
    name: &'static CStr,
    offset: u64,
    magic: [u8; 4],
}

const KINDS: [Kind; 2] = [
    Kind { name: c"squashfs", offset: 0, magic: *b"hsqs" },
    Kind { name: c"erofs", offset: 1024, magic: 0xE0F5_E1E2_u32.to_le_bytes() },
];

/// Mounts the image at `path`. The mount is read-only and attached nowhere.
///
/// # Errors
///
/// `Invalid` if it is no image of a known kind. `Unsupported` if the caller may not mount it, or if
/// the kernel cannot.
pub fn mount(path: &Path) -> Result<OwnedFd> {
    let failed = |error: io::Error| explain(path, &error);
    let wrong = |why: &str| {
        Error::new(ErrorKind::Invalid, action(path))
            .because(why)
            .at(path)
            .hint("make one with mksquashfs or mkfs.erofs")
            .during(Step::Bind)
    };
    // Without O_NONBLOCK, a FIFO would make the caller wait.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    let file = File::from(file);
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(wrong("it is no regular file"));
    }
    let kind = kind_of(&file).ok_or_else(|| wrong("it is no squashfs and no erofs image"))?;
    let file_system = mounting::open(kind.name).map_err(failed)?;
    // The descriptor names the file that was looked at, whatever is at the path by now.
    let itself = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .map_err(|error| Error::io(action(path), error))?;
    match mounting::mount(file_system.as_fd(), &itself, &[c"ro"], ATTRIBUTES) {
        // The kernel takes images of this kind as block devices only: erofs before Linux 6.12.
        Err(error) if error.raw_os_error() == Some(libc::ENOTBLK) => {}
        mounted => return mounted.map_err(failed),
    }
    // What has failed cannot be configured again.
    let file_system = mounting::open(kind.name).map_err(failed)?;
    let (device, name) = loop_of(&file, false).map_err(failed)?;
    let mounted = mounting::mount(file_system.as_fd(), &name, &[c"ro"], ATTRIBUTES);
    let mounted = mounted.map_err(failed);
    // The mount keeps the device, which is free again without it.
    drop(device);
    mounted
}

fn kind_of(file: &File) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| {
        let mut magic = [0; 4];
        file.read_exact_at(&mut magic, kind.offset).is_ok() && magic == kind.magic
    })
}

/// Makes a loop device of the file. Returns it and its path.
pub fn loop_of(file: &File, writable: bool) -> io::Result<(OwnedFd, CString)> {
    let mode = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let control = open("/dev/loop-control", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut tries = 0;
    loop {
        let path = format!("/dev/loop{}", loop_device::free(control.as_fd())?);
        let device = open(&*path, mode | OFlag::O_CLOEXEC, Mode::empty())?;
        match loop_device::configure(device.as_fd(), file.as_fd(), writable) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < TRIES => tries += 1,
            configured => {
                configured?;
                return Ok((device, CString::new(path)?));
            }
        }
    }
}

fn action(path: &Path) -> String {
    format!("mount the disk image {}", path.display())
}

fn explain(path: &Path, error: &io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    let (kind, hint) = match errno {
        libc::ENOENT | libc::ENOTDIR => (
            ErrorKind::SourceMissing,
            "the image does not exist, as the caller sees it, or there is no /dev/loop-control",
        ),
        libc::EACCES => (ErrorKind::SourceUnreadable, "the caller may not read it"),
        libc::EPERM => (
            ErrorKind::Unsupported,
            "only the host's root may mount a disk image: unpack it (unsquashfs, fsck.erofs \
             --extract), and bind the directory or use it as a root",
        ),
        libc::ENODEV => (
            ErrorKind::Unsupported,
            "this kernel lacks its file system: load the module (modprobe squashfs, modprobe erofs)",
        ),
        libc::ENOTTY | libc::ENXIO | libc::ENOSYS => {
            (ErrorKind::Unsupported, "it takes loop devices, and Linux 5.8")
        }
        libc::EINVAL | libc::EUCLEAN | libc::EIO | libc::EOPNOTSUPP | libc::EBADMSG => (
            ErrorKind::Setup,
            "the image is damaged, or has a form that this kernel does not read, such as its \
             compression: the kernel's log says which (dmesg)",
        ),
        _ => return Error::io(action(path), io::Error::from_raw_os_error(errno)).at(path),
    };
    Error::new(kind, action(path)).errno(errno).at(path).hint(hint).during(Step::Bind)
}
