//! Starts a command.
//!
//! The new process shares the warden's memory until it executes the program, so it makes system
//! calls and does nothing else. It inherits most restrictions from the warden. The others are in
//! `new_process`, with the seccomp filters last. After the first filter, it only makes calls
//! that carry the filter bypass token. If a step fails, it writes the reason to the error page, and
//! the warden reports it.
//!
//! The warden does not wait for the new process. A hostile neighbour may keep an `execve(2)`
//! waiting, by a lease on the file or with a file system that does not answer. The new process
//! holds the end of a pipe open until it executes the program, so the warden sees the hang-up of
//! the pipe.

mod new_process;

use crate::control::{CommandSocket, LentRequest, RequestBuffer};
use crate::examine::examine;
use crate::setup::FinishedSetup;
use crate::sys::{self, Departed, Errno, ErrorPage, Fd, Lent, Pages, Pointers, Polled, Result};
use crate::wire::codec::{List, Reader};
use crate::wire::message::{
    BypassToken, REPORT_MAX, Report, Request, Rlimit, gauge, listener, meter, stage,
};
use crate::wire::plan::protection;
use core::ffi::CStr;
pub use new_process::{KeptDescriptors, become_command, give_up};

/// What the new process needs to know. This struct and everything that it refers to are in memory
/// that is lent to the process.
pub struct Order {
    program: &'static CStr,
    search: &'static [u8],
    arguments: Pointers,
    environment: Pointers,
    directory: &'static CStr,
    targets: List<'static, i32>,
    descriptors: &'static [i32],
    rlimits: List<'static, Rlimit>,
    umask: u32,
    ignored: u64,
    filters: List<'static, &'static [u8]>,
    /// The first of the filters is a gate.
    has_gate: bool,
    bypass: BypassToken,
    kept: KeptDescriptors,
    /// The standard streams that are its terminal, one bit each.
    streams: u32,
    error_page: ErrorPage,
    /// The cgroup entry descriptors. Writing `0` to each enters the cgroups that are the command's
    /// alone.
    cgroup_entries: &'static [i32],
    /// The process asks for a SIGKILL at the end of the warden. Without a pid namespace, the
    /// kernel does not kill it otherwise.
    dies_with_warden: bool,
}

/// A new process that has not executed its program yet.
pub struct Starting {
    pub pid: i32,
    /// When it was made, on the monotonic clock in nanoseconds.
    pub at: u64,
    pidfd: Fd,
    /// The warden's end of the pipe that the process holds open until then.
    pipe: Fd,
    /// The socket over which it sends the listener of its filter, if there is to be one.
    socket: Option<Fd>,
    error_page: ErrorPage,
    /// The memory of the process, and the error page if that is memory of its own.
    memory: [Option<Lent>; 2],
    request: LentRequest,
    terminal: Option<Fd>,
}

/// What has become of a new process.
pub enum Begun {
    /// It runs its program. With its pidfd, and with the listener if the warden handles the
    /// notifications: about calls that the filter forbids, or those of a gate.
    Running { process: Fd, listener: Option<Fd>, gate: Option<Fd> },
    /// It could not execute the program, and the caller has the report.
    Failed,
    /// It runs its program, but the report to the caller failed.
    Unreported(Errno),
}

/// Why no process was made: the stage and the errno.
pub struct Refused(u32, Errno);

impl Refused {
    pub fn because(stage: u32) -> impl FnOnce(Errno) -> Refused {
        move |errno| Refused(stage, errno)
    }

    pub fn report(&self, caller: &CommandSocket) -> Result<()> {
        caller.report(
            &Report::Failed { stage: self.0, errno: self.1.0, detail: 0, path: b"", head: b"" },
            &[],
        )
    }
}

