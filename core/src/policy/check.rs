//! What no policy may say. Each refusal names the part and the value, before anything starts.

mod limits;

use super::{Bind, Entry, HOST_IDS, Namespace, Policy, System, Tmpfs};
use crate::base::error::{Error, Result};
use crate::policy::seccomp::Seccomp;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// The kernel's longest path, with its NUL.
const PATH_MAX: usize = 4096;
/// The kernel's longest host and domain name (`uname(2)`).
const NAME_MAX: usize = 64;
/// A tmpfs is counted in pages.
const TMPFS_MAX: u64 = i64::MAX as u64;

impl Policy {
    /// Refuses what makes no sense.
    pub fn check(&self) -> Result<()> {
        self.check_namespaces()?;
        self.check_identity()?;
        self.check_files()?;
        self.check_terminals()?;
        self.check_etc()?;
        for (resource, (soft, hard)) in &self.rlimits {
            if soft > hard {
                return Err(Error::invalid(
                    format!("rlimit {resource}"),
                    format!("the soft limit {soft} is above the hard limit {hard}"),
                ));
            }
        }
        self.check_filters()?;
        if let Some(cgroup) = &self.cgroup {
            check_text("cgroup", cgroup)?;
            if !cgroup.is_absolute() {
                return Err(Error::invalid(
                    format!("cgroup {}", cgroup.display()),
                    "must be absolute",
                )
                .at(cgroup));
            }
        }
        self.limits.check()
    }

    fn check_filters(&self) -> Result<()> {
        if !self.landlock && (self.tcp_bind.is_some() || self.tcp_connect.is_some()) {
            return Err(Error::invalid(
                "TCP ports",
                "are held by Landlock, which the policy turns off",
            ));
        }
        const INSTRUCTION: usize = 8;
        const INSTRUCTIONS_MAX: usize = 4096;
        self.seccomp.as_ref().map_or(Ok(()), Seccomp::check)?;
        for program in &self.seccomp_bpf {
            let count = program.len() / INSTRUCTION;
            if !program.len().is_multiple_of(INSTRUCTION)
                || !(1..=INSTRUCTIONS_MAX).contains(&count)
            {
                return Err(Error::invalid(
                    format!("seccomp program of {} bytes", program.len()),
                    format!(
                        "it must be 1 to {INSTRUCTIONS_MAX} instructions of {INSTRUCTION} bytes (struct sock_filter)"
                    ),
                ));
            }
        }
        Ok(())
    }

    fn check_namespaces(&self) -> Result<()> {
        if let Some(kind) = self.share.intersection(&self.unshare).next() {
            return Err(Error::invalid(format!("{kind} namespace"), "both shared and unshared"));
        }
        let own = !self.share.contains(&Namespace::Time) && !self.joined.contains(&Namespace::Time);
        if !own && !self.clock_offsets.is_empty() {
            return Err(Error::invalid(
                "clock offset",
                format!("the time namespace is {}", self.whose(Namespace::Time)),
            ));
        }
        for (clock, seconds) in &self.clock_offsets {
            if seconds.checked_mul(1_000_000_000).is_none() {
                return Err(Error::invalid(
                    format!("{clock} offset"),
                    format!("{seconds} s is more than the kernel's clocks count"),
                ));
            }
        }
        for (what, name) in [("host name", &self.hostname), ("domain name", &self.domainname)] {
            let Some(name) = name else { continue };
            if !self.private(Namespace::Uts) {
                return Err(Error::invalid(
                    format!("{what} {name}"),
                    format!("the uts namespace is {}", self.whose(Namespace::Uts)),
                ));
            }
            if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') {
                let length = name.len();
                return Err(Error::invalid(
                    format!("{what} {name:?}"),
                    format!("it has {length} bytes, and must have 1 to {NAME_MAX} and no NUL"),
                ));
            }
        }
        if self.share.contains(&Namespace::User) && !self.nested {
            return Err(Error::invalid(
                "user namespace",
                "shared with the caller, nested user namespaces cannot be turned off",
            )
            .hint("allow nested user namespaces explicitly"));
        }
        if self.terminals == Some(true) && !self.private(Namespace::Mount) {
            return Err(Error::invalid(
                "terminals",
                format!(
                    "the mount namespace is {}, and its terminals are those that it has",
                    self.whose(Namespace::Mount)
                ),
            ));
        }
        if !self.private(Namespace::Mount)
            && (!self.files.is_empty() || self.system != System::Host || self.etc.is_some())
        {
            return Err(Error::invalid(
                "files",
                format!(
                    "the mount namespace is {}, so its files cannot be changed",
                    self.whose(Namespace::Mount)
                ),
            ));
        }
        Ok(())
    }

    /// Whose a namespace is that is not the sandbox's own.
    fn whose(&self, kind: Namespace) -> &'static str {
        if self.joined.contains(&kind) { "joined" } else { "shared with the caller" }
    }

    /// Whose terminals are its own has them at their usual places.
    fn check_terminals(&self) -> Result<()> {
        match self.instead_of_terminals().filter(|_| self.terminals == Some(true)) {
            Some(entry) => Err(Error::invalid(
                format!("{}", entry.at().display()),
                "the policy puts something else there, and asks for terminals, which are there",
            )
            .at(entry.at())),
            None => Ok(()),
        }
    }

    /// Names in `/etc` lead nowhere else.
    fn check_etc(&self) -> Result<()> {
        let Some(names) = &self.etc else { return Ok(()) };
        if self.system != System::Host {
            return Err(Error::invalid(
                "etc",
                "the programs are not the host's, and so nothing of the host's /etc is shown",
            )
            .hint("bind what is to be there"));
        }
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..") && !part.contains('\0') && part.len() <= 255
        };
        let patterned =
            |name: &str| name.rsplit_once('/').is_some_and(|(parent, _)| parent.contains('*'));
        match names.iter().find(|name| !name.split('/').all(plain) || patterned(name)) {
            Some(name) => Err(Error::invalid(format!("etc {name:?}"), "it is no name in /etc")
                .hint("a name like ssl/certs, in whose last part a * stands for any characters")),
            None => Ok(()),
        }
    }

    fn check_identity(&self) -> Result<()> {
        for (what, id) in [("uid", self.uid), ("gid", self.gid)] {
            if id == u32::MAX {
                return Err(Error::invalid(
                    format!("{what} {id}"),
                    "this number means no id at all",
                ));
            }
        }
        if let Some(first) =
            self.host_ids.filter(|first| *first == 0 || first.checked_add(HOST_IDS).is_none())
        {
            return Err(Error::invalid(
                format!("host ids from {first}"),
                format!("the range of {HOST_IDS} must lie between 1 and {}", u32::MAX - 1),
            ));
        }
        let plain = |text: &[u8]| {
            !text.is_empty() && !text.iter().any(|byte| matches!(byte, b':' | b'\n' | 0))
        };
        if !plain(self.user.as_bytes()) || self.user.contains('/') {
            return Err(Error::invalid(
                format!("user {:?}", self.user),
                "a user's name is not empty and has no colon, slash, newline or NUL",
            ));
        }
        check_inside("home", &self.home)?;
        if !plain(self.home.as_os_str().as_bytes()) {
            return Err(Error::invalid(
                format!("home {:?}", self.home),
                "a home directory's name has no colon and no newline",
            ));
        }
        Ok(())
    }

    fn check_files(&self) -> Result<()> {
        if let System::Root(root) = &self.system {
            check_text("root", root)?;
        }
        if let Some(warden) = &self.warden {
            check_text("warden", warden)?;
        }
        let mut seen: BTreeMap<&Path, &Entry> = BTreeMap::new();
        for entry in &self.files {
            let at = entry.at();
            check_inside("destination", at)?;
            if at == Path::new("/") {
                return Err(Error::invalid("destination /", "the root is the sandbox's own")
                    .hint("name a root directory of your own instead")
                    .at(at));
            }
            check_entry(entry)?;
            if at == Path::new("/proc") && !self.private(Namespace::Pid) {
                return Err(Error::invalid(
                    "destination /proc",
                    "with a shared pid namespace the warden needs the caller's /proc to end what is inside",
                )
                .at(at));
            }
            if seen.insert(at, entry).is_some() {
                return Err(Error::invalid(format!("destination {}", at.display()), "given twice")
                    .hint("leave out one of the entries there")
                    .at(at));
            }
        }
        for entry in &self.files {
            for parent in entry.at().ancestors().skip(1) {
                if let Some(Entry::File { .. } | Entry::Symlink { .. }) = seen.get(parent) {
                    return Err(Error::invalid(
                        format!("destination {}", entry.at().display()),
                        format!("{} is not a directory", parent.display()),
                    )
                    .at(entry.at()));
                }
            }
        }
        Ok(())
    }
}

