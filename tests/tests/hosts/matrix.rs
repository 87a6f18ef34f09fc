//! Imitated containers: what of the behaviour a program in each of them gets, as the container's
//! root and as a user. `docs/containers.md` has the result as a table, which this test compares, or
//! writes if `SECLUDE_UPDATE_MATRIX` is set.

use seclude::{Ended, Error, KiB, Limit, MiB, Protection, Sandbox};
use seclude_tests::caller::{Caller, copy, only, program};
use seclude_tests::container::{Container, USER, engines, filter::Filter};
use seclude_tests::scratch;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const NAME: &str = "a_program_in_each_container_gets_what_the_table_says";
/// Set in the process inside the container.
const INSIDE: &str = "SECLUDE_TEST_IN_CONTAINER";
const UPDATE: &str = "SECLUDE_UPDATE_MATRIX";
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/containers.md");
const BEGIN: &str = "<!-- matrix: begin -->\n";
const END: &str = "<!-- matrix: end -->\n";
const TITLE: &str = "| surroundings | caller | sandbox | bare | limits | output | cells | pools | sysctls |\n\
    |---|---|---|---|---|---|---|---|---|\n";
const SLICES: [&str; 7] = ["sandbox", "bare", "limits", "output", "cells", "pools", "sysctls"];
/// A part of the command that an error in the container of a known engine has as its hint.
const ENGINES: [&str; 3] = ["docker run --s", "podman run --s", "kubectl patch deployment"];
/// The ids that LXC and Kubernetes give to a container.
const RANGE: (u32, u32, u32) = (0, 100_000, 65536);

/// The imitated containers, in the order of the table. A name that starts with `+` adds to the row
/// before.
fn containers() -> Vec<(&'static str, Container)> {
    let ours = || Some(Filter::of_seclude());
    let docker = Container::docker();
    let docker_profile = Container { filter: ours(), ..docker.clone() };
    let docker_proc = Container { masked_proc: false, ..docker_profile.clone() };
    let docker_cgroups = Container { read_only_cgroups: false, ..docker_proc.clone() };
    let docker_admin = Container {
        filter: Some(engines::docker(true)),
        admin: true,
        masked_proc: false,
        ..docker.clone()
    };
    let podman = Container::podman();
    let podman_profile = Container { filter: ours(), ..podman.clone() };
    let podman_proc = Container { masked_proc: false, ..podman_profile.clone() };
    let pod = Container {
        marker: None,
        variable: Some(("KUBERNETES_SERVICE_HOST".into(), "10.0.0.1".into())),
        ..docker.clone()
    };
    let pod_range = Container { map: Some(RANGE), filter: ours(), ..pod.clone() };
    let pod_proc = Container { masked_proc: false, ..pod_range.clone() };
    let open = Container::open();
    vec![
        ("Docker: no flags", docker),
        ("+ `seccomp=seclude.json`", docker_profile),
        ("+ `systempaths=unconfined`", docker_proc),
        ("+ `writable-cgroups=true`", docker_cgroups),
        ("Docker: `SYS_ADMIN`, `systempaths`", docker_admin),
        ("Podman: no flags", podman),
        ("+ `seccomp=seclude.json`", podman_profile),
        ("+ `unmask=ALL`", podman_proc),
        ("Kubernetes: no fields", pod),
        ("+ profile, `hostUsers: false`", pod_range),
        ("+ `procMount: Unmasked`", pod_proc),
        ("LXC's map, 0 100000 65536", Container { map: Some(RANGE), ..open.clone() }),
        ("an identity map", Container { map: Some((0, 0, 65536)), ..open.clone() }),
        ("no CAP_SYS_ADMIN", Container { admin: false, ..open.clone() }),
        ("no_new_privs", Container { no_new_privs: true, ..open.clone() }),
        ("read-only `/sys`", Container { read_only_sys: true, ..open.clone() }),
        ("read-only cgroups", Container { read_only_cgroups: true, ..open.clone() }),
        ("masked `/proc`", Container { masked_proc: true, ..open }),
    ]
}

#[test]
fn a_program_in_each_container_gets_what_the_table_says() {
    if std::env::var_os(INSIDE).is_some() {
        return println!("{}", slices());
    }
    if Caller::present() == Caller::User {
        return eprintln!("{NAME}: SKIPPED: only root can imitate a container");
    }
    let place = scratch::directory();
    let test =
        copy(&std::env::current_exe().expect("/proc/self/exe can be read"), place.path(), "test");
    copy(&program("container"), place.path(), "container");
    let usual = [true, false].map(|as_root| told(&mut outside(as_root, &test)));
    let mut table = String::from(TITLE);
    for (name, container) in containers() {
        for (as_root, usual) in [true, false].into_iter().zip(&usual) {
            let found = container.command(as_root, &test, |mut command| told(&mut command));
            let text = found["sandbox"]["text"].as_str().unwrap_or_default();
            let engine = container.marker.is_some() || container.variable.is_some();
            assert!(
                text.is_empty() || !engine || ENGINES.iter().any(|flag| text.contains(flag)),
                "{name}: {text}"
            );
            let caller = if as_root { "root" } else { "user" };
            let cells = SLICES.map(|slice| cell(slice, &found[slice], &usual[slice]));
            table.push_str(&format!("| {name} | {caller} | {} |\n", cells.join(" | ")));
        }
    }
    println!("{table}");
    let exact = usual[0]["limits"] == json!({"ok": ["cgroup-v1", "cgroup-v1"]});
    compare(&table, exact);
}

