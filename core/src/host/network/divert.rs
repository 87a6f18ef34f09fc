//! Diverts what the programs of a network namespace send elsewhere to a socket of the caller's in
//! that namespace.
//!
//! A route makes all addresses local, so whatever is sent comes back over the loopback device.
//! There a rule of nf_tables (the kernel's packet filter) hands it to a socket that is transparent:
//! ip(7), IP_TRANSPARENT. That socket's own address is then the one that the program has chosen.

use super::netlink::{Message, Netlink, Refusal};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;

/// The ports of the sockets to which everything is diverted: for TCP and for UDP.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub tcp: u16,
    pub udp: u16,
}

/// Makes every address local that has no other route. `own`: the sender's address, IPv4 or IPv6.
pub fn all_local(own: IpAddr) -> Vec<Message> {
    const LOOPBACK: u32 = 1;
    const MAIN: u8 = 254;
    let mut route = RouteMessage::default();
    route.header.address_family = match own {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    // Not in the table `local`, so that the routes of a private network come first.
    route.header.table = MAIN;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Host;
    route.header.kind = RouteType::Local;
    let source = match own {
        IpAddr::V4(own) => RouteAddress::Inet(own),
        IpAddr::V6(own) => RouteAddress::Inet6(own),
    };
    route.attributes = vec![RouteAttribute::Oif(LOOPBACK), RouteAttribute::PrefSource(source)];
    vec![(NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewRoute(route))]
}

/// Installs the rules, or replaces them. `own`: the addresses of the namespace, which are left
/// alone.
pub fn install(netfilter: &Netlink, ports: Ports, own: &[IpAddr]) -> Result<(), Refusal> {
    netfilter.batch(|sequence| {
        let mut batch = Batch { bytes: Vec::new(), sequence, count: 0 };
        batch.add(BATCH_BEGIN, 0, &marker());
        // Deleting takes an existing table, so there is one in any case.
        batch.add(NEW_TABLE, NLM_F_CREATE | NLM_F_ACK, &table());
        batch.add(DELETE_TABLE, NLM_F_ACK, &table());
        batch.add(NEW_TABLE, NLM_F_CREATE | NLM_F_ACK, &table());
        batch.add(NEW_CHAIN, NLM_F_CREATE | NLM_F_ACK, &chain());
        for rule in rules(ports, own) {
            batch.add(NEW_RULE, NLM_F_CREATE | APPEND | NLM_F_ACK, &of_chain(&rule));
        }
        batch.add(BATCH_END, 0, &marker());
        (batch.bytes, batch.count)
    })
}

// <linux/netfilter/nfnetlink.h> and <linux/netfilter/nf_tables.h>.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NF_TABLES: u16 = 10;
const NEW_TABLE: u16 = NF_TABLES << 8;
const DELETE_TABLE: u16 = NF_TABLES << 8 | 2;
const NEW_CHAIN: u16 = NF_TABLES << 8 | 3;
const NEW_RULE: u16 = NF_TABLES << 8 | 6;
const APPEND: u16 = libc::NLM_F_APPEND as u16;
const NAME: &[u8] = b"seclude\0";
const NESTED: u16 = 1 << 15;

/// Several messages, which the kernel carries out all or none.
struct Batch<'a> {
    bytes: Vec<u8>,
    sequence: &'a mut u32,
    /// The number of messages that are acknowledged.
    count: usize,
}

impl Batch<'_> {
    fn add(&mut self, kind: u16, flags: u16, body: &[u8]) {
        const HEADER: usize = 16;
        *self.sequence = self.sequence.wrapping_add(1);
        self.count += usize::from(flags & NLM_F_ACK != 0);
        let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(body);
    }
}

/// The body of a message: `struct nfgenmsg`, and attributes.
fn body(family: u8, resource: u16, attributes: &[u8]) -> Vec<u8> {
    const VERSION: u8 = 0;
    let [high, low] = resource.to_be_bytes();
    [&[family, VERSION, high, low], attributes].concat()
}

fn marker() -> Vec<u8> {
    body(0, NF_TABLES, &[])
}

fn inet(attributes: &[u8]) -> Vec<u8> {
    const INET: u8 = 1;
    body(INET, 0, attributes)
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &attributes.concat())
}

fn table() -> Vec<u8> {
    inet(&attribute(1, NAME))
}

