//! A policy, compiled: the flat list of steps that the warden applies, and what each step is called
//! when it fails.
//!
//! The order of everything that happens inside a sandbox before a command starts is here, and
//! nowhere else.

pub mod copy;
mod defaults;
mod files;
pub mod idmap;
mod label;
pub mod unwritable;
mod wall;

use crate::base::error::{Error, Result};
use crate::plan::idmap::Mapping;
use crate::policy::profile;
use crate::policy::seccomp::{Filters, Tree};
use crate::policy::{Bind, Clock, Namespace, Policy, System};
use crate::wire::codec::{ListBuilder, Sink};
use crate::wire::plan::{IdRange, Step, protection};
pub use label::Label;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Which part of a sandbox's set-up a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// What copies of a template have in common: the file system.
    Template,
    /// What each of them has to itself.
    Copy,
    /// What is to be done in a cell that is entered from outside: all stands, and only what belongs
    /// to a process is missing.
    Entered,
}

impl Part {
    /// The kinds of namespace that are made, as clone flags.
    pub fn makes(self, policy: &Policy) -> u64 {
        if self == Part::Entered { 0 } else { policy.flags() }
    }
}

/// What the plan depends on besides the policy: a caller whose rights or whose host have changed
/// needs another plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    pub part: Part,
    /// How ids are mapped.
    pub mapping: Mapping,
    /// The caller moves the warden into cgroups.
    pub admits: bool,
    /// The warden looks at the processes inside.
    pub watches: bool,
    /// Commands are among others, and see their processes.
    pub among: bool,
}

impl Manner {
    /// The process tree that commands are in.
    pub fn tree(self, policy: &Policy) -> Tree {
        if self.part == Part::Entered || !policy.private(Namespace::Pid) {
            Tree::Others
        } else if self.among {
            Tree::Cell
        } else {
            Tree::Own
        }
    }

    /// Whether the warden waits for the caller.
    pub fn awaits(self) -> bool {
        // A copy's ids are mapped by the template.
        self.admits || matches!(self.mapping, Mapping::Range { .. }) && self.part != Part::Copy
    }
}

/// The steps, encoded, with their names.
pub struct Plan {
    pub manner: Manner,
    /// The clone flags of the namespaces that the launch makes; the others are made by steps.
    pub flags: u64,
    pub steps: ListBuilder<Vec<u8>>,
    pub labels: Vec<Label>,
}

impl Plan {
    pub fn compile(policy: &Policy, manner: Manner, filters: &Filters) -> Result<Plan> {
        policy.check()?;
        let policy = &defaults::completed(policy);
        let mut plan = Builder {
            steps: ListBuilder::new(Vec::with_capacity(2048)),
            labels: Vec::new(),
            sources: 0,
        };
        // A copy has none of the caller's, but its template's.
        if manner.part != Part::Copy {
            plan.push(Step::Attributes {}, "take back what is the caller's of a process");
        }
        match manner.part {
            Part::Whole => plan.whole(policy, manner, filters)?,
            Part::Template => plan.template(policy, manner)?,
            Part::Copy => plan.copy(policy, manner, filters)?,
            Part::Entered => plan.entered(policy, manner, filters)?,
        }
        // The warden enters a time namespace through its commands, and a cgroup namespace when it
        // stands in its cgroup: it makes those itself.
        let flags =
            manner.part.makes(policy) & !(Namespace::Time.flag() | Namespace::Cgroup.flag());
        Ok(Plan { manner, flags, steps: plan.steps, labels: plan.labels })
    }
}

/// The numbers under which the warden remembers what it opened.
#[derive(Default)]
struct Sources {
    system: Option<u32>,
    /// Directories in the host's `/etc`, and the names in each that are shown.
    etc: Vec<(u32, PathBuf, Vec<CString>)>,
    proc: Option<u32>,
    null: u32,
    devices: Vec<u32>,
    binds: Vec<(u32, PathBuf)>,
}

struct Builder {
    steps: ListBuilder<Vec<u8>>,
    labels: Vec<Label>,
    sources: u32,
}

impl Builder {
    fn whole(&mut self, policy: &Policy, manner: Manner, filters: &Filters) -> Result<()> {
        let own_files = policy.private(Namespace::Mount);
        let sources = if own_files { self.open_sources(policy)? } else { Sources::default() };
        self.clocks(policy);
        self.admission(manner);
        self.identity(policy, manner.mapping, &sources);
        self.names(policy);
        self.loopback(policy);
        self.view(policy, manner);
        if own_files {
            // In a tree that has been joined the others are to be seen.
            let alone = !manner.among && !policy.joined.contains(&Namespace::Pid);
            self.files(policy, &sources, !policy.nested && alone)?;
        }
        self.no_nested_users(policy);
        if own_files {
            self.close_proc(policy, sources.null);
            self.close_root(policy);
        }
        self.seal(policy, filters, false)
    }

