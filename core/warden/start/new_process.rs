//! The new process, from its start to `execve(2)`. It shares the warden's memory, so it makes
//! system calls and does nothing else.

use super::Order;
use crate::control::Buffer;
use crate::sys::{self, Errno, ErrorPage, Fd, Result};
use crate::text::Path;
use crate::wire::codec::Wire;
use crate::wire::message::{REPORT_MAX, Report, stage};
use core::ffi::CStr;

pub extern "C" fn become_command(order: &'static Order) -> ! {
    order.error_page.set_pid(sys::process_id());
    let mut program = Path::empty();
    let failure = match prepare(order, &mut program) {
        Ok(()) => ExecFailure::at(stage::EXEC)(execute(order, &program)),
        Err(failure) => failure,
    };
    write_failure(&order.error_page, &failure, &program);
    sys::exit(127)
}

/// Ends a process that cannot become the command.
pub fn give_up(error_page: &ErrorPage, stage: u32, errno: Errno) -> ! {
    write_failure(error_page, &ExecFailure::at(stage)(errno), &Path::empty());
    sys::exit(127)
}

// Not inlined: its frame is large, and each stack page in use costs a page fault.
#[inline(never)]
fn write_failure(
    error_page: &ErrorPage,
    &ExecFailure { stage, errno, detail }: &ExecFailure,
    program: &Path,
) {
    let path = if matches!(stage, stage::SEARCH | stage::EXEC) { program.as_bytes() } else { b"" };
    let mut buffer = Buffer::<REPORT_MAX>::new();
    Report::Failed { stage, errno: errno.0, detail, path, head: b"" }.encode(&mut buffer);
    error_page.write(buffer.bytes());
}

struct ExecFailure {
    stage: u32,
    errno: Errno,
    detail: u32,
}

impl ExecFailure {
    fn at(stage: u32) -> impl FnOnce(Errno) -> ExecFailure {
        move |errno| ExecFailure { stage, errno, detail: 0 }
    }
}

/// Does everything that comes before `execve(2)`. Puts the path of the program into `program`.
fn prepare(order: &Order, program: &mut Path) -> core::result::Result<(), ExecFailure> {
    if order.dies_with_warden {
        sys::prctl(sys::process::SET_PDEATHSIG, sys::SIGKILL as usize)
            .map_err(ExecFailure::at(stage::SESSION))?;
    }
    for (number, &entry) in order.cgroup_entries.iter().enumerate() {
        sys::write_number(entry, b"0").map_err(|errno| ExecFailure {
            detail: number as u32,
            ..ExecFailure::at(stage::CGROUP)(errno)
        })?;
    }
    let kept = place_descriptors(order).map_err(ExecFailure::at(stage::DESCRIPTORS))?;
    sys::new_session().map_err(ExecFailure::at(stage::SESSION))?;
    if let Some(terminal) = kept.terminal {
        sys::control_session(terminal).map_err(ExecFailure::at(stage::TERMINAL))?;
    }
    // Before the limits, which may leave no number for the listener.
    load_gate(order, kept.socket)?;
    for limit in order.rlimits.iter() {
        sys::set_limit(limit.resource, limit.soft, limit.hard).map_err(|errno| ExecFailure {
            detail: limit.resource,
            ..ExecFailure::at(stage::RLIMIT)(errno)
        })?;
    }
    sys::umask(order.umask).map_err(ExecFailure::at(stage::ATTRIBUTES))?;
    change_directory(order.directory).map_err(ExecFailure::at(stage::DIRECTORY))?;
    search(order, program)?;
    sys::ignore_signals(order.ignored).map_err(ExecFailure::at(stage::ATTRIBUTES))?;
    sys::block_signals(0).map_err(ExecFailure::at(stage::ATTRIBUTES))?;
    if let Some(ruleset) = kept.ruleset {
        sys::landlock_restrict(ruleset).map_err(ExecFailure::at(stage::LANDLOCK))?;
    }
    load_filters(order, kept.socket)
}

/// The numbers of the descriptors that the new process needs until it executes the program.
#[derive(Clone, Copy)]
pub struct KeptDescriptors {
    /// Open until the program is executed.
    pub pipe: i32,
    /// The socket to send the listener of the first filter over.
    pub socket: Option<i32>,
    /// The Landlock ruleset to apply.
    pub ruleset: Option<i32>,
    /// The command's side of its terminal.
    pub terminal: Option<i32>,
}

