//! Chooses where to create a sandbox's cgroups.
//!
//! The v2 directory is created in the first of these places: below the cgroup that the caller
//! named; below the caller's own cgroup, if it provides the controllers; in a scope that systemd
//! creates; below the nearest ancestor that provides the controllers and that the caller can write.
//! A v1 directory is created below the caller's own cgroup. A v2 directory without controllers is
//! created wherever possible: it serves to kill, to freeze, and to count processor time.

use super::directory::{Directory, failed, new_name, write};
use super::hierarchy::{Controller, Hierarchies, is_v2};
use super::{Cgroup, systemd};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::Policy;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable that names the parent cgroup.
const VARIABLE: &str = "SECLUDE_CGROUP";

/// The name of the leaf cgroup's directory. It holds a cell's warden and every command that has no
/// cgroup of its own. Users see this name (docs/limits.md).
const LEAF: &str = "hall";

/// A directory in the v2 hierarchy.
#[derive(Debug)]
pub struct V2 {
    /// The directory that has the limits and the counters.
    pub directory: Directory,
    /// The controllers that are enabled in it.
    pub controllers: Vec<Controller>,
    /// The leaf cgroup below it that holds the processes. A v2 cgroup that enables controllers for
    /// its children must not contain processes itself (cgroups(7), "no internal processes").
    leaf: Option<Directory>,
}

impl V2 {
    fn new(directory: Directory, parent: &Path) -> Result<V2> {
        Ok(V2 { directory, controllers: enabled_for_children(parent)?, leaf: None })
    }

    fn make(parent: &Path, for_cell: bool) -> Result<V2> {
        let v2 = V2::new(Directory::make(parent)?, parent)?;
        if for_cell { v2.enable_for_commands(None) } else { Ok(v2) }
    }

    /// Enables the controllers that single commands need in their own cgroups. `present` is the
    /// process that is already in the directory.
    fn enable_for_commands(mut self, present: Option<i32>) -> Result<V2> {
        const SINGLE: [Controller; 2] = [Controller::Memory, Controller::Pids];
        let on: Vec<Controller> =
            SINGLE.into_iter().filter(|controller| self.controllers.contains(controller)).collect();
        if on.is_empty() {
            return Ok(self);
        }
        let leaf = Directory::named(&self.directory, LEAF)?;
        if let Some(pid) = present {
            leaf.write("cgroup.procs", &pid.to_string())?;
        }
        enable_controllers(self.directory.path(), &on)?;
        self.leaf = Some(leaf);
        Ok(self)
    }

    /// All its directories.
    pub fn directories(&self) -> impl Iterator<Item = &Directory> {
        std::iter::once(&self.directory).chain(&self.leaf)
    }

    /// The directory that holds the processes.
    pub fn process_directory(&self) -> &Directory {
        self.leaf.as_ref().unwrap_or(&self.directory)
    }

    /// Creates a directory below it for a single command.
    pub fn within(&self) -> Result<V2> {
        V2::new(Directory::below(&self.directory)?, self.directory.path())
    }
}

/// The cgroups available for one sandbox.
#[derive(Debug, Default)]
pub struct Place {
    pub cgroup: Cgroup,
    /// The controllers to request from systemd. The request waits until there is a process to put
    /// into the scope.
    pub scope: Option<Vec<Controller>>,
    /// Why the host did not provide more.
    pub refusal: Option<Error>,
}

/// Creates the directories that these controllers need. `without_scope` is the reason why systemd
/// refused, if it did. `for_cell`: single commands will have directories of their own below.
///
/// # Errors
///
/// An error if the cgroup that the caller named cannot be used, or if the caller runs out of a
/// resource. A host that does not provide a cgroup is no error: [`Place::refusal`] then has the
/// reason.
pub fn find(
    policy: &Policy,
    controllers: &[Controller],
    without_scope: Option<&Error>,
    for_cell: bool,
) -> Result<Place> {
    let hierarchies = Hierarchies::find()?;
    let needed: Vec<Controller> = controllers
        .iter()
        .copied()
        .filter(|controller| {
            controller.v2_name().is_some() && hierarchies.v1(*controller).is_none()
        })
        .collect();
    let mut place = Place { refusal: without_scope.cloned(), ..Place::default() };
    let named = policy
        .cgroup
        .clone()
        .or_else(|| std::env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from));
    match named {
        Some(parent) => place.cgroup.v2 = Some(below_named(&parent, &needed, for_cell)?),
        None => place.find_v2(&hierarchies, &needed, without_scope.is_some(), for_cell)?,
    }
    // Version 2 counts processor time without a controller. A cell prefers v1 nevertheless, because
    // a single command enters a v1 cgroup faster.
    let counted = place.cgroup.v2.is_some() && !for_cell;
    for &controller in
        controllers.iter().filter(|controller| **controller != Controller::Cpuacct || !counted)
    {
        place.make_v1(&hierarchies, controller)?;
    }
    if policy.shows_cgroups() {
        place.make_shown(&hierarchies)?;
    }
    // A name that is taken says nothing about this host. It must not make limits weaker, so it is
    // an error.
    if let Some(error) = place.refusal.take_if(|error| error.raw_os_error() == Some(libc::EEXIST)) {
        return Err(error);
    }
    if place.refusal.is_none() && hierarchies == Hierarchies::default() {
        place.refusal = Some(
            Error::new(ErrorKind::LimitUnavailable, "find the caller's cgroup")
                .because("no cgroup hierarchy is mounted that holds it")
                .hint("mount one: mount -t cgroup2 none /sys/fs/cgroup"),
        );
    }
    Ok(place)
}

