//! What happens between the members of a network: faults, and what each has sent and received.

use crate::boundary::{Answer, Structure, code, read, texts, utf8, write_sized};
use crate::error::seclude_error;
use crate::network::seclude_network;
use seclude_core::{Network, Traffic};
use std::ffi::{c_char, c_int};

/// What a member of a network has sent and received since it joined.
///
/// The kernel counts it at the port of the switch. Bytes include the headers of the frames.
///
/// Functions that fill it take its size, `sizeof(seclude_traffic)`, as for `seclude_outcome`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct seclude_traffic {
    /// The frames that it has sent.
    pub sent_packets: u64,
    /// The bytes in these frames.
    pub sent_bytes: u64,
    /// The frames that it has received. Those that were lost on the way do not count.
    pub received_packets: u64,
    /// The bytes in these frames.
    pub received_bytes: u64,
}

impl Structure for seclude_traffic {}

fn network<'a>(network: *const seclude_network) -> Answer<&'a Network> {
    Ok(&read("network", network)?.network)
}

/// Parts the members into groups that do not reach each other. The members that no group names form
/// a group of their own. Replaces an earlier partition.
///
/// `groups` is an array that ends with NULL. Each of its elements is an array of strings that ends
/// with NULL: the host names of members, or addresses of theirs.
///
/// A fault applies to whoever has the name, also to a member that ends and starts again. The members
/// may run meanwhile. A frame that meets a fault is lost. The ports of the network change one after
/// another, within about a tenth of a millisecond each.
///
/// `SECLUDE_EINVAL` if there is no such member, or if one is in two groups. `SECLUDE_ESETUP` or
/// `SECLUDE_EUNSUPPORTED` if the kernel has no classic filters (CONFIG_NET_CLS_BPF).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_partition(
    network: *const seclude_network,
    groups: *const *const *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        read("groups", groups)?;
        // SAFETY: the array ends with NULL, and nothing after that is read.
        let each = (0..).map(|index| unsafe { *groups.add(index) });
        let groups = each.take_while(|group| !group.is_null());
        let groups = groups.map(|group| texts("groups", group)).collect::<Answer<Vec<_>>>()?;
        self::network(network)?.partition(groups)?;
        Ok(0)
    })
}

/// Cuts a member off from all others. Fails as `seclude_network_partition` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_isolate(
    network: *const seclude_network,
    member: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        self::network(network)?.isolate(utf8("member", member)?)?;
        Ok(0)
    })
}

/// Drops everything that one member sends to another. The other direction stays as it is. Fails as
/// `seclude_network_partition` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_block(
    network: *const seclude_network,
    from: *const c_char,
    to: *const c_char,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        self::network(network)?.block(utf8("from", from)?, utf8("to", to)?)?;
        Ok(0)
    })
}

/// Drops each frame that one member sends to another with a probability from 0 to 1. 0 ends it. The
/// other direction stays as it is. A frame holds up to 64 KiB of a TCP stream. Fails as
/// `seclude_network_partition` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_set_loss(
    network: *const seclude_network,
    from: *const c_char,
    to: *const c_char,
    probability: f64,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let (from, to) = (utf8("from", from)?, utf8("to", to)?);
        self::network(network)?.set_loss(from, to, probability)?;
        Ok(0)
    })
}

/// Ends the partition, all isolation and all blocks. Loss stays until it is set to 0.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_heal(
    network: *const seclude_network,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        self::network(network)?.heal()?;
        Ok(0)
    })
}

/// Writes to `*traffic` what a member, named by its host name or by one of its addresses, has sent
/// and received since it joined. `SECLUDE_EINVAL` if there is no such member.
///
/// `size` is the size of `*traffic` in bytes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_traffic(
    network: *const seclude_network,
    member: *const c_char,
    traffic: *mut seclude_traffic,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let found = self::network(network)?.traffic(utf8("member", member)?)?;
        let Traffic { sent_packets, sent_bytes, received_packets, received_bytes, .. } = found;
        let value = seclude_traffic { sent_packets, sent_bytes, received_packets, received_bytes };
        write_sized(traffic, size, value);
        Ok(0)
    })
}
