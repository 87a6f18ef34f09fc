//! The driver of the Rust face: does one job (`seclude_tests::job`) with the public API of the
//! crate and writes the result.
//!
//! Usage: `driver JOB RESULT`. The C and Python drivers in `tests/drivers` do the same with theirs.
//! `driver import ROOT STORE NAME` imports an image that a job needs.
#![deny(unsafe_code)]

use seclude::schema::FIGURES;
use seclude::{
    Cell, Child, Collected, Command, Ended, Error, ImageSource, Join, Joined, NamedCell, Outcome,
    Pool, Pressure, Result, Sandbox, Stdio, Store, Transfer, Usage, WindowSize,
};
use seclude_tests::job::{Action, Job, Stream, Told, read_told, write_told};
use seclude_tests::members;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if let [word, root, store, name] = &words[..]
        && word == "import"
    {
        return import(root.as_ref(), store.as_ref(), &name.to_string_lossy());
    }
    let [job, result] = &words[..] else {
        eprintln!("usage: driver JOB RESULT");
        return ExitCode::from(2);
    };
    let told = std::fs::read_to_string(job)
        .map_err(|error| error.to_string())
        .and_then(|text| Job::read(&text))
        .map(|job| {
            let mut told = Told::new();
            if let Err(error) = perform(&job, &mut told) {
                told.clear();
                tell_error(&error, &mut told);
            }
            told
        });
    let written = told.and_then(|told| {
        let text = write_told(&told);
        debug_assert_eq!(read_told(&text).as_ref(), Ok(&told));
        std::fs::write(result, text).map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driver: {error}");
            ExitCode::from(3)
        }
    }
}

fn import(root: &Path, store: &Path, name: &str) -> ExitCode {
    let source = ImageSource::directory(root);
    match Store::at(store).and_then(|store| store.import(&source, Some(name))) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driver: import {}: {error}", root.display());
            ExitCode::from(3)
        }
    }
}

fn perform(job: &Job, told: &mut Told) -> Result<()> {
    let sandbox =
        if job.toml { Sandbox::from_toml(&job.policy)? } else { Sandbox::from_json(&job.policy)? };
    let (sandbox, _members) = members::start(job, sandbox)?;
    match job.action {
        Action::Check => sandbox.check(),
        Action::Json => {
            told.insert("stdout".into(), sandbox.to_json()?.into_bytes());
            Ok(())
        }
        Action::Toml => {
            told.insert(
                "stdout".into(),
                Sandbox::from_toml(&sandbox.to_toml()?)?.to_json()?.into_bytes(),
            );
            Ok(())
        }
        Action::Reset => {
            let cell = sandbox.cell()?;
            let mut command = command(&Ground::Cell(cell.clone()), job);
            finish(command.spawn()?, job, &mut Told::new())?;
            cell.reset()?;
            finish(command.spawn()?, job, told)
        }
        Action::Enter => {
            let cell = sandbox.cell()?;
            cell.publish(NAME)?;
            finish(
                command(&Ground::Joined(NamedCell::find(NAME)?.enter()?.into()), job).spawn()?,
                job,
                told,
            )
        }
        Action::Join => {
            let cell = sandbox.cell()?;
            let joined = Sandbox::new().join(&Join::new().process(cell.id()?))?;
            finish(command(&Ground::Joined(joined.into()), job).spawn()?, job, told)
        }
        Action::Twice => {
            let mut command = command(&Ground::of(&sandbox)?, job);
            finish(command.spawn()?, job, &mut Told::new())?;
            finish(command.spawn()?, job, told)
        }
        _ => finish(command(&Ground::of(&sandbox)?, job).spawn()?, job, told),
    }
}

/// Where the command runs, from SECLUDE_TEST_GROUND.
enum Ground {
    /// In its own sandbox; for "prepared", copied from a template.
    Own(Box<Sandbox>),
    Cell(Cell),
    Pool(Pool),
    Joined(Box<Joined>),
}