/// Compares the table with the page, or writes it there. On a host with other cgroups the table
/// would say less, so it is only printed.
fn compare(table: &str, exact: bool) {
    let Ok(page) = fs::read_to_string(PAGE) else {
        return eprintln!("{NAME}: SKIPPED in part: the page is not on this machine");
    };
    if !exact {
        return eprintln!("{NAME}: SKIPPED in part: root has no exact limits outside");
    }
    let (before, rest) = page.split_once(BEGIN).expect("the page has the table");
    let (present, after) = rest.split_once(END).expect("the table has an end");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(PAGE, format!("{before}{BEGIN}{table}{END}{after}")).expect("it is ours");
    } else {
        assert_eq!(present, table, "run this test with {UPDATE}=1 to write docs/containers.md");
    }
}

/// A command that runs this test outside of a container, as root or as the user of containers.
fn outside(as_root: bool, test: &Path) -> Command {
    if as_root {
        return Command::new(test);
    }
    let id = USER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--inh-caps=-all", "--"]);
    command.arg(test).current_dir("/").env("HOME", "/tmp");
    command
}

/// What the process inside tells. The test harness prints other lines before and after it.
fn told(command: &mut Command) -> Value {
    let output = command.args(only(NAME)).env(INSIDE, "1").output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.find('{').zip(text.rfind('}')).map(|(start, end)| &text[start..=end]);
    let line = line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// A cell of the table: what was found, compared with what the same caller gets outside.
fn cell(slice: &str, found: &Value, usual: &Value) -> String {
    let list = |value: &Value| -> Vec<String> {
        let words = value["ok"].as_array().into_iter().flatten();
        words.map(|word| word.as_str().unwrap_or_default().to_owned()).collect()
    };
    assert!(usual["ok"].is_array(), "{slice} outside: {usual}");
    if let Some(kind) = found["error"].as_str() {
        return if slice == "sandbox" { format!("no: {kind}") } else { "no".into() };
    }
    let (found, usual) = (list(found), list(usual));
    match slice {
        "sysctls" => found.join(", "),
        "limits" if found != usual => found.join(", "),
        _ => {
            let lost: Vec<_> = usual.iter().filter(|word| !found.contains(word)).cloned().collect();
            if lost.is_empty() { "yes".into() } else { format!("without {}", lost.join(", ")) }
        }
    }
}

/// Runs each slice of the behaviour, and tells the result of each.
fn slices() -> Value {
    let told = |result: Result<Vec<&str>, Error>| match result {
        Ok(words) => json!({"ok": words}),
        Err(error) => json!({"error": error.kind().name(), "text": error.to_string()}),
    };
    json!({
        "sandbox": told(sandbox()),
        "bare": told(bare()),
        "limits": told(limits()),
        "output": told(output()),
        "cells": told(cells()),
        "pools": told(pools()),
        "sysctls": {"ok": [sysctls()]},
    })
}

fn patient() -> Sandbox {
    Sandbox::new().wall_time(Duration::from_secs(60))
}

/// The protections of the default sandbox, in which programs see other ids and no host files.
fn sandbox() -> Result<Vec<&'static str>, Error> {
    let script = "set -e; cat /proc/self/comm; touch /tmp/x; ! touch /etc/x; ! touch /proc/sys/kernel/hostname";
    let output = patient().command("sh").args(["-c", script]).output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.outcome.success(), "{} {text}", output.outcome.ended);
    assert_eq!(output.stdout, b"cat\n", "{text}");
    let all = Protection::ALL.iter();
    Ok(all.filter(|one| output.outcome.enforced.contains(**one)).map(|one| one.name()).collect())
}

/// A sandbox without a `/proc` of its own.
fn bare() -> Result<Vec<&'static str>, Error> {
    let bare = patient().nested().tmpfs("/proc", MiB(1));
    let outcome = bare.command("true").status()?;
    assert!(outcome.success(), "{}", outcome.ended);
    let all = Protection::ALL.iter();
    Ok(all.filter(|one| outcome.enforced.contains(**one)).map(|one| one.name()).collect())
}