/// Makes the process of a Run request. Closes the command's descriptors that lie beside the
/// request: from now on only the new process has them.
// Not inlined: its large frame would become part of the frame of the loop.
#[inline(never)]
pub fn start(
    caller: &CommandSocket,
    incoming: &mut RequestBuffer,
    setup: &FinishedSetup,
    dies_with_warden: bool,
) -> core::result::Result<Starting, Refused> {
    let refused = Refused::because;
    let Ok(Request::Run {
        targets, relays, meter, gauge, cgroup_entries, terminal, listener, ..
    }) = incoming.request()
    else {
        return Err(Refused(stage::REQUEST, Errno::EPROTO));
    };
    let (given, cgroup_entries, listens) =
        (targets.len(), cgroup_entries as usize, listener != listener::NOBODY);
    let before = given
        + 2 * relays.len()
        + usize::from(meter != meter::NONE)
        + usize::from(gauge != gauge::NONE);
    if before + cgroup_entries + usize::from(caller.is_own()) != incoming.descriptors().len() {
        return Err(Refused(stage::REQUEST, Errno::EPROTO));
    }
    if let Some(ruleset) = &setup.ruleset
        && let Some(errno) =
            incoming.descriptors()[..given].iter().find_map(|fd| ruleset.allow_given(*fd).err())
    {
        return Err(Refused(stage::LANDLOCK, errno));
    }
    let terminals = if terminal.streams == 0 {
        None
    } else {
        let narrow = |number: u32| number.min(u16::MAX.into()) as u16;
        let terminals =
            setup.terminals.as_ref().ok_or(Errno::ENODEV).map_err(refused(stage::TERMINAL))?;
        Some(
            sys::open_terminal(terminals, narrow(terminal.rows), narrow(terminal.columns))
                .map_err(refused(stage::TERMINAL))?,
        )
    };
    let streams = terminal.streams;
    // A socket is made only where the filter has a listener: the command can see the number of
    // sockets in its network namespace.
    let (pipe, their_pipe) = sys::pipe().map_err(refused(stage::DESCRIPTORS))?;
    let sockets =
        if listens { Some(sys::socket_pair().map_err(refused(stage::DESCRIPTORS))?) } else { None };
    let request = incoming.lend().map_err(refused(stage::REQUEST))?;
    let numbers = [
        &incoming.descriptors()[..given],
        &incoming.descriptors()[before..before + cgroup_entries],
    ];
    let kept = KeptDescriptors {
        pipe: their_pipe.number(),
        socket: sockets.as_ref().map(|(_, theirs)| theirs.number()),
        ruleset: setup.ruleset.as_ref().map(|ruleset| ruleset.fd.number()),
        terminal: terminals.as_ref().map(|(_, theirs)| theirs.number()),
    };
    let made = match &setup.first {
        Some(first) => first.become_command(&request, numbers, &kept, streams),
        None => make_alike(&request, numbers, &kept, (streams, dies_with_warden)),
    };
    let Made { pid, pidfd, at, error_page, memory } = match made {
        Ok(made) => made,
        Err(refused) => {
            request.take_back(&Departed::never_made());
            return Err(refused);
        }
    };
    // The new process has its own copies now. The warden closes its copies at once: it is not the
    // last to close them then, and a lingering socket cannot make it wait.
    incoming.clear();
    let terminal = terminals.map(|(ours, _)| ours);
    Ok(Starting {
        pid,
        at,
        pidfd,
        pipe,
        socket: sockets.map(|(ours, _)| ours),
        error_page,
        memory,
        request,
        terminal,
    })
}

/// A new process and the memory that it uses.
pub struct Made {
    pub pid: i32,
    pub pidfd: Fd,
    pub at: u64,
    pub error_page: ErrorPage,
    pub memory: [Option<Lent>; 2],
}

/// Makes a process with this memory, or with a copy of it.
fn make_alike(
    request: &LentRequest,
    numbers: [&[i32]; 2],
    kept: &KeptDescriptors,
    how: (u32, bool),
) -> core::result::Result<Made, Refused> {
    // The out-of-memory killer also kills every process that shares memory with its victim. So a
    // process in a cgroup of its own has a copy of the memory instead.
    let share = numbers[1].is_empty();
    match make(request, numbers, kept, how, share) {
        // Before Linux 6.2, a process that shares memory cannot enter the time namespace that is
        // set for its children.
        Err(Refused(stage::CLONE, Errno::EINVAL)) if share => {
            make(request, numbers, kept, how, false)
        }
        made => made,
    }
}

