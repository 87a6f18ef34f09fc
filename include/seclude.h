/* seclude.h: runs a program alone, in its own Linux namespaces, inside limits the caller sets, and says exactly how it ended.
 *
 *     seclude_sandbox *sandbox = seclude_sandbox_new();
 *     seclude_sandbox_tmpfs(sandbox, "/tmp", 64u << 20);
 *     seclude_command *command = seclude_sandbox_command(sandbox, "echo");
 *     seclude_command_arg(command, "hello");
 *     seclude_outcome outcome;
 *     seclude_error *err = NULL;
 *     if (seclude_command_run(command, &outcome, sizeof outcome, &err) < 0)
 *         fprintf(stderr, "%s\n", seclude_error_message(err));
 *     seclude_error_free(err);
 *     seclude_command_free(command);
 *     seclude_sandbox_free(sandbox);
 *
 * A sandbox is a policy; a command is what to run in it; a child is a running command; an outcome says how it ended, what it used and
 * what was enforced. Link with the flags that `pkg-config --cflags --libs seclude` prints; for a program that is static as a whole,
 * `cc -static` with those of `pkg-config --static --cflags --libs seclude`.
 *
 * RESULTS. Functions that can fail return an int: 0 or more is success, a negative number is one of SECLUDE_E..., and `*err`
 * then holds a new error to read and free. After success `*err` is as it was. `err` may be NULL. There is no errno to look at.
 *
 * SETTERS return nothing. Their first error sticks to the object, later ones change nothing, and whatever uses the object
 * reports it: nothing ever runs with half a policy.
 *
 * OWNERSHIP. What a function gives through a pointer to a pointer, or returns as a pointer that is not const, is the caller's, who frees it
 * once with the _free function of its type; _free(NULL) does nothing. Strings, bytes and descriptors that go in are copied. A
 * const pointer that comes out is borrowed from its object. After a failure, an object asked for is NULL.
 *
 * NULL where an object or a string is needed is SECLUDE_EINVAL, or the error that sticks, or a no-op: never a crash.
 *
 * THREADS. Any thread may use any object. Calls that take it as const may overlap; a call that takes it as not const may overlap
 * with no other on the same object.
 *
 * PROCESS. The library installs no signal handler, starts no thread (but while it learns), needs no SIGCHLD, changes nothing that belongs to the process. After
 * fork(2), the new process may only free objects, which harms nothing of its parent's. Every descriptor is close-on-exec.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 * This file is made by cbindgen from capi/src: `SECLUDE_UPDATE_HEADER=1 cargo test -p seclude-capi` writes it anew.
 */

#ifndef SECLUDE_H
#define SECLUDE_H

#include <stddef.h>
#include <stdint.h>

/**
 * The major version of this header. While it is 0, a new minor version may change the ABI, and the
 * SONAME with it.
 */
#define SECLUDE_VERSION_MAJOR 0

/**
 * The minor version of this header.
 */
#define SECLUDE_VERSION_MINOR 1

/**
 * The patch version of this header.
 */
#define SECLUDE_VERSION_PATCH 0

/**
 * The version of this header as one number that grows: major * 1000000 + minor * 1000 + patch.
 */
#define SECLUDE_VERSION_NUMBER 1000

/**
 * An argument or a part of the policy is not allowed: nothing was started. Also every NULL where
 * an object is needed.
 */
#define SECLUDE_EINVAL -1

/**
 * A policy text cannot be read: not JSON or TOML, an unknown key, a value of the wrong kind.
 */
#define SECLUDE_EPOLICY -2

/**
 * The source of a bind does not exist.
 */
#define SECLUDE_ESOURCE_MISSING -3

/**
 * The source of a bind exists, but the command, or the caller, may not read it; or the command
 * can write nothing in a bind that is to be writable.
 */
#define SECLUDE_ESOURCE_UNREADABLE -4

/**
 * There is no such program inside the sandbox.
 */
#define SECLUDE_EPROGRAM_MISSING -5

/**
 * The program exists inside, but may not be executed.
 */
#define SECLUDE_EPROGRAM_NOT_EXECUTABLE -6

/**
 * The program is not in a format that this machine executes: another architecture, or no program
 * at all.
 */
#define SECLUDE_EPROGRAM_FORMAT -7

/**
 * The program exists inside, but the interpreter that its first line or its ELF header names does
 * not.
 */
#define SECLUDE_EINTERPRETER_MISSING -8

/**
 * The host does not let this process make a user namespace, or gives it no rights in it.
 */
#define SECLUDE_ENAMESPACES_DENIED -9

/**
 * A limit of the host on namespaces, processes, descriptors or memory is reached.
 */
#define SECLUDE_EHOST_LIMIT -10

/**
 * This kernel lacks what was asked for.
 */
#define SECLUDE_EUNSUPPORTED -11

/**
 * Another step of set-up failed: `seclude_error_step` tells which.
 */
#define SECLUDE_ESETUP -12

/**
 * The warden ended without a report: it was killed from outside, or the machine ran out of memory.
 */
#define SECLUDE_EWARDEN_LOST -13

/**
 * An operation on the caller's own side failed: a pipe, a file, a descriptor.
 */
#define SECLUDE_EIO -14

/**
 * A limit that this host cannot hold, or not as exactly as `seclude_sandbox_require` wants it.
 */
#define SECLUDE_ELIMIT_UNAVAILABLE -15

/**
 * The library met a case that it has no code for. Please report it.
 */
#define SECLUDE_EINTERNAL -100

/**
 * The library panicked: a bug. The call has had no effect that lasts; free the objects that it was
 * given. Please report it.
 */
#define SECLUDE_EPANIC -101

/**
 * Make the namespaces and execute the warden: `clone(2)`, `execveat(2)`.
 */
#define SECLUDE_STEP_LAUNCH 1

/**
 * Enter namespaces that exist: `setns(2)`.
 */
#define SECLUDE_STEP_JOIN 2

/**
 * Reset what a process inherits: ignored signals, the umask, the timer slack.
 */
#define SECLUDE_STEP_ATTRIBUTES 3

/**
 * Open a path of the caller's: the source of a bind, or a root.
 */
#define SECLUDE_STEP_OPEN_SOURCE 4

/**
 * Open a device node of the host.
 */
#define SECLUDE_STEP_OPEN_DEVICE 5

/**
 * Wait until the caller has written the id maps and moved the warden into its cgroups.
 */
#define SECLUDE_STEP_ADMISSION 6

/**
 * Open a view of the processes inside, for limits that are sampled.
 */
#define SECLUDE_STEP_PROCESS_VIEW 7

/**
 * Keep process ids for the wardens of commands that enter a cell.
 */
#define SECLUDE_STEP_RESERVE_IDS 8

/**
 * Write an id map of one line.
 */
#define SECLUDE_STEP_MAP_IDS 9

/**
 * Compare the kernel's id maps with those that were written.
 */
#define SECLUDE_STEP_CHECK_IDS 10

/**
 * Become the user and group of the command.
 */
#define SECLUDE_STEP_BECOME_USER 11

/**
 * Check that the command's user may read a source.
 */
#define SECLUDE_STEP_CHECK_READABLE 12

/**
 * Make a time namespace and set its clocks.
 */
#define SECLUDE_STEP_CLOCKS 13

/**
 * Make a cgroup namespace.
 */
#define SECLUDE_STEP_CGROUP_NAMESPACE 14

/**
 * Set the host name.
 */
#define SECLUDE_STEP_HOST_NAME 15

/**
 * Set the NIS domain name.
 */
#define SECLUDE_STEP_DOMAIN_NAME 16

/**
 * Bring up the loopback device.
 */
#define SECLUDE_STEP_LOOPBACK 17

/**
 * Separate the mounts from the caller's.
 */
#define SECLUDE_STEP_PRIVATE_MOUNTS 18

/**
 * Mount a tmpfs as the new root.
 */
#define SECLUDE_STEP_ROOT 19

/**
 * Show entries of a directory: the host's programs, or those of another root.
 */
#define SECLUDE_STEP_SHOW_ENTRIES 20

/**
 * Bind a file or directory.
 */
#define SECLUDE_STEP_BIND 21

/**
 * Mount a tmpfs.
 */
#define SECLUDE_STEP_TMPFS 22

/**
 * Make a directory.
 */
#define SECLUDE_STEP_DIRECTORY 23

/**
 * Make a file.
 */
#define SECLUDE_STEP_FILE 24

/**
 * Make a symbolic link.
 */
#define SECLUDE_STEP_SYMLINK 25

/**
 * Mount a proc file system.
 */
#define SECLUDE_STEP_PROC 26

/**
 * Mask files of `/proc`.
 */
#define SECLUDE_STEP_MASK_PROC 27

/**
 * Make files of `/proc` read-only.
 */
#define SECLUDE_STEP_READ_ONLY_PROC 28

/**
 * Mount a devpts file system.
 */
#define SECLUDE_STEP_TERMINALS 29

/**
 * Make the new root the root: `pivot_root(2)`.
 */
#define SECLUDE_STEP_PIVOT_ROOT 30

/**
 * Make the root read-only.
 */
#define SECLUDE_STEP_READ_ONLY_ROOT 31

/**
 * Take over the file system of a template or a cell.
 */
#define SECLUDE_STEP_TAKE_OVER 32

/**
 * Forbid nested user namespaces.
 */
#define SECLUDE_STEP_NO_NESTED_USERS 33

/**
 * Make a Landlock ruleset.
 */
#define SECLUDE_STEP_LANDLOCK 34

/**
 * Join a new session keyring.
 */
#define SECLUDE_STEP_KEYRING 35

/**
 * Give up all capabilities.
 */
#define SECLUDE_STEP_DROP_PRIVILEGES 36

/**
 * Load the warden's seccomp filter.
 */
#define SECLUDE_STEP_SECCOMP_FILTER 37

/**
 * Start the command in the finished sandbox.
 */
#define SECLUDE_STEP_START 38

/**
 * User and group ids, keyrings, capabilities: user_namespaces(7). The number is that of
 * `CLONE_NEWUSER`, and so below.
 */
#define SECLUDE_NAMESPACE_USER 268435456

/**
 * The file system tree: mount_namespaces(7).
 */
#define SECLUDE_NAMESPACE_MOUNT 131072

/**
 * Process ids: pid_namespaces(7).
 */
#define SECLUDE_NAMESPACE_PID 536870912

/**
 * Network devices, addresses, ports, abstract sockets: network_namespaces(7).
 */
#define SECLUDE_NAMESPACE_NET 1073741824

/**
 * System V IPC, POSIX message queues: ipc_namespaces(7).
 */
#define SECLUDE_NAMESPACE_IPC 134217728

/**
 * Host and domain name: uts_namespaces(7).
 */
#define SECLUDE_NAMESPACE_UTS 67108864

/**
 * The view of the cgroup tree: cgroup_namespaces(7).
 */
#define SECLUDE_NAMESPACE_CGROUP 33554432

/**
 * The monotonic and boot clocks: time_namespaces(7), Linux 5.6.
 */
#define SECLUDE_NAMESPACE_TIME 128

/**
 * The clock that never jumps, and its kin. The number is that of `CLOCK_MONOTONIC`.
 */
#define SECLUDE_CLOCK_MONOTONIC 1

/**
 * The time since boot, and `/proc/uptime`. The number is that of `CLOCK_BOOTTIME`.
 */
#define SECLUDE_CLOCK_BOOTTIME 7

/**
 * For `seclude_sandbox_bind`: the command may write, as far as the file permissions let the user
 * behind it.
 */
#define SECLUDE_BIND_WRITABLE 1

/**
 * For `seclude_sandbox_bind`: passed over if the source does not exist.
 */
#define SECLUDE_BIND_OPTIONAL 2

/**
 * For `seclude_sandbox_bind`: nothing in it can be executed.
 */
#define SECLUDE_BIND_NOEXEC 4

/**
 * For `seclude_sandbox_bind`: device nodes in it work.
 */
#define SECLUDE_BIND_DEVICES 8

/**
 * For `seclude_sandbox_bind`: no symbolic link in the source's path is followed: for a path
 * through a directory that a program inside could write to in an earlier run.
 */
#define SECLUDE_BIND_NOFOLLOW 16

/**
 * For `seclude_sandbox_tmpfs_with`: nothing in it can be executed.
 */
#define SECLUDE_TMPFS_NOEXEC 1

/**
 * No limit, where a size, a number or a resource is limited: `UINT64_MAX`.
 */
#define SECLUDE_UNLIMITED UINT64_MAX

/**
 * Memory, in bytes.
 */
#define SECLUDE_LIMIT_MEMORY 0

/**
 * Swap space, in bytes.
 */
#define SECLUDE_LIMIT_SWAP 1

/**
 * Processor time of the whole tree.
 */
#define SECLUDE_LIMIT_CPU_TIME 2

/**
 * Processors, as a number that may have a fraction.
 */
#define SECLUDE_LIMIT_CPUS 3

/**
 * The share of processor time under contention.
 */
#define SECLUDE_LIMIT_CPU_WEIGHT 4

/**
 * Which processors.
 */
#define SECLUDE_LIMIT_CPU_SET 5

/**
 * Processes and threads at one time.
 */
#define SECLUDE_LIMIT_PIDS 6

/**
 * Bytes and operations a second, for each device.
 */
