//! Forwards a stream of a command: counts its bytes and cuts it at the limit.

use crate::sys::{self, Errno, Fd, Pages, Polled, Result};

/// One forwarded stream.
pub struct Relay {
    /// The pipe that the command writes to. `None` after its end, after a cut, or when nobody
    /// wants the output.
    from: Option<Fd>,
    to: Option<RelayTarget>,
    buffer: Pages,
    start: usize,
    end: usize,
    /// How many more bytes the limit allows.
    left: u64,
    /// How many bytes of the pipe are still to be forwarded, after the command has ended. Other
    /// processes may go on writing to the pipe, and that no longer counts.
    rest: Option<usize>,
    /// How many bytes have come, within the limit.
    pub passed: u64,
    /// The command wrote more than the limit. The pipe stays open until the command is killed, so
    /// that it dies of no SIGPIPE first.
    cut: bool,
    /// The most bytes of one write. Where a write could block, it is no more than fits into a pipe
    /// with room.
    piece: usize,
}

/// The destination of a stream.
struct RelayTarget {
    fd: Fd,
    socket: bool,
}

impl RelayTarget {
    fn write(&self, piece: &[u8]) -> Result<usize> {
        if self.socket { sys::send_some(&self.fd, piece) } else { sys::write_some(&self.fd, piece) }
    }
}

impl Drop for RelayTarget {
    /// close(2) of the last reference to a socket waits until everything is sent, if SO_LINGER is
    /// set (socket(7)). The warden must not wait.
    fn drop(&mut self) {
        if self.socket {
            sys::stop_lingering(&self.fd);
        }
    }
}

impl Relay {
    /// Forwards `from` to `to`.
    ///
    /// `from` must be nonblocking: the command can read back what it wrote before the warden reads
    /// it. `to` is nonblocking too, unless the caller could not open it anew.
    ///
    /// # Errors
    ///
    /// EPROTO if `from` is not nonblocking.
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
            to: Some(RelayTarget { fd: to, socket }),
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

    /// What to wait for: input or the end of the reader, or room for buffered bytes.
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

    /// Whether nothing is left to forward.
    pub fn is_done(&self) -> bool {
        self.from.is_none() && !self.has_buffered()
    }

    /// Forwards what it can without waiting. Returns `true` if the command wrote more than the
    /// limit.
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
            // Nobody reads it, or the disk is full. The next write of the command fails too
            // (EPIPE).
            Err(_) => self.abandon(),
        }
        if !self.has_buffered() && self.from.is_none() {
            self.to = None;
        }
    }

    /// Drops both ends and the buffered bytes.
    pub fn abandon(&mut self) {
        (self.from, self.to) = (None, None);
        (self.start, self.end) = (0, 0);
    }

    /// Forwards only what is in the pipe now: the command has ended, but other processes may still
    /// write.
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

    /// Ends the relay if the pipe is empty or was cut: no process is left that could write to it.
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
