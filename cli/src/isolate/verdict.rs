//! How a run ended, in the words of isolate: the lines of the meta file, and the status message.

use super::asked::Asked;
use seclude::{Ended, Outcome};
use std::fmt::Write;
use std::time::Duration;

/// What the judge reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub meta: String,
    pub message: String,
    pub success: bool,
}

impl Verdict {
    /// The verdict of a program that ran.
    pub fn of(outcome: &Outcome, asked: &Asked) -> Verdict {
        let usage = &outcome.usage;
        let time = usage.user + usage.system;
        let mut meta = String::new();
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(meta, "{key}:{value}");
        };
        line("time", &seconds(time));
        line("time-wall", &seconds(usage.wall));
        line("max-rss", &(usage.max_rss / 1024).to_string());
        line("csw-voluntary", &usage.voluntary_switches.to_string());
        line("csw-forced", &usage.involuntary_switches.to_string());
        if asked.cgroup {
            line("cg-enabled", "1");
            line("cg-mem", &(usage.memory_peak / 1024).to_string());
            if outcome.ended == Ended::MemoryLimit {
                line("cg-oom-killed", "1");
            }
        }
        let killed = matches!(outcome.ended, Ended::WallTime | Ended::CpuTime);
        let end = outcome.status.unwrap_or(-nix::libc::SIGKILL);
        let late = if outcome.ended == Ended::CpuTime || asked.time.is_some_and(|most| time > most)
        {
            Some("Time limit exceeded")
        } else if outcome.ended == Ended::WallTime
            || asked.wall_time.is_some_and(|most| usage.wall > most)
        {
            Some("Time limit exceeded (wall clock)")
        } else {
            None
        };
        if !killed {
            match end {
                signal if signal < 0 => line("exitsig", &(-signal).to_string()),
                code => line("exitcode", &code.to_string()),
            }
        }
        if killed {
            line("killed", "1");
        }
        let bad = match (late, end) {
            (Some(late), _) => Some(("TO", late.to_owned())),
            (None, 0) => None,
            (None, signal) if signal < 0 => {
                Some(("SG", format!("Caught fatal signal {}", -signal)))
            }
            (None, code) => Some(("RE", format!("Exited with error status {code}"))),
        };
        if let Some((status, message)) = &bad {
            line("status", status);
            line("message", message);
        }
        let success = bad.is_none();
        let message = bad.map_or_else(
            || format!("OK ({} sec real, {} sec wall)", seconds(time), seconds(usage.wall)),
            |(_, message)| message,
        );
        Verdict { meta, message, success }
    }
}

/// The meta file of an error of this program itself. A message is one line.
pub fn internal(message: &str) -> String {
    let line: String =
        message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("status:XX\nmessage:{line}\n")
}

/// A time in seconds with three decimals.
fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_decimals() {
        assert_eq!(seconds(Duration::from_micros(1_007_999)), "1.007");
        assert_eq!(seconds(Duration::ZERO), "0.000");
    }

    #[test]
    fn an_internal_error_is_one_line() {
        assert_eq!(internal("a\nstatus:OK"), "status:XX\nmessage:a status:OK\n");
    }
}
