//! `seclude batch`: each line of the input gets a line of output, whatever it contains, in bounded
//! memory.

use crate::ground::{
    Person, Ran, await_asleep, code, each, ended, leader, mark, ran_with, run, seclude, signal,
    start,
};
use nix::sys::signal::Signal;
use seclude_tests::census::survivors;
use seclude_tests::scratch;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

const GRACE: Duration = Duration::from_secs(30);

const MIXED: [&str; 9] = [
    r#"{"args": ["echo", "hello"], "id": "first"}"#,
    "",
    r#"{"args": ["sh", "-c", "printf \"\\033[2J\\377\"; exit 3"], "id": 2}"#,
    r#"{"args": ["cat"], "input": "\u00e4"}"#,
    "nonsense",
    r#"{"args": ["no-such-program"], "id": "missing"}"#,
    r#"{"argv": ["echo"], "id": "wrong"}"#,
    r#"{"args": ["sleep", "60"], "wall_time": 0.1}"#,
    r#"{"args": ["echo"], "id": [1]}"#,
];

fn job(words: &[&str]) -> String {
    json!({"args": words}).to_string()
}

/// Runs these jobs from the standard input.
fn batch<J: AsRef<str>>(options: &[&str], jobs: &[J]) -> (Vec<Value>, Ran) {
    let input: String = jobs.iter().map(|job| format!("{}\n", job.as_ref())).collect();
    let words = ["batch", "-"].iter().chain(options);
    let ran = ran_with(&mut seclude(words), input.as_bytes());
    (answers(&ran.out), ran)
}

