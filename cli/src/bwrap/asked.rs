//! What a command line of bubblewrap asks for, in its own words.

use super::{Refusal, Result};
use seclude::{Capability, Namespace};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The whole command line.
#[derive(Debug, Default)]
pub struct Asked {
    pub help: bool,
    pub version: bool,
    pub level_prefix: bool,
    pub argv0: Option<OsString>,
    /// The kinds of namespace to make. `user` is in it only if it is certain.
    pub unshare: BTreeSet<Namespace>,
    /// Make a user namespace if that is possible.
    pub try_user: bool,
    pub userns: Option<OwnedFd>,
    pub pidns: Option<OwnedFd>,
    pub disable_userns: bool,
    pub assert_userns_disabled: bool,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub hostname: Option<String>,
    pub chdir: Option<PathBuf>,
    pub environment: Vec<Change>,
    pub locks: Vec<PathBuf>,
    /// Descriptors that stay open until the end.
    pub kept: Vec<OwnedFd>,
    pub operations: Vec<Operation>,
    /// The layers for the next overlay, the lowest first.
    pub layers: Vec<PathBuf>,
    /// The mode and the size for the next operation.
    pub mode: Option<u32>,
    pub size: Option<u64>,
    pub seccomp: Option<Vec<u8>>,
    pub more_seccomp: Vec<Vec<u8>>,
    pub block: Option<OwnedFd>,
    pub info: Option<OwnedFd>,
    pub status: Option<OwnedFd>,
    pub new_session: bool,
    pub as_pid_1: bool,
    pub die_with_parent: bool,
    /// Changes of the capabilities, in their order: whether to add, and which.
    pub capabilities: Vec<(bool, Option<Capability>)>,
    pub warnings: Vec<String>,
    pub command: Vec<OsString>,
}

/// A change of the environment.
#[derive(Debug)]
pub enum Change {
    Set(OsString, OsString),
    Unset(OsString),
    Clear,
}

/// An operation on the file system. They are applied in their order.
#[derive(Debug)]
pub struct Operation {
    pub at: PathBuf,
    pub what: What,
    /// The mode of missing parent directories.
    pub parents: u32,
}

#[derive(Debug)]
pub enum What {
    Bind { source: PathBuf, writable: bool, devices: bool },
    Proc,
    Dev,
    Tmpfs { mode: u32, size: Option<u64> },
    Overlay { layers: Vec<PathBuf>, writable: bool },
    Mqueue,
    Dir { mode: u32 },
    Symlink { target: PathBuf },
    File { data: Vec<u8>, mode: u32 },
    BoundFile { data: Vec<u8>, mode: u32, writable: bool },
    Chmod { mode: u32 },
    RemountReadOnly,
}

/// Why layers without an overlay are a mistake.
pub const UNUSED_LAYERS: &str = "--overlay-src must be followed by another --overlay-src or one of \
     --overlay, --tmp-overlay, or --ro-overlay";

/// The mode of a parent directory that has to be made.
const PARENT: u32 = 0o755;

impl Asked {
    /// Adds an operation. `takes_mode` and `takes_size`: those of the next operation are for it.
    pub fn operate(&mut self, at: &OsStr, what: What) -> Result<()> {
        let (takes_mode, takes_size) = match what {
            What::Tmpfs { .. } => (true, true),
            What::Dir { .. } | What::File { .. } | What::BoundFile { .. } => (true, false),
            What::Bind { .. }
            | What::Overlay { .. }
            | What::Proc
            | What::Dev
            | What::Mqueue
            | What::Symlink { .. }
            | What::Chmod { .. }
            | What::RemountReadOnly => (false, false),
        };
        if self.mode.is_some() && !takes_mode {
            return Err(Refusal::new(
                "--perms must stand before --dir, --tmpfs, --file, --bind-data or --ro-bind-data",
            ));
        }
        if self.size.is_some() && !takes_size {
            return Err(Refusal::new("--size must stand before --tmpfs"));
        }
        let parents = self.mode.map_or(PARENT, |mode| {
            let denied = |class: u32| if mode & class == 0 { class } else { 0 };
            PARENT & !denied(0o070) & !denied(0o007)
        });
        (self.mode, self.size) = (None, None);
        self.operations.push(Operation { at: inside(at), what, parents });
        Ok(())
    }

    /// The mode for the next operation, or its default.
    pub fn mode_or(&self, usual: u32) -> u32 {
        self.mode.unwrap_or(usual)
    }

