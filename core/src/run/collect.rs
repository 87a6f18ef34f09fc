//! Collecting: the files that a command has left, for its caller.
//!
//! The files of a sandbox end with its mount namespace, and that ends with its last process. A
//! command that asks for its files keeps a descriptor of the namespace open from before its start
//! ([`held`]). When it has ended, nothing hostile runs in a sandbox of its own any more, and the
//! files can be read at leisure. They are searched for by [`pattern`].

pub mod held;
pub mod pattern;

use crate::base::error::{Error, Result};
use crate::run::command::Command;
use crate::run::transfer::Transfer;
use pattern::Pattern;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The most patterns of one command.
const PATTERNS_MAX: usize = 64;

/// The files that a command has left, as [`Command::collect`] asked for them.
///
/// After an error there are no files, so that no part is taken for the whole. The outcome of the
/// command is not affected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// The files, in byte order of their paths, name by name. Empty if they have been written to a
    /// directory.
    pub files: Vec<CollectedFile>,
    /// The number of files and directories that match, with all that is in these directories.
    pub entries: u64,
    /// The number of bytes in the files.
    pub bytes: u64,
    /// The paths of what matches and is neither a file nor a directory: symbolic links, pipes,
    /// sockets and devices. Also the path of each symbolic link that a pattern would lead through.
    pub skipped: Vec<PathBuf>,
    /// The patterns that matched nothing.
    pub unmatched: Vec<OsString>,
    /// Why the files could not be collected: a bound is exceeded
    /// ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid)), or a file cannot be read or written
    /// ([`ErrorKind::Io`](crate::ErrorKind::Io)).
    pub error: Option<Error>,
}

/// A file that a command has left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectedFile {
    /// The path inside: absolute if the pattern is, else relative to the command's working
    /// directory.
    pub path: PathBuf,
    /// What the file contains.
    pub contents: Vec<u8>,
    /// The nine permission bits.
    pub permissions: u32,
}

impl Collected {
    /// The contents of the file with this path, if it has been collected into memory.
    pub fn get(&self, path: impl AsRef<Path>) -> Option<&[u8]> {
        let path = path.as_ref();
        self.files.iter().find(|file| file.path == path).map(|file| &*file.contents)
    }
}

/// What a command asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub patterns: Vec<Pattern>,
    pub transfer: Transfer,
    pub directory: Option<PathBuf>,
    /// The first mistake, for the error at the start.
    mistake: Option<Error>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        let transfer = Transfer::new().max_bytes(64_u64 << 20).max_entries(1000).skip_special();
        Wanted { patterns: Vec::new(), transfer, directory: None, mistake: None }
    }
}

impl Wanted {
    fn add(&mut self, pattern: &OsStr) -> Result<()> {
        if self.patterns.len() == PATTERNS_MAX {
            let why = format!("at most {PATTERNS_MAX} patterns can be given");
            return Err(Error::invalid("files to collect", why)
                .hint("name a directory: one that matches is collected with all it contains"));
        }
        self.patterns.push(Pattern::new(pattern)?);
        Ok(())
    }

