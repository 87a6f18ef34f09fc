//! The calls on loop devices (loop(4)), which make a file a block device.
#![allow(unsafe_code)]

use super::own;
use nix::errno::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

const CONTROL_GET_FREE: libc::Ioctl = 0x4C82;
const CONFIGURE: libc::Ioctl = 0x4C0A;

const READ_ONLY: u32 = 1;
/// The device is free again with its last user.
const AUTOCLEAR: u32 = 4;

/// `struct loop_info64` of linux/loop.h.
#[repr(C)]
struct Info {
    device: u64,
    inode: u64,
    real_device: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [u8; 128],
    key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of linux/loop.h.
#[repr(C)]
struct Config {
    file: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

const _: () = assert!(size_of::<Config>() == 304);

/// The number of a device that is free. Another process may take it before it is configured.
pub fn free(control: BorrowedFd<'_>) -> io::Result<i32> {
    // SAFETY: the call takes no argument.
    let number = unsafe { libc::ioctl(control.as_raw_fd(), CONTROL_GET_FREE) };
    Ok(Errno::result(number)?)
}

/// Makes the device a view of a file. EBUSY if it has one already. Linux 5.8.
pub fn configure(device: BorrowedFd<'_>, file: BorrowedFd<'_>, writable: bool) -> io::Result<()> {
    let config = Config {
        file: file.as_raw_fd() as u32,
        block_size: 0,
        info: Info {
            device: 0,
            inode: 0,
            real_device: 0,
            offset: 0,
            size_limit: 0,
            number: 0,
            encryption: [0; 2],
            flags: if writable { AUTOCLEAR } else { READ_ONLY | AUTOCLEAR },
            names: [0; 128],
            key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    // SAFETY: `config` has the layout that the call expects, and outlives it.
    let done = unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE, &raw const config) };
    Errno::result(done)?;
    Ok(())
}

/// The calls that mount a file system which is attached nowhere.
pub mod mounting {
    use super::{AsRawFd, BorrowedFd, Errno, io, own};
    use std::ffi::CStr;
    use std::os::fd::OwnedFd;

    const SET_FLAG: u32 = 0;
    const SET_STRING: u32 = 1;
    const CREATE: u32 = 6;

    /// Opens a file system of this kind to configure it: `fsopen(2)`, Linux 5.2.
    pub fn open(kind: &CStr) -> io::Result<OwnedFd> {
        const CLOSE_ON_EXEC: u32 = 1;
        // SAFETY: the name is a text that ends with a NUL.
        let opened = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), CLOSE_ON_EXEC) };
        Ok(own(Errno::result(opened)? as i32))
    }

    /// Sets the source and these options, and mounts the file system with these attributes.
    pub fn mount(
        file_system: BorrowedFd<'_>,
        source: &CStr,
        options: &[&CStr],
        attributes: u64,
    ) -> io::Result<OwnedFd> {
        let set = |command: u32, key: Option<&CStr>, value: Option<&CStr>| {
            let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
            let (number, key, value) = (file_system.as_raw_fd(), pointer(key), pointer(value));
            // SAFETY: the texts end with a NUL, or are null where the command takes none.
            let done = unsafe { libc::syscall(libc::SYS_fsconfig, number, command, key, value, 0) };
            Errno::result(done).map(drop)
        };
        set(SET_STRING, Some(c"source"), Some(source))?;
        options.iter().try_for_each(|option| set(SET_FLAG, Some(option), None))?;
        set(CREATE, None, None)?;
        const CLOSE_ON_EXEC: u32 = 1;
        let number = file_system.as_raw_fd();
        // SAFETY: the call takes numbers alone.
        let tree = unsafe { libc::syscall(libc::SYS_fsmount, number, CLOSE_ON_EXEC, attributes) };
        Ok(own(Errno::result(tree)? as i32))
    }
}
