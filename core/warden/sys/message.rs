//! Descriptors, and the messages that carry them.

use super::number as nr;
use super::{Errno, Fd, Result, done};
use crate::wire::message::BypassToken;

/// Makes a close-on-exec copy of `fd` with a number of at least `least`.
pub fn duplicate_above(fd: i32, least: i32) -> Result<i32> {
    const DUPFD_CLOEXEC: u32 = 1030;
    call!(nr::FCNTL, fd, DUPFD_CLOEXEC, least).map(|number| number as i32)
}

/// The access mode of `fd`: `open::READ`, `open::WRITE`, or read and write.
pub fn open_mode(fd: i32) -> Result<u64> {
    const GETFL: u32 = 3;
    const ACCMODE: usize = 3;
    call!(nr::FCNTL, fd, GETFL, 0).map(|flags| (flags & ACCMODE) as u64)
}

/// Whether reads and writes on `fd` never wait: O_NONBLOCK of its open file description.
pub fn is_nonblocking(fd: i32) -> Result<bool> {
    const GETFL: u32 = 3;
    const NONBLOCK: usize = 0o4000;
    call!(nr::FCNTL, fd, GETFL, 0).map(|flags| flags & NONBLOCK != 0)
}

/// Makes `target` a copy of `fd` that stays open over `execve(2)`.
pub fn duplicate_to(fd: i32, target: i32) -> Result<()> {
    done(call!(nr::DUP3, fd, target, 0))
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: u32) -> Result<()> {
    done(call!(nr::CLOSE_RANGE, first, u32::MAX, 0))
}

pub fn close_number(number: i32) {
    let _ = call!(nr::CLOSE, number);
}

/// Marks every descriptor close-on-exec. Before Linux 5.11 this fails, but every descriptor was
/// already received with that flag.
pub fn close_all_on_exec() {
    const CLOEXEC: u32 = 4;
    let _ = call!(nr::CLOSE_RANGE, 0, u32::MAX, CLOEXEC);
}

/// The number of bytes that can be read from a pipe now.
pub fn pending(fd: i32) -> usize {
    const FIONREAD: u32 = 0x541b;
    let mut count = 0i32;
    let _ = call!(nr::IOCTL, fd, FIONREAD, &raw mut count);
    count as usize
}

/// A control message with up to 253 descriptors.
#[repr(C, align(8))]
struct ControlMessage {
    length: usize,
    level: i32,
    kind: i32,
    descriptors: [i32; 254],
}

const SCM_RIGHTS_HEADER: usize = 16;

#[repr(C)]
struct MessageHeader {
    name: usize,
    name_length: u64,
    parts: *const [usize; 2],
    part_count: usize,
    control: *mut ControlMessage,
    control_length: usize,
    flags: u64,
}

impl MessageHeader {
    /// A message of one part, without descriptors.
    fn of(parts: &[usize; 2]) -> MessageHeader {
        let control = core::ptr::null_mut();
        MessageHeader {
            name: 0,
            name_length: 0,
            parts,
            part_count: 1,
            control,
            control_length: 0,
            flags: 0,
        }
    }
}

const NOSIGNAL: u32 = 0x4000;
const DONTWAIT: u32 = 0x40;

/// Receives one message and puts its descriptors into `descriptors`. Returns the length and the
/// number of descriptors. Length 0 means that the other end is closed. Never waits: EAGAIN if there
/// is no message.
pub fn receive(fd: i32, buffer: &mut [u8], descriptors: &mut [i32; 253]) -> Result<(usize, usize)> {
    const CMSG_CLOEXEC: u32 = 0x4000_0000;
    const TRUNCATED: u64 = 0x20 | 0x8;
    let parts = [buffer.as_mut_ptr() as usize, buffer.len()];
    let mut control = ControlMessage { length: 0, level: 0, kind: 0, descriptors: [-1; 254] };
    let mut header = MessageHeader::of(&parts);
    (header.control, header.control_length) = (&raw mut control, size_of::<ControlMessage>());
    let length = call!(nr::RECVMSG, fd, &raw mut header, CMSG_CLOEXEC | DONTWAIT)?;
    let count = if header.control_length >= SCM_RIGHTS_HEADER {
        control.length.saturating_sub(SCM_RIGHTS_HEADER) / 4
    } else {
        0
    };
    let count = count.min(descriptors.len());
    descriptors[..count].copy_from_slice(&control.descriptors[..count]);
    // A message that did not fit is incomplete, so it is refused.
    if header.flags & TRUNCATED != 0 { Err(Errno::EPROTO) } else { Ok((length, count)) }
}

/// Makes a nonblocking pipe. Returns the end to read from and the end to write to.
pub fn pipe() -> Result<(Fd, Fd)> {
    const NONBLOCK_CLOEXEC: u32 = 0o4000 | 0o200_0000;
    let mut pair = [-1i32; 2];
    done(call!(nr::PIPE2, pair.as_mut_ptr(), NONBLOCK_CLOEXEC))?;
    Ok((Fd(pair[0]), Fd(pair[1])))
}

/// Makes a pair of connected sockets that keep the bounds of messages.
pub fn socket_pair() -> Result<(Fd, Fd)> {
    const AF_UNIX: u32 = 1;
    const SEQPACKET_CLOEXEC: u32 = 5 | 0o200_0000;
    let mut pair = [-1i32; 2];
    done(call!(nr::SOCKETPAIR, AF_UNIX, SEQPACKET_CLOEXEC, 0, pair.as_mut_ptr()))?;
    Ok((Fd(pair[0]), Fd(pair[1])))
}

/// Clears SO_LINGER (socket(7)), so that closing the socket does not wait.
pub fn stop_lingering(socket: &Fd) {
    const SOL_SOCKET: u32 = 1;
    const SO_LINGER: u32 = 13;
    let off = [0i32; 2];
    // This fails for a kind of socket that cannot linger, which needs nothing.
    let _ = call!(
        nr::SETSOCKOPT,
        socket.number(),
        SOL_SOCKET,
        SO_LINGER,
        off.as_ptr(),
        size_of_val(&off)
    );
}

/// Sends as much of `data` as the socket has room for. Never waits.
pub fn send_some(fd: &Fd, data: &[u8]) -> Result<usize> {
    let parts = [data.as_ptr() as usize, data.len()];
    let header = MessageHeader::of(&parts);
    call!(nr::SENDMSG, fd.number(), &raw const header, NOSIGNAL | DONTWAIT)
}

/// Sends one message with up to four descriptors. Never waits and never raises SIGPIPE.
pub fn send(fd: i32, message: &[u8], descriptors: &[&Fd], token: BypassToken) -> Result<()> {
    const SOL_SOCKET: i32 = 1;
    const SCM_RIGHTS: i32 = 1;
    let parts = [message.as_ptr() as usize, message.len()];
    let carried = descriptors.len().min(4);
    let mut control = ControlMessage {
        length: SCM_RIGHTS_HEADER + 4 * carried,
        level: SOL_SOCKET,
        kind: SCM_RIGHTS,
        descriptors: [0; 254],
    };
    let mut header = MessageHeader::of(&parts);
    if carried > 0 {
        for (place, descriptor) in control.descriptors.iter_mut().zip(&descriptors[..carried]) {
            *place = descriptor.0;
        }
        header.control = &raw mut control;
        // The length of the control message is a multiple of the word size.
        header.control_length = (SCM_RIGHTS_HEADER + 4 * carried).next_multiple_of(8);
    }
    done(call!(nr::SENDMSG, fd, &raw mut header, NOSIGNAL | DONTWAIT, 0, token.fourth, token.fifth))
}