    /// Whether there is anything to collect.
    pub fn is_wanted(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Reports the first mistake, before anything is started.
    pub fn check(&self) -> Result<()> {
        if let Some(mistake) = &self.mistake {
            return Err(mistake.clone());
        }
        let Some(directory) = &self.directory else { return Ok(()) };
        if !self.is_wanted() {
            return Err(Error::invalid("files to collect", "a directory is given, and no pattern")
                .hint("name the files, such as out/*.txt"));
        }
        self.check_directory(directory)
    }

    /// Checks that the files can be written below a directory, which must be empty or not exist.
    pub fn check_directory(&self, directory: &Path) -> Result<()> {
        let mixed = self.patterns.iter().any(|pattern| pattern.is_absolute)
            && self.patterns.iter().any(|pattern| !pattern.is_absolute);
        if mixed {
            let why = "absolute and relative patterns cannot share a directory: two files could \
                have one path there";
            return Err(Error::invalid("files to collect", why)
                .hint("give all patterns as absolute ones, or all as relative ones"));
        }
        let shown = format!("directory {} for collected files", directory.display());
        match fs::read_dir(directory) {
            Ok(mut entries) => match entries.next() {
                None => Ok(()),
                Some(_) => Err(Error::invalid(shown, "is not empty")
                    .at(directory)
                    .hint("choose another one, or remove what is there")),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
                match fs::metadata(parent.unwrap_or(Path::new("."))) {
                    Ok(parent) if parent.is_dir() && directory.file_name().is_some() => Ok(()),
                    _ => Err(Error::invalid(shown, "its parent directory does not exist")
                        .errno(libc::ENOENT)
                        .at(directory)),
                }
            }
            Err(error) => Err(Error::invalid(shown, "cannot be listed")
                .errno(error.raw_os_error().unwrap_or(libc::EIO))
                .at(directory)),
        }
    }
}

/// # Files that it leaves
impl Command {
    /// Collects the files that match `pattern` when the command has ended. Can be called up to 64
    /// times.
    ///
    /// [`Output::files`](crate::Output::files) has them. After [`Command::spawn`],
    /// [`Child::collect`](crate::Child::collect) returns them. A pattern that matches nothing is no
    /// error.
    ///
    /// A pattern is absolute, or relative to the working directory ([`Command::current_dir`]). In
    /// each of its names `*`, `?` and `[...]` have the meaning of glob(7): they match no slash, and
    /// no dot at the beginning of a name. A backslash makes the next character plain. A directory
    /// that matches is collected with all it contains, as [`Transfer`] copies it; without files in
    /// it there is no trace of it in memory. No symbolic link is followed, not even in the working
    /// directory.
    ///
    /// A privileged caller reads with the rights of the sandbox's user. In a sandbox of its own or
    /// of a [`Pool`](crate::Pool), every process has ended before the files are read. In a
    /// [`Cell`](crate::Cell), and in a pool that [reuses](crate::Sandbox::reusing_pool) its
    /// sandboxes, other processes may change the files meanwhile.
    ///
    /// The sandbox's files stay in memory until they have been collected or the child has been
    /// dropped. In a pool that reuses its sandboxes, the command keeps its place until then.
    ///
    /// A pattern that is empty, has more than 4096 bytes or 64 names, contains `..`, `**` or a NUL
    /// byte, ends in a slash, or has a `[` without its `]`, is an error at the start.
    ///
    /// ```
    /// # fn main() -> seclude::Result<()> {
    /// let mut command = seclude::Sandbox::new().command("sh");
    /// command.args(["-c", "mkdir out && echo 42 >out/answer.txt"]).current_dir("/tmp");
    /// let output = command.collect("out/*.txt").output()?;
    /// assert_eq!(output.files.get("out/answer.txt"), Some(&b"42\n"[..]));
    /// assert_eq!(output.files.error, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn collect(&mut self, pattern: impl AsRef<OsStr>) -> &mut Command {
        if let Err(mistake) = self.collect.add(pattern.as_ref()) {
            self.collect.mistake.get_or_insert(mistake);
        }
        self
    }

    /// Bounds what is collected. The default is 64 MiB in 1000 files and directories, and
    /// [`Transfer::skip_special`]. If a bound is exceeded, nothing is collected, and
    /// [`Collected::error`] says so.
    ///
    /// The bound on entries also limits how many names a pattern may match on its way.
    pub fn collect_within(&mut self, transfer: Transfer) -> &mut Command {
        self.collect.transfer = transfer;
        self
    }

    /// Writes the collected files below a directory of the caller's, in place of memory. It must be
    /// empty when the command starts and when it ends, or not exist, and is created if it does not.
    ///
    /// Each file has its path below the directory: that of the pattern, without a slash at the
    /// beginning. All patterns must be absolute, or all relative. The copies have the properties of
    /// [`Transfer::copy`], and the directories that lead to them have mode 755.
    ///
    /// If the calling process is killed meanwhile, the directory may hold a part of the files.
    pub fn collect_into(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        let given = directory.as_ref();
        // The caller may change its working directory before the command ends.
        let directory = std::path::absolute(given).unwrap_or_else(|_| given.into());
        self.collect.directory = Some(directory);
        self
    }
}
