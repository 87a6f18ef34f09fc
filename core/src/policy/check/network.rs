//! Checks what a policy says about the network.

use crate::base::error::{Error, Result};
use crate::policy::egress::Egress;
use crate::policy::ports::Publication;
use crate::policy::{Namespace, Policy};

impl Policy {
    pub(super) fn check_network(&self) -> Result<()> {
        let network = self.network.as_ref().map(|name| format!("network {name}"));
        let port = self.ports.first().map(|text| format!("port {text:?}"));
        let first = self.egress.first().map(|text| format!("egress {text:?}"));
        let out = first.or_else(|| self.egress_ask.then(|| "egress".into()));
        let is_others =
            self.share.contains(&Namespace::Net) || self.joined.contains(&Namespace::Net);
        if let Some(what) = network.or(port).or(out).filter(|_| is_others) {
            let why = format!("the net namespace is {}", self.origin(Namespace::Net));
            return Err(Error::invalid(what, why).hint("leave the net namespace private"));
        }
        if let Some(address) = self.address.as_ref().filter(|_| self.network.is_none()) {
            return Err(Error::invalid(
                format!("address {address}"),
                "the sandbox is in no network of its own",
            )
            .hint("name a network, too"));
        }
        let mut published = Vec::new();
        for text in &self.ports {
            let port = Publication::read(text)?;
            let place = (port.address, port.port, port.protocol);
            if port.port != 0 && published.contains(&place) {
                return Err(Error::invalid(format!("port {text:?}"), "it is published twice"));
            }
            published.push(place);
        }
        Egress::of(self).map(drop)
    }
}
