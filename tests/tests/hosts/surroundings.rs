//! Callers in containers: a filter that refuses newer system calls with any error, a Landlock
//! domain, or a user with a full quota of keys. A sandbox starts another way that protects as much,
//! or the error names the surroundings as the cause.

use nix::libc;
use seclude::{
    Bind, Ended, Enforced, Error, ErrorKind, MiB, Profile, Protection, Sandbox, Seccomp, Transfer,
};
use seclude_tests::caller::{Caller, as_each, copy, in_own_mounts, only};
use seclude_tests::scratch;
use seclude_tests::surroundings::{
    automount, close_proc, in_landlock, propagate, unmount, use_up_the_quota_of_keys, without,
};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The errors of filters for calls that they do not know: like a kernel without the call, and like
/// the default of container engines.
const ANSWERS: [i32; 2] = [libc::ENOSYS, libc::EPERM];

/// A sandbox that uses every call with an alternative in its set-up.
fn sandbox(place: &Path) -> Sandbox {
    Sandbox::new()
        .bind_ro(place.join("file"), "/deep/er/file")
        .bind_rw(place.join("folder"), "/folder")
        .bind(Bind::new(place.join("folder"), "/not/followed").nofollow())
        .tmpfs("/tmp", MiB(1))
        .symlink("/deep/er", "/link")
        .file("/etc/motd", "hello")
}

fn place() -> tempfile::TempDir {
    let place = scratch::directory();
    fs::write(place.path().join("file"), "x").expect("a file of our own");
    let folder = place.path().join("folder");
    fs::create_dir(&folder).expect("a directory of our own");
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).expect("it is ours");
    place
}

fn protections(enforced: &Enforced) -> BTreeSet<&'static str> {
    Protection::ALL
        .iter()
        .filter(|protection| enforced.contains(**protection))
        .map(|protection| protection.name())
        .collect()
}

/// Runs a command with everything in that sandbox, and returns the protections that were active.
fn run(place: &Path) -> Result<BTreeSet<&'static str>, Error> {
    let script = "set -e; cat /deep/er/file /link/file /etc/motd; cd /link; pwd -P; test -d /not/followed; ! touch /deep/er/file; \
                  touch /tmp/x; cat /proc/self/comm; cat /proc/keys; ! touch /proc/sys/kernel/core_pattern";
    let mut command = sandbox(place).command("sh");
    let output = command.args(["-c", script]).current_dir("/link").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.outcome.ended,
        Ended::Exited(0),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(text, "xxhello/deep/er\ncat\n");
    Ok(protections(&output.outcome.enforced))
}

/// The calls that have an alternative, one by one and all together, and the protections that are
/// missing without them.
fn with_another_way() -> Vec<(Vec<i64>, &'static [&'static str])> {
    const NOTHING: &[&str] = &[];
    const KEYRING: &[&str] = &["own-keyring"];
    const LANDLOCK: &[&str] = &["landlock-files", "landlock-signals", "landlock-sockets"];
    let same = [
        libc::SYS_openat2,
        libc::SYS_faccessat2,
        libc::SYS_statx,
        libc::SYS_close_range,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_mount_setattr,
        libc::SYS_pidfd_open,
    ];
    let mut calls: Vec<(Vec<i64>, &[&str])> =
        same.iter().map(|call| (vec![*call], NOTHING)).collect();
    calls.push((vec![libc::SYS_keyctl], KEYRING));
    calls.push((vec![libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key], KEYRING));
    for call in [
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_add_rule,
        libc::SYS_landlock_restrict_self,
    ] {
        calls.push((vec![call], LANDLOCK));
    }
    calls.push((same.to_vec(), NOTHING));
    calls
}

