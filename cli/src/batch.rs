//! `seclude batch`: a job per line of JSON in, an answer per line of JSON out, many at a time, each
//! job in a sandbox of its own.
//!
//! A thread reads lines, workers run the jobs, and this thread writes the answers. At most four
//! times as many jobs are in flight as can run at once. No further line is read until an answer has
//! been written, so that a batch may be endless while memory stays bounded.
//!
//! SIGINT is not handled: it ends this process, and everything inside ends with it.

mod job;
mod lines;
mod progress;

use crate::status::{BATCH_FAILED, BROKEN_PIPE, Failure, Result};
use crate::{networks, policy, report, shown};
use clap::ArgMatches;
use job::Job;
use lines::{BOUND, Line, Lines};
use progress::Progress;
use seclude::{Output, Pool, Sandbox};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, IsTerminal, Read, Write, stdin, stdout};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How many failed jobs are named on the standard error. The output lists all of them.
const NAMED: u64 = 5;
/// How many jobs are in flight for each that can run.
const WAITING: usize = 4;

/// Runs the batch. Exits with 0 if every job exited with 0, with 1 if every job ran and some ended
/// otherwise, and with 2 if a line was no job, a job could not be run, or the batch itself could
/// not be.
pub fn batch(matches: &ArgMatches) -> Result<ExitCode> {
    run(matches).map_err(|failure| failure.with_status(BATCH_FAILED))
}

fn run(matches: &ArgMatches) -> Result<ExitCode> {
    let Some(path) = matches.get_one::<PathBuf>("FILE") else { unreachable!("it is required") };
    let is_stdin = path == Path::new("-");
    if is_stdin && matches.get_one::<PathBuf>("policy").is_some_and(|policy| policy == path) {
        return Err(Failure::new("-: the standard input cannot be both the policy and the jobs"));
    }
    let sandbox = networks::given(policy::sandbox(matches, Sandbox::new())?)?;
    let (input, about) = open(path, is_stdin)?;
    let output = matches.get_one::<PathBuf>("answers");
    if let Some(output) = output
        && fs::metadata(output).is_ok_and(|other| {
            other.is_file() && (other.dev(), other.ino()) == (about.dev(), about.ino())
        })
    {
        let why = "the jobs are in the file that the outcomes would go to";
        return Err(Failure::new(format!("{}: {why}", output.display())));
    }
    let workers = match matches.get_one::<usize>("workers") {
        Some(workers) => *workers,
        None => thread::available_parallelism().map_or(1, usize::from),
    };
    let pool = sandbox.pool(workers)?;
    let mut out: Box<dyn Write> = match output {
        Some(output) => {
            Box::new(File::create(output).map_err(|error| Failure::at(output.display(), &error))?)
        }
        None => Box::new(stdout()),
    };
    // The bar and the answers would overwrite each other on one terminal.
    let is_free = output.is_some() || !stdout().is_terminal();
    let mut progress = Progress::new(is_free, about.is_file().then_some(about.len()));
    let lines = Lines::new(BufReader::new(input), BOUND);
    let answers = start(lines, &pool, workers);
    let in_order = !matches.get_flag("as-completed");
    let (mut errors, mut code) = (0, 0);
    let mut held = BTreeMap::new();
    let mut next = 0;
    for answer in &answers.arriving {
        let answer = answer.map_err(|error| Failure::at(path.display(), &error))?;
        held.insert(answer.order, answer);
        while let Some(answer) =
            if in_order { held.remove(&next) } else { held.pop_first().map(|(_, answer)| answer) }
        {
            next += 1;
            write(&mut *out, &answer, output.map(PathBuf::as_path))?;
            progress.add(answer.size, answer.result.is_err());
            match &answer.result {
                Ok(output) if output.outcome.success() => {}
                Ok(_) => code = code.max(1),
                Err(wrong) => {
                    errors += 1;
                    code = BATCH_FAILED;
                    if errors <= NAMED {
                        progress.clear();
                        shown::say(&format!("line {}: {wrong}", answer.line));
                    }
                }
            }
            // The reader may have ended.
            let _ = answers.permits.send(());
        }
    }
    progress.end();
    if errors > NAMED {
        shown::say(&format!("{errors} jobs could not be run: the output says why"));
    }
    Ok(ExitCode::from(code))
}

