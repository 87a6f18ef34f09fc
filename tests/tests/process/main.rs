//! The calling process as a whole: its threads, children, descriptors and memory.
//!
//! A test here reaps every child, counts all descriptors, or measures the memory of its process, so
//! each one calls [`seclude_tests::alone::alone`].
#![deny(unsafe_code)]

mod capture;
mod interaction;
mod threads;
mod usage;
