//! An outcome as JSON.

use super::{Ended, FIGURES, Outcome, Pressure};
use serde_json::{Map, Value, json};
use std::time::Duration;

impl Outcome {
    /// Returns the outcome as a JSON object, with the keys of a line of `seclude batch`:
    /// `{"ended", "value", "outcome", "returncode", "status", "limit", "usage", "limits",
    /// "enforced", "landlock_abi", "by_caller"}`, and "egress" if the policy lets the command out.
    /// Times are in seconds.
    pub fn to_json(&self) -> String {
        let value = match self.ended {
            Ended::Exited(code) => json!(code),
            Ended::Signaled(signal) | Ended::WardenLost(signal) => json!(signal),
            Ended::Syscall(call) => json!(call.to_string()),
            Ended::WallTime
            | Ended::CpuTime
            | Ended::MemoryLimit
            | Ended::ProcessLimit
            | Ended::OutputLimit
            | Ended::ScratchFull
            | Ended::Killed => Value::Null,
        };
        let limits: Map<String, Value> = self
            .enforced
            .limits()
            .map(|(limit, mechanism)| (limit.name().into(), json!(mechanism.name())))
            .collect();
        let mut enforced: Vec<&str> =
            self.enforced.iter().map(|protection| protection.name()).collect();
        enforced.sort_unstable();
        let mut outcome = json!({
            "ended": self.ended.name(),
            "value": value,
            "outcome": self.to_string(),
            "returncode": self.returncode(),
            "status": self.status,
            "limit": self.limit,
            "usage": self.usage_value(),
            "limits": limits,
            "enforced": enforced,
            "landlock_abi": self.enforced.landlock_abi(),
            "by_caller": self.by_caller,
        });
        if let Some(egress) = &self.egress {
            outcome["egress"] = egress.value();
        }
        outcome.to_string()
    }

    fn usage_value(&self) -> Value {
        let is_time =
            |name: &str| FIGURES.iter().any(|figure| figure.name == name && figure.kind == "time");
        let mut usage: Map<String, Value> = self
            .usage
            .figures()
            .into_iter()
            .map(|(name, number)| match number {
                Some(micros) if is_time(name) => {
                    (name.into(), json!(Duration::from_micros(micros).as_secs_f64()))
                }
                number => (name.into(), json!(number)),
            })
            .collect();
        usage.insert("memory_source".into(), json!(self.usage.memory_source.name()));
        usage.insert("pressure".into(), self.usage.pressure.map_or(Value::Null, pressure));
        Value::Object(usage)
    }
}

fn pressure(Pressure { cpu_some, memory_some, memory_full, io_some, io_full }: Pressure) -> Value {
    json!({
        "cpu_some": cpu_some.as_secs_f64(),
        "memory_some": memory_some.as_secs_f64(),
        "memory_full": memory_full.as_secs_f64(),
        "io_some": io_some.as_secs_f64(),
        "io_full": io_full.as_secs_f64(),
    })
}