impl Place {
    fn find_v2(
        &mut self,
        hierarchies: &Hierarchies,
        needed: &[Controller],
        without_scope: bool,
        for_cell: bool,
    ) -> Result<()> {
        let Some(hierarchy) = &hierarchies.v2 else { return Ok(()) };
        let provides = |parent: &Path| {
            enabled_for_children(parent)
                .map(|enabled| needed.iter().all(|controller| enabled.contains(controller)))
        };
        let own = hierarchy.own.as_path();
        if needed.is_empty() || provides(own)? {
            return self.make_v2(own, for_cell);
        }
        if !without_scope && Path::new("/run/systemd/system").exists() {
            self.scope = Some(needed.to_vec());
            return Ok(());
        }
        let ancestors =
            own.ancestors().skip(1).take_while(|parent| parent.starts_with(&hierarchy.mount));
        for parent in ancestors {
            if provides(parent)? {
                self.make_v2(parent, for_cell)?;
            }
            if self.cgroup.v2.is_some() {
                return Ok(());
            }
        }
        self.make_v2(own, for_cell)?;
        self.refusal.get_or_insert_with(|| {
            let names: Vec<_> =
                needed.iter().filter_map(|controller| controller.v2_name()).collect();
            Error::new(
                ErrorKind::LimitUnavailable,
                format!("make a cgroup with the controllers {}", names.join(", ")),
            )
            .because(format!("they are on neither in {} nor above", own.display()))
            .at(own)
            .hint(
                "turn them on in a cgroup that is the caller's, and name that (Sandbox::cgroup \
                or SECLUDE_CGROUP)",
            )
        });
        Ok(())
    }

    fn make_v2(&mut self, parent: &Path, for_cell: bool) -> Result<()> {
        self.cgroup.v2 = self.or_record_refusal(V2::make(parent, for_cell))?;
        Ok(())
    }

    /// Records why the host refused to create a directory, and returns `None` then. A shortage at
    /// the moment says nothing about the host: it is an error.
    fn or_record_refusal<T>(&mut self, made: Result<T>) -> Result<Option<T>> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(error) if error.kind() == ErrorKind::HostLimit => Err(error),
            Err(error) => {
                self.refusal = Some(error);
                Ok(None)
            }
        }
    }

    /// Creates directories with the v1 controllers that a program looks for, beside those that the
    /// limits need: the Java virtual machine looks at none unless it finds all of these. The
    /// program does without those that the host refuses.
    fn make_shown(&mut self, hierarchies: &Hierarchies) -> Result<()> {
        // A new process enters a cpuset last: see `Cgroup::entry_descriptors`.
        const SHOWN: [Controller; 4] =
            [Controller::Memory, Controller::Cpu, Controller::Cpuacct, Controller::Cpuset];
        let refusal = self.refusal.clone();
        for controller in SHOWN {
            self.make_v1(hierarchies, controller)?;
        }
        self.refusal = refusal;
        Ok(())
    }

    /// Creates a directory in the v1 hierarchy of this controller. One hierarchy may have several
    /// controllers; it gets one directory.
    fn make_v1(&mut self, hierarchies: &Hierarchies, controller: Controller) -> Result<()> {
        let Some(hierarchy) = hierarchies.v1(controller) else { return Ok(()) };
        if self.cgroup.v1.iter().any(|(_, controllers)| controllers.contains(&controller)) {
            return Ok(());
        }
        let made = Directory::make(&hierarchy.own).and_then(|directory| {
            if hierarchy.controllers.contains(&Controller::Cpuset) {
                inherit_cpuset(&directory, &hierarchy.own)?;
            }
            Ok(directory)
        });
        let made = self.or_record_refusal(made)?;
        self.cgroup.v1.extend(made.map(|directory| (directory, hierarchy.controllers.clone())));
        Ok(())
    }
}