/// The chain of rules for what arrives, before it is delivered.
fn chain() -> Vec<u8> {
    const PREROUTING: u32 = 0;
    const MANGLE: i32 = -150;
    const DROP: u32 = 0;
    let hook = nested(4, &[number(1, PREROUTING), number(2, MANGLE.cast_unsigned())]);
    inet(
        &[attribute(1, NAME), attribute(3, NAME), hook, number(5, DROP), attribute(7, b"filter\0")]
            .concat(),
    )
}

fn of_chain(expressions: &[Vec<u8>]) -> Vec<u8> {
    inet(&[attribute(1, NAME), attribute(2, NAME), nested(4, expressions)].concat())
}

/// The port of name servers.
pub const DOMAIN: u16 = 53;

/// The rules, in order. What none accepts is dropped.
fn rules(ports: Ports, own: &[IpAddr]) -> Vec<Vec<Vec<u8>>> {
    const LOOPBACK: u32 = 1;
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    // A device of a private network.
    let from_network = vec![meta(IIF), compare(NOT_EQUAL, &LOOPBACK.to_ne_bytes()), accept()];
    // Questions to name servers, wherever the namespace's configuration looks for one.
    let protocols = [(TCP, ports.tcp), (UDP, ports.udp)];
    let questions = protocols.map(|(protocol, port)| {
        [
            vec![meta(PROTOCOL), compare(EQUAL, &[protocol])],
            vec![payload(TRANSPORT, 2, 2), compare(EQUAL, &DOMAIN.to_be_bytes())],
            divert(port),
        ]
        .concat()
    });
    let own = own.iter().map(|address| match address {
        IpAddr::V4(address) => to_network(NFPROTO_IPV4, 16, &address.octets(), 32),
        IpAddr::V6(address) => to_network(NFPROTO_IPV6, 24, &address.octets(), 128),
    });
    let local = [
        to_network(NFPROTO_IPV4, 16, &[127, 0, 0, 0], 8),
        to_network(NFPROTO_IPV6, 24, &std::net::Ipv6Addr::LOCALHOST.octets(), 128),
    ];
    let rest = protocols.map(|(protocol, port)| {
        [vec![meta(PROTOCOL), compare(EQUAL, &[protocol])], divert(port)].concat()
    });
    [from_network].into_iter().chain(questions).chain(local).chain(own).chain(rest).collect()
}

const IIF: u32 = 4;
const FAMILY: u32 = 15;
const PROTOCOL: u32 = 16;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;
/// The register that every expression here uses.
const REGISTER: u32 = 1;

/// Accepts what is sent to an address that begins with these bits.
fn to_network(family: u8, offset: u32, address: &[u8], bits: usize) -> Vec<Vec<u8>> {
    let bytes = bits / 8;
    vec![
        meta(FAMILY),
        compare(EQUAL, &[family]),
        payload(NETWORK, offset, bytes as u32),
        compare(EQUAL, &address[..bytes]),
        accept(),
    ]
}

/// Hands the packet to the transparent socket on this port.
fn divert(port: u16) -> Vec<Vec<u8>> {
    let immediate = [number(1, REGISTER), nested(2, &[attribute(1, &port.to_be_bytes())])];
    let tproxy = [number(1, 0), number(3, REGISTER)];
    vec![expression("immediate", &immediate), expression("tproxy", &tproxy), accept()]
}

fn expression(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    const ELEMENT: u16 = 1;
    let name = attribute(1, &[name.as_bytes(), &[0]].concat());
    nested(ELEMENT, &[name, nested(2, attributes)])
}

fn meta(key: u32) -> Vec<u8> {
    expression("meta", &[number(1, REGISTER), number(2, key)])
}

fn payload(base: u32, offset: u32, length: u32) -> Vec<u8> {
    expression(
        "payload",
        &[number(1, REGISTER), number(2, base), number(3, offset), number(4, length)],
    )
}

fn compare(operator: u32, value: &[u8]) -> Vec<u8> {
    expression(
        "cmp",
        &[number(1, REGISTER), number(2, operator), nested(3, &[attribute(1, value)])],
    )
}

fn accept() -> Vec<u8> {
    const VERDICT_REGISTER: u32 = 0;
    const ACCEPT: u32 = 1;
    let verdict = nested(2, &[nested(2, &[number(1, ACCEPT)])]);
    expression("immediate", &[number(1, VERDICT_REGISTER), verdict])
}
