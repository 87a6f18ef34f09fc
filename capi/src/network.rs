//! `seclude_network` and `seclude_members`: private networks that sandboxes and cells join.

use crate::boundary::{code, create, free, query, read, texts, utf8, write};
use crate::cell::{cell, seclude_cell};
use crate::child::{State, seclude_child};
use crate::error::seclude_error;
use crate::sandbox::{build, seclude_sandbox};
use crate::text::seclude_text;
use seclude_core::{Member, Network};
use std::ffi::{c_char, c_int};
use std::net::IpAddr;
use std::ptr;
use std::time::Duration;

/// A private network that sandboxes and cells join.
///
/// Each member has an Ethernet device `eth0` with an address of its own, and reaches the others
/// directly, in IPv4 and IPv6. Nothing leads out: neither to the host nor to another network. The
/// members find each other by their host names (`seclude_sandbox_hostname`), which are in the
/// `/etc/hosts` of each. A member is part of the network as long as its sandbox lives.
///
/// No privileges are needed. A command can change neither the links and addresses nor the routes
/// and packet filters of its network, whatever capabilities it keeps.
///
/// All functions on a network may overlap, in any thread. A process that the caller forked may only
/// free the network.
pub struct seclude_network {
    pub(crate) network: Network,
    name: seclude_text,
    subnets: Vec<seclude_text>,
}

/// The members of a network at one moment, in the order of their addresses. The list never changes.
///
/// For an index past the end, the functions return NULL.
pub struct seclude_members {
    list: Vec<MemberEntry>,
}

struct MemberEntry {
    hostname: Option<seclude_text>,
    addresses: Vec<seclude_text>,
}

impl seclude_network {
    fn new(network: Network) -> seclude_network {
        let name = seclude_text::new(network.name());
        let subnets = network.subnets().into_iter().map(seclude_text::new).collect();
        seclude_network { network, name, subnets }
    }
}

impl MemberEntry {
    fn new(member: Member) -> MemberEntry {
        let text = |address: IpAddr| seclude_text::new(address.to_string());
        MemberEntry {
            hostname: member.hostname.map(seclude_text::new),
            addresses: member.addresses.into_iter().map(text).collect(),
        }
    }
}

/// Addresses with a NUL after each.
fn listed(addresses: &[IpAddr]) -> seclude_text {
    let one = |address: &IpAddr| format!("{address}\0");
    seclude_text::new(addresses.iter().map(one).collect::<String>())
}

/// Makes a network.
///
/// `name` has 1 to 64 bytes, and NULL stands for `network`. Policies as text name the network by
/// it. UTF-8.
///
/// `subnets` is an array of strings that ends with NULL: a subnet in the form `10.9.0.0/24`, one in
/// the form `fd00:9::/64`, or one of each. With NULL, the network has 254 IPv4 addresses, and IPv6
/// unless the kernel has none. No other network of this process then has the same.
///
/// `SECLUDE_ENAMESPACES_DENIED` if the host lets the caller make no user and network namespaces,
/// `SECLUDE_EUNSUPPORTED` if the kernel has no bridges or no virtual Ethernet devices.
///
/// `*network` is owned: free it with `seclude_network_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_new(
    name: *const c_char,
    subnets: *const *const c_char,
    network: *mut *mut seclude_network,
    err: *mut *mut seclude_error,
) -> c_int {
    create("network", network, err, || {
        let mut builder = Network::builder();
        if !name.is_null() {
            builder = builder.name(utf8("name", name)?);
        }
        if !subnets.is_null() {
            let subnets = texts("subnets", subnets)?;
            builder = subnets.into_iter().fold(builder, |builder, text| builder.subnet(text));
        }
        Ok(seclude_network::new(builder.build()?))
    })
}

/// Frees a network. NULL is a no-op.
///
/// The network ends once the sandboxes to which it was given and its members are gone, too, and
/// when the calling process ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_network_free(network: *mut seclude_network) {
    free(network);
}

/// Returns the name. NULL for NULL. Borrowed: valid until the network is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_network_name(network: *const seclude_network) -> *const c_char {
    query(network, ptr::null(), |network| Some(network.name.start()))
}

/// Returns a subnet, such as `10.64.0.0/24`, from 0, IPv4 first. NULL past the last. Borrowed:
/// valid until the network is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_network_subnet(
    network: *const seclude_network,
    index: usize,
) -> *const c_char {
    query(network, ptr::null(), |network| Some(network.subnets.get(index)?.start()))
}

/// Draws the network in characters of UTF-8: a line for each member, with its addresses, and below
/// it a line for each fault that meets what it sends (docs/networks.md). For people to read: the
/// form may change.
///
/// `*text` is owned: free it with `seclude_text_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_draw(
    network: *const seclude_network,
    text: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    create("text", text, err, || {
        Ok(seclude_text::new(read("network", network)?.network.to_string()))
    })
}

/// Lists the members at this moment.
///
/// `*members` is owned: free it with `seclude_members_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_network_members(
    network: *const seclude_network,
    members: *mut *mut seclude_members,
    err: *mut *mut seclude_error,
) -> c_int {
    create("members", members, err, || {
        let list = read("network", network)?.network.members();
        Ok(seclude_members { list: list.into_iter().map(MemberEntry::new).collect() })
    })
}

