//! Hostile programs and long series of runs: every run ends as it should, nothing of it is left on
//! the machine, and no program keeps another sandbox from starting.
//!
//! These tests count what their process and the machine hold, so each one calls
//! [`seclude_tests::alone::alone`].
#![deny(unsafe_code)]

mod bombs;
mod burden;
mod collect;
mod leaks;
mod networks;
mod pools;
mod soak;
mod stress;
