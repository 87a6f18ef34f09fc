//! The eight kinds of namespace, and the clocks that one of them shifts.

use crate::base::declared::named;
use crate::wire::plan::namespace;

named! {
    /// A kind of namespace: `namespaces(7)`.
    Namespace {
        /// User and group ids, keyrings, capabilities: `user_namespaces(7)`.
        User = "user",
        /// The file system tree: `mount_namespaces(7)`.
        Mount = "mount",
        /// Process ids: `pid_namespaces(7)`. Shared, the warden ends the tree itself, which is a weaker promise than the kernel's.
        Pid = "pid",
        /// Network devices, addresses, ports, abstract sockets: `network_namespaces(7)`.
        Net = "net",
        /// System V IPC, POSIX message queues: `ipc_namespaces(7)`.
        Ipc = "ipc",
        /// Host and domain name: `uts_namespaces(7)`.
        Uts = "uts",
        /// The view of the cgroup tree: `cgroup_namespaces(7)`.
        Cgroup = "cgroup",
        /// The monotonic and boot clocks: `time_namespaces(7)`, Linux 5.6. Shared with the caller unless asked for.
        Time = "time",
    }
}

impl Namespace {
    /// The kind's flag for `clone(2)`: CLONE_NEWUSER and so on.
    pub fn flag(self) -> u64 {
        match self {
            Namespace::User => namespace::USER,
            Namespace::Mount => namespace::MOUNT,
            Namespace::Pid => namespace::PID,
            Namespace::Net => namespace::NET,
            Namespace::Ipc => namespace::IPC,
            Namespace::Uts => namespace::UTS,
            Namespace::Cgroup => namespace::CGROUP,
            Namespace::Time => namespace::TIME,
        }
    }
}

named! {
    /// A clock that a time namespace shifts.
    Clock {
        /// CLOCK_MONOTONIC and its kin.
        Monotonic = "monotonic",
        /// CLOCK_BOOTTIME and `/proc/uptime`.
        Boottime = "boottime",
    }
}
