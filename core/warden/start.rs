//! Starting a command.
//!
//! The new process borrows the warden's memory until it executes the program (vfork), so it does nothing but make
//! system calls. It has most restrictions already, from the warden; what is its own to do is in `become_command`, the filters last of all.
//! From the first filter on it only makes calls that have a pass, and why it could not go on it leaves on a slate for the warden to tell.

use crate::control::{Buffer, Line, Mail};
use crate::reap;
use crate::setup::Place;
use crate::sys::{self, Errno, Fd, Pages, Pointers, Result, SIGKILL, Slate};
use crate::text::Path;
use crate::wire::codec::{List, Reader, Wire};
use crate::wire::message::{HEAD_MAX, Pass, REPORT_MAX, Report, Request, Rlimit, listener, meter, stage};
use crate::wire::plan::{namespace, protection};
use core::cell::OnceCell;
use core::ffi::CStr;

/// What the new process needs to know.
struct Order<'a> {
    program: &'a CStr,
    search: &'a [u8],
    arguments: Pointers<'a>,
    environment: Pointers<'a>,
    directory: &'a CStr,
    targets: List<'a, i32>,
    descriptors: &'a [i32],
    rlimits: List<'a, Rlimit>,
    umask: u32,
    filters: List<'a, &'a [u8]>,
    pass: Pass,
    /// Where the listener of the first filter is sent, if there is to be one.
    listener: Option<&'a Fd>,
    /// The Landlock ruleset.
    ruleset: Option<&'a Fd>,
    /// The command's side of its terminal, and which of its standard streams that is, by their bits.
    terminal: Option<&'a Fd>,
    streams: u32,
    slate: &'a Slate<'a>,
    /// By these it enters the cgroups that are its alone.
    doors: &'a [i32],
    leash: bool,
}

/// A command that has begun.
pub struct Started {
    pub pid: i32,
    pub at: u64,
    /// Where the warden hears of calls that the filter forbids.
    pub listener: Option<Fd>,
}

