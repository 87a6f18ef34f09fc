//! The steps that make the file system: parents before children, and closed at the end.

use super::{Builder, Sources, c_string, defaults, path_of};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::profile;
use crate::policy::{Entry, Namespace, Policy, System, Tmpfs};
use crate::wire::codec::ListBuilder;
use crate::wire::plan::{Step, attribute};
use std::ffi::{CStr, CString};
use std::path::Path;

impl Builder {
    /// `hide`: nobody sees the warden in `/proc`, nor processes that it may not look into.
    pub(super) fn files(&mut self, policy: &Policy, sources: &Sources, hide: bool) -> Result<()> {
        self.push(Step::PrivateMounts {}, "cut the mounts off from the caller's");
        self.push(
            Step::Root { size: profile::ROOT_SIZE, inodes: 0 },
            "mount a tmpfs as the new root",
        );
        self.system(policy, sources)?;
        let own: Vec<&Path> = policy.files.iter().map(Entry::at).collect();
        let given = |path: &CStr| own.contains(&path_of(path));
        // What the policy puts at one of these places is no directory beside it.
        for path in profile::DIRECTORIES.iter().copied().filter(|path| !given(path)) {
            self.push_at(
                Step::Directory { at: path, mode: 0o755 },
                format!("make the directory {}", path.to_string_lossy()),
                path_of(path),
            );
        }
        for (index, (_, at, _, _)) in
            super::devices(policy).enumerate().filter(|(_, (_, at, _, _))| !given(at))
        {
            // Read-only keeps a device's owner from changing its mode or times on the host. Writing
            // to the device itself goes on: the kernel asks a mount that only for
            // regular files.
            let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_EXEC;
            self.push_at(
                Step::Bind { source: sources.devices[index], at, attributes },
                format!("bind the device {}", at.to_string_lossy()),
                path_of(at),
            );
        }
        let to_terminals = policy.has_terminals().then_some(&profile::TERMINAL_LINK);
        for (at, target) in
            profile::DEVICE_LINKS.iter().chain(to_terminals).filter(|(at, _)| !given(at))
        {
            self.push_at(
                Step::Symlink { at, target },
                format!("link {}", at.to_string_lossy()),
                path_of(at),
            );
        }
        if policy.has_terminals() {
            self.terminals();
        }
        if !given(c"/proc") {
            self.proc(sources, hide);
        }
        self.entries(policy, sources, |_| true)?;
        self.names_inside(policy, &given);
        Ok(())
    }

    /// Shows what the host, or another root, has. What the policy puts at the very place of an
    /// entry stands there instead of it.
    fn system(&mut self, policy: &Policy, sources: &Sources) -> Result<()> {
        if let (Some(source), System::Root(root)) = (sources.system, &policy.system) {
            self.show(
                policy,
                source,
                Path::new("/"),
                &[],
                profile::NOT_FROM_ROOT,
                format!("show the entries of {}", root.display()),
            )?;
            self.name_source(root);
            return Ok(());
        }
        if let Some(source) = sources.system {
            self.show(
                policy,
                source,
                Path::new("/"),
                profile::SYSTEM,
                &[],
                "show the host's programs in /".into(),
            )?;
        }
        for (source, directory, names) in &sources.etc {
            // Something else stands in the directory's place.
            if policy
                .files
                .iter()
                .any(|entry| entry.at() != Path::new("/") && directory.starts_with(entry.at()))
            {
                continue;
            }
            let names: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
            self.show(
                policy,
                *source,
                directory,
                &names,
                &[],
                format!("show the host's programs in {}", directory.display()),
            )?;
        }
        Ok(())
    }

