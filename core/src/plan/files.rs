//! The steps that create the file system. Parents come before children, and the last steps make it
//! read-only.

use super::devices::size_of_memory;
use super::slices::OwnCgroups;
use super::sources::Layers;
use super::{Builder, Sources, c_string, defaults, path_of};
use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::entries::{Chmod, Dir, Entry, File, Mqueue, Overlay, Symlink, Tmpfs};
use crate::policy::profile;
use crate::policy::{Policy, System};
use crate::wire::codec::ListBuilder;
use crate::wire::plan::{NOT_KEPT, Step, attribute};
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};

/// The directory with the sandbox's own devices.
const DEVICES: &CStr = c"/dev";

impl Builder {
    /// All steps of the file system except the last ones, which restrict it. `hide`: `/proc` shows
    /// neither the warden nor processes that the reader may not inspect.
    pub(super) fn files(
        &mut self,
        policy: &Policy,
        sources: &Sources,
        hide: bool,
        cgroups: OwnCgroups,
    ) -> Result<()> {
        self.push(Step::PrivateMounts {}, "cut the mounts off from the caller's");
        if policy.exact_files {
            // It holds what the entries say, of which the policy alone knows the size.
            let size = size_of_memory(policy);
            let step = Step::Root { size, inodes: 0, anywhere: true };
            self.push(step, "mount a tmpfs as the new root");
            self.entries(policy, sources, cgroups, |_| true)?;
            self.first();
            return Ok(());
        }
        self.push(
            Step::Root { size: profile::ROOT_SIZE, inodes: 0, anywhere: false },
            "mount a tmpfs as the new root",
        );
        self.system(policy, sources)?;
        if let Some(overlay) = policy.root_overlay() {
            self.overlay(policy, overlay, Some(&sources.root_layers))?;
            // Other systems have device nodes there, which would not work, and links.
            let (size, attributes) = (profile::ROOT_SIZE, attribute::NO_SUID | attribute::NO_DEV);
            let step = Step::Tmpfs { at: DEVICES, size, inodes: 0, mode: 0o755, attributes };
            self.push_at(step, "mount a tmpfs on /dev", path_of(DEVICES));
        }
        let own: Vec<&Path> = policy.files.iter().map(Entry::at).collect();
        let given = |path: &CStr| own.contains(&path_of(path));
        // An entry of the policy with the same path replaces the directory.
        for path in profile::DIRECTORIES.iter().copied().filter(|path| !given(path)) {
            self.push_at(
                Step::Directory { at: path, mode: 0o755 },
                format!("make the directory {}", path.to_string_lossy()),
                path_of(path),
            );
        }
        for (index, (_, at, _, _)) in
            super::device_nodes(policy).enumerate().filter(|(_, (_, at, _, _))| !given(at))
        {
            // A read-only mount prevents changes to the mode and times of the host's device node.
            // Writing to the device still works, because the kernel checks this mount flag only for
            // regular files.
            let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_EXEC;
            self.push_at(
                Step::Bind { source: sources.devices[index], at, attributes, tree: false },
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
            self.proc(sources, c"/proc", hide, policy.proc_subset);
        }
        self.entries(policy, sources, cgroups, |entry| !entry.is_root())?;
        self.first();
        self.names_inside(policy, &given);
        Ok(())
    }

    /// Shows the programs of the host, or the entries of another root. An entry of the policy with
    /// the same path replaces an entry shown here.
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
            // An entry of the policy hides the directory.
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

    /// Shows entries of a source directory at `at`: those in `names`, or all if `names` is empty.
    /// The entries in `left_out` and those that the policy replaces are omitted.
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

    /// The entries of the policy that are `chosen`, parents before children. With `exact_files`,
    /// the policy says the order.
    ///
    /// # Errors
    ///
    /// `Setup` if the opened sources do not match the binds, which is a bug in this library.
    pub(super) fn entries(
        &mut self,
        policy: &Policy,
        sources: &Sources,
        cgroups: OwnCgroups,
        chosen: impl Fn(&Entry) -> bool,
    ) -> Result<()> {
        let (mut binds, mut layers) = (sources.binds.iter(), sources.layers.iter());
        let mut images = sources.disk_images.iter();
        let mut steps: Vec<(&Entry, Found<'_>)> = Vec::new();
        for entry in policy.files.iter().filter(|entry| chosen(entry)) {
            let found = match entry {
                Entry::Bind(_) => binds.next().map(|(number, _)| Found::Source(*number)),
                Entry::Overlay(_) => layers.next().map(Found::Layers),
                Entry::DiskImage(_) => images.next().map(|number| Found::Source(*number)),
                _ => None,
            };
            steps.push((entry, found.unwrap_or(Found::Nothing)));
        }
        if binds.next().is_some() || layers.next().is_some() || images.next().is_some() {
            return Err(internal("bind what has been opened", "there are more sources than binds"));
        }
        if !policy.exact_files {
            steps.sort_by_key(|(entry, _)| entry.at().components().count());
        }
        for (entry, found) in steps {
            match entry {
                Entry::Proc(_) => {
                    self.proc(sources, &c_string(entry.at())?, false, policy.proc_subset)
                }
                Entry::Dev(_) => self.devices_at(policy, sources, entry.at())?,
                Entry::Overlay(overlay) => self.overlay(policy, overlay, found.layers())?,
                Entry::Sys(_) => self.slices(policy, sources, entry.at(), cgroups)?,
                Entry::Bind(_)
                | Entry::Tmpfs(_)
                | Entry::DiskImage(_)
                | Entry::Mqueue(_)
                | Entry::ReadOnly(_)
                | Entry::Chmod(_)
                | Entry::Dir(_)
                | Entry::Symlink(_)
                | Entry::File(_) => self.entry(entry, found.source())?,
            }
        }
        Ok(())
    }

    fn overlay(
        &mut self,
        policy: &Policy,
        overlay: &Overlay,
        layers: Option<&Layers>,
    ) -> Result<()> {
        let Overlay { at: place, layers: paths, kept, .. } = overlay;
        let action = format!("mount an overlay of {} on {}", listed(paths), place.display());
        let opened = layers.filter(|layers| {
            layers.numbers.len() == paths.len() && layers.kept.is_some() == kept.is_some()
        });
        let Layers { numbers, kept } =
            opened.ok_or_else(|| internal(&action, "its layers have not been opened"))?;
        let in_memory = if kept.is_none() { (overlay.size, overlay.inodes) } else { (None, None) };
        let lend = self.lends && policy.first_overlay() == Some(overlay);
        self.upper |= lend;
        let mut list = ListBuilder::new(Vec::new());
        numbers.iter().rev().for_each(|number| list.push(number));
        let step = Step::Overlay {
            at: &c_string(place)?,
            layers: list.list(),
            trees: numbers.iter().all(|number| self.is_given(*number)),
            size: in_memory.0.unwrap_or(defaults::scratch_size(policy, profile::CHANGES.0)),
            inodes: in_memory.1.unwrap_or(profile::CHANGES.1),
            kept: kept.unwrap_or(NOT_KEPT),
            bounded: kept.is_none() || overlay.bounds_of_kept().is_some(),
            lend,
        };
        self.push_at(step, action, place);
        Ok(())
    }

    /// One entry of the policy. `source` is the opened source of a bind.
    fn entry(&mut self, entry: &Entry, source: Option<u32>) -> Result<()> {
        let place = entry.at();
        let at = &*c_string(place)?;
        let shown = place.display();
        match entry {
            Entry::Bind(bind) => {
                let action = format!("bind {} on {shown}", bind.source.display());
                // Skipping the bind would expose the files that it is meant to cover.
                let source =
                    source.ok_or_else(|| internal(&action, "its source has not been opened"))?;
                let when = |condition: bool, bits: u64| if condition { bits } else { 0 };
                let attributes = attribute::NO_SUID
                    | when(!bind.writable, attribute::READ_ONLY)
                    | when(bind.noexec, attribute::NO_EXEC)
                    | when(!bind.devices, attribute::NO_DEV);
                let tree = bind.idmapped && self.is_given(source);
                self.push_at(Step::Bind { source, at, attributes, tree }, action, place);
            }
            Entry::DiskImage(image) => {
                let action = format!("show the disk image {} on {shown}", image.source.display());
                let source = source.ok_or_else(|| internal(&action, "it is not mounted"))?;
                let attributes = attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV;
                let tree = self.is_given(source);
                self.push_at(Step::Bind { source, at, attributes, tree }, action, place);
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
            Entry::Mqueue(Mqueue { .. }) => self.push_at(
                Step::MessageQueues { at },
                format!("mount the message queues on {shown}"),
                place,
            ),
            Entry::Dir(Dir { mode, .. }) => self.push_at(
                Step::Directory { at, mode: *mode },
                format!("make the directory {shown}"),
                place,
            ),
            Entry::Symlink(Symlink { target, .. }) => {
                let step = Step::Symlink { at, target: &c_string(target)? };
                self.push_at(step, format!("link {shown} to {}", target.display()), place);
            }
            Entry::ReadOnly(_) => self.push_at(
                Step::Remount { at },
                format!("make the mount at {shown} read-only"),
                place,
            ),
            Entry::Chmod(Chmod { mode, .. }) => self.push_at(
                Step::Chmod { at, mode: *mode },
                format!("set the mode of {shown} to {mode:#o}"),
                place,
            ),
            // These consist of several steps, or depend on the sources: see `entries`.
            Entry::Proc(_) | Entry::Dev(_) | Entry::Overlay(_) | Entry::Sys(_) => {}
            Entry::File(File { data, mode, bound: true, writable, .. }) => {
                let read_only = if *writable { 0 } else { attribute::READ_ONLY };
                let attributes = read_only | attribute::NO_SUID | attribute::NO_DEV;
                self.push_at(
                    Step::BoundFile { at, mode: *mode, data, attributes, callers: false },
                    format!("mount the file {shown}"),
                    place,
                );
            }
            Entry::File(File { data, mode, .. }) => {
                self.push_at(
                    Step::File { at, mode: *mode, data, optional: false },
                    format!("write the file {shown}"),
                    place,
                );
            }
        }
        Ok(())
    }

    /// Writes `/etc/passwd`, `/etc/group` and `/etc/hosts`, unless the policy replaces them.
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
        // With a shared network, the host's own /etc/hosts is bound.
        let own = policy.has_own_network();
        let hosts =
            (own && policy.network.is_none()).then(|| (c"/etc/hosts", defaults::hosts(policy)));
        // Whatever a program asks there is answered by the caller.
        let resolver = policy
            .has_way_out()
            .then(|| (c"/etc/resolv.conf", format!("nameserver {}\n", profile::NAME_SERVER)));
        if policy.network.is_some() && !given(c"/etc/hosts") {
            // The caller keeps the members of the network in it.
            let hosts = defaults::hosts(policy);
            let step = Step::BoundFile {
                at: c"/etc/hosts",
                mode: 0o644,
                data: hosts.as_bytes(),
                attributes: attribute::READ_ONLY | attribute::NO_SUID | attribute::NO_DEV,
                callers: true,
            };
            self.push_at(step, "mount the file /etc/hosts", Path::new("/etc/hosts"));
        }
        // The root of an overlay has its own users, whom programs can change.
        let users = [(c"/etc/passwd", passwd), (c"/etc/group", group)];
        let users = users.into_iter().filter(|_| policy.root_overlay().is_none());
        for (at, text) in users.chain(hosts).chain(resolver) {
            if !given(at) {
                self.push_at(
                    Step::File { at, mode: 0o644, data: text.as_bytes(), optional: true },
                    format!("write the file {}", at.to_string_lossy()),
                    path_of(at),
                );
            }
        }
    }

    /// Masks the parts of `/proc` that concern the whole machine, or makes them read-only. This
    /// comes after the last mount point has been created. `null`: the source of `/dev/null`.
    pub(super) fn close_proc(&mut self, policy: &Policy, null: u32) {
        let own_proc = !policy.exact_files
            && !policy.files.iter().any(|entry| entry.at() == Path::new("/proc"));
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

    pub(super) fn close_root(&mut self, policy: &Policy) -> Result<()> {
        self.push(Step::Pivot {}, "make the new root the root");
        let has_own = policy.files.iter().any(|entry| entry.at() == path_of(DEVICES));
        if policy.root_overlay().is_some() && !has_own {
            self.push_at(
                Step::Remount { at: DEVICES },
                "make the mount at /dev read-only",
                path_of(DEVICES),
            );
        }
        self.close_slices(policy)?;
        if policy.has_read_only_root() {
            self.push(Step::ReadOnlyRoot {}, "make the root read-only");
        }
        Ok(())
    }
}

/// The opened sources of an entry.
enum Found<'a> {
    Nothing,
    Source(u32),
    Layers(&'a Layers),
}

impl<'a> Found<'a> {
    fn source(&self) -> Option<u32> {
        if let Found::Source(number) = self { Some(*number) } else { None }
    }

    fn layers(&self) -> Option<&'a Layers> {
        if let Found::Layers(layers) = self { Some(layers) } else { None }
    }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The error for a plan that contradicts itself because of a bug in this library.
pub(super) fn internal(action: &str, cause: &str) -> Error {
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
        let builder = || Builder {
            steps: ListBuilder::new(Vec::new()),
            labels: Vec::new(),
            from_shelf: false,
            sources: 0,
            trees: Vec::new(),
            needs_first: false,
            lends: false,
            upper: false,
        };
        let source = |number| (number, std::path::PathBuf::from("/opt"));
        let (none, bound) = (Sandbox::new(), Sandbox::new().bind_ro("/opt", "/opt"));
        let entries = |sandbox: &Sandbox, binds| {
            let sources = Sources { binds, ..Sources::default() };
            builder().entries(sandbox.policy(), &sources, OwnCgroups::default(), |_| true)
        };
        assert_eq!(entries(&bound, Vec::new()).unwrap_err().kind(), ErrorKind::Setup);
        assert_eq!(entries(&none, vec![source(0)]).unwrap_err().kind(), ErrorKind::Setup);
        entries(&bound, vec![source(0)]).unwrap();
        entries(&none, Vec::new()).unwrap();
    }
}
