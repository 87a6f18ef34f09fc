//! The private networks that a running sandbox is a member of.

use super::Alive;
use super::connections::Connections;
use crate::base::error::{Error, Result};
use crate::base::sys;
use crate::host::network::listening::has_listener;
use crate::host::socket::wait_for_any;
use crate::policy::Namespace;
use crate::policy::outcome::EgressReport;
use crate::run::network::{Membership, Network};
use crate::run::ports::{Bound, Ports, PublishedPort};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

impl Alive {
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses in all private networks, those of the policy's network first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.connections().memberships.iter().flat_map(Membership::addresses).collect()
    }

    /// Takes the sandbox out of its private networks, and ends its connections and its way out.
    /// Returns the sockets of its published ports.
    pub fn leave_networks(&self) -> Option<Bound> {
        let ended = std::mem::take(&mut *self.connections());
        ended.ports.map(Ports::release)
    }

    /// Starts the sandbox anew, with the address that it has in its policy's network, and with its
    /// ports on the host. Its processes may still be ending.
    pub fn start_again(&self) -> Result<Alive> {
        let is_member = self.sandbox.needed_network()?.is_some();
        let address = self.addresses().first().copied().filter(|_| is_member);
        let again = self.sandbox.clone().at(address);
        let ports = self.leave_networks();
        if self.is_exclusive() {
            self.close();
        }
        let connections = Connections::open(&again, ports)?;
        Alive::start_connected(&again, self.purpose, None, connections)
    }

    /// The ports that are published.
    pub fn ports(&self) -> Vec<PublishedPort> {
        self.connections().ports.as_ref().map_or_else(Vec::new, Ports::list)
    }

    /// What the sandbox has reached outside, and what it has tried.
    pub fn egress(&self) -> EgressReport {
        self.egress_if_any().unwrap_or_default()
    }

    /// The same. `None` if the policy has no rules for that.
    pub fn egress_if_any(&self) -> Option<EgressReport> {
        self.ledger.as_ref().map(|ledger| ledger.report())
    }

    /// Makes the member and the others of its network know each other's names. `hosts`: its own
    /// hosts file, unless the policy puts another one there.
    pub(super) fn meet_members(&self, hosts: Option<OwnedFd>) -> Result<()> {
        match self.connections().memberships.first() {
            Some(membership) => membership.introduce(hosts),
            None => Ok(()),
        }
    }

    /// Waits until a socket listens on a port. `false`: the process behind `pidfd` or the sandbox
    /// has ended, or the time is over.
    pub fn wait_ready(
        &self,
        pidfd: Option<BorrowedFd<'_>>,
        port: u16,
        timeout: Duration,
    ) -> Result<bool> {
        /// The kernel tells nobody of a new listener, so the list is read again, at first often.
        const LONGEST: Duration = Duration::from_millis(20);
        let deadline = Instant::now().checked_add(timeout);
        let mut pause = Duration::from_millis(1);
        loop {
            match has_listener(self.warden.pid(), port) {
                Ok(false) => {}
                Ok(true) => return Ok(true),
                Err(_) if !self.warden.is_alive()? => return Ok(false),
                Err(error) => return Err(Error::io("read the listeners of the sandbox", error)),
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Ok(false);
            }
            let until = now.checked_add(pause).into_iter().chain(deadline).min();
            let processes: Vec<_> =
                [Some(self.warden.pidfd()?), pidfd].into_iter().flatten().collect();
            if wait_for_any(&processes, until)?.contains(&true) {
                return Ok(false);
            }
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// Makes the running sandbox a member of a further network. Returns its addresses there.
    pub fn connect(&self, network: &Network) -> Result<Vec<IpAddr>> {
        let policy = self.sandbox.policy();
        if !policy.has_own_network() {
            return Err(Error::invalid(
                format!("network {}", network.name()),
                "the sandbox has no network of its own that could be connected to it",
            )
            .hint("leave the net namespace private"));
        }
        let mut connections = self.connections();
        let conflicts = |member: &&Membership| member.conflicts_with(network);
        if let Some(other) = connections.memberships.iter().find(conflicts) {
            return Err(Error::invalid(
                format!("network {}", network.name()),
                format!("its subnets overlap with those of the network {}", other.network().name()),
            )
            .hint("the sandbox is a member of that one: choose other subnets for one of them"));
        }
        let own = match connections.namespace()? {
            Some(namespace) => namespace,
            None => self.warden.namespace(Namespace::Net)?,
        };
        let owner = sys::namespace_owner(own.as_fd())
            .map_err(|error| Error::io("find the owner of a network namespace", error))?;
        // A number that none of its other devices has.
        let memberships = &connections.memberships;
        let device = (0..).find(|number| memberships.iter().all(|one| one.device != *number));
        let membership =
            network.connect(policy.hostname.as_deref(), device.unwrap_or(0), &owner, own)?;
        membership.introduce(None)?;
        let addresses = membership.addresses();
        if let Some(way_out) = &connections.way_out {
            way_out.spare(&addresses)?;
        }
        connections.memberships.push(membership);
        Ok(addresses)
    }

    /// Takes the running sandbox out of a network.
    pub fn disconnect(&self, network: &Network) -> Result<()> {
        let memberships = &mut self.connections().memberships;
        let index = memberships.iter().position(|member| member.network() == network);
        let index = index.ok_or_else(|| {
            Error::invalid(format!("network {}", network.name()), "the sandbox is no member of it")
        })?;
        memberships.remove(index).disconnect()
    }
}
