//! The addresses of a network namespace, as the kernel lists them for a process in it: `proc(5)`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that others can reach, IPv4 first. None are known if the lists cannot be read.
pub fn of(pid: u32) -> Vec<IpAddr> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}"));
    let v4 = read("fib_trie").map(|text| v4(&text)).unwrap_or_default();
    let v6 = read("if_inet6").map(|text| v6(&text)).unwrap_or_default();
    v4.into_iter().map(IpAddr::V4).chain(v6.into_iter().map(IpAddr::V6)).collect()
}

/// In the list of routes, an address stands in the line before its route `/32 host LOCAL`. Both
/// the main and the local table have it.
fn v4(text: &str) -> Vec<Ipv4Addr> {
    let (mut found, mut last) = (Vec::new(), None);
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = last
            && !Ipv4Addr::is_loopback(&address)
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Each line begins with an address, and has its scope in the fourth column: 0 is global.
fn v6(text: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let bits = u128::from_str_radix(words.first()?, 16).ok()?;
        (words.get(3) == Some(&"00")).then(|| Ipv6Addr::from_bits(bits))
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_host_itself_and_of_links_are_left_out() {
        let routes = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.64.0.0\n        /24 link UNICAST\n     \
                      |-- 10.64.0.5\n        /32 host LOCAL\n     |-- 10.64.0.255\n        \
                      /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n     \
                      |-- 10.64.0.5\n        /32 host LOCAL\n";
        assert_eq!(v4(routes), [Ipv4Addr::new(10, 64, 0, 5)]);
        let list = "00000000000000000000000000000001 01 80 10 80       lo\n\
                    fd5ec1de000000000000000000000005 02 40 00 80     eth0\n\
                    fe80000000000000000000fffe000005 02 40 20 80     eth0\n\nx\n";
        assert_eq!(v6(list), ["fd5e:c1de::5".parse::<Ipv6Addr>().unwrap()]);
        assert_eq!((v4("x |--\n/32 host LOCAL"), v6("zz 1 1 00")), (vec![], vec![]));
    }
}
