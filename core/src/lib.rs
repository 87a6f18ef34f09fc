//! Run a program in isolation on Linux: in its own namespaces, inside limits that the caller sets,
//! and with an exact account of how it ended.
//!
//! # Start here
//!
//! A [`Sandbox`] is a policy, a [`Command`] is what to run in it, a [`Child`] is a running command,
//! and an [`Outcome`] says how it ended, what it used and which protections were active. Names and
//! behaviour follow [`std::process`].
//!
//! ```
//! # fn main() -> seclude::Result<()> {
//! use seclude::{Ended, MiB, Sandbox};
//! use std::time::Duration;
//!
//! let sandbox = Sandbox::new()
//!     .memory(MiB(256))
//!     .wall_time(Duration::from_secs(5));
//! let output = sandbox.command("sh").args(["-c", "id -u; exit 3"]).output()?;
//! assert_eq!(output.stdout, b"1000\n");
//! assert_eq!(output.outcome.ended, Ended::Exited(3));
//! # Ok(())
//! # }
//! ```
//!
//! # Policy
//!
//! [`Sandbox::new`] is safe without any option. Every namespace except the time namespace is
//! private, and the network has only a loopback device. The host's programs are read-only, the user
//! id has no rights outside, and there are no privileges. Each method of [`Sandbox`] opens or
//! limits one thing:
//!
//! - files: [`Sandbox::bind`], [`Tmpfs`], [`Overlay`], [`Entry`]
//! - namespaces: [`Namespace`]
//! - limits of the whole sandbox: [`Limit`], [`Sandbox::memory`]
//! - system calls: [`Seccomp`]
//! - resource limits of each process: [`Resource`]
//!
//! [`Sandbox::from_json`] and [`Sandbox::from_toml`] read the same policy from text.
//! [`Sandbox::for_tests`] is the policy for a caller's own tests.
//!
//! # Running
//!
//! [`Command::output`] collects what the program writes. [`Command::spawn`] returns a [`Child`],
//! which the caller can talk to, poll ([`Child::pidfd`]), freeze and kill, and whose limits it can
//! change. [`Interaction`] joins several commands by pipes. [`Stdio::pty`] gives a command a
//! terminal. [`Transfer`] copies files in and out. A [`Listener`] decides about single system
//! calls.
//!
//! # Cells and pools
//!
//! A [`Cell`] is a sandbox that stays up and runs many commands; [`NamedCell`] enters one from
//! another process. A [`Pool`] keeps sandboxes ready, one for each command. [`Sandbox::prepare`]
//! makes a template that later sandboxes are copied from. [`Join`] runs commands in namespaces that
//! exist already.
//!
//! # Images
//!
//! A [`Store`] holds images: the software of other systems, imported from an [`ImageSource`]. An
//! [`Image`] can be the root of a sandbox, which its commands change at will. [`Cell::changes`]
//! tells what they have changed, and [`Cell::commit`] makes a new image of it.
//!
//! # Examining the host and programs
//!
//! [`doctor()`] says what this host allows, and why it does not allow more. [`namespaces()`] lists
//! the namespaces that exist, with their processes. [`Command::learn`] records which system calls a
//! program makes.
//!
//! # Requirements and features
//!
//! Linux 5.4 or later on x86_64, or Linux on aarch64, where 6.1 and 6.12 are tested. No privileges
//! are needed where the host lets users make user namespaces. Elsewhere [`doctor()`] names the
//! obstacle.
//!
//! | feature | default | meaning |
//! |---|---|---|
//! | `systemd` | on | asks systemd for a cgroup where the caller's own cannot be used |
//! | `stage-clock` | off | measures the stages of a start, for this repository's benchmarks |
//!
//! # Layers
//!
//! Each layer of the source uses only the layers below it:
//!
//! ```text
//!       images                       images, their store, and the changes of cells
//!          |
//!        lives          look         cells, pools, joining | doctor, namespaces, learning
//!           \            /
//!                run                 sandbox, command, child, outcome
//!                 |
//!                host                launch, command socket, cgroups, terminals
//!                 |
//!                plan                from a policy to a list of steps
//!                 |
//!               policy               what a caller can set, declared once
//!                 |
//!                base                errors, system calls, descriptors
//!                 |
//!                wire                the plan and the messages, shared with the warden
//! ```
#![deny(unsafe_code)]

mod base;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod images;
mod lives;
mod look;
mod plan;
mod policy;
mod run;
#[doc(hidden)]
pub mod schema;
#[path = "../wire/mod.rs"]
#[allow(dead_code)]
mod wire;

#[cfg(feature = "stage-clock")]
#[doc(hidden)]
pub use host::stage_clock;

pub use base::error::{Error, ErrorKind, Result};
#[doc(hidden)]
pub use base::kept::{copy_of, copy_of_number};
pub use base::processes::Process;
pub use base::step::Step;
pub use host::listener::{Listener, Notification};
pub use host::terminal::{RawMode, Terminal, WindowSize};
pub use images::changes::{Change, ChangeKind};
pub use images::image::Image;
pub use images::source::ImageSource;
pub use images::store::{Freed, Store, StoredImage};
pub use lives::cell::Cell;
pub use lives::join::{Join, Joined, release};
pub use lives::named::NamedCell;
pub use lives::pool::{Pool, PoolStatistics};
pub use look::doctor::{Check, Report, State, doctor};
pub use look::learn::Learned;
pub use look::namespaces::{LiveNamespace, Namespaces, namespaces};
// The types of all kinds of entries, and nothing else.
pub use host::tree_copy::{Copied, CopyProgress};
pub use policy::entries::*;
pub use policy::outcome::{Attempt, EgressReport, Ended, Enforced, MemorySource, Outcome};
pub use policy::outcome::{Pressure, Protection, Usage};
pub use policy::ports::Protocol;
pub use policy::seccomp::{Action, Compare, Profile, Rule, Seccomp, Syscall, Test};
#[doc(hidden)]
pub use policy::spec::{size_of_text, time_of_text};
pub use policy::{BestEffort, Capability, Clock, GiB, Io, Isolation, KiB, Limit, Mechanism, MiB};
pub use policy::{Ids, Namespace, Resource};
pub use run::alive::Freezer;
pub use run::child::Child;
pub use run::collect::{Collected, CollectedFile};
pub use run::command::{Command, Output, Stdio};
pub use run::interaction::Interaction;
pub use run::network::{Backend, Link, Member, Network, NetworkBuilder, Traffic};
pub use run::ports::PublishedPort;
pub use run::sandbox::Sandbox;
pub use run::template::{NetworkStatistics, RetiredNetwork};
pub use run::testing;
pub use run::transfer::Transfer;

/// Returns the warden's executable, for installing it at a path: see [`Sandbox::warden`].
pub fn warden_program() -> &'static [u8] {
    host::image::PROGRAM
}
