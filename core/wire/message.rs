//! The messages on the control socket and on command sockets: requests to the warden, and reports.
//!
//! Each message is one datagram on a SEQPACKET socket. Its descriptors travel beside it
//! (SCM_RIGHTS), in the order that the documentation of the message gives. A request larger than
//! [`INLINE_MAX`] travels in a memfd. The message itself is then [`Request::Attached`], and the
//! memfd is its last descriptor.

use super::codec::{List, wire_data};
use super::plan::IdRange;
use super::usage::Usage;
use core::ffi::CStr;

/// The version of this protocol. Both sides are built from one source, so another version means
/// that the peer is not this library's warden.
pub const VERSION: u32 = 1;
/// The most bytes of a request that the message itself carries.
pub const INLINE_MAX: usize = 32 * 1024;
/// The most bytes of a report.
pub const REPORT_MAX: usize = 8 * 1024;
/// The kernel's limit on descriptors beside one message (SCM_MAX_FD).
pub const DESCRIPTORS_MAX: usize = 253;
/// The files that describe a network namespace (proc_pid_net(5)). They count every packet, socket
/// and multicast group. Every kernel has the first four.
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
/// How many bytes of a file that could not be executed are reported to the caller.
pub const HEAD_MAX: usize = 256;

wire_data! {
    /// A resource limit of a command, for `setrlimit(2)`.
    struct Rlimit { resource: u32, soft: u64, hard: u64, }
}

wire_data! {
    /// The limits that the warden itself enforces, on one command or on all commands of a cell
    /// together. 0 means no limit.
    struct Limits {
        wall_ns: u64,
        /// The signal to send when the wall time is over; 0 for none. The command is killed
        /// `grace_ns` after this signal.
        grace_signal: i32,
        grace_ns: u64,
        /// Nanoseconds of processor time of the whole tree. The meter counts them, or without a
        /// meter, process scans.
        cpu_ns: u64,
        /// How many processors the tree can use at once, in hundredths. It sets the interval
        /// between two checks of the processor time.
        pace: u32,
        /// Bytes of memory of all processes, sampled by process scans.
        memory: u64,
        /// Processes and threads, counted by process scans. Where the kernel itself refuses to make
        /// more (RLIMIT_NPROC), the count never exceeds the limit.
        processes: u64,
    }
}

wire_data! {
    /// A stream of the command that passes through the warden, which forwards at most `limit`
    /// bytes.
    struct Relay { limit: u64, }
}

/// The file that counts the processor time of a cgroup, in [`Request::Run`] and [`Request::Limit`].
pub mod meter {
    /// There is no such file.
    pub const NONE: u32 = 0;
    /// `cpu.stat` of cgroup v2. Its first line is `usage_usec N`.
    pub const CPU_STAT: u32 = 1;
    /// `cpuacct.usage` of cgroup v1, in nanoseconds.
    pub const CPUACCT: u32 = 2;
}

/// The file that shows the anonymous memory of a cgroup, in [`Request::Run`].
pub mod gauge {
    /// There is no such file.
    pub const NONE: u32 = 0;
    /// `memory.stat` of cgroup v2.
    pub const V2: u32 = 1;
    /// `memory.stat` of cgroup v1.
    pub const V1: u32 = 2;
}

/// The receiver of the seccomp notifications of a command's filter, in [`Request::Run`].
pub mod listener {
    /// Nobody: the filter sends no notifications.
    pub const NOBODY: u32 = 0;
    /// The warden. It kills the command at the first notification.
    pub const WARDEN: u32 = 1;
    /// The caller, which gets the listener beside [`super::Report::Started`].
    pub const CALLER: u32 = 2;
    /// The warden. The first filter is a gate: it tells about each process that is to leave its
    /// process group, and the warden lets it. Where the kernel allows no listener, this filter is
    /// left out.
    pub const GATE: u32 = 3;
}

/// Why the kernel refused a step, where the warden knows more than the error number. For
/// [`Report::Refused`].
pub mod reason {
    /// Nothing but the error number is known.
    pub const ERRNO: u32 = 0;
    /// A filter around the caller refuses `call`, whatever its arguments.
    pub const FILTER: u32 = 1;
    /// The kernel has no such `call`, or a filter around the caller pretends so.
    pub const ABSENT: u32 = 2;
    /// The warden has the right to mount, but a Landlock domain or another security module refuses
    /// every mount.
    pub const NO_MOUNTS: u32 = 3;
    /// The source is an automount point, and its mount does not reach the mount namespace of the
    /// sandbox.
    pub const AUTOMOUNT: u32 = 4;
    /// The policy puts something of its own at `/proc`, and the warden found no writable proc file
    /// system by which to forbid nested user namespaces.
    pub const NO_PROC: u32 = 5;
}

/// Flags of [`Request::Run`].
pub mod run {
    /// The warden ends when this command ends, and everything inside with it.
    pub const LAST: u32 = 1 << 0;
    /// The command runs in a cell. Its requests and reports use a command socket of its own, the
    /// last descriptor beside the request. Processes that it leaves behind keep running.
    ///
    /// Without this flag the sandbox has one command only. The control socket carries its requests
    /// and reports, and everything inside ends with it.
    pub const IN_CELL: u32 = 1 << 1;
}

