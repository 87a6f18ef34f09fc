//! The transparent sockets in a sandbox's network: ip(7), IP_TRANSPARENT.

use crate::base::error::{Error, Result};
use crate::host::forward::Vendor;
use crate::host::network::divert::Ports;
use crate::policy::profile::NAME_SERVER;
use nix::sys::socket::{Backlog, SockaddrStorage, bind, connect, listen, setsockopt, sockopt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The addresses of the loopback device besides its usual ones, from which programs reach out.
pub fn own_addresses(has_ipv6: bool) -> Vec<IpAddr> {
    // From the range for local use: RFC 4193.
    const OWN_V6: Ipv6Addr = Ipv6Addr::new(0xfd5e, 0xc1de, 0xffff, 0, 0, 0, 0, 1);
    [IpAddr::V4(NAME_SERVER)].into_iter().chain(has_ipv6.then_some(IpAddr::V6(OWN_V6))).collect()
}

/// The sockets to which everything is diverted, for each family. All have the same ports.
#[derive(Debug)]
pub struct Listening {
    pub tcp: Vec<TcpListener>,
    pub udp: Vec<UdpSocket>,
}

impl Listening {
    /// `own`: an address of each family that the sandbox has.
    pub fn open(vendor: &Vendor, own: &[IpAddr]) -> Result<Listening> {
        let mut listening = Listening { tcp: Vec::new(), udp: Vec::new() };
        let (mut tcp_port, mut udp_port) = (0, 0);
        for address in own {
            let any = match address {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let stream = transparent(vendor, libc::SOCK_STREAM, SocketAddr::new(any, tcp_port))?;
            listen(&stream, Backlog::MAXCONN).map_err(|errno| failed(errno.into()))?;
            let stream = TcpListener::from(stream);
            tcp_port = stream.local_addr().map_err(failed)?.port();
            listening.tcp.push(stream);
            let datagram = transparent(vendor, libc::SOCK_DGRAM, SocketAddr::new(any, udp_port))?;
            let tells = match address {
                IpAddr::V4(_) => setsockopt(&datagram, sockopt::Ipv4OrigDstAddr, &true),
                IpAddr::V6(_) => setsockopt(&datagram, sockopt::Ipv6OrigDstAddr, &true),
            };
            tells.map_err(|errno| failed(errno.into()))?;
            let datagram = UdpSocket::from(datagram);
            udp_port = datagram.local_addr().map_err(failed)?.port();
            listening.udp.push(datagram);
        }
        Ok(listening)
    }

    pub fn ports(&self) -> Result<Ports> {
        let tcp = self.tcp.first().and_then(|socket| socket.local_addr().ok());
        let udp = self.udp.first().and_then(|socket| socket.local_addr().ok());
        match (tcp, udp) {
            (Some(tcp), Some(udp)) => Ok(Ports { tcp: tcp.port(), udp: udp.port() }),
            _ => Err(failed(std::io::Error::from_raw_os_error(libc::EBADF))),
        }
    }
}

/// Makes a socket in the sandbox's network that speaks as `from`, an address of some other host. It
/// receives nothing.
pub fn impersonate(vendor: &Vendor, from: SocketAddr) -> Result<UdpSocket> {
    transparent(vendor, libc::SOCK_DGRAM, from).map(UdpSocket::from)
}

/// The same, connected to `to`. From then on it receives what `to` sends to `from`.
pub fn flow(vendor: &Vendor, from: SocketAddr, to: SocketAddr) -> Result<UdpSocket> {
    let socket = transparent(vendor, libc::SOCK_DGRAM, from)?;
    connect(socket.as_raw_fd(), &SockaddrStorage::from(to))
        .map_err(|errno| failed(errno.into()))?;
    Ok(UdpSocket::from(socket))
}

fn transparent(vendor: &Vendor, kind: i32, address: SocketAddr) -> Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let socket = vendor.socket(family, kind, 0)?;
    let set = || -> nix::Result<()> {
        setsockopt(&socket, sockopt::ReuseAddr, &true)?;
        setsockopt(&socket, sockopt::IpTransparent, &true)?;
        if address.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
        }
        bind(socket.as_raw_fd(), &SockaddrStorage::from(address))
    };
    set().map_err(|errno| failed(errno.into()))?;
    Ok(socket)
}

fn failed(error: std::io::Error) -> Error {
    Error::io("listen in the sandbox's network for what leaves it", error)
}

/// Connects to the first address that answers.
pub async fn reach(way: &[SocketAddr]) -> Option<TcpStream> {
    const PATIENCE: Duration = Duration::from_secs(30);
    for address in way {
        if let Ok(Ok(stream)) = timeout(PATIENCE, TcpStream::connect(address)).await {
            return Some(stream);
        }
    }
    None
}
