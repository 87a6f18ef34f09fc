//! Files shared with a sandbox: copies in and out, symbolic links placed by an attacker, binds that
//! the command cannot write, devices, and disk images.
#![deny(unsafe_code)]

mod archive;
mod attack;
mod bounded;
mod collect;
mod copies;
mod devices;
mod disk_images;
mod symlinks;
mod transfer;
mod unwritable;
