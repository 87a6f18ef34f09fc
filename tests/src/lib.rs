//! Code shared by the tests on the real kernel: jobs for the drivers, root and unprivileged
//! callers, scratch directories, and scans of the machine's processes. Nothing here is part of the
//! library.
#![deny(unsafe_code)]

pub mod account;
pub mod alone;
pub mod caller;
pub mod census;
pub mod cgroups;
pub mod container;
mod expect;
pub mod front;
pub mod job;
pub mod knobs;
pub mod lines;
pub mod members;
pub mod mode;
pub mod payload;
pub mod pooler;
pub mod scratch;
pub mod surroundings;
pub mod table;
pub mod waiting;
pub mod watchdog;
