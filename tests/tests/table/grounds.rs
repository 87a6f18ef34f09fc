//! The rows that do not hold on a ground, and those that need what it lacks.

use seclude_tests::job::Told;
use seclude_tests::table::{Case, Ground};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclusions {
    because: Vec<Because>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Because {
    #[expect(dead_code, reason = "it is for readers")]
    reason: String,
    rows: Vec<String>,
}

/// The file with the rows that do not hold on this ground.
pub fn list(ground: Ground) -> Option<&'static str> {
    match ground {
        Ground::Confined => Some("confined.toml"),
        Ground::AsPid1 => Some("as-pid-1.toml"),
        Ground::Own | Ground::Prepared | Ground::Cell | Ground::Pool => None,
    }
}

/// The rows that do not hold there, as `file: name`.
pub fn exclusions(ground: Ground) -> BTreeSet<String> {
    let Some(list) = list(ground) else { return BTreeSet::new() };
    let path = format!("{}/{list}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let read: Exclusions = toml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    read.because.into_iter().flat_map(|because| because.rows).collect()
}

/// One that is no row.
pub fn unknown<'a>(excluded: &'a BTreeSet<String>, cases: &[(String, Case)]) -> Option<&'a str> {
    let known: BTreeSet<String> =
        cases.iter().map(|(file, case)| format!("{file}: {}", case.name)).collect();
    excluded.iter().find(|name| !known.contains(*name)).map(String::as_str)
}

/// Whether the start failed on a host that denies namespaces because the policy asks for something
/// that only a namespace gives, and the error says what.
pub fn is_named(told: &Told) -> bool {
    let is = |key: &str, value: &[u8]| told.get(key).is_some_and(|told| told == value);
    is("error", b"namespaces-denied") && is("step", b"run without namespaces")
}
