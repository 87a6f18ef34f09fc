//! Running commands: from a sandbox and a command to a child, and from a child to its outcome.
//!
//! A [`sandbox`] holds a policy. A [`ground`] gives a command a sandbox that is [`alive`]: its
//! [`warden`] has been launched, or copied by a [`template`]. [`start`] has the warden run the
//! command. The [`child`] waits for the end, which [`ending`] puts together; [`holder`] ends what
//! the warden does not.

pub mod alive;
pub mod capture;
pub mod child;
pub mod command;
pub mod ending;
pub mod failure;
pub mod ground;
pub mod holder;
pub mod interaction;
pub mod sandbox;
pub mod start;
pub mod streams;
pub mod template;
pub mod transfer;
pub mod usage_so_far;
pub mod warden;
