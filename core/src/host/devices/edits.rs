//! The edits of CDI specifications: what a device needs inside. Each is checked, and what cannot be
//! given is an error, never left out.

#[cfg(test)]
mod tests;

use crate::base::error::{Error, ErrorKind, Result};
use crate::policy::spec::Key;
use crate::policy::{Entry, Policy, System, entries, profile};
use nix::sys::stat::{major, minor};
use std::ffi::{CStr, OsStr};
use std::fs;
use std::io::ErrorKind as IoErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

/// The most edits of one kind that a policy's devices may need together.
const MOST: usize = 4096;

/// What devices need.
#[derive(Debug, Default)]
pub struct Edits {
    /// Device nodes: the path outside and inside.
    pub nodes: Vec<(PathBuf, PathBuf)>,
    pub mounts: Vec<Mount>,
    /// Names and values. The last one of a name counts.
    environment: Vec<(String, String)>,
    /// Symbolic links: text and path.
    links: Vec<(PathBuf, PathBuf)>,
    /// Directories with libraries.
    libraries: Vec<PathBuf>,
}

/// A read-only bind.
#[derive(Debug)]
pub struct Mount {
    pub source: PathBuf,
    pub at: PathBuf,
    pub noexec: bool,
}

impl Edits {
    /// Adds the edits of a specification or of a device in it, if there are any.
    pub fn read(&mut self, key: Option<Key<'_>>) -> Result<()> {
        let Some(key) = key else { return Ok(()) };
        for (name, edit) in key.members(&[
            "env",
            "deviceNodes",
            "mounts",
            "hooks",
            "additionalGIDs",
            "intelRdt",
            "netDevices",
        ])? {
            match name {
                "env" => self.add(&edit, Edits::variable)?,
                "deviceNodes" => self.add(&edit, Edits::node)?,
                "mounts" => self.add(&edit, Edits::mount)?,
                "hooks" => self.add(&edit, Edits::hook)?,
                "additionalGIDs" => self.add(&edit, |_, group| {
                    Err(group.wrong("groups of the host are not given to a command"))
                })?,
                _ => return Err(edit.wrong("it is not supported")),
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        list: &Key<'_>,
        one: impl Fn(&mut Edits, &Key<'_>) -> Result<()>,
    ) -> Result<()> {
        let items = list.items()?;
        let so_far = self.nodes.len() + self.mounts.len() + self.links.len();
        if so_far + self.environment.len() + items.len() > MOST {
            return Err(list.wrong(format!("these are more than {MOST} edits")));
        }
        items.iter().try_for_each(|item| one(self, item))
    }

    fn variable(&mut self, key: &Key<'_>) -> Result<()> {
        let text = key.text()?;
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() && !text.contains('\0') => {
                self.environment.retain(|(other, _)| other != name);
                self.environment.push((name.to_owned(), value.to_owned()));
                Ok(())
            }
            _ => Err(key.unlike("of the form NAME=VALUE")),
        }
    }

    fn node(&mut self, key: &Key<'_>) -> Result<()> {
        // The owner and the mode are those of the host's node.
        const KEYS: [&str; 9] =
            ["path", "hostPath", "type", "major", "minor", "fileMode", "permissions", "uid", "gid"];
        key.members(&KEYS)?;
        let place = key.required("path")?;
        let at = inside(&place)?;
        if at.strip_prefix("/dev").map_or(true, |rest| rest.as_os_str().is_empty()) {
            return Err(place.wrong("a device node is below /dev"));
        }
        let source = key.optional("hostPath").unwrap_or(key.required("path")?);
        let node = outside(&source)?;
        if let Some(kind) =
            key.optional("type").filter(|kind| !matches!(kind.text().as_deref(), Ok("c" | "u")))
        {
            return Err(kind.wrong("only character devices are given"));
        }
        if let Some(rights) = key.optional("permissions") {
            let text = rights.text()?;
            if !(text.contains('r') && text.contains('w')) {
                return Err(rights.wrong("only devices to read and write are given"));
            }
        }
        let status = fs::metadata(&node).map_err(|error| {
            let kind = match error.kind() {
                IoErrorKind::NotFound => ErrorKind::SourceMissing,
                _ => ErrorKind::SourceUnreadable,
            };
            Error::new(kind, format!("find the device {}", node.display()))
                .errno(error.raw_os_error().unwrap_or(libc::EIO))
                .hint("the specification is out of date, or the driver is not loaded")
        })?;
        if !status.file_type().is_char_device() {
            return Err(source.wrong(format!("{} is no character device", node.display())));
        }
        for (name, held) in [("major", major(status.rdev())), ("minor", minor(status.rdev()))] {
            let Some(said) = key.optional(name) else { continue };
            if said.integer()? != i64::try_from(held).unwrap_or(-1) {
                let node = node.display();
                return Err(said.wrong(format!("{node} has the {name} number {held}")));
            }
        }
        self.nodes.push((node, at));
        Ok(())
    }

    fn mount(&mut self, key: &Key<'_>) -> Result<()> {
        key.members(&["hostPath", "containerPath", "type", "options"])?;
        let source_key = key.required("hostPath")?;
        let source = outside(&source_key)?;
        let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
        // Also behind links.
        if source == Path::new("/") || identity(&source).ok() == identity(Path::new("/")).ok() {
            return Err(source_key.wrong("it is the host's root"));
        }
        let at = inside(&key.required("containerPath")?)?;
        if let Some(kind) = key
            .optional("type")
            .filter(|kind| !matches!(kind.text().as_deref(), Ok("bind" | "none" | "")))
        {
            return Err(kind.wrong("only binds are given"));
        }
        let mut noexec = false;
        for option in key.optional("options").map_or(Ok(Vec::new()), |options| options.items())? {
            match option.text()?.as_str() {
                "noexec" => noexec = true,
                "ro" | "nosuid" | "nodev" | "bind" | "rbind" | "private" | "rprivate" | "slave"
                | "rslave" | "exec" | "relatime" | "noatime" => {}
                "rw" => {
                    return Err(option.wrong("mounts of devices are read-only").hint(
                        "leave the device out, and bind by entries of the policy what it needs",
                    ));
                }
                other => return Err(option.wrong(format!("the option {other:?} is not given"))),
            }
        }
        self.mounts.push(Mount { source, at, noexec });
        Ok(())
    }

    /// A program that a container runtime would run on the host, with its rights. None is run. For
    /// those of NVIDIA's toolkit the same is done without them, or there is nothing to do.
    fn hook(&mut self, key: &Key<'_>) -> Result<()> {
        key.members(&["hookName", "path", "args", "env", "timeout"])?;
        let path = key.required("path")?.text()?;
        let arguments = key.optional("args").map_or(Ok(Vec::new()), |list| list.items())?;
        let arguments = arguments.iter().map(Key::text).collect::<Result<Vec<String>>>()?;
        let of_nvidia = matches!(
            Path::new(&path).file_name().and_then(OsStr::to_str),
            Some("nvidia-cdi-hook" | "nvidia-ctk")
        );
        let mut words = arguments.iter().skip(1).skip_while(|word| *word == "hook");
        match words.next().map(String::as_str).filter(|_| of_nvidia) {
            Some("create-symlinks") => {
                for link in values_of("--link", words) {
                    let (target, at) = link.split_once("::").ok_or_else(|| {
                        key.wrong(format!("{link:?} is no link of the form TARGET::PATH"))
                    })?;
                    let at = checked_inside(key, Path::new(at))?;
                    if target.is_empty() || target.contains('\0') {
                        return Err(key.wrong(format!("{link:?} leads nowhere")));
                    }
                    self.links.push((target.into(), at));
                }
                Ok(())
            }
            Some("update-ldcache") => {
                for folder in values_of("--folder", words) {
                    let folder = checked_inside(key, Path::new(folder))?;
                    if folder.as_os_str().as_bytes().contains(&b':') {
                        return Err(key.wrong("a directory with libraries has no colon"));
                    }
                    self.libraries.push(folder);
                }
                Ok(())
            }
            // No program inside can make nodes, modes in /dev are right, and the libraries of the
            // host's driver are used.
            Some("chmod" | "disable-device-node-modification" | "enable-cuda-compat") => Ok(()),
            _ => Err(key
                .wrong(format!("the hook {path} would run on the host, with the caller's rights"))
                .hint("leave the device out, and do by entries of the policy what it does")),
        }
    }
}

/// The values of an option that may be given several times.
fn values_of<'w>(option: &str, words: impl Iterator<Item = &'w String>) -> Vec<&'w str> {
    let (mut values, mut is_next) = (Vec::new(), false);
    for word in words {
        if is_next {
            values.push(word.as_str());
        } else if let Some(value) =
            word.strip_prefix(option).and_then(|rest| rest.strip_prefix('='))
        {
            values.push(value);
        }
        is_next = !is_next && word == option;
    }
    values
}

