//! What lives longer than one command: cells, templates, named cells, joined namespaces, and
//! terminals.
#![deny(unsafe_code)]

mod cells;
mod join;
mod named;
mod namespaces;
mod networks;
mod terminal;
mod traced;
