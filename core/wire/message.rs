//! Requests to the warden and its reports, one message each over a SEQPACKET socket.
//!
//! Descriptors travel beside a message (SCM_RIGHTS), in the order that the message's documentation
//! gives. A request larger than [`INLINE_MAX`] travels in a memfd: the message itself is then
//! [`Request::Attached`] and the memfd is the last descriptor.

use super::codec::{List, wire_data};
use super::plan::IdRange;
use super::usage::Usage;
use core::ffi::CStr;

/// The version of this protocol; both sides are built from one source, so a mismatch means a
/// foreign warden.
pub const VERSION: u32 = 1;
/// A request may have this many bytes in the message itself.
pub const INLINE_MAX: usize = 32 * 1024;
/// A report never has more bytes than this.
pub const REPORT_MAX: usize = 8 * 1024;
/// The kernel's limit on descriptors beside one message (SCM_MAX_FD).
pub const DESCRIPTORS_MAX: usize = 253;
/// What the kernel tells of a network namespace (proc_pid_net(5)): in these every packet, socket
/// and group is counted. The first four every kernel has.
pub const NETWORK_FILES: [&CStr; 11] = [
    c"/proc/self/net/dev",
    c"/proc/self/net/snmp",
    c"/proc/self/net/netstat",
    c"/proc/self/net/sockstat",
    c"/proc/self/net/sockstat6",
    c"/proc/self/net/snmp6",
    c"/proc/self/net/igmp",
    c"/proc/self/net/igmp6",
    c"/proc/self/net/mcfilter",
    c"/proc/self/net/mcfilter6",
    c"/proc/self/net/ip6_flowlabel",
];
/// How many bytes of a file that could not be executed are shown to the caller.
pub const HEAD_MAX: usize = 256;

wire_data! {
    /// One resource limit of a command: `setrlimit(2)`.
    struct Rlimit { resource: u32, soft: u64, hard: u64, }
}

wire_data! {
    /// What the warden itself holds a command to, or all that run in a cell together. 0: no limit.
    struct Limits {
        wall_ns: u64,
        /// Sent when the wall time is over, if it is not 0; what still runs `grace_ns` later is ended.
        grace_signal: i32,
        grace_ns: u64,
        /// Processor time of the whole tree: by the meter if there is one, else by looks at the processes.
        cpu_ns: u64,
        /// How many processors can be busy at once, in hundredths: the pace of looks at the processor time.
        pace: u32,
        /// Bytes of memory of all processes, by looks. With `processes` 0, nothing is looked at for it.
        memory: u64,
        /// Processes and threads, by looks. Where the kernel refuses more (RLIMIT_NPROC), there never are.
        processes: u64,
    }
}

wire_data! {
    /// A stream of the command's that passes through the warden: at most this many bytes of it.
    struct Relay { limit: u64, }
}

/// What measures the processor time of a cgroup, in [`Request::Run`] and [`Request::Limit`].
pub mod meter {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// `cpu.stat` of cgroup v2: a line `usage_usec N` comes first.
    pub const CPU_STAT: u32 = 1;
    /// `cpuacct.usage` of cgroup v1: nanoseconds.
    pub const CPUACCT: u32 = 2;
}

/// What tells the anonymous memory of a cgroup, in [`Request::Run`].
pub mod gauge {
    /// Nothing.
    pub const NONE: u32 = 0;
    /// `memory.stat` of cgroup v2.
    pub const V2: u32 = 1;
    /// `memory.stat` of cgroup v1.
    pub const V1: u32 = 2;
}

/// Who is told of the calls that a filter does not decide by itself, in [`Request::Run`].
pub mod listener {
    /// Nobody: there are none.
    pub const NOBODY: u32 = 0;
    /// The warden: each of them is the command's end.
    pub const WARDEN: u32 = 1;
    /// The caller, who gets the descriptor beside [`super::Report::Started`].
    pub const CALLER: u32 = 2;
}

/// Why a step was refused, where that is more than its error number says, in [`Report::Refused`].
pub mod reason {
    /// The error number is all there is.
    pub const ERRNO: u32 = 0;
    /// A filter around the caller refuses `call`, whatever it asks.
    pub const FILTER: u32 = 1;
    /// This kernel, or a filter around the caller, lacks `call`.
    pub const ABSENT: u32 = 2;
    /// The right to mount is there, but every mount is refused: by a Landlock domain or another
    /// security module.
    pub const NO_MOUNTS: u32 = 3;
    /// The source is an automount point, and what is mounted there does not reach the sandbox's
    /// mount namespace.
    pub const AUTOMOUNT: u32 = 4;
    /// What the policy puts at `/proc` leaves no proc to forbid nested user namespaces by.
    pub const NO_PROC: u32 = 5;
}