/// What enforces the limits on memory and processes, which stop what goes beyond them.
fn limits() -> Result<Vec<&'static str>, Error> {
    let limited = patient().memory(MiB(64)).pids(16);
    let hog = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); sleep 1000";
    let outcome = limited.command("sh").args(["-c", hog]).status()?;
    assert_eq!(outcome.ended, Ended::MemoryLimit);
    let many = "for i in $(seq 40); do sleep 1000 & done; echo unreached";
    let output = limited.command("sh").args(["-c", many]).output()?;
    assert!(!output.outcome.success(), "{}", output.outcome.ended);
    let mechanism = |limit| outcome.enforced.mechanism(limit).map_or("none", |found| found.name());
    Ok(vec![mechanism(Limit::Memory), mechanism(Limit::Pids)])
}

fn output() -> Result<Vec<&'static str>, Error> {
    let outcome = patient().output(KiB(64)).command("yes").output()?.outcome;
    assert_eq!(outcome.ended, Ended::OutputLimit);
    Ok(Vec::new())
}

/// Two commands of a cell share its files.
fn cells() -> Result<Vec<&'static str>, Error> {
    let cell = patient().cell()?;
    cell.command("sh").args(["-c", "echo kept >/tmp/file"]).status()?;
    assert_eq!(cell.command("cat").arg("/tmp/file").output()?.stdout, b"kept\n");
    Ok(Vec::new())
}

/// Two commands of a pool share nothing.
fn pools() -> Result<Vec<&'static str>, Error> {
    let pool = patient().pool(1)?;
    let script = "test ! -e /tmp/file && touch /tmp/file";
    for _ in 0..2 {
        let outcome = pool.command("sh").args(["-c", script]).status()?;
        assert!(outcome.success(), "{}", outcome.ended);
    }
    Ok(Vec::new())
}

/// Whether the program itself, outside of its sandboxes, may write the host's settings. Opening one
/// changes nothing.
fn sysctls() -> &'static str {
    let opened = fs::OpenOptions::new().write(true).open("/proc/sys/kernel/core_pattern");
    if opened.is_ok() { "open" } else { "closed" }
}

/// The doctor recognises the engine, and its remedy for each step is what the next step grants.
#[test]
fn the_doctor_names_the_smallest_change_of_each_container() {
    const NAME: &str = "the_doctor_names_the_smallest_change_of_each_container";
    if std::env::var_os(INSIDE).is_some() {
        return println!("{}", seclude::doctor().to_json());
    }
    if Caller::present() == Caller::User {
        return eprintln!("{NAME}: SKIPPED: only root can imitate a container");
    }
    let place = scratch::directory();
    let test =
        copy(&std::env::current_exe().expect("/proc/self/exe can be read"), place.path(), "test");
    copy(&program("container"), place.path(), "container");
    const PROFILE: &str = "--security-opt seccomp=seclude.json";
    const PATHS: &str = "--security-opt systempaths=unconfined";
    const UNMASK: &str = "--security-opt unmask=ALL";
    const PATCH: &str = "\"seccompProfile\":{\"type\":\"Localhost\"";
    const USERS: &str = "\"hostUsers\":false";
    let mut containers = containers();
    containers.retain(|(name, _)| {
        ["Docker", "+", "Podman", "Kubern"].iter().any(|start| name.starts_with(start))
    });
    let expected: [(&str, &[&str]); 11] = [
        ("docker", &[PROFILE, PATHS]),
        ("docker", &[PATHS]),
        ("docker", &["writable-cgroups=true"]),
        ("docker", &[]),
        ("docker", &[PROFILE]),
        ("podman", &[PROFILE, UNMASK]),
        ("podman", &[UNMASK]),
        ("podman", &["unmask=/sys/fs/cgroup"]),
        ("kubernetes", &[PATCH, USERS]),
        ("kubernetes", &[USERS]),
        ("kubernetes", &[]),
    ];
    assert_eq!(containers.len(), expected.len());
    for ((name, container), (engine, parts)) in containers.iter().zip(expected) {
        let report: Value = container.command(true, &test, |mut command| {
            let output = command.args(only(NAME)).env(INSIDE, "1").output().expect("it starts");
            let text = String::from_utf8_lossy(&output.stdout);
            let line = text.find('{').zip(text.rfind('}')).map(|(start, end)| &text[start..=end]);
            serde_json::from_str(line.unwrap_or_else(|| panic!("{text}"))).expect("it is JSON")
        });
        let checks = report["checks"].as_array().expect("a list");
        let check =
            checks.iter().find(|check| check["name"] == "surroundings").expect("it is there");
        assert_eq!(check["detail"], engine, "{name}: {check}");
        let remedy = check["remedy"].as_str().unwrap_or_default();
        for part in [PROFILE, PATHS, UNMASK, PATCH, USERS] {
            assert_eq!(remedy.contains(part), parts.contains(&part), "{name}: {part}: {check}");
        }
        for part in parts {
            assert!(remedy.contains(part), "{name}: {check}");
        }
    }
}
