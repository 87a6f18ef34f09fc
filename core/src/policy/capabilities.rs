//! The capabilities that a command can keep: `capabilities(7)`.

use crate::base::declared::named;

named! {
    /// A capability, in the user namespace of the sandbox.
    #[non_exhaustive]
    Capability {
        /// Change the owner and group of files.
        Chown = "chown",
        /// Ignore the permissions of files.
        DacOverride = "dac_override",
        /// Read every file and search every directory.
        DacReadSearch = "dac_read_search",
        /// Act as the owner of every file.
        Fowner = "fowner",
        /// Keep set-user-ID bits when a file changes.
        Fsetid = "fsetid",
        /// Send signals to every process.
        Kill = "kill",
        /// Take any group id.
        Setgid = "setgid",
        /// Take any user id.
        Setuid = "setuid",
        /// Change the bounding and inheritable sets.
        Setpcap = "setpcap",
        /// Set the attributes append-only and immutable.
        LinuxImmutable = "linux_immutable",
        /// Bind ports below 1024.
        NetBindService = "net_bind_service",
        /// Unused by the kernel.
        NetBroadcast = "net_broadcast",
        /// Configure the network.
        NetAdmin = "net_admin",
        /// Use raw and packet sockets.
        NetRaw = "net_raw",
        /// Lock memory.
        IpcLock = "ipc_lock",
        /// Ignore the permissions of System V IPC objects.
        IpcOwner = "ipc_owner",
        /// Load kernel modules.
        SysModule = "sys_module",
        /// Access ports and devices directly.
        SysRawio = "sys_rawio",
        /// Change the root directory, and join mount namespaces.
        SysChroot = "sys_chroot",
        /// Trace every process.
        SysPtrace = "sys_ptrace",
        /// Turn process accounting on and off.
        SysPacct = "sys_pacct",
        /// Mount, and many other things.
        SysAdmin = "sys_admin",
        /// Reboot.
        SysBoot = "sys_boot",
        /// Raise priorities, and set those of others.
        SysNice = "sys_nice",
        /// Exceed limits, and raise those of namespaces.
        SysResource = "sys_resource",
        /// Set the clocks of the machine.
        SysTime = "sys_time",
        /// Configure terminals.
        SysTtyConfig = "sys_tty_config",
        /// Make device nodes.
        Mknod = "mknod",
        /// Take leases on files of others.
        Lease = "lease",
        /// Write to the kernel's audit log.
        AuditWrite = "audit_write",
        /// Configure the kernel's audit.
        AuditControl = "audit_control",
        /// Set the capabilities of files.
        Setfcap = "setfcap",
        /// Override a security module.
        MacOverride = "mac_override",
        /// Configure a security module.
        MacAdmin = "mac_admin",
        /// Read and configure the kernel's log.
        Syslog = "syslog",
        /// Set timers that wake the machine.
        WakeAlarm = "wake_alarm",
        /// Keep the machine awake.
        BlockSuspend = "block_suspend",
        /// Read the audit log.
        AuditRead = "audit_read",
        /// Observe performance.
        Perfmon = "perfmon",
        /// Load BPF programs.
        Bpf = "bpf",
        /// Choose process ids, and what else a restore of processes needs.
        CheckpointRestore = "checkpoint_restore",
    }
}

impl Capability {
    /// The number in the kernel, such as 12 for CAP_NET_ADMIN.
    pub fn number(self) -> u32 {
        // The variants have the kernel's order.
        self as u32
    }
}
