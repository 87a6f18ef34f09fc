//! Rejects invalid policies before anything starts. Each error names the key and the value.

mod devices;
mod identity;
mod limits;
mod network;
mod order;
mod proc;

use super::{
    Bind, Capability, Entry, HOST_IDS, Isolation, Namespace, Overlay, Policy, System,
    for_each_entry,
};
use crate::base::error::{Error, Result};
use crate::policy::seccomp::{Profile, Seccomp};
use crate::wire::message::DESCRIPTORS_MAX;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// The kernel's limit on the length of a path, including the terminating NUL.
const PATH_MAX: usize = 4096;
/// The kernel's limit on the length of a host or domain name (`uname(2)`).
const NAME_MAX: usize = 64;
/// The largest size and number of inodes of a tmpfs.
const TMPFS_MAX: u64 = i64::MAX as u64;

impl Policy {
    /// Checks the whole policy.
    ///
    /// # Errors
    ///
    /// `Invalid`, with the key and the value that are not allowed.
    pub fn check(&self) -> Result<()> {
        self.check_namespaces()?;
        self.check_identity()?;
        self.check_files()?;
        self.check_order()?;
        self.check_devices()?;
        self.check_proc()?;
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
        self.check_network()?;
        let own = !self.share.contains(&Namespace::Time) && !self.joined.contains(&Namespace::Time);
        if !own && !self.clock_offsets.is_empty() {
            return Err(Error::invalid(
                "clock offset",
                format!("the time namespace is {}", self.origin(Namespace::Time)),
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
                    format!("the uts namespace is {}", self.origin(Namespace::Uts)),
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
        if let Some(other) = self.dispensable.first()
            && !self.dispensable.contains(&Isolation::Namespaces)
        {
            return Err(Error::invalid(
                format!("best_effort {other}"),
                "nothing is left out unless namespaces are denied",
            )
            .hint("name \"namespaces\", too"));
        }
        if self.confined.is_some() {
            return Ok(());
        }
        if self.share.contains(&Namespace::User) && !self.nested {
            return Err(Error::invalid(
                "user namespace",
                "shared with the caller, nested user namespaces cannot be turned off",
            )
            .hint("allow nested user namespaces explicitly"));
        }
        if self.capabilities.contains(&Capability::SysResource) && !self.nested {
            return Err(Error::invalid(
                "capability sys_resource",
                "with it, a program could allow nested user namespaces again",
            )
            .hint("allow nested user namespaces, or leave out the capability"));
        }
        let kinds = [Namespace::Pid, Namespace::Mount];
        if let Some(kind) = kinds.into_iter().find(|kind| self.as_pid_1 && !self.private(*kind)) {
            let why = format!("the {kind} namespace is {}", self.origin(kind));
            return Err(Error::invalid("as_pid_1", why)
                .hint("let the sandbox have both of its own, or leave out as_pid_1"));
        }
        if self.terminals == Some(true) && !self.private(Namespace::Mount) {
            return Err(Error::invalid(
                "terminals",
                format!(
                    "the mount namespace is {}, and its terminals are those that it has",
                    self.origin(Namespace::Mount)
                ),
            ));
        }
        if !self.private(Namespace::Mount)
            && (!self.files.is_empty()
                || self.system != System::Host
                || self.etc.is_some()
                || !self.devices.is_empty()
                || self.proc_subset
                || self.exact_files)
        {
            return Err(Error::invalid(
                "files",
                format!(
                    "the mount namespace is {}, so its files cannot be changed",
                    self.origin(Namespace::Mount)
                ),
            ));
        }
        Ok(())
    }

    /// The origin of a namespace that is not the sandbox's own, for error messages.
    fn origin(&self, kind: Namespace) -> &'static str {
        if self.joined.contains(&kind) { "joined" } else { "shared with the caller" }
    }

    /// With `terminals`, the policy may not put anything on `/dev/pts` or `/dev/tty`.
    fn check_terminals(&self) -> Result<()> {
        let asked = self.terminals == Some(true) && !self.exact_files;
        match self.entry_over_terminals().filter(|_| asked) {
            Some(entry) => Err(Error::invalid(
                format!("{}", entry.at().display()),
                "the policy puts something else there, and asks for terminals, which are there",
            )
            .at(entry.at())),
            None => Ok(()),
        }
    }

    /// A name in `etc` must stay below `/etc`, and only its last part may contain a `*`.
    fn check_etc(&self) -> Result<()> {
        let Some(names) = &self.etc else { return Ok(()) };
        if self.system != System::Host || self.root_overlay().is_some() || self.exact_files {
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

    /// The ids of an idmapped bind are those of the sandbox's own user namespace, and its files are
    /// the caller's.
    fn check_idmapped(&self, bind: &Bind) -> Result<()> {
        let wrong = |why: &str, hint: &str| {
            let what = format!("idmapped of bind {}", bind.source.display());
            Err(Error::invalid(what, why.to_owned()).hint(hint))
        };
        if bind.optional {
            return wrong("excludes optional", "leave out one of the two");
        }
        if !self.private(Namespace::User) || self.joined.contains(&Namespace::User) {
            return wrong(
                "the user namespace is not the sandbox's own",
                "let the sandbox have one of its own",
            );
        }
        if !bind.writable {
            return Ok(());
        }
        // The kernel would store the caller as the owner of a file's capabilities.
        let risky = [Capability::Setfcap, Capability::Fsetid];
        if self.nested || risky.iter().any(|one| self.capabilities.contains(one)) {
            return wrong(
                "with nested, setfcap or fsetid, a program can make programs with the caller's \
                rights",
                "leave them out, or bind it read-only",
            );
        }
        let profile = self.seccomp.as_ref().map(|filter| filter.profile);
        if profile == Some(Profile::Unconfined) {
            return wrong(
                "the profile unconfined lets a program set set-user-ID bits of the caller's files",
                "take another profile, with rules for the calls that are needed",
            );
        }
        Ok(())
    }

    fn check_files(&self) -> Result<()> {
        if let System::Root(root) = &self.system {
            check_text("root", root)?;
        }
        // The caller gives them to the warden in one message.
        let given = self.files.iter().map(|entry| match entry {
            Entry::Overlay(overlay) => overlay.layers.len() + overlay.kept.iter().len(),
            Entry::Bind(bind) => usize::from(bind.idmapped),
            Entry::DiskImage(_) => 1,
            _ => 0,
        });
        let given: usize = given.sum();
        if given > DESCRIPTORS_MAX {
            let what = format!("{given} layers of overlays, idmapped binds and disk images");
            return Err(Error::invalid(what, format!("{DESCRIPTORS_MAX} are the most")));
        }
        if self.root_overlay().is_some() && self.system != System::Host {
            return Err(Error::invalid(
                "overlay at /",
                "it is the root, and root or empty_root is another",
            )
            .hint("leave out one of them"));
        }
        if let Some(warden) = &self.warden {
            check_text("warden", warden)?;
        }
        let mut seen: BTreeMap<&Path, &Entry> = BTreeMap::new();
        for entry in &self.files {
            let at = entry.at();
            check_inside("destination", at)?;
            if at == Path::new("/") && !self.exact_files && !entry.is_root() {
                return Err(Error::invalid("destination /", "the root is the sandbox's own")
                    .hint("name a root directory of your own, or an overlay, instead")
                    .at(at));
            }
            check_values(entry).map_err(|error| error.at(at))?;
            if let Entry::Overlay(overlay) = entry {
                check_overlay(overlay).map_err(|error| error.at(at))?;
            }
            if let Some(bind) = entry.bind().filter(|bind| bind.idmapped) {
                self.check_idmapped(bind).map_err(|error| error.at(at))?;
            }
            if let Some(kind) = entry.needed_namespace().filter(|kind| !self.private(*kind)) {
                return Err(Error::invalid(
                    format!("destination {}", at.display()),
                    format!("the {kind} namespace is {}", self.origin(kind)),
                )
                .hint("bind the directory where the caller has it mounted")
                .at(at));
            }
            if at == Path::new("/proc") && !self.private(Namespace::Pid) && !self.exact_files {
                return Err(Error::invalid(
                    "destination /proc",
                    "with a shared pid namespace the warden needs the caller's /proc to end what is inside",
                )
                .at(at));
            }
            if seen.insert(at, entry).is_some() && !self.exact_files {
                return Err(Error::invalid(format!("destination {}", at.display()), "given twice")
                    .hint("leave out one of the entries there")
                    .at(at));
            }
        }
        for entry in self.files.iter().filter(|_| !self.exact_files) {
            for parent in entry.at().ancestors().skip(1) {
                if let Some(bar) = seen.get(parent).and_then(|above| above.bar_below()) {
                    return Err(Error::invalid(
                        format!("destination {}", entry.at().display()),
                        format!("{} {bar}", parent.display()),
                    )
                    .at(entry.at()));
                }
            }
        }
        Ok(())
    }
}

/// Checks a value of an entry. `$what` names the value and the entry.
macro_rules! check_value {
    (path $what:expr, $value:expr) => {
        check_text($what, $value)?
    };
    (paths $what:expr, $value:expr) => {
        check_paths($what, $value)?
    };
    (directory $what:expr, $value:expr) => {
        $value.iter().try_for_each(|path| check_text($what, path))?
    };
    (text $what:expr, $value:expr) => {
        $value.iter().try_for_each(|text| check_text($what, text.as_ref()))?
    };
    (size $what:expr, $value:expr) => {
        check_size($what, *$value)?
    };
    (count $what:expr, $value:expr) => {
        check_size($what, *$value)?
    };
    (mode $what:expr, $value:expr) => {
        check_mode($what, *$value)?
    };
    // Any value is allowed, or `check_inside` has checked it.
    ($kind:ident $what:expr, $value:expr) => {
        let _ = $value;
    };
}

macro_rules! check_entries {
    ($(
        $(#[doc = $doc:literal])*
        $by:ident $Kind:ident = $key:ident (
            $($(#[doc = $needed_doc:literal])*
            $needed_kind:ident $needed:ident = $needed_key:ident,)*
        ) {
            $($(#[doc = $option_doc:literal])*
            $option_kind:ident $option:ident $(= $default:literal)?,)*
        }
    )*) => {
        /// Checks the values of an entry, each by its kind.
        fn check_values(entry: &Entry) -> Result<()> {
            match entry {
                $(Entry::$Kind(entry) => {
                    let what = |name: &str| {
                        format!("{name} of {} {}", stringify!($key), entry.at.display())
                    };
                    $(check_value!($needed_kind &what(stringify!($needed)), &entry.$needed);)*
                    $(check_value!($option_kind &what(stringify!($option)), &entry.$option);)*
                })*
            }
            Ok(())
        }
    };
}
for_each_entry!(check_entries);

/// The least size of a file system for kept changes.
const KEPT_MIN: u64 = 1 << 20;

fn check_overlay(overlay: &Overlay) -> Result<()> {
    let Overlay { at, layers, size, inodes: _, kept, image, store } = overlay;
    let wrong = |value: &str, why: String, hint: &str| {
        Err(Error::invalid(format!("{value} of overlay {}", at.display()), why).hint(hint))
    };
    match (image, store) {
        (None, _) if layers.is_empty() => {
            return wrong("layers", "there is none".into(), "name a directory or an image");
        }
        (None, Some(store)) => {
            let why = format!("nothing is taken from {}", store.display());
            return wrong("store", why, "name an image, too");
        }
        _ => {}
    }
    let kept_size = size.filter(|_| kept.is_some());
    if kept_size.is_some_and(|size| size < KEPT_MIN) {
        let why = format!("what is kept in a directory has bounds of at least {KEPT_MIN} bytes");
        return wrong("size", why, "allow more");
    }
    Ok(())
}

/// The kernel takes the names of the layers of an overlay in one page.
const PATHS_MAX: usize = 64;

fn check_paths(what: &str, paths: &[PathBuf]) -> Result<()> {
    if paths.len() > PATHS_MAX {
        let why = format!("{} directories, and it takes 1 to {PATHS_MAX}", paths.len());
        return Err(Error::invalid(what, why));
    }
    paths.iter().try_for_each(|path| check_text(what, path))
}

fn check_size(what: &str, size: Option<u64>) -> Result<()> {
    match size {
        Some(0) => Err(Error::invalid(what, "zero")),
        Some(size) if size > TMPFS_MAX => {
            Err(Error::invalid(what, format!("{size} is above what the kernel takes")))
        }
        _ => Ok(()),
    }
}

fn check_mode(what: &str, mode: u32) -> Result<()> {
    if mode > 0o7777 {
        return Err(Error::invalid(what, format!("{mode:#o} is above 0o7777")));
    }
    Ok(())
}

/// Checks a path that is passed to the kernel unchanged.
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

/// Checks a path inside the sandbox: it must be absolute, without `.` and `..`.
///
/// # Errors
///
/// `Invalid`, with `what` as the name of the path.
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