#define SECLUDE_LIMIT_IO 7

/**
 * Time from the start.
 */
#define SECLUDE_LIMIT_WALL_TIME 8

/**
 * Bytes written to the standard output, and to the standard error.
 */
#define SECLUDE_LIMIT_OUTPUT 9

/**
 * A controller of cgroup v2: the kernel, exactly.
 */
#define SECLUDE_MECHANISM_CGROUP_V2 1

/**
 * A controller of cgroup v1: the kernel, exactly.
 */
#define SECLUDE_MECHANISM_CGROUP_V1 2

/**
 * `setrlimit(2)` in a user namespace of the sandbox's own: the kernel, exactly.
 */
#define SECLUDE_MECHANISM_RLIMIT 3

/**
 * The warden, which all of it passes through.
 */
#define SECLUDE_MECHANISM_WARDEN 4

/**
 * The warden, which looks at an interval: what is above the limit between two looks is not seen.
 */
#define SECLUDE_MECHANISM_SAMPLED 5

/**
 * The call is made.
 */
#define SECLUDE_SECCOMP_ALLOW 1

/**
 * The call fails with an error number of errno(3), 1 to 4095, and nothing else happens.
 */
#define SECLUDE_SECCOMP_DENY 2

/**
 * The call is not made, and the command ends: `SECLUDE_ENDED_SYSCALL`.
 */
#define SECLUDE_SECCOMP_KILL 3

/**
 * The call is made, and the kernel writes it to its log.
 */
#define SECLUDE_SECCOMP_LOG 4

/**
 * The caller decides: `seclude_child_take_listener`.
 */
#define SECLUDE_SECCOMP_NOTIFY 5

/**
 * The argument is the value.
 */
#define SECLUDE_COMPARE_EQUAL 1

/**
 * The argument is not the value.
 */
#define SECLUDE_COMPARE_NOT_EQUAL 2

/**
 * The argument is less than the value.
 */
#define SECLUDE_COMPARE_LESS 3

/**
 * The argument is at most the value.
 */
#define SECLUDE_COMPARE_LESS_OR_EQUAL 4

/**
 * The argument is more than the value.
 */
#define SECLUDE_COMPARE_GREATER 5

/**
 * The argument is at least the value.
 */
#define SECLUDE_COMPARE_GREATER_OR_EQUAL 6

/**
 * For the standard streams: the caller's own stream of that number; `/dev/null` if the caller has
 * closed it, or has it closed on `execve(2)`, as a daemon may.
 */
#define SECLUDE_STDIO_INHERIT -1001

/**
 * For the standard streams: `/dev/null`.
 */
#define SECLUDE_STDIO_NULL -1002

/**
 * For the standard streams: a pipe, whose other end the child object holds
 * (`seclude_child_take_stdin` and its kin).
 */
#define SECLUDE_STDIO_PIPED -1003

/**
 * A stream: a pseudo-terminal that is the sandbox's own and controls the command's session; one
 * for all the streams that say so. Its other side is the child's: `seclude_child_take_terminal`.
 * Takes `seclude_sandbox_terminals`.
 */
#define SECLUDE_STDIO_PTY -1004

/**
 * `cgroup.freeze` of cgroup v2: the kernel stops all processes at once.
 */
#define SECLUDE_FREEZER_CGROUP_V2 1

/**
 * The freezer of cgroup v1: the kernel stops all processes at once.
 */
#define SECLUDE_FREEZER_CGROUP_V1 2

/**
 * SIGSTOP to every process. This is weaker: a parent inside can see that its child has stopped,
 * and a process that gets SIGCONT continues.
 */
#define SECLUDE_FREEZER_SIGNAL 3

/**
 * It ended by itself. The value is the exit code, 0 to 255.
 */
#define SECLUDE_ENDED_EXITED 1

/**
 * A signal killed it, and no limit had a part in it. The value is the signal's number.
 */
#define SECLUDE_ENDED_SIGNALED 2

/**
 * It was still running when its wall time was over. The limit is told in nanoseconds.
 */
#define SECLUDE_ENDED_WALL_TIME 3

/**
 * All processes together used up their processor time. The limit is told in nanoseconds.
 */
#define SECLUDE_ENDED_CPU_TIME 4

/**
 * There was no more memory for it, even if its first process went on. The limit is told in bytes.
 */
#define SECLUDE_ENDED_MEMORY_LIMIT 5

/**
 * It was refused a process or thread, and failed. The limit is told as their number.
 */
#define SECLUDE_ENDED_PROCESS_LIMIT 6

/**
 * It wrote more than it may, or, captured without a limit, more than 64 MiB to a stream. The limit
 * is told in bytes.
 */
#define SECLUDE_ENDED_OUTPUT_LIMIT 7

/**
 * It failed, and a tmpfs is full whose size or number of files the policy limits. The limit is
 * told in bytes or files, whichever ran out.
 */
#define SECLUDE_ENDED_SCRATCH_FULL 8

/**
 * The caller killed it.
 */
#define SECLUDE_ENDED_KILLED 9

/**
 * The warden was killed from outside, and with it all that ran inside. The value is the signal
 * that killed the warden, 0 if nobody can tell.
 */
#define SECLUDE_ENDED_WARDEN_LOST 10

/**
 * It made a system call that its filter answers with `kill`, somewhere inside. The value is the
 * call.
 */
#define SECLUDE_ENDED_SYSCALL 11

/**
 * The cgroup's own peak: all that was charged to it, files in memory and kernel structures among
 * them.
 */
#define SECLUDE_MEMORY_CGROUP 1

/**
 * The largest sum of the processes' peaks (VmHWM) that the warden saw at an interval, and no more
 * than a sampled limit that was kept to.
 */
#define SECLUDE_MEMORY_SAMPLED 2

/**
 * The largest single process alone (`ru_maxrss`): nobody counted the sum.
 */
#define SECLUDE_MEMORY_LARGEST_PROCESS 3

/**
 * What nobody counted, where 0 is a count: `UINT64_MAX`.
 */
#define SECLUDE_UNKNOWN UINT64_MAX

/**
 * A user namespace of its own.
 */
#define SECLUDE_PROTECTION_USER_NAMESPACE 1

/**
 * A mount namespace of its own.
 */
#define SECLUDE_PROTECTION_MOUNT_NAMESPACE 2

/**
 * A process tree of its own.
 */
#define SECLUDE_PROTECTION_PID_NAMESPACE 4

/**
 * A network of its own.
 */
#define SECLUDE_PROTECTION_NET_NAMESPACE 8

/**
 * System V IPC and POSIX message queues of its own.
 */
#define SECLUDE_PROTECTION_IPC_NAMESPACE 16

/**
 * Host and domain name of its own.
 */
#define SECLUDE_PROTECTION_UTS_NAMESPACE 32

/**
 * A view of the cgroup tree of its own.
 */
#define SECLUDE_PROTECTION_CGROUP_NAMESPACE 64

/**
 * Clocks of its own.
 */
#define SECLUDE_PROTECTION_TIME_NAMESPACE 128

/**
 * A file system of its own: the caller's is out of reach.
 */
#define SECLUDE_PROTECTION_OWN_ROOT 256

/**
 * The root is mounted read-only.
 */
#define SECLUDE_PROTECTION_READ_ONLY_ROOT 512

/**
 * The global parts of `/proc` are masked or read-only.
 */
#define SECLUDE_PROTECTION_MASKED_PROC 1024

/**
 * All five capability sets are empty.
 */
#define SECLUDE_PROTECTION_NO_CAPABILITIES 2048

/**
 * User id 0 has no meaning of its own (locked securebits).
 */
#define SECLUDE_PROTECTION_LOCKED_SECUREBITS 4096

/**
 * No program executed inside gains privileges.
 */
#define SECLUDE_PROTECTION_NO_NEW_PRIVILEGES 8192

/**
 * No supplementary groups. Missing for an unprivileged caller who has some: the kernel does not
 * let it drop them.
 */
#define SECLUDE_PROTECTION_NO_GROUPS 16384

/**
 * No user namespaces can be made inside.
 */
#define SECLUDE_PROTECTION_NO_NESTED_USERS 32768

/**
 * A session keyring of its own.
 */
#define SECLUDE_PROTECTION_OWN_KEYRING 65536

/**
 * A session of its own, without a terminal.
 */
#define SECLUDE_PROTECTION_OWN_SESSION 131072

/**
 * No core dumps.
 */
#define SECLUDE_PROTECTION_NO_CORE_DUMPS 262144

/**
 * The warden can be neither traced nor read from inside.
 */
#define SECLUDE_PROTECTION_HIDDEN_WARDEN 524288

/**
 * Everything inside ends with the warden: the kernel sees to it.
 */
#define SECLUDE_PROTECTION_KILL_BY_NAMESPACE 1048576

/**
 * Everything inside is ended by the warden, one process after another. Weaker: whoever kills the
 * warden from outside frees what is inside.
 */
#define SECLUDE_PROTECTION_KILL_BY_WARDEN 2097152

/**
 * What the warden could not end, the caller ends through a cgroup around it all: together with the
 * one above, where a cgroup can be made.
 */
#define SECLUDE_PROTECTION_KILL_BY_CGROUP 4194304

/**
 * A seccomp filter decides which system calls are made.
 */
#define SECLUDE_PROTECTION_SECCOMP_FILTER 8388608

/**
 * A seccomp filter decides which system calls the warden makes. Missing where the command's kills,
 * or asks the caller, at every call that it does not name.
 */
#define SECLUDE_PROTECTION_FILTERED_WARDEN 16777216

/**
 * Landlock holds it to the files that it is shown, and to writing where it may.
 */
#define SECLUDE_PROTECTION_LANDLOCK_FILES 33554432

/**
 * Landlock keeps its signals inside.
 */
#define SECLUDE_PROTECTION_LANDLOCK_SIGNALS 67108864

/**
 * Landlock keeps it from abstract sockets made outside.
 */
#define SECLUDE_PROTECTION_LANDLOCK_SOCKETS 134217728

/**
 * Landlock holds it to the TCP ports that the policy names.
 */
#define SECLUDE_PROTECTION_LANDLOCK_PORTS 268435456

/**
 * Nothing inside can change the warden: its limits, its priority, its processors. Missing where
 * the command has joined a process tree, for there the warden is a process like others of its
 * user.
 */
#define SECLUDE_PROTECTION_GUARDED_WARDEN 536870912

/**
 * The command is another user than the caller, so that the caller's files and processes are not
 * its own. Missing where the caller can map no id but its own: an unprivileged caller, or one
 * whose user namespace has no other.
 */
#define SECLUDE_PROTECTION_OTHER_USER 1073741824

/**
 * The feature works as documented.
 */
#define SECLUDE_STATE_WORKS 1

/**
 * It works in a lesser way, which the report tells.
 */
#define SECLUDE_STATE_WEAKER 2

/**
 * It does not work.
 */
#define SECLUDE_STATE_MISSING 3

/**
 * A sandbox that is alive: its commands share files, processes and network, and what one leaves
 * behind is there for the next.
 *
 * The sandbox's limits on memory, processes, processor time and input and output bound what all
 * commands use together; those on wall time and output each command by itself. A command's usage
 * is what its first process, and those that this has waited for, have used. Any thread may use a
 * cell at any time, all its calls included.
 */
typedef struct seclude_cell seclude_cell;

/**
 * A running command. Freeing it kills everything inside; so does the caller's end, however it
 * comes.
 */
typedef struct seclude_child seclude_child;

/**
 * What to run in a sandbox: program, arguments, environment, directory, standard streams, further
 * descriptors.
 *
 * Made by `seclude_sandbox_command`. It can be started many times. A mistake in a setter sticks:
 * starting it reports the first one, and the sandbox's before its own.
 */
typedef struct seclude_command seclude_command;

/**
 * What went wrong, and what to do about it. Made by a failing call, freed with
 * `seclude_error_free`. Never changes.
 */
typedef struct seclude_error seclude_error;

/**
 * Commands that talk with each other over pipes: a solution and its judge, say. Each is in its
 * sandbox, with its limits.
 *
 * A mistake in a setter sticks: starting it reports the first one, and a command's before its own.
 */
typedef struct seclude_interaction seclude_interaction;

/**
 * Namespaces that exist, named by a process, a path, or a descriptor. What is said later of a kind
 * replaces what was said before. Nothing is looked up until `seclude_sandbox_join` or
 * `seclude_join_persist`.
 */
typedef struct seclude_join seclude_join;

/**
 * A policy, and namespaces that exist: commands run in those, and what the policy says of the
 * other kinds holds. It holds the namespaces by descriptors: they are there as long as it is. A
 * process tree ends with its first process all the same.
 */
typedef struct seclude_joined seclude_joined;

/**
 * What a program did: its system calls, and the paths that it named.
 */
typedef struct seclude_learned seclude_learned;

/**
 * Where calls are heard that a filter leaves to the caller. Who makes such a call stands still
 * until it has an answer.
 */
typedef struct seclude_listener seclude_listener;

/**
 * The published cells of the caller's user that live, at one moment, by name. Never changes. An
 * index past the end answers 0 or NULL.
 */
typedef struct seclude_named_cells seclude_named_cells;

/**
 * The namespaces that the caller may see. Never changes. An index past the end answers 0 or NULL.
 */
typedef struct seclude_namespaces seclude_namespaces;