/// Starts the command of a Run request; `None`, told to the caller, if it could not be.
// Never inlined: its frame is large, and would lie in that of who waits.
#[inline(never)]
pub fn start(line: &Line, mail: &Mail, place: &Place, namespaces: u64) -> Result<Option<Started>> {
    /// In words.
    const STACK: usize = 8 * 1024;
    const SLATE: usize = REPORT_MAX / size_of::<usize>() + 1;
    let Request::Run {
        program,
        search,
        arguments,
        environment,
        directory,
        targets,
        rlimits,
        umask,
        relays,
        meter,
        doors,
        filters,
        listener,
        pass,
        terminal,
        ..
    } = mail.request()?
    else {
        return Err(Errno::EPROTO);
    };
    let refused = |stage: u32, errno: Errno| {
        line.report(&Report::Failed { stage, errno: errno.0, detail: 0, path: b"", head: b"" }, &[])?;
        Ok(None)
    };
    let before = targets.len() + 2 * relays.len() + usize::from(meter != meter::NONE);
    let after = before + doors as usize;
    if after + usize::from(line.is_own()) != mail.descriptors().len() {
        return refused(stage::REQUEST, Errno::EPROTO);
    }
    let words = arguments.len() + 1 + environment.len() + 1;
    let mut space = match Pages::new((STACK + words + SLATE) * size_of::<usize>(), false) {
        Ok(space) => space,
        Err(errno) => return refused(stage::REQUEST, errno),
    };
    let (stack, above) = space.words().split_at_mut(STACK);
    let (pointers, slate) = above.split_at_mut(words);
    let (argument_space, environment_space) = pointers.split_at_mut(arguments.len() + 1);
    let given = mail.descriptors().get(..targets.len()).unwrap_or_default();
    if let Some(wall) = &place.wall
        && let Some(errno) = given.iter().find_map(|fd| wall.given(*fd).err())
    {
        return refused(stage::LANDLOCK, errno);
    }
    let terminals = if terminal.streams == 0 {
        None
    } else {
        match place.terminals.as_ref().ok_or(Errno::ENODEV).and_then(|terminals| {
            sys::open_terminal(terminals, terminal.rows.min(u16::MAX.into()) as u16, terminal.columns.min(u16::MAX.into()) as u16)
        }) {
            Ok(pair) => Some(pair),
            Err(errno) => return refused(stage::TERMINAL, errno),
        }
    };
    let (slate, slate_apart) = (Slate::on(slate), OnceCell::new());
    let ends = if listener == listener::NOBODY { None } else { Some(sys::socket_pair()?) };
    let mut order = Order {
        program,
        search,
        arguments: Pointers::new(argument_space, arguments.iter())?,
        environment: Pointers::new(environment_space, environment.iter())?,
        directory,
        targets,
        descriptors: given,
        rlimits,
        umask,
        filters,
        pass,
        listener: ends.as_ref().map(|(_, theirs)| theirs),
        ruleset: place.wall.as_ref().map(|wall| &wall.ruleset),
        terminal: terminals.as_ref().map(|(_, theirs)| theirs),
        streams: terminal.streams,
        slate: &slate,
        doors: mail.descriptors().get(before..after).unwrap_or_default(),
        leash: namespaces & namespace::PID == 0,
    };
    let started = sys::now();
    // Who is killed in a cgroup for want of memory takes along whoever shares its memory.
    let shares = order.doors.is_empty();
    let sharing = if shares { sys::start(stack, true, become_command, &order) } else { Err(Errno::EINVAL) };
    let result = match sharing {
        // Before Linux 6.2, who shares memory cannot enter the time namespace set for its children either: a copy then.
        Err(Errno::EINVAL) => {
            let apart = Slate::apart(SLATE)?;
            order.slate = slate_apart.get_or_init(|| apart);
            sys::start(stack, false, become_command, &order)
        }
        result => result,
    };
    let (pid, pidfd) = match result {
        Ok(started) => started,
        Err(errno) => return refused(stage::CLONE, errno),
    };
    if let Ok(report) = Reader::new(order.slate.read()).only::<Report<'_>>() {
        sys::await_end(pid);
        examine(line, report, directory)?;
        return Ok(None);
    }
    let heard = match &ends {
        Some((ours, _)) => take_listener(ours),
        None => None,
    };
    let filtered = if filters.is_empty() { 0 } else { protection::FILTERED };
    let protections = place.protections | protection::SESSION | no_core(rlimits) | filtered;
    let report = Report::Started { pid, protections, landlock: place.landlock };
    let (callers, wardens) = if listener == listener::CALLER { (heard, None) } else { (None, heard) };
    let ours = terminals.as_ref().map(|(ours, _)| ours);
    let told = match (ours, &callers) {
        (Some(terminal), Some(listener)) => line.report(&report, &[&pidfd, terminal, listener]),
        (Some(further), None) | (None, Some(further)) => line.report(&report, &[&pidfd, further]),
        (None, None) => line.report(&report, &[&pidfd]),
    };
    if let Err(errno) = told {
        // Too many descriptors of this user's are under way, say. What the caller cannot be told of must not run.
        match &place.census {
            Some(census) if line.is_own() => reap::end_tree(census, pid),
            _ => drop(sys::kill(pid, SIGKILL)),
        }
        sys::await_end(pid);
        return refused(stage::DESCRIPTORS, errno);
    }
    Ok(Some(Started { pid, at: started, listener: wardens }))
}

/// What the new process has sent before it executed the program; nothing if it ended before.
fn take_listener(ours: &Fd) -> Option<Fd> {
    let mut descriptors = [-1; 253];
    match sys::receive_now(ours.number(), &mut [0], &mut descriptors) {
        Ok((_, 1)) => Some(Fd::own(descriptors[0])),
        _ => None,
    }
}

/// Whether these limits keep a core dump from being made: the kernel makes none of a byte, not even for a pipe handler (core(5)).
fn no_core(rlimits: List<'_, Rlimit>) -> u64 {
    const RLIMIT_CORE: u32 = 4;
    let prevented = rlimits.iter().any(|limit| limit.resource == RLIMIT_CORE && limit.hard == 1);
    if prevented { protection::NO_CORE } else { 0 }
}

