//! System calls that this process cannot make, because the kernel lacks them or a seccomp filter
//! around the caller refuses them.
//!
//! A kernel without the call answers ENOSYS. A filter answers as its author chose, most often with
//! EPERM, which may also be the kernel's own answer to that request. So a call that failed with
//! EPERM is made again with arguments that change nothing: flags that do not exist, or a size of 0.
//! The kernel itself can only give another error for these. If the answer is EPERM again, it comes
//! from a filter.

use super::Errno;
use super::number as nr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The number of the last call that failed with EPERM or ENOSYS.
static REFUSED: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Remembers a call that was refused, so that the error of a whole step can name it.
#[inline]
pub(super) fn noted(number: usize, errno: Errno) -> Errno {
    if matches!(errno, Errno::EPERM | Errno::ENOSYS) {
        REFUSED.store(number, Relaxed);
    }
    errno
}

/// The number of the last call that failed with EPERM or ENOSYS.
pub fn refused_call() -> usize {
    REFUSED.load(Relaxed)
}

/// A call with a fallback, or one without which a protection is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Call(usize);

impl Call {
    pub const OPENAT2: Call = Call(nr::OPENAT2);
    pub const FACCESSAT2: Call = Call(nr::FACCESSAT2);
    pub const STATX: Call = Call(nr::STATX);
    pub const KEYCTL: Call = Call(nr::KEYCTL);
    pub const MOUNT: Call = Call(nr::MOUNT);
    /// The calls of the newer way to mount.
    pub const MODERN_MOUNTS: [Call; 6] = [
        Call(nr::MOUNT_SETATTR),
        Call(nr::FSOPEN),
        Call(nr::FSCONFIG),
        Call(nr::FSMOUNT),
        Call(nr::OPEN_TREE),
        Call(nr::MOVE_MOUNT),
    ];
    /// The calls that make a ruleset and apply it.
    pub const LANDLOCK: [Call; 3] =
        [Call(nr::LANDLOCK_CREATE), Call(nr::LANDLOCK_ADD), Call(nr::LANDLOCK_SELF)];

    /// The call with this number.
    pub fn numbered(number: usize) -> Call {
        Call(number)
    }

    /// Whether the call is absent, after it failed with `errno`.
    pub fn is_absent_after(self, errno: Errno) -> bool {
        errno == Errno::ENOSYS || errno == Errno::EPERM && self.is_absent()
    }

    /// Whether the kernel lacks the call or a filter refuses it. False for a call that cannot be
    /// made without an effect.
    pub fn is_absent(self) -> bool {
        let answer = self.without_effect().map(|[a, b, c, d, e]| call!(self.0, a, b, c, d, e));
        matches!(answer, Some(Err(Errno::EPERM | Errno::ENOSYS)))
    }

    /// Arguments with which the call has no effect. The comments name what the kernel checks before
    /// anything that could fail with EPERM.
    fn without_effect(self) -> Option<[usize; 5]> {
        /// A value that is no flag, mode, option, id or descriptor.
        const NONE: usize = u32::MAX as usize;
        const NO_FILE: usize = -1isize as usize;
        let nothing = c"".as_ptr() as usize;
        Some(match self.0 {
            // EINVAL for a size that no version of the structure has had.
            nr::OPENAT2 => [NO_FILE, 0, 0, 0, 0],
            // EINVAL for flags or a mode.
            nr::FACCESSAT2 => [NO_FILE, 0, NONE, NONE, 0],
            nr::FACCESSAT => [NO_FILE, 0, NONE, 0, 0],
            nr::MOUNT_SETATTR => [NO_FILE, nothing, NONE, 0, 0],
            nr::OPEN_TREE => [NO_FILE, nothing, NONE, 0, 0],
            nr::UMOUNT2 | nr::LANDLOCK_SELF | nr::FSMOUNT => [NO_FILE, NONE, 0, 0, 0],
            nr::LANDLOCK_ADD => [NO_FILE, 0, 0, NONE, 0],
            nr::LANDLOCK_CREATE => [0, 0, NONE, 0, 0],
            // EINVAL too, but for these two, FSMOUNT and LANDLOCK_SELF only after a check for
            // CAP_SYS_ADMIN. The warden has it during set-up.
            nr::FSOPEN => [nothing, NONE, 0, 0, 0],
            nr::MOVE_MOUNT => [NO_FILE, nothing, NO_FILE, nothing, NONE],
            // EINVAL for a reserved bit or an option.
            nr::STATX => [NO_FILE, nothing, 0, 1 << 31, 0],
            nr::SECCOMP | nr::PRCTL | nr::PRLIMIT64 => [NONE, NONE, 0, 0, 0],
            nr::UNSHARE => [1, 0, 0, 0, 0],
            // EINVAL or EBADF for the descriptor.
            nr::FSCONFIG | nr::SETNS | nr::IOCTL | nr::FCHDIR => [NO_FILE, 0, 0, 0, 0],
            // EOPNOTSUPP for the operation.
            nr::KEYCTL => [NONE, 0, 0, 0, 0],
            // EFAULT for a null path.
            nr::MOUNT | nr::PIVOT_ROOT | nr::SYMLINKAT | nr::CAPSET => [0; 5],
            nr::OPENAT | nr::MKDIRAT => [NO_FILE, 0, 0, 0, 0],
            // EINVAL for a negative length, after a check for CAP_SYS_ADMIN.
            nr::SETHOSTNAME | nr::SETDOMAINNAME => [nothing, NO_FILE, 0, 0, 0],
            // These succeed and change nothing.
            nr::SETRESUID | nr::SETRESGID => [NONE, NONE, NONE, 0, 0],
            nr::PERSONALITY => [NONE, 0, 0, 0, 0],
            nr::GETPID => [0; 5],
            _ => return None,
        })
    }
}
