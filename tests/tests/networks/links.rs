//! Links that delay, lose, duplicate and reorder frames, or bound their rate. Times have a lower
//! bound alone: the machine may be busy.

use super::{Server, ask, is_cut_off, on, python, serve, text};
use seclude::{Backend, Link, Network};
use seclude_tests::caller::as_each;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

/// Waits until the kernel's list of sockets has one on port 9 of UDP.
const AWAIT: &str = "
while not any(':0009' in line for line in open('/proc/net/udp')): time.sleep(0.01)
";

/// Two members that have each other's hardware addresses: while one is asked for, the kernel keeps
/// few frames.
fn pair() -> (Network, Server, Server) {
    let network = Network::builder().subnet("10.9.0.0/24").subnet("fd00:9::/64").build();
    let network = network.expect("it is made");
    let (a, b) = (serve(&on(&network, "a")), serve(&on(&network, "b")));
    for address in ["10.9.0.2", "fd00:9::2"] {
        assert_eq!(ask(&a.cell, address), "hello");
    }
    (network, a, b)
}

/// The numbers of the datagrams of 100 that arrive at `b`, in order.
fn arrived(from: &Server, to: &Server) -> Vec<u32> {
    let receive = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 9))
s.settimeout(30)
while (data := s.recv(9)) != b'end': print(int(data))
";
    let send = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(100): s.sendto(str(number).encode(), ('b', 9)); time.sleep(0.0005)
time.sleep(0.2)
";
    let end = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'end', ('127.0.0.1', 9))
";
    let got = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| python(&to.cell, receive));
        python(&to.cell, AWAIT);
        python(&from.cell, send);
        python(&to.cell, end);
        text(&receiver.join().expect("it ends").stdout)
    });
    got.lines().map(|line| line.parse().expect("a number")).collect()
}

#[test]
fn a_delay_has_one_direction_and_holds_for_every_protocol() {
    as_each("a_delay_has_one_direction_and_holds_for_every_protocol", |_| {
        let (network, a, b) = pair();
        let took = |from: &Server, host: &str| {
            let program = format!(
                "
start = time.monotonic()
assert ask({host:?}, 30) == 'hello'
print(int((time.monotonic() - start) * 1000))
"
            );
            text(&python(&from.cell, &program).stdout).trim().parse::<u32>().expect("a number")
        };
        for backend in [Backend::Auto, Backend::Relay] {
            let link = Link::new().delay(MS * 100).jitter(MS * 10).backend(backend);
            network.set_link("a", "b", &link).expect("it is set");
            // The connection's first packet and its answer, then the text.
            assert!(took(&a, "b") >= 90 && took(&b, "a") >= 90 && took(&a, "fd00:9::2") >= 90);
        }
        assert_eq!(arrived(&a, &b), (0..100).collect::<Vec<_>>());
        network.set_link("a", "b", &Link::new()).expect("it is set");
        assert_eq!(ask(&a.cell, "b"), "hello");
    });
}

#[test]
fn a_large_transfer_arrives_whole_over_a_relayed_link() {
    as_each("a_large_transfer_arrives_whole_over_a_relayed_link", |_| {
        let (network, a, b) = pair();
        let link = Link::new().delay(MS * 2).loss(0.005).duplicate(0.01).reorder(0.01).seed(1);
        network.set_link("a", "b", &link).expect("it is set");
        network.set_link("b", "a", &link).expect("it is set");
        let receive = "
import hashlib
with socket.create_server(('', 8)) as server:
    connection, _ = server.accept()
    seen = hashlib.sha256()
    while data := connection.recv(1 << 16): seen.update(data)
print(seen.hexdigest())
";
        let send = "
import hashlib
data = bytes(number % 251 for number in range(1 << 20)) * 4
with socket.create_connection(('b', 8), 30) as connection: connection.sendall(data)
print(hashlib.sha256(data).hexdigest())
";
        let (sent, received) = std::thread::scope(|scope| {
            let receiver = scope.spawn(|| python(&b.cell, receive));
            assert!(b.cell.wait_ready(8, Duration::from_secs(60)).expect("it runs"));
            let sent = text(&python(&a.cell, send).stdout);
            (sent, text(&receiver.join().expect("it ends").stdout))
        });
        assert_eq!(sent, received);
    });
}

