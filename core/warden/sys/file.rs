//! Files, directories and links.

use super::number as nr;
use super::{AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, CWD, Call, Errno, Fd, Result, descriptor, done};
use core::ffi::CStr;

pub mod open {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const CREATE: u64 = 0o100;
    pub const EXCLUSIVE: u64 = 0o200;
    /// O_NOCTTY
    pub const NO_CONTROL: u64 = 0o400;
    /// O_NONBLOCK
    pub const NO_WAIT: u64 = 0o4000;
    pub const CLOSE_ON_EXEC: u64 = 0o2000000;
    pub const PATH: u64 = 0o10000000;
    #[cfg(not(target_arch = "aarch64"))]
    pub const DIRECTORY: u64 = 0o200000;
    #[cfg(not(target_arch = "aarch64"))]
    pub const NO_FOLLOW: u64 = 0o400000;
    #[cfg(target_arch = "aarch64")]
    pub const DIRECTORY: u64 = 0o40000;
    #[cfg(target_arch = "aarch64")]
    pub const NO_FOLLOW: u64 = 0o100000;
}

/// The resolve flags of `openat2(2)`.
pub mod resolve {
    pub const NO_MAGICLINKS: u64 = 0x02;
    pub const NO_SYMLINKS: u64 = 0x04;
    pub const IN_ROOT: u64 = 0x10;
}

pub fn open_resolved(directory: i32, path: &CStr, flags: u64, resolve: u64) -> Result<Fd> {
    /// How often to try. A process that renames without end must not keep the warden here.
    const ATTEMPTS: u32 = 64;
    let how = [flags | open::CLOSE_ON_EXEC, 0, resolve];
    let attempt = || {
        descriptor(call!(nr::OPENAT2, directory, path.as_ptr(), how.as_ptr(), size_of_val(&how)))
    };
    let mut opened = attempt();
    for _ in 1..ATTEMPTS {
        // EAGAIN: a mount or rename anywhere on the machine during a walk through "..", after which
        // the kernel cannot tell where it is (openat2(2)).
        if !matches!(opened, Err(Errno::EAGAIN)) {
            break;
        }
        opened = attempt();
    }
    opened
}

pub fn open(directory: i32, path: &CStr, flags: u64, mode: u32) -> Result<Fd> {
    descriptor(call!(nr::OPENAT, directory, path.as_ptr(), flags | open::CLOSE_ON_EXEC, mode))
}

pub fn read(fd: &Fd, buffer: &mut [u8]) -> Result<usize> {
    call!(nr::READ, fd.0, buffer.as_mut_ptr(), buffer.len())
}

pub fn read_at(fd: &Fd, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    call!(nr::PREAD64, fd.0, buffer.as_mut_ptr(), buffer.len(), offset)
}

/// Writes as much of `data` as there is room for. Returns the number of bytes.
pub fn write_some(fd: &Fd, data: &[u8]) -> Result<usize> {
    call!(nr::WRITE, fd.0, data.as_ptr(), data.len())
}

/// Size and free space of a file system, by fstatfs(2).
pub struct Room {
    pub bytes: u64,
    pub bytes_left: u64,
    pub files: u64,
    pub files_left: u64,
}

pub fn room(fd: &Fd) -> Result<Room> {
    // struct statfs: type, block size, blocks, free, available, files, free files, one word each.
    // The rest is not used.
    let mut raw = [0u64; 16];
    done(call!(nr::FSTATFS, fd.0, raw.as_mut_ptr()))?;
    Ok(Room {
        bytes: raw[1] * raw[2],
        bytes_left: raw[1] * raw[4],
        files: raw[5],
        files_left: raw[6],
    })
}

/// Writes all of `data`.
pub fn write(fd: &Fd, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        let written = call!(nr::WRITE, fd.0, data.as_ptr(), data.len())?;
        data = data.get(written..).unwrap_or_default();
    }
    Ok(())
}

