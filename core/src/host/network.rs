//! What the kernel is told about private networks: bridges, links and addresses, over netlink.

pub mod filter;
pub mod links;
pub mod listening;
pub mod netlink;
