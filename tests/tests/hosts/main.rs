//! Hosts that offer less: cgroups that are absent or read-only, containers, filters around the
//! caller, few ids, old kernels, and exhausted resources. A sandbox starts another way that
//! protects as much, or an error names the cause.
//!
//! These tests run beside one another. Those that mount something do so in a mount namespace of
//! their own. Those that exhaust a resource do so in another process, cgroup or user namespace.
#![deny(unsafe_code)]

mod cgroups;
mod classic;
mod containers;
mod doctor;
mod installed;
mod layouts;
mod maps;
mod matrix;
mod nesting;
mod shortage;
mod subordinate;
mod surroundings;
