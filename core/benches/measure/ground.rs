//! What the measuring programs of `tests/bench` have in common: the sandbox that they measure,
//! changed in one point at a time, the ground on which its commands run, and the caller around it,
//! which has memory that is in use and threads that wait.

use seclude::{Cell, Command, Ended, KiB, MiB, Namespace, Pool, Profile, Sandbox};
use std::error::Error;
use std::hint::black_box;
use std::thread;
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many threads of the caller wait all the time, as those of a server do.
const PARKED: usize = 4;

/// Takes an option with its value from the front of the words.
pub fn option(words: &mut Vec<String>, name: &str) -> Option<String> {
    let found = words.len() >= 2 && words[0] == name;
    found.then(|| words.drain(..2).nth(1)).flatten()
}

/// The default sandbox with the payload in it, and every `--but CHANGE` that comes next.
pub fn sandbox(words: &mut Vec<String>, payload: &str) -> Result<Sandbox> {
    let mut sandbox = Sandbox::new();
    while let Some(change) = option(words, "--but") {
        sandbox = changed(sandbox, &change)?;
    }
    Ok(sandbox.bind_ro(payload, "/payload"))
}

/// One protection less, or one more.
fn changed(sandbox: Sandbox, change: &str) -> Result<Sandbox> {
    let limits = |sandbox: Sandbox| {
        sandbox
            .memory(MiB(256))
            .pids(16)
            .cpu_time(Duration::from_secs(10))
            .wall_time(Duration::from_secs(60))
    };
    Ok(match change {
        "no-net" => sandbox.share(Namespace::Net),
        "no-pid" => sandbox.share(Namespace::Pid),
        "no-ipc" => sandbox.share(Namespace::Ipc),
        "no-uts" => sandbox.share(Namespace::Uts),
        "no-cgroup" => sandbox.share(Namespace::Cgroup),
        "no-user" => sandbox.share(Namespace::User).nested(),
        "nested" => sandbox.nested(),
        "no-seccomp" => sandbox.seccomp(Profile::Unconfined),
        "no-landlock" => sandbox.no_landlock(),
        "no-system" => sandbox.empty_root(),
        "time" => sandbox.unshare(Namespace::Time),
        "memory" => sandbox.memory(MiB(256)),
        "pids" => sandbox.pids(16),
        "cpus" => sandbox.cpus(1.0),
        "cpu-time" => sandbox.cpu_time(Duration::from_secs(10)),
        "wall-time" => sandbox.wall_time(Duration::from_secs(60)),
        "output" => sandbox.output(KiB(64)),
        "limits" => limits(sandbox),
        other => return Err(format!("--but {other}: there is no such change").into()),
    })
}

/// Where commands run.
pub enum Ground {
    /// Each in a sandbox of its own, made for it; from the template, if one has been prepared.
    Own(Sandbox),
    /// Each in a sandbox of its own, which was ready.
    Pool(Pool),
    /// All in one.
    Cell(Cell),
    /// The same, each with limits of its own.
    Shares(Cell),
    /// No command: the cell's reset.
    Reset(Cell),
    /// No command: a cell, made and closed.
    NewCell(Sandbox),
}

impl Ground {
    /// `--on GROUND`, if it comes next; `size` is the pool's.
    pub fn chosen(words: &mut Vec<String>, sandbox: Sandbox, size: usize) -> Result<Ground> {
        Ok(match option(words, "--on").as_deref() {
            None => Ground::Own(sandbox),
            Some("template") => {
                sandbox.prepare()?;
                Ground::Own(sandbox)
            }
            Some("pool") => Ground::Pool(sandbox.pool(size)?),
            Some("cell") => Ground::Cell(sandbox.cell()?),
            Some("shares") => Ground::Shares(sandbox.cell()?),
            Some("reset") => {
                let cell = sandbox.cell()?;
                cell.reset()?;
                Ground::Reset(cell)
            }
            Some("new-cell") => Ground::NewCell(sandbox),
            Some(other) => return Err(format!("--on {other}: there is no such ground").into()),
        })
    }

    /// One whole run.
    pub fn run(&self) -> Result<()> {
        match self {
            Ground::Own(sandbox) => to_end(sandbox.command("/payload")),
            Ground::Pool(pool) => to_end(pool.command("/payload")),
            Ground::Cell(cell) => to_end(cell.command("/payload")),
            Ground::Shares(cell) => {
                let mut command = cell.command("/payload");
                command.memory(MiB(64)).pids(8).cpu_time(Duration::from_secs(5));
                to_end(command)
            }
            Ground::Reset(cell) => Ok(cell.reset()?),
            Ground::NewCell(sandbox) => {
                sandbox.cell()?.close();
                Ok(())
            }
        }
    }

    /// Waits until the pool is full again: nobody else's turn should pay for that.
    pub fn settle(&self) {
        if let Ground::Pool(pool) = self {
            while pool.statistics().ready < pool.statistics().size {
                thread::sleep(Duration::from_micros(100));
            }
        }
    }
}

fn to_end(mut command: Command) -> Result<()> {
    match command.status()?.ended {
        Ended::Exited(0) => Ok(()),
        ended => Err(ended.to_string().into()),
    }
}

/// Makes this process a caller like a real one: threads that wait, and so many MiB in use.
pub fn caller(mib: usize) -> Vec<u8> {
    for _ in 0..PARKED {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    let mut memory = vec![0u8; mib << 20];
    for page in memory.chunks_mut(4096) {
        page[0] = 1;
    }
    black_box(memory)
}
