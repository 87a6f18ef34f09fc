//! Host cgroups in unusual states: absent, read-only, replaced by other file systems, changing
//! during a run, or full of what other callers left. A limit is then enforced another way, or the
//! command does not start. It never runs unlimited.
//!
//! Most tests run as root, each in a mount namespace of its own.

use seclude::{Ended, Error, ErrorKind, Limit, Mechanism, Sandbox};
use seclude_tests::caller::{Caller, as_each, driver, in_own_mounts};
use seclude_tests::census::{await_marked, marked, survivors};
use seclude_tests::cgroups::{Cgroups, left, left_after, mounts};
use seclude_tests::job::Job;
use seclude_tests::payload::{command, mark, sandbox};
use seclude_tests::scratch;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

const MEMORY: u64 = 64 << 20;
const GRACE: Duration = Duration::from_secs(1);

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(
        status.unwrap_or_else(|error| panic!("{program}: {error}")).success(),
        "{program} {arguments:?}"
    );
}

fn hierarchies() -> Vec<PathBuf> {
    ["cgroup", "cgroup2"].iter().flat_map(|kind| mounts(kind)).collect()
}

fn limited() -> Sandbox {
    sandbox().memory(MEMORY).pids(20).wall_time(Duration::from_secs(60))
}

/// Runs the memory bomb in this sandbox, which its limit must end. Returns the mechanism that
/// enforced it.
fn explode(sandbox: &Sandbox) -> Mechanism {
    let outcome = command(sandbox, "memory", 0, &mark()).output().expect("it starts").outcome;
    assert_eq!((outcome.ended, outcome.limit), (Ended::MemoryLimit, Some(MEMORY)), "{outcome:?}");
    outcome.enforced.mechanism(Limit::Memory).expect("the outcome lists the mechanism")
}

fn refusal(sandbox: &Sandbox) -> Error {
    let error = sandbox.command("true").output().expect_err("it must not start");
    assert_eq!(error.kind(), ErrorKind::LimitUnavailable, "{error}");
    error
}

/// Checks limits where no cgroup can be made. A limit that can be sampled is sampled, or is an
/// error if it must be exact. A limit that cannot be sampled is an error.
fn assert_falls_back() {
    assert_eq!(explode(&limited()), Mechanism::Sampled);
    let error = refusal(&limited().require(Limit::Memory));
    assert!(error.to_string().contains("memory"), "{error}");
    let error = refusal(&sandbox().cpus(0.5));
    assert!(error.to_string().contains("cpus"), "{error}");
    let outcome = sandbox()
        .cpus(0.5)
        .best_effort(Limit::Cpus)
        .command("true")
        .output()
        .expect("it starts")
        .outcome;
    assert_eq!((outcome.ended, outcome.enforced.mechanism(Limit::Cpus)), (Ended::Exited(0), None));
}

#[test]
fn without_any_hierarchy() {
    in_own_mounts("without_any_hierarchy", || {
        hierarchies().iter().rev().for_each(|mount| run("umount", &[&mount.to_string_lossy()]));
        assert!(hierarchies().is_empty());
        assert_falls_back();
    });
}

#[test]
fn read_only() {
    in_own_mounts("read_only", || {
        assert!(!hierarchies().is_empty(), "there is something to take away");
        hierarchies()
            .iter()
            .for_each(|mount| run("mount", &["-o", "remount,bind,ro", &mount.to_string_lossy()]));
        assert_falls_back();
        let error = refusal(&limited().require(Limit::Memory));
        assert!(
            error.to_string().contains("read-only") || error.path().is_some(),
            "it says why: {error}"
        );
    });
}

/// A tmpfs accepts any directory and file. What is written there limits nothing.
#[test]
fn something_else_in_the_hierarchies_places() {
    in_own_mounts("something_else_in_the_hierarchies_places", || {
        hierarchies()
            .iter()
            .for_each(|mount| run("mount", &["-t", "tmpfs", "none", &mount.to_string_lossy()]));
        assert_falls_back();
        let place = scratch::directory();
        let error = refusal(&limited().cgroup(place.path()));
        assert_eq!(error.path(), Some(place.path()), "{error}");
    });
}

/// The same sandbox, which remembers where its cgroups were, runs before and after they disappear.
#[test]
fn gone_between_two_runs() {
    in_own_mounts("gone_between_two_runs", || {
        let sandbox = limited();
        let before = explode(&sandbox);
        assert_eq!(before == Mechanism::Sampled, Cgroups::of(Caller::Root) == Cgroups::None);
        let required = sandbox.clone().require(Limit::Memory);
        hierarchies().iter().rev().for_each(|mount| run("umount", &[&mount.to_string_lossy()]));
        assert_eq!(explode(&sandbox), Mechanism::Sampled);
        refusal(&required);
    });
}

