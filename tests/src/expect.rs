//! The expected result of a row of the behaviour table, and its comparison with a driver's result.

use crate::cgroups::Cgroups;
use crate::job::Told;
use crate::table::Stage;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The expected result of a row. Without `ended` and `error`, the command must exit with code 0.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    ended: Option<String>,
    /// The outcome's own `limit` and `status`.
    limit: Option<i64>,
    status: Option<i32>,
    error: Option<String>,
    /// Parts of the error's texts: each must contain its part.
    step: Option<String>,
    /// The step by its name; `none` for an error that has none.
    step_kind: Option<String>,
    hint: Option<String>,
    message: Option<String>,
    path: Option<String>,
    errno: Option<i32>,
    #[serde(default)]
    stdout: Text,
    #[serde(default)]
    stderr: Text,
    /// The expected output of the driver itself, to which `inherit` connects the command.
    #[serde(default)]
    inherited: Text,
    #[serde(default)]
    processes: Text,
    /// The expected files below `{dir}` after the run.
    #[serde(default)]
    files: BTreeMap<String, Text>,
    #[serde(default)]
    absent: Vec<String>,
    #[serde(default)]
    enforced: Vec<String>,
    #[serde(default)]
    not_enforced: Vec<String>,
    /// The limits, and the mechanism that enforces each. A `|` separates the mechanism where the
    /// caller can use cgroups from the one where it cannot. `cgroup` is the cgroup version of the
    /// host, `none` is no mechanism. The outcome must list no other limit.
    limits: Option<BTreeMap<String, String>>,
    #[serde(default)]
    freezer: Text,
    /// The files that the driver has collected, as [`Told`] describes them.
    #[serde(default)]
    collected: Text,
    /// What the command has reached outside, as [`Told`] describes it.
    #[serde(default)]
    egress: Text,
    /// Bounds on the usage: a figure that the drivers report, or `wall_ms`, `cpu_ms`,
    /// `max_rss_kib`.
    #[serde(default)]
    at_least: BTreeMap<String, u64>,
    #[serde(default)]
    at_most: BTreeMap<String, u64>,
}

/// The expected value of a text: this string, or a string with these parts, without those, and that
/// matches this pattern. All conditions must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    #[default]
    Any,
    Exactly(String),
    Like {
        #[serde(default)]
        has: Vec<String>,
        #[serde(default)]
        lacks: Vec<String>,
        #[serde(default)]
        matches: Option<String>,
        /// A JSON text; the value must be equal as JSON.
        #[serde(default)]
        json: Option<String>,
    },
}

impl Expect {
    /// The differences between the result and the expectation, one per line. `runs`: the row runs a
    /// command.
    pub(crate) fn judge(
        &self,
        stage: &Stage<'_>,
        told: &Told,
        inherited: &[u8],
        runs: bool,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        let told_text =
            |key: &str| told.get(key).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let mut same = |key: &str, expected: Option<String>| {
            if told_text(key) != expected {
                wrong.push(format!("{key} is {:?}, not {expected:?}", told_text(key)));
            }
        };
        same("error", self.error.clone());
        if self.error.is_none() && runs {
            same("ended", Some(self.ended.clone().unwrap_or("exited 0".into())));
        }
        let numbers = [
            ("errno", self.errno.map(i64::from)),
            ("status", self.status.map(i64::from)),
            ("limit", self.limit),
        ];
        for (key, number) in numbers.iter().filter_map(|(key, number)| Some((key, (*number)?))) {
            same(key, Some(number.to_string()));
        }
        if let Some(kind) = &self.step_kind {
            same("step_kind", Some(kind.clone()).filter(|kind| kind != "none"));
        }
        if let Some(path) = &self.path {
            same("path", Some(stage.text(path)));
        }
        for (key, part) in [("step", &self.step), ("hint", &self.hint), ("message", &self.message)]
        {
            let Some(part) = part.as_ref().map(|part| stage.text(part)) else { continue };
            if !told_text(key).is_some_and(|text| text.contains(&part)) {
                wrong.push(format!("{key} is {:?}, without {part:?}", told_text(key)));
            }
        }
        wrong.extend(contradictions(told));
        let nothing = Vec::new();
        for (key, text) in [
            ("stdout", &self.stdout),
            ("stderr", &self.stderr),
            ("processes", &self.processes),
            ("freezer", &self.freezer),
            ("collected", &self.collected),
            ("egress", &self.egress),
        ] {
            wrong.extend(text.judge(key, told.get(key).unwrap_or(&nothing), stage));
        }
        wrong.extend(self.inherited.judge("the driver's stdout", inherited, stage));
        for (name, text) in &self.files {
            match fs::read(stage.dir.join(name)) {
                Ok(data) => wrong.extend(text.judge(name, &data, stage)),
                Err(error) => wrong.push(format!("{name}: {error}")),
            }
        }
        wrong.extend(
            self.absent
                .iter()
                .filter(|name| stage.dir.join(name).symlink_metadata().is_ok())
                .map(|name| format!("{name} is there")),
        );
        let enforced = told_text("enforced").unwrap_or_default();
        let holds = |name: &&String| enforced.split(' ').any(|held| held == *name);
        wrong.extend(
            self.enforced
                .iter()
                .filter(|name| !holds(name))
                .map(|name| format!("{name} is not enforced")),
        );
        wrong.extend(
            self.not_enforced.iter().filter(holds).map(|name| format!("{name} is enforced")),
        );
        wrong.extend(
            self.judge_limits(&told_text("limits").unwrap_or_default(), Cgroups::of(stage.caller)),
        );
        wrong.extend(self.judge_usage(&told_text("usage").unwrap_or_default()));
        if !wrong.is_empty() {
            wrong.extend(["message", "stderr"].iter().filter_map(|key| {
                Some(format!("  {key}: {}", told_text(key).filter(|text| !text.is_empty())?))
            }));
        }
        wrong
    }

