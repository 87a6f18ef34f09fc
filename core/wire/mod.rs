//! What the library and the warden say to each other: the plan and the messages.
//!
//! Plain data, `no_std`, no allocation, no `unsafe`. Both sides compile this folder: `core/src`
//! writes requests and plans and reads reports, `core/warden` the other way round. Nothing here
//! knows how a step is carried out. Each side treats the other's bytes as hostile: every read is
//! bounds-checked and a surplus byte is an error.

pub mod codec;
pub mod message;
pub mod plan;
pub mod usage;
