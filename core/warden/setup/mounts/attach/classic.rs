//! Mounts with mount(2), each path a descriptor in `/proc/self/fd`.
//!
//! Functions with a large frame are not inlined here: their frames would become part of the other
//! way's.

use super::Options;
use crate::sys::{self, Errno, Fd, Pages, Result, open};
use crate::text::{Path, ShortText};
use crate::wire::plan::attribute;
use core::ffi::CStr;

const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_REC: u64 = 16384;

/// For these four attributes, the bits of [`attribute`] are those of mount(2).
const SAME_BITS: u64 =
    attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC;

#[inline(never)]
pub fn mount(target: &CStr, kind: &CStr, options: Options<'_>, attributes: u64) -> Result<()> {
    let mut data = Path::empty();
    for (key, value) in options {
        if !data.as_bytes().is_empty() {
            data.push(b",")?;
        }
        data.push(key.to_bytes())?;
        data.push(b"=")?;
        data.push(value.to_bytes())?;
    }
    sys::mount(Some(kind), target, Some(kind), attributes & SAME_BITS, Some(data.as_c_str()))
}

/// Mounts over the root, opens the mount, and detaches it: the descriptor keeps it. A lookup that
/// starts at "/" does not step onto a mount at "/", but one through ".." does.
pub fn unattached(kind: &CStr, attributes: u64) -> Result<Fd> {
    const ROOT: &CStr = c"/..";
    // Without a new user namespace, the mount would also propagate to the caller's mount namespace.
    sys::stop_propagation()?;
    sys::mount(Some(kind), c"/", Some(kind), attributes & SAME_BITS, None)?;
    let mounted = sys::open(sys::CWD, ROOT, open::PATH | open::DIRECTORY, 0);
    sys::detach(ROOT)?;
    mounted
}

/// Attaches a copy of `source`, then sets the attributes of it and of each mount below it.
#[inline(never)]
pub fn bind(source: i32, point: &Fd, attributes: u64, covers: usize) -> Result<()> {
    let target = ShortText::of_descriptor(point.number());
    sys::mount(
        Some(ShortText::of_descriptor(source).as_c_str()),
        target.as_c_str(),
        None,
        MS_BIND | MS_REC,
        None,
    )?;
    for _ in 0..covers {
        sys::detach(target.as_c_str())?;
    }
    // The descriptor still refers to what the mount covers. The path through the parent leads onto
    // the mount.
    let mut place = [0u8; 4096];
    let length = sys::read_link(sys::CWD, target.as_c_str(), &mut place[..4095])?;
    let mut above = Path::empty();
    above.push(b"/..")?;
    above.push(&place[..length])?;
    let mounted = sys::open(sys::CWD, above.as_c_str(), open::PATH | open::NO_FOLLOW, 0)?;
    remount_all(&mounted, attributes)
}

/// Remounts the mount with the root `mounted` and all mounts below it, as mountinfo lists them
/// (proc_pid_mountinfo(5)).
fn remount_all(mounted: &Fd, attributes: u64) -> Result<()> {
    let top = mount_id(mounted.number())?;
    let mut ids = Pages::new(1 << 16, false)?;
    let ids = ids.words();
    let (mut known, mut prefix) = (0, Path::empty());
    let mut lines = Lines::open(c"/proc/self/mountinfo")?;
    while let Some(line) = lines.next()? {
        // 36 35 98:0 /root /mount/point options ...: a mount follows the one that it is mounted on.
        let mut fields = line.split(|&byte| byte == b' ');
        let (Some(id), Some(parent)) =
            (fields.next().and_then(decimal), fields.next().and_then(decimal))
        else {
            continue;
        };
        let (Some(point), Some(options)) = (fields.nth(2), fields.next()) else { continue };
        if id == top {
            prefix = unescape(point)?;
            // What is below the root has no slash more.
            if prefix.as_bytes() == b"/" {
                prefix.truncate(0);
            }
        } else if !ids[..known].contains(&parent) {
            continue;
        }
        *ids.get_mut(known).ok_or(Errno::ENOMEM)? = id;
        known += 1;
        let point = unescape(point)?;
        let below = point.as_bytes().get(prefix.as_bytes().len() + 1..).unwrap_or_default();
        let mut relative = Path::empty();
        relative.push(if below.is_empty() { b"." } else { below })?;
        let here = if below.is_empty() {
            None
        } else {
            Some(sys::open(mounted.number(), relative.as_c_str(), open::PATH, 0)?)
        };
        let here = here.as_ref().unwrap_or(mounted);
        remount(ShortText::of_descriptor(here.number()).as_c_str(), attributes | present(options))?;
    }
    if known == 0 { Err(Errno::EPROTO) } else { Ok(()) }
}