// ---- the new process -----------------------------------------------------------------------------------------------

extern "C" fn become_command(order: &Order<'_>) -> ! {
    let mut program = Path::empty();
    let failure = match prepare(order, &mut program) {
        Ok(()) => Failure::at(stage::EXEC)(execute(order, &program)),
        Err(failure) => failure,
    };
    leave_word(order.slate, &failure, &program);
    sys::exit(127)
}

// Never inlined: its frame is large, and every page of a stack that is used costs a fault.
#[inline(never)]
fn leave_word(slate: &Slate<'_>, &Failure { stage, errno, detail }: &Failure, program: &Path) {
    let path = if matches!(stage, stage::SEARCH | stage::EXEC) { program.as_bytes() } else { b"" };
    let mut buffer = Buffer::<REPORT_MAX>::new();
    Report::Failed { stage, errno: errno.0, detail, path, head: b"" }.encode(&mut buffer);
    slate.write(buffer.bytes());
}

struct Failure {
    stage: u32,
    errno: Errno,
    detail: u32,
}

impl Failure {
    fn at(stage: u32) -> impl FnOnce(Errno) -> Failure {
        move |errno| Failure { stage, errno, detail: 0 }
    }
}

/// Everything before the program; where that is, goes to `program`.
fn prepare(order: &Order<'_>, program: &mut Path) -> core::result::Result<(), Failure> {
    if order.leash {
        sys::prctl(sys::process::SET_PDEATHSIG, sys::SIGKILL as usize).map_err(Failure::at(stage::SESSION))?;
    }
    for (number, &door) in order.doors.iter().enumerate() {
        sys::write_number(door, b"0").map_err(|errno| Failure { detail: number as u32, ..Failure::at(stage::CGROUP)(errno) })?;
    }
    let kept = place_descriptors(order).map_err(Failure::at(stage::DESCRIPTORS))?;
    sys::new_session().map_err(Failure::at(stage::SESSION))?;
    if let Some(terminal) = kept.terminal {
        sys::control_session(terminal).map_err(Failure::at(stage::TERMINAL))?;
    }
    for limit in order.rlimits.iter() {
        sys::set_limit(limit.resource, limit.soft, limit.hard)
            .map_err(|errno| Failure { detail: limit.resource, ..Failure::at(stage::RLIMIT)(errno) })?;
    }
    sys::umask(order.umask).map_err(Failure::at(stage::ATTRIBUTES))?;
    change_directory(order.directory).map_err(Failure::at(stage::DIRECTORY))?;
    search(order, program)?;
    sys::block_signals(0).map_err(Failure::at(stage::ATTRIBUTES))?;
    if let Some(ruleset) = kept.ruleset {
        sys::landlock_restrict(ruleset).map_err(Failure::at(stage::LANDLOCK))?;
    }
    load_filters(order, kept.listener)
}

/// The numbers under which what the new process still needs is reachable.
struct Kept {
    listener: Option<i32>,
    ruleset: Option<i32>,
    terminal: Option<i32>,
}

/// Puts each descriptor at its number. First all are copied above the highest target, so that none overwrites another.
fn place_descriptors(order: &Order<'_>) -> Result<Kept> {
    let above = order.targets.iter().max().unwrap_or(0).max(2) + 1;
    let keep = |fd: Option<&Fd>| fd.map(|fd| sys::duplicate_above(fd.number(), above)).transpose();
    let kept = Kept { listener: keep(order.listener)?, ruleset: keep(order.ruleset)?, terminal: keep(order.terminal)? };
    sys::close_all_on_exec();
    let mut copies = [0i32; crate::wire::message::DESCRIPTORS_MAX];
    for (copy, &descriptor) in copies.iter_mut().zip(order.descriptors) {
        *copy = sys::duplicate_above(descriptor, above)?;
    }
    for (target, copy) in order.targets.iter().zip(copies) {
        sys::duplicate_to(copy, target)?;
    }
    if let Some(terminal) = kept.terminal {
        for target in (0..3).filter(|stream| order.streams & 1 << stream != 0) {
            sys::duplicate_to(terminal, target)?;
        }
    }
    Ok(kept)
}

