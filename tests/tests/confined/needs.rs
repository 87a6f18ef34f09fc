//! What a policy asks for and only a namespace can give is an error that names it, unless the
//! policy does without it.

use crate::{sandbox, where_namespaces_are_denied};
use seclude::{Capability, Clock, ErrorKind, Isolation, MiB, Namespace, Profile, Sandbox};
use std::fs;

type Change = fn(Sandbox) -> Sandbox;

#[test]
fn what_only_a_namespace_gives_is_an_error_by_name() {
    let needs: [(Isolation, &str, Change); 12] = [
        (Isolation::Files, "/tmp", |sandbox| sandbox.tmpfs("/tmp", MiB(1))),
        (Isolation::Files, "/there", |sandbox| sandbox.bind_ro("/usr", "/there")),
        (Isolation::Files, "/file", |sandbox| sandbox.file("/file", "text")),
        (Isolation::Files, "below the writable", |sandbox| {
            sandbox.bind_rw("/dev", "/dev").bind_ro("/dev/shm", "/dev/shm")
        }),
        (Isolation::Files, "root /usr", |sandbox| sandbox.root("/usr")),
        (Isolation::Files, "writable root", Sandbox::writable_root),
        (Isolation::Files, "file system", |sandbox| sandbox.unshare(Namespace::Mount)),
        (Isolation::Processes, "process tree", |sandbox| sandbox.unshare(Namespace::Pid)),
        (Isolation::Network, "network", |sandbox| sandbox.unshare(Namespace::Net)),
        (Isolation::Names, "host name", |sandbox| sandbox.hostname("box")),
        (Isolation::Clocks, "clocks", |sandbox| sandbox.clock_offset(Clock::Boottime, 60)),
        (Isolation::Terminals, "pseudo-terminals", Sandbox::terminals),
    ];
    where_namespaces_are_denied("what_only_a_namespace_gives_is_an_error_by_name", move |_| {
        for (isolation, named, change) in &needs {
            let asked = change(sandbox());
            let error = asked.command("true").status().expect_err(named);
            assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{named}: {error}");
            let text = error.to_string();
            assert!(text.contains(named) && text.contains(isolation.name()), "{named}: {text}");
            assert!(asked.cell().is_err() && asked.prepare().is_err(), "{named}");
            let without = asked.best_effort(*isolation);
            let outcome = without.command("true").status().expect(named);
            assert!(outcome.success(), "{named}: {}", outcome.ended);
        }
    });
}

#[test]
fn what_nothing_could_hold_is_an_error_in_any_case() {
    let never: [(&str, Change); 3] = [
        ("Landlock", Sandbox::no_landlock),
        ("seccomp filter", |sandbox| sandbox.seccomp(Profile::Unconfined)),
        ("capabilities", |sandbox| sandbox.capability(Capability::Chown)),
    ];
    where_namespaces_are_denied("what_nothing_could_hold_is_an_error_in_any_case", move |_| {
        for (named, change) in &never {
            let all = Isolation::ALL.iter();
            let lenient = all.fold(change(sandbox()), |sandbox, one| sandbox.best_effort(*one));
            let error = lenient.command("true").status().expect_err(named);
            assert_eq!(error.kind(), ErrorKind::NamespacesDenied, "{named}: {error}");
            assert!(error.to_string().contains(named), "{named}: {error}");
        }
    });
}

#[test]
fn a_program_out_of_reach_is_named_with_the_remedy() {
    const NAME: &str = "a_program_out_of_reach_is_named_with_the_remedy";
    where_namespaces_are_denied(NAME, |place| {
        let program = place.join("program");
        fs::copy("/bin/true", &program).expect("it is ours");
        let error = sandbox().command(&program).status().expect_err("nothing shows it");
        assert_eq!(error.kind(), ErrorKind::ProgramNotExecutable, "{error}");
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("binds")), "{error}");
        let shown = sandbox().bind_ro(&program, &program);
        assert!(shown.command(&program).status().expect("it starts").success());
    });
}

#[test]
fn a_part_alone_is_a_mistake() {
    let error = Sandbox::new().best_effort(Isolation::Files).check().expect_err("a mistake");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

/// Where namespaces can be made, the permission changes nothing.
#[test]
fn with_namespaces_they_are_made() {
    let outcome = sandbox().hostname("box").command("true").status().expect("it starts");
    assert!(Namespace::ALL.iter().filter(|kind| outcome.enforced.private(**kind)).count() >= 6);
}