/// Writes to a descriptor by its number, in one write.
pub fn write_number(number: i32, data: &[u8]) -> Result<()> {
    done(call!(nr::WRITE, number, data.as_ptr(), data.len()))
}

/// Writes `data` to an existing file in one write, as files of the kernel expect it.
pub fn write_file(path: &CStr, data: &[u8]) -> Result<()> {
    let file = open(CWD, path, open::WRITE, 0)?;
    let written = call!(nr::WRITE, file.0, data.as_ptr(), data.len())?;
    if written == data.len() { Ok(()) } else { Err(Errno::EPROTO) }
}

pub fn make_directory(directory: i32, name: &CStr, mode: u32) -> Result<()> {
    done(call!(nr::MKDIRAT, directory, name.as_ptr(), mode))
}

pub fn symlink(target: &CStr, directory: i32, name: &CStr) -> Result<()> {
    done(call!(nr::SYMLINKAT, target.as_ptr(), directory, name.as_ptr()))
}

pub fn read_link(directory: i32, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
    call!(nr::READLINKAT, directory, name.as_ptr(), buffer.as_mut_ptr(), buffer.len())
}

pub fn change_mode(path: &CStr, mode: u32) -> Result<()> {
    done(call!(nr::FCHMODAT, CWD, path.as_ptr(), mode))
}

/// Changes the user and the group of what the descriptor leads to, not of a link.
pub fn change_owner(fd: i32, (uid, gid): (u32, u32)) -> Result<()> {
    done(call!(nr::FCHOWNAT, fd, c"".as_ptr(), uid, gid, AT_EMPTY_PATH))
}

/// Sets an extended attribute: `setxattr(2)`.
pub fn set_attribute(path: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    done(call!(nr::SETXATTR, path.as_ptr(), name.as_ptr(), value.as_ptr(), value.len(), 0))
}

pub fn unlink(directory: i32, name: &CStr) -> Result<()> {
    done(call!(nr::UNLINKAT, directory, name.as_ptr(), 0))
}

pub fn change_directory(path: &CStr) -> Result<()> {
    done(call!(nr::CHDIR, path.as_ptr()))
}

pub fn change_directory_to(fd: &Fd) -> Result<()> {
    done(call!(nr::FCHDIR, fd.0))
}

/// Reads entries of an open directory, as `getdents64(2)` packs them. Returns 0 at the end.
pub fn list_directory(fd: &Fd, buffer: &mut [u8]) -> Result<usize> {
    call!(nr::GETDENTS64, fd.0, buffer.as_mut_ptr(), buffer.len())
}

/// Checks that the effective user has the access `mode` (R_OK 4, X_OK 1) to the file behind `fd`.
pub fn accessible(fd: i32, mode: u32) -> Result<()> {
    const AT_EACCESS: u32 = 0x200;
    match call!(nr::FACCESSAT2, fd, c"".as_ptr(), mode, AT_EMPTY_PATH | AT_EACCESS) {
        // Before Linux 5.8. The real and effective user are the same at this point, and the path of
        // a descriptor leads to the same file.
        Err(errno) if Call::FACCESSAT2.is_absent_after(errno) => done(call!(
            nr::FACCESSAT,
            CWD,
            crate::text::ShortText::of_descriptor(fd).as_c_str().as_ptr(),
            mode
        )),
        result => done(result),
    }
}

/// Checks that the real user has the access `mode` to the file at `path`.
pub fn accessible_at(path: &CStr, mode: u32) -> Result<()> {
    done(call!(nr::FACCESSAT, CWD, path.as_ptr(), mode))
}

/// The fields of `statx(2)` that the warden uses.
pub struct Status {
    pub mode: u32,
    /// The user and the group.
    pub owner: (u32, u32),
    /// The inode number.
    pub number: u64,
    /// Major and minor number of a device node.
    pub device: (u32, u32),
    /// The device number of the file system, which identifies it.
    pub file_system: u64,
    /// The id of the mount as in mountinfo, where the kernel has it (Linux 5.8).
    pub mount: Option<u64>,
}

