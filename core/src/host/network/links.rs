//! The messages that make the links of a network: a bridge, and for each member a pair of virtual
//! Ethernet devices (veth(4)), one end on the bridge and one in the member's namespace.

use super::netlink::Message;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The index of the loopback device in every network namespace.
const LOOPBACK: u32 = 1;
/// The index of the bridge in the namespace of the switch.
const BRIDGE: u32 = 2;
/// The index of a member's first device in its namespace. Its name is `eth0`.
const FIRST_DEVICE: u32 = 2;

/// Makes the bridge, and brings it up.
pub fn bridge() -> Vec<Message> {
    let mut link = LinkMessage::default();
    link.header.index = BRIDGE;
    bring_up(&mut link);
    link.attributes = vec![
        LinkAttribute::IfName("switch".into()),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            // Every frame to a group goes to every port. The bridge would otherwise wait for
            // reports of membership.
            LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)])),
        ]),
    ];
    vec![(NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewLink(link))]
}

/// Makes the link of a member. The member's end is created in the member's namespace: moving it
/// there takes thirty times as long.
///
/// `port` is the index of the end on the bridge. `device` is the number of the other: 0 is `eth0`.
pub fn member(
    port: u32,
    device: u32,
    hardware: [u8; 6],
    namespace: BorrowedFd<'_>,
) -> Vec<Message> {
    let mut peer = LinkMessage::default();
    // The peer is not brought up here: ENOTCONN.
    peer.header.index = FIRST_DEVICE + device;
    peer.attributes = vec![
        LinkAttribute::IfName(format!("eth{device}")),
        LinkAttribute::Address(hardware.into()),
        LinkAttribute::NetNsFd(namespace.as_raw_fd()),
    ];
    let mut link = LinkMessage::default();
    link.header.index = port;
    bring_up(&mut link);
    link.attributes = vec![
        LinkAttribute::IfName(format!("port{port}")),
        LinkAttribute::Controller(BRIDGE),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    vec![(NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewLink(link))]
}

/// Removes a link, from either of its ends.
pub fn remove(index: u32) -> Vec<Message> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    vec![(0, RouteNetlinkMessage::DelLink(link))]
}

/// Brings up the loopback device and one other of a member, and gives that its addresses, each with
/// the length of its subnet's prefix.
pub fn addresses(device: u32, addresses: &[(IpAddr, u8)]) -> Vec<Message> {
    devices(&[LOOPBACK, FIRST_DEVICE + device], addresses)
}

/// Brings up the loopback device, and gives it further addresses.
pub fn loopback(addresses: &[IpAddr]) -> Vec<Message> {
    let whole = |address: &IpAddr| (*address, if address.is_ipv4() { 32 } else { 128 });
    devices(&[LOOPBACK], &addresses.iter().map(whole).collect::<Vec<_>>())
}

/// Brings up devices, and gives the last one its addresses.
fn devices(indices: &[u32], addresses: &[(IpAddr, u8)]) -> Vec<Message> {
    let up = |index: &u32| {
        let mut link = LinkMessage::default();
        link.header.index = *index;
        bring_up(&mut link);
        (0, RouteNetlinkMessage::SetLink(link))
    };
    let address = |&(address, prefix): &(IpAddr, u8)| {
        let mut message = AddressMessage::default();
        message.header.index = indices.last().copied().unwrap_or(LOOPBACK);
        message.header.prefix_len = prefix;
        message.header.scope = AddressScope::Universe;
        message.header.family = match address {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        message.attributes =
            vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
        if address.is_ipv6() {
            // The switch gives out each address once. The search for duplicates would keep the
            // address from being used for a second.
            message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        (NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewAddress(message))
    };
    indices.iter().map(up).chain(addresses.iter().map(address)).collect()
}

/// Asks what a port has counted.
pub fn counters(port: u32) -> RouteNetlinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = port;
    RouteNetlinkMessage::GetLink(link)
}

/// The counters in the answer: packets and bytes that the port has received from the member, and
/// those that it has sent to it.
pub fn counted(answer: &RouteNetlinkMessage) -> Option<([u64; 2], [u64; 2])> {
    let RouteNetlinkMessage::NewLink(link) = answer else { return None };
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => {
            Some(([stats.rx_packets, stats.rx_bytes], [stats.tx_packets, stats.tx_bytes]))
        }
        _ => None,
    })
}

fn bring_up(link: &mut LinkMessage) {
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
}
