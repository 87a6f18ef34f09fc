//! The doctor's report describes the host correctly: as root, as a user, in sandboxes that allow
//! and that forbid nested sandboxes, and without a warden. For a report from another place the test
//! executes itself there.

use seclude::{Check, Limit, MiB, Namespace, Report, Sandbox, State, doctor};
use seclude_tests::caller::{Caller, as_each, only};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

/// If set, this process is in the place that the report is about.
const THERE: &str = "SECLUDE_TEST_DOCTOR";
/// The path of this program in a sandbox.
const TEST: &str = "/test";
/// Each check may start a sandbox, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn check<'a>(report: &'a Report, name: &str) -> &'a Check {
    report.check(name).unwrap_or_else(|| panic!("there is no check {name}:\n{report}"))
}

#[test]
fn every_feature_is_told_as_it_is() {
    as_each("every_feature_is_told_as_it_is", |caller| {
        let start = Instant::now();
        let report = doctor();
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
        assert!(report.ready(), "{report}");
        let names: BTreeSet<&str> = report.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names.len(), report.checks.len(), "each name once:\n{report}");
        for Check { name, state, cause, remedy, .. } in &report.checks {
            assert_eq!(
                cause.is_some(),
                *state != State::Works,
                "{name} tells a cause where it does not work:\n{report}"
            );
            assert!(
                remedy.is_none() || *state != State::Works,
                "{name} needs no remedy:\n{report}"
            );
        }
        for kind in Namespace::ALL {
            assert_eq!(
                check(&report, &format!("namespace.{kind}")).state,
                State::Works,
                "{report}"
            );
        }
        for limit in Limit::ALL {
            check(&report, &format!("limit.{limit}"));
        }
        assert_eq!(check(&report, "nested").state, State::Works, "{report}");
        assert_eq!(check(&report, "kill").state, State::Works, "{report}");

        // Only root may share the user namespace.
        let shared = check(&report, "share.user");
        let expected = if caller == Caller::Root { State::Works } else { State::Missing };
        assert_eq!(
            (shared.state, shared.remedy.is_some()),
            (expected, caller == Caller::User),
            "{report}"
        );
        let ids = if caller == Caller::Root { State::Works } else { State::Weaker };
        assert_eq!(check(&report, "ids").state, ids, "{report}");

        // The report on a limit agrees with what a caller gets.
        let memory = check(&report, "limit.memory");
        let run = Sandbox::new()
            .memory(MiB(64))
            .command("true")
            .status()
            .map(|outcome| outcome.enforced.mechanism(Limit::Memory));
        let found = run.ok().flatten().map_or("", |mechanism| mechanism.name());
        assert_eq!(memory.detail, found, "{report}");
    });
}

/// Parses the report that another process of this test printed.
fn told(output: &std::process::Output) -> serde_json::Value {
    told_in(&output.stdout, &output.stderr)
}

/// Parses the report. The test harness prints other lines before and after it.
fn told_in(stdout: &[u8], stderr: &[u8]) -> serde_json::Value {
    let text = String::from_utf8_lossy(stdout);
    let report = text.find('{').zip(text.rfind('}')).map(|(start, end)| &text[start..=end]);
    let report =
        report.unwrap_or_else(|| panic!("no report in {text}{}", String::from_utf8_lossy(stderr)));
    serde_json::from_str(report).expect("the report is JSON")
}

/// Prints the report and checks that the doctor left nothing behind. This process does nothing
/// else.
fn tell() {
    let descriptors = || fs::read_dir("/proc/self/fd").expect("there is a /proc").count();
    let children = || fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let (before, none) = (descriptors(), children());
    println!("{}", doctor().to_json());
    assert_eq!((descriptors(), children()), (before, none), "it leaves nothing behind");
}

/// The report of this test, executed in `sandbox`.
fn within(sandbox: Sandbox, test: &str) -> serde_json::Value {
    let this = env::current_exe().expect("/proc/self/exe can be read");
    let sandbox = sandbox.bind_ro(this, TEST).wall_time(2 * PATIENCE);
    let arguments = only(test);
    let output = sandbox.command(TEST).args(arguments).env(THERE, "1").output().expect("it starts");
    assert!(
        output.outcome.success(),
        "{:?} {}",
        output.outcome.ended,
        String::from_utf8_lossy(&output.stderr)
    );
    told_in(&output.stdout, &output.stderr)
}

fn of<'a>(report: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let mut checks = report["checks"].as_array().expect("a list").iter();
    checks
        .find(|check| check["name"] == name)
        .unwrap_or_else(|| panic!("there is no check {name}: {report}"))
}

#[test]
fn where_sandboxes_are_forbidden_it_says_so_with_the_remedy() {
    const NAME: &str = "where_sandboxes_are_forbidden_it_says_so_with_the_remedy";
    if env::var_os(THERE).is_some() {
        return tell();
    }
    as_each(NAME, |_| {
        let report = within(Sandbox::new(), NAME);
        assert_eq!(report["ready"], false);
        let user = of(&report, "namespace.user");
        assert_eq!(user["state"], "missing");
        assert!(
            user["cause"].as_str().is_some_and(|cause| cause.starts_with("make namespaces (user")),
            "{user}"
        );
        assert!(
            user["remedy"].as_str().is_some_and(|remedy| remedy.contains("max_user_namespaces")),
            "{user}"
        );
        // The same place, except that nested sandboxes are allowed.
        let report = within(Sandbox::new().nested(), NAME);
        assert_eq!(report["ready"], true, "{report}");
        assert_eq!(of(&report, "namespace.user")["state"], "works");
        assert_eq!(of(&report, "nested")["state"], "works");
    });
}

#[test]
fn a_warden_that_does_not_exist_is_what_is_missing() {
    const NAME: &str = "a_warden_that_does_not_exist_is_what_is_missing";
    if env::var_os(THERE).is_some() {
        return tell();
    }
    let this: PathBuf = env::current_exe().expect("/proc/self/exe can be read");
    let mut command = Command::new(this);
    command.args(only(NAME)).env(THERE, "1").env("SECLUDE_WARDEN", "/no/such/warden");
    let report = told(&command.output().expect("it runs"));
    assert_eq!(report["ready"], false);
    let warden = of(&report, "warden.installed");
    assert_eq!(warden["state"], "missing");
    assert!(
        warden["cause"].as_str().is_some_and(|cause| cause.contains("/no/such/warden")),
        "{warden}"
    );
    assert!(
        warden["remedy"].as_str().is_some_and(|remedy| remedy.contains("install it there")),
        "{warden}"
    );
}
