//! The members of a network: their addresses, links and names.

use super::faults::Faults;
use super::hosts::{self, Hosts};
use super::relay::{Lane, Pair, Relay};
use super::{Member, Network, Switch, links, namespaces, refused};
use crate::base::error::{Error, Result};
use crate::base::kept::Kept;
use crate::host::launch::Birthplace;
use crate::host::network::filter::Drops;
use crate::host::network::netlink::Netlink;
use crate::host::network::tap::Tap;
use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// The index of the first port. Lower ones are those of the loopback device and the bridge.
const FIRST_PORT: u32 = 16;

/// All members, by their numbers.
#[derive(Debug)]
pub struct Members {
    all: BTreeMap<u32, Entry>,
    /// The ports of the members that have left, by number. The kernel may not have removed them
    /// yet.
    left: BTreeMap<u32, u32>,
    /// The number of addresses.
    room: u32,
    pub(super) faults: Faults,
    /// Carries the links that the kernel's filters cannot.
    relay: Option<Relay>,
    /// The number that was given out last.
    last: u32,
    next_port: u32,
}

#[derive(Debug)]
struct Entry {
    member: Member,
    port: u32,
    /// The slot of its name in the hosts files, if it has a name.
    slot: Option<usize>,
    /// Its own hosts file, once it has one.
    hosts: Option<Hosts>,
    /// Its link exists.
    is_linked: bool,
    /// What its port drops.
    drops: Drops,
}

impl Members {
    pub fn new(room: u32) -> Members {
        Members {
            all: BTreeMap::new(),
            left: BTreeMap::new(),
            room,
            faults: Faults::default(),
            relay: None,
            last: 0,
            next_port: FIRST_PORT,
        }
    }

    pub fn list(&self) -> Vec<Member> {
        self.all.values().map(|entry| entry.member.clone()).collect()
    }

    /// The port of the member with this name or address.
    pub fn port(&self, name: &str) -> Option<u32> {
        self.all.values().find(|entry| entry.member.is_called(name)).map(|entry| entry.port)
    }

    /// A number that no member has. Numbers are given out in turn, so that one is not used again
    /// while others may still know its last owner.
    fn free_number(&self) -> Option<u32> {
        let all = (self.last + 1..=self.room).chain(1..=self.last);
        all.into_iter().find(|number| !self.all.contains_key(number))
    }

