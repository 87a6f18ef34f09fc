//! Checks sandboxes as a whole: the default one, the smallest, the id mapping, the warden, and the
//! mounts.

use super::Check;
use super::probe::{self, RunningProbe};
use crate::base::error::{Error, ErrorKind, Result};
use crate::plan::idmap::Mapping;
use crate::policy::outcome::Protection;
use crate::policy::{Ids, Isolation, Overlay};
use crate::run::sandbox::Sandbox;
use crate::wire::plan::IdRange;
use std::fs;

pub const DEFAULT: &str = "sandbox";
pub const EMPTY_ROOT: &str = "sandbox.empty-root";

/// The protections that a default sandbox does not have, or that other checks cover. Its clocks are
/// the caller's, and its pid namespace kills what is inside. Landlock and the ids have their own
/// checks.
const NOT_BY_DEFAULT: [Protection; 9] = [
    Protection::OtherUser,
    Protection::TimeNamespace,
    Protection::KillByWarden,
    Protection::KillByCgroup,
    Protection::KillByGroup,
    Protection::LandlockFiles,
    Protection::LandlockSignals,
    Protection::LandlockSockets,
    Protection::LandlockPorts,
];

pub fn checks() -> Vec<Check> {
    vec![
        default(),
        empty_root(),
        confined(),
        ids(),
        warden(),
        modern_mounts(),
        classic_mounts(),
        overlays(),
    ]
}

fn default() -> Check {
    let outcome = match probe::run(&probe::within(Sandbox::new())) {
        Ok(outcome) => outcome,
        Err(error) => return Check::missing(DEFAULT, &error),
    };
    let lost: Vec<&str> = Protection::ALL
        .iter()
        .filter(|protection| {
            !NOT_BY_DEFAULT.contains(protection) && !outcome.enforced.contains(**protection)
        })
        .map(|protection| protection.name())
        .collect();
    match lost.as_slice() {
        [] => Check::works(DEFAULT, "every protection of the default policy is in force"),
        ["no-groups"] => Check::weaker(
            DEFAULT,
            "without no-groups",
            "the kernel lets no unprivileged caller drop its supplementary groups: what they may \
            read, the command may",
        )
        .or_remedy(
            "start from a user without supplementary groups (setpriv --clear-groups), or as root",
        ),
        lost => Check::weaker(
            DEFAULT,
            format!("without {}", lost.join(", ")),
            "this kernel did not grant them",
        )
        .or_remedy("a newer kernel, or a surrounding container that filters less"),
    }
}

fn empty_root() -> Check {
    match probe::run(&probe::smallest()) {
        Ok(_) => Check::works(EMPTY_ROOT, "nothing of the host's files is needed"),
        Err(error) => Check::missing(EMPTY_ROOT, &error),
    }
}

/// Checks what would hold a command if the host denied namespaces.
fn confined() -> Check {
    const NAME: &str = "sandbox.confined";
    let sandbox = Sandbox::new().best_effort(Isolation::Namespaces).best_effort(Isolation::Signals);
    let started = sandbox.as_where_namespaces_are_denied().and_then(|sandbox| sandbox.cell());
    match started.map(|cell| cell.enforced()) {
        Ok(enforced) if enforced.contains(Protection::LandlockSignals) => {
            Check::works(NAME, "best_effort: namespaces, where they are denied")
        }
        Ok(_) => Check::weaker(
            NAME,
            "best_effort: namespaces and signals, where they are denied",
            "Landlock of this kernel does not keep signals inside",
        )
        .or_remedy("Linux 6.12: docs/confined.md"),
        Err(error) => Check::missing(NAME, &error),
    }
}

/// The subordinate ids that a sandbox of this caller's can have: the last one inside, and the first
/// one outside.
fn subordinate() -> Option<(u32, u32)> {
    let sandbox = probe::smallest().uid(0).gid(0).ids(Ids::Range);
    let Ok(Mapping::Subordinate(ids)) = Mapping::choose(sandbox.policy()) else { return None };
    probe::run(&sandbox).ok().map(|_| (ids.uids.count, ids.uids.outside))
}

