//! A picture of a network in characters: its members, and the faults between them.

use super::{Link, Member, Network};
use std::fmt;

impl fmt::Display for Network {
    /// Draws the network: a line for each member, with its addresses, and below it a line for each
    /// fault that meets what it sends.
    ///
    /// ```text
    /// lab  10.64.0.0/24  fd5e:c1de:0:1::/64
    /// ├─ a  10.64.0.2  fd5e:c1de:0:1::2
    /// │  ├─ to b: delay 50ms, loss 0.1
    /// │  └─ to c: cut off
    /// ├─ b  10.64.0.3  fd5e:c1de:0:1::3
    /// │  └─ to c: cut off
    /// └─ c  10.64.0.4  fd5e:c1de:0:1::4
    ///    └─ to a, b: cut off
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name().escape_debug())?;
        for subnet in self.subnets() {
            write!(f, "  {subnet}")?;
        }
        let members = self.members();
        for (from, (corner, edge)) in members.iter().zip(corners(members.len())) {
            write!(f, "\n{corner}{}", name(from))?;
            for address in from.addresses.iter().skip(usize::from(from.hostname.is_none())) {
                write!(f, "  {address}")?;
            }
            let faults = self.faults_of(from, &members);
            for (fault, (corner, _)) in faults.iter().zip(corners(faults.len())) {
                write!(f, "\n{edge}{corner}{fault}")?;
            }
        }
        Ok(())
    }
}

impl Network {
    /// The faults that meet what a member sends, a line for each.
    fn faults_of(&self, from: &Member, members: &[Member]) -> Vec<String> {
        let state = self.0.members();
        let others = || members.iter().filter(|to| *to != from);
        let (cut, open): (Vec<_>, Vec<_>) = others().partition(|to| state.faults.cuts(from, to));
        let faulty = |to: &Member| {
            let link = state.faults.link(from, to)?;
            Some(format!("to {}: {link}", name(to)))
        };
        let mut faults: Vec<String> = open.into_iter().filter_map(faulty).collect();
        if !cut.is_empty() {
            let names: Vec<String> = cut.into_iter().map(name).collect();
            faults.push(format!("to {}: cut off", names.join(", ")));
        }
        faults
    }
}

impl fmt::Display for Link {
    /// `delay 50ms, jitter 10ms, loss 0.1, seed 7`. Only what is set is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = [("delay", self.delay), ("jitter", self.jitter)];
        let shares =
            [("loss", self.loss), ("duplicate", self.duplicate), ("reorder", self.reorder)];
        let parts: Vec<String> = (times.iter().filter(|(_, time)| !time.is_zero()))
            .map(|(what, time)| format!("{what} {time:?}"))
            .chain(
                shares
                    .iter()
                    .filter(|(_, share)| *share > 0.0)
                    .map(|(what, share)| format!("{what} {share}")),
            )
            .chain(self.rate.map(|rate| format!("rate {rate} bit/s")))
            .chain(self.seed.map(|seed| format!("seed {seed}")))
            .collect();
        f.write_str(&if parts.is_empty() { "no faults".into() } else { parts.join(", ") })
    }
}

/// The host name, or the first address.
fn name(member: &Member) -> String {
    let address = || member.addresses.first().map(ToString::to_string).unwrap_or_default();
    member.hostname.as_ref().map_or_else(address, |name| name.escape_debug().to_string())
}

/// What stands in front of each of so many lines, and in front of what is below it.
fn corners(count: usize) -> impl Iterator<Item = (&'static str, &'static str)> {
    (1..=count).map(move |number| if number < count { ("├─ ", "│  ") } else { ("└─ ", "   ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_link_shows_what_is_set() {
        let link = Link::new().delay(Duration::from_millis(50)).loss(0.1).rate(1000).seed(7);
        assert_eq!(link.to_string(), "delay 50ms, loss 0.1, rate 1000 bit/s, seed 7");
        assert_eq!(Link::new().to_string(), "no faults");
    }
}