fn check_entry(entry: &Entry) -> Result<()> {
    let at = entry.at();
    let mode = match entry {
        Entry::Bind(Bind { source, .. }) => {
            check_text("source", source)?;
            0
        }
        Entry::Symlink { target, .. } => {
            check_text("symlink target", target)?;
            0
        }
        Entry::Tmpfs(Tmpfs { size, inodes, mode, .. }) => {
            for (what, value) in [("size", size), ("number of inodes", inodes)] {
                match value {
                    Some(0) => {
                        return Err(Error::invalid(
                            format!("{what} of tmpfs {}", at.display()),
                            "zero",
                        )
                        .at(at));
                    }
                    Some(value) if *value > TMPFS_MAX => {
                        return Err(Error::invalid(
                            format!("{what} of tmpfs {}", at.display()),
                            format!("{value} is above what the kernel takes"),
                        )
                        .at(at));
                    }
                    _ => {}
                }
            }
            *mode
        }
        Entry::Dir { mode, .. } | Entry::File { mode, .. } => *mode,
    };
    if mode > 0o7777 {
        return Err(Error::invalid(
            format!("mode of {}", at.display()),
            format!("{mode:#o} is above 0o7777"),
        )
        .at(at));
    }
    Ok(())
}

/// A path that is handed to the kernel as it is.
fn check_text(what: &str, path: &Path) -> Result<()> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(Error::invalid(what, "empty"));
    }
    if bytes.contains(&0) {
        return Err(Error::invalid(format!("{what} {path:?}"), "contains a NUL byte"));
    }
    if bytes.len() >= PATH_MAX {
        return Err(Error::invalid(
            format!("{what} of {} bytes", bytes.len()),
            format!("the kernel's limit is {}", PATH_MAX - 1),
        ));
    }
    Ok(())
}

/// A path inside: absolute, and what it says.
pub fn check_inside(what: &str, path: &Path) -> Result<()> {
    check_text(what, path)?;
    if !path.is_absolute() {
        return Err(Error::invalid(format!("{what} {}", path.display()), "must be absolute")
            .hint(format!("it is a path inside the sandbox, such as /{}", path.display()))
            .at(path));
    }
    let dots = path
        .as_os_str()
        .as_bytes()
        .split(|byte| *byte == b'/')
        .any(|name| name == b"." || name == b"..");
    if dots || path.components().any(|component| component == Component::ParentDir) {
        return Err(Error::invalid(
            format!("{what} {}", path.display()),
            "must not contain \".\" or \"..\"",
        )
        .at(path));
    }
    Ok(())
}
