//! The sockets to the caller: the control socket, command sockets, and the buffer for requests.
//!
//! The control socket alone does not show that the caller lives: a process that the caller has
//! forked holds a copy of the other end. So the warden also watches the caller itself, through a
//! pidfd.

use crate::sys::{self, Departed, Errno, Fd, Lent, Pages, Polled, Result};
use crate::wire::codec::{Reader, Sink, Wire};
use crate::wire::message::{BypassToken, DESCRIPTORS_MAX, INLINE_MAX, REPORT_MAX, Report, Request};

/// The descriptor number of the control socket when the warden starts.
pub const SOCKET: i32 = 0;

/// How many descriptors of [`Control::wait`] are its own. They come first in the list.
pub const OWN: usize = 3;

pub struct Control {
    caller: Option<Fd>,
}

/// What [`Control::wait`] found.
pub struct Event {
    pub request: bool,
    pub caller_gone: bool,
    pub child: bool,
}

impl Control {
    pub fn new() -> Control {
        Control { caller: None }
    }

    pub fn watch_caller(&mut self, caller: Fd) {
        self.caller = Some(caller);
    }

    /// Waits for a request, the end of the caller, the end of a child (`children`), one of the
    /// other descriptors in `polled`, or the timeout.
    pub fn wait(
        &self,
        children: Option<&Fd>,
        polled: &mut [Polled],
        timeout_ns: Option<u64>,
    ) -> Result<Event> {
        let number =
            |fd: Option<&Fd>| fd.map_or(Polled::NOTHING, |fd| Polled::readable(fd.number()));
        let own = [Polled::readable(SOCKET), number(self.caller.as_ref()), number(children)];
        polled.get_mut(..OWN).ok_or(Errno::EPROTO)?.copy_from_slice(&own);
        sys::wait(polled, timeout_ns)?;
        Ok(Event {
            request: polled[0].is_ready(),
            caller_gone: polled[1].is_ready(),
            child: polled[2].is_ready(),
        })
    }

    /// Waits for the next message and receives it.
    ///
    /// # Errors
    ///
    /// EPROTO if the caller is gone.
    pub fn await_message(&self, incoming: &mut RequestBuffer) -> Result<()> {
        loop {
            let event = self.wait(None, &mut [Polled::NOTHING; OWN], None)?;
            if event.caller_gone {
                return Err(Errno::EPROTO);
            }
            match self.receive(incoming) {
                Err(Errno::EAGAIN) => {}
                received => return received,
            }
        }
    }

    /// Receives the next message without waiting; EAGAIN if there is none.
    pub fn receive(&self, incoming: &mut RequestBuffer) -> Result<()> {
        incoming.clear();
        incoming.take_from(SOCKET)
    }

    pub fn report(&self, report: &Report<'_>) -> Result<()> {
        send(SOCKET, report, &[])
    }
}

/// The socket for the requests and reports of one command: a socket of its own in a cell, else the
/// control socket.
pub struct CommandSocket(Option<Fd>);

impl CommandSocket {
    pub fn own(socket: Fd) -> CommandSocket {
        CommandSocket(Some(socket))
    }

    pub fn control() -> CommandSocket {
        CommandSocket(None)
    }

    pub fn is_own(&self) -> bool {
        self.0.is_some()
    }

    /// What to wait for on a socket of its own. [`Control::wait`] polls the control socket.
    pub fn polled(&self) -> Polled {
        self.0.as_ref().map_or(Polled::NOTHING, |socket| Polled::readable(socket.number()))
    }

    /// Receives the next message on a socket of its own. EAGAIN if there is none; another error if
    /// the caller has closed its end.
    pub fn receive(&self, incoming: &mut RequestBuffer) -> Result<()> {
        incoming.clear();
        incoming.take_from(self.0.as_ref().ok_or(Errno::EPROTO)?.number())
    }

    pub fn report(&self, report: &Report<'_>, descriptors: &[&Fd]) -> Result<()> {
        match send(self.0.as_ref().map_or(SOCKET, Fd::number), report, descriptors) {
            // The caller may drop one command of a cell. Nobody reads its reports then.
            Err(Errno::EPIPE | Errno::ECONNRESET) if self.is_own() => Ok(()),
            sent => sent,
        }
    }
}

fn send(socket: i32, report: &Report<'_>, descriptors: &[&Fd]) -> Result<()> {
    /// Room for every report that quotes neither a path nor the head of a file.
    const FEW: usize = 256;
    let mut buffer = Buffer::<FEW>::new();
    report.encode(&mut buffer);
    if buffer.is_cut() {
        send_long(socket, report, descriptors)
    } else {
        sys::send(socket, buffer.bytes(), descriptors, BypassToken::default())
    }
}