/// The name of the published cell. Each test has its own directory of cells.
const NAME: &str = "driver";

impl Ground {
    fn of(sandbox: &Sandbox) -> Result<Ground> {
        let name = std::env::var("SECLUDE_TEST_GROUND").unwrap_or_default();
        Ok(match name.as_str() {
            "cell" => Ground::Cell(sandbox.cell()?),
            "pool" => Ground::Pool(sandbox.pool(1)?),
            "prepared" => {
                sandbox.prepare()?;
                Ground::Own(Box::new(sandbox.clone()))
            }
            _ => Ground::Own(Box::new(sandbox.clone())),
        })
    }
}

fn set_process(command: &mut Command, name: &str, values: &[i64]) {
    let number = |value: i64| value.try_into().expect("a number fits its type");
    let signal = |value: i64| i32::try_from(value).expect("a signal fits its type");
    match (name, values) {
        ("umask", &[mask]) => command.umask(number(mask)),
        ("process_group", &[group]) => command.process_group(signal(group)),
        ("uid", &[uid]) => command.uid(number(uid)),
        ("gid", &[gid]) => command.gid(number(gid)),
        ("groups", groups) => command.groups(groups.iter().map(|group| number(*group))),
        ("ignore_signals", signals) => {
            signals.iter().fold(command, |command, value| command.ignore_signal(signal(*value)))
        }
        // The Rust runtime ignores SIGPIPE.
        ("inherit_ignored_signals", _) => command.inherit_ignored_signals(),
        _ => panic!("no attribute {name} of {values:?}"),
    };
}

