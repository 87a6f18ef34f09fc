//! Copies what matches patterns out of a sandbox's files.
//!
//! First all matches are found, by descriptor, one name at a time. Then each is copied like a tree
//! of its own. Between both, processes that still run in a cell may exchange entries: an entry is
//! found again without following links, and whatever is there then is looked at anew.

use super::memory::Memory;
use super::{Owner, Transfer};
use crate::base::error::{Error, ErrorKind, Result};
use crate::host::tree_copy::{
    Actor, Attributes, Copied, Copying, Disk, LIST, Rules, Sink, created, failed, find, session,
    split,
};
use crate::run::collect::CollectedFile;
use crate::run::collect::pattern::{Name, Pattern};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

const FOUND: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The attributes of the directories that lead to a match.
const LEADING: Attributes = Attributes { mode: Mode::from_bits_truncate(0o755), modified: None };

/// The files of a sandbox, and what is wanted of them.
pub struct Tree<'a> {
    pub root: BorrowedFd<'a>,
    /// The command's working directory.
    pub directory: &'a Path,
    /// The user whose rights apply to reading.
    pub owner: Option<Owner>,
    pub patterns: &'a [Pattern],
}

/// What a path stands for among the matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It matches a pattern.
    Match,
    /// It is a symbolic link on the way to a match.
    Link,
}

impl Tree<'_> {
    /// Collects into memory. Also returns the numbers of the patterns that matched nothing.
    pub fn to_memory(
        &self,
        transfer: &Transfer,
    ) -> Result<(Copied, Vec<usize>, Vec<CollectedFile>)> {
        // Links have no contents that could be held in memory.
        let rules = Rules { archive: false, ..transfer.rules.clone() };
        self.copy(&rules, || Ok(Memory::default()))
            .map(|(copied, unmatched, memory)| (copied, unmatched, memory.files))
    }

    /// Collects into an empty directory of the caller's. After an error it is empty again, except
    /// for what other processes have put into it.
    pub fn to_directory(
        &self,
        transfer: &Transfer,
        place: OwnedFd,
    ) -> Result<(Copied, Vec<usize>)> {
        let (copied, unmatched, _) =
            self.copy(&transfer.rules, || Disk::new(place, ", or lower max_bytes"))?;
        Ok((copied, unmatched))
    }

    /// Collects into a sink.
    fn copy<S: Sink + Send>(
        &self,
        rules: &Rules,
        sink: impl FnOnce() -> Result<S> + Send,
    ) -> Result<(Copied, Vec<usize>, S)> {
        session(&[self.owner], rules.watcher.as_ref(), |ticker| {
            let (reader, writer) = (Actor::new(self.owner)?, Actor::new(None)?);
            let mut copying = Copying::new(rules, &reader, &writer, sink()?, ticker)?;
            match self.copy_matches(&mut copying) {
                Ok(unmatched) => Ok((copying.copied, unmatched, copying.sink)),
                Err(error) => {
                    copying.undo();
                    Err(error)
                }
            }
        })
    }

    fn copy_matches<S: Sink>(&self, copying: &mut Copying<'_, S>) -> Result<Vec<usize>> {
        let mut matching = Matching {
            rules: copying.rules,
            reader: copying.reader,
            at: PathBuf::new(),
            found: BTreeMap::new(),
            passed: 0,
            spelled_out: self.patterns.iter().map(|pattern| pattern.names.len() as u64).sum(),
            any: false,
        };
        let mut unmatched = Vec::new();
        for (number, pattern) in self.patterns.iter().enumerate() {
            if !self.search(pattern, &mut matching)? {
                unmatched.push(number);
            }
        }
        let found = matching.found;
        // The directories that have been begun in the sink, and the last match.
        let (mut inside, mut last): (Vec<CString>, Option<PathBuf>) = (Vec::new(), None);
        for (path, what) in found {
            // It has been copied with the directory that contains it.
            if last.as_ref().is_some_and(|last| path.starts_with(last)) {
                continue;
            }
            let (parent, name) = split(&path)?;
            copying.at.clone_from(&path);
            let Some(entry) = self.find(copying, parent, &name)? else { continue };
            let kind = kind_of(entry.as_fd()).map_err(|errno| copying.failed("look at", errno))?;
            let is_link = kind == SFlag::S_IFLNK;
            if what == Found::Link {
                if is_link {
                    copying.skip()?;
                }
                continue;
            }
            let is_copied = kind == SFlag::S_IFREG
                || kind == SFlag::S_IFDIR
                || is_link && copying.rules.archive;
            if is_copied {
                lead(copying, &mut inside, parent)?;
                copying.at.clone_from(&path);
            }
            copying.copy_entry(entry, &name, 0)?;
            last = Some(path);
        }
        lead(copying, &mut inside, Path::new(""))?;
        copying.finish()?;
        Ok(unmatched)
    }

    /// Finds what a pattern matches. Returns whether that is anything.
    fn search(&self, pattern: &Pattern, matching: &mut Matching<'_>) -> Result<bool> {
        let (base, at) =
            if pattern.is_absolute { (Path::new("/"), "/") } else { (self.directory, "") };
        (matching.at, matching.any) = (PathBuf::from(at), false);
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let open = || find(self.root, relative(base), directory);
        match matching.reader.act(open)? {
            Ok(directory) => matching.descend(directory.as_fd(), &pattern.names)?,
            Err(Errno::ENOENT | Errno::ENOTDIR) => {}
            Err(errno) => return Err(failed(base, "find", errno)),
        }
        Ok(matching.any)
    }

    /// Finds a match again. `None` if it has been removed since.
    fn find<S>(
        &self,
        copying: &Copying<'_, S>,
        parent: &Path,
        name: &CString,
    ) -> Result<Option<OwnedFd>> {
        // An absolute path replaces the directory. `split` returns "." for a name alone.
        let parent = self.directory.join(parent);
        let entry = copying.reader.act(|| {
            let parent = find(self.root, relative(&parent), OFlag::O_PATH | OFlag::O_DIRECTORY)?;
            openat(&parent, name.as_c_str(), FOUND, Mode::empty())
        })?;
        match entry {
            Ok(entry) => Ok(Some(entry)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(failed(&copying.at, "find", errno)),
        }
    }
}