impl Cgroup {
    /// Has systemd put the process `pid` into a scope. Then moves it into a directory of ours below
    /// the scope, where the controllers are enabled.
    ///
    /// # Errors
    ///
    /// An error if systemd refuses, or if the directory below the scope cannot be set up.
    pub fn enter_scope(&mut self, pid: i32, needed: &[Controller], for_cell: bool) -> Result<()> {
        let refused = |cause: String, hint: Option<String>| {
            let error =
                Error::new(ErrorKind::LimitUnavailable, "get a cgroup from systemd").because(cause);
            match hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        };
        let hierarchy = Hierarchies::find()?
            .v2
            .ok_or_else(|| refused("its hierarchy is not mounted".into(), None))?;
        let scope = systemd::scope(pid.unsigned_abs(), &new_name()?).map_err(
            |systemd::SystemdRefusal { cause, hint, shortage }| match shortage {
                Some(errno) => refused(cause, hint).errno(errno),
                None => refused(cause, hint),
            },
        )?;
        let parent = hierarchy.mount.join(scope.strip_prefix("/").unwrap_or(&scope));
        let directory = Directory::make(&parent)?;
        // The scope can enable controllers for its children only once it contains no process.
        directory.write("cgroup.procs", &pid.to_string())?;
        enable_controllers(&parent, needed)?;
        let v2 = V2::new(directory, &parent)?;
        self.v2 = Some(if for_cell { v2.enable_for_commands(Some(pid))? } else { v2 });
        Ok(())
    }
}

/// Creates a directory below the one that the caller named.
fn below_named(parent: &Path, needed: &[Controller], for_cell: bool) -> Result<V2> {
    let refused = |cause: &str| {
        Error::new(ErrorKind::LimitUnavailable, format!("use the cgroup {}", parent.display()))
            .because(cause)
            .at(parent)
            .hint(
                "name a directory of a mounted cgroup v2 hierarchy (Sandbox::cgroup or \
                SECLUDE_CGROUP)",
            )
    };
    if !parent.is_dir() {
        return Err(refused("there is no such directory"));
    }
    if !is_v2(parent) {
        return Err(refused("it is no cgroup of version 2"));
    }
    enable_controllers(parent, needed)?;
    V2::make(parent, for_cell)
}

/// Enables these controllers for the children of `parent`, as far as `parent` has them.
fn enable_controllers(parent: &Path, needed: &[Controller]) -> Result<()> {
    let available = fs::read_to_string(parent.join("cgroup.controllers"))
        .map_err(|error| failed("read", &parent.join("cgroup.controllers"), &error))?;
    let on = enabled_for_children(parent)?;
    for controller in needed.iter().filter(|controller| !on.contains(controller)) {
        let Some(name) = controller
            .v2_name()
            .filter(|name| available.split_whitespace().any(|other| other == *name))
        else {
            continue;
        };
        write(&parent.join("cgroup.subtree_control"), &format!("+{name}"))?;
    }
    Ok(())
}

/// The controllers that are enabled for the children of `parent`.
fn enabled_for_children(parent: &Path) -> Result<Vec<Controller>> {
    const V2: [Controller; 5] =
        [Controller::Memory, Controller::Cpu, Controller::Cpuset, Controller::Pids, Controller::Io];
    let path = parent.join("cgroup.subtree_control");
    let text = match fs::read_to_string(&path) {
        // In a cgroup that is gone, or that the caller cannot read, no directory can be created.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            String::new()
        }
        result => result.map_err(|error| failed("read", &path, &error))?,
    };
    let on = |controller: &Controller| {
        text.split_whitespace().any(|name| Some(name) == controller.v2_name())
    };
    Ok(V2.into_iter().filter(on).collect())
}

/// Makes the memory limit of a v1 directory cover the directories below it. Before Linux 5.11 this
/// is off by default, and can be set only before there are any.
pub fn use_hierarchy(directory: &Directory) -> Result<()> {
    match directory.text("memory.use_hierarchy")?.trim() {
        "0" => directory.write("memory.use_hierarchy", "1"),
        _ => Ok(()),
    }
}

/// Copies the parent's cpuset. In v1 a new cpuset is empty, and accepts no process until it is
/// filled.
fn inherit_cpuset(directory: &Directory, parent: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = parent.join(file);
        let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
        directory.write(file, text.trim())?;
    }
    Ok(())
}