// Not inlined: its large frame would become part of the frame of the loop.
#[inline(never)]
fn send_long(socket: i32, report: &Report<'_>, descriptors: &[&Fd]) -> Result<()> {
    let mut buffer = Buffer::<REPORT_MAX>::new();
    report.encode(&mut buffer);
    sys::send(socket, buffer.bytes(), descriptors, BypassToken::default())
}

/// A received message with its descriptors.
pub struct RequestBuffer {
    inline: Option<Pages>,
    body: Option<Pages>,
    length: usize,
    descriptors: [i32; DESCRIPTORS_MAX],
    count: usize,
}

impl RequestBuffer {
    pub const fn new() -> RequestBuffer {
        RequestBuffer {
            inline: None,
            body: None,
            length: 0,
            descriptors: [-1; DESCRIPTORS_MAX],
            count: 0,
        }
    }

    fn take_from(&mut self, socket: i32) -> Result<()> {
        let inline = match &mut self.inline {
            Some(pages) => pages,
            none => none.insert(Pages::new(INLINE_MAX, false)?),
        };
        let (length, count) = sys::receive(socket, inline.bytes(), &mut self.descriptors)?;
        if length == 0 {
            return Err(Errno::EPROTO);
        }
        (self.length, self.count) = (length, count);
        self.attach()
    }

    /// Reads a request that travels in a memfd.
    fn attach(&mut self) -> Result<()> {
        if let Request::Attached { length } = self.request()? {
            let last = self.count.checked_sub(1).ok_or(Errno::EPROTO)?;
            let file = self.take_descriptor(last)?;
            self.count = last;
            self.length = length as usize;
            self.body = Some(Pages::of_file(&file, self.length)?);
        }
        Ok(())
    }

    pub fn request(&self) -> Result<Request<'_>> {
        let pages = self.body.as_ref().or(self.inline.as_ref()).ok_or(Errno::EPROTO)?;
        decode(pages.read(), self.length)
    }

    /// Lends the message to a process that may still be reading it. The next message is received
    /// into other memory.
    pub fn lend(&mut self) -> Result<LentRequest> {
        let pages = self.body.take().or(self.inline.take()).ok_or(Errno::EPROTO)?;
        Ok(LentRequest { pages: pages.lend(), length: core::mem::take(&mut self.length) })
    }

    /// The descriptor numbers beside the message. A taken one is -1.
    pub fn descriptors(&self) -> &[i32] {
        &self.descriptors[..self.count]
    }

    pub fn take_descriptor(&mut self, index: usize) -> Result<Fd> {
        match self.descriptors.get_mut(index) {
            Some(number) if *number >= 0 => Ok(Fd::own(core::mem::replace(number, -1))),
            _ => Err(Errno::EBADF),
        }
    }

    /// Closes the descriptors that nobody took and gives the memory back.
    pub fn clear(&mut self) {
        for number in &mut self.descriptors[..self.count] {
            if *number >= 0 {
                sys::close_number(core::mem::replace(number, -1));
            }
        }
        self.body = None;
        if let (Some(inline), 1..) = (&mut self.inline, self.length) {
            inline.forget_contents();
        }
        (self.length, self.count) = (0, 0);
    }
}

/// A message in memory that a started process may be reading.
pub struct LentRequest {
    pages: Lent,
    length: usize,
}

impl LentRequest {
    pub fn request(&self) -> Result<Request<'static>> {
        decode(self.pages.read(), self.length)
    }

    pub fn bytes(&self) -> &'static [u8] {
        self.pages.read().get(..self.length).unwrap_or_default()
    }

    /// Frees the message, because the process has left the memory.
    pub fn take_back(self, departed: &Departed) {
        drop(self.pages.take_back(departed));
    }
}

fn decode(bytes: &[u8], length: usize) -> Result<Request<'_>> {
    let bytes = bytes.get(..length).ok_or(Errno::EPROTO)?;
    Reader::new(bytes).only().map_err(|_| Errno::EPROTO)
}

impl Drop for RequestBuffer {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A report in a buffer of fixed size. Bytes that do not fit are cut. Only a long path can exceed
/// [`REPORT_MAX`]; the library then rejects the report as malformed.
pub struct Buffer<const N: usize> {
    bytes: [u8; N],
    used: usize,
    cut: bool,
}

impl<const N: usize> Buffer<N> {
    pub fn new() -> Self {
        Buffer { bytes: [0; N], used: 0, cut: false }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    fn is_cut(&self) -> bool {
        self.cut
    }
}

impl<const N: usize> Sink for Buffer<N> {
    fn put(&mut self, bytes: &[u8]) {
        let room = &mut self.bytes[self.used..];
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.used += count;
        self.cut |= count < bytes.len();
    }
}