/// Makes an absolute path relative to the root.
fn relative(path: &Path) -> &Path {
    let rest = path.strip_prefix("/").unwrap_or(path);
    if rest.as_os_str().is_empty() { Path::new(".") } else { rest }
}

fn kind_of(found: BorrowedFd<'_>) -> nix::Result<SFlag> {
    fstat(found).map(|status| SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()))
}

/// Leaves and enters directories until those of `parent` are open in the sink.
fn lead<S: Sink>(
    copying: &mut Copying<'_, S>,
    inside: &mut Vec<CString>,
    parent: &Path,
) -> Result<()> {
    let mut names = Vec::new();
    for component in parent.components() {
        if let Component::Normal(name) = component {
            names.push(CString::new(name.as_bytes()).map_err(|_| {
                Error::invalid(format!("path {}", parent.display()), "contains a NUL byte")
            })?);
        }
    }
    let common = inside.iter().zip(&names).take_while(|(one, other)| one == other).count();
    while inside.len() > common {
        copying.leave(&LEADING)?;
        inside.pop();
    }
    for name in names.into_iter().skip(common) {
        copying.enter(&name)?;
        inside.push(name);
    }
    Ok(())
}

/// A search on its way.
struct Matching<'a> {
    rules: &'a Rules,
    reader: &'a Actor,
    /// The current path, as the result names it.
    at: PathBuf,
    /// In the order in which they are copied: a directory comes right before what is in it.
    found: BTreeMap<PathBuf, Found>,
    /// How many directories a pattern has led through.
    passed: u64,
    /// The most of these that are no harm: as many names as the patterns have.
    spelled_out: u64,
    /// Whether the current pattern has matched anything.
    any: bool,
}

