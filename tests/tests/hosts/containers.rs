//! The seccomp profile that seclude ships for containers: a caller behind exactly this filter runs
//! the default sandbox with every protection. Without one of the calls that it lists for the
//! set-up, the error names that call.

use nix::libc;
use seclude::{Enforced, Error, Profile, Protection, Sandbox};
use seclude_tests::caller::as_each;
use seclude_tests::container::filter::Filter;
use seclude_tests::surroundings::behind;
use std::collections::BTreeSet;

/// Calls of the set-up that nothing can take the place of.
const NEEDED: [&str; 7] =
    ["clone", "memfd_create", "mount", "pivot_root", "seccomp", "sethostname", "setresuid"];

fn protections(enforced: &Enforced) -> BTreeSet<&'static str> {
    Protection::ALL
        .iter()
        .filter(|protection| enforced.contains(**protection))
        .map(|protection| protection.name())
        .collect()
}

fn run(sandbox: &Sandbox) -> Result<BTreeSet<&'static str>, Error> {
    let script = "set -e; cat /proc/self/comm; touch /tmp/x; ! touch /etc/x";
    let output = sandbox.command("sh").args(["-c", script]).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.outcome.success(), "{:?} {text}", output.outcome.ended);
    assert_eq!(output.stdout, b"cat\n", "{text}");
    Ok(protections(&output.outcome.enforced))
}

#[test]
fn behind_the_shipped_profile_every_protection_is_in_force() {
    as_each("behind_the_shipped_profile_every_protection_is_in_force", |_| {
        let filter = Filter::of_seclude();
        for sandbox in [
            Sandbox::new(),
            Sandbox::new().nested(),
            Sandbox::new().seccomp(Profile::Debug),
            Sandbox::new().hostname("box").seccomp(Profile::Nested),
        ] {
            let usual = run(&sandbox).expect("it runs without the filter");
            let found = behind(&filter, || run(&sandbox)).expect("it runs behind the filter");
            assert_eq!(found, usual, "{sandbox:?}");
        }
    });
}

#[test]
fn without_a_call_of_the_shipped_profile_the_error_names_it() {
    as_each("without_a_call_of_the_shipped_profile_the_error_names_it", |_| {
        let mut wrong = Vec::new();
        for name in NEEDED {
            for errno in [libc::EPERM, libc::ENOSYS] {
                let filter = Filter::of_seclude().without(name).refuse([name], errno);
                let sandbox = Sandbox::new().hostname("box");
                let error = behind(&filter, || sandbox.command("true").status());
                let error = error.expect_err(name);
                let hint = error.remedy().unwrap_or_default();
                if !error.to_string().contains(name) || !hint.contains("seccomp") {
                    wrong.push(format!("{name} refused with {errno}: {error}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}
