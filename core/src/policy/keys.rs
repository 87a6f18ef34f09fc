//! The keys of a policy, each declared once: what it means, of what kind it is, and where the
//! policy holds it.
//!
//! From this list come the reader and the writer of policies as text (`spec`), the plain setters of
//! [`Sandbox`](crate::Sandbox), C's `seclude_sandbox_...` of the same names, the keywords of
//! Python's `Sandbox`, and the table in docs/policy.md. To add a key of a plain kind, add a field
//! to the policy and a line here, say in `check` what it may not be, and do with it what it is for;
//! then `make faces`.

/// Hands every key to the macro `$apply`: documentation, kind, name, and its field.
///
/// | kind | value |
/// |---|---|
/// | `text` | a text in UTF-8 |
/// | `path` | a path |
/// | `id` | a number of 32 bits |
/// | `size` | bytes: `"64M"` |
/// | `count` | a number of 64 bits |
/// | `time` | a `Duration`, seconds, or `"200ms"` |
/// | `fraction` | a number that may have a fraction |
/// | `flag` | true; its setter takes nothing |
/// | `own` | of a type of its own: each language has a setter that fits it |
/// | `special` | read and written by hand, too |
macro_rules! for_each_key {
    ($apply:ident) => {
        $apply! {
            /// The caller's namespaces of these kinds are used. All but `time` are the sandbox's
            /// own otherwise.
            own share at share,
            /// Namespaces of these kinds are the sandbox's own: of use for `time`, which is shared
            /// otherwise.
            own unshare at unshare,
            /// The host name, 1 to 64 bytes. `sandbox` if nothing is said.
            text hostname at hostname,
            /// The NIS domain name, 1 to 64 bytes. The caller's if nothing is said.
            text domainname at domainname,
            /// Shifts these clocks by so many whole seconds, forwards or back, in a time namespace
            /// (Linux 5.6).
            own clock_offsets at clock_offsets,
            /// The user id inside. 1000 if nothing is said; 0 is root inside, without any power.
            ///
            /// An unprivileged caller's own id stands behind it outside. Behind a privileged
            /// caller's stands the first of `host_ids` plus this number, which must then be below
            /// the count of these: never the host's root.
            id uid at uid,
            /// The group id inside, as for `uid`.
            id gid at gid,
            /// The user's name in `/etc/passwd` and `/etc/group`. `user` if nothing is said. No
            /// colon, slash or newline.
            text user at user,
            /// The user's home directory in `/etc/passwd` and HOME, an absolute path. `/tmp` if
            /// nothing is said. It is not made.
            path home at home,
            /// The first of the host's ids that the ids inside from 0 on map to, if the caller is
            /// privileged; not 0. There are 65536 of them, or as many as the caller's user
            /// namespace maps from there on. Ids that cannot be had are an error. Sandboxes that
            /// must not touch each other's files want ranges of their own.
            ///
            /// If nothing is said, the range begins at 0x70000000, which distributions leave
            /// unused. A caller whose user namespace has no such ids, as in a container, uses the
            /// highest ids that this has, as many as the sandbox's uid and gid need.
            id host_ids at host_ids,
            /// The programs are those of this directory, which holds another system, instead of the
            /// host's `/usr`. Its top level is shown read-only, but for `/dev`, `/proc`, `/run`,
            /// `/sys` and `/tmp`; nothing is ever written to it.
            special root,
            /// There are no programs but what is bound.
            special empty_root,
            /// The names in the host's `/etc` that are shown, instead of the usual ones, which
            /// docs/policy.md lists; none if the list is empty. A `*` in the last part of a name
            /// stands for any characters.
            own etc at etc,
            /// The root directory itself, a file system in memory, stays writable.
            flag writable_root at writable_root,
            /// Pseudo-terminals of the sandbox's own: `/dev/pts`, `/dev/ptmx` and `/dev/tty`
            /// (docs/terminals.md). They are there if nothing is said, unless the policy puts
            /// something else at their places or shares the mount namespace.
            own terminals at terminals,
            /// What else stands in the file system: binds, file systems in memory, directories,
            /// links, files.
            own files at files,
            /// Programs inside may make user namespaces, and so sandboxes of their own. `/proc` is
            /// then neither masked nor hidden in part, because the kernel gives a fresh one only to
            /// a process that sees a whole one.
            flag nested at nested,
            /// Which system calls may be made: a profile by name, or one with rules over it
            /// (docs/filters.md). If nothing is said, the profile is `nested` with the key
            /// `nested`, else `default`.
            own seccomp at seccomp,
            /// Further filters, as the kernel takes them: instructions of 8 bytes (`struct
            /// sock_filter`).
            own seccomp_bpf at seccomp_bpf,
            /// Whether Landlock says once more what the mounts and namespaces say, where the kernel
            /// can (`landlock(7)`).
            own landlock at landlock,
            /// The only TCP ports that may be bound (Linux 6.7).
            own tcp_bind at tcp_bind,
            /// The only TCP ports that may be connected to, wherever they are (Linux 6.7).
            own tcp_connect at tcp_connect,
            /// Resource limits of each process, soft and hard: `setrlimit(2)`. If nothing is said:
            /// core 1 byte, which is no dump; nofile 1024 of at most 10240; memlock 8 MiB; stack 8
            /// MiB of at most what the caller has; sigpending 4096; and the rest as the caller has
            /// it.
            own rlimits at rlimits,
            /// The most memory of all that runs inside, the warden and its kernel structures
            /// included; files in memory (tmpfs) count. No swap is used unless `swap` grants some.
            /// No limit if nothing is said, and so below.
            ///
            /// By a cgroup, the kernel ends a process when there is nothing left to reclaim, and
            /// the end is `memory-limit` even if the first process went on. Without one it is
            /// sampled: what the processes hold together, without files in memory, is looked at
            /// every few milliseconds.
            size memory at limits.memory,
            /// The most swap besides the memory. Takes a cgroup, and a kernel that counts swap.
            size swap at limits.swap,
            /// The most processor time, user and system, of all processes inside together. When it
            /// is used up, everything inside is killed, and the end is `cpu-time`.
            ///
            /// The warden reads the cgroup's counter as often as the rest of the time demands;
            /// without a cgroup, the sum of what the processes tell.
            time cpu_time at limits.cpu_time,
            /// How many processors' worth of time it may use at once: 0.01 to 8192. Takes a cgroup.
            fraction cpus at limits.cpus,
            /// The share of processor time where others want it too: 1 to 10000; 100 is usual.
            /// Takes a cgroup.
            id cpu_weight at limits.cpu_weight,
            /// The processors that it may run on, by their numbers from 0. Takes a cgroup.
            own cpu_set at limits.cpu_set,
            /// The most processes and threads at one time, the warden not counted. One more is
            /// refused (EAGAIN); if the command then does not exit with code 0, its end is
            /// `process-limit`.
            ///
            /// Without a cgroup nobody tells who was refused: then it is the end of a command that
            /// was seen at its limit, and failed. Before Linux 5.14 it is then sampled: nothing is
            /// refused, and what is seen above the limit is killed.
            count pids at limits.pids,
            /// Rates of reading and writing, for each device. Takes a cgroup.
            own io at limits.io,
            /// How long a command may take. When it is over, everything inside is killed, and the
            /// end is `wall-time`.
            time wall_time at limits.wall_time,
            /// A signal to the command's process group when the wall time is over, and how much
            /// later it is killed. The end is `wall-time` either way; the outcome's `status` says
            /// what the command made of it.
            own wall_time_grace at limits.grace,
            /// The most bytes to the standard output, and the most to the standard error, whether
            /// they are collected or passed on. A command that writes more is killed, and the end
            /// is `output-limit`; exactly the first so many bytes arrive.
            ///
            /// Both streams are then pipes to the warden, which passes on what it reads. Streams
            /// that are the same file count as one. If nothing is said, only what is collected is
            /// counted: at most 64 MiB of each stream.
            size output at limits.output,
            /// Limits that must be held exactly, and not by looks at an interval, or the command
            /// does not start.
            special require,
            /// Limits that may go missing where the host cannot hold them: the outcome tells.
            special best_effort,
            /// The directory of a mounted cgroup v2 hierarchy below which the sandbox's cgroup is
            /// made. The caller may write it, and no process is directly in it; controllers that it
            /// lacks are turned on in it. The environment variable SECLUDE_CGROUP does the same. If
            /// nothing is said, one is looked for (docs/limits.md).
            path cgroup at cgroup,
            /// The installed warden to execute instead of the one in the library, for hosts that
            /// grant user namespaces by the path of the executable (AppArmor) or forbid executing
            /// memory (`vm.memfd_noexec=2`). `make install` puts one at `libexec/seclude/warden`.
            /// The environment variable SECLUDE_WARDEN does the same.
            path warden at warden,
        }
    };
}
pub(crate) use for_each_key;
