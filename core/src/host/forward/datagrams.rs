//! Datagrams. UDP has no end, so what belongs together is over when nothing has come for a while.

use super::count::Counters;
use super::places::Seat;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout_at};

/// The time without a datagram after which a flow is over.
const IDLE: Duration = Duration::from_secs(60);
/// The longest datagram.
pub const LONGEST: usize = 65536;

/// Receives a datagram. Returns its length, its sender, and where it was sent to.
pub async fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, SocketAddr)> {
    let receive = || {
        let mut space = nix::cmsg_space!(libc::sockaddr_in6, libc::sockaddr_in6);
        let mut slices = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut slices,
            Some(&mut space),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let to = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4OrigDstAddr(address) => Some(v4(address)),
            ControlMessageOwned::Ipv6OrigDstAddr(address) => Some(v6(address)),
            _ => None,
        });
        let from = message.address.and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|address| v4(*address.as_ref()));
            v4.or_else(|| address.as_sockaddr_in6().map(|address| v6(*address.as_ref())))
        });
        match (from, to) {
            (Some(from), Some(to)) => Ok((message.bytes, from, to)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    };
    socket.async_io(Interest::READABLE, receive).await
}

fn v4(address: libc::sockaddr_in) -> SocketAddr {
    let ip = u32::from_be(address.sin_addr.s_addr);
    SocketAddr::new(std::net::Ipv4Addr::from_bits(ip).into(), u16::from_be(address.sin_port))
}

fn v6(address: libc::sockaddr_in6) -> SocketAddr {
    let ip = std::net::Ipv6Addr::from(address.sin6_addr.s6_addr);
    SocketAddr::new(ip.into(), u16::from_be(address.sin6_port))
}

/// Carries datagrams between two connected sockets, until none has come for a while.
pub async fn carry(inside: UdpSocket, outside: UdpSocket, counters: Arc<Counters>, seat: Seat) {
    let mut buffer = vec![0; LONGEST];
    loop {
        let mut over = pin!(sleep_until(Instant::now() + IDLE));
        let next = poll_fn(|context| {
            // An error tells of an earlier datagram, which nobody took: the flow goes on.
            for (socket, out) in [(&inside, true), (&outside, false)] {
                if let Poll::Ready(length) = poll_receive(socket, context, &mut buffer) {
                    return Poll::Ready(Some((length, out)));
                }
            }
            over.as_mut().poll(context).map(|()| None)
        });
        let Some((length, out)) = next.await else { break };
        let Ok(length) = length else { continue };
        let (to, counter) = match out {
            true => (&outside, &counters.sent),
            false => (&inside, &counters.received),
        };
        counter.fetch_add(length as u64, Ordering::Relaxed);
        let _ = to.send(&buffer[..length]).await;
    }
    drop(seat);
}

fn poll_receive(
    socket: &UdpSocket,
    context: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    let result = ready!(socket.poll_recv(context, &mut buffer));
    Poll::Ready(result.map(|()| buffer.filled().len()))
}

/// The answers to one peer of a socket that many send to.
#[derive(Debug)]
pub struct Flow {
    inside: UdpSocket,
    /// When something last came, in seconds since `start`.
    last: AtomicU64,
    start: Instant,
    counters: Arc<Counters>,
}

impl Flow {
    /// `inside` is connected to the port in the sandbox.
    pub fn new(inside: UdpSocket, counters: Arc<Counters>) -> Arc<Flow> {
        Arc::new(Flow { inside, last: AtomicU64::new(0), start: Instant::now(), counters })
    }

    fn touch(&self) {
        self.last.store(self.start.elapsed().as_secs(), Ordering::Relaxed);
    }

    fn idle_at(&self) -> Instant {
        self.start + Duration::from_secs(self.last.load(Ordering::Relaxed)) + IDLE
    }

    /// Passes on a datagram of the peer's.
    pub async fn send(&self, datagram: &[u8]) {
        self.touch();
        self.counters.received.fetch_add(datagram.len() as u64, Ordering::Relaxed);
        let _ = self.inside.send(datagram).await;
    }

    /// Passes on the answers, until nothing has come for a while.
    pub async fn answer(self: Arc<Self>, outside: Arc<UdpSocket>, peer: SocketAddr, seat: Seat) {
        let mut buffer = vec![0; LONGEST];
        loop {
            match timeout_at(self.idle_at(), self.inside.recv(&mut buffer)).await {
                Ok(Ok(length)) => {
                    self.touch();
                    self.counters.sent.fetch_add(length as u64, Ordering::Relaxed);
                    let _ = outside.send_to(&buffer[..length], peer).await;
                }
                // Nobody listens there yet.
                Ok(Err(_)) => {}
                Err(_) if Instant::now() < self.idle_at() => {}
                Err(_) => break,
            }
        }
        drop(seat);
    }
}
