//! The private network of a row. Only with one is the network given that the policy names.

use super::{Network, Stage};
use crate::job;
use serde::Deserialize;

/// A network.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkOfRow {
    #[serde(default)]
    subnets: Vec<String>,
    #[serde(default)]
    members: Vec<Member>,
}

/// A further member: a cell, in which a command may run. The command of the row starts when that
/// one has written a line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    #[serde(default)]
    policy: toml::Table,
    #[serde(default)]
    command: Vec<String>,
}

impl NetworkOfRow {
    pub(super) fn job(&self, stage: &Stage<'_>) -> Network {
        let member = |member: &Member| job::Member {
            policy: stage.json(&toml::Value::Table(member.policy.clone())).to_string(),
            command: member.command.iter().map(|word| stage.system(word)).collect(),
        };
        Network {
            subnets: self.subnets.clone(),
            members: self.members.iter().map(member).collect(),
        }
    }
}
