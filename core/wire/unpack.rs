//! The stream that the library sends to the unpacker: the entries of an image, one after another.
//!
//! Each record is its length, 32 bits, and an encoded [`Entry`]. The contents of a file follow its
//! record. Paths are relative to the destination, without `.`, `..` and empty components; the empty
//! path is the destination itself. The last record is [`Entry::End`], without which a stream was
//! cut off.

use super::codec::{List, wire_data};
use core::ffi::CStr;

/// The most bytes of an encoded entry.
pub const RECORD_MAX: usize = 128 * 1024;

wire_data! {
    /// What is true of every kind of file.
    struct Attributes {
        /// The permission bits, 0 to 0o7777.
        mode: u32,
        uid: u32,
        gid: u32,
        /// The time of the last change, since the epoch.
        seconds: i64,
        nanoseconds: u32,
    }
}

wire_data! {
    /// What to do next. Missing parents are made. What is at the path already is replaced, but for
    /// a directory by a directory.
    enum Entry<'a> {
        1 Directory { path: &'a CStr, attributes: Attributes, }
        2 File { path: &'a CStr, attributes: Attributes, size: u64, }
        3 Symlink { path: &'a CStr, attributes: Attributes, target: &'a CStr, }
        4 HardLink { path: &'a CStr, target: &'a CStr, }
        5 Fifo { path: &'a CStr, attributes: Attributes, }
        /// An extended attribute of a file or directory that is there.
        6 Attribute { path: &'a CStr, name: &'a CStr, value: &'a [u8], }
        /// Removes what is there, with all that is below it.
        7 Remove { path: &'a CStr, }
        /// Removes what is in a directory, of the names above `after` up to `until`, but those to
        /// keep. An empty bound is none.
        8 Clear { path: &'a CStr, after: &'a CStr, until: &'a CStr, keep: List<'a, &'a CStr>, }
        /// The time of a directory, once nothing is made in it any more.
        9 Times { path: &'a CStr, seconds: i64, nanoseconds: u32, }
        10 End {}
    }
}

wire_data! {
    /// Why the unpacker ended before the last record. It writes this to its standard output.
    enum Refusal<'a> {
        1 Refused { errno: i32, path: &'a [u8], }
    }
}

/// The most bytes of an encoded [`Seen`]: an attribute has 64 KiB.
pub const SEEN_MAX: usize = 65 * 1024;

wire_data! {
    /// What the unpacker is to do for a caller to which a file is closed, if it is started with an
    /// argument. A descriptor comes with the message.
    enum Look<'a> {
        /// Opens a name in the directory, with flags of open(2).
        1 Open { name: &'a CStr, flags: u64, }
        /// Reads an extended attribute of the file.
        2 Attribute { name: &'a CStr, }
    }
}

wire_data! {
    /// The answer to a [`Look`].
    enum Seen<'a> {
        /// The file comes with it.
        1 Opened {}
        2 Value { value: &'a [u8], }
        3 Failed { errno: i32, }
    }
}
