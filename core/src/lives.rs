//! Sandboxes that outlive one command: cells, cells under a name, pools, and namespaces that exist
//! already. Each is a ground on which commands run.

pub mod cell;
pub mod join;
pub mod named;
pub mod pool;
