//! Sandboxes on hosts that deny namespaces (docs/confined.md): in an imitated Docker container
//! without flags, as its root and as a user, and as a user where `user.max_user_namespaces` is 0.
//! SECLUDE_ROUNDS sets how many callers are killed.

mod attempts;
mod held;
mod lives;
mod needs;

use seclude::{Isolation, Sandbox};
use seclude_tests::caller::{Caller, Holder, copy, only, program};
use seclude_tests::container::{Container, USER};
use seclude_tests::scratch;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The Landlock ABI that keeps signals inside, Linux 6.12.
const SIGNALS: u32 = 6;
/// The directory of the test's programs and files, in the process on such a host.
const PLACE: &str = "SECLUDE_TEST_PLACE";
const PROGRAMS: [&str; 2] = ["container", "payload"];

/// Runs the test `name` again on each host that denies namespaces. There `body` gets a directory
/// that belongs to its user, below one with copies of the tests' programs.
fn where_namespaces_are_denied(name: &str, body: impl Fn(&Path)) {
    if let Some(place) = std::env::var_os(PLACE) {
        return body(&PathBuf::from(place));
    }
    if Caller::present() == Caller::User {
        return eprintln!("{name}: SKIPPED: only root can imitate such a host");
    }
    let outcome = Sandbox::new().command("true").status().expect("namespaces can be made here");
    if outcome.enforced.landlock_abi().is_none_or(|abi| abi < SIGNALS) {
        return eprintln!("{name}: SKIPPED: this kernel's Landlock keeps no signals inside");
    }
    let place = scratch::directory();
    let test =
        copy(&std::env::current_exe().expect("/proc/self/exe can be read"), place.path(), "test");
    for program_name in PROGRAMS {
        copy(&program(program_name), place.path(), program_name);
    }
    let run = |host: &str, owner: u32, mut command: Command| {
        let own = place.path().join(host.replace(' ', "-"));
        std::fs::create_dir(&own).expect("it is new");
        std::os::unix::fs::chown(&own, Some(owner), Some(owner)).expect("root may");
        let output = command.args(only(name)).env(PLACE, &own).output().expect("it starts");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success() && text.contains("1 passed"), "{host}: {text}");
        text.lines().filter(|line| line.contains("SKIPPED")).for_each(|line| eprintln!("{line}"));
    };
    let docker = Container::docker();
    docker.command(true, &test, |command| run("docker root", 0, command));
    docker.command(false, &test, |command| run("docker user", USER, command));
    let holder = Holder::start(0, &[(0, 0, 65536)]);
    let mut banned = holder.as_root("sh");
    let id = USER;
    banned.args([
        "-c",
        &format!(
            "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --reuid {id} --regid {id} \
             --clear-groups --inh-caps=-all --bounding-set=-all -- \"$@\""
        ),
        "sh",
    ]);
    banned.arg(&test).current_dir("/");
    run("no user namespaces", USER, banned);
}

/// A sandbox that may run without namespaces, and ends at last.
fn sandbox() -> Sandbox {
    Sandbox::new().best_effort(Isolation::Namespaces).wall_time(Duration::from_secs(60))
}

/// A sandbox with the payload, and the payload's path.
fn with_payload(place: &Path) -> (Sandbox, PathBuf) {
    let payload = place.with_file_name("payload");
    (sandbox().bind_ro(&payload, &payload), payload)
}
