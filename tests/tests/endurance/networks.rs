//! Networks that come and go leave nothing: no descriptor, mount, process, zombie or thread.

use seclude::{Link, Network, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::census::{descendants, descriptors, mounts};
use seclude_tests::payload::rounds;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

#[test]
fn a_network_leaves_nothing_after_its_last_handle() {
    let _alone = alone();
    as_each("a_network_leaves_nothing_after_its_last_handle", |_| {
        let round = || {
            let network = Network::new().expect("it is made");
            let on = |name: &str| Sandbox::new().network(&network).hostname(name);
            let cells = ["a", "b"].map(|name| on(name).cell().expect("it starts"));
            let plain = Sandbox::new().cell().expect("it starts");
            plain.connect(&network).expect("it connects");
            network.partition([&["a"][..]]).expect("the filter is set");
            let slow = Link::new().delay(std::time::Duration::from_millis(1));
            network.set_link("a", "b", &slow).expect("it is set");
            network.set_link("b", "a", &slow).expect("it is set");
            let open = on("d").ports(["80", "53/udp"]).egress(["127.0.0.0/8", "a.test"]);
            let open = open.egress_names(["a.test=127.0.0.1:1"]).cell().expect("it starts");
            for port in open.ports().expect("it is open") {
                // Nobody listens inside.
                drop(std::net::TcpStream::connect(port.host));
                let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("there is one");
                socket.send_to(b"x", port.host).expect("it is sent");
            }
            let reach = "exec 3<>/dev/tcp/a.test/80; exec 4<>/dev/udp/a.test/80; echo x >&4";
            open.command("bash")
                .args(["-c", reach])
                .stderr(Stdio::null())
                .status()
                .expect("it runs");
            on("c").command("true").status().expect("it starts");
            assert!(on("c").command("no-such-program").spawn().is_err());
            assert!(on("a").command("true").spawn().is_err());
            drop(network);
            // A member keeps its network.
            assert!(cells[0].command("true").status().expect("it starts").success());
        };
        round();
        let threads = || std::fs::read_dir("/proc/self/task").expect("it is ours").count();
        let before = (descriptors(), mounts(), descendants(), threads());
        (0..rounds(20)).for_each(|_| round());
        assert_eq!(descriptors(), before.0, "descriptors");
        assert_eq!(mounts(), before.1, "mounts");
        assert_eq!(descendants(), before.2, "processes and zombies");
        assert_eq!(threads(), before.3, "threads");
    });
}

/// The caller's own memory, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is ours");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Each round has 50 connections: `SECLUDE_ROUNDS=200` makes 10,000 of them.
#[test]
fn connections_in_and_out_leave_nothing() {
    let _alone = alone();
    as_each("connections_in_and_out_leave_nothing", |_| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is one");
        let port = listener.local_addr().expect("it is bound").port();
        std::thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let _ = connection.write_all(b"out");
            }
        });
        let cell = Sandbox::new()
            .ports(["7"])
            .egress(["a.test"])
            .egress_names([format!("a.test=127.0.0.1:{port}")])
            .cell()
            .expect("it starts");
        let server = "
import socket
server = socket.create_server(('', 7), backlog=100)
while True:
    connection, _ = server.accept()
    connection.sendall(b'in')
    connection.close()
";
        let client = "
import socket
for _ in range(25):
    with socket.create_connection(('a.test', 80), 60) as connection:
        assert connection.recv(9) == b'out'
";
        let mut server = cell.command("python3").args(["-c", server]).spawn().expect("it starts");
        assert!(cell.wait_ready(7, std::time::Duration::from_secs(60)).expect("it runs"));
        let published = cell.ports().expect("it is open")[0].host;
        let round = || {
            for _ in 0..25 {
                let mut answer = String::new();
                let mut connection = TcpStream::connect(published).expect("it is published");
                connection.read_to_string(&mut answer).expect("it answers");
                assert_eq!(answer, "in");
            }
            let status = cell.command("python3").args(["-c", client]).status();
            assert!(status.expect("it starts").success());
        };
        (0..4).for_each(|_| round());
        let settled = || {
            // The last connections may still be closing.
            std::thread::sleep(std::time::Duration::from_millis(500));
            descriptors()
        };
        let before = (settled(), memory());
        (0..rounds(20)).for_each(|_| round());
        assert_eq!(settled(), before.0, "descriptors");
        let grown = memory().saturating_sub(before.1);
        assert!(grown < 4096, "{grown} KiB more memory");
        server.kill().expect("it runs");
        server.wait().expect("it runs");
    });
}