#[test]
fn every_call_with_another_way_may_be_refused() {
    as_each("every_call_with_another_way_may_be_refused", |who| {
        let place = place();
        if who == Caller::Root {
            // The folder belongs to the user that the command is on the host.
            nix::unistd::chown(&place.path().join("folder"), Some(who.uid_behind().into()), None)
                .expect("root may");
        }
        let usual = run(place.path()).expect("it runs without a filter");
        for (calls, lost) in with_another_way() {
            for errno in ANSWERS {
                let found = without(&calls, errno, || run(place.path()));
                let found =
                    found.unwrap_or_else(|error| panic!("{calls:?} refused with {errno}: {error}"));
                let missing: BTreeSet<&str> = usual.difference(&found).copied().collect();
                let expected = lost.iter().copied().filter(|name| usual.contains(name)).collect();
                assert_eq!(missing, expected, "{calls:?} refused with {errno}");
                assert!(found.is_subset(&usual));
            }
        }
    });
}

/// For calls without an alternative, the error names the call and says that a filter refuses it.
#[test]
fn a_refused_call_without_another_way_is_named() {
    as_each("a_refused_call_without_another_way_is_named", |_| {
        let unconfined = || Sandbox::new().seccomp(Profile::Unconfined);
        let ports = || Sandbox::tcp_bind(Sandbox::new(), [80]);
        let cases: [(&str, i64, Sandbox); 7] = [
            ("keyctl", libc::SYS_keyctl, unconfined()),
            (
                "keyctl",
                libc::SYS_keyctl,
                Sandbox::new().seccomp(Seccomp::profile(Profile::Default).allow("request_key")),
            ),
            ("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, ports()),
            ("mount", libc::SYS_mount, Sandbox::new()),
            ("pivot_root", libc::SYS_pivot_root, Sandbox::new()),
            ("personality", libc::SYS_personality, Sandbox::new()),
            ("symlinkat", libc::SYS_symlinkat, Sandbox::new()),
        ];
        for (name, call, sandbox) in cases {
            let error =
                without(&[call], libc::EPERM, || sandbox.command("true").status()).expect_err(name);
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}: {text}");
            assert!(
                text.contains(&format!(
                    "the seccomp filter of a surrounding container refuses {name}(2)"
                )),
                "{name}: {text}"
            );
            assert!(
                error.remedy().is_some_and(|hint| hint.contains(&format!("allow {name}"))),
                "{name}: {text}"
            );
            assert_eq!(error.raw_os_error(), Some(libc::EPERM));
            sandbox
                .command("true")
                .status()
                .unwrap_or_else(|error| panic!("the control, {name} allowed: {error}"));
        }
        // A kernel without keys returns ENOSYS for all three calls. ENOSYS for only one of them is
        // an error.
        let error =
            without(&[libc::SYS_keyctl], libc::ENOSYS, || unconfined().command("true").status())
                .expect_err("keyctl");
        assert!(error.to_string().contains("lacks keyctl(2)"), "{error}");
        let all = [libc::SYS_add_key, libc::SYS_keyctl, libc::SYS_request_key];
        let outcome = without(&all, libc::ENOSYS, || unconfined().command("true").status())
            .expect("no keys at all");
        assert!(!outcome.enforced.contains(Protection::OwnKeyring));
    });
}

/// The kernel's own EPERM must not be taken for a filter's. The call stays refused, and no filter
/// is blamed.
#[test]
fn the_kernels_own_refusal_is_not_blamed_on_a_filter() {
    as_each("the_kernels_own_refusal_is_not_blamed_on_a_filter", |_| {
        // No user may shift a clock that far.
        let sandbox = Sandbox::new().clock_offset(seclude::Clock::Monotonic, -1_000_000_000);
        let error = sandbox.command("true").status().expect_err("the clock would be negative");
        assert!(!error.to_string().contains("filter"), "{error}");
    });
}

