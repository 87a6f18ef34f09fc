//! The rows of the behaviour table: the format of `tests/cases/*.toml`, and how a row becomes a
//! job.
//!
//! In every text of a row these are replaced: `{dir}` by the directory of its fixtures, `{byte:ff}`
//! by a byte, `{repeat:70:x}` by seventy `x`, `{caller}` by `root` or `user`, `{uid_behind}` by the
//! host's user id that user 1000 of the default sandbox is mapped to, and `{wait:300}` by 0.3, the
//! seconds in which something must happen, or by a multiple of it on slow machines.

mod network;

use crate::caller::{Caller, driver};
use crate::census::here;
use crate::cgroups::Cgroups;
use crate::expect::Expect;
use crate::job::{Action, Job, Network, Stream, Told};
use network::NetworkOfRow;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One file of rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its rows.
    pub case: Vec<Case>,
}

/// One row: a policy, a command, and the expected result, the same in every language.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the row shows, as a sentence.
    pub name: String,
    /// The callers that run it.
    #[serde(default, rename = "as")]
    callers: Callers,
    /// The faces that can express it: `rust`, `c`, `python`. Empty means all.
    #[serde(default)]
    pub faces: Vec<String>,
    /// Whether the output or the status may differ between two runs.
    #[serde(default)]
    pub varies: bool,
    /// The path of a program that the row needs. The row is skipped if the program is absent.
    pub needs: Option<String>,
    /// The only processor architecture that has what the row shows, as uname(1) prints it.
    pub architecture: Option<String>,
    /// The only size of the kernel's pages for which the numbers of the row are right, in bytes.
    pub pages: Option<u64>,
    /// The first kernel that has what the row shows: its version and patch level.
    pub linux: Option<(u32, u32)>,
    #[serde(default)]
    fixtures: BTreeMap<String, Fixture>,
    /// Images to import first into the store `{dir}/store`: the name, and the fixture with the
    /// root.
    #[serde(default)]
    images: BTreeMap<String, String>,
    #[serde(default)]
    policy: toml::Table,
    network: Option<NetworkOfRow>,
    policy_json: Option<String>,
    policy_toml: Option<String>,
    #[serde(default)]
    command: Vec<String>,
    arg0: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    env_remove: Vec<String>,
    #[serde(default)]
    env_clear: bool,
    directory: Option<String>,
    wall_ms: Option<u64>,
    /// The command's own limits within those of its sandbox: `memory`, `pids`, `cpu_time` in
    /// milliseconds.
    #[serde(default)]
    share: BTreeMap<String, u64>,
    /// The attributes of its process, by the names of [`Job::process`]: a number or a list.
    #[serde(default)]
    process: BTreeMap<String, Numbers>,
    /// Rows and columns of its terminal.
    window: Option<(u16, u16)>,
    /// Patterns of the files to collect from it.
    #[serde(default)]
    collect: Vec<String>,
    /// The most bytes, and the most files and directories, to collect.
    collect_bounds: Option<(u64, u64)>,
    stdin: Option<Source>,
    stdout: Option<Source>,
    stderr: Option<Source>,
    #[serde(default)]
    descriptors: Vec<Descriptor>,
    /// The new limits for the action `change`.
    #[serde(default)]
    set: BTreeMap<String, f64>,
    #[serde(default)]
    action: Action,
    /// The hosts that the row applies to, by the cgroups that the caller can use there. Empty
    /// means all.
    #[serde(default)]
    cgroups: Vec<Cgroups>,
    /// The grounds that the row makes sense on. Empty means all.
    #[serde(default)]
    grounds: Vec<Ground>,
    /// Whether the row applies only to kernels that refuse a process above the limit.
    #[serde(default)]
    refusal: bool,
    expect: Expect,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Numbers {
    One(i64),
    Many(Vec<i64>),
}

