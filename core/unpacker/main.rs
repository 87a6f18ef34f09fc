//! The unpacker: makes the files of an image.
//!
//! The library runs this program in a sandbox that has the ids of the image, and nothing of the
//! host but the destination, which is the working directory. The library reads the image, which may
//! be hostile, and sends plain records (`wire::unpack`) to the standard input. So the reading is in
//! safe code that makes no file, and the making is where it can do no harm.
//!
//! Each path is resolved with the destination as the root directory (openat2(2),
//! RESOLVE_IN_ROOT), as a program inside will see it: a link of the image can lead anywhere in the
//! image and nowhere else.
//!
//! It is freestanding like the warden, whose system calls and texts it uses. `core/build.rs`
//! compiles this file with `--cfg freestanding`. Without it, the file is the library crate
//! `seclude-unpacker` of the workspace, for lints and documentation.
#![no_std]
#![cfg_attr(freestanding, no_main)]
#![deny(unsafe_code)]
#![allow(clippy::result_large_err, reason = "there is no allocator to box an error with")]

/// The parts of the warden that it has too.
#[allow(dead_code, unused_imports, reason = "the warden uses the rest")]
#[path = "../warden"]
mod warden {
    pub mod entries;
    #[allow(unsafe_code)]
    pub mod sys;
    pub mod text;
    pub mod walk;
}
#[allow(dead_code)]
#[path = "../wire/mod.rs"]
mod wire;

mod input;
mod look;
mod tree;

use input::Input;
use sys::{Errno, Fd};
use text::Path;
use tree::Tree;
use warden::{entries, sys, text, walk};
use wire::codec::{Sink, Wire};
use wire::unpack::{Entry, Refusal};

/// Why the unpacking ended too early, and the path of the entry.
struct Failure {
    errno: Errno,
    path: Path,
}

/// Runs the unpacker. With an argument, it makes no file, and opens those that its user may.
pub fn main(has_argument: bool) -> ! {
    if has_argument {
        look::serve()
    }
    let Err(Failure { errno, path }) = unpack() else { sys::exit(0) };
    let mut report = Report::<4200>::new();
    Refusal::Refused { errno: errno.0, path: path.as_bytes() }.encode(&mut report);
    let _ = sys::write_number(1, &report.bytes[..report.used]);
    sys::exit(1)
}

fn unpack() -> Result<(), Failure> {
    let nowhere = |errno| Failure { errno, path: Path::empty() };
    // The modes are those of the image.
    let _ = sys::umask(0);
    let mut input = Input::new(Fd::own(0));
    let mut tree = Tree::new().map_err(nowhere)?;
    loop {
        let entry = input.next().map_err(nowhere)?;
        let mut path = Path::empty();
        let made = match entry {
            Entry::End {} => return Ok(()),
            Entry::Directory { path: at, attributes } => {
                path.set(at.to_bytes());
                tree.directory(at, &attributes)
            }
            Entry::File { path: at, attributes, size } => {
                path.set(at.to_bytes());
                // The record is in the buffer that the contents go through.
                tree.file(path.as_c_str(), &attributes, |file| input.copy_to(file, size))
            }
            Entry::Symlink { path: at, attributes, target } => {
                path.set(at.to_bytes());
                tree.symlink(at, &attributes, target)
            }
            Entry::HardLink { path: at, target } => {
                path.set(at.to_bytes());
                tree.hard_link(at, target)
            }
            Entry::Fifo { path: at, attributes } => {
                path.set(at.to_bytes());
                tree.fifo(at, &attributes)
            }
            Entry::Attribute { path: at, name, value } => {
                path.set(at.to_bytes());
                tree.attribute(at, name, value)
            }
            Entry::Remove { path: at } => {
                path.set(at.to_bytes());
                tree.remove(at)
            }
            Entry::Clear { path: at, after, until, keep } => {
                path.set(at.to_bytes());
                tree.clear(at, |name| {
                    let is_within = name > after && (until.is_empty() || name <= until);
                    is_within && keep.iter().all(|kept| kept != name)
                })
            }
            Entry::Times { path: at, seconds, nanoseconds } => {
                path.set(at.to_bytes());
                tree.times(at, seconds, nanoseconds)
            }
        };
        made.map_err(|errno| Failure { errno, path })?;
    }
}

/// An encoded message.
struct Report<const ROOM: usize> {
    bytes: [u8; ROOM],
    used: usize,
}

impl<const ROOM: usize> Report<ROOM> {
    fn new() -> Report<ROOM> {
        Report { bytes: [0; ROOM], used: 0 }
    }
}

impl<const ROOM: usize> Sink for Report<ROOM> {
    fn put(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.used..self.used + bytes.len());
        if let Some(room) = room {
            room.copy_from_slice(bytes);
            self.used += bytes.len();
        }
    }
}
