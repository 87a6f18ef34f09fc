//! Finds out what this host allows, by starting sandboxes in the usual way, one for each feature.
//!
//! Nothing is inferred from kernel versions or from files that describe the host. A failed check
//! has the error that a caller would get, with its cause and remedy. `probe` is the program that
//! runs in these sandboxes. Each other file is one group of checks.

mod confinement;
mod control;
mod limits;
mod namespaces;
mod networks;
mod probe;
mod sandbox;
mod surroundings;

use crate::base::error::Error;
use serde_json::json;
use std::fmt;

/// How well this host supports a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// It works as documented.
    Works,
    /// It works with restrictions, which the check describes.
    Weaker,
    /// It does not work.
    Missing,
}

impl State {
    /// The name of the state: `works`, `weaker` or `missing`.
    pub fn name(self) -> &'static str {
        match self {
            State::Works => "works",
            State::Weaker => "weaker",
            State::Missing => "missing",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The check of one feature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The stable name of the feature, such as `namespace.user` or `limit.memory`.
    pub name: String,
    /// How well the feature works.
    pub state: State,
    /// What the check found, such as a mechanism or a path. Empty if there is nothing to add.
    pub detail: String,
    /// Why it does not work, or works only with restrictions.
    pub cause: Option<String>,
    /// How to make it work, if that is known.
    pub remedy: Option<String>,
}

impl Check {
    fn works(name: impl Into<String>, detail: impl Into<String>) -> Check {
        Check {
            name: name.into(),
            state: State::Works,
            detail: detail.into(),
            cause: None,
            remedy: None,
        }
    }

    fn weaker(
        name: impl Into<String>,
        detail: impl Into<String>,
        cause: impl Into<String>,
    ) -> Check {
        Check { state: State::Weaker, cause: Some(cause.into()), ..Check::works(name, detail) }
    }

    fn missing(name: impl Into<String>, error: &Error) -> Check {
        Check { state: State::Missing, ..Check::works(name, "").blame(error) }
    }

    /// Takes the cause and the remedy from this error.
    fn blame(mut self, error: &Error) -> Check {
        let text = error.to_string();
        self.remedy = error.remedy().map(str::to_owned);
        let hint = self.remedy.as_ref().map_or(0, |remedy| "; hint: ".len() + remedy.len());
        self.cause = Some(text[..text.len() - hint].to_owned());
        self
    }

    /// Sets the remedy, unless an error has provided a better one.
    fn or_remedy(mut self, remedy: &str) -> Check {
        if self.state != State::Works && self.remedy.is_none() {
            self.remedy = Some(remedy.to_owned());
        }
        self
    }
}

/// What this host allows, feature by feature: the result of [`doctor`].
///
/// Its `Display` form is a table for people, which prints a reason that several checks share only
/// once. [`Report::to_json`] is for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The kernel's release, as `uname -r` prints it. Empty if `/proc` does not have it.
    pub kernel: String,
    /// The features, in groups.
    pub checks: Vec<Check>,
}

impl Report {
    /// The check with this name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// Whether sandboxes can be started here at all.
    pub fn ready(&self) -> bool {
        let starts =
            |check: &&Check| check.name == sandbox::DEFAULT || check.name == sandbox::EMPTY_ROOT;
        self.checks.iter().filter(starts).any(|check| check.state != State::Missing)
    }

