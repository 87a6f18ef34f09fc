//! `seclude::namespaces` agrees with the kernel's links and with lsns(8), for root and for a user:
//! ids, owners, parents, and processes with their ids outside and inside.

use seclude::{Child, LiveNamespace, MiB, Namespace, Namespaces, Sandbox, Stdio, namespaces};
use seclude_tests::caller::{Caller, as_each, driver, in_own_mounts, only};
use seclude_tests::census::await_marked;
use seclude_tests::job::{Action, Job, Stream};
use seclude_tests::payload::{command, mark, sandbox};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, str};

/// The name of a namespace kind in `/proc/PID/ns` and in lsns(8).
fn link(kind: Namespace) -> &'static str {
    if kind == Namespace::Mount { "mnt" } else { kind.name() }
}

/// The id that the kernel shows.
fn number(pid: u32, name: &str) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{name}")).ok()?;
    link.to_str()?.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// The namespace of this kind that a process is in. It must be in the list.
fn of(seen: &Namespaces, pid: u32, kind: Namespace) -> &LiveNamespace {
    seen.of(pid, kind).unwrap_or_else(|| {
        panic!(
            "no {kind} namespace of {pid}: {:?}",
            fs::read_link(format!("/proc/{pid}/ns/{}", link(kind)))
        )
    })
}

/// The process ids outside and inside of the processes in a namespace.
fn ids(namespace: &LiveNamespace) -> BTreeMap<u32, u32> {
    namespace.processes.iter().map(|process| (process.pid, process.inside_pid)).collect()
}

fn sleeper(sandbox: &Sandbox) -> (Child, u32) {
    let mark = mark();
    let child = command(sandbox, "sleep", 0, &mark).spawn().expect("it starts");
    await_marked(&mark, 1);
    let warden = child.processes().expect("they can be listed")[0].pid;
    (child, warden)
}

#[test]
fn a_sandbox_is_seen_whole() {
    as_each("a_sandbox_is_seen_whole", |caller| {
        let (mut child, warden) = sleeper(&sandbox().unshare(Namespace::Time));
        let seen = namespaces().expect("they can be listed");
        let us = std::process::id();
        for kind in Namespace::ALL {
            let inside = of(&seen, child.id(), *kind);
            assert_eq!(Some(inside.id), number(child.id(), link(*kind)), "{kind}");
            assert_eq!(inside.kind, *kind);
            // The warden makes the time namespace for its children and stays in the old one
            // (time_namespaces(7)).
            let expected =
                if *kind == Namespace::Time { vec![child.id()] } else { vec![warden, child.id()] };
            assert_eq!(ids(inside).into_keys().collect::<Vec<_>>(), expected, "{inside:?}");
            let outside = of(&seen, us, *kind);
            assert_eq!(Some(outside.id), number(us, link(*kind)), "{kind}");
            assert_ne!(inside.id, outside.id, "{kind}");
        }
        let user = of(&seen, child.id(), Namespace::User);
        let ours = of(&seen, us, Namespace::User);
        assert_eq!((user.parent, user.owner), (Some(ours.id), Some(ours.id)));
        assert_eq!(user.owner_uid, Some(caller.uid()), "who made it");
        for kind in Namespace::ALL.iter().filter(|kind| **kind != Namespace::User) {
            let inside = of(&seen, child.id(), *kind);
            assert_eq!((inside.owner, inside.owner_uid), (Some(user.id), None), "{kind}");
        }
        let pid = of(&seen, child.id(), Namespace::Pid);
        assert_eq!(pid.parent, Some(of(&seen, us, Namespace::Pid).id));
        assert_eq!(of(&seen, child.id(), Namespace::Net).parent, None, "they do not nest");
        assert_eq!(ids(pid), BTreeMap::from([(warden, 1), (child.id(), child.inside_id())]));
        assert_eq!(pid.processes[0].pid, warden, "each after its parent");
        assert_eq!(pid.processes[1].parent, warden);

        child.kill().expect("it runs");
        child.wait().expect("it can be waited for");
        let after = namespaces().expect("they can be listed");
        assert!(after.get(pid.id).is_none(), "gone with the sandbox");
        assert!(after.of(child.id(), Namespace::Pid).is_none());
    });
}

#[test]
fn what_is_shared_is_one_namespace() {
    as_each("what_is_shared_is_one_namespace", |_| {
        let (child, _) = sleeper(&sandbox().share(Namespace::Net).share(Namespace::Uts));
        let seen = namespaces().expect("they can be listed");
        for kind in Namespace::ALL {
            let one = of(&seen, child.id(), *kind).id == of(&seen, std::process::id(), *kind).id;
            assert_eq!(
                one,
                [Namespace::Net, Namespace::Uts, Namespace::Time].contains(kind),
                "{kind}"
            );
        }
    });
}

