//! Files shared with a sandbox: copies in and out, symbolic links placed by an attacker, binds that
//! the command cannot write, and devices.
#![deny(unsafe_code)]

mod archive;
mod attack;
mod collect;
mod copies;
mod devices;
mod symlinks;
mod transfer;
mod unwritable;
