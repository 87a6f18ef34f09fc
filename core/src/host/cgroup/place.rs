//! Where a sandbox's cgroups can be made.
//!
//! In this order: below the cgroup that the caller named; in v2, below the caller's own if that
//! gives the controllers; in a scope that systemd makes for it; below the nearest ancestor that
//! gives the controllers and lets the caller write. In v1, below the caller's own. A v2 directory
//! without controllers is made in any case, where one can be: to kill, to freeze, to count
//! processor time.

use super::directory::{Directory, failed, new_name, write};
use super::hierarchy::{Controller, Hierarchies, is_v2};
use super::{Cgroup, systemd};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::Policy;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable that names the cgroup below which ours are made.
const VARIABLE: &str = "SECLUDE_CGROUP";

/// The directory in which the warden of a cell is, and all commands that have none to themselves.
const HALL: &str = "hall";

/// One of version 2.
#[derive(Debug)]
pub struct V2 {
    /// Here limits are set, and all is counted.
    pub directory: Directory,
    /// Those that are on in it.
    pub controllers: Vec<Controller>,
    /// Where the processes are: a directory that gives controllers to others below it has none of
    /// its own.
    hall: Option<Directory>,
}

impl V2 {
    fn new(directory: Directory, parent: &Path) -> Result<V2> {
        Ok(V2 { directory, controllers: given(parent)?, hall: None })
    }

    fn make(parent: &Path, many: bool) -> Result<V2> {
        let v2 = V2::new(Directory::make(parent)?, parent)?;
        if many { v2.for_many(None) } else { Ok(v2) }
    }

    /// Has it give on the controllers for single commands. `present`: who is in it.
    fn for_many(mut self, present: Option<i32>) -> Result<V2> {
        const SINGLE: [Controller; 2] = [Controller::Memory, Controller::Pids];
        let on: Vec<Controller> =
            SINGLE.into_iter().filter(|controller| self.controllers.contains(controller)).collect();
        if on.is_empty() {
            return Ok(self);
        }
        let hall = Directory::named(&self.directory, HALL)?;
        if let Some(pid) = present {
            hall.write("cgroup.procs", &pid.to_string())?;
        }
        turn_on(self.directory.path(), &on)?;
        self.hall = Some(hall);
        Ok(self)
    }

    /// Where the warden is.
    pub fn home(&self) -> &Directory {
        self.hall.as_ref().unwrap_or(&self.directory)
    }

    /// One below it, for a single command.
    pub fn within(&self) -> Result<V2> {
        V2::new(Directory::below(&self.directory)?, self.directory.path())
    }
}

/// What there is for one sandbox.
#[derive(Debug, Default)]
pub struct Place {
    pub cgroup: Cgroup,
    /// The controllers that systemd is to be asked for, once there is a process to put into its
    /// scope.
    pub scope: Option<Vec<Controller>>,
    /// Why there is not more, if there could be.
    pub refusal: Option<Error>,
}

/// Makes the directories that these controllers take. `without_scope`: systemd has refused, for
/// this reason. `many`: single commands will have theirs below.
pub fn find(
    policy: &Policy,
    controllers: &[Controller],
    without_scope: Option<&Error>,
    many: bool,
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
        Some(parent) => place.cgroup.v2 = Some(below_named(&parent, &needed, many)?),
        None => place.find_v2(&hierarchies, &needed, without_scope.is_some(), many)?,
    }
    // Version 2 counts processor time too, but for single commands one of version 1 is entered
    // sooner.
    let counted = place.cgroup.v2.is_some() && !many;
    for &controller in
        controllers.iter().filter(|controller| **controller != Controller::Cpuacct || !counted)
    {
        place.make_v1(&hierarchies, controller)?;
    }
    // A name that is taken says nothing about this host: it must not be the reason to hold limits
    // less strictly.
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
        many: bool,
    ) -> Result<()> {
        let Some(hierarchy) = &hierarchies.v2 else { return Ok(()) };
        let gives = |parent: &Path| {
            given(parent).map(|given| needed.iter().all(|controller| given.contains(controller)))
        };
        let own = hierarchy.own.as_path();
        if needed.is_empty() || gives(own)? {
            return self.make_v2(own, many);
        }
        if !without_scope && Path::new("/run/systemd/system").exists() {
            self.scope = Some(needed.to_vec());
            return Ok(());
        }
        let ancestors =
            own.ancestors().skip(1).take_while(|parent| parent.starts_with(&hierarchy.mount));
        for parent in ancestors {
            if gives(parent)? {
                self.make_v2(parent, many)?;
            }
            if self.cgroup.v2.is_some() {
                return Ok(());
            }
        }
        self.make_v2(own, many)?;
        self.refusal.get_or_insert_with(|| {
            let names: Vec<_> = needed.iter().filter_map(|controller| controller.v2_name()).collect();
            Error::new(ErrorKind::LimitUnavailable, format!("make a cgroup with the controllers {}", names.join(", ")))
                .because(format!("they are on neither in {} nor above", own.display()))
                .at(own)
                .hint("turn them on in a cgroup that is the caller's, and name that (Sandbox::cgroup or SECLUDE_CGROUP)")
        });
        Ok(())
    }

    fn make_v2(&mut self, parent: &Path, many: bool) -> Result<()> {
        self.cgroup.v2 = self.unless_refused(V2::make(parent, many))?;
        Ok(())
    }

    /// What was made, or nothing where the host does not let the caller make it, and why. That the
    /// caller was short of something at that moment says nothing about the host: that is an
    /// error.
    fn unless_refused<T>(&mut self, made: Result<T>) -> Result<Option<T>> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(error) if error.kind() == ErrorKind::HostLimit => Err(error),
            Err(error) => {
                self.refusal = Some(error);
                Ok(None)
            }
        }
    }

    /// One hierarchy may have several controllers.
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
        let made = self.unless_refused(made)?;
        self.cgroup.v1.extend(made.map(|directory| (directory, hierarchy.controllers.clone())));
        Ok(())
    }
}