#[test]
fn a_seed_loses_the_same_frames_again() {
    as_each("a_seed_loses_the_same_frames_again", |_| {
        let (network, a, b) = pair();
        let with = |link: &Link| {
            network.set_link("a", "b", link).expect("it is set");
            arrived(&a, &b)
        };
        let link = Link::new().loss(0.3);
        let first = with(&link.seed(1));
        assert!((45..=95).contains(&first.len()), "{first:?}");
        assert_eq!(with(&link.seed(1)), first);
        assert_ne!(with(&link.seed(2)), first);
    });
}

#[test]
fn frames_come_twice_or_out_of_order_if_that_is_asked() {
    as_each("frames_come_twice_or_out_of_order_if_that_is_asked", |_| {
        let (network, a, b) = pair();
        network.set_link("a", "b", &Link::new().duplicate(1.0)).expect("it is set");
        assert_eq!(arrived(&a, &b), (0..200).map(|number| number / 2).collect::<Vec<_>>());
        let link = Link::new().delay(MS * 20).reorder(0.2).seed(3);
        network.set_link("a", "b", &link).expect("it is set");
        let got = arrived(&a, &b);
        let mut sorted = got.clone();
        sorted.sort_unstable();
        assert!(sorted == (0..100).collect::<Vec<_>>() && got != sorted, "{got:?}");
    });
}

#[test]
fn a_rate_is_not_exceeded() {
    as_each("a_rate_is_not_exceeded", |_| {
        let (network, a, b) = pair();
        // 100 frames of 1042 bytes are 833,600 bits.
        network.set_link("a", "b", &Link::new().rate(2_000_000)).expect("it is set");
        let receive = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 9))
s.settimeout(30)
s.recv(2000)
start = time.monotonic()
for _ in range(99): s.recv(2000)
print(time.monotonic() - start)
";
        let send = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(100): s.sendto(bytes(1000), ('b', 9))
";
        let took = std::thread::scope(|scope| {
            let receiver = scope.spawn(|| python(&b.cell, receive));
            python(&b.cell, AWAIT);
            python(&a.cell, send);
            text(&receiver.join().expect("it ends").stdout).trim().parse::<f64>()
        });
        // Less by what the clock of the receiver was late for the first frame.
        assert!(took.expect("a number") > 0.35);
    });
}

#[test]
fn a_partition_cuts_a_relayed_link_and_a_member_finds_its_link_again() {
    as_each("a_partition_cuts_a_relayed_link_and_a_member_finds_its_link_again", |_| {
        let (network, a, b) = pair();
        let link = Link::new().delay(MS * 5);
        network.set_link("a", "b", &link).expect("it is set");
        network.set_link("b", "a", &link).expect("it is set");
        assert_eq!(ask(&a.cell, "b"), "hello");
        network.partition([&["a"][..]]).expect("the filter is set");
        assert!(is_cut_off(&a.cell, "b") && is_cut_off(&b.cell, "a"));
        network.heal().expect("the filter is set");
        assert_eq!(ask(&a.cell, "b"), "hello");
        drop(b);
        let b = serve(&on(&network, "b"));
        assert_eq!((ask(&a.cell, "b"), ask(&b.cell, "a")), ("hello".into(), "hello".into()));
        // The relay ends with its last link.
        let threads = || {
            let tasks = std::fs::read_dir("/proc/self/task").expect("it is ours");
            let names =
                tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("comm")));
            names.flatten().filter(|name| name.starts_with("seclude-relay")).count()
        };
        let with = threads();
        network.set_link("a", "b", &Link::new()).expect("it is set");
        network.set_link("b", "a", &Link::new()).expect("it is set");
        assert!(with >= 1 && threads() < with, "{with} threads");
        assert_eq!(ask(&a.cell, "b"), "hello");
    });
}
