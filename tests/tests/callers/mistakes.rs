//! Common mistakes made from Rust, and how helpful the errors are. An error gets one point each for
//! naming the thing, the cause and the remedy. The mean must be at least 2.8. `--nocapture` shows
//! the table. `python/tests/test_mistakes.py` has the mistakes made from Python.

use seclude::{Error, MiB, Profile, Sandbox, Seccomp, Stdio, Tmpfs};
use seclude_tests::caller::{Caller, as_each, driver};
use seclude_tests::job::{Action, Job, Stream};
use seclude_tests::scratch;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A mistake, its error text, and the parts of it that name the thing, the cause and the remedy.
struct Mistake {
    name: &'static str,
    told: String,
    parts: [Vec<String>; 3],
}

impl Mistake {
    fn new(name: &'static str, told: impl Into<String>, parts: [&[&str]; 3]) -> Mistake {
        Mistake {
            name,
            told: told.into(),
            parts: parts.map(|parts| parts.iter().map(ToString::to_string).collect()),
        }
    }

    fn of<T>(name: &'static str, told: Result<T, Error>, parts: [&[&str]; 3]) -> Mistake {
        Mistake::new(
            name,
            told.err().map_or_else(|| "no error".to_owned(), |error| error.to_string()),
            parts,
        )
    }

    fn points(&self) -> u32 {
        self.parts
            .iter()
            .map(|parts| u32::from(parts.iter().all(|part| self.told.contains(part))))
            .sum()
    }
}

/// The error of a sandbox inside another one that does not allow user namespaces.
fn without_user_namespaces() -> String {
    let job = Job {
        action: Action::Output,
        policy: "{}".into(),
        program: "true".into(),
        streams: [Stream::Null, Stream::Inherit, Stream::Inherit],
        ..Job::default()
    };
    let sandbox =
        Sandbox::new().bind_ro(driver(), "/driver").file("/job", job.write()).tmpfs("/tmp", MiB(1));
    let script = "/driver /job /tmp/result; grep -E '^(message|step|hint)' /tmp/result";
    let output = sandbox
        .command("sh")
        .args(["-c", script])
        .stderr(Stdio::null())
        .output()
        .expect("the outer one starts");
    String::from_utf8_lossy(&output.stdout).replace("%20", " ")
}

fn made(who: Caller, place: &Path) -> Vec<Mistake> {
    let shown = place.display().to_string();
    let run = |sandbox: Sandbox| sandbox.command("true").status();
    let script = place.join("script");
    fs::write(&script, "#!/bin/sh\r\necho hello\r\n").expect("there is room");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("it is ours");
    let cell = Sandbox::new().cell().expect("a cell starts");
    cell.close();
    let mut mistakes = vec![
        Mistake::of(
            "a command line as the program's name",
            Sandbox::new().command("ls -l /").output(),
            [
                &["execute ls -l /"],
                &["no such program", "blanks are part of this name"],
                &["run ls and pass \"-l /\" as arguments"],
            ],
        ),
        Mistake::of(
            "a script with the line ends of another system",
            Sandbox::new().bind_ro(&script, "/script").command("/script").output(),
            [&["execute /script"], &["carriage return", "\"/bin/sh\\r\""], &["dos2unix"]],
        ),
        Mistake::of(
            "a place that is relative",
            run(Sandbox::new().entry(Tmpfs::new("work"))),
            [&["destination work"], &["must be absolute"], &["inside the sandbox", "/work"]],
        ),
        Mistake::of(
            "a mount point in a directory of the caller's",
            run(Sandbox::new().bind_ro(place, "/data").tmpfs("/data/new", MiB(1))),
            [&["tmpfs on /data/new"], &["directory of the caller's"], &["make it there"]],
        ),
        Mistake::of(
            "a misspelt key in TOML",
            Sandbox::from_toml("wall_tme = 5"),
            [&["wall_tme"], &["unknown"], &["did you mean wall_time?"]],
        ),
        Mistake::of(
            "an infinite number in TOML",
            Sandbox::from_toml("memory = inf"),
            [
                &["policy key memory"],
                &["inf is not a number that a policy can hold"],
                &["left out"],
            ],
        ),
        Mistake::of(
            "a size with a unit that is none",
            Sandbox::from_toml("memory = \"64 megs\""),
            [&["memory"], &["\"64 megs\" is not a size"], &["such as 65536, \"64K\", \"64M\""]],
        ),
        Mistake::of(
            "a system call that does not exist",
            run(Sandbox::new().seccomp(Seccomp::profile(Profile::Default).kill("ptrase"))),
            [&["ptrase"], &["no such system call"], &["did you mean ptrace?"]],
        ),
        Mistake::of(
            "a cell that has been closed",
            cell.command("true").status(),
            [&["cell"], &["has been closed"], &["start another cell"]],
        ),
        Mistake::new(
            "no user namespaces on this host",
            without_user_namespaces(),
            [&["make namespaces"], &["user.max_user_namespaces is 0"], &["raise it", "nested"]],
        ),
    ];
    if who == Caller::Root {
        let error = run(Sandbox::new().bind_rw(place, "/out"));
        mistakes.push(Mistake::of(
            "root's directory, bound to be written",
            error,
            [
                &[&shown, "/out"],
                &["uid 1879049192 outside", "owner 0, mode 0755"],
                &["chown 1879049192", "chmod o+rwX", "as a user who may"],
            ],
        ));
    }
    mistakes
}

#[test]
fn an_error_names_the_thing_the_cause_and_the_remedy() {
    as_each("an_error_names_the_thing_the_cause_and_the_remedy", |who| {
        let place = scratch::directory();
        let mistakes = made(who, place.path());
        for mistake in &mistakes {
            println!(
                "{} | {} | {}",
                mistake.points(),
                mistake.name,
                mistake.told.trim().replace('\n', " / ")
            );
        }
        let total: u32 = mistakes.iter().map(Mistake::points).sum();
        let mean = f64::from(total) / mistakes.len() as f64;
        println!("mean of {} mistakes, as {}: {mean:.2}", mistakes.len(), who.name());
        assert!(mistakes.len() >= 10 && mean >= 2.8, "a mean of {mean:.2}");
    });
}

#[test]
fn a_message_that_says_nothing_gets_no_point() {
    let parts: [&[&str]; 3] = [&["memory"], &["too little"], &["raise"]];
    assert_eq!(Mistake::new("", "something went wrong", parts).points(), 0);
    assert_eq!(Mistake::new("", "memory: too little", parts).points(), 2);
}