#[test]
fn files_are_copied_without_openat2() {
    as_each("files_are_copied_without_openat2", |who| {
        let place = place();
        let cell = sandbox(place.path()).cell().expect("it starts");
        let script = "mkdir -p /tmp/a/b && echo out > /tmp/a/b/file && ln -s b /tmp/a/link && ln -s /etc/motd /tmp/a/b/away";
        assert!(cell.command("sh").args(["-c", script]).status().expect("it starts").success());
        for errno in ANSWERS {
            without(&[libc::SYS_openat2], errno, || {
                let to = |name: &str| place.path().join(format!("{name}-{errno}"));
                cell.copy_out("/tmp/a/b/file", to("plain"), &Transfer::new())
                    .expect("a plain path");
                assert_eq!(fs::read_to_string(to("plain")).expect("it is there"), "out\n");
                for (inside, name) in [("/tmp/a/link/file", "through"), ("/tmp/a/b/away", "last")] {
                    let error =
                        cell.copy_out(inside, to(name), &Transfer::new()).expect_err("a link");
                    assert_eq!(
                        error.raw_os_error(),
                        Some(libc::ELOOP),
                        "{inside} as {}: {error}",
                        who.name()
                    );
                }
                let error =
                    cell.copy_out("/tmp/none", to("none"), &Transfer::new()).expect_err("nothing");
                assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error}");
            });
        }
    });
}

#[test]
fn a_caller_whose_mounts_landlock_forbids_is_told_so() {
    as_each("a_caller_whose_mounts_landlock_forbids_is_told_so", |_| {
        let there_is = in_landlock(|| {
            let error = Sandbox::new().command("true").status().expect_err("the kernel forbids it");
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{text}");
            assert!(
                text.contains(
                    "a Landlock domain or an LSM policy around the caller forbids mounts"
                ),
                "{text}"
            );
            assert!(
                error.remedy().is_some_and(|hint| hint.contains("outside that Landlock sandbox")),
                "{text}"
            );
            let report = seclude::doctor();
            let check = report.check("sandbox").expect("it is checked");
            assert!(
                check.cause.as_ref().is_some_and(|cause| cause.contains("Landlock")),
                "{check:?}"
            );
            assert!(
                check.remedy.as_ref().is_some_and(|remedy| remedy.contains("Landlock")),
                "{check:?}"
            );
            let mounts = report.check("namespace.mount").expect("it is checked");
            assert!(
                mounts.remedy.as_ref().is_some_and(|remedy| remedy.contains("Landlock")),
                "{mounts:?}"
            );
        });
        if !there_is {
            eprintln!(
                "a_caller_whose_mounts_landlock_forbids_is_told_so: SKIPPED: this kernel has no Landlock"
            );
        }
        Sandbox::new().command("true").status().expect("the control: without it all is well");
    });
}

/// Runs as a user id that nothing else has, because the kernel counts the quota per user.
#[test]
fn without_room_for_keys_a_sandbox_starts_without_a_keyring() {
    const NAME: &str = "without_room_for_keys_a_sandbox_starts_without_a_keyring";
    const FULL: &str = "SECLUDE_TEST_FULL_QUOTA";
    if std::env::var_os(FULL).is_some() {
        return with_a_full_quota_of_keys();
    }
    if Caller::present() == Caller::User {
        return eprintln!("{NAME}: SKIPPED: only root can become another user");
    }
    let place = scratch::directory();
    let test =
        copy(&std::env::current_exe().expect("/proc/self/exe can be read"), place.path(), "test");
    let id = (61_000 + std::process::id() % 1000).to_string();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &id, "--regid", &id, "--clear-groups", "--inh-caps=-all", "--"])
        .arg(test);
    command.args(only(NAME)).env(FULL, "1").current_dir("/");
    assert!(command.status().expect("setpriv (util-linux) is there").success());
}

