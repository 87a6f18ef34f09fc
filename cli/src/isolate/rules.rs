//! The rules of `--dir`: what is visible where.

use super::{Refusal, Result};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// What is visible at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A directory of the caller's. A path that begins with `./` is in the directory of the box.
    Directory { source: PathBuf, options: Options },
    /// A directory of the box that is empty before each run: its name there.
    Temporary(String),
    /// The proc file system.
    Proc,
    /// A file system in memory.
    Memory { noexec: bool },
    /// The sandbox's own devices.
    Devices,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    pub writable: bool,
    pub devices: bool,
    pub noexec: bool,
    pub maybe: bool,
    pub flat: bool,
}

/// The rules with their paths inside, in the order in which they apply. A later one covers what is
/// there.
#[derive(Debug, Default)]
pub struct Rules(Vec<(PathBuf, Shown)>);

impl Rules {
    /// The rules without any option.
    pub fn usual() -> Rules {
        let mut rules = Rules::default();
        let apply = |rules: &mut Rules, all: &[&str]| {
            let mut all = all.iter().map(OsStr::new);
            all.try_for_each(|rule| rules.apply(rule)).expect("the usual rules are right");
        };
        apply(&mut rules, &["box=./box:rw", "bin"]);
        rules.set("/dev".into(), Shown::Devices);
        apply(
            &mut rules,
            &["dev/shm=tmpfs:fs:rw", "lib", "lib64:maybe", "proc=proc:fs", "tmp:tmp", "usr"],
        );
        rules
    }

