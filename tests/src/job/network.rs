//! The private network of a job: the driver makes it with the name that the policy says, gives it
//! to the policy's sandbox, and starts the further members.

use super::Job;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Its subnets. Empty means its own choice.
    pub subnets: Vec<String>,
    /// The further members, which the driver starts in cells before the command.
    pub members: Vec<Member>,
}

/// A further member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The policy in JSON, without the network.
    pub policy: String,
    /// A command that runs meanwhile. The driver waits for its first line. Empty means none.
    pub command: Vec<OsString>,
}

impl Network {
    /// Writes the lines of the network.
    pub(super) fn write(&self, line: &mut impl FnMut(&str, &[&[u8]])) {
        line("network", &[]);
        for subnet in &self.subnets {
            line("subnet", &[subnet.as_bytes()]);
        }
        for member in &self.members {
            line("member", &[member.policy.as_bytes()]);
            for word in &member.command {
                line("member-arg", &[word.as_bytes()]);
            }
        }
    }
}

/// Reads a line of the network. Returns false if the key belongs to something else.
pub(super) fn read(job: &mut Job, key: &str, value: Vec<u8>) -> Result<bool, String> {
    if key == "network" {
        job.network = Some(Network::default());
        return Ok(true);
    }
    let Some(network) = &mut job.network else { return Ok(false) };
    let text = |value| String::from_utf8(value).map_err(|error| error.to_string());
    match (key, network.members.last_mut()) {
        ("subnet", _) => network.subnets.push(text(value)?),
        ("member", _) => {
            network.members.push(Member { policy: text(value)?, command: Vec::new() });
        }
        ("member-arg", Some(member)) => member.command.push(OsString::from_vec(value)),
        _ => return Ok(false),
    }
    Ok(true)
}
