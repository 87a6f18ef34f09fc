//! From the options of a policy to a sandbox. Every option becomes a key of the policy as text, and
//! the core reads that. So the command line accepts what policies accept, with the same errors.

use crate::arguments::{Form, form};
use crate::entries;
use crate::status::{Failure, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::ArgMatches;
use nix::sys::signal::Signal;
use seclude::schema::{ENTRIES, SETTINGS, Setting};
use seclude::{Image, Sandbox, Store};
use serde_json::{Map, Value, json};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

/// The sandbox of these options: that of the policy file, or `base`, with the options on top.
pub fn sandbox(matches: &ArgMatches, base: Sandbox) -> Result<Sandbox> {
    let base = match matches.get_one::<PathBuf>("policy") {
        Some(path) => read(path)?,
        None => base,
    };
    let mut policy = as_object(&base)?;
    if let Some(image) = image(matches)? {
        for (key, value) in as_object(&image.sandbox()?)? {
            match key.as_str() {
                "files" => put(&mut policy, &key, value),
                _ => drop(policy.entry(key).or_insert(value)),
            }
        }
    }
    if let Some(network) = matches.get_one::<String>("net") {
        share_network(&mut policy, network == "host");
    }
    for setting in SETTINGS {
        if let Some(value) = value(setting, matches)? {
            put(&mut policy, setting.name, value);
        }
    }
    for given in matches.get_many::<String>("set").unwrap_or_default() {
        let (key, value) = given
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("--set {given}: KEY=VALUE is expected")))?;
        let value = serde_json::from_str(value)
            .map_err(|error| Failure::new(format!("--set {key}: the value is no JSON: {error}")))?;
        policy.insert(key.replace('-', "_"), value);
    }
    Ok(Sandbox::from_json(&Value::Object(policy).to_string())?)
}

/// The image of `--image`, if the command has that option and it is given.
pub fn image(matches: &ArgMatches) -> Result<Option<Image>> {
    let name = matches.try_get_one::<String>("image").ok().flatten();
    Ok(name.map(|name| Store::open()?.image(name)).transpose()?)
}

/// Reads a policy. One in JSON begins with a brace, which no TOML document does.
pub fn read(path: &Path) -> Result<Sandbox> {
    let failed = |error: io::Error| Failure::at(path.display(), &error);
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().read_to_string(&mut text).map_err(failed)?;
    } else {
        text = fs::read_to_string(path).map_err(failed)?;
    }
    let json = text.trim_start().starts_with('{');
    let sandbox = if json { Sandbox::from_json(&text) } else { Sandbox::from_toml(&text) };
    sandbox.map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

fn as_object(sandbox: &Sandbox) -> Result<Map<String, Value>> {
    match serde_json::from_str(&sandbox.to_json()?) {
        Ok(Value::Object(policy)) => Ok(policy),
        other => unreachable!("a policy is an object, not {other:?}"),
    }
}

/// Adds to a list or table of the policy. Replaces any other value.
fn put(policy: &mut Map<String, Value>, key: &str, value: Value) {
    match (policy.get_mut(key), value) {
        (Some(Value::Array(list)), Value::Array(more)) if !more.is_empty() => list.extend(more),
        (Some(Value::Object(table)), Value::Object(more)) => table.extend(more),
        (_, value) => {
            policy.insert(key.to_owned(), value);
        }
    }
}

fn share_network(policy: &mut Map<String, Value>, shared: bool) {
    let mut kinds = match policy.remove("share") {
        Some(Value::Array(kinds)) => kinds,
        _ => Vec::new(),
    };
    kinds.retain(|kind| kind != "net");
    if shared {
        kinds.push(json!("net"));
    }
    if !kinds.is_empty() {
        policy.insert("share".into(), Value::Array(kinds));
    }
}