/**
 * A system call that waits for an answer. Freed without one, it fails with EPERM.
 *
 * What its arguments point at lies in memory that other threads of the program can change while
 * you look. So `seclude_notification_allow` is no answer to "may it, with these contents": act for
 * the program instead, and answer with the result.
 */
typedef struct seclude_notification seclude_notification;

/**
 * What a finished command wrote, and how it ended. Never changes.
 */
typedef struct seclude_output seclude_output;

/**
 * Keeps sandboxes of one policy ready, so that a command finds one that has only to start it.
 * Every command has one of its own, as fresh and as apart from all others as one that was made for
 * it.
 *
 * They are copies of the policy's template, where it can have one (`seclude_sandbox_prepare`),
 * made by threads of the pool's own: at most one for each processor. At most as many commands run
 * at one time as are kept ready: each has a place, and gives it back when it has ended, whether or
 * not anybody has waited for its child. A start for which there is no place waits
 * (`seclude_command_spawn`), for as long as it is told to (`seclude_command_spawn_timeout`), or
 * not at all (`seclude_command_try_spawn`, `seclude_pool_fd`). Any thread may use a pool at any
 * time, all its calls included. A process forked from the caller has no part in it, and may only
 * free it.
 */
typedef struct seclude_pool seclude_pool;

/**
 * A list of processes, as the caller sees them. What they call themselves is their own word. Never
 * changes. An index past the end answers 0 or NULL.
 */
typedef struct seclude_processes seclude_processes;

/**
 * A terminal of the caller's, in raw mode until this is freed.
 */
typedef struct seclude_raw_mode seclude_raw_mode;

/**
 * What this host allows: a list of checks, in groups, one for each feature. Never changes. An
 * index past the end answers 0 or NULL.
 */
typedef struct seclude_report seclude_report;

/**
 * A policy: what world a program sees, and what it may use. Nothing runs yet.
 *
 * A new one is safe by default: every namespace private but the clocks', no network but loopback,
 * the host's `/usr` read-only, nothing writable but `/tmp` and `/dev/shm`, which are its own, a
 * user id that means nothing outside, no privileges. Each setter opens or shapes one thing. A
 * mistake in a setter sticks: everything that uses the sandbox reports the first one.
 */
typedef struct seclude_sandbox seclude_sandbox;

/**
 * A seccomp filter: a profile, and rules over it. Of the rules that fit a call the last one
 * decides, then the profile. A mistake in a setter sticks: the sandbox that is given the filter
 * has it.
 *
 * Starting the command itself needs no rule: a filter without `execve` lets the program run that
 * the caller names, and no other.
 */
typedef struct seclude_seccomp seclude_seccomp;

/**
 * A text that the library made.
 */
typedef struct seclude_text seclude_text;

/**
 * How files and trees are copied, and how much of them at most: 256 MiB in 10,000 files and
 * directories, 64 deep, unless said otherwise. No symbolic link is followed, and only files and
 * directories are copied.
 */
typedef struct seclude_transfer seclude_transfer;

/**
 * How a command ended, what it used, and which protections and limits were in force while it ran.
 *
 * Functions that fill it take its size, `sizeof(seclude_outcome)`, so that programs and libraries
 * of different versions agree: fields are only ever added at the end, a field that the library
 * does not know reads 0, and one that the program does not know is not written.
 *
 * What it used are the cgroup's counters where the sandbox has one, else the sums over all
 * processes that were waited for, by their parents or by the warden: a process whose parent
 * ignores SIGCHLD is then reaped by the kernel and counted by nobody. The caller's own size and
 * earlier runs are no part of any number.
 */
typedef struct seclude_outcome {
    /**
     * How it ended: one of `SECLUDE_ENDED_...`. 0 while it runs.
     */
    int32_t ended;
    /**
     * The exit code, the signal, or the number of the system call, whose name
     * `seclude_syscall_name` tells: -1 if it was another architecture's. 0 where there is
     * none.
     */
    int32_t value;
    /**
     * The same as one number: the exit code, or minus the signal. A process limit and full
     * scratch space kill nothing, and read as `status`. Every other end, by a limit or by the
     * caller, reads -9, as if by SIGKILL.
     */
    int32_t returncode;
    /**
     * 1 if it exited with code 0, else 0.
     */
    int32_t success;
    /**
     * How its first process itself ended, whatever the end of the whole is called: its exit code,
     * or minus the signal that killed it, which may be ours.
     */
    int32_t status;
    /**
     * 1 if somebody saw that, else 0, and `status` says nothing.
     */
    int32_t status_known;
    /**
     * Where `memory_peak` comes from: one of `SECLUDE_MEMORY_...`.
     */
    int32_t memory_source;
    /**
     * 1 if the kernel kept count of the pressure on it: a cgroup of version 2, Linux 4.20. Else
     * 0, and so are the `pressure_...`.
     */
    int32_t pressure_known;
    /**
     * The value of the limit that is the end, in the unit that `SECLUDE_ENDED_...` tells; 0 where
     * the end is no limit.
     */
    uint64_t limit;
    /**
     * The `SECLUDE_PROTECTION_...` that were really enforced, joined by `|`, as the warden
     * reported them after having done it.
     */
    uint64_t enforced;
    /**
     * What held each limit, by its `SECLUDE_LIMIT_...`: one of `SECLUDE_MECHANISM_...`, 0 where
     * nothing did.
     */
    uint8_t mechanisms[32];
    /**
     * From the command's start to the end of the last process inside. In nanoseconds.
     */
    uint64_t wall_ns;
    /**
     * Processor time in user mode, of the whole tree. In nanoseconds.
     */
    uint64_t user_ns;
    /**
     * Processor time in the kernel, of the whole tree. In nanoseconds.
     */
    uint64_t system_ns;
    /**
     * Memory in use, while it runs; 0 afterwards. In bytes.
     */
    uint64_t memory;
    /**
     * The most memory that was in use at one time. In bytes.
     */
    uint64_t memory_peak;
    /**
     * The most memory that was seen without the pages of files: `RssAnon` and `RssShmem` of the
     * processes, or `anon` and `shmem` of the cgroup. The warden looks every 5 milliseconds or
     * less often, where the memory of the sandbox, or of this command in a cell, is limited. In
     * bytes. `SECLUDE_UNKNOWN` where nobody counted.
     */
    uint64_t anonymous_peak;
    /**
     * The largest resident set that any single process of the tree had. In bytes.
     */
    uint64_t max_rss;
    /**
     * Processes and threads inside, while it runs, the warden not counted; 0 afterwards.
     */
    uint64_t processes;
    /**
     * The most processes and threads at one time: by a cgroup of Linux 6.1, or sampled.
     * `SECLUDE_UNKNOWN` where nobody counted.
     */
    uint64_t processes_peak;
    /**
     * Page faults served without I/O.
     */
    uint64_t minor_faults;
    /**
     * Page faults that needed I/O.
     */
    uint64_t major_faults;
    /**
     * Times a process gave up the processor to wait.
     */
    uint64_t voluntary_switches;
    /**
     * Times a process was made to give up the processor.
     */
    uint64_t involuntary_switches;
    /**
     * What was read from block devices. In bytes.
     */
    uint64_t bytes_read;
    /**
     * What was written to block devices. In bytes.
     */
    uint64_t bytes_written;
    /**
     * What was written to the standard output. Counted only with a limit on the output. In bytes.
     * `SECLUDE_UNKNOWN` where nobody counted.
     */
    uint64_t stdout_bytes;
    /**
     * What was written to the standard error. Counted only with a limit on the output; 0 if both
     * streams are one file: then `stdout_bytes` counts them all. In bytes. `SECLUDE_UNKNOWN` where
     * nobody counted.
     */
    uint64_t stderr_bytes;
    /**
     * How long at least one process waited for a processor, in nanoseconds: pressure stall
     * information.
     */
    uint64_t pressure_cpu_some_ns;
    /**
     * How long at least one process waited for memory.
     */
    uint64_t pressure_memory_some_ns;
    /**
     * How long all processes waited for memory.
     */
    uint64_t pressure_memory_full_ns;
    /**
     * How long at least one process waited for I/O.
     */
    uint64_t pressure_io_some_ns;
    /**
     * How long all processes waited for I/O.
     */
    uint64_t pressure_io_full_ns;
    /**
     * The end in words, with a NUL behind them: "stopped by the memory limit of 67108864 bytes".
     * "" while it runs.
     */
    char text[96];
    /**
     * 1 if the caller's side ended it, because the warden had not a second after it should have:
     * it was stopped from outside, or got no processor. What ended it is still the limit, or
     * `seclude_child_kill`. Else 0.
     */
    int32_t by_caller;
    /**
     * Always 0.
     */
    int32_t reserved;
} seclude_outcome;

/**
 * What has been copied. Functions that fill it take its size, `sizeof(seclude_copied)`, as for
 * `seclude_outcome`.
 */
typedef struct seclude_copied {
    /**
     * Files and directories.
     */
    uint64_t entries;
    /**
     * Bytes in files.
     */
    uint64_t bytes;
    /**
     * Symbolic links, pipes, sockets and devices that were left out:
     * `seclude_transfer_skip_special`.
     */
    uint64_t skipped;
} seclude_copied;

/**
 * What a pool has done and has. Times are those of the last 1000. Functions that fill it take its
 * size, as for `seclude_outcome`.
 */
typedef struct seclude_statistics {
    /**
     * How many are kept ready, and can be in use at one time.
     */
    uint64_t size;
    /**
     * How many are ready now.
     */
    uint64_t ready;
    /**
     * How many are in use now.
     */
    uint64_t in_use;
    /**
     * How many were in use at one time, at the most.
     */
    uint64_t most_in_use;
    /**
     * How many have been made.
     */
    uint64_t made;
    /**
     * How many have been handed out.
     */
    uint64_t handed_out;
    /**
     * How often who asked had to wait.
     */
    uint64_t waited;
    /**
     * How many were found dead when they were wanted, and replaced.
     */
    uint64_t lost;
    /**
     * How often one could not be made.
     */
    uint64_t failed;
    /**
     * How long it took to be handed one, in nanoseconds: the median.
     */
    uint64_t hand_out_p50_ns;
    /**
     * How long it took to be handed one, in nanoseconds: all but one in a hundred.
     */
    uint64_t hand_out_p99_ns;
    /**
     * How long it took to make one, in nanoseconds: the median.
     */
    uint64_t make_p50_ns;
    /**
     * How long it took to make one, in nanoseconds: all but one in a hundred.
     */
    uint64_t make_p99_ns;
} seclude_statistics;

/**
 * What has become of the network namespaces of a policy's template. Each copy has one to itself;
 * when that has ended, the namespace serves another only if the kernel's own account of it
 * (`/proc/net`) is that of one that has just been made. All are zero without a template, or
 * without networks of its own. Functions that fill it take its size, as for `seclude_outcome`.
 */
typedef struct seclude_networks {
    /**
     * How many have been made.
     */
    uint64_t made;
    /**
     * How often one that had been used before was used again.
     */
    uint64_t reused;
    /**
     * How many showed that somebody had been there, and were given up.
     */
    uint64_t retired;
    /**
     * The last of these, by its number, as `/proc/PID/ns/net` shows it (namespaces(7)); 0 if
     * there is none.
     */
    uint64_t last_retired;
    /**
     * Why: the file in `/proc/net` that is no longer as it was, such as `dev` after traffic,
     * `sockstat` while a socket is left. Empty if there is none.
     */
    char last_retired_why[24];
} seclude_networks;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that the program runs with, as `SECLUDE_VERSION_NUMBER` is that of
 * the header it was compiled with. The library may be newer than the header, never older:
 * `assert(seclude_version_number() >= SECLUDE_VERSION_NUMBER)`.
 */
int seclude_version_number(void);

/**
 * The version of the library that the program runs with, as text: "0.1.0". Never NULL, never
 * freed.
 */
const char *seclude_version(void);

/**
 * Frees an error. NULL is a no-op.
 */
void seclude_error_free(struct seclude_error *error);

/**
 * The code, one of `SECLUDE_E...`: the same that the failing call returned. 0 for NULL.
 */
int seclude_error_code(const struct seclude_error *error);

/**
 * The name of a code: "program-missing", the same in every language. NULL if there is no such
 * code. Never freed.
 */
const char *seclude_code_name(int code);

/**
 * The name of the error's code, as `seclude_code_name` gives it. NULL for NULL. Never freed.
 */
const char *seclude_error_name(const struct seclude_error *error);

/**
 * The whole error as one line of text, without a newline: `action object: cause (step n of m);
 * hint: remedy`. UTF-8, but for bytes of a path that are not. "no error" for NULL, so never NULL.
 * Borrowed: valid until the error is freed.
 */
const char *seclude_error_message(const struct seclude_error *error);

/**
 * What was being done, with its object: "bind /opt/tool on /opt/tool". NULL for NULL. Borrowed:
 * valid until the error is freed.
 */
const char *seclude_error_step(const struct seclude_error *error);

/**
 * The error number of the system call that failed, as in errno(3); 0 if there was none.
 */
int seclude_error_errno(const struct seclude_error *error);

/**
 * The path that the failed step was about; NULL if it was about none. Borrowed: valid until the
 * error is freed.
 */
const char *seclude_error_path(const struct seclude_error *error);

