//! Faults between members: partitions, and links that lose or delay frames.
//!
//! They are about names, not about sandboxes: a member that ends and starts again under its name
//! meets the same faults.

use super::link::Link;
use super::relay::Pair;
use super::{Member, Network};
use crate::base::error::{Error, Result};
use crate::host::network::filter::{ALWAYS, Drops};
use std::collections::{BTreeMap, BTreeSet};

/// The faults of a network. A member is named by its host name, or by an address of it.
#[derive(Debug, Default)]
pub struct Faults {
    /// Members of different groups do not reach each other. All that are in none are one group.
    groups: Vec<BTreeSet<String>>,
    isolated: BTreeSet<String>,
    /// From and to.
    blocked: BTreeSet<Pair>,
    /// From and to.
    links: BTreeMap<Pair, Link>,
}

impl Faults {
    /// Whether no frame is lost.
    pub fn is_none(&self) -> bool {
        self.groups.is_empty()
            && self.isolated.is_empty()
            && self.blocked.is_empty()
            && self.links.is_empty()
    }

    /// What a member's port drops, given all members by their numbers.
    pub fn drops<'a>(
        &self,
        to: &Member,
        members: impl Iterator<Item = (u32, &'a Member)>,
    ) -> Drops {
        if to.is_one_of(&self.isolated) {
            return Drops::All;
        }
        let share = |from: &Member| {
            if self.cuts(from, to) {
                return ALWAYS;
            }
            let hits =
                |(pair, _): &(&Pair, &Link)| from.is_called(&pair.0) && to.is_called(&pair.1);
            let losses = self.links.iter().filter(hits).map(|(_, link)| match link.is_relayed() {
                // The relay delivers what is to arrive.
                true => ALWAYS,
                false => (link.loss * ALWAYS as f64) as u64,
            });
            losses.max().unwrap_or(0)
        };
        let senders = members.map(|(number, from)| (number, share(from)));
        Drops::From(senders.filter(|(_, share)| *share > 0).collect())
    }

    /// Whether nothing goes from one member to another.
    pub fn cuts(&self, from: &Member, to: &Member) -> bool {
        let hits = |pair: &Pair| from.is_called(&pair.0) && to.is_called(&pair.1);
        self.group(from) != self.group(to)
            || from.is_one_of(&self.isolated)
            || to.is_one_of(&self.isolated)
            || self.blocked.iter().any(hits)
    }

    /// The link from one member to another, if it has faults of its own.
    pub fn link(&self, from: &Member, to: &Member) -> Option<&Link> {
        let hits = |pair: &Pair| from.is_called(&pair.0) && to.is_called(&pair.1);
        self.links.iter().find_map(|(pair, link)| hits(pair).then_some(link))
    }

    /// The links that the relay carries.
    pub fn relayed(&self) -> impl Iterator<Item = (&Pair, &Link)> {
        self.links.iter().filter(|(_, link)| link.is_relayed())
    }

    fn group(&self, member: &Member) -> Option<usize> {
        self.groups.iter().position(|group| member.is_one_of(group))
    }
}

impl Member {
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.hostname.as_deref() == Some(name)
            || self.addresses.iter().any(|address| name.parse() == Ok(*address))
    }

    fn is_one_of(&self, names: &BTreeSet<String>) -> bool {
        names.iter().any(|name| self.is_called(name))
    }
}

