//! One copy on its way. Each entry of a tree is looked at by descriptor, counted against the
//! bounds, opened with the rights of the source's side, and handed to a [`Sink`].
//!
//! A change of rights takes longer than everything else about a small file. So several entries are
//! opened at one time, and then handed over at one time.

use super::progress::{CopyProgress, Ticker};
use super::{Actor, Attributes, Contents, Copied, Rules, Sink, exceeded, failed};
use crate::base::error::{Error, ErrorKind, Result};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// The deepest level of directories that a copy enters.
const DEPTH_MAX: usize = 64;

/// How many entries are opened at one time.
const TOGETHER: usize = 64;

/// The most memory that the list of skipped paths may take, in bytes, and what each path costs
/// besides its own bytes.
const SKIPPED_MAX: usize = 4 << 20;
const SKIPPED_EACH: usize = 64;

const FOUND: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

pub const LIST: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

pub struct Copying<'a, S> {
    pub rules: &'a Rules,
    pub copied: Copied,
    /// The memory that the list of skipped paths takes, in bytes.
    skipped: usize,
    /// The number of names that have been listed and not been looked at yet.
    pending: u64,
    /// The current path, for errors.
    pub at: PathBuf,
    /// The user whose rights apply to reading.
    pub reader: &'a Actor,
    /// The user whose rights apply to what the sink does.
    pub writer: &'a Actor,
    pub sink: S,
    ticker: Ticker<'a>,
    /// `/proc/self/fd`, by O_PATH.
    descriptors: OwnedFd,
}

/// An entry of the source, opened as far as its kind allows.
struct Opened {
    status: FileStat,
    what: What,
}

enum What {
    File(File),
    /// By O_PATH.
    Directory(OwnedFd),
    /// A symbolic link that is to be copied, with its target.
    Link(CString),
    Special,
}

/// Why an entry could not be opened.
struct NotOpened {
    action: &'static str,
    errno: Errno,
}

