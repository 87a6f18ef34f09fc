//! Requests at the limits of the kernel: the longest arguments, ten thousand binds, two hundred
//! descriptors, a caller with few free descriptors, and full pipes. Each request arrives whole, or
//! is refused with an error that names the exhausted resource.

use nix::sys::resource::{Resource, getrlimit};
use seclude::{Command, Ended, Error, ErrorKind, Output, Sandbox, Stdio};
use seclude_tests::caller::{as_each, driver};
use seclude_tests::job::{Job, Told, read_told};
use seclude_tests::scratch;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

/// A quarter of the stack limit, which the default sandbox sets to 8 MiB. execve(2) takes no more
/// arguments and environment than that.
const TOGETHER: usize = 2 << 20;
/// The longest single argument, with its NUL: 32 pages.
fn each() -> usize {
    32 * seclude_tests::knobs::page_size() as usize
}

/// A command that prints its arguments one per line, and the size of its arguments and environment
/// before any are added. Each text counts with its NUL and a pointer, and the path of the program
/// counts once more.
fn telling() -> (Command, usize) {
    let words = ["sh", "-c", r#"printf '%s\n' "$@""#, "sh"];
    let mut command = Sandbox::new().command("/bin/sh");
    command.arg0(words[0]).args(&words[1..]).env_clear().env("A", "b");
    let taken =
        words.iter().chain(&["A=b"]).map(|text| size_of(text)).sum::<usize>() + "/bin/sh".len() + 1;
    (command, taken)
}

fn size_of(text: &str) -> usize {
    text.len() + 1 + size_of_val(&text.as_ptr())
}

/// Texts that all differ from beginning to end and have exactly `size` bytes in total.
fn texts(size: usize) -> Vec<String> {
    let mut texts = Vec::new();
    let mut left = size;
    while left > 0 {
        // The rest must not be smaller than the smallest text.
        let next = if left > 120_000 { 100_000 } else { left };
        let length = next - size_of("");
        let text: String = (0..)
            .flat_map(|word| format!("{}-{word} ", texts.len()).into_bytes())
            .take(length)
            .map(char::from)
            .collect();
        left -= next;
        texts.push(text);
    }
    texts
}

fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| format!("{text}\n")).collect()
}

fn right(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.outcome.success(),
        "{}: {}",
        output.outcome.ended,
        &errors[..errors.len().min(400)]
    );
    String::from_utf8(output.stdout).expect("what was passed is text")
}

fn refused_as_too_long(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(error.step(), "arguments and environment");
    assert!(error.remedy().is_some_and(|hint| hint.contains("stack limit")), "{error}");
}

#[test]
fn arguments_below_the_kernels_limit_arrive_whole_and_above_are_refused() {
    as_each("arguments_below_the_kernels_limit_arrive_whole_and_above_are_refused", |_| {
        // The kernel rounds by less than a page.
        for (size, fits) in [
            (TOGETHER - 4096, true),
            (TOGETHER + 4096, false),
            (2 * TOGETHER, false),
            (16 * TOGETHER, false),
        ] {
            let (mut command, taken) = telling();
            let given = texts(size - taken);
            match command.args(&given).output() {
                Ok(output) => {
                    assert!(fits, "{size} bytes are more than the kernel takes");
                    assert!(right(output) == lines(&given), "what arrived is not what was sent");
                }
                Err(error) => {
                    assert!(!fits, "{size} bytes: {error}");
                    refused_as_too_long(&error);
                }
            }
        }
    });
}

#[test]
fn so_does_an_environment() {
    as_each("so_does_an_environment", |_| {
        for (size, fits) in [(TOGETHER - 4096, true), (TOGETHER + 4096, false)] {
            let mut command = Sandbox::new().command("env");
            command.env_clear();
            let given: Vec<String> = texts(size - size_of("env") - "/usr/bin/env".len())
                .iter()
                .enumerate()
                .map(|(n, text)| format!("V{n}={}", &text[4..]))
                .collect();
            for pair in &given {
                let (name, value) = pair.split_once('=').expect("it was put there");
                command.env(name, value);
            }
            match command.output() {
                Ok(output) => {
                    assert!(fits, "{size} bytes are more than the kernel takes");
                    let told = right(output);
                    assert!(
                        told.lines().collect::<BTreeSet<_>>()
                            == given.iter().map(String::as_str).collect(),
                        "not what was sent"
                    );
                }
                Err(error) => {
                    assert!(!fits, "{size} bytes: {error}");
                    refused_as_too_long(&error);
                }
            }
        }
    });
}

