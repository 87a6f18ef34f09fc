//! 2,000 runs of every kind leave nothing: no descriptor, mount, process, zombie, namespace or
//! temporary file. SECLUDE_TEST_LEAK_RUNS sets another number of runs.

use seclude::{Ended, MiB, Sandbox, Stdio};
use seclude_tests::alone::alone;
use seclude_tests::caller::{Caller, as_each};
use seclude_tests::census::{descendants, descriptors, mounts};
use seclude_tests::scratch;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[test]
fn two_thousand_runs_leave_nothing() {
    let _alone = alone();
    as_each("two_thousand_runs_leave_nothing", |_| {
        let runs = std::env::var("SECLUDE_TEST_LEAK_RUNS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(2000);
        let place = scratch::directory();
        let file = place.path().join("file");
        fs::write(&file, "x").expect("a file of our own");
        let sandboxes = [
            Sandbox::new(),
            Sandbox::new()
                .bind_ro(&file, "/deep/file")
                .tmpfs("/tmp", MiB(1))
                .file("/etc/motd", "hello"),
            Sandbox::new().classic_mounts().tmpfs("/tmp", MiB(1)),
            Sandbox::new().share(seclude::Namespace::Pid),
            Sandbox::new().wall_time(Duration::from_millis(20)),
        ];
        // Objects that are made once and kept, such as the warden's image, exist before the count.
        for sandbox in &sandboxes {
            sandbox.command("true").status().expect("it runs");
        }
        let temporary = || files(&std::env::temp_dir(), place.path());
        let before = (descriptors(), mounts(), descendants(), temporary());
        for run in 0..runs {
            let sandbox = &sandboxes[run % sandboxes.len()];
            // On a slow machine the start alone may exceed this limit.
            let hurried = |ended: Ended| run % sandboxes.len() == 4 && ended == Ended::WallTime;
            match run % 7 {
                0 => {
                    let ended = sandbox.command("false").status().expect("it runs").ended;
                    assert!(ended == Ended::Exited(1) || hurried(ended), "{ended:?}");
                }
                1 => drop(
                    sandbox
                        .command("sleep")
                        .arg("1000")
                        .stdout(Stdio::piped())
                        .spawn()
                        .expect("it starts"),
                ),
                2 => {
                    if let Ok(mut child) = sandbox.command("no-such-program").spawn() {
                        let ended = child.wait().expect("it ends").ended;
                        assert!(hurried(ended), "{ended:?}");
                    }
                }
                3 => assert!(
                    sandbox.clone().bind_ro("/no/where", "/x").command("true").spawn().is_err()
                ),
                4 => drop(
                    sandbox
                        .command("sh")
                        .args(["-c", "(setsid sleep 1000 &); echo"])
                        .output()
                        .expect("it runs"),
                ),
                5 => drop(sandbox.clone().uid(0).command("true").output().expect("it runs")),
                _ => {
                    let ended = sandbox.command("true").output().expect("it runs").outcome.ended;
                    assert!(ended == Ended::Exited(0) || hurried(ended), "{ended:?}");
                }
            }
        }
        // A namespace exists as long as a process, a mount or a descriptor refers to it. All three
        // are counted.
        assert_eq!(descriptors(), before.0, "descriptors");
        assert_eq!(mounts(), before.1, "mounts");
        assert_eq!(descendants(), before.2, "processes and zombies");
        assert_eq!(temporary(), before.3, "temporary files");
    });
}

/// Counts the namespaces themselves. In a user namespace with a limit for each kind, ten times as
/// many runs succeed only if each run releases its own. The control: sandboxes that are kept alive
/// reach the limit.
#[test]
fn namespaces_are_given_back() {
    let _alone = alone();
    as_each("namespaces_are_given_back", |caller| {
        // Root of a user namespace that root created is root outside, and the library refuses to
        // run commands as that.
        if caller == Caller::Root {
            return;
        }
        const LIMIT: usize = 40;
        let driver = seclude_tests::caller::driver();
        let place = scratch::directory();
        let (job, result) = (place.path().join("job"), place.path().join("result"));
        let lines = |program: &str| {
            seclude_tests::job::Job {
                program: program.into(),
                arguments: vec!["1000".into()],
                ..Default::default()
            }
            .write()
        };
        fs::write(&job, lines("true")).expect("a file of our own");
        let limit = format!(
            "for kind in user mnt pid ipc uts cgroup; do echo {LIMIT} > /proc/sys/user/max_${{kind}}_namespaces || exit 70; done"
        );
        let many = format!(
            "{limit}; i=0; while [ $i -lt {} ]; do \"$1\" \"$2\" \"$3\" || exit 71; grep -q '^ended exited%200' \"$3\" || {{ cat \"$3\"; exit 72; }}; i=$((i+1)); done",
            LIMIT * 10
        );
        let run = |script: &str| {
            let within = std::process::Command::new("unshare")
                .args(["-Ur", "sh", "-c", script, "sh"])
                .arg(&driver)
                .args([&job, &result])
                .output()
                .expect("unshare (util-linux) is there");
            (within.status.code(), String::from_utf8_lossy(&within.stdout).into_owned())
        };
        assert_eq!(run(&many), (Some(0), String::new()));

        fs::write(&job, lines("sleep")).expect("a file of our own");
        let kept = format!(
            "{limit}; i=0; while [ $i -lt {} ]; do \"$1\" \"$2\" \"$3.$i\" & all=\"$all $!\"; i=$((i+1)); done; n=0; until grep -qs max_ \"$3\".* || [ $n -ge 300 ]; do sleep 0.1; n=$((n+1)); done; kill -9 $all; cat \"$3\".*",
            LIMIT + 10
        );
        let (_, told) = run(&kept);
        assert!(told.contains("error host-limit") && told.contains("max_"), "{told}");
    });
}

/// The files in the temporary directory, except those of this test, of other tests, and of other
/// users, who may be testing too.
fn files(directory: &Path, own: &Path) -> BTreeSet<PathBuf> {
    let ours = |name: &str| name.contains("seclude") && !name.starts_with("seclude-test-");
    let entries = fs::read_dir(directory).expect("there is a temporary directory");
    let own_user = |entry: &fs::DirEntry| {
        entry.metadata().is_ok_and(|status| status.uid() == nix::unistd::geteuid().as_raw())
    };
    entries
        .flatten()
        .filter(own_user)
        .map(|entry| entry.path())
        .filter(|path| {
            path != own && path.file_name().and_then(|name| name.to_str()).is_some_and(ours)
        })
        .collect()
}
