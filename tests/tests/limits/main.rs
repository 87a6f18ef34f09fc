//! Limits and control: each limit holds for the command that it was set for, and can be changed
//! while the command runs.
#![deny(unsafe_code)]

mod control;
mod counted;
mod shares;
mod small;
