//! A network namespace of one sandbox that the caller makes, because it needs rights over it: to
//! publish ports, or to let the sandbox out.

use super::{links, namespaces, refused};
use crate::base::error::Result;
use crate::base::kept::Kept;
use crate::host::launch::Birthplace;
use crate::run::sandbox::Sandbox;
use std::sync::Arc;

/// A user namespace that owns network namespaces, and in which no process is.
#[derive(Debug)]
pub struct Owner(Kept);

impl Owner {
    /// # Errors
    ///
    /// The host lets the caller make no user namespace, or grants it no rights there.
    pub fn new() -> Result<Owner> {
        namespaces::make().map(|(users, ..)| Owner(users))
    }

    /// Whether the caller has left the descriptor open.
    pub fn is_intact(&self) -> bool {
        self.0.intact().is_some()
    }
}

/// The namespace, and what owns it.
#[derive(Debug)]
pub struct LoneNetwork {
    owner: Arc<Owner>,
    pub namespace: Kept,
}

impl LoneNetwork {
    /// Makes a namespace for one start of a sandbox, with its loopback device.
    pub fn new(sandbox: &Sandbox) -> Result<LoneNetwork> {
        let owner = sandbox.compiled().network_owner()?;
        let (namespace, routing) = namespaces::make_in(owner.0.get()?)?;
        let action = "bring up the loopback device";
        routing.ask(links::loopback(&[])).map_err(|refusal| refused(refusal, action))?;
        Ok(LoneNetwork { owner, namespace: namespace.into() })
    }

    /// Where the sandbox is made.
    pub fn birthplace(&self) -> Result<Birthplace<'_>> {
        Ok(Birthplace { users: self.owner.0.get()?, network: self.namespace.get()? })
    }
}
