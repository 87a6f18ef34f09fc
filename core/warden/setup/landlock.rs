//! The Landlock rulesets: one for the warden itself, and one that each command applies before its
//! filters.
//!
//! They repeat by paths what the mounts and namespaces enforce already, so that a fault in either
//! one opens nothing. The file system must be complete when they are made.

use super::mounts::Mounts;
use crate::sys::{self, Call, Errno, Fd, Result, access};
use crate::wire::codec::List;
use crate::wire::plan::{landlock, protection};
use core::ffi::CStr;

pub struct CommandRuleset {
    pub fd: Fd,
    pub abi: u32,
    /// The protections that it provides.
    pub protections: u64,
    /// The rights to files that it denies.
    files: u64,
}

fn when(condition: bool, bits: u64) -> u64 {
    if condition { bits } else { 0 }
}

/// The Landlock ABI of this kernel; `None` if there is none. An error if it is `needed`.
fn abi(needed: bool) -> Result<Option<u32>> {
    match sys::landlock_abi() {
        Ok(abi) if !Call::LANDLOCK.into_iter().any(Call::is_absent) => Ok(Some(abi)),
        // A filter around the caller refuses another call that a ruleset takes.
        Ok(_) if needed => Err(Errno::EPERM),
        Ok(_) => Ok(None),
        // Landlock is not built in, or it was not enabled at boot.
        Err(Errno::ENOSYS | Errno::EOPNOTSUPP) if !needed => Ok(None),
        Err(Errno::ENOSYS) => Err(Errno::EOPNOTSUPP),
        Err(Errno::EPERM) if !needed && Call::LANDLOCK[0].is_absent() => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The size in bytes of the ruleset attributes that this ABI knows.
fn size(abi: u32) -> usize {
    match abi {
        ..4 => 8,
        4..6 => 16,
        _ => 24,
    }
}

/// Keeps the warden and everything that it starts from signalling processes outside and from their
/// abstract sockets, as far as this kernel can. Returns the ABI and the protections.
///
/// The rules apply to the warden because a ruleset on each command would keep the commands from one
/// another.
pub fn restrict_warden(rules: u32, mounts: &Mounts) -> Result<(u32, u64)> {
    const SCOPE_ABSTRACT_SOCKETS: u64 = 1 << 0;
    const SCOPE_SIGNALS: u64 = 1 << 1;
    let asked = |rule: u32| rules & rule != 0;
    let scopes = when(asked(landlock::SOCKETS), SCOPE_ABSTRACT_SOCKETS)
        | when(asked(landlock::SIGNALS), SCOPE_SIGNALS);
    let abi = abi(false)?.filter(|abi| *abi >= 6 && scopes != 0);
    let Some(abi) = abi else {
        let needed = asked(landlock::ALONE) && asked(landlock::SIGNALS);
        return if needed { Err(Errno::EOPNOTSUPP) } else { Ok((0, 0)) };
    };
    let ruleset = sys::landlock_ruleset(access::REFER, 0, scopes, size(abi))?;
    allow_refer(&ruleset, mounts)?;
    sys::landlock_restrict(ruleset.number())?;
    let protections = when(asked(landlock::SIGNALS), protection::LANDLOCK_SIGNALS)
        | when(asked(landlock::SOCKETS), protection::LANDLOCK_SOCKETS);
    Ok((abi, protections))
}

/// Allows files to be moved and linked between directories, in a ruleset with no other rule about
/// files.
///
/// This rule is necessary. Beside another ruleset that does restrict files, every ruleset denies
/// this one right, even without naming it (landlock(7), LANDLOCK_ACCESS_FS_REFER). Nobody can mount
/// afterwards.
fn allow_refer(ruleset: &Fd, mounts: &Mounts) -> Result<()> {
    let root = mounts.open_inside(c"/", sys::open::PATH)?;
    sys::landlock_allow_path(ruleset, root.number(), access::REFER)
}

impl CommandRuleset {
    /// Makes a ruleset for `rules`, as far as this kernel has them. Returns `None` if it has none
    /// of them.
    ///
    /// # Errors
    ///
    /// EOPNOTSUPP if there are rules for ports and the kernel lacks them, or if Landlock alone
    /// restricts files and the kernel cannot restrict them completely.
    pub fn new(
        rules: u32,
        mounts: &Mounts,
        bind: List<'_, u16>,
        connect: List<'_, u16>,
    ) -> Result<Option<CommandRuleset>> {
        let asked = |rule: u32| rules & rule != 0;
        let ports = asked(landlock::BIND | landlock::CONNECT);
        let Some(abi) = abi(ports || asked(landlock::ALONE))? else { return Ok(None) };
        // Before ABI 3 a file could be truncated whatever the rules.
        if ports && abi < 4 || asked(landlock::ALONE) && abi < 3 {
            return Err(Errno::EOPNOTSUPP);
        }
        // ABI 1 cannot allow a move to another directory, so it would forbid every move.
        let files = match abi {
            _ if !asked(landlock::FILES) => 0,
            ..2 => 0,
            2 => access::TRUNCATE - 1,
            3..5 => access::IOCTL_DEV - 1,
            _ => (access::IOCTL_DEV << 1) - 1,
        };
        let denied_ports = when(asked(landlock::BIND), sys::BIND_TCP)
            | when(asked(landlock::CONNECT), sys::CONNECT_TCP);
        if files | denied_ports == 0 {
            return Ok(None);
        }
        let moves = files == 0 && asked(landlock::MOUNTLESS);
        let ruleset =
            sys::landlock_ruleset(files | when(moves, access::REFER), denied_ports, 0, size(abi))?;
        if moves {
            allow_refer(&ruleset, mounts)?;
        }
        for (ports, right) in [(bind, sys::BIND_TCP), (connect, sys::CONNECT_TCP)] {
            for port in ports.iter() {
                sys::landlock_allow_port(&ruleset, port, right)?;
            }
        }
        let protections = when(files != 0, protection::LANDLOCK_FILES)
            | when(denied_ports != 0, protection::LANDLOCK_PORTS);
        Ok(Some(CommandRuleset { fd: ruleset, abi, protections, files }))
    }

    /// Allows reading and executing what is at these places.
    pub fn readable(&self, mounts: &Mounts, places: List<'_, &CStr>) -> Result<()> {
        self.allow(mounts, places, access::EXECUTE | access::READ_FILE | access::READ_DIR)
    }

    /// Allows everything at these places.
    pub fn writable(&self, mounts: &Mounts, places: List<'_, &CStr>) -> Result<()> {
        self.allow(mounts, places, u64::MAX)
    }

    /// Allows writing to existing files at these places, such as devices and knobs.
    pub fn devices(&self, mounts: &Mounts, places: List<'_, &CStr>) -> Result<()> {
        self.allow(mounts, places, access::WRITE_FILE | access::TRUNCATE | access::IOCTL_DEV)
    }

    /// Allows opening message queues. They are files of a file system that belongs to the ipc
    /// namespace. A rule needs its root directory, so the warden mounts it. With `hide`, the mount
    /// stays but no process can reach it.
    pub fn queues(&self, mounts: &Mounts, hide: bool) -> Result<()> {
        if self.files == 0 {
            return Ok(());
        }
        let root = match mounts.queues() {
            // A kernel without message queues.
            Err(Errno::ENODEV) => return Ok(()),
            root => root?,
        };
        self.allow_file(root.number(), u64::MAX)?;
        if hide { mounts.hide(&root) } else { Ok(()) }
    }

    fn allow(&self, mounts: &Mounts, places: List<'_, &CStr>, rights: u64) -> Result<()> {
        for at in places.iter().filter(|_| self.files != 0) {
            match mounts.open_inside(at, sys::open::PATH) {
                Ok(file) => self.allow_file(file.number(), rights)?,
                // The source of an optional bind is missing.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn allow_file(&self, fd: i32, rights: u64) -> Result<()> {
        let asked = rights & self.files;
        let of_files = asked & access::OF_FILES;
        let directory = || Ok(sys::status(fd, c"")?.is_directory());
        match if asked == of_files || directory()? { asked } else { of_files } {
            0 => Ok(()),
            rights => sys::landlock_allow_path(&self.fd, fd, rights),
        }
    }

    /// Allows a command to open one of its descriptors again through `/proc/self/fd`, with the mode
    /// in which it is open.
    pub fn allow_given(&self, fd: i32) -> Result<()> {
        if self.files == 0 {
            return Ok(());
        }
        let directory = sys::status(fd, c"")?.is_directory();
        let rights = match sys::open_mode(fd)? {
            _ if directory => u64::MAX,
            sys::open::READ => access::EXECUTE | access::READ_FILE | access::IOCTL_DEV,
            sys::open::WRITE => access::WRITE_FILE | access::TRUNCATE | access::IOCTL_DEV,
            _ => access::OF_FILES,
        };
        match self.allow_file(fd, rights) {
            // Pipes, sockets and memfds are on no mounted file system, and Landlock does not
            // restrict them.
            Err(Errno::EBADFD) => Ok(()),
            result => result,
        }
    }
}