impl Numbers {
    fn all(&self) -> Vec<i64> {
        match self {
            Numbers::One(number) => vec![*number],
            Numbers::Many(numbers) => numbers.clone(),
        }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Callers {
    Root,
    User,
    #[default]
    Both,
}

/// Where commands run. The drivers read it from SECLUDE_TEST_GROUND.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// In a sandbox of their own.
    #[default]
    Own,
    /// In a sandbox of their own that is copied from a template.
    Prepared,
    /// In a cell.
    Cell,
    /// In a pool.
    Pool,
    /// In a sandbox of their own without namespaces, on a host that denies them.
    Confined,
    /// In a sandbox of their own, as process 1 of its tree.
    #[serde(rename = "as-pid-1")]
    AsPid1,
}

impl Ground {
    /// The ground that SECLUDE_TEST_GROUND names.
    pub fn of_environment() -> Result<Ground, String> {
        match std::env::var("SECLUDE_TEST_GROUND").unwrap_or_default().as_str() {
            "" | "own" => Ok(Ground::Own),
            "prepared" => Ok(Ground::Prepared),
            "cell" => Ok(Ground::Cell),
            "pool" => Ok(Ground::Pool),
            "confined" => Ok(Ground::Confined),
            "as-pid-1" => Ok(Ground::AsPid1),
            other => Err(format!("SECLUDE_TEST_GROUND={other}: there is no such ground")),
        }
    }
}

/// A file, directory or symbolic link that the runner makes before the run. A plain text is the
/// content of a file.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Fixture {
    File(String),
    Made {
        #[serde(default)]
        text: Option<String>,
        #[serde(default)]
        link: Option<String>,
        #[serde(default)]
        copy: Option<PathBuf>,
        #[serde(default)]
        mode: Option<String>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Source {
    Named(Named),
    Text {
        text: String,
    },
    /// A terminal of the command's own, on which this is typed.
    Typed {
        typed: String,
    },
    File {
        file: String,
    },
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Named {
    Null,
    Inherit,
    Piped,
    Pty,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor {
    number: i32,
    file: String,
    #[serde(default)]
    write: bool,
}

/// Where a row runs, and for which caller.
pub struct Stage<'a> {
    /// The caller.
    pub caller: Caller,
    /// The directory of the fixtures.
    pub dir: &'a Path,
}

impl Stage<'_> {
    /// Imports the root of a fixture into a store, as the caller.
    fn import(&self, name: &str, root: &str) -> std::io::Result<()> {
        let mut import = self.caller.command(driver());
        import.arg("import").args([self.dir.join(root), self.dir.join("store")]).arg(name);
        let output = import.output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(std::io::Error::other(told)) }
    }

    /// A row's text with the expressions in braces replaced.
    pub(crate) fn expand(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            bytes.extend(&rest.as_bytes()[..start]);
            let (word, after) =
                rest[start + 1..].split_once('}').unwrap_or((&rest[start + 1..], ""));
            let parts: Vec<&str> = word.splitn(3, ':').collect();
            match parts[..] {
                ["dir"] => bytes.extend(self.dir.as_os_str().as_encoded_bytes()),
                ["caller"] => bytes.extend(self.caller.name().bytes()),
                ["uid_behind"] => bytes.extend(self.caller.uid_behind().to_string().bytes()),
                ["byte", digits] => bytes.push(
                    u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("no byte {digits}")),
                ),
                ["repeat", count, text] => bytes.extend(
                    text.repeat(count.parse().unwrap_or_else(|_| panic!("no count {count}")))
                        .bytes(),
                ),
                ["wait", milliseconds] => {
                    let milliseconds = milliseconds
                        .parse()
                        .unwrap_or_else(|_| panic!("no milliseconds {milliseconds}"));
                    let wait = here(Duration::from_millis(milliseconds));
                    bytes.extend(wait.as_secs_f64().to_string().bytes());
                }
                // Other braces belong to the text itself: JSON, shell, awk.
                _ => {
                    bytes.push(b'{');
                    rest = &rest[start + 1..];
                    continue;
                }
            }
            rest = after;
        }
        bytes.extend(rest.bytes());
        bytes
    }

    pub(crate) fn text(&self, text: &str) -> String {
        String::from_utf8(self.expand(text)).unwrap_or_else(|_| panic!("{text:?} is no text"))
    }

    fn system(&self, text: &str) -> OsString {
        OsString::from_vec(self.expand(text))
    }

    fn json(&self, value: &toml::Value) -> serde_json::Value {
        match value {
            toml::Value::String(text) => self.text(text).into(),
            toml::Value::Integer(number) => (*number).into(),
            toml::Value::Float(number) => (*number).into(),
            toml::Value::Boolean(truth) => (*truth).into(),
            toml::Value::Datetime(time) => time.to_string().into(),
            toml::Value::Array(values) => values.iter().map(|value| self.json(value)).collect(),
            toml::Value::Table(table) => serde_json::Value::Object(
                table.iter().map(|(key, value)| (self.text(key), self.json(value))).collect(),
            ),
        }
    }
}

