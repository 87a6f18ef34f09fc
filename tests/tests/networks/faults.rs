//! Partitions, isolation, one-way blocks and loss do what they say, also to a member that comes
//! later.

use super::{ask, is_cut_off, on, python, serve, text};
use seclude::{ErrorKind, Link, Network, Sandbox};
use seclude_tests::caller::as_each;

#[test]
fn groups_of_a_partition_do_not_reach_each_other_until_it_heals() {
    as_each("groups_of_a_partition_do_not_reach_each_other_until_it_heals", |_| {
        let network = Network::builder().subnet("10.9.0.0/24").build().expect("it is made");
        let [a, b, c] = ["a", "b", "c"].map(|name| serve(&on(&network, name)));
        network.partition([&["a", "b"][..]]).expect("the filter is set");
        assert_eq!(ask(&a.cell, "b"), "hello");
        for (from, to) in [(&a, "c"), (&b, "c"), (&c, "a"), (&c, "b")] {
            assert!(is_cut_off(&from.cell, to));
        }
        // A member that comes later is in no group, as `c` is.
        let d = serve(&on(&network, "d"));
        assert_eq!(ask(&d.cell, "c"), "hello");
        assert!(is_cut_off(&d.cell, "a"));
        // A member that comes again is where it was.
        drop(b);
        let b = serve(&on(&network, "b"));
        assert_eq!(ask(&b.cell, "a"), "hello");
        assert!(is_cut_off(&b.cell, "d"));
        network.heal().expect("the filter is set");
        for (from, to) in [(&a, "c"), (&c, "a"), (&b, "d"), (&d, "b")] {
            assert_eq!(ask(&from.cell, to), "hello");
        }
    });
}

/// Every frame on the device of `b` is looked at, broadcasts and neighbour discovery included. The
/// control: frames arrive before and after.
#[test]
fn no_frame_reaches_an_isolated_member() {
    as_each("no_frame_reaches_an_isolated_member", |_| {
        let network = Network::builder().subnet("10.9.0.0/24").build().expect("it is made");
        let (a, b) = (serve(&on(&network, "a")), serve(&on(&network, "b")));
        let received = || {
            let output = b.cell.command("cat").arg("/proc/net/dev").output().expect("it starts");
            let text = text(&output.stdout);
            let line = text.lines().find(|line| line.contains("eth0:")).expect("it has a device");
            line.split_whitespace().nth(2).and_then(|word| word.parse::<u64>().ok())
        };
        let shout = || {
            // A broadcast, and requests for addresses that no one has learned.
            python(
                &a.cell,
                "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
for host in ['10.9.0.255', '10.9.0.2', '10.9.0.77'] * 20:
    try: s.sendto(b'x', (host, 9))
    except OSError: pass
ask('b', 1)
",
            )
        };
        let before = received();
        shout();
        let control = received();
        assert!(control > before, "{control:?} {before:?}");
        network.isolate("b").expect("the filter is set");
        let isolated = received();
        shout();
        assert!(is_cut_off(&b.cell, "a"));
        assert_eq!(received(), isolated);
        network.heal().expect("the filter is set");
        assert_eq!(ask(&a.cell, "b"), "hello");
        assert!(received() > isolated);
    });
}

#[test]
fn a_block_has_one_direction() {
    as_each("a_block_has_one_direction", |_| {
        let network = Network::builder().subnet("10.9.0.0/24").build().expect("it is made");
        let [a, b] = ["a", "b"].map(|name| serve(&on(&network, name)));
        // Both know each other's hardware address by now.
        assert_eq!((ask(&a.cell, "b"), ask(&b.cell, "a")), ("hello".into(), "hello".into()));
        let receive = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 9)); s.settimeout(1.5)
try: print(s.recv(9))
except OSError as error: print(type(error).__name__)
";
        let send = |to: &str| {
            format!(
                "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(20): s.sendto(b'x', ({to:?}, 9)); time.sleep(0.1)
"
            )
        };
        network.block("a", "b").expect("the filter is set");
        for (from, to, name, expected) in [(&a, &b, "b", "TimeoutError\n"), (&b, &a, "a", "b'x'\n")]
        {
            let got = std::thread::scope(|scope| {
                let receiver = scope.spawn(|| python(&to.cell, receive));
                python(&from.cell, &send(name));
                text(&receiver.join().expect("it ends").stdout)
            });
            assert_eq!(got, expected, "to {name}");
        }
    });
}

