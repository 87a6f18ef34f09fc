//! Entry points for the fuzz targets. This module exists only in fuzzing builds.

use crate::plan::idmap::Mapping;
use crate::plan::{Manner, Part, Plan};
use crate::policy::seccomp::Filters;
use crate::run::sandbox::Sandbox;
use crate::wire::codec::{Reader, Wire};
use crate::wire::message::{Report, Request};
use crate::wire::plan::{IdRange, Step};

fn decode<'a, T: Wire<'a>>(data: &'a [u8]) -> Option<T> {
    Reader::new(data).only().ok()
}

/// Decodes a request and everything in it, encodes it, and decodes the result.
pub fn request(data: &[u8]) {
    let Some(read) = decode::<Request<'_>>(data) else { return };
    if let Request::Setup { plan, .. } = &read {
        assert_eq!(plan.iter().count(), plan.len(), "every step can be read again");
        plan.iter().for_each(|step: Step<'_>| drop(format!("{step:?}")));
    }
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = decode::<Request<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// Decodes a report, encodes it, and decodes the result.
pub fn report(data: &[u8]) {
    let Some(read) = decode::<Report<'_>>(data) else { return };
    let mut written = Vec::new();
    read.encode(&mut written);
    let second = decode::<Report<'_>>(&written).expect("what was written can be read");
    assert_eq!(format!("{read:?}"), format!("{second:?}"));
}

/// Compiles a valid policy to filters, and to plans for each kind of id mapping. Checks that all
/// steps can be decoded.
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
            Manner { part: Part::Whole, mapping, admits: true, watches: true, in_cell: false };
        if let Ok(plan) = Plan::compile(sandbox.policy(), manner, &filters) {
            assert_eq!(plan.steps.list::<Step<'_>>().iter().count(), plan.labels.len());
        }
    }
}
