//! The defaults of every sandbox: what it shows, hides and sets unless the policy overrides it.
//! SECURITY.md gives the reason for each of them.

use crate::policy::Resource;
use std::ffi::CStr;
use std::net::Ipv4Addr;

/// The entries of the host's root directory that are visible, read-only. A directory is bound, and
/// a link (merged `/usr`) is copied as a link.
pub const SYSTEM: &[&CStr] = &[c"usr", c"bin", c"sbin", c"lib", c"lib32", c"lib64", c"libx32"];

/// The names in the host's `/etc` that are visible, read-only.
///
/// Programs in `/usr` need them, and they reveal no users, passwords or other hosts. A `*` matches
/// any characters. Only world-readable entries are shown. docs/policy.md contains the same list.
pub const ETC: &[&str] = &[
    // The dynamic linker, Debian's alternatives, time zone and locale.
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ld-musl-*.path",
    "alternatives",
    "localtime",
    "timezone",
    "locale.alias",
    "terminfo",
    "os-release",
    // Host name lookup, services, protocols and file types.
    "nsswitch.conf",
    "gai.conf",
    "host.conf",
    "services",
    "protocols",
    "mime.types",
    // Certificates, without private keys.
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "pki/ca-trust",
    "pki/java",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "crypto-policies",
    // Language runtimes that keep parts of their configuration here.
    "R",
    "dotnet",
    "fonts",
    "fpc*.cfg",
    "java",
    "java-*-openjdk",
    "mono",
    "perl",
    "python*",
];

/// The top-level directories of another root that are not shown, because the sandbox has its own.
pub const NOT_FROM_ROOT: &[&CStr] = &[c"dev", c"proc", c"run", c"sys", c"tmp"];

/// The host's files for host name lookup. They are visible if the network is shared with the host.
pub const NETWORK: &[&str] = &["/etc/hosts", "/etc/resolv.conf"];

/// The address of a sandbox with a way out, at which the caller answers questions for names. It is
/// from the range for benchmarks (RFC 2544), which no host has.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// The host name in the sandbox's own UTS namespace.
pub const HOST_NAME: &str = "sandbox";

/// The directories that exist in every sandbox.
pub const DIRECTORIES: &[&CStr] = &[c"/dev", c"/proc"];

/// The device nodes: the path outside, the path inside, and the major and minor number.
pub const DEVICES: &[(&CStr, &CStr, u32, u32)] = &[
    (c"/dev/null", c"/dev/null", 1, 3),
    (c"/dev/zero", c"/dev/zero", 1, 5),
    (c"/dev/full", c"/dev/full", 1, 7),
    (c"/dev/random", c"/dev/random", 1, 8),
    (c"/dev/urandom", c"/dev/urandom", 1, 9),
];

/// The device node for a process's controlling terminal, in sandboxes with their own terminals.
pub const TERMINAL: (&CStr, &CStr, u32, u32) = (c"/dev/tty", c"/dev/tty", 5, 0);
/// The mount point of devpts.
pub const TERMINALS: &CStr = c"/dev/pts";
/// The link to the device that creates pseudo-terminals: its path and target.
pub const TERMINAL_LINK: (&CStr, &CStr) = (c"/dev/ptmx", c"pts/ptmx");

/// The links in `/dev` that programs expect, each with its target.
pub const DEVICE_LINKS: &[(&CStr, &CStr)] = &[
    (c"/dev/fd", c"/proc/self/fd"),
    (c"/dev/stdin", c"/proc/self/fd/0"),
    (c"/dev/stdout", c"/proc/self/fd/1"),
    (c"/dev/stderr", c"/proc/self/fd/2"),
    (c"/dev/core", c"/proc/kcore"),
];

/// The writable tmpfs mounts of the default sandbox, for POSIX shared memory and temporary files.
/// Each has its largest size in bytes and its largest number of files.
pub const SCRATCH: &[(&str, u64, u64)] =
    &[("/dev/shm", 64 << 20, 16_384), ("/tmp", 256 << 20, 65_536)];