#[test]
fn a_sandbox_in_a_sandbox_nests() {
    as_each("a_sandbox_in_a_sandbox_nests", |_| {
        let mark = mark();
        let job = Job {
            action: Action::Output,
            policy: serde_json::json!({"files": []}).to_string(),
            program: "sh".into(),
            arguments: ["-c", "sleep 1000; :", &mark].map(Into::into).to_vec(),
            streams: [Stream::Null, Stream::Inherit, Stream::Inherit],
            ..Job::default()
        };
        let around = Sandbox::new()
            .nested()
            .bind_ro(driver(), "/driver")
            .file("/job", job.write())
            .tmpfs("/tmp", MiB(1));
        let mut command = around.command("/driver");
        let child =
            command.args(["/job", "/tmp/result"]).stdin(Stdio::null()).spawn().expect("it starts");
        let innermost = await_marked(&mark, 1)[0];
        let seen = namespaces().expect("they can be listed");
        for kind in [Namespace::Pid, Namespace::User] {
            let inner = of(&seen, innermost, kind);
            let outer = of(&seen, child.id(), kind);
            assert_eq!(Some(inner.id), number(innermost, link(kind)), "{kind}");
            assert_eq!(inner.parent, Some(outer.id), "{kind}");
            assert_eq!(outer.parent, Some(of(&seen, std::process::id(), kind).id), "{kind}");
            let place = |id: u64| seen.list.iter().position(|namespace| namespace.id == id);
            assert!(place(outer.id) < place(inner.id), "outer before inner");
        }
        let inner = of(&seen, innermost, Namespace::Pid);
        assert_eq!(inner.owner, Some(of(&seen, innermost, Namespace::User).id));
        let depth = inner.processes[0].pids.len();
        assert_eq!(depth, of(&seen, child.id(), Namespace::Pid).processes[0].pids.len() + 1);
        assert_eq!(inner.processes[0].inside_pid, 1, "the inner warden: {inner:?}");
        for process in &inner.processes {
            assert_eq!(
                (process.pids.len(), process.pids.last()),
                (depth, Some(&process.inside_pid))
            );
        }
    });
}

#[test]
fn who_may_not_be_looked_into_is_told_as_such() {
    as_each("who_may_not_be_looked_into_is_told_as_such", |caller| {
        let seen = namespaces().expect("they can be listed");
        for process in &seen.closed {
            assert!(
                Namespace::ALL.iter().all(|kind| seen.of(process.pid, *kind).is_none()),
                "{process:?}"
            );
        }
        let closed = |pid: u32| seen.closed.iter().any(|process| process.pid == pid);
        assert!(!closed(std::process::id()));
        let first = number(1, "pid").is_none();
        assert_eq!(closed(1), first, "{:?}", seen.closed);
        assert_eq!(seen.of(1, Namespace::Pid).is_none(), first);
        // PID 1 usually belongs to root, and an unprivileged caller may not inspect it.
        let roots = fs::metadata("/proc/1").is_ok_and(|first| first.uid() == 0);
        assert!(first || caller == Caller::Root || !roots);
    });
}

#[test]
fn a_sandbox_sees_itself_and_nothing_around_it() {
    const NAME: &str = "a_sandbox_sees_itself_and_nothing_around_it";
    const INSIDE: &str = "SECLUDE_TEST_SEEN_FROM_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        let seen = namespaces().expect("they can be listed");
        let us = std::process::id();
        for kind in [Namespace::User, Namespace::Pid] {
            assert_eq!(of(&seen, us, kind).parent, None, "{kind}");
        }
        let user = of(&seen, us, Namespace::User);
        assert_eq!(user.owner, None);
        assert!(seen.list.iter().all(|namespace| namespace.id == user.id
            || namespace.owner == Some(user.id)
            || namespace.kind == Namespace::Time));
        assert_eq!(ids(of(&seen, us, Namespace::Pid)).get(&us), Some(&us));
        return;
    }
    as_each(NAME, |_| {
        let this = std::env::current_exe().expect("/proc/self/exe can be read");
        let sandbox = Sandbox::new().bind_ro(this, "/test");
        let arguments = only(NAME);
        let output =
            sandbox.command("/test").args(arguments).env(INSIDE, "1").output().expect("it starts");
        assert!(output.outcome.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(str::from_utf8(&output.stdout).is_ok_and(|text| text.contains("1 passed")));
    });
}

