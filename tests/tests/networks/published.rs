//! Published ports: a port of the host leads into a sandbox while that runs.

use crate::{SERVER, text};
use seclude::{Cell, Child, ErrorKind, Protocol, Sandbox, Stdio};
use seclude_tests::caller::{Caller, as_each};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Sends back what it has received up to the end of the stream, on port 8.
const ECHO: &str = "
import socket, threading
def answer(connection):
    with connection:
        text = b''
        while more := connection.recv(1 << 16):
            text += more
        connection.sendall(text)
server = socket.create_server(('', 8), backlog=512)
while True:
    threading.Thread(target=answer, args=[server.accept()[0]]).start()
";

fn start(cell: &Cell, program: &str, port: u16) -> Child {
    let mut command = cell.command("python3");
    let child = command.args(["-c", program]).stdout(Stdio::null()).spawn().expect("it starts");
    assert!(cell.wait_ready(port, Duration::from_secs(60)).expect("it runs"));
    child
}

fn exchange(address: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("it is published");
    let mut writer = stream.try_clone().expect("it is open");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writer.write_all(data).expect("it is read");
            // The other direction stays open.
            writer.shutdown(Shutdown::Write).expect("it is open");
        });
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it ends");
        answer
    })
}

/// How a connection ends on which nobody answers. A program may learn of that in connect() already.
fn end(address: SocketAddr) -> Result<usize, io::ErrorKind> {
    let end = TcpStream::connect(address).and_then(|mut stream| stream.read(&mut [0]));
    end.map_err(|error| error.kind())
}

#[test]
fn a_published_port_leads_into_the_sandbox_over_tcp_and_udp() {
    as_each("a_published_port_leads_into_the_sandbox_over_tcp_and_udp", |_| {
        let sandbox = Sandbox::new().ports(["7", "[::1]:7", "127.0.0.2::7/udp", "8"]);
        let cell = sandbox.cell().expect("it starts");
        let ports = cell.ports().expect("it is open");
        assert_eq!(ports.iter().map(|port| port.inside).collect::<Vec<_>>(), [7, 7, 7, 8]);
        assert_eq!(ports[2].protocol, Protocol::Udp);
        assert!(ports[2].to_string().starts_with("127.0.0.2:"), "{}", ports[2]);
        assert!(ports[1].host.is_ipv6() && ports.iter().all(|port| port.host.port() > 0));
        // Nobody listens yet.
        assert_eq!(end(ports[0].host), Err(io::ErrorKind::ConnectionReset));
        let _server = start(&cell, SERVER, 7);
        let _echo = start(&cell, ECHO, 8);
        for port in &ports[..2] {
            assert_eq!(text(&exchange(port.host, b"")), "hello\n");
        }
        let socket = UdpSocket::bind("127.0.0.1:0").expect("there is one");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("it is open");
        socket.connect(ports[2].host).expect("it is an address");
        for length in [1, 1000, 8000] {
            socket.send(&vec![b'x'; length]).expect("it is sent");
            assert_eq!(socket.recv(&mut [0; 9000]).expect("it is answered"), length);
        }
        // Each direction ends by itself, and nothing is lost.
        let data: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
        assert!(exchange(ports[3].host, &data) == data);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| assert_eq!(exchange(ports[3].host, b"one of many"), b"one of many"));
            }
        });
        // A reset keeps them, and nobody is refused meanwhile. The end of the cell closes them.
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let end = end(ports[0].host);
                    assert!(matches!(end, Ok(_) | Err(io::ErrorKind::ConnectionReset)), "{end:?}");
                }
            });
            scope.spawn(|| {
                (0..10).for_each(|_| cell.reset().expect("it is open"));
                over.store(true, Ordering::Relaxed);
            });
        });
        let _echo = start(&cell, ECHO, 8);
        assert_eq!(cell.ports().expect("it is open"), ports);
        assert_eq!(exchange(ports[3].host, b"again"), b"again");
        cell.close();
        for port in ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
            assert!(TcpStream::connect(port.host).is_err(), "{port}");
        }
    });
}

#[test]
fn a_port_that_cannot_be_published_is_an_error_before_anything_starts() {
    as_each("a_port_that_cannot_be_published_is_an_error_before_anything_starts", |caller| {
        let taken = TcpListener::bind("127.0.0.1:0").expect("there is one");
        let number = taken.local_addr().expect("it is bound").port();
        let error = |port: String| {
            let sandbox = Sandbox::new().ports([port.as_str()]);
            let error = sandbox.command("true").spawn().expect_err(&port);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            error.to_string()
        };
        assert!(error(format!("{number}:80")).contains("another socket has the port"));
        assert!(error("192.0.2.1:0:80".into()).contains("none of the host's"));
        if caller == Caller::User {
            assert!(error("1:80".into()).contains("take one of 1024 or above"));
        }
        // A fixed port is free again as soon as the command has ended.
        drop(taken);
        let sandbox = Sandbox::new().ports([format!("{number}:80")]);
        for _ in 0..3 {
            sandbox.command("true").output().expect("it is free");
        }
    });
}

#[test]
fn ports_of_members_of_pools_and_of_single_commands_are_published() {
    as_each("ports_of_members_of_pools_and_of_single_commands_are_published", |_| {
        let network = seclude::Network::new().expect("it is made");
        let plain = Sandbox::new().ports(["8"]);
        let pool = plain.clone().pool(2).expect("it is made");
        // A port that nobody uses takes no place of those that are used.
        let many = (100..200).map(|port| port.to_string()).chain(["8".into()]);
        let many = plain.clone().ports(many.collect::<Vec<_>>());
        let sandboxes = [
            plain.command("python3"),
            many.command("python3"),
            plain.clone().network(&network).command("python3"),
            plain.clone().egress(["example.org"]).command("python3"),
            pool.command("python3"),
            pool.command("python3"),
        ];
        let mut children = Vec::new();
        for mut command in sandboxes {
            let child = command.args(["-c", ECHO]).spawn().expect("it starts");
            assert!(child.wait_ready(8, Duration::from_secs(60)).expect("it runs"));
            let port = *child.ports().last().expect("it has one");
            assert_eq!(exchange(port.host, b"hello"), b"hello");
            children.push(child);
        }
        for mut child in children {
            let port = *child.ports().last().expect("it has one");
            child.kill().expect("it runs");
            child.wait().expect("it ends");
            assert!(child.ports().is_empty() && TcpStream::connect(port.host).is_err());
        }
    });
}