impl Case {
    /// Whether the row applies to this caller.
    pub fn is_for(&self, caller: Caller) -> bool {
        match self.callers {
            Callers::Root => caller == Caller::Root,
            Callers::User => caller == Caller::User,
            Callers::Both => true,
        }
    }

    /// Whether the row makes sense on this ground.
    pub fn is_for_ground(&self, ground: Ground) -> bool {
        let is_changed = matches!(ground, Ground::Confined | Ground::AsPid1);
        if is_changed && (self.policy_json.is_some() || self.policy_toml.is_some()) {
            return false;
        }
        if ground == Ground::AsPid1 && !self.can_be_process_1() {
            return false;
        }
        self.grounds.is_empty() || self.grounds.contains(&ground)
    }

    /// Whether the row runs one command in a process tree and a mount namespace of its own.
    fn can_be_process_1(&self) -> bool {
        let policies =
            [Action::Check, Action::Json, Action::Toml, Action::Reset, Action::Enter, Action::Join];
        let shared = self.policy.get("share").and_then(toml::Value::as_array);
        let shares = |kind: &str| {
            shared.is_some_and(|list| list.iter().any(|one| one.as_str() == Some(kind)))
        };
        !policies.contains(&self.action) && !shares("pid") && !shares("mount")
    }

    /// Whether the row applies to the cgroups that this caller can use.
    pub fn is_for_cgroups_of(&self, caller: Caller) -> bool {
        let cgroups = Cgroups::of(caller);
        (self.cgroups.is_empty() || self.cgroups.contains(&cgroups))
            && (!self.refusal || cgroups.refuses_processes())
    }

    /// Makes the fixtures and gives them to the caller.
    pub fn furnish(&self, stage: &Stage<'_>) -> std::io::Result<()> {
        for (name, fixture) in &self.fixtures {
            let place = stage.dir.join(name);
            let parent = place.parent().unwrap_or(stage.dir);
            fs::create_dir_all(parent)?;
            let mode = match fixture {
                Fixture::File(text) => {
                    fs::write(&place, stage.expand(text))?;
                    None
                }
                Fixture::Made { link: Some(target), .. } => {
                    std::os::unix::fs::symlink(stage.system(target), &place)?;
                    continue;
                }
                Fixture::Made { copy: Some(file), mode, .. } => {
                    fs::copy(file, &place)?;
                    mode.as_deref()
                }
                Fixture::Made { text: Some(text), mode, .. } => {
                    fs::write(&place, stage.expand(text))?;
                    mode.as_deref()
                }
                Fixture::Made { mode, .. } => {
                    fs::create_dir_all(&place)?;
                    mode.as_deref()
                }
            };
            if let Some(mode) = mode {
                let mode =
                    u32::from_str_radix(mode, 8).unwrap_or_else(|_| panic!("no mode {mode}"));
                fs::set_permissions(&place, fs::Permissions::from_mode(mode))?;
            }
            stage.caller.own(&place);
        }
        let below = |name: &String| {
            let parents = Path::new(name).ancestors().skip(1);
            parents
                .filter(|parent| !parent.as_os_str().is_empty())
                .map(|it| stage.dir.join(it))
                .collect::<Vec<_>>()
        };
        self.fixtures.keys().flat_map(below).for_each(|parent| stage.caller.own(&parent));
        self.images.iter().try_for_each(|(name, root)| stage.import(name, root))
    }

