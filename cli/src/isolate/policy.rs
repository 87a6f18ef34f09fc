//! From what a command line of isolate asks for to a sandbox.

use super::asked::Asked;
use super::boxes::Place;
use super::rules::{Options, Rules, Shown};
use super::{Refusal, Result};
use nix::sys::resource::{Resource as Limited, getrlimit};
use seclude::{Bind, Dev, Entry, Limit, Namespace, Proc, ReadOnly, Resource, Sandbox, Tmpfs};
use std::fs;
use std::path::{Path, PathBuf};

/// More memory than any host has. The control group counts, and limits nothing.
const UNBOUNDED: u64 = 1 << 50;

/// The highest number of open files, if the command line names none and the caller may have so
/// many.
const OPEN_FILES: u64 = 1024;

/// The sandbox. The directories of the box are there.
pub fn sandbox(asked: &Asked, place: &Place, rules: &Rules) -> Result<Sandbox> {
    let mut sandbox = Sandbox::new().exact_files().uid(place.owner.inside).gid(place.owner.inside);
    if let Some(base) = place.owner.base {
        sandbox = sandbox.host_ids(base);
    }
    if asked.share_net {
        sandbox = sandbox.share(Namespace::Net);
    }
    for (at, shown) in rules.iter() {
        require_mount_point(place, &rules.before(at), at)?;
        sandbox = sandbox.entry(entry(place, at, shown)?);
    }
    // The root itself is no place to write.
    limited(sandbox.entry(ReadOnly::new("/")), asked)
}

/// Refuses a rule below a directory of the caller's where no directory is: none is made there, and
/// an earlier program may have left a link.
fn require_mount_point(place: &Place, before: &Rules, at: &Path) -> Result<()> {
    let (top, rest) = match before.shows(at) {
        Some((Shown::Directory { source, .. }, rest)) => (place.resolve(source), rest),
        Some((Shown::Temporary(name), rest)) => (place.path().join(name), rest),
        Some((Shown::Proc | Shown::Devices | Shown::Memory { .. }, _)) | None => return Ok(()),
    };
    let mut path = fs::canonicalize(&top).unwrap_or(top);
    let is_directory = rest.components().all(|part| {
        path.push(part);
        fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir())
    });
    let missing = || Refusal::new(format!("--dir={}: there is no such directory", at.display()));
    if is_directory { Ok(()) } else { Err(missing()) }
}

fn entry(place: &Place, at: &Path, shown: &Shown) -> Result<Entry> {
    Ok(match shown {
        Shown::Directory { source, options } => bind(place, at, source, *options)?,
        Shown::Temporary(name) => {
            Bind::new(place.path().join(name), at).writable().nofollow().into()
        }
        Shown::Proc => Proc::new(at).into(),
        Shown::Devices => Dev::new(at).into(),
        Shown::Memory { noexec: true } => Tmpfs::new(at).noexec().into(),
        Shown::Memory { noexec: false } => Tmpfs::new(at).into(),
    })
}

fn bind(place: &Place, at: &Path, source: &Path, options: Options) -> Result<Entry> {
    let source = place.resolve(source);
    if options.flat && has_mounts_below(&source)? {
        return Err(Refusal::new(format!(
            "--dir={}: norec is refused: there are mounts below {}",
            at.display(),
            source.display()
        )));
    }
    let mut bind = Bind::new(&source, at);
    // An earlier program may have left links in the box.
    if source.starts_with(place.path()) {
        bind = bind.nofollow();
    }
    if options.writable {
        bind = bind.writable();
    }
    if options.noexec {
        bind = bind.noexec();
    }
    if options.devices {
        bind = bind.devices();
    }
    if options.maybe {
        bind = bind.optional();
    }
    Ok(bind.into())
}

/// Whether a bind without the mounts below it would differ from one with them.
fn has_mounts_below(source: &Path) -> Result<bool> {
    let mounts = Path::new("/proc/self/mountinfo");
    let text = fs::read(mounts).map_err(|error| Refusal::at("read", mounts, error))?;
    let text = String::from_utf8_lossy(&text);
    let Ok(real) = fs::canonicalize(source) else { return Ok(false) };
    let places = text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    Ok(places.into_iter().any(|at| at != real && at.starts_with(&real)))
}

/// A path of mountinfo, in which spaces and the like are octal (proc_pid_mountinfo(5)).
fn unescaped(text: &str) -> PathBuf {
    let letters = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    letters.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)).into()
}

fn limited(mut sandbox: Sandbox, asked: &Asked) -> Result<Sandbox> {
    let hard = |limited| {
        getrlimit(limited)
            .map(|(_, hard)| hard)
            .map_err(|errno| Refusal::new(format!("read the caller's limits: {}", errno.desc())))
    };
    let stack = asked.stack.map_or_else(|| hard(Limited::RLIMIT_STACK), Ok)?;
    let most = hard(Limited::RLIMIT_NOFILE)?;
    let open_files = match asked.open_files {
        None => OPEN_FILES.min(most),
        Some(0) => most,
        Some(number) => number,
    };
    sandbox = sandbox.rlimit(Resource::Stack, stack, stack).rlimit(
        Resource::Nofile,
        open_files,
        open_files,
    );
    if let Some(size) = asked.address_space {
        sandbox = sandbox.rlimit(Resource::As, size, size);
    }
    if let Some(size) = asked.file_size {
        sandbox = sandbox.rlimit(Resource::Fsize, size, size);
    }
    // Without a size it is the library's, which also keeps dumps from a pipe.
    if asked.core > 0 {
        sandbox = sandbox.rlimit(Resource::Core, asked.core, asked.core);
    }
    if let Some(number) = asked.processes {
        sandbox = sandbox.pids(number);
    }
    if let Some(time) = asked.time {
        sandbox = sandbox.cpu_time(time.saturating_add(asked.extra_time));
    }
    if let Some(time) = asked.wall_time {
        sandbox = sandbox.wall_time(time);
    }
    if asked.cgroup {
        let memory = asked.cgroup_memory.unwrap_or(UNBOUNDED);
        sandbox = sandbox.memory(memory).require(Limit::Memory);
    }
    Ok(sandbox)
}