/// Never by a link of /proc's: that may lead to what the warden has open, which is closed only later.
fn change_directory(path: &CStr) -> Result<()> {
    if path == c"/" {
        return sys::change_directory(path);
    }
    let flags = sys::open::PATH | sys::open::DIRECTORY;
    sys::change_directory_to(&crate::walk::open_path(path, flags, crate::walk::Links::Follow)?)
}

/// Looks for the program as execvp(3) does: before there is a filter that may forbid to look. What was tried, goes to `program`.
fn search(order: &Order<'_>, program: &mut Path) -> core::result::Result<(), Failure> {
    const EXECUTE: u32 = 1;
    let name = order.program.to_bytes();
    if name.contains(&b'/') {
        program.set(name);
        return Ok(());
    }
    let mut denied = None;
    for directory in order.search.split(|&byte| byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        if program.set_joined(directory, name).is_err() {
            continue;
        }
        let found = sys::accessible_at(program.as_c_str(), EXECUTE).and_then(|()| sys::status(sys::CWD, program.as_c_str()));
        match found {
            Ok(status) if !status.is_directory() => return Ok(()),
            Ok(_) | Err(Errno::EACCES) => denied = denied.or(Some(directory)),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENODEV | Errno::ELOOP) => {}
            Err(errno) => return Err(Failure::at(stage::EXEC)(errno)),
        }
    }
    match denied {
        Some(directory) => {
            let _ = program.set_joined(directory, name);
            Err(Failure::at(stage::EXEC)(Errno::EACCES))
        }
        None => {
            program.set(name);
            Err(Failure::at(stage::SEARCH)(Errno::ENOENT))
        }
    }
}

/// Loads the filters; the first one's listener is sent to the warden at once.
fn load_filters(order: &Order<'_>, listener: Option<i32>) -> core::result::Result<(), Failure> {
    for (index, program) in order.filters.iter().enumerate() {
        let number = |errno| Failure { detail: index as u32, ..Failure::at(stage::FILTER)(errno) };
        match listener {
            Some(socket) if index == 0 => {
                let heard = sys::load_filter_with_listener(program, order.pass).map_err(number)?;
                sys::send(socket, b"L", &[&heard], order.pass).map_err(Failure::at(stage::LISTENER))?;
                // Closing it takes a call that the filter may forbid; the exec closes it.
                let _ = heard.into_number();
            }
            _ => sys::load_filter(program, order.pass).map_err(number)?,
        }
    }
    Ok(())
}

fn execute(order: &Order<'_>, program: &Path) -> Errno {
    sys::execute(program.as_c_str(), &order.arguments, &order.environment, order.pass)
}

// ---- what became of it, told by the warden

/// Tells the caller of a failure; of what could not be executed, with a look at it, so that the caller can say why.
fn examine(line: &Line, report: Report<'_>, directory: &CStr) -> Result<()> {
    let Report::Failed { stage: stage::EXEC, errno, path, .. } = report else { return line.report(&report, &[]) };
    let mut head = [0; HEAD_MAX];
    let (mode, length) = look_at(path, directory, &mut head).unwrap_or((0, 0));
    line.report(&Report::Failed { stage: stage::EXEC, errno, detail: mode, path, head: &head[..length] }, &[])
}

/// The mode of the file at `path`, and how many bytes there are of its head.
fn look_at(path: &[u8], directory: &CStr, head: &mut [u8]) -> Result<(u32, usize)> {
    let path = if path.starts_with(b"/") {
        Path::join(b"", path.get(1..).unwrap_or_default())
    } else {
        Path::join(directory.to_bytes(), path)
    }?;
    let file = sys::open(sys::CWD, path.as_c_str(), sys::open::PATH, 0)?;
    let status = sys::status(file.number(), c"")?;
    let read = |head: &mut [u8]| sys::read(&sys::open(sys::CWD, path.as_c_str(), sys::open::READ, 0)?, head);
    let length = if status.is_file() { read(head).unwrap_or(0) } else { 0 };
    Ok((status.mode, length))
}