/// The value of one key, if its option is given.
fn value(setting: &Setting, matches: &ArgMatches) -> Result<Option<Value>> {
    let name = setting.name;
    let one = |read: fn(&str) -> Value| matches.get_one::<String>(name).map(|text| read(text));
    let wrong = |given: &str, why: &str| {
        Failure::new(format!("--{} {given}: {why}", name.replace('_', "-")))
    };
    Ok(match form(setting) {
        Form::Text => one(|text| json!(text)),
        Form::Texts => {
            matches.get_many::<String>(name).map(|texts| json!(texts.collect::<Vec<_>>()))
        }
        Form::Path => matches.get_one::<OsString>(name).map(|path| path_value(path)),
        Form::Number => matches.get_one::<u64>(name).map(|number| json!(number)),
        Form::Fraction => matches.get_one::<f64>(name).map(|number| json!(number)),
        Form::Quantity => one(quantity),
        Form::Flag => matches.get_one::<bool>(name).map(|flag| json!(flag)),
        Form::Filter => match matches.get_one::<String>(name) {
            Some(table) if table.starts_with('{') => Some(
                serde_json::from_str(table)
                    .map_err(|error| wrong(table, &format!("it is no JSON: {error}")))?,
            ),
            profile => profile.map(|profile| json!(profile)),
        },
        Form::Words => given(matches, name).map(|words| json!(words)),
        Form::Numbers => given(matches, name)
            .map(|words| {
                let mut numbers = Vec::new();
                for word in words {
                    let (first, last) = word.split_once('-').unwrap_or((word, word));
                    match (first.parse::<u32>(), last.parse::<u32>()) {
                        (Ok(first), Ok(last)) if last.saturating_sub(first) <= 65536 => {
                            numbers.extend(first..=last);
                        }
                        _ => return Err(wrong(word, "it is neither a number nor a range of them")),
                    }
                }
                Ok(json!(numbers))
            })
            .transpose()?,
        Form::Contents => matches
            .get_many::<OsString>(name)
            .map(|paths| {
                paths
                    .map(|path| {
                        let data =
                            fs::read(path).map_err(|error| Failure::at(path.display(), &error))?;
                        Ok(json!({ "base64": STANDARD.encode(data) }))
                    })
                    .collect::<Result<Value>>()
            })
            .transpose()?,
        Form::Offsets => {
            table(matches, name, |word| word.parse::<i64>().map(|seconds| json!(seconds)).ok())
                .map_err(|word| wrong(&word, "CLOCK=SECONDS is expected"))?
        }
        Form::Rlimits => table(matches, name, |limits| {
            Some(match limits.split_once(':') {
                Some((soft, hard)) => json!([quantity(soft), quantity(hard)]),
                None => quantity(limits),
            })
        })
        .map_err(|word| wrong(&word, "NAME=SOFT[:HARD] is expected"))?,
        Form::Rates => matches
            .get_many::<String>(name)
            .map(|devices| {
                devices
                    .map(|device| {
                        rates(device).ok_or_else(|| wrong(device, "PATH,RATE=NUMBER is expected"))
                    })
                    .collect::<Result<Value>>()
            })
            .transpose()?,
        Form::Grace => matches
            .get_one::<String>(name)
            .map(|text| {
                let (signal, time) = text
                    .split_once(':')
                    .and_then(|(signal, time)| Some((number_of_signal(signal)?, time)))
                    .ok_or_else(|| wrong(text, "SIGNAL:TIME is expected, such as TERM:2s"))?;
                Ok::<_, Failure>(json!({ "signal": signal, "time": quantity(time) }))
            })
            .transpose()?,
        Form::Entries => files(matches)?,
    })
}

/// The words of an option, over all times that it is given. An empty value stands for no word.
fn given<'a>(matches: &'a ArgMatches, name: &str) -> Option<Vec<&'a str>> {
    let values = matches.get_many::<String>(name)?;
    Some(values.flat_map(|value| value.split(',')).filter(|word| !word.is_empty()).collect())
}

/// A table of `NAME=VALUE`, or the word that is none.
fn table(
    matches: &ArgMatches,
    name: &str,
    read: impl Fn(&str) -> Option<Value>,
) -> std::result::Result<Option<Value>, String> {
    let Some(words) = given(matches, name) else { return Ok(None) };
    let mut table = Map::new();
    for word in words {
        let (key, value) = word
            .split_once('=')
            .and_then(|(key, value)| Some((key, read(value)?)))
            .ok_or_else(|| word.to_owned())?;
        table.insert(key.to_owned(), value);
    }
    Ok(Some(Value::Object(table)))
}

fn rates(device: &str) -> Option<Value> {
    let mut parts = device.split(',');
    let mut rates = Map::from_iter([("path".to_owned(), json!(parts.next()?))]);
    for part in parts {
        let (name, number) = part.split_once('=')?;
        rates.insert(name.to_owned(), quantity(number));
    }
    Some(Value::Object(rates))
}

/// All entries, in the order of the command line: a later mount can lie upon an earlier one.
fn files(matches: &ArgMatches) -> Result<Option<Value>> {
    let mut entries = Vec::new();
    for kind in ENTRIES {
        let values = matches.get_many::<OsString>(kind.key).into_iter().flatten();
        for (index, given) in matches.indices_of(kind.key).into_iter().flatten().zip(values) {
            entries.push((index, entries::read(kind, given)?));
        }
    }
    if entries.is_empty() {
        return Ok(None);
    }
    entries.sort_by_key(|(index, _)| *index);
    Ok(Some(entries.into_iter().map(|(_, entry)| entry).collect()))
}

/// A signal by its number or name, with or without `SIG`.
pub fn number_of_signal(text: &str) -> Option<i32> {
    let name = if text.starts_with("SIG") { text.to_owned() } else { format!("SIG{text}") };
    text.parse().ok().or_else(|| Signal::from_str(&name).ok().map(|signal| signal as i32))
}

/// A size or time: a number, or a text with a unit.
pub fn quantity(text: &str) -> Value {
    match (text.parse::<u64>(), text.parse::<f64>()) {
        (Ok(number), _) => json!(number),
        (_, Ok(number)) if number.is_finite() => json!(number),
        _ => json!(text),
    }
}

/// A path or data, which need not be UTF-8.
pub fn path_value(path: &OsStr) -> Value {
    match path.to_str() {
        Some(text) => json!(text),
        None => json!({ "base64": STANDARD.encode(path.as_bytes()) }),
    }
}
