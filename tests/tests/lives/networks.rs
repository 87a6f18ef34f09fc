//! A template's network namespaces are used again by its copies, one copy at a time. A namespace is
//! retired if anything shows that its last user left a trace.

use seclude::{Ended, Join, Namespace, NetworkStatistics, Pool, Sandbox};
use seclude_tests::caller::as_each;
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Prints the id of the network namespace and the kernel's counters for it, without those of the
/// whole machine.
const SEEN: &str = "readlink /proc/self/ns/net; cd /proc/net; cat dev snmp snmp6 netstat igmp igmp6 ip6_flowlabel; awk '{print $2, $3}' sockstat";

fn said(pool: &Pool, script: &str) -> String {
    let output = pool.command("sh").args(["-c", script]).output().expect("it runs");
    assert_eq!(
        output.outcome.ended,
        Ended::Exited(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// The statistics once `enough` holds, or after 20 seconds.
fn settled(pool: &Pool, enough: impl Fn(&NetworkStatistics) -> bool) -> NetworkStatistics {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let told = pool.networks();
        if enough(&told) || Instant::now() > deadline {
            return told;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn one_after_another_and_as_new() {
    as_each("one_after_another_and_as_new", |_| {
        let pool = Sandbox::new().pool(2).expect("it starts");
        let (mut numbers, mut accounts) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..40 {
            let seen = said(&pool, SEEN);
            let (number, account) = seen.split_once('\n').expect("two parts");
            numbers.insert(number.to_owned());
            accounts.insert(account.to_owned());
        }
        let told = settled(&pool, |told| told.reused >= 30);
        assert_eq!((told.retired, told.last_retired), (0, None), "{told:?}");
        // As many as were in use at once or not yet inspected after use.
        assert!(
            told.reused >= 30 && told.made <= 10 && numbers.len() <= 10,
            "{told:?} {numbers:?}"
        );
        assert_eq!(accounts.len(), 1, "{accounts:?}");
    });
}

#[test]
fn one_user_at_a_time() {
    as_each("one_user_at_a_time", |_| {
        let pool = Sandbox::new().pool(4).expect("it starts");
        for _ in 0..10 {
            let mut running: Vec<_> = (0..4)
                .map(|_| {
                    let mut command = pool.command("sh");
                    command.args(["-c", "readlink /proc/self/ns/net; read line"]);
                    command
                        .stdin(seclude::Stdio::piped())
                        .stdout(seclude::Stdio::piped())
                        .spawn()
                        .expect("it starts")
                })
                .collect();
            let numbers: BTreeSet<String> = running
                .iter_mut()
                .map(|child| {
                    let mut line = String::new();
                    let stdout = child.stdout.take().expect("piped");
                    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)
                        .expect("it prints a line");
                    line
                })
                .collect();
            assert_eq!(numbers.len(), 4, "{numbers:?}");
            for child in &mut running {
                assert_eq!(
                    child.wait().expect("it ends").ended,
                    Ended::Exited(1),
                    "its input has ended"
                );
            }
        }
    });
}

/// What leaves a trace, as a name and Python code.
const TRACES: [(&str, &str); 5] = [
    (
        "a packet",
        "a = socket(AF_INET, SOCK_DGRAM); a.bind(('127.0.0.1', 0)); a.sendto(b'x', a.getsockname())",
    ),
    (
        "a connection",
        "a = create_server(('127.0.0.1', 0)); b = create_connection(a.getsockname()); a.accept()",
    ),
    (
        "a packet of version 6",
        "a = socket(AF_INET6, SOCK_DGRAM); a.bind(('::1', 0)); a.sendto(b'x', a.getsockname())",
    ),
    (
        "no route",
        "a = socket(AF_INET, SOCK_DGRAM); import contextlib\nwith contextlib.suppress(OSError): a.connect(('192.0.2.1', 9))",
    ),
    // struct in6_flowlabel_req: label 77 for ::1, IPV6_FL_A_GET with the flags IPV6_FL_F_CREATE,
    // for this process, to expire and linger for 30 seconds (ipv6(7)).
    (
        "a flow label",
        "import struct; a = socket(AF_INET6, SOCK_DGRAM)\n\
         a.setsockopt(41, 32, inet_pton(AF_INET6, '::1') + struct.pack('!I', 77) + struct.pack('=BBHHHI', 0, 2, 1, 30, 30, 0))",
    ),
];

#[test]
fn who_has_left_a_trace_is_not_followed() {
    as_each("who_has_left_a_trace_is_not_followed", |_| {
        let pool = Sandbox::new().pool(1).expect("it starts");
        let fresh = said(&pool, SEEN);
        let fresh = fresh.split_once('\n').expect("two parts").1;
        for (what, code) in TRACES {
            let before = pool.networks().retired;
            let script = format!(
                "readlink /proc/self/ns/net; exec python3 -c \"from socket import *\n{code}\""
            );
            let number = said(&pool, &script);
            let told = settled(&pool, |told| told.retired > before);
            let retired = told.last_retired.unwrap_or_else(|| panic!("{what}: {told:?}"));
            assert_eq!(
                (told.retired, format!("net:[{}]\n", retired.id)),
                (before + 1, number),
                "{what}: {told:?}"
            );
            println!("{what}: {}", retired.why);
            for _ in 0..3 {
                assert_eq!(
                    said(&pool, SEEN).split_once('\n').expect("two parts").1,
                    fresh,
                    "{what}"
                );
            }
        }
    });
}

#[test]
fn a_socket_that_lives_on_outside() {
    as_each("a_socket_that_lives_on_outside", |_| {
        let pool = Sandbox::new().pool(1).expect("it starts");
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        let code = "import os, socket; s = socket.socket(fileno=3); a = socket.socket(); a.listen(); socket.send_fds(s, [b'x'], [a.fileno()])";
        let mut command = pool.command("python3");
        let outcome = command.args(["-c", code]).fd(3, theirs).status().expect("it runs");
        assert_eq!(outcome.ended, Ended::Exited(0));
        drop(command);
        // The message with the socket is in flight.
        let told = settled(&pool, |told| told.retired > 0);
        assert_eq!(told.last_retired.map(|retired| retired.why), Some("sockstat"), "{told:?}");
        drop(ours);
    });
}

#[test]
fn who_joins_is_not_joined() {
    as_each("who_joins_is_not_joined", |_| {
        let sandbox = Sandbox::new();
        let pool = sandbox.pool(1).expect("it starts");
        let mut child = pool.command("sleep").arg("1000").spawn().expect("it starts");
        let join = Join::new().process(child.id()).only([Namespace::User, Namespace::Net]);
        let mut joined = Sandbox::new()
            .join(&join)
            .expect("they are found")
            .command("sleep")
            .arg("1000")
            .spawn()
            .expect("it starts");
        let link = |pid: u32| {
            std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("the caller may look into it")
        };
        assert_eq!(link(child.id()), link(joined.id()));
        child.kill().expect("it is killed");
        child.wait().expect("it ends");
        let told = settled(&pool, |told| told.retired > 0);
        assert_eq!(told.last_retired.map(|retired| retired.why), Some("sockstat"), "{told:?}");
        joined.kill().expect("it is killed");
        joined.wait().expect("it ends");
    });
}
