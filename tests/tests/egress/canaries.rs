//! Ways out that no rule allows. Each is tried with rules that allow what it tries, too, unless it
//! is closed in any case: so the probe works.

use crate::Internet;
use seclude_tests::caller::as_each;
use serde_json::json;

/// Prints the name of each probe that was answered from outside.
const PROBES: &str = r#"
import ctypes, os, select, socket, struct, sys, threading

METADATA, OFFICE, SELF = "169.254.169.254", "10.77.0.5", "93.184.216.1"
METADATA6, OFFICE6 = "fd00:ec2::fe", "fd77::5"

def reply(connection):
    connection.settimeout(0.7)
    connection.sendall(b"probe")
    return connection.recv(100)

def tcp(host, port=7, family=0, protocol=0):
    def probe():
        if not protocol:
            with socket.create_connection((host, port), 2) as connection:
                return reply(connection)
        with socket.socket(family or socket.AF_INET, socket.SOCK_STREAM, protocol) as connection:
            connection.connect((host, port))
            return reply(connection)
    return probe

def udp(host, port=7):
    def probe():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as connection:
            connection.connect((host, port))
            return reply(connection)
    return probe

def question(name):
    labels = b"".join(bytes([len(label)]) + label for label in name.encode().split(b"."))
    return struct.pack("!6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", 1, 1)

def answered(message):
    return message if struct.unpack("!6H", message[:12])[3] else b""

def resolve_udp(name, server="8.8.8.8"):
    def probe():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(2)
            connection.connect((server, 53))
            connection.send(question(name))
            return answered(connection.recv(1000))
    return probe

def resolve_tcp(name):
    def probe():
        with socket.create_connection(("8.8.8.8", 53), 2) as connection:
            text = question(name)
            connection.sendall(struct.pack("!H", len(text)) + text)
            return answered(connection.recv(1000)[2:])
    return probe

# What a resolver that is under the program's control would tell, and then the address in its place.
def rebound(name, kind=tcp, port=7):
    def probe():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(2)
            connection.connect(("198.18.0.1", 53))
            connection.send(question(name))
            message = answered(connection.recv(1000))
        return message and kind(socket.inet_ntoa(message[-4:]), port)()
    return probe

def ping():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as connection:
        connection.connect((METADATA, 0))
        connection.settimeout(0.7)
        connection.send(struct.pack("!BBHHH", 8, 0, 0xf7ff, 0, 0))
        return connection.recv(100)

def raw(family, protocol):
    def probe():
        with socket.socket(family, socket.SOCK_RAW, protocol) as connection:
            return b"opened"
    return probe

def nested():
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(0x10000000 | 0x40000000):
        raise OSError(ctypes.get_errno(), "unshare")
    return b"opened"

def local(address):
    def probe():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(0.7)
            connection.connect(address)
            return connection.recv(100)
    return probe

def with_option(level, option, value, address=METADATA):
    def probe():
        with socket.socket() as connection:
            connection.setsockopt(level, option, value)
            connection.settimeout(2)
            connection.connect((address, 7))
            return reply(connection)
    return probe

def from_source(source):
    def probe():
        with socket.create_connection((METADATA, 7), 2, source_address=(source, 0)) as connection:
            return reply(connection)
    return probe

def to_all(address):
    def probe():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            connection.settimeout(0.7)
            connection.sendto(b"probe", (address, 7))
            return connection.recv(100)
    return probe

def fast_open():
    with socket.socket() as connection:
        # Not before: it would not wait for the connection.
        connection.sendto(b"probe", 0x20000000, (METADATA, 7))
        connection.settimeout(2)
        return connection.recv(100)

def reused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(0.7)
        connection.sendto(b"probe", (socket.gethostbyname("www.example.org"), 7))
        assert connection.recv(100).startswith(b"world"), "the allowed one answers"
        connection.sendto(b"probe", (METADATA, 7))
        return connection.recv(100)

def eyeballs():
    for address in METADATA6, METADATA, OFFICE6, OFFICE:
        try:
            return tcp(address)()
        except OSError:
            pass

def gateway(host):
    def probe():
        for name in "tcp", "tcp6":
            for line in open(f"/proc/net/{name}").read().splitlines()[1:]:
                _, address, _, state = line.split()[:4]
                if state == "0A":
                    try:
                        if text := tcp(host, int(address.rsplit(":")[-1], 16))():
                            return text
                    except OSError:
                        pass
    return probe

def netlink(protocol):
    def probe():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as connection:
            if protocol:
                return b"opened"
            # RTM_DELROUTE of everything.
            body = struct.pack("BBBBBBBBI", 2, 0, 0, 0, 254, 0, 0, 0, 0)
            connection.sendto(struct.pack("IHHII", 16 + len(body), 25, 5, 1, 0) + body, (0, 0))
            code = struct.unpack("i", connection.recv(1000)[16:20])[0]
            return b"" if code else b"deleted"
    return probe

def vsock():
    with socket.socket(40, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.7)
        connection.connect((2, 7))
        return b"connected"