    /// Takes `/proc/self/exe` for this program, as a shell script may name it to run it again
    /// inside. In the sandbox that would be the warden, which starts the programs.
    pub fn know_itself(&mut self, name: &OsStr) -> Result<()> {
        if self.command.first().is_none_or(|program| program != "/proc/self/exe") {
            return Ok(());
        }
        let own = std::env::current_exe()
            .map_err(|error| Refusal::new(format!("find this program: {error}")))?;
        self.command[0] = own.into();
        if crate::front::is_meant("bwrap", name) {
            self.argv0.get_or_insert_with(|| name.to_owned());
        } else {
            self.command.insert(1, "bwrap".into());
        }
        Ok(())
    }

    /// The program, or the error of a command line without one.
    pub fn program(&self) -> Result<&OsStr> {
        let program = self.command.first().ok_or_else(|| Refusal::new("no program is given"))?;
        Ok(program)
    }

    /// The arguments of the program.
    pub fn arguments(&self) -> &[OsString] {
        self.command.get(1..).unwrap_or_default()
    }

    /// Checks what belongs together, after the whole command line has been read.
    pub fn check(&self) -> Result<()> {
        let require = |given: bool, needs: bool, message: &str| {
            if given && !needs { Err(Refusal::new(message)) } else { Ok(()) }
        };
        let makes = |kind| self.unshare.contains(&kind);
        require(self.mode.is_some(), false, "--perms must stand before an operation")?;
        require(self.size.is_some(), false, "--size must stand before --tmpfs")?;
        require(!self.layers.is_empty(), false, UNUSED_LAYERS)?;
        require(
            self.userns.is_some(),
            !makes(Namespace::User),
            "--userns enters a user namespace, and --unshare-user makes one: give only one",
        )?;
        require(
            self.disable_userns,
            makes(Namespace::User),
            "--disable-userns requires --unshare-user",
        )?;
        require(
            self.pidns.is_some(),
            !makes(Namespace::Pid),
            "--pidns with --unshare-pid: a process tree below an existing one is not supported",
        )?;
        require(self.as_pid_1, makes(Namespace::Pid), "--as-pid-1 requires --unshare-pid")?;
        require(
            self.hostname.is_some(),
            makes(Namespace::Uts),
            "--hostname requires --unshare-uts",
        )?;
        require(
            self.seccomp.is_some(),
            self.more_seccomp.is_empty(),
            "--seccomp cannot be combined with --add-seccomp-fd",
        )?;
        require(
            self.assert_userns_disabled,
            self.disable_userns || !makes(Namespace::User) && users_are_forbidden(),
            "--assert-userns-disabled: only --disable-userns makes it certain here",
        )
    }
}

/// Whether nobody can make user namespaces below the caller's.
fn users_are_forbidden() -> bool {
    std::fs::read_to_string("/proc/sys/user/max_user_namespaces")
        .is_ok_and(|text| text.trim() == "0")
}

/// A path inside, which is taken from the root, without `.` and repeated slashes.
pub fn inside(path: &OsStr) -> PathBuf {
    let names = path.as_bytes().split(|byte| *byte == b'/');
    let names = names.filter(|name| !name.is_empty() && *name != b".");
    let mut absolute = Vec::with_capacity(path.len() + 1);
    for name in names {
        absolute.push(b'/');
        absolute.extend_from_slice(name);
    }
    if absolute.is_empty() {
        absolute.push(b'/');
    }
    OsString::from_vec(absolute).into()
}

/// The directories above a path, from the top, without the root.
pub fn parents(path: &Path) -> impl DoubleEndedIterator<Item = &Path> {
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.into_iter().rev().filter(|path| *path != Path::new("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_inside_is_taken_from_the_root() {
        for (given, meant) in [("a//b/", "/a/b"), ("/", "/"), ("", "/"), ("./a/.", "/a")] {
            assert_eq!(inside(OsStr::new(given)), Path::new(meant));
        }
        assert_eq!(
            parents(Path::new("/a/b/c")).collect::<Vec<_>>(),
            [Path::new("/a"), Path::new("/a/b")]
        );
    }

    #[test]
    fn a_mode_without_access_for_others_keeps_them_out_of_new_parents() {
        for (mode, parents) in [
            (0o1777, 0o755),
            (0o644, 0o755),
            (0o710, 0o750),
            (0o640, 0o750),
            (0o604, 0o705),
            (0, 0o700),
        ] {
            let mut asked = Asked { mode: Some(mode), ..Asked::default() };
            asked.operate(OsStr::new("/a/b"), What::Dir { mode }).unwrap();
            assert_eq!(asked.operations[0].parents, parents, "{mode:o}");
        }
    }
}
