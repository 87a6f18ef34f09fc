//! Starting a command.
//!
//! The new process borrows the warden's memory until it executes the program (vfork), so it does nothing but make
//! system calls. It has every restriction already, from the warden; what is its own to do is in `become_command`.

use crate::control::{Control, Mail, send_report};
use crate::sys::{self, Errno, Pages, Pointers, Result};
use crate::text::Path;
use crate::wire::codec::List;
use crate::wire::message::{HEAD_MAX, Report, Request, Rlimit, meter, stage};
use crate::wire::plan::{namespace, protection};
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};

/// What the new process needs to know.
struct Order<'a> {
    id: u32,
    control: i32,
    program: &'a CStr,
    search: &'a [u8],
    arguments: Pointers<'a>,
    environment: Pointers<'a>,
    directory: &'a CStr,
    targets: List<'a, i32>,
    descriptors: &'a [i32],
    rlimits: List<'a, Rlimit>,
    umask: u32,
    failed: &'a AtomicBool,
    leash: bool,
}

/// A command that has begun.
pub struct Started {
    pub pid: i32,
    pub at: u64,
}

/// Starts the command of a Run request; `None`, told to the caller, if it could not be.
pub fn start(control: &Control, mail: &Mail, protections: u64, namespaces: u64) -> Result<Option<Started>> {
    const STACK: usize = 64 * 1024;
    let Request::Run { id, program, search, arguments, environment, directory, targets, rlimits, umask, relays, meter, .. } =
        mail.request()?
    else {
        return Err(Errno::EPROTO);
    };
    let refused = |stage: u32, errno: Errno| {
        control.report(&Report::Failed { id, stage, errno: errno.0, detail: 0, path: b"", head: b"" }, None)?;
        Ok(None)
    };
    let beside = targets.len() + 2 * relays.len() + usize::from(meter != meter::NONE);
    if beside != mail.descriptors().len() {
        return refused(stage::REQUEST, Errno::EPROTO);
    }
    let (mut argument_space, mut environment_space) = match (room_for(arguments.len()), room_for(environment.len())) {
        (Ok(arguments), Ok(environment)) => (arguments, environment),
        (Err(errno), _) | (_, Err(errno)) => return refused(stage::REQUEST, errno),
    };
    let mut flag = Pages::new(1, true)?;
    let failed = flag.atomic();
    let order = Order {
        id,
        control: control.socket(),
        program,
        search,
        arguments: Pointers::new(&mut argument_space.words()[..=arguments.len()], arguments.iter())?,
        environment: Pointers::new(&mut environment_space.words()[..=environment.len()], environment.iter())?,
        directory,
        targets,
        descriptors: &mail.descriptors()[..targets.len()],
        rlimits,
        umask,
        failed,
        leash: namespaces & namespace::PID == 0,
    };
    let mut stack = Pages::new(STACK, false)?;
    let started = sys::now();
    let result = match sys::start(stack.bytes(), true, become_command, &order) {
        // Before Linux 6.2, who shares memory cannot enter the time namespace set for its children: a copy then.
        Err(Errno::EINVAL) => sys::start(stack.bytes(), false, become_command, &order),
        result => result,
    };
    let (pid, pidfd) = match result {
        Ok(started) => started,
        Err(errno) => return refused(stage::CLONE, errno),
    };
    if failed.load(Ordering::Acquire) {
        while !matches!(sys::reap(true), Ok(Some((ended, _))) if ended == pid) {}
        return Ok(None);
    }
    let protections = protections | protection::SESSION | no_core(rlimits);
    control.report(&Report::Started { id, pid, protections }, Some(&pidfd))?;
    Ok(Some(Started { pid, at: started }))
}

/// Whether these limits keep a core dump from being made: the kernel makes none of a byte, not even for a pipe handler (core(5)).
fn no_core(rlimits: List<'_, Rlimit>) -> u64 {
    const RLIMIT_CORE: u32 = 4;
    let prevented = rlimits.iter().any(|limit| limit.resource == RLIMIT_CORE && limit.hard == 1);
    if prevented { protection::NO_CORE } else { 0 }
}

fn room_for(strings: usize) -> Result<Pages> {
    Pages::new((strings + 1) * size_of::<usize>(), false)
}

// ---- the new process -----------------------------------------------------------------------------------------------

