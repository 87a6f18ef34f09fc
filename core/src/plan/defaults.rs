//! The default entries of a sandbox's file system.
//!
//! They have the form of policy entries, so that the plan, the Landlock ruleset and the copies of
//! templates treat default entries and the policy's own alike.

use crate::policy::profile;
use crate::policy::{Bind, Entry, Namespace, Policy, System, Tmpfs};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The policy with the default entries before its own. An entry of the policy replaces a default
/// entry with the same path.
pub fn with_defaults(policy: &Policy) -> Policy {
    let mut completed = policy.clone();
    if policy.exact_files || policy.root_overlay().is_some() {
        completed.system = System::Empty;
    }
    if !policy.exact_files && policy.private(Namespace::Mount) {
        let mut files: Vec<Entry> =
            entries(policy).into_iter().filter(|entry| !is_covered(policy, entry.at())).collect();
        files.append(&mut completed.files);
        completed.files = files;
    }
    completed
}

/// Whether the policy has an entry at this path, or one above it that is not a plain directory.
fn is_covered(policy: &Policy, place: &Path) -> bool {
    let covers = |entry: &Entry| {
        entry.at() == place || entry.replaces_what_is_below() && place.starts_with(entry.at())
    };
    policy.files.iter().any(covers)
}

/// The size of a tmpfs for which the policy has none. A sampled limit on memory does not count
/// files in memory, so each tmpfs is at most as large as the limit.
pub fn scratch_size(policy: &Policy, usual: u64) -> u64 {
    policy.limits.memory.map_or(usual, |limit| limit.max(4096).min(usual))
}

fn entries(policy: &Policy) -> Vec<Entry> {
    let scratch = profile::SCRATCH
        .iter()
        .map(|(at, size, inodes)| Tmpfs::new(at).size(scratch_size(policy, *size)).inodes(*inodes));
    // The host's files apply only to a network that is shared with the caller, not to a joined one.
    let shared = if policy.share.contains(&Namespace::Net) { profile::NETWORK } else { &[] };
    let shared = shared.iter().map(|path| Bind::new(path, path).optional());
    scratch.map(Entry::Tmpfs).chain(shared.map(Entry::Bind)).collect()
}

/// The directories below the host's `/etc` with visible entries, and the names of these. A `*` in a
/// name matches any characters.
pub fn etc(policy: &Policy) -> BTreeMap<PathBuf, Vec<String>> {
    let mut directories: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    if policy.system != System::Host {
        return directories;
    }
    let usual = || profile::ETC.iter().map(|name| (*name).to_owned()).collect();
    for name in policy.etc.clone().unwrap_or_else(usual) {
        let (parent, name) = name.rsplit_once('/').unwrap_or(("", &name));
        directories.entry(Path::new("/etc").join(parent)).or_default().push(name.into());
    }
    directories
}

/// The contents of `/etc/hosts` in the sandbox's own network. As in Debian, the first name of a
/// line is the canonical one.
pub fn hosts(policy: &Policy) -> String {
    let names = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    // A member of a network stands in the list of members by its address there.
    if !policy.private(Namespace::Uts) || policy.network.is_some() && policy.hostname.is_some() {
        return names.into();
    }
    let host = policy.hostname.as_deref().unwrap_or(profile::HOST_NAME);
    match &policy.domainname {
        Some(domain) if !host.contains('.') => {
            format!("{names}127.0.1.1\t{host}.{domain} {host}\n")
        }
        _ => format!("{names}127.0.1.1\t{host}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;

    #[test]
    fn an_entry_of_the_policy_replaces_a_default_entry() {
        let places = |sandbox: &Sandbox| -> Vec<PathBuf> {
            with_defaults(sandbox.policy())
                .files
                .iter()
                .map(|entry| entry.at().to_owned())
                .collect()
        };
        assert_eq!(places(&Sandbox::new()), ["/dev/shm", "/tmp"].map(PathBuf::from));
        let own = Sandbox::new()
            .bind_rw("/srv", "/tmp")
            .file("/etc/resolv.conf", "")
            .share(Namespace::Net);
        assert_eq!(
            places(&own),
            ["/dev/shm", "/etc/hosts", "/tmp", "/etc/resolv.conf"].map(PathBuf::from)
        );
        assert!(places(&Sandbox::new().share(Namespace::Mount)).is_empty());
        let mut joined = Sandbox::new().policy().clone();
        joined.joined.insert(Namespace::Net);
        assert_eq!(with_defaults(&joined).files.len(), profile::SCRATCH.len());
        assert_eq!(
            places(&Sandbox::new().bind_ro("/srv", "/dev")),
            ["/tmp", "/dev"].map(PathBuf::from)
        );
        assert_eq!(
            places(&Sandbox::new().dir("/dev")),
            ["/dev/shm", "/tmp", "/dev"].map(PathBuf::from)
        );
    }

    #[test]
    fn names_in_etc_are_grouped_by_directory() {
        let shown = etc(Sandbox::new().etc(["a", "ssl/certs", "b*", "ssl/openssl.cnf"]).policy());
        let names = |of: &str| shown[Path::new(of)].clone();
        assert_eq!(names("/etc"), ["a", "b*"]);
        assert_eq!(names("/etc/ssl"), ["certs", "openssl.cnf"]);
        assert!(etc(Sandbox::new().etc([""; 0]).policy()).is_empty());
        assert!(etc(Sandbox::new().root("/srv").policy()).is_empty());
        assert!(
            !etc(Sandbox::new().policy())
                .values()
                .flatten()
                .any(|name| name.contains("shadow") || name == "private")
        );
    }

    #[test]
    fn the_document_has_the_same_list() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");
        let Ok(text) = std::fs::read_to_string(document) else {
            return eprintln!("SKIPPED: a package has no docs");
        };
        let section = text.split("## What every sandbox has").nth(1).expect("it has this section");
        let listed: Vec<&str> =
            section.split("```").nth(1).expect("it has a list").split_whitespace().collect();
        assert_eq!(listed, profile::ETC);
    }

    #[test]
    fn the_hosts_file_has_the_host_name_alone_and_with_its_domain() {
        let last = |sandbox: Sandbox| hosts(sandbox.policy()).lines().last().unwrap().to_owned();
        assert_eq!(last(Sandbox::new()), "127.0.1.1\tsandbox");
        assert_eq!(last(Sandbox::new().hostname("a").domainname("lan")), "127.0.1.1\ta.lan a");
        assert!(last(Sandbox::new().share(Namespace::Uts)).contains("localhost"));
    }
}
