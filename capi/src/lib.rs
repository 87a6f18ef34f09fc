//! The C ABI of seclude: `libseclude.so.0` and `seclude.h`, a thin layer over the Rust core.
//!
//! The header is generated from these files and `seclude.h.in`, so the comment of an `extern "C"`
//! function is its page in the reference manual. It is written for C programmers. The rules that
//! hold for every function (ownership, NULL, threads, errors) stand once, at the head of
//! `seclude.h.in`. A function that does more than translate belongs in the core.
#![allow(non_camel_case_types, reason = "types have the names that C sees")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the header's first comment is the contract of every function"
)]

mod boundary;

// Public, because otherwise the compiler reports what only C uses as unused.
pub mod cell;
pub mod changes;
pub mod child;
pub mod collected;
pub mod command;
pub mod control;
pub mod doctor;
pub mod egress;
pub mod error;
pub mod faults;
pub mod files;
pub mod ids;
pub mod image;
pub mod interaction;
pub mod isolation;
pub mod join;
pub mod landlock;
pub mod learn;
pub mod limits;
pub mod listener;
pub mod namespaces;
pub mod network;
pub mod outcome;
pub mod output;
pub mod policy;
pub mod pool;
pub mod processes;
pub mod published;
pub mod sandbox;
pub mod seccomp;
pub mod steps;
pub mod store;
pub mod terminal;
pub mod testing;
pub mod text;
pub mod transfer;
pub mod version;
mod words;
