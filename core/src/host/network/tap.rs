//! A packet socket on a port of a switch: packet(7). It receives what the member behind the port
//! sends, and sends to that member.
#![allow(unsafe_code)]

use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};
use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The socket.
#[derive(Debug)]
pub struct Tap(OwnedFd);

/// The length of the header in front of each frame, `struct virtio_net_hdr`. It tells what the
/// kernel has still to do for the frame: a checksum, or to split it.
pub const HEADER: usize = 10;
/// The longest frame with its header.
pub const LONGEST: usize = HEADER + 14 + 65536 + 64;

impl Tap {
    /// Opens `socket`, a packet socket of no protocol in the namespace of the switch, on a port.
    pub fn open(socket: OwnedFd, port: u32) -> io::Result<Tap> {
        const IGNORE_OUTGOING: i32 = 23;
        let tap = Tap(socket);
        tap.set(libc::PACKET_VNET_HDR, 1)?;
        // Its frames go to the member at once, past the filter that drops the originals.
        tap.set(libc::PACKET_QDISC_BYPASS, 1)?;
        tap.set(IGNORE_OUTGOING, 1)?;
        // As much as the host allows: a burst waits here.
        let _ = setsockopt(&tap.0, sockopt::RcvBuf, &(4 << 20));
        // SAFETY: all bytes of the structure may be zero.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = port.cast_signed();
        // SAFETY: the address is of this type and size.
        let bound = unsafe {
            libc::bind(
                tap.0.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(tap) }
    }

    fn set(&self, option: i32, value: i32) -> io::Result<()> {
        // SAFETY: the options here take an int.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                (&raw const value).cast(),
                size_of::<i32>() as u32,
            )
        };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Receives a frame, with its header in front of it. `None`: there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<usize> {
        let length = recv(self.0.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT).ok()?;
        (length >= HEADER + 14).then_some(length)
    }

    /// Sends a frame, with its header in front of it. It is lost if the member takes none now.
    pub fn send(&self, frame: &[u8]) {
        let _ = send(self.0.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT);
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
