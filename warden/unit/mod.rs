//! Unit tests of the warden's parts: how it reads the kernel's texts and what it makes of them. The
//! tests on the real kernel cover the warden as a whole.

extern crate std;

mod entries;
mod scan;
mod setup;
mod text;
mod walk;
mod watch;

use crate::sys::{self, CWD, Fd, open};
use std::ffi::CString;
use std::path::{Path, PathBuf};

/// A directory of this test, removed with everything in it.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let place =
            std::env::temp_dir().join(std::format!("seclude-warden-{name}-{}", std::process::id()));
        std::fs::create_dir(&place).expect("the temporary directory is writable");
        Scratch(place)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path as a C string.
fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().expect("UTF-8")).expect("no NUL")
}

fn directory(path: &Path) -> Fd {
    opened(path, open::READ | open::DIRECTORY)
}

fn opened(path: &Path, flags: u64) -> Fd {
    sys::open(CWD, &c_path(path), flags, 0)
        .unwrap_or_else(|errno| panic!("{}: {}", path.display(), errno.0))
}
