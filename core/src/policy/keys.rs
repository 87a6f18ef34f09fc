//! The keys of a policy. Each key is declared once, with its meaning, its kind of value and its
//! field in the policy.
//!
//! This list generates the text reader and writer (`spec`), the plain setters of
//! [`Sandbox`](crate::Sandbox), the C functions `seclude_sandbox_...` of the same names, the
//! keywords of Python's `Sandbox`, and the table in docs/policy.md.
//!
//! To add a key of a plain kind: add a field to the policy and a line here, reject its invalid
//! values in `check`, implement its effect, and run `make faces`.

/// Passes every key to the macro `$apply`: documentation, kind, name and field.
///
/// | kind | value |
/// |---|---|
/// | `text` | a text in UTF-8 |
/// | `texts` | a list of texts in UTF-8, which replaces an earlier one |
/// | `path` | a path |
/// | `id` | a 32-bit number |
/// | `size` | a number of bytes: `"64M"` |
/// | `count` | a 64-bit number |
/// | `time` | a `Duration`, seconds, or `"200ms"` |
/// | `fraction` | a number that may have a fraction |
/// | `flag` | true; the setter takes no argument |
/// | `own` | a value of a specific type, for which each language has a handwritten setter |
/// | `special` | as `own`, and the text reader and writer are handwritten, too |
macro_rules! for_each_key {
    ($apply:ident) => {
        $apply! {
            /// The kinds of namespace that the sandbox shares with the caller. By default it has
            /// its own of every kind except `time`.
            own share at share,
            /// The kinds of namespace that the sandbox has of its own. Only needed for `time`,
            /// which is shared by default.
            own unshare at unshare,
            /// The name of the private network that the sandbox is a member of (docs/networks.md).
            /// A policy as text only names it, and the program gives it. `host` is the network of
            /// the host: the same as to share `net`. Default: none. The sandbox then has a network
            /// with nothing but a loopback device.
            own network at network,
            /// The address in the network, IPv4 or IPv6. The address in the other subnet has the
            /// same number. By default the network chooses one that no member has.
            text address at address,
            /// The TCP and UDP ports that are published on the host, each in the form
            /// `[ADDRESS:][PORT:]PORT[/udp]` (docs/networks.md). The last port is the one in the
            /// sandbox. By default the address is 127.0.0.1, and the kernel chooses the port.
            texts ports at ports,
            /// The destinations that the sandbox may reach outside, each in the form
            /// `HOST[:PORT[-PORT]][/PROTOCOL]` (docs/egress.md). HOST is a name, `*.` and a name,
            /// an address, a network such as `10.0.0.0/8`, or `*`. Default: none.
            texts egress at egress,
            /// Destinations that are denied, although `egress` allows them. They have the same
            /// form.
            texts egress_deny at egress_deny,
            /// The addresses to which names lead instead of their own, each in the form
            /// `NAME=ADDRESS[:PORT]`. `egress` must allow the name. The address may be one of the
            /// host's.
            texts egress_names at egress_names,
            /// Credentials that the caller adds to what the sandbox sends to a host, each in the
            /// form `ORIGIN=FILE` (docs/egress.md). ORIGIN is `https://NAME[:PORT]`, or `http://`
            /// without encryption, and `egress` must allow it. The program speaks plain HTTP to
            /// port 80 of NAME, and the caller speaks to ORIGIN. FILE is an absolute path of the
            /// caller's, with lines of the form `HEADER: VALUE`. The caller reads it when the
            /// sandbox starts, and adds the headers to each request.
            texts egress_credentials at egress_credentials,
            /// Asks the program that runs the sandbox about destinations that no rule allows and
            /// none denies. A policy as text only says so, and the program gives a function that
            /// decides (docs/egress.md).
            flag egress_ask at egress_ask,
            /// The host name, 1 to 64 bytes. Default: `sandbox`. The members of a network find each
            /// other by it, if it is set.
            text hostname at hostname,
            /// The NIS domain name, 1 to 64 bytes. Default: the caller's.
            text domainname at domainname,
            /// Offsets of these clocks in whole seconds, positive or negative. The sandbox then has
            /// its own time namespace (Linux 5.6).
            own clock_offsets at clock_offsets,
            /// The user id inside. Default: 1000. The id 0 is root inside, without any capability.
            ///
            /// Outside, the command of an unprivileged caller has the caller's own id. The command
            /// of a privileged caller has the id `host_ids` plus this number, and never the host's
            /// root. This number must then be below the number of mapped ids (see `host_ids`).
            id uid at uid,
            /// The group id inside. The rules for `uid` apply.
            id gid at gid,
            /// The user's name in `/etc/passwd` and `/etc/group`, without colon, slash and newline.
            /// Default: `user`.
            text user at user,
            /// The user's home directory in `/etc/passwd` and HOME, an absolute path. Default:
            /// `/tmp`. The directory is not created.
            path home at home,
            /// The first host id to which a privileged caller's sandbox maps its ids, starting with
            /// id 0 inside. Must not be 0. The sandbox maps 65536 ids, or as many as the caller's
            /// user namespace has from there on. It is an error if the caller's user namespace
            /// lacks the requested ids. Give sandboxes different ranges if they must not access
            /// each other's files.
            ///
            /// By default the range starts at 0x70000000, which distributions leave unused. If the
            /// caller's user namespace lacks these ids, as in a container, the sandbox uses its
            /// highest ids, as many as uid and gid need.
            id host_ids at host_ids,
            /// How many ids the sandbox has: `single`, `range` or `auto`, which is a range if the
            /// caller can have one (docs/ids.md). By default, a privileged caller's sandbox has a
            /// range, and others have one user and one group.
            ///
            /// The range of an unprivileged caller consists of its subordinate ids (subuid(5)),
            /// which newuidmap(1) maps: 0 inside is the caller, and those from 1 on are the
            /// subordinate ones. With `uid` and `gid` 0, the command is then the caller's own user,
            /// and can be given capabilities over the others.
            own ids at ids,
            /// Lets the command be the caller's own user and group outside, even if the caller is
            /// privileged. `uid` and `gid` still are its numbers inside.
            ///
            /// Only for programs that the caller trusts, such as its own tests. The command of the
            /// host's root then owns root's files, and can change those that writable binds show.
            /// It has no capability over them.
            flag as_caller at as_caller,
            /// A directory that holds another system, whose programs replace those in the host's
            /// `/usr`. Its top level is visible read-only, except `/dev`, `/proc`, `/run`, `/sys`
            /// and `/tmp`. Nothing is written to it.
            special root,
            /// The sandbox contains no programs except those in `files`.
            special empty_root,
            /// The visible names in the host's `/etc`, instead of the default list in
            /// docs/policy.md. With an empty list, none is visible. A `*` in the last part of a
            /// name matches any characters.
            own etc at etc,
            /// Keeps the root directory, a tmpfs, writable.
            flag writable_root at writable_root,
            /// The file system consists of the entries in `files` alone, which are applied in their
            /// order. There is no program of the host's, no `/dev`, `/proc` and `/tmp` unless an
            /// entry adds it (`proc`, `dev`).
            ///
            /// An entry may be at `/`, and several may be at one path: a later mount covers what is
            /// there. Directories, links, files and mount points are also created in writable
            /// binds, and so in the caller's directories. The root is writable unless an entry
            /// makes it read-only (`read_only`). With a shared pid namespace, a proc must be
            /// visible at `/proc`.
            flag exact_files at exact_files,
            /// Whether the sandbox has its own pseudo-terminals: `/dev/pts`, `/dev/ptmx` and
            /// `/dev/tty` (docs/terminals.md). Default: true, unless the policy puts something else
            /// in their place or shares the mount namespace.
            own terminals at terminals,
            /// Shows nothing but processes in `/proc`: the mount option `subset=pid` (`proc(5)`,
            /// Linux 5.8). The files about the whole machine are not there, among them `cpuinfo`,
            /// `meminfo`, `stat`, `loadavg`, `mounts` and `sys`. Programs that ask how many
            /// processors and how much memory there is then may guess or fail. It also applies to
            /// `proc` entries. Excludes `nested` and a shared pid namespace.
            flag proc_subset at proc_subset,
            /// The command is process 1 of its process tree, as some programs insist on being:
            /// systemd, s6, runit. Otherwise process 1 is the sandbox's own, which reaps orphans.
            ///
            /// The kernel delivers no signal to process 1 for which it has no handler, but SIGKILL
            /// and SIGSTOP of the caller (`pid_namespaces(7)`). Orphans become its children. When
            /// it ends, everything inside ends. One command alone can be process 1: such a sandbox
            /// has no cell and no reusing pool. Excludes a shared or joined pid or mount
            /// namespace. Needs the mount calls of Linux 5.2.
            flag as_pid_1 at as_pid_1,
            /// Additional entries of the file system: binds, tmpfs, directories, links, files.
            own files at files,
            /// The host's devices that the command may use (docs/hardware.md). Each is a class of
            /// device nodes: `accel`, `dri`, `fuse`, `kfd`, `kvm`, `render`, `snd`, `tun` or
            /// `video`, with all that the host has of it. Or it is a device of a CDI specification,
            /// of the form `vendor.com/class=name`. Default: none.
            ///
            /// It is an error if the host has no such device, and for a privileged caller if the
            /// command's user may not open a node. A device of a specification can bring further
            /// files, links and environment variables with it.
            texts devices at devices,
            /// The directories with CDI specifications, instead of `/etc/cdi` and `/var/run/cdi`.
            /// In which one a device is found last counts.
            texts cdi_spec_dirs at cdi_spec_dirs,
            /// Lets programs inside create user namespaces, and so nested sandboxes. `/proc` is
            /// then neither masked nor partly hidden, because the kernel allows a fresh procfs only
            /// where a complete one is visible.
            flag nested at nested,
            /// The capabilities that the command keeps in the sandbox's user namespace, such as
            /// `net_admin` (`capabilities(7)`). Default: none. Without `nested`, `sys_resource` is
            /// not allowed, because it lifts the ban on user namespaces.
            ///
            /// With a shared user namespace and `as_caller`, these are the caller's own, and act on
            /// the whole host. With `sys_admin` or `sys_ptrace`, a program can undo mounts of the
            /// sandbox or stop the warden. Only for programs that the caller trusts.
            own capabilities at capabilities,
            /// The seccomp filter: the name of a profile, or a profile with additional rules
            /// (docs/filters.md). Default: the profile `nested` if `nested` is set, else `default`.
            own seccomp at seccomp,
            /// Additional seccomp filters as BPF programs, which consist of instructions of 8 bytes
            /// (`struct sock_filter`).
            own seccomp_bpf at seccomp_bpf,
            /// Whether a Landlock ruleset repeats what the mounts and namespaces enforce, as far as
            /// the kernel supports it (`landlock(7)`). Default: true.
            own landlock at landlock,
            /// The only TCP ports that the sandbox may bind (Linux 6.7).
            own tcp_bind at tcp_bind,
            /// The only TCP ports that the sandbox may connect to, on any host (Linux 6.7).
            own tcp_connect at tcp_connect,
            /// The soft and hard resource limits of each process: `setrlimit(2)`. Default: core 1
            /// byte, which disables core dumps; nofile 1024, hard limit 10240; memlock 8 MiB; stack
            /// 8 MiB, with the caller's hard limit; sigpending 4096; all others as the caller's.
            own rlimits at rlimits,
            /// The largest amount of memory for all processes inside together, including the
            /// warden, its kernel structures and files in memory (tmpfs). No swap is used unless
            /// `swap` allows it. Default: no limit. The other limits have the same default, except
            /// `output`.
            ///
            /// With a cgroup, the kernel kills a process when it can reclaim no more memory. The
            /// command then ends with `memory-limit`, even if its first process continues. Without
            /// a cgroup, the warden samples the sum of the memory of all processes every few
            /// milliseconds, without files in memory.
            size memory at limits.memory,
            /// The largest amount of swap in addition to `memory`. Needs a cgroup, and a kernel
            /// that accounts swap.
            size swap at limits.swap,
            /// The largest processor time, user and system, of all processes inside together. When
            /// it is used up, all processes inside are killed and the command ends with `cpu-time`.
            ///
            /// The warden reads the cgroup's counter at intervals that shrink with the remaining
            /// time. Without a cgroup it reads the sum over all processes.
            time cpu_time at limits.cpu_time,
            /// The number of processors that the sandbox may keep busy at once: 0.01 to 8192. Needs
            /// a cgroup.
            fraction cpus at limits.cpus,
            /// The unused processor time of `cpus` that the sandbox can save up and use later,
            /// beyond its quota: at most what `cpus` gives in 100 ms. For programs that mostly
            /// wait, and must then answer quickly. Default: none. Needs `cpus`, a cgroup and
            /// Linux 5.14.
            time cpu_burst at limits.cpu_burst,
            /// The weight of the sandbox when it competes for processor time: 1 to 10000. The usual
            /// weight is 100. Needs a cgroup.
            id cpu_weight at limits.cpu_weight,
            /// The numbers of the processors that the sandbox may run on, starting at 0. Needs a
            /// cgroup.
            own cpu_set at limits.cpu_set,
            /// The largest number of processes and threads at one time, without the warden. The
            /// kernel refuses to create more (EAGAIN). A command that was refused one and does not
            /// exit with code 0 ends with `process-limit`.
            ///
            /// Without a cgroup, refusals are not counted. The end is then `process-limit` if the
            /// command was seen at its limit and failed. Before Linux 5.14 a limit without a cgroup
            /// is sampled: nothing is refused, and the warden kills the processes that it sees
            /// above the limit.
            count pids at limits.pids,
            /// Limits on the rate of reads and writes of each device. Needs a cgroup.
            own io at limits.io,
            /// The largest duration of a command. When it is over, all processes inside are killed
            /// and the command ends with `wall-time`.
            time wall_time at limits.wall_time,
            /// A signal for the command's process group at the end of the wall time, and the time
            /// from then until the command is killed. The command ends with `wall-time` in any
            /// case. The outcome's `status` tells how its first process ended.
            own wall_time_grace at limits.grace,
            /// The largest number of bytes to each of standard output and standard error, whether
            /// they are collected or passed on. A command that writes more is killed and ends with
            /// `output-limit`. Exactly the allowed number of bytes arrives.
            ///
            /// Both streams are then pipes to the warden, which passes on what it reads. If both
            /// are the same file, they count as one stream. By default only collected streams are
            /// limited, to 64 MiB each.
            size output at limits.output,
            /// Limits that must be enforced exactly, not by sampling. Otherwise the command does
            /// not start.
            special require,
            /// Limits that the command may run without if the host cannot enforce them, and parts
            /// of the isolation that it may run without if the host denies namespaces: `namespaces`
            /// and others (docs/confined.md). The outcome lists what was enforced.
            special best_effort,
            /// The parent directory of the sandbox's cgroup, in a mounted cgroup v2 hierarchy. The
            /// caller must have write access, and no process may be directly in it. The library
            /// enables missing controllers there. The environment variable SECLUDE_CGROUP has the
            /// same effect. By default the library looks for a suitable directory (docs/limits.md).
            path cgroup at cgroup,
            /// An installed warden to execute instead of the built-in one. Needed on hosts that
            /// allow user namespaces by the path of the executable (AppArmor), or forbid to execute
            /// memory files (`vm.memfd_noexec=2`). `make install` puts one at
            /// `libexec/seclude/warden`. The environment variable SECLUDE_WARDEN has the same
            /// effect.
            path warden at warden,
        }
    };
}
pub(crate) use for_each_key;
