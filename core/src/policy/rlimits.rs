//! The resource limits of a single process: `setrlimit(2)`.

use crate::base::declared::named;

named! {
    /// A resource that `setrlimit(2)` limits for each process.
    Resource {
        /// Processor time, in seconds.
        Cpu = "cpu",
        /// The size of files that the process writes, in bytes.
        Fsize = "fsize",
        /// The data segment, in bytes.
        Data = "data",
        /// The stack, in bytes.
        Stack = "stack",
        /// Core dumps, in bytes.
        Core = "core",
        /// Processes of the user. The kernel counts those of the mapped host id, over the whole
        /// host.
        Nproc = "nproc",
        /// One more than the highest descriptor number.
        Nofile = "nofile",
        /// Locked memory, in bytes.
        Memlock = "memlock",
        /// The address space, in bytes.
        As = "as",
        /// Queued signals.
        Sigpending = "sigpending",
        /// POSIX message queues, in bytes.
        Msgqueue = "msgqueue",
        /// The highest priority, as 20 minus the nice value.
        Nice = "nice",
        /// The highest real-time priority.
        Rtprio = "rtprio",
        /// Real-time processor time without a blocking system call, in microseconds.
        Rttime = "rttime",
    }
}

impl Resource {
    /// The number of the resource: RLIMIT_CPU and so on.
    pub fn number(self) -> u32 {
        let number = match self {
            Resource::Cpu => libc::RLIMIT_CPU,
            Resource::Fsize => libc::RLIMIT_FSIZE,
            Resource::Data => libc::RLIMIT_DATA,
            Resource::Stack => libc::RLIMIT_STACK,
            Resource::Core => libc::RLIMIT_CORE,
            Resource::Nproc => libc::RLIMIT_NPROC,
            Resource::Nofile => libc::RLIMIT_NOFILE,
            Resource::Memlock => libc::RLIMIT_MEMLOCK,
            Resource::As => libc::RLIMIT_AS,
            Resource::Sigpending => libc::RLIMIT_SIGPENDING,
            Resource::Msgqueue => libc::RLIMIT_MSGQUEUE,
            Resource::Nice => libc::RLIMIT_NICE,
            Resource::Rtprio => libc::RLIMIT_RTPRIO,
            Resource::Rttime => libc::RLIMIT_RTTIME,
        };
        // Unsigned in glibc's header, signed in musl's.
        number as _
    }
}
