//! A policy as text: JSON and TOML with one schema, read and written.
//!
//! The text is first a tree of plain values, then a policy, key by key: so each mistake names its key, and an unknown key the
//! nearest known one. `files`, `limits` and `seccomp` hold the keys of these, `text` how single values look.

mod files;
mod limits;
mod numbers;
mod seccomp;
mod text;

pub use text::{size_of_text, time_of_text};

use crate::error::{Error, ErrorKind, Result};
use crate::policy::{Clock, Namespace, Policy, Resource, System};
use crate::sandbox::Sandbox;
use serde_json::{Map, Value, json};
use std::path::Path;
use text::{Distinct, Key, path_value};

/// The keys of a policy.
const KEYS: &[&str] = &[
    "share",
    "unshare",
    "hostname",
    "domainname",
    "clock_offsets",
    "uid",
    "gid",
    "user",
    "home",
    "host_ids",
    "root",
    "empty_root",
    "etc",
    "writable_root",
    "terminals",
    "files",
    "nested",
    "seccomp",
    "seccomp_bpf",
    "landlock",
    "tcp_bind",
    "tcp_connect",
    "rlimits",
    "memory",
    "swap",
    "cpu_time",
    "cpus",
    "cpu_weight",
    "cpu_set",
    "pids",
    "io",
    "wall_time",
    "wall_time_grace",
    "output",
    "require",
    "best_effort",
    "cgroup",
    "warden",
];

impl Sandbox {
    /// Reads a policy in JSON: an object with any of the keys that `docs/policy.md` lists. An unknown key is an error.
    pub fn from_json(text: &str) -> Result<Sandbox> {
        let unreadable = |error: serde_json::Error| {
            let told = || Error::new(ErrorKind::Policy, "read the policy as JSON").because(error.to_string());
            numbers::in_json(text).unwrap_or_else(told)
        };
        let Distinct(value) = serde_json::from_str(text).map_err(unreadable)?;
        read(&value).map(Sandbox::from_policy)
    }

    /// Reads a policy in TOML, with the same keys.
    pub fn from_toml(text: &str) -> Result<Sandbox> {
        let unreadable =
            |error: String| Error::new(ErrorKind::Policy, "read the policy as TOML").because(error.trim_end().to_owned());
        let value: toml::Value = toml::from_str(text).map_err(|error| unreadable(error.to_string()))?;
        // JSON would have `null` for a number that is not finite.
        numbers::in_toml(&value).map_or(Ok(()), Err)?;
        let value = serde_json::to_value(value).map_err(|error| unreadable(error.to_string()))?;
        read(&value).map(Sandbox::from_policy)
    }

    /// The policy in JSON: every key whose value is not the default.
    pub fn to_json(&self) -> Result<String> {
        Ok(write(self.policy())?.to_string())
    }

    /// The policy in TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(&text::without_large_numbers(write(self.policy())?))
            .map_err(|error| Error::new(ErrorKind::Policy, "write the policy as TOML").because(error.to_string()))
    }
}

// ---- reading