impl Matching<'_> {
    /// Finds what `names` match below a directory. The recursion is as deep as a pattern is long.
    fn descend(&mut self, directory: BorrowedFd<'_>, names: &[Name]) -> Result<()> {
        let Some((name, rest)) = names.split_first() else { return Ok(()) };
        for name in self.matches(directory, name)? {
            let found = self.reader.act(|| openat(directory, &*name, FOUND, Mode::empty()))?;
            self.at.push(OsStr::from_bytes(name.to_bytes()));
            match found {
                Ok(found) => self.note(found.as_fd(), rest)?,
                // There is no such name, or no longer, or none can be so long.
                Err(Errno::ENOENT | Errno::ENAMETOOLONG) => {}
                Err(errno) => return Err(failed(&self.at, "find", errno)),
            }
            self.at.pop();
        }
        Ok(())
    }

    fn note(&mut self, found: BorrowedFd<'_>, rest: &[Name]) -> Result<()> {
        let kind = kind_of(found).map_err(|errno| failed(&self.at, "look at", errno))?;
        if rest.is_empty() {
            self.any = true;
            self.found.insert(self.at.clone(), Found::Match);
        } else if kind == SFlag::S_IFDIR {
            self.passed += 1;
            self.check(self.passed)?;
            self.descend(found, rest)?;
        } else if kind == SFlag::S_IFLNK {
            self.found.entry(self.at.clone()).or_insert(Found::Link);
        }
        self.check(self.found.len() as u64)
    }

    /// Checks the number of matches or directories so far. Each takes time or memory. A bound that
    /// is lower than the number of names in the patterns must not stop the search for these.
    fn check(&self, number: u64) -> Result<()> {
        if number > self.rules.max_entries.saturating_add(self.spelled_out) {
            return Err(self.rules.too_many(&self.at));
        }
        Ok(())
    }

    /// The names in a directory that match, in byte order. No more are kept than may be copied.
    fn matches(&self, directory: BorrowedFd<'_>, name: &Name) -> Result<Vec<CString>> {
        if let Name::Exact(exact) = name {
            return Ok(vec![exact.clone()]);
        }
        let list = self.reader.act(|| Dir::openat(directory, c".", LIST, Mode::empty()))?;
        let mut list = list.map_err(|errno| failed(&self.at, "list", errno))?;
        let mut names = Vec::new();
        for entry in list.iter() {
            let entry = entry.map_err(|errno| failed(&self.at, "list", errno))?;
            let bytes = entry.file_name().to_bytes();
            if matches!(bytes, b"." | b"..") || !name.matches(bytes) {
                continue;
            }
            if names.len() as u64 >= self.rules.max_entries {
                return Err(self.rules.too_many(&self.at));
            }
            names.push(entry.file_name().to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Opens an empty directory of the caller's, which is made if it does not exist. Also returns
/// whether it has been made.
pub fn make_directory(path: &Path) -> Result<(OwnedFd, bool)> {
    let io = |action: &str, errno| {
        Error::io(format!("{action} the directory {}", path.display()), errno).at(path)
    };
    let is_new = match mkdirat(AT_FDCWD, path, Mode::from_bits_truncate(0o777)) {
        Ok(()) => true,
        Err(Errno::EEXIST) => false,
        Err(errno) => return Err(io("make", errno)),
    };
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory =
        openat(AT_FDCWD, path, flags, Mode::empty()).map_err(|errno| io("open", errno))?;
    if !created::is_empty(directory.as_fd()).map_err(|errno| io("list", errno))? {
        return Err(Error::new(ErrorKind::Io, format!("write into {}", path.display()))
            .because("it is not empty any more")
            .at(path));
    }
    Ok((directory, is_new))
}
