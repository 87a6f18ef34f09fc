//! The subnets of a network, and the addresses in them.

use crate::base::error::{Error, ErrorKind, Result};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};

/// At most one subnet of each family. A member has the same number in both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnets {
    v4: Option<Ipv4Net>,
    v6: Option<Ipv6Net>,
}

impl Subnets {
    /// The subnets of a network that names none. Each network of this process has others, so that
    /// one cell can join several: 10.64.N.0/24 and fd5e:c1de:0:N::/64.
    pub fn unused() -> Subnets {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [high, low] = number.to_be_bytes();
        let v4 = Ipv4Addr::new(10, 64 + high % 64, low, 0);
        let v6 = Ipv6Addr::new(0xfd5e, 0xc1de, 0, number, 0, 0, 0, 0);
        Subnets {
            v4: Ipv4Net::new(v4, 24).ok(),
            v6: Ipv6Net::new(v6, 64).ok().filter(|_| has_ipv6()),
        }
    }

    /// Reads subnets in the form `10.9.0.0/24` or `fd00:9::/64`.
    ///
    /// # Errors
    ///
    /// `Invalid` if one is malformed, too small, or not for local use; if there are two of one
    /// family; or if there is none. `Unsupported` for IPv6 on a kernel without it.
    pub fn read<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Subnets> {
        let mut subnets = Subnets { v4: None, v6: None };
        for text in texts {
            let wrong = |why: &str| Error::invalid(format!("subnet {text:?}"), why);
            let subnet: IpNet = text.parse().map_err(|_| {
                wrong("it is malformed").hint("write it like 10.9.0.0/24 or fd00:9::/64")
            })?;
            if subnet.trunc() != subnet {
                return Err(wrong("it has bits beyond its prefix")
                    .hint(format!("write {}", subnet.trunc())));
            }
            let twice = match subnet {
                IpNet::V4(subnet) => subnets.v4.replace(subnet).is_some(),
                IpNet::V6(subnet) => subnets.v6.replace(subnet).is_some(),
            };
            if twice {
                return Err(wrong("a network has one subnet of each family, and this is another"));
            }
            if subnet.max_prefix_len() - subnet.prefix_len() < 2 {
                return Err(wrong("it has no room for two members").hint("use a shorter prefix"));
            }
            let address = subnet.addr();
            if address.is_loopback() || address.is_multicast() || subnet.prefix_len() == 0 {
                return Err(wrong("its addresses are not those of hosts"));
            }
            if address.is_ipv6() && !has_ipv6() {
                return Err(wrong("this kernel has no IPv6").of_kind(ErrorKind::Unsupported));
            }
        }
        if subnets.v4.is_none() && subnets.v6.is_none() {
            return Err(Error::invalid("subnets", "none is given"));
        }
        Ok(subnets)
    }

    fn all(&self) -> impl Iterator<Item = IpNet> {
        self.v4.map(IpNet::V4).into_iter().chain(self.v6.map(IpNet::V6))
    }

    /// The texts of the subnets, IPv4 first.
    pub fn texts(&self) -> Vec<String> {
        self.all().map(|subnet| subnet.to_string()).collect()
    }

    /// Whether an address is in two of the subnets.
    pub fn overlap(&self, other: &Subnets) -> bool {
        self.all().any(|one| {
            other
                .all()
                .any(|other| one.contains(&other.network()) || other.contains(&one.network()))
        })
    }

    /// The number of members that have addresses at the same time.
    pub fn room(&self) -> u32 {
        let room = |subnet: IpNet| {
            let bits = u32::from(subnet.max_prefix_len() - subnet.prefix_len());
            // The first and the last address of an IPv4 subnet are not those of hosts. IPv6 has no
            // broadcast, but its first address is that of the routers.
            2u32.checked_pow(bits.min(24)).map_or(0, |number| number - 2)
        };
        self.all().map(room).min().unwrap_or(0)
    }

