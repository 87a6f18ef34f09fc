//! The calls of `landlock(7)`.

use super::number as nr;
use super::{Fd, Result, descriptor, done};

/// Access rights to files, as LANDLOCK_ACCESS_FS_ bits.
pub mod access {
    pub const EXECUTE: u64 = 1 << 0;
    pub const WRITE_FILE: u64 = 1 << 1;
    pub const READ_FILE: u64 = 1 << 2;
    pub const READ_DIR: u64 = 1 << 3;
    /// Moving or linking a file to another directory. ABI 2.
    pub const REFER: u64 = 1 << 13;
    /// ABI 3.
    pub const TRUNCATE: u64 = 1 << 14;
    /// `ioctl(2)` on device files, but for the harmless requests. ABI 5.
    pub const IOCTL_DEV: u64 = 1 << 15;
    /// The rights that apply to files; the others apply to directories only.
    pub const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
}

/// Access rights to TCP ports.
pub const BIND_TCP: u64 = 1 << 0;
pub const CONNECT_TCP: u64 = 1 << 1;

/// The highest ABI of this kernel.
pub fn landlock_abi() -> Result<u32> {
    const VERSION: u32 = 1;
    call!(nr::LANDLOCK_CREATE, 0, 0, VERSION).map(|version| version as u32)
}

/// Makes a ruleset that denies these rights until rules allow them. `size` is the size in bytes of
/// the attributes that the ABI knows.
pub fn landlock_ruleset(files: u64, ports: u64, scopes: u64, size: usize) -> Result<Fd> {
    let attributes = [files, ports, scopes];
    descriptor(call!(
        nr::LANDLOCK_CREATE,
        attributes.as_ptr(),
        size.min(size_of_val(&attributes)),
        0
    ))
}

/// Allows these rights to the file or directory behind `fd` and to everything below it.
pub fn landlock_allow_path(ruleset: &Fd, fd: i32, rights: u64) -> Result<()> {
    const PATH_BENEATH: u32 = 1;
    #[repr(C, packed)]
    struct Beneath {
        rights: u64,
        fd: i32,
    }
    let beneath = Beneath { rights, fd };
    done(call!(nr::LANDLOCK_ADD, ruleset.0, PATH_BENEATH, &raw const beneath, 0))
}

/// Allows these rights to a port.
pub fn landlock_allow_port(ruleset: &Fd, port: u16, rights: u64) -> Result<()> {
    const NET_PORT: u32 = 2;
    let rule = [rights, port.into()];
    done(call!(nr::LANDLOCK_ADD, ruleset.0, NET_PORT, rule.as_ptr(), 0))
}

/// Applies a ruleset to this process for good.
pub fn landlock_restrict(ruleset: i32) -> Result<()> {
    done(call!(nr::LANDLOCK_SELF, ruleset, 0))
}