/// The jobs, and what the file system says of the file.
fn open(path: &Path, is_stdin: bool) -> Result<(Box<dyn Read + Send>, fs::Metadata)> {
    let failed = |error: io::Error| Failure::at(path.display(), &error);
    if is_stdin {
        // The same file, which is looked at without a copy of the descriptor.
        let about = fs::metadata("/proc/self/fd/0").map_err(failed)?;
        return Ok((Box::new(stdin()), about));
    }
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    Ok((Box::new(file), about))
}

/// A line's answer.
struct Answer {
    /// The place of the line among those that are answered, from 0.
    order: u64,
    line: u64,
    size: u64,
    id: Option<Value>,
    result: std::result::Result<Output, Wrong>,
}

/// Why a line has not been run.
enum Wrong {
    /// It is no job.
    Job(String),
    Run(seclude::Error),
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Wrong::Job(why) => write!(f, "{READ}: {why}"),
            Wrong::Run(error) => error.fmt(f),
        }
    }
}

/// The step of reading a line, in its error.
const READ: &str = "read a job";

/// The answers of a batch that runs.
struct Answers {
    arriving: Receiver<io::Result<Answer>>,
    /// Lets the reader read one line more.
    permits: Sender<()>,
}

/// A job on its way to a worker.
struct Waiting {
    order: u64,
    line: Line,
}

/// Starts the reader and the workers.
fn start<R: io::BufRead + Send + 'static>(
    mut lines: Lines<R>,
    pool: &Pool,
    workers: usize,
) -> Answers {
    let (permits, permitted) = channel();
    let (to_workers, waiting) = channel::<Waiting>();
    let (answered, arriving) = channel();
    for _ in 0..workers.saturating_mul(WAITING) {
        let _ = permits.send(());
    }
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..workers {
        let (waiting, answered, pool) = (Arc::clone(&waiting), answered.clone(), pool.clone());
        thread::spawn(move || {
            loop {
                let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(next) = next else { break };
                if answered.send(Ok(answer(next, &pool))).is_err() {
                    break;
                }
            }
        });
    }
    thread::spawn(move || {
        let mut order = 0;
        while permitted.recv().is_ok() {
            let line = match lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    let _ = answered.send(Err(error));
                    break;
                }
            };
            if to_workers.send(Waiting { order, line }).is_err() {
                break;
            }
            order += 1;
        }
    });
    Answers { arriving, permits }
}

fn answer(Waiting { order, line }: Waiting, pool: &Pool) -> Answer {
    let (id, job): (_, std::result::Result<Job, String>) = job::read(line.text.as_deref());
    let result = match job {
        Ok(job) => job.run(pool).map_err(Wrong::Run),
        Err(why) => Err(Wrong::Job(why)),
    };
    Answer { order, line: line.number, size: line.size, id, result }
}

/// Writes an answer as a line. If the reader has gone, this process ends as SIGPIPE would end it.
fn write(out: &mut dyn Write, answer: &Answer, path: Option<&Path>) -> Result<()> {
    let mut told = match &answer.result {
        Ok(output) => {
            let mut told = report::object_of(output);
            // It says which call of the library has ended a command, and here there is none.
            told.remove("by_caller");
            told
        }
        Err(Wrong::Run(error)) => report::object_of_error(error),
        Err(wrong @ Wrong::Job(_)) => serde_json::Map::from_iter([(
            "error".to_owned(),
            json!({"message": wrong.to_string(), "kind": "invalid", "step": READ,
                "errno": null, "path": null, "hint": null}),
        )]),
    };
    told.insert("line".to_owned(), answer.line.into());
    if let Some(id) = &answer.id {
        told.insert("id".to_owned(), id.clone());
    }
    let line = format!("{}\n", report::ascii(&Value::Object(told).to_string()));
    match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // Nothing is waited for: what runs inside ends with this process.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            std::process::exit(BROKEN_PIPE.into())
        }
        Err(error) => match path {
            Some(path) => Err(Failure::at(path.display(), &error)),
            None => Err(Failure::at("standard output", &error)),
        },
    }
}