/// Words for an error page.
const ERROR_PAGE: usize = REPORT_MAX / size_of::<usize>() + 2;

/// An error page that a process with a copy of the memory sees, too.
pub fn shared_error_page() -> Result<(Lent, ErrorPage)> {
    let (page, words) = Pages::new(ERROR_PAGE * size_of::<usize>(), true)?.lend_words();
    Ok((page, ErrorPage::on(words)))
}

/// Lays out the memory of the process and makes it. `numbers` are the descriptors of the command
/// and its cgroup entry descriptors.
fn make(
    request: &LentRequest,
    numbers: [&[i32]; 2],
    kept: &KeptDescriptors,
    (streams, dies_with_warden): (u32, bool),
    share: bool,
) -> core::result::Result<Made, Refused> {
    let refused = || Refused::because(stage::REQUEST);
    // A process with a copy of the memory needs an error page that both sides see.
    let shared = if share { None } else { Some(shared_error_page().map_err(refused())?) };
    let (page, error_page) = shared.map_or((None, None), |(page, on)| (Some(page), Some(on)));
    let LaidOut { memory, stack, order } = request
        .request()
        .and_then(|request| {
            lay_out(&request, numbers, kept, (streams, dies_with_warden), error_page)
        })
        .map_err(refused())?;
    let (at, error_page) = (sys::now(), order.error_page);
    let memory = [Some(memory), page];
    match sys::start(stack, share, become_command, order) {
        Ok((pid, pidfd)) => Ok(Made { pid, pidfd, at, error_page, memory }),
        Err(errno) => {
            give_back(memory, &Departed::never_made());
            Err(Refused(stage::CLONE, errno))
        }
    }
}

/// An order in memory of its own, and the stack of the process that carries it out.
pub struct LaidOut {
    memory: Lent,
    stack: &'static mut [usize],
    pub order: &'static Order,
}

/// Lays out what a new process needs to know. `numbers` are the descriptors of the command and its
/// cgroup entry descriptors. Without an error page, the memory has one.
pub fn lay_out(
    request: &Request<'static>,
    [given, cgroup_entries]: [&[i32]; 2],
    kept: &KeptDescriptors,
    (streams, dies_with_warden): (u32, bool),
    error_page: Option<ErrorPage>,
) -> Result<LaidOut> {
    /// Words for the stack of the new process.
    const STACK: usize = 8 * 1024;
    let Request::Run {
        program,
        search,
        arguments,
        environment,
        directory,
        targets,
        rlimits,
        umask,
        ignored,
        filters,
        listener,
        bypass,
        ..
    } = *request
    else {
        return Err(Errno::EPROTO);
    };
    let number_words =
        ((given.len() + cgroup_entries.len()) * size_of::<i32>()).div_ceil(size_of::<usize>());
    let order_words = size_of::<Order>().div_ceil(size_of::<usize>());
    let (argument_words, environment_words) = (arguments.len() + 1, environment.len() + 1);
    let total =
        STACK + argument_words + environment_words + number_words + order_words + ERROR_PAGE;
    let (memory, words) = Pages::new(total * size_of::<usize>(), false)?.lend_words();
    let (stack, rest) = words.split_at_mut(STACK);
    let (argument_space, rest) = rest.split_at_mut(argument_words);
    let (environment_space, rest) = rest.split_at_mut(environment_words);
    let (number_space, rest) = rest.split_at_mut(number_words);
    let (order_space, page_space) = rest.split_at_mut(order_words);
    let space = sys::as_numbers(number_space);
    space
        .iter_mut()
        .zip(given.iter().chain(cgroup_entries))
        .for_each(|(place, number)| *place = *number);
    let (descriptors, cgroup_entries) =
        space[..given.len() + cgroup_entries.len()].split_at(given.len());
    let order = Order {
        program,
        search,
        arguments: Pointers::new(argument_space, arguments.iter())?,
        environment: Pointers::new(environment_space, environment.iter())?,
        directory,
        targets,
        descriptors,
        rlimits,
        umask,
        ignored,
        filters,
        has_gate: listener == listener::GATE,
        bypass,
        kept: *kept,
        streams,
        error_page: error_page.unwrap_or_else(|| ErrorPage::on(page_space)),
        cgroup_entries,
        dies_with_warden,
    };
    let order = sys::place(order_space, order).ok_or(Errno::ENOMEM)?;
    Ok(LaidOut { memory, stack, order })
}

