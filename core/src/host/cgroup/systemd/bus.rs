//! A connection to a message bus: connect, authenticate, call, wait for a signal, all before one
//! moment.
//!
//! It is plain blocking I/O on one socket whose timeouts are what is left until that moment. So
//! there is no thread and no event loop to leave behind, and it works inside a caller's own async
//! runtime.

use super::message::{self, Kind, Message, PREFIX, Target};
use crate::base::error::Shortage;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SetSockOpt, SockFlag, SockType, UnixAddr, connect, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde::ser::Serialize;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Instant;
use zvariant::Type;

/// Why a conversation ended early.
#[derive(Debug)]
pub enum Fault {
    /// There is no bus, or it lets nobody in, or it went away.
    Broken(String),
    /// An error reply: its name and its text.
    Answer { name: String, text: String },
    /// The time is up.
    Late,
    /// The caller is short of something: another bus would be of no help.
    Short(Errno),
}

/// Where a bus listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(UnixAddr);

impl Address {
    pub fn path(path: &str) -> Option<Address> {
        UnixAddr::new(path).ok().map(Address)
    }

    /// The Unix sockets among the addresses of `text`: the D-Bus specification, "Server Addresses".
    /// Others, which would run a program or leave the machine, are no bus of systemd's.
    pub fn parse(text: &str) -> Vec<Address> {
        let of_entry = |entry: &str| {
            let (key, value) = entry
                .strip_prefix("unix:")?
                .split(',')
                .filter_map(|pair| pair.split_once('='))
                .find(|(key, _)| matches!(*key, "path" | "abstract"))?;
            let value = unescape(value)?;
            let address = if key == "path" {
                UnixAddr::new(value.as_slice())
            } else {
                UnixAddr::new_abstract(&value)
            };
            address.ok().map(Address)
        };
        text.split(';').filter_map(of_entry).collect()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.0.path(), self.0.as_abstract()) {
            (Some(path), _) => path.display().fmt(to),
            (None, Some(name)) => write!(to, "@{}", String::from_utf8_lossy(name)),
            (None, None) => to.write_str("?"),
        }
    }
}

/// `%2f` and its like.
fn unescape(value: &str) -> Option<Vec<u8>> {
    let mut parts = value.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    Some(bytes)
}

/// The bus itself, as a peer.
const BUS: Target = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// A connection that is allowed to last until `until`.
pub struct Bus {
    socket: OwnedFd,
    until: Instant,
    serial: u32,
    /// What was received and not yet read.
    received: Vec<u8>,
}