    /// The entries of a source at `at`: these, or if there are none, all; but those that are left
    /// out, and those that the policy has.
    fn show(
        &mut self,
        policy: &Policy,
        source: u32,
        at: &Path,
        names: &[&CStr],
        left_out: &[&CStr],
        action: String,
    ) -> Result<()> {
        let own = policy.files.iter().map(Entry::at).filter(|place| place.parent() == Some(at));
        let own = own
            .filter_map(Path::file_name)
            .map(|name| c_string(Path::new(name)))
            .collect::<Result<Vec<CString>>>()?;
        let (mut list, mut except) = (ListBuilder::new(Vec::new()), ListBuilder::new(Vec::new()));
        names.iter().for_each(|name| list.push(name));
        left_out
            .iter()
            .copied()
            .chain(own.iter().map(CString::as_c_str))
            .for_each(|name| except.push(&name));
        let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV;
        let step = Step::Populate {
            source,
            at: &c_string(at)?,
            names: list.list(),
            except: except.list(),
            attributes,
        };
        self.push_at(step, action, at);
        Ok(())
    }

    pub(super) fn terminals(&mut self) {
        self.push_at(
            Step::Terminals { at: profile::TERMINALS },
            "mount a devpts on /dev/pts",
            path_of(profile::TERMINALS),
        );
    }

    pub(super) fn proc(&mut self, sources: &Sources, hide: bool) {
        let (step, action) = match sources.proc {
            // A proc of the caller's pid namespace can be mounted by its owner only: the caller's
            // own is shown.
            Some(source) => (
                Step::Bind {
                    source,
                    at: c"/proc",
                    attributes: attribute::NO_SUID | attribute::NO_DEV | attribute::NO_EXEC,
                },
                "bind the caller's /proc",
            ),
            None => (Step::Proc { at: c"/proc", hide }, "mount a fresh /proc"),
        };
        self.push_at(step, action, Path::new("/proc"));
    }

    /// Those of the policy's entries that are `chosen`, parents before children.
    pub(super) fn entries(
        &mut self,
        policy: &Policy,
        sources: &Sources,
        chosen: impl Fn(&Entry) -> bool,
    ) -> Result<()> {
        let mut binds = sources.binds.iter();
        let mut steps: Vec<(&Entry, Option<u32>)> = Vec::new();
        for entry in policy.files.iter().filter(|entry| chosen(entry)) {
            let source = entry.bind().and_then(|_| binds.next()).map(|(number, _)| *number);
            steps.push((entry, source));
        }
        if binds.next().is_some() {
            return Err(internal("bind what has been opened", "there are more sources than binds"));
        }
        steps.sort_by_key(|(entry, _)| entry.at().components().count());
        steps.into_iter().try_for_each(|(entry, source)| self.entry(entry, source))
    }

    /// One thing that the policy puts into the file system; `source` is that of a bind.
    fn entry(&mut self, entry: &Entry, source: Option<u32>) -> Result<()> {
        let place = entry.at();
        let at = &*c_string(place)?;
        let shown = place.display();
        match entry {
            Entry::Bind(bind) => {
                let action = format!("bind {} on {shown}", bind.source.display());
                // Left out, it would leave in sight what it is to cover.
                let source =
                    source.ok_or_else(|| internal(&action, "its source has not been opened"))?;
                let when = |condition: bool, bits: u64| if condition { bits } else { 0 };
                let attributes = attribute::NO_SUID
                    | when(!bind.writable, attribute::READ_ONLY)
                    | when(bind.noexec, attribute::NO_EXEC)
                    | when(!bind.devices, attribute::NO_DEV);
                self.push_at(Step::Bind { source, at, attributes }, action, place);
            }
            Entry::Tmpfs(Tmpfs { size, inodes, mode, noexec, .. }) => {
                let attributes = attribute::NO_SUID
                    | attribute::NO_DEV
                    | if *noexec { attribute::NO_EXEC } else { 0 };
                let step = Step::Tmpfs {
                    at,
                    size: size.unwrap_or(0),
                    inodes: inodes.unwrap_or(0),
                    mode: *mode,
                    attributes,
                };
                self.push_at(step, format!("mount a tmpfs on {shown}"), place);
            }
            Entry::Dir { mode, .. } => self.push_at(
                Step::Directory { at, mode: *mode },
                format!("make the directory {shown}"),
                place,
            ),
            Entry::Symlink { target, .. } => {
                let step = Step::Symlink { at, target: &c_string(target)? };
                self.push_at(step, format!("link {shown} to {}", target.display()), place);
            }
            Entry::File { data, mode, .. } => {
                self.push_at(
                    Step::File { at, mode: *mode, data, optional: false },
                    format!("write the file {shown}"),
                    place,
                );
            }
        }
        Ok(())
    }

