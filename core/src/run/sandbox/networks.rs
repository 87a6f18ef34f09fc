//! The private network of a sandbox: the one that its policy names, and the one that is given.
//!
//! A policy as text can only name a network. The program that reads it makes the network, and gives
//! it by [`Sandbox::network`].

use super::Sandbox;
use crate::base::error::{Error, Result};
use crate::policy::outcome::Attempt;
use crate::run::egress::Decider;
use crate::run::network::Network;
use std::net::IpAddr;

impl Sandbox {
    /// The name of the private network that the policy asks for, whether or not it has been given.
    ///
    /// A program that reads policies as text can make the networks that they name:
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// use seclude::{Network, Sandbox};
    /// let mut sandbox = Sandbox::from_toml("network = 'lab'")?;
    /// if let Some(name) = sandbox.network_name() {
    ///     let network = Network::builder().name(name).build()?;
    ///     sandbox = sandbox.network(&network);
    /// }
    /// sandbox.check()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn network_name(&self) -> Option<&str> {
        self.policy.network.as_deref()
    }

    /// The private network that has been given to the sandbox ([`Sandbox::network`]).
    pub fn given_network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Has a function decide about each destination that no rule allows
    /// ([`Sandbox::egress`]) and none denies. It is asked for a name when the program asks for that
    /// (port 53 of UDP, no address), and again for each connection and each first datagram, with
    /// the address. `true` allows it.
    ///
    /// It is called in threads of the library, several at once, and the program waits meanwhile. A
    /// panic denies. It cannot open an address that is not public, or is the host's own: that takes
    /// a rule. A policy as text says only that something is to be asked ([`Sandbox::egress_ask`]).
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// let sandbox = seclude::Sandbox::new().decide_egress(|attempt| {
    ///     eprintln!("{attempt}");
    ///     attempt.name.as_deref().is_some_and(|name| name.ends_with(".example.org"))
    /// });
    /// sandbox.check()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn decide_egress(
        self,
        decide: impl Fn(&Attempt) -> bool + Send + Sync + 'static,
    ) -> Sandbox {
        let mut sandbox = self.with(|policy| policy.egress_ask = true);
        sandbox.decider = Some(Decider::new(decide));
        sandbox
    }

    /// The function that decides about destinations, if the policy asks.
    pub(crate) fn needed_decider(&self) -> Result<Option<&Decider>> {
        match (self.policy.egress_ask, &self.decider) {
            (true, None) => Err(Error::invalid(
                "egress_ask",
                "the policy asks about destinations, and nothing answers",
            )
            .hint("give the sandbox a function that decides, or leave the key out")),
            (asks, decider) => Ok(decider.as_ref().filter(|_| asks)),
        }
    }

    /// The sandbox with the same function as another one, if that has any.
    #[doc(hidden)]
    pub fn deciding_as(mut self, other: &Sandbox) -> Sandbox {
        self.decider = other.decider.clone();
        self
    }

    /// Whether a function decides about destinations.
    #[doc(hidden)]
    pub fn decides_egress(&self) -> bool {
        self.decider.is_some()
    }

    /// The sandbox with this address in its network.
    pub(crate) fn at(self, address: Option<IpAddr>) -> Sandbox {
        let address = address.map(|address| address.to_string());
        if self.policy.address == address {
            // It stays the one that has been compiled.
            return self;
        }
        self.with(|policy| policy.address = address)
    }

    /// The sandbox for a command that enters a cell of this one: it is where the cell is, and no
    /// member itself.
    pub(crate) fn without_network(self) -> Sandbox {
        let mut sandbox = self.with(|policy| {
            (policy.network, policy.address) = (None, None);
            (policy.ports, policy.egress) = (Vec::new(), Vec::new());
            (policy.egress_deny, policy.egress_names) = (Vec::new(), Vec::new());
            (policy.egress_credentials, policy.egress_ask) = (Vec::new(), false);
        });
        sandbox.network = None;
        sandbox
    }

    /// Checks the policy, except that a network which it names, and a function that it asks, need
    /// not have been given yet.
    #[doc(hidden)]
    pub fn check_text(&self) -> Result<()> {
        self.policy.check()?;
        match self.network {
            Some(_) => self.check_network(),
            None => Ok(()),
        }
    }
}