/**
 * What to do about it; NULL if nothing is known. Borrowed: valid until the error is freed.
 */
const char *seclude_error_hint(const struct seclude_error *error);

/**
 * Which step of set-up or of the start failed, a `SECLUDE_STEP_...`; 0 if none had begun, or all
 * were over, and for NULL. `seclude_error_step` says the same in words, with the step's object.
 */
int seclude_error_step_kind(const struct seclude_error *error);

/**
 * The name of a `SECLUDE_STEP_...`: "pivot-root", the same in every language. NULL for any other
 * number. Never freed.
 */
const char *seclude_step_name(int step);

/**
 * The default sandbox. Never NULL. Free it with `seclude_sandbox_free`; commands made from it live
 * on.
 */
struct seclude_sandbox *seclude_sandbox_new(void);

/**
 * A copy, with the error that sticks to the original, if one does. Cheap. Its own
 * `seclude_sandbox_free`. NULL for NULL.
 */
struct seclude_sandbox *seclude_sandbox_clone(const struct seclude_sandbox *sandbox);

/**
 * Frees a sandbox. NULL is a no-op. Commands and children made from it are not affected.
 */
void seclude_sandbox_free(struct seclude_sandbox *sandbox);

/**
 * A command that runs `program` in a copy of this sandbox, as it is now; later changes to the
 * sandbox do not reach it. A program without a slash is looked for in PATH inside. Never NULL: if
 * `sandbox` or `program` is, the command carries that error, and spawning it tells. Free it with
 * `seclude_command_free`.
 */
struct seclude_command *seclude_sandbox_command(const struct seclude_sandbox *sandbox, const char *program);

/**
 * Tells the first mistake in the policy, or the error that sticks, without starting anything. 0 if
 * there is none.
 */
int seclude_sandbox_check(const struct seclude_sandbox *sandbox, struct seclude_error **err);

/**
 * A sandbox from a policy in JSON, UTF-8: `{"hostname": "judge", "files": [{"tmpfs": "/tmp",
 * "size": "64M"}]}`. Unknown keys are refused with the nearest known one (`SECLUDE_EPOLICY`).
 * `*sandbox` is new, or NULL after an error.
 */
int seclude_sandbox_from_json(const char *json, struct seclude_sandbox **sandbox, struct seclude_error **err);

/**
 * A sandbox from a policy in TOML, with the keys of the JSON form. `*sandbox` is new, or NULL
 * after an error.
 */
int seclude_sandbox_from_toml(const char *toml, struct seclude_sandbox **sandbox, struct seclude_error **err);

/**
 * The policy as JSON, with only what differs from the default. `*text` is new, or NULL after an
 * error.
 */
int seclude_sandbox_to_json(const struct seclude_sandbox *sandbox, struct seclude_text **text, struct seclude_error **err);

/**
 * The policy as TOML, with only what differs from the default. `*text` is new, or NULL after an
 * error.
 */
int seclude_sandbox_to_toml(const struct seclude_sandbox *sandbox, struct seclude_text **text, struct seclude_error **err);

/**
 * Shares the caller's namespaces of these kinds, one or several `SECLUDE_NAMESPACE_...` joined by
 * `|`.
 *
 * User needs CAP_SYS_ADMIN and `seclude_sandbox_nested`, and ids are the host's. Mount: the
 * caller's files, as they are; the policy cannot add any. Pid: the warden ends the tree itself,
 * which is weaker than the kernel's promise: if the warden is killed from outside, what is inside
 * lives on. Time is shared anyway.
 */
void seclude_sandbox_share(struct seclude_sandbox *sandbox, int kinds);

/**
 * Gives the sandbox namespaces of its own of these kinds, one or several joined by `|`. It has all
 * but time, unless shared.
 */
void seclude_sandbox_unshare(struct seclude_sandbox *sandbox, int kinds);

/**
 * Shifts a clock, one of `SECLUDE_CLOCK_...`, by so many seconds, forwards or back, in a time
 * namespace of the sandbox's own (Linux 5.6). The kernel refuses what would make the clock
 * negative.
 */
void seclude_sandbox_clock_offset(struct seclude_sandbox *sandbox, int clock, int64_t seconds);

/**
 * The host name, 1 to 64 bytes. `sandbox` if nothing is said. UTF-8.
 */
void seclude_sandbox_hostname(struct seclude_sandbox *sandbox, const char *hostname);

/**
 * The NIS domain name, 1 to 64 bytes. The caller's if nothing is said. UTF-8.
 */
void seclude_sandbox_domainname(struct seclude_sandbox *sandbox, const char *domainname);

/**
 * The user id inside. 1000 if nothing is said; 0 is root inside, without any power.
 *
 * An unprivileged caller's own id stands behind it outside. Behind a privileged caller's stands
 * the first of `host_ids` plus this number, which must then be below the count of these: never the
 * host's root.
 */
void seclude_sandbox_uid(struct seclude_sandbox *sandbox, uint32_t uid);

/**
 * The group id inside, as for `uid`.
 */
void seclude_sandbox_gid(struct seclude_sandbox *sandbox, uint32_t gid);

/**
 * The user's name in `/etc/passwd` and `/etc/group`. `user` if nothing is said. No colon, slash or
 * newline. UTF-8.
 */
void seclude_sandbox_user(struct seclude_sandbox *sandbox, const char *user);

/**
 * The user's home directory in `/etc/passwd` and HOME, an absolute path. `/tmp` if nothing is
 * said. It is not made.
 */
void seclude_sandbox_home(struct seclude_sandbox *sandbox, const char *home);

/**
 * The first of the host's ids that the ids inside from 0 on map to, if the caller is privileged;
 * not 0. There are 65536 of them, or as many as the caller's user namespace maps from there on.
 * Ids that cannot be had are an error. Sandboxes that must not touch each other's files want
 * ranges of their own.
 *
 * If nothing is said, the range begins at 0x70000000, which distributions leave unused. A caller
 * whose user namespace has no such ids, as in a container, uses the highest ids that this has, as
 * many as the sandbox's uid and gid need.
 */
void seclude_sandbox_host_ids(struct seclude_sandbox *sandbox, uint32_t host_ids);

/**
 * The root directory itself, a file system in memory, stays writable.
 */
void seclude_sandbox_writable_root(struct seclude_sandbox *sandbox);

/**
 * Programs inside may make user namespaces, and so sandboxes of their own. `/proc` is then neither
 * masked nor hidden in part, because the kernel gives a fresh one only to a process that sees a
 * whole one.
 */
void seclude_sandbox_nested(struct seclude_sandbox *sandbox);

/**
 * The directory of a mounted cgroup v2 hierarchy below which the sandbox's cgroup is made. The
 * caller may write it, and no process is directly in it; controllers that it lacks are turned on
 * in it. The environment variable SECLUDE_CGROUP does the same. If nothing is said, one is looked
 * for (docs/limits.md).
 */
void seclude_sandbox_cgroup(struct seclude_sandbox *sandbox, const char *cgroup);

/**
 * The installed warden to execute instead of the one in the library, for hosts that grant user
 * namespaces by the path of the executable (AppArmor) or forbid executing memory
 * (`vm.memfd_noexec=2`). `make install` puts one at `libexec/seclude/warden`. The environment
 * variable SECLUDE_WARDEN does the same.
 */
void seclude_sandbox_warden(struct seclude_sandbox *sandbox, const char *warden);

/**
 * Takes the programs from `directory`, which holds another system, instead of from the host's
 * `/usr`. Its top level is shown read-only, but for `/dev`, `/proc`, `/run`, `/sys` and `/tmp`;
 * nothing is ever written to it.
 */
void seclude_sandbox_root(struct seclude_sandbox *sandbox, const char *directory);

/**
 * Takes no programs from anywhere: only what is bound is there.
 */
void seclude_sandbox_empty_root(struct seclude_sandbox *sandbox);

/**
 * Shows these of the host's `/etc`, read-only, and nothing else of it: `names`, which ends with
 * NULL, of names like "ssl/certs", in whose last part a `*` stands for any characters. None at all
 * is possible. What is not there, and what not everybody may read, is passed over.
 *
 * If nothing is said, what programs in `/usr` cannot do without: the list is in docs/policy.md. Of
 * another root (`seclude_sandbox_root`) its own `/etc` is shown, and of an empty one none: both
 * with this are an error when the policy is used.
 */
void seclude_sandbox_etc(struct seclude_sandbox *sandbox, const char *const *names);

/**
 * Shows a file or directory of the caller's, `source`, at the absolute path `at`, read-only.
 *
 * Everything mounted below a directory is shown with it. Set-user-id bits and device nodes have no
 * effect. Mount points are made only in the sandbox's own file systems; in a directory of the
 * caller's that is bound, the place must exist.
 */
void seclude_sandbox_bind_ro(struct seclude_sandbox *sandbox, const char *source, const char *at);

/**
 * Shows a file or directory of the caller's at the absolute path `at`, writable; otherwise as
 * `seclude_sandbox_bind_ro`.
 *
 * The command of a caller with CAP_SETUID is another user outside (`seclude_sandbox_host_ids`).
 * If the owner, the group and the mode of every file in the source deny that user, the start fails
 * with `SECLUDE_ESOURCE_UNREADABLE`. One file or directory in it that the command may write is
 * enough.
 */
void seclude_sandbox_bind_rw(struct seclude_sandbox *sandbox, const char *source, const char *at);

/**
 * Shows a file or directory of the caller's at the absolute path `at`, with `SECLUDE_BIND_...`
 * flags joined by `|`, or 0.
 */
void seclude_sandbox_bind(struct seclude_sandbox *sandbox, const char *source, const char *at, uint32_t flags);

/**
 * An empty, writable file system in memory at the absolute path `at`: mode 1777, at most `size`
 * bytes, at least 1.
 */
void seclude_sandbox_tmpfs(struct seclude_sandbox *sandbox, const char *at, uint64_t size);

/**
 * The same with every choice: at most `size` bytes and `inodes` files and directories, the root of
 * it among them, each 1 or more, or `SECLUDE_UNLIMITED` for the kernel's own limit (half of the
 * memory); the `mode` of its root, 0 to 07777; and `SECLUDE_TMPFS_...` flags joined by `|`, or 0.
 */
void seclude_sandbox_tmpfs_with(struct seclude_sandbox *sandbox,
                                const char *at,
                                uint64_t size,
                                uint64_t inodes,
                                uint32_t mode,
                                uint32_t flags);

/**
 * An empty directory at the absolute path `at`, of this mode, 0 to 07777: 0755, say.
 */
void seclude_sandbox_dir(struct seclude_sandbox *sandbox, const char *at, uint32_t mode);

/**
 * A symbolic link at the absolute path `at` with the text `target`, as for symlink(2).
 */
void seclude_sandbox_symlink(struct seclude_sandbox *sandbox, const char *target, const char *at);

/**
 * A file at the absolute path `at` that holds `size` bytes from `data`, which are copied, of this
 * mode, 0 to 07777: 0644, say. `data` may be NULL if `size` is 0.
 */
void seclude_sandbox_file(struct seclude_sandbox *sandbox, const char *at, const void *data, size_t size, uint32_t mode);

/**
 * Insists on pseudo-terminals of the sandbox's own: `/dev/pts`, `/dev/ptmx` and `/dev/tty`
 * (pts(4)), so that programs inside can make some, and a command can have one as its standard
 * streams, `SECLUDE_STDIO_PTY`. None of the caller's is ever among them. Characters
 * cannot be pushed back into one (TIOCSTI) unless the filter of system calls is taken off.
 *
 * They are there by default, unless the policy puts something else at their places or shares the
 * mount namespace: then this is an error when the policy is used.
 */
void seclude_sandbox_terminals(struct seclude_sandbox *sandbox);

/**
 * Leaves out pseudo-terminals of the sandbox's own.
 */
void seclude_sandbox_no_terminals(struct seclude_sandbox *sandbox);

/**
 * A resource limit of each process, as for setrlimit(2): `resource` is an `RLIMIT_...` of
 * `<sys/resource.h>`, `SECLUDE_UNLIMITED` is no limit. If nothing is said: core 1 byte (no dump,
 * not even through a pipe), nofile 1024 of at most 10240, memlock 8 MiB, stack 8 MiB of at most
 * what the caller has, sigpending 4096, and the rest as the caller has it.
 */
void seclude_sandbox_rlimit(struct seclude_sandbox *sandbox, int resource, uint64_t soft, uint64_t hard);

/**
 * The name of a `SECLUDE_LIMIT_...`: "cpu_time", its key in policies. NULL for any other number,
 * so that a loop from 0 on ends with the last. Never freed.
 */
const char *seclude_limit_name(int limit);

/**
 * The name of a `SECLUDE_MECHANISM_...`: "cgroup-v2", the same in every language. NULL for any
 * other number. Never freed.
 */
const char *seclude_mechanism_name(int mechanism);

/**
 * The most memory of all that runs inside, the warden and its kernel structures included; files in
 * memory (tmpfs) count. No swap is used unless `swap` grants some. No limit if nothing is said,
 * and so below. In bytes.
 *
 * By a cgroup, the kernel ends a process when there is nothing left to reclaim, and the end is
 * `memory-limit` even if the first process went on. Without one it is sampled: what the processes
 * hold together, without files in memory, is looked at every few milliseconds.
 */
