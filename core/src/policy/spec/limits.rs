//! What limits have that is no single value: rates of devices, the grace after the wall time,
//! demands.

use super::text::{Key, duration_value, path_value};
use super::value::Said;
use crate::base::error::Result;
use crate::policy::{Demand, Io, Limit, Limits};
use serde_json::{Map, Value, json};
use std::time::Duration;

pub fn demand(key: &Key<'_>, demand: Demand, limits: &mut Limits) -> Result<()> {
    for item in key.items()? {
        let limit = item.one_of(Limit::ALL, Limit::name)?;
        if limits.demands.insert(limit, demand).is_some_and(|other| other != demand) {
            return Err(item.wrong(format!("{limit} is both in require and in best_effort")));
        }
    }
    Ok(())
}

/// The demands, by the keys that say them.
pub fn demands(limits: &Limits) -> impl Iterator<Item = (&'static str, Value)> {
    [("require", Demand::Exact), ("best_effort", Demand::BestEffort)].into_iter().filter_map(
        |(key, wanted)| {
            let named = limits
                .demands
                .iter()
                .filter(|(_, demand)| **demand == wanted)
                .map(|(limit, _)| json!(limit.name()));
            Some((key, Value::Array(named.collect()))).filter(|(_, list)| *list != json!([]))
        },
    )
}

impl Said for Io {
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

/// A signal, and the time that it gives.
impl Said for (i32, Duration) {
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
