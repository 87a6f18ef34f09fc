//! The system calls that each profile allows.
//!
//! The lists start from what container runtimes allow by default, without the calls that a program
//! in its own sandbox does not need. SECURITY.md gives the reasons. The lists are the same for
//! every architecture. `table` has the names that one lacks, and its tests pin them for each
//! profile.
//!
//! The file is longer than 400 lines because it is lists of names.

use super::{Action, Compare, Profile, Rule, Test};

/// Files, directories and descriptors.
const FILES: &[&str] = &[
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "futimesat",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "getxattrat",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_pgetevents",
    "io_submit",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "listxattrat",
    "llistxattr",
    "lremovexattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "memfd_create",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pipe",
    "pipe2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "removexattr",
    "removexattrat",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "setxattr",
    "setxattrat",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "tee",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "write",
    "writev",
];

/// The process's own memory.
const MEMORY: &[&str] = &[
    "brk",
    "cachestat",
    "madvise",
    "map_shadow_stack",
    "membarrier",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "mseal",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    "remap_file_pages",
    "riscv_flush_icache",
];

/// Waiting, clocks and timers.
const TIME: &[&str] = &[
    "adjtimex",
    "alarm",
    "clock_adjtime",
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "futex",
    "futex_requeue",
    "futex_wait",
    "futex_waitv",
    "futex_wake",
    "getitimer",
    "gettimeofday",
    "nanosleep",
    "pause",
    "poll",
    "ppoll",
    "pselect6",
    "restart_syscall",
    "select",
    "setitimer",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    "times",
];

/// Threads, signals, and queries of a process about itself.
const SELF: &[&str] = &[
    "arch_prctl",
    "capget",
    "exit",
    "exit_group",
    "get_robust_list",
    "getcpu",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getrandom",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "getuid",
    "ioprio_get",
    "kill",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "process_mrelease",
    "riscv_hwprobe",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "setrlimit",
    "sigaltstack",
    "signalfd",
    "signalfd4",
    "sysinfo",
    "tgkill",
    "tkill",
    "uname",
];

/// Other processes, and changes of a process to itself. None of these calls grants a privilege.
///
/// ptrace(2) is in the list because programs trace their own children and threads, LeakSanitizer in
/// particular. It is safe: since Linux 4.8 a tracer cannot bypass the tracee's filter, and the
/// warden cannot be traced.
const PROCESSES: &[&str] = &[
    "capset",
    "execve",
    "execveat",
    "fork",
    "ioprio_set",
    "landlock_add_rule",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "ptrace",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "seccomp",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setsid",
    "setuid",
    "vfork",
    "wait4",
    "waitid",
];

/// Operations on sockets. `socket` itself has rules that depend on the family.
const SOCKETS: &[&str] = &[
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socketpair",
];

/// System V IPC and POSIX message queues of the sandbox's own ipc namespace.
const IPC: &[&str] = &[
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
];

/// The calls that create nested sandboxes.
const NESTING: &[&str] = &[
    "chroot",
    "clone",
    "clone3",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setdomainname",
    "sethostname",
    "setns",
    "umount2",
    "unshare",
];

/// The calls by which a debugger inspects another process.
const DEBUGGING: &[&str] = &["kcmp", "pidfd_getfd", "process_vm_readv", "process_vm_writev"];

/// Calls that fail with ENOSYS instead of EPERM, because libc tries them first and then falls back.
///
/// The arguments of `clone3` lie in memory, which a filter cannot read. The contexts of `io_setup`
/// are counted only for the whole host (fs.aio-max-nr), so one sandbox could use up all of them.
pub(crate) const ABSENT: &[&str] =
    &["clone3", "io_setup", "listmount", "listns", "memfd_secret", "rseq_slice_yield", "statmount"];

/// The allowed socket families: AF_UNIX, AF_INET and AF_INET6.
const FAMILIES: &[u16] = &[1, 2, 10];
const AF_NETLINK: u16 = 16;

const CLONE_NEW: u64 = 0x7e02_0000;
const CLONE_THREAD: u64 = 0x1_0000;

impl Profile {
    /// The rules of the profile. The last one that matches a call decides.
    pub(super) fn rules(self) -> Vec<Rule> {
        let mut rules = Vec::new();
        match self {
            Profile::Default => allow_default(&mut rules),
            Profile::Debug => {
                allow_default(&mut rules);
                allow(&mut rules, DEBUGGING);
                const ADDR_NO_RANDOMIZE: u64 = 0x4_0000;
                rules.push(personality(ADDR_NO_RANDOMIZE));
            }
            Profile::Nested => {
                allow_default(&mut rules);
                allow(&mut rules, NESTING);
                rules.push(socket_family(AF_NETLINK));
            }
            Profile::Strict => {
                for group in [FILES, MEMORY, TIME, SELF] {
                    allow(&mut rules, group);
                }
                // Allow new threads, but no new processes.
                rules.push(Rule::named("clone", Action::Allow).when(
                    Test::new(0, Compare::Equal, CLONE_THREAD).masked(CLONE_THREAD | CLONE_NEW),
                ));
                // libc calls isatty(3) on every stream, which is the TCGETS request.
                const TCGETS: u64 = 0x5401;
                rules.push(Rule::named("ioctl", Action::Errno(libc::ENOTTY)));
                rules.push(Rule::named("ioctl", Action::Allow).when(Test::new(
                    1,
                    Compare::Equal,
                    TCGETS,
                )));
                absent(&mut rules);
                huge_pages(&mut rules);
            }
            Profile::Unconfined => {}
        }
        rules
    }

