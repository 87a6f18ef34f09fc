//! Runs the starter once under a tracer that makes a call fail.

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use seclude_tests::caller::program;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The roles of the processes and threads under trace. A `thread` belongs to a pool in the caller.
pub const ROLES: [&str; 6] = ["caller", "thread", "warden", "template", "copy", "command"];
pub const CALLER: usize = 0;
pub const THREAD: usize = 1;
pub const WARDEN: usize = 2;
pub const TEMPLATE: usize = 3;
const COPY: usize = 4;
const COMMAND: usize = 5;

/// A set-up that takes longer counts as hung.
const PATIENCE: Duration = Duration::from_secs(20);
const BEGIN: u64 = 0x5ec_1de1;
const END: u64 = 0x5ec_1de2;

/// A call: the role, the number of the process or thread within that role, and the number of its
/// call.
pub type Place = (usize, usize, usize);

/// A fault to inject.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The call to fail, or the next call of the same number after this place. The order in which
    /// a process is notified of several events is random.
    pub place: Place,
    pub number: i64,
    /// The error that the call returns.
    pub errno: Errno,
    pub extent: Extent,
}

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// This call.
    Once,
    /// Also all later calls of this number by any process of this role, as when a resource is
    /// missing for a while.
    Always,
    /// Also all later calls of this number and role that name the same file.
    SameFile,
}

impl Extent {
    pub fn name(self) -> &'static str {
        match self {
            Extent::Once => "once",
            Extent::Always => "always",
            Extent::SameFile => "same file",
        }
    }

    /// Whether an error can last. A caller repeats a call after EINTR or EAGAIN, which therefore
    /// cannot last for ever.
    pub fn can_be(self, errno: Errno) -> bool {
        self == Extent::Once || !matches!(errno, Errno::EINTR | Errno::EAGAIN)
    }
}

/// A fault that is in effect.
struct Lasting {
    fault: Fault,
    file: Option<Vec<u8>>,
}

impl Lasting {
    fn holds(&self, role: usize, number: i64, file: Option<&[u8]>) -> bool {
        let same = self.fault.place.0 == role && self.fault.number == number;
        match self.fault.extent {
            Extent::Once => false,
            Extent::Always => same,
            Extent::SameFile => same && self.file.as_deref() == file,
        }
    }
}

/// The result of one run.
#[derive(Debug)]
pub struct Run {
    pub said: String,
    /// Every call in order, and the file that it names.
    pub calls: Vec<(Place, i64, Option<Vec<u8>>)>,
    pub hung: bool,
}

struct Tracee {
    role: usize,
    /// The number of earlier processes in this role.
    which: usize,
    calls: usize,
    /// The error that the current call is to return.
    spoiled: Option<Errno>,
    /// Whether it has started its program. The calls of the program do not count.
    free: bool,
}

/// All traced processes and threads, and how many of each role there have been.
#[derive(Default)]
struct Tracees {
    present: BTreeMap<Pid, Tracee>,
    seen: [usize; ROLES.len()],
}

impl Tracees {
    fn add(&mut self, pid: Pid, role: usize) {
        self.present.insert(
            pid,
            Tracee { role, which: self.seen[role], calls: 0, spoiled: None, free: false },
        );
        self.seen[role] += 1;
    }

    /// The tracee `pid`. The role of a new one follows from its parent.
    fn get(&mut self, pid: Pid, manner: &str) -> Option<&mut Tracee> {
        if !self.present.contains_key(&pid) {
            let parent = self
                .present
                .get(&Pid::from_raw(field(pid, "PPid:")?))
                .map_or(CALLER, |parent| parent.role);
            let role = match parent {
                _ if field(pid, "Tgid:")? != pid.as_raw() => THREAD,
                CALLER | THREAD if matches!(manner, "own" | "limited") => WARDEN,
                CALLER | THREAD => TEMPLATE,
                TEMPLATE => COPY,
                _ => COMMAND,
            };
            self.add(pid, role);
        }
        self.present.get_mut(&pid)
    }

    /// Marks a command as started. Its calls no longer count, and its warden has finished the
    /// start.
    fn release(&mut self, command: Pid) {
        let warden = field(command, "PPid:").map(Pid::from_raw);
        for pid in warden.iter().chain([&command]) {
            self.present.entry(*pid).and_modify(|tracee| tracee.free = true);
        }
    }
}

/// A number from the status of a process.
fn field(pid: Pid, name: &str) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

/// Runs the starter once, with a fault if one is given.
pub fn run(manner: &str, fault: Option<Fault>) -> Run {
    let mut starter = Command::new(program("starter"))
        .arg(manner)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .expect("it is built");
    let caller = Pid::from_raw(starter.id().cast_signed());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(caller, options).expect("it is our child");
    ptrace::interrupt(caller).expect("it is our child");
    starter.stdin.take().expect("it is piped").write_all(b"go\n").expect("it reads");
    let run = watch(caller, manner, fault);
    let mut said = String::new();
    let _ = starter.stdout.take().expect("it is piped").read_to_string(&mut said);
    let _ = starter.wait();
    Run { said, ..run }
}