void seclude_sandbox_memory(struct seclude_sandbox *sandbox, uint64_t bytes);

/**
 * The most swap besides the memory. Takes a cgroup, and a kernel that counts swap. In bytes.
 */
void seclude_sandbox_swap(struct seclude_sandbox *sandbox, uint64_t bytes);

/**
 * The most processor time, user and system, of all processes inside together. When it is used up,
 * everything inside is killed, and the end is `cpu-time`. In milliseconds, 1 or more.
 *
 * The warden reads the cgroup's counter as often as the rest of the time demands; without a
 * cgroup, the sum of what the processes tell.
 */
void seclude_sandbox_cpu_time(struct seclude_sandbox *sandbox, uint64_t milliseconds);

/**
 * How many processors' worth of time it may use at once: 0.01 to 8192. Takes a cgroup.
 */
void seclude_sandbox_cpus(struct seclude_sandbox *sandbox, double cpus);

/**
 * The share of processor time where others want it too: 1 to 10000; 100 is usual. Takes a cgroup.
 */
void seclude_sandbox_cpu_weight(struct seclude_sandbox *sandbox, uint32_t cpu_weight);

/**
 * The most processes and threads at one time, the warden not counted. One more is refused
 * (EAGAIN); if the command then does not exit with code 0, its end is `process-limit`.
 *
 * Without a cgroup nobody tells who was refused: then it is the end of a command that was seen at
 * its limit, and failed. Before Linux 5.14 it is then sampled: nothing is refused, and what is
 * seen above the limit is killed.
 */
void seclude_sandbox_pids(struct seclude_sandbox *sandbox, uint64_t pids);

/**
 * How long a command may take. When it is over, everything inside is killed, and the end is
 * `wall-time`. In milliseconds, 1 or more.
 */
void seclude_sandbox_wall_time(struct seclude_sandbox *sandbox, uint64_t milliseconds);

/**
 * The most bytes to the standard output, and the most to the standard error, whether they are
 * collected or passed on. A command that writes more is killed, and the end is `output-limit`;
 * exactly the first so many bytes arrive. In bytes.
 *
 * Both streams are then pipes to the warden, which passes on what it reads. Streams that are the
 * same file count as one. If nothing is said, only what is collected is counted: at most 64 MiB of
 * each stream.
 */
void seclude_sandbox_output(struct seclude_sandbox *sandbox, uint64_t bytes);

/**
 * Runs on these processors only: `count` of them, at least 1, by their numbers from 0. Takes a
 * cgroup.
 */
void seclude_sandbox_cpu_set(struct seclude_sandbox *sandbox, const uint32_t *processors, size_t count);

/**
 * Limits reading and writing on the block device that holds `path`, a path of the caller's, or
 * that is this node itself: bytes and operations a second, each 1 or more, or `SECLUDE_UNLIMITED`.
 * May be said for several devices. Takes a cgroup.
 */
void seclude_sandbox_io(struct seclude_sandbox *sandbox,
                        const char *path,
                        uint64_t read_bytes,
                        uint64_t write_bytes,
                        uint64_t read_operations,
                        uint64_t write_operations);

/**
 * When the wall time is over, sends this signal to the command's process group first, and kills
 * only so many milliseconds later. The end is `SECLUDE_ENDED_WALL_TIME` either way; `status` in
 * the outcome says what the command made of it.
 */
void seclude_sandbox_wall_time_grace(struct seclude_sandbox *sandbox, int signal, uint64_t milliseconds);

/**
 * This limit, a `SECLUDE_LIMIT_...` that the policy sets, must be held by the kernel or at the
 * warden's hands, exactly: where it can only be sampled, the command does not start
 * (`SECLUDE_ELIMIT_UNAVAILABLE`).
 */
void seclude_sandbox_require(struct seclude_sandbox *sandbox, int limit);

/**
 * Where this limit, a `SECLUDE_LIMIT_...`, cannot be held on this host, goes on without it;
 * `mechanisms` in the outcome tells. If nothing is said, a limit that cannot even be sampled is an
 * error.
 */
void seclude_sandbox_best_effort(struct seclude_sandbox *sandbox, int limit);

/**
 * A filter that starts from a profile: `"default"`, what programs of every kind use; `"strict"`,
 * computing with files and threads only, and anything else kills; `"nested"`, the default and what
 * a sandbox inside is made with; `"debug"`, the default and ptrace(2); `"unconfined"`, every call
 * but those that would change the warden.
 * Never NULL: an unknown name sticks. Free it with `seclude_seccomp_free`.
 */
struct seclude_seccomp *seclude_seccomp_new(const char *profile);

/**
 * Frees a filter. NULL is a no-op. Sandboxes that were given it are not affected.
 */
void seclude_seccomp_free(struct seclude_seccomp *filter);

/**
 * A rule for the call of this name, or of this number in decimal: one of `SECLUDE_SECCOMP_...`,
 * with the error number of `SECLUDE_SECCOMP_DENY`, else 0. A name that another architecture has
 * and this one has not is skipped; one that nobody has is an error.
 */
void seclude_seccomp_rule(struct seclude_seccomp *filter, const char *call, int action, int errnum);

/**
 * The last rule fits only if this holds too: argument number 0 to 5, and of it the bits in `mask`,
 * compared by one of `SECLUDE_COMPARE_...` with `value`. Its lower 32 bits, as the kernel uses
 * flags, descriptors and ioctl(2) requests; all 64 if `wide` is not 0, for sizes and addresses.
 */
void seclude_seccomp_when(struct seclude_seccomp *filter,
                          uint32_t argument,
                          int compare,
                          uint64_t value,
                          uint64_t mask,
                          int wide);

/**
 * Lets sockets of this family be made: an AF_ number.
 */
void seclude_seccomp_socket_family(struct seclude_seccomp *filter, uint16_t family);

/**
 * What becomes of every call that neither a rule nor the profile names, known or not: as for
 * `seclude_seccomp_rule`.
 */
void seclude_seccomp_otherwise(struct seclude_seccomp *filter, int action, int errnum);

/**
 * Which system calls programs inside may make: a copy of `filter`. Without a word from here, the
 * profile `default`, or `nested` with `seclude_sandbox_nested`. seccomp(2); Linux 5.0 for
 * `SECLUDE_SECCOMP_KILL`, 5.5 for `SECLUDE_SECCOMP_NOTIFY`.
 */
void seclude_sandbox_seccomp(struct seclude_sandbox *sandbox, const struct seclude_seccomp *filter);

/**
 * One more filter, as the kernel takes it: `size` bytes of `struct sock_filter`, 1 to 4096
 * instructions of 8 bytes. May be called several times; they are loaded after the sandbox's own,
 * in this order, and of all answers the strictest holds. Each must let `execve` pass, and
 * `seccomp` if another follows.
 */
void seclude_sandbox_seccomp_bpf(struct seclude_sandbox *sandbox, const void *program, size_t size);

/**
 * Leaves out the second wall. Without a word from here, Landlock says once more what the mounts
 * and namespaces say, at the highest ABI that the kernel has (landlock(7), Linux 5.19); where the
 * kernel lacks it, and with `seclude_sandbox_nested`, it is left out; with a shared ipc namespace,
 * the part about files.
 */
void seclude_sandbox_no_landlock(struct seclude_sandbox *sandbox);

/**
 * Lets these TCP ports be bound and no others; none, if `count` is 0. By Landlock: an error where
 * the kernel has not its ABI 4 (Linux 6.7).
 */
void seclude_sandbox_tcp_bind(struct seclude_sandbox *sandbox, const uint32_t *ports, size_t count);

/**
 * Lets these TCP ports be connected to, wherever they are, and no others; as for
 * `seclude_sandbox_tcp_bind`. UDP is not ruled: a filter that refuses its sockets is.
 */
void seclude_sandbox_tcp_connect(struct seclude_sandbox *sandbox, const uint32_t *ports, size_t count);

/**
 * The number of the system call of this name, on this architecture; -1 if it has none, and for
 * NULL.
 */
int seclude_syscall_number(const char *name);

/**
 * The name of the system call of this number, on this architecture. NULL if this library does not
 * know it. Never freed.
 */
const char *seclude_syscall_name(int number);

/**
 * Frees a command and its copies of descriptors. NULL is a no-op. Children that it started are not
 * affected.
 */
void seclude_command_free(struct seclude_command *command);

/**
 * Appends an argument, any bytes but NUL. The program's own name, the zeroth, is there already.
 */
void seclude_command_arg(struct seclude_command *command, const char *argument);

/**
 * Appends arguments up to a NULL, which `arguments` must end with.
 */
void seclude_command_args(struct seclude_command *command, const char *const *arguments);

/**
 * What the program sees as its own name, instead of the name that it is started by.
 */
void seclude_command_arg0(struct seclude_command *command, const char *name);

/**
 * Sets an environment variable. At first there are PATH, HOME, LANG and TMPDIR, and nothing of the
 * caller's. A name is not empty and has no "=".
 */
void seclude_command_env(struct seclude_command *command, const char *name, const char *value);

/**
 * Removes an environment variable. No error if there is none of this name.
 */
void seclude_command_env_remove(struct seclude_command *command, const char *name);

/**
 * Removes every environment variable. A program without a slash is then looked for in the default
 * PATH.
 */
void seclude_command_env_clear(struct seclude_command *command);

/**
 * The working directory, an absolute path inside. "/" if nothing is said.
 */
void seclude_command_cwd(struct seclude_command *command, const char *directory);

/**
 * The standard input: one of `SECLUDE_STDIO_...`, or a descriptor of the caller's, 0 or higher,
 * which is duplicated at once: the caller may close its own. If nothing is said: inherited, but
 * `/dev/null` for `seclude_command_output`.
 */
void seclude_command_stdin(struct seclude_command *command, int stream);

/**
 * The standard output: as `seclude_command_stdin`. If nothing is said: inherited, but piped for
 * `seclude_command_output`.
 */
void seclude_command_stdout(struct seclude_command *command, int stream);

/**
 * The standard error: as `seclude_command_stdout`.
 */
void seclude_command_stderr(struct seclude_command *command, int stream);

/**
 * The size of its terminal's window at first, in characters, if it has one (`SECLUDE_STDIO_PTY`):
 * 24 rows of 80 columns if nothing is said.
 */
void seclude_command_window_size(struct seclude_command *command, uint16_t rows, uint16_t columns);

/**
 * Gives the command the caller's descriptor `fd` under the number `target`, 3 or higher, each
 * number once. `fd` is duplicated at once: the caller may close its own. Order and collisions with
 * the caller's own numbers do not matter. At most 249.
 */
void seclude_command_fd(struct seclude_command *command, int target, int fd);

/**
 * Starts it with this signal ignored (`signal(7)`), as `nohup` does with SIGHUP: programs that set
 * no action of their own, and what they start, ignore it too. If nothing is said no signal is,
 * whatever the caller ignores. Not SIGKILL or SIGSTOP.
 */
void seclude_command_ignore_signal(struct seclude_command *command, int signal);

/**
 * How many milliseconds this command may take, 1 or more, instead of what the sandbox says.
 */
void seclude_command_wall_time(struct seclude_command *command, uint64_t milliseconds);

/**
 * At most so many bytes of memory, 1 or more, for this command and what it starts. The sandbox
 * must set `seclude_sandbox_memory`, which bounds all its commands together; of both, the tighter
 * holds. In a cell the kernel holds it in a cgroup of the command's own if it so holds the cell's
 * limit; else it is sampled. What the command leaves behind in a cell stays in its cgroup.
 */
void seclude_command_memory(struct seclude_command *command, uint64_t bytes);

/**
 * At most so many milliseconds of processor time, 1 or more, for this command and what it starts:
 * as for `seclude_command_memory`.
 */
void seclude_command_cpu_time(struct seclude_command *command, uint64_t milliseconds);

/**
 * At most so many processes and threads, 1 or more, for this command and what it starts: as for
 * `seclude_command_memory`.
 */
void seclude_command_pids(struct seclude_command *command, uint64_t number);

/**
 * Starts it. When this returns 0, the program runs, and `*child` is new: free it with
 * `seclude_child_free`. A missing program, a refused policy and every failed step of set-up are
 * errors here: nothing has started then, and `*child` is NULL.
 *
 * A command of a pool waits for a place, as long as that takes, and no signal ends that wait.
 */
int seclude_command_spawn(struct seclude_command *command, struct seclude_child **child, struct seclude_error **err);

/**
 * As `seclude_command_spawn`, without waiting for a place in a pool: 1, and `*child` is new; 0 if
 * there is no place now, or no sandbox is ready: nothing has started then, and `*child` is NULL.
 * `seclude_pool_fd` tells when to try again. A command that runs elsewhere needs no place. The
 * errors are those of `seclude_command_spawn`.
 */
int seclude_command_try_spawn(struct seclude_command *command, struct seclude_child **child, struct seclude_error **err);

/**
 * As `seclude_command_try_spawn`, but waits for a place for at most so many milliseconds. What the
 * command may take once it runs is its `seclude_command_wall_time`.
 */
int seclude_command_spawn_timeout(struct seclude_command *command,
                                  uint64_t milliseconds,
                                  struct seclude_child **child,
                                  struct seclude_error **err);