impl Cgroup {
    /// Has systemd put the process `pid` into a scope, and moves it into a directory of ours in
    /// there that has the controllers.
    pub fn enter_scope(&mut self, pid: i32, needed: &[Controller], many: bool) -> Result<()> {
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
            |systemd::Refusal { cause, hint, shortage }| match shortage {
                Some(errno) => refused(cause, hint).errno(errno),
                None => refused(cause, hint),
            },
        )?;
        let parent = hierarchy.mount.join(scope.strip_prefix("/").unwrap_or(&scope));
        let directory = Directory::make(&parent)?;
        // The scope gives its controllers on only once no process is directly in it.
        directory.write("cgroup.procs", &pid.to_string())?;
        turn_on(&parent, needed)?;
        let v2 = V2::new(directory, &parent)?;
        self.v2 = Some(if many { v2.for_many(Some(pid))? } else { v2 });
        Ok(())
    }
}

/// A directory below the one that the caller named.
fn below_named(parent: &Path, needed: &[Controller], many: bool) -> Result<V2> {
    let refused = |cause: &str| {
        Error::new(ErrorKind::LimitUnavailable, format!("use the cgroup {}", parent.display()))
            .because(cause)
            .at(parent)
            .hint("name a directory of a mounted cgroup v2 hierarchy (Sandbox::cgroup or SECLUDE_CGROUP)")
    };
    if !parent.is_dir() {
        return Err(refused("there is no such directory"));
    }
    if !is_v2(parent) {
        return Err(refused("it is no cgroup of version 2"));
    }
    turn_on(parent, needed)?;
    V2::make(parent, many)
}

/// Has `parent` give these controllers to what is below it, those that it has.
fn turn_on(parent: &Path, needed: &[Controller]) -> Result<()> {
    let available = fs::read_to_string(parent.join("cgroup.controllers"))
        .map_err(|error| failed("read", &parent.join("cgroup.controllers"), &error))?;
    let on = given(parent)?;
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

/// The controllers that are on in what is made below `parent`.
fn given(parent: &Path) -> Result<Vec<Controller>> {
    const V2: [Controller; 5] =
        [Controller::Memory, Controller::Cpu, Controller::Cpuset, Controller::Pids, Controller::Io];
    let path = parent.join("cgroup.subtree_control");
    let text = match fs::read_to_string(&path) {
        // Nothing can be made in a cgroup that is gone or that the caller may not look into.
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

/// In v1, before Linux 5.11, a directory's memory limit bounds what is below it only if that has
/// been said before there is any.
pub fn bound_what_is_below(directory: &Directory) -> Result<()> {
    match directory.text("memory.use_hierarchy")?.trim() {
        "0" => directory.write("memory.use_hierarchy", "1"),
        _ => Ok(()),
    }
}

/// In v1 a new cpuset is empty, and takes no process before it is filled.
fn inherit_cpuset(directory: &Directory, parent: &Path) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = parent.join(file);
        let text = fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))?;
        directory.write(file, text.trim())?;
    }
    Ok(())
}
