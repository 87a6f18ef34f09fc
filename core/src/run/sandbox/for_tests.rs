//! The sandbox for the caller's own tests: the host's files, and everything else private.

use super::Sandbox;
use crate::base::error::{Error, Result};
use crate::plan::idmap;
use crate::policy::entries::{Symlink, Tmpfs};
use crate::policy::seccomp::Profile;
use crate::policy::{Bind, Entry};
use nix::unistd::gethostname;
use std::fs;
use std::path::Path;

/// The top-level directories of which the sandbox has its own, or a view of its own.
const NOT_BOUND: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];
/// The files that a sandbox has of its own, unless the policy has an entry at that very path.
const OWN_FILES: [&str; 3] = ["/etc/passwd", "/etc/group", "/etc/hosts"];
/// The directories that are private and empty.
const SCRATCH: [&str; 3] = ["/tmp", "/run", "/dev/shm"];

impl Sandbox {
    /// Returns a sandbox for the caller's own tests: programs that it trusts, but that must not
    /// disturb each other or the machine.
    ///
    /// - The files are the host's, at the same paths and with the same rights. `/sys` is read-only.
    /// - `/tmp`, `/run` and `/dev/shm` are private and empty. The exception is the working
    ///   directory: if it is one of them or lies below one, it is visible at its path. To show a
    ///   program that lies below one: [`testing::showing`](crate::testing::showing).
    /// - The network is private, with a loopback device that is up. So are the process tree, IPC
    ///   objects, the host name (which starts as the host's) and the view of cgroups.
    /// - The command is the caller's user and group, inside and outside ([`Sandbox::as_caller`]),
    ///   without capabilities.
    /// - Filters stop nothing that a test may do, and user namespaces can be nested. This is
    ///   isolation of tests, not protection from a hostile program.
    ///
    /// Processes that a test leaves behind are killed when it ends. The result is a policy like any
    /// other, and each setting can be changed.
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// let mut test = seclude::Sandbox::for_tests()?.command("sh");
    /// test.args(["-c", "echo $$ > /run/server.pid && ls /run"]);
    /// assert_eq!(test.output()?.stdout, b"server.pid\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// An error if the root directory cannot be listed, or the working directory is not known.
    pub fn for_tests() -> Result<Sandbox> {
        let (uid, gid) = idmap::callers();
        let current = std::env::current_dir()
            .map_err(|error| Error::io("find the working directory", error))?;
        let mut sandbox = Sandbox::new()
            .as_caller()
            .uid(uid)
            .gid(gid)
            .nested()
            .no_landlock()
            .seccomp(Profile::Unconfined)
            .etc([] as [String; 0]);
        if let Some(name) = gethostname().ok().and_then(|name| name.into_string().ok()) {
            sandbox = sandbox.hostname(name);
        }
        for entry in top_level()? {
            sandbox = sandbox.entry(entry);
        }
        for own in OWN_FILES {
            sandbox = sandbox.bind(Bind::new(own, own).writable().optional());
        }
        sandbox = sandbox.bind(Bind::new("/sys", "/sys").optional());
        for place in SCRATCH.map(Path::new) {
            sandbox = if place == current {
                sandbox.bind_rw(place, place)
            } else {
                sandbox.entry(Tmpfs::new(place))
            };
        }
        if SCRATCH.iter().any(|place| current.starts_with(place) && current != Path::new(place)) {
            sandbox = sandbox.bind_rw(&current, &current);
        }
        Ok(sandbox)
    }
}

/// The entries of the host's root directory: links as links, everything else as writable binds.
fn top_level() -> Result<Vec<Entry>> {
    let failed = |error| Error::io("list the directory /", error).at("/");
    let mut entries = Vec::new();
    for listed in fs::read_dir("/").map_err(failed)? {
        let listed = listed.map_err(failed)?;
        if NOT_BOUND.iter().any(|name| listed.file_name() == *name) {
            continue;
        }
        let at = listed.path();
        entries.push(if listed.file_type().map_err(failed)?.is_symlink() {
            let target = fs::read_link(&at)
                .map_err(|error| Error::io("read a link", error).at(at.clone()))?;
            Symlink::new(target, at).into()
        } else {
            // Something in `/` can vanish before the start, such as an ended automount.
            Bind::new(&at, &at).writable().optional().into()
        });
    }
    Ok(entries)
}