/// Frees a list. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_members_free(members: *mut seclude_members) {
    free(members);
}

/// Returns the number of members in the list. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_members_count(members: *const seclude_members) -> usize {
    query(members, 0, |members| Some(members.list.len()))
}

/// Returns a member's host name, or NULL if its policy sets none. Borrowed: valid until the list is
/// freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_members_hostname(
    members: *const seclude_members,
    index: usize,
) -> *const c_char {
    query(members, ptr::null(), |members| Some(members.list.get(index)?.hostname.as_ref()?.start()))
}

/// Returns one of a member's addresses, from 0, IPv4 first. NULL past the last. Borrowed: valid
/// until the list is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_members_address(
    members: *const seclude_members,
    index: usize,
    address: usize,
) -> *const c_char {
    query(members, ptr::null(), |members| {
        Some(members.list.get(index)?.addresses.get(address)?.start())
    })
}

/// Makes each command and each cell of the sandbox a member of a private network. The sandbox keeps
/// the network, so the caller may free it.
///
/// A member has an address of its own there (`seclude_sandbox_address`) and, if a host name is set
/// (`seclude_sandbox_hostname`), a name that the other members find in `/etc/hosts`. Two members
/// cannot have the same name at once.
///
/// A policy as text only names its network, by the key `network`. It is an error to start a command
/// of such a sandbox before this function has given it a network, which then takes the place of the
/// named one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_sandbox_network(
    sandbox: *mut seclude_sandbox,
    network: *const seclude_network,
) {
    build(sandbox, |sandbox| Ok(sandbox.network(&read("network", network)?.network)));
}

/// Returns the name of the network that the policy asks for, whether or not it was given yet.
///
/// NULL if the policy asks for none, and for NULL. Owned: free it with `seclude_text_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_sandbox_network_name(
    sandbox: *const seclude_sandbox,
) -> *mut seclude_text {
    query(sandbox, ptr::null_mut(), |sandbox| {
        let name = seclude_text::new(sandbox.sound().ok()?.network_name()?);
        Some(Box::into_raw(Box::new(name)))
    })
}

/// Returns the command's addresses in its private network, with a NUL after each, IPv4 first. The
/// text is empty without a network.
///
/// NULL after the output was collected, and for NULL. Owned: free it with `seclude_text_free`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_addresses(child: *const seclude_child) -> *mut seclude_text {
    query(child, ptr::null_mut(), |child| match &child.state {
        State::Held(child) => Some(Box::into_raw(Box::new(listed(&child.addresses())))),
        State::Collected(_) => None,
    })
}

/// Stores the cell's addresses in its private networks, with a NUL after each. Those in its
/// policy's network come first.
///
/// `*addresses` is owned: free it with `seclude_text_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_addresses(
    cell: *const seclude_cell,
    addresses: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    create("addresses", addresses, err, || Ok(listed(&self::cell(cell)?.addresses()?)))
}

/// Waits until a TCP socket listens on `port` in the cell's network, for at most `milliseconds`.
/// Makes no connection.
///
/// Returns 1 if one does, and 0 if the cell has ended or the time is over.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_wait_ready(
    cell: *const seclude_cell,
    port: u16,
    milliseconds: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        let time = Duration::from_millis(milliseconds);
        Ok(self::cell(cell)?.wait_ready(port, time)?.into())
    })
}

/// Waits until a TCP socket listens on `port` in the command's network, for at most `milliseconds`.
/// Makes no connection.
///
/// Returns 1 if one does, and 0 if the command has ended or the time is over. In a network that the
/// command shares, another program may be the one that listens.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_child_wait_ready(
    child: *const seclude_child,
    port: u16,
    milliseconds: u64,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || match &read("child", child)?.state {
        State::Held(child) => {
            Ok(child.wait_ready(port, Duration::from_millis(milliseconds))?.into())
        }
        State::Collected(_) => Ok(0),
    })
}

/// Makes the running cell a member of a private network, by a further Ethernet device, until a
/// reset.
///
/// The other members find it by its host name, if its policy sets one. It finds them by their
/// addresses: its own `/etc/hosts` lists only the network of its policy. `SECLUDE_EINVAL` if the
/// cell is closed or shares the caller's network, if the subnets overlap with those of a network
/// that it is a member of, if a member has its host name, or if no address is left.
///
/// `*addresses` receives its addresses there, with a NUL after each, and is owned: free it with
/// `seclude_text_free`. It is NULL on failure. `addresses` may be NULL.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_connect(
    cell: *const seclude_cell,
    network: *const seclude_network,
    addresses: *mut *mut seclude_text,
    err: *mut *mut seclude_error,
) -> c_int {
    write(addresses, ptr::null_mut());
    code(err, || {
        let got = self::cell(cell)?.connect(&read("network", network)?.network)?;
        if !addresses.is_null() {
            write(addresses, Box::into_raw(Box::new(listed(&got))));
        }
        Ok(0)
    })
}

/// Takes the running cell out of a private network. Its connections there stop. `SECLUDE_EINVAL` if
/// the cell is closed or is no member.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_cell_disconnect(
    cell: *const seclude_cell,
    network: *const seclude_network,
    err: *mut *mut seclude_error,
) -> c_int {
    code(err, || {
        self::cell(cell)?.disconnect(&read("network", network)?.network)?;
        Ok(0)
    })
}