    /// Gives each port whose filter is not that of the faults another one.
    ///
    /// # Errors
    ///
    /// The first that the kernel refuses. The other ports have their filters nevertheless.
    pub(super) fn apply_faults(&mut self, switch: &Switch) -> Result<()> {
        let relayed = self.relay(switch);
        let Members { all, faults, .. } = self;
        if faults.is_none() && all.values().all(|entry| entry.drops == Drops::NOTHING) {
            return relayed;
        }
        let changed = |(number, to): (&u32, &Entry)| {
            let members = all.iter().map(|(number, entry)| (*number, &entry.member));
            let drops = faults.drops(&to.member, members);
            (to.is_linked && drops != to.drops).then_some((*number, drops))
        };
        let changes: Vec<(u32, Drops)> = all.iter().filter_map(changed).collect();
        let mut result = relayed;
        for (number, drops) in changes {
            let Some(entry) = all.get_mut(&number) else { continue };
            match switch.filter(entry.port, &drops) {
                Ok(()) => entry.drops = drops,
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }

    /// Gives the relay the links that are its own. There is a relay only while there are any.
    pub(super) fn relay(&mut self, switch: &Switch) -> Result<()> {
        let Members { all, faults, relay, .. } = self;
        let mut lanes = Vec::new();
        for (pair, link) in faults.relayed() {
            let of = |name: &str| {
                let hits = |entry: &Entry| entry.is_linked && entry.member.is_called(name);
                all.iter().find(|(_, entry)| hits(entry))
            };
            if let (Some((from, sender)), Some((to, receiver))) = (of(&pair.0), of(&pair.1))
                && !faults.cuts(&sender.member, &receiver.member)
            {
                let (from, to) = ((*from, sender.port), (*to, receiver.port));
                lanes.push(Lane { pair: pair.clone(), link: *link, from, to });
            }
        }
        if faults.relayed().next().is_none() {
            *relay = None;
            return Ok(());
        }
        let relay = match relay {
            Some(relay) => relay,
            none => none.insert(Relay::start()?),
        };
        relay.carry(lanes, |port| {
            let socket = namespaces::packet_socket(switch.users.get()?, switch.own.get()?)?;
            Tap::open(socket, port)
                .map_err(|error| Error::io("open a socket on a port of the network", error))
        })
    }

    /// Begins the random numbers of a link again.
    pub(super) fn restart(&self, pair: &Pair) {
        if let Some(relay) = &self.relay {
            relay.restart(pair);
        }
    }

    fn free_slot(&self) -> usize {
        let taken: BTreeSet<usize> = self.all.values().filter_map(|entry| entry.slot).collect();
        (0..).find(|slot| !taken.contains(slot)).unwrap_or(0)
    }

    /// Writes the line of one member, or its absence, to the hosts files of all.
    fn show(&self, slot: usize, member: Option<&Member>) {
        let line = hosts::slot(member.and_then(line));
        for hosts in self.all.values().filter_map(|entry| entry.hosts.as_ref()) {
            // It fails for a member that is ending, and for one whose descriptor the caller has
            // closed. The others are shown it nevertheless.
            let _ = hosts.write(slot, &line);
        }
    }

    /// The lines of all members.
    fn lines(&self) -> Vec<u8> {
        let slots = self.all.values().filter_map(|entry| entry.slot.map(|slot| (slot, entry)));
        let slots: BTreeMap<usize, &Entry> = slots.collect();
        let one = |slot| hosts::slot(slots.get(&slot).and_then(|entry| line(&entry.member)));
        (0..self.slots()).flat_map(one).collect()
    }

    /// The number of slots up to the last that is taken.
    fn slots(&self) -> usize {
        self.all.values().filter_map(|entry| entry.slot).max().map_or(0, |last| last + 1)
    }
}

fn line(member: &Member) -> Option<(&str, &[IpAddr])> {
    member.hostname.as_deref().map(|name| (name, &*member.addresses))
}

/// The membership of one sandbox. Dropping it takes the member out of the network.
#[derive(Debug)]
pub struct Membership {
    network: Network,
    number: u32,
    port: u32,
    /// The number of its device in its network namespace.
    pub device: u32,
    /// The network namespace of the member.
    pub namespace: Kept,
}

impl Membership {
    /// Makes a network namespace, and connects it to the network.
    pub(super) fn new(
        switch: &Arc<Switch>,
        hostname: Option<&str>,
        address: Option<&str>,
    ) -> Result<Membership> {
        Membership::reserved(switch, hostname, address, 0, || {
            namespaces::make_in(switch.users.get()?)
        })
    }

    /// Connects an existing network namespace to the network.
    pub(super) fn of_running(
        switch: &Arc<Switch>,
        hostname: Option<&str>,
        device: u32,
        owner: &OwnedFd,
        own: OwnedFd,
    ) -> Result<Membership> {
        Membership::reserved(switch, hostname, None, device, || {
            let netlink = namespaces::routing_socket(owner.as_fd(), own.as_fd())?;
            Ok((own, netlink))
        })
    }

    fn reserved(
        switch: &Arc<Switch>,
        hostname: Option<&str>,
        address: Option<&str>,
        device: u32,
        namespace: impl FnOnce() -> Result<(OwnedFd, Netlink)>,
    ) -> Result<Membership> {
        let (number, port, leftover) = reserve(switch, hostname, address)?;
        if let Some(leftover) = leftover {
            // The kernel removes a link some time after the last process in its namespace. Until
            // then the last member with this address would answer. The link may be gone by now.
            let _ = switch.netlink.ask(links::remove(leftover));
        }
        let connected = namespace().and_then(|(namespace, netlink)| {
            let namespace = Kept::from(namespace);
            connect(switch, number, port, device, &namespace, &netlink)?;
            Ok(namespace)
        });
        match connected {
            Ok(namespace) => {
                let network = Network(switch.clone());
                Ok(Membership { network, number, port, device, namespace })
            }
            Err(error) => {
                // A running sandbox may have got the link already.
                let _ = switch.netlink.ask(links::remove(port));
                switch.members().all.remove(&number);
                Err(error)
            }
        }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where a new sandbox is made, to be in the member's network namespace.
    pub fn birthplace(&self) -> Result<Birthplace<'_>> {
        Ok(Birthplace { users: self.switch().users.get()?, network: self.namespace.get()? })
    }

    /// Whether an address could be in this network and in another one.
    pub fn conflicts_with(&self, other: &Network) -> bool {
        self.switch().subnets.overlap(&other.0.subnets)
    }

    /// Takes a running member out of the network. Its hosts file lists no members any more.
    pub fn disconnect(self) -> Result<()> {
        let mut members = self.switch().members();
        let blank = hosts::slot(None).repeat(members.slots());
        if let Some(hosts) = members.all.get_mut(&self.number).and_then(|entry| entry.hosts.take())
        {
            hosts.write(0, &blank)?;
        }
        drop(members);
        self.switch().ask(links::remove(self.port), "take a member out of the network")
    }

    fn switch(&self) -> &Switch {
        &self.network.0
    }

    /// The member's addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let members = self.switch().members();
        members.all.get(&self.number).map_or_else(Vec::new, |entry| entry.member.addresses.clone())
    }

    /// Makes the names of all members known to the sandbox, and its name to the others. To be
    /// called when it is set up. `hosts`: its hosts file, open for writing, if it follows the
    /// members.
    pub fn introduce(&self, hosts: Option<OwnedFd>) -> Result<()> {
        let mut members = self.switch().members();
        if let Some(hosts) = hosts {
            let hosts = Hosts::new(hosts)?;
            hosts.write(0, &members.lines())?;
            if let Some(entry) = members.all.get_mut(&self.number) {
                entry.hosts = Some(hosts);
            }
        }
        if let Some(Entry { slot: Some(slot), member, .. }) = members.all.get(&self.number) {
            members.show(*slot, Some(member));
        }
        Ok(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // The members of a process that was forked are those of the process that forked it.
        if !self.switch().is_ours() {
            return;
        }
        let mut members = self.switch().members();
        if let Some(entry) = members.all.remove(&self.number) {
            members.left.insert(self.number, entry.port);
            if let Some(slot) = entry.slot {
                members.show(slot, None);
            }
            // Its port is about to go.
            let _ = members.relay(self.switch());
        }
    }
}

/// Enters a member in the list. Returns its number, the index of its port, and the port of the last
/// member with this number.
fn reserve(
    switch: &Switch,
    hostname: Option<&str>,
    address: Option<&str>,
) -> Result<(u32, u32, Option<u32>)> {
    let mut members = switch.members();
    let asked = address.map(|address| switch.subnets.number(address)).transpose()?;
    let number = match asked.or_else(|| members.free_number()) {
        Some(number) => number,
        None => {
            return Err(Error::invalid(
                format!("network {}", switch.name),
                format!("all of its {} addresses are taken", members.room),
            )
            .hint("give it a subnet with a shorter prefix"));
        }
    };
    if let Some(name) = hostname
        && members.all.values().any(|entry| entry.member.hostname.as_deref() == Some(name))
    {
        return Err(Error::invalid(
            format!("host name {name:?}"),
            format!("a member of the network {} has it", switch.name),
        )
        .hint("give each sandbox a host name of its own, or run one at a time"));
    }
    let (port, slot) = (members.next_port, hostname.map(|_| members.free_slot()));
    let addresses = switch.subnets.addresses(number).into_iter().map(|(address, _)| address);
    let member = Member { hostname: hostname.map(Into::into), addresses: addresses.collect() };
    match members.all.entry(number) {
        Place::Occupied(_) => {
            let address = address.unwrap_or_default();
            return Err(Error::invalid(
                format!("address {address}"),
                format!("a member of the network {} has it", switch.name),
            )
            .hint("choose another one, or leave the choice to the network"));
        }
        Place::Vacant(place) => {
            let drops = Drops::NOTHING;
            place.insert(Entry { member, port, slot, hosts: None, is_linked: false, drops })
        }
    };
    members.next_port += 1;
    members.last = number;
    Ok((number, port, members.left.remove(&number)))
}

/// Makes the link of a member, and gives it its addresses.
fn connect(
    switch: &Switch,
    number: u32,
    port: u32,
    device: u32,
    namespace: &Kept,
    netlink: &Netlink,
) -> Result<()> {
    // The same for each member with this number: what others have learned stays true.
    let [_, high, middle, low] = number.to_be_bytes();
    let link = links::member(port, device, [0x02, 0, 0, high, middle, low], namespace.get()?);
    switch.ask(link, "connect a member to the network")?;
    let mut members = switch.members();
    if let Some(entry) = members.all.get_mut(&number) {
        entry.is_linked = true;
    }
    // Before the member's device is up, so that nothing slips through.
    members.apply_faults(switch)?;
    drop(members);
    netlink
        .ask(links::addresses(device, &switch.subnets.addresses(number)))
        .map_err(|refusal| refused(refusal, "give a member its addresses"))
}
