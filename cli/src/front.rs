//! What the fronts have in common, which take the command lines of other programs.

use std::ffi::OsStr;
use std::path::Path;

/// What the command line asks for cannot be done. The message ends this program.
#[derive(Debug)]
pub struct Refusal(pub String);

pub type Result<T> = std::result::Result<T, Refusal>;

impl Refusal {
    pub fn new(message: impl Into<String>) -> Refusal {
        Refusal(message.into())
    }

    /// The error of a system call or a file operation on a path.
    pub fn at(action: &str, path: &Path, error: impl Into<std::io::Error>) -> Refusal {
        Refusal(format!("{action} {}: {}", path.display(), error.into()))
    }
}

impl From<seclude::Error> for Refusal {
    fn from(error: seclude::Error) -> Refusal {
        Refusal(error.to_string())
    }
}

impl From<crate::status::Failure> for Refusal {
    fn from(failure: crate::status::Failure) -> Refusal {
        Refusal(failure.message().to_owned())
    }
}

/// Whether this program was started as `front`, through a link of that name.
pub fn is_meant(front: &str, name: &OsStr) -> bool {
    Path::new(name).file_name() == Some(OsStr::new(front))
}
