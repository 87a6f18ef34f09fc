//! One entry of an archive or directory, before anything is made of it.

use crate::base::error::{Error, Result};
use crate::wire::unpack::Attributes;

/// The kernel's limits on names (limits.h): NAME_MAX, and PATH_MAX without the final NUL.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 4095;
/// How deep directories may be. To remove them takes a descriptor for each.
const DEPTH_MAX: usize = 256;

/// An entry, with its path in the form of [`tidy`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub path: Vec<u8>,
    pub attributes: Attributes,
    pub kind: Kind,
    /// Extended attributes: names and values.
    pub extended: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Directory,
    /// The contents follow.
    File {
        size: u64,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name for what was made before. The target has the form of a path.
    HardLink {
        target: Vec<u8>,
    },
    Fifo,
    /// A device node or a socket, which is left out: `/dev` is the sandbox's own.
    Special,
    /// What is at the path in the layers below is removed.
    Removed,
    /// Whatever the layers below have in this directory is removed.
    Hidden,
}

/// The components of a path in the image, without `.`, empty ones and a leading slash.
///
/// # Errors
///
/// A path that leads up, is too long or has a NUL.
pub fn tidy(path: &[u8]) -> Result<Vec<u8>> {
    let wrong = |why: &str| {
        let shown = String::from_utf8_lossy(path.get(..200).unwrap_or(path)).into_owned();
        Err(Error::invalid(format!("entry {shown:?} of the image"), why))
    };
    let mut tidied = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => continue,
            b".." => return wrong("it leads out of the image"),
            name if name.len() > NAME_MAX => return wrong("a name has more than 255 bytes"),
            name if name.contains(&0) => return wrong("it has a NUL byte"),
            name => {
                if !tidied.is_empty() {
                    tidied.push(b'/');
                }
                tidied.extend_from_slice(name);
            }
        }
    }
    if tidied.len() > PATH_MAX {
        return wrong("it has more than 4095 bytes");
    }
    if tidied.split(|byte| *byte == b'/').count() > DEPTH_MAX {
        return wrong("it is more than 256 directories deep");
    }
    Ok(tidied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        let pairs: [(&[u8], &[u8]); 6] = [
            (b"./usr//bin/", b"usr/bin"),
            (b"/etc/passwd", b"etc/passwd"),
            (b"./", b""),
            (b"a/./b", b"a/b"),
            (b"...", b"..."),
            (b"new\nline", b"new\nline"),
        ];
        for (given, meant) in pairs {
            assert_eq!(tidy(given).unwrap(), meant);
        }
    }

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for path in
            [&b"../etc"[..], b"a/../../b", b"..", b"a\0b", &[b'x'; 256], &[b'/', b'x'].repeat(2100)]
        {
            assert!(tidy(path).is_err(), "{path:?}");
        }
    }
}
