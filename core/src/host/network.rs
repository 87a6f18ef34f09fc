//! What the kernel is told about private networks: bridges, links, addresses and
//! routes, over netlink.

pub mod divert;
pub mod filter;
pub mod links;
pub mod listening;
pub mod netlink;
pub mod tap;
