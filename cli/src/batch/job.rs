//! A job: one command as a line of JSON. Its input is data, and its output is collected.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use seclude::{Command, Output, Pool, Stdio, Transfer};
use serde_json::{Map, Value};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

const KEYS: [&str; 12] = [
    "args",
    "input",
    "cwd",
    "env",
    "arg0",
    "wall_time",
    "memory",
    "cpu_time",
    "pids",
    "collect",
    "collect_bytes",
    "collect_entries",
];

/// A command as a value.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Job {
    args: Vec<OsString>,
    input: Vec<u8>,
    cwd: Option<OsString>,
    /// The whole environment. If `None`, the default one.
    env: Option<Vec<(String, OsString)>>,
    arg0: Option<OsString>,
    wall_time: Option<Duration>,
    memory: Option<u64>,
    cpu_time: Option<Duration>,
    pids: Option<u64>,
    /// Patterns of the files to collect, and the most bytes and entries.
    collect: Vec<OsString>,
    collect_bytes: Option<u64>,
    collect_entries: Option<u64>,
}

/// The `id` in a line, if it has one, and its job or what is wrong with it.
pub fn read(text: Option<&[u8]>) -> (Option<Value>, Result<Job, String>) {
    let object = match text.map(serde_json::from_slice::<Value>) {
        None => Err(format!("the line is longer than {} bytes", super::lines::BOUND)),
        Some(Err(error)) => Err(format!("no JSON: {error}")),
        Some(Ok(Value::Object(object))) => Ok(object),
        Some(Ok(other)) => Err(format!("a JSON object was expected, not {}", kind(&other))),
    };
    let mut object = match object {
        Ok(object) => object,
        Err(wrong) => return (None, Err(wrong)),
    };
    match object.remove("id") {
        None | Some(Value::Null) => (None, Job::of(&object)),
        Some(id) if id.is_string() || id.is_i64() || id.is_u64() => (Some(id), Job::of(&object)),
        Some(_) => (None, Err("id: text or a whole number was expected".to_owned())),
    }
}

impl Job {
    fn of(object: &Map<String, Value>) -> Result<Job, String> {
        if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("unknown key {key:?}; the keys are {}", KEYS.join(", ")));
        }
        let given = |key: &str| object.get(key).filter(|value| !value.is_null());
        let one = |key: &str| given(key).map(|value| word(key, value)).transpose();
        let args = match object.get("args") {
            None => return Err("there is no key \"args\"".to_owned()),
            Some(Value::Array(words)) => {
                words.iter().map(|one| word("args", one)).collect::<Result<Vec<_>, _>>()?
            }
            Some(program) => vec![word("args", program)?],
        };
        if args.is_empty() {
            return Err("args: there is no program".to_owned());
        }
        let env = match given("env") {
            None => None,
            Some(Value::Object(table)) => Some(
                table
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), word(&format!("env {name}"), value)?)))
                    .collect::<Result<Vec<_>, String>>()?,
            ),
            Some(other) => return Err(format!("env: an object was expected, not {}", kind(other))),
        };
        let collect = match given("collect") {
            None => Vec::new(),
            Some(Value::Array(patterns)) => {
                patterns.iter().map(|one| word("collect", one)).collect::<Result<Vec<_>, _>>()?
            }
            Some(pattern) => vec![word("collect", pattern)?],
        };
        Ok(Job {
            args,
            input: one("input")?.unwrap_or_default().into_vec(),
            cwd: one("cwd")?,
            env,
            arg0: one("arg0")?,
            wall_time: given("wall_time").map(|value| time("wall_time", value)).transpose()?,
            memory: given("memory").map(|value| size("memory", value)).transpose()?,
            cpu_time: given("cpu_time").map(|value| time("cpu_time", value)).transpose()?,
            pids: given("pids").map(|value| number("pids", value)).transpose()?,
            collect,
            collect_bytes: given("collect_bytes")
                .map(|value| size("collect_bytes", value))
                .transpose()?,
            collect_entries: given("collect_entries")
                .map(|value| number("collect_entries", value))
                .transpose()?,
        })
    }

    /// Runs the job in a sandbox of the pool. Without input, its standard input is empty.
    pub fn run(&self, pool: &Pool) -> seclude::Result<Output> {
        let [program, arguments @ ..] = &self.args[..] else { unreachable!("there is a program") };
        let mut command = pool.command(program);
        command.args(arguments);
        self.set_up(&mut command);
        if self.input.is_empty() {
            return command.output();
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        thread::scope(|scope| {
            // The program may end before it has read everything.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(&self.input)));
            child.wait_with_output()
        })
    }

    fn set_up(&self, command: &mut Command) {
        if let Some(env) = &self.env {
            command.env_clear().envs(env.iter().map(|(name, value)| (name, value)));
        }
        if let Some(directory) = &self.cwd {
            command.current_dir(Path::new(directory));
        }
        if let Some(name) = &self.arg0 {
            command.arg0(name);
        }
        if let Some(limit) = self.wall_time {
            command.wall_time(limit);
        }
        if let Some(limit) = self.memory {
            command.memory(limit);
        }
        if let Some(limit) = self.cpu_time {
            command.cpu_time(limit);
        }
        if let Some(limit) = self.pids {
            command.pids(limit);
        }
        for pattern in &self.collect {
            command.collect(pattern);
        }
        let bytes = self.collect_bytes.unwrap_or(64 << 20);
        let entries = self.collect_entries.unwrap_or(1000);
        let bounds = Transfer::new().max_bytes(bytes).max_entries(entries).skip_special();
        command.collect_within(bounds);
    }
}

