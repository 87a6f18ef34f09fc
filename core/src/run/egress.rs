//! The way out by permission: what a sandbox reaches beyond its own network.
//!
//! ```text
//!   sandbox                     caller                         Internet
//!     |  connect 198.18.0.4:443   |                               |
//!     +--> loopback, nf_tables -->| socket in the sandbox's       |
//!     |                           | network: rules, name, address |
//!     |                           +---- connect 93.184.216.34 --->|
//!     |<------------------------- carries both directions ------->|
//! ```
//!
//! The sandbox's network has no device that leads out. The kernel hands everything that a program
//! sends elsewhere to a socket of the caller's ([`divert`]). A thread of the caller decides by the
//! rules of the policy, and connects to the destination itself ([`gateway`]). It also answers all
//! questions for names, with addresses that stand for them ([`names`], [`dns`]). So it knows the
//! name of each destination, and the program cannot choose what the name leads to.
//!
//! [`divert`]: crate::host::network::divert

mod dns;
mod gateway;
mod ledger;
mod names;
mod sockets;

pub use ledger::Ledger;

use crate::base::error::{Error, ErrorKind, Result};
use crate::base::kept::Kept;
use crate::host::forward::{Forwarder, Service, Vendor};
use crate::host::launch::Birthplace;
use crate::host::network::divert::{self, Ports};
use crate::host::network::links;
use crate::host::network::netlink::{Netlink, Refusal};
use crate::policy::egress::Egress;
use crate::run::network::{Membership, namespaces, subnets};
use crate::run::sandbox::Sandbox;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// The user namespace that owns the networks of a sandbox's starts.
#[derive(Debug)]
pub struct Owner(Kept);

/// The way out of one running sandbox. Dropping it ends all connections.
#[derive(Debug)]
pub struct WayOut {
    // Declared first: the service ends before its namespaces are released.
    _service: Service,
    ledger: Arc<Ledger>,
    owner: Option<Arc<Owner>>,
    network: Option<Kept>,
    netfilter: Netlink,
    ports: Ports,
    /// The addresses that are the sandbox's own.
    own: Mutex<Vec<IpAddr>>,
}

impl WayOut {
    /// Makes the way out of a sandbox that is about to start. `None` if its policy asks for none.
    /// `membership`: its place in a private network, if it has one.
    ///
    /// # Errors
    ///
    /// Some part cannot be set up. The sandbox must not start.
    pub fn open(sandbox: &Sandbox, membership: Option<&Membership>) -> Result<Option<WayOut>> {
        let policy = sandbox.policy();
        if policy.egress.is_empty() {
            return Ok(None);
        }
        let rules = Egress::read(&policy.egress, &policy.egress_deny, &policy.egress_names)?;
        let (owner, network, routing, users, namespace);
        match membership {
            Some(member) => {
                let place = member.birthplace()?;
                routing = namespaces::routing_socket(place.users, place.network)?;
                (users, namespace) = (place.users, place.network);
                (owner, network) = (None, None);
            }
            None => {
                let new = sandbox.compiled().network_owner()?;
                let (made, socket) = namespaces::make_in(new.0.get()?)?;
                (owner, network) = (Some(new), Some(Kept::from(made)));
                routing = socket;
                let place = birthplace(owner.as_deref(), network.as_ref())?;
                let place = place.ok_or_else(|| Error::new(ErrorKind::Setup, ACTION))?;
                (users, namespace) = (place.users, place.network);
            }
        }
        let loopback = sockets::own_addresses(subnets::has_ipv6());
        for messages in [links::loopback(&loopback)]
            .into_iter()
            .chain(loopback.iter().map(|address| divert::all_local(*address)))
        {
            routing.ask(messages).map_err(|refusal| refused(refusal, "route everything"))?;
        }
        let copy = |fd: std::os::fd::BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|error| Error::io("copy a descriptor", error))
        };
        let vendor = Vendor::new(copy(users)?, copy(namespace)?)?;
        let listening = sockets::Listening::open(&vendor, &loopback)?;
        let ports = listening.ports()?;
        let netfilter = namespaces::netfilter_socket(users.as_fd(), namespace.as_fd())?;
        let mut own = loopback;
        own.extend(membership.map(Membership::addresses).unwrap_or_default());
        divert::install(&netfilter, ports, &own).map_err(|refusal| refused(refusal, ACTION))?;
        let forwarder = Forwarder::get()?;
        let ledger = Arc::new(Ledger::default());
        let service = gateway::serve(&forwarder, rules, vendor, listening, ledger.clone());
        let own = Mutex::new(own);
        Ok(Some(WayOut { _service: service, ledger, owner, network, netfilter, ports, own }))
    }

    /// Where the sandbox is made, unless it is a member of a private network.
    pub fn birthplace(&self) -> Result<Option<Birthplace<'_>>> {
        birthplace(self.owner.as_deref(), self.network.as_ref())
    }

    /// The network namespace, unless it is that of a member of a private network.
    pub fn namespace(&self) -> Result<OwnedFd> {
        match &self.network {
            Some(network) => network.try_clone(),
            None => Err(Error::new(ErrorKind::Setup, ACTION)),
        }
    }

    /// Leaves further addresses of the sandbox's own alone.
    pub fn spare(&self, addresses: &[IpAddr]) -> Result<()> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.extend(addresses);
        divert::install(&self.netfilter, self.ports, &own)
            .map_err(|refusal| refused(refusal, ACTION))
    }

    /// Where the sandbox's attempts are entered. It stays when the way out has ended.
    pub fn ledger(&self) -> Arc<Ledger> {
        self.ledger.clone()
    }
}

impl Owner {
    /// # Errors
    ///
    /// The host lets the caller make no user namespace, or grants it no rights there.
    pub fn new() -> Result<Owner> {
        namespaces::make().map(|(users, _)| Owner(users))
    }

    /// Whether the caller has left the descriptor open.
    pub fn is_intact(&self) -> bool {
        self.0.intact().is_some()
    }
}

fn birthplace<'a>(
    owner: Option<&'a Owner>,
    network: Option<&'a Kept>,
) -> Result<Option<Birthplace<'a>>> {
    let (Some(owner), Some(network)) = (owner, network) else { return Ok(None) };
    Ok(Some(Birthplace { users: owner.0.get()?, network: network.get()? }))
}

const ACTION: &str = "divert what the sandbox sends elsewhere";

/// The error for a refused request about routes or rules.
fn refused(refusal: Refusal, action: &str) -> Error {
    use nix::errno::Errno;
    let errno = match refusal {
        Refusal::Closed(error) => return error,
        Refusal::Message(errno) => errno,
    };
    let error = Error::new(ErrorKind::Setup, action).errno(errno as i32);
    match errno {
        Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EINVAL => {
            error.of_kind(ErrorKind::Unsupported).hint(
                "the kernel needs CONFIG_NF_TABLES_INET and CONFIG_NFT_TPROXY: load the modules \
                nf_tables and nft_tproxy",
            )
        }
        Errno::EPERM | Errno::EACCES => error
            .of_kind(ErrorKind::NamespacesDenied)
            .hint("the host grants no rights in new user namespaces"),
        _ => error,
    }
}
