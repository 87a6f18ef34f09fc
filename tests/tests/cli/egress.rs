//! What a run says of published ports and of the way out.

use crate::ground::{each, run};
use serde_json::{Value, json};

/// Connects to an address and looks up a name, neither of which is allowed. The address twice.
const ATTEMPTS: &str = "
import socket
for host in '8.8.8.8', '8.8.8.8', 'other.test':
    try:
        socket.create_connection((host, 80)).recv(1)
    except OSError as error:
        print(type(error).__name__)
";
const MET: &str = "ConnectionResetError\nConnectionResetError\ngaierror\n";
const DENIED: &str = "seclude: denied tcp 8.8.8.8:80: no rule allows it
seclude: denied udp other.test:53: no rule allows the name
";

#[test]
fn published_ports_are_said() {
    each("published_ports_are_said", |_| {
        let ports = ["--ports", "8080", "--ports", "[::1]:0:53/udp"];
        let ran = run(["run"].iter().chain(&ports).chain(&["--", "echo", "ran"]));
        assert_eq!((ran.code, &*ran.out), (0, "ran\n"), "{}", ran.err);
        let lines: Vec<&str> = ran.err.lines().collect();
        let forms = [("127.0.0.1:", ":8080/tcp"), ("[::1]:", ":53/udp")];
        assert_eq!(lines.len(), forms.len(), "{}", ran.err);
        for (line, (before, after)) in lines.iter().zip(forms) {
            let port = line
                .strip_prefix(&format!("seclude: published {before}"))
                .and_then(|rest| rest.strip_suffix(after))
                .and_then(|port| port.parse::<u16>().ok());
            assert!(port.is_some_and(|port| port > 0), "{line}");
        }
        let ran = run(["run", "--ports", "8080:x", "--", "true"]);
        assert_eq!((ran.code, &*ran.out), (125, ""));
        assert!(ran.err.starts_with("seclude: port \"8080:x\""), "{}", ran.err);
    });
}

#[test]
fn denied_attempts_are_said_once() {
    each("denied_attempts_are_said_once", |_| {
        let program = ["--", "python3", "-c", ATTEMPTS];
        let rules = ["run", "--egress", "one.test:443"];
        let ran = run(rules.iter().chain(&program));
        assert_eq!((ran.code, &*ran.out, &*ran.err), (0, MET, DENIED));
        let ran = run(rules.iter().chain(&["--quiet"]).chain(&program));
        assert_eq!((ran.code, &*ran.out, &*ran.err), (0, MET, ""));
        // What is allowed is not said.
        let names = ["--egress-names", "one.test=127.0.0.1"];
        let ran = run(rules.iter().chain(&names).chain(&["--", "getent", "hosts", "one.test"]));
        assert_eq!((ran.code, &*ran.err), (0, ""), "{}", ran.out);
    });
}

#[test]
fn the_outcome_as_json_has_the_report() {
    each("the_outcome_as_json_has_the_report", |_| {
        let told = |options: &[&str]| -> Value {
            let program = ["--", "python3", "-c", ATTEMPTS];
            let ran = run(["run", "--json"].iter().chain(options).chain(&program));
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
        };
        let report = told(&["--egress", "one.test:443"])["egress"].take();
        assert_eq!(report["allowed"], 0);
        assert_eq!((&report["sent_bytes"], &report["received_bytes"]), (&json!(0), &json!(0)));
        // A program asks for a name once for each family.
        assert!(report["denied"].as_u64().is_some_and(|denied| denied >= 3), "{report}");
        let attempt = json!({
            "protocol": "tcp", "name": null, "address": "8.8.8.8", "port": 80,
            "denial": "no rule allows it",
        });
        let question = json!({
            "protocol": "udp", "name": "other.test", "address": null, "port": 53,
            "denial": "no rule allows the name",
        });
        assert_eq!(report["attempts"], json!([attempt, question]));
        assert_eq!(told(&[]).get("egress"), None);
    });
}
