//! A job for a driver: one sandbox, one command, what to do with it; and the result that the driver
//! writes.
//!
//! Every driver is called as `driver JOB RESULT`. It reads the file JOB, writes the file RESULT,
//! both in the format of [`crate::lines`], and exits with 0 whatever the command did. The C and
//! Python drivers (`tests/drivers`) read the same format.

mod network;

pub use network::{Member, Network};

use crate::lines::{escape, unescape};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// What the driver does with the sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Run the command to its end.
    #[default]
    Output,
    /// Check the policy, and run nothing.
    Check,
    /// Write the policy as JSON, and report that text as `stdout`.
    Json,
    /// Write the policy as TOML, read that, and report it as JSON.
    Toml,
    /// Kill the command after its first line of output.
    Kill,
    /// Send SIGTERM to the command's first process after its first line of output.
    Terminate,
    /// After the first line of output, report the processes as `processes`, then kill the command.
    Processes,
    /// Expect nothing from `try_wait` while the command runs, then close its standard input and
    /// wait for it twice.
    TryWait,
    /// Expect nothing from a `wait_timeout` of 50 ms while the command runs, then close its
    /// standard input and wait for it.
    WaitTimeout,
    /// Run the command twice, and report the second run.
    Twice,
    /// Run the command twice with a reset of the cell in between, and report the second run.
    Reset,
    /// Run the command in a cell of this policy, which the driver publishes and enters by its name.
    Enter,
    /// Run the command in the default sandbox, joined to all namespaces of a cell of this policy.
    Join,
    /// After the first line of output, report the usage so far as `usage` in place of the final
    /// one, then kill the command.
    Usage,
    /// After the first line of output, change the limits to those of `set`, close standard input,
    /// and wait.
    Change,
    /// After the first line of output, freeze the command and report the mechanism as `freezer`.
    /// Expect nothing from a `wait_timeout` of 50 ms, then thaw, close standard input, and wait.
    Freeze,
    /// After the first line of output, freeze the command and kill it while it is frozen.
    KillFrozen,
    /// After the first line of output, freeze the command and wait for it while it is frozen.
    WaitFrozen,
}

/// The connection of a standard stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// The driver's own stream.
    Inherit,
    /// `/dev/null`.
    Null,
    /// A pipe. For standard input the driver writes these bytes into it, which must fit into a
    /// pipe.
    Piped(Vec<u8>),
    /// The command's own terminal. For standard input the driver types these bytes once the command
    /// runs.
    Terminal(Vec<u8>),
    /// A file: opened for reading, or created or truncated for writing.
    File(PathBuf),
}

/// A job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// What to do.
    pub action: Action,
    /// The policy as text.
    pub policy: String,
    /// Whether the text is TOML rather than JSON.
    pub toml: bool,
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its argument 0.
    pub arg0: Option<OsString>,
    /// Whether to clear its environment first.
    pub env_clear: bool,
    /// The variables to remove next.
    pub env_remove: Vec<OsString>,
    /// The variables to set last.
    pub env: Vec<(OsString, OsString)>,
    /// Its working directory.
    pub directory: Option<PathBuf>,
    /// Its wall time limit in milliseconds.
    pub wall_ms: Option<u64>,
    /// Its own limits within those of its sandbox: name and value. Times are in milliseconds.
    pub share: Vec<(String, u64)>,
    /// The attributes of its process: name and values. `umask`, `process_group`, `uid` and `gid`
    /// have one value, `groups` and `ignore_signals` any number. For `inherit_ignored_signals` the
    /// driver itself ignores SIGPIPE.
    pub process: Vec<(String, Vec<i64>)>,
    /// Rows and columns of its terminal.
    pub window: Option<(u16, u16)>,
    /// Patterns of the files to collect from it.
    pub collect: Vec<OsString>,
    /// The most bytes, and the most files and directories, to collect.
    pub collect_bounds: Option<(u64, u64)>,
    /// Its standard streams.
    pub streams: [Stream; 3],
    /// Further descriptors: number, file, and whether it is opened for writing.
    pub descriptors: Vec<(i32, PathBuf, bool)>,
    /// The new limits for [`Action::Change`]: `memory` in bytes, `cpus`, `cpu_time` in seconds,
    /// `pids`.
    pub set: Vec<(String, f64)>,
    /// The private network that the policy names, if the driver is to make it.
    pub network: Option<Network>,
}

impl Action {
    const NAMES: [(&str, Action); 18] = [
        ("output", Action::Output),
        ("check", Action::Check),
        ("json", Action::Json),
        ("toml", Action::Toml),
        ("kill", Action::Kill),
        ("terminate", Action::Terminate),
        ("processes", Action::Processes),
        ("try-wait", Action::TryWait),
        ("wait-timeout", Action::WaitTimeout),
        ("twice", Action::Twice),
        ("reset", Action::Reset),
        ("enter", Action::Enter),
        ("join", Action::Join),
        ("usage", Action::Usage),
        ("change", Action::Change),
        ("freeze", Action::Freeze),
        ("kill-frozen", Action::KillFrozen),
        ("wait-frozen", Action::WaitFrozen),
    ];
}

