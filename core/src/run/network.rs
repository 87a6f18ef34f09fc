//! Private networks: a switch in a network namespace of its own, which sandboxes and cells join.
//!
//! No process belongs to a network. The caller holds descriptors of two namespaces and of a routing
//! socket, and makes all links itself. The kernel removes everything with the last descriptor.
//!
//! ```text
//!   caller          user namespace of the network (no process)
//!     |               |
//!     |  netlink      +-- network namespace with a bridge
//!     +-------------> |     port16   port17   ...
//!     |               |       |        |
//!     |               +-- network namespaces of the members: lo, eth0
//!     |                       |
//!     +-- warden -------------+   user namespace of the sandbox, below that of the network
//! ```
//!
//! A member's network namespace belongs to the network's user namespace. So no process of the
//! sandbox has a capability over it, whatever it has in its own.

mod faults;
mod hosts;
mod link;
mod lone;
mod members;
pub mod namespaces;
mod picture;
mod relay;
pub mod subnets;

pub use link::{Backend, Link};
pub use lone::{LoneNetwork, Owner};
pub use members::Membership;
#[cfg(fuzzing)]
pub use relay::look_at as look_at_frame;
pub use subnets::Subnets;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::host::network::filter::{self, Drops};
use crate::host::network::links;
use crate::host::network::netlink::{Message, Netlink, Refusal};
use crate::policy::HOST_NETWORK;
use members::Members;
use nix::errno::Errno;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A private network that sandboxes and cells join: [`Sandbox::network`](crate::Sandbox::network).
///
/// Each member has an Ethernet device `eth0` with an address of its own, and reaches the others
/// directly, in IPv4 and IPv6. Nothing leads out: neither to the host nor to another network. The
/// members find each other by their host names ([`Sandbox::hostname`](crate::Sandbox::hostname)),
/// which are in the `/etc/hosts` of each. A member is part of the network as long as its sandbox
/// lives.
///
/// No privileges are needed. A command can change neither the links and addresses nor the routes
/// and packet filters of its network, whatever capabilities it keeps.
///
/// This is a handle: clones refer to the same network. The network ends with the last handle,
/// sandbox and member, and when the caller ends. A process that the caller has forked can neither
/// use nor change it.
///
/// ```
/// # fn main() -> seclude::Result<()> {
/// use seclude::{Network, Sandbox};
/// let network = Network::new()?;
/// let on = |name: &str| Sandbox::new().network(&network).hostname(name);
/// let server = on("server").cell()?;
/// let found = on("client").command("getent").args(["hosts", "server"]).output()?;
/// assert!(String::from_utf8_lossy(&found.stdout).ends_with("server\n"));
/// # drop(server);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Network(Arc<Switch>);

/// The properties of a network that is to be made: [`Network::builder`].
#[derive(Debug, Clone, Default)]
pub struct NetworkBuilder {
    name: Option<String>,
    subnets: Vec<String>,
}

/// A member of a network, as [`Network::members`] lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// The host name, if the policy sets one.
    pub hostname: Option<String>,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
}

/// What a member has sent and received in a network: [`Network::traffic`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Traffic {
    /// The frames that it has sent.
    pub sent_packets: u64,
    /// The bytes in these frames, with their headers.
    pub sent_bytes: u64,
    /// The frames that it has received. Those that were lost on the way do not count.
    pub received_packets: u64,
    /// The bytes in these frames, with their headers.
    pub received_bytes: u64,
}

#[derive(Debug)]
struct Switch {
    name: String,
    /// The process that made the network.
    creator: u32,
    /// The user namespace that owns all network namespaces of the network.
    users: Kept,
    /// The network namespace of the switch.
    own: Kept,
    netlink: Netlink,
    subnets: Subnets,
    members: Mutex<Members>,
}

impl Network {
    /// Makes a network with subnets of its own: one of 254 IPv4 addresses, and one of IPv6 unless
    /// the kernel has none. No other network of this process has the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NamespacesDenied`](crate::ErrorKind::NamespacesDenied) if the host lets the
    /// caller make no user and network namespaces,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the kernel has no bridges or no
    /// virtual Ethernet devices.
    pub fn new() -> Result<Network> {
        Network::builder().build()
    }

    /// Describes a network, to be made by [`NetworkBuilder::build`].
    pub fn builder() -> NetworkBuilder {
        NetworkBuilder::default()
    }

    /// The name of the network. Policies as text name it ([`Sandbox::network`]).
    ///
    /// [`Sandbox::network`]: crate::Sandbox::network
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The subnets, such as `10.64.0.0/24`, IPv4 first.
    pub fn subnets(&self) -> Vec<String> {
        self.0.subnets.texts()
    }

    /// The members, in the order of their addresses.
    pub fn members(&self) -> Vec<Member> {
        self.0.members().list()
    }

    /// What a member, named by its host name or by one of its addresses, has sent and received
    /// since it joined. The kernel counts it at the port of the switch.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if there is no such member.
    pub fn traffic(&self, member: &str) -> Result<Traffic> {
        self.0.check_creator()?;
        let port = self.0.members().port(member).ok_or_else(|| self.has_no(member))?;
        const ACTION: &str = "read the counters of a member's link";
        let answer = self
            .0
            .netlink
            .get(links::counters(port))
            .map_err(|refusal| refused(refusal, ACTION))?;
        let (from, to) = links::counted(&answer)
            .ok_or_else(|| Error::new(ErrorKind::Unsupported, ACTION).errno(libc::ENODATA))?;
        Ok(Traffic {
            sent_packets: from[0],
            sent_bytes: from[1],
            received_packets: to[0],
            received_bytes: to[1],
        })
    }

