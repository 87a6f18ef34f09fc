//! The default sandbox, in one readable place: what it shows, hides, and sets, unless a policy says
//! otherwise. DESIGN's and SECURITY.md's tables give the reason for each line.

use crate::policy::Resource;
use std::ffi::CStr;

/// What of the host's root is shown, read-only, as it stands there: a directory as a bind, a link
/// (merged `/usr`) as a link.
pub const SYSTEM: &[&CStr] = &[c"usr", c"bin", c"sbin", c"lib", c"lib32", c"lib64", c"libx32"];

/// The names in the host's `/etc` that are shown, read-only: programs in `/usr` need them, and they
/// tell of no user, no password and no other host. A `*` stands for any characters. Only what
/// everybody may read is shown. docs/policy.md has the same list.
pub const ETC: &[&str] = &[
    // The dynamic linker, Debian's alternatives, time and language.
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
    // Names of hosts, services, protocols and kinds of file.
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
    // Languages that keep a part of theirs here.
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

/// What of another root's top level is not shown: these are the sandbox's own.
pub const NOT_FROM_ROOT: &[&CStr] = &[c"dev", c"proc", c"run", c"sys", c"tmp"];

/// The host's files that lead to other hosts, for a network that is shared with it.
pub const NETWORK: &[&str] = &["/etc/hosts", "/etc/resolv.conf"];

/// The name of a host of its own.
pub const HOST_NAME: &str = "sandbox";

/// The directories that exist in every sandbox, empty unless something is put there.
pub const DIRECTORIES: &[&CStr] = &[c"/dev", c"/proc"];

/// The device nodes: name and number.
pub const DEVICES: &[(&CStr, &CStr, u32, u32)] = &[
    (c"/dev/null", c"/dev/null", 1, 3),
    (c"/dev/zero", c"/dev/zero", 1, 5),
    (c"/dev/full", c"/dev/full", 1, 7),
    (c"/dev/random", c"/dev/random", 1, 8),
    (c"/dev/urandom", c"/dev/urandom", 1, 9),
];

/// With terminals of its own: the one that controls the process, whichever that is.
pub const TERMINAL: (&CStr, &CStr, u32, u32) = (c"/dev/tty", c"/dev/tty", 5, 0);
/// Where the terminals are.
pub const TERMINALS: &CStr = c"/dev/pts";
/// What makes one.
pub const TERMINAL_LINK: (&CStr, &CStr) = (c"/dev/ptmx", c"pts/ptmx");

/// The links in `/dev` that programs expect.
pub const DEVICE_LINKS: &[(&CStr, &CStr)] = &[
    (c"/dev/fd", c"/proc/self/fd"),
    (c"/dev/stdin", c"/proc/self/fd/0"),
    (c"/dev/stdout", c"/proc/self/fd/1"),
    (c"/dev/stderr", c"/proc/self/fd/2"),
    (c"/dev/core", c"/proc/kcore"),
];

/// The writable places of the default sandbox, file systems in memory of its own: POSIX shared
/// memory, and files for a while. Their bytes and their files, at most.
pub const SCRATCH: &[(&str, u64, u64)] =
    &[("/dev/shm", 64 << 20, 16_384), ("/tmp", 256 << 20, 65_536)];

/// What of `/proc` reads as nothing: it tells about the whole machine or its keys.
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

/// What of `/proc` is read-only: it changes the whole machine.
pub const READ_ONLY: &[&CStr] =
    &[c"/proc/bus", c"/proc/fs", c"/proc/irq", c"/proc/sys", c"/proc/sysrq-trigger"];

/// Where files may be written to although their file system does not change: devices, and what
/// `/proc` lets a process say of itself.
pub const WRITABLE: &[&CStr] =
    &[c"/dev/full", c"/dev/null", c"/dev/random", c"/dev/urandom", c"/dev/zero", c"/proc"];

/// The environment of a command, with HOME from the policy.
pub const ENVIRONMENT: &[(&str, &str)] = &[("LANG", "C.UTF-8"), ("PATH", PATH), ("TMPDIR", "/tmp")];
/// Where a program without a slash is looked for.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The umask of a command.
pub const UMASK: u32 = 0o022;

/// The size and number of files of the root, a file system in memory that holds mount points and
/// small files only.
pub const ROOT_SIZE: u64 = 16 << 20;

/// The resource limits of a command. Queued signals and timers count for the caller's user too: one
/// sandbox must leave it some. One byte of core: the kernel makes no smaller file, and takes
/// exactly 1 as "not through a pipe handler either" (core(5)); 0 would start the handler.
pub const RLIMITS: &[(Resource, u64, u64)] = &[
    (Resource::Core, 1, 1),
    // The soft limit is what select(2) can take; a program may raise it. The hard one is what a
    // caller without privileges must be able to exceed: descriptors under way in sockets are
    // counted for its user (docs/cells.md).
    (Resource::Nofile, 1024, 10_240),
    (Resource::Memlock, 8 << 20, 8 << 20),
    (Resource::Stack, 8 << 20, u64::MAX),
    (Resource::Sigpending, 4096, 4096),
];
