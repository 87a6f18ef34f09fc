//! The base: errors, system calls, and descriptors that are kept. It knows nothing of sandboxes.

pub mod error;
pub mod kept;
pub mod processes;
pub mod sys;
pub mod watched;