    /// The file system, for copies to stand in. Everything that is to be each copy's own is put
    /// over what stands here.
    fn template(&mut self, policy: &Policy, manner: Manner) -> Result<()> {
        let sources = self.open_sources(policy)?;
        self.admission(manner);
        self.identity(policy, manner.mapping, &sources);
        self.files(policy, &sources, false)?;
        self.close_root(policy);
        Ok(())
    }

    fn copy(&mut self, policy: &Policy, manner: Manner, filters: &Filters) -> Result<()> {
        let sources = self.open_again(policy)?;
        self.clocks(policy);
        self.admission(manner);
        self.maps(policy, manner.mapping.of_copy());
        self.push_user(policy.uid, policy.gid);
        self.names(policy);
        self.view(policy, manner);
        self.files_again(policy, &sources, !policy.nested && !manner.among)?;
        self.no_nested_users(policy);
        self.close_proc(policy, sources.null);
        self.seal(policy, filters, false)
    }

    fn entered(&mut self, policy: &Policy, manner: Manner, filters: &Filters) -> Result<()> {
        self.admission(manner);
        let (uid, gid) = manner.mapping.ids(policy);
        self.push_user(uid, gid);
        self.push(
            Step::Stand { protections: copy::standing(policy) },
            "stand in the cell's file system",
        );
        if manner.watches {
            // The others in the cell are its own warden's to look at.
            self.push(Step::Watch { own: false, alone: false }, "keep a view of what is started");
        }
        self.seal(policy, filters, true)
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

    /// The step pushed last needs this path outside.
    fn name_source(&mut self, path: &Path) {
        if let Some(label) = self.labels.last_mut() {
            label.source = Some(path.into());
        }
    }

    // ---- 1. what is the caller's is opened as the caller

    fn source(&mut self, path: &Path, optional: bool, action: String) -> Result<u32> {
        self.source_by(path, optional, true, action)
    }

    fn source_by(
        &mut self,
        path: &Path,
        optional: bool,
        follow: bool,
        action: String,
    ) -> Result<u32> {
        self.push(Step::Source { path: &c_string(path)?, optional, follow }, action);
        self.name_source(path);
        self.sources += 1;
        Ok(self.sources - 1)
    }

    fn open_sources(&mut self, policy: &Policy) -> Result<Sources> {
        let mut sources = Sources::default();
        match &policy.system {
            System::Host => {
                sources.system =
                    Some(self.source(Path::new("/"), false, "open the host's root".into())?);
                for (directory, names) in defaults::etc(policy) {
                    let source = self.source(
                        &directory,
                        true,
                        format!("open the host's {}", directory.display()),
                    )?;
                    let names = names
                        .iter()
                        .map(|name| c_string(Path::new(name)))
                        .collect::<Result<_>>()?;
                    sources.etc.push((source, directory, names));
                }
            }
            System::Root(root) => {
                sources.system =
                    Some(self.source(root, false, format!("open the root {}", root.display()))?)
            }
            System::Empty => {}
        }
        if policy.share.contains(&Namespace::Pid) {
            sources.proc =
                Some(self.source(Path::new("/proc"), false, "open the caller's /proc".into())?);
        }
        for (index, &(path, _, major, minor)) in devices(policy).enumerate() {
            self.push(
                Step::Device { path, major, minor },
                format!("open the device {}", path.to_string_lossy()),
            );
            if index == 0 {
                sources.null = self.sources;
            }
            sources.devices.push(self.sources);
            self.sources += 1;
        }
        for entry in &policy.files {
            if let Some(Bind { source, at, optional, nofollow, .. }) = entry.bind() {
                let action = format!("bind {} on {}", source.display(), at.display());
                let number = self.source_by(source, *optional, !nofollow, action)?;
                sources.binds.push((number, source.clone()));
            }
        }
        Ok(sources)
    }

    // ---- 2. clocks, ids, names

    fn admission(&mut self, manner: Manner) {
        if manner.awaits() {
            self.push(
                Step::Await {},
                "have the caller map the ids and move the warden into its cgroups",
            );
        }
    }

    fn view(&mut self, policy: &Policy, manner: Manner) {
        if manner.watches {
            let own = policy.private(Namespace::Mount) && !policy.share.contains(&Namespace::Pid);
            let alone = policy.private(Namespace::Pid);
            self.push(Step::Watch { own, alone }, "keep a view of the processes inside");
        }
        if manner.tree(policy) == Tree::Cell {
            self.push(
                Step::KeepNumbers {},
                "keep process ids for the wardens of commands that enter",
            );
        }
    }

    /// Has the maps written that the warden writes itself, and reads back all that are the
    /// sandbox's own.
    fn maps(&mut self, policy: &Policy, mapping: Mapping) {
        const CHECK: &str = "check the id maps of the sandbox";
        let Policy { uid, gid, .. } = *policy;
        match mapping {
            Mapping::Own => {
                self.push(
                    Step::MapOwnIds { uid, gid },
                    format!("map the caller's ids to uid {uid} and gid {gid}"),
                );
                let line = |inside: u32| IdRange { inside, outside: 0, count: 1 };
                self.push(Step::CheckMaps { uids: line(uid), gids: line(gid), own: true }, CHECK);
            }
            // While the warden waited, its caller or its template has written them.
            Mapping::Range { uids, gids } => {
                self.push(Step::CheckMaps { uids, gids, own: false }, CHECK)
            }
            // The caller has read the map of a namespace that exists, to choose or to judge who the
            // command is in it. The numbers outside that the warden would see there are
            // those of the namespace around that one.
            Mapping::Shared { .. } | Mapping::Joined => {}
        }
    }

    fn push_user(&mut self, uid: u32, gid: u32) {
        self.push(Step::BecomeUser { uid, gid }, format!("become uid {uid} and gid {gid}"));
    }

    fn clocks(&mut self, policy: &Policy) {
        if policy.private(Namespace::Time) {
            let nanoseconds = |clock| {
                policy.clock_offsets.get(&clock).map_or(0, |seconds| seconds * 1_000_000_000)
            };
            let step = Step::TimeOffsets {
                monotonic: nanoseconds(Clock::Monotonic),
                boottime: nanoseconds(Clock::Boottime),
            };
            self.push(step, "make a time namespace and set its clocks");
        }
    }

    fn identity(&mut self, policy: &Policy, mapping: Mapping, sources: &Sources) {
        self.maps(policy, mapping);
        let (uid, gid) = mapping.ids(policy);
        self.push_user(uid, gid);
        if mapping != Mapping::Own {
            let root = if let System::Root(root) = &policy.system { root } else { Path::new("/") };
            // Whoever may not read what leads into a shared network does without.
            let dispensable =
                |path: &Path| profile::NETWORK.iter().any(|name| Path::new(name) == path);
            let binds = sources.binds.iter().map(|(number, path)| (*number, path.as_path()));
            let binds = binds.filter(|(_, path)| !dispensable(path));
            for (source, path) in sources.system.iter().map(|number| (*number, root)).chain(binds) {
                self.push(
                    Step::Readable { source },
                    format!("check that the command may read {}", path.display()),
                );
                self.name_source(path);
            }
        }
    }

    fn names(&mut self, policy: &Policy) {
        if policy.private(Namespace::Cgroup) {
            self.push(Step::CgroupNamespace {}, "make a cgroup namespace");
        }
        if policy.private(Namespace::Uts) {
            let name = policy.hostname.as_deref().unwrap_or(profile::HOST_NAME);
            self.push(
                Step::HostName { name: name.as_bytes() },
                format!("set the host name {name}"),
            );
            if let Some(name) = &policy.domainname {
                self.push(
                    Step::DomainName { name: name.as_bytes() },
                    format!("set the domain name {name}"),
                );
            }
        }
    }

    fn loopback(&mut self, policy: &Policy) {
        if policy.private(Namespace::Net) {
            self.push(Step::Loopback {}, "bring up the loopback device");
        }
    }
}

impl Builder {
    // ---- 3. what is given up

