//! What a step of a plan is called when it fails.

use crate::base::step;
use crate::wire::plan::Step;
use std::path::PathBuf;

/// The name of one step.
pub struct Label {
    pub step: step::Step,
    /// With its object: `bind /opt/tool on /opt/tool`.
    pub action: String,
    /// The path outside that the step needs, if it is one.
    pub source: Option<PathBuf>,
    /// The path inside that the step makes, if it is one.
    pub at: Option<PathBuf>,
}

impl Label {
    pub fn new(step: &Step<'_>, action: String) -> Label {
        Label { step: public(step), action, source: None, at: None }
    }
}

/// What the warden is to do, as users match on it.
fn public(step: &Step<'_>) -> step::Step {
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
        Step::Stand { .. } => Public::TakeOver,
        Step::KeepNumbers {} => Public::ReserveIds,
        Step::Filter { .. } => Public::SeccompFilter,
    }
}