/// The hierarchies become read-only while the command runs. It ends as usual and nothing hangs,
/// though its cgroups cannot be removed from here.
#[test]
fn read_only_while_it_runs() {
    in_own_mounts("read_only_while_it_runs", || {
        let mark = mark();
        let mut child = command(&limited(), "sleep", 0, &mark).spawn().expect("it starts");
        await_marked(&mark, 1);
        hierarchies()
            .iter()
            .for_each(|mount| run("mount", &["-o", "remount,bind,ro", &mount.to_string_lossy()]));
        child.kill().expect("it can be asked for");
        assert_eq!(child.wait().expect("it ends").ended, Ended::Killed);
        drop(child);
        assert_eq!(survivors(&mark, GRACE), [0; 0]);
        hierarchies()
            .iter()
            .for_each(|mount| run("mount", &["-o", "remount,bind,rw", &mount.to_string_lossy()]));
        // The next caller removes what could not be removed.
        let place = scratch::directory();
        let next = caller("true", &[], place.path()).status().expect("the driver is there");
        assert!(next.success(), "{next}");
        let left = left_after(GRACE, |owner| owner == std::process::id());
        assert!(left.is_empty(), "{left:?}");
    });
}

/// Another caller, which runs a command under limits.
fn caller(program: &str, arguments: &[&str], place: &Path) -> Command {
    let (job, result) = (place.join("job"), place.join("result"));
    let job_text = Job {
        policy: r#"{"memory": "64M", "pids": 20, "cpu_time": 100}"#.into(),
        program: program.into(),
        arguments: arguments.iter().copied().map(Into::into).collect(),
        ..Job::default()
    };
    std::fs::write(&job, job_text.write()).expect("a file of our own");
    let mut caller = Command::new(driver());
    caller.args([&job, &result]);
    caller
}

/// A caller with a command that sleeps under limits.
fn sleeping_caller(mark: &str, place: &Path) -> Child {
    let arguments = ["-c", "while :; do sleep 0.2; done", mark];
    caller("sh", &arguments, place).spawn().expect("the driver is there")
}

#[test]
fn what_a_killed_caller_left_is_gone_after_the_next_run() {
    as_each("what_a_killed_caller_left_is_gone_after_the_next_run", |who| {
        for _ in 0..5 {
            let (mark, place) = (mark(), scratch::directory());
            let mut killed = sleeping_caller(&mark, place.path());
            await_marked(&mark, 1);
            let pid = killed.id();
            let made = left(|owner| owner == pid);
            assert_eq!(
                made.is_empty(),
                Cgroups::of(who) == Cgroups::None,
                "the control: it had cgroups: {made:?}"
            );
            killed.kill().expect("it is ours");
            killed.wait().expect("it is ours");
            assert_eq!(survivors(&mark, GRACE), [0; 0]);
            limited().command("true").status().expect("it starts");
            let left = left_after(GRACE, |owner| owner == pid);
            assert!(left.is_empty(), "{left:?}");
        }
    });
}

/// A caller must not remove the cgroups of another living caller, even if it cannot see that the
/// other one lives.
#[test]
fn a_living_callers_cgroups_stay() {
    as_each("a_living_callers_cgroups_stay", |who| {
        let (mark, place) = (mark(), scratch::directory());
        let mut living = sleeping_caller(&mark, place.path());
        await_marked(&mark, 1);
        let pid = living.id();
        let made = left(|owner| owner == pid);
        assert_eq!(
            made.is_empty(),
            Cgroups::of(who) == Cgroups::None,
            "the control: it has cgroups: {made:?}"
        );
        limited().command("true").status().expect("it starts");
        if who == Caller::Root {
            // In its own pid namespace this caller sees no process with that id.
            let (job, result) = (place.path().join("other-job"), place.path().join("other-result"));
            let text = Job {
                policy: r#"{"memory": "64M"}"#.into(),
                program: "true".into(),
                ..Job::default()
            }
            .write();
            std::fs::write(&job, text).expect("a file of our own");
            let apart = Command::new("unshare")
                .args(["--pid", "--fork", "--mount-proc"])
                .arg(driver())
                .args([&job, &result])
                .status();
            assert!(apart.expect("unshare (util-linux) is there").success());
            let told = std::fs::read_to_string(&result).expect("the driver has written it");
            assert!(told.contains("ended exited%200"), "{told}");
        }
        assert_eq!(left(|owner| owner == pid), made);
        assert_ne!(marked(&mark), [0; 0], "it runs on");
        living.kill().expect("it is ours");
        living.wait().expect("it is ours");
        assert_eq!(survivors(&mark, GRACE), [0; 0]);
        limited().command("true").status().expect("it starts");
    });
}

/// The cgroups of this test, one in every hierarchy with a controller that limits use here.
struct Own(Vec<PathBuf>);