/// Text, or `{"base64": "..."}` for bytes that are not UTF-8.
fn word(key: &str, value: &Value) -> Result<OsString, String> {
    let encoded = match value {
        Value::String(text) => return Ok(text.into()),
        Value::Object(object) if object.len() == 1 => object.get("base64").and_then(Value::as_str),
        _ => None,
    };
    let encoded = encoded.ok_or_else(|| {
        format!("{key}: text, or {{\"base64\": \"...\"}}, was expected, not {}", kind(value))
    })?;
    let data = STANDARD.decode(encoded).map_err(|error| format!("{key}: no base64: {error}"))?;
    Ok(OsStr::from_bytes(&data).to_owned())
}

fn time(key: &str, value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => seclude::time_of_text(key, text).map_err(|error| error.to_string()),
        Value::Number(seconds) => {
            let seconds = seconds.as_f64().unwrap_or(f64::NAN);
            Duration::try_from_secs_f64(seconds).map_err(|error| format!("{key}: {error}"))
        }
        _ => Err(format!("{key}: a number of seconds was expected, not {}", kind(value))),
    }
}

fn size(key: &str, value: &Value) -> Result<u64, String> {
    match value {
        Value::String(text) => seclude::size_of_text(key, text).map_err(|error| error.to_string()),
        _ => number(key, value),
    }
}

fn number(key: &str, value: &Value) -> Result<u64, String> {
    value.as_u64().ok_or_else(|| match value {
        Value::Number(number) => format!("{key}: a whole number was expected, not {number}"),
        _ => format!("{key}: a whole number was expected, not {}", kind(value)),
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> (Option<Value>, Result<Job, String>) {
        read(Some(text.as_bytes()))
    }

    #[test]
    fn a_job_is_read() {
        let text = r#"{"args": ["a", {"base64": "/w=="}], "input": "x", "cwd": null, "pids": 3,
            "env": {"A": "b"}, "wall_time": "100ms", "memory": "1M", "cpu_time": 1.5, "id": 7,
            "collect": ["out/*", {"base64": "/w=="}], "collect_bytes": "1M"}"#;
        let (id, job) = job(text);
        let wanted = Job {
            args: vec!["a".into(), OsString::from_vec(vec![0xff])],
            input: b"x".to_vec(),
            env: Some(vec![("A".to_owned(), "b".into())]),
            wall_time: Some(Duration::from_millis(100)),
            memory: Some(1 << 20),
            cpu_time: Some(Duration::from_millis(1500)),
            pids: Some(3),
            collect: vec!["out/*".into(), OsString::from_vec(vec![0xff])],
            collect_bytes: Some(1 << 20),
            ..Job::default()
        };
        assert_eq!((id, job), (Some(Value::from(7)), Ok(wanted)));
    }

    #[test]
    fn a_mistake_is_named_and_keeps_the_id() {
        for (text, part) in [
            ("{\"id\": \"i\"}", "there is no key"),
            (r#"{"id": "i", "args": []}"#, "no program"),
            (r#"{"id": "i", "args": 1}"#, "not a number"),
            (r#"{"id": "i", "args": null}"#, "not null"),
            (r#"{"id": "i", "argv": ["a"]}"#, "unknown key"),
            (r#"{"id": "i", "args": "a", "env": []}"#, "an object was expected"),
            (r#"{"id": "i", "args": "a", "wall_time": -1}"#, "wall_time"),
            (r#"{"id": "i", "args": "a", "memory": "1X"}"#, "memory"),
            (r#"{"id": "i", "args": "a", "pids": 1.5}"#, "1.5"),
            (r#"{"id": "i", "args": "a", "collect": {"out": 1}}"#, "collect: text"),
            (r#"{"id": "i", "args": "a", "collect_entries": "1"}"#, "a whole number"),
            (r#"{"id": "i", "args": "a", "input": {"base64": "?"}}"#, "no base64"),
        ] {
            let (id, job) = job(text);
            let wrong = job.unwrap_err();
            assert!(wrong.contains(part), "{text}: {wrong}");
            assert_eq!(id, Some(Value::from("i")), "{text}");
        }
        for text in
            ["nonsense", "[]", r#"{"args": "a", "id": [1]}"#, r#"{"args": "a", "id": true}"#]
        {
            assert!(matches!(job(text), (None, Err(_))), "{text}");
        }
        assert!(read(None).1.unwrap_err().contains("longer than"));
    }
}
