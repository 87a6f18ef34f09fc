//! Images: file systems with the software of another system, in a store that sandboxes take their
//! roots from.
//!
//! ```text
//!   source     what an image is imported from      store    the store, as callers know it
//!      |                                           image    one image of it
//!   import     layers into the store                changes  of a cell, and new images from them
//!      +-- layout    manifests    +-- blobs    the files of a layout or an archive
//!      +-- tar       archives     +-- stack    directories, as an overlay shows them
//!      |                                 +-- overlay, owner    on the disk
//!      |
//!   layer      entries and whiteouts, as records for the unpacker
//!   unpacker   the sandbox in which the files are made
//!   entry, stream     one entry; digests, bounds and compression
//! ```
//!
//! What is read may be hostile. It is read here, in the caller, which makes no file from it. The
//! files are made in a sandbox, by a program that reads no format (core/unpacker).

pub mod blobs;
pub mod changes;
pub mod entry;
mod export;
pub mod image;
pub mod import;
pub mod layer;
pub mod layout;
mod overlay;
mod owner;
mod reach;
pub mod source;
mod stack;
pub mod store;
pub mod stream;
mod tar;
pub mod unpacker;