fn answers(text: &str) -> Vec<Value> {
    assert!(text.is_ascii() && !text.contains('\x1b'), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

#[test]
fn all_jobs_are_in_the_network_that_the_policy_names() {
    each("all_jobs_are_in_the_network_that_the_policy_names", |_| {
        let script = "import socket\n\
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
            s.connect(('10.64.0.200', 9))\n\
            print(s.getsockname()[0])";
        let jobs = [job(&["python3", "-c", script]), job(&["python3", "-c", script])];
        let (told, ran) = batch(&["--network", "lab", "--workers", "2"], &jobs);
        assert_eq!(ran.code, 0, "{told:?} {}", ran.err);
        let addresses: Vec<_> = told.iter().filter_map(|one| one["stdout"].as_str()).collect();
        assert!(addresses.iter().all(|text| text.starts_with("10.64.0.")), "{addresses:?}");
        assert_ne!(addresses[0], addresses[1]);
    });
}

#[test]
fn every_line_is_answered_in_order() {
    each("every_line_is_answered_in_order", |_| {
        let (told, ran) = batch(&[], &MIXED);
        assert_eq!(ran.code, 2, "{}", ran.err);
        let names: Vec<_> = told.iter().map(|one| (one["line"].as_u64(), &one["id"])).collect();
        let null = Value::Null;
        let wanted = [
            (1, &json!("first")),
            (3, &json!(2)),
            (4, &null),
            (5, &null),
            (6, &json!("missing")),
            (7, &json!("wrong")),
            (8, &null),
            (9, &null),
        ];
        assert_eq!(names, wanted.map(|(line, id)| (Some(line), id)));
        let [first, attack, text, nonsense, missing, wrong, slow, name] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!((&first["ended"], &first["value"]), (&json!("exited"), &json!(0)));
        assert_eq!((&first["returncode"], &first["stdout"]), (&json!(0), &json!("hello\n")));
        assert!(first["usage"]["wall"].as_f64() > Some(0.0));
        assert!(first["enforced"].to_string().contains("seccomp-filter"));
        assert_eq!(attack["returncode"], 3);
        assert_eq!(attack["stdout"], json!({"base64": "G1sySv8="}));
        assert_eq!(text["stdout"], "\u{e4}");
        for one in [nonsense, wrong, name] {
            assert_eq!(one["error"]["kind"], "invalid");
            assert_eq!(one["error"]["step"], "read a job");
        }
        assert_eq!(missing["error"]["kind"], "program-missing");
        assert_eq!(missing["error"]["path"], "no-such-program");
        assert_eq!(slow["outcome"], "stopped by the wall time limit of 100ms");
        let said: Vec<_> = ran.err.lines().filter_map(|line| line.split(": ").nth(1)).collect();
        assert_eq!(said, ["line 5", "line 6", "line 7", "line 9"]);
    });
}

#[test]
fn the_exit_status_says_how_it_went() {
    each("the_exit_status_says_how_it_went", |_| {
        let (told, ran) = batch(&[], &[] as &[&str]);
        assert_eq!((told.len(), ran.code, &*ran.err), (0, 0, ""));
        assert_eq!(batch(&[], &[job(&["true"])]).1.code, 0);
        let (told, ran) = batch(&[], &[job(&["true"]), job(&["false"]), job(&["true"])]);
        assert_eq!((told.len(), ran.code, &*ran.err), (3, 1, ""));
        let mut jobs = vec!["{}".to_owned(); 7];
        jobs.push(job(&["true"]));
        let (told, ran) = batch(&[], &jobs);
        assert_eq!((told.len(), ran.code), (8, 2));
        let last = ran.err.lines().nth(5);
        let wanted = "seclude: 7 jobs could not be run: the output says why";
        assert_eq!((ran.err.lines().count(), last), (6, Some(wanted)));
    });
}

#[test]
fn a_job_has_its_own_settings_in_the_policy_of_all() {
    each("a_job_has_its_own_settings_in_the_policy_of_all", |_| {
        let place = scratch::directory();
        let policy = place.path().join("policy");
        fs::write(&policy, "hostname = \"of-batch\"\n[[files]]\ndir = \"/made\"\n").expect("ours");
        let options = ["--policy", policy.to_str().expect("it is text"), "--domainname", "d"];
        let script = "uname -n; cat /proc/sys/kernel/domainname; pwd; echo $A $HOME; cat";
        let given = json!({"args": ["sh", "-c", script], "cwd": "/made", "input": "in",
            "env": {"A": "b"}, "memory": "100M", "cpu_time": "2s", "pids": 20});
        let (told, ran) = batch(&options, &[given.to_string(), json!({"args": "pwd"}).to_string()]);
        // Limits of one job need a policy with such limits.
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(told[0]["error"].is_object() && told[1]["stdout"] == "/\n", "{told:?}");
        let limits = ["--memory", "200M", "--cpu-time", "9s", "--pids", "50"];
        let options: Vec<&str> = options.into_iter().chain(limits).collect();
        let (told, ran) = batch(&options, &[given.to_string()]);
        assert_eq!(ran.code, 0, "{} {told:?}", ran.err);
        assert_eq!(told[0]["stdout"], "of-batch\nd\n/made\nb\nin");
        // The limit on output has another name here.
        let (told, _) = batch(&["--output-limit", "3"], &[job(&["echo", "hello"])]);
        assert_eq!(told[0]["ended"], "output-limit");
        // More input than a pipe holds, which the program reads or does not.
        let text = "x".repeat(300_000);
        let jobs = ["wc -c", "exec true"]
            .map(|script| json!({"args": ["sh", "-c", script], "input": text}).to_string());
        let (told, ran) = batch(&[], &jobs);
        assert_eq!((ran.code, &told[0]["stdout"]), (0, &json!("300000\n")));
    });
}

#[test]
fn what_keeps_a_batch_from_running_is_told() {
    each("what_keeps_a_batch_from_running_is_told", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        let path = |name: &str| place.path().join(name).to_str().expect("it is text").to_owned();
        let (jobs, output, policy) = (path("jobs"), path("answers"), path("policy"));
        // The last line has no end.
        let text = format!("{}\n{}", job(&["echo", "1"]), job(&["echo", "2"]));
        fs::write(&jobs, &text).expect("it is ours");
        fs::write(&policy, "memroy = 1").expect("it is ours");
        let ran = run(["batch", &jobs, "--output", &output]);
        assert_eq!((ran.code, &*ran.out, &*ran.err), (0, "", ""));
        let told = answers(&fs::read_to_string(&output).expect("it is written"));
        let written: Vec<_> = told.iter().map(|one| &one["stdout"]).collect();
        assert_eq!(written, ["1\n", "2\n"]);
        for (words, part) in [
            (&["batch", &jobs, "--output", &jobs][..], "the jobs are in the file"),
            (&["batch", &path("none")], "/none: No such file"),
            (&["batch", &path("")], "directory"),
            (&["batch", &jobs, "--output", "/no/such/file"], "/no/such/file"),
            (&["batch", &jobs, "--policy", &policy], "memroy"),
            (&["batch", "-", "--policy", "-"], "both"),
            (&["batch", &jobs, "--workers", "0"], "at least 1"),
            (&["batch", &jobs, "--warden", "/no/such/warden"], "/no/such/warden"),
        ] {
            let ran = run(words);
            assert_eq!((ran.code, &*ran.out), (2, ""), "{words:?}: {}", ran.err);
            assert!(ran.err.contains(part), "{words:?}: {}", ran.err);
        }
        assert_eq!(fs::read_to_string(&jobs).expect("it is there"), text);
    });
}

#[test]
fn what_ends_first_can_be_answered_first() {
    each("what_ends_first_can_be_answered_first", |_| {
        let mut jobs = vec![job(&["sleep", "1"])];
        jobs.extend(vec![job(&["true"]); 5]);
        let order = |options: &[&str]| -> Vec<u64> {
            let (told, ran) = batch(options, &jobs);
            assert_eq!(ran.code, 0, "{}", ran.err);
            told.iter().filter_map(|one| one["line"].as_u64()).collect()
        };
        assert_eq!(order(&["--workers", "2"]), [1, 2, 3, 4, 5, 6]);
        let mut first = order(&["--workers", "2", "--as-completed"]);
        assert_ne!(first[0], 1, "{first:?}");
        first.sort_unstable();
        assert_eq!(first, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn no_more_is_read_than_is_run() {
    each("no_more_is_read_than_is_run", |_| {
        let mark = mark();
        let mut command = leader(&["batch", "-", "--workers", "2"]);
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut input = child.stdin.take().expect("it is piped");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        // Answers come while the input is open.
        for number in 1..=3 {
            writeln!(input, "{}", job(&["echo", "now"])).expect("it reads");
            let mut line = String::new();
            output.read_line(&mut line).expect("it answers");
            assert_eq!(answers(&line)[0]["line"], number);
        }
        // Long lines behind jobs that wait: the pipe and 8 jobs fill up, and no more is taken.
        let line = format!("{}{}\n", job(&["sleep", "1000", &mark]), " ".repeat(60_000));
        let (sender, written) = std::sync::mpsc::channel();
        let writer = std::thread::spawn(move || {
            while input.write_all(line.as_bytes()).is_ok() {
                let _ = sender.send(());
            }
        });
        await_asleep(&mark, 2);
        std::thread::sleep(Duration::from_millis(700));
        let count = written.try_iter().count();
        assert!((8..=11).contains(&count), "{count} lines were taken");
        // Ctrl-C ends it as any program, and nothing is left.
        signal(-(child.id() as i32), Signal::SIGINT);
        assert_eq!(code(ended(&mut child)), 128 + Signal::SIGINT as i32);
        writer.join().expect("it ends");
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
    });
}

#[test]
fn a_line_that_is_too_long_is_answered() {
    each("a_line_that_is_too_long_is_answered", |_| {
        let mut child = seclude(["batch", "-", "--workers", "1"]);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let mut input = child.stdin.take().expect("it is piped");
        let writer = std::thread::spawn(move || {
            let piece = vec![b'x'; 1 << 20];
            (0..65).try_for_each(|_| input.write_all(&piece))?;
            writeln!(input, "\n{}", job(&["echo", "after"]))
        });
        let output = child.wait_with_output().expect("it ends");
        writer.join().expect("it ends").expect("all is read");
        let told = answers(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(output.status.code(), Some(2));
        let message = told[0]["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(message, "read a job: the line is longer than 67108864 bytes");
        assert_eq!((&told[1]["line"], &told[1]["stdout"]), (&json!(2), &json!("after\n")));
    });
}

#[test]
fn a_reader_that_goes_away_ends_it() {
    each("a_reader_that_goes_away_ends_it", |_| {
        let mark = mark();
        let mut command = leader(&["batch", "-", "--workers", "2"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stdout.take());
        let mut input = child.stdin.take().expect("it is piped");
        let jobs = [job(&["echo", "to nobody"]), job(&["sleep", "1000", &mark])];
        writeln!(input, "{}", jobs.join("\n")).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(128 + Signal::SIGPIPE as i32));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(survivors(&mark, GRACE), [] as [u32; 0]);
    });
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    each("progress_is_shown_on_a_terminal_only", |caller| {
        let place = scratch::directory();
        caller.own(place.path());
        let path = |name: &str| place.path().join(name).to_str().expect("it is text").to_owned();
        let jobs = format!("{}{{}}", format!("{}\n", job(&["true"])).repeat(10));
        fs::write(path("jobs"), jobs).expect("it is ours");
        let seen = |words: &[&str]| {
            let (person, mut child) = Person::at(&seclude(words), 24, 200);
            let seen = person.sees_the_rest();
            assert_eq!(code(ended(&mut child)), 2);
            seen
        };
        let shown = seen(&["batch", &path("jobs"), "--output", &path("answers")]);
        let answered = fs::read_to_string(path("answers")).expect("it is written");
        assert_eq!(answered.lines().count(), 11);
        assert!(shown.contains("11 jobs, 1 not run") && shown.contains("] "), "{shown}");
        assert!(shown.contains("seclude: line 11: read a job: there is no key"), "{shown}");
        // Answers on the terminal and the line would overwrite each other.
        let shown = seen(&["batch", &path("jobs")]);
        assert!(!shown.contains("11 jobs") && shown.contains("{\"ended\""), "{shown}");
    });
}

const COLLECTS: [&str; 2] = [
    r#"{"args": ["sh", "-c", "cd tmp; printf 1 >a.t; ln -s a.t b.t; printf 3 >c.x"], "collect": ["tmp/*.t", "none"]}"#,
    r#"{"args": ["touch", "/tmp/a", "/tmp/b"], "collect": "/tmp/*", "collect_entries": 1}"#,
];

#[test]
fn a_job_leaves_files() {
    each("a_job_leaves_files", |_| {
        let (told, ran) = batch(&[], &COLLECTS);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let wanted = json!({
            "files": [{"path": "tmp/a.t", "contents": "1", "permissions": 0o644}],
            "entries": 1, "bytes": 1, "skipped": ["tmp/b.t"], "unmatched": ["none"], "error": null,
        });
        assert_eq!(told[0]["collected"], wanted);
        assert_eq!(told[1]["collected"]["error"]["kind"], "invalid");
        assert_eq!(told[1]["returncode"], 0);
        let bad = json!({"args": "true", "collect": ["../x"]}).to_string();
        let (told, ran) = batch(&[], &[bad]);
        assert_eq!((ran.code, &told[0]["error"]["kind"]), (2, &json!("invalid")));
    });
}

/// The Python package answers the same, where the tests have it.
#[test]
fn python_answers_the_same() {
    let Some(python) = std::env::var_os("SECLUDE_TEST_PYTHON") else {
        return eprintln!("python_answers_the_same: SKIPPED: SECLUDE_TEST_PYTHON is not set");
    };
    let jobs = [&MIXED[..], &COLLECTS].concat();
    let input: String = jobs.iter().map(|line| format!("{line}\n")).collect();
    let mut command = Command::new(python);
    command.args(["-m", "seclude", "batch", "-"]).stdin(Stdio::null());
    let theirs = ran_with(&mut command, input.as_bytes());
    let (ours, mine) = batch(&[], &jobs);
    assert_eq!(mine.code, theirs.code);
    // What differs from run to run, and the words of another parser of JSON.
    let plain = |mut answer: Value| {
        if let Some(usage) = answer.get_mut("usage").and_then(Value::as_object_mut) {
            usage.values_mut().for_each(|figure| *figure = Value::Null);
        }
        if answer["error"]["step"] == "read a job" {
            answer["error"]["message"] = Value::Null;
        }
        answer
    };
    let theirs: Vec<Value> = answers(&theirs.out).into_iter().map(plain).collect();
    assert_eq!(ours.into_iter().map(plain).collect::<Vec<_>>(), theirs);
}