    /// The report in JSON: `{"seclude", "kernel", "ready", "checks": [{"name", "state", "detail",
    /// "cause", "remedy"}]}`.
    pub fn to_json(&self) -> String {
        let check = |Check { name, state, detail, cause, remedy }: &Check| {
            json!({
                "name": name,
                "state": state.name(),
                "detail": detail,
                "cause": cause,
                "remedy": remedy,
            })
        };
        let checks: Vec<_> = self.checks.iter().map(check).collect();
        json!({
            "seclude": env!("CARGO_PKG_VERSION"),
            "kernel": self.kernel,
            "ready": self.ready(),
            "checks": checks,
        })
        .to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = if self.kernel.is_empty() { "of unknown release" } else { &self.kernel };
        writeln!(f, "seclude {} on Linux {kernel}", env!("CARGO_PKG_VERSION"))?;
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for (index, Check { name, state, detail, cause, remedy }) in self.checks.iter().enumerate()
        {
            let line = format!("{name:width$}  {state:7}  {detail}");
            writeln!(f, "{}", line.trim_end())?;
            // One missing feature often causes several failures, so print each reason once.
            let before = self.checks[..index].iter().find(|before| {
                cause.is_some() && (&before.cause, &before.remedy) == (cause, remedy)
            });
            if let Some(before) = before {
                writeln!(f, "{:width$}    cause: as for {}", "", before.name)?;
                continue;
            }
            for (what, text) in [("cause", cause), ("remedy", remedy)] {
                if let Some(text) = text {
                    writeln!(f, "{:width$}  {what:>7}: {text}", "")?;
                }
            }
        }
        let end =
            if self.ready() { "sandboxes can be started" } else { "no sandbox can be started" };
        write!(f, "{end}")
    }
}

/// Finds out what this host allows to this process, by starting sandboxes that test one feature
/// each.
///
/// Never fails: the report says what does not work. Starts about forty sandboxes, one after
/// another. They run programs from this library that end at once, and each has two seconds at most.
/// Leaves nothing behind.
///
/// ```
/// let report = seclude::doctor();
/// println!("{report}");
/// assert!(report.check("namespace.user").is_some());
/// ```
pub fn doctor() -> Report {
    let mut checks = sandbox::checks();
    checks.extend(namespaces::checks());
    checks.extend(networks::checks());
    checks.extend(confinement::checks());
    let limits = limits::checks();
    // If there is no cgroup, the check of a limit that needs one has the reason.
    let control = control::checks(&limits);
    checks.extend(limits);
    checks.extend(control);
    checks.push(surroundings::check());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Report { kernel: kernel.trim().to_owned(), checks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::ErrorKind;

    fn report() -> Report {
        let refused = Error::new(ErrorKind::NamespacesDenied, "make namespaces (user)")
            .errno(libc::EPERM)
            .hint("allow them");
        let bare = Error::new(ErrorKind::Setup, "do it").because("no");
        let checks = vec![
            Check::works(sandbox::DEFAULT, "from memory"),
            Check::weaker("limit.memory", "sampled", "no cgroup"),
            Check::missing("namespace.user", &refused)
                .or_remedy("never said: the error knows better"),
            Check::missing("nested", &bare).or_remedy("wait"),
            Check::missing("namespace.net", &refused),
        ];
        Report { kernel: "6.1.0".into(), checks }
    }

    #[test]
    fn the_table_is_aligned_and_tells_cause_and_remedy() {
        let expected = [
            concat!("seclude ", env!("CARGO_PKG_VERSION"), " on Linux 6.1.0"),
            "sandbox         works    from memory",
            "limit.memory    weaker   sampled",
            "                  cause: no cgroup",
            "namespace.user  missing",
            "                  cause: make namespaces (user): operation not permitted",
            "                 remedy: allow them",
            "nested          missing",
            "                  cause: do it: no",
            "                 remedy: wait",
            "namespace.net   missing",
            "                  cause: as for namespace.user",
            "sandboxes can be started",
        ];
        assert_eq!(report().to_string(), expected.join("\n"));
    }

    #[test]
    fn the_json_says_the_same() {
        let value: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!(value["ready"], true);
        assert_eq!(value["checks"][2]["state"], "missing");
        assert_eq!(value["checks"][2]["cause"], "make namespaces (user): operation not permitted");
        assert_eq!(value["checks"][1]["remedy"], serde_json::Value::Null);
    }

    #[test]
    fn without_a_sandbox_nothing_is_ready() {
        let mut report = report();
        report.checks[0].state = State::Missing;
        assert!(!report.ready());
        assert!(report.to_string().ends_with("no sandbox can be started"));
    }
}
