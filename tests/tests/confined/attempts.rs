//! No attempt to reach what is the caller's succeeds, and each succeeds without a sandbox.

use crate::{sandbox, where_namespaces_are_denied};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SCRIPT: &str = include_str!("attempts.py");
/// Would change all processes of the user, the test's included.
const HARMFUL: &str = "priority of the user";
/// Not every file system has these.
const RARE: [&str; 2] = ["flags", "attribute"];
/// The network of the imitated container has no device that is up.
const BY_NETWORK: [&str; 2] = ["TCP", "UDP"];

/// A process of the caller, and files and sockets.
struct Scene {
    victim: Child,
    description: Value,
}

impl Scene {
    fn set(place: &Path) -> Scene {
        for directory in ["outside", "shown", "work"] {
            fs::create_dir(place.join(directory)).expect("it is new");
        }
        let write = |name: &str, mode: u32, text: &str| {
            fs::write(place.join(name), text).expect("it is ours");
            fs::set_permissions(place.join(name), Permissions::from_mode(mode)).expect("so too");
        };
        write("secret", 0o600, "secret");
        write("shown/file", 0o644, "shown");
        write("outside/removable", 0o644, "");
        write("outside/program", 0o755, "#!/bin/sh\necho execute\n");
        write("work/movable", 0o666, "");
        let open = Permissions::from_mode(0o777);
        fs::set_permissions(place.join("work"), open).expect("it is ours");
        let abstract_name = format!("seclude-{}", std::process::id());
        let mut description = json!({
            "secret": place.join("secret"), "shown": place.join("shown/file"),
            "outside": place.join("outside"), "work": place.join("work"),
            "socket": place.join("socket"), "datagrams": place.join("datagrams"),
            "abstract": abstract_name, "without": [],
        });
        let mut victim = Command::new("python3")
            .args(["-c", SCRIPT, &description.to_string(), "victim"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there");
        let mut line = String::new();
        BufReader::new(victim.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let (pid, port) = line.trim().split_once(' ').expect("two numbers");
        description["victim"] = pid.parse::<u32>().expect("a number").into();
        description["port"] = port.parse::<u16>().expect("a number").into();
        Scene { victim, description }
    }

    fn arguments(&self, without: &[&str]) -> [String; 3] {
        let mut description = self.description.clone();
        description["without"] = json!(without);
        ["-c".into(), SCRIPT.into(), description.to_string()]
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.victim.stdin.take());
        let _ = self.victim.wait();
    }
}

fn names(output: &[u8]) -> BTreeSet<String> {
    String::from_utf8_lossy(output).lines().map(str::to_owned).collect()
}

/// The names of all attempts, in the script.
fn all() -> BTreeSet<String> {
    let (_, attempts) = SCRIPT.split_once("ATTEMPTS = {").expect("the script has them");
    let lines = attempts.lines().filter_map(|line| line.trim().strip_prefix('"'));
    lines.filter_map(|line| Some(line.split_once("\": ")?.0.to_owned())).collect()
}

#[test]
fn nothing_of_the_callers_can_be_reached() {
    where_namespaces_are_denied("nothing_of_the_callers_can_be_reached", |place| {
        let scene = Scene::set(place);
        let (shown, work) = (place.join("shown"), place.join("work"));
        let confined = sandbox().bind_ro(&shown, &shown).bind_rw(&work, &work);
        let mut command = confined.command("python3");
        let output = command.args(scene.arguments(&[])).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.outcome.success(), "{} {text}", output.outcome.ended);
        assert_eq!(names(&output.stdout), BTreeSet::new(), "these succeed");

        // The control: outside, each of them does.
        let mut outside = Command::new("python3");
        let output = outside.args(scene.arguments(&[HARMFUL])).output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let has_network = !Path::new("/.dockerenv").exists();
        let succeeds = names(&output.stdout);
        let may_fail = |name: &str| {
            name == HARMFUL || RARE.contains(&name) || BY_NETWORK.contains(&name) && !has_network
        };
        let failed: Vec<String> =
            all().into_iter().filter(|name| !succeeds.contains(name) && !may_fail(name)).collect();
        assert!(failed.is_empty(), "outside these fail: {failed:?}");
    });
}
