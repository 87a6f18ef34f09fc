//! Published ports: the host's end of connections and datagrams for a sandbox.

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::forward::{
    Counters, Forwarder, Seat, Service, Share, Token, Vendor, datagrams, streams,
};
use crate::host::launch::Birthplace;
use crate::policy::Policy;
use crate::policy::ports::{Protocol, Publication};
use nix::errno::Errno;
use nix::sys::socket::{Shutdown, SockaddrStorage, connect, shutdown};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::sleep;

/// A port of a sandbox that is published on the host: [`Sandbox::ports`](crate::Sandbox::ports).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublishedPort {
    /// The address and port on the host that lead to it.
    pub host: SocketAddr,
    /// The port in the sandbox.
    pub inside: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl std::fmt::Display for PublishedPort {
    /// The form of a policy, with the port of the host: `127.0.0.1:40123:80/tcp`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.inside, self.protocol)
    }
}

/// The host's sockets of a policy's published ports. They stay open over the reset of a cell, so
/// that nothing else takes the ports meanwhile.
#[derive(Debug)]
pub struct Bound {
    sockets: Vec<(PublishedPort, Socket)>,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Udp(std::net::UdpSocket),
}

/// Published ports. Dropping it closes them, and all their connections.
#[derive(Debug)]
pub struct Ports {
    // Declared first: nothing uses the sockets any more when they are closed.
    _service: Service,
    bound: Bound,
}

impl Bound {
    /// Opens the host's sockets. `None` if the policy publishes no port.
    ///
    /// # Errors
    ///
    /// `Invalid` if a port is in use, the caller may not have it, or the address is not the host's.
    pub fn open(policy: &Policy) -> Result<Option<Bound>> {
        if policy.ports.is_empty() {
            return Ok(None);
        }
        let open = |text: &String| {
            let publication = Publication::read(text)?;
            let (host, socket) = open(&publication).map_err(|error| refused(text, error))?;
            let Publication { inside, protocol, .. } = publication;
            Ok((PublishedPort { host, inside, protocol }, socket))
        };
        Ok(Some(Bound { sockets: policy.ports.iter().map(open).collect::<Result<_>>()? }))
    }

    /// Carries what reaches the sockets to the sandbox that is about to start in this place.
    pub fn serve(self, place: Birthplace<'_>) -> Result<Ports> {
        let vendor = Arc::new(Vendor::new(place.users, place.network)?);
        let forwarder = Forwarder::get()?;
        let copies = self.sockets.iter().map(|(port, socket)| Ok((*port, socket.try_clone()?)));
        let copies: io::Result<Vec<_>> = copies.collect();
        let copies = copies.map_err(|error| Error::io("copy the socket of a port", error))?;
        let share = forwarder.places().share();
        let service = forwarder.serve(|token| {
            let lane = Lane { vendor, share, counters: Arc::default(), token };
            run(Arc::new(lane), copies)
        });
        Ok(Ports { _service: service, bound: self })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        for (_, socket) in &self.sockets {
            // Another thread may be starting a process just then, which has a copy of the
            // descriptor until it executes its program. The port must be free all the same.
            if let Socket::Tcp(listener) = socket {
                let _ = shutdown(listener.as_raw_fd(), Shutdown::Read);
            }
        }
    }
}

impl Socket {
    fn try_clone(&self) -> io::Result<Socket> {
        match self {
            Socket::Tcp(listener) => listener.try_clone().map(Socket::Tcp),
            Socket::Udp(socket) => socket.try_clone().map(Socket::Udp),
        }
    }
}

impl Ports {
    pub fn list(&self) -> Vec<PublishedPort> {
        self.bound.sockets.iter().map(|(port, _)| *port).collect()
    }

    /// Closes all connections, and keeps the sockets.
    pub fn release(self) -> Bound {
        self.bound
    }
}

fn open(publication: &Publication) -> io::Result<(SocketAddr, Socket)> {
    let address = SocketAddr::new(publication.address, publication.port);
    match publication.protocol {
        Protocol::Tcp => {
            let socket = std::net::TcpListener::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, Socket::Tcp(socket)))
        }
        Protocol::Udp => {
            let socket = std::net::UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            Ok((socket.local_addr()?, Socket::Udp(socket)))
        }
    }
}

