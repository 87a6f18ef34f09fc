//! Isolation: a command reaches nothing of its caller, of the host or of another sandbox. Each test
//! has a control that shows that its check can fail.
#![deny(unsafe_code)]

mod apart;
mod blindness;
mod escape;
mod inherited;
mod landlock;
mod seccomp;
