//! Tests what set-up gets from kernels that have less: no Landlock or an older one, no keys, none
//! of the newer calls.

use super::super::std;
use super::{ALL, Outcome, apply, in_force, index_of, kernel, list, plan};
use crate::sys::Errno;
use crate::sys::fake_kernel::{Answer, Fault};
use crate::wire::plan::{Step, landlock, protection};
use std::vec::Vec;

const OF_WARDEN: u64 = protection::LANDLOCK_SIGNALS | protection::LANDLOCK_SOCKETS;
const OF_FILES: u64 = protection::LANDLOCK_FILES;

/// The plan with another step in place of the first one of this kind.
fn with_step(step: Step<'static>, kind: impl Fn(&Step<'_>) -> bool) -> (usize, Vec<Step<'static>>) {
    let mut plan = plan();
    let index = index_of(&plan, kind);
    plan[index] = step;
    (index, plan)
}

fn is_landlock(step: &Step<'_>) -> bool {
    matches!(step, Step::Landlock { .. })
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn each_abi_of_landlock_reports_what_it_has() {
    for (abi, missing, highest) in [
        (0, OF_FILES | OF_WARDEN, 0),
        // ABI 1 would forbid every move of a file to another directory.
        (1, OF_FILES | OF_WARDEN, 0),
        (2, OF_WARDEN, 2),
        (3, OF_WARDEN, 3),
        (5, OF_WARDEN, 5),
        (6, 0, 6),
        (7, 0, 7),
    ] {
        let (outcome, kernel) = apply(kernel(&plan(), false).with_landlock(abi));
        let protections = ALL & !missing;
        assert_eq!(outcome, Outcome::Finished { protections, landlock: highest }, "ABI {abi}");
        let scopes = in_force(&kernel) & OF_WARDEN;
        assert_eq!(scopes, protections & OF_WARDEN, "ABI {abi}");
    }
}

/// Rules for ports are asked for by the policy, so they are never left out.
#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn rules_for_ports_without_a_landlock_that_has_them_are_refused() {
    for rules in [landlock::BIND, landlock::CONNECT, landlock::BIND | landlock::FILES] {
        let paths = &super::NONE;
        let step = Step::Landlock {
            rules,
            readable: list(paths),
            writable: list(paths),
            devices: list(paths),
            bind: list(paths),
            connect: list(paths),
        };
        let (index, plan) = with_step(step, is_landlock);
        for abi in [0, 1, 3] {
            let (outcome, _) = apply(kernel(&plan, false).with_landlock(abi));
            let Outcome::Refused { step, errno, .. } = outcome else {
                panic!("ABI {abi}: {outcome:?}")
            };
            assert_eq!((step as usize, errno), (index, Errno::EOPNOTSUPP.0), "ABI {abi}");
        }
        let (outcome, _) = apply(kernel(&plan, false).with_landlock(4));
        let Outcome::Finished { protections, landlock: 4 } = outcome else { panic!("{outcome:?}") };
        assert_ne!(protections & protection::LANDLOCK_PORTS, 0);
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn a_keyring_is_left_out_only_where_nothing_can_use_the_callers() {
    for (dispensable, calls, errno, goes_on) in [
        (true, "keyctl", Errno::ENOSYS, true),
        (true, "keyctl 1", Errno::EDQUOT, true),
        (true, "keyctl", Errno::EPERM, true),
        // The kernel's own refusal: the call itself is there.
        (true, "keyctl 1", Errno::EPERM, false),
        (true, "keyctl", Errno::EACCES, false),
        (false, "keyctl", Errno::ENOSYS, false),
        (false, "keyctl 1", Errno::EDQUOT, false),
        (false, "keyctl", Errno::EPERM, false),
    ] {
        let (index, plan) =
            with_step(Step::Keyring { dispensable }, |step| matches!(step, Step::Keyring { .. }));
        let fault = Fault::Lines([calls.into()].into());
        let (outcome, kernel) = apply(kernel(&plan, false).with_fault(fault, Answer::Fail(errno)));
        match outcome {
            Outcome::Finished { protections, .. } => {
                assert!(goes_on, "{dispensable} {calls} {}", errno.0);
                assert_eq!(protections, ALL & !protection::KEYRING);
                assert_eq!(in_force(&kernel) & protection::KEYRING, 0);
            }
            Outcome::Refused { step, errno: given, .. } => {
                assert!(!goes_on, "{dispensable} {calls} {}", errno.0);
                assert_eq!((step as usize, given), (index, errno.0));
            }
        }
    }
}

/// The calls that Linux 4.10 did not have.
const NEWER: &[&str] = &[
    "openat2",
    "faccessat2",
    "statx",
    "mount_setattr",
    "fsopen",
    "fsconfig",
    "fsmount",
    "open_tree",
    "move_mount",
    "landlock_create_ruleset",
    "landlock_add_rule",
    "landlock_restrict_self",
];

/// Such a kernel, and a filter of that time around the caller.
#[test]
fn without_any_newer_call_the_same_protections_are_in_force() {
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        let fault = Fault::Names(NEWER);
        let (outcome, kernel) =
            apply(kernel(&plan(), false).with_fault(fault, Answer::Fail(errno)));
        let protections = ALL & !OF_FILES & !OF_WARDEN;
        assert_eq!(outcome, Outcome::Finished { protections, landlock: 0 }, "{}", errno.0);
        assert_eq!(in_force(&kernel) & protections, protections);
        assert!(kernel.is_read_only("/proc/sys"));
        let classic = kernel.calls().filter(|(_, name, _)| *name == "mount").count();
        assert!(classic > 10, "the control: {classic} mounts by mount(2)");
    }
}
