//! The keys of limits that are not single values: device rates, the grace period after the wall
//! time, and demands.

use super::text::{Key, duration_value, path_value};
use super::value::TextValue;
use crate::base::error::Result;
use crate::policy::{BestEffort, Demand, Io, Isolation, Limit, Limits, Policy};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Reads `require`.
pub fn require(key: &Key<'_>, limits: &mut Limits) -> Result<()> {
    for item in key.items()? {
        insert(&item, item.one_of(Limit::ALL, Limit::name)?, Demand::Exact, limits)?;
    }
    Ok(())
}

fn insert(item: &Key<'_>, limit: Limit, demand: Demand, limits: &mut Limits) -> Result<()> {
    match limits.demands.insert(limit, demand) {
        Some(other) if other != demand => {
            Err(item.wrong(format!("{limit} is both in require and in best_effort")))
        }
        _ => Ok(()),
    }
}

/// Reads `best_effort`: limits, and what the sandbox may do without where namespaces are denied.
pub fn best_effort(key: &Key<'_>, policy: &mut Policy) -> Result<()> {
    let (limits, isolation) = (Limit::ALL.iter().copied(), Isolation::ALL.iter().copied());
    let all: Vec<BestEffort> =
        limits.map(BestEffort::Limit).chain(isolation.map(BestEffort::Isolation)).collect();
    for item in key.items()? {
        match item.one_of(&all, BestEffort::name)? {
            BestEffort::Limit(limit) => {
                insert(&item, limit, Demand::BestEffort, &mut policy.limits)?;
            }
            BestEffort::Isolation(isolation) => drop(policy.dispensable.insert(isolation)),
        }
    }
    Ok(())
}

/// The demands as the keys `require` and `best_effort`, each with its list of limits.
pub fn demands(policy: &Policy) -> impl Iterator<Item = (&'static str, Value)> {
    let limits = |wanted: Demand| {
        let demands = policy.limits.demands.iter();
        demands.filter(move |(_, demand)| **demand == wanted).map(|(limit, _)| limit.name())
    };
    let isolation = policy.dispensable.iter().map(|isolation| isolation.name());
    let require: Vec<&str> = limits(Demand::Exact).collect();
    let best_effort: Vec<&str> = limits(Demand::BestEffort).chain(isolation).collect();
    let lists = [("require", require), ("best_effort", best_effort)].into_iter();
    lists.filter(|(_, list)| !list.is_empty()).map(|(key, list)| (key, json!(list)))
}

impl TextValue for Io {
    fn read(key: &Key<'_>) -> Result<Io> {
        let mut io = Io::new(key.required("path")?.path()?);
        for (name, key) in key.members(&[
            "path",
            "read_bytes",
            "write_bytes",
            "read_operations",
            "write_operations",
        ])? {
            match name {
                "read_bytes" => io.read_bytes = Some(key.size()?),
                "write_bytes" => io.write_bytes = Some(key.size()?),
                "read_operations" => io.read_operations = Some(key.size()?),
                "write_operations" => io.write_operations = Some(key.size()?),
                _ => {}
            }
        }
        Ok(io)
    }

    fn write(&self) -> Value {
        let rates = self
            .rates()
            .into_iter()
            .filter_map(|(name, rate)| Some((name.to_owned(), json!(rate?))));
        Value::Object(Map::from_iter(
            [("path".to_owned(), path_value(&self.path))].into_iter().chain(rates),
        ))
    }
}

/// A signal, and the grace period that follows it.
impl TextValue for (i32, Duration) {
    fn read(key: &Key<'_>) -> Result<(i32, Duration)> {
        key.members(&["signal", "time"])?;
        let signal = key.required("signal")?;
        let number = signal.integer().ok().and_then(|number| number.try_into().ok());
        let number =
            number.ok_or_else(|| signal.unlike("a signal's number").hint("SIGTERM is 15"))?;
        Ok((number, key.required("time")?.duration()?))
    }

    fn write(&self) -> Value {
        json!({ "signal": self.0, "time": duration_value(self.1) })
    }
}