PROBES = {
    # Allowed by the rules of the control.
    "metadata over tcp": tcp(METADATA),
    "metadata over udp": udp(METADATA),
    "metadata in ipv6": tcp(METADATA6),
    "metadata in ipv6 over udp": udp(METADATA6),
    "metadata as a mapped address": tcp("::ffff:" + METADATA),
    "metadata over udp as a mapped address": udp("::ffff:" + METADATA),
    "metadata over mptcp": tcp(METADATA, protocol=262),
    "metadata with fast open": fast_open,
    "metadata after an allowed destination": reused,
    "office over tcp": tcp(OFFICE),
    "office over udp": udp(OFFICE),
    "office in ipv6": tcp(OFFICE6),
    "the first of many": eyeballs,
    "the caller's host": tcp(SELF),
    "the caller's host over udp": udp(SELF),
    "a name of metadata": rebound("metadata.example.org"),
    "a name of metadata over udp": rebound("metadata.example.org", udp),
    "a name of the office": rebound("office.example.org"),
    "a name of the host": rebound("self.example.org"),
    "a name of the loopback": rebound("loopback.example.org"),
    "a name of the loopback over udp": rebound("loopback.example.org", udp),
    "a name that is not listed": rebound("www.unlisted.test"),
    "a name that is not listed, over tcp": resolve_tcp("www.unlisted.test"),
    "a name that is not listed, of another server": resolve_udp("www.unlisted.test"),
    "another port of a name": rebound("www.example.org", port=443),
    # Closed in any case.
    "metadata from another source": from_source("93.184.216.1"),
    "an address of no name": tcp("198.18.0.200"),
    "dns over https": tcp("8.8.8.8", 443),
    "the caller's loopback": tcp("127.0.0.1"),
    "the caller's loopback in ipv6": tcp("::1"),
    "no address": tcp("0.0.0.0"),
    "another loopback": udp("127.0.0.53"),
    "a translated address": tcp("64:ff9b::a9fe:a9fe"),
    "an address for tunnels": tcp("2002:a9fe:a9fe::1"),
    "a ping": ping,
    "a raw socket": raw(socket.AF_INET, socket.IPPROTO_UDP),
    "a raw socket for icmp": raw(socket.AF_INET, socket.IPPROTO_ICMP),
    "a packet socket": raw(socket.AF_PACKET, 3),
    "another namespace": nested,
    "an abstract socket": local("\0canary"),
    "a socket in the file system": local("/tmp/canary"),
    "a transparent socket": with_option(socket.SOL_IP, 19, 1),
    "a mark": with_option(socket.SOL_SOCKET, 36, 1),
    "a broadcast": to_all("255.255.255.255"),
    "a broadcast to a subnet": to_all("169.254.169.255"),
    "a multicast": to_all("224.0.0.1"),
    "the socket of the gateway": gateway("127.0.0.1"),
    "the socket of the gateway, from outside": gateway("198.18.0.1"),
    "sctp": tcp(METADATA, protocol=132),
    "dccp": tcp(METADATA, protocol=33),
    "udplite": raw(socket.AF_INET, 136),
    "a changed route": netlink(0),
    "the packet filter": netlink(12),
    "a socket of the machine": vsock,
}

answered_ones = []
def attempt(name, probe):
    try:
        if probe():
            answered_ones.append(name)
    except (OSError, AssertionError) as error:
        if isinstance(error, AssertionError):
            answered_ones.append(f"{name}: {error}")
threads = [threading.Thread(target=attempt, args=probe) for probe in PROBES.items()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for name in PROBES:
    if name in answered_ones:
        print(name)
print(len(PROBES), *[name for name in answered_ones if name not in PROBES])
"#;

/// The number of the probes that rules can allow.
const ALLOWABLE: usize = 25;

#[test]
fn no_way_leads_out_that_no_rule_allows() {
    as_each("no_way_leads_out_that_no_rule_allows", |_| {
        let internet = Internet::new();
        // One name is allowed, on one port, and names that lead to what is not public.
        let policy = json!({"egress": ["*.example.org:7"]});
        let told = internet.run(policy, PROBES);
        assert_eq!(told.lines(), ["54"]);
        let log = internet.log();
        // The probe that begins with an allowed destination has reached that.
        assert_eq!(log, ["udp 7 b'probe'\n", "", "", ""], "{}", told.all);
    });
}

#[test]
fn each_probe_of_a_way_works_if_a_rule_allows_it() {
    as_each("each_probe_of_a_way_works_if_a_rule_allows_it", |_| {
        let internet = Internet::new();
        let policy = json!({"egress": [
            "*", "169.254.169.254", "fd00:ec2::/64", "10.77.0.0/24", "fd77::/64", "93.184.216.1",
            "93.184.216.34", "127.0.0.0/8",
        ]});
        let told = internet.run(policy, PROBES);
        let lines = told.lines();
        assert_eq!(lines.len(), ALLOWABLE + 1, "{lines:#?}");
        assert_eq!(lines.last(), Some(&"54"));
    });
}
