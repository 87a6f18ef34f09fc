//! Tests what set-up reads back, with a kernel that returns success and does nothing.

use super::super::std;
use super::{ALL, CALLER, Outcome, apply, in_force, index_of, kernel, lines, plan};
use crate::sys::Errno;
use crate::sys::fake_kernel::{Answer, Fault};
use crate::wire::plan::{IdRange, Step};
use std::format;
use std::string::String;
use std::vec::Vec;

fn applied_by_a_liar(line: &str) -> (Outcome, u64) {
    let liar =
        kernel(&plan(), false).with_fault(Fault::Lines([line.into()].into()), Answer::Pretend);
    let (outcome, kernel) = apply(liar);
    let told = kernel.calls().any(|(_, _, call)| call.starts_with(line));
    assert!(told, "the control: set-up makes the call {line}");
    (outcome, in_force(&kernel))
}

fn assert_caught(line: &str, step: usize, errno: Errno) {
    match applied_by_a_liar(line).0 {
        Outcome::Refused { step: given, errno: error, .. } => {
            assert_eq!((given, error), (step as u32, errno.0), "{line}");
        }
        finished => panic!("{line} was believed: {finished:?}"),
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn an_id_map_that_was_not_written_is_noticed() {
    let check = index_of(&plan(), |step| matches!(step, Step::CheckMaps { .. }));
    for map in ["uid_map", "gid_map"] {
        assert_caught(&format!("write proc:/self/{map}"), check, Errno::EBADMSG);
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn an_id_map_that_differs_is_noticed() {
    let check = index_of(&plan(), |step| matches!(step, Step::CheckMaps { .. }));
    let right = IdRange { inside: super::USER, outside: 0, count: 1 };
    for (uids, gids, own, fits) in [
        (right, right, true, true),
        (IdRange { outside: CALLER, ..right }, right, false, false),
        (right, IdRange { outside: CALLER, ..right }, false, false),
        (IdRange { outside: CALLER, ..right }, IdRange { outside: CALLER, ..right }, false, true),
        (IdRange { inside: 0, ..right }, right, true, false),
        (right, IdRange { inside: 0, ..right }, true, false),
        (IdRange { count: 2, ..right }, right, true, false),
        (right, IdRange { count: 10, ..right }, true, false),
    ] {
        let mut plan = plan();
        plan[check] = Step::CheckMaps { uids: lines(&[uids]), gids: lines(&[gids]), own };
        let (outcome, _) = apply(kernel(&plan, false));
        let noticed = matches!(
            outcome,
            Outcome::Refused { step, errno, .. }
                if step as usize == check && errno == Errno::EBADMSG.0
        );
        let finished = matches!(outcome, Outcome::Finished { protections: ALL, .. });
        assert_eq!((noticed, finished), (!fits, fits), "{uids:?} {gids:?} {own}: {outcome:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn an_id_map_has_as_many_lines_as_were_asked_for() {
    let check = index_of(&plan(), |step| matches!(step, Step::CheckMaps { .. }));
    let right = IdRange { inside: super::USER, outside: CALLER, count: 1 };
    let more = IdRange { inside: super::USER + 1, outside: 100_000, count: 65_535 };
    for (asked, fits) in [(&[right][..], true), (&[right, more], false), (&[], false)] {
        let mut plan = plan();
        plan[check] = Step::CheckMaps { uids: lines(asked), gids: lines(asked), own: false };
        let (outcome, _) = apply(kernel(&plan, false));
        let finished = matches!(outcome, Outcome::Finished { protections: ALL, .. });
        assert_eq!(finished, fits, "{asked:?}: {outcome:?}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn privileges_that_were_not_given_up_are_noticed() {
    let seal = index_of(&plan(), |step| matches!(step, Step::Seal { .. }));
    let bounding = (0..=40).map(|number| format!("prctl CAPBSET_DROP {number:#x}"));
    let others = [
        "setresuid 1000",
        "setresgid 1000",
        "capset",
        "prctl SET_SECUREBITS 0xef",
        "prctl SET_NO_NEW_PRIVS",
        "prctl SET_DUMPABLE",
    ];
    let series = bounding.chain(others.map(String::from));
    series.for_each(|line| assert_caught(&line, seal, Errno::EBADE));
}

#[test]
fn a_filter_that_was_not_loaded_is_noticed() {
    let filter = index_of(&plan(), |step| matches!(step, Step::Filter { .. }));
    assert_caught("seccomp", filter, Errno::EBADE);
}

#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn groups_that_stay_are_not_reported_as_gone() {
    use crate::wire::plan::protection::GROUPS;
    let (outcome, in_force) = applied_by_a_liar("setgroups 0");
    assert!(
        matches!(outcome, Outcome::Finished { protections, .. } if protections == ALL & !GROUPS)
    );
    assert_eq!(in_force & GROUPS, 0);
}

/// What is not read back, because something else stands for it: the ambient set is empty where the
/// permitted one is, and the first securebits serve the change of ids only.
#[test]
#[cfg_attr(miri, ignore = "it takes many minutes")]
fn what_is_not_read_back_follows_from_what_is() {
    for line in ["prctl CAP_AMBIENT", "prctl SET_SECUREBITS 0x4"] {
        let (outcome, in_force) = applied_by_a_liar(line);
        assert_eq!(outcome, Outcome::Finished { protections: ALL, landlock: 7 }, "{line}");
        assert_eq!(in_force & ALL, ALL, "{line}");
    }
}

/// A file of the same name that is in no proc accepts a write without any effect.
#[test]
fn a_knob_that_is_not_the_kernels_is_noticed() {
    let plan = plan();
    let knob = index_of(&plan, |step| matches!(step, Step::NoNestedUsers { .. }));
    let proc = index_of(&plan, |step| matches!(step, Step::Proc { .. }));
    let mut other: Vec<Step<'_>> = plan.clone();
    other[proc] = Step::File {
        at: c"/proc/sys/user/max_user_namespaces",
        mode: 0o644,
        data: b"1000",
        optional: false,
    };
    let (outcome, _) = apply(kernel(&other, false));
    let Outcome::Refused { step, errno, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((step as usize, errno), (knob, Errno::ENODEV.0));
}