    fn no_nested_users(&mut self, policy: &Policy) {
        // What somebody else's user namespace allows is not ours to say.
        if !policy.nested && !policy.joined.contains(&Namespace::User) {
            let given = policy.files.iter().any(|entry| entry.at() == Path::new("/proc"));
            self.push(Step::NoNestedUsers { given }, "forbid nested user namespaces");
            if let Some(label) = self.labels.last_mut().filter(|_| given) {
                label.at = Some("/proc".into());
            }
        }
    }

    fn seal(&mut self, policy: &Policy, filters: &Filters, entered: bool) -> Result<()> {
        self.wall(policy, entered)?;
        self.push(
            Step::Keyring { dispensable: policy.filter().refuses_keys() },
            "join a new session keyring",
        );
        self.push(Step::Seal {}, "give up all privileges");
        let (program, protections) = filters.wardens()?;
        // In a tree that is joined, others than the command may be of its user.
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

/// The device nodes that are shown.
fn devices(
    policy: &Policy,
) -> impl Iterator<Item = &'static (&'static CStr, &'static CStr, u32, u32)> {
    profile::DEVICES.iter().chain(policy.has_terminals().then_some(&profile::TERMINAL))
}

fn path_of(text: &CStr) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(text.to_bytes()))
}

fn c_string(path: &Path) -> Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(format!("path {path:?}"), "contains a NUL byte"))
}

/// A step by itself, for the tests of order below.
#[cfg(test)]
fn steps_of(plan: &Plan) -> Vec<String> {
    plan.labels.iter().map(|label| label.action.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;

    fn compile(sandbox: &Sandbox, mapping: Mapping) -> Plan {
        let manner =
            Manner { part: Part::Whole, mapping, admits: false, watches: false, among: false };
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
    fn what_is_the_callers_is_opened_before_the_ids_change_and_privileges_go_last() {
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
            if let Step::BecomeUser { uid, gid } = step { Some((uid, gid)) } else { None }
        });
        assert_eq!(ids, Some((0x7000_0000, 0x7000_0000 + 1000)));
    }
}
