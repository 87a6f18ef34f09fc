//! Private networks: members reach each other and nothing else, faults between them do what they
//! say, and nothing is left of a network.
#![deny(unsafe_code)]

mod attempts;
mod faults;
mod left;
mod links;
mod members;
mod published;

use seclude::{Cell, Child, Network, Output, Sandbox, Stdio};
use std::io::{BufRead, BufReader};

/// Answers each connection to port 7 with a line, and each datagram with itself, in both families.
const SERVER: &str = "
import socket, threading
stream = socket.create_server(('', 7), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)
datagram = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagram.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
datagram.bind(('', 7))
def echo():
    while True:
        text, sender = datagram.recvfrom(9000)
        datagram.sendto(text, sender)
threading.Thread(target=echo, daemon=True).start()
print('ready', flush=True)
while True:
    connection, _ = stream.accept()
    connection.sendall(b'hello\\n')
    connection.close()
";

/// A member whose cell runs the server.
struct Server {
    cell: Cell,
    _running: Child,
}

fn on(network: &Network, name: &str) -> Sandbox {
    Sandbox::new().network(network).hostname(name)
}

fn serve(sandbox: &Sandbox) -> Server {
    let cell = sandbox.cell().expect("it starts");
    let mut command = cell.command("python3");
    let mut running =
        command.args(["-c", SERVER]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let stdout = running.stdout.as_mut().expect("it is piped");
    BufReader::new(stdout).read_line(&mut line).expect("it is open");
    assert_eq!(line, "ready\n");
    Server { cell, _running: running }
}

/// Runs a Python program in a cell, with `ask(host)`: the server's line, or the error's name.
fn python(cell: &Cell, program: &str) -> Output {
    let asking = "
import errno, socket, sys, time
def ask(host, timeout=2):
    try:
        with socket.create_connection((host, 7), timeout) as connection:
            return connection.makefile().readline().strip()
    except OSError as error:
        name = type(error).__name__
        return errno.errorcode[error.errno] if name == 'OSError' else name
";
    let program = format!("{asking}{program}");
    let output = cell.command("python3").args(["-c", &program]).output().expect("it starts");
    assert!(output.outcome.success(), "{} {}", output.outcome, text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the server `host` answers to this cell.
fn ask(cell: &Cell, host: &str) -> String {
    // The kernel's table of neighbours holds 1024 of all networks together. Other tests fill it,
    // and then nobody answers for an address.
    let program = format!(
        "
for _ in range(60):
    if (answer := ask({host:?}, 30)) not in ('EHOSTUNREACH', 'ENOBUFS'): break
    time.sleep(0.5)
print(answer)
"
    );
    text(&python(cell, &program).stdout).trim().to_owned()
}

/// Whether the server `host` does not answer this cell soon.
fn is_cut_off(cell: &Cell, host: &str) -> bool {
    let answer = text(&python(cell, &format!("print(ask({host:?}, 0.4))")).stdout);
    answer.trim() != "hello"
}
