//! Sandboxes in sandboxes: three levels, of which each sees what is inside it, and a clear error at
//! the kernel's limit. The program inside is this crate's own driver.

use seclude::{MiB, Sandbox, Stdio};
use seclude_tests::caller::{as_each, driver};
use seclude_tests::job::{Action, Job, Stream};
use std::io::{BufRead, BufReader};

/// A job for a driver inside: `script` runs in a sandbox that contains the driver and `file`, the
/// next driver's job.
fn within(script: &str, file: Option<String>) -> String {
    let mut files = vec![
        serde_json::json!({"bind": "/driver"}),
        serde_json::json!({"tmpfs": "/tmp", "size": "1M"}),
    ];
    if let Some(data) = file {
        files.push(serde_json::json!({"file": "/job", "data": data}));
    }
    Job {
        action: Action::Output,
        policy: serde_json::json!({"nested": true, "files": files}).to_string(),
        program: "sh".into(),
        arguments: ["-c", script].map(Into::into).to_vec(),
        streams: [Stream::Inherit, Stream::Inherit, Stream::Inherit],
        ..Job::default()
    }
    .write()
}

#[test]
fn three_levels_each_sees_what_is_within_it() {
    as_each("three_levels_each_sees_what_is_within_it", |_| {
        // Each level waits for the innermost one, then prints how many wardens it sees. `cat` keeps
        // all levels running until the end of input.
        let view = |level: usize| {
            format!(
                "until grep -qs 'the-innermost[-]mark' /proc/[0-9]*/cmdline; do sleep 0.02; done; echo level {level} sees $(grep -lsa '^seclude-warde[n]' /proc/[0-9]*/cmdline | wc -l)"
            )
        };
        let outer = |level: usize| {
            format!(
                "exec 3<&0; /driver /job /tmp/result <&3 & {}; wait; cat /tmp/result",
                view(level)
            )
        };
        let third = within(
            &format!(
                "{}; cat; :",
                "sh -c 'sleep 1000' the-innermost-mark & echo level 3 sees $(grep -lsa '^seclude-warde[n]' /proc/[0-9]*/cmdline | wc -l)"
            ),
            None,
        );
        let second = within(&outer(2), Some(third));
        let sandbox = Sandbox::new()
            .nested()
            .bind_ro(driver(), "/driver")
            .file("/job", second)
            .tmpfs("/tmp", MiB(1));
        let mut command = sandbox.command("sh");
        command.args(["-c", &outer(1)]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut lines: Vec<String> = Vec::new();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        for _ in 0..3 {
            let mut line = String::new();
            assert_ne!(
                output.read_line(&mut line).expect("a pipe"),
                0,
                "it ended early: {lines:?}"
            );
            lines.push(line.trim().to_owned());
        }
        lines.sort();
        assert_eq!(lines, ["level 1 sees 3", "level 2 sees 2", "level 3 sees 1"]);

        let processes = child.processes().expect("they can be listed");
        let depth = processes[0].pids.len();
        let wardens: Vec<_> = processes
            .iter()
            .filter(|process| process.command.first().is_some_and(|name| name == "seclude-warden"))
            .collect();
        assert_eq!(wardens.len(), 3, "{processes:#?}");
        for (level, warden) in wardens.iter().enumerate() {
            assert_eq!(warden.pids.len(), depth + level, "each warden stands one level deeper");
            assert_eq!(warden.pids.last(), Some(&1), "and is PID 1 there");
        }
        let at = |level: usize| {
            processes.iter().filter(|process| process.pids.len() >= depth + level).count()
        };
        assert!(
            at(0) > at(1) && at(1) > at(2) && at(2) >= 3,
            "the tree shrinks inward: {processes:#?}"
        );
        assert_eq!(at(0), processes.len());
        assert!(
            processes.iter().any(|process| process
                .command
                .iter()
                .any(|word| word == "the-innermost-mark")
                && process.pids.len() == depth + 2)
        );
        drop(child);
    });
}

/// Each level runs the same job in a sandbox inside its own, until the kernel refuses (32 levels of
/// user and pid namespaces). The innermost result comes first.
#[test]
fn at_the_kernels_limit_there_is_a_clear_error() {
    as_each("at_the_kernels_limit_there_is_a_clear_error", |_| {
        let job = Job {
            policy: serde_json::json!({"nested": true, "files": [{"bind": "/driver"}, {"bind": "/job"}, {"tmpfs": "/tmp", "size": "1M"}]}).to_string(),
            program: "sh".into(),
            arguments: ["-c", "/driver /job /tmp/result; grep -v '^usage' /tmp/result"].map(Into::into).to_vec(),
            streams: [Stream::Null, Stream::Inherit, Stream::Inherit],
            ..Job::default()
        };
        let sandbox = Sandbox::new()
            .nested()
            .bind_ro(driver(), "/driver")
            .file("/job", job.write())
            .tmpfs("/tmp", MiB(1))
            .wall_time(std::time::Duration::from_secs(120));
        let output = sandbox
            .command("sh")
            .args(["-c", "/driver /job /tmp/result; grep -v '^usage' /tmp/result"])
            .output()
            .expect("it starts");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.outcome.success(),
            "{:?}\n{text}{}",
            output.outcome.ended,
            String::from_utf8_lossy(&output.stderr)
        );
        let innermost: Vec<&str> =
            text.lines().take_while(|line| !line.starts_with("ended")).collect();
        assert!(innermost.contains(&"error host-limit"), "{innermost:?}");
        assert!(
            innermost.iter().any(|line| line.starts_with("hint") && line.contains("32")),
            "{innermost:?}"
        );
        let levels = text.lines().filter(|line| line.starts_with("ended exited%200")).count();
        assert!((16..=33).contains(&levels), "{levels} levels");
    });
}