    /// Makes a sandbox with these properties a member, before it starts.
    pub(crate) fn join(&self, hostname: Option<&str>, address: Option<&str>) -> Result<Membership> {
        self.0.check_creator()?;
        Membership::new(&self.0, hostname, address)
    }

    /// Makes a running sandbox a member, by a device with this number in its network namespace
    /// `own`, which belongs to the user namespace `owner`.
    pub(crate) fn connect(
        &self,
        hostname: Option<&str>,
        device: u32,
        owner: &OwnedFd,
        own: OwnedFd,
    ) -> Result<Membership> {
        self.check(hostname, None)?;
        Membership::of_running(&self.0, hostname, device, owner, own)
    }

    /// Checks what a policy says about its membership.
    pub(crate) fn check(&self, hostname: Option<&str>, address: Option<&str>) -> Result<()> {
        self.0.check_creator()?;
        if let Some(name) = hostname.filter(|name| !hosts::is_name(name)) {
            return Err(Error::invalid(
                format!("host name {name:?}"),
                "in a network it is a name that others look up",
            )
            .hint("use letters, digits, hyphens, underscores and dots"));
        }
        address.map_or(Ok(()), |address| self.0.subnets.number(address).map(drop))
    }
}

impl PartialEq for Network {
    fn eq(&self, other: &Network) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Network {}

impl NetworkBuilder {
    /// Names the network. Default: `network`. The name has 1 to 64 bytes, and is not `host`.
    pub fn name(mut self, name: impl Into<String>) -> NetworkBuilder {
        self.name = Some(name.into());
        self
    }

    /// Sets a subnet in the form `10.9.0.0/24` or `fd00:9::/64`. May be called once for IPv4 and
    /// once for IPv6. The network then has no other.
    pub fn subnet(mut self, subnet: impl Into<String>) -> NetworkBuilder {
        self.subnets.push(subnet.into());
        self
    }

    /// Makes the network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a subnet is malformed, has no room for
    /// two members or is for other uses, if there are two of one family, or if the name is too
    /// long. Otherwise as [`Network::new`].
    pub fn build(&self) -> Result<Network> {
        let name = self.name.as_deref().unwrap_or("network");
        if name.is_empty() || name.len() > 64 {
            return Err(Error::invalid(
                format!("network name {name:?}"),
                "it must have 1 to 64 bytes",
            ));
        }
        if name == HOST_NETWORK {
            return Err(Error::invalid(
                format!("network name {name:?}"),
                "in a policy it stands for the network of the host",
            ));
        }
        let subnets = match &*self.subnets {
            [] => Subnets::unused(),
            texts => Subnets::read(texts.iter().map(String::as_str))?,
        };
        let (users, own, netlink) = namespaces::make()?;
        let switch = Switch {
            name: name.into(),
            creator: std::process::id(),
            users,
            own,
            netlink,
            members: Mutex::new(Members::new(subnets.room())),
            subnets,
        };
        switch.ask(links::bridge(), "make the bridge of the network")?;
        Ok(Network(Arc::new(switch)))
    }
}

impl Switch {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process made the network, not one that this process was forked from.
    fn is_ours(&self) -> bool {
        std::process::id() == self.creator
    }

    fn check_creator(&self) -> Result<()> {
        if self.is_ours() {
            return Ok(());
        }
        Err(Error::invalid(
            format!("network {}", self.name),
            "another process made it, from which this one was forked",
        )
        .hint("make a network in the process that uses it"))
    }

    /// Changes the links of the switch.
    fn ask(&self, messages: Vec<Message>, action: &str) -> Result<()> {
        self.netlink.ask(messages).map_err(|refusal| refused(refusal, action))
    }

    /// Gives a port its first filter, or another one.
    fn filter(&self, port: u32, drops: &Drops) -> Result<()> {
        self.netlink.ask(filter::install(port, drops)).map_err(filter_refused)
    }
}

/// The error for a request about links that the kernel refused.
pub fn refused(refusal: Refusal, action: &str) -> Error {
    let errno = match refusal {
        Refusal::Closed(error) => return error,
        Refusal::Message(errno) => errno,
    };
    let error = Error::new(ErrorKind::Setup, action).errno(errno as i32);
    match errno {
        Errno::EOPNOTSUPP => error.of_kind(ErrorKind::Unsupported).hint(
            "the kernel needs CONFIG_BRIDGE and CONFIG_VETH: load the modules bridge and veth",
        ),
        Errno::EPERM | Errno::EACCES => error.of_kind(ErrorKind::NamespacesDenied).hint(
            "the host grants no rights in new user namespaces, or the caller has changed its user \
            since it made the network",
        ),
        _ => error,
    }
}

/// The error for a filter that the kernel refused.
fn filter_refused(refusal: Refusal) -> Error {
    const ACTION: &str = "filter what reaches a member";
    match refusal {
        // ENOENT: it has no such filter. EOPNOTSUPP: it has none at all.
        Refusal::Message(errno @ (Errno::ENOENT | Errno::EOPNOTSUPP)) => {
            Error::new(ErrorKind::Unsupported, ACTION).errno(errno as i32).hint(
                "the kernel needs CONFIG_NET_SCH_INGRESS and CONFIG_NET_CLS_BPF: load the modules \
                sch_ingress and cls_bpf",
            )
        }
        other => refused(other, ACTION),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_lacks_is_named() {
        for (errno, kind, named) in [
            (Errno::ENOENT, ErrorKind::Unsupported, "sch_ingress and cls_bpf"),
            (Errno::EOPNOTSUPP, ErrorKind::Unsupported, "sch_ingress and cls_bpf"),
            (Errno::EPERM, ErrorKind::NamespacesDenied, "no rights"),
            (Errno::ENODEV, ErrorKind::Setup, "no such device"),
        ] {
            let error = filter_refused(Refusal::Message(errno));
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
