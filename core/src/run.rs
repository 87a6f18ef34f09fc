//! Running commands: from a sandbox and a command to a child, and from a child to its outcome.
//!
//! A [`sandbox`] holds a policy. A [`ground`] gives a command a sandbox that is [`alive`]: its
//! [`warden`] has been launched, or copied from a [`template`]. [`tenancy`] is the command's place
//! in that sandbox, alone or in a cell. [`start`] makes the warden run the command. The [`child`]
//! waits for the end; [`ending`] works out the outcome. The [`watchdog`] ends the command if the
//! warden fails to.

pub mod alive;
pub mod capture;
pub mod changes;
pub mod child;
pub mod collect;
pub mod command;
pub mod current_usage;
pub mod egress;
pub mod ending;
pub mod failure;
pub mod ground;
pub mod interaction;
pub mod network;
pub mod ports;
pub mod sandbox;
pub mod start;
pub mod streams;
pub mod template;
pub mod tenancy;
pub mod testing;
pub mod transfer;
pub mod users;
pub mod warden;
pub mod watchdog;
