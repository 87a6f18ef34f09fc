//! The resource limits of a single process: `setrlimit(2)`.

use crate::base::declared::named;

named! {
    /// A resource that `setrlimit(2)` limits for each process.
    Resource {
        /// Processor time, in seconds.
        Cpu = "cpu",
        /// Size of a file written, in bytes.
        Fsize = "fsize",
        /// Data segment, in bytes.
        Data = "data",
        /// Stack, in bytes.
        Stack = "stack",
        /// Core dump, in bytes.
        Core = "core",
        /// Processes of the user; counted over the whole host for the host's id behind it.
        Nproc = "nproc",
        /// One more than the highest descriptor.
        Nofile = "nofile",
        /// Locked memory, in bytes.
        Memlock = "memlock",
        /// Address space, in bytes.
        As = "as",
        /// Queued signals.
        Sigpending = "sigpending",
        /// POSIX message queues, in bytes.
        Msgqueue = "msgqueue",
        /// Niceness ceiling, as 20 minus the nice value.
        Nice = "nice",
        /// Real-time priority ceiling.
        Rtprio = "rtprio",
        /// Real-time processor time without a blocking call, in microseconds.
        Rttime = "rttime",
    }
}

impl Resource {
    /// The resource's number: RLIMIT_CPU and so on.
    pub fn number(self) -> u32 {
        match self {
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
        }
    }
}