impl<'a, S: Sink> Copying<'a, S> {
    pub fn new(
        rules: &'a Rules,
        reader: &'a Actor,
        writer: &'a Actor,
        sink: S,
        ticker: Ticker<'a>,
    ) -> Result<Copying<'a, S>> {
        let (copied, at) = (Copied::default(), PathBuf::new());
        let path = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let descriptors = openat(AT_FDCWD, "/proc/self/fd", path, Mode::empty())
            .map_err(|errno| Error::io("open the list of the caller's descriptors", errno))?;
        let (skipped, pending) = (0, 0);
        Ok(Copying {
            rules,
            copied,
            skipped,
            pending,
            at,
            reader,
            writer,
            sink,
            ticker,
            descriptors,
        })
    }

    pub fn failed(&self, action: &str, errno: Errno) -> Error {
        failed(&self.at, action, errno)
    }

    /// Tells the progress at the end of the copy, which can still be cancelled then.
    pub fn finish(&mut self) -> Result<()> {
        let progress = CopyProgress { entries: self.copied.entries, bytes: self.copied.bytes };
        self.ticker.tell(progress, &self.at)
    }

    /// Removes what has been made.
    pub fn undo(&mut self) {
        let writer = self.writer;
        let _ = writer.act(|| self.sink.undo());
    }

    /// Whether one entry more would be too many. Skipped entries count too: they take time and
    /// memory, and there may be any number of them.
    fn is_full(&self) -> bool {
        let known = self.copied.entries + self.copied.skipped.len() as u64 + self.pending;
        known >= self.rules.max_entries
    }

    /// Begins a directory in the sink, with no entry of the source behind it.
    pub fn enter(&mut self, name: &CString) -> Result<()> {
        let writer = self.writer;
        writer.act(|| self.sink.enter(&self.at, name))?
    }

    /// Ends the directory that was begun last.
    pub fn leave(&mut self, attributes: &Attributes) -> Result<()> {
        let writer = self.writer;
        writer.act(|| self.sink.leave(&self.at, attributes))?
    }

    /// Copies one entry, and all that is below it. `found` refers to it by O_PATH.
    pub fn copy_entry(&mut self, found: OwnedFd, name: &CString, depth: usize) -> Result<()> {
        let opened = self.reader.act(|| open(&self.descriptors, self.rules.archive, found))?;
        let Opened { status, what } = opened.map_err(|why| self.not_opened(&why))?;
        if let What::Directory(directory) = what {
            return self.copy_directory(directory.as_fd(), &status, name, depth);
        }
        let writer = self.writer;
        writer.act(|| self.copy_leaf(&Opened { status, what }, name))?
    }

    fn copy_directory(
        &mut self,
        found: BorrowedFd<'_>,
        status: &FileStat,
        name: &CString,
        depth: usize,
    ) -> Result<()> {
        self.admit()?;
        if depth == DEPTH_MAX {
            let what = "directories, one within the other";
            return Err(exceeded(&self.at, what, DEPTH_MAX as u64));
        }
        self.enter(name)?;
        self.copy_contents(found, depth)?;
        self.leave(&Attributes::of(status, self.rules.archive))
    }

    /// Copies the entries of a directory, in byte order of their names.
    fn copy_contents(&mut self, found: BorrowedFd<'_>, depth: usize) -> Result<()> {
        let names = self.list(found)?;
        let mut rest = &names[..];
        while !rest.is_empty() {
            let mut opened = self.open_some(found, rest)?;
            let (these, others) = rest.split_at(opened.len());
            let directory =
                opened.pop_if(|last| matches!(last.what, What::Directory(_))).zip(these.last());
            if !opened.is_empty() {
                let writer = self.writer;
                writer.act(|| self.copy_leaves(&opened, these))??;
            }
            if let Some((Opened { status, what: What::Directory(found) }, name)) = directory {
                self.step_to(name);
                self.copy_directory(found.as_fd(), &status, name, depth + 1)?;
                self.at.pop();
            }
            rest = others;
        }
        Ok(())
    }

    /// Opens the first of some entries of a directory: at least one, and none after a directory.
    fn open_some(&mut self, parent: BorrowedFd<'_>, names: &[CString]) -> Result<Vec<Opened>> {
        let mut opened = Vec::with_capacity(names.len().min(TOGETHER));
        let failed = self.reader.act(|| {
            for name in names.iter().take(TOGETHER) {
                match find(parent, name)
                    .and_then(|found| open(&self.descriptors, self.rules.archive, found))
                {
                    Ok(entry) => {
                        let is_directory = matches!(entry.what, What::Directory(_));
                        opened.push(entry);
                        if is_directory {
                            break;
                        }
                    }
                    Err(why) => return Some((name, why)),
                }
            }
            None
        })?;
        match failed {
            // If the others have been copied, it is tried once more. There may be descriptors then.
            Some((name, why)) if opened.is_empty() => {
                self.at.push(OsStr::from_bytes(name.to_bytes()));
                Err(self.not_opened(&why))
            }
            _ => Ok(opened),
        }
    }

    fn copy_leaves(&mut self, opened: &[Opened], names: &[CString]) -> Result<()> {
        for (opened, name) in opened.iter().zip(names) {
            self.step_to(name);
            self.copy_leaf(opened, name)?;
            self.at.pop();
        }
        Ok(())
    }

    /// Goes on to an entry that has been listed.
    fn step_to(&mut self, name: &CString) {
        self.pending -= 1;
        self.at.push(OsStr::from_bytes(name.to_bytes()));
    }

    /// Copies or skips an entry that is no directory, with the rights of the writer.
    fn copy_leaf(&mut self, opened: &Opened, name: &CString) -> Result<()> {
        let attributes = Attributes::of(&opened.status, self.rules.archive);
        let source = match &opened.what {
            What::File(source) => source,
            What::Link(target) => {
                self.admit()?;
                return self.sink.link(&self.at, name, target, &attributes);
            }
            What::Directory(_) | What::Special => return self.skip(),
        };
        self.admit()?;
        let (entries, before) = (self.copied.entries, self.copied.bytes);
        let mut taken = |bytes| {
            self.copied.bytes += bytes;
            self.ticker.tick(CopyProgress { entries, bytes: self.copied.bytes }, &self.at)
        };
        let left = self.rules.max_bytes.saturating_sub(before);
        let file = (&*self.at, source, &opened.status);
        let mut contents = Contents::new(file, left, self.rules, &mut taken)?;
        self.sink.file(name, &mut contents, &attributes)
    }

    /// Counts an entry that is copied.
    fn admit(&mut self) -> Result<()> {
        if self.is_full() {
            return Err(self.rules.too_many(&self.at));
        }
        let progress = CopyProgress { entries: self.copied.entries, bytes: self.copied.bytes };
        self.ticker.tick(progress, &self.at)?;
        self.copied.entries += 1;
        Ok(())
    }

    /// Leaves out the current entry, which is not copied.
    pub fn skip(&mut self) -> Result<()> {
        if !self.rules.skips {
            let error = Error::new(ErrorKind::Invalid, format!("copy {}", self.at.display()))
                .because("it is neither a file nor a directory");
            return Err(error.at(&self.at).hint("leave such things out (skip_special)"));
        }
        if self.is_full() {
            return Err(self.rules.too_many(&self.at));
        }
        self.skipped += self.at.as_os_str().len() + SKIPPED_EACH;
        if self.skipped > SKIPPED_MAX {
            let what = "bytes in the paths of what was left out";
            return Err(exceeded(&self.at, what, SKIPPED_MAX as u64).hint("copy parts of it"));
        }
        self.copied.skipped.push(self.at.clone());
        Ok(())
    }

    /// The names in a directory, sorted. No more are kept than may be copied: a process can create
    /// names as fast as they are read.
    fn list(&mut self, found: BorrowedFd<'_>) -> Result<Vec<CString>> {
        let list = self.reader.act(|| Dir::openat(found, c".", LIST, Mode::empty()))?;
        let mut list = list.map_err(|errno| self.failed("list", errno))?;
        let mut names = Vec::new();
        for entry in list.iter() {
            let entry = entry.map_err(|errno| self.failed("list", errno))?;
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            if self.is_full() {
                self.at.push(OsStr::from_bytes(entry.file_name().to_bytes()));
                return Err(self.rules.too_many(&self.at));
            }
            self.pending += 1;
            names.push(entry.file_name().to_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn not_opened(&self, why: &NotOpened) -> Error {
        let error = self.failed(why.action, why.errno);
        match why.errno {
            Errno::EWOULDBLOCK => {
                error.hint("a process holds a lease on it (fcntl(2), F_SETLEASE)")
            }
            _ => error,
        }
    }
}

/// Finds an entry by O_PATH: opening a device or a pipe for reading could block or have an effect.
fn find(parent: BorrowedFd<'_>, name: &CString) -> Result<OwnedFd, NotOpened> {
    openat(parent, name.as_c_str(), FOUND, Mode::empty())
        .map_err(|errno| NotOpened { action: "find", errno })
}

/// Opens an entry as far as its kind allows. Symbolic links are read if `links`.
fn open(descriptors: &OwnedFd, links: bool, found: OwnedFd) -> Result<Opened, NotOpened> {
    let failed = |action| move |errno| NotOpened { action, errno };
    let status = fstat(&found).map_err(failed("look at"))?;
    let what = match SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFDIR => What::Directory(found),
        SFlag::S_IFREG => What::File(open_file(descriptors, &found)?),
        SFlag::S_IFLNK if links => {
            let target = readlinkat(&found, c"").map_err(failed("read the link"))?;
            // The kernel has no targets with a NUL byte.
            CString::new(target.into_vec()).map_or(What::Special, What::Link)
        }
        _ => What::Special,
    };
    Ok(Opened { status, what })
}

/// Opens the file that was looked at, by its descriptor, whatever its name refers to by now.
/// O_NONBLOCK: if a process inside holds a lease on the file, open(2) would otherwise block until
/// the lease is given up.
fn open_file(descriptors: &OwnedFd, found: &OwnedFd) -> Result<File, NotOpened> {
    const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);
    let number = found.as_raw_fd().to_string();
    let file = openat(descriptors, number.as_str(), READ, Mode::empty());
    file.map(File::from).map_err(|errno| NotOpened { action: "open", errno })
}