/**
 * Starts it, waits for its end, and writes how it ended to `*outcome`, a structure of `size`
 * bytes; `outcome` may be NULL. 0 if it ran, however it ended; the errors are those of
 * `seclude_command_spawn` and `seclude_child_wait`.
 */
int seclude_command_run(struct seclude_command *command,
                        struct seclude_outcome *outcome,
                        size_t size,
                        struct seclude_error **err);

/**
 * Starts it, collects what it writes, waits for its end. 0 if it ran, however it ended, and
 * `*output` is new: free it with `seclude_output_free`. What it writes is kept in memory, as for
 * `seclude_child_wait_with_output`.
 */
int seclude_command_output(struct seclude_command *command, struct seclude_output **output, struct seclude_error **err);

/**
 * Kills everything inside, waits until it is gone, closes what was not taken, and frees the
 * object. NULL is a no-op.
 *
 * In a process that the caller forked, it only closes that process's copies: what runs inside is
 * not harmed.
 */
void seclude_child_free(struct seclude_child *child);

/**
 * A descriptor of the command's first process, for poll(2) and event loops: readable once that has
 * ended. After that, `seclude_child_wait` and `seclude_child_try_wait` return promptly. Borrowed:
 * never close it; valid until the child is freed or its output collected. `SECLUDE_EINVAL` after
 * that, and for NULL.
 */
int seclude_child_pidfd(const struct seclude_child *child);

/**
 * The command's process id, as the caller sees it. 0 if the caller's `/proc` does not tell, and
 * for NULL. It is not the caller's own child: wait with the functions here, not with waitpid(2).
 */
uint32_t seclude_child_pid(const struct seclude_child *child);

/**
 * The command's process id, as it sees itself. 0 for NULL.
 */
uint32_t seclude_child_inside_pid(const struct seclude_child *child);

/**
 * The `SECLUDE_PROTECTION_...` that are enforced on it, joined by `|`. 0 for NULL.
 */
uint64_t seclude_child_enforced(const struct seclude_child *child);

/**
 * The ABI of Landlock that is in force on it; 0 if none is, and for NULL. What it rules are the
 * `SECLUDE_PROTECTION_LANDLOCK_...` among the enforced.
 */
uint32_t seclude_child_landlock_abi(const struct seclude_child *child);

/**
 * Takes the write end of its standard input, if that was piped. Owned: the caller closes it.
 * Close-on-exec and blocking. A second time, or if it was not piped, `SECLUDE_EINVAL`.
 */
int seclude_child_take_stdin(struct seclude_child *child);

/**
 * Takes the read end of its standard output, as `seclude_child_take_stdin`.
 */
int seclude_child_take_stdout(struct seclude_child *child);

/**
 * Takes the read end of its standard error, as `seclude_child_take_stdin`.
 */
int seclude_child_take_stderr(struct seclude_child *child);

/**
 * Takes the other side of its terminal, if a stream was `SECLUDE_STDIO_PTY`: what is written to
 * it, the command reads, and the other way round, by the terminal's rules. Owned: closing it, and
 * every copy of it, hangs up, and the command gets SIGHUP. read(2) fails with EIO when
 * nobody inside has the terminal open any more: that is its end. Otherwise as
 * `seclude_child_take_stdin`.
 */
int seclude_child_take_terminal(struct seclude_child *child);

/**
 * Waits for its end, and writes how it ended to `*outcome`, a structure of `size` bytes; `outcome`
 * may be NULL. 0 if it ended, however it did. Its standard input, if piped and not taken, is
 * closed first, so that a command that reads it to its end does end. When this returns, nothing of
 * the sandbox is left. Calling it again gives the same answer.
 *
 * While it blocks, no other thread may use the child. Who wants to kill from elsewhere waits for
 * `seclude_child_pidfd` with poll(2), or with `seclude_child_wait_timeout`.
 */
int seclude_child_wait(struct seclude_child *child, struct seclude_outcome *outcome, size_t size, struct seclude_error **err);

/**
 * Waits for its end for at most so many milliseconds: 1 and `*outcome` if it has ended, 0 if it
 * still runs. Does not close its standard input.
 */
int seclude_child_wait_timeout(struct seclude_child *child,
                               uint64_t milliseconds,
                               struct seclude_outcome *outcome,
                               size_t size,
                               struct seclude_error **err);

/**
 * Its end, without waiting for it: 1 and `*outcome` if it has ended, 0 if it still runs.
 */
int seclude_child_try_wait(struct seclude_child *child, struct seclude_outcome *outcome, size_t size, struct seclude_error **err);

/**
 * Reads both of its pipes to their ends, at once, so that neither can fill up and block the
 * command; then waits. 0 if it ended, however it did, and `*output` is new: free it with
 * `seclude_output_free`. What it writes is kept in memory, as much of it as
 * `seclude_sandbox_output` allows, or 64 MiB of each stream; who writes more is killed:
 * `SECLUDE_ENDED_OUTPUT_LIMIT`.
 *
 * Afterwards the child answers waits and its ids; it has no descriptors and no processes any more.
 * It must still be freed.
 */
int seclude_child_wait_with_output(struct seclude_child *child, struct seclude_output **output, struct seclude_error **err);

/**
 * When to ask again, for a program that only polls: in so many milliseconds it must have ended by
 * its limits on time, or by `seclude_child_kill`, and a `seclude_child_try_wait` after that ends
 * it if its warden has not. A timeout for poll(2): 0 if that moment has passed, -1 if there is
 * none, the child has ended, or is NULL. The functions that wait need no such care.
 */
int seclude_child_deadline(const struct seclude_child *child);

/**
 * Kills the command and everything that it started. The end is `SECLUDE_ENDED_KILLED`, unless it
 * came before. Does not wait; if the warden does not do it within a second, the next call that
 * waits does. 0 also if it has ended already.
 */
int seclude_child_kill(struct seclude_child *child, struct seclude_error **err);

/**
 * Sends a signal, 1 to 64, to the command's first process. 0 also if it has ended already.
 */
int seclude_child_signal(struct seclude_child *child, int signal, struct seclude_error **err);

/**
 * Every process inside, the warden first, each after its parent: 0, and `*processes` is a new
 * list, a picture of this moment. Free it with `seclude_processes_free`. The list is empty once
 * the command's end is known.
 */
int seclude_child_processes(const struct seclude_child *child, struct seclude_processes **processes, struct seclude_error **err);

/**
 * Sets the size of the window of a command's terminal, in characters; `terminal` is what
 * `seclude_child_take_terminal` gave, borrowed. The programs in its foreground get SIGWINCH if it
 * is another size. ioctl_tty(2).
 */
int seclude_terminal_resize(int terminal, uint16_t rows, uint16_t columns, struct seclude_error **err);

/**
 * Puts a terminal of the caller's, such as its standard input, into raw mode (cfmakeraw(3)): every
 * key goes through as it is, Ctrl-C too, to a command's terminal that does the rest. `terminal` is
 * borrowed, and copied. `*mode` is new: free it with `seclude_raw_mode_free`. An error if it is no
 * terminal.
 */
int seclude_raw_mode_enter(int terminal, struct seclude_raw_mode **mode, struct seclude_error **err);

/**
 * Gives the terminal back as it was, and frees the object. NULL is a no-op.
 */
void seclude_raw_mode_free(struct seclude_raw_mode *mode);

/**
 * Writes what it has used so far to `*usage`, a structure of `size` bytes, and what holds it: the
 * fields about its end are 0. After its end is known, what it used in all. 0, or an error.
 */
int seclude_child_usage(struct seclude_child *child, struct seclude_outcome *usage, size_t size, struct seclude_error **err);

/**
 * Changes the memory limit of a running command, in bytes. The policy must have set one:
 * `SECLUDE_EINVAL` if not, and so below. 0 also if it has ended already.
 */
int seclude_child_set_memory(struct seclude_child *child, uint64_t bytes, struct seclude_error **err);

/**
 * Changes how many processors' worth of time it gets: 0.01 to 8192.
 */
int seclude_child_set_cpus(struct seclude_child *child, double number, struct seclude_error **err);

/**
 * Changes how many milliseconds of processor time it may use in all, what it has used already
 * included.
 */
int seclude_child_set_cpu_time(struct seclude_child *child, uint64_t milliseconds, struct seclude_error **err);

/**
 * Changes how many processes and threads may be inside at one time. Fewer than there are ends none
 * of them.
 */
int seclude_child_set_pids(struct seclude_child *child, uint64_t number, struct seclude_error **err);

/**
 * Lets everything inside stand still until `seclude_child_thaw`. 0, and `*how`, which may be NULL,
 * is the `SECLUDE_FREEZER_...` that did it. A frozen command can be killed, and its times go on:
 * wall time too.
 */
int seclude_child_freeze(struct seclude_child *child, int *how, struct seclude_error **err);

/**
 * Lets a frozen command go on. 0 also if it was not frozen, or has ended.
 */
int seclude_child_thaw(struct seclude_child *child, struct seclude_error **err);

/**
 * The name of a `SECLUDE_FREEZER_...`: "sigstop", the same in every language. NULL for any other
 * number. Never freed.
 */
const char *seclude_freezer_name(int freezer);

/**
 * Takes the listener of a command whose filter has `SECLUDE_SECCOMP_NOTIFY`, for
 * `seclude_listener_free`. Somebody must listen. A second time, or if there is none,
 * `SECLUDE_EINVAL`.
 */
int seclude_child_take_listener(struct seclude_child *child, struct seclude_listener **listener, struct seclude_error **err);

/**
 * Frees a listener. NULL is a no-op. Once it and its notifications are freed, calls left to it
 * fail with ENOSYS.
 */
void seclude_listener_free(struct seclude_listener *listener);

/**
 * Its descriptor: readable when a call waits, hung up when nobody can make one any more; it speaks
 * seccomp_unotify(2). Borrowed. `SECLUDE_EINVAL` for NULL.
 */
int seclude_listener_fd(const struct seclude_listener *listener);

/**
 * Waits for the next call, at most so many milliseconds, for ever if that is negative: 1 and
 * `*call`, for `seclude_notification_free` or one of the answers; 0 if none came in time, or
 * nobody is left who could make one.
 */
int seclude_listener_receive(const struct seclude_listener *listener,
                             int64_t timeout_ms,
                             struct seclude_notification **call,
                             struct seclude_error **err);

/**
 * Frees a call; without an answer, it fails with EPERM. NULL is a no-op.
 */
void seclude_notification_free(struct seclude_notification *call);

/**
 * The call's name; its number in decimal if it is newer than this library; `foreign:` and its
 * number if it is another architecture's. Borrowed. NULL for NULL.
 */
const char *seclude_notification_name(const struct seclude_notification *call);

/**
 * The call's number. -1 for NULL.
 */
int seclude_notification_number(const struct seclude_notification *call);

/**
 * The thread that makes it, as the caller sees it. 0 for NULL.
 */
uint32_t seclude_notification_pid(const struct seclude_notification *call);

/**
 * Writes its six arguments, as they stood in the registers, to six places.
 */
void seclude_notification_arguments(const struct seclude_notification *call, uint64_t *arguments);

/**
 * Reads the program's memory at an address into `size` bytes at `into`; how many there were, which
 * ends where nothing is mapped.
 */
int seclude_notification_read(const struct seclude_notification *call,
                              uint64_t address,
                              void *into,
                              size_t size,
                              struct seclude_error **err);

/**
 * Has the kernel carry it out, with whatever its arguments point at by then, and frees it. Linux
 * 5.5.
 */
int seclude_notification_allow(struct seclude_notification *call, struct seclude_error **err);

/**
 * It has succeeded with this result. Frees it.
 */
int seclude_notification_succeed(struct seclude_notification *call, int64_t value, struct seclude_error **err);

/**
 * It has failed with this error number of errno(3), 1 to 4095. Frees it.
 */
int seclude_notification_fail(struct seclude_notification *call, int errnum, struct seclude_error **err);

/**
 * It has succeeded, and its result is a new descriptor of the program's, a copy of `fd`,
 * close-on-exec or not: the answer to an open(2), say. Returns its number there. Frees it. Linux
 * 5.9.
 */
int seclude_notification_succeed_with_fd(struct seclude_notification *call,
                                         int fd,
                                         int close_on_exec,
                                         struct seclude_error **err);

/**
 * Runs the command to its end, and learns which system calls it makes and which paths it names.
 * Its standard output and error, unless the command says otherwise, are collected and thrown away;
 * its standard input is /dev/null. The sandbox's filter holds meanwhile, by the caller's hand
 * instead of the kernel's; every call waits for the caller, so expect it to take many times as
 * long. This function alone starts a thread, which has ended when it returns. Linux 5.5.
 */
int seclude_command_learn(struct seclude_command *command,
                          struct seclude_learned **learned,
                          struct seclude_outcome *outcome,
                          size_t size,
                          struct seclude_error **err);

/**
 * Frees what was learned. NULL is a no-op.
 */
void seclude_learned_free(struct seclude_learned *learned);

/**
 * The system calls, one in a line: its name, how often it was made, and `refused` if the filter
 * refuses it. In the order of their numbers. NULL for NULL.
 */
struct seclude_text *seclude_learned_calls(const struct seclude_learned *learned);

/**
 * The paths, as seen inside, each with a NUL after it. NULL for NULL.
 */
struct seclude_text *seclude_learned_paths(const struct seclude_learned *learned);

