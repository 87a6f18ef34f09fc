//! Checks what private networks need: bridges and virtual Ethernet devices, and filters for faults.

use super::{Check, probe};
use crate::base::error::Result;
use crate::run::network::{Link, Network};
use std::time::Duration;

const NETWORK: &str = "network";
const FAULTS: &str = "network.faults";

pub fn checks() -> Vec<Check> {
    let made = Network::new().and_then(|network| with_member(&network).map(|()| network));
    let network = match made {
        Ok(network) => network,
        Err(error) => {
            return [NETWORK, FAULTS].map(|name| Check::missing(name, &error)).into();
        }
    };
    let families = if network.subnets().len() == 2 { "IPv4 and IPv6" } else { "IPv4" };
    let faults = match with_faults(&network) {
        Ok(()) => Check::works(
            FAULTS,
            "partitions and loss by the kernel's filters, all others by the relay",
        ),
        Err(error) => Check::missing(FAULTS, &error),
    };
    vec![Check::works(NETWORK, format!("a bridge for sandboxes, {families}")), faults]
}

/// Runs the probe as a member.
fn with_member(network: &Network) -> Result<()> {
    probe::run(&probe::smallest().network(network)).map(drop)
}

fn with_faults(network: &Network) -> Result<()> {
    const NAME: &str = "probe";
    let member = probe::smallest().network(network).hostname(NAME).cell()?;
    network.isolate(NAME)?;
    network.set_link(NAME, NAME, &Link::new().loss(0.5))?;
    network.set_link(NAME, NAME, &Link::new().delay(Duration::from_millis(1)))?;
    drop(member);
    Ok(())
}
