//! Files shared with a sandbox: copies in and out, symbolic links placed by an attacker, and binds
//! that the command cannot write.
#![deny(unsafe_code)]

mod archive;
mod attack;
mod collect;
mod copies;
mod symlinks;
mod transfer;
mod unwritable;