/**
 * A sandbox like the one that the command ran in, with a filter for these calls alone, as its own
 * filter has them; everything else fails with EPERM: `seclude_sandbox_to_toml` writes it down. One
 * run may not have done all that a program can do.
 */
int seclude_learned_sandbox(const struct seclude_learned *learned, struct seclude_sandbox **sandbox, struct seclude_error **err);

/**
 * The usual bounds. Never NULL. Free it with `seclude_transfer_free`.
 */
struct seclude_transfer *seclude_transfer_new(void);

/**
 * Frees it. NULL is a no-op.
 */
void seclude_transfer_free(struct seclude_transfer *transfer);

/**
 * At most so many bytes in files. A file counts with its length, holes included.
 */
void seclude_transfer_max_bytes(struct seclude_transfer *transfer, uint64_t bytes);

/**
 * At most so many files and directories, and other things that are left out
 * (`seclude_transfer_skip_special`).
 */
void seclude_transfer_max_entries(struct seclude_transfer *transfer, uint64_t number);

/**
 * Leaves out symbolic links, pipes, sockets and devices, and counts them. Without a word from
 * here, they are an error.
 */
void seclude_transfer_skip_special(struct seclude_transfer *transfer);

/**
 * Copies the file or tree at `path`, relative to the directory `base`, to `to`, which must not
 * exist yet. No link in `path` or below it is followed; `base` is the caller's word. The copies
 * are the caller's, with the permissions of the originals but for set-user-id and sticky bits.
 * After an error, nothing is left at `to`. What was copied goes to `*copied`, a structure of
 * `size` bytes, which may be NULL.
 */
int seclude_transfer_copy(const struct seclude_transfer *transfer,
                          const char *base,
                          const char *path,
                          const char *to,
                          struct seclude_copied *copied,
                          size_t size,
                          struct seclude_error **err);

/**
 * Copies a file or tree out of the running sandbox, from the absolute path `inside` to `to`, as
 * `seclude_transfer_copy` does with the sandbox's root as the base. A privileged caller reads
 * there what the sandbox's user may read, and no more. What runs may change it meanwhile:
 * `seclude_child_freeze` keeps it still.
 */
int seclude_child_copy_out(const struct seclude_child *child,
                           const char *inside,
                           const char *to,
                           const struct seclude_transfer *transfer,
                           struct seclude_copied *copied,
                           size_t size,
                           struct seclude_error **err);

/**
 * Copies a file or tree of the caller's into the running sandbox, to the absolute path `inside`,
 * which must not exist yet, in a place that the command may write to: it is made with the rights
 * of the sandbox's user. The copies are the command's own.
 */
int seclude_child_copy_in(const struct seclude_child *child,
                          const char *from,
                          const char *inside,
                          const struct seclude_transfer *transfer,
                          struct seclude_copied *copied,
                          size_t size,
                          struct seclude_error **err);

/**
 * An interaction without commands. Never NULL. Free it with `seclude_interaction_free`.
 */
struct seclude_interaction *seclude_interaction_new(void);

/**
 * Frees an interaction, the commands that were added to it, and their copies of descriptors. NULL
 * is a no-op. Children that it started are not affected.
 */
void seclude_interaction_free(struct seclude_interaction *interaction);

/**
 * Adds a command, and returns its number, from 0 on; a mistake is a negative `SECLUDE_E...`, and
 * sticks.
 *
 * The command is the interaction's from now on, after a mistake too: it is not to be used any
 * more, and not to be freed. Only where `interaction` is NULL is it freed at once.
 */
int seclude_interaction_add(struct seclude_interaction *interaction, struct seclude_command *command);

/**
 * Joins what the command of number `writer` writes to its descriptor `from` to what the command
 * `reader` reads from its descriptor `to`: `seclude_interaction_pipe(interaction, solution, 1,
 * judge, 0)`. Each descriptor of a command once.
 */
void seclude_interaction_pipe(struct seclude_interaction *interaction, int writer, int from, int reader, int to);

/**
 * Sets up all commands, then starts them together. 0, and each of the `count` places at `children`
 * holds a new child, in the order in which the commands were added: free each with
 * `seclude_child_free`. `count` is the number of commands. After a failure nothing runs, and all
 * places are NULL.
 *
 * Streams that are not joined are as `seclude_command_spawn` has them. Commands of one pool take
 * their places in it together, and wait for them, as long as that takes; a pool that has fewer is
 * `SECLUDE_EINVAL`.
 */
int seclude_interaction_spawn(struct seclude_interaction *interaction,
                              struct seclude_child **children,
                              size_t count,
                              struct seclude_error **err);

/**
 * As `seclude_interaction_spawn`, but waits for places in a pool for at most so many milliseconds;
 * with 0 it does not wait. 1, and each of the `count` places at `children` holds a new child; 0 if
 * there were not enough places in the pool: nothing has started then, and all are NULL.
 */
int seclude_interaction_spawn_timeout(struct seclude_interaction *interaction,
                                      uint64_t milliseconds,
                                      struct seclude_child **children,
                                      size_t count,
                                      struct seclude_error **err);

/**
 * Starts them together, collects what they write to streams that are not joined, and waits for
 * all. 0 if they ran, however each ended, and each of the `count` places at `outputs` holds a new
 * output, in the order in which the commands were added: free each with `seclude_output_free`.
 */
int seclude_interaction_output(struct seclude_interaction *interaction,
                               struct seclude_output **outputs,
                               size_t count,
                               struct seclude_error **err);

/**
 * Makes a template of this policy: later runs, cells and pools of this sandbox are copied from
 * that, which spares them the mounts; they are as fresh and as apart as without it. It lives as
 * long as one of them or the sandbox; a setter called afterwards makes another policy, without a
 * template. 0 also where a template cannot serve and nothing is done: with a writable root, a
 * shared user, mount or pid namespace, or something else at `/proc`.
 */
int seclude_sandbox_prepare(const struct seclude_sandbox *sandbox, struct seclude_error **err);

/**
 * Starts a cell of this sandbox as it is now: 0, and `*cell` is a new one, set up. Free it with
 * `seclude_cell_free`.
 */
int seclude_sandbox_cell(const struct seclude_sandbox *sandbox, struct seclude_cell **cell, struct seclude_error **err);

/**
 * Frees a cell. NULL is a no-op. It ends, with everything inside, when its commands and children
 * have been freed too; `seclude_cell_close` ends it at once. In a process forked by the caller,
 * nothing is ended.
 */
void seclude_cell_free(struct seclude_cell *cell);

/**
 * A command that runs `program` in the cell, as `seclude_sandbox_command` makes them. Many can run
 * at once. When one ends by itself, what it has started goes on; ended by force, what it has
 * started ends with it.
 */
struct seclude_command *seclude_cell_command(const struct seclude_cell *cell, const char *program);

/**
 * Its warden's process id, as the caller counts: another one after a reset. 0 for NULL and for a
 * closed one.
 */
uint32_t seclude_cell_pid(const struct seclude_cell *cell);

/**
 * Publishes it under a name, by which other processes of the caller's user find and enter it
 * (`seclude_named_cell_enter`), until it is closed, freed, or published under another. 1 to 64
 * letters, digits, dots, hyphens and underscores, not beginning with a dot; an error if another
 * cell lives under it.
 *
 * In the directory that the environment variable SECLUDE_CELLS names; else in
 * `$XDG_RUNTIME_DIR/seclude`, root's in `/run/seclude`, and the rest in `/tmp/seclude-UID`. It
 * must be the user's own, and closed to others' writing.
 */
int seclude_cell_publish(const struct seclude_cell *cell, const char *name, struct seclude_error **err);

/**
 * Every process inside, the warden first, each after its parent: 0, and `*processes` is a new
 * list. Free it with `seclude_processes_free`.
 */
int seclude_cell_processes(const struct seclude_cell *cell, struct seclude_processes **processes, struct seclude_error **err);

/**
 * Writes what all its commands have used so far, and what holds them, to `*usage`, a structure of
 * `size` bytes: the fields about an end are 0.
 */
int seclude_cell_usage(const struct seclude_cell *cell, struct seclude_outcome *usage, size_t size, struct seclude_error **err);

/**
 * Lets everything inside stand still until `seclude_cell_thaw`, as `seclude_child_freeze` does.
 */
int seclude_cell_freeze(const struct seclude_cell *cell, int *how, struct seclude_error **err);

/**
 * Lets everything inside go on. 0 also if it was not frozen.
 */
int seclude_cell_thaw(const struct seclude_cell *cell, struct seclude_error **err);

/**
 * Kills everything inside: commands that run end as `SECLUDE_ENDED_KILLED`. The cell stays, with
 * its files. Does not wait.
 */
int seclude_cell_kill_all(const struct seclude_cell *cell, struct seclude_error **err);

/**
 * Back to the state after set-up: no process, scratch file systems empty, network, System V
 * objects, message queues, keys and clocks new, the cgroups' counters at zero. The caller's files
 * that are bound writable stay as they are. The first one makes a template
 * (`seclude_sandbox_prepare`); from then on a reset costs a fraction of a new cell.
 */
int seclude_cell_reset(const struct seclude_cell *cell, struct seclude_error **err);

/**
 * Ends everything inside and waits until it is gone. Using the cell afterwards is
 * `SECLUDE_EINVAL`; closing it again, or NULL, is a no-op. It must still be freed.
 */
void seclude_cell_close(const struct seclude_cell *cell);

/**
 * 1 if it can run commands: it has not been closed, and its warden lives. Else 0.
 */
int seclude_cell_is_alive(const struct seclude_cell *cell);

/**
 * Changes the memory limit of all together, in bytes, until the next reset. The policy must have
 * set one: `SECLUDE_EINVAL` if not, and so below.
 */
int seclude_cell_set_memory(const struct seclude_cell *cell, uint64_t bytes, struct seclude_error **err);

/**
 * Changes how many processors' worth of time all together get: 0.01 to 8192.
 */
int seclude_cell_set_cpus(const struct seclude_cell *cell, double number, struct seclude_error **err);

/**
 * Changes how many processes and threads may be inside at one time.
 */
int seclude_cell_set_pids(const struct seclude_cell *cell, uint64_t number, struct seclude_error **err);

/**
 * Copies a file or tree out of the cell, as `seclude_child_copy_out` does.
 */
int seclude_cell_copy_out(const struct seclude_cell *cell,
                          const char *inside,
                          const char *to,
                          const struct seclude_transfer *transfer,
                          struct seclude_copied *copied,
                          size_t size,
                          struct seclude_error **err);

/**
 * Copies a file or tree of the caller's into the cell, as `seclude_child_copy_in` does.
 */
int seclude_cell_copy_in(const struct seclude_cell *cell,
                         const char *from,
                         const char *inside,
                         const struct seclude_transfer *transfer,
                         struct seclude_copied *copied,
                         size_t size,
                         struct seclude_error **err);

/**
 * Starts a pool that keeps `size` sandboxes of this policy, as it is now, ready: 0, and `*pool` is
 * a new one, of which one is ready. `reuse` not 0: a sandbox is used again when its command has
 * ended, and what that left behind, processes included, is there for the next: for commands that
 * trust one another. Free it with `seclude_pool_free`.
 */
int seclude_sandbox_pool(const struct seclude_sandbox *sandbox,
                         size_t size,
                         int reuse,
                         struct seclude_pool **pool,
                         struct seclude_error **err);

/**
 * Frees a pool. NULL is a no-op. What is ready and its threads end when its commands have been
 * freed too; `seclude_pool_close` ends them at once. Children that run go on.
 */
void seclude_pool_free(struct seclude_pool *pool);

/**
 * A command that runs `program` in one of the pool's sandboxes, as `seclude_sandbox_command` makes
 * them. Spawning it waits while as many as the pool's size run.
 */
struct seclude_command *seclude_pool_command(const struct seclude_pool *pool, const char *program);

/**
 * A descriptor for poll(2) and event loops, readable while there is reason to try a start: a place
 * is free and a sandbox ready, or there is an error to be told, or the pool has been closed.
 * `seclude_command_try_spawn` then tells; another thread may have been faster. Nothing is to be
 * read from it. Borrowed: never close it; valid until the pool is freed. `SECLUDE_EINVAL` for
 * NULL.
 */
int seclude_pool_fd(const struct seclude_pool *pool);

/**
 * Writes what it has done so far to `*statistics`, a structure of `size` bytes. 0, or -1 if `pool`
 * is NULL.
 */
int seclude_pool_statistics(const struct seclude_pool *pool, struct seclude_statistics *statistics, size_t size);

/**
 * Writes what has become of the network namespaces of its sandboxes to `*networks`, a structure of
 * `size` bytes. 0, or -1 if `pool` is NULL.
 */
int seclude_pool_networks(const struct seclude_pool *pool, struct seclude_networks *networks, size_t size);

/**
 * Ends what is ready, and the pool's threads. Children that run go on; spawning another command is
 * `SECLUDE_EINVAL`. NULL, or a closed one, is a no-op. It must still be freed.
 */
void seclude_pool_close(const struct seclude_pool *pool);

/**
 * The name of a `SECLUDE_ENDED_...`: "exited", "wall-time", "memory-limit", the same in every
 * language. NULL for any other number. Never freed.
 */
const char *seclude_ended_name(int ended);

/**
 * The name of a `SECLUDE_MEMORY_...`: "cgroup", the same in every language. NULL for any other
 * number. Never freed.
 */