/// Puts each descriptor at its target number. First it copies all of them above the highest target,
/// so that none overwrites another.
fn place_descriptors(order: &Order) -> Result<KeptDescriptors> {
    let above = order.targets.iter().max().unwrap_or(0).max(2) + 1;
    let keep = |number: i32| sys::duplicate_above(number, above);
    let KeptDescriptors { pipe, socket, ruleset, terminal } = order.kept;
    let kept = KeptDescriptors {
        pipe: keep(pipe)?,
        socket: socket.map(keep).transpose()?,
        ruleset: ruleset.map(keep).transpose()?,
        terminal: terminal.map(keep).transpose()?,
    };
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

/// Changes the directory without following a magic link in `/proc`. Such a link may lead to what
/// the warden has open: its descriptors are closed only by the `execve(2)`.
fn change_directory(path: &CStr) -> Result<()> {
    if path == c"/" {
        return sys::change_directory(path);
    }
    let flags = sys::open::PATH | sys::open::DIRECTORY;
    sys::change_directory_to(&crate::walk::open_path(path, flags, crate::walk::Links::Follow)?)
}

/// Looks for the program as execvp(3) does. This comes before the filters, which may forbid it.
/// Puts the path that was tried last into `program`.
fn search(order: &Order, program: &mut Path) -> core::result::Result<(), ExecFailure> {
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
        let found = sys::accessible_at(program.as_c_str(), EXECUTE)
            .and_then(|()| sys::status(sys::CWD, program.as_c_str()));
        match found {
            Ok(status) if !status.is_directory() => return Ok(()),
            Ok(_) | Err(Errno::EACCES) => denied = denied.or(Some(directory)),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENODEV | Errno::ELOOP) => {}
            Err(errno) => return Err(ExecFailure::at(stage::EXEC)(errno)),
        }
    }
    match denied {
        Some(directory) => {
            let _ = program.set_joined(directory, name);
            Err(ExecFailure::at(stage::EXEC)(Errno::EACCES))
        }
        None => {
            program.set(name);
            Err(ExecFailure::at(stage::SEARCH)(Errno::ENOENT))
        }
    }
}

/// Loads the gate, if there is one, and sends its listener to the warden.
fn load_gate(order: &Order, socket: Option<i32>) -> core::result::Result<(), ExecFailure> {
    let (true, Some(gate), Some(socket)) = (order.has_gate, order.filters.iter().next(), socket)
    else {
        return Ok(());
    };
    match sys::load_filter_with_listener(gate, order.bypass) {
        Ok(listener) => send_listener(order, socket, listener),
        // The caller itself is behind a filter with a listener, and the kernel allows one. The
        // command then starts without a gate.
        Err(Errno::EBUSY) => Ok(()),
        Err(errno) => Err(ExecFailure::at(stage::FILTER)(errno)),
    }
}

/// Loads the filters but the gate. Sends the listener of the first one to the warden at once.
fn load_filters(order: &Order, socket: Option<i32>) -> core::result::Result<(), ExecFailure> {
    let gates = usize::from(order.has_gate);
    for (index, program) in order.filters.iter().enumerate().skip(gates) {
        let number =
            |errno| ExecFailure { detail: index as u32, ..ExecFailure::at(stage::FILTER)(errno) };
        match socket {
            Some(socket) if index == 0 => {
                let listener =
                    sys::load_filter_with_listener(program, order.bypass).map_err(number)?;
                send_listener(order, socket, listener)?;
            }
            _ => sys::load_filter(program, order.bypass).map_err(number)?,
        }
    }
    Ok(())
}

fn send_listener(
    order: &Order,
    socket: i32,
    listener: Fd,
) -> core::result::Result<(), ExecFailure> {
    sys::send(socket, b"L", &[&listener], order.bypass)
        .map_err(ExecFailure::at(stage::LISTENER))?;
    // close(2) may be forbidden by the filter. The `execve(2)` closes it.
    let _ = listener.into_number();
    Ok(())
}

fn execute(order: &Order, program: &Path) -> Errno {
    sys::execute(program.as_c_str(), &order.arguments, &order.environment, order.bypass)
}