/// The size in bytes and the number of files of the changes to an overlay.
pub const CHANGES: (u64, u64) = (64 << 20, 65_536);

/// The files in `/proc` that are masked, because they reveal facts about the whole machine or its
/// keys. They read as empty.
pub const MASKED: &[&CStr] = &[
    c"/proc/acpi",
    c"/proc/asound",
    c"/proc/interrupts",
    c"/proc/kallsyms",
    c"/proc/kcore",
    c"/proc/key-users",
    c"/proc/keys",
    c"/proc/latency_stats",
    c"/proc/sched_debug",
    c"/proc/scsi",
    c"/proc/timer_list",
    c"/proc/timer_stats",
];

/// The files in `/proc` that are read-only, because writing to them changes the whole machine.
pub const READ_ONLY: &[&CStr] =
    &[c"/proc/bus", c"/proc/fs", c"/proc/irq", c"/proc/sys", c"/proc/sysrq-trigger"];

/// The paths that Landlock lets be written although their mounts are read-only: devices, and the
/// files of `/proc` by which a process changes itself.
pub const WRITABLE: &[&CStr] =
    &[c"/dev/full", c"/dev/null", c"/dev/random", c"/dev/urandom", c"/dev/zero", c"/proc"];

/// A part of the host's `/sys` that an entry `sys` shows.
pub struct Slice {
    pub directory: &'static CStr,
    /// The names in it that are shown.
    pub names: &'static [&'static CStr],
    /// Directories in it with this prefix and a number, and the names that each of them shows.
    pub each: Option<(&'static CStr, &'static [&'static CStr])>,
}

/// The parts of the host's `/sys`: numbers and settings, no counters of what others do.
/// docs/hardware.md lists them, and says what they reveal.
pub const SLICES: &[Slice] = &[
    Slice {
        directory: c"/sys/devices/system/cpu",
        names: &[
            c"isolated",
            c"kernel_max",
            c"nohz_full",
            c"offline",
            c"online",
            c"possible",
            c"present",
        ],
        each: Some((c"cpu", &[c"cache", c"cpu_capacity", c"online", c"topology"])),
    },
    Slice {
        directory: c"/sys/devices/system/node",
        names: &[c"has_cpu", c"has_memory", c"has_normal_memory", c"online", c"possible"],
        each: Some((c"node", &[c"cpulist", c"cpumap", c"distance", c"meminfo"])),
    },
    Slice {
        directory: c"/sys/kernel/mm/transparent_hugepage",
        names: &[c"defrag", c"enabled", c"hpage_pmd_size", c"shmem_enabled", c"use_zero_page"],
        each: None,
    },
];

/// The environment of a command. HOME, from the policy, is added to it.
pub const ENVIRONMENT: &[(&str, &str)] = &[("LANG", "C.UTF-8"), ("PATH", PATH), ("TMPDIR", "/tmp")];
/// The search path for a program name without a slash.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The umask of a command.
pub const UMASK: u32 = 0o022;

/// The largest size in bytes of the root tmpfs, which holds only mount points and small files.
pub const ROOT_SIZE: u64 = 16 << 20;

/// The default resource limits of a command: soft and hard.
pub const RLIMITS: &[(Resource, u64, u64)] = &[
    // A core file of 1 byte is never written, and the kernel treats exactly 1 as "no pipe handler
    // either" (core(5)). With 0 it would still start the pipe handler.
    (Resource::Core, 1, 1),
    // The soft limit is the most that select(2) supports. A program may raise it. The hard limit
    // must stay below that of an unprivileged caller, because descriptors in flight in sockets are
    // counted for the caller's user (docs/cells.md).
    (Resource::Nofile, 1024, 10_240),
    (Resource::Memlock, 8 << 20, 8 << 20),
    (Resource::Stack, 8 << 20, u64::MAX),
    // Queued signals and timers are counted for the caller's user, too. One sandbox must not use
    // them up.
    (Resource::Sigpending, 4096, 4096),
];
