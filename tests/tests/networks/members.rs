//! Members reach each other by name and address, in IPv4 and IPv6. SECLUDE_MEMBERS sets how many
//! there are in the test of each pair; `make test-members` has 100.

use super::{ask, on, python, serve, text};
use seclude::{ErrorKind, Network, Protection, Sandbox, Stdio};
use seclude_tests::caller::as_each;
use std::sync::Barrier;
use std::time::Duration;

/// Like `ask`. Goes on while the kernel's table of neighbours is full. It holds 1024 of all
/// networks together, and keeps those that were reached in the last 45 seconds. A connection that
/// finds no place in it fails with ENOBUFS, or waits.
const INSIST: &str = "
def insist(host):
    end = time.monotonic() + 300
    while (answer := ask(host, 10)) in ('EHOSTUNREACH', 'ENOBUFS', 'TimeoutError'):
        if time.monotonic() > end: break
        time.sleep(1)
    return answer
";

/// Starts members from eight threads, all at once.
fn from_threads<T: Send>(names: &[String], start: impl Fn(&str) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        let (barrier, start) = (&barrier, &start);
        let part = |part: usize| {
            scope.spawn(move || {
                barrier.wait();
                names.iter().skip(part).step_by(8).map(|name| start(name)).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..8).map(part).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
    })
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("node-{number}")).collect()
}

/// How many members are in networks whose pairs are all tried.
fn counts() -> Vec<usize> {
    let given = std::env::var("SECLUDE_MEMBERS").ok();
    given.map_or(vec![3, 30], |text| vec![text.parse().expect("SECLUDE_MEMBERS is a number")])
}

#[test]
fn every_member_reaches_every_other() {
    as_each("every_member_reaches_every_other", |caller| {
        for count in counts() {
            let network = Network::new().expect("it is made");
            let servers = from_threads(&names(count), |name| serve(&on(&network, name)));
            let members = network.members();
            assert_eq!(members.len(), count);
            let mut asked = 0;
            for server in &servers {
                let hosts = members.iter().flat_map(|member| {
                    let addresses = member.addresses.iter().map(ToString::to_string);
                    addresses.chain(member.hostname.clone())
                });
                let hosts: Vec<String> = hosts.collect();
                let program = format!("{INSIST}print([insist(host) for host in {hosts:?}])");
                let answers = text(&python(&server.cell, &program).stdout);
                assert_eq!(answers.matches("hello").count(), hosts.len(), "{answers}");
                asked += hosts.len();
            }
            eprintln!("{count} members as {}: {asked} connections", caller.name());
            drop(servers);
            assert_eq!(network.members(), []);
        }
    });
}

/// Members that only wait still refuse connections, and so show that they are reached. Not each of
/// them asks each: the kernel's table of neighbours holds a tenth of that, so that
/// `make test-members` mostly waits.
#[test]
fn a_hundred_members_have_names_and_are_reached() {
    as_each("a_hundred_members_have_names_and_are_reached", |_| {
        let network = Network::new().expect("it is made");
        let start = |name: &str| on(&network, name).cell().expect("it starts");
        let cells = from_threads(&names(100), start);
        for cell in [&cells[0], &cells[99]] {
            let program = "
print(sum(insist(f'node-{number}') == 'ConnectionRefusedError' for number in range(100)))
";
            let printed = text(&python(cell, &format!("{INSIST}{program}")).stdout);
            assert_eq!(printed, "100\n");
        }
    });
}

#[test]
fn a_hosts_file_follows_the_members() {
    as_each("a_hosts_file_follows_the_members", |_| {
        let network = Network::builder().subnet("10.9.0.0/24").build().expect("it is made");
        let watcher = on(&network, "watcher").cell().expect("it starts");
        let hosts = || {
            let output = watcher.command("cat").arg("/etc/hosts").output().expect("it starts");
            let text = text(&output.stdout);
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(ToOwned::to_owned).collect::<Vec<_>>()
        };
        let before = hosts();
        assert_eq!(before.last().map(String::as_str), Some("10.9.0.1\twatcher"));
        for round in 0..3 {
            let cells: Vec<_> = ["a", "long-name-of-a-member.example.org", "c"]
                .iter()
                .map(|name| on(&network, name).cell().expect("it starts"))
                .collect();
            assert_eq!(hosts().len(), before.len() + 3, "round {round}");
            drop(cells);
            assert_eq!(hosts(), before, "round {round}");
        }
        // A command has a membership of its own.
        let one = on(&network, "once").command("getent").args(["hosts", "once"]).output();
        assert_eq!(text(&one.expect("it starts").stdout).split_whitespace().last(), Some("once"));
        assert_eq!(hosts(), before);
    });
}

