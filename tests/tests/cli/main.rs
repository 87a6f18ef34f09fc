//! The command `seclude`: its options, exit status, streams, signals, terminals, and each of its
//! other commands. Every test runs as root and as an unprivileged user.
#![deny(unsafe_code)]

mod batch;
mod cells;
mod collect;
mod commands;
mod egress;
mod fix;
mod ground;
mod interrupts;
mod options;
mod status;
mod streams;
mod terminal;
mod tree;
