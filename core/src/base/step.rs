//! The steps of setting up a sandbox and starting a command, as a closed set to match on.

use crate::base::declared::named;
use crate::wire::plan;

named! {
    /// A step between `clone(2)` and the program's first instruction.
    ///
    /// [`Error::step_kind`](crate::Error::step_kind) returns the step that failed.
    /// [`Error::step`](crate::Error::step) describes the same step in words, with its object.
    #[non_exhaustive]
    Step {
        /// Create the namespaces and execute the warden: `clone(2)`, `execveat(2)`.
        Launch = "launch",
        /// Enter existing namespaces: `setns(2)`.
        Join = "join",
        /// Reset inherited process attributes: ignored signals, the umask, the timer slack.
        Attributes = "attributes",
        /// Open a path outside the sandbox: the source of a bind, or a root directory.
        OpenSource = "open-source",
        /// Open a device node of the host.
        OpenDevice = "open-device",
        /// Wait until the caller has written the id maps and moved the warden into its cgroups.
        Admission = "admission",
        /// Open the `/proc` that the process scan reads, for sampled limits.
        ProcessView = "process-view",
        /// Reserve process ids for the wardens of commands that enter a cell.
        ReservePids = "reserve-pids",
        /// Write an id map of one line.
        MapIds = "map-ids",
        /// Compare the kernel's id maps with those that were written.
        CheckIds = "check-ids",
        /// Change to the user and group of the command.
        BecomeUser = "become-user",
        /// Check that the command's user may read a source.
        CheckReadable = "check-readable",
        /// Create a time namespace and set its clocks.
        Clocks = "clocks",
        /// Create a cgroup namespace.
        CgroupNamespace = "cgroup-namespace",
        /// Make the process that becomes process 1 of its tree.
        ProcessTree = "process-tree",
        /// Set the host name.
        HostName = "host-name",
        /// Set the NIS domain name.
        DomainName = "domain-name",
        /// Bring up the loopback device.
        Loopback = "loopback",
        /// Detach mount propagation from the caller's mount namespace.
        PrivateMounts = "private-mounts",
        /// Mount a tmpfs as the new root.
        Root = "root",
        /// Bind entries of a directory: the host's programs, or those of another root.
        ShowEntries = "show-entries",
        /// Bind a file or directory.
        Bind = "bind",
        /// Mount a tmpfs.
        Tmpfs = "tmpfs",
        /// Mount a mqueue file system.
        MessageQueues = "message-queues",
        /// Create a directory.
        Directory = "directory",
        /// Create a file.
        File = "file",
        /// Make a mount read-only: `mount_setattr(2)`.
        Remount = "remount",
        /// Change the mode of a file.
        Chmod = "chmod",
        /// Create a symbolic link.
        Symlink = "symlink",
        /// Mount a proc file system.
        Proc = "proc",
        /// Mask files of `/proc`.
        MaskProc = "mask-proc",
        /// Make files of `/proc` read-only.
        ReadOnlyProc = "read-only-proc",
        /// Mount a devpts file system.
        Terminals = "terminals",
        /// Change to the new root: `pivot_root(2)`.
        PivotRoot = "pivot-root",
        /// Make the root read-only.
        ReadOnlyRoot = "read-only-root",
        /// Take over the file system of a template or a cell.
        AdoptRoot = "adopt-root",
        /// Forbid nested user namespaces.
        NoNestedUsers = "no-nested-users",
        /// Create a Landlock ruleset.
        Landlock = "landlock",
        /// Join a new session keyring.
        Keyring = "keyring",
        /// Drop all capabilities.
        DropPrivileges = "drop-privileges",
        /// Load the warden's seccomp filter.
        SeccompFilter = "seccomp-filter",
        /// Give the caller descriptors of the namespaces of a private network.
        LendNamespaces = "lend-namespaces",
        /// Start the command in the finished sandbox.
        Start = "start",
        /// Mount an overlay file system.
        Overlay = "overlay",
        /// Mount the sandbox's own cgroup.
        Cgroup = "cgroup",
    }
}

impl Step {
    /// The public name of a step of the warden.
    pub(crate) fn of(step: &plan::Step<'_>) -> Step {
        match step {
            plan::Step::Attributes {} => Step::Attributes,
            plan::Step::MapOwnIds { .. } => Step::MapIds,
            plan::Step::CheckMaps { .. } => Step::CheckIds,
            plan::Step::Await { .. } => Step::Admission,
            plan::Step::BecomeUser { .. } | plan::Step::KeepUser { .. } => Step::BecomeUser,
            plan::Step::TimeOffsets { .. } => Step::Clocks,
            plan::Step::HostName { .. } => Step::HostName,
            plan::Step::DomainName { .. } => Step::DomainName,
            plan::Step::Loopback {} => Step::Loopback,
            plan::Step::PrivateMounts {} => Step::PrivateMounts,
            plan::Step::Source { .. } => Step::OpenSource,
            plan::Step::Device { .. } => Step::OpenDevice,
            plan::Step::Root { .. } => Step::Root,
            plan::Step::Directory { .. } => Step::Directory,
            plan::Step::Bind { .. } => Step::Bind,
            plan::Step::Tmpfs { .. } => Step::Tmpfs,
            plan::Step::Overlay { .. } => Step::Overlay,
            plan::Step::MessageQueues { .. } => Step::MessageQueues,
            plan::Step::Symlink { .. } => Step::Symlink,
            plan::Step::File { .. } | plan::Step::BoundFile { .. } => Step::File,
            plan::Step::Remount { .. } => Step::Remount,
            plan::Step::Chmod { .. } => Step::Chmod,
            plan::Step::Populate { .. } | plan::Step::PopulateEach { .. } => Step::ShowEntries,
            plan::Step::Cgroup { .. } => Step::Cgroup,
            plan::Step::First {} => Step::ProcessTree,
            plan::Step::Proc { .. } => Step::Proc,
            plan::Step::Mask { .. } => Step::MaskProc,
            plan::Step::ReadOnly { .. } => Step::ReadOnlyProc,
            plan::Step::NoNestedUsers { .. } => Step::NoNestedUsers,
            plan::Step::Pivot {} => Step::PivotRoot,
            plan::Step::ReadOnlyRoot {} => Step::ReadOnlyRoot,
            plan::Step::Readable { .. } | plan::Step::Reach { .. } => Step::CheckReadable,
            plan::Step::Keyring { .. } => Step::Keyring,
            plan::Step::Terminals { .. } => Step::Terminals,
            plan::Step::Seal { .. } => Step::DropPrivileges,
            plan::Step::CgroupNamespace {} => Step::CgroupNamespace,
            plan::Step::Watch { .. } => Step::ProcessView,
            plan::Step::Landlock { .. } => Step::Landlock,
            plan::Step::AdoptRoot { .. } => Step::AdoptRoot,
            plan::Step::ReservePids {} => Step::ReservePids,
            plan::Step::Lend {} => Step::LendNamespaces,
            plan::Step::Filter { .. } => Step::SeccompFilter,
        }
    }
}