/// Its own hosts file does not go on naming those that it cannot reach any more.
#[test]
fn a_cell_that_leaves_its_network_forgets_the_members() {
    as_each("a_cell_that_leaves_its_network_forgets_the_members", |_| {
        let network = Network::new().expect("it is made");
        let [one, other] = ["one", "other"].map(|name| on(&network, name).cell());
        let (one, _other) = (one.expect("it starts"), other.expect("it starts"));
        let knows = |name: &str| {
            let mut command = one.command("getent");
            command.args(["hosts", name]).output().expect("it starts").outcome.success()
        };
        assert!(knows("one") && knows("other"));
        one.disconnect(&network).expect("it is a member");
        assert!(!knows("one") && !knows("other"));
        assert_eq!(network.members().len(), 1);
    });
}

#[test]
fn a_running_cell_connects_and_disconnects() {
    as_each("a_running_cell_connects_and_disconnects", |_| {
        let network = Network::new().expect("it is made");
        let server = serve(&on(&network, "server"));
        let address = server.cell.addresses().expect("it lives")[0].to_string();
        for sandbox in [Sandbox::new(), on(&Network::new().expect("it is made"), "other")] {
            let cell = sandbox.cell().expect("it starts");
            assert_eq!(ask(&cell, &address), "ENETUNREACH");
            let addresses = cell.connect(&network).expect("it connects");
            assert_eq!(ask(&cell, &address), "hello");
            let own: Vec<_> = network.members().into_iter().map(|one| one.addresses).collect();
            assert!(own.contains(&addresses), "{own:?}");
            cell.disconnect(&network).expect("it disconnects");
            assert_eq!(ask(&cell, &address), "ENETUNREACH");
            assert_eq!(network.members().len(), 1);
            let again = cell.disconnect(&network).unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Invalid, "{again}");
            cell.connect(&network).expect("it connects again");
            assert_eq!(ask(&cell, &address), "hello");
        }
    });
}

#[test]
fn a_cell_is_in_no_two_networks_that_share_an_address() {
    as_each("a_cell_is_in_no_two_networks_that_share_an_address", |_| {
        let build = |subnet: &str| Network::builder().subnet(subnet).build().expect("it is made");
        let (one, other) = (build("10.9.0.0/24"), build("10.9.0.128/25"));
        let cell = Sandbox::new().network(&one).cell().expect("it starts");
        let error = cell.connect(&other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains("overlap"), "{error}");
        let error = cell.connect(&one).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        let host = Sandbox::new().share(seclude::Namespace::Net).cell().expect("it starts");
        let error = host.connect(&other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    });
}

#[test]
fn traffic_is_counted_for_each_member() {
    as_each("traffic_is_counted_for_each_member", |_| {
        let network = Network::new().expect("it is made");
        let (server, client) = (serve(&on(&network, "server")), on(&network, "client").cell());
        let client = client.expect("it starts");
        let idle = on(&network, "idle").cell().expect("it starts");
        let before = network.traffic("server").expect("it is a member");
        python(
            &client,
            "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(50): s.sendto(bytes(1000), ('server', 9))
",
        );
        let after = network.traffic("server").expect("it is a member");
        let (bytes, packets) = (
            after.received_bytes - before.received_bytes,
            after.received_packets - before.received_packets,
        );
        // Each datagram with its headers, and some frames of neighbour discovery.
        assert!((50 * 1042..60_000).contains(&bytes), "{bytes} bytes");
        assert!((50..80).contains(&packets), "{packets} packets");
        let address = client.addresses().expect("it lives")[0].to_string();
        assert!(network.traffic(&address).expect("it is a member").sent_bytes >= 50 * 1042);
        assert!(network.traffic("idle").expect("it is a member").sent_bytes < 10_000);
        drop((server, idle));
        assert_eq!(network.traffic("idle").unwrap_err().kind(), ErrorKind::Invalid);
    });
}

/// Handles of what has ended keep no name.
#[test]
fn a_member_leaves_when_it_ends() {
    as_each("a_member_leaves_when_it_ends", |_| {
        let network = Network::new().expect("it is made");
        let sandbox = on(&network, "one");
        let mut child = sandbox.command("true").spawn().expect("it starts");
        assert_eq!(child.addresses().len(), network.subnets().len());
        child.wait().expect("it ends");
        assert_eq!((child.addresses(), network.members()), (vec![], vec![]));
        let cell = sandbox.cell().expect("it starts");
        let _running = cell.command("sleep").arg("1000").spawn().expect("it starts");
        cell.close();
        assert_eq!(network.members(), []);
        let mut killed = sandbox.command("sleep").arg("1000").spawn().expect("it starts");
        killed.kill().expect("it runs");
        killed.wait().expect("it ends");
        assert_eq!(network.members(), []);
        drop((child, killed));
    });
}

#[test]
fn a_member_is_where_it_was_after_a_reset() {
    as_each("a_member_is_where_it_was_after_a_reset", |_| {
        let network = Network::new().expect("it is made");
        let (a, b) = (serve(&on(&network, "a")), serve(&on(&network, "b")));
        let before = (a.cell.addresses().expect("it is open"), network.members());
        for _ in 0..3 {
            a.cell.reset().expect("it is open");
            assert_eq!((a.cell.addresses().expect("it is open"), network.members()), before);
            // Nothing listens in it any more.
            assert_eq!(ask(&b.cell, "a"), "ConnectionRefusedError");
            assert_eq!(ask(&a.cell, "b"), "hello");
        }
    });
}

/// The address of a member that has just ended is in use again at once.
#[test]
fn an_address_passes_from_one_member_to_the_next() {
    as_each("an_address_passes_from_one_member_to_the_next", |_| {
        let network = Network::builder().subnet("10.9.0.0/29").build().expect("it is made");
        let client = on(&network, "client").cell().expect("it starts");
        for round in 0..20 {
            let server = serve(&on(&network, "server").address("10.9.0.5"));
            assert_eq!(ask(&client, "10.9.0.5"), "hello", "round {round}");
            let taken = Sandbox::new().network(&network).address("10.9.0.5").cell().unwrap_err();
            assert!(taken.to_string().contains("a member of the network"), "{taken}");
            drop(server);
        }
    });
}

#[test]
fn a_network_has_as_many_members_as_addresses() {
    as_each("a_network_has_as_many_members_as_addresses", |_| {
        let network = Network::builder().subnet("10.9.0.0/29").build().expect("it is made");
        let sandbox = Sandbox::new().network(&network);
        let cells: Vec<_> = (0..6).map(|_| sandbox.cell().expect("it starts")).collect();
        let full = sandbox.cell().unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Invalid, "{full}");
        assert!(full.to_string().contains("taken"), "{full}");
        drop(cells);
        let outcome = sandbox.command("true").status().expect("it starts");
        assert!(outcome.enforced.contains(Protection::NetNamespace), "{outcome:?}");
    });
}

