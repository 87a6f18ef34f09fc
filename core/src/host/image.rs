//! The warden's executable: either the copy that this library carries, in a sealed memfd, or a file
//! at an installed path.

use crate::base::error::{Error, Result};
use crate::base::kept::Kept;
use crate::base::sys::memfd_create;
use crate::host::file_size;
use crate::host::surroundings::of_refused_call;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::MFdFlags;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The warden's program, which `build.rs` builds.
pub static PROGRAM: &[u8] = include_bytes!(env!("SECLUDE_WARDEN_IMAGE"));

/// The program that makes the files of an image.
pub static UNPACKER: &[u8] = include_bytes!(env!("SECLUDE_UNPACKER_IMAGE"));

/// The environment variable that names an installed warden.
const VARIABLE: &str = "SECLUDE_WARDEN";

/// The file to execute.
pub enum Image {
    /// A sealed memfd.
    Memory(Kept),
    /// An installed file. It runs outside the namespaces first and creates them itself.
    Installed(CString),
}

impl Image {
    /// The warden at `path`, else at the path in the environment variable, else in memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the path contains a NUL byte.
    /// [`ErrorKind::HostLimit`](crate::ErrorKind::HostLimit) if the memfd cannot be written.
    pub fn new(path: Option<&Path>) -> Result<Image> {
        let path = path
            .map(|path| path.as_os_str().to_owned())
            .or_else(|| std::env::var_os(VARIABLE).filter(|path| !path.is_empty()));
        match path {
            Some(path) => CString::new(path.as_bytes())
                .map(Image::Installed)
                .map_err(|_| Error::invalid(format!("warden {path:?}"), "contains a NUL byte")),
            None => Image::in_memory(),
        }
    }

    fn in_memory() -> Result<Image> {
        const NAME: &CStr = c"seclude-warden";
        const ACTION: &str = "put the warden into memory";
        let failed = |error: std::io::Error| Error::io(ACTION, error);
        let remedy = format!(", or install the warden and name it by {VARIABLE}");
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        // MFD_EXEC marks the file as executable, since Linux 6.3. Older kernels reject the flag,
        // hence the second attempt.
        let executable = MFdFlags::from_bits_retain(libc::MFD_EXEC);
        let memory = memfd_create(NAME, flags | executable)
            .or_else(|_| memfd_create(NAME, flags))
            .map_err(|errno| of_refused_call(errno.into(), ACTION, "memfd_create"))?;
        let memory = crate::host::socket::above_stdio(memory)?;
        let mut file = File::from(memory);
        file_size::fill(&mut file, PROGRAM, ACTION, &remedy)?;
        let seals = SealFlag::F_SEAL_SEAL
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_WRITE;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(|errno| failed(errno.into()))?;
        Ok(Image::Memory(OwnedFd::from(file).into()))
    }

    /// Whether the descriptor still refers to the file that was created.
    pub fn intact(&self) -> bool {
        match self {
            Image::Memory(memory) => memory.intact().is_some(),
            Image::Installed(_) => true,
        }
    }

    /// The descriptor and the path for execveat(2).
    pub fn executable(&self) -> (i32, &CStr) {
        match self {
            Image::Memory(memory) => (memory.unchecked().as_raw_fd(), c""),
            Image::Installed(path) => (libc::AT_FDCWD, path),
        }
    }

    /// Whether the program runs outside the namespaces and creates them itself.
    pub fn makes_namespaces(&self) -> bool {
        matches!(self, Image::Installed(_))
    }
}
