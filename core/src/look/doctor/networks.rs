//! Checks what private networks need: bridges and virtual Ethernet devices, and filters for faults.

use super::{Check, probe};
use crate::base::error::Result;
use crate::run::network::{Link, Network};
use crate::run::sandbox::Sandbox;
use std::time::Duration;

const NETWORK: &str = "network";
const FAULTS: &str = "network.faults";
const PORTS: &str = "network.ports";
const EGRESS: &str = "network.egress";

pub fn checks() -> Vec<Check> {
    let made = Network::new().and_then(|network| with_member(&network).map(|()| network));
    let network = match made {
        Ok(network) => network,
        Err(error) => {
            let names = [NETWORK, FAULTS].map(|name| Check::missing(name, &error));
            return names.into_iter().chain(ways()).collect();
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
    let network = Check::works(NETWORK, format!("a bridge for sandboxes, {families}"));
    [network, faults].into_iter().chain(ways()).collect()
}

/// Published ports and the way out, which need no bridge.
fn ways() -> [Check; 2] {
    let check = |name, sandbox: Sandbox, how| match probe::run(&sandbox) {
        Ok(_) => Check::works(name, how),
        Err(error) => Check::missing(name, &error),
    };
    let nowhere = ["192.0.2.1:1"];
    [
        check(PORTS, probe::smallest().ports(["1"]), "ports of a sandbox on the host"),
        check(EGRESS, probe::smallest().egress(nowhere), "the way out, by rules"),
    ]
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