fn refused(text: &str, error: io::Error) -> Error {
    let Some(errno) = error.raw_os_error() else { return Error::io("publish a port", error) };
    let refused = Error::new(ErrorKind::Invalid, format!("port {text:?}")).errno(errno);
    match Errno::from_raw(errno) {
        Errno::EADDRINUSE => refused
            .because("another socket has the port on the host")
            .hint("name another one, or leave the choice to the kernel"),
        Errno::EACCES => refused
            .because("the caller may not listen on the port on the host")
            .hint("take one of 1024 or above, or leave the choice to the kernel"),
        Errno::EADDRNOTAVAIL => refused.because("the address is none of the host's"),
        _ => Error::io(format!("publish the port {text:?}"), error),
    }
}

/// The way into one sandbox.
struct Lane {
    vendor: Arc<Vendor>,
    share: Arc<Share>,
    counters: Arc<Counters>,
    token: Token,
}

/// Runs until it is dropped, and everything with it.
async fn run(lane: Arc<Lane>, sockets: Vec<(PublishedPort, Socket)>) {
    let mut tasks = lane.token.tasks();
    for (port, socket) in sockets {
        match socket {
            Socket::Tcp(socket) => {
                if let Ok(socket) = TcpListener::from_std(socket) {
                    tasks.spawn(accept(lane.clone(), socket, port.inside));
                }
            }
            Socket::Udp(socket) => {
                if let Ok(socket) = UdpSocket::from_std(socket) {
                    tasks.spawn(receive(lane.clone(), socket, port.inside));
                }
            }
        }
    }
    tasks.join().await;
}

async fn accept(lane: Arc<Lane>, listener: TcpListener, port: u16) {
    let carry = |outside, seat| connection(lane.clone(), outside, port, seat);
    streams::accept(&listener, lane.share.clone(), lane.token.tasks(), carry).await;
}

async fn connection(lane: Arc<Lane>, outside: TcpStream, port: u16, _seat: Seat) {
    match lane.connect(port).await {
        Some(inside) => streams::carry(inside, outside, &lane.counters).await,
        None => streams::reset(outside),
    }
}

async fn receive(lane: Arc<Lane>, socket: UdpSocket, port: u16) {
    let socket = Arc::new(socket);
    let mut tasks = lane.token.tasks();
    let mut flows: HashMap<SocketAddr, Weak<datagrams::Flow>> = HashMap::new();
    let mut buffer = vec![0; datagrams::LONGEST];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            // An error tells of an earlier answer, which nobody took.
            sleep(Duration::from_millis(1)).await;
            continue;
        };
        let mut flow = flows.get(&peer).and_then(Weak::upgrade);
        if flow.is_none() {
            flows.retain(|_, flow| flow.strong_count() > 0);
            // Without a place, the datagram is lost.
            let Some(seat) = lane.share.try_take() else { continue };
            let Ok(inside) = lane.datagrams(port) else { continue };
            let new = datagrams::Flow::new(inside, lane.counters.clone());
            flows.insert(peer, Arc::downgrade(&new));
            tasks.spawn(new.clone().answer(socket.clone(), peer, seat));
            flow = Some(new);
        }
        if let Some(flow) = flow {
            flow.send(&buffer[..length]).await;
        }
    }
}

/// The loopback addresses, in the order in which they are tried.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

impl Lane {
    /// Connects to a port in the sandbox.
    async fn connect(&self, port: u16) -> Option<TcpStream> {
        for address in LOOPBACK {
            let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
            let Ok(socket) = self.vendor.socket(family, libc::SOCK_STREAM, 0) else { continue };
            let to = SockaddrStorage::from(SocketAddr::new(address, port));
            match connect(socket.as_raw_fd(), &to) {
                Ok(()) | Err(Errno::EINPROGRESS) => {}
                Err(_) => continue,
            }
            let Ok(stream) = TcpStream::from_std(std::net::TcpStream::from(socket)) else {
                continue;
            };
            // A connection within one network is made or refused at once, but the queue of a
            // listener can be full.
            if stream.ready(Interest::WRITABLE).await.is_ok()
                && matches!(stream.take_error(), Ok(None))
                && stream.peer_addr().is_ok()
            {
                return Some(stream);
            }
        }
        None
    }

    /// A socket that is connected to a port in the sandbox.
    fn datagrams(&self, port: u16) -> Result<UdpSocket> {
        let socket = self.vendor.socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
        let to = SockaddrStorage::from(SocketAddr::new(LOOPBACK[0], port));
        let failed = |error: io::Error| Error::io("reach a port of the sandbox", error);
        connect(socket.as_raw_fd(), &to).map_err(|errno| failed(errno.into()))?;
        UdpSocket::from_std(std::net::UdpSocket::from(socket)).map_err(failed)
    }
}
