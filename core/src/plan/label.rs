//! The labels of steps, which name them in errors.

use crate::base::step;
use crate::wire::plan::Step;
use std::path::PathBuf;

/// The label of one step.
pub struct Label {
    pub step: step::Step,
    /// The action with its object: `bind /opt/tool on /opt/tool`.
    pub action: String,
    /// The path outside that the step needs, if any.
    pub source: Option<PathBuf>,
    /// The path inside that the step creates, if any.
    pub at: Option<PathBuf>,
}

impl Label {
    pub fn new(step: &Step<'_>, action: String) -> Label {
        Label { step: public_step(step), action, source: None, at: None }
    }
}

/// Maps a step of the warden to its public name.
fn public_step(step: &Step<'_>) -> step::Step {
    use step::Step as Public;
    match step {
        Step::Attributes {} => Public::Attributes,
        Step::MapOwnIds { .. } => Public::MapIds,
        Step::CheckMaps { .. } => Public::CheckIds,
        Step::Await {} => Public::Admission,
        Step::BecomeUser { .. } => Public::BecomeUser,
        Step::TimeOffsets { .. } => Public::Clocks,
        Step::HostName { .. } => Public::HostName,
        Step::DomainName { .. } => Public::DomainName,
        Step::Loopback {} => Public::Loopback,
        Step::PrivateMounts {} => Public::PrivateMounts,
        Step::Source { .. } => Public::OpenSource,
        Step::Device { .. } => Public::OpenDevice,
        Step::Root { .. } => Public::Root,
        Step::Directory { .. } => Public::Directory,
        Step::Bind { .. } => Public::Bind,
        Step::Tmpfs { .. } => Public::Tmpfs,
        Step::Symlink { .. } => Public::Symlink,
        Step::File { .. } => Public::File,
        Step::Populate { .. } => Public::ShowEntries,
        Step::Proc { .. } => Public::Proc,
        Step::Mask { .. } => Public::MaskProc,
        Step::ReadOnly { .. } => Public::ReadOnlyProc,
        Step::NoNestedUsers { .. } => Public::NoNestedUsers,
        Step::Pivot {} => Public::PivotRoot,
        Step::ReadOnlyRoot {} => Public::ReadOnlyRoot,
        Step::Readable { .. } => Public::CheckReadable,
        Step::Keyring { .. } => Public::Keyring,
        Step::Terminals { .. } => Public::Terminals,
        Step::Seal {} => Public::DropPrivileges,
        Step::CgroupNamespace {} => Public::CgroupNamespace,
        Step::Watch { .. } => Public::ProcessView,
        Step::Landlock { .. } => Public::Landlock,
        Step::AdoptRoot { .. } => Public::AdoptRoot,
        Step::ReservePids {} => Public::ReservePids,
        Step::Filter { .. } => Public::SeccompFilter,
    }
}
