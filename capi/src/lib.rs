//! The C ABI of seclude: `libseclude.so.0` and `seclude.h`, thin over the Rust core.
//!
//! The header is made from these files, so the comment of an `extern "C"` function is its page in
//! the reference manual: it speaks C, and to a C programmer. Rules that hold everywhere (ownership,
//! NULL, threads, errors) stand once, at the head of `cbindgen.toml`. Nothing here knows about
//! namespaces: what is more than a translation belongs to the core.
#![allow(non_camel_case_types, reason = "types bear the names that C sees")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the header's first comment is the contract of every function"
)]

mod boundary;

// Public so that the compiler counts as used what only C uses.
pub mod cell;
pub mod child;
pub mod command;
pub mod control;
pub mod doctor;
pub mod error;
pub mod interaction;
pub mod join;
pub mod learn;
pub mod limits;
pub mod listener;
pub mod namespaces;
pub mod outcome;
pub mod output;
pub mod pool;
pub mod processes;
pub mod sandbox;
pub mod seccomp;
pub mod steps;
pub mod terminal;
pub mod text;
pub mod transfer;
pub mod version;
mod words;