impl Default for Job {
    fn default() -> Job {
        Job {
            action: Action::Output,
            policy: "{}".into(),
            toml: false,
            program: OsString::new(),
            arguments: Vec::new(),
            arg0: None,
            env_clear: false,
            env_remove: Vec::new(),
            env: Vec::new(),
            directory: None,
            wall_ms: None,
            share: Vec::new(),
            process: Vec::new(),
            window: None,
            collect: Vec::new(),
            collect_bounds: None,
            streams: [Stream::Null, Stream::Piped(Vec::new()), Stream::Piped(Vec::new())],
            descriptors: Vec::new(),
            set: Vec::new(),
            network: None,
        }
    }
}

const STREAMS: [&str; 3] = ["stdin", "stdout", "stderr"];

impl Job {
    /// The job as lines.
    pub fn write(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, values: &[&[u8]]| {
            text.push_str(key);
            for value in values {
                text.push(' ');
                text.push_str(&escape(value));
            }
            text.push('\n');
        };
        let bytes = |text: &OsString| text.clone().into_vec();
        let path = |path: &PathBuf| path.clone().into_os_string().into_vec();
        let name = Action::NAMES
            .iter()
            .find(|(_, action)| *action == self.action)
            .map_or("output", |(name, _)| *name);
        line("action", &[name.as_bytes()]);
        line(if self.toml { "policy-toml" } else { "policy-json" }, &[self.policy.as_bytes()]);
        line("program", &[&bytes(&self.program)]);
        for argument in &self.arguments {
            line("arg", &[&bytes(argument)]);
        }
        if let Some(name) = &self.arg0 {
            line("arg0", &[&bytes(name)]);
        }
        if self.env_clear {
            line("env-clear", &[]);
        }
        for name in &self.env_remove {
            line("env-remove", &[&bytes(name)]);
        }
        for (name, value) in &self.env {
            line("env", &[&bytes(name), &bytes(value)]);
        }
        if let Some(directory) = &self.directory {
            line("directory", &[&path(directory)]);
        }
        if let Some(limit) = self.wall_ms {
            line("wall-ms", &[limit.to_string().as_bytes()]);
        }
        for (limit, value) in &self.share {
            line("share", &[limit.as_bytes(), value.to_string().as_bytes()]);
        }
        for (name, values) in &self.process {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            line("process", &[name.as_bytes(), values.join(",").as_bytes()]);
        }
        if let Some((rows, columns)) = self.window {
            line("window", &[rows.to_string().as_bytes(), columns.to_string().as_bytes()]);
        }
        for pattern in &self.collect {
            line("collect", &[&bytes(pattern)]);
        }
        if let Some((bytes, entries)) = self.collect_bounds {
            let (bytes, entries) = (bytes.to_string(), entries.to_string());
            line("collect-bounds", &[bytes.as_bytes(), entries.as_bytes()]);
        }
        for (key, stream) in STREAMS.iter().zip(&self.streams) {
            match stream {
                Stream::Inherit => line(key, &[b"inherit"]),
                Stream::Null => line(key, &[b"null"]),
                Stream::Piped(data) => line(key, &[b"piped", data]),
                Stream::Terminal(typed) => line(key, &[b"pty", typed]),
                Stream::File(file) => line(key, &[b"file", &path(file)]),
            }
        }
        for (number, file, write) in &self.descriptors {
            line(
                "fd",
                &[
                    number.to_string().as_bytes(),
                    if *write { b"write" } else { b"read" },
                    &path(file),
                ],
            );
        }
        for (limit, value) in &self.set {
            line("set", &[limit.as_bytes(), value.to_string().as_bytes()]);
        }
        if let Some(network) = &self.network {
            network.write(&mut line);
        }
        text
    }

