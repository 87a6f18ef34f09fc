//! The steps of a sandbox without namespaces: no mounts, but a Landlock ruleset that alone decides
//! which of the host's files the command may use.

use super::{Builder, Manner, c_string, defaults, path_of};
use crate::base::error::Result;
use crate::plan::idmap::Mapping;
use crate::policy::seccomp::Filters;
use crate::policy::{Access, Confined, Entry, Policy, System, profile};
use crate::wire::plan::{Step, landlock};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

impl Builder {
    pub(super) fn confined(
        &mut self,
        policy: &Policy,
        held: Confined,
        manner: Manner,
        filters: &Filters,
    ) -> Result<()> {
        self.admission(manner);
        self.push_user(policy, manner.mapping);
        self.view(policy, manner);
        self.push(Step::AdoptRoot { protections: 0 }, "stand in the host's file system");
        for bind in policy.files.iter().filter_map(Entry::bind).filter(|bind| !bind.optional) {
            let action = format!("check that the command may reach {}", bind.source.display());
            self.push(Step::Reach { path: &c_string(&bind.source)? }, action);
            self.name_source(&bind.source);
        }
        self.only_landlock(policy, held)?;
        let unprivileged = matches!(manner.mapping, Mapping::Unchanged { .. });
        self.sealed(policy, filters, false, unprivileged)
    }

    fn only_landlock(&mut self, policy: &Policy, held: Confined) -> Result<()> {
        let when = |condition: bool, rule: u32| if condition { rule } else { 0 };
        let (mut readable, mut writable, mut devices) = (visible(policy), Vec::new(), Vec::new());
        for (_, at, _, _) in profile::DEVICES {
            readable.push(path_of(at).to_owned());
            devices.push(path_of(at).to_owned());
        }
        for entry in &policy.files {
            match entry.access() {
                Access::Write => writable.push(entry.at().to_owned()),
                Access::Devices => {
                    readable.push(entry.at().to_owned());
                    devices.push(entry.at().to_owned());
                }
                Access::AsRoot => readable.push(entry.at().to_owned()),
            }
        }
        let rules = landlock::ALONE
            | landlock::MOUNTLESS
            | when(!held.files, landlock::FILES)
            | when(held.signals, landlock::SIGNALS)
            | when(!held.network, landlock::SOCKETS)
            | when(policy.tcp_bind.is_some(), landlock::BIND)
            | when(policy.tcp_connect.is_some(), landlock::CONNECT);
        self.ruleset(policy, rules, [&readable, &writable, &devices])
    }
}

/// The parts of the host that every command may read: its programs, what they need of `/etc`, and
/// `/proc`.
fn visible(policy: &Policy) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/proc")];
    if policy.system != System::Host {
        return paths;
    }
    paths.extend(profile::SYSTEM.iter().map(|name| Path::new("/").join(path_of(name))));
    for (directory, patterns) in defaults::etc(policy) {
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let shown = entries.filter(|entry| {
            let name = entry.file_name();
            patterns.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
        });
        paths.extend(shown.map(|entry| entry.path()).filter(|path| is_for_everybody(path)));
    }
    if policy.confined.is_some_and(|held| held.network) {
        paths.extend(profile::NETWORK.iter().map(PathBuf::from));
    }
    paths
}

/// Whether every user may read what is there.
fn is_for_everybody(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|status| status.permissions().mode() & 0o004 != 0)
}

/// Whether a name fits a pattern, in which a `*` stands for any characters.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        Some((letter, rest)) => {
            name.split_first().is_some_and(|(first, others)| first == letter && fits(rest, others))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, expected) in [
            ("java-*-openjdk", "java-17-openjdk", true),
            ("java-*-openjdk", "java-17-openjdk.d", false),
            ("python*", "python3", true),
            ("R", "R", true),
            ("R", "Rx", false),
            ("a**", "a", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
