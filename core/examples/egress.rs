//! A server in a sandbox that the caller reaches by a published port, and that reaches one name.
//!
//! The server passes on what it is asked to a service of this program. A policy for the real world
//! would allow a name such as `api.example.org:443`, without an address in its place.

use seclude::Sandbox;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const SERVER: &str = "
import socket

def ask(host, port, question):
    try:
        with socket.create_connection((host, port)) as connection:
            connection.sendall(question)
            return connection.recv(100)
    except OSError as error:
        return error.strerror.encode()

server = socket.create_server(('', 80))
guest, _ = server.accept()
question = guest.recv(100)
guest.sendall(ask('service.test', 80, question) + b'; ' + ask('203.0.113.5', 80, question))
";

/// Answers one question outside of the sandbox.
fn serve(service: &TcpListener) -> io::Result<()> {
    let (mut connection, _) = service.accept()?;
    let mut question = [0; 100];
    let length = connection.read(&mut question)?;
    connection.write_all(b"the service was asked: ")?;
    connection.write_all(&question[..length])
}

/// Asks the server in the sandbox.
fn ask(published: SocketAddr) -> io::Result<String> {
    let mut connection = TcpStream::connect(published)?;
    connection.write_all(b"who is there?")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let service = TcpListener::bind("127.0.0.1:0")?;
    let address = service.local_addr()?;
    std::thread::spawn(move || serve(&service));

    let sandbox = Sandbox::new()
        .ports(["80"])
        .egress(["service.test:80"])
        .egress_names([format!("service.test={address}")])
        .wall_time(Duration::from_secs(20));
    let mut server = sandbox.command("python3").args(["-c", SERVER]).spawn()?;
    server.wait_ready(80, Duration::from_secs(10))?;
    for port in server.ports() {
        println!("published {port}");
        println!("{}", ask(port.host)?);
    }

    let report = server.wait()?.egress.unwrap_or_default();
    println!("{} bytes sent, {} received", report.sent_bytes, report.received_bytes);
    for attempt in &report.attempts {
        println!("{attempt}");
    }
    Ok(())
}
