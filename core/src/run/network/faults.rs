//! Faults between members: partitions, and the loss of frames.
//!
//! They are about names, not about sandboxes: a member that ends and starts again under its name
//! meets the same faults.

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
    blocked: BTreeSet<(String, String)>,
    /// From and to, and the share of the frames in parts of 2^32.
    loss: BTreeMap<(String, String), u64>,
}

impl Faults {
    /// Whether no frame is lost.
    pub fn is_none(&self) -> bool {
        self.groups.is_empty()
            && self.isolated.is_empty()
            && self.blocked.is_empty()
            && self.loss.is_empty()
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
            let hits = |pair: &(String, String)| from.is_called(&pair.0) && to.is_called(&pair.1);
            let cut = self.group(from) != self.group(to)
                || from.is_one_of(&self.isolated)
                || self.blocked.iter().any(hits);
            if cut {
                return ALWAYS;
            }
            let losses = self.loss.iter().filter(|(pair, _)| hits(pair)).map(|(_, share)| *share);
            losses.max().unwrap_or(0)
        };
        let senders = members.map(|(number, from)| (number, share(from)));
        Drops::From(senders.filter(|(_, share)| *share > 0).collect())
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
/// ports of a switch change one after another, within about a tenth of a millisecond each. Nothing
/// is delivered later: a frame that meets a fault is lost, and protocols such as TCP send it again.
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
    /// two groups have the same member. An error if the kernel refuses the filter.
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

    /// Drops each frame that one member sends to another with this probability, from 0 to 1. The
    /// other direction stays as it is. 0 ends it. A frame holds up to 64 KiB of a TCP stream.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the probability is not from 0 to 1.
    /// Otherwise as [`Network::partition`].
    pub fn set_loss(&self, from: &str, to: &str, probability: f64) -> Result<()> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(Error::invalid(format!("loss {probability}"), "it must be from 0 to 1"));
        }
        self.known([from, to])?;
        let share = (probability * ALWAYS as f64) as u64;
        let pair = (from.to_owned(), to.to_owned());
        self.change_faults(|faults| match share {
            0 => drop(faults.loss.remove(&pair)),
            share => drop(faults.loss.insert(pair, share)),
        })
    }

    /// Ends the partition, all isolation and all blocks. Loss stays until it is set to 0.
    ///
    /// # Errors
    ///
    /// An error if the kernel refuses the filter.
    pub fn heal(&self) -> Result<()> {
        self.change_faults(|faults| {
            *faults = Faults { loss: std::mem::take(&mut faults.loss), ..Faults::default() };
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
