//! What the fuzz targets reach inside for; there is nothing of it in any other build.

use crate::plan::idmap::Mapping;
use crate::plan::{Manner, Part, Plan};
use crate::policy::seccomp::Filters;
use crate::run::sandbox::Sandbox;
use crate::wire::codec::{Reader, Wire};
use crate::wire::message::{Report, Request};
use crate::wire::plan::{IdRange, Step};

fn again<'a, T: Wire<'a>>(data: &'a [u8]) -> Option<T> {
    Reader::new(data).only().ok()
}

/// Reads a request, and everything in it; writes it; and reads that.
pub fn request(data: &[u8]) {
    let Some(read) = again::<Request<'_>>(data) else { return };
    if let Request::Setup { plan, .. } = &read {
        assert_eq!(plan.iter().count(), plan.len(), "every step can be read again");
        plan.iter().for_each(|step: Step<'_>| drop(format!("{step:?}")));
    }
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = again::<Request<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// The same for a report.
pub fn report(data: &[u8]) {
    let Some(read) = again::<Report<'_>>(data) else { return };
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = again::<Report<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// Compiles a sound policy: to filters, and to plans for each manner of caller, whose steps can all
/// be read.
pub fn compile(sandbox: &Sandbox) {
    let Ok(filters) = Filters::of(sandbox.policy(), crate::policy::seccomp::Tree::Own) else {
        return;
    };
    let ids = IdRange { inside: 0, outside: 0x7000_0000, count: 65536 };
    let range = Mapping::Range { uids: ids, gids: ids };
    for mapping in [
        Mapping::Own,
        range,
        range.of_copy(),
        Mapping::Shared { uid: 0x7000_0000, gid: 0x7000_0000 },
    ] {
        let manner =
            Manner { part: Part::Whole, mapping, admits: true, watches: true, among: false };
        if let Ok(plan) = Plan::compile(sandbox.policy(), manner, &filters) {
            assert_eq!(plan.steps.list::<Step<'_>>().iter().count(), plan.labels.len());
        }
    }
}