fn with_a_full_quota_of_keys() {
    // The keyring belongs to this process and ends with it.
    let number = use_up_the_quota_of_keys();
    println!("{number} keys were room for");
    let outcome =
        Sandbox::new().command("true").status().expect("its filter refuses all calls on keys");
    assert!(!outcome.enforced.contains(Protection::OwnKeyring), "the control: there is no room");
    assert!(outcome.success());
    let open = Sandbox::new().seccomp(Profile::Unconfined);
    let error = open.command("true").status().expect_err("it could use the caller's keys");
    assert_eq!(error.kind(), ErrorKind::HostLimit, "{error}");
    assert_eq!(error.raw_os_error(), Some(libc::EDQUOT));
    assert!(error.remedy().is_some_and(|hint| hint.contains("kernel.keys.maxkeys")), "{error}");
}

/// A bound automount point shows the file system mounted on it, not the empty directory. Where the
/// mount does not propagate into the sandbox, the error says so.
#[test]
fn an_automount_point_is_mounted_before_it_is_shown() {
    const NAME: &str = "an_automount_point_is_mounted_before_it_is_shown";
    const SOURCE: &str = "SECLUDE_TEST_AUTOMOUNT";
    if let Some(source) = std::env::var_os(SOURCE) {
        return show(Path::new(&source));
    }
    in_own_mounts(NAME, || {
        let place = scratch::directory();
        let test = copy(
            &std::env::current_exe().expect("/proc/self/exe can be read"),
            place.path(),
            "test",
        );
        propagate(Path::new("/"), true);
        for reaches in [true, false] {
            for who in [Caller::Root, Caller::User] {
                let source = place.path().join(format!(
                    "{}-{}",
                    if reaches { "shared" } else { "private" },
                    who.name()
                ));
                fs::create_dir(&source).expect("it is ours");
                automount(&source);
                propagate(&source, reaches);
                let mut command = who.command(&test);
                command.args(only(NAME)).env(SOURCE, &source).current_dir("/");
                // A process group of its own, because the server's group never triggers the mount.
                assert!(
                    command.process_group(0).status().expect("it starts").success(),
                    "{}",
                    source.display()
                );
                unmount(&source);
            }
        }
    });
}

fn show(source: &Path) {
    let sandbox =
        Sandbox::new().bind_ro(source, "/shown").wall_time(std::time::Duration::from_secs(20));
    let result = sandbox.command("cat").arg("/shown/hello").output();
    if source.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"shared")) {
        assert_eq!(result.expect("it is mounted").stdout, b"mounted");
    } else {
        let error = result.expect_err("the mount stays outside");
        assert_eq!(error.kind(), ErrorKind::SourceUnreadable, "{error}");
        assert!(error.to_string().contains("an automount point"), "{error}");
        assert!(error.remedy().is_some_and(|hint| hint.contains("--make-shared")), "{error}");
    }
}

/// A container keeps `/proc/sys` read-only and allows no new mount of proc.
#[test]
fn without_a_proc_to_write_to_nested_user_namespaces_cannot_be_forbidden_and_that_is_told() {
    const NAME: &str =
        "without_a_proc_to_write_to_nested_user_namespaces_cannot_be_forbidden_and_that_is_told";
    const HERE: &str = "SECLUDE_TEST_CLOSED_PROC";
    if std::env::var_os(HERE).is_some() {
        let with_proc = || Sandbox::new().bind_ro("/proc", "/proc");
        let error = with_proc().command("true").status().expect_err("nothing can be written to");
        assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{error}");
        assert!(error.to_string().contains("the caller's /proc cannot be written to"), "{error}");
        assert!(error.remedy().is_some_and(|hint| hint.contains("nested")), "{error}");
        assert!(with_proc().nested().command("true").status().expect("the remedy").success());
        return;
    }
    in_own_mounts(NAME, || {
        let place = scratch::directory();
        let test = copy(
            &std::env::current_exe().expect("/proc/self/exe can be read"),
            place.path(),
            "test",
        );
        close_proc();
        for who in [Caller::Root, Caller::User] {
            let mut command = who.command(&test);
            command.args(only(NAME)).env(HERE, "1").current_dir("/");
            assert!(command.status().expect("it starts").success(), "as {}", who.name());
        }
    });
}
