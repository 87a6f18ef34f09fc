//! What a command tries in its network and beyond, with all capabilities over its own namespaces.

use super::{on, text};
use seclude::{Capability, Network, Profile, Sandbox};
use seclude_tests::caller::as_each;
use std::net::{TcpListener, UdpSocket};

/// Each line is an attempt; what succeeds prints its name.
const ATTEMPTS: &str = "
import fcntl, socket, struct, sys
device, name = (1, b'lo') if sys.argv[5:] else (2, b'eth0')
def attempt(name, what):
    try: what()
    except OSError as error: return
    print(name)
def netlink(kind, body, protocol=0, flags=0x605):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
        s.bind((0, 0))
        s.send(struct.pack('=IHHII', 16 + len(body), kind, flags, 1, 0) + body)
        code = struct.unpack_from('=i', s.recv(4096), 16)[0]
        if code: raise OSError(-code, 'refused')
def link(index, flags, change): return struct.pack('=BBHiII', 0, 0, 0, index, flags, change)
def attribute(kind, value): return struct.pack('=HH', 4 + len(value), kind) + value + b'\\0' * (-len(value) % 4)
address = struct.pack('=BBBBI', 2, 24, 0, 0, device) + attribute(2, bytes([10, 9, 0, 77])) + attribute(1, bytes([10, 9, 0, 77]))
route = struct.pack('=BBBBBBBBI', 2, 0, 0, 0, 254, 3, 0, 1, 0) + attribute(5, bytes([10, 9, 0, 2])) + attribute(4, struct.pack('=I', device))
attempt('link-down', lambda: netlink(16, link(device, 0, 1)))
attempt('link-delete', lambda: netlink(17, link(device, 0, 0)))
attempt('hardware-address', lambda: netlink(16, link(device, 0, 0) + attribute(1, bytes([2, 0, 0, 0, 0, 9]))))
attempt('new-link', lambda: netlink(16, link(0, 0, 0) + attribute(18, attribute(1, b'dummy'))))
attempt('address', lambda: netlink(20, address))
attempt('route', lambda: netlink(24, route))
attempt('queue', lambda: netlink(36, struct.pack('=BBHiIII', 0, 0, 0, device, 0, 0xffffffff, 0) + attribute(1, b'pfifo\\0')))
attempt('packet-socket', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
attempt('raw-socket', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt('netfilter', lambda: netlink(0xa01, bytes([1, 0, 0, 0]), 12))
attempt('flags-ioctl', lambda: fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH', name, 0)))
attempt('setting', lambda: open('/proc/sys/net/ipv4/ip_forward', 'w').write('1'))
attempt('hosts', lambda: open('/etc/hosts', 'w'))
attempt('host-tcp', lambda: socket.create_connection((sys.argv[1], int(sys.argv[2])), 1))
attempt('host-loopback', lambda: socket.create_connection(('127.0.0.1', int(sys.argv[2])), 1))
attempt('host-mapped', lambda: socket.create_connection(('::ffff:127.0.0.1', int(sys.argv[2])), 1))
attempt('other-network', lambda: socket.create_connection((sys.argv[4], 7), 1))
attempt('host-udp', lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (sys.argv[1], int(sys.argv[3]))))
attempt('metadata', lambda: socket.create_connection(('169.254.169.254', 80), 1))
attempt('own-port-80', lambda: socket.create_server(('', 80)))
";

/// The address by which this host is reached from outside, if it has one.
fn own_address() -> String {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("it binds");
    // Connecting a datagram socket only looks up the route.
    let routed = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    routed.map_or("192.0.2.1".into(), |address| address.ip().to_string())
}

fn with_capabilities(sandbox: Sandbox) -> Sandbox {
    [Capability::NetAdmin, Capability::NetRaw, Capability::NetBindService]
        .into_iter()
        .fold(sandbox, Sandbox::capability)
}

fn unfiltered(sandbox: Sandbox) -> Sandbox {
    with_capabilities(sandbox).seccomp(Profile::Unconfined)
}

#[test]
fn a_command_changes_nothing_of_its_network_and_leaves_it_by_no_way() {
    as_each("a_command_changes_nothing_of_its_network_and_leaves_it_by_no_way", |_| {
        let tcp = TcpListener::bind("0.0.0.0:0").expect("it binds");
        let udp = UdpSocket::bind("0.0.0.0:0").expect("it binds");
        let ports = [tcp.local_addr(), udp.local_addr()].map(|one| one.expect("it has one").port());
        let network = Network::builder().subnet("10.9.0.0/24").build().expect("it is made");
        let other = Network::builder().subnet("10.8.0.0/24").build().expect("it is made");
        let far = super::serve(&on(&other, "far"));
        let there = far.cell.addresses().expect("it lives")[0].to_string();
        let arguments = [own_address(), ports[0].to_string(), ports[1].to_string(), there];
        let sandbox = on(&network, "inside");
        let attempt = |sandbox: &Sandbox, arguments: &[String]| {
            let mut command = sandbox.command("python3");
            let output = command.args(["-c", ATTEMPTS]).args(arguments).output().expect("starts");
            assert!(output.outcome.success(), "{}", text(&output.stderr));
            text(&output.stdout)
        };
        for sandbox in [&sandbox, &with_capabilities(sandbox.clone()), &unfiltered(sandbox.clone())]
        {
            assert_eq!(attempt(sandbox, &arguments), "own-port-80\n");
        }
        // The control: in a network of its own, the same capabilities permit all of it.
        let own = attempt(&unfiltered(Sandbox::new()), &[&arguments[..], &["own".into()]].concat());
        for name in ["address", "queue", "packet-socket", "raw-socket", "netfilter", "flags-ioctl"]
        {
            assert!(own.lines().any(|line| line == name), "{name} is not among {own}");
        }
        tcp.set_nonblocking(true).expect("it is ours");
        udp.set_nonblocking(true).expect("it is ours");
        assert!(tcp.accept().is_err() && udp.recv(&mut [0]).is_err(), "something arrived");
    });
}
