//! Wardens and templates that are stopped or killed: no call of the library hangs, limits hold,
//! and pools recover.
//!
//! These tests list, stop and kill the wardens of their whole process, so each one calls
//! [`seclude_tests::alone::alone`].
#![deny(unsafe_code)]

mod holder;
mod losses;
mod places;
