//! `seclude_report`: what this host allows, feature by feature.

use crate::boundary::{create, free, query};
use crate::error::seclude_error;
use crate::text::seclude_text;
use seclude_core::{Check, Report, State};
use std::ffi::{c_char, c_int};
use std::ptr;

/// The feature works as documented.
pub const SECLUDE_STATE_WORKS: c_int = 1;
/// The feature works with a restriction, which the report names.
pub const SECLUDE_STATE_WEAKER: c_int = 2;
/// The feature does not work.
pub const SECLUDE_STATE_MISSING: c_int = 3;

/// What this host allows: a list of checks, one for each feature. It never changes.
///
/// For an index past the end, the functions return 0 or NULL.
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
    query(report, otherwise, |report| report.checks.get(index).and_then(ask))
}

/// Finds out what this host allows to this process.
///
/// It starts about forty sandboxes, one after another, each of which tries one feature. Their
/// program comes from the library and ends at once. A feature that does not work is part of the
/// report, and no error. Nothing is left behind.
///
/// `*report` is owned: free it with `seclude_report_free`. It is NULL on failure.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn seclude_doctor(
    report: *mut *mut seclude_report,
    err: *mut *mut seclude_error,
) -> c_int {
    create("report", report, err, || Ok(seclude_report::new(seclude_core::doctor())))
}

/// Frees a report. NULL is a no-op.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_free(report: *mut seclude_report) {
    free(report);
}

/// Returns 1 if sandboxes can be started at all, otherwise 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_ready(report: *const seclude_report) -> c_int {
    query(report, 0, |report| Some(report.ready.into()))
}

/// Returns the kernel's release, as `uname -r` prints it. "" if /proc does not show it, NULL for
/// NULL. Borrowed: valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_kernel(report: *const seclude_report) -> *const c_char {
    query(report, ptr::null(), |report| Some(report.kernel.start()))
}

/// Returns the report as a table for people, without a newline at its end. NULL for NULL. Borrowed:
/// valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_table(report: *const seclude_report) -> *const c_char {
    query(report, ptr::null(), |report| Some(report.table.start()))
}

/// Returns the report in JSON. NULL for NULL. Borrowed: valid until the report is freed.
///
/// It is an object with "seclude", "kernel", "ready" and "checks". The last is a list of objects
/// with "name", "state", "detail", "cause" and "remedy".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_json(report: *const seclude_report) -> *const c_char {
    query(report, ptr::null(), |report| Some(report.json.start()))
}

/// Returns the number of checks. 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_count(report: *const seclude_report) -> usize {
    query(report, 0, |report| Some(report.checks.len()))
}

/// Returns the name of a check, which is the same in every version: "namespace.user",
/// "limit.memory". Borrowed: valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_name(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| Some(entry.name.start()))
}

/// Returns how far the feature works: one of `SECLUDE_STATE_...`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_state(
    report: *const seclude_report,
    index: usize,
) -> c_int {
    of(report, index, 0, |entry| Some(entry.state))
}

/// Returns what the check found: a mechanism, a path. "" if there is nothing to say. Borrowed:
/// valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_detail(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| Some(entry.detail.start()))
}

/// Returns why the feature does not work, or is restricted. NULL if it works. Borrowed: valid until
/// the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_cause(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| entry.cause.as_ref().map(seclude_text::start))
}

/// Returns what to do about it. NULL if no remedy is known or needed. Borrowed: valid until the
/// report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn seclude_report_remedy(
    report: *const seclude_report,
    index: usize,
) -> *const c_char {
    of(report, index, ptr::null(), |entry| entry.remedy.as_ref().map(seclude_text::start))
}