fn read(value: &Value) -> Result<Policy> {
    let mut policy = Policy::default();
    let top = Key::top(value);
    for (name, key) in top.members(KEYS)? {
        match name {
            "share" => policy.share = namespaces(&key)?,
            "unshare" => policy.unshare = namespaces(&key)?,
            "hostname" => policy.hostname = Some(key.text()?),
            "domainname" => policy.domainname = Some(key.text()?),
            "clock_offsets" => {
                for (clock, key) in key.named(Clock::ALL, Clock::name)? {
                    policy.clock_offsets.insert(clock, key.integer()?);
                }
            }
            "uid" => policy.uid = key.unsigned_32()?,
            "gid" => policy.gid = key.unsigned_32()?,
            "user" => policy.user = key.text()?,
            "home" => policy.home = key.path()?,
            "host_ids" => policy.host_ids = Some(key.unsigned_32()?),
            "root" => match policy.system {
                System::Empty => return Err(key.wrong("excludes empty_root").hint("leave out one of the two")),
                System::Host | System::Root(_) => policy.system = System::Root(key.path()?),
            },
            "empty_root" => match (key.flag()?, &policy.system) {
                (true, System::Root(_)) => return Err(key.wrong("excludes root").hint("leave out one of the two")),
                (true, System::Host | System::Empty) => policy.system = System::Empty,
                (false, _) => {}
            },
            "etc" => policy.etc = Some(key.items()?.iter().map(Key::text).collect::<Result<_>>()?),
            "writable_root" => policy.writable_root = key.flag()?,
            "terminals" => policy.terminals = Some(key.flag()?),
            "files" => policy.files = key.items()?.iter().map(|item| Ok(files::read(item)?.tidied())).collect::<Result<_>>()?,
            "nested" => policy.nested = key.flag()?,
            "seccomp" => policy.seccomp = Some(seccomp::read(&key)?),
            "seccomp_bpf" => policy.seccomp_bpf = key.items()?.iter().map(Key::bytes).collect::<Result<_>>()?,
            "landlock" => policy.landlock = key.flag()?,
            "tcp_bind" => policy.tcp_bind = Some(ports(&key)?),
            "tcp_connect" => policy.tcp_connect = Some(ports(&key)?),
            "rlimits" => {
                for (resource, key) in key.named(Resource::ALL, Resource::name)? {
                    policy.rlimits.insert(resource, rlimit(&key)?);
                }
            }
            "cgroup" => policy.cgroup = Some(key.path()?),
            "warden" => policy.warden = Some(key.path()?),
            _ => limits::read(name, &key, &mut policy.limits)?,
        }
    }
    Ok(policy)
}

fn ports(key: &Key<'_>) -> Result<std::collections::BTreeSet<u16>> {
    let port = |item: &Key<'_>| {
        item.unsigned_32()?.try_into().map_err(|_| item.wrong("is no port").hint("a port is a number from 0 to 65535"))
    };
    key.items()?.iter().map(port).collect()
}

fn namespaces(key: &Key<'_>) -> Result<std::collections::BTreeSet<Namespace>> {
    key.items()?.iter().map(|item| item.one_of(Namespace::ALL, Namespace::name)).collect()
}

fn rlimit(key: &Key<'_>) -> Result<(u64, u64)> {
    match key.items() {
        Ok(pair) => match pair.as_slice() {
            [soft, hard] => Ok((soft.limit()?, hard.limit()?)),
            _ => Err(key.wrong("must be a number, or a soft and a hard one")),
        },
        Err(_) => key.limit().map(|both| (both, both)),
    }
}

// ---- writing

