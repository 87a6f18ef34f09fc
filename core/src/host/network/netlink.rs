//! A routing socket (rtnetlink(7)) in another network namespace.

use crate::base::error::Result;
use crate::base::kept::Kept;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, NetlinkAddr, recv, sendto};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// The socket. The kernel carries out a request while it is being sent, so no call waits.
#[derive(Debug)]
pub struct Netlink {
    socket: Kept,
    /// The number of the last request. Held from a request to its last answer.
    sequence: Mutex<u32>,
}

/// Why a request was not carried out.
#[derive(Debug)]
pub enum Refusal {
    /// The kernel refused a message.
    Message(Errno),
    /// The caller has closed the socket.
    Closed(crate::base::error::Error),
}

/// A message, and its flags besides NLM_F_REQUEST and NLM_F_ACK.
pub type Message = (u16, RouteNetlinkMessage);

impl Netlink {
    /// `socket` is a non-blocking netlink socket.
    pub fn new(socket: OwnedFd) -> Netlink {
        Netlink { socket: socket.into(), sequence: Mutex::new(0) }
    }

    /// Sends messages, and waits until all of them are carried out.
    ///
    /// Each has an explicit address. The kernel then asks for the rights of the sender. Without an
    /// address it would also ask for those of the process that opened the socket, which may have
    /// fewer over a network namespace of another sandbox.
    ///
    /// # Errors
    ///
    /// The first message that was refused. The others may have been carried out.
    pub fn ask(&self, messages: Vec<Message>) -> Result<(), Refusal> {
        self.batch(|sequence| {
            let count = messages.len();
            let mut request = Vec::new();
            for (flags, message) in messages {
                *sequence = sequence.wrapping_add(1);
                append(&mut request, NLM_F_REQUEST | NLM_F_ACK | flags, *sequence, message);
            }
            (request, count)
        })
    }

    /// The same for messages of any kind. `write` numbers them, and returns them with the number of
    /// those that ask for an acknowledgement.
    pub fn batch(&self, write: impl FnOnce(&mut u32) -> (Vec<u8>, usize)) -> Result<(), Refusal> {
        let socket = self.socket.get().map_err(Refusal::Closed)?.as_raw_fd();
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        let first = sequence.wrapping_add(1);
        let (request, count) = write(&mut sequence);
        let written = sequence.wrapping_sub(first);
        sendto(socket, &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())
            .map_err(Refusal::Message)?;
        let mut refused = None;
        let mut answered = 0;
        while answered < count {
            // The kernel has put all answers into the socket before `sendto` returned.
            let mut answer = [0; 8192];
            let length = match recv(socket, &mut answer, MsgFlags::MSG_DONTWAIT) {
                // A refused batch has fewer acknowledgements than messages.
                Err(Errno::EAGAIN) if refused.is_some() => break,
                result => result.map_err(Refusal::Message)?,
            };
            for (number, errno) in acknowledgements(&answer[..length]) {
                if number.wrapping_sub(first) > written {
                    // An answer to an earlier request, which had failed midway.
                    continue;
                }
                answered += 1;
                if errno != 0 && refused.is_none() {
                    refused = Some(Errno::from_raw(errno));
                }
            }
        }
        refused.map_or(Ok(()), |errno| Err(Refusal::Message(errno)))
    }

    /// Asks one question. The answer is one message.
    ///
    /// # Errors
    ///
    /// The kernel refused it, or answered with something else.
    pub fn get(&self, question: RouteNetlinkMessage) -> Result<RouteNetlinkMessage, Refusal> {
        let socket = self.socket.get().map_err(Refusal::Closed)?.as_raw_fd();
        let mut sequence = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        *sequence = sequence.wrapping_add(1);
        let mut request = Vec::new();
        append(&mut request, NLM_F_REQUEST, *sequence, question);
        sendto(socket, &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())
            .map_err(Refusal::Message)?;
        loop {
            let mut answer = [0; 8192];
            let length =
                recv(socket, &mut answer, MsgFlags::MSG_DONTWAIT).map_err(Refusal::Message)?;
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer[..length])
                .map_err(|_| Refusal::Message(Errno::EPROTO))?;
            if message.header.sequence_number != *sequence {
                // An answer to an earlier request, which had failed midway.
                continue;
            }
            return match message.payload {
                NetlinkPayload::InnerMessage(message) => Ok(message),
                NetlinkPayload::Error(error) => {
                    Err(Refusal::Message(Errno::from_raw(error.raw_code().wrapping_neg())))
                }
                _ => Err(Refusal::Message(Errno::EPROTO)),
            };
        }
    }
}

fn append(request: &mut Vec<u8>, flags: u16, sequence: u32, message: RouteNetlinkMessage) {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
    message.finalize();
    let start = request.len();
    request.resize(start + message.buffer_len().next_multiple_of(4), 0);
    message.serialize(&mut request[start..]);
}

/// The sequence numbers of the messages that were answered, each with its errno or 0.
pub fn acknowledgements(mut answer: &[u8]) -> Vec<(u32, i32)> {
    let mut found = Vec::new();
    while let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(answer) {
        if let NetlinkPayload::Error(error) = &message.payload {
            found.push((message.header.sequence_number, error.raw_code().wrapping_neg()));
        }
        let length = (message.header.length as usize).next_multiple_of(4);
        match answer.get(length..) {
            Some(rest) if length > 0 && !rest.is_empty() => answer = rest,
            _ => break,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_answer_acknowledges_nothing_and_ends() {
        assert_eq!(acknowledgements(&[]), []);
        assert_eq!(acknowledgements(&[0; 64]), []);
        assert_eq!(acknowledgements(&[255; 64]), []);
    }

    #[test]
    fn two_acknowledgements_in_one_answer_are_both_read() {
        let one = |sequence: u32, code: i32| {
            let mut bytes = Vec::new();
            bytes.extend(36u32.to_ne_bytes());
            bytes.extend(2u16.to_ne_bytes());
            bytes.extend(0u16.to_ne_bytes());
            bytes.extend(sequence.to_ne_bytes());
            bytes.extend(0u32.to_ne_bytes());
            bytes.extend(code.to_ne_bytes());
            bytes.extend([0; 16]);
            bytes
        };
        let both = [one(7, 0), one(8, -libc::EEXIST)].concat();
        assert_eq!(acknowledgements(&both), [(7, 0), (8, libc::EEXIST)]);
    }
}