    /// Parses the lines of a job.
    pub fn read(text: &str) -> Result<Job, String> {
        let mut job = Job::default();
        for line in text.lines() {
            let (key, rest) = line.split_once(' ').unwrap_or((line, ""));
            let values = rest.split(' ').map(unescape).collect::<Result<Vec<_>, _>>()?;
            let value = |index: usize| {
                values.get(index).cloned().ok_or_else(|| format!("{key} lacks value {index}"))
            };
            let word = |index: usize| {
                value(index)
                    .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()))
            };
            let system = |index: usize| value(index).map(OsString::from_vec);
            match key {
                "action" => {
                    let name = word(0)?;
                    job.action = Action::NAMES
                        .iter()
                        .find(|(known, _)| *known == name)
                        .ok_or(format!("no action {name}"))?
                        .1;
                }
                "policy-json" | "policy-toml" => {
                    (job.policy, job.toml) = (word(0)?, key == "policy-toml")
                }
                "program" => job.program = system(0)?,
                "arg" => job.arguments.push(system(0)?),
                "arg0" => job.arg0 = Some(system(0)?),
                "env-clear" => job.env_clear = true,
                "env-remove" => job.env_remove.push(system(0)?),
                "env" => job.env.push((system(0)?, system(1)?)),
                "directory" => job.directory = Some(system(0)?.into()),
                "wall-ms" => {
                    job.wall_ms =
                        Some(word(0)?.parse().map_err(|error| format!("{line}: {error}"))?)
                }
                "share" => job.share.push((
                    word(0)?,
                    word(1)?.parse().map_err(|error| format!("{line}: {error}"))?,
                )),
                "process" => {
                    let text = word(1)?;
                    let numbers = text.split(',').filter(|number| !number.is_empty());
                    let number =
                        |text: &str| text.parse().map_err(|error| format!("{line}: {error}"));
                    job.process.push((word(0)?, numbers.map(number).collect::<Result<_, _>>()?));
                }
                "window" => {
                    let number =
                        |index| word(index)?.parse().map_err(|error| format!("{line}: {error}"));
                    job.window = Some((number(0)?, number(1)?));
                }
                "collect" => job.collect.push(system(0)?),
                "collect-bounds" => {
                    let number =
                        |index| word(index)?.parse().map_err(|error| format!("{line}: {error}"));
                    job.collect_bounds = Some((number(0)?, number(1)?));
                }
                "stdin" | "stdout" | "stderr" => {
                    let index = STREAMS.iter().position(|name| *name == key).unwrap_or(0);
                    job.streams[index] = match &*word(0)? {
                        "inherit" => Stream::Inherit,
                        "null" => Stream::Null,
                        "piped" => Stream::Piped(value(1)?),
                        "pty" => Stream::Terminal(value(1)?),
                        "file" => Stream::File(system(1)?.into()),
                        other => return Err(format!("no stream {other}")),
                    };
                }
                "fd" => job.descriptors.push((
                    word(0)?.parse().map_err(|error| format!("{line}: {error}"))?,
                    system(2)?.into(),
                    word(1)? == "write",
                )),
                "set" => job.set.push((
                    word(0)?,
                    word(1)?.parse().map_err(|error| format!("{line}: {error}"))?,
                )),
                other => {
                    let value = value(0)?;
                    if !network::read(&mut job, other, value)? {
                        return Err(format!("no key {other}"));
                    }
                }
            }
        }
        Ok(job)
    }
}

/// A driver's result, by key. A key that does not apply is absent.
///
/// - `ended`: the name, and the value of `exited`, `signaled` or `warden-lost`.
/// - `returncode`, `stdout`, `stderr`.
/// - `message`: the outcome as a sentence.
/// - `enforced`: names of protections.
/// - `status` and `limit`, where the outcome has them.
/// - `limits`: `memory=cgroup-v2 pids=…`, in the order of `seclude::Limit`.
/// - `usage`: `wall_us=… user_us=…` (see the driver). Figures that were not measured are absent.
/// - `processes` or `freezer`, for some actions.
/// - `collected`, if there are files to collect: `PATH MODE: CONTENTS` for each file, then
///   `skipped: PATH`, `unmatched: PATTERN` and `error: KIND: MESSAGE`, each with a newline.
/// - `egress`, if the command has tried to reach anything by rules for that: each attempt, with a
///   newline.
///
/// After an error the keys are `error` (the kind), `step`, `errno`, `path`, `hint` and `message`.
pub type Told = BTreeMap<String, Vec<u8>>;

/// A driver's result as lines.
pub fn write_told(told: &Told) -> String {
    told.iter().map(|(key, value)| format!("{key} {}\n", escape(value))).collect()
}

/// Parses the lines of a driver's result.
pub fn read_told(text: &str) -> Result<Told, String> {
    text.lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(key, value)| Ok((key.to_owned(), unescape(value)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_comes_back_as_it_was_written() {
        let job = Job {
            action: Action::TryWait,
            policy: "{\"hostname\": \"a b\"}".into(),
            program: "sh".into(),
            arguments: vec!["".into(), OsString::from_vec(vec![0xff, b'\n', b'%'])],
            arg0: Some("- x".into()),
            env_clear: true,
            env: vec![("A".into(), "".into())],
            directory: Some("/tmp".into()),
            wall_ms: Some(1500),
            share: vec![("memory".into(), 1_048_576)],
            process: vec![("umask".into(), vec![0o77]), ("groups".into(), vec![])],
            window: Some((40, 132)),
            collect: vec!["out/*".into(), "/a b".into()],
            collect_bounds: Some((1024, 3)),
            streams: [
                Stream::Piped(b"a\0b".to_vec()),
                Stream::Terminal(b"\x03".to_vec()),
                Stream::File("/x y".into()),
            ],
            descriptors: vec![(7, "/dev/null".into(), true)],
            set: vec![("cpus".into(), 0.5), ("memory".into(), 1_048_576.0)],
            network: Some(Network {
                subnets: vec!["10.9.0.0/24".into()],
                members: vec![
                    Member { policy: "{}".into(), command: vec!["a b".into(), "".into()] },
                    Member { policy: "{\"uid\": 1}".into(), command: vec![] },
                ],
            }),
            ..Job::default()
        };
        assert_eq!(Job::read(&job.write()), Ok(job));
    }
}