impl Bus {
    /// Connects as the effective user and says hello.
    pub fn open(address: &Address, until: Instant) -> Result<(Bus, String), Fault> {
        let at = |doing: &'static str| {
            move |fault| match fault {
                Fault::Broken(cause) => Fault::Broken(format!("{doing} {address}: {cause}")),
                fault => fault,
            }
        };
        let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(broken)?;
        let mut bus = Bus { socket, until, serial: 0, received: Vec::new() };
        // A bus that does not accept leaves a full queue behind, and connect(2) waits there: for as
        // long as SO_SNDTIMEO says.
        bus.timed(sockopt::SendTimeout, |socket| connect(socket, &address.0))
            .map_err(at("connect to"))?;
        bus.authenticate().map_err(at("authenticate at"))?;
        let (name,) = bus.ask(&BUS, "Hello", &())?;
        Ok((bus, name))
    }

    /// EXTERNAL without a name: the bus takes the uid from the socket, which is right in a user
    /// namespace too.
    fn authenticate(&mut self) -> Result<(), Fault> {
        self.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        for expected in ["DATA", "OK "] {
            let line = self.line()?;
            if !line.starts_with(expected) {
                return Err(Fault::Broken(format!("the bus says {line:?}")));
            }
        }
        Ok(())
    }

    /// The process id of the connection `name`, in the bus's pid namespace.
    pub fn process_of(&mut self, name: &str) -> Result<u32, Fault> {
        self.ask::<_, (u32,)>(&BUS, "GetConnectionUnixProcessID", &(name,)).map(|(pid,)| pid)
    }

    /// Has the signals that match `rule` sent to us.
    pub fn add_match(&mut self, rule: &str) -> Result<(), Fault> {
        self.call(&BUS, "AddMatch", &(rule,)).map(drop)
    }

    /// Calls a method that answers with the tuple `R`.
    pub fn ask<T: Serialize + Type, R: serde::de::DeserializeOwned + Type>(
        &mut self,
        target: &Target,
        member: &str,
        arguments: &T,
    ) -> Result<R, Fault> {
        let reply = self.call(target, member, arguments)?;
        reply.arguments().ok_or_else(|| {
            Fault::Broken(format!("{member} answered with arguments of other types"))
        })
    }

    /// Calls a method and waits for its reply.
    fn call<T: Serialize + Type>(
        &mut self,
        target: &Target,
        member: &str,
        arguments: &T,
    ) -> Result<Message, Fault> {
        self.serial += 1;
        let bytes = message::call(self.serial, target, member, arguments)
            .map_err(|error| Fault::Broken(format!("{member}: {error}")))?;
        self.send(&bytes)?;
        loop {
            let message = self.receive()?;
            match &message.kind {
                Kind::Reply { serial } if *serial == self.serial => return Ok(message),
                Kind::Error { serial, name } if *serial == self.serial => {
                    return Err(Fault::Answer { name: name.clone(), text: message.text() });
                }
                Kind::Reply { .. } | Kind::Error { .. } | Kind::Signal { .. } | Kind::Other => {}
            }
        }
    }

    /// The next message.
    pub fn receive(&mut self) -> Result<Message, Fault> {
        while self.received.len() < PREFIX {
            self.fill()?;
        }
        let mut prefix = [0; PREFIX];
        prefix.copy_from_slice(&self.received[..PREFIX]);
        let length = message::length(&prefix).map_err(Fault::Broken)?;
        while self.received.len() < length {
            self.fill()?;
        }
        let rest = self.received.split_off(length);
        Message::read(std::mem::replace(&mut self.received, rest)).map_err(Fault::Broken)
    }

    /// The next line of the authentication, which is text.
    fn line(&mut self) -> Result<String, Fault> {
        /// No command of the protocol comes near.
        const LINE_MAX: usize = 4096;
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let rest = self.received.split_off(end + 2);
                let line = std::mem::replace(&mut self.received, rest);
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            if self.received.len() > LINE_MAX {
                return Err(Fault::Broken("the bus does not speak D-Bus".to_owned()));
            }
            self.fill()?;
        }
    }

    /// Waits for more bytes.
    fn fill(&mut self) -> Result<(), Fault> {
        let mut bytes = [0; 4096];
        match self
            .timed(sockopt::ReceiveTimeout, |socket| recv(socket, &mut bytes, MsgFlags::empty()))?
        {
            0 => Err(Fault::Broken("the bus closed the connection".to_owned())),
            count => {
                self.received.extend(&bytes[..count]);
                Ok(())
            }
        }
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            // Not write(2): a bus that has gone would end a caller that does not ignore SIGPIPE.
            let count = self.timed(sockopt::SendTimeout, |socket| {
                send(socket, bytes, MsgFlags::MSG_NOSIGNAL)
            })?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// A system call that is given what is left of the time: SO_RCVTIMEO and SO_SNDTIMEO of
    /// socket(7). A caller's signal handler ends such a call, SA_RESTART or not (signal(7)): it
    /// is repeated with what is left then.
    fn timed<T>(
        &self,
        option: impl SetSockOpt<Val = TimeVal> + Copy,
        mut call: impl FnMut(RawFd) -> nix::Result<T>,
    ) -> Result<T, Fault> {
        loop {
            let left = self.until.saturating_duration_since(Instant::now()).as_micros();
            // A timeout of zero would mean for ever.
            if left == 0 {
                return Err(Fault::Late);
            }
            let left = TimeVal::microseconds(i64::try_from(left).unwrap_or(i64::MAX));
            setsockopt(&self.socket, option, &left).map_err(broken)?;
            match call(self.socket.as_raw_fd()) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(Fault::Late),
                result => return result.map_err(broken),
            }
        }
    }
}

fn broken(errno: Errno) -> Fault {
    match Shortage::of(errno as i32) {
        Some(_) => Fault::Short(errno),
        None => Fault::Broken(errno.desc().to_lowercase()),
    }
}
