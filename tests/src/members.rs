//! What the Rust driver does with the network of a job: it makes the network and starts its further
//! members.

use crate::job::Job;
use seclude::{Cell, Child, Network, Result, Sandbox, Stdio};
use std::io::Read;

/// A member that is there until it is dropped.
pub struct Member {
    _running: Option<Child>,
    _cell: Cell,
}

/// Makes the network and the further members. Returns the sandbox with its network.
pub fn start(job: &Job, sandbox: Sandbox) -> Result<(Sandbox, Vec<Member>)> {
    let (Some(wanted), Some(name)) = (&job.network, sandbox.network_name()) else {
        return Ok((sandbox, Vec::new()));
    };
    let builder = Network::builder().name(name);
    let builder = wanted.subnets.iter().fold(builder, |builder, subnet| builder.subnet(subnet));
    let network = builder.build()?;
    let member = |member: &crate::job::Member| {
        let cell = Sandbox::from_json(&member.policy)?.network(&network).cell()?;
        let running = match &member.command[..] {
            [] => None,
            [program, arguments @ ..] => {
                let mut command = cell.command(program);
                let mut child = command.args(arguments).stdout(Stdio::piped()).spawn()?;
                await_line(&mut child);
                Some(child)
            }
        };
        Ok(Member { _running: running, _cell: cell })
    };
    let members = wanted.members.iter().map(member).collect::<Result<_>>()?;
    Ok((sandbox.network(&network), members))
}

fn await_line(child: &mut Child) {
    let mut byte = [0];
    while let Some(stdout) = &mut child.stdout
        && byte != *b"\n"
        && stdout.read(&mut byte).is_ok_and(|count| count == 1)
    {}
}
