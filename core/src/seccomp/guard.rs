//! The guard: calls by which a command could change its warden, refused in every filter, whatever its profile and rules say.
//!
//! The warden is PID 1 of the sandbox and has the command's user, and so the kernel would let the command take its
//! descriptors, its processor and its priority away, and with them the limits that the warden holds. Signals need no
//! guard: PID 1 gets none from inside (pid_namespaces(7)). Nor does what takes the right to trace: the warden cannot be traced.

use super::{Action, Compare, Rule, Test};

/// PID 1 inside. The kernel looks at the lower 32 bits of a process id, and so do the tests.
const WARDEN: u64 = 1;
/// PRIO_USER of setpriority(2): every process of a user.
const PRIO_USER: u64 = 2;
/// IOPRIO_WHO_USER of ioprio_set(2): the same.
const IOPRIO_WHO_USER: u64 = 3;

/// The error of a call that the guard refuses.
pub(super) const REFUSED: Action = Action::Errno(libc::EPERM);

/// A call: its name, its number for 32-bit programs, and which argument with which value names the warden.
pub(super) struct Call {
    name: &'static str,
    pub compat: u32,
    pub argument: u8,
    pub value: u64,
}

macro_rules! calls {
    ($($name:literal $i386:literal $arm:literal $argument:literal $value:ident;)*) => {
        /// All of them, with the numbers of i386 and arm.
        pub(super) const CALLS: &[Call] = &[$(Call {
            name: $name,
            compat: if cfg!(target_arch = "x86_64") { $i386 } else { $arm },
            argument: $argument,
            value: $value,
        },)*];
    };
}

calls! {
    //                   i386 arm argument
    "ioprio_set"          289 314 0 IOPRIO_WHO_USER;
    "ioprio_set"          289 314 1 WARDEN;
    "migrate_pages"       294 400 0 WARDEN;
    "move_pages"          317 344 0 WARDEN;
    "prlimit64"           340 369 0 WARDEN;
    "sched_setaffinity"   241 241 0 WARDEN;
    "sched_setattr"       351 380 0 WARDEN;
    "sched_setparam"      154 154 0 WARDEN;
    "sched_setscheduler"  156 156 0 WARDEN;
    "setpriority"          97  97 0 PRIO_USER;
    "setpriority"          97  97 1 WARDEN;
}

/// The 32-bit programs' architecture, as AUDIT_ARCH_: i386, arm.
pub(super) const COMPAT: u32 = if cfg!(target_arch = "x86_64") { 0x4000_0003 } else { 0x4000_0028 };

/// On x86_64 a call has a second number, by this bit: the x32 ABI.
pub(super) const X32: Option<u32> = if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

/// What the guard says of calls by their native numbers.
pub(super) fn rules() -> impl Iterator<Item = (u32, Rule)> {
    CALLS.iter().filter_map(|call| {
        let rule = Rule::new(call.name, REFUSED).when(Test::new(call.argument, Compare::Equal, call.value));
        Some((rule.number()?, rule))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_guard_is_one_of_this_architecture() {
        assert_eq!(rules().count(), CALLS.len());
    }
}