wire_data! {
    /// A pseudo-terminal of `rows` times `columns` for a command. `streams` has one bit for each
    /// standard stream that it replaces (`1 << 0` is the input). Without any bit there is no
    /// terminal.
    struct Terminal { streams: u32, rows: u32, columns: u32, }
}

wire_data! {
    /// The filter bypass token: the values of arguments 4 and 5 with which a filter allows a call.
    struct BypassToken { fourth: u64, fifth: u64, }
}

wire_data! {
    /// A request of the caller.
    enum Request<'a> {
        /// The request is in the memfd beside this message and has this length in bytes.
        1 Attached { length: u64, }
        /// Builds the sandbox. This is the first request of a warden that is in its namespaces.
        ///
        /// Beside it: a pidfd of the caller. With `report_ready` the warden sends [`Report::Ready`]
        /// when set-up is done.
        2 Setup {
            version: u32,
            namespaces: u64,
            outside_uid: u32,
            outside_gid: u32,
            classic_mounts: bool,
            report_ready: bool,
            plan: List<'a, super::plan::Step<'a>>,
        }
        /// Continues set-up after [`Step::Await`](super::plan::Step::Await): the caller has written
        /// the id maps and moved the warden into its cgroups.
        ///
        /// Beside it: the mount trees that the step asks for, in the order of the plan.
        3 Admitted {}
        /// Starts a command.
        ///
        /// Beside it, in this order:
        /// - one descriptor for each of `targets`;
        /// - two for each of `relays`: the end to read from, and the end to write to;
        /// - the file of the `meter` and the file of the `gauge`, each unless it is NONE;
        /// - the cgroup entry descriptors, `cgroup_entries` of them. The new process writes `0` to
        ///   each and so enters the cgroups that are its alone;
        /// - the command socket, with [`run::IN_CELL`].
        ///
        /// Its fields:
        /// - `search`: the directories to look in for a `program` without a slash, separated by
        ///   colons.
        /// - `filters`: seccomp programs, loaded in this order. The first one makes the `listener`.
        /// - `ignored`: the signals that the command ignores, bit n-1 for signal n.
        /// - `bypass`: the token with which these filters allow the calls of the start itself.
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
        // On a command socket, these requests are about its command. On the control socket, they
        // are about everything inside.
        /// Sends a signal to the first process of the command.
        5 Signal { signal: i32, }
        /// Kills the command and everything that it has started. `how` is the reported end, one of
        /// [`end`].
        6 Kill { how: u32, }
        /// Replaces the limits. Beside it: the file of the `meter`, unless that is NONE. The first
        /// request sets the meter, which then counts on; later requests change the limits only.
        7 Limit { limits: Limits, meter: u32, }
        /// Stops the command by a signal, or continues it.
        8 Stop { on: bool, }
        /// Reports that the caller has frozen everything inside with a cgroup v1 freezer, where
        /// frozen processes do not die. Beside it: the `freezer.state` file, by which the warden
        /// thaws them after it has sent SIGKILL.
        9 Frozen {}
        /// Asks a template for a copy of itself: a warden in new `namespaces`, which then waits for
        /// its own [`Request::Setup`].
        ///
        /// A network namespace among them is one of the template's own that no process is in.
        /// Beside the request: the control socket of the copy, then its cgroup entry descriptors,
        /// `cgroup_entries` of them. With `maps`, the template maps the ids `uids` and `gids` to
        /// the same ids outside. Without it, the copy writes its own maps.
        10 Clone {
            namespaces: u64,
            maps: bool,
            uids: List<'a, IdRange>,
            gids: List<'a, IdRange>,
            cgroup_entries: u32,
        }
        /// Asks a warden that was executed outside the namespaces of the sandbox to enter them.
        /// This is its first request.
        ///
        /// It enters the namespaces of the kinds `joined`, one descriptor for each beside the
        /// request. It makes new `namespaces` of the other kinds, and continues as a new process in
        /// all of them. `member`: a network namespace may belong to a private network, whose user
        /// namespace it then enters first, and makes the sandbox's own below that one.
        11 Join { joined: List<'a, u64>, namespaces: u64, member: bool, }
        /// Asks a template to report on the network namespaces that it keeps.
        12 Networks {}
    }
}

