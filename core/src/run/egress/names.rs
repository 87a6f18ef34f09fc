//! Names, and the addresses that stand for them in one sandbox.

use crate::policy::profile::NAME_SERVER;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// The first address that stands for a name: from the same range as [`NAME_SERVER`].
const FIRST: u32 = NAME_SERVER.to_bits() + 15;
/// The number of names that one sandbox can ask for.
const MOST: usize = 4096;

/// The names that a sandbox has asked for.
#[derive(Debug, Default)]
pub struct Names {
    addresses: HashMap<String, Ipv4Addr>,
    names: HashMap<Ipv4Addr, String>,
    found: HashMap<String, (Instant, Vec<IpAddr>)>,
}

impl Names {
    /// The address that stands for a name, always the same one. `None`: there are too many names.
    pub fn stand_in(&mut self, name: &str) -> Option<Ipv4Addr> {
        if let Some(address) = self.addresses.get(name) {
            return Some(*address);
        }
        let number = self.addresses.len();
        if number == MOST {
            return None;
        }
        let address = Ipv4Addr::from_bits(FIRST + u32::try_from(number).ok()?);
        self.addresses.insert(name.into(), address);
        self.names.insert(address, name.into());
        Some(address)
    }

    /// The name that an address stands for.
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        let IpAddr::V4(address) = address.to_canonical() else { return None };
        self.names.get(&address).map(String::as_str)
    }

    /// The real addresses, if they were looked up a short time ago.
    pub fn found(&self, name: &str) -> Option<Vec<IpAddr>> {
        const FRESH: Duration = Duration::from_secs(60);
        let (when, addresses) = self.found.get(name)?;
        (when.elapsed() < FRESH).then(|| addresses.clone())
    }

    /// Keeps the real addresses of a name that has a stand-in.
    pub fn keep(&mut self, name: &str, addresses: Vec<IpAddr>) {
        if self.addresses.contains_key(name) {
            self.found.insert(name.into(), (Instant::now(), addresses));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_address_and_there_is_an_end_to_names() {
        let mut names = Names::default();
        let first = names.stand_in("a.test").unwrap();
        assert_eq!(names.stand_in("a.test"), Some(first));
        assert_eq!(names.name(first.into()), Some("a.test"));
        assert_eq!(names.name(first.to_ipv6_mapped().into()), Some("a.test"));
        assert_eq!(names.name(NAME_SERVER.into()), None);
        for number in 1..MOST {
            assert!(names.stand_in(&format!("{number}.test")).is_some());
        }
        assert_eq!(names.stand_in("one-more.test"), None);
        assert_eq!(names.stand_in("a.test"), Some(first));
        assert_eq!(names.found("a.test"), None);
        names.keep("a.test", vec![NAME_SERVER.into()]);
        names.keep("unknown.test", vec![NAME_SERVER.into()]);
        assert_eq!(names.found("a.test"), Some(vec![NAME_SERVER.into()]));
        assert_eq!(names.found("unknown.test"), None);
    }
}
