//! Tests how the warden counts the usage of a command.

use super::{Scratch, opened, std};
use crate::sys::open;
use crate::watch::{Watch, children_cpu_time};
use crate::wire::message::{Limits, end, gauge, meter};
use crate::wire::usage::{UNKNOWN, Usage};

/// A file with the contents of a cgroup's file.
fn file(place: &Scratch, name: &str, text: &str) -> crate::sys::Fd {
    std::fs::write(place.path().join(name), text).expect("the temporary directory is writable");
    opened(&place.path().join(name), open::READ)
}

#[test]
#[cfg_attr(miri, ignore = "it makes system calls")]
fn any_process_name_leaves_the_time_of_children_readable() {
    let fields = "S 1 2 3 0 -1 4194304 10 0 0 0 50 60 7 8 20 0 1 0 100 1 2";
    for name in ["sleep", "a b", "x) S 1 (y", ")"] {
        let stat = std::format!("42 ({name}) {fields}");
        assert_eq!(children_cpu_time(stat.as_bytes()), 150_000_000, "{name}");
    }
    assert_eq!((children_cpu_time(b""), children_cpu_time(b"1 (a) S 1")), (0, 0));
}

#[test]
#[cfg_attr(miri, ignore = "it makes system calls")]
fn a_meter_counts_from_the_start_and_ends_at_the_limit() {
    let place = Scratch::new("meter");
    let limits = Limits { cpu_ns: 2_000_000, pace: 100, ..Limits::default() };
    let stat = file(&place, "cpu.stat", "usage_usec 1000\nuser_usec 1\n");
    let mut watch = Watch::new(Some(stat), meter::CPU_STAT, limits, Some(1));
    assert_eq!(watch.check(0, None), None);
    std::fs::write(place.path().join("cpu.stat"), "usage_usec 2999\n")
        .expect("the temporary directory is writable");
    assert_eq!(watch.check(u64::MAX, None), None);
    std::fs::write(place.path().join("cpu.stat"), "usage_usec 3000\n")
        .expect("the temporary directory is writable");
    assert_eq!(watch.check(u64::MAX, None), Some(end::CPU_TIME));
    assert_eq!(watch.complete(Usage::NONE).meter, 2_000_000);
}

#[test]
#[cfg_attr(miri, ignore = "it makes system calls")]
fn a_gauge_reports_the_peak_and_enforces_nothing() {
    let place = Scratch::new("gauge");
    let stat = file(&place, "memory.stat", "anon 1000\nfile 9000\nshmem 24\n");
    let limits = Limits { memory: 0, ..Limits::default() };
    let mut watch = Watch::new(None, meter::NONE, limits, Some(1));
    assert_eq!(watch.complete(Usage::NONE).anonymous_peak, UNKNOWN);
    watch.set_gauge(stat, gauge::V2);
    assert_eq!(watch.check(u64::MAX - 1, None), None);
    assert_eq!(watch.complete(Usage::NONE).anonymous_peak, 1024);
    let v1 = file(&place, "v1.stat", "rss 1\nshmem 2\ntotal_rss 30\ntotal_shmem 4\n");
    watch.set_gauge(v1, gauge::V1);
    watch.set(limits);
    assert_eq!(watch.check(u64::MAX - 1, None), None);
    assert_eq!(watch.complete(Usage::NONE).anonymous_peak, 1024, "the peak is kept");
}

#[test]
#[cfg_attr(miri, ignore = "it makes system calls")]
fn a_gauge_without_its_fields_reports_unknown() {
    let place = Scratch::new("silent");
    for text in ["", "anon 1000\n", "shmem 24\n", "xanon 1\nshmem 2\n"] {
        let mut watch = Watch::new(None, meter::NONE, Limits::default(), Some(1));
        watch.set_gauge(file(&place, "memory.stat", text), gauge::V2);
        assert_eq!(watch.check(u64::MAX - 1, None), None);
        assert_eq!(watch.complete(Usage::NONE).anonymous_peak, UNKNOWN, "{text:?}");
    }
}