/// # Faults between members
///
/// A member is named by its host name, or by one of its addresses. A fault applies to whoever has
/// the name: also to a member that ends and starts again. Faults change while the members run. The
/// ports of a switch change one after another, within about a tenth of a millisecond each. A frame
/// that is lost is not delivered later: protocols such as TCP send it again.
///
/// They need the kernel's classic filters: CONFIG_NET_CLS_BPF and CONFIG_NET_SCH_INGRESS.
impl Network {
    /// Parts the members into groups that do not reach each other. The members that no group names
    /// form a group of their own. Replaces an earlier partition.
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// # use seclude::{Network, Sandbox};
    /// # let network = Network::new()?;
    /// # let on = |name: &str| Sandbox::new().network(&network).hostname(name).cell();
    /// let (a, b, c) = (on("a")?, on("b")?, on("c")?);
    /// network.partition([&["a", "b"][..], &["c"]])?;
    /// network.heal()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if no member has one of the names, or if
    /// two groups have the same member.
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the kernel has no filters of
    /// this kind.
    pub fn partition<G, N>(&self, groups: impl IntoIterator<Item = G>) -> Result<()>
    where
        G: IntoIterator<Item = N>,
        N: AsRef<str>,
    {
        let set = |group: G| group.into_iter().map(|name| name.as_ref().to_owned()).collect();
        let groups: Vec<BTreeSet<String>> = groups.into_iter().map(set).collect();
        self.known(groups.iter().flatten())?;
        for member in self.members() {
            if groups.iter().filter(|group| member.is_one_of(group)).count() > 1 {
                let name = member.hostname.unwrap_or_else(|| member.addresses[0].to_string());
                return Err(Error::invalid(
                    format!("partition of the network {}", self.name()),
                    format!("the member {name} is in two groups"),
                ));
            }
        }
        self.change_faults(|faults| faults.groups = groups)
    }

    /// Cuts a member off from all others.
    ///
    /// # Errors
    ///
    /// As [`Network::partition`].
    pub fn isolate(&self, member: &str) -> Result<()> {
        self.known([member])?;
        self.change_faults(|faults| {
            faults.isolated.insert(member.into());
        })
    }

    /// Drops everything that one member sends to another. The other direction stays as it is.
    ///
    /// # Errors
    ///
    /// As [`Network::partition`].
    pub fn block(&self, from: &str, to: &str) -> Result<()> {
        self.known([from, to])?;
        self.change_faults(|faults| {
            faults.blocked.insert((from.into(), to.into()));
        })
    }

    /// Delays, loses, duplicates or reorders the frames that one member sends to another, or bounds
    /// their rate. Takes the place of an earlier call for the same two members. The other direction
    /// stays as it is. [`Link::new`] ends it.
    ///
    /// Without a seed, the kernel itself loses frames. Everything else is done by a thread of the
    /// caller's process, which also carries the frames: see [`Backend`](crate::Backend).
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// # use seclude::{Link, Network, Sandbox};
    /// # use std::time::Duration;
    /// # let network = Network::new()?;
    /// # let on = |name: &str| Sandbox::new().network(&network).hostname(name).cell();
    /// let (a, b) = (on("a")?, on("b")?);
    /// let slow = Link::new().delay(Duration::from_millis(50)).jitter(Duration::from_millis(10));
    /// network.set_link("a", "b", &slow)?;
    /// network.set_link("b", "a", &slow.loss(0.1).seed(7))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if a value is out of its range or has no
    /// effect. Otherwise as [`Network::partition`].
    pub fn set_link(&self, from: &str, to: &str, link: &Link) -> Result<()> {
        link.check()?;
        self.known([from, to])?;
        let pair = (from.to_owned(), to.to_owned());
        self.0.members().restart(&pair);
        self.change_faults(|faults| match link.is_plain() {
            true => drop(faults.links.remove(&pair)),
            false => drop(faults.links.insert(pair, *link)),
        })
    }

    /// Ends the partition, all isolation and all blocks. Links stay as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the kernel has no filters of
    /// this kind.
    pub fn heal(&self) -> Result<()> {
        self.change_faults(|faults| {
            *faults = Faults { links: std::mem::take(&mut faults.links), ..Faults::default() };
        })
    }

    fn known<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Result<()> {
        self.0.check_creator()?;
        let members = self.members();
        for name in names {
            let name = name.as_ref();
            if !members.iter().any(|member| member.is_called(name)) {
                return Err(self.has_no(name));
            }
        }
        Ok(())
    }

    pub(super) fn has_no(&self, member: &str) -> Error {
        Error::invalid(
            format!("member {member:?}"),
            format!("the network {} has none of this name or address", self.name()),
        )
    }

    fn change_faults(&self, change: impl FnOnce(&mut Faults)) -> Result<()> {
        self.0.check_creator()?;
        let mut members = self.0.members();
        change(&mut members.faults);
        members.apply_faults(&self.0)
    }
}