fn give_back(memory: [Option<Lent>; 2], departed: &Departed) {
    memory.into_iter().flatten().for_each(|memory| drop(memory.take_back(departed)));
}

impl Starting {
    /// Readable once the process has left the warden's memory.
    pub fn polled(&self) -> Polled {
        Polled::readable(self.pipe.number())
    }

    /// Whether the process has left the warden's memory: it runs its program, or it has ended.
    pub fn departed(&mut self) -> Option<Departed> {
        // The process never writes to the pipe: it is either empty (EAGAIN) or at its end.
        match sys::read(&self.pipe, &mut [0]) {
            Ok(_) => Some(Departed::by_hang_up()),
            Err(_) => None,
        }
    }

    /// The listener that the process has sent before it executed the program; `None` if it ended
    /// earlier.
    fn take_listener(&self) -> Option<Fd> {
        let mut descriptors = [-1; 253];
        match sys::receive(self.socket.as_ref()?.number(), &mut [0], &mut descriptors) {
            Ok((_, 1)) => Some(Fd::own(descriptors[0])),
            _ => None,
        }
    }

    /// Reports to the caller what has become of the process.
    pub fn report(
        self,
        departed: &Departed,
        caller: &CommandSocket,
        setup: &FinishedSetup,
    ) -> Result<Begun> {
        let Request::Run { directory, rlimits, filters, listener, .. } = self.request.request()?
        else {
            return Err(Errno::EPROTO);
        };
        let begun = if let Ok(report) = Reader::new(self.error_page.read()).only::<Report<'_>>() {
            examine(caller, report, directory)?;
            Begun::Failed
        } else {
            // A gate alone restricts no call.
            let gates = usize::from(listener == listener::GATE);
            let filtered = if filters.len() > gates { protection::FILTERED } else { 0 };
            // Its id in its own pid namespace, which may be another one than the warden's.
            let pid = if self.error_page.pid() > 0 { self.error_page.pid() } else { self.pid };
            let received = self.take_listener();
            let gated = listener == listener::GATE && received.is_some();
            let protections = setup.protections
                | protection::SESSION
                | no_core(rlimits)
                | filtered
                | if gated { protection::KILL_BY_GROUP } else { 0 };
            let report = Report::Started { pid, protections, landlock: setup.landlock };
            let (callers, wardens, gate) = match listener {
                listener::CALLER => (received, None, None),
                listener::GATE => (None, None, received),
                _ => (None, received, None),
            };
            let sent = match (&self.terminal, &callers) {
                (Some(terminal), Some(listener)) => {
                    caller.report(&report, &[&self.pidfd, terminal, listener])
                }
                (Some(further), None) | (None, Some(further)) => {
                    caller.report(&report, &[&self.pidfd, further])
                }
                (None, None) => caller.report(&report, &[&self.pidfd]),
            };
            match sent {
                Ok(()) => Begun::Running { process: self.pidfd, listener: wardens, gate },
                Err(errno) => Begun::Unreported(errno),
            }
        };
        self.request.take_back(departed);
        give_back(self.memory, departed);
        Ok(begun)
    }
}

/// Whether these limits prevent core dumps. With a limit of one byte the kernel makes none, not
/// even for a pipe handler (core(5)).
fn no_core(rlimits: List<'_, Rlimit>) -> u64 {
    const RLIMIT_CORE: u32 = 4;
    let prevented = rlimits.iter().any(|limit| limit.resource == RLIMIT_CORE && limit.hard == 1);
    if prevented { protection::NO_CORE } else { 0 }
}
