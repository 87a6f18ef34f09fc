//! Compiles a policy to a plan: the list of steps that the warden applies, with a label for each
//! step that names it in errors.
//!
//! This module alone decides the order of everything that happens inside a sandbox before a command
//! starts.

mod confined;
pub mod copy;
pub mod defaults;
mod devices;
mod files;
mod identity;
pub mod idmap;
mod label;
mod landlock;
mod shelf;
mod slices;
mod sources;
pub mod unwritable;

use crate::base::error::{Error, Result};
use crate::plan::idmap::Mapping;
use crate::policy::profile;
use crate::policy::seccomp::{Filters, Tree};
use crate::policy::{Entry, Namespace, Policy};
use crate::wire::codec::{ListBuilder, Sink};
use crate::wire::plan::{Step, protection};
use copy::Stock;
pub use label::Label;
pub use slices::OwnCgroups;
use sources::Sources;
pub use sources::{GivenTree, refused_bounds};
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The part of a sandbox's set-up that a plan covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The whole set-up.
    Whole,
    /// The part that the copies of a template share: the file system.
    Template,
    /// The part that each copy of a template has of its own.
    Copy,
    /// A user namespace that the caller holds, and the network namespace beside it. No command runs
    /// in them.
    Network,
    /// The part for a command that enters a cell from outside. The cell is already set up, so only
    /// the attributes of the process are missing.
    Entered,
}

impl Part {
    /// The kinds of namespace that this part creates, as clone flags.
    pub fn makes(self, policy: &Policy) -> u64 {
        if self == Part::Entered { 0 } else { policy.flags() }
    }
}

/// The conditions that a plan depends on besides the policy. If the caller's privileges or the host
/// change, another plan is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    pub part: Part,
    /// How ids are mapped.
    pub mapping: Mapping,
    /// Whether the caller moves the warden into cgroups.
    pub admits: bool,
    /// Whether the warden scans the processes inside.
    pub watches: bool,
    /// Whether the commands run in a cell, where they see each other's processes.
    pub in_cell: bool,
    /// The cgroups of the sandbox, if the policy shows them.
    pub cgroups: OwnCgroups,
}

impl Manner {
    /// The process tree that commands run in.
    pub fn tree(self, policy: &Policy) -> Tree {
        if self.part == Part::Entered || !policy.private(Namespace::Pid) {
            if policy.nested { Tree::Nesting } else { Tree::Others }
        } else if self.in_cell {
            Tree::Cell
        } else if policy.as_pid_1 {
            Tree::Below
        } else {
            Tree::Own
        }
    }

    /// Whether the warden must wait for the caller: to be moved into cgroups, or to have its ids
    /// mapped.
    pub fn awaits(self) -> bool {
        // The ids of a copy are mapped by the template.
        self.admits || self.mapping.is_written_by_caller() && self.part != Part::Copy
    }
}

/// A compiled plan.
pub struct Plan {
    pub manner: Manner,
    /// The sandbox has no namespaces.
    pub confined: bool,
    /// The clone flags of the namespaces that the launch creates. Steps create the others.
    pub flags: u64,
    /// The encoded steps.
    pub steps: ListBuilder<Vec<u8>>,
    /// The labels of the steps, in the same order.
    pub labels: Vec<Label>,
    /// What the caller gives the warden as mount trees.
    pub trees: Vec<GivenTree>,
    /// Whether the caller gets the directory with the changes to an overlay, after all else.
    pub upper: bool,
}

impl Plan {
    /// Whether the warden waits for the caller: for what [`Manner::awaits`] says, or for mount
    /// trees.
    pub fn awaits(&self) -> bool {
        self.manner.awaits() || !self.trees.is_empty()
    }

    /// Compiles a policy under the given conditions.
    ///
    /// # Errors
    ///
    /// `Invalid` if the policy does not pass its check.
    pub fn compile(policy: &Policy, manner: Manner, filters: &Filters) -> Result<Plan> {
        policy.check()?;
        let stock = copy::stock(policy);
        let policy = &defaults::with_defaults(policy);
        let mut plan = Builder {
            from_shelf: manner.part == Part::Copy && stock == Some(Stock::Sources),
            steps: ListBuilder::new(Vec::with_capacity(2048)),
            labels: Vec::new(),
            sources: 0,
            trees: Vec::new(),
            lends: manner.in_cell,
            upper: false,
            // A template runs no command.
            needs_first: policy.as_pid_1 && manner.part != Part::Template,
        };
        // A copy inherits its attributes from the template, which has already reset them.
        if manner.part != Part::Copy {
            plan.push(Step::Attributes {}, "take back what is the caller's of a process");
        }
        match manner.part {
            Part::Whole => match policy.confined {
                Some(held) => plan.confined(policy, held, manner, filters)?,
                None => plan.whole(policy, manner, filters)?,
            },
            Part::Template if stock == Some(Stock::Sources) => plan.shelf(policy, manner)?,
            Part::Template => plan.template(policy, manner)?,
            Part::Copy if plan.from_shelf => plan.whole(policy, manner, filters)?,
            Part::Copy => plan.copy(policy, manner, filters)?,
            Part::Entered => plan.entered(policy, manner, filters)?,
            Part::Network => plan.network(policy, manner),
        }
        // The warden creates these two namespaces itself. A time namespace applies only to the
        // children of the process that creates it, and the root of a cgroup namespace is the cgroup
        // that the process is in.
        let flags =
            manner.part.makes(policy) & !(Namespace::Time.flag() | Namespace::Cgroup.flag());
        let confined = policy.confined.is_some();
        let Builder { steps, labels, trees, upper, .. } = plan;
        Ok(Plan { manner, confined, flags, steps, labels, trees, upper })
    }
}

