//! The way out by permission: what a sandbox reaches beyond its own network.
//!
//! ```text
//!   sandbox                     caller                         Internet
//!     |  connect 198.18.0.16:443  |                               |
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

mod credentials;
mod decider;
pub mod dns;
mod gateway;
mod ledger;
mod names;
mod sockets;

pub use decider::Decider;
pub use ledger::Ledger;

use crate::base::error::{Error, ErrorKind, Result};
use crate::host::forward::{Forwarder, Service, Vendor};
use crate::host::launch::Birthplace;
use crate::host::network::divert::{self, Ports};
use crate::host::network::links;
use crate::host::network::netlink::{Netlink, Refusal};
use crate::policy::Policy;
use crate::policy::egress::Egress;
use crate::run::network::{self, namespaces, subnets};
use credentials::Credentials;
use nix::errno::Errno;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The way out of one running sandbox. Dropping it ends all connections.
#[derive(Debug)]
pub struct WayOut {
    _service: Service,
    ledger: Arc<Ledger>,
    netfilter: Netlink,
    ports: Ports,
    /// The addresses that are the sandbox's own.
    own: Mutex<Vec<IpAddr>>,
}

impl WayOut {
    /// Makes the way out of a sandbox that is about to start in this place. `None` if its policy
    /// asks for none. `addresses`: those that it has in a private network.
    ///
    /// # Errors
    ///
    /// Some part cannot be set up. The sandbox must not start.
    pub fn open(
        policy: &Policy,
        decider: Option<Decider>,
        place: Birthplace<'_>,
        addresses: Vec<IpAddr>,
    ) -> Result<Option<WayOut>> {
        if !policy.has_way_out() {
            return Ok(None);
        }
        let rules = Egress::of(policy)?;
        let credentials = Credentials::load(rules.credentials())?;
        let Birthplace { users, network: namespace } = place;
        let mut own = sockets::own_addresses(subnets::has_ipv6());
        let routing = namespaces::routing_socket(users, namespace)?;
        let routes = own.iter().map(|address| divert::all_local(*address));
        for messages in [links::loopback(&own)].into_iter().chain(routes) {
            routing.ask(messages).map_err(|refusal| refused(refusal, "route everything"))?;
        }
        let vendor = Vendor::new(users, namespace)?;
        let listening = sockets::Listening::open(&vendor, &own)?;
        let ports = listening.ports()?;
        own.extend(addresses);
        let netfilter = namespaces::netfilter_socket(users, namespace)?;
        divert::install(&netfilter, ports, &own).map_err(|refusal| refused(refusal, ACTION))?;
        let forwarder = Forwarder::get()?;
        let ledger = Arc::new(Ledger::default());
        let terms = gateway::Terms { rules, decider, credentials };
        let service = gateway::serve(&forwarder, terms, vendor, listening, ledger.clone());
        Ok(Some(WayOut { _service: service, ledger, netfilter, ports, own: Mutex::new(own) }))
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

const ACTION: &str = "divert what the sandbox sends elsewhere";

/// The error for a refused request about routes or rules.
fn refused(refusal: Refusal, action: &str) -> Error {
    match refusal {
        Refusal::Message(
            errno @ (Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPROTONOSUPPORT | Errno::EINVAL),
        ) => Error::new(ErrorKind::Unsupported, action).errno(errno as i32).hint(
            "the kernel needs CONFIG_NF_TABLES_INET and CONFIG_NFT_TPROXY: load the modules \
            nf_tables and nft_tproxy",
        ),
        other => network::refused(other, action),
    }
}