impl Own {
    fn make() -> Own {
        let of_v1 = |mount: &PathBuf| {
            ["memory", "pids", "cpuacct"].iter().any(|name| mount.ends_with(name))
        };
        let places = mounts("cgroup").into_iter().filter(of_v1).chain(mounts("cgroup2"));
        let name = format!("test-of-seclude-{}", std::process::id());
        Own(places
            .map(|mount| mount.join(&name))
            .filter(|path| std::fs::create_dir(path).is_ok())
            .collect())
    }

    /// Runs this shell command, limited, as the first process of a new pid namespace, as in a
    /// container.
    fn contained(&self, script: &str, mark: &str, place: &Path) -> Contained {
        let (job, result) = (place.join("job"), place.join("result"));
        // `require` refuses a start if the limit could only be sampled.
        let policy = r#"{"memory": "64M", "pids": 20, "cpu_time": 100, "require": ["memory"]}"#;
        let arguments = ["-c", script, mark].map(Into::into).to_vec();
        let text = Job { policy: policy.into(), program: "sh".into(), arguments, ..Job::default() };
        std::fs::write(&job, text.write()).expect("a file of our own");
        let mut command = Command::new("sh");
        // In version 2 the library makes the sandbox's directory below the cgroup that the variable
        // names, which must have no process of its own.
        command.args([
            "-c",
            "for place in $PLACES; do echo $$ > $place/cgroup.procs || exit 1; done; exec \"$@\"",
            "sh",
        ]);
        command
            .args(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .arg(driver())
            .args([&job, &result]);
        let (named, entered): (Vec<&PathBuf>, Vec<&PathBuf>) =
            self.0.iter().partition(|path| path.join("cgroup.controllers").exists());
        command.env(
            "PLACES",
            entered.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(" "),
        );
        command.envs(named.first().map(|path| ("SECLUDE_CGROUP", path)));
        Contained(command.spawn().expect("sh is there"))
    }

    /// The directories that the library made in them.
    fn made(&self) -> Vec<PathBuf> {
        let entries =
            self.0.iter().flat_map(|path| std::fs::read_dir(path).expect("it is there").flatten());
        let mut made: Vec<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        made.sort();
        made
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        for path in self.made().iter().chain(&self.0) {
            let end = Instant::now() + GRACE;
            while std::fs::remove_dir(path).is_err() && path.exists() && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// A process that is killed when this is dropped.
struct Contained(Child);

impl Drop for Contained {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Callers in containers all have process id 1. Each has cgroups of its own, and only the lock
/// tells which were left behind.
#[test]
fn callers_of_the_same_number_in_different_pid_namespaces() {
    if Caller::present() == Caller::User || Cgroups::of(Caller::Root) == Cgroups::None {
        return eprintln!(
            "callers_of_the_same_number_in_different_pid_namespaces: SKIPPED: it needs root and cgroups"
        );
    }
    let own = Own::make();
    let (one, other, places) = (mark(), mark(), [0; 3].map(|_| scratch::directory()));
    let sleep = "while :; do sleep 0.2; done";
    let first = own.contained(sleep, &one, places[0].path());
    await_marked(&one, 1);
    let firsts = own.made();
    let second = own.contained(sleep, &other, places[1].path());
    await_marked(&other, 1);
    let of_both = own.made();
    assert!(
        !firsts.is_empty() && of_both.len() == 2 * firsts.len(),
        "each has its own: {firsts:?}, {of_both:?}"
    );
    assert!(
        firsts.iter().all(|path| of_both.contains(path)),
        "the first keeps its own: {of_both:?}"
    );

    drop(first);
    assert_eq!(survivors(&one, GRACE), [0; 0]);
    // A third caller with that id removes what was left behind, and nothing else.
    let seconds: Vec<PathBuf> = of_both.into_iter().filter(|path| !firsts.contains(path)).collect();
    let end = Instant::now() + 5 * GRACE;
    while own.made() != seconds && Instant::now() < end {
        let mut third = own.contained("exit 0", "third", places[2].path());
        assert!(third.0.wait().expect("it is ours").success());
        let told = std::fs::read_to_string(places[2].path().join("result"))
            .expect("the driver has written it");
        assert!(told.contains("ended exited%200"), "{told}");
    }
    assert_eq!(own.made(), seconds);
    assert_ne!(marked(&other), [0; 0], "it runs on");
    drop(second);
    assert_eq!(survivors(&other, GRACE), [0; 0]);
}

/// The library does not move the caller to another cgroup.
#[test]
fn the_caller_is_not_moved() {
    as_each("the_caller_is_not_moved", |_| {
        let own = || std::fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
        let before = own();
        explode(&limited());
        let child = command(&limited().cpu_time(Duration::from_secs(9)), "sleep", 0, &mark())
            .spawn()
            .expect("it starts");
        assert_eq!(own(), before);
        drop(child);
        assert_eq!(own(), before);
    });
}