struct Builder {
    steps: ListBuilder<Vec<u8>>,
    labels: Vec<Label>,
    /// The sources are those that a template holds.
    from_shelf: bool,
    /// The number of sources so far.
    sources: u32,
    /// The last of them, which the caller gives.
    trees: Vec<GivenTree>,
    /// The command is to be process 1, and no step has made that process yet.
    needs_first: bool,
    /// Whether the caller is to get the changes to an overlay, and whether a step sends them.
    lends: bool,
    upper: bool,
}

impl Builder {
    fn whole(&mut self, policy: &Policy, manner: Manner, filters: &Filters) -> Result<()> {
        let own_files = policy.private(Namespace::Mount);
        let sources = match own_files {
            true => self.open_sources(policy, manner.mapping)?,
            false => Sources::default(),
        };
        self.clocks(policy);
        self.admission(manner);
        if self.from_shelf {
            // The template has checked what the command may read, and brought up the network.
            self.maps(policy, manner.mapping.of_copy());
            self.push_user(policy, manner.mapping.of_copy());
            self.names(policy);
        } else {
            self.identity(policy, manner.mapping, &sources);
            self.names(policy);
            self.loopback(policy);
        }
        // Without a pid namespace the warden finds processes by /proc, which may be missing here.
        let uncertain = policy.exact_files && !policy.private(Namespace::Pid);
        if !uncertain {
            self.view(policy, manner);
        }
        if own_files {
            // In a joined process tree, the command may see the other processes.
            let alone = !manner.in_cell && !policy.joined.contains(&Namespace::Pid);
            self.files(policy, &sources, !policy.nested && alone, manner.cgroups)?;
        }
        self.no_nested_users(policy);
        if own_files {
            self.close_proc(policy, sources.null);
            self.close_root(policy)?;
        }
        if uncertain {
            let step = Step::Watch { own: false, alone: false };
            self.push(step, "look for the processes inside in /proc");
        }
        self.seal(policy, filters, false)
    }

    /// The file system of a template. Each copy mounts its own parts over it.
    fn template(&mut self, policy: &Policy, manner: Manner) -> Result<()> {
        // A copy can mount a proc of its own only where a complete one is visible.
        let policy = &Policy { proc_subset: false, ..policy.clone() };
        let sources = self.open_sources(policy, manner.mapping)?;
        self.admission(manner);
        self.identity(policy, manner.mapping, &sources);
        self.files(policy, &sources, false, manner.cgroups)?;
        self.close_root(policy)
    }

    fn copy(&mut self, policy: &Policy, manner: Manner, filters: &Filters) -> Result<()> {
        let sources = self.open_copied_binds(policy)?;
        self.clocks(policy);
        self.admission(manner);
        self.maps(policy, manner.mapping.of_copy());
        self.push_user(policy, manner.mapping.of_copy());
        self.names(policy);
        self.view(policy, manner);
        self.copied_files(policy, &sources, !policy.nested && !manner.in_cell)?;
        for entry in policy.files.iter().filter(|entry| matches!(entry, Entry::Sys(_))) {
            self.own_cgroups(entry.at(), manner.cgroups)?;
        }
        self.no_nested_users(policy);
        self.close_proc(policy, sources.null);
        self.seal(policy, filters, false)
    }

    fn entered(&mut self, policy: &Policy, manner: Manner, filters: &Filters) -> Result<()> {
        self.admission(manner);
        self.push_user(policy, manner.mapping);
        self.push(
            Step::AdoptRoot { protections: copy::cell_protections(policy) },
            "stand in the cell's file system",
        );
        if manner.watches {
            // The cell's own warden watches the other processes in the cell.
            self.push(Step::Watch { own: false, alone: false }, "keep a view of what is started");
        }
        self.seal(policy, filters, true)
    }

    fn network(&mut self, policy: &Policy, manner: Manner) {
        self.admission(manner);
        self.maps(policy, manner.mapping);
        self.push(Step::Lend {}, "lend the caller the namespaces of the network");
    }

    fn push(&mut self, step: Step<'_>, action: impl Into<String>) {
        self.steps.push(&step);
        self.labels.push(Label::new(&step, action.into()));
    }

    fn push_at(&mut self, step: Step<'_>, action: impl Into<String>, at: &Path) {
        self.push(step, action);
        if let Some(label) = self.labels.last_mut() {
            label.at = Some(at.into());
        }
    }