fn command(ground: &Ground, job: &Job) -> Command {
    let mut command = match ground {
        Ground::Own(sandbox) => sandbox.command(&job.program),
        Ground::Cell(cell) => cell.command(&job.program),
        Ground::Pool(pool) => pool.command(&job.program),
        Ground::Joined(joined) => joined.command(&job.program),
    };
    command.args(&job.arguments);
    if let Some(name) = &job.arg0 {
        command.arg0(name);
    }
    if job.env_clear {
        command.env_clear();
    }
    for name in &job.env_remove {
        command.env_remove(name);
    }
    command.envs(job.env.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &job.directory {
        command.current_dir(directory);
    }
    if let Some(limit) = job.wall_ms {
        command.wall_time(Duration::from_millis(limit));
    }
    for (limit, value) in &job.share {
        match limit.as_str() {
            "memory" => command.memory(*value),
            "cpu_time" => command.cpu_time(Duration::from_millis(*value)),
            _ => command.pids(*value),
        };
    }
    for (name, values) in &job.process {
        set_process(&mut command, name, values);
    }
    if let Some((rows, columns)) = job.window {
        command.window_size(WindowSize { rows, columns });
    }
    for pattern in &job.collect {
        command.collect(pattern);
    }
    if let Some((bytes, entries)) = job.collect_bounds {
        command
            .collect_within(Transfer::new().max_bytes(bytes).max_entries(entries).skip_special());
    }
    let [stdin, stdout, stderr] = &job.streams;
    command.stdin(stdio(stdin, false)).stdout(stdio(stdout, true)).stderr(stdio(stderr, true));
    for (number, path, write) in &job.descriptors {
        command.fd(*number, open(path, *write));
    }
    command
}

fn stdio(stream: &Stream, write: bool) -> Stdio {
    match stream {
        Stream::Inherit => Stdio::inherit(),
        Stream::Null => Stdio::null(),
        Stream::Piped(_) => Stdio::piped(),
        Stream::Terminal(_) => Stdio::pty(),
        Stream::File(path) => open(path, write).into(),
    }
}

/// Opens a file that the job names and the runner has made. Panics if it is not there.
fn open(path: &std::path::Path, write: bool) -> File {
    let file = if write { File::create(path) } else { File::open(path) };
    file.unwrap_or_else(|error| panic!("open {}: {error}", path.display()))
}

fn finish(mut child: Child, job: &Job, told: &mut Told) -> Result<()> {
    if let (Some(stdin), Stream::Piped(data)) = (&mut child.stdin, &job.streams[0]) {
        // An error only means that the command has ended or closed its input.
        let _ = stdin.write_all(data);
    }
    if let (Some(terminal), Stream::Terminal(typed)) = (&mut child.terminal, &job.streams[0]) {
        terminal.write_all(typed).expect("a terminal takes a few words");
    }
    let mut first = Vec::new();
    match job.action {
        Action::Kill => {
            first = first_line(&mut child);
            child.kill()?;
        }
        Action::Terminate => {
            first = first_line(&mut child);
            child.signal(libc::SIGTERM)?;
        }
        Action::Processes => {
            first = first_line(&mut child);
            let list: Vec<String> = child
                .processes()?
                .iter()
                .map(|process| {
                    format!(
                        "{} {} {}\n",
                        process.inside_pid,
                        process.name,
                        process.command.join(" ")
                    )
                })
                .collect();
            told.insert("processes".into(), list.concat().into_bytes());
            child.kill()?;
        }
        Action::Usage => {
            first = first_line(&mut child);
            told.insert("usage".into(), usage(&child.usage()?).into_bytes());
            child.kill()?;
        }
        Action::Change => {
            first = first_line(&mut child);
            for (limit, value) in &job.set {
                match limit.as_str() {
                    "memory" => child.set_memory(*value as u64)?,
                    "cpus" => child.set_cpus(*value)?,
                    "cpu_time" => child.set_cpu_time(Duration::from_secs_f64(*value))?,
                    "pids" => child.set_pids(*value as u64)?,
                    other => panic!("no limit {other} can be changed"),
                }
            }
        }
        Action::Freeze | Action::KillFrozen => {
            first = first_line(&mut child);
            told.insert("freezer".into(), child.freeze()?.name().into());
            assert_eq!(child.wait_timeout(Duration::from_millis(50))?, None, "it is frozen");
            match job.action {
                Action::Freeze => child.thaw()?,
                _ => child.kill()?,
            }
        }
        Action::WaitFrozen => {
            first = first_line(&mut child);
            told.insert("freezer".into(), child.freeze()?.name().into());
        }
        Action::TryWait => assert_eq!(child.try_wait()?, None, "it waits for its input"),
        Action::WaitTimeout => assert_eq!(
            child.wait_timeout(Duration::from_millis(50))?,
            None,
            "it waits for its input"
        ),
        Action::Output
        | Action::Twice
        | Action::Reset
        | Action::Enter
        | Action::Join
        | Action::Check
        | Action::Json
        | Action::Toml => {}
    }
    let output = if job.action == Action::TryWait {
        let outcome = child.wait()?;
        assert_eq!(child.try_wait()?.as_ref(), Some(&outcome), "the answer stays");
        assert_eq!(child.wait()?, outcome, "the answer stays");
        seclude::Output {
            outcome,
            stdout: read(child.stdout.take()),
            stderr: read(child.stderr.take()),
            files: if job.collect.is_empty() { Collected::default() } else { child.collect()? },
        }
    } else {
        child.wait_with_output()?
    };
    tell_outcome(&output.outcome, told);
    if !job.collect.is_empty() {
        told.insert("collected".into(), collected(&output.files));
    }
    first.extend(output.stdout);
    told.insert("stdout".into(), first);
    told.insert("stderr".into(), output.stderr);
    Ok(())
}

fn collected(collected: &Collected) -> Vec<u8> {
    let mut text = Vec::new();
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| text.extend(*part));
        text.push(b'\n');
    };
    for file in &collected.files {
        let mode = format!(" {:o}: ", file.permissions);
        line(&[file.path.as_os_str().as_bytes(), mode.as_bytes(), &file.contents]);
    }
    for path in &collected.skipped {
        line(&[b"skipped: ", path.as_os_str().as_bytes()]);
    }
    for pattern in &collected.unmatched {
        line(&[b"unmatched: ", pattern.as_bytes()]);
    }
    if let Some(error) = &collected.error {
        line(&[format!("error: {}: {error}", error.kind()).as_bytes()]);
    }
    text
}