const char *seclude_memory_source_name(int source);

/**
 * The name of one `SECLUDE_PROTECTION_...`: "no-capabilities", the same in every language. NULL
 * for any other number, so that a loop over the bits of `enforced` skips what this library does
 * not know. Never freed.
 */
const char *seclude_protection_name(uint64_t protection);

/**
 * Writes how it ended to `*outcome`, a structure of `size` bytes, and returns 0; `SECLUDE_EINVAL`
 * if `output` is NULL.
 */
int seclude_output_outcome(const struct seclude_output *output, struct seclude_outcome *outcome, size_t size);

/**
 * What it wrote to its standard output, if that was piped, and how many bytes in `*length`, which
 * may be NULL. A NUL follows the last byte. "" and 0 for NULL, so never NULL. Borrowed: valid
 * until the output is freed.
 */
const char *seclude_output_stdout(const struct seclude_output *output, size_t *length);

/**
 * What it wrote to its standard error, as `seclude_output_stdout`.
 */
const char *seclude_output_stderr(const struct seclude_output *output, size_t *length);

/**
 * Frees an output. NULL is a no-op.
 */
void seclude_output_free(struct seclude_output *output);

/**
 * Frees a list. NULL is a no-op.
 */
void seclude_processes_free(struct seclude_processes *processes);

/**
 * How many processes are in the list.
 */
size_t seclude_processes_count(const struct seclude_processes *processes);

/**
 * A process's id in the caller's pid namespace.
 */
uint32_t seclude_processes_pid(const struct seclude_processes *processes, size_t index);

/**
 * A process's id in the sandbox's pid namespace; the warden's is 1. The outside id where that
 * namespace is shared. In a list of `seclude_namespaces`, its id in the pid namespace that it is
 * in.
 */
uint32_t seclude_processes_inside_pid(const struct seclude_processes *processes, size_t index);

/**
 * One of a process's ids, from the caller's namespace (`level` 0) inwards; 0 past the last. A
 * process in a sandbox within has more than two.
 */
uint32_t seclude_processes_pid_at(const struct seclude_processes *processes, size_t index, size_t level);

/**
 * The id of a process's parent in the caller's pid namespace.
 */
uint32_t seclude_processes_parent(const struct seclude_processes *processes, size_t index);

/**
 * A process's user id, as the caller sees it. `UINT32_MAX`, which is nobody's, past the end.
 */
uint32_t seclude_processes_uid(const struct seclude_processes *processes, size_t index);

/**
 * A process's state: 'R' running, 'S' sleeping, 'D' in uninterruptible sleep, 'T' stopped, 'Z'
 * ended but not reaped.
 */
char seclude_processes_state(const struct seclude_processes *processes, size_t index);

/**
 * A process's name, at most 15 bytes, as it may set it by prctl(2). Borrowed: valid until the list
 * is freed.
 */
const char *seclude_processes_name(const struct seclude_processes *processes, size_t index);

/**
 * One word of a process's command line, from 0 on; NULL past the last. The name in brackets where
 * the kernel shows none. Borrowed: valid until the list is freed.
 */
const char *seclude_processes_argument(const struct seclude_processes *processes, size_t index, size_t argument);

/**
 * Finds every namespace that the caller may see, and the processes in each. Nothing is entered,
 * stopped or changed.
 *
 * Found are the namespaces of all processes in /proc; those that a process has ready for its next
 * children; those that own or surround one of these, though nobody is in them; and those that a
 * mount keeps. Not found are namespaces that only an open descriptor keeps. They come by
 * kind (user, mount, pid, net, ipc, uts, cgroup, time), outer ones before inner ones.
 *
 * Fails if /proc cannot be read, or no descriptor can be opened; never because of what another
 * process does meanwhile. Gives a list, which the caller frees.
 */
int seclude_namespaces_read(struct seclude_namespaces **namespaces, struct seclude_error **err);

/**
 * Frees a list. NULL is a no-op.
 */
void seclude_namespaces_free(struct seclude_namespaces *namespaces);

/**
 * How many namespaces are in the list.
 */
size_t seclude_namespaces_count(const struct seclude_namespaces *namespaces);

/**
 * A namespace's kind: one of `SECLUDE_NAMESPACE_...`.
 */
int seclude_namespaces_kind(const struct seclude_namespaces *namespaces, size_t index);

/**
 * A namespace's number, which no other of any kind has while it exists: the inode that `readlink
 * /proc/PID/ns/...` shows.
 */
uint64_t seclude_namespaces_id(const struct seclude_namespaces *namespaces, size_t index);

/**
 * The number of the user namespace that a namespace belongs to; a user namespace's is its parent.
 * 0 where the caller may not know it, being in another branch or further inside, and for the first
 * of all user namespaces, which has none.
 */
uint64_t seclude_namespaces_owner(const struct seclude_namespaces *namespaces, size_t index);

/**
 * The user who made a user namespace, as the caller counts. `UINT32_MAX`, which is nobody's, for
 * other kinds.
 */
uint32_t seclude_namespaces_owner_uid(const struct seclude_namespaces *namespaces, size_t index);

/**
 * The number of the namespace around a pid or user namespace. 0 for other kinds, and as for the
 * owner.
 */
uint64_t seclude_namespaces_parent(const struct seclude_namespaces *namespaces, size_t index);

/**
 * The processes in a namespace, each after its parent, without those in namespaces further inside;
 * NULL past the end. A process's inside id is that in the pid namespace that it is in. Borrowed:
 * valid until the list of namespaces is freed, and never freed by itself.
 */
const struct seclude_processes *seclude_namespaces_processes(const struct seclude_namespaces *namespaces, size_t index);

/**
 * The mounts that keep a namespace, with processes or without, from 0 on: paths in the caller's
 * own mount namespace. NULL past the last. Borrowed: valid until the list is freed.
 */
const char *seclude_namespaces_held_by(const struct seclude_namespaces *namespaces, size_t index, size_t mount);

/**
 * The processes whose namespaces are not known, for the caller may not look into them: another
 * user's, as a rule. How deep they are in pid namespaces `seclude_processes_pid_at` tells. NULL
 * for NULL. Borrowed: valid until the list of namespaces is freed, and never freed by itself.
 */
const struct seclude_processes *seclude_namespaces_closed(const struct seclude_namespaces *namespaces);

/**
 * A new object that names none. Free it with `seclude_join_free`. Never NULL.
 */
struct seclude_join *seclude_join_new(void);

/**
 * Frees it. NULL is a no-op.
 */
void seclude_join_free(struct seclude_join *join);

/**
 * Those that a process is in, by its id as the caller counts. If it ends and another gets its
 * number before they are looked up, they are that one's: a pidfd is never mistaken.
 */
void seclude_join_process(struct seclude_join *join, uint32_t pid);

/**
 * Those that a process is in, by a descriptor of it: pidfd_open(2), `seclude_child_pidfd`. It is
 * duplicated at once.
 */
void seclude_join_pidfd(struct seclude_join *join, int pidfd);

/**
 * The one that a path leads to: /proc/PID/ns/net, or where one is kept by a mount
 * (`seclude_join_persist`, `ip netns add`).
 */
void seclude_join_path(struct seclude_join *join, const char *path);

/**
 * The one behind a descriptor, which is duplicated at once.
 */
void seclude_join_descriptor(struct seclude_join *join, int descriptor_of_it);

/**
 * Of a process, only namespaces of these kinds: one or several `SECLUDE_NAMESPACE_...` joined by
 * `|`.
 */
void seclude_join_only(struct seclude_join *join, int kinds);

/**
 * Keeps the namespace of this kind among them, with processes or without, by a mount of it at
 * `path`, where a file of mode 444 is made for it: until `seclude_namespace_release` or the
 * machine's end. As `ip netns add` does: takes CAP_SYS_ADMIN over the caller's mount namespace.
 */
int seclude_join_persist(const struct seclude_join *join, int kind, const char *path, struct seclude_error **err);

/**
 * Lets go of a namespace that `seclude_join_persist` keeps at `path`: takes the mount and the file
 * away. What still runs in it goes on. An error if none is kept there.
 */
int seclude_namespace_release(const char *path, struct seclude_error **err);

/**
 * For commands in namespaces that exist already, instead of new ones of these kinds. The policy,
 * as it is now, holds for all the rest: who the command is, its filter, limits, files if the mount
 * namespace is not among them. The user is the policy's by its number in the user namespace that
 * is joined, and never the host's root. Those that a process has in common with the caller are
 * shared, but for the user namespace. setns(2). Gives `*joined`, which the caller frees.
 */
int seclude_sandbox_join(const struct seclude_sandbox *sandbox,
                         const struct seclude_join *join,
                         struct seclude_joined **joined,
                         struct seclude_error **err);

/**
 * Frees it; commands and children of it go on. NULL is a no-op.
 */
void seclude_joined_free(struct seclude_joined *joined);

/**
 * A command that runs `program` in them, as `seclude_sandbox_command` makes them. All that it
 * starts ends with it.
 */
struct seclude_command *seclude_joined_command(const struct seclude_joined *joined, const char *program);

/**
 * The kinds that are entered: `SECLUDE_NAMESPACE_...` joined by `|`. 0 for NULL.
 */
int seclude_joined_kinds(const struct seclude_joined *joined);

/**
 * Finds every published cell (`seclude_cell_publish`) of the caller's user that lives. Entries of
 * others are removed: of a caller that was killed, for one. Gives a list, which the caller frees.
 */
int seclude_named_cells_read(struct seclude_named_cells **cells, struct seclude_error **err);

/**
 * Frees a list. NULL is a no-op.
 */
void seclude_named_cells_free(struct seclude_named_cells *cells);

/**
 * How many there are.
 */
size_t seclude_named_cells_count(const struct seclude_named_cells *cells);

/**
 * The name of one. Borrowed.
 */
const char *seclude_named_cells_name(const struct seclude_named_cells *cells, size_t index);

/**
 * The process id of one's warden, as the caller counts.
 */
uint32_t seclude_named_cells_pid(const struct seclude_named_cells *cells, size_t index);

/**
 * Enters the published cell of this name: commands of `*joined`, which the caller frees, run in
 * all its namespaces and cgroups, under its policy, beside those of the cell's own caller. What
 * one has started ends with it. Wall time, output and processor time are each command's own; the
 * other limits are the cell's. An error if no cell of this name lives. What Landlock says of
 * signals and abstract sockets is left out, for they would not reach the cell's own processes.
 */
int seclude_named_cell_enter(const char *name, struct seclude_joined **joined, struct seclude_error **err);

/**
 * Finds out what this host allows to this process, by starting sandboxes that try one feature
 * each: some forty, one after another, whose program comes from this library and ends at once.
 * What does not work is what it tells, and no error; it leaves nothing behind.
 *
 * Gives a report, which the caller frees.
 */
int seclude_doctor(struct seclude_report **report, struct seclude_error **err);

/**
 * Frees a report. NULL is a no-op.
 */
void seclude_report_free(struct seclude_report *report);

/**
 * 1 if sandboxes can be started at all, else 0.
 */
int seclude_report_ready(const struct seclude_report *report);

/**
 * The kernel's release, as `uname -r` tells it; "" where /proc does not, NULL for NULL. Borrowed:
 * valid until the report is freed.
 */
const char *seclude_report_kernel(const struct seclude_report *report);

/**
 * The report as a table for people, without a newline at its end; NULL for NULL. Borrowed: valid
 * until the report is freed.
 */
const char *seclude_report_table(const struct seclude_report *report);

/**
 * The report in JSON: an object with "seclude", "kernel", "ready" and "checks", a list of objects
 * with "name", "state", "detail", "cause" and "remedy"; NULL for NULL. Borrowed: valid until the
 * report is freed.
 */
const char *seclude_report_json(const struct seclude_report *report);

/**
 * How many checks there are.
 */
size_t seclude_report_count(const struct seclude_report *report);

/**
 * The name of a check, which does not change from version to version: "namespace.user",
 * "limit.memory". Borrowed: valid until the report is freed.
 */
const char *seclude_report_name(const struct seclude_report *report, size_t index);

/**
 * How far the feature goes: one of SECLUDE_STATE_....
 */
int seclude_report_state(const struct seclude_report *report, size_t index);

/**
 * What was found: a mechanism, a path. "" if there is nothing to say. Borrowed: valid until the
 * report is freed.
 */
const char *seclude_report_detail(const struct seclude_report *report, size_t index);

/**
 * Why it does not work, or only in a lesser way; NULL if it works. Borrowed: valid until the
 * report is freed.
 */
const char *seclude_report_cause(const struct seclude_report *report, size_t index);

/**
 * What to do about it; NULL if nothing is known, or nothing need be done. Borrowed: valid until
 * the report is freed.
 */
const char *seclude_report_remedy(const struct seclude_report *report, size_t index);

/**
 * The text, which ends with a NUL. "" for NULL, so never NULL. Borrowed: valid until the text is
 * freed.
 */
const char *seclude_text_string(const struct seclude_text *text);

/**
 * The number of its bytes, without the NUL at the end. 0 for NULL.
 */
size_t seclude_text_length(const struct seclude_text *text);

/**
 * Frees a text. NULL is a no-op.
 */
void seclude_text_free(struct seclude_text *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SECLUDE_H */
