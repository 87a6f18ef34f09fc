//! A command's output on its way through the warden: counted, passed on, and cut at its limit.

use crate::sys::{self, Errno, Fd, Pages, Polled, Result};

/// One stream.
pub struct Relay {
    /// Where the command writes; `None` once it is at its end, cut, or of no use to anybody.
    from: Option<Fd>,
    to: Option<Target>,
    buffer: Pages,
    start: usize,
    end: usize,
    /// How many bytes may still come.
    left: u64,
    /// Who else may write does not count any more: so much of what is in the pipe is still the
    /// command's.
    rest: Option<usize>,
    /// How many bytes have come, the one too many not among them.
    pub passed: u64,
    /// More has come than may. The end that the command writes to stays until it is ended: no
    /// broken pipe comes first.
    cut: bool,
    /// How much is written at once. Where a write may wait, no more than a pipe that has room
    /// takes.
    piece: usize,
}

/// Where a relay writes.
struct Target {
    fd: Fd,
    socket: bool,
}

impl Target {
    fn write(&self, piece: &[u8]) -> Result<usize> {
        if self.socket { sys::send_some(&self.fd, piece) } else { sys::write_some(&self.fd, piece) }
    }
}

impl Drop for Target {
    /// The last to close a socket waits until it has sent everything, if somebody has had it linger
    /// (socket(7)).
    fn drop(&mut self) {
        if self.socket {
            sys::stop_lingering(&self.fd);
        }
    }
}

impl Relay {
    /// `from` never waits: what the command writes, it can also take back before it is read. `to`
    /// waits for nobody either, but where the caller could not open it anew.
    pub fn new(from: Fd, to: Fd, limit: u64) -> Result<Relay> {
        const BUFFER: usize = 64 * 1024;
        const PIPE_BUF: usize = 4096;
        if !sys::is_nonblocking(from.number())? {
            return Err(Errno::EPROTO);
        }
        let status = sys::status(to.number(), c"")?;
        let socket = status.is_socket();
        let may_block = !sys::is_nonblocking(to.number())? && !status.is_file() && !socket;
        let piece = if may_block { PIPE_BUF } else { BUFFER };
        let buffer = Pages::new(BUFFER, false)?;
        Ok(Relay {
            from: Some(from),
            to: Some(Target { fd: to, socket }),
            buffer,
            start: 0,
            end: 0,
            left: limit,
            rest: None,
            passed: 0,
            cut: false,
            piece,
        })
    }

    /// What to wait for: something to read, or to be rid of what was read; and whether anybody
    /// still wants it.
    pub fn polled(&self) -> [Polled; 2] {
        match (&self.from, &self.to) {
            (_, Some(to)) if self.has_buffered() => {
                [Polled::NOTHING, Polled::writable(to.fd.number())]
            }
            (Some(from), Some(to)) if !self.cut => {
                [Polled::readable(from.number()), Polled::hang_up(to.fd.number())]
            }
            _ => [Polled::NOTHING; 2],
        }
    }

    fn has_buffered(&self) -> bool {
        self.start < self.end
    }

    /// Whether nothing is under way any more.
    pub fn is_done(&self) -> bool {
        self.from.is_none() && !self.has_buffered()
    }

    /// Does what can be done without waiting. `true`: the command wrote more than it may.
    pub fn advance(&mut self, ready: [Polled; 2]) -> bool {
        let mut exceeded = false;
        if ready[0].is_ready() {
            exceeded = self.read();
        } else if ready[1].is_ready() && !self.has_buffered() {
            self.abandon();
        }
        if ready[1].is_ready() && self.has_buffered() {
            self.write();
        }
        exceeded
    }

    fn read(&mut self) -> bool {
        let Some(from) = &self.from else { return false };
        let room = self.rest.unwrap_or(usize::MAX).min(self.buffer.read().len());
        let length = match sys::read(from, &mut self.buffer.bytes()[..room]) {
            Ok(0) => 0,
            Ok(length) => length,
            Err(Errno::EINTR | Errno::EAGAIN) => return false,
            Err(_) => 0,
        };
        let taken = (length as u64).min(self.left);
        (self.start, self.end) = (0, taken as usize);
        self.left -= taken;
        self.passed += taken;
        self.cut = length as u64 > taken;
        self.rest = self.rest.map(|rest| rest - length);
        if length == 0 || self.rest == Some(0) {
            self.from = None;
        }
        if !self.has_buffered() && self.from.is_none() {
            self.to = None;
        }
        self.cut
    }

    fn write(&mut self) {
        let Some(to) = &self.to else { return };
        let end = self.end.min(self.start + self.piece);
        let piece = &self.buffer.read()[self.start..end];
        match to.write(piece) {
            Ok(written) => self.start += written,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            // Nobody reads it, or there is no room on the disk: the command meets the same when it
            // writes on (EPIPE).
            Err(_) => self.abandon(),
        }
        if !self.has_buffered() && self.from.is_none() {
            self.to = None;
        }
    }

    /// Lets go of both ends, and of what is under way.
    pub fn abandon(&mut self) {
        (self.from, self.to) = (None, None);
        (self.start, self.end) = (0, 0);
    }

    /// The command has ended, but others may go on to write: what is in the pipe now is the rest.
    pub fn limit_to_pending(&mut self) {
        self.rest = self.from.as_ref().map(|from| sys::pending(from.number()));
        if self.rest == Some(0) {
            self.from = None;
        }
        self.finish();
        if self.from.is_none() && !self.has_buffered() {
            self.to = None;
        }
    }

    /// Nobody is left who could write: what is in the pipe now is the rest.
    pub fn finish(&mut self) {
        if self.cut {
            self.from = None;
            if !self.has_buffered() {
                self.to = None;
            }
        }
        if let Some(from) = &self.from
            && !self.has_buffered()
        {
            let mut polled = [Polled::readable(from.number())];
            let empty = sys::wait(&mut polled, Some(0)).is_err() || !polled[0].is_ready();
            if empty {
                (self.from, self.to) = (None, None);
            }
        }
    }
}