/// Checks which host ids the ids inside map to.
fn ids() -> Check {
    const NAME: &str = "ids";
    let sandbox = probe::smallest();
    match Mapping::choose(sandbox.policy())
        .and_then(|mapping| probe::run(&sandbox).map(|_| mapping))
    {
        Ok(Mapping::Range { uids: IdRange { inside, outside, count }, .. }) => {
            let last = count - 1;
            Check::works(
                NAME,
                format!(
                    "{inside} to {} inside are {outside} to {} outside",
                    inside + last,
                    outside + last
                ),
            )
        }
        Ok(
            Mapping::Own
            | Mapping::Same
            | Mapping::Subordinate(_)
            | Mapping::Unchanged { .. }
            | Mapping::Shared { .. }
            | Mapping::Joined,
        ) => match subordinate() {
            Some((last, outside)) => Check::works(
                NAME,
                format!(
                    "one user and one group inside, or with ids = range also 1 to {last}, which are \
                    {outside} and the following outside"
                ),
            ),
            None => one_id(),
        },
        Err(error) => Check::missing(NAME, &error),
    }
}

fn one_id() -> Check {
    Check::weaker(
            "ids",
            "one user and one group inside, the caller's own outside",
            "only a caller with CAP_SETUID and CAP_SETGID may map other ids than its own, and \
            only those that its user namespace has",
        )
        .or_remedy(
            "have root give the caller subordinate ids (usermod --add-subuids, --add-subgids) and \
            install uidmap, or start as root, with more ids than one in /proc/self/uid_map: sandboxes then get ids \
            that are nobody's",
        )
}

/// Checks the file from which the warden is executed.
fn warden() -> Check {
    let installed = std::env::var_os("SECLUDE_WARDEN").filter(|path| !path.is_empty());
    let (name, detail) = match &installed {
        Some(path) => ("warden.installed", format!("executed from {}", path.display())),
        None => ("warden.memfd", "executed from memory".to_owned()),
    };
    match probe::run(&probe::smallest()) {
        Ok(_) => Check::works(name, detail),
        Err(error) => Check::missing(name, &error),
    }
}

fn modern_mounts() -> Check {
    const NAME: &str = "files.modern-mounts";
    match way_of_mounting() {
        Ok(true) => Check::works(NAME, "fsopen(2), mount_setattr(2)"),
        Ok(false) => Check::weaker(
            NAME,
            "mount(2)",
            "this kernel, or the filter of a surrounding container, lacks mount_setattr(2)",
        )
        .or_remedy("Linux 5.12 has it; mount(2) creates the same mounts, more slowly"),
        Err(error) => Check::missing(NAME, &error),
    }
}

/// Whether the newer calls mounted the root. mount(2) requires a device name for it; the newer
/// calls leave it `none`.
fn way_of_mounting() -> Result<bool> {
    let running = RunningProbe::start(&probe::smallest())?;
    let path = format!("/proc/{}/mountinfo", running.child.id());
    let text =
        fs::read_to_string(&path).map_err(|error| Error::io(format!("read {path}"), error))?;
    running.release()?;
    // 36 35 0:50 / / ro,nosuid - tmpfs none rw
    let root = text.lines().find(|line| line.split(' ').nth(4) == Some("/"));
    let device = root.and_then(|line| line.split_once(" - ")?.1.split(' ').nth(1));
    let device = device.ok_or_else(|| {
        Error::new(ErrorKind::Setup, format!("read {path}")).because("there is no root in it")
    })?;
    Ok(device == "none")
}

/// Checks whether a directory can be changed in memory. `/usr` stands for any: it need not be the
/// caller's.
fn overlays() -> Check {
    const NAME: &str = "files.overlays";
    match probe::run(&probe::smallest().entry(Overlay::new(["/usr"], "/overlay"))) {
        Ok(_) => Check::works(NAME, "directories that a program changes in memory"),
        Err(error) => Check::missing(NAME, &error),
    }
}

fn classic_mounts() -> Check {
    const NAME: &str = "files.classic-mounts";
    match probe::run(&probe::smallest().classic_mounts()) {
        Ok(_) => Check::works(NAME, "mount(2) alone, as on kernels before 5.12"),
        Err(error) => Check::missing(NAME, &error),
    }
}
