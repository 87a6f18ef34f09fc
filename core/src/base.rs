//! The bottom layer: declarations of shared names, the error type, system call wrappers, and
//! descriptors that are checked before each use. Nothing here knows about sandboxes.

pub mod declared;
pub mod error;
pub mod kept;
pub mod processes;
pub mod step;
pub mod sys;
pub mod watched;
