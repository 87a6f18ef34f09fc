//! The rules that let nobody set the set-user-ID and set-group-ID bits of a file. A command that
//! makes files of the caller's must not make programs that run with the caller's rights.

use super::{Action, Compare, Rule, Seccomp, Test};

/// The set-user-ID and the set-group-ID bit.
const BITS: [u64; 2] = [0o4000, 0o2000];
/// O_CREAT, and what O_TMPFILE has beside O_DIRECTORY. Without them open(2) reads no mode.
const MAKING: [u64; 2] = [libc::O_CREAT as u64, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64];

/// Calls that set a mode, and the argument with it.
const OF_MODES: &[(&str, u8)] = &[
    ("chmod", 1),
    ("creat", 1),
    ("fchmod", 1),
    ("fchmodat", 2),
    ("fchmodat2", 2),
    ("mknod", 1),
    ("mknodat", 2),
];

/// Calls that set the mode of a file that they make, and the arguments with the flags and the mode.
const OF_OPENING: &[(&str, u8, u8)] = &[("open", 1, 2), ("openat", 2, 3)];

/// Calls whose arguments a filter cannot read. Programs do without where the kernel lacks them.
const UNREADABLE: &[&str] = &["io_uring_setup", "openat2"];

/// The filter with these rules. No rule of the policy takes precedence over them.
pub(crate) fn without_set_ids(filter: Seccomp) -> Seccomp {
    let mut filter = filter;
    let has = |argument: u8, bit: u64| Test::new(argument, Compare::Equal, bit).masked(bit);
    let refuse = |call: &'static str| Rule::named(call, Action::Errno(libc::EPERM));
    for bit in BITS {
        let modes = OF_MODES.iter().map(|(call, mode)| refuse(call).when(has(*mode, bit)));
        filter.rules.extend(modes);
        for making in MAKING {
            let opening = OF_OPENING.iter().map(|(call, flags, mode)| {
                refuse(call).when(has(*flags, making)).when(has(*mode, bit))
            });
            filter.rules.extend(opening);
        }
    }
    let unreadable = UNREADABLE.iter().map(|call| Rule::named(call, Action::Errno(libc::ENOSYS)));
    filter.rules.extend(unreadable);
    filter
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::seccomp::{Profile, Syscall, table};

    #[test]
    fn no_rule_of_the_policy_lets_a_program_set_these_bits() {
        let own = Seccomp::profile(Profile::Default).allow("chmod").allow("io_uring_setup");
        let filter = without_set_ids(own);
        let creat = libc::O_CREAT as u64;
        for (call, arguments, allowed) in [
            ("fchmodat", [0, 0, 0o755, 0, 0, 0], true),
            ("fchmodat", [0, 0, 0o1777, 0, 0, 0], true),
            ("fchmodat", [0, 0, 0o4755, 0, 0, 0], false),
            ("fchmodat", [0, 0, 0o2755, 0, 0, 0], false),
            ("fchmodat", [0, 0, 0o104_755, 0, 0, 0], false),
            ("fchmod", [0, 0o6000, 0, 0, 0, 0], false),
            ("fchmodat2", [0, 0, 0o4000, 0, 0, 0], false),
            ("mknodat", [0, 0, 0o104_000, 0, 0, 0], false),
            ("openat", [0, 0, creat, 0o4755, 0, 0], false),
            ("openat", [0, 0, libc::O_TMPFILE as u64 | 2, 0o2755, 0, 0], false),
            ("openat", [0, 0, creat, 0o755, 0, 0], true),
            // Without O_CREAT the register holds anything.
            ("openat", [0, 0, 0, 0o4755, 0, 0], true),
            ("openat", [0, 0, libc::O_DIRECTORY as u64, 0o4755, 0, 0], true),
            ("openat2", [0; 6], false),
            ("io_uring_setup", [0; 6], false),
        ] {
            let decided = filter.decide(Syscall::from_name(call).unwrap(), &arguments);
            assert_eq!(decided == Action::Allow, allowed, "{call} {arguments:?}: {decided:?}");
        }
        for call in OF_MODES.iter().map(|(call, _)| call).chain(UNREADABLE) {
            assert!(table::row(call).is_some(), "{call}");
        }
    }
}
