//! Sandboxes that outlive one command: cells, named cells, pools, and namespaces that exist
//! already. Commands run on each of them as their ground (`run::ground`).

pub mod cell;
pub mod join;
pub mod named;
pub mod pool;
