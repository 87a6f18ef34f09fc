//! The private networks that policies name: one for each name in this process.
//!
//! Sandboxes of this process that name the same network so reach each other. Those of another
//! process do not, even if their policies have the same text.

use crate::status::Result;
use seclude::{Network, Sandbox};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

static NETWORKS: Mutex<BTreeMap<String, Network>> = Mutex::new(BTreeMap::new());

/// Gives the sandbox the network that its policy names.
pub fn given(sandbox: Sandbox) -> Result<Sandbox> {
    let Some(name) = sandbox.network_name() else { return Ok(sandbox) };
    let mut networks = NETWORKS.lock().unwrap_or_else(PoisonError::into_inner);
    let network = match networks.get(name) {
        Some(network) => network.clone(),
        None => {
            let network = Network::builder().name(name).build()?;
            networks.insert(name.to_owned(), network.clone());
            network
        }
    };
    Ok(sandbox.network(&network))
}
