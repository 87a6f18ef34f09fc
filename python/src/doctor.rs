//! The features that this host allows, as plain tuples. `seclude/host.py` gives them names.

use pyo3::prelude::*;

/// The fields of `seclude.Check`, in order.
type Checked = (String, &'static str, String, Option<String>, Option<String>);

/// Starts sandboxes that try one feature each. Returns kernel release, checks, readiness, the table
/// for people, and the JSON.
#[pyfunction]
pub fn doctor(py: Python<'_>) -> (String, Vec<Checked>, bool, String, String) {
    let report = py.detach(seclude_core::doctor);
    let (ready, table, json) = (report.ready(), report.to_string(), report.to_json());
    let checks = report
        .checks
        .into_iter()
        .map(|check| (check.name, check.state.name(), check.detail, check.cause, check.remedy));
    (report.kernel, checks.collect(), ready, table, json)
}