/// The links, as entries. Where the host's own directory is shown, no link can be made, and the
/// host's is there.
pub fn links(policy: &Policy, edits: &Edits) -> Result<Vec<Entry>> {
    let mut made = Vec::new();
    for (target, at) in &edits.links {
        if !shows_host(policy) || !is_in_system(at) {
            made.push(entries::Symlink::new(target, at).into());
        } else if fs::symlink_metadata(at).is_err() {
            let (shown, target) = (at.display(), target.display());
            return Err(Error::invalid(
                format!("link {shown}"),
                "a device needs it, and the host has none",
            )
            .at(at)
            .hint(format!("make it on the host: ln -s {target} {shown}")));
        }
    }
    Ok(made)
}

/// The variables. The host's programs find the libraries by the host's cache, others by their
/// directories.
pub fn environment(policy: &Policy, edits: Edits) -> Vec<(String, String)> {
    const LIBRARIES: &str = "LD_LIBRARY_PATH";
    let mut environment = edits.environment;
    let folders: Vec<&str> = edits.libraries.iter().filter_map(|path| path.to_str()).collect();
    if folders.is_empty() || shows_host(policy) {
        return environment;
    }
    match environment.iter_mut().find(|(name, _)| name == LIBRARIES) {
        Some((_, value)) => *value = format!("{value}:{}", folders.join(":")),
        None => environment.push((LIBRARIES.into(), folders.join(":"))),
    }
    environment
}

