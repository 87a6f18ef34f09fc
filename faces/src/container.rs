//! The seccomp profile for containers in which programs use this library, in the format of Docker,
//! Podman and the runtimes of Kubernetes.
//!
//! A filter around the caller must allow the calls of the set-up, which the warden lists, and those
//! that the commands inside may make, because they inherit it.

use seclude::Profile;
use seclude::schema::{AllowedCall, absent_calls, allowed_calls, known_calls};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The numbers of the calls that the warden makes, as it declares them.
const WARDEN: &str = include_str!("../../core/warden/sys/number.rs");
/// The profiles whose commands shall run in such a container. `strict` allows a part of them.
const PROFILES: [Profile; 3] = [Profile::Default, Profile::Nested, Profile::Debug];
/// The names of calls that the warden declares under shorter ones.
const SHORTENED: [(&str, &str); 3] = [
    ("landlock_add", "landlock_add_rule"),
    ("landlock_create", "landlock_create_ruleset"),
    ("landlock_self", "landlock_restrict_self"),
];
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

/// The values of an argument with which a call is allowed: its number, a mask, and what must remain
/// of it. None: any arguments.
type Conditions = BTreeSet<(u8, u64, u64)>;

/// The lines of the file.
pub fn profile() -> Vec<String> {
    let text = serde_json::to_string_pretty(&value()).expect("a value without maps of other keys");
    text.lines().map(str::to_owned).collect()
}

fn value() -> Value {
    let calls = calls();
    let any: Vec<&String> =
        calls.iter().filter(|(_, when)| when.is_empty()).map(|(name, _)| name).collect();
    let mut rules = vec![json!({"names": any, "action": "SCMP_ACT_ALLOW"})];
    for (name, (argument, mask, wanted)) in
        calls.iter().flat_map(|(name, when)| when.iter().map(move |when| (name, when)))
    {
        let test = match *mask {
            u64::MAX => json!({"index": argument, "value": wanted, "op": "SCMP_CMP_EQ"}),
            mask => json!({
                "index": argument, "value": mask, "valueTwo": wanted, "op": "SCMP_CMP_MASKED_EQ",
            }),
        };
        rules.push(json!({"names": [name], "action": "SCMP_ACT_ALLOW", "args": [test]}));
    }
    // Calls that are newer than this list get ENOSYS, so that libc falls back to older ones.
    let refused: BTreeSet<&str> = known_calls()
        .filter(|name| !calls.contains_key(*name) && !absent_calls().contains(name))
        .collect();
    rules.push(json!({"names": refused, "action": "SCMP_ACT_ERRNO", "errnoRet": EPERM}));
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": ENOSYS,
        "syscalls": rules,
    })
}

/// The calls to allow, by name.
fn calls() -> BTreeMap<String, Conditions> {
    let mut calls: BTreeMap<String, Option<Conditions>> = BTreeMap::new();
    for AllowedCall { name, when } in PROFILES.into_iter().flat_map(allowed_calls) {
        let known = calls.entry(name.to_owned()).or_insert_with(|| Some(Conditions::new()));
        match (known.as_mut(), when) {
            (Some(conditions), Some(when)) => drop(conditions.insert(when)),
            _ => *known = None,
        }
    }
    // Of a call that a profile allows with some arguments only, the warden needs no others.
    for (name, _) in warden_calls() {
        calls.entry(name).or_insert(None);
    }
    calls.into_iter().map(|(name, when)| (name, when.unwrap_or_default())).collect()
}

/// The calls of the warden, with their numbers on x86_64 and aarch64.
fn warden_calls() -> Vec<(String, [u32; 2])> {
    let table = WARDEN.split_once("\nnumbers! {").expect("the table").1;
    let lines = table.lines().map(str::trim).take_while(|line| *line != "}");
    let calls: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let [name, x86_64, aarch64] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("a call: {line}")
            };
            let name = name.to_lowercase();
            let long = SHORTENED.iter().find(|(short, _)| *short == name);
            let name = long.map_or(name, |(_, long)| (*long).to_owned());
            (name, [x86_64, aarch64].map(|number| number.parse().expect("a number")))
        })
        .collect();
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use seclude::Syscall;

    #[test]
    fn every_call_of_the_warden_is_allowed_under_the_name_of_its_number() {
        let (wardens, calls) = (warden_calls(), calls());
        assert!(wardens.len() > 70, "{wardens:?}");
        let column = usize::from(cfg!(target_arch = "aarch64"));
        for (name, numbers) in wardens {
            assert!(calls.contains_key(&name), "{name}");
            let call = Syscall::from_name(&name);
            assert_eq!(
                call.map(|call| call.number().unsigned_abs()),
                Some(numbers[column]),
                "{name}"
            );
        }
    }

    #[test]
    fn no_call_is_both_allowed_and_refused() {
        let value = value();
        let rules = value["syscalls"].as_array().expect("a list");
        let of = |action: &str| -> BTreeSet<&str> {
            let rules = rules.iter().filter(|rule| rule["action"] == action);
            let names = rules.flat_map(|rule| rule["names"].as_array().expect("a list"));
            names.map(|name| name.as_str().expect("text")).collect()
        };
        let (allowed, refused) = (of("SCMP_ACT_ALLOW"), of("SCMP_ACT_ERRNO"));
        assert!(allowed.is_disjoint(&refused));
        for call in ["mount", "pivot_root", "clone", "seccomp", "sethostname", "memfd_create"] {
            assert!(allowed.contains(call), "{call}");
        }
        for call in ["bpf", "init_module", "io_uring_setup", "kexec_load", "perf_event_open"] {
            assert!(refused.contains(call), "{call}");
        }
    }
}
