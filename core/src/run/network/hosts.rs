//! The names of a network's members, in the `/etc/hosts` of each: hosts(5).
//!
//! The file is in the memory of the member's sandbox, on a mount that is read-only inside. The
//! caller holds it open for writing, and changes the lines of the other members as they come and
//! go. Each member has one slot of fixed size, so no reader sees a line move.

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::sys::uio::pwrite;
use std::fmt::Write;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// The bytes of a slot: two lines with a name of 64 bytes have room.
const SLOT: usize = 192;

/// The hosts file of one member.
#[derive(Debug)]
pub struct Hosts {
    file: Kept,
    /// The length of what the policy says, which the slots follow.
    start: i64,
}

impl Hosts {
    pub fn new(file: OwnedFd) -> Result<Hosts> {
        let start = fstat(&file).map_err(failed)?.st_size;
        Ok(Hosts { file: file.into(), start })
    }

    /// Writes the slots from `first` on.
    pub fn write(&self, first: usize, slots: &[u8]) -> Result<()> {
        let (mut at, mut rest) = (self.start + (first * SLOT) as i64, slots);
        while !rest.is_empty() {
            let written = pwrite(self.file.get()?, rest, at).map_err(failed)?;
            if written == 0 {
                return Err(failed(Errno::ENOSPC));
            }
            (at, rest) = (at + written as i64, &rest[written..]);
        }
        Ok(())
    }
}

/// The slot of a member, or an empty one.
pub fn slot(member: Option<(&str, &[IpAddr])>) -> [u8; SLOT] {
    let mut text = String::new();
    if let Some((name, addresses)) = member {
        for address in addresses {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{address}\t{name}");
        }
    }
    // The rest is a comment.
    let mut slot = [b' '; SLOT];
    slot[..text.len()].copy_from_slice(text.as_bytes());
    slot[text.len()] = b'#';
    slot[SLOT - 1] = b'\n';
    slot
}

/// Whether a host name can stand in a hosts file: letters, digits, hyphens, underscores and dots.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes().all(allowed) && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn failed(errno: Errno) -> Error {
    Error::new(ErrorKind::Setup, "show the names of the network's members")
        .errno(errno as i32)
        .at("/etc/hosts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_fits_its_slot_and_every_slot_ends_its_line() {
        let name = "n".repeat(64);
        let addresses = ["255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
            .map(|a| a.parse().unwrap());
        let full = slot(Some((&name, &addresses)));
        let text = std::str::from_utf8(&full).unwrap();
        assert_eq!(text.lines().filter(|line| line.ends_with(&name)).count(), 2);
        for slot in [full, slot(None)] {
            assert!(slot.ends_with(b"\n"));
            let last = slot.split(|byte| *byte == b'\n').rev().nth(1).unwrap();
            assert!(last.starts_with(b"#"));
        }
    }

    #[test]
    fn a_name_that_would_add_another_line_is_none() {
        for name in ["a", "node-1", "a.example", "a_b"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "a b", "a\n1.2.3.4 b", "a#", "-a", ".", "\u{e9}"] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
