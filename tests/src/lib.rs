//! What the tests on the real kernel share: jobs for the drivers, callers of either kind, scratch
//! directories, and the sight of the machine's processes. Nothing here is part of the product.
#![deny(unsafe_code)]

pub mod account;
pub mod caller;
pub mod census;
pub mod cgroups;
mod expect;
pub mod job;
pub mod knobs;
pub mod lines;
pub mod mode;
pub mod payload;
pub mod pooler;
pub mod scratch;
pub mod surroundings;
pub mod table;
pub mod waiting;
pub mod watchdog;
