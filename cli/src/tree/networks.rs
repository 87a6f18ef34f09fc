//! Draws the private networks: which sandboxes are in one.
//!
//! The network namespaces of its members belong to a user namespace of the network's own, in which
//! there is no process.

use super::grow::clean;
use super::lines::ids;
use seclude::{LiveNamespace, Namespace, Namespaces};
use std::collections::BTreeMap;

/// A line for each network, and one for each member, by its first process and its addresses. With
/// `pid`, only members below this process.
pub fn networks(seen: &Namespaces, pid: Option<u32>) -> Vec<String> {
    let users = seen.list.iter().filter(|one| one.kind == Namespace::User);
    let owners = users.filter(|one| one.processes.is_empty());
    owners.flat_map(|owner| network(seen, owner, pid)).collect()
}

fn network(seen: &Namespaces, owner: &LiveNamespace, pid: Option<u32>) -> Vec<String> {
    let all = seen.list.iter().flat_map(|one| &one.processes);
    let parents: BTreeMap<u32, u32> = all.map(|process| (process.pid, process.parent)).collect();
    let is_below = |member: &LiveNamespace, top: u32| {
        let first = member.processes.first().map(|process| process.pid);
        let mut line = std::iter::successors(first, |pid| parents.get(pid).copied());
        line.any(|pid| pid == top)
    };
    let is_member = |one: &&LiveNamespace| {
        one.kind == Namespace::Net
            && one.owner == Some(owner.id)
            && !one.addresses.is_empty()
            && pid.is_none_or(|top| is_below(one, top))
    };
    let members: Vec<&LiveNamespace> = seen.list.iter().filter(is_member).collect();
    if members.len() < 2 {
        return Vec::new();
    }
    let mut drawn = vec![format!("Network of user namespace {}", owner.id)];
    for (number, member) in (1..).zip(&members) {
        let corner = if number < members.len() { "├─" } else { "└─" };
        let process = member.processes.first();
        let process = process.map(|one| format!("{} {}", ids(&one.pids), clean(&one.name)));
        let addresses = member.addresses.iter().map(ToString::to_string);
        let words: Vec<String> = process.into_iter().chain(addresses).collect();
        drawn.push(format!("{corner} {}", words.join(" ")));
    }
    drawn
}
