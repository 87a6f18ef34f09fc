//! Callers with unusual properties: closed descriptors, a limit on file sizes, many arguments,
//! wrong requests, and callers that are killed.
//!
//! These tests run beside one another. A test that closes descriptors, lowers a limit or is killed
//! does so in a process of its own.
#![deny(unsafe_code)]

mod closefrom;
mod file_size;
mod lifetime;
mod mistakes;
mod requests;
mod streams;
