//! What lives longer than one command: cells, templates, named cells, joined namespaces, and
//! terminals; and what ends with it, in a process tree that does not.
#![deny(unsafe_code)]

mod cells;
mod gate;
mod join;
mod named;
mod namespaces;
mod networks;
mod terminal;
mod traced;