    /// The user and the host have names inside.
    fn names_inside(&mut self, policy: &Policy, given: &impl Fn(&CStr) -> bool) {
        let Policy { uid, gid, user, .. } = policy;
        let (home, root) = (
            policy.home.to_string_lossy(),
            if *uid == 0 { "" } else { "root:x:0:0:root:/:/bin/sh\n" },
        );
        let passwd = format!(
            "{root}{user}:x:{uid}:{gid}:{user}:{home}:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
        );
        let root = if *gid == 0 { "" } else { "root:x:0:\n" };
        let group = format!("{root}{user}:x:{gid}:\nnogroup:x:65534:\n");
        // With a shared network the host's own is there.
        let hosts =
            policy.private(Namespace::Net).then(|| (c"/etc/hosts", defaults::hosts(policy)));
        for (at, text) in
            [(c"/etc/passwd", passwd), (c"/etc/group", group)].into_iter().chain(hosts)
        {
            if !given(at) {
                self.push_at(
                    Step::File { at, mode: 0o644, data: text.as_bytes(), optional: true },
                    format!("write the file {}", at.to_string_lossy()),
                    path_of(at),
                );
            }
        }
    }

    /// Closes what in `/proc` is the whole machine's, once the last mount point has been made.
    /// `null`: the source that is `/dev/null`.
    pub(super) fn close_proc(&mut self, policy: &Policy, null: u32) {
        let own_proc = !policy.files.iter().any(|entry| entry.at() == Path::new("/proc"));
        if own_proc && !policy.nested {
            let list = |paths: &[&'static CStr]| {
                let mut list = ListBuilder::new(Vec::new());
                for path in paths {
                    list.push(path);
                }
                list
            };
            let (masked, read_only) = (list(profile::MASKED), list(profile::READ_ONLY));
            self.push(
                Step::ReadOnly { paths: read_only.list() },
                "make the knobs in /proc read-only",
            );
            self.push(Step::Mask { paths: masked.list(), null }, "mask the lists in /proc");
        }
    }

    pub(super) fn close_root(&mut self, policy: &Policy) {
        self.push(Step::Pivot {}, "make the new root the root");
        if !policy.writable_root {
            self.push(Step::ReadOnlyRoot {}, "make the root read-only");
        }
    }
}

/// A plan that contradicts itself: the library's own fault, told instead of being carried out.
fn internal(action: &str, cause: &str) -> Error {
    Error::new(ErrorKind::Setup, action)
        .because(cause)
        .hint("this is a fault of seclude itself: report it with the policy")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sandbox;

    #[test]
    fn a_bind_without_its_source_is_an_error_and_so_is_a_source_without_its_bind() {
        let builder =
            || Builder { steps: ListBuilder::new(Vec::new()), labels: Vec::new(), sources: 0 };
        let source = |number| (number, std::path::PathBuf::from("/opt"));
        let (none, bound) = (Sandbox::new(), Sandbox::new().bind_ro("/opt", "/opt"));
        let entries = |sandbox: &Sandbox, binds| {
            let sources = Sources { binds, ..Sources::default() };
            builder().entries(sandbox.policy(), &sources, |_| true)
        };
        assert_eq!(entries(&bound, Vec::new()).unwrap_err().kind(), ErrorKind::Setup);
        assert_eq!(entries(&none, vec![source(0)]).unwrap_err().kind(), ErrorKind::Setup);
        entries(&bound, vec![source(0)]).unwrap();
        entries(&none, Vec::new()).unwrap();
    }
}
