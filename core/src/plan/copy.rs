//! The steps for a copy of a template.
//!
//! Most templates are a finished file system. A copy mounts its own parts over those of the
//! template: every writable tmpfs, the terminals, `/proc`, and all entries that the policy puts
//! below one of these. Where that is not possible, the template holds what the copies make theirs
//! from ([`shelf`](super::shelf)).

use super::{Builder, OwnCgroups, Sources};
use crate::base::error::Result;
use crate::policy::profile;
use crate::policy::{Bind, Entry, Namespace, Overlay, Policy, System};
use crate::wire::plan::{Step, protection};
use std::io::ErrorKind;
use std::path::Path;

const PROC: &str = "/proc";

/// What a template has for its copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// The finished file system.
    Files,
    /// The sources.
    Sources,
}

/// What a template of this policy has for its copies. `None` if sandboxes of it cannot be copies:
/// - the policy shares a namespace that a template must have of its own;
/// - the caller makes the network;
/// - one sandbox at a time keeps its changes in a directory.
pub fn stock(policy: &Policy) -> Option<Stock> {
    let own = [Namespace::User, Namespace::Mount, Namespace::Pid]
        .into_iter()
        .all(|kind| policy.private(kind));
    let keeps = |entry: &Entry| matches!(entry, Entry::Overlay(Overlay { kept: Some(_), .. }));
    if !own || policy.has_given_network() || policy.files.iter().any(keeps) {
        None
    } else if can_share_files(policy) {
        Some(Stock::Files)
    } else {
        Some(Stock::Sources)
    }
}

/// Whether the copies can have a finished file system.
///
/// They cannot if:
/// - the root is writable, or something is an overlay, because they would share the changes;
/// - the policy says what the file system consists of, which may be mounts over mounts;
/// - the policy covers `/proc`, or `/dev/null`, with which the copies mask files in `/proc`;
/// - parts of the host's `/sys`, or a disk image, lie below something that each copy mounts;
/// - a tmpfs lies behind a symbolic link of another root.
fn can_share_files(policy: &Policy) -> bool {
    !policy.writable_root
        && !policy.exact_files
        && !policy.files.iter().any(|entry| match entry {
            Entry::Overlay(_) => true,
            Entry::Sys(_) | Entry::DiskImage(_) => is_recreated(policy, entry),
            _ => false,
        })
        && [Path::new(PROC), super::path_of(profile::DEVICES[0].0)]
            .into_iter()
            .all(|place| is_uncovered(policy, place))
        && !has_linked_tmpfs(policy)
}

/// Whether the path of a tmpfs leads through a symbolic link of another root.
///
/// Other entries may then lie in the tmpfs although their paths do not show it. A copy, which
/// recreates each tmpfs, would miss them. A path that cannot be examined counts as a link.
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
        .filter(|entry| entry.is_mounted_by_each_copy())
        .any(|entry| entry.at().ancestors().filter(below_root).any(is_link))
}

/// The protections that the file system and user namespace of a cell with this policy provide.
pub fn cell_protections(policy: &Policy) -> u64 {
    let when = |condition: bool, bits: u64| if condition { bits } else { 0 };
    let own_files = policy.private(Namespace::Mount);
    let own_proc = own_files
        && !policy.exact_files
        && !policy.files.iter().any(|entry| entry.at() == Path::new(PROC));
    when(own_files, protection::ROOT)
        | when(own_files && policy.has_read_only_root(), protection::READ_ONLY_ROOT)
        | when(own_proc && !policy.nested, protection::MASKED_PROC)
        | when(!policy.nested, protection::NO_NESTED_USERS)
}

/// Whether the policy leaves this path alone: it has no entry there, and no mount above it. A plain
/// directory above the path does not hide it.
fn is_uncovered(policy: &Policy, place: &Path) -> bool {
    !policy.files.iter().any(|entry| {
        if entry.is_mount() { place.starts_with(entry.at()) } else { place == entry.at() }
    })
}

/// Whether each copy recreates this entry: a tmpfs, or an entry below a tmpfs or `/proc`.
fn is_recreated(policy: &Policy, entry: &Entry) -> bool {
    let below = |parent: &Path| entry.at() != parent && entry.at().starts_with(parent);
    let below_tmpfs =
        policy.files.iter().any(|other| other.is_mounted_by_each_copy() && below(other.at()));
    entry.is_mounted_by_each_copy() || below_tmpfs || below(Path::new(PROC))
}

impl Builder {
    /// Opens `/dev/null` and the binds that the copy recreates, at their places in the template.
    pub(super) fn open_copied_binds(&mut self, policy: &Policy) -> Result<Sources> {
        let mut sources = Sources::default();
        let &(_, null, major, minor) = &profile::DEVICES[0];
        self.push(
            Step::Device { path: null, major, minor },
            format!("open the device {}", null.to_string_lossy()),
        );
        sources.null = self.sources;
        self.sources += 1;
        for entry in policy.files.iter().filter(|entry| is_recreated(policy, entry)) {
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

    pub(super) fn copied_files(
        &mut self,
        policy: &Policy,
        sources: &Sources,
        hide: bool,
    ) -> Result<()> {
        self.push(
            Step::AdoptRoot { protections: protection::ROOT | protection::READ_ONLY_ROOT },
            "take over the template's file system",
        );
        if policy.has_terminals() {
            self.terminals();
        }
        self.proc(&Sources::default(), c"/proc", hide, policy.proc_subset);
        let cgroups = OwnCgroups::default();
        self.entries(policy, sources, cgroups, |entry| is_recreated(policy, entry))
    }
}
