//! The namespaces of a network, and the sockets in them.

use super::refused;
use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::host::launch::visit::{Stop, visit};
use crate::host::namespace;
use crate::host::network::netlink::{Netlink, Refusal};
use crate::plan::idmap::Mapping;
use crate::policy::Namespace;
use crate::run::users;
use nix::errno::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A routing socket.
const ROUTING: Stop<'_> = Stop::Socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);

/// Makes a user namespace in which the caller's ids are mapped to themselves, and a network
/// namespace that belongs to it. Returns both, and a routing socket in the second.
pub fn make() -> Result<(Kept, Kept, Netlink)> {
    let kinds = [Namespace::User, Namespace::Net];
    let [users, network] = users::make(&kinds, Mapping::of_network()?)?;
    let netlink = routing_socket(users.as_fd(), network.as_fd())?;
    Ok((users.into(), network.into(), netlink))
}

/// Makes a network namespace that belongs to a user namespace. Returns it, and a routing socket in
/// it.
pub fn make_in(users: BorrowedFd<'_>) -> Result<(OwnedFd, Netlink)> {
    let stops = [
        enter(users, Namespace::User),
        Stop::Make(Namespace::Net.flag()),
        Stop::Open(c"/proc/self/ns/net", libc::O_RDONLY),
        ROUTING,
    ];
    let [namespace, socket] = open(&stops)?;
    permit(users, namespace.as_fd());
    Ok((namespace, Netlink::new(socket)))
}

/// Lets every process in a network namespace listen on ports below 1024, and send echo requests:
/// ip(7), icmp(7). A host's own network keeps them for root; this one has no others to protect. And
/// makes it no router, whatever the host is.
fn permit(users: BorrowedFd<'_>, namespace: BorrowedFd<'_>) {
    const SETTINGS: [(&CStr, &[u8]); 3] = [
        (c"/proc/sys/net/ipv4/ip_unprivileged_port_start", b"0"),
        (c"/proc/sys/net/ipv4/ping_group_range", b"0 2147483647"),
        (c"/proc/sys/net/ipv4/ip_forward", b"0"),
    ];
    let places = [enter(users, Namespace::User), enter(namespace, Namespace::Net)];
    let files = SETTINGS.map(|(path, _)| Stop::Open(path, libc::O_WRONLY));
    let stops: Vec<Stop<'_>> = places.into_iter().chain(files).collect();
    // Where the caller's /proc/sys is read-only, as in a container, the kernel's defaults stay: the
    // command is refused what this would permit, and a member that routes has no route to give.
    for (file, (_, value)) in visit(&stops).into_iter().flatten().zip(SETTINGS) {
        let _ = File::from(file).write_all(value);
    }
}

/// Opens a routing socket in a network namespace that belongs to this user namespace.
pub fn routing_socket(owner: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> Result<Netlink> {
    socket(owner, namespace, ROUTING)
}

/// Opens a socket for the packet filter of a network namespace that belongs to this user namespace.
pub fn netfilter_socket(owner: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> Result<Netlink> {
    let netfilter = Stop::Socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER);
    socket(owner, namespace, netfilter)
}

/// Opens a socket for whole frames, of no protocol yet.
pub fn packet_socket(owner: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> Result<OwnedFd> {
    let packets = Stop::Socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
    let [socket] =
        open(&[enter(owner, Namespace::User), enter(namespace, Namespace::Net), packets])?;
    Ok(socket)
}

fn socket(owner: BorrowedFd<'_>, namespace: BorrowedFd<'_>, socket: Stop<'_>) -> Result<Netlink> {
    let stops = [enter(owner, Namespace::User), enter(namespace, Namespace::Net), socket];
    // The caller's own user namespace cannot be entered again.
    let stops = if namespace::is_callers(Namespace::User, owner)? { &stops[1..] } else { &stops };
    let [socket] = open(stops)?;
    Ok(Netlink::new(socket))
}

fn enter(namespace: BorrowedFd<'_>, kind: Namespace) -> Stop<'_> {
    Stop::Enter(namespace, kind.flag())
}

fn open<const N: usize>(stops: &[Stop<'_>]) -> Result<[OwnedFd; N]> {
    let action = "open the namespace of a network";
    let opened = visit(stops).map_err(|(_, error)| match error.raw_os_error() {
        // The limit of the user namespace on network namespaces: namespaces(7).
        Some(libc::ENOSPC) => Error::new(ErrorKind::HostLimit, action).errno(libc::ENOSPC).hint(
            "a limit of the host is reached: raise user.max_net_namespaces, or close some members",
        ),
        Some(errno) => refused(Refusal::Message(Errno::from_raw(errno)), action),
        None => Error::io(action, error),
    })?;
    opened.try_into().map_err(|_| Error::new(ErrorKind::Setup, action))
}
