//! Id maps, the user of the warden and its commands, and clock offsets.

use crate::control::{Control, RequestBuffer};
use crate::sys::{self, Errno, Result};
use crate::text::ShortText;
use crate::wire::codec::List;
use crate::wire::message::Request;
use crate::wire::plan::{GROUPS_MAX, IdRange, namespace, protection};
use core::ffi::CStr;

/// Maps the ids of the caller. An unprivileged process may map no others (user_namespaces(7)).
pub fn map_own(uid: u32, gid: u32, outside: (u32, u32)) -> Result<()> {
    match sys::write_file(c"/proc/self/setgroups", b"deny") {
        // A parent user namespace denies it already.
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    let write = |file: &CStr, inside: u32, outside: u32| {
        sys::write_file(file, ShortText::of_numbers([inside, outside, 1]).as_bytes())
    };
    write(c"/proc/self/gid_map", gid, outside.1)?;
    write(c"/proc/self/uid_map", uid, outside.0)
}

/// Checks that an id map consists of these lines. With `own`, the one line maps to that id. The
/// kernel shows the ids outside as those of the reader's parent user namespace
/// (user_namespaces(7)). That is the namespace of the process that made this one.
pub fn check_map(file: &CStr, lines: List<'_, IdRange>, own: Option<u32>) -> Result<()> {
    /// Longer than any map of two lines.
    const LENGTH: usize = 256;
    let mut text = [0; LENGTH];
    let length = sys::read(&sys::open(sys::CWD, file, sys::open::READ, 0)?, &mut text)?;
    let mut words = text[..length].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for IdRange { inside, outside, count } in lines.iter() {
        let expected = ShortText::of_numbers([inside, own.unwrap_or(outside), count]);
        let mut wanted =
            expected.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        if !wanted.all(|word| words.next() == Some(word)) {
            return Err(Errno::EBADMSG);
        }
    }
    if length < LENGTH && words.next().is_none() { Ok(()) } else { Err(Errno::EBADMSG) }
}

/// Waits until the caller sends `Request::Admitted`, and takes what is beside it.
pub fn await_caller(
    control: &Control,
    take: impl FnOnce(&mut RequestBuffer) -> Result<()>,
) -> Result<()> {
    let mut incoming = RequestBuffer::new();
    control.await_message(&mut incoming)?;
    match incoming.request()? {
        Request::Admitted {} => take(&mut incoming),
        _ => Err(Errno::EPROTO),
    }
}

/// Becomes the user and keeps the capabilities. Where setgroups(2) is denied, the caller's
/// supplementary groups stay unless `exact`, and the protection is not reported.
pub fn become_user(uid: u32, gid: u32, groups: List<'_, u32>, exact: bool) -> Result<u64> {
    const NO_SETUID_FIXUP: usize = 1 << 2;
    sys::prctl(sys::process::SET_SECUREBITS, NO_SETUID_FIXUP)?;
    let mut numbers = [0; GROUPS_MAX];
    let numbers = numbers.get_mut(..groups.len()).ok_or(Errno::EPROTO)?;
    numbers.iter_mut().zip(groups.iter()).for_each(|(place, group)| *place = group);
    match sys::set_groups(numbers) {
        Ok(()) => {}
        Err(Errno::EPERM) if !exact => {}
        Err(errno) => return Err(errno),
    }
    sys::become_user(uid, gid)?;
    sys::prctl(sys::process::SET_DUMPABLE, 0)?;
    Ok(if sys::count_groups()? == 0 { protection::GROUPS } else { 0 })
}

/// Stays the caller's user, which is the only one that an unprivileged process can be. Its
/// supplementary groups stay, too.
///
/// # Errors
///
/// EBADE if the user or the group is another one.
pub fn keep_user(uid: u32, gid: u32) -> Result<u64> {
    if sys::user()? != ([uid; 3], [gid; 3]) {
        return Err(Errno::EBADE);
    }
    sys::prctl(sys::process::SET_DUMPABLE, 0)?;
    Ok(if sys::count_groups()? == 0 { protection::GROUPS } else { 0 })
}

/// Makes a time namespace for processes started from now on. The offsets must be set before any
/// process enters it (time_namespaces(7)).
pub fn time_offsets(monotonic: i64, boottime: i64) -> Result<()> {
    const SECOND: i64 = 1_000_000_000;
    sys::unshare(namespace::TIME)?;
    let mut lines = ShortText::empty();
    for (clock, offset) in [(&b"monotonic "[..], monotonic), (b"boottime ", boottime)] {
        let (seconds, rest) = (offset.div_euclid(SECOND), offset.rem_euclid(SECOND));
        lines.push(clock)?;
        lines.push(if seconds < 0 { b"-" } else { b"" })?;
        lines.push_number(seconds.unsigned_abs(), 10)?;
        lines.push(b" ")?;
        lines.push_number(rest.unsigned_abs(), 10)?;
        lines.push(b"\n")?;
    }
    sys::write_file(c"/proc/self/timens_offsets", lines.as_bytes())
}
