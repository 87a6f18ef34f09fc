//! What happens between the members of a network: faults, and what each has sent and received.

use crate::boundary::{Answer, Structure, code, read, read_sized, texts, utf8, write_sized};
use crate::error::seclude_error;
use crate::network::seclude_network;
use seclude_core::{Backend, Link, Network, Traffic};
use std::ffi::{c_char, c_int};
use std::time::Duration;

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

/// The kernel carries out the faults where it can, else the relay.
pub const SECLUDE_BACKEND_AUTO: i32 = 0;
/// The kernel's filters. They can do nothing but lose frames, and not by a seed.
pub const SECLUDE_BACKEND_KERNEL: i32 = 1;
/// A thread of the caller's process, which receives the frames, and sends them on.
pub const SECLUDE_BACKEND_RELAY: i32 = 2;

/// The faults of a link, in one direction. A structure of zeros has none.
///
/// The faults are those of whole frames. A frame holds up to 64 KiB of a TCP stream. Frames of ARP
/// and neighbour discovery are delayed, and never lost, duplicated or reordered.
///
/// Functions that read it take its size, `sizeof(seclude_link)`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct seclude_link {
    /// Delivers each frame later by this time, in nanoseconds: at most an hour.
    pub delay_ns: u64,
    /// Varies the delay of each frame by up to this time, in both directions, evenly. In
    /// nanoseconds, at most as long as the delay. The order of the frames stays.
    pub jitter_ns: u64,
    /// Loses each frame with this probability, from 0 to 1.
    pub loss: f64,
    /// Delivers each frame twice with this probability, from 0 to 1.
    pub duplicate: f64,
    /// Delivers each frame at once with this probability, from 0 to 1, so that it overtakes those
    /// that are delayed.
    pub reorder: f64,
    /// Delivers no more than this many bits in a second: 1000 or more. 0: no limit. Frames wait
    /// for it, at most 10,000 of 16 MiB together; what is more is lost.
    pub rate: u64,
    /// The seed of the random numbers, if `seeded` is not 0. With the same frames, the same ones
    /// are then lost, duplicated and reordered.
    pub seed: u64,
    /// Whether `seed` is one. If it is 0, the seed is another one each time.
    pub seeded: i32,
    /// One of `SECLUDE_BACKEND_...`.
    pub backend: i32,
}

impl Structure for seclude_link {}

impl seclude_link {
    fn core(self) -> Answer<Link> {
        let backend = match self.backend {
            SECLUDE_BACKEND_AUTO => Backend::Auto,
            SECLUDE_BACKEND_KERNEL => Backend::Kernel,
            SECLUDE_BACKEND_RELAY => Backend::Relay,
            _ => return Err(seclude_error::invalid("backend", "is none of SECLUDE_BACKEND_...")),
        };
        let mut link = Link::new()
            .delay(Duration::from_nanos(self.delay_ns))
            .jitter(Duration::from_nanos(self.jitter_ns))
            .loss(self.loss)
            .duplicate(self.duplicate)
            .reorder(self.reorder)
            .backend(backend);
        if self.rate != 0 {
            link = link.rate(self.rate);
        }
        Ok(if self.seeded == 0 { link } else { link.seed(self.seed) })
    }
}

fn network<'a>(network: *const seclude_network) -> Answer<&'a Network> {
    Ok(&read("network", network)?.network)
}

/// Parts the members into groups that do not reach each other. The members that no group names form
/// a group of their own. Replaces an earlier partition.
///
/// `groups` is an array that ends with NULL. Each of its elements is an array of strings that ends
/// with NULL: the host names of members, or addresses of theirs.
///
/// A fault applies to whoever has the name, also to a member that ends and starts again. The
/// members may run meanwhile. A frame that meets a fault is lost. The ports of the network change
/// one after another, within about a tenth of a millisecond each.
///
/// `SECLUDE_EINVAL` if there is no such member, or if one is in two groups. `SECLUDE_EUNSUPPORTED`
/// if the kernel has no classic filters (CONFIG_NET_CLS_BPF).
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

/// Delays, loses, duplicates or reorders the frames that one member sends to another, or bounds
/// their rate. Takes the place of an earlier call for the same two members. The other direction
/// stays as it is. NULL for `link`, or a structure of zeros, ends it.
///
/// Without a seed, the kernel itself loses frames. Everything else is done by a thread of the
/// caller's process, which also carries the frames. `size` is the size of `*link` in bytes.
/// `SECLUDE_EINVAL` if a value is out of its range or has no effect. Otherwise it fails as
/// `seclude_network_partition` does.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_set_link(
    network: *const seclude_network,
    from: *const c_char,
    to: *const c_char,
    link: *const seclude_link,
    size: usize,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let (from, to) = (utf8("from", from)?, utf8("to", to)?);
        let link = read_sized(link, size).core()?;
        self::network(network)?.set_link(from, to, &link)?;
        Ok(0)
    })
}

/// Ends the partition, all isolation and all blocks. Links stay as they are.
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
