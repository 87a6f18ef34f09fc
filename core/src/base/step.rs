//! The steps in which a sandbox is set up and a command is started, as a closed set to match on.

use crate::base::declared::named;

named! {
    /// What the library was doing when it failed, between the clone and the program's first
    /// instruction: [`Error::step_kind`](crate::Error::step_kind).
    ///
    /// [`Error::step`](crate::Error::step) is the same in words, with the object of the step.
    #[non_exhaustive]
    Step {
        /// Make the namespaces and execute the warden: `clone(2)`, `execveat(2)`.
        Launch = "launch",
        /// Enter namespaces that exist: `setns(2)`.
        Join = "join",
        /// Reset what a process inherits: ignored signals, the umask, the timer slack.
        Attributes = "attributes",
        /// Open a path of the caller's: the source of a bind, or a root.
        OpenSource = "open-source",
        /// Open a device node of the host.
        OpenDevice = "open-device",
        /// Wait until the caller has written the id maps and moved the warden into its cgroups.
        Admission = "admission",
        /// Open a view of the processes inside, for limits that are sampled.
        ProcessView = "process-view",
        /// Keep process ids for the wardens of commands that enter a cell.
        ReserveIds = "reserve-ids",
        /// Write an id map of one line.
        MapIds = "map-ids",
        /// Compare the kernel's id maps with those that were written.
        CheckIds = "check-ids",
        /// Become the user and group of the command.
        BecomeUser = "become-user",
        /// Check that the command's user may read a source.
        CheckReadable = "check-readable",
        /// Make a time namespace and set its clocks.
        Clocks = "clocks",
        /// Make a cgroup namespace.
        CgroupNamespace = "cgroup-namespace",
        /// Set the host name.
        HostName = "host-name",
        /// Set the NIS domain name.
        DomainName = "domain-name",
        /// Bring up the loopback device.
        Loopback = "loopback",
        /// Separate the mounts from the caller's.
        PrivateMounts = "private-mounts",
        /// Mount a tmpfs as the new root.
        Root = "root",
        /// Show entries of a directory: the host's programs, or those of another root.
        ShowEntries = "show-entries",
        /// Bind a file or directory.
        Bind = "bind",
        /// Mount a tmpfs.
        Tmpfs = "tmpfs",
        /// Make a directory.
        Directory = "directory",
        /// Make a file.
        File = "file",
        /// Make a symbolic link.
        Symlink = "symlink",
        /// Mount a proc file system.
        Proc = "proc",
        /// Mask files of `/proc`.
        MaskProc = "mask-proc",
        /// Make files of `/proc` read-only.
        ReadOnlyProc = "read-only-proc",
        /// Mount a devpts file system.
        Terminals = "terminals",
        /// Make the new root the root: `pivot_root(2)`.
        PivotRoot = "pivot-root",
        /// Make the root read-only.
        ReadOnlyRoot = "read-only-root",
        /// Take over the file system of a template or a cell.
        TakeOver = "take-over",
        /// Forbid nested user namespaces.
        NoNestedUsers = "no-nested-users",
        /// Make a Landlock ruleset.
        Landlock = "landlock",
        /// Join a new session keyring.
        Keyring = "keyring",
        /// Give up all capabilities.
        DropPrivileges = "drop-privileges",
        /// Load the warden's seccomp filter.
        SeccompFilter = "seccomp-filter",
        /// Start the command in the finished sandbox.
        Start = "start",
    }
}
