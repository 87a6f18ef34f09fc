//! The entries that a policy puts into the sandbox's file system.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A size in KiB, for functions that take a size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KiB(pub u64);
/// A size in MiB, for functions that take a size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MiB(pub u64);
/// A size in GiB, for functions that take a size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GiB(pub u64);

macro_rules! sizes {
    ($($unit:ident $shift:literal)*) => {$(
        impl From<$unit> for u64 {
            /// The size in bytes. A size that exceeds 64 bits becomes `u64::MAX`, which the check
            /// of the policy rejects.
            fn from(size: $unit) -> u64 {
                size.0.saturating_mul(1 << $shift)
            }
        }
    )*};
}
sizes! { KiB 10 MiB 20 GiB 30 }

/// A bind mount: a file or directory of the host that is visible inside. It is read-only by
/// default.
///
/// Mounts below a directory are visible, too. Set-user-ID bits have no effect, and neither do
/// device nodes unless [`Bind::devices`] is set.
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
    /// Binds `source`, a path outside the sandbox, at the absolute path `at` inside.
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

    /// Lets the command write, as far as the file permissions let its user outside the sandbox.
    ///
    /// A privileged caller's command runs as another host user
    /// ([`Sandbox::host_ids`](crate::Sandbox::host_ids)). If the owner, group and mode of every
    /// file in the source deny that user, the start fails with
    /// [`ErrorKind::SourceUnreadable`](crate::ErrorKind::SourceUnreadable). The error names the
    /// user and a remedy. One writable file or directory in the source is enough to pass. It must
    /// exist at the start, even if other files become writable later.
    pub fn writable(mut self) -> Bind {
        self.writable = true;
        self
    }

    /// Skips the bind if the source does not exist.
    pub fn optional(mut self) -> Bind {
        self.optional = true;
        self
    }

    /// Forbids to execute files in the bind.
    pub fn noexec(mut self) -> Bind {
        self.noexec = true;
        self
    }

    /// Refuses symbolic links in the path of the source.
    ///
    /// Use it if the path leads through a directory that an earlier sandboxed program could write
    /// to: that program may have left a link there.
    pub fn nofollow(mut self) -> Bind {
        self.nofollow = true;
        self
    }

    /// Allows to open device nodes in the bind, such as `/dev/kvm`.
    pub fn devices(mut self) -> Bind {
        self.devices = true;
        self
    }
}

/// A tmpfs: an empty, writable file system in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    pub(crate) at: PathBuf,
    pub(crate) size: Option<u64>,
    pub(crate) inodes: Option<u64>,
    pub(crate) mode: u32,
    pub(crate) noexec: bool,
}

impl Tmpfs {
    /// A tmpfs at the absolute path `at`, with mode 1777. Without [`Tmpfs::size`] the kernel's
    /// default applies: half of the machine's memory.
    pub fn new(at: impl AsRef<Path>) -> Tmpfs {
        Tmpfs { at: at.as_ref().into(), size: None, inodes: None, mode: 0o1777, noexec: false }
    }

    /// Limits the size in bytes. The kernel rounds it up to whole pages.
    pub fn size(mut self, bytes: impl Into<u64>) -> Tmpfs {
        self.size = Some(bytes.into());
        self
    }

    /// Limits the number of files and directories, including the root directory of the tmpfs.
    pub fn inodes(mut self, inodes: u64) -> Tmpfs {
        self.inodes = Some(inodes);
        self
    }

    /// Sets the mode of the root directory, 0 to 0o7777.
    pub fn mode(mut self, mode: u32) -> Tmpfs {
        self.mode = mode;
        self
    }

    /// Forbids to execute files in the tmpfs.
    pub fn noexec(mut self) -> Tmpfs {
        self.noexec = true;
        self
    }
}

/// One entry of the sandbox's file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A bind mount of a host file or directory.
    Bind(Bind),
    /// An empty file system in memory.
    Tmpfs(Tmpfs),
    /// An empty directory.
    Dir {
        /// The path inside.
        at: PathBuf,
        /// The mode, 0 to 0o7777.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// The path inside.
        at: PathBuf,
        /// The target of the link.
        target: PathBuf,
    },
    /// A regular file with given contents.
    File {
        /// The path inside.
        at: PathBuf,
        /// The contents.
        data: Vec<u8>,
        /// The mode, 0 to 0o7777.
        mode: u32,
    },
}

impl Entry {
    /// The path of the entry inside the sandbox.
    pub fn at(&self) -> &Path {
        match self {
            Entry::Bind(Bind { at, .. }) | Entry::Tmpfs(Tmpfs { at, .. }) => at,
            Entry::Dir { at, .. } | Entry::Symlink { at, .. } | Entry::File { at, .. } => at,
        }
    }

    /// Removes redundant slashes from the path: `/data/` and `//data` become `/data`.
    ///
    /// The plan and the warden compare paths as text, so each place must have one spelling.
    pub(crate) fn tidied(mut self) -> Entry {
        match &mut self {
            Entry::Bind(Bind { at, .. }) | Entry::Tmpfs(Tmpfs { at, .. }) => tidy(at),
            Entry::Dir { at, .. } | Entry::Symlink { at, .. } | Entry::File { at, .. } => tidy(at),
        }
        self
    }

    /// The bind, if this is one. Only binds have a source that is opened before the ids change.
    pub(crate) fn bind(&self) -> Option<&Bind> {
        match self {
            Entry::Bind(bind) => Some(bind),
            Entry::Tmpfs(_) | Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. } => {
                None
            }
        }
    }

    /// Whether the entry is a writable file system in memory.
    pub(crate) fn is_tmpfs(&self) -> bool {
        match self {
            Entry::Tmpfs(_) => true,
            Entry::Bind(_) | Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. } => {
                false
            }
        }
    }

    /// Whether the entry is a mount, which hides everything created below its path earlier.
    pub(crate) fn is_mount(&self) -> bool {
        match self {
            Entry::Bind(_) | Entry::Tmpfs(_) => true,
            Entry::Dir { .. } | Entry::Symlink { .. } | Entry::File { .. } => false,
        }
    }
}

/// Removes redundant slashes. Leaves `.` and `..` alone, because the check of the policy rejects
/// these.
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
    fn only_redundant_slashes_are_removed() {
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
