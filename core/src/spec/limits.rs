//! The keys of the limits on a sandbox as a whole.

use super::text::{self, Key, path_value};
use crate::error::Result;
use crate::policy::{Cores, Demand, Io, Limit, Limits};
use serde_json::{Map, Value, json};

/// Reads one key.
pub fn read(name: &str, key: &Key<'_>, limits: &mut Limits) -> Result<()> {
    match name {
        "memory" => limits.memory = Some(key.size()?),
        "swap" => limits.swap = Some(key.size()?),
        "cpu_time" => limits.cpu_time = Some(key.duration()?),
        "cpus" => limits.cpus = Some(Cores(key.number()?)),
        "cpu_weight" => limits.cpu_weight = Some(key.unsigned_32()?),
        "cpu_set" => limits.cpu_set = Some(key.items()?.iter().map(Key::unsigned_32).collect::<Result<_>>()?),
        "pids" => limits.pids = Some(key.size()?),
        "io" => limits.io = key.items()?.iter().map(io).collect::<Result<_>>()?,
        "wall_time" => limits.wall_time = Some(key.duration()?),
        "wall_time_grace" => {
            key.members(&["signal", "time"])?;
            let signal = key.required("signal")?;
            let number = signal.integer().ok().and_then(|number| number.try_into().ok());
            let number = number.ok_or_else(|| signal.unlike("a signal's number").hint("SIGTERM is 15"))?;
            limits.grace = Some((number, key.required("time")?.duration()?));
        }
        "output" => limits.output = Some(key.size()?),
        "require" => demand(key, Demand::Exact, limits)?,
        "best_effort" => demand(key, Demand::BestEffort, limits)?,
        _ => return Err(key.wrong("is unknown")),
    }
    Ok(())
}

fn demand(key: &Key<'_>, demand: Demand, limits: &mut Limits) -> Result<()> {
    for item in key.items()? {
        let limit = item.one_of(Limit::ALL, Limit::name)?;
        if limits.demands.insert(limit, demand).is_some_and(|other| other != demand) {
            return Err(item.wrong(format!("{limit} is both in require and in best_effort")));
        }
    }
    Ok(())
}

fn io(key: &Key<'_>) -> Result<Io> {
    let mut io = Io::new(key.required("path")?.path()?);
    for (name, key) in key.members(&["path", "read_bytes", "write_bytes", "read_operations", "write_operations"])? {
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

/// The keys of the limits that are set.
pub fn write(limits: &Limits) -> Vec<(&'static str, Value)> {
    let demanded = |wanted: Demand| {
        let named = limits.demands.iter().filter(|(_, demand)| **demand == wanted).map(|(limit, _)| json!(limit.name()));
        Some(Value::Array(named.collect())).filter(|list: &Value| *list != json!([]))
    };
    let grace = limits.grace.map(|(signal, time)| json!({ "signal": signal, "time": text::duration_value(time) }));
    let io: Vec<Value> = limits.io.iter().map(write_io).collect();
    let all = [
        ("memory", limits.memory.map(|bytes| json!(bytes))),
        ("swap", limits.swap.map(|bytes| json!(bytes))),
        ("cpu_time", limits.cpu_time.map(text::duration_value)),
        ("cpus", limits.cpus.map(|cores| json!(cores.0))),
        ("cpu_weight", limits.cpu_weight.map(|weight| json!(weight))),
        ("cpu_set", limits.cpu_set.as_ref().map(|set| json!(set))),
        ("pids", limits.pids.map(|number| json!(number))),
        ("io", (!io.is_empty()).then_some(Value::Array(io))),
        ("wall_time", limits.wall_time.map(text::duration_value)),
        ("wall_time_grace", grace),
        ("output", limits.output.map(|bytes| json!(bytes))),
        ("require", demanded(Demand::Exact)),
        ("best_effort", demanded(Demand::BestEffort)),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn write_io(io: &Io) -> Value {
    let rates = io.rates().into_iter().filter_map(|(name, rate)| Some((name.to_owned(), json!(rate?))));
    Value::Object(Map::from_iter([("path".to_owned(), path_value(&io.path))].into_iter().chain(rates)))
}
