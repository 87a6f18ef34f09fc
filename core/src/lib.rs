//! seclude runs a program alone, in its own Linux namespaces, inside limits the caller sets, and
//! says exactly how it ended.
//!
//! A [`Sandbox`] is a policy; a [`Command`] is what to run in it; a [`Child`] is a running command;
//! an [`Outcome`] says how it ended, what it used and what was enforced. The names and habits are
//! those of `std::process`.
//!
//! ```
//! # fn main() -> seclude::Result<()> {
//! use seclude::{Ended, MiB, Sandbox};
//!
//! let sandbox = Sandbox::new().tmpfs("/tmp", MiB(16)).wall_time(std::time::Duration::from_secs(5));
//! let output = sandbox.command("sh").args(["-c", "id -u; exit 3"]).output()?;
//! assert_eq!(output.stdout, b"1000\n");
//! assert_eq!(output.outcome.ended, Ended::Exited(3));
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]

mod alive;
mod capture;
mod cell;
mod cgroup;
mod child;
mod command;
mod declared;
mod doctor;
mod ending;
mod enforce;
mod error;
mod failure;
mod file_size;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod holder;
mod idmap;
mod image;
mod interaction;
mod join;
mod kept;
mod launch;
mod learn;
mod listener;
mod named;
mod namespaces;
mod outcome;
mod plan;
mod policy;
mod pool;
mod processes;
mod profile;
mod sandbox;
#[doc(hidden)]
pub mod schema;
mod seccomp;
mod socket;
mod spec;
#[cfg(feature = "stage-clock")]
#[doc(hidden)]
pub mod stage_clock;
mod start;
mod streams;
mod sys;
mod template;
mod terminal;
mod transfer;
mod usage_so_far;
mod warden;
mod watched;
#[path = "../wire/mod.rs"]
#[allow(dead_code)]
mod wire;

pub use alive::Freezer;
pub use cell::Cell;
pub use child::Child;
pub use command::{Command, Output, Stdio};
pub use doctor::{Check, Report, State, doctor};
pub use error::{Error, ErrorKind, Result};
pub use interaction::Interaction;
pub use join::{Join, Joined, release};
#[doc(hidden)]
pub use kept::copy_of;
pub use learn::Learned;
pub use listener::{Listener, Notification};
pub use named::NamedCell;
pub use namespaces::{LiveNamespace, Namespaces, namespaces};
pub use outcome::{Ended, Enforced, MemorySource, Outcome, Pressure, Protection, Usage};
pub use policy::{
    Bind, Clock, Entry, GiB, Io, KiB, Limit, Mechanism, MiB, Namespace, Resource, Tmpfs,
};
pub use pool::{Pool, PoolStatistics};
pub use processes::Process;
pub use sandbox::Sandbox;
pub use seccomp::{Action, Compare, Profile, Rule, Seccomp, Syscall, Test};
#[doc(hidden)]
pub use spec::{size_of_text, time_of_text};
pub use template::{NetworkStatistics, RetiredNetwork};
pub use terminal::{RawMode, Terminal, WindowSize};
pub use transfer::{Copied, Transfer};

/// The warden's program, for installing it at a path: see [`Sandbox::warden`].
pub fn warden_program() -> &'static [u8] {
    image::PROGRAM
}