/// The stage at which the start of a command failed, in [`Report::Failed`].
pub mod stage {
    /// Making the new process.
    pub const CLONE: u32 = 1;
    /// Placing its descriptors.
    pub const DESCRIPTORS: u32 = 2;
    /// `setsid(2)`.
    pub const SESSION: u32 = 3;
    /// `setrlimit(2)`. `detail` is the resource.
    pub const RLIMIT: u32 = 4;
    /// `chdir(2)` to the working directory.
    pub const DIRECTORY: u32 = 5;
    /// Looking for the program in the search path, which does not contain it.
    pub const SEARCH: u32 = 6;
    /// `execve(2)`. `path` is the file that was tried and `head` its first bytes. `detail` is its
    /// mode, or 0 if there is no such file.
    pub const EXEC: u32 = 7;
    /// Reading the request.
    pub const REQUEST: u32 = 8;
    /// `seccomp(2)`, to load a filter. `detail` is the index of the filter.
    pub const FILTER: u32 = 9;
    /// Sending the listener of a filter to the warden.
    pub const LISTENER: u32 = 10;
    /// `landlock_restrict_self(2)`, or adding a rule for a descriptor of the command.
    pub const LANDLOCK: u32 = 11;
    /// `umask(2)` or `sigprocmask(2)`.
    pub const ATTRIBUTES: u32 = 12;
    /// Making the terminal of the command, or making it the controlling terminal of the session.
    pub const TERMINAL: u32 = 13;
    /// Entering a cgroup. `detail` is the index of the cgroup entry descriptor.
    pub const CGROUP: u32 = 14;
}

/// How a command ended, in [`Report::Ended`].
pub mod end {
    /// It exited. The value is the exit code.
    pub const EXITED: u32 = 1;
    /// A signal killed it. The value is the signal.
    pub const SIGNALED: u32 = 2;
    /// It reached the limit on the wall time.
    pub const WALL_TIME: u32 = 3;
    /// The caller killed it.
    pub const KILLED: u32 = 4;
    /// It reached the limit on processor time.
    pub const CPU_TIME: u32 = 5;
    /// A process scan found more memory than the limit.
    pub const MEMORY: u32 = 6;
    /// A stream carried more bytes than the limit.
    pub const OUTPUT: u32 = 7;
    /// A process scan found more processes than the limit.
    pub const PROCESSES: u32 = 8;
    /// It made a system call that the filter forbids. The value is the number of the call.
    pub const SYSCALL: u32 = 9;
    /// It made a forbidden system call of another architecture. The value is the number there.
    pub const FOREIGN_SYSCALL: u32 = 10;
    /// The value of an end by a limit that all commands of a cell share. The value is 0 for a limit
    /// of the command itself.
    pub const TOGETHER: i32 = 1;
}

/// What else the warden saw, in [`Report::Ended`].
pub mod seen {
    /// The first process was reaped. `status` is its wait status.
    pub const STATUS: u32 = 1 << 0;
    /// A tmpfs with a limit was full. `scratch` is the limit: a size in bytes, or a number of
    /// files.
    pub const SCRATCH: u32 = 1 << 1;
    /// The command had as many processes and threads as its limit allows.
    pub const PROCESSES: u32 = 1 << 2;
    /// All commands of the cell together had as many processes and threads as their limit allows.
    pub const CELL_PROCESSES: u32 = 1 << 3;
}

wire_data! {
    /// A report of the warden.
    enum Report<'a> {
        /// Set-up failed. The warden has started nothing and has ended. `step` is the index in the
        /// plan, or `u32::MAX` for a failure before the first step. `path` is the path that the
        /// step worked on, where the plan alone does not tell it. `reason` is one of [`reason`],
        /// `call` the system call that it is about, or -1.
        1 Refused { step: u32, errno: i32, path: &'a [u8], reason: u32, call: i32, }
        /// The command runs.
        ///
        /// Beside it: its pidfd, the caller's side of its terminal if it has one, and the listener
        /// if that is for the caller. `pid` is the process id inside. `landlock` is the ABI of the
        /// active Landlock rulesets, or 0.
        2 Started { pid: i32, protections: u64, landlock: u32, }
        /// The command was not started. `stage` is one of [`stage`].
        3 Failed { stage: u32, errno: i32, detail: u32, path: &'a [u8], head: &'a [u8], }
        /// The command has ended. The only command of a sandbox takes everything inside with it; a
        /// command in a cell may leave processes behind.
        4 Ended { how: u32, value: i32, status: i32, seen: u32, scratch: u64, usage: Usage, }
        /// The answer to [`Request::Join`] and [`Request::Clone`]. Beside it: the pidfd of the new
        /// warden.
        ///
        /// If there is no new warden, `errno` says why. `kind` is then the kind of namespace that
        /// could not be entered, or 0 if making the new process or its namespaces failed.
        5 Born { pid: i32, errno: i32, kind: u64, }
        /// Set-up is done, and the warden waits for commands. Beside it: what the caller is
        /// to have, if the plan says so (`Step::BoundFile`, `Step::Lend`).
        6 Ready { protections: u64, landlock: u32, }
        /// The copy of a template could not enter a cgroup. `entry` is the index of the cgroup
        /// entry descriptor.
        7 CgroupRefused { entry: u32, errno: i32, }
        /// How many network namespaces a template has made, reused and retired. `last` is the inode
        /// number of the one that it retired last. `file` is the index in [`NETWORK_FILES`] of the
        /// file that showed traces of use.
        8 Networks { made: u64, reused: u64, retired: u64, last: u64, file: u32, }
    }
}
