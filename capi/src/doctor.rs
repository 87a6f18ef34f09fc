//! `seclude_report`: what this host allows, feature by feature.

use crate::boundary::{free, made, told};
use crate::error::seclude_error;
use crate::text::seclude_text;
use seclude_core::{Check, Report, State};
use std::ffi::{c_char, c_int};
use std::ptr;

/// The feature works as documented.
pub const SECLUDE_STATE_WORKS: c_int = 1;
/// It works in a lesser way, which the report tells.
pub const SECLUDE_STATE_WEAKER: c_int = 2;
/// It does not work.
pub const SECLUDE_STATE_MISSING: c_int = 3;

/// What this host allows: a list of checks, in groups, one for each feature. Never changes. An
/// index past the end answers 0 or NULL.
pub struct seclude_report {
    ready: bool,
    kernel: seclude_text,
    table: seclude_text,
    json: seclude_text,
    checks: Vec<CheckEntry>,
}

struct CheckEntry {
    state: c_int,
    name: seclude_text,
    detail: seclude_text,
    cause: Option<seclude_text>,
    remedy: Option<seclude_text>,
}

impl CheckEntry {
    fn new(check: Check) -> CheckEntry {
        CheckEntry {
            state: match check.state {
                State::Works => SECLUDE_STATE_WORKS,
                State::Weaker => SECLUDE_STATE_WEAKER,
                State::Missing => SECLUDE_STATE_MISSING,
            },
            name: seclude_text::new(check.name),
            detail: seclude_text::new(check.detail),
            cause: check.cause.map(seclude_text::new),
            remedy: check.remedy.map(seclude_text::new),
        }
    }
}

impl seclude_report {
    fn new(report: Report) -> seclude_report {
        seclude_report {
            ready: report.ready(),
            table: seclude_text::new(report.to_string()),
            json: seclude_text::new(report.to_json()),
            kernel: seclude_text::new(report.kernel),
            checks: report.checks.into_iter().map(CheckEntry::new).collect(),
        }
    }
}

fn of<A>(
    report: *const seclude_report,
    index: usize,
    otherwise: A,
    ask: impl FnOnce(&CheckEntry) -> Option<A>,
) -> A {
    told(report, otherwise, |report| report.checks.get(index).and_then(ask))
}

/// Finds out what this host allows to this process, by starting sandboxes that try one feature
/// each: some forty, one after another, whose program comes from this library and ends at once.
/// What does not work is what it tells, and no error; it leaves nothing behind.
///
/// Gives a report, which the caller frees.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_doctor(
    report: *mut *mut seclude_report,
    err: *mut *mut seclude_error,
) -> c_int {
    made("report", report, err, || Ok(seclude_report::new(seclude_core::doctor())))
}

/// Frees a report. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_free(report: *mut seclude_report) {
    free(report);
}

/// 1 if sandboxes can be started at all, else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_ready(report: *const seclude_report) -> c_int {
    told(report, 0, |report| Some(report.ready.into()))
}

/// The kernel's release, as `uname -r` tells it; "" where /proc does not, NULL for NULL. Borrowed:
/// valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_kernel(report: *const seclude_report) -> *const c_char {
    told(report, ptr::null(), |report| Some(report.kernel.start()))
}

/// The report as a table for people, without a newline at its end; NULL for NULL. Borrowed: valid
/// until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_table(report: *const seclude_report) -> *const c_char {
    told(report, ptr::null(), |report| Some(report.table.start()))
}

/// The report in JSON: an object with "seclude", "kernel", "ready" and "checks", a list of objects
/// with "name", "state", "detail", "cause" and "remedy"; NULL for NULL. Borrowed: valid until the
/// report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_json(report: *const seclude_report) -> *const c_char {
    told(report, ptr::null(), |report| Some(report.json.start()))
}

/// How many checks there are.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_count(report: *const seclude_report) -> usize {
    told(report, 0, |report| Some(report.checks.len()))
}

/// The name of a check, which does not change from version to version: "namespace.user",
/// "limit.memory". Borrowed: valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_name(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| Some(entry.name.start()))
}

/// How far the feature goes: one of SECLUDE_STATE_....
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_state(
    report: *const seclude_report,
    index: usize,
) -> c_int {
    of(report, index, 0, |entry| Some(entry.state))
}

/// What was found: a mechanism, a path. "" if there is nothing to say. Borrowed: valid until the
/// report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_detail(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| Some(entry.detail.start()))
}

/// Why it does not work, or only in a lesser way; NULL if it works. Borrowed: valid until the
/// report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_cause(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| entry.cause.as_ref().map(seclude_text::start))
}

/// What to do about it; NULL if nothing is known, or nothing need be done. Borrowed: valid until
/// the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_remedy(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| entry.remedy.as_ref().map(seclude_text::start))
}