    fn judge_limits(&self, told: &str, cgroups: Cgroups) -> Vec<String> {
        let Some(expected) = &self.limits else { return Vec::new() };
        let told: BTreeMap<&str, &str> =
            told.split(' ').filter_map(|word| word.split_once('=')).collect();
        let names: BTreeSet<&str> =
            told.keys().copied().chain(expected.keys().map(String::as_str)).collect();
        let complaint = |name: &str| {
            let held = told.get(name).copied().unwrap_or("none");
            let wanted = cgroups.wanted(expected.get(name).map_or("none", String::as_str));
            (!wanted.contains(&held))
                .then(|| format!("limit {name} is held by {held}, not by {}", wanted.join(" or ")))
        };
        names.into_iter().filter_map(complaint).collect()
    }

    fn judge_usage(&self, usage: &str) -> Vec<String> {
        let numbers: BTreeMap<&str, u64> = usage
            .split(' ')
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
            .collect();
        let number = |name: &str| numbers.get(name).copied();
        let used = |what: &str| match what {
            "wall_ms" => Some(number("wall_us")? / 1000),
            "cpu_ms" => Some((number("user_us")? + number("system_us")?) / 1000),
            "max_rss_kib" => Some(number("max_rss")? / 1024),
            _ => number(what),
        };
        let outside = |what: &str, low: u64, high: u64| match used(what) {
            Some(value) if (low..=high).contains(&value) => None,
            Some(value) => Some(format!("{what} is {value}, not from {low} to {high}")),
            None => Some(format!("{what} is not reported: {usage}")),
        };
        let low = self.at_least.iter().filter_map(|(what, bound)| outside(what, *bound, u64::MAX));
        let high = self.at_most.iter().filter_map(|(what, bound)| outside(what, 0, *bound));
        low.chain(high).collect()
    }
}

/// Contradictions within a result, whatever the row expects. An end by a limit reports the limit's
/// value, and no other end does. When the sandbox ends by itself, the status of the first process
/// is the end of the whole. An end by `process-limit` or `scratch-full` kills nothing and leaves
/// the command its own status.
fn contradictions(told: &Told) -> Vec<String> {
    let text = |key: &str| told.get(key).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let Some(ended) = text("ended") else { return Vec::new() };
    let mut wrong = Vec::new();
    let by_limit = ended.ends_with("-limit") || ended.ends_with("-time") || ended == "scratch-full";
    if by_limit != told.contains_key("limit") {
        wrong.push(format!("it ended by {ended}, and the limit is {:?}", text("limit")));
    }
    let returncode = match ended.split_once(' ') {
        Some(("exited", code)) => code.to_owned(),
        Some(("signaled", signal)) => format!("-{signal}"),
        None if matches!(&*ended, "process-limit" | "scratch-full") => {
            text("status").filter(|status| status != "0").unwrap_or_else(|| "-9".to_owned())
        }
        _ => "-9".to_owned(),
    };
    let by_itself = ended.starts_with("exited") || ended.starts_with("signaled");
    if text("returncode").as_ref() != Some(&returncode)
        || by_itself && text("status").as_ref() != Some(&returncode)
    {
        wrong.push(format!(
            "it ended by {ended}, with return code {:?} and status {:?}",
            text("returncode"),
            text("status")
        ));
    }
    wrong
}

impl Text {
    fn judge(&self, what: &str, data: &[u8], stage: &Stage<'_>) -> Vec<String> {
        let shown = String::from_utf8_lossy(data);
        let shown: String = shown.chars().take(2000).collect();
        match self {
            Text::Any => Vec::new(),
            Text::Exactly(text) if stage.expand(text) == data => Vec::new(),
            Text::Exactly(text) => vec![format!(
                "{what} is {shown:?}, not {:?}",
                String::from_utf8_lossy(&stage.expand(text))
            )],
            Text::Like { has, lacks, matches, json } => {
                let contains = |part: &&String| {
                    let part = stage.expand(part);
                    part.is_empty() || data.windows(part.len()).any(|window| window == part)
                };
                let mut wrong: Vec<String> = has
                    .iter()
                    .filter(|part| !contains(part))
                    .map(|part| format!("{what} lacks {part:?}: {shown:?}"))
                    .collect();
                wrong.extend(
                    lacks
                        .iter()
                        .filter(contains)
                        .map(|part| format!("{what} has {part:?}: {shown:?}")),
                );
                if let Some(pattern) = matches {
                    let regex = regex::bytes::Regex::new(&stage.text(pattern))
                        .unwrap_or_else(|error| panic!("{error}"));
                    if !regex.is_match(data) {
                        wrong.push(format!("{what} does not match {pattern:?}: {shown:?}"));
                    }
                }
                if let Some(json) = json {
                    let expected: serde_json::Value = serde_json::from_str(&stage.text(json))
                        .unwrap_or_else(|error| panic!("{json}: {error}"));
                    if serde_json::from_slice::<serde_json::Value>(data).ok().as_ref()
                        != Some(&expected)
                    {
                        wrong.push(format!("{what} is {shown:?}, which is not {expected}"));
                    }
                }
                wrong
            }
        }
    }
}