fn write(policy: &Policy) -> Result<Value> {
    let default = Policy::default();
    let mut object = Map::new();
    let mut put = |name: &str, differs: bool, value: Value| {
        if differs {
            object.insert(name.into(), value);
        }
    };
    let names = |set: &std::collections::BTreeSet<Namespace>| set.iter().map(|kind| kind.name()).collect::<Vec<_>>();
    let path = |path: &Path| path_value(path);
    put("share", policy.share != default.share, json!(names(&policy.share)));
    put("unshare", policy.unshare != default.unshare, json!(names(&policy.unshare)));
    put("hostname", policy.hostname.is_some(), json!(policy.hostname));
    put("domainname", policy.domainname.is_some(), json!(policy.domainname));
    let offsets: Map<String, Value> =
        policy.clock_offsets.iter().map(|(clock, seconds)| (clock.name().into(), json!(seconds))).collect();
    put("clock_offsets", !offsets.is_empty(), Value::Object(offsets));
    put("uid", policy.uid != default.uid, json!(policy.uid));
    put("gid", policy.gid != default.gid, json!(policy.gid));
    put("user", policy.user != default.user, json!(policy.user));
    put("home", policy.home != default.home, path(&policy.home));
    put("host_ids", policy.host_ids.is_some(), json!(policy.host_ids));
    match &policy.system {
        System::Host => {}
        System::Root(root) => put("root", true, path(root)),
        System::Empty => put("empty_root", true, json!(true)),
    }
    put("etc", policy.etc.is_some(), json!(policy.etc));
    put("writable_root", policy.writable_root, json!(true));
    put("terminals", policy.terminals.is_some(), json!(policy.terminals));
    put("files", !policy.files.is_empty(), policy.files.iter().map(files::write).collect());
    put("nested", policy.nested, json!(true));
    put("seccomp", policy.seccomp.is_some(), policy.seccomp.as_ref().map_or(Value::Null, seccomp::write));
    put(
        "seccomp_bpf",
        !policy.seccomp_bpf.is_empty(),
        policy.seccomp_bpf.iter().map(|program| text::bytes_value(program)).collect(),
    );
    put("landlock", !policy.landlock, json!(false));
    put("tcp_bind", policy.tcp_bind.is_some(), json!(policy.tcp_bind));
    put("tcp_connect", policy.tcp_connect.is_some(), json!(policy.tcp_connect));
    let limits: Map<String, Value> = policy
        .rlimits
        .iter()
        .map(|(resource, (soft, hard))| (resource.name().into(), json!([text::limit_value(*soft), text::limit_value(*hard)])))
        .collect();
    put("rlimits", !limits.is_empty(), Value::Object(limits));
    for (name, value) in limits::write(&policy.limits) {
        put(name, true, value);
    }
    put("cgroup", policy.cgroup.is_some(), policy.cgroup.as_deref().map_or(Value::Null, path));
    put("warden", policy.warden.is_some(), policy.warden.as_deref().map_or(Value::Null, path));
    if policy.limits.cpus.is_some_and(|cores| !cores.0.is_finite()) {
        return Err(Error::new(ErrorKind::Policy, "write the policy").because("the limit cpus is no number"));
    }
    if policy.classic_mounts {
        return Err(Error::new(ErrorKind::Policy, "write the policy").because("classic mounts are for tests and have no key"));
    }
    Ok(Value::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Bind, Entry, Io, Limit, MiB, Tmpfs};
    use crate::seccomp::{Action, Compare, Profile, Rule, Seccomp, Test};
    use std::time::Duration;

    fn everything() -> Sandbox {
        Sandbox::new()
            .share(Namespace::Net)
            .unshare(Namespace::Time)
            .clock_offset(Clock::Boottime, -60)
            .hostname("judge")
            .domainname("lan")
            .uid(0)
            .gid(5)
            .user("me")
            .home("/work")
            .host_ids(300_000)
            .root("/srv/other")
            .writable_root()
            .terminals()
            .bind(Bind::new("/a", "/b").writable().optional().noexec().devices().nofollow())
            .bind_ro("/same", "/same")
            .tmpfs("/tmp", MiB(64))
            .entry(Entry::Tmpfs(Tmpfs::new("/t").inodes(9).mode(0o700).noexec()))
            .dir("/d")
            .symlink("target", "/l")
            .file("/f", "text")
            .file("/g", [0xff, 0])
            .nested()
            .seccomp(
                Seccomp::profile(Profile::Strict)
                    .allow("execve")
                    .allow("fork")
                    .deny("chmod", libc::EACCES)
                    .deny("900", 4000)
                    .log("open")
                    .socket_family(16)
                    .rule(Rule::new("mmap", Action::Kill).when(Test::new(1, Compare::Greater, 1 << 40).masked(!0xfff).wide()))
                    .otherwise(Action::Errno(38)),
            )
            .no_landlock()
            .tcp_bind([80, 443])
            .tcp_connect([])
            .seccomp_bpf([6, 0, 0, 0, 0, 0, 0xff, 0x7f])
            .rlimit(Resource::Nofile, 5, u64::MAX)
            .memory(MiB(64))
            .swap(MiB(1))
            .cpu_time(Duration::from_millis(2500))
            .cpus(0.5)
            .cpu_weight(7)
            .cpu_set([1, 0])
            .pids(9)
            .io(Io::new("/").read_bytes(5u64).write_operations(6))
            .wall_time(Duration::from_millis(1500))
            .wall_time_grace(15, Duration::from_secs(2))
            .output(MiB(2))
            .require(Limit::Memory)
            .best_effort(Limit::Cpus)
            .best_effort(Limit::Io)
            .cgroup("/sys/fs/cgroup/judge")
            .warden("/usr/libexec/seclude/warden")
    }

    #[test]
    fn a_policy_survives_json_and_toml() {
        let sandbox = everything();
        assert_eq!(Sandbox::from_json(&sandbox.to_json().unwrap()).unwrap(), sandbox);
        assert_eq!(Sandbox::from_toml(&sandbox.to_toml().unwrap()).unwrap(), sandbox);
        assert_eq!(Sandbox::new().to_json().unwrap(), "{}");
    }

    #[test]
    fn numbers_above_what_toml_has_survive_it() {
        for number in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX] {
            let sandbox =
                Sandbox::new().memory(number).cpu_time(Duration::from_secs(number)).rlimit(Resource::Data, number, number);
            assert_eq!(Sandbox::from_json(&sandbox.to_json().unwrap()).as_ref(), Ok(&sandbox));
            assert_eq!(Sandbox::from_toml(&sandbox.to_toml().unwrap()).as_ref(), Ok(&sandbox));
        }
    }

    #[test]
    fn times_are_written_to_the_nanosecond() {
        for (seconds, nanoseconds) in [
            (0, 1),
            (1, 500_000_000),
            (99_696_218_774_186, 455_500_000),
            (1_000_000_001_318_450, 125_000_000),
            (u64::MAX, 999_999_999),
        ] {
            let sandbox = Sandbox::new().wall_time(Duration::new(seconds, nanoseconds));
            assert_eq!(Sandbox::from_json(&sandbox.to_json().unwrap()).as_ref(), Ok(&sandbox));
            assert_eq!(Sandbox::from_toml(&sandbox.to_toml().unwrap()).as_ref(), Ok(&sandbox));
        }
    }

    #[test]
    fn a_number_that_is_none_is_not_written() {
        for number in [f64::NAN, f64::INFINITY] {
            assert_eq!(Sandbox::new().cpus(number).to_json().unwrap_err().kind(), ErrorKind::Policy);
        }
    }

    #[test]
    fn every_key_is_written_by_a_policy_that_says_everything() {
        let text = everything().to_json().unwrap();
        let written: Map<String, Value> = serde_json::from_str(&text).unwrap();
        let missing: Vec<_> =
            KEYS.iter().filter(|key| !written.contains_key(**key) && !["empty_root", "etc"].contains(*key)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_mistake_names_its_key_and_the_nearest_known_one() {
        let error = |text: &str| Sandbox::from_json(text).unwrap_err().to_string();
        assert_eq!(error(r#"{"hostnme": "a"}"#), "policy key hostnme: is unknown; hint: did you mean hostname?");
        assert_eq!(
            error(r#"{"files": [{"bind": "/a", "writeable": true}]}"#),
            "policy key files[0].writeable: is unknown; hint: did you mean writable?"
        );
        assert_eq!(
            error(r#"{"share": ["network"]}"#),
            "policy key share[0]: \"network\" is none of user, mount, pid, net, ipc, uts, cgroup, time; hint: did you mean net?"
        );
        assert_eq!(error(r#"{"uid": -1}"#), "policy key uid: -1 is not a whole number from 0 to 4294967295");
        assert_eq!(
            error(r#"{"wall_time": "soon"}"#),
            "policy key wall_time: \"soon\" is not a time such as 1.5, \"1.5s\", \"200ms\" or \"2m\""
        );
        assert!(error(r#"{"uid": 1, "uid": 2}"#).starts_with("read the policy as JSON: the key uid is given twice"));
        assert!(error("{").starts_with("read the policy as JSON: "));
    }
}