/// Flags of [`Request::Run`].
pub mod run {
    /// The warden ends, with everything inside, when this command ends.
    pub const LAST: u32 = 1 << 0;
    /// One command among others: it is spoken of over a socket of its own, the last descriptor
    /// beside the request, and what it leaves behind stays. Without this flag the control
    /// socket speaks of the one command that there is, and all ends with it.
    pub const IN_CELL: u32 = 1 << 1;
}

wire_data! {
    /// A pseudo-terminal for a command: for the `streams` among its standard ones, by their bits (1 << 0: the input), and of this size. No streams: none.
    struct Terminal { streams: u32, rows: u32, columns: u32, }
}

wire_data! {
    /// The arguments 4 and 5 of a call that a filter lets through.
    struct BypassToken { fourth: u64, fifth: u64, }
}

wire_data! {
    /// What the caller asks.
    enum Request<'a> {
        /// The body is in the memfd beside this message.
        1 Attached { length: u64, }
        /// First of all. Beside it: the caller's pidfd. `tell`: say so when it is done.
        2 Setup {
            version: u32,
            namespaces: u64,
            outside_uid: u32,
            outside_gid: u32,
            classic_mounts: bool,
            report_ready: bool,
            plan: List<'a, super::plan::Step<'a>>,
        }
        /// The caller has done its part: the id maps are written, the warden stands in its cgroups.
        3 Admitted {}
        /// Start a command. Beside it: one descriptor for each of `targets`, in that order; two for each of `relays`, where to read and where
        /// to write; one for the `meter` and one for the `gauge`, unless that is NONE; as many files as there are `doors`, for the command to write 0 to: the cgroups that are
        /// its alone; a socket, if it is one IN_CELL others.
        /// `search`: the directories in which a program without a slash is looked for. `filters`: seccomp programs, loaded in this order; the
        /// first gives the `listener`. `ignored`: signals that it ignores,
        /// bit n-1 for signal n. `pass`: what the last arguments of a call must be for these programs to let it through.
        4 Run {
            flags: u32,
            program: &'a CStr,
            search: &'a [u8],
            arguments: List<'a, &'a CStr>,
            environment: List<'a, &'a CStr>,
            directory: &'a CStr,
            targets: List<'a, i32>,
            rlimits: List<'a, Rlimit>,
            umask: u32,
            ignored: u64,
            limits: Limits,
            relays: List<'a, Relay>,
            meter: u32,
            gauge: u32,
            cgroup_entries: u32,
            filters: List<'a, &'a [u8]>,
            listener: u32,
            bypass: BypassToken,
            terminal: Terminal,
        }
        // Over a command's own socket these are about it, over the control socket about everything inside.
        /// Send a signal to the command's first process.
        5 Signal { signal: i32, }
        /// End it, and all that it started; `how` is what the end is called.
        6 Kill { how: u32, }
        /// From now on, these limits. Beside it: one for the `meter`, unless that is NONE. The first one counts on.
        7 Limit { limits: Limits, meter: u32, }
        /// Stop it by a signal, or let it go on.
        8 Stop { on: bool, }
        /// The caller has frozen everything inside by a cgroup whose frozen processes do not die (v1). Beside it: the file to thaw it by.
        9 Frozen {}
        /// To a template: make another warden, in new namespaces of these kinds, that goes on from here as one that has just been born; of network
        /// namespaces, in one that the template keeps and in which nobody is. Beside it: that one's control socket, and as many files as there
        /// are `doors`, for it to write 0 to: its cgroups. `maps`: it is given the ids `uids` and `gids`, each the same inside as here; else it maps its own by itself.
        10 Clone { namespaces: u64, maps: bool, uids: IdRange, gids: IdRange, cgroup_entries: u32, }
        /// First of all, to a warden that is executed outside the sandbox's namespaces: enter those of these kinds, one descriptor for each
        /// beside it, make others of the kinds `namespaces`, and go on as a new process in them.
        11 Join { joined: List<'a, u64>, namespaces: u64, }
        /// To a template: tell of the network namespaces that it keeps.
        12 Networks {}
    }
}

