//! What connects a running sandbox with others: its places in private networks, its published ports
//! and its way out.

use crate::base::error::Result;
use crate::host::launch::Birthplace;
use crate::run::egress::{Ledger, WayOut};
use crate::run::network::{LoneNetwork, Membership};
use crate::run::ports::{Bound, Ports};
use crate::run::sandbox::Sandbox;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Dropping it ends all of them.
#[derive(Default)]
pub struct Connections {
    pub ports: Option<Ports>,
    pub way_out: Option<WayOut>,
    /// The places in private networks, that of the policy first.
    pub memberships: Vec<Membership>,
    /// Its network namespace, if the caller has made one that is in no private network at first.
    lone: Option<LoneNetwork>,
}

impl Connections {
    /// Sets up what the policy asks for, before the sandbox starts. `kept`: the sockets of its
    /// published ports, if they are open already.
    ///
    /// # Errors
    ///
    /// Some part cannot be set up. The sandbox must not start.
    pub fn open(sandbox: &Sandbox, kept: Option<Bound>) -> Result<Connections> {
        let policy = sandbox.policy();
        let decider = sandbox.needed_decider()?.cloned();
        // First, because a port in use is the likeliest mistake.
        let bound = if kept.is_some() { kept } else { Bound::open(policy)? };
        let (hostname, address) = (policy.hostname.as_deref(), policy.address.as_deref());
        let membership = sandbox.needed_network()?.map(|network| network.join(hostname, address));
        let mut connections = Connections {
            memberships: membership.transpose()?.into_iter().collect(),
            ..Connections::default()
        };
        if connections.memberships.is_empty() && policy.has_given_network() {
            connections.lone = Some(LoneNetwork::new(sandbox)?);
        }
        let addresses = connections.memberships.iter().flat_map(Membership::addresses).collect();
        let Some(place) = connections.birthplace()? else { return Ok(connections) };
        let way_out = WayOut::open(policy, decider, place, addresses)?;
        let ports = bound.map(|bound| bound.serve(place)).transpose()?;
        (connections.ports, connections.way_out) = (ports, way_out);
        Ok(connections)
    }

    /// Where the sandbox is made, if the caller makes its network.
    pub fn birthplace(&self) -> Result<Option<Birthplace<'_>>> {
        match (self.memberships.first(), &self.lone) {
            (Some(member), _) => member.birthplace().map(Some),
            (None, Some(lone)) => lone.birthplace().map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The network namespace, if the caller has made it or knows it.
    pub fn namespace(&self) -> Result<Option<OwnedFd>> {
        let namespace = self.memberships.first().map(|member| &member.namespace);
        let namespace = namespace.or_else(|| self.lone.as_ref().map(|lone| &lone.namespace));
        namespace.map(|namespace| namespace.try_clone()).transpose()
    }

    /// Where the sandbox's attempts to get out are entered.
    pub fn ledger(&self) -> Option<Arc<Ledger>> {
        self.way_out.as_ref().map(WayOut::ledger)
    }
}
