//! The steps of a copy of a template: what in the file system is to be its own, put over what the
//! template has at the same place.
//!
//! That is every file system in memory that may be written, the terminals, `/proc`, and whatever
//! the policy puts below one of these.

use super::{Builder, Sources};
use crate::base::error::Result;
use crate::policy::profile;
use crate::policy::{Bind, Entry, Namespace, Policy, System};
use crate::wire::plan::{Step, protection};
use std::io::ErrorKind;
use std::path::Path;

const PROC: &str = "/proc";

/// Whether sandboxes of this policy can come from a template. Not if their root can be written to,
/// which they would share; if they share a namespace that a template must have to itself; or if
/// `/proc` is not their own, or `/dev/null`, which masks what is in it.
pub fn has_template(policy: &Policy) -> bool {
    let own = [Namespace::User, Namespace::Mount, Namespace::Pid]
        .into_iter()
        .all(|kind| policy.private(kind));
    own && !policy.writable_root
        && [Path::new(PROC), super::path_of(profile::DEVICES[0].0)]
            .into_iter()
            .all(|place| is_plain(policy, place))
        && !has_linked_tmpfs(policy)
}

/// Whether a tmpfs of the policy stands behind a link of another root. What else is put behind
/// links there may lie in it, and a copy, which makes each tmpfs anew, cannot tell by the paths.
/// What cannot be looked at counts as a link.
fn has_linked_tmpfs(policy: &Policy) -> bool {
    let System::Root(root) = &policy.system else { return false };
    let is_link =
        |place: &Path| match root.join(place.strip_prefix("/").unwrap_or(place)).symlink_metadata()
        {
            Ok(status) => status.file_type().is_symlink(),
            Err(error) => !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
        };
    let below_root = |place: &&Path| *place != Path::new("/") && !place.as_os_str().is_empty();
    policy
        .files
        .iter()
        .filter(|entry| entry.is_tmpfs())
        .any(|entry| entry.at().ancestors().filter(below_root).any(is_link))
}

/// What holds already where a cell of this policy stands.
pub fn standing(policy: &Policy) -> u64 {
    let when = |condition: bool, bits: u64| if condition { bits } else { 0 };
    let own_files = policy.private(Namespace::Mount);
    let own_proc = own_files && !policy.files.iter().any(|entry| entry.at() == Path::new(PROC));
    when(own_files, protection::ROOT)
        | when(own_files && !policy.writable_root, protection::READ_ONLY_ROOT)
        | when(own_proc && !policy.nested, protection::MASKED_PROC)
        | when(!policy.nested, protection::NO_NESTED_USERS)
}

/// Whether the policy puts nothing at this place, and mounts nothing over it. What is made above it
/// and is no mount leaves it in sight.
fn is_plain(policy: &Policy, place: &Path) -> bool {
    !policy.files.iter().any(|entry| {
        if entry.is_mount() { place.starts_with(entry.at()) } else { place == entry.at() }
    })
}

/// What each copy makes anew: by itself, and below what it has made anew.
fn is_anew(policy: &Policy, entry: &Entry) -> bool {
    let below = |parent: &Path| entry.at() != parent && entry.at().starts_with(parent);
    let below_tmpfs = policy.files.iter().any(|other| other.is_tmpfs() && below(other.at()));
    entry.is_tmpfs() || below_tmpfs || below(Path::new(PROC))
}

impl Builder {
    /// Opens what the template has bound and the copy is to bind again, where it stands in the
    /// template.
    pub(super) fn open_again(&mut self, policy: &Policy) -> Result<Sources> {
        let mut sources = Sources::default();
        let &(_, null, major, minor) = &profile::DEVICES[0];
        self.push(
            Step::Device { path: null, major, minor },
            format!("open the device {}", null.to_string_lossy()),
        );
        sources.null = self.sources;
        self.sources += 1;
        for entry in policy.files.iter().filter(|entry| is_anew(policy, entry)) {
            if let Some(Bind { source, at, optional, .. }) = entry.bind() {
                let number = self.source_by(
                    at,
                    *optional,
                    false,
                    format!("bind {} on {}", source.display(), at.display()),
                )?;
                sources.binds.push((number, source.clone()));
            }
        }
        Ok(sources)
    }

    pub(super) fn files_again(
        &mut self,
        policy: &Policy,
        sources: &Sources,
        hide: bool,
    ) -> Result<()> {
        self.push(
            Step::Stand { protections: protection::ROOT | protection::READ_ONLY_ROOT },
            "take over the template's file system",
        );
        if policy.has_terminals() {
            self.terminals();
        }
        self.proc(&Sources::default(), hide);
        self.entries(policy, sources, |entry| is_anew(policy, entry))
    }
}