/// Where the start of a command failed, in [`Report::Failed`].
pub mod stage {
    /// The new process itself.
    pub const CLONE: u32 = 1;
    /// Placing its descriptors.
    pub const DESCRIPTORS: u32 = 2;
    /// `setsid(2)`.
    pub const SESSION: u32 = 3;
    /// `setrlimit(2)`; the detail is the resource.
    pub const RLIMIT: u32 = 4;
    /// `chdir(2)` to the working directory.
    pub const DIRECTORY: u32 = 5;
    /// No such program was found in the search path.
    pub const SEARCH: u32 = 6;
    /// `execve(2)`; `path` is what was tried, `head` its first bytes, the detail its mode, or 0 if
    /// there is no such file.
    pub const EXEC: u32 = 7;
    /// The request could not be read.
    pub const REQUEST: u32 = 8;
    /// `seccomp(2)`: loading a filter; the detail is which one.
    pub const FILTER: u32 = 9;
    /// Handing over the listener of a filter.
    pub const LISTENER: u32 = 10;
    /// `landlock_restrict_self(2)`, or a rule for one of its descriptors.
    pub const LANDLOCK: u32 = 11;
    /// `umask(2)`, `sigprocmask(2)`.
    pub const ATTRIBUTES: u32 = 12;
    /// A terminal of its own: making it, or having it control the session.
    pub const TERMINAL: u32 = 13;
    /// Entering a cgroup of its own; the detail is which one.
    pub const CGROUP: u32 = 14;
}

/// How a command ended, in [`Report::Ended`].
pub mod end {
    /// It exited; the value is its code.
    pub const EXITED: u32 = 1;
    /// A signal killed it; the value is the signal.
    pub const SIGNALED: u32 = 2;
    /// The wall time limit.
    pub const WALL_TIME: u32 = 3;
    /// The caller's kill.
    pub const KILLED: u32 = 4;
    /// The limit on processor time.
    pub const CPU_TIME: u32 = 5;
    /// The limit on memory, by looks.
    pub const MEMORY: u32 = 6;
    /// The limit on what a stream carries.
    pub const OUTPUT: u32 = 7;
    /// The limit on processes, by looks.
    pub const PROCESSES: u32 = 8;
    /// A system call that the filter forbids; the value is its number.
    pub const SYSCALL: u32 = 9;
    /// A system call of another architecture's, by its number there.
    pub const FOREIGN_SYSCALL: u32 = 10;
    /// The value of an end by a limit, if that was the one on all commands of a cell together; else
    /// it is 0.
    pub const TOGETHER: i32 = 1;
}

/// What else the warden saw, in [`Report::Ended`].
pub mod seen {
    /// The first process's end: `status` is its wait status.
    pub const STATUS: u32 = 1 << 0;
    /// A tmpfs of limited size that was full: `scratch` is its size in bytes, or its number of
    /// files.
    pub const SCRATCH: u32 = 1 << 1;
    /// As many processes and threads as it may have.
    pub const PROCESSES: u32 = 1 << 2;
    /// In all of a cell, as many processes and threads as there may be.
    pub const CELL_PROCESSES: u32 = 1 << 3;
}

wire_data! {
    /// What the warden tells.
    enum Report<'a> {
        /// Set-up failed: nothing has been started and the warden has ended. `path` is what the step worked on where it knows better than the plan.
        1 Refused { step: u32, errno: i32, path: &'a [u8], reason: u32, call: i32, }
        /// The command runs. Beside it: its pidfd, the other side of its terminal if it has one, and the listener if that is the caller's. `pid` is as seen inside; `landlock` is
        /// the ABI of the rulesets in force, 0 if there are none.
        2 Started { pid: i32, protections: u64, landlock: u32, }
        /// The command was not started.
        3 Failed { stage: u32, errno: i32, detail: u32, path: &'a [u8], head: &'a [u8], }
        /// The command has ended, and where it was not one among others, all that it started, too.
        4 Ended { how: u32, value: i32, status: i32, seen: u32, scratch: u64, usage: Usage, }
        /// From a warden that was told to found, or from a template: beside it the pidfd of the new one. `errno` if there is none, and `kind` of the
        /// namespace that could not be entered, 0 if it was the new ones.
        5 Born { pid: i32, errno: i32, kind: u64, }
        /// Set-up is done, and it waits for commands.
        6 Ready { protections: u64, landlock: u32, }
        /// A new warden could not enter the cgroup behind this door.
        7 CgroupRefused { entry: u32, errno: i32, }
        /// From a template: how many network namespaces it has made, lent once more, and retired; of the last of these, the number and by which of [`NETWORK_FILES`]'s
        /// files it showed that somebody had been there.
        8 Networks { made: u64, reused: u64, retired: u64, last: u64, file: u32, }
    }
}
