//! What this host allows: found by starting sandboxes, one feature at a time, the way every command
//! is started.
//!
//! Nothing is guessed from versions or from files that describe the host. A check that fails tells
//! the very error that a caller would get, with its cause and remedy. `probe` is what runs in these
//! sandboxes; the other files are one group of checks each.

mod control;
mod limits;
mod namespaces;
mod probe;
mod walls;
mod world;

use crate::base::error::Error;
use serde_json::json;
use std::fmt;

/// How far this host allows something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// As documented.
    Works,
    /// In a lesser way, which the check tells.
    Weaker,
    /// Not at all.
    Missing,
}

impl State {
    /// `works`, `weaker`, `missing`.
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

/// One feature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// Its name, which does not change: `namespace.user`, `limit.memory`.
    pub name: String,
    /// How far it goes.
    pub state: State,
    /// What was found: a mechanism, a path. Empty if there is nothing to say.
    pub detail: String,
    /// Why it does not work, or only in a lesser way.
    pub cause: Option<String>,
    /// What to do about it, if anything is known.
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

    /// The cause and the remedy are this error's.
    fn blame(mut self, error: &Error) -> Check {
        let text = error.to_string();
        self.remedy = error.remedy().map(str::to_owned);
        let hint = self.remedy.as_ref().map_or(0, |remedy| "; hint: ".len() + remedy.len());
        self.cause = Some(text[..text.len() - hint].to_owned());
        self
    }

    /// The remedy, where no error has told a better one.
    fn or_remedy(mut self, remedy: &str) -> Check {
        if self.state != State::Works && self.remedy.is_none() {
            self.remedy = Some(remedy.to_owned());
        }
        self
    }
}

/// What this host allows, feature by feature: the answer of [`doctor`].
///
/// Shown by `{}`, it is a table for people, in which a reason that several checks share is told
/// once; [`Report::to_json`] is for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The kernel's release, as `uname -r` tells it; empty where `/proc` does not.
    pub kernel: String,
    /// The features, in groups.
    pub checks: Vec<Check>,
}

impl Report {
    /// The check of this name.
    pub fn check(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// Whether sandboxes can be started here at all.
    pub fn ready(&self) -> bool {
        let starts =
            |check: &&Check| check.name == world::DEFAULT || check.name == world::EMPTY_ROOT;
        self.checks.iter().filter(starts).any(|check| check.state != State::Missing)
    }

    /// The report in JSON: `{"seclude", "kernel", "ready", "checks": [{"name", "state", "detail",
    /// "cause", "remedy"}]}`.
    pub fn to_json(&self) -> String {
        let check = |Check { name, state, detail, cause, remedy }: &Check| json!({"name": name, "state": state.name(), "detail": detail, "cause": cause, "remedy": remedy});
        let checks: Vec<_> = self.checks.iter().map(check).collect();
        json!({"seclude": env!("CARGO_PKG_VERSION"), "kernel": self.kernel, "ready": self.ready(), "checks": checks}).to_string()
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
            // Where one thing is missing, many are for the same reason: it is told once.
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

/// Finds out what this host allows to this process, by starting sandboxes that try one feature
/// each.
///
/// Never fails: what does not work is what it tells. It starts some forty sandboxes, one after
/// another, whose programs come from this library and end at once; none may take longer than two
/// seconds. It leaves nothing behind.
///
/// ```
/// let report = seclude::doctor();
/// println!("{report}");
/// assert!(report.check("namespace.user").is_some());
/// ```
pub fn doctor() -> Report {
    let mut checks = world::checks();
    checks.extend(namespaces::checks());
    checks.extend(walls::checks());
    let limits = limits::checks();
    // A cgroup is missed for the reason that a limit which takes one tells.
    let control = control::checks(&limits);
    checks.extend(limits);
    checks.extend(control);
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
            Check::works(world::DEFAULT, "from memory"),
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