    /// Sets a rule, in the place of one for the same path.
    fn set(&mut self, at: PathBuf, shown: Shown) {
        match self.0.iter_mut().find(|(other, _)| *other == at) {
            Some((_, old)) => *old = shown,
            None => self.0.push((at, shown)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Path, &Shown)> {
        self.0.iter().map(|(at, shown)| (at.as_path(), shown))
    }

    /// The rule that shows a path, and the rest of the path below it.
    pub fn shows<'a>(&self, path: &'a Path) -> Option<(&Shown, &'a Path)> {
        self.0.iter().rev().find_map(|(at, shown)| Some((shown, path.strip_prefix(at).ok()?)))
    }

    /// The rules before the one for this path.
    pub fn before(&self, at: &Path) -> Rules {
        Rules(self.0.iter().take_while(|(other, _)| other != at).cloned().collect())
    }

    /// Applies `DIR[:OPTIONS]`, `IN=OUT[:OPTIONS]` or `IN=`. It replaces a rule for the same path.
    pub fn apply(&mut self, rule: &OsStr) -> Result<()> {
        let bad = |why: &str| Refusal::new(format!("--dir={}: {why}", rule.to_string_lossy()));
        let bytes = rule.as_bytes();
        let end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
        let (place, words) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
        let equals = place.iter().position(|byte| *byte == b'=');
        let at = inside(OsStr::from_bytes(&place[..equals.unwrap_or(end)]))
            .filter(|at| at != Path::new("/"))
            .ok_or_else(|| bad("the path inside must be below the root, without .."))?;
        let out = equals.map(|equals| OsString::from(OsStr::from_bytes(&place[equals + 1..])));
        if out.as_ref().is_some_and(|out| out.is_empty()) {
            if end < bytes.len() {
                return Err(bad("a rule that removes another has no options"));
            }
            self.0.retain(|(other, _)| *other != at);
            return Ok(());
        }
        let (mut options, mut system, mut temporary) = (Options::default(), false, false);
        for word in words.split(|byte| matches!(byte, b':' | b',')).filter(|word| !word.is_empty())
        {
            match word {
                b"rw" => options.writable = true,
                b"dev" => options.devices = true,
                b"noexec" => options.noexec = true,
                b"maybe" => options.maybe = true,
                b"norec" => options.flat = true,
                b"fs" => system = true,
                b"tmp" => temporary = true,
                other => {
                    let other = String::from_utf8_lossy(other);
                    return Err(bad(&format!("there is no option {other}")));
                }
            }
        }
        let shown = if temporary {
            if out.is_some()
                || system
                || options != (Options { writable: options.writable, ..Options::default() })
            {
                return Err(bad("tmp goes with no directory outside and with no option but rw"));
            }
            // A name for each path inside, which has no slash and is no other directory's.
            let name = at.to_string_lossy().replace('%', "%%").replace('/', "%");
            Shown::Temporary(format!("tmp{name}"))
        } else if system {
            if options
                != (Options {
                    noexec: options.noexec,
                    writable: options.writable,
                    ..Options::default()
                })
            {
                return Err(bad("fs goes with no option but rw and noexec"));
            }
            let name = out.unwrap_or_else(|| at.as_os_str().to_owned());
            match name.as_bytes().strip_prefix(b"/").unwrap_or(name.as_bytes()) {
                b"proc" => Shown::Proc,
                b"tmpfs" if options.writable => Shown::Memory { noexec: options.noexec },
                b"tmpfs" => return Err(bad("a tmpfs that is not rw would stay empty")),
                _ => return Err(bad("fs is refused but for proc and tmpfs: others show the host")),
            }
        } else {
            let source = out.map_or_else(|| at.clone(), PathBuf::from);
            if !source.is_absolute() && !source.starts_with("./") && source != Path::new(".") {
                return Err(bad("the path outside must be absolute, or ./ for the box"));
            }
            Shown::Directory { source, options }
        };
        self.set(at, shown);
        Ok(())
    }
}

/// A path inside, taken from the root, if it does not go up.
pub fn inside(path: &OsStr) -> Option<PathBuf> {
    let mut absolute = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => absolute.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(rule: &str) -> std::result::Result<Vec<(String, Shown)>, String> {
        let mut rules = Rules::default();
        rules.apply(OsStr::new(rule)).map_err(|Refusal(message)| message)?;
        Ok(rules.iter().map(|(at, shown)| (at.display().to_string(), shown.clone())).collect())
    }

    #[test]
    fn a_rule_has_a_place_a_source_and_options() {
        let writable = Options { writable: true, noexec: true, ..Options::default() };
        for rule in ["etc/x=/srv:rw:noexec", "/etc/x=/srv:rw,noexec"] {
            let shown = shown(rule).unwrap();
            let source = PathBuf::from("/srv");
            assert_eq!(
                shown,
                [("/etc/x".to_owned(), Shown::Directory { source, options: writable })]
            );
        }
        let Shown::Directory { source, .. } = &shown("opt").unwrap()[0].1 else { panic!() };
        assert_eq!(source, Path::new("/opt"));
    }

    #[test]
    fn a_later_rule_replaces_or_removes() {
        let mut rules = Rules::usual();
        rules.apply(OsStr::new("tmp=/srv")).unwrap();
        rules.apply(OsStr::new("usr=")).unwrap();
        let (shown, rest) = rules.shows(Path::new("/tmp/a/b")).unwrap();
        assert!(matches!(shown, Shown::Directory { source, .. } if source == Path::new("/srv")));
        assert_eq!(rest, Path::new("a/b"));
        assert!(rules.shows(Path::new("/usr/bin")).is_none());
    }

    #[test]
    fn mistakes_are_errors() {
        for (rule, message) in [
            ("", "below the root"),
            ("/", "below the root"),
            ("a/../b", "without .."),
            ("a=b", "must be absolute"),
            ("a:nosuch", "no option nosuch"),
            ("a=/b:tmp", "tmp goes with"),
            ("a=:rw", "has no options"),
            ("sys=sysfs:fs", "others show the host"),
            ("proc=proc:fs:maybe", "fs goes with"),
        ] {
            let error = shown(rule).unwrap_err();
            assert!(error.contains(message), "{rule}: {error}");
        }
    }
}