#[test]
fn one_argument_has_a_limit_of_its_own() {
    as_each("one_argument_has_a_limit_of_its_own", |_| {
        let longest = "x".repeat(each() - 1);
        assert_eq!(right(telling().0.arg(&longest).output().expect("it fits")).trim_end(), longest);
        let error = telling().0.arg(longest + "x").output().expect_err("one byte more does not");
        refused_as_too_long(&error);
        assert!(
            error
                .remedy()
                .is_some_and(|hint| hint.contains(&format!("at most {} KiB", each() >> 10))),
            "{error}"
        );
    });
}

/// More arguments than fit in 16 bits: a count can be truncated as easily as a length.
#[test]
fn two_hundred_thousand_arguments_arrive() {
    as_each("two_hundred_thousand_arguments_arrive", |_| {
        let mut command = Sandbox::new().command("sh");
        command.args(["-c", "echo $#", "sh"]).args(std::iter::repeat_n("", 200_000));
        assert_eq!(right(command.output().expect("they fit")), "200000\n");
    });
}

/// Each bind source is opened first, so the caller's limit on descriptors may be reached before the
/// kernel's limit on mounts.
#[test]
fn ten_thousand_binds_work_or_are_refused_by_the_limits_name() {
    as_each("ten_thousand_binds_work_or_are_refused_by_the_limits_name", |_| {
        let place = scratch::directory();
        let file = place.path().join("file");
        fs::write(&file, "one file\n").expect("a file of our own");
        let sandbox = (0..10_000).fold(Sandbox::new(), |sandbox, number| {
            sandbox.bind_ro(&file, format!("/binds/{number}"))
        });
        match sandbox
            .command("sh")
            .args(["-c", "cd /binds && ls | wc -l && cat 0 5000 9999"])
            .output()
        {
            Ok(output) => assert_eq!(right(output), "10000\none file\none file\none file\n"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::HostLimit, "{error}");
                let hint = error.remedy().unwrap_or_default();
                assert!(hint.contains("RLIMIT_NOFILE") || hint.contains("fs.mount-max"), "{error}");
            }
        }
        // Few enough for any caller, so a refusal above is due to the number.
        let few = (0..20).fold(Sandbox::new(), |sandbox, number| {
            sandbox.bind_ro(&file, format!("/binds/{number}"))
        });
        assert_eq!(
            right(few.command("cat").args(["/binds/0", "/binds/19"]).output().expect("it starts")),
            "one file\none file\n"
        );
    });
}

/// Every target number is taken by another of the descriptors to be passed on.
#[test]
fn two_hundred_descriptors_arrive_at_scrambled_colliding_numbers() {
    as_each("two_hundred_descriptors_arrive_at_scrambled_colliding_numbers", |_| {
        const COUNT: usize = 200;
        let place = scratch::directory();
        let mut command = Sandbox::new().command("sh");
        let files: Vec<File> = (0..COUNT).map(|number| numbered(place.path(), number)).collect();
        let mut expected: Vec<String> = Vec::new();
        // 77 and 200 have no common divisor, so this is a permutation. It maps only a few to their
        // own numbers.
        let targets: Vec<i32> =
            (0..COUNT).map(|number| files[(number * 77 + 5) % COUNT].as_raw_fd()).collect();
        let colliding = files
            .iter()
            .zip(&targets)
            .filter(|(file, target)| file.as_raw_fd() != **target)
            .count();
        assert!(colliding > COUNT - 20, "{colliding} numbers are another's");
        for (number, (file, target)) in files.into_iter().zip(targets).enumerate() {
            command.fd(target, file);
            expected.push(format!("{target} file {number}"));
        }
        // Expanding the pattern opens the directory, which is one more number.
        let script = r#"set -- /proc/self/fd/*; echo $#; for n; do n=${n##*/}; [ $n -gt 2 ] && read -r x <"/proc/self/fd/$n" && echo "$n $x"; done; :"#;
        let told = right(command.args(["-c", script]).output().expect("it starts"));
        let mut told: Vec<&str> = told.lines().collect();
        assert_eq!(told.remove(0), (COUNT + 3 + 1).to_string());
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected);
    });
}

#[test]
fn more_descriptors_than_the_limit_are_refused_by_name() {
    as_each("more_descriptors_than_the_limit_are_refused_by_name", |_| {
        let given = |count: usize| {
            let mut command = Sandbox::new().command("true");
            (0..count).for_each(|number| {
                command.fd(3 + number as i32, File::open("/dev/null").expect("it is there"));
            });
            command.output()
        };
        assert_eq!(
            given(249).expect("as many as the documentation says").outcome.ended,
            Ended::Exited(0)
        );
        for count in [251, 300, 500] {
            let error = given(count).expect_err("the kernel passes 253 at a time");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
            assert!(
                error.step().contains("descriptors") && error.to_string().contains("at most 2"),
                "{error}"
            );
        }
        // A number beyond the command's own limit (1024).
        let file = File::open("/dev/null").expect("it is there");
        let error = Sandbox::new()
            .command("true")
            .fd(1_000_000_000, file)
            .output()
            .expect_err("there is no such number");
        assert_eq!(error.kind(), ErrorKind::HostLimit, "{error}");
        assert!(error.remedy().is_some_and(|hint| hint.contains("RLIMIT_NOFILE")), "{error}");
    });
}