impl Status {
    pub fn is_directory(&self) -> bool {
        self.mode & 0o170000 == 0o040000
    }
    pub fn is_symlink(&self) -> bool {
        self.mode & 0o170000 == 0o120000
    }
    pub fn is_file(&self) -> bool {
        self.mode & 0o170000 == 0o100000
    }
    pub fn is_socket(&self) -> bool {
        self.mode & 0o170000 == 0o140000
    }
    pub fn is_character_device(&self) -> bool {
        self.mode & 0o170000 == 0o020000
    }
}

/// The status of `name` in `directory`, or of the descriptor itself if `name` is empty. Links are
/// not followed.
pub fn status(directory: i32, name: &CStr) -> Result<Status> {
    const STATX_TYPE_MODE_IDS_INO: u32 = 0x11b;
    const STATX_MNT_ID: u32 = 0x1000;
    const FLAGS: u32 = AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW;
    let mut raw = [0u64; 32];
    match call!(
        nr::STATX,
        directory,
        name.as_ptr(),
        FLAGS,
        STATX_TYPE_MODE_IDS_INO | STATX_MNT_ID,
        raw.as_mut_ptr()
    ) {
        // Container engines older than the call refuse it.
        Err(errno) if Call::STATX.is_absent_after(errno) => {
            return older_status(directory, name, FLAGS);
        }
        result => result?,
    };
    // struct statx: stx_mask at byte 0, stx_uid at 20, stx_gid at 24, stx_mode at 28, stx_ino at
    // 32, stx_rdev_major and _minor at 128, stx_dev_major and _minor at 136, stx_mnt_id at 144.
    let mount = if raw[0] as u32 & STATX_MNT_ID != 0 { Some(raw[18]) } else { None };
    let device = (raw[16] as u32, (raw[16] >> 32) as u32);
    Ok(Status {
        mode: (raw[3] >> 32) as u32 & 0xffff,
        owner: ((raw[2] >> 32) as u32, raw[3] as u32),
        number: raw[4],
        device,
        file_system: raw[17],
        mount,
    })
}

/// The status by `newfstatat(2)`, which does not have the mount id.
fn older_status(directory: i32, name: &CStr, flags: u32) -> Result<Status> {
    let mut raw = [0u64; 18];
    done(call!(nr::NEWFSTATAT, directory, name.as_ptr(), raw.as_mut_ptr(), flags))?;
    // struct stat: st_dev and st_ino come first. On x86_64, st_nlink is a word and st_mode the next
    // half. On aarch64 and riscv64, both are halves, st_mode first. st_uid and st_gid follow.
    #[cfg(target_arch = "x86_64")]
    let (mode, owner, device) = (raw[3] as u32, ((raw[3] >> 32) as u32, raw[4] as u32), raw[5]);
    #[cfg(not(target_arch = "x86_64"))]
    let (mode, owner, device) = (raw[2] as u32, (raw[3] as u32, (raw[3] >> 32) as u32), raw[4]);
    // The minor number has 20 bits, placed around the 12 of the major number.
    let parts = |device: u64| {
        ((device >> 8 & 0xfff) as u32, (device & 0xff | device >> 12 & 0xfff00) as u32)
    };
    let (major, minor) = parts(raw[0]);
    let file_system = u64::from(major) | u64::from(minor) << 32;
    Ok(Status { mode, owner, number: raw[1], device: parts(device), file_system, mount: None })
}

/// Whether the file behind `fd` is in a proc file system, by `fstatfs(2)`.
pub fn is_in_proc(fd: &Fd) -> Result<bool> {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    Ok(kind_of_file_system(fd)? == PROC_SUPER_MAGIC)
}

/// The magic number of the file system of `fd`.
fn kind_of_file_system(fd: &Fd) -> Result<u64> {
    let mut raw = [0u64; 16];
    done(call!(nr::FSTATFS, fd.0, raw.as_mut_ptr()))?;
    Ok(raw[0])
}
