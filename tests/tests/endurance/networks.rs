//! Networks that come and go leave nothing: no descriptor, mount, process, zombie or thread.

use seclude::{Link, Network, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::as_each;
use seclude_tests::census::{descendants, descriptors, mounts};
use seclude_tests::payload::rounds;

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
