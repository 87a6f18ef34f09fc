//! What a policy puts into the sandbox's file system.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A number of KiB, where a size in bytes is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KiB(pub u64);
/// A number of MiB, where a size in bytes is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MiB(pub u64);
/// A number of GiB, where a size in bytes is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiB(pub u64);

macro_rules! sizes {
    ($($unit:ident $shift:literal)*) => {$(
        impl From<$unit> for u64 {
            /// The size in bytes; one above what 64 bits hold becomes the largest they do, which is refused later.
            fn from(size: $unit) -> u64 {
                size.0.saturating_mul(1 << $shift)
            }
        }
    )*};
}
sizes! { KiB 10 MiB 20 GiB 30 }

/// A file or directory of the caller's, shown inside; read-only unless said otherwise.
///
/// Everything mounted below a directory is shown with it. Set-user-id bits and device nodes have no
/// effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    pub(crate) source: PathBuf,
    pub(crate) at: PathBuf,
    pub(crate) writable: bool,
    pub(crate) optional: bool,
    pub(crate) noexec: bool,
    pub(crate) devices: bool,
    pub(crate) nofollow: bool,
}

impl Bind {
    /// Shows `source`, a path of the caller's, at the absolute path `at` inside.
    pub fn new(source: impl AsRef<Path>, at: impl AsRef<Path>) -> Bind {
        Bind {
            source: source.as_ref().into(),
            at: at.as_ref().into(),
            writable: false,
            optional: false,
            noexec: false,
            devices: false,
            nofollow: false,
        }
    }

    /// Lets the command write to it, as far as the file permissions let the user behind it.
    ///
    /// A privileged caller's command is another user outside
    /// ([`Sandbox::host_ids`](crate::Sandbox::host_ids)). If the owner, the group and the mode of
    /// every file in the source deny that user, the start fails with
    /// [`ErrorKind::SourceUnreadable`](crate::ErrorKind::SourceUnreadable), which names the user
    /// and what to do. One file or directory in it that the command may write is enough. A source
    /// that is to become writable only later needs one from the start.
    pub fn writable(mut self) -> Bind {
        self.writable = true;
        self
    }

    /// Passes over it if the source does not exist.
    pub fn optional(mut self) -> Bind {
        self.optional = true;
        self
    }

    /// Nothing in it can be executed.
    pub fn noexec(mut self) -> Bind {
        self.noexec = true;
        self
    }

    /// Follows no symbolic link in the source's path: for a path through a directory that a program
    /// inside could write to in an earlier run, and leave a link in.
    pub fn nofollow(mut self) -> Bind {
        self.nofollow = true;
        self
    }

    /// Lets device nodes in it work: `/dev/kvm`, say.
    pub fn devices(mut self) -> Bind {
        self.devices = true;
        self
    }
}

/// An empty, writable file system in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    pub(crate) at: PathBuf,
    pub(crate) size: Option<u64>,
    pub(crate) inodes: Option<u64>,
    pub(crate) mode: u32,
    pub(crate) noexec: bool,
}

impl Tmpfs {
    /// One at the absolute path `at`, of mode 1777 and without a size limit of its own (the
    /// kernel's: half of the memory).
    pub fn new(at: impl AsRef<Path>) -> Tmpfs {
        Tmpfs { at: at.as_ref().into(), size: None, inodes: None, mode: 0o1777, noexec: false }
    }

    /// At most this many bytes, at least one page.
    pub fn size(mut self, bytes: impl Into<u64>) -> Tmpfs {
        self.size = Some(bytes.into());
        self
    }

    /// At most this many files and directories, its own root among them.
    pub fn inodes(mut self, inodes: u64) -> Tmpfs {
        self.inodes = Some(inodes);
        self
    }

    /// The mode of its root directory, 0 to 0o7777.
    pub fn mode(mut self, mode: u32) -> Tmpfs {
        self.mode = mode;
        self
    }

    /// Nothing in it can be executed.
    pub fn noexec(mut self) -> Tmpfs {
        self.noexec = true;
        self
    }
}

/// One thing in the sandbox's file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file or directory of the caller's.
    Bind(Bind),
    /// An empty file system in memory.
    Tmpfs(Tmpfs),
    /// An empty directory.
    Dir {
        /// Where.
        at: PathBuf,
        /// Its mode, 0 to 0o7777.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where.
        at: PathBuf,
        /// Its text.
        target: PathBuf,
    },
    /// A file made from bytes.
    File {
        /// Where.
        at: PathBuf,
        /// Its contents.
        data: Vec<u8>,
        /// Its mode, 0 to 0o7777.
        mode: u32,
    },
}

impl Entry {
    /// Where it stands inside.
    pub fn at(&self) -> &Path {
        match self {
            Entry::Bind(Bind { at, .. }) | Entry::Tmpfs(Tmpfs { at, .. }) => at,
            Entry::Dir { at, .. } | Entry::Symlink { at, .. } | Entry::File { at, .. } => at,
        }
    }

    /// The same with a place that is written without needless slashes: `/data/` and `//data` are
    /// `/data`. So that every part of a plan, and the warden, can take a place's text as its
    /// name.
    pub(crate) fn tidied(mut self) -> Entry {
        match &mut self {
            Entry::Bind(Bind { at, .. }) | Entry::Tmpfs(Tmpfs { at, .. }) => tidy(at),
            Entry::Dir { at, .. } | Entry::Symlink { at, .. } | Entry::File { at, .. } => tidy(at),
        }
        self
    }

    /// The bind, if this is one: the only entries whose source is opened before the ids change.
    pub(crate) fn bind(&self) -> Option<&Bind> {
        match self {
            Entry::Bind(bind) => Some(bind),
            Entry::Tmpfs(_) | Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. } => {
                None
            }
        }
    }

    /// Whether it is a new file system in memory that commands can write to.
    pub(crate) fn is_tmpfs(&self) -> bool {
        match self {
            Entry::Tmpfs(_) => true,
            Entry::Bind(_) | Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. } => {
                false
            }
        }
    }

    /// Whether it is a mount, and so covers what is made below it earlier.
    pub(crate) fn is_mount(&self) -> bool {
        match self {
            Entry::Bind(_) | Entry::Tmpfs(_) => true,
            Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. } => false,
        }
    }
}

/// Takes needless slashes away, and nothing else: a `.` or `..` is for the check to refuse.
fn tidy(path: &mut PathBuf) {
    let bytes = path.as_os_str().as_bytes();
    let is_tidy =
        !bytes.windows(2).any(|pair| pair == b"//") && (bytes.len() < 2 || !bytes.ends_with(b"/"));
    if is_tidy {
        return;
    }
    let names: Vec<&[u8]> =
        bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
    let start: &[u8] = if bytes.starts_with(b"/") { b"/" } else { b"" };
    let tidied = [start, &names.join(&b'/')].concat();
    *path = OsString::from_vec(tidied).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needless_slashes_are_taken_away_and_nothing_else() {
        let tidied = |text: &str| {
            let mut path = PathBuf::from(text);
            tidy(&mut path);
            path.into_os_string().into_string().unwrap()
        };
        let pairs = [
            ("/data/", "/data"),
            ("//a///b//", "/a/b"),
            ("///", "/"),
            ("/", "/"),
            ("a//b/", "a/b"),
            ("", ""),
        ];
        for (given, meant) in pairs {
            assert_eq!(tidied(given), meant);
        }
        for same in ["/a/./b", "/a/../b", "/.", "/a b"] {
            assert_eq!(tidied(same), same);
        }
    }
}
