//! Private networks that sandboxes and cells join.

use crate::error::raise;
use pyo3::prelude::*;
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

    /// Returns the host name and the addresses of each member.
    fn members(&self, py: Python<'_>) -> Vec<(Option<String>, Vec<String>)> {
        let members = py.detach(|| self.0.members());
        members.into_iter().map(|member| (member.hostname, texts(member.addresses))).collect()
    }
}

impl Network {
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