#[test]
fn a_namespace_that_a_mount_keeps_is_found_without_a_process() {
    in_own_mounts("a_namespace_that_a_mount_keeps_is_found_without_a_process", || {
        let place = seclude_tests::scratch::directory();
        let [kept, covered] = ["kept here", "covered"].map(|name| place.path().join(name));
        for path in [&kept, &covered] {
            fs::write(path, "").expect("there is room");
            run(Command::new("unshare").arg(format!("--net={}", path.display())).arg("true"));
        }
        let number = |path: &Path| fs::metadata(path).expect("it is there").ino();
        let [id, below] = [&kept, &covered].map(|path| number(path));
        run(Command::new("mount").args(["--bind", "/dev/null"]).arg(&covered));

        let seen = namespaces().expect("they can be listed");
        let found = seen.get(id).expect("it is found");
        assert_eq!(
            (found.kind, found.processes.len(), &found.held_by),
            (Namespace::Net, 0, &vec![kept.clone()])
        );
        assert_eq!(found.owner, Some(of(&seen, std::process::id(), Namespace::User).id));
        let hidden = seen.get(below).expect("its number stands in /proc");
        assert_eq!(
            (hidden.kind, &hidden.held_by, hidden.owner),
            (Namespace::Net, &vec![covered.clone()], None)
        );
        run(Command::new("umount").arg(&covered));
        run(Command::new("umount").args([&kept, &covered] as [&PathBuf; 2]));
    });
}

fn run(command: &mut Command) {
    assert!(command.status().expect("util-linux is there").success(), "{command:?}");
}

#[test]
fn an_owner_without_processes_is_found() {
    as_each("an_owner_without_processes_is_found", |_| {
        // The process ends up in the second user namespace and in a network namespace of the first.
        // No process is left in the first.
        let script = "exec unshare --user --map-current-user sleep 1000";
        let mut unshare = Command::new("unshare");
        let mut child = unshare
            .args(["--user", "--map-root-user", "--net", "sh", "-c", script])
            .spawn()
            .expect("util-linux is there");
        let level = |seen: &Namespaces, pid| {
            std::iter::successors(seen.of(pid, Namespace::User), |user| seen.get(user.parent?))
                .count()
        };
        let seen = loop {
            let seen = namespaces().expect("they can be listed");
            if level(&seen, child.id()) == level(&seen, std::process::id()) + 2 {
                break seen;
            }
            assert!(child.try_wait().expect("it is ours").is_none(), "{seen:?}");
        };
        let user = of(&seen, child.id(), Namespace::User);
        let around = seen.get(user.parent.expect("it has one")).expect("it is found");
        assert!(around.processes.is_empty(), "there are processes in it: {around:?}");
        assert_eq!(of(&seen, child.id(), Namespace::Net).owner, Some(around.id));
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    });
}

#[test]
fn lsns_says_the_same() {
    as_each("lsns_says_the_same", |_| {
        let (child, warden) = sleeper(&sandbox());
        let output =
            Command::new("lsns").args(["--json", "--output", "NS,TYPE,PNS,ONS,NPROCS"]).output();
        let Some(output) = output.ok().filter(|output| output.status.success()) else {
            eprintln!(
                "lsns_says_the_same: SKIPPED: no lsns (util-linux 2.38) that shows parents and owners"
            );
            return;
        };
        let seen = namespaces().expect("they can be listed");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let number = |value: &serde_json::Value| {
            value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
        };
        let mut compared = 0;
        for entry in told["namespaces"].as_array().expect("a list") {
            let id = number(&entry["ns"]);
            // Other tests create and end namespaces meanwhile.
            let ours = [child.id(), warden, std::process::id()];
            let Some(namespace) = seen
                .get(id)
                .filter(|found| found.processes.iter().any(|process| ours.contains(&process.pid)))
            else {
                continue;
            };
            assert_eq!(entry["type"], link(namespace.kind), "{entry}");
            assert_eq!(number(&entry["pns"]), namespace.parent.unwrap_or(0), "{entry}");
            assert_eq!(number(&entry["ons"]), namespace.owner.unwrap_or(0), "{entry}");
            if !ids(namespace).contains_key(&std::process::id()) {
                assert_eq!(number(&entry["nprocs"]), 2, "{entry}");
            }
            compared += 1;
        }
        assert!(compared >= 8 + 7, "only {compared} were compared: {told}");
    });
}
