//! What rules allow, over both protocols and in both families.

use crate::Internet;
use seclude::Sandbox;
use seclude_tests::caller::as_each;
use serde_json::json;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};

/// `tcp(host, port)` and `udp(host, port)`: the answer, or the error's name.
const ASKING: &str = "
import socket, time
def ask(kind, host, port, text):
    try:
        with socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, kind) as connection:
            # A denied datagram has no answer. A connection always ends by itself.
            connection.settimeout(3 if kind == socket.SOCK_DGRAM else 60)
            connection.connect((host, port))
            connection.send(text)
            return connection.recv(70000).decode()
    except OSError as error:
        return type(error).__name__
def tcp(host, port, text=b'x'):
    return ask(socket.SOCK_STREAM, host, port, text)
def udp(host, port, text=b'x'):
    return ask(socket.SOCK_DGRAM, host, port, text)
";

#[test]
fn a_rule_allows_what_it_names_and_nothing_else() {
    as_each("a_rule_allows_what_it_names_and_nothing_else", |_| {
        let internet = Internet::new();
        let run = |policy: serde_json::Value, program: &str| {
            let told = internet.run(policy, &format!("{ASKING}{program}"));
            told.lines().join("\n")
        };
        let policy = json!({
            "egress": ["www.example.org:7/tcp", "10.77.0.0/24:1-100", "[2606:2800::22]:443/udp"],
        });
        assert_eq!(
            run(
                policy,
                "
print(tcp('www.example.org', 7), udp('www.example.org', 7), tcp('www.example.org', 443))
print(tcp('10.77.0.5', 7), udp('10.77.0.5', 7), tcp('10.77.0.5', 443))
print(tcp('2606:2800::22', 443), udp('2606:2800::22', 443))
print(tcp('93.184.216.34', 7), tcp('unlisted.test', 7))
"
            ),
            "world x TimeoutError ConnectionResetError\n\
             office x office x ConnectionResetError\n\
             ConnectionResetError world x\n\
             ConnectionResetError gaierror",
        );
        // All that is public, but for one port, and names with other addresses.
        let policy = json!({
            "egress": ["*", "db.test"],
            "egress_deny": ["*:443", "self.example.org"],
            "egress_names": ["db.test=10.77.0.5:7", "host.test=127.0.0.1"],
        });
        assert_eq!(
            run(
                policy,
                "
print(tcp('93.184.216.34', 7), tcp('93.184.216.34', 443), tcp('WWW.Example.ORG.', 7))
print(tcp('db.test', 5432), udp('db.test', 1), tcp('host.test', 7), tcp('10.77.0.5', 7))
print(tcp('self.example.org', 7), tcp('no-such-name.test', 7))
"
            ),
            "world x ConnectionResetError world x\n\
             office x office x beside x ConnectionResetError\n\
             gaierror gaierror",
        );
    });
}

#[test]
fn half_a_connection_goes_on_and_large_data_arrives_whole() {
    as_each("half_a_connection_goes_on_and_large_data_arrives_whole", |_| {
        let internet = Internet::new();
        let policy = json!({"egress": ["www.example.org", "94.0.0.0/8"]});
        let program = format!(
            "{ASKING}
text = udp('www.example.org', 7, b'y' * 8000)
print(len(text))
with socket.create_connection(('www.example.org', 7)) as connection:
    connection.shutdown(socket.SHUT_WR)
    print(connection.recv(100))
# Nobody answers there.
print(tcp('94.1.2.3', 7))
"
        );
        let told = internet.run(policy, &program);
        assert_eq!(told.lines(), ["8006", "b'world '", "ConnectionResetError"]);
    });
}

#[test]
fn the_caller_decides_about_what_no_rule_is_about() {
    as_each("the_caller_decides_about_what_no_rule_is_about", |_| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is one");
        let port = listener.local_addr().expect("it is bound").port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = asked.clone();
        let sandbox = Sandbox::new()
            .egress_deny(["denied.test"])
            .egress_names([format!("allowed.test=127.0.0.1:{port}")])
            .decide_egress(move |attempt| {
                told.lock().expect("no panic before").push(attempt.to_string());
                if attempt.port == 666 {
                    // A panic denies. This one says nothing: a backtrace can take seconds.
                    std::panic::resume_unwind(Box::new(()));
                }
                attempt.name.as_deref() == Some("allowed.test")
            });
        let program = format!(
            "{ASKING}
print(tcp('denied.test', 1), tcp('unknown.test', 1), tcp('8.8.8.8', 666), tcp('8.8.8.8', 80))
metadata = tcp('169.254.169.254', 80)
allowed = socket.create_connection(('allowed.test', 443))
print(metadata, allowed.getpeername()[1])
# The kernel has the connection before the caller is asked. The report has what was decided.
time.sleep(0.5)
"
        );
        let mut command = sandbox.command("python3");
        let output = command.args(["-c", &program]).output().expect("it starts");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "gaierror gaierror ConnectionResetError ConnectionResetError\n\
             ConnectionResetError 443\n",
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A resolver may ask for both families.
        asked.dedup();
        assert_eq!(
            asked,
            [
                "udp unknown.test:53: no rule allows the name",
                "tcp 8.8.8.8:666: no rule allows it",
                "tcp 8.8.8.8:80: no rule allows it",
                "udp allowed.test:53: no rule allows the name",
                "tcp allowed.test:443 (127.0.0.1): no rule allows it",
            ]
        );
        let report = output.outcome.egress.expect("it has a way out");
        assert_eq!(report.allowed, 1);
        let last = report.attempts.last().expect("it was tried").to_string();
        assert_eq!(last, "tcp allowed.test:443 (127.0.0.1): allowed");
        assert!(report.attempts.iter().any(|one| one.to_string().contains("the caller denies it")));
    });
}
