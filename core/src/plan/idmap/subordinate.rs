//! The subordinate ids of an unprivileged caller: ids that the administrator has given it in
//! `/etc/subuid` and `/etc/subgid` (subuid(5)), and that newuidmap(1) and newgidmap(1) map.

use super::callers;
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::HOST_IDS;
use crate::wire::plan::IdRange;
use nix::unistd::{Uid, User, getuid};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The ids that are mapped: 0 inside is the caller, and those from 1 on are subordinate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subordinate {
    /// The caller's user and group.
    pub own: (u32, u32),
    pub uids: IdRange,
    pub gids: IdRange,
}

impl Subordinate {
    /// The subordinate ids of the caller.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if it has none, or nothing can map them.
    pub fn of_caller() -> Result<Subordinate> {
        let uids = range("/etc/subuid", "uids")?;
        let gids = range("/etc/subgid", "gids")?;
        helper("newuidmap")?;
        helper("newgidmap")?;
        Ok(Subordinate { own: callers(), uids, gids })
    }

    /// The lines of a map: the caller's own id, and the subordinate ones.
    pub fn lines(own: u32, range: IdRange) -> [IdRange; 2] {
        [IdRange { inside: 0, outside: own, count: 1 }, range]
    }

    /// The id outside for an id inside.
    pub fn outside(own: u32, range: IdRange, id: u32) -> Option<u32> {
        match id {
            0 => Some(own),
            id => {
                let place = id.checked_sub(range.inside).filter(|place| *place < range.count)?;
                range.outside.checked_add(place)
            }
        }
    }

    /// Has the maps of the process `pid` written.
    ///
    /// # Errors
    ///
    /// `NamespacesDenied` if the helpers refuse them.
    pub fn write(&self, pid: i32) -> Result<()> {
        map("newgidmap", pid, Self::lines(self.own.1, self.gids))?;
        map("newuidmap", pid, Self::lines(self.own.0, self.uids))
    }
}

/// Reads a list of subordinate ids. Returns the first range of the caller that is large enough, or
/// its largest one.
fn range(path: &str, what: &str) -> Result<IdRange> {
    let action = || format!("find the subordinate {what} of the caller");
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        text => text.map_err(|error| Error::io(action(), error).at(path))?,
    };
    let (user, name) = caller();
    find(&String::from_utf8_lossy(&text), user, name.as_deref()).ok_or_else(|| {
        let name = name.unwrap_or_else(|| user.to_string());
        Error::new(ErrorKind::NamespacesDenied, action())
            .because(format!("{path} has none for {name}"))
            .hint(format!(
                "have root give it some: usermod --add-sub{what} 100000-165535 {name}; or leave \
                the key ids out"
            ))
            .at(path)
    })
}

/// The caller's real user, whom the helpers look up, by number and name.
fn caller() -> (u32, Option<String>) {
    let user = getuid();
    (user.as_raw(), User::from_uid(Uid::from_raw(user.as_raw())).ok().flatten().map(|it| it.name))
}

fn find(text: &str, user: u32, name: Option<&str>) -> Option<IdRange> {
    const WANTED: u32 = HOST_IDS - 1;
    let line = |line: &str| {
        let mut fields = line.trim().split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
        let is_callers = Some(owner) == name || owner.parse() == Ok(user);
        (is_callers && first > 0 && count > 0 && first.checked_add(count).is_some())
            .then_some((first, count))
    };
    let ranges: Vec<(u32, u32)> = text.lines().filter_map(line).collect();
    let enough = ranges.iter().find(|(_, count)| *count >= WANTED);
    let (first, count) = *enough.or_else(|| ranges.iter().max_by_key(|(_, count)| *count))?;
    Some(IdRange { inside: 1, outside: first, count: count.min(WANTED) })
}

/// The path of a program that writes maps. It has privileges, so it is not looked up in a path that
/// the caller's environment names alone.
fn helper(name: &str) -> Result<PathBuf> {
    const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"];
    let places = PLACES.iter().map(|place| Path::new(place).join(name));
    places.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Error::new(ErrorKind::NamespacesDenied, format!("find {name}"))
            .because("it is not installed, and the kernel lets no other program map these ids")
            .hint("install it: the package uidmap or shadow-utils; or leave the key ids out")
    })
}

fn map(name: &str, pid: i32, lines: [IdRange; 2]) -> Result<()> {
    let path = helper(name)?;
    let mut command = Command::new(&path);
    command.arg(pid.to_string());
    for IdRange { inside, outside, count } in lines {
        command.args([inside, outside, count].map(|number| number.to_string()));
    }
    // The caller's environment and working directory are nothing to a program with privileges.
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    let failed = |error: Error| error.at(&path);
    let action = format!("map ids by {}", path.display());
    let output = match command.stderr(Stdio::piped()).output() {
        // The caller reaps all its children in another thread. The warden checks the maps.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
        output => output.map_err(|error| failed(Error::io(action.clone(), error)))?,
    };
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(failed(Error::new(ErrorKind::NamespacesDenied, action).because(why).hint(format!(
        "{} must have its set-user-ID bit or file capabilities, and the file system must not be \
        mounted nosuid",
        OsStr::new(name).display()
    ))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_by_name_and_by_number() {
        let text = "root:1:5\nada:100000:10\n1000:200000:65536\nada:300000:70000\nbad:x:1\n";
        let found = |user, name| find(text, user, name).map(|range| (range.outside, range.count));
        assert_eq!(found(1, Some("ada")), Some((300_000, 65_535)));
        assert_eq!(found(1000, None), Some((200_000, 65_535)));
        assert_eq!(found(7, Some("bob")), None);
        // Nothing maps the host's root.
        assert_eq!(find("ada:0:65536\n", 1, Some("ada")), None);
        assert_eq!(find("ada:4294967295:5\n", 1, Some("ada")), None);
    }
}