/// Whether the sandbox has the host's programs.
fn shows_host(policy: &Policy) -> bool {
    policy.system == System::Host && policy.root_overlay().is_none() && !policy.exact_files
}

fn is_in_system(at: &Path) -> bool {
    let top = at.components().nth(1).map(Component::as_os_str);
    profile::SYSTEM.iter().any(|name| top == Some(OsStr::from_bytes(name.to_bytes())))
}

/// A path of the host: absolute, without `..`.
fn outside(key: &Key<'_>) -> Result<PathBuf> {
    plain(key, Path::new(&key.text()?))
}

/// A path inside, which hides nothing that the sandbox has of its own.
fn inside(key: &Key<'_>) -> Result<PathBuf> {
    checked_inside(key, Path::new(&key.text()?))
}

fn checked_inside(key: &Key<'_>, path: &Path) -> Result<PathBuf> {
    let at = plain(key, path)?;
    let nodes = profile::DEVICES.iter().chain([&profile::TERMINAL]).map(|node| node.1);
    let links = profile::DEVICE_LINKS.iter().chain([&profile::TERMINAL_LINK]).map(|link| link.0);
    let places = nodes.chain(links).chain([profile::TERMINALS, c"/dev/shm", c"/proc"]);
    let places = places.map(|place: &CStr| Path::new(OsStr::from_bytes(place.to_bytes())));
    let hidden = { places }.find(|place| at.starts_with(place) || place.starts_with(&at));
    if let Some(place) = hidden {
        let why = format!("{} would hide the sandbox's own {}", at.display(), place.display());
        return Err(key.wrong(why));
    }
    // `/usr` or `/etc` as a whole.
    if at.components().count() < 3 {
        return Err(key.wrong(format!("{} is a directory of the root", at.display())));
    }
    Ok(at)
}

/// A path without `.`, `..` and redundant slashes.
fn plain(key: &Key<'_>, path: &Path) -> Result<PathBuf> {
    let plain: PathBuf = path.components().collect();
    let dots = path.components().any(|part| part == Component::ParentDir);
    if !path.is_absolute() || dots || path.as_os_str().as_bytes().contains(&0) {
        return Err(key.wrong(format!("{path:?} is no absolute path without \"..\"")));
    }
    Ok(plain)
}

/// What holds for all edits, whatever a specification says.
#[cfg(any(test, fuzzing))]
impl Edits {
    pub fn assert_harmless(&self) {
        let at = |path: &PathBuf| {
            assert!(path.is_absolute() && path.components().count() > 2, "{path:?}");
            assert!(!path.components().any(|part| part == Component::ParentDir), "{path:?}");
            for own in ["/dev/null", "/dev/pts", "/dev/shm", "/dev/tty", "/dev/fd", "/proc"] {
                assert!(!path.starts_with(own) && !Path::new(own).starts_with(path), "{path:?}");
            }
        };
        for (node, place) in &self.nodes {
            at(place);
            assert!(place.starts_with("/dev"), "{place:?}");
            assert!(fs::metadata(node).is_ok_and(|found| found.file_type().is_char_device()));
        }
        for mount in &self.mounts {
            at(&mount.at);
            let root = mount.source.canonicalize().is_ok_and(|source| source == Path::new("/"));
            assert!(mount.source.is_absolute() && !root, "{:?}", mount.source);
        }
        self.links.iter().for_each(|(_, place)| at(place));
        self.libraries.iter().for_each(at);
        for (name, value) in &self.environment {
            assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
        }
    }
}
