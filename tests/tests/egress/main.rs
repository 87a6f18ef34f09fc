//! The way out by permission: what a rule allows is reached, and nothing else.
//!
//! The tests make an Internet of their own from private networks. A server is at a public address,
//! one at the address of a cloud's metadata, and one in an office. The caller is a cell that is in
//! all three networks. The sandbox under test is a sandbox of that caller.
#![deny(unsafe_code)]

mod canaries;
mod credentials;
mod rules;

use seclude::{Cell, Child, Network, Sandbox, Stdio};
use seclude_tests::caller::driver;
use seclude_tests::job::{Action, Job, Stream, read_told};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};

/// Answers on TCP and UDP, on ports 7 and 443, with its name and what it was sent. Says on its
/// standard output what has come.
const SERVER: &str = "
import socket, sys, threading
name = sys.argv[1].encode()
def say(*words):
    print(*words, flush=True)
def stream(port):
    server = socket.create_server(('', port), family=socket.AF_INET6, dualstack_ipv6=True)
    def answer(connection):
        with connection:
            text = connection.recv(1000)
            say('tcp', port, text)
            connection.sendall(name + b' ' + text)
    def serve():
        while True:
            threading.Thread(target=answer, args=[server.accept()[0]], daemon=True).start()
    threading.Thread(target=serve).start()
def datagram(port):
    server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind(('', port))
    def serve():
        while True:
            text, sender = server.recvfrom(9000)
            say('udp', port, text)
            server.sendto(name + b' ' + text, sender)
    threading.Thread(target=serve).start()
def local(address):
    server = socket.socket(socket.AF_UNIX)
    server.bind(address)
    server.listen()
    def serve():
        while True:
            connection, _ = server.accept()
            say('unix', address)
            connection.sendall(name)
    threading.Thread(target=serve).start()
for port in 7, 443:
    stream(port)
    datagram(port)
local('\\0canary')
local('/tmp/canary')
say('ready')
";

/// The addresses that the caller's names lead to.
const HOSTS: &str = "127.0.0.1 localhost
93.184.216.34 www.example.org
93.184.216.34 WWW.unlisted.test
169.254.169.254 metadata.example.org
10.77.0.5 office.example.org
127.0.0.1 loopback.example.org
93.184.216.1 self.example.org
";

struct Internet {
    /// The servers' cells, with the programs that run in them.
    servers: Vec<(Cell, Child)>,
    caller: Cell,
    /// The server on the caller's own host.
    beside: Child,
}

fn serve(cell: &Cell, name: &str) -> Child {
    let mut command = cell.command("python3");
    let mut running =
        command.args(["-c", SERVER, name]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let stdout = running.stdout.as_mut().expect("it is piped");
    BufReader::with_capacity(1, stdout).read_line(&mut line).expect("it is open");
    assert_eq!(line, "ready\n");
    running
}

impl Internet {
    fn new() -> Internet {
        let network = |name: &str, subnets: [&str; 2]| {
            let [v4, v6] = subnets;
            Network::builder().name(name).subnet(v4).subnet(v6).build().expect("it is made")
        };
        let world = network("world", ["93.184.216.0/24", "2606:2800::/64"]);
        let cloud = network("cloud", ["169.254.169.0/24", "fd00:ec2::/64"]);
        let office = network("office", ["10.77.0.0/24", "fd77::/64"]);
        let at = [(&world, "93.184.216.34"), (&cloud, "169.254.169.254"), (&office, "10.77.0.5")];
        let servers = at.map(|(network, address)| {
            let sandbox = Sandbox::new().network(network).address(address).hostname(network.name());
            let cell = sandbox.cell().expect("it starts");
            let running = serve(&cell, network.name());
            (cell, running)
        });
        let caller = Sandbox::new()
            .network(&world)
            .address("93.184.216.1")
            .nested()
            .bind_ro(driver(), "/driver")
            .file("/etc/hosts", HOSTS)
            .cell()
            .expect("it starts");
        caller.connect(&cloud).expect("it is another subnet");
        caller.connect(&office).expect("it is another subnet");
        let beside = serve(&caller, "beside");
        Internet { servers: servers.into(), caller, beside }
    }

    /// Runs a Python program in a sandbox with this policy, and returns what it has printed, and
    /// the outcome's report of the network.
    fn run(&self, policy: Value, program: &str) -> Told {
        let job = Job {
            action: Action::Output,
            policy: policy.to_string(),
            program: "python3".into(),
            arguments: ["-c", program].map(Into::into).to_vec(),
            streams: [Stream::Null, Stream::Piped(Vec::new()), Stream::Piped(Vec::new())],
            ..Job::default()
        };
        let script = "cat > /tmp/job-$$ && /driver /tmp/job-$$ /tmp/told-$$ && cat /tmp/told-$$";
        let mut command = self.caller.command("sh");
        command.args(["-c", script]).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(job.write().as_bytes()).expect("it is read");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stdout);
        let mut told = read_told(&text).unwrap_or_else(|error| {
            panic!("{error}: {text:?} {}", String::from_utf8_lossy(&output.stderr))
        });
        let mut get = |key: &str| {
            let bytes = told.remove(key).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Told { stdout: get("stdout"), stderr: get("stderr"), all: text.into() }
    }

    /// Ends all servers. Returns what has come to each, that of the caller's own host last.
    fn log(self) -> Vec<String> {
        let Internet { servers, beside, .. } = self;
        let running = servers.into_iter().map(|(.., running)| running).chain([beside]);
        let end = |mut child: Child| {
            child.kill().expect("it runs");
            let output = child.wait_with_output().expect("it ends");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        running.map(end).collect()
    }
}

struct Told {
    stdout: String,
    stderr: String,
    all: String,
}

impl Told {
    /// The lines that the program has printed.
    fn lines(&self) -> Vec<&str> {
        assert!(self.stderr.is_empty(), "{}", self.all);
        self.stdout.lines().collect()
    }
}