    /// Records that the last step needs this path outside.
    fn name_source(&mut self, path: &Path) {
        if let Some(label) = self.labels.last_mut() {
            label.source = Some(path.into());
        }
    }

    // ---- the last steps give up privileges

    fn no_nested_users(&mut self, policy: &Policy) {
        // The limits of a joined user namespace belong to whoever created it.
        if !policy.nested && !policy.joined.contains(&Namespace::User) {
            // A proc of processes alone lacks the knob.
            let given = policy.exact_files
                || policy.proc_subset
                || policy.files.iter().any(|entry| entry.at() == Path::new("/proc"));
            self.push(Step::NoNestedUsers { given }, "forbid nested user namespaces");
            if let Some(label) = self.labels.last_mut().filter(|_| given) {
                label.at = Some("/proc".into());
            }
        }
    }

    fn seal(&mut self, policy: &Policy, filters: &Filters, entered: bool) -> Result<()> {
        self.landlock(policy, entered)?;
        self.sealed(policy, filters, entered, false)
    }

    /// The last steps after the Landlock ruleset.
    fn sealed(
        &mut self,
        policy: &Policy,
        filters: &Filters,
        entered: bool,
        unprivileged: bool,
    ) -> Result<()> {
        self.push(
            Step::Keyring { dispensable: policy.filter().refuses_keys() },
            "join a new session keyring",
        );
        let capabilities = policy.capability_set();
        let action = if capabilities == 0 {
            "give up all privileges"
        } else {
            "give up all privileges but those of the policy"
        };
        self.push(Step::Seal { capabilities, unprivileged }, action);
        let (program, protections) = filters.wardens()?;
        // In a joined process tree, other processes may run as the command's user and are not bound
        // by the filter.
        let guarded = if entered || policy.joined.contains(&Namespace::Pid) {
            0
        } else {
            protection::WARDEN_GUARDED
        };
        let step = Step::Filter {
            program: &program,
            protections: protections | guarded,
            entrant: entered,
        };
        self.push(step, "load the warden's seccomp filter");
        Ok(())
    }
}

/// The device nodes that are visible in the sandbox.
fn device_nodes(
    policy: &Policy,
) -> impl Iterator<Item = &'static (&'static CStr, &'static CStr, u32, u32)> {
    profile::DEVICES.iter().chain(policy.has_terminals().then_some(&profile::TERMINAL))
}

pub fn path_of(text: &CStr) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(text.to_bytes()))
}

fn c_string(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(format!("path {path:?}"), "contains a NUL byte"))
}

/// The actions of a plan, for the tests of their order.
#[cfg(test)]
fn steps_of(plan: &Plan) -> Vec<String> {
    plan.labels.iter().map(|label| label.action.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;
    use crate::wire::plan::IdRange;

    fn compile(sandbox: &Sandbox, mapping: Mapping) -> Plan {
        let manner = Manner {
            part: Part::Whole,
            mapping,
            admits: false,
            watches: false,
            in_cell: false,
            cgroups: Default::default(),
        };
        let filters = Filters::of(sandbox.policy(), manner.tree(sandbox.policy())).unwrap();
        Plan::compile(sandbox.policy(), manner, &filters).unwrap()
    }

    fn position(steps: &[String], start: &str) -> usize {
        steps
            .iter()
            .position(|step| step.starts_with(start))
            .unwrap_or_else(|| panic!("no step {start:?} in {steps:#?}"))
    }

    #[test]
    fn sources_are_opened_before_the_ids_change_and_privileges_dropped_last() {
        let sandbox =
            Sandbox::new().bind_ro("/opt", "/opt").tmpfs("/opt/tmp", 4096u64).tmpfs("/a", 4096u64);
        let ids = IdRange { inside: 0, outside: 300_000, count: 2000 };
        let plan = compile(&sandbox, Mapping::Range { uids: ids, gids: ids });
        let steps = steps_of(&plan);
        assert!(position(&steps, "bind /opt") < position(&steps, "become uid"));
        assert!(position(&steps, "become uid") < position(&steps, "make the new root"));
        assert!(
            position(&steps, "mount a tmpfs on /a") < position(&steps, "mount a tmpfs on /opt/tmp")
        );
        assert_eq!(position(&steps, "give up all privileges"), steps.len() - 2);
        assert_eq!(position(&steps, "load the warden's seccomp filter"), steps.len() - 1);
        assert_eq!(plan.steps.list::<Step<'_>>().iter().count(), steps.len());
    }

    #[test]
    fn in_a_shared_user_namespace_the_command_is_the_user_that_was_chosen() {
        let sandbox = Sandbox::new().share(Namespace::User).nested().uid(0);
        let plan = compile(&sandbox, Mapping::Shared { uid: 0x7000_0000, gid: 0x7000_0000 + 1000 });
        let ids = plan.steps.list::<Step<'_>>().iter().find_map(|step| {
            if let Step::BecomeUser { uid, gid, .. } = step { Some((uid, gid)) } else { None }
        });
        assert_eq!(ids, Some((0x7000_0000, 0x7000_0000 + 1000)));
    }
}