/// Of 2,000 datagrams, each of which is lost with this probability, within four standard
/// deviations. The kernel counts what arrives, so nothing depends on how soon a program reads it.
#[test]
fn loss_is_what_was_asked() {
    as_each("loss_is_what_was_asked", |_| {
        const SENT: u64 = 2000;
        let network = Network::builder().subnet("10.9.0.0/24").build().expect("it is made");
        let (a, b) = (serve(&on(&network, "a")), serve(&on(&network, "b")));
        assert_eq!(ask(&a.cell, "b"), "hello");
        let arrived = || {
            let program = "
names, values = [line.split() for line in open('/proc/net/snmp') if line.startswith('Udp:')]
print(values[names.index('NoPorts')])
";
            text(&python(&b.cell, program).stdout).trim().parse::<u64>().expect("a number")
        };
        for probability in [0.0, 0.1, 0.5, 1.0] {
            network.set_link("a", "b", &Link::new().loss(probability)).expect("the filter is set");
            let before = arrived();
            let send = format!(
                "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range({SENT}):
    s.sendto(b'x', ('b', 9))
    if number % 20 == 0: time.sleep(0.002)
"
            );
            python(&a.cell, &send);
            let answered = (arrived() - before) as f64;
            let expected = SENT as f64 * (1.0 - probability);
            let deviation = (SENT as f64 * probability * (1.0 - probability)).sqrt();
            assert!(
                (answered - expected).abs() <= 4.0 * deviation,
                "{answered} of {SENT} arrived at a loss of {probability}"
            );
        }
    });
}

#[test]
fn a_network_is_drawn_with_its_members_and_faults() {
    as_each("a_network_is_drawn_with_its_members_and_faults", |_| {
        let network = Network::builder().name("lab").subnet("10.9.0.0/24").build();
        let network = network.expect("it is made");
        assert_eq!(network.to_string(), "lab  10.9.0.0/24");
        let start = |sandbox: Sandbox| sandbox.network(&network).cell().expect("it starts");
        let named = |name: &str| start(Sandbox::new().hostname(name));
        let _members = (named("a"), named("b"), named("c"), start(Sandbox::new()));
        let slow = Link::new().delay(std::time::Duration::from_millis(50)).loss(0.1);
        network.set_link("a", "b", &slow).expect("the link is set");
        network.block("a", "c").expect("the filter is set");
        network.isolate("10.9.0.4").expect("the filter is set");
        let expected = "lab  10.9.0.0/24\n\
                        ├─ a  10.9.0.1\n\
                        │  ├─ to b: delay 50ms, loss 0.1\n\
                        │  └─ to c, 10.9.0.4: cut off\n\
                        ├─ b  10.9.0.2\n\
                        │  └─ to 10.9.0.4: cut off\n\
                        ├─ c  10.9.0.3\n\
                        │  └─ to 10.9.0.4: cut off\n\
                        └─ 10.9.0.4\n   \
                           └─ to a, b, c: cut off";
        assert_eq!(network.to_string(), expected);
        network.heal().expect("the filter is set");
        assert_eq!(network.to_string().matches("to ").count(), 1);
    });
}

#[test]
fn faults_of_no_one_are_mistakes() {
    as_each("faults_of_no_one_are_mistakes", |_| {
        let network = Network::builder().subnet("10.9.0.0/24").build().expect("it is made");
        let cells = ["a", "b"].map(|name| on(&network, name).cell().expect("it starts"));
        let mistakes = [
            network.partition([&["a"][..], &["x"]]),
            network.partition([&["a", "b"][..], &["b"]]),
            network.isolate("10.0.0.1"),
            network.block("a", ""),
            network.set_link("a", "b", &Link::new().loss(1.1)),
            network.set_link("a", "b", &Link::new().loss(f64::NAN)),
            network.set_link("a", "b", &Link::new().loss(-0.1)),
        ];
        for mistake in mistakes {
            assert_eq!(mistake.unwrap_err().kind(), ErrorKind::Invalid);
        }
        let address = cells[0].addresses().expect("it lives")[0].to_string();
        network.isolate(&address).expect("an address names a member, too");
    });
}