extern "C" fn become_command(order: &Order<'_>) -> ! {
    let failure = match prepare(order) {
        Ok(reports) => execute(order, reports),
        Err(failure) => failure,
    };
    order.failed.store(true, Ordering::Release);
    let report = Report::Failed {
        id: order.id,
        stage: failure.stage,
        errno: failure.errno.0,
        detail: failure.detail,
        path: failure.path.as_bytes(),
        head: &failure.head[..failure.head_length],
    };
    let _ = send_report(failure.socket, &report, None);
    sys::exit(127)
}

struct Failure {
    socket: i32,
    stage: u32,
    errno: Errno,
    detail: u32,
    path: Path,
    head: [u8; HEAD_MAX],
    head_length: usize,
}

impl Failure {
    fn at(socket: i32, stage: u32, errno: Errno) -> Failure {
        Failure { socket, stage, errno, detail: 0, path: Path::empty(), head: [0; HEAD_MAX], head_length: 0 }
    }
}

/// Everything before the program; the number under which the control socket is still reachable.
fn prepare(order: &Order<'_>) -> core::result::Result<i32, Failure> {
    if order.leash {
        sys::prctl(sys::process::SET_PDEATHSIG, sys::SIGKILL as usize)
            .map_err(|errno| Failure::at(order.control, stage::SESSION, errno))?;
    }
    let socket = place_descriptors(order).map_err(|errno| Failure::at(order.control, stage::DESCRIPTORS, errno))?;
    sys::new_session().map_err(|errno| Failure::at(socket, stage::SESSION, errno))?;
    for limit in order.rlimits.iter() {
        sys::set_limit(limit.resource, limit.soft, limit.hard)
            .map_err(|errno| Failure { detail: limit.resource, ..Failure::at(socket, stage::RLIMIT, errno) })?;
    }
    sys::umask(order.umask);
    sys::change_directory(order.directory).map_err(|errno| Failure::at(socket, stage::DIRECTORY, errno))?;
    sys::block_signals(0);
    Ok(socket)
}

/// Puts each descriptor at its number. First all are copied above the highest target, so that none overwrites another.
fn place_descriptors(order: &Order<'_>) -> Result<i32> {
    let above = order.targets.iter().max().unwrap_or(0).max(2) + 1;
    let socket = sys::duplicate_above(order.control, above)?;
    sys::close_all_on_exec();
    let mut copies = [0i32; crate::wire::message::DESCRIPTORS_MAX];
    for (copy, &descriptor) in copies.iter_mut().zip(order.descriptors) {
        *copy = sys::duplicate_above(descriptor, above)?;
    }
    for (target, copy) in order.targets.iter().zip(copies) {
        sys::duplicate_to(copy, target)?;
    }
    Ok(socket)
}

/// Executes the program, looked for as execvp(3) does; what came in the way, if it returns.
fn execute(order: &Order<'_>, socket: i32) -> Failure {
    let name = order.program.to_bytes();
    if name.contains(&b'/') {
        let errno = sys::execute(order.program, &order.arguments, &order.environment);
        return examine(socket, Path::of(order.program), errno);
    }
    let mut denied = None;
    for directory in order.search.split(|&byte| byte == b':') {
        let directory = if directory.is_empty() { b"." } else { directory };
        let Ok(candidate) = Path::join(directory, name) else { continue };
        match sys::execute(candidate.as_c_str(), &order.arguments, &order.environment) {
            Errno::ENOENT if sys::status(sys::CWD, candidate.as_c_str()).is_err() => {}
            Errno::ENOTDIR | Errno::ENODEV | Errno::ELOOP => {}
            Errno::EACCES => denied = denied.or(Some(candidate)),
            errno => return examine(socket, candidate, errno),
        }
    }
    match denied {
        Some(candidate) => examine(socket, candidate, Errno::EACCES),
        None => Failure { path: Path::of(order.program), ..Failure::at(socket, stage::SEARCH, Errno::ENOENT) },
    }
}

/// Looks at what could not be executed, so that the caller can say why.
fn examine(socket: i32, path: Path, errno: Errno) -> Failure {
    let mut failure = Failure { path, ..Failure::at(socket, stage::EXEC, errno) };
    let Ok(file) = sys::open(sys::CWD, failure.path.as_c_str(), sys::open::PATH, 0) else { return failure };
    let Ok(status) = sys::status(file.number(), c"") else { return failure };
    failure.detail = status.mode;
    if status.is_file()
        && let Ok(file) = sys::open(sys::CWD, failure.path.as_c_str(), sys::open::READ, 0)
    {
        failure.head_length = sys::read(&file, &mut failure.head).unwrap_or(0);
    }
    failure
}