    /// Converts the row to a driver's job.
    pub fn job(&self, stage: &Stage<'_>, ground: Ground) -> Job {
        let (program, arguments) = self
            .command
            .split_first()
            .map_or(("", &[][..]), |(program, arguments)| (program, arguments));
        let mut streams = Job::default().streams;
        for (stream, source) in streams.iter_mut().zip([&self.stdin, &self.stdout, &self.stderr]) {
            match source {
                None => {}
                Some(Source::Named(Named::Null)) => *stream = Stream::Null,
                Some(Source::Named(Named::Inherit)) => *stream = Stream::Inherit,
                Some(Source::Named(Named::Piped)) => *stream = Stream::Piped(Vec::new()),
                Some(Source::Named(Named::Pty)) => *stream = Stream::Terminal(Vec::new()),
                Some(Source::Typed { typed }) => *stream = Stream::Terminal(stage.expand(typed)),
                Some(Source::Text { text }) => *stream = Stream::Piped(stage.expand(text)),
                Some(Source::File { file }) => *stream = Stream::File(stage.system(file).into()),
            }
        }
        let table = || {
            let mut policy = self.policy.clone();
            if ground == Ground::Confined {
                let list =
                    policy.entry("best_effort").or_insert_with(|| toml::Value::Array(vec![]));
                list.as_array_mut().expect("a list of names").push("namespaces".into());
            }
            if ground == Ground::AsPid1 {
                policy.insert("as_pid_1".into(), true.into());
            }
            stage.json(&toml::Value::Table(policy)).to_string()
        };
        Job {
            action: self.action,
            policy: self
                .policy_toml
                .as_deref()
                .or(self.policy_json.as_deref())
                .map_or_else(table, |text| stage.text(text)),
            toml: self.policy_toml.is_some(),
            program: stage.system(program),
            arguments: arguments.iter().map(|text| stage.system(text)).collect(),
            arg0: self.arg0.as_ref().map(|text| stage.system(text)),
            env_clear: self.env_clear,
            env_remove: self.env_remove.iter().map(|text| stage.system(text)).collect(),
            env: self
                .env
                .iter()
                .map(|(name, value)| (stage.system(name), stage.system(value)))
                .collect(),
            directory: self.directory.as_ref().map(|text| stage.system(text).into()),
            wall_ms: self.wall_ms,
            share: self.share.iter().map(|(limit, value)| (limit.clone(), *value)).collect(),
            process: self.process.iter().map(|(name, value)| (name.clone(), value.all())).collect(),
            window: self.window,
            collect: self.collect.iter().map(|text| stage.system(text)).collect(),
            collect_bounds: self.collect_bounds,
            streams,
            descriptors: self
                .descriptors
                .iter()
                .map(|given| (given.number, stage.system(&given.file).into(), given.write))
                .collect(),
            set: self.set.iter().map(|(limit, value)| (limit.clone(), *value)).collect(),
            network: self.network.as_ref().map(|network| network.job(stage)),
        }
    }

    /// The differences between the result and the row, one per line; empty if there are none.
    /// `inherited` is what the driver itself wrote to its standard output.
    pub fn judge(&self, stage: &Stage<'_>, told: &Told, inherited: &[u8]) -> Vec<String> {
        self.expect.judge(
            stage,
            told,
            inherited,
            !matches!(self.action, Action::Check | Action::Json | Action::Toml),
        )
    }
}