fn numbered(place: &Path, number: usize) -> File {
    let path = place.join(number.to_string());
    fs::write(&path, format!("file {number}\n")).expect("a file of our own");
    File::open(path).expect("a file of our own")
}

/// A driver with a low limit on descriptors runs a job. A driver that hangs is killed, and the test
/// fails.
#[test]
fn a_caller_with_few_descriptors_gets_an_error_or_a_right_run() {
    as_each("a_caller_with_few_descriptors_gets_an_error_or_a_right_run", |_| {
        let place = scratch::directory();
        let (job, result) = (place.path().join("job"), place.path().join("result"));
        let lines =
            Job { program: "echo".into(), arguments: vec!["hello".into()], ..Job::default() }
                .write();
        fs::write(&job, lines).expect("a file of our own");
        let run = |limit: usize| -> Told {
            let _ = fs::remove_file(&result);
            let status = std::process::Command::new("timeout")
                .args([
                    "-s",
                    "KILL",
                    "10",
                    "sh",
                    "-c",
                    r#"ulimit -n "$0" && exec "$@""#,
                    &limit.to_string(),
                ])
                .arg(driver())
                .args([&job, &result])
                .stdin(std::process::Stdio::null())
                .status()
                .expect("timeout (coreutils) is there");
            assert!(status.success(), "with {limit} descriptors: {status}");
            read_told(&fs::read_to_string(&result).expect("the driver wrote it"))
                .expect("and right")
        };
        let mut refused = 0;
        for limit in 5..=16 {
            let told = run(limit);
            let of = |key: &str| {
                told.get(key)
                    .map(|value| String::from_utf8_lossy(value).into_owned())
                    .unwrap_or_default()
            };
            if told.contains_key("error") {
                assert_eq!(
                    of("error"),
                    "host-limit",
                    "with {limit} descriptors: {}",
                    of("message")
                );
                assert!(
                    of("hint").contains("RLIMIT_NOFILE"),
                    "with {limit} descriptors: {}",
                    of("message")
                );
                refused += 1;
            } else {
                assert_eq!(
                    (&*of("ended"), &*of("stdout")),
                    ("exited 0", "hello\n"),
                    "with {limit} descriptors: {told:?}"
                );
            }
        }
        assert!(refused > 0, "five descriptors are too few: this test would not notice");
        // Far more than one run takes: the kernel counts an unprivileged user's descriptors in
        // flight over all of the user's processes.
        let told = run(1024);
        assert!(told.contains_key("ended"), "a thousand are enough: {told:?}");
    });
}

/// Neither stream can be read to its end before the other. A caller that reads them one after the
/// other would deadlock with the command.
#[test]
fn both_pipes_full_at_once_do_not_deadlock() {
    as_each("both_pipes_full_at_once_do_not_deadlock", |_| {
        const LENGTH: usize = 4 << 20;
        let script = format!("head -c {LENGTH} /dev/zero & head -c {LENGTH} /dev/zero >&2; wait");
        let mut command = Sandbox::new().command("sh");
        command
            .args(["-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        assert_eq!(
            child.wait_timeout(Duration::from_millis(200)).expect("it runs"),
            None,
            "unread, it cannot end"
        );
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.outcome.ended, Ended::Exited(0));
        assert_eq!((output.stdout.len(), output.stderr.len()), (LENGTH, LENGTH));

        // The command writes to both streams in turn, in pieces larger than a pipe.
        let piece = 100_000;
        let script = format!(
            "for i in 1 2 3 4 5 6 7 8; do head -c {piece} /dev/zero; head -c {piece} /dev/zero >&2; done"
        );
        let output = Sandbox::new().command("sh").args(["-c", &script]).output().expect("it ends");
        assert_eq!((output.stdout.len(), output.stderr.len()), (8 * piece, 8 * piece));
    });
}

/// The tests above assume a stack limit of 8 MiB, which the default sandbox sets if the caller may
/// have it.
#[test]
fn the_callers_own_stack_limit_is_no_lower() {
    let (_, hard) = getrlimit(Resource::RLIMIT_STACK).expect("it can be asked");
    assert!(
        hard >= 8 << 20,
        "the hard limit on the stack is {hard}: the tests of arguments need 8 MiB"
    );
}
