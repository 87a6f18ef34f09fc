//! Draws the private networks: which sandboxes are in one.
//!
//! The network namespaces of its members belong to a user namespace of the network's own, in which
//! there is no process.

use super::grow::clean;
use super::lines::ids;
use seclude::{LiveNamespace, Namespace, Namespaces};
use std::collections::BTreeMap;

/// A line for each network, and one for each member, with its first process and its addresses, by
/// which they are sorted. With `pid`, only members below this process.
pub fn networks(seen: &Namespaces, pid: Option<u32>) -> Vec<String> {
    let users = seen.list.iter().filter(|one| one.kind == Namespace::User);
    let owners = users.filter(|one| one.processes.is_empty());
    let all = seen.list.iter().flat_map(|one| &one.processes);
    let parents: BTreeMap<u32, u32> = all.map(|process| (process.pid, process.parent)).collect();
    let is_below = |member: &&LiveNamespace| {
        let first = member.processes.first().map(|process| process.pid);
        let line = std::iter::successors(first, |pid| parents.get(pid).copied());
        // The processes were read one after another. With an id that was used again meanwhile, the
        // line can be a circle.
        pid.is_none_or(|top| line.take(parents.len()).any(|pid| pid == top))
    };
    let networks = seen.list.iter().filter(|one| one.kind == Namespace::Net);
    let shown: Vec<_> = networks.filter(|one| !one.addresses.is_empty()).filter(is_below).collect();
    let members = |owner: u64| {
        let members = shown.iter().copied().filter(|one| one.owner == Some(owner));
        let mut members: Vec<&LiveNamespace> = members.collect();
        // The numbers of namespaces are used again, so they tell no order.
        members.sort_by_key(|member| &member.addresses);
        members
    };
    owners.flat_map(|owner| network(owner, members(owner.id))).collect()
}

fn network(owner: &LiveNamespace, members: Vec<&LiveNamespace>) -> Vec<String> {
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
