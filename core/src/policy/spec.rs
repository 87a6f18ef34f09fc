//! Reads and writes policies as JSON and TOML, with the same schema.
//!
//! The text is parsed to a tree of plain values, and these are converted key by key. So each error
//! names its key, and for an unknown key also the most similar known one.
//!
//! - `policy::keys`: declares the keys.
//! - `value`: converts the values of each type.
//! - `files`, `limits`, `seccomp`: convert the tables of these keys.
//! - `text`: the formats of single values.
//! - `nonfinite`: rejects NaN and infinities.

mod files;
mod limits;
mod nonfinite;
mod seccomp;
mod text;
mod value;

pub use files::ENTRIES;
pub(crate) use text::{Distinct, Key, suggest};
pub use text::{size_of_text, time_of_text};

use crate::base::declared::Setting;
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::{HOST_NETWORK, Namespace, Policy, System, for_each_key};
use serde_json::{Value, json};
use text::path_value;

macro_rules! keys {
    ($($(#[doc = $doc:literal])* $kind:ident $name:ident $(at $($field:ident).+)?,)*) => {
        /// The names of all keys.
        const KEYS: &[&str] = &[$(stringify!($name),)*];

        /// The names, kinds and documentation of all keys, for the other languages.
        pub const SETTINGS: &[Setting] =
            &[$(Setting { name: stringify!($name), kind: stringify!($kind), doc: concat!($($doc, "\n"),*) },)*];

        /// Reads one key into the policy. Returns false if the key is a special one.
        fn read_key(name: &str, key: &Key<'_>, policy: &mut Policy) -> Result<bool> {
            $($(if name == stringify!($name) {
                policy.$($field).+ = value::TextValue::read(key)?;
                return Ok(true);
            })?)*
            Ok(false)
        }

        /// The keys with values other than the default, without the special ones.
        fn write_keys(policy: &Policy) -> Vec<(&'static str, Value)> {
            let default = Policy::default();
            let mut keys = Vec::new();
            $($(if policy.$($field).+ != default.$($field).+ {
                keys.push((stringify!($name), value::TextValue::write(&policy.$($field).+)));
            })?)*
            keys
        }
    };
}
for_each_key!(keys);

/// Reads a policy in JSON.
///
/// # Errors
///
/// `Policy`, with the key that is wrong.
pub fn from_json(text: &str) -> Result<Policy> {
    let unreadable = |error: serde_json::Error| {
        let syntax_error =
            || Error::new(ErrorKind::Policy, "read the policy as JSON").because(error.to_string());
        nonfinite::in_json(text).unwrap_or_else(syntax_error)
    };
    let Distinct(value) = serde_json::from_str(text).map_err(unreadable)?;
    read(&value)
}

/// Reads a policy in TOML.
///
/// # Errors
///
/// `Policy`, with the key that is wrong.
pub fn from_toml(text: &str) -> Result<Policy> {
    let unreadable = |error: String| {
        Error::new(ErrorKind::Policy, "read the policy as TOML")
            .because(error.trim_end().to_owned())
    };
    let value: toml::Value = toml::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    // The conversion to JSON would turn a number that is not finite into `null`.
    nonfinite::in_toml(&value).map_or(Ok(()), Err)?;
    let value = serde_json::to_value(value).map_err(|error| unreadable(error.to_string()))?;
    read(&value)
}

/// Writes a policy in JSON.
///
/// # Errors
///
/// `Policy` if the policy has no text form: a limit `cpus` that is not finite, or classic mounts.
pub fn to_json(policy: &Policy) -> Result<String> {
    Ok(write(policy)?.to_string())
}

/// Writes a policy in TOML.
///
/// # Errors
///
/// The same as for [`to_json`].
pub fn to_toml(policy: &Policy) -> Result<String> {
    toml::to_string(&text::without_large_numbers(write(policy)?)).map_err(|error| {
        Error::new(ErrorKind::Policy, "write the policy as TOML").because(error.to_string())
    })
}

fn read(value: &Value) -> Result<Policy> {
    let mut policy = Policy::default();
    for (name, key) in Key::top(value).members(KEYS)? {
        if read_key(name, &key, &mut policy)? {
            continue;
        }
        match name {
            "root" => match policy.system {
                System::Empty => {
                    return Err(key.wrong("excludes empty_root").hint("leave out one of the two"));
                }
                System::Host | System::Root(_) => policy.system = System::Root(key.path()?),
            },
            "empty_root" => match (key.flag()?, &policy.system) {
                (true, System::Root(_)) => {
                    return Err(key.wrong("excludes root").hint("leave out one of the two"));
                }
                (true, System::Host | System::Empty) => policy.system = System::Empty,
                (false, _) => {}
            },
            "require" => limits::require(&key, &mut policy.limits)?,
            "best_effort" => limits::best_effort(&key, &mut policy)?,
            _ => return Err(key.wrong("is unknown")),
        }
    }
    if policy.network.as_deref() == Some(HOST_NETWORK) {
        policy.network = None;
        policy.share.insert(Namespace::Net);
    }
    Ok(policy)
}

fn write(policy: &Policy) -> Result<Value> {
    if policy.limits.cpus.is_some_and(|cores| !cores.0.is_finite()) {
        return Err(Error::new(ErrorKind::Policy, "write the policy")
            .because("the limit cpus is no number"));
    }
    if policy.classic_mounts {
        return Err(Error::new(ErrorKind::Policy, "write the policy")
            .because("classic mounts are for tests and have no key"));
    }
    let mut keys = write_keys(policy);
    match &policy.system {
        System::Host => {}
        System::Root(root) => keys.push(("root", path_value(root))),
        System::Empty => keys.push(("empty_root", json!(true))),
    }
    keys.extend(limits::demands(policy));
    Ok(Value::Object(keys.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;
    use crate::policy::seccomp::{Action, Compare, Profile, Rule, Seccomp, Test};
    use crate::policy::{
        Bind, Capability, Clock, Ids, Io, Isolation, Limit, MiB, Namespace, Resource, Tmpfs,
    };
    use serde_json::Map;
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
            .ids(Ids::Auto)
            .root("/srv/other")
            .writable_root()
            .exact_files()
            .terminals()
            .bind(
                Bind::new("/a", "/b")
                    .writable()
                    .optional()
                    .noexec()
                    .devices()
                    .nofollow()
                    .idmapped(),
            )
            .bind_ro("/same", "/same")
            .tmpfs("/tmp", MiB(64))
            .entry(Tmpfs::new("/t").inodes(9).mode(0o700).noexec())
            .dir("/d")
            .symlink("target", "/l")
            .file("/f", "text")
            .file("/g", [0xff, 0])
            .nested()
            .capability(Capability::NetAdmin)
            .seccomp(
                Seccomp::profile(Profile::Strict)
                    .allow("execve")
                    .allow("fork")
                    .deny("chmod", libc::EACCES)
                    .deny("900", 4000)
                    .log("open")
                    .socket_family(16)
                    .rule(
                        Rule::new("mmap", Action::Kill)
                            .when(Test::new(1, Compare::Greater, 1 << 40).masked(!0xfff).wide()),
                    )
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
            .best_effort(Isolation::Namespaces)
            .best_effort(Isolation::Files)
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
    fn numbers_above_the_largest_of_toml_survive() {
        for number in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX] {
            let sandbox = Sandbox::new()
                .memory(number)
                .cpu_time(Duration::from_secs(number))
                .rlimit(Resource::Data, number, number);
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
    fn a_number_that_is_not_finite_is_not_written() {
        for number in [f64::NAN, f64::INFINITY] {
            assert_eq!(
                Sandbox::new().cpus(number).to_json().unwrap_err().kind(),
                ErrorKind::Policy
            );
        }
    }

    #[test]
    fn a_policy_with_every_key_writes_every_key() {
        let text = everything().to_json().unwrap();
        let mut written: Map<String, Value> = serde_json::from_str(&text).unwrap();
        for Setting { name, kind, .. } in SETTINGS {
            let value = match *kind {
                "text" | "path" => json!("/a"),
                "texts" => json!(["/a"]),
                "id" | "size" | "count" => json!(7),
                "time" | "fraction" => json!(0.5),
                "flag" => json!(true),
                _ => continue,
            };
            written.insert((*name).into(), value);
        }
        // A builder takes a network itself, not its name.
        written.insert("network".into(), json!("lab"));
        let text = Value::Object(written.clone()).to_string();
        let sandbox = Sandbox::from_json(&text).unwrap();
        let again: Map<String, Value> = serde_json::from_str(&sandbox.to_json().unwrap()).unwrap();
        assert_eq!(again, written);
        assert_eq!(Sandbox::from_toml(&sandbox.to_toml().unwrap()).unwrap(), sandbox);
        let missing: Vec<_> = KEYS
            .iter()
            .filter(|key| !written.contains_key(**key) && !["empty_root", "etc"].contains(*key))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_mistake_names_its_key_and_the_nearest_known_one() {
        let error = |text: &str| Sandbox::from_json(text).unwrap_err().to_string();
        assert_eq!(
            error(r#"{"hostnme": "a"}"#),
            "policy key hostnme: is unknown; hint: did you mean hostname?"
        );
        assert_eq!(
            error(r#"{"files": [{"bind": "/a", "writeable": true}]}"#),
            "policy key files[0].writeable: is unknown; hint: did you mean writable?"
        );
        assert_eq!(
            error(r#"{"share": ["network"]}"#),
            "policy key share[0]: \"network\" is none of user, mount, pid, net, ipc, uts, cgroup, time; hint: did you mean net?"
        );
        assert_eq!(
            error(r#"{"uid": -1}"#),
            "policy key uid: -1 is not a whole number from 0 to 4294967295"
        );
        assert_eq!(
            error(r#"{"wall_time": "soon"}"#),
            "policy key wall_time: \"soon\" is not a time such as 1.5, \"1.5s\", \"200ms\" or \"2m\""
        );
        assert!(
            error(r#"{"uid": 1, "uid": 2}"#)
                .starts_with("read the policy as JSON: the key uid is given twice")
        );
        assert!(error("{").starts_with("read the policy as JSON: "));
    }
}
