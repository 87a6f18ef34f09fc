//! The base: declarations of names, errors, system calls, and descriptors that are kept. It knows
//! nothing of sandboxes.

pub mod declared;
pub mod error;
pub mod kept;
pub mod processes;
pub mod step;
pub mod sys;
pub mod watched;