fn first_line(child: &mut Child) -> Vec<u8> {
    let mut line = Vec::new();
    if let Some(pipe) = &mut child.stdout {
        let mut byte = [0];
        while pipe.read(&mut byte).is_ok_and(|count| count == 1) {
            line.push(byte[0]);
            if byte == *b"\n" {
                break;
            }
        }
    }
    line
}

fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut data = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut data).expect("a pipe can be read");
    }
    data
}

fn tell_outcome(outcome: &Outcome, told: &mut Told) {
    if let Some(egress) = outcome.egress.as_ref().filter(|egress| !egress.attempts.is_empty()) {
        let lines = egress.attempts.iter().map(|attempt| format!("{attempt}\n"));
        told.insert("egress".into(), lines.collect::<String>().into_bytes());
    }
    let value = match outcome.ended {
        Ended::Exited(value) | Ended::Signaled(value) | Ended::WardenLost(value) => {
            format!(" {value}")
        }
        Ended::Syscall(call) => format!(" {call}"),
        _ => String::new(),
    };
    let enforced: Vec<_> = outcome.enforced.iter().map(|protection| protection.name()).collect();
    let limits: Vec<_> = outcome
        .enforced
        .limits()
        .map(|(limit, mechanism)| format!("{limit}={mechanism}"))
        .collect();
    // Some actions have already reported the usage of the running command instead.
    told.entry("usage".into()).or_insert_with(|| usage(&outcome.usage).into_bytes());
    let mut tell = |key: &str, value: String| told.insert(key.into(), value.into_bytes());
    tell("ended", format!("{}{value}", outcome.ended.name()));
    tell("returncode", outcome.returncode().to_string());
    tell("message", outcome.to_string());
    tell("enforced", enforced.join(" "));
    tell("limits", limits.join(" "));
    if let Some(status) = outcome.status {
        tell("status", status.to_string());
    }
    if let Some(limit) = outcome.limit {
        tell("limit", limit.to_string());
    }
}

/// All figures that were measured, in the order of `seclude::Usage`, with times in microseconds.
fn usage(usage: &Usage) -> String {
    let stalls = |pressure: Pressure| {
        let Pressure { cpu_some, memory_some, memory_full, io_some, io_full, .. } = pressure;
        [
            ("cpu_some", cpu_some),
            ("memory_some", memory_some),
            ("memory_full", memory_full),
            ("io_some", io_some),
            ("io_full", io_full),
        ]
    };
    let is_time = |name: &str| FIGURES.iter().any(|one| one.name == name && one.kind == "time");
    let mut words = vec![format!("memory_source={}", usage.memory_source)];
    for (name, number) in usage.figures() {
        let unit = if is_time(name) { "_us" } else { "" };
        words.extend(number.map(|number| format!("{name}{unit}={number}")));
    }
    for (name, time) in usage.pressure.into_iter().flat_map(stalls) {
        words.push(format!("pressure_{name}_us={}", time.as_micros()));
    }
    words.join(" ")
}

fn tell_error(error: &Error, told: &mut Told) {
    let mut tell = |key: &str, value: &[u8]| told.insert(key.into(), value.to_vec());
    tell("error", error.kind().name().as_bytes());
    tell("step", error.step().as_bytes());
    if let Some(step) = error.step_kind() {
        tell("step_kind", step.name().as_bytes());
    }
    tell("message", error.to_string().as_bytes());
    if let Some(errno) = error.raw_os_error() {
        tell("errno", errno.to_string().as_bytes());
    }
    if let Some(path) = error.path() {
        tell("path", path.as_os_str().as_bytes());
    }
    if let Some(hint) = error.remedy() {
        tell("hint", hint.as_bytes());
    }
}