    /// The addresses of the member with this number, from 1 on, with the lengths of the prefixes.
    pub fn addresses(&self, number: u32) -> Vec<(IpAddr, u8)> {
        let address = |subnet: IpNet| match subnet.network() {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() + number)),
            IpAddr::V6(first) => {
                IpAddr::V6(Ipv6Addr::from_bits(first.to_bits() + u128::from(number)))
            }
        };
        self.all().map(|subnet| (address(subnet), subnet.prefix_len())).collect()
    }

    /// The number of the member with this address.
    ///
    /// # Errors
    ///
    /// `Invalid` if the address is malformed or not one of a host in the subnets.
    pub fn number(&self, text: &str) -> Result<u32> {
        let wrong = |why: String| Error::invalid(format!("address {text:?}"), why);
        let address: IpAddr = text.parse().map_err(|_| wrong("it is malformed".into()))?;
        let subnets = self.texts().join(" and ");
        let subnet = self.all().find(|subnet| subnet.contains(&address)).ok_or_else(|| {
            wrong(format!("the network's addresses are {subnets}")).hint("choose one of them")
        })?;
        let number = match (address, subnet.network()) {
            (IpAddr::V4(address), IpAddr::V4(first)) => {
                u128::from(address.to_bits() - first.to_bits())
            }
            (IpAddr::V6(address), IpAddr::V6(first)) => address.to_bits() - first.to_bits(),
            _ => 0,
        };
        match u32::try_from(number) {
            Ok(number) if (1..=self.room()).contains(&number) => Ok(number),
            _ => Err(wrong(format!(
                "the members of {subnets} have the numbers 1 to {}",
                self.room()
            ))
            .hint(format!("choose {} or a later one", self.addresses(1)[0].0))),
        }
    }
}

/// Whether this kernel has IPv6.
/// Whether the kernel has IPv6.
pub fn has_ipv6() -> bool {
    Path::new("/proc/self/net/if_inet6").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(texts: &[&str]) -> String {
        Subnets::read(texts.iter().copied()).unwrap_err().to_string()
    }

    #[test]
    fn malformed_subnets_are_refused_each_for_its_reason() {
        assert!(wrong(&["10.9.0.0"]).contains("malformed"));
        assert!(wrong(&["10.9.0.0/33"]).contains("malformed"));
        assert!(wrong(&["10.9.0.1/24"]).contains("write 10.9.0.0/24"));
        assert!(wrong(&["10.9.0.0/31"]).contains("no room"));
        assert!(wrong(&["10.9.0.0/24", "10.8.0.0/24"]).contains("one subnet of each family"));
        assert!(wrong(&["127.0.0.0/8"]).contains("not those of hosts"));
        assert!(wrong(&["0.0.0.0/0"]).contains("not those of hosts"));
        assert!(wrong(&["ff00::/8"]).contains("not those of hosts"));
        assert!(wrong(&[]).contains("none is given"));
    }

    #[test]
    fn a_number_has_one_address_in_each_subnet_and_each_address_a_number() {
        let subnets = Subnets::read(["10.9.0.0/30"]).unwrap();
        assert_eq!(subnets.room(), 2);
        assert_eq!(subnets.addresses(2), [("10.9.0.2".parse().unwrap(), 30)]);
        assert_eq!(subnets.number("10.9.0.2").unwrap(), 2);
        for outside in ["10.9.0.0", "10.9.0.3", "10.9.1.1", "::1", "10.9.0", ""] {
            assert!(subnets.number(outside).is_err(), "{outside}");
        }
        if has_ipv6() {
            let both = Subnets::read(["10.9.0.0/24", "fd00:9::/64"]).unwrap();
            assert_eq!(both.room(), 254);
            assert_eq!(both.number("fd00:9::fe").unwrap(), 254);
            assert!(both.number("fd00:9::ff").is_err());
            assert!(both.number("fd00:9::1:0:0:0").is_err());
        }
    }

    #[test]
    fn subnets_that_share_an_address_overlap() {
        let subnets = |text: &str| Subnets::read([text]).unwrap();
        assert!(subnets("10.9.0.0/16").overlap(&subnets("10.9.3.0/24")));
        assert!(subnets("10.9.3.0/24").overlap(&subnets("10.9.0.0/16")));
        assert!(!subnets("10.9.3.0/24").overlap(&subnets("10.9.4.0/24")));
        assert!(!Subnets::unused().overlap(&Subnets::unused()));
    }
}
