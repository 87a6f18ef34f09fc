//! Private networks that sandboxes and cells join.

use crate::error::{raise, refuse};
use crate::time::duration;
use pyo3::prelude::*;
use seclude_core::{Attempt, Backend, EgressReport, Link, PublishedPort};
use seclude_core::{Result, Traffic};
use std::net::IpAddr;

/// A private network.
#[pyclass(frozen, eq, module = "seclude._seclude")]
#[derive(PartialEq)]
pub struct Network(seclude_core::Network);

#[pymethods]
impl Network {
    /// Makes a network. Without subnets, the network has its own choice of them.
    #[staticmethod]
    fn make(py: Python<'_>, name: Option<String>, subnets: Vec<String>) -> PyResult<Network> {
        let mut builder = seclude_core::Network::builder();
        if let Some(name) = name {
            builder = builder.name(name);
        }
        let builder = subnets.into_iter().fold(builder, seclude_core::NetworkBuilder::subnet);
        py.detach(|| builder.build()).map(Network).map_err(|error| raise(py, &error))
    }

    /// The name, by which policies as text name it.
    #[getter]
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Returns the subnets, IPv4 first.
    fn subnets(&self) -> Vec<String> {
        self.0.subnets()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    /// Returns the packets and bytes that a member has sent, and those that it has received.
    fn traffic(&self, py: Python<'_>, member: &str) -> PyResult<(u64, u64, u64, u64)> {
        let traffic = self.ask(py, |network| network.traffic(member))?;
        let Traffic { sent_packets, sent_bytes, received_packets, received_bytes, .. } = traffic;
        Ok((sent_packets, sent_bytes, received_packets, received_bytes))
    }

    /// Parts the members into groups that do not reach each other.
    fn partition(&self, py: Python<'_>, groups: Vec<Vec<String>>) -> PyResult<()> {
        self.ask(py, |network| network.partition(groups))
    }

    /// Cuts a member off from all others.
    fn isolate(&self, py: Python<'_>, member: &str) -> PyResult<()> {
        self.ask(py, |network| network.isolate(member))
    }

    /// Drops everything that one member sends to another.
    fn block(&self, py: Python<'_>, sender: &str, receiver: &str) -> PyResult<()> {
        self.ask(py, |network| network.block(sender, receiver))
    }

    /// Sets the faults of a link: delay and jitter in seconds, then the probabilities of loss, of
    /// duplicates and of another order.
    #[allow(clippy::too_many_arguments, reason = "Python passes them by name")]
    fn set_link(
        &self,
        py: Python<'_>,
        sender: &str,
        receiver: &str,
        times: (f64, f64),
        probabilities: (f64, f64, f64),
        rate: Option<u64>,
        seed: Option<u64>,
        backend: &str,
    ) -> PyResult<()> {
        let backend = Backend::from_name(backend).ok_or_else(|| {
            refuse(py, &format!("backend {backend:?}"), "there is none of this name")
        })?;
        let (loss, duplicate, reorder) = probabilities;
        let mut link = Link::new()
            .delay(duration(py, "delay", times.0)?)
            .jitter(duration(py, "jitter", times.1)?)
            .loss(loss)
            .duplicate(duplicate)
            .reorder(reorder)
            .backend(backend);
        if let Some(rate) = rate {
            link = link.rate(rate);
        }
        if let Some(seed) = seed {
            link = link.seed(seed);
        }
        self.ask(py, |network| network.set_link(sender, receiver, &link))
    }

    /// Ends the partition, all isolation and all blocks.
    fn heal(&self, py: Python<'_>) -> PyResult<()> {
        self.ask(py, seclude_core::Network::heal)
    }

    /// Returns the host name and the addresses of each member.
    fn members(&self, py: Python<'_>) -> Vec<(Option<String>, Vec<String>)> {
        let members = py.detach(|| self.0.members());
        members.into_iter().map(|member| (member.hostname, texts(member.addresses))).collect()
    }
}

impl Network {
    /// Calls the core without the GIL.
    fn ask<T: Send>(
        &self,
        py: Python<'_>,
        question: impl FnOnce(&seclude_core::Network) -> Result<T> + Send,
    ) -> PyResult<T> {
        py.detach(|| question(&self.0)).map_err(|error| raise(py, &error))
    }

    pub fn new(network: seclude_core::Network) -> Network {
        Network(network)
    }

    pub fn core(&self) -> &seclude_core::Network {
        &self.0
    }
}

/// Addresses as text.
pub fn texts(addresses: Vec<IpAddr>) -> Vec<String> {
    addresses.iter().map(IpAddr::to_string).collect()
}

/// A published port: address and port on the host, port inside, protocol.
pub type Published = (String, u16, u16, &'static str);

/// Published ports.
pub fn published(ports: Vec<PublishedPort>) -> Vec<Published> {
    let one = |port: PublishedPort| {
        let host = port.host;
        (host.ip().to_string(), host.port(), port.inside, port.protocol.name())
    };
    ports.into_iter().map(one).collect()
}

/// An attempt to reach something outside: the fields of `seclude.Attempt`.
type Tried = (&'static str, Option<String>, Option<String>, u16, Option<String>);
/// The fields of `seclude.EgressReport`.
pub type Reached = (u64, u64, u64, u64, Vec<Tried>);

/// What was reached outside.
pub fn reached(report: EgressReport) -> Reached {
    let one = |attempt: Attempt| {
        let address = attempt.address.map(|address| address.to_string());
        (attempt.protocol.name(), attempt.name, address, attempt.port, attempt.denial)
    };
    let EgressReport { allowed, denied, sent_bytes, received_bytes, attempts, .. } = report;
    let attempts = attempts.into_iter().map(one).collect();
    (allowed, denied, sent_bytes, received_bytes, attempts)
}
