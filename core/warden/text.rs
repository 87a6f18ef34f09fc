//! Texts in buffers of fixed size: the warden has no allocator.

use crate::sys::{Errno, Pages, Result};
use core::ffi::CStr;

/// A text of at most `N - 1` bytes, followed by a NUL.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

/// A path. The kernel takes no longer ones.
pub type Path = Text<4096>;
/// A number, or a short line of them.
pub type ShortText = Text<96>;

impl<const N: usize> Text<N> {
    pub const fn empty() -> Text<N> {
        Text { bytes: [0; N], used: 0 }
    }

    /// Replaces the text. A text that does not fit leaves the buffer empty, and the kernel refuses
    /// an empty path.
    pub fn set(&mut self, text: &[u8]) {
        self.truncate(0);
        let _ = self.push(text);
    }

    pub fn push(&mut self, text: &[u8]) -> Result<()> {
        let end = self.used + text.len();
        if end >= N {
            return Err(Errno::ENAMETOOLONG);
        }
        self.bytes[self.used..end].copy_from_slice(text);
        self.bytes[end] = 0;
        self.used = end;
        Ok(())
    }

    /// Appends a number in base 8 or 10.
    pub fn push_number(&mut self, value: u64, base: u64) -> Result<()> {
        if value >= base {
            self.push_number(value / base, base)?;
        }
        self.push(&[b'0' + (value % base) as u8])
    }

    pub fn truncate(&mut self, length: usize) {
        self.used = length;
        self.bytes[length] = 0;
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl Path {
    pub fn join(directory: &[u8], name: &[u8]) -> Result<Path> {
        let mut path = Path::empty();
        path.set_joined(directory, name)?;
        Ok(path)
    }

    pub fn set_joined(&mut self, directory: &[u8], name: &[u8]) -> Result<()> {
        self.truncate(0);
        self.push(directory)?;
        if !directory.ends_with(b"/") {
            self.push(b"/")?;
        }
        self.push(name)
    }
}

impl ShortText {
    /// A text of `before`, the number in base 10, and `after`.
    pub fn numbered(before: &[u8], number: u64, after: &[u8]) -> ShortText {
        let mut line = ShortText::empty();
        // Every use has room: 20 digits and two short constants.
        let _ = line
            .push(before)
            .and_then(|()| line.push_number(number, 10))
            .and_then(|()| line.push(after));
        line
    }

    /// A text of three numbers, as the kernel takes a line of an id map.
    pub fn of_numbers(numbers: [u32; 3]) -> ShortText {
        let mut line = ShortText::empty();
        for (place, number) in numbers.into_iter().enumerate() {
            // There is room: three numbers have at most 30 digits.
            let _ = line
                .push(if place == 0 { b"" } else { b" " })
                .and_then(|()| line.push_number(number.into(), 10));
        }
        let _ = line.push(b"\n");
        line
    }

    /// The path of a descriptor of this process in `/proc/self/fd`.
    pub fn of_descriptor(fd: i32) -> ShortText {
        ShortText::numbered(b"/proc/self/fd/", fd as u64, b"")
    }
}

/// A text that is rarely needed. It takes memory only if there is one. Without memory the text is
/// lost.
pub struct Note(Option<Pages>);

impl Note {
    pub const NONE: Note = Note(None);

    #[cold]
    pub fn of(text: &CStr) -> Note {
        let text = text.to_bytes_with_nul();
        let mut pages = Pages::new(text.len(), false).ok();
        if let Some(pages) = &mut pages {
            pages.bytes()[..text.len()].copy_from_slice(text);
        }
        Note(pages)
    }

    pub fn as_bytes(&self) -> &[u8] {
        let text = self.0.as_ref().and_then(|pages| CStr::from_bytes_until_nul(pages.read()).ok());
        text.unwrap_or_default().to_bytes()
    }
}

/// The number after `name` at the beginning of a line; `None` if there is no such line.
pub fn find(text: &[u8], name: &[u8]) -> Option<u64> {
    let line = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name));
    line.map(|rest| number(rest.trim_ascii_start()))
}

/// Reads a field of a process's status file. The kernel leaves out fields that do not apply: these
/// are 0.
pub fn field(status: &[u8], name: &[u8]) -> u64 {
    find(status, name).unwrap_or(0)
}

/// The number at the beginning of a text; 0 if there is none.
pub fn number(text: &[u8]) -> u64 {
    text.iter()
        .map_while(|byte| (*byte as char).to_digit(10))
        .fold(0u64, |value, digit| value.wrapping_mul(10).wrapping_add(digit.into()))
}
