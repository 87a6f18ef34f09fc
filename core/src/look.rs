//! Looking: what this host allows, which namespaces exist, and which system calls a program makes.

pub mod doctor;
pub mod learn;
pub mod namespaces;
