//! Who the warden and the command are: id maps, the user, and the clocks that need the map's owner to set them.

use crate::control::{Control, Mail};
use crate::sys::{self, Errno, Result};
use crate::wire::message::Request;
use crate::wire::plan::{namespace, protection};

/// Decimal text in a small buffer.
struct Text {
    bytes: [u8; 96],
    used: usize,
}

impl Text {
    fn new() -> Text {
        Text { bytes: [0; 96], used: 0 }
    }
    fn push(&mut self, text: &[u8]) -> &mut Text {
        self.bytes[self.used..self.used + text.len()].copy_from_slice(text);
        self.used += text.len();
        self
    }
    fn number(&mut self, value: i64) -> &mut Text {
        if value < 0 {
            self.push(b"-");
        }
        self.digits(value.unsigned_abs())
    }
    fn digits(&mut self, value: u64) -> &mut Text {
        if value >= 10 {
            self.digits(value / 10);
        }
        self.push(&[b'0' + (value % 10) as u8])
    }
    fn text(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

/// Maps the caller's own ids, which is all that an unprivileged process may map (user_namespaces(7)).
pub fn map_own(uid: u32, gid: u32, outside: (u32, u32)) -> Result<()> {
    match sys::write_file(c"/proc/self/setgroups", b"deny") {
        // Denied already, in a namespace below one that denies.
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    let line = |inside: u32, outside: u32| {
        let mut text = Text::new();
        text.number(inside.into()).push(b" ").number(outside.into()).push(b" 1\n");
        text
    };
    sys::write_file(c"/proc/self/gid_map", line(gid, outside.1).text())?;
    sys::write_file(c"/proc/self/uid_map", line(uid, outside.0).text())
}

/// Waits for the caller to have written the maps.
pub fn await_maps(control: &Control) -> Result<()> {
    let mut mail = Mail::new()?;
    control.receive(&mut mail)?;
    match mail.request()? {
        Request::IdsMapped {} => Ok(()),
        _ => Err(Errno::EPROTO),
    }
}

/// Becomes the user, capabilities kept. Where setgroups(2) is denied, the caller's groups stay, and that is not reported as done.
pub fn become_user(uid: u32, gid: u32) -> Result<u64> {
    const NO_SETUID_FIXUP: usize = 1 << 2;
    sys::prctl(sys::process::SET_SECUREBITS, NO_SETUID_FIXUP)?;
    match sys::drop_groups() {
        Ok(()) | Err(Errno::EPERM) => {}
        Err(errno) => return Err(errno),
    }
    sys::become_user(uid, gid)?;
    sys::prctl(sys::process::SET_DUMPABLE, 0)?;
    Ok(if sys::count_groups()? == 0 { protection::GROUPS } else { 0 })
}

/// A time namespace for what is started from now on. Offsets must be set before anybody enters (time_namespaces(7)).
pub fn time_offsets(monotonic: i64, boottime: i64) -> Result<()> {
    const SECOND: i64 = 1_000_000_000;
    sys::unshare(namespace::TIME)?;
    let mut text = Text::new();
    for (clock, offset) in [(&b"monotonic "[..], monotonic), (b"boottime ", boottime)] {
        text.push(clock).number(offset.div_euclid(SECOND)).push(b" ").number(offset.rem_euclid(SECOND)).push(b"\n");
    }
    sys::write_file(c"/proc/self/timens_offsets", text.text())
}
