//! The private network of a sandbox: the one that its policy names, and the one that is given.
//!
//! A policy as text can only name a network. The program that reads it makes the network, and gives
//! it by [`Sandbox::network`].

use super::Sandbox;
use crate::base::error::Result;
use crate::run::network::Network;

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

    /// The sandbox for a command that enters a cell of this one: it is where the cell is, and no
    /// member itself.
    pub(crate) fn without_network(self) -> Sandbox {
        let mut sandbox = self.with(|policy| {
            (policy.network, policy.address) = (None, None);
            (policy.ports, policy.egress) = (Vec::new(), Vec::new());
            (policy.egress_deny, policy.egress_names) = (Vec::new(), Vec::new());
        });
        sandbox.network = None;
        sandbox
    }

    /// Checks the policy, except that a network which it names need not have been given yet.
    #[doc(hidden)]
    pub fn check_text(&self) -> Result<()> {
        match self.network {
            Some(_) => self.check(),
            None => self.policy.check(),
        }
    }
}