fn watch(caller: Pid, manner: &str, mut fault: Option<Fault>) -> Run {
    let mut tracees = Tracees::default();
    tracees.add(caller, CALLER);
    let mut run = Run { said: String::new(), calls: Vec::new(), hung: false };
    let mut lasting: Option<Lasting> = None;
    let started = Instant::now();
    // Calls count between the marks and until the command's program runs. A pool makes another
    // sandbox then, so for a pool they count until the end.
    let mut counting = false;
    let mut over = false;
    // Once a pool's first command runs, the caller's calls for it are not part of the set-up of the
    // next.
    let mut begun = false;
    while !tracees.present.is_empty() {
        let status = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => {
                if started.elapsed() > PATIENCE && !run.hung {
                    run.hung = true;
                    for pid in tracees.present.keys() {
                        let _ = kill(*pid, Signal::SIGKILL);
                    }
                }
                std::thread::sleep(Duration::from_micros(20));
                continue;
            }
            Ok(status) => status,
            Err(Errno::EINTR) => continue,
            Err(_) => break,
        };
        let Some(pid) = status.pid() else { continue };
        let mut deliver = None;
        match status {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {
                tracees.present.remove(&pid);
                continue;
            }
            WaitStatus::PtraceSyscall(_) => {
                let Some(tracee) = tracees.get(pid, manner) else { continue };
                let Ok(info) = ptrace::syscall_info(pid) else { continue };
                if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
                    let Ok(mut registers) = ptrace::getregs(pid) else { continue };
                    let number = registers.orig_rax.cast_signed();
                    if number == libc::SYS_getsid {
                        counting |= registers.rdi == BEGIN;
                        over |= registers.rdi == END;
                    } else if counting
                        && !(over || tracee.free || begun && tracee.role == CALLER)
                        && (tracee.role > THREAD || !is_of_a_thread(number))
                    {
                        let place = (tracee.role, tracee.which, tracee.calls);
                        tracee.calls += 1;
                        let role = tracee.role;
                        let file = named_file(pid, number, [registers.rdi, registers.rsi]);
                        run.calls.push((place, number, file.clone()));
                        let is_it = |Fault { place: at, number: call, .. }: &Fault| {
                            (at.0, at.1, *call) == (place.0, place.1, number) && at.2 <= place.2
                        };
                        if let Some(fault) = fault.take_if(|fault| is_it(fault)) {
                            let errno = fault.errno;
                            registers.orig_rax = u64::MAX;
                            tracee.spoiled =
                                ptrace::setregs(pid, registers).is_ok().then_some(errno);
                            lasting = Some(Lasting { fault, file });
                        } else if let Some(lasting) = &lasting
                            && lasting.holds(role, number, file.as_deref())
                        {
                            registers.orig_rax = u64::MAX;
                            tracee.spoiled = ptrace::setregs(pid, registers)
                                .is_ok()
                                .then_some(lasting.fault.errno);
                        }
                    }
                } else if let Some(errno) = tracee.spoiled.take()
                    && let Ok(mut registers) = ptrace::getregs(pid)
                {
                    registers.rax = i64::from(-(errno as i32)).cast_unsigned();
                    let _ = ptrace::setregs(pid, registers);
                }
            }
            // The warden's exec is part of the set-up. The command's exec ends it.
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC)
                if tracees.get(pid, manner).is_some_and(|tracee| tracee.role == COMMAND) =>
            {
                tracees.release(pid);
                begun |= counting;
                over |= counting && manner != "pool";
            }
            WaitStatus::PtraceEvent(..) => drop(tracees.get(pid, manner)),
            WaitStatus::Stopped(_, signal) => deliver = Some(signal),
            _ => {}
        }
        let free = over || tracees.present.get(&pid).is_some_and(|tracee| tracee.free);
        let _ = if free { ptrace::cont(pid, deliver) } else { ptrace::syscall(pid, deliver) };
    }
    run
}

/// The path that a call names, if it names one.
fn named_file(pid: Pid, number: i64, [first, second]: [u64; 2]) -> Option<Vec<u8>> {
    const FIRST: [i64; 8] = [
        libc::SYS_open,
        libc::SYS_stat,
        libc::SYS_lstat,
        libc::SYS_access,
        libc::SYS_readlink,
        libc::SYS_mkdir,
        libc::SYS_statfs,
        libc::SYS_execve,
    ];
    const SECOND: [i64; 9] = [
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_newfstatat,
        libc::SYS_statx,
        libc::SYS_faccessat,
        libc::SYS_faccessat2,
        libc::SYS_readlinkat,
        libc::SYS_mkdirat,
        libc::SYS_open_tree,
    ];
    /// Longer paths are distinguished by their beginnings only.
    const LONGEST: usize = 256;
    let start = match number {
        number if FIRST.contains(&number) => first,
        number if SECOND.contains(&number) => second,
        _ => return None,
    };
    let mut path = Vec::new();
    while path.len() < LONGEST {
        let word = ptrace::read(pid, (start + path.len() as u64) as ptrace::AddressType).ok()?;
        let bytes = word.to_ne_bytes();
        let length = bytes.iter().position(|byte| *byte == 0);
        path.extend(&bytes[..length.unwrap_or(bytes.len())]);
        if length.is_some() {
            break;
        }
    }
    Some(path)
}

/// Calls with which the standard library creates threads, allocates memory for them, and waits. The
/// library does not make them itself, cannot work without some of them, and the number of some
/// varies.
fn is_of_a_thread(number: i64) -> bool {
    const MEMORY: [i64; 5] =
        [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_brk, libc::SYS_madvise];
    const THREADS: [i64; 5] = [
        libc::SYS_futex,
        libc::SYS_clone3,
        libc::SYS_rseq,
        libc::SYS_set_robust_list,
        libc::SYS_sigaltstack,
    ];
    MEMORY.contains(&number) || THREADS.contains(&number) || number == libc::SYS_sched_yield
}