/// Makes one mount read-only, and keeps its other attributes.
pub fn make_read_only(root: &Fd) -> Result<()> {
    let id = mount_id(root.number())?;
    let mut lines = Lines::open(c"/proc/self/mountinfo")?;
    while let Some(line) = lines.next()? {
        let mut fields = line.split(|&byte| byte == b' ');
        if fields.next().and_then(decimal) == Some(id) {
            let kept = present(fields.nth(4).unwrap_or_default());
            let target = ShortText::of_descriptor(root.number());
            return remount(target.as_c_str(), attribute::READ_ONLY | kept);
        }
    }
    Err(Errno::EPROTO)
}

pub fn remount(target: &CStr, attributes: u64) -> Result<()> {
    sys::mount(None, target, None, MS_REMOUNT | MS_BIND | (attributes & SAME_BITS), None)
}

/// The attributes of a mount by its options in mountinfo. A remount must not remove them.
fn present(options: &[u8]) -> u64 {
    options.split(|&byte| byte == b',').fold(0, |attributes, option| {
        attributes
            | match option {
                b"ro" => attribute::READ_ONLY,
                b"nosuid" => attribute::NO_SUID,
                b"nodev" => attribute::NO_DEV,
                b"noexec" => attribute::NO_EXEC,
                _ => 0,
            }
    })
}

/// The id of the mount that a descriptor is on. It comes from statx(2), or before Linux 5.8 from
/// fdinfo (proc_pid_fdinfo(5)). Before 5.14, a process that is not dumpable may not read fdinfo.
pub fn mount_id(number: i32) -> Result<usize> {
    if let Some(mount) = sys::status(number, c"")?.mount {
        return Ok(mount as usize);
    }
    let path = ShortText::numbered(b"/proc/self/fdinfo/", number as u64, b"");
    let mut lines = Lines::open(path.as_c_str())?;
    while let Some(line) = lines.next()? {
        if let Some(id) = line.strip_prefix(b"mnt_id:\t").and_then(decimal) {
            return Ok(id);
        }
    }
    Err(Errno::ENOSYS)
}

fn decimal(text: &[u8]) -> Option<usize> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// Decodes a path in mountinfo, which has space, tab, newline and backslash as a backslash and
/// three octal digits.
fn unescape(text: &[u8]) -> Result<Path> {
    let mut path = Path::empty();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = if byte == b'\\' { after.first_chunk::<3>() } else { None };
        match escaped {
            Some(digits) => {
                path.push(&[digits.iter().fold(0u8, |value, digit| {
                    value.wrapping_mul(8).wrapping_add(digit.wrapping_sub(b'0'))
                })])?;
                rest = &after[3..];
            }
            None => {
                path.push(&[byte])?;
                rest = after;
            }
        }
    }
    Ok(path)
}

/// The lines of a file, one at a time.
struct Lines {
    file: Fd,
    buffer: [u8; 8192],
    start: usize,
    end: usize,
}

impl Lines {
    fn open(path: &CStr) -> Result<Lines> {
        Ok(Lines {
            file: sys::open(sys::CWD, path, open::READ, 0)?,
            buffer: [0; 8192],
            start: 0,
            end: 0,
        })
    }

    fn next(&mut self) -> Result<Option<&[u8]>> {
        loop {
            if let Some(length) =
                self.buffer[self.start..self.end].iter().position(|&byte| byte == b'\n')
            {
                let line = self.start..self.start + length;
                self.start += length + 1;
                return Ok(Some(&self.buffer[line]));
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match sys::read(&self.file, &mut self.buffer[self.end..])? {
                0 => return Ok(None),
                count => self.end += count,
            }
        }
    }
}