/// What the sandbox can do beside is what it could without a network.
#[test]
fn files_go_in_and_out_of_a_member() {
    as_each("files_go_in_and_out_of_a_member", |_| {
        let place = seclude_tests::scratch::directory();
        std::fs::write(place.path().join("in"), "text").expect("a file of our own");
        let network = Network::new().expect("it is made");
        let cell = Sandbox::new().network(&network).cell().expect("it starts");
        let transfer = seclude::Transfer::default();
        cell.copy_in(place.path().join("in"), "/tmp/in", &transfer).expect("it is copied");
        cell.copy_out("/tmp/in", place.path().join("out"), &transfer).expect("it is copied");
        assert_eq!(std::fs::read(place.path().join("out")).expect("it is there"), b"text");
        assert!(cell.processes().expect("it lives").len() == 1);
    });
}

#[test]
fn a_server_is_awaited_without_a_connection() {
    as_each("a_server_is_awaited_without_a_connection", |_| {
        let long = Duration::from_secs(60);
        let listen = |address: &str| {
            let program = format!(
                "import socket, time; time.sleep(0.3); s = socket.socket(socket.AF_INET{}); \
                s.bind(({address:?}, 80)); s.listen(); s.settimeout(0.5)
try: s.accept(); print('connected')
except TimeoutError: pass",
                if address.contains(':') { "6" } else { "" }
            );
            ["-c".to_owned(), program]
        };
        let network = Network::new().expect("it is made");
        for address in ["127.0.0.1", "0.0.0.0", "::1"] {
            let sandbox = on(&network, "server");
            let mut command = sandbox.command("python3");
            let child = command.args(listen(address)).stdout(Stdio::piped()).spawn();
            let child = child.expect("it starts");
            assert!(child.wait_ready(80, long).expect("it is seen"), "{address}");
            assert!(!child.wait_ready(81, Duration::from_millis(1)).expect("it is seen"));
            let output = child.wait_with_output().expect("it ends");
            assert_eq!(text(&output.stdout), "", "{address}: a connection was made");
        }
        let cell = Sandbox::new().cell().expect("it starts");
        let mut ended = cell.command("true").spawn().expect("it starts");
        assert!(!ended.wait_ready(80, long).expect("it is seen"));
        ended.wait().expect("it ends");
        assert!(!cell.wait_ready(80, Duration::ZERO).expect("it is seen"));
    });
}