    /// The action for known calls that the profile does not name.
    pub(super) fn otherwise(self) -> Action {
        match self {
            Profile::Default | Profile::Nested | Profile::Debug => Action::Errno(libc::EPERM),
            Profile::Strict => Action::Kill,
            Profile::Unconfined => Action::Allow,
        }
    }

    /// The action for calls that are newer than this library, and for calls of other architectures.
    pub(super) fn unknown(self) -> Action {
        match self {
            Profile::Unconfined => Action::Allow,
            Profile::Default | Profile::Nested | Profile::Debug | Profile::Strict => {
                Action::Errno(libc::ENOSYS)
            }
        }
    }
}

/// Adds the rules of the profile `default`.
fn allow_default(rules: &mut Vec<Rule>) {
    for group in [FILES, MEMORY, TIME, SELF, PROCESSES, SOCKETS, IPC] {
        allow(rules, group);
    }
    rules.push(Rule::named("socket", Action::Errno(libc::EAFNOSUPPORT)));
    rules.extend(FAMILIES.iter().map(|family| socket_family(*family)));
    rules.push(
        Rule::named("clone", Action::Allow).when(Test::new(0, Compare::Equal, 0).masked(CLONE_NEW)),
    );
    absent(rules);
    huge_pages(rules);
    // These requests insert characters into a terminal's input, and so let a program type commands
    // into its caller's shell. The kernel reads only 32 bits of a request, and so do these tests.
    const TIOCSTI: u64 = 0x5412;
    const TIOCLINUX: u64 = 0x541c;
    rules.push(Rule::named("ioctl", Action::Allow));
    for request in [TIOCSTI, TIOCLINUX] {
        rules.push(Rule::named("ioctl", Action::Errno(libc::EPERM)).when(Test::new(
            1,
            Compare::Equal,
            request,
        )));
    }
    const ADDR_LIMIT_3GB: u64 = 0x8;
    const UNAME26: u64 = 0x2_0000;
    for persona in [0, ADDR_LIMIT_3GB, UNAME26, UNAME26 | ADDR_LIMIT_3GB, 0xffff_ffff] {
        rules.push(personality(persona));
    }
}

pub(super) fn socket_family(family: u16) -> Rule {
    Rule::named("socket", Action::Allow).when(Test::new(0, Compare::Equal, family.into()))
}

/// Allows NETLINK_ROUTE sockets: rtnetlink(7). Changing the network with one requires capabilities.
pub(super) fn routes() -> Rule {
    const NETLINK_ROUTE: u64 = 0;
    socket_family(AF_NETLINK).when(Test::new(2, Compare::Equal, NETLINK_ROUTE))
}

fn personality(persona: u64) -> Rule {
    Rule::named("personality", Action::Allow).when(Test::new(0, Compare::Equal, persona))
}

fn allow(rules: &mut Vec<Rule>, names: &[&'static str]) {
    rules.extend(names.iter().map(|name| Rule::named(name, Action::Allow)));
}

/// Refuses huge pages, which come from the host's pool and are not counted by any limit on memory.
/// The errors are those of a host without huge pages.
fn huge_pages(rules: &mut Vec<Rule>) {
    const MAP_HUGETLB: u64 = 0x4_0000;
    const MFD_HUGETLB: u64 = 0x4;
    const SHM_HUGETLB: u64 = 0x800;
    let calls = [
        ("mmap", 3, MAP_HUGETLB, libc::ENOMEM),
        ("memfd_create", 1, MFD_HUGETLB, libc::ENOSYS),
        ("shmget", 2, SHM_HUGETLB, libc::EPERM),
    ];
    for (call, argument, bit, errno) in calls {
        // A call that the profile does not allow needs no exception.
        if rules.iter().any(|rule| rule.call == call) {
            rules.push(
                Rule::named(call, Action::Errno(errno))
                    .when(Test::new(argument, Compare::Equal, bit).masked(bit)),
            );
        }
    }
}

fn absent(rules: &mut Vec<Rule>) {
    rules.extend(ABSENT.iter().map(|name| Rule::named(name, Action::Errno(libc::ENOSYS))));
}
