/*
 * seclude.h: runs a program in isolation on Linux, and reports how it ended.
 *
 * The program runs in namespaces of its own, within limits that the caller sets:
 *
 *     seclude_sandbox *sandbox = seclude_sandbox_new();
 *     seclude_sandbox_memory(sandbox, SECLUDE_MIB(256));
 *     seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(64));
 *     seclude_command *command = seclude_sandbox_command(sandbox, "echo");
 *     seclude_command_arg(command, "hello");
 *     seclude_outcome outcome;
 *     seclude_error *err = NULL;
 *     if (seclude_command_run(command, &outcome, sizeof outcome, &err) < 0)
 *         fprintf(stderr, "%s\n", seclude_error_message(err));
 *     else
 *         puts(outcome.text);
 *     seclude_error_free(err);
 *     seclude_command_free(command);
 *     seclude_sandbox_free(sandbox);
 *
 * A sandbox is a policy. A command is a program to run under that policy. A child is a running
 * command. An outcome says how the command ended, what it used, and which protections and limits
 * were active. "Inside" means in the sandbox, "outside" means on the host. The warden is the
 * library's own process that sets up a sandbox and supervises it.
 *
 * Link with the flags that `pkg-config --cflags --libs seclude` prints. For a fully static program,
 * use `cc -static` with the flags that `pkg-config --static --cflags --libs seclude` prints.
 *
 * Contents
 *
 *     Version                Outcomes
 *     Types                  Output
 *     Errors                 Lists of processes
 *     Sandboxes              Copying files in and out
 *     Policies as text       Files that a command leaves
 *     Files                  System calls that the caller decides
 *     Limits                 Learning a filter
 *     System calls           Commands that talk to each other
 *     Landlock               Cells
 *     Commands               Images and their store
 *     Children               Changes of a cell
 *     Control                Pools
 *     Terminals              Private networks
 *                            Published ports and the way out
 *                            Namespaces that exist
 *                            Joining namespaces
 *                            Published cells
 *                            What the host allows
 *                            Test programs
 *
 * The rules below hold for every function.
 *
 * Results
 *
 *     A function that can fail returns an int: 0 or more is success, a negative number is one of
 *     SECLUDE_E.... On failure `*err` receives a new error, which the caller frees. On success
 *     `*err` keeps its value. `err` may be NULL. The library reports nothing through errno.
 *
 * Setters
 *
 *     A setter returns nothing. The first mistake sticks to the object, and later setters change
 *     nothing. The function that uses the object reports the mistake, so no command ever runs under
 *     half a policy.
 *
 * Ownership
 *
 *     The caller owns every object that a function stores through a `T **` or returns as a pointer
 *     to non-const, and frees it once with the _free function of its type. _free(NULL) does
 *     nothing. On failure the function stores NULL.
 *
 *     A pointer to const that a function returns is borrowed from its object: it is valid until
 *     that object is freed, and the caller never frees it.
 *
 *     Functions copy the strings and bytes that they take, and duplicate the descriptors.
 *
 * NULL
 *
 *     NULL for a required pointer never crashes. A function that returns a code returns
 *     SECLUDE_EINVAL, a setter that gets a NULL string stores the mistake in its object, and a call
 *     on a NULL object does nothing. For this reason no parameter has the attribute nonnull, which
 *     would let the compiler assume otherwise.
 *
 * Unused results
 *
 *     The compiler warns about an ignored result where it is the only report of a failure, or
 *     an object or a descriptor that the caller owns (SECLUDE_WARN_UNUSED).
 *
 * Threads
 *
 *     Any thread may use any object. Calls that take an object as const may overlap. A call that
 *     takes it as non-const may not overlap with any other call on the same object.
 *
 * Processes
 *
 *     The library installs no signal handler, needs no SIGCHLD, and changes no state of the calling
 *     process. It starts threads for a pool, while seclude_command_learn runs, and while it copies
 *     files with the rights of a sandbox's user. After fork(2), the new process may only free
 *     objects, which has no effect in its parent. Every descriptor is close-on-exec.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Generated from capi/seclude.h.in and capi/src by `make faces`: edit those.
 */

#ifndef SECLUDE_H
#define SECLUDE_H

#include <stddef.h>
#include <stdint.h>

/** Warns when the caller ignores the result of the function. */
#if defined(__GNUC__) || defined(__clang__)
#define SECLUDE_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define SECLUDE_WARN_UNUSED
#endif

/** `n` KiB, MiB or GiB as a number of bytes: `SECLUDE_MIB(64)`. */
#define SECLUDE_KIB(n) ((uint64_t)(n) << 10)
#define SECLUDE_MIB(n) ((uint64_t)(n) << 20)
#define SECLUDE_GIB(n) ((uint64_t)(n) << 30)

#ifdef __cplusplus
extern "C" {
#endif

/* ================================================================================================
 * Version
 * ============================================================================================= */

/**
 * Returns the version of the library that the program runs with, in the form of
 * `SECLUDE_VERSION_NUMBER`.
 *
 * The library may be newer than the header that the program was compiled with, never older:
 * `assert(seclude_version_number() >= SECLUDE_VERSION_NUMBER)`.
 */
int seclude_version_number(void);

/**
 * Returns the version of the library that the program runs with, as text: "0.1.0". Static: never
 * NULL, never freed.
 */
const char *seclude_version(void);

/**
 * The major version of this header. While it is 0, a new minor version may change the ABI and the
 * SONAME.
 */
#define SECLUDE_VERSION_MAJOR 0

/** The minor version of this header. */
#define SECLUDE_VERSION_MINOR 1

/** The patch version of this header. */
#define SECLUDE_VERSION_PATCH 0

/** The version of this header as one number: major * 1000000 + minor * 1000 + patch. */
#define SECLUDE_VERSION_NUMBER 1000

/* ================================================================================================
 * Types
 *
 * All are opaque, except the structures seclude_outcome, seclude_copied, seclude_statistics,
 * seclude_networks, seclude_traffic, seclude_link and
 * seclude_egress. Each is explained where its functions are.
 * ============================================================================================= */

/** What went wrong, at which step, and what to do about it. */
typedef struct seclude_error seclude_error;

/** A policy: what a program sees, and what it may use. No process runs yet. */
typedef struct seclude_sandbox seclude_sandbox;

/** A string that the library made: a policy as text, for example. */
typedef struct seclude_text seclude_text;

/** A seccomp filter: a profile, and rules that take precedence over it. */
typedef struct seclude_seccomp seclude_seccomp;

/**
 * A program to run in a sandbox: arguments, environment, working directory, standard streams,
 * further descriptors.
 */
typedef struct seclude_command seclude_command;

/** A running command. */
typedef struct seclude_child seclude_child;

/** A terminal of the caller's in raw mode. Freeing the object restores the terminal. */
typedef struct seclude_raw_mode seclude_raw_mode;

/** How a command ended, what it used, and which protections and limits were active while it ran. */
typedef struct seclude_outcome seclude_outcome;

/** What a command wrote, and how it ended. It never changes. */
typedef struct seclude_output seclude_output;

/** A list of processes at one moment, as the caller sees them. It never changes. */
typedef struct seclude_processes seclude_processes;

/** How to copy files and trees, and how much at most. */
typedef struct seclude_transfer seclude_transfer;

/** What was copied. */
typedef struct seclude_copied seclude_copied;

/**
 * The files that a command has left, as `seclude_command_collect` asked for them. It never
 * changes.
 */
typedef struct seclude_collected seclude_collected;

/**
 * A source of the system calls that a filter leaves to the caller. A thread that makes such a call
 * is stopped until the caller has answered.
 */
typedef struct seclude_listener seclude_listener;

/** A system call that waits for an answer. Freed without one, the call fails with EPERM. */
typedef struct seclude_notification seclude_notification;

/** What a program did: its system calls, and the paths that it named. */
typedef struct seclude_learned seclude_learned;

/**
 * Commands that are joined by pipes and started together: a solution and its judge, for example.
 * Each has its own sandbox, limits and end.
 */
typedef struct seclude_interaction seclude_interaction;

/** A sandbox that stays up and runs many commands, which share its files, processes and network. */
typedef struct seclude_cell seclude_cell;

/** A directory with images: the files of their layers, and their names. */
typedef struct seclude_store seclude_store;

/**
 * A file system with the software of another system, in a store. It stays there as long as this
 * object, or a sandbox that uses it, exists.
 */
typedef struct seclude_image seclude_image;

/** The images of a store at one moment, by name. The list never changes. */
typedef struct seclude_image_list seclude_image_list;

/** What differs in an overlay from its layers, by path. The list never changes. */
typedef struct seclude_changes seclude_changes;

/** Sandboxes of one policy that are ready before a command needs one. */
typedef struct seclude_pool seclude_pool;

/**
 * What a pool has done so far, and what it contains. The times are those of the last 1000 events.
 */
typedef struct seclude_statistics seclude_statistics;

/** What became of the network namespaces of a policy's template. */
typedef struct seclude_networks seclude_networks;

/** A private network that sandboxes and cells join. */
typedef struct seclude_network seclude_network;

/**
 * The members of a network at one moment, in the order of their addresses. The list never changes.
 */
typedef struct seclude_members seclude_members;

/** The faults of a link, in one direction. A structure of zeros has none. */
typedef struct seclude_link seclude_link;

/** What a member of a network has sent and received since it joined. */
typedef struct seclude_traffic seclude_traffic;

/**
 * What has been reached outside by the rules of a policy (`seclude_sandbox_egress`), and what was
 * tried in vain. The fields are 0 without such rules.
 */
typedef struct seclude_egress seclude_egress;

/** The namespaces that the caller may see, at one moment. The list never changes. */
typedef struct seclude_namespaces seclude_namespaces;

/** Existing namespaces, named by a process, a path or a descriptor. */
typedef struct seclude_join seclude_join;

/**
 * A policy together with existing namespaces, in which its commands run. The policy determines the
 * rest.
 */
typedef struct seclude_joined seclude_joined;

/**
 * The published cells of the caller's user, at one moment, sorted by name. The list never changes.
 */
typedef struct seclude_named_cells seclude_named_cells;

/** What this host allows: a list of checks, one for each feature. It never changes. */
typedef struct seclude_report seclude_report;

/* ================================================================================================
 * Errors: seclude_error
 *
 * What went wrong, at which step, and what to do about it.
 *
 * A failing call makes an error, and the caller frees it with `seclude_error_free`. An error never
 * changes.
 * ============================================================================================= */

/** Frees an error. NULL is a no-op. */
void seclude_error_free(seclude_error *error);

/** Returns the code of an error, which is the one that the failing call returned. 0 for NULL. */
int seclude_error_code(const seclude_error *error);

/**
 * Returns the name of a code, which is the same in every language: "program-missing". NULL for a
 * number that is no code. Static: never freed.
 */
const char *seclude_code_name(int code);

/**
 * Returns the name of the error's code, as `seclude_code_name` does. NULL for NULL. Static: never
 * freed.
 */
const char *seclude_error_name(const seclude_error *error);

/**
 * Returns the whole error as one line without a newline: `action object: cause (step n of m);
 * hint: remedy`.
 *
 * The text is UTF-8, except for bytes of a path that is not. For NULL it is "no error", so the
 * result is never NULL. Borrowed: valid until the error is freed.
 */
const char *seclude_error_message(const seclude_error *error);

/**
 * Returns the step that failed, with its object: "bind /opt/tool on /opt/tool". NULL for NULL.
 * Borrowed: valid until the error is freed.
 */
const char *seclude_error_step(const seclude_error *error);

/**
 * Returns the error number of the system call that failed, as in errno(3). 0 if no system call
 * failed, and for NULL.
 */
int seclude_error_errno(const seclude_error *error);

/**
 * Returns the path that the failed step worked on. NULL if there is none, and for NULL. Borrowed:
 * valid until the error is freed.
 */
const char *seclude_error_path(const seclude_error *error);

/**
 * Returns what to do about the error. NULL if no remedy is known, and for NULL. Borrowed: valid
 * until the error is freed.
 */
const char *seclude_error_hint(const seclude_error *error);

/**
 * Returns the step of the set-up or of the start that failed: one of `SECLUDE_STEP_...`.
 *
 * 0 if no step had begun, if all were done, and for NULL. `seclude_error_step` describes the step
 * in words, with its object.
 */
int seclude_error_step_kind(const seclude_error *error);

/**
 * Returns the name of a `SECLUDE_STEP_...`, which is the same in every language: "pivot-root".
 * NULL for any other number. Static: never freed.
 */
const char *seclude_step_name(int step);

/* ---- Codes ---- */

/**
 * An argument or a part of the policy is not allowed, or a required pointer is NULL. Nothing was
 * started.
 */
#define SECLUDE_EINVAL (-1)

/**
 * A policy text cannot be read: it is not JSON or TOML, has an unknown key, or a value of the
 * wrong kind.
 */
#define SECLUDE_EPOLICY (-2)

/** The source of a bind does not exist. */
#define SECLUDE_ESOURCE_MISSING (-3)

/**
 * The source of a bind exists, but the command or the caller may not read it, or the command may
 * write nothing in a writable bind.
 */
#define SECLUDE_ESOURCE_UNREADABLE (-4)

/** The program does not exist inside. */
#define SECLUDE_EPROGRAM_MISSING (-5)

/** The program exists inside, but is not executable. */
#define SECLUDE_EPROGRAM_NOT_EXECUTABLE (-6)

/**
 * This machine cannot execute the program's format: the program is for another architecture, or
 * the file is no program.
 */
#define SECLUDE_EPROGRAM_FORMAT (-7)

/**
 * The program exists inside, but not the interpreter that its first line or its ELF header names.
 */
#define SECLUDE_EINTERPRETER_MISSING (-8)

/** The host does not let this process make a user namespace, or grants it no rights in one. */
#define SECLUDE_ENAMESPACES_DENIED (-9)

/** A limit of the host on namespaces, processes, descriptors or memory is reached. */
#define SECLUDE_EHOST_LIMIT (-10)

/** The kernel lacks a requested feature. */
#define SECLUDE_EUNSUPPORTED (-11)

/** Another step of the set-up failed. `seclude_error_step` names it. */
#define SECLUDE_ESETUP (-12)

/**
 * The warden ended without a report: it was killed from outside, or the machine ran out of memory.
 */
#define SECLUDE_EWARDEN_LOST (-13)

/** An operation of the caller's process failed, on a pipe, a file or a descriptor. */
#define SECLUDE_EIO (-14)

/** This host cannot enforce a limit, or not as exactly as `seclude_sandbox_require` demands. */
#define SECLUDE_ELIMIT_UNAVAILABLE (-15)

/** The library met a case that it has no code for. This is a bug: please report it. */
#define SECLUDE_EINTERNAL (-100)

/**
 * The library panicked. This is a bug: please report it. The call had no lasting effect. Free the
 * objects that it was given.
 */
#define SECLUDE_EPANIC (-101)

/* ---- Steps of the set-up and the start ---- */

/** Create the namespaces and execute the warden: `clone(2)`, `execveat(2)`. */
#define SECLUDE_STEP_LAUNCH 1

/** Enter existing namespaces: `setns(2)`. */
#define SECLUDE_STEP_JOIN 2

/** Reset inherited process attributes: ignored signals, the umask, the timer slack. */
#define SECLUDE_STEP_ATTRIBUTES 3

/** Open a path outside the sandbox: the source of a bind, or a root directory. */
#define SECLUDE_STEP_OPEN_SOURCE 4

/** Open a device node of the host. */
#define SECLUDE_STEP_OPEN_DEVICE 5

/** Wait until the caller has written the id maps and moved the warden into its cgroups. */
#define SECLUDE_STEP_ADMISSION 6

/** Open the `/proc` that the process scan reads, for sampled limits. */
#define SECLUDE_STEP_PROCESS_VIEW 7

/** Reserve process ids for the wardens of commands that enter a cell. */
#define SECLUDE_STEP_RESERVE_PIDS 8

/** Write an id map of one line. */
#define SECLUDE_STEP_MAP_IDS 9

/** Compare the kernel's id maps with those that were written. */
#define SECLUDE_STEP_CHECK_IDS 10

/** Change to the user and group of the command. */
#define SECLUDE_STEP_BECOME_USER 11

/** Check that the command's user may read a source. */
#define SECLUDE_STEP_CHECK_READABLE 12

/** Create a time namespace and set its clocks. */
#define SECLUDE_STEP_CLOCKS 13

/** Create a cgroup namespace. */
#define SECLUDE_STEP_CGROUP_NAMESPACE 14

/** Make the process that becomes process 1 of its tree. */
#define SECLUDE_STEP_PROCESS_TREE 15

/** Set the host name. */
#define SECLUDE_STEP_HOST_NAME 16

/** Set the NIS domain name. */
#define SECLUDE_STEP_DOMAIN_NAME 17

/** Bring up the loopback device. */
#define SECLUDE_STEP_LOOPBACK 18

/** Detach mount propagation from the caller's mount namespace. */
#define SECLUDE_STEP_PRIVATE_MOUNTS 19

/** Mount a tmpfs as the new root. */
#define SECLUDE_STEP_ROOT 20

/** Bind entries of a directory: the host's programs, or those of another root. */
#define SECLUDE_STEP_SHOW_ENTRIES 21

/** Bind a file or directory. */
#define SECLUDE_STEP_BIND 22

/** Mount a tmpfs. */
#define SECLUDE_STEP_TMPFS 23

/** Mount a mqueue file system. */
#define SECLUDE_STEP_MESSAGE_QUEUES 24

/** Create a directory. */
#define SECLUDE_STEP_DIRECTORY 25

/** Create a file. */
#define SECLUDE_STEP_FILE 26

/** Make a mount read-only: `mount_setattr(2)`. */
#define SECLUDE_STEP_REMOUNT 27

/** Change the mode of a file. */
#define SECLUDE_STEP_CHMOD 28

/** Create a symbolic link. */
#define SECLUDE_STEP_SYMLINK 29

/** Mount a proc file system. */
#define SECLUDE_STEP_PROC 30

/** Mask files of `/proc`. */
#define SECLUDE_STEP_MASK_PROC 31

/** Make files of `/proc` read-only. */
#define SECLUDE_STEP_READ_ONLY_PROC 32

/** Mount a devpts file system. */
#define SECLUDE_STEP_TERMINALS 33

/** Change to the new root: `pivot_root(2)`. */
#define SECLUDE_STEP_PIVOT_ROOT 34

/** Make the root read-only. */
#define SECLUDE_STEP_READ_ONLY_ROOT 35

/** Take over the file system of a template or a cell. */
#define SECLUDE_STEP_ADOPT_ROOT 36

/** Forbid nested user namespaces. */
#define SECLUDE_STEP_NO_NESTED_USERS 37

/** Create a Landlock ruleset. */
#define SECLUDE_STEP_LANDLOCK 38

/** Join a new session keyring. */
#define SECLUDE_STEP_KEYRING 39

/** Drop all capabilities. */
#define SECLUDE_STEP_DROP_PRIVILEGES 40

/** Load the warden's seccomp filter. */
#define SECLUDE_STEP_SECCOMP_FILTER 41

/** Give the caller descriptors of the namespaces of a private network. */
#define SECLUDE_STEP_LEND_NAMESPACES 42

/** Start the command in the finished sandbox. */
#define SECLUDE_STEP_START 43

/** Mount an overlay file system. */
#define SECLUDE_STEP_OVERLAY 44

/** Mount the sandbox's own cgroup. */
#define SECLUDE_STEP_CGROUP 45

/* ================================================================================================
 * Sandboxes: seclude_sandbox
 *
 * A policy: what a program sees, and what it may use. No process runs yet.
 *
 * A new sandbox is restrictive. It has every namespace of its own except the time namespace. Its
 * network has only a loopback device. It shows the host's `/usr` read-only. Only `/tmp` and
 * `/dev/shm` are writable, and both are its own. The user id inside means nothing outside, and the
 * command has no privileges. Each setter changes one of these things.
 *
 * A mistake in a setter sticks to the sandbox. Every function that uses the sandbox reports the
 * first one.
 * ============================================================================================= */

/** One user and one group: the command's own. */
#define SECLUDE_IDS_SINGLE 1

/** A range of ids, 0 to 65535 where the caller can have as many. */
#define SECLUDE_IDS_RANGE 2

/** A range if the caller can have one, and otherwise one user and one group. */
#define SECLUDE_IDS_AUTO 3

/**
 * Makes a sandbox with the default policy. Never NULL.
 *
 * Owned: free it with `seclude_sandbox_free`. Commands made from it do not depend on it.
 */
SECLUDE_WARN_UNUSED
seclude_sandbox *seclude_sandbox_new(void);

/**
 * Copies a sandbox, together with the mistake that sticks to it. The copy is cheap. NULL for NULL.
 *
 * Owned: free it with `seclude_sandbox_free`.
 */
SECLUDE_WARN_UNUSED
seclude_sandbox *seclude_sandbox_clone(const seclude_sandbox *sandbox);

/** Frees a sandbox. NULL is a no-op. Commands and children made from it are not affected. */
void seclude_sandbox_free(seclude_sandbox *sandbox);

/**
 * Reports the first mistake in the policy without starting anything. Returns 0 if there is none.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_check(const seclude_sandbox *sandbox, seclude_error **err);

/**
 * Shares the caller's namespaces of these kinds: `SECLUDE_NAMESPACE_...`, joined by `|`.
 *
 * - User: takes CAP_SYS_ADMIN and `seclude_sandbox_nested`. Ids inside are the host's.
 * - Mount: the command sees the caller's files as they are, and the policy cannot add any.
 * - Pid: the warden ends the process tree itself. This is weaker than the kernel's guarantee: if
 *   the warden is killed from outside, the processes inside live on.
 * - Time: shared by default.
 */
void seclude_sandbox_share(seclude_sandbox *sandbox, int kinds);

/**
 * Lets the command keep these capabilities in the sandbox's user namespace: bits such as
 * `1 << CAP_NET_ADMIN`, as in `/proc/PID/status`. Default: 0. Further calls add more.
 *
 * With a shared user namespace and `seclude_sandbox_as_caller`, they are the caller's own and act
 * on the whole host. Only for programs that the caller trusts.
 */
void seclude_sandbox_capabilities(seclude_sandbox *sandbox, uint64_t set);

/**
 * Gives the sandbox namespaces of its own of these kinds: `SECLUDE_NAMESPACE_...`, joined by `|`.
 *
 * By default a sandbox has its own of every kind except time.
 */
void seclude_sandbox_unshare(seclude_sandbox *sandbox, int kinds);

/**
 * Shifts a clock inside, one of `SECLUDE_CLOCK_...`, by `seconds`, forwards or backwards.
 *
 * This gives the sandbox a time namespace of its own (Linux 5.6). The kernel refuses an offset
 * that makes the clock negative.
 */
void seclude_sandbox_clock_offset(seclude_sandbox *sandbox, int clock, int64_t seconds);

/**
 * The address in the network, IPv4 or IPv6. The address in the other subnet has the same number.
 * By default the network chooses one that no member has. UTF-8.
 */
void seclude_sandbox_address(seclude_sandbox *sandbox, const char *address);

/**
 * The TCP and UDP ports that are published on the host, each in the form
 * `[ADDRESS:][PORT:]PORT[/udp]` (docs/networks.md). The last port is the one in the sandbox. By
 * default the address is 127.0.0.1, and the kernel chooses the port. The list ends with NULL.
 */
void seclude_sandbox_ports(seclude_sandbox *sandbox, const char *const *ports);

/**
 * The destinations that the sandbox may reach outside, each in the form
 * `HOST[:PORT[-PORT]][/PROTOCOL]` (docs/egress.md). HOST is a name, `*.` and a name, an address, a
 * network such as `10.0.0.0/8`, or `*`. Default: none. The list ends with NULL.
 */
void seclude_sandbox_egress(seclude_sandbox *sandbox, const char *const *egress);

/**
 * Destinations that are denied, although `egress` allows them. They have the same form. The list
 * ends with NULL.
 */
void seclude_sandbox_egress_deny(seclude_sandbox *sandbox, const char *const *egress_deny);

/**
 * The addresses to which names lead instead of their own, each in the form `NAME=ADDRESS[:PORT]`.
 * `egress` must allow the name. The address may be one of the host's. The list ends with NULL.
 */
void seclude_sandbox_egress_names(seclude_sandbox *sandbox, const char *const *egress_names);

/**
 * Credentials that the caller adds to what the sandbox sends to a host, each in the form
 * `ORIGIN=FILE` (docs/egress.md). ORIGIN is `https://NAME[:PORT]`, or `http://` without
 * encryption, and `egress` must allow it. The program speaks plain HTTP to port 80 of NAME, and
 * the caller speaks to ORIGIN. FILE is an absolute path of the caller's, with lines of the form
 * `HEADER: VALUE`. The caller reads it when the sandbox starts, and adds the headers to each
 * request. The list ends with NULL.
 */
void seclude_sandbox_egress_credentials(seclude_sandbox *sandbox,
                                        const char *const *egress_credentials);

/**
 * Asks the program that runs the sandbox about destinations that no rule allows and none denies. A
 * policy as text only says so, and the program gives a function that decides (docs/egress.md).
 */
void seclude_sandbox_egress_ask(seclude_sandbox *sandbox);

/**
 * The host name, 1 to 64 bytes. Default: `sandbox`. The members of a network find each other by
 * it, if it is set. UTF-8.
 */
void seclude_sandbox_hostname(seclude_sandbox *sandbox, const char *hostname);

/** The NIS domain name, 1 to 64 bytes. Default: the caller's. UTF-8. */
void seclude_sandbox_domainname(seclude_sandbox *sandbox, const char *domainname);

/**
 * The user id inside. Default: 1000. The id 0 is root inside, without any capability.
 *
 * Outside, the command of an unprivileged caller has the caller's own id. The command of a
 * privileged caller has the id `host_ids` plus this number, and never the host's root. This number
 * must then be below the number of mapped ids (see `host_ids`).
 */
void seclude_sandbox_uid(seclude_sandbox *sandbox, uint32_t uid);

/** The group id inside. The rules for `uid` apply. */
void seclude_sandbox_gid(seclude_sandbox *sandbox, uint32_t gid);

/**
 * The user's name in `/etc/passwd` and `/etc/group`, without colon, slash and newline. Default:
 * `user`. UTF-8.
 */
void seclude_sandbox_user(seclude_sandbox *sandbox, const char *user);

/**
 * The user's home directory in `/etc/passwd` and HOME, an absolute path. Default: `/tmp`. The
 * directory is not created.
 */
void seclude_sandbox_home(seclude_sandbox *sandbox, const char *home);

/**
 * The first host id to which a privileged caller's sandbox maps its ids, starting with id 0
 * inside. Must not be 0. The sandbox maps 65536 ids, or as many as the caller's user namespace has
 * from there on. It is an error if the caller's user namespace lacks the requested ids. Give
 * sandboxes different ranges if they must not access each other's files.
 *
 * By default the range starts at 0x70000000, which distributions leave unused. If the caller's
 * user namespace lacks these ids, as in a container, the sandbox uses its highest ids, as many as
 * uid and gid need.
 */
void seclude_sandbox_host_ids(seclude_sandbox *sandbox, uint32_t host_ids);

/**
 * Lets the command be the caller's own user and group outside, even if the caller is privileged.
 * `uid` and `gid` still are its numbers inside.
 *
 * Only for programs that the caller trusts, such as its own tests. The command of the host's root
 * then owns root's files, and can change those that writable binds show. It has no capability over
 * them.
 */
void seclude_sandbox_as_caller(seclude_sandbox *sandbox);

/** Keeps the root directory, a tmpfs, writable. */
void seclude_sandbox_writable_root(seclude_sandbox *sandbox);

/**
 * The file system consists of the entries in `files` alone, which are applied in their order.
 * There is no program of the host's, no `/dev`, `/proc` and `/tmp` unless an entry adds it
 * (`proc`, `dev`).
 *
 * An entry may be at `/`, and several may be at one path: a later mount covers what is there.
 * Directories, links, files and mount points are also created in writable binds, and so in the
 * caller's directories. The root is writable unless an entry makes it read-only (`read_only`).
 * With a shared pid namespace, a proc must be visible at `/proc`.
 */
void seclude_sandbox_exact_files(seclude_sandbox *sandbox);

/**
 * Shows nothing but processes in `/proc`: the mount option `subset=pid` (`proc(5)`, Linux 5.8).
 * The files about the whole machine are not there, among them `cpuinfo`, `meminfo`, `stat`,
 * `loadavg`, `mounts` and `sys`. Programs that ask how many processors and how much memory there
 * is then may guess or fail. It also applies to `proc` entries. Excludes `nested` and a shared pid
 * namespace.
 */
void seclude_sandbox_proc_subset(seclude_sandbox *sandbox);

/**
 * The command is process 1 of its process tree, as some programs insist on being: systemd, s6,
 * runit. Otherwise process 1 is the sandbox's own, which reaps orphans.
 *
 * The kernel delivers no signal to process 1 for which it has no handler, but SIGKILL and SIGSTOP
 * of the caller (`pid_namespaces(7)`). Orphans become its children. When it ends, everything
 * inside ends. One command alone can be process 1: such a sandbox has no cell and no reusing pool.
 * Excludes a shared or joined pid or mount namespace. Needs the mount calls of Linux 5.2.
 */
void seclude_sandbox_as_pid_1(seclude_sandbox *sandbox);

/**
 * The host's devices that the command may use (docs/hardware.md). Each is a class of device nodes:
 * `accel`, `dri`, `fuse`, `kfd`, `kvm`, `render`, `snd`, `tun` or `video`, with all that the host
 * has of it. Or it is a device of a CDI specification, of the form `vendor.com/class=name`.
 * Default: none. The list ends with NULL.
 *
 * It is an error if the host has no such device, and for a privileged caller if the command's user
 * may not open a node. A device of a specification can bring further files, links and environment
 * variables with it.
 */
void seclude_sandbox_devices(seclude_sandbox *sandbox, const char *const *devices);

/**
 * The directories with CDI specifications, instead of `/etc/cdi` and `/var/run/cdi`. In which one
 * a device is found last counts. The list ends with NULL.
 */
void seclude_sandbox_cdi_spec_dirs(seclude_sandbox *sandbox, const char *const *cdi_spec_dirs);

/**
 * Lets programs inside create user namespaces, and so nested sandboxes. `/proc` is then neither
 * masked nor partly hidden, because the kernel allows a fresh procfs only where a complete one is
 * visible.
 */
void seclude_sandbox_nested(seclude_sandbox *sandbox);

/**
 * The parent directory of the sandbox's cgroup, in a mounted cgroup v2 hierarchy. The caller must
 * have write access, and no process may be directly in it. The library enables missing controllers
 * there. The environment variable SECLUDE_CGROUP has the same effect. By default the library looks
 * for a suitable directory (docs/limits.md).
 */
void seclude_sandbox_cgroup(seclude_sandbox *sandbox, const char *cgroup);

/**
 * An installed warden to execute instead of the built-in one. Needed on hosts that allow user
 * namespaces by the path of the executable (AppArmor), or forbid to execute memory files
 * (`vm.memfd_noexec=2`). `make install` puts one at `libexec/seclude/warden`. The environment
 * variable SECLUDE_WARDEN has the same effect.
 */
void seclude_sandbox_warden(seclude_sandbox *sandbox, const char *warden);

/**
 * Sets how many user and group ids the sandbox has: a `SECLUDE_IDS_...`. By default, a privileged
 * caller's sandbox has a range, and others have one.
 *
 * The range of an unprivileged caller consists of its subordinate ids (subuid(5)), which
 * newuidmap(1) maps. Id 0 inside is the caller, so the command should be 0
 * (`seclude_sandbox_uid`, `seclude_sandbox_gid`): the others own nothing of the caller's.
 * `SECLUDE_ENAMESPACES_DENIED` at the start if the caller has none, or nothing can map them.
 */
void seclude_sandbox_ids(seclude_sandbox *sandbox, int ids);

/**
 * Returns the name of a `SECLUDE_IDS_...`, as in policies: "range". NULL for any other number.
 * Static: never freed.
 */
const char *seclude_ids_name(int ids);

/* ---- Kinds of namespaces, to be joined by `|`; the numbers are those of clone(2) ---- */

/** User and group ids, keyrings, capabilities: user_namespaces(7), `CLONE_NEWUSER`. */
#define SECLUDE_NAMESPACE_USER 0x10000000

/** The file system tree: mount_namespaces(7), `CLONE_NEWNS`. */
#define SECLUDE_NAMESPACE_MOUNT 0x00020000

/** Process ids: pid_namespaces(7), `CLONE_NEWPID`. */
#define SECLUDE_NAMESPACE_PID 0x20000000

/** Network devices, addresses, ports, abstract sockets: network_namespaces(7), `CLONE_NEWNET`. */
#define SECLUDE_NAMESPACE_NET 0x40000000

/** System V IPC, POSIX message queues: ipc_namespaces(7), `CLONE_NEWIPC`. */
#define SECLUDE_NAMESPACE_IPC 0x08000000

/** Host and domain name: uts_namespaces(7), `CLONE_NEWUTS`. */
#define SECLUDE_NAMESPACE_UTS 0x04000000

/** The view of the cgroup tree: cgroup_namespaces(7), `CLONE_NEWCGROUP`. */
#define SECLUDE_NAMESPACE_CGROUP 0x02000000

/** The monotonic and boot clocks: time_namespaces(7), `CLONE_NEWTIME`, Linux 5.6. */
#define SECLUDE_NAMESPACE_TIME 0x00000080

/* ---- Clocks; the numbers are those of clock_gettime(2) ---- */

/** The monotonic clock: `CLOCK_MONOTONIC`, and the clocks that are derived from it. */
#define SECLUDE_CLOCK_MONOTONIC 1

/** The time since boot: `CLOCK_BOOTTIME`, and `/proc/uptime`. */
#define SECLUDE_CLOCK_BOOTTIME 7

/* ================================================================================================
 * Policies as text: seclude_text
 *
 * The keys of a policy and their values are the same in JSON and TOML. docs/policy.md lists them.
 *
 * A string that the library made: a policy as text, for example.
 *
 * It is an object because neither side frees memory that the other one allocates.
 * ============================================================================================= */

/**
 * Makes a sandbox for the caller's own tests: programs that it trusts, but that must not disturb
 * each other or the machine.
 *
 * The files are the host's, at the same paths and with the same rights; `/sys` is read-only.
 * `/tmp`, `/run` and `/dev/shm` are private and empty, except for the working directory. The
 * network has only a loopback device, and the process tree, IPC objects and host name are private.
 * The command is the caller's user and group, without capabilities. Filters stop nothing that a
 * test may do.
 *
 * `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_for_tests(seclude_sandbox **sandbox, seclude_error **err);

/**
 * Makes a sandbox from a policy in JSON: `{"hostname": "judge", "files": [{"tmpfs": "/tmp",
 * "size": "64M"}]}`.
 *
 * The text is UTF-8. An unknown key is refused with `SECLUDE_EPOLICY`, and the error names the
 * nearest known key. `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on
 * failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_from_json(const char *json, seclude_sandbox **sandbox, seclude_error **err);

/**
 * Makes a sandbox from a policy in TOML, which has the same keys as in JSON.
 *
 * `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_from_toml(const char *toml, seclude_sandbox **sandbox, seclude_error **err);

/**
 * Returns the policy as JSON, with only the settings that differ from the default.
 *
 * `*text` is owned: free it with `seclude_text_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_to_json(const seclude_sandbox *sandbox, seclude_text **text,
                            seclude_error **err);

/**
 * Returns the policy as TOML, with only the settings that differ from the default.
 *
 * `*text` is owned: free it with `seclude_text_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_to_toml(const seclude_sandbox *sandbox, seclude_text **text,
                            seclude_error **err);

/**
 * Returns the string, which ends with a NUL. "" for NULL, so never NULL. Borrowed: valid until the
 * text is freed.
 */
const char *seclude_text_string(const seclude_text *text);

/** Returns the length in bytes, without the NUL at the end. 0 for NULL. */
size_t seclude_text_length(const seclude_text *text);

/** Frees a text. NULL is a no-op. */
void seclude_text_free(seclude_text *text);

/* ================================================================================================
 * Files
 *
 * A sandbox begins with the host's programs, read-only, and an empty `/tmp`. The functions below
 * add to it. Paths in the sandbox are absolute. Missing parent directories are made.
 * ============================================================================================= */

/**
 * Takes the programs from `directory`, which holds another system, instead of from the host's
 * `/usr`.
 *
 * The top level of the directory appears inside read-only, except for `/dev`, `/proc`, `/run`,
 * `/sys` and `/tmp`. Nothing is ever written to it.
 */
void seclude_sandbox_root(seclude_sandbox *sandbox, const char *directory);

/** Begins with an empty root: only what the policy adds is there. */
void seclude_sandbox_empty_root(seclude_sandbox *sandbox);

/**
 * Shows these files of the host's `/etc` read-only, and no others.
 *
 * `names` ends with NULL. A name is relative to `/etc`: "ssl/certs". In its last part, a `*`
 * stands for any characters. The list may be empty. Files that do not exist, or that not everybody
 * may read, are skipped.
 *
 * By default the sandbox shows the files that programs in `/usr` need; docs/policy.md lists them.
 * With `seclude_sandbox_root` it shows the `/etc` of that root, and with
 * `seclude_sandbox_empty_root` none. Together with either, this setter is a mistake, which is
 * reported when the policy is used.
 */
void seclude_sandbox_etc(seclude_sandbox *sandbox, const char *const *names);

/**
 * Shows the caller's file or directory `source` at the absolute path `at`, read-only.
 *
 * Everything that is mounted below a directory appears with it. Set-user-id bits and device nodes
 * have no effect. Mount points are made only in the sandbox's own file systems: below a bound
 * directory, `at` must exist already.
 */
void seclude_sandbox_bind_ro(seclude_sandbox *sandbox, const char *source, const char *at);

/**
 * Shows the caller's file or directory `source` at the absolute path `at`, writable. Otherwise
 * like `seclude_sandbox_bind_ro`.
 *
 * If the caller has CAP_SETUID, the command is another user outside (`seclude_sandbox_host_ids`).
 * The start fails with `SECLUDE_ESOURCE_UNREADABLE` if the owners, groups and modes in the source
 * let that user write no file or directory at all. One that it may write is enough.
 */
void seclude_sandbox_bind_rw(seclude_sandbox *sandbox, const char *source, const char *at);

/**
 * Shows the caller's file or directory `source` at the absolute path `at`, with `SECLUDE_BIND_...`
 * flags joined by `|`, or 0.
 *
 * With 0 it is the same as `seclude_sandbox_bind_ro`.
 */
void seclude_sandbox_bind(seclude_sandbox *sandbox, const char *source, const char *at,
                          uint32_t flags);

/**
 * Adds an empty, writable file system in memory at the absolute path `at`, of at most `size`
 * bytes, at least 1. Its mode is 01777.
 */
void seclude_sandbox_tmpfs(seclude_sandbox *sandbox, const char *at, uint64_t size);

/**
 * Adds a file system in memory, like `seclude_sandbox_tmpfs`, with every choice.
 *
 * It holds at most `size` bytes and `inodes` files and directories, its root included. Both are 1
 * or more, or `SECLUDE_UNLIMITED` for the kernel's own limit, half of the memory. `mode` is the
 * mode of its root, 0 to 07777. `flags` are `SECLUDE_TMPFS_...` joined by `|`, or 0.
 */
void seclude_sandbox_tmpfs_with(seclude_sandbox *sandbox, const char *at, uint64_t size,
                                uint64_t inodes, uint32_t mode, uint32_t flags);

/**
 * Adds a writable view of the caller's directories `layers` at the absolute path `at`: an overlay
 * file system. Nothing is written to them. What the sandbox changes is kept in the directory
 * `kept`, or with NULL in memory, and is then gone when the sandbox ends.
 *
 * `layers` ends with NULL and has 1 to 64 directories, the lowest first: what is in several is the
 * one in the last of them. At "/" they are the root, with the programs of another system
 * (docs/roots.md). In memory, the changes take at most `size` bytes and `inodes` files and
 * directories. With 0, these are 64 MiB and 65536.
 *
 * `kept` must exist, be the caller's own, and be closed to other users (mode 0700). One sandbox at
 * a time can use it. A later one with the same layers goes on with the changes. With both 0, they
 * are not bounded. Otherwise they are in a file system of their own, an ext4 in a file of the
 * directory, of about this size and at least 1 MiB: only for the host's root as the caller, with
 * e2fsprogs and Linux 5.8.
 *
 * For a privileged caller's command, the owner of each file is the user with the same number
 * inside, so id 0 owns what the host's root owns (Linux 5.19). For an unprivileged caller's, the
 * caller's files are the command's, and all others belong to nobody. Needs Linux 5.11, and without
 * `kept` 6.6.
 */
void seclude_sandbox_overlay(seclude_sandbox *sandbox, const char *const *layers, const char *at,
                             const char *kept, uint64_t size, uint64_t inodes);

/**
 * Adds a directory that shows the sandbox's POSIX message queues as files, usually at
 * `/dev/mqueue` (`mq_overview(7)`).
 *
 * Programs can list, read and remove queues there. `mq_open(3)` works without it. The queues
 * belong to the ipc namespace, which must be the sandbox's own. Each copy of a template has its
 * own queues, and all commands of a cell share theirs.
 *
 * - `at`: The path inside.
 */
void seclude_sandbox_mqueue(seclude_sandbox *sandbox, const char *at);

/**
 * Adds a disk image: a file with a squashfs or an erofs file system, which is visible inside,
 * read-only. Only for the host's root as the caller, because the kernel lets nobody else mount it.
 *
 * The kernel reads the image, and one that is made to harm it endangers the whole host: use only
 * images that you trust. The files keep their owners, so those of the host's root belong to nobody
 * inside, and the command can read what everybody may. Set-user-ID bits and device nodes have no
 * effect. The image must not change while it is in use. squashfs takes a loop device and Linux
 * 5.8, as erofs does before Linux 6.12.
 *
 * - `source`: The image outside.
 * - `at`: The path inside.
 */
void seclude_sandbox_disk_image(seclude_sandbox *sandbox, const char *source, const char *at);

/**
 * Adds the parts of the host's `/sys` that programs read to learn how much they may use, usually
 * at `/sys`. All of it is read-only.
 *
 * These are the numbers, the topology and the caches of processors (`devices/system/cpu`), the
 * memory nodes (`devices/system/node`), the settings of transparent huge pages, and in `fs/cgroup`
 * the sandbox's own cgroup with its limits and counters. docs/hardware.md lists the files, and
 * says what of the host they reveal. Entries can add others below.
 *
 * `fs/cgroup` is empty without a limit that a cgroup enforces, and if the cgroup namespace is not
 * the sandbox's own.
 *
 * - `at`: The path inside.
 */
void seclude_sandbox_sys(seclude_sandbox *sandbox, const char *at);

/**
 * Adds a proc file system of the sandbox's process tree. If the pid namespace is shared, the
 * caller's `/proc` is bound. Only with `exact_files`; other sandboxes have a `/proc`.
 *
 * - `at`: The path inside.
 */
void seclude_sandbox_proc(seclude_sandbox *sandbox, const char *at);

/**
 * Adds the sandbox's own device directory: a tmpfs with `null`, `zero`, `full`, `random`,
 * `urandom`, `tty`, pseudo-terminals, the usual links, and a directory `shm`. Only with
 * `exact_files`; other sandboxes have a `/dev`.
 *
 * - `at`: The path inside.
 */
void seclude_sandbox_dev(seclude_sandbox *sandbox, const char *at);

/**
 * Makes an existing mount read-only, without the mounts below it. Only with `exact_files`.
 *
 * - `at`: The path inside: that of a mount.
 */
void seclude_sandbox_read_only(seclude_sandbox *sandbox, const char *at);

/**
 * Changes the mode of an existing file or directory. Only with `exact_files`.
 *
 * - `at`: The path inside.
 * - `mode`: Sets the mode, 0 to 07777. Usual: 0755.
 */
void seclude_sandbox_chmod(seclude_sandbox *sandbox, const char *at, uint32_t mode);

/**
 * Adds an empty directory.
 *
 * - `at`: The path inside.
 * - `mode`: Sets the mode, 0 to 07777. Usual: 0755.
 */
void seclude_sandbox_dir(seclude_sandbox *sandbox, const char *at, uint32_t mode);

/**
 * Adds a symbolic link. The arguments have the order of `symlink(2)`.
 *
 * - `target`: The text of the link.
 * - `at`: The path inside.
 */
void seclude_sandbox_symlink(seclude_sandbox *sandbox, const char *target, const char *at);

/**
 * Adds a file at the absolute path `at` with `size` bytes from `data`, of mode `mode`, 0 to 07777:
 * 0644, for example.
 *
 * The bytes are copied. `data` may be NULL if `size` is 0.
 */
void seclude_sandbox_file(seclude_sandbox *sandbox, const char *at, const void *data, size_t size,
                          uint32_t mode);

/**
 * Mounts a file with `size` bytes from `data` at the absolute path `at`, of mode `mode`, over an
 * existing file. It is read-only unless `writable` is not 0; nothing is written outside. Needs
 * `seclude_sandbox_exact_files`.
 *
 * The bytes are copied. `data` may be NULL if `size` is 0.
 */
void seclude_sandbox_bound_file(seclude_sandbox *sandbox, const char *at, const void *data,
                                size_t size, uint32_t mode, int writable);

/**
 * Requires pseudo-terminals of the sandbox's own: `/dev/pts`, `/dev/ptmx` and `/dev/tty` (pts(4)).
 *
 * Programs inside can then open terminals, and a command can have one as its standard streams
 * (`SECLUDE_STDIO_PTY`). None of the caller's terminals is among them. No program can push
 * characters back into one (TIOCSTI), unless the policy removes the filter of system calls.
 *
 * A sandbox has them by default, unless the policy puts something else at these paths or shares
 * the mount namespace. With this setter, that is a mistake, which is reported when the policy is
 * used.
 */
void seclude_sandbox_terminals(seclude_sandbox *sandbox);

/** Leaves out the pseudo-terminals of the sandbox's own. */
void seclude_sandbox_no_terminals(seclude_sandbox *sandbox);

/* ---- Flags for seclude_sandbox_bind, to be joined by `|` ---- */

/** The command may write, as far as the file permissions let its user outside. */
#define SECLUDE_BIND_WRITABLE 0x1

/** The bind is skipped if its source does not exist. */
#define SECLUDE_BIND_OPTIONAL 0x2

/** Nothing in it can be executed. */
#define SECLUDE_BIND_NOEXEC 0x4

/** Device nodes in it work. */
#define SECLUDE_BIND_DEVICES 0x8

/**
 * No symbolic link in the path of the source is followed. For a path through a directory that a
 * program inside could write to in an earlier run.
 */
#define SECLUDE_BIND_NOFOLLOW 0x10

/**
 * The caller's files in it belong to the command, and what the command makes there to the caller
 * (docs/files.md). Excludes `SECLUDE_BIND_OPTIONAL`. For a privileged caller: Linux 5.12.
 */
#define SECLUDE_BIND_IDMAPPED 0x20

/* ---- Flags for seclude_sandbox_tmpfs_with, to be joined by `|` ---- */

/** Nothing in it can be executed. */
#define SECLUDE_TMPFS_NOEXEC 0x1

/* ================================================================================================
 * Limits
 * ============================================================================================= */

/**
 * The largest amount of memory for all processes inside together, including the warden, its kernel
 * structures and files in memory (tmpfs). No swap is used unless `swap` allows it. Default: no
 * limit. The other limits have the same default, except `output`. In bytes.
 *
 * With a cgroup, the kernel kills a process when it can reclaim no more memory. The command then
 * ends with `memory-limit`, even if its first process continues. Without a cgroup, the warden
 * samples the sum of the memory of all processes every few milliseconds, without files in memory.
 */
void seclude_sandbox_memory(seclude_sandbox *sandbox, uint64_t bytes);

/**
 * The largest amount of swap in addition to `memory`. Needs a cgroup, and a kernel that accounts
 * swap. In bytes.
 */
void seclude_sandbox_swap(seclude_sandbox *sandbox, uint64_t bytes);

/**
 * The largest processor time, user and system, of all processes inside together. When it is used
 * up, all processes inside are killed and the command ends with `cpu-time`. In milliseconds, 1 or
 * more.
 *
 * The warden reads the cgroup's counter at intervals that shrink with the remaining time. Without
 * a cgroup it reads the sum over all processes.
 */
void seclude_sandbox_cpu_time(seclude_sandbox *sandbox, uint64_t milliseconds);

/**
 * The number of processors that the sandbox may keep busy at once: 0.01 to 8192. Needs a cgroup.
 */
void seclude_sandbox_cpus(seclude_sandbox *sandbox, double cpus);

/**
 * The unused processor time of `cpus` that the sandbox can save up and use later, beyond its
 * quota: at most what `cpus` gives in 100 ms. For programs that mostly wait, and must then answer
 * quickly. Default: none. Needs `cpus`, a cgroup and Linux 5.14. In milliseconds, 1 or more.
 */
void seclude_sandbox_cpu_burst(seclude_sandbox *sandbox, uint64_t milliseconds);

/**
 * The weight of the sandbox when it competes for processor time: 1 to 10000. The usual weight is
 * 100. Needs a cgroup.
 */
void seclude_sandbox_cpu_weight(seclude_sandbox *sandbox, uint32_t cpu_weight);

/**
 * The largest number of processes and threads at one time, without the warden. The kernel refuses
 * to create more (EAGAIN). A command that was refused one and does not exit with code 0 ends with
 * `process-limit`.
 *
 * Without a cgroup, refusals are not counted. The end is then `process-limit` if the command was
 * seen at its limit and failed. Before Linux 5.14 a limit without a cgroup is sampled: nothing is
 * refused, and the warden kills the processes that it sees above the limit.
 */
void seclude_sandbox_pids(seclude_sandbox *sandbox, uint64_t pids);

/**
 * The largest duration of a command. When it is over, all processes inside are killed and the
 * command ends with `wall-time`. In milliseconds, 1 or more.
 */
void seclude_sandbox_wall_time(seclude_sandbox *sandbox, uint64_t milliseconds);

/**
 * The largest number of bytes to each of standard output and standard error, whether they are
 * collected or passed on. A command that writes more is killed and ends with `output-limit`.
 * Exactly the allowed number of bytes arrives. In bytes.
 *
 * Both streams are then pipes to the warden, which passes on what it reads. If both are the same
 * file, they count as one stream. By default only collected streams are limited, to 64 MiB each.
 */
void seclude_sandbox_output(seclude_sandbox *sandbox, uint64_t bytes);

/**
 * Runs everything on these processors only: `count` numbers, which begin at 0; at least one. Takes
 * a cgroup.
 */
void seclude_sandbox_cpu_set(seclude_sandbox *sandbox, const uint32_t *processors, size_t count);

/**
 * Limits reads and writes of one block device: the one that holds the caller's file `path`, or the
 * device node `path` itself.
 *
 * The limits are bytes and operations per second, each 1 or more, or `SECLUDE_UNLIMITED`. Call it
 * once for each device. Takes a cgroup.
 */
void seclude_sandbox_io(seclude_sandbox *sandbox, const char *path, uint64_t read_bytes,
                        uint64_t write_bytes, uint64_t read_operations, uint64_t write_operations);

/**
 * Sends `signal` to the command's process group when the wall time is over, and kills
 * `milliseconds` later.
 *
 * The end is `SECLUDE_ENDED_WALL_TIME` in either case. `status` in the outcome tells how the
 * command's first process ended.
 */
void seclude_sandbox_wall_time_grace(seclude_sandbox *sandbox, int signal, uint64_t milliseconds);

/**
 * Requires that this limit, a `SECLUDE_LIMIT_...` that the policy sets, is enforced exactly, by
 * the kernel or by the warden.
 *
 * If the host can only sample it, the command does not start (`SECLUDE_ELIMIT_UNAVAILABLE`).
 */
void seclude_sandbox_require(seclude_sandbox *sandbox, int limit);

/**
 * Runs commands without this limit, a `SECLUDE_LIMIT_...`, where the host cannot enforce it.
 * `mechanisms` in the outcome shows that.
 *
 * By default, a limit that the host cannot even sample is an error.
 */
void seclude_sandbox_best_effort(seclude_sandbox *sandbox, int limit);

/**
 * Sets a resource limit of each process, as setrlimit(2) does.
 *
 * `resource` is an `RLIMIT_...` of `<sys/resource.h>`. `SECLUDE_UNLIMITED` is no limit. The
 * defaults are: core 1 byte (no dump, not even through a pipe), nofile 1024 (hard limit 10240),
 * memlock 8 MiB, stack 8 MiB (hard limit: the caller's), sigpending 4096, and the rest as the
 * caller has it.
 */
void seclude_sandbox_rlimit(seclude_sandbox *sandbox, int resource, uint64_t soft, uint64_t hard);

/**
 * Returns the name of a `SECLUDE_LIMIT_...`, which is its key in policies: "cpu_time".
 *
 * NULL for any other number, so that a loop from 0 ends after the last limit. Static: never freed.
 */
const char *seclude_limit_name(int limit);

/**
 * Returns the name of a `SECLUDE_MECHANISM_...`, which is the same in every language: "cgroup-v2".
 * NULL for any other number. Static: never freed.
 */
const char *seclude_mechanism_name(int mechanism);

/** No limit, as a size, a number or a resource: `UINT64_MAX`. */
#define SECLUDE_UNLIMITED UINT64_MAX

/* ---- Limits ---- */

/** Memory, in bytes. */
#define SECLUDE_LIMIT_MEMORY 0

/** Swap space, in bytes. */
#define SECLUDE_LIMIT_SWAP 1

/** Processor time of all processes together. */
#define SECLUDE_LIMIT_CPU_TIME 2

/** The number of processors, which may have a fraction. */
#define SECLUDE_LIMIT_CPUS 3

/** The weight when competing for processor time. */
#define SECLUDE_LIMIT_CPU_WEIGHT 4

/** The set of allowed processors. */
#define SECLUDE_LIMIT_CPU_SET 5

/** Processes and threads at one time. */
#define SECLUDE_LIMIT_PIDS 6

/** Bytes and operations per second, for each device. */
#define SECLUDE_LIMIT_IO 7

/** Elapsed time since the start of the command. */
#define SECLUDE_LIMIT_WALL_TIME 8

/** Bytes written to each of standard output and standard error. */
#define SECLUDE_LIMIT_OUTPUT 9

/** Saved processor time that may be used beyond the quota. */
#define SECLUDE_LIMIT_CPU_BURST 10

/* ---- Mechanisms that enforce a limit ---- */

/** The kernel enforces the limit exactly, by a controller of cgroup v2. */
#define SECLUDE_MECHANISM_CGROUP_V2 1

/** The kernel enforces the limit exactly, by a controller of cgroup v1. */
#define SECLUDE_MECHANISM_CGROUP_V1 2

/** The kernel enforces the limit exactly, by `setrlimit(2)` in the sandbox's own user namespace. */
#define SECLUDE_MECHANISM_RLIMIT 3

/** The warden enforces the limit exactly, because everything limited passes through it. */
#define SECLUDE_MECHANISM_WARDEN 4

/**
 * The warden samples the usage at intervals. Usage above the limit between two samples goes
 * unnoticed.
 */
#define SECLUDE_MECHANISM_SAMPLED 5

/* ---- What a sandbox may do without where namespaces are denied ---- */

/**
 * Runs commands without this part of the isolation, a `SECLUDE_ISOLATION_...`, where the host
 * denies namespaces. `protections` in the outcome shows what is in force.
 *
 * By default, denied namespaces are an error (`SECLUDE_ENAMESPACES_DENIED`). With
 * `SECLUDE_ISOLATION_NAMESPACES`, Landlock (Linux 6.2) and a seccomp filter hold the command
 * instead: it reads the host's programs and the binds, writes where a bind is writable, has no
 * network unless the policy shares the host's, and no unix sockets but pairs. The other parts
 * concern what the policy asks for by name and only a namespace can give. Without them that stays
 * an error. `docs/confined.md` compares both ways to run.
 */
void seclude_sandbox_best_effort_isolation(seclude_sandbox *sandbox, int isolation);

/**
 * Returns the name of a `SECLUDE_ISOLATION_...`, as in policies: "namespaces". NULL for any other
 * number. Static: never freed.
 */
const char *seclude_isolation_name(int isolation);

/**
 * All namespaces. Landlock (Linux 6.2) then restricts files, and the seccomp filter restricts the
 * network, System V IPC and calls that change other processes.
 */
#define SECLUDE_ISOLATION_NAMESPACES 1

/**
 * A view of the file system of its own: another root, binds at another path, tmpfs, files,
 * directories and links.
 */
#define SECLUDE_ISOLATION_FILES 2

/** A process tree of its own, if the policy unshares it. */
#define SECLUDE_ISOLATION_PROCESSES 3

/** A network of its own, if the policy unshares it. */
#define SECLUDE_ISOLATION_NETWORK 4

/** A host name or domain name. */
#define SECLUDE_ISOLATION_NAMES 5

/** Shifted clocks. */
#define SECLUDE_ISOLATION_CLOCKS 6

/** Private pseudo-terminals, if the policy requires them. */
#define SECLUDE_ISOLATION_TERMINALS 7

/** Keeping signals inside, which takes Linux 6.12 without a process tree of its own. */
#define SECLUDE_ISOLATION_SIGNALS 8

/* ================================================================================================
 * System calls: seclude_seccomp
 *
 * A seccomp filter: a profile, and rules that take precedence over it.
 *
 * The last rule that matches a call decides. If none matches, the profile decides. The filter
 * applies to everything that the command runs, but not to its own start: even a filter without
 * `execve` lets the program start that the caller names, and no other.
 *
 * A mistake in a setter sticks to the filter, and then to the sandbox that is given the filter.
 * ============================================================================================= */

/**
 * Makes a filter that starts from a profile:
 *
 * - `"default"`: what programs of every kind use.
 * - `"strict"`: computing with files and threads. Any other call kills.
 * - `"nested"`: the default, and the calls that set up a sandbox inside.
 * - `"debug"`: the default, and ptrace(2).
 * - `"unconfined"`: every call, except those that would change the warden.
 *
 * Never NULL: an unknown name sticks as a mistake. Owned: free it with `seclude_seccomp_free`.
 */
SECLUDE_WARN_UNUSED
seclude_seccomp *seclude_seccomp_new(const char *profile);

/** Frees a filter. NULL is a no-op. Sandboxes that were given it are not affected. */
void seclude_seccomp_free(seclude_seccomp *filter);

/**
 * Adds a rule for a system call, by name or by number in decimal.
 *
 * `action` is one of `SECLUDE_SECCOMP_...`. `errnum` is the error number for
 * `SECLUDE_SECCOMP_DENY`, and 0 otherwise. A name that no architecture has is a mistake.
 *
 * aarch64 lacks the older calls of x86_64, such as `mkdir`, and its programs make the newer ones,
 * such as `mkdirat`. A filter there with a rule for the older call and none for the newer one is a
 * mistake, because the rule would do nothing. A rule for a call of which nothing takes the place,
 * such as `iopl`, is valid and has no effect.
 */
void seclude_seccomp_rule(seclude_seccomp *filter, const char *call, int action, int errnum);

/**
 * Adds a condition to the last rule, which then matches only if the condition holds too.
 *
 * The condition takes argument `argument`, 0 to 5, keeps the bits of `mask`, and compares the
 * result with `value` by one of `SECLUDE_COMPARE_...`. If `wide` is 0, it compares the lower 32
 * bits, as the kernel uses flags, descriptors and ioctl(2) requests. Otherwise it compares all 64
 * bits, for sizes and addresses.
 */
void seclude_seccomp_when(seclude_seccomp *filter, uint32_t argument, int compare, uint64_t value,
                          uint64_t mask, int wide);

/** Allows sockets of this address family, an `AF_...` number. */
void seclude_seccomp_socket_family(seclude_seccomp *filter, uint16_t family);

/**
 * Sets the action for every call that neither a rule nor the profile names, known or unknown. The
 * arguments are those of `seclude_seccomp_rule`.
 */
void seclude_seccomp_otherwise(seclude_seccomp *filter, int action, int errnum);

/**
 * Sets the filter of system calls to a copy of `filter`: seccomp(2).
 *
 * The default is the profile `default`, or `nested` with `seclude_sandbox_nested`.
 */
void seclude_sandbox_seccomp(seclude_sandbox *sandbox, const seclude_seccomp *filter);

/**
 * Adds a filter in the kernel's form: `size` bytes of `struct sock_filter`, 1 to 4096 instructions
 * of 8 bytes.
 *
 * Several calls add several filters. The kernel loads them after the sandbox's own, in this order,
 * and the strictest answer wins. Each filter must allow `execve`, and `seccomp` if another one
 * follows.
 */
void seclude_sandbox_seccomp_bpf(seclude_sandbox *sandbox, const void *program, size_t size);

/**
 * Returns the number of the system call of this name on this architecture. -1 if there is none,
 * and for NULL.
 */
int seclude_syscall_number(const char *name);

/**
 * Returns the name of the system call of this number on this architecture. NULL if the library
 * does not know it. Static: never freed.
 */
const char *seclude_syscall_name(int number);

/* ---- Actions of a rule ---- */

/** The kernel makes the call. */
#define SECLUDE_SECCOMP_ALLOW 1

/** The call fails with an error number of errno(3), 1 to 4095, and has no other effect. */
#define SECLUDE_SECCOMP_DENY 2

/** The call is not made, and the command ends with `SECLUDE_ENDED_SYSCALL`. Linux 5.0. */
#define SECLUDE_SECCOMP_KILL 3

/** The kernel makes the call, and writes it to its log. */
#define SECLUDE_SECCOMP_LOG 4

/** The caller decides: `seclude_child_take_listener`. Linux 5.5. */
#define SECLUDE_SECCOMP_NOTIFY 5

/* ---- Comparisons of an argument with a value ---- */

/** The argument is the value. */
#define SECLUDE_COMPARE_EQUAL 1

/** The argument is not the value. */
#define SECLUDE_COMPARE_NOT_EQUAL 2

/** The argument is less than the value. */
#define SECLUDE_COMPARE_LESS 3

/** The argument is at most the value. */
#define SECLUDE_COMPARE_LESS_OR_EQUAL 4

/** The argument is more than the value. */
#define SECLUDE_COMPARE_GREATER 5

/** The argument is at least the value. */
#define SECLUDE_COMPARE_GREATER_OR_EQUAL 6

/* ================================================================================================
 * Landlock
 * ============================================================================================= */

/**
 * Leaves out the Landlock ruleset: landlock(7), Linux 5.19.
 *
 * By default, Landlock enforces once more what the mounts and namespaces enforce, at the highest
 * ABI that the kernel has. It is left out where the kernel lacks it, and with
 * `seclude_sandbox_nested`. With a shared ipc namespace, the part about files is left out.
 */
void seclude_sandbox_no_landlock(seclude_sandbox *sandbox);

/**
 * Allows programs inside to bind these `count` TCP ports and no others; none if `count` is 0.
 *
 * Landlock enforces this. The start fails if the kernel lacks Landlock ABI 4 (Linux 6.7).
 */
void seclude_sandbox_tcp_bind(seclude_sandbox *sandbox, const uint32_t *ports, size_t count);

/**
 * Allows programs inside to connect to these `count` TCP ports, on any host, and to no others;
 * none if `count` is 0.
 *
 * Like `seclude_sandbox_tcp_bind`, this takes Landlock ABI 4 (Linux 6.7). It does not restrict
 * UDP: use a filter that refuses UDP sockets.
 */
void seclude_sandbox_tcp_connect(seclude_sandbox *sandbox, const uint32_t *ports, size_t count);

/* ================================================================================================
 * Commands: seclude_command
 *
 * A program to run in a sandbox: arguments, environment, working directory, standard streams,
 * further descriptors.
 *
 * `seclude_sandbox_command` makes one. It can be started many times. A mistake in a setter sticks
 * to the command. Starting it reports the first mistake, that of the sandbox before its own.
 * ============================================================================================= */

/**
 * Makes a command that runs `program` in a copy of the sandbox. Later changes to the sandbox do
 * not affect it.
 *
 * A program without a slash is looked up in PATH inside. Never NULL: if `sandbox` or `program` is
 * NULL, that mistake sticks to the command. Owned: free it with `seclude_command_free`.
 */
SECLUDE_WARN_UNUSED
seclude_command *seclude_sandbox_command(const seclude_sandbox *sandbox, const char *program);

/**
 * Frees a command and its copies of descriptors. NULL is a no-op. Children that it started are not
 * affected.
 */
void seclude_command_free(seclude_command *command);

/**
 * Appends an argument: any bytes except NUL. The zeroth argument, the program's own name, is there
 * already.
 */
void seclude_command_arg(seclude_command *command, const char *argument);

/** Appends the arguments in `arguments`, which ends with NULL. */
void seclude_command_args(seclude_command *command, const char *const *arguments);

/** Sets the zeroth argument, which the program sees as its own name. */
void seclude_command_arg0(seclude_command *command, const char *name);

/**
 * Sets an environment variable. The name is not empty and has no "=".
 *
 * A new command has PATH, HOME, LANG and TMPDIR, and none of the caller's variables.
 */
void seclude_command_env(seclude_command *command, const char *name, const char *value);

/** Removes an environment variable. A variable that does not exist is no error. */
void seclude_command_env_remove(seclude_command *command, const char *name);

/**
 * Removes every environment variable. A program without a slash is then looked up in the default
 * PATH.
 */
void seclude_command_env_clear(seclude_command *command);

/** Sets the working directory, an absolute path inside. The default is "/". */
void seclude_command_cwd(seclude_command *command, const char *directory);

/**
 * Sets the standard input: one of `SECLUDE_STDIO_...`, or a descriptor of the caller's, 0 or
 * higher.
 *
 * A descriptor is borrowed and duplicated at once, so the caller may close it. The default is
 * `SECLUDE_STDIO_INHERIT`, and `SECLUDE_STDIO_NULL` for `seclude_command_output`.
 */
void seclude_command_stdin(seclude_command *command, int stream);

/**
 * Sets the standard output, as `seclude_command_stdin` does.
 *
 * The default is `SECLUDE_STDIO_INHERIT`, and `SECLUDE_STDIO_PIPED` for `seclude_command_output`.
 */
void seclude_command_stdout(seclude_command *command, int stream);

/** Sets the standard error, as `seclude_command_stdout` does, with the same defaults. */
void seclude_command_stderr(seclude_command *command, int stream);

/**
 * Sets the initial size of the command's terminal (`SECLUDE_STDIO_PTY`), in characters. The
 * default is 24 rows of 80 columns.
 */
void seclude_command_window_size(seclude_command *command, uint16_t rows, uint16_t columns);

/**
 * Gives the command the caller's descriptor `fd` under the number `target`, 3 or higher. Each
 * target is given once, and at most 249 in all.
 *
 * `fd` is borrowed and duplicated at once, so the caller may close it. Targets may equal numbers
 * of the caller's descriptors, and the order of the calls does not matter.
 */
void seclude_command_fd(seclude_command *command, int target, int fd);

/**
 * Starts the command with this signal ignored (signal(7)), as nohup(1) does with SIGHUP.
 *
 * Programs that set no action of their own ignore it, and so do the programs that they start. By
 * default no signal is ignored, even if the caller ignores some. SIGKILL and SIGSTOP cannot be
 * ignored.
 */
void seclude_command_ignore_signal(seclude_command *command, int signal);

/**
 * Also ignores the signals that the caller ignores when the command starts, as a child of fork(2)
 * and execve(2) does.
 */
void seclude_command_inherit_ignored_signals(seclude_command *command);

/** Sets the umask, 0 to 0777 (umask(2)). The default is 022, whatever the caller's is. */
void seclude_command_umask(seclude_command *command, uint32_t mask);

/**
 * Makes the command the leader of a new process group, for `group` 0. That is so without this
 * call: each command leads a session of its own, and the group of the same number.
 *
 * Any other number is an error. A session's leader cannot change its group (setpgid(2)), and no
 * group of the caller's exists inside.
 */
void seclude_command_process_group(seclude_command *command, int group);

/**
 * Runs the command as this user inside, instead of `seclude_sandbox_uid`, whose rules apply.
 *
 * The command's sandbox is then one of another policy. It has that user in /etc/passwd, and is not
 * copied from a template (`seclude_sandbox_prepare`). In a cell or a pool, every other user than
 * the sandbox's is an error. Their warden has given up the right to change ids before the first
 * command starts.
 */
void seclude_command_uid(seclude_command *command, uint32_t uid);

/**
 * Runs the command as this group inside, instead of `seclude_sandbox_gid`. The rules are those of
 * `seclude_command_uid`.
 */
void seclude_command_gid(seclude_command *command, uint32_t gid);

/**
 * Gives the command exactly these `count` supplementary groups inside, at most 64. The default is
 * none. `groups` may be NULL if `count` is 0.
 *
 * They lie in the range of `seclude_sandbox_gid`. Only a privileged caller can set them
 * (CAP_SETGID). An unprivileged caller's command keeps the caller's groups outside, where no
 * process may drop them (user_namespaces(7)). There even an empty list is an error if the caller
 * has groups. Otherwise the rules are those of `seclude_command_uid`.
 */
void seclude_command_groups(seclude_command *command, const uint32_t *groups, size_t count);

/**
 * Limits the wall time of this command, in milliseconds, 1 or more, instead of the sandbox's
 * limit.
 */
void seclude_command_wall_time(seclude_command *command, uint64_t milliseconds);

/**
 * Limits the memory of this command and what it starts, in bytes, 1 or more.
 *
 * The sandbox must have a limit (`seclude_sandbox_memory`), which bounds all its commands
 * together. The lower of the two applies. In a cell, the kernel enforces the limit in a cgroup of
 * the command's own if it enforces the cell's limit in a cgroup. Otherwise the limit is sampled.
 * Processes that the command leaves behind in a cell stay in its cgroup.
 */
void seclude_command_memory(seclude_command *command, uint64_t bytes);

/**
 * Limits the processor time of this command and what it starts, in milliseconds, 1 or more. The
 * rules are those of `seclude_command_memory`.
 */
void seclude_command_cpu_time(seclude_command *command, uint64_t milliseconds);

/**
 * Limits the number of processes and threads of this command and what it starts, 1 or more. The
 * rules are those of `seclude_command_memory`.
 */
void seclude_command_pids(seclude_command *command, uint64_t number);

/**
 * Starts the command. When this returns 0, the program runs.
 *
 * A missing program, a mistake in the policy and every failed step of the set-up are errors here,
 * and nothing runs then. A command of a pool waits for a place without a time limit, and signals
 * do not interrupt the wait.
 *
 * `*child` is owned: free it with `seclude_child_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_command_spawn(seclude_command *command, seclude_child **child, seclude_error **err);

/**
 * Starts the command if its pool has a free place and a ready sandbox. Does not wait.
 *
 * Returns 1 if the program runs, and 0 if it was not started for want of either. `seclude_pool_fd`
 * reports when to try again. A command outside of a pool needs no place. The errors are those of
 * `seclude_command_spawn`.
 *
 * `*child` is owned: free it with `seclude_child_free`. It is NULL unless this returns 1.
 */
SECLUDE_WARN_UNUSED
int seclude_command_try_spawn(seclude_command *command, seclude_child **child, seclude_error **err);

/**
 * Starts the command, and waits at most `milliseconds` for a place in its pool. Otherwise like
 * `seclude_command_try_spawn`.
 *
 * The time does not limit the command once it runs: `seclude_command_wall_time` does.
 */
SECLUDE_WARN_UNUSED
int seclude_command_spawn_timeout(seclude_command *command, uint64_t milliseconds,
                                  seclude_child **child, seclude_error **err);

/**
 * Starts the command, waits until it has ended, and writes to `*outcome` how it ended.
 *
 * Returns 0 if the command ran, however it ended. The errors are those of `seclude_command_spawn`
 * and `seclude_child_wait`. `size` is the size of `*outcome` in bytes. `outcome` may be NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_command_run(seclude_command *command, seclude_outcome *outcome, size_t size,
                        seclude_error **err);

/**
 * Starts the command, collects its output, and waits until it has ended.
 *
 * Returns 0 if the command ran, however it ended. The output is kept in memory, with the bounds of
 * `seclude_child_wait_with_output`.
 *
 * `*output` is owned: free it with `seclude_output_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_command_output(seclude_command *command, seclude_output **output, seclude_error **err);

/* ---- Standard streams ---- */

/**
 * The caller's own stream of that number. `/dev/null` if the caller has closed it, or has set
 * close-on-exec on it, as a daemon may.
 */
#define SECLUDE_STDIO_INHERIT (-1001)

/** `/dev/null`. */
#define SECLUDE_STDIO_NULL (-1002)

/** A pipe. The child object holds the other end: `seclude_child_take_stdin` and the like. */
#define SECLUDE_STDIO_PIPED (-1003)

/**
 * A pseudo-terminal of the sandbox's own, which controls the command's session. All streams with
 * this value are the same terminal. The child object holds its other side:
 * `seclude_child_take_terminal`. Takes `seclude_sandbox_terminals`.
 */
#define SECLUDE_STDIO_PTY (-1004)

/* ================================================================================================
 * Children: seclude_child
 *
 * A running command.
 *
 * Everything inside is killed when the child is freed, and when the calling process ends, in
 * whichever way.
 * ============================================================================================= */

/**
 * Kills everything inside, waits until it is gone, closes the descriptors that were not taken, and
 * frees the child. NULL is a no-op.
 *
 * In a process that the caller forked, this only closes that process's copies of the descriptors.
 * The processes inside live on.
 */
void seclude_child_free(seclude_child *child);

/**
 * Returns a pidfd of the command's first process, for poll(2) and event loops: pidfd_open(2).
 *
 * It becomes readable when that process has ended. `seclude_child_wait` and
 * `seclude_child_try_wait` then return promptly. Borrowed: never close it. It is valid until the
 * child is freed or its output collected. Afterwards, and for NULL, this returns `SECLUDE_EINVAL`.
 */
int seclude_child_pidfd(const seclude_child *child);

/**
 * Returns the process id of the command's first process in the caller's pid namespace. 0 if the
 * caller's `/proc` does not show it, and for NULL.
 *
 * The process is no child of the caller: wait for it with the functions here, not with waitpid(2).
 */
uint32_t seclude_child_pid(const seclude_child *child);

/**
 * Returns the process id of the command's first process in the sandbox's pid namespace. 0 for
 * NULL.
 */
uint32_t seclude_child_inside_pid(const seclude_child *child);

/** Returns the protections that are active, `SECLUDE_PROTECTION_...` joined by `|`. 0 for NULL. */
uint64_t seclude_child_enforced(const seclude_child *child);

/**
 * Returns the Landlock ABI that the ruleset uses; 0 without Landlock, and for NULL.
 *
 * The `SECLUDE_PROTECTION_LANDLOCK_...` in `seclude_child_enforced` tell what Landlock restricts.
 */
uint32_t seclude_child_landlock_abi(const seclude_child *child);

/**
 * Takes the write end of the command's standard input, if that is a pipe.
 *
 * Returns the descriptor, or `SECLUDE_EINVAL` if the stream is no pipe or was taken before. Owned:
 * the caller closes it. It is close-on-exec and blocking.
 */
SECLUDE_WARN_UNUSED
int seclude_child_take_stdin(seclude_child *child);

/** Takes the read end of the command's standard output, as `seclude_child_take_stdin` does. */
SECLUDE_WARN_UNUSED
int seclude_child_take_stdout(seclude_child *child);

/** Takes the read end of the command's standard error, as `seclude_child_take_stdin` does. */
SECLUDE_WARN_UNUSED
int seclude_child_take_stderr(seclude_child *child);

/**
 * Takes the other side of the command's terminal, if a stream is `SECLUDE_STDIO_PTY`. Otherwise
 * like `seclude_child_take_stdin`.
 *
 * The command reads what the caller writes there, and the caller reads what the command writes, by
 * the rules of a terminal. Once the last copy is closed, the command gets SIGHUP. read(2) fails
 * with EIO when no process inside has the terminal open any more.
 */
SECLUDE_WARN_UNUSED
int seclude_child_take_terminal(seclude_child *child);

/**
 * Waits until the command has ended, and writes to `*outcome` how it ended.
 *
 * Returns 0 if the command ended, however it did. When this returns, nothing of the sandbox is
 * left, except for files that are to be collected. Another call gives the same result. A standard
 * input that is a pipe and was not taken is closed first, so that a command that reads it to its
 * end can end.
 *
 * `size` is the size of `*outcome` in bytes. `outcome` may be NULL. While the call blocks, no
 * other thread may use the child. To kill it from another thread, wait on `seclude_child_pidfd`
 * with poll(2), or call `seclude_child_wait_timeout` repeatedly.
 */
SECLUDE_WARN_UNUSED
int seclude_child_wait(seclude_child *child, seclude_outcome *outcome, size_t size,
                       seclude_error **err);

/**
 * Waits until the command has ended, for at most `milliseconds`.
 *
 * Returns 1 if it has ended, after writing `*outcome`, and 0 if it still runs. The standard input
 * stays open. `size` is the size of `*outcome` in bytes. `outcome` may be NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_child_wait_timeout(seclude_child *child, uint64_t milliseconds,
                               seclude_outcome *outcome, size_t size, seclude_error **err);

/**
 * Checks without waiting whether the command has ended. Otherwise like
 * `seclude_child_wait_timeout`.
 */
SECLUDE_WARN_UNUSED
int seclude_child_try_wait(seclude_child *child, seclude_outcome *outcome, size_t size,
                           seclude_error **err);

/**
 * Reads the command's standard output and standard error to their ends, and waits until it has
 * ended.
 *
 * Returns 0 if the command ended, however it did. Both pipes are read at the same time, so that
 * neither can fill up and block the command. The output is kept in memory: of each stream, as much
 * as `seclude_sandbox_output` allows, or 64 MiB. A command that writes more is killed
 * (`SECLUDE_ENDED_OUTPUT_LIMIT`).
 *
 * `*output` is owned: free it with `seclude_output_free`. It is NULL on failure. Afterwards the
 * child still answers waits and its process ids, but has no descriptors and no processes. It must
 * still be freed.
 */
SECLUDE_WARN_UNUSED
int seclude_child_wait_with_output(seclude_child *child, seclude_output **output,
                                   seclude_error **err);

/**
 * Returns in how many milliseconds to call `seclude_child_try_wait` again, for a program that only
 * polls.
 *
 * By then the command must have ended because of its limits on time or of `seclude_child_kill`. If
 * the warden has not ended it, that call does. The result is a timeout for poll(2): 0 if the
 * moment has passed, -1 if there is none, if the command has ended, and for NULL. The functions
 * that wait need no such care.
 */
int seclude_child_deadline(const seclude_child *child);

/**
 * Kills the command and everything that it started. Does not wait.
 *
 * The end is `SECLUDE_ENDED_KILLED`, unless the command ended before. If the warden does not kill
 * it within a second, the next call that waits does. Returns 0 also if the command has ended
 * already.
 */
SECLUDE_WARN_UNUSED
int seclude_child_kill(seclude_child *child, seclude_error **err);

/**
 * Sends a signal, 1 to 64, to the command's first process. Returns 0 also if the command has ended
 * already.
 */
SECLUDE_WARN_UNUSED
int seclude_child_signal(seclude_child *child, int signal, seclude_error **err);

/**
 * Lists the processes inside at this moment: the warden first, each process after its parent.
 *
 * The list is empty once the end of the command is known. `*processes` is owned: free it with
 * `seclude_processes_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_child_processes(const seclude_child *child, seclude_processes **processes,
                            seclude_error **err);

/* ================================================================================================
 * Control
 *
 * Usage, limits that change, freezing: for a command that runs.
 * ============================================================================================= */

/**
 * Writes to `*usage` what the command has used so far, and which protections and mechanisms are
 * active.
 *
 * The fields about the end are 0. Once the end of the command is known, the numbers are those of
 * the whole run. `size` is the size of `*usage` in bytes. `usage` may be NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_child_usage(seclude_child *child, seclude_outcome *usage, size_t size,
                        seclude_error **err);

/**
 * Changes the memory limit of a running command, in bytes.
 *
 * The policy must set that limit. If it does not, this and the other `seclude_child_set_...`
 * return `SECLUDE_EINVAL`. They return 0 also if the command has ended already.
 */
SECLUDE_WARN_UNUSED
int seclude_child_set_memory(seclude_child *child, uint64_t bytes, seclude_error **err);

/** Changes how many processors the command may use at a time: 0.01 to 8192. */
SECLUDE_WARN_UNUSED
int seclude_child_set_cpus(seclude_child *child, double number, seclude_error **err);

/**
 * Changes the limit on processor time, in milliseconds, counted from the start of the command.
 *
 * It can be raised by at most 60 seconds above the value at the start, where the kernel itself
 * ends each process (`RLIMIT_CPU`).
 */
SECLUDE_WARN_UNUSED
int seclude_child_set_cpu_time(seclude_child *child, uint64_t milliseconds, seclude_error **err);

/**
 * Changes how many processes and threads may exist inside at a time. A lower limit ends none of
 * those that exist.
 */
SECLUDE_WARN_UNUSED
int seclude_child_set_pids(seclude_child *child, uint64_t number, seclude_error **err);

/**
 * Freezes everything inside until `seclude_child_thaw`.
 *
 * `*how` receives the `SECLUDE_FREEZER_...` that did it. `how` may be NULL. A frozen command can
 * be killed, and its wall time goes on.
 */
SECLUDE_WARN_UNUSED
int seclude_child_freeze(seclude_child *child, int *how, seclude_error **err);

/** Thaws a frozen command. Returns 0 also if it is not frozen, or has ended. */
SECLUDE_WARN_UNUSED
int seclude_child_thaw(seclude_child *child, seclude_error **err);

/**
 * Returns the name of a `SECLUDE_FREEZER_...`, which is the same in every language: "sigstop".
 * NULL for any other number. Static: never freed.
 */
const char *seclude_freezer_name(int freezer);

/* ---- Freezers ---- */

/** `cgroup.freeze` of cgroup v2: the kernel stops all processes at once. */
#define SECLUDE_FREEZER_CGROUP_V2 1

/** The freezer of cgroup v1: the kernel stops all processes at once. */
#define SECLUDE_FREEZER_CGROUP_V1 2

/**
 * SIGSTOP to every process. This is weaker: a parent inside can see that its child has stopped,
 * and a process that gets SIGCONT continues.
 */
#define SECLUDE_FREEZER_SIGNAL 3

/* ================================================================================================
 * Terminals: seclude_raw_mode
 *
 * A terminal of the caller's in raw mode. Freeing the object restores the terminal.
 * ============================================================================================= */

/**
 * Sets the window size of a command's terminal, in characters: ioctl_tty(2).
 *
 * `terminal` is the descriptor from `seclude_child_take_terminal`. Borrowed. If the size changes,
 * the programs in the terminal's foreground get SIGWINCH.
 */
SECLUDE_WARN_UNUSED
int seclude_terminal_resize(int terminal, uint16_t rows, uint16_t columns, seclude_error **err);

/**
 * Puts a terminal of the caller's, such as its standard input, into raw mode: cfmakeraw(3).
 *
 * Every key then goes to the command's terminal as it is, Ctrl-C included. Fails if `terminal` is
 * no terminal. `terminal` is borrowed and duplicated. `*mode` is owned: free it with
 * `seclude_raw_mode_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_raw_mode_enter(int terminal, seclude_raw_mode **mode, seclude_error **err);

/** Restores the terminal, and frees the object. NULL is a no-op. */
void seclude_raw_mode_free(seclude_raw_mode *mode);

/* ================================================================================================
 * Outcomes
 * ============================================================================================= */

/**
 * How a command ended, what it used, and which protections and limits were active while it ran.
 *
 * Functions that fill it take its size, `sizeof(seclude_outcome)`, so that programs and libraries
 * of different versions work together. Later versions only add fields at the end. Fields that the
 * library does not know are set to 0. Fields that the program does not know are not written.
 *
 * The numbers come from the cgroup's counters if the sandbox has a cgroup. Otherwise they are sums
 * over all processes that their parents or the warden waited for. A process whose parent ignores
 * SIGCHLD is reaped by the kernel, and then missing from these sums. No number includes the size
 * of the caller or earlier runs.
 */
struct seclude_outcome {
    /** How it ended: one of `SECLUDE_ENDED_...`. 0 while it runs. */
    int32_t ended;
    /**
     * The exit code, the signal, or the number of the system call, of which
     * `seclude_syscall_name` returns the name: -1 for a call of another architecture. 0 if
     * the end has no value.
     */
    int32_t value;
    /**
     * The end as one number: the exit code, or minus the signal. A process limit and a full tmpfs
     * kill nothing, so for those it equals `status`. For every other end, by a limit or by the
     * caller, it is -9, as after SIGKILL.
     */
    int32_t returncode;
    /** 1 if the command exited with code 0, otherwise 0. */
    int32_t success;
    /**
     * How the command's first process itself ended: its exit code, or minus the signal that
     * killed it. The signal may be one that the library sent.
     */
    int32_t status;
    /** 1 if `status` is known, otherwise 0. */
    int32_t status_known;
    /** The source of `memory_peak`: one of `SECLUDE_MEMORY_...`. */
    int32_t memory_source;
    /**
     * 1 if the kernel counted pressure (cgroup v2, Linux 4.20), otherwise 0, and the
     * `pressure_...` are 0.
     */
    int32_t pressure_known;
    /**
     * The value of the limit that ended the command, in the unit that `SECLUDE_ENDED_...` names.
     * 0 if no limit did.
     */
    uint64_t limit;
    /**
     * The protections that were active, `SECLUDE_PROTECTION_...` joined by `|`, as the warden
     * reported them after it had applied them.
     */
    uint64_t enforced;
    /**
     * What enforced each limit, one of `SECLUDE_MECHANISM_...`, indexed by `SECLUDE_LIMIT_...`. 0
     * if nothing did.
     */
    uint8_t mechanisms[32];
    /** Time from the start of the command to the end of the last process inside. In nanoseconds. */
    uint64_t wall_ns;
    /** Processor time of the whole tree in user mode. In nanoseconds. */
    uint64_t user_ns;
    /** Processor time of the whole tree in the kernel. In nanoseconds. */
    uint64_t system_ns;
    /**
     * How long processes that were ready to run had to wait because the limit `cpus` was used up,
     * added up over the processors. 0 without that limit, and for a command in a cell, where the
     * limit is the cell's. In nanoseconds.
     */
    uint64_t throttled_ns;
    /** Memory in use while the command runs; 0 afterwards. In bytes. */
    uint64_t memory;
    /** The most memory in use at one time. In bytes. */
    uint64_t memory_peak;
    /**
     * The most memory seen, without the pages of files: `RssAnon` and `RssShmem` of the processes,
     * or `anon` and `shmem` of the cgroup. The warden samples it every 5 milliseconds or less
     * often, where the memory of the sandbox, or of this command in a cell, is limited. In bytes.
     * `SECLUDE_UNKNOWN` if it was not counted.
     */
    uint64_t anonymous_peak;
    /** The largest resident set of any single process of the tree. In bytes. */
    uint64_t max_rss;
    /** Processes and threads inside while the command runs, without the warden; 0 afterwards. */
    uint64_t processes;
    /**
     * The most processes and threads at one time: from the cgroup since Linux 6.1, else sampled.
     * `SECLUDE_UNKNOWN` if it was not counted.
     */
    uint64_t processes_peak;
    /** Page faults served without I/O. */
    uint64_t minor_faults;
    /** Page faults that needed I/O. */
    uint64_t major_faults;
    /** How often a process gave up the processor to wait. */
    uint64_t voluntary_switches;
    /** How often the kernel took the processor from a process. */
    uint64_t involuntary_switches;
    /** Bytes read from block devices. In bytes. */
    uint64_t bytes_read;
    /** Bytes written to block devices. In bytes. */
    uint64_t bytes_written;
    /**
     * Bytes written to the standard output. Counted only with a limit on the output. In bytes.
     * `SECLUDE_UNKNOWN` if it was not counted.
     */
    uint64_t stdout_bytes;
    /**
     * Bytes written to the standard error. Counted only with a limit on the output. 0 if both
     * streams are one file: then `stdout_bytes` counts both. In bytes. `SECLUDE_UNKNOWN` if it was
     * not counted.
     */
    uint64_t stderr_bytes;
    /**
     * How long at least one process waited for a processor: pressure stall information, in
     * nanoseconds.
     */
    uint64_t pressure_cpu_some_ns;
    /** How long at least one process waited for memory, in nanoseconds. */
    uint64_t pressure_memory_some_ns;
    /** How long all processes waited for memory, in nanoseconds. */
    uint64_t pressure_memory_full_ns;
    /** How long at least one process waited for I/O, in nanoseconds. */
    uint64_t pressure_io_some_ns;
    /** How long all processes waited for I/O, in nanoseconds. */
    uint64_t pressure_io_full_ns;
    /**
     * The end in words, with a NUL at its end: "stopped by the memory limit of 67108864 bytes".
     * "" while the command runs.
     */
    char text[96];
    /**
     * 1 if the caller's process ended the command because the warden had not done so within a
     * second, for example because it was stopped from outside or got no processor. Otherwise 0.
     * `ended` is not affected: it is still the limit, or `SECLUDE_ENDED_KILLED`.
     */
    int32_t by_caller;
    /** Always 0. */
    int32_t reserved;
};

/**
 * Returns the name of a `SECLUDE_ENDED_...`, which is the same in every language: "exited",
 * "wall-time". NULL for any other number. Static: never freed.
 */
const char *seclude_ended_name(int ended);

/**
 * Returns the name of a `SECLUDE_MEMORY_...`, which is the same in every language: "cgroup". NULL
 * for any other number. Static: never freed.
 */
const char *seclude_memory_source_name(int source);

/**
 * Returns the name of one `SECLUDE_PROTECTION_...`, which is the same in every language:
 * "no-capabilities". Static: never freed.
 *
 * NULL for any other number, so that a loop over the bits of `enforced` can skip those that this
 * library does not know.
 */
const char *seclude_protection_name(uint64_t protection);

/* ---- Ends of a command ---- */

/** The command exited by itself. The value is the exit code, 0 to 255. */
#define SECLUDE_ENDED_EXITED 1

/** A signal killed the command, and no limit was involved. The value is the signal number. */
#define SECLUDE_ENDED_SIGNALED 2

/** The command was still running when its wall time was over. The limit is in nanoseconds. */
#define SECLUDE_ENDED_WALL_TIME 3

/** All processes together used up their processor time. The limit is in nanoseconds. */
#define SECLUDE_ENDED_CPU_TIME 4

/** The command ran out of memory, even if its first process continued. The limit is in bytes. */
#define SECLUDE_ENDED_MEMORY_LIMIT 5

/** The command was refused a process or thread, and failed. The limit is a number of processes. */
#define SECLUDE_ENDED_PROCESS_LIMIT 6

/**
 * The command wrote more than its output limit, or more than 64 MiB to a captured stream without a
 * limit. The limit is in bytes.
 */
#define SECLUDE_ENDED_OUTPUT_LIMIT 7

/**
 * The command failed, and a tmpfs with a limited size or number of files is full. The limit is in
 * bytes or files, whichever ran out.
 */
#define SECLUDE_ENDED_SCRATCH_FULL 8

/** The caller killed the command. */
#define SECLUDE_ENDED_KILLED 9

/**
 * The warden was killed from outside, and all processes inside ended with it. The value is the
 * signal that killed the warden, or 0 if unknown.
 */
#define SECLUDE_ENDED_WARDEN_LOST 10

/**
 * A process inside made a system call for which the filter has the action `kill`. The value is the
 * call.
 */
#define SECLUDE_ENDED_SYSCALL 11

/* ---- Sources of `memory_peak` ---- */

/**
 * The peak of the cgroup: everything charged to it, including files in memory and kernel
 * structures.
 */
#define SECLUDE_MEMORY_CGROUP 1

/**
 * The largest sum of the processes' peaks (VmHWM) that the warden sampled. It does not exceed a
 * sampled limit that was kept.
 */
#define SECLUDE_MEMORY_SAMPLED 2

/** The peak of the largest single process (`ru_maxrss`). The sum was not counted. */
#define SECLUDE_MEMORY_LARGEST_PROCESS 3

/** A number that was not counted, where 0 is a count: `UINT64_MAX`. */
#define SECLUDE_UNKNOWN UINT64_MAX

/* ---- Protections, the bits of `enforced` ---- */

/** The command has its own user namespace. */
#define SECLUDE_PROTECTION_USER_NAMESPACE 0x1

/** The command has its own mount namespace. */
#define SECLUDE_PROTECTION_MOUNT_NAMESPACE 0x2

/** The command has its own process tree. */
#define SECLUDE_PROTECTION_PID_NAMESPACE 0x4

/** The command has its own network. */
#define SECLUDE_PROTECTION_NET_NAMESPACE 0x8

/** The command has its own System V IPC and POSIX message queues. */
#define SECLUDE_PROTECTION_IPC_NAMESPACE 0x10

/** The command has its own host and domain name. */
#define SECLUDE_PROTECTION_UTS_NAMESPACE 0x20

/** The command has its own view of the cgroup tree. */
#define SECLUDE_PROTECTION_CGROUP_NAMESPACE 0x40

/** The command has its own clocks. */
#define SECLUDE_PROTECTION_TIME_NAMESPACE 0x80

/** The command has its own root file system and cannot reach the caller's. */
#define SECLUDE_PROTECTION_OWN_ROOT 0x100

/** The root is mounted read-only. */
#define SECLUDE_PROTECTION_READ_ONLY_ROOT 0x200

/** The global parts of `/proc` are masked or read-only. */
#define SECLUDE_PROTECTION_MASKED_PROC 0x400

/** All five capability sets are empty. */
#define SECLUDE_PROTECTION_NO_CAPABILITIES 0x800

/** User id 0 has no special privileges (locked securebits). */
#define SECLUDE_PROTECTION_LOCKED_SECUREBITS 0x1000

/** No program executed inside gains privileges. */
#define SECLUDE_PROTECTION_NO_NEW_PRIVILEGES 0x2000

/**
 * The command has no supplementary groups. Missing for a command that names some, and for an
 * unprivileged caller with supplementary groups, because the kernel does not let it drop them.
 */
#define SECLUDE_PROTECTION_NO_GROUPS 0x4000

/** No user namespaces can be created inside. */
#define SECLUDE_PROTECTION_NO_NESTED_USERS 0x8000

/** The command has its own session keyring. */
#define SECLUDE_PROTECTION_OWN_KEYRING 0x10000

/** The command has its own session, without a controlling terminal. */
#define SECLUDE_PROTECTION_OWN_SESSION 0x20000

/** Core dumps are disabled. */
#define SECLUDE_PROTECTION_NO_CORE_DUMPS 0x40000

/** The warden can be neither traced nor read from inside. */
#define SECLUDE_PROTECTION_HIDDEN_WARDEN 0x80000

/** The kernel kills all processes inside when the warden ends. */
#define SECLUDE_PROTECTION_KILL_BY_NAMESPACE 0x100000

/**
 * The warden kills the processes inside, one after another. This is weaker: if the warden is
 * killed from outside, they survive.
 */
#define SECLUDE_PROTECTION_KILL_BY_WARDEN 0x200000

/**
 * The caller kills any process that the warden could not kill, through the sandbox's cgroup.
 * Present together with `kill-by-warden`, if a cgroup can be created.
 */
#define SECLUDE_PROTECTION_KILL_BY_CGROUP 0x400000

/** A seccomp filter restricts the system calls of the command. */
#define SECLUDE_PROTECTION_SECCOMP_FILTER 0x800000

/**
 * A seccomp filter restricts the system calls of the warden. Missing if the command's filter
 * kills, or asks the caller, at every call that it does not name.
 */
#define SECLUDE_PROTECTION_FILTERED_WARDEN 0x1000000

/** Landlock restricts the command to its visible files, and to writing where it may. */
#define SECLUDE_PROTECTION_LANDLOCK_FILES 0x2000000

/** Landlock prevents signals to processes outside. */
#define SECLUDE_PROTECTION_LANDLOCK_SIGNALS 0x4000000

/** Landlock prevents connections to abstract sockets created outside. */
#define SECLUDE_PROTECTION_LANDLOCK_SOCKETS 0x8000000

/** Landlock restricts the command to the TCP ports in the policy. */
#define SECLUDE_PROTECTION_LANDLOCK_PORTS 0x10000000

/**
 * No process inside can change the warden's limits, priority or processors. Missing if the command
 * has joined an existing process tree, where other processes may run as the same user.
 */
#define SECLUDE_PROTECTION_GUARDED_WARDEN 0x20000000

/**
 * The command runs as another user than the caller, so the caller's files and processes are not
 * its own. Missing if the caller can map only its own id: an unprivileged caller, or one in a user
 * namespace without other ids.
 */
#define SECLUDE_PROTECTION_OTHER_USER 0x40000000

/**
 * The kernel kills a process group at once, and no process inside can make another group while the
 * warden kills, so no fork bomb outruns it. Present together with `kill-by-warden` and without
 * `kill-by-cgroup`, from Linux 5.9. Missing if the filter kills or asks the caller at any call, or
 * if the caller itself is behind a filter that asks somebody: the kernel allows one such filter.
 */
#define SECLUDE_PROTECTION_KILL_BY_GROUP 0x80000000

/* ================================================================================================
 * Output: seclude_output
 *
 * What a command wrote, and how it ended. It never changes.
 * ============================================================================================= */

/**
 * Writes to `*outcome` how the command ended. Returns 0, or `SECLUDE_EINVAL` if `output` is NULL.
 *
 * `size` is the size of `*outcome` in bytes.
 */
int seclude_output_outcome(const seclude_output *output, seclude_outcome *outcome, size_t size);

/**
 * Returns what the command wrote to its standard output, if that was a pipe, with a NUL after the
 * last byte.
 *
 * `*length` receives the number of bytes. `length` may be NULL. For NULL the result is "" and 0,
 * so it is never NULL. Borrowed: valid until the output is freed.
 */
const char *seclude_output_stdout(const seclude_output *output, size_t *length);

/** Returns what the command wrote to its standard error, as `seclude_output_stdout` does. */
const char *seclude_output_stderr(const seclude_output *output, size_t *length);

/** Frees an output. NULL is a no-op. */
void seclude_output_free(seclude_output *output);

/* ================================================================================================
 * Lists of processes: seclude_processes
 *
 * A list of processes at one moment, as the caller sees them. It never changes.
 *
 * Names and command lines are the processes' own claims. For an index past the end, the functions
 * return 0 or NULL.
 * ============================================================================================= */

/**
 * Frees a list. NULL is a no-op. Lists that are borrowed from `seclude_namespaces` are not freed.
 */
void seclude_processes_free(seclude_processes *processes);

/** Returns the number of processes in the list. 0 for NULL. */
size_t seclude_processes_count(const seclude_processes *processes);

/** Returns a process's id in the caller's pid namespace. */
uint32_t seclude_processes_pid(const seclude_processes *processes, size_t index);

/**
 * Returns a process's id in the sandbox's pid namespace, where the warden is 1.
 *
 * If the sandbox shares the caller's pid namespace, this is the id there. In a list of
 * `seclude_namespaces`, it is the id in the process's own pid namespace.
 */
uint32_t seclude_processes_inside_pid(const seclude_processes *processes, size_t index);

/**
 * Returns one of a process's ids, from the caller's pid namespace (`level` 0) inwards. 0 past the
 * last. A process in a sandbox inside a sandbox has more than two.
 */
uint32_t seclude_processes_pid_at(const seclude_processes *processes, size_t index, size_t level);

/** Returns the id of a process's parent in the caller's pid namespace. */
uint32_t seclude_processes_parent(const seclude_processes *processes, size_t index);

/**
 * Returns a process's user id in the caller's user namespace. `UINT32_MAX`, which is no user's,
 * past the end.
 */
uint32_t seclude_processes_uid(const seclude_processes *processes, size_t index);

/**
 * Returns a process's state: 'R' running, 'S' sleeping, 'D' in uninterruptible sleep, 'T' stopped,
 * 'Z' a zombie, which has ended but was not waited for. 'T' and 'Z' mean all its threads.
 */
char seclude_processes_state(const seclude_processes *processes, size_t index);

/**
 * Returns a process's name, at most 15 bytes, which the process can set with prctl(2). Borrowed:
 * valid until the list is freed.
 */
const char *seclude_processes_name(const seclude_processes *processes, size_t index);

/**
 * Returns one word of a process's command line, from 0. NULL past the last. Borrowed: valid until
 * the list is freed.
 *
 * Where the kernel shows no command line, word 0 is the name in brackets.
 */
const char *seclude_processes_argument(const seclude_processes *processes, size_t index,
                                       size_t argument);

/* ================================================================================================
 * Copying files in and out: seclude_transfer
 *
 * How to copy files and trees, and how much at most.
 *
 * The defaults are 256 MiB in 10,000 files and directories, at most 64 directories deep. No
 * symbolic link is followed. Only files and directories are copied, unless
 * `seclude_transfer_archive` says otherwise.
 * ============================================================================================= */

/**
 * What was copied.
 *
 * Functions that fill it take its size, `sizeof(seclude_copied)`, as for `seclude_outcome`.
 */
struct seclude_copied {
    /** Files and directories, and symbolic links that were copied (`seclude_transfer_archive`). */
    uint64_t entries;
    /** Bytes in files. Further hard links to a file add none. */
    uint64_t bytes;
    /**
     * Symbolic links, pipes, sockets and devices that were left out
     * (`seclude_transfer_skip_special`).
     */
    uint64_t skipped;
};

/**
 * Makes an object with the default bounds. Never NULL. Owned: free it with
 * `seclude_transfer_free`.
 */
SECLUDE_WARN_UNUSED
seclude_transfer *seclude_transfer_new(void);

/** Frees a transfer. NULL is a no-op. */
void seclude_transfer_free(seclude_transfer *transfer);

/** Sets the most bytes in files. A file counts with its length, holes included. */
void seclude_transfer_max_bytes(seclude_transfer *transfer, uint64_t bytes);

/**
 * Sets the most files and directories, including what `seclude_transfer_skip_special` leaves out.
 */
void seclude_transfer_max_entries(seclude_transfer *transfer, uint64_t number);

/**
 * Leaves out symbolic links, pipes, sockets and devices, and counts them. By default they are an
 * error. With `seclude_transfer_archive`, symbolic links are copied instead.
 */
void seclude_transfer_skip_special(seclude_transfer *transfer);

/**
 * Copies as `cp -a` does: symbolic links are made anew with the same target, further hard links to
 * a file become hard links to its copy, and files and directories keep the time of their last
 * modification. Ownership and extended attributes are not copied.
 *
 * No link is followed for that, but whoever reads the copies may follow them, and a program may
 * have made them lead anywhere.
 */
void seclude_transfer_archive(seclude_transfer *transfer);

/**
 * Has a function told how many entries and bytes have been copied: before the first entry, then at
 * most ten times a second, and at the end. If it does not return 0, the copy is cancelled: it
 * fails with the errno ECANCELED, and what has been copied is removed.
 *
 * It is called with `data` in the thread that copies, or that collects a command's files, and the
 * copy waits meanwhile. Copies in several threads call it at once. It must not free the objects of
 * the copy. NULL for `progress` is a mistake.
 */
void seclude_transfer_progress(seclude_transfer *transfer, int (*progress)(uint64_t entries,
                               uint64_t bytes, void *data), void *data);

/**
 * Copies the file or tree at `path`, relative to the directory `base`, to `to`, which must not
 * exist.
 *
 * Links in `base` are followed, links in `path` and below it are not. The copies belong to the
 * caller. They have the permissions of the originals without set-user-id, set-group-id and sticky
 * bits, and their owner may always read and write them. On failure nothing is left at `to`.
 *
 * `*copied` receives what was copied. `size` is its size in bytes, and it may be NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_transfer_copy(const seclude_transfer *transfer, const char *base, const char *path,
                          const char *to, seclude_copied *copied, size_t size, seclude_error **err);

/**
 * Copies the file or tree at the absolute path `inside` out of the running sandbox to `to`.
 *
 * The rules are those of `seclude_transfer_copy`, with the sandbox's root as the base. A
 * privileged caller reads only what the sandbox's user may read. Programs inside may change the
 * tree meanwhile: `seclude_child_freeze` prevents that.
 */
SECLUDE_WARN_UNUSED
int seclude_child_copy_out(const seclude_child *child, const char *inside, const char *to,
                           const seclude_transfer *transfer, seclude_copied *copied, size_t size,
                           seclude_error **err);

/**
 * Copies the caller's file or tree `from` into the running sandbox to the absolute path `inside`,
 * which must not exist.
 *
 * The copy is made with the rights of the sandbox's user, so the command must be able to write
 * there. The copies belong to the command's user. Otherwise like `seclude_transfer_copy`.
 */
SECLUDE_WARN_UNUSED
int seclude_child_copy_in(const seclude_child *child, const char *from, const char *inside,
                          const seclude_transfer *transfer, seclude_copied *copied, size_t size,
                          seclude_error **err);

/* ================================================================================================
 * Files that a command leaves: seclude_collected
 *
 * The files that a command has left, as `seclude_command_collect` asked for them. It never
 * changes.
 *
 * After an error (`seclude_collected_error`) there are no files, so that no part is taken for the
 * whole. For an index past the end, the functions return NULL or 0.
 * ============================================================================================= */

/**
 * Collects the files that match `pattern` when the command has ended. Can be called up to 64
 * times.
 *
 * `seclude_output_files` has the files. After `seclude_command_spawn`, `seclude_child_collect`
 * returns them. `seclude_command_run` collects nothing: with a pattern it is an error. A pattern
 * that matches nothing is no error.
 *
 * A pattern is absolute, or relative to the working directory. In each of its names `*`, `?` and
 * `[...]` have the meaning of glob(7): they match no slash, and no dot at the beginning of a name.
 * A backslash makes the next character plain. A directory that matches is collected with all it
 * contains. No symbolic link is followed, not even in the working directory.
 *
 * A privileged caller reads with the rights of the sandbox's user. In a sandbox of its own or of a
 * pool, every process has ended before the files are read. In a cell, and in a pool that uses its
 * sandboxes again, other processes may change the files meanwhile.
 *
 * The sandbox's files stay in memory until they have been collected or the child has been freed.
 * In a pool that uses its sandboxes again, the command keeps its place until then.
 *
 * A pattern that is empty, has more than 4096 bytes or 64 names, contains `..` or `**`, ends in a
 * slash, or has a `[` without its `]`, is an error at the start.
 */
void seclude_command_collect(seclude_command *command, const char *pattern);

/**
 * Bounds what is collected. The default is 64 MiB in 1000 files and directories, with
 * `seclude_transfer_skip_special`.
 *
 * If a bound is exceeded, nothing is collected, and `seclude_collected_error` says so. The bound
 * on entries also limits how many names a pattern may match on its way.
 */
void seclude_command_collect_within(seclude_command *command, const seclude_transfer *transfer);

/**
 * Writes the collected files below a directory of the caller's, in place of memory. It must be
 * empty when the command starts and when it ends, or not exist, and is made if it does not.
 *
 * Each file has its path below the directory: that of the pattern, without a slash at the
 * beginning. All patterns must be absolute, or all relative. The copies have the properties of
 * `seclude_transfer_copy`, and the directories that lead to them have mode 755. If the calling
 * process is killed meanwhile, the directory may hold a part of the files.
 */
void seclude_command_collect_into(seclude_command *command, const char *directory);

/**
 * Collects the files that the command was to leave, once it has ended and been waited for. They
 * can be collected once.
 *
 * Returns 0 also if they could not be collected: see `seclude_collected_error`. Fails with
 * `SECLUDE_EINVAL` if the command has asked for no files, has not been waited for, or if its files
 * have been collected, as by `seclude_child_wait_with_output`.
 *
 * `*collected` is owned: free it with `seclude_collected_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_child_collect(seclude_child *child, seclude_collected **collected, seclude_error **err);

/**
 * Collects the files below `directory`, whatever the command was to do with them. The rules for
 * the directory are those of `seclude_command_collect_into`. Otherwise like
 * `seclude_child_collect`.
 */
SECLUDE_WARN_UNUSED
int seclude_child_collect_to(seclude_child *child, const char *directory,
                             seclude_collected **collected, seclude_error **err);

/** Frees what was collected. NULL is a no-op. What `seclude_output_files` returns is not freed. */
void seclude_collected_free(seclude_collected *collected);

/**
 * Returns why the files could not be collected, or NULL if they were. Also NULL for NULL.
 * Borrowed: valid until the object is freed.
 *
 * `SECLUDE_EINVAL` if a bound is exceeded, `SECLUDE_EIO` if a file cannot be read or written.
 */
const seclude_error *seclude_collected_error(const seclude_collected *collected);

/**
 * Returns the number of files in memory. 0 if they have been written to a directory, and for
 * NULL.
 */
size_t seclude_collected_count(const seclude_collected *collected);

/**
 * Returns the path of a file: absolute if the pattern is, else relative to the command's working
 * directory. The files are in byte order of their paths, name by name. Borrowed: valid until the
 * object is freed.
 */
const char *seclude_collected_path(const seclude_collected *collected, size_t index);

/**
 * Returns what a file contains, with a NUL after the last byte.
 *
 * `*length` receives the number of bytes, and 0 past the end. `length` may be NULL. Borrowed:
 * valid until the object is freed.
 */
const char *seclude_collected_contents(const seclude_collected *collected, size_t index,
                                       size_t *length);

/** Returns the nine permission bits of a file. */
uint32_t seclude_collected_permissions(const seclude_collected *collected, size_t index);

/** Returns the index of the file with this path, or `SECLUDE_EINVAL` if there is none. */
int seclude_collected_find(const seclude_collected *collected, const char *path);

/**
 * Returns the number of files and directories that match, with all that is in these directories.
 * 0 for NULL.
 */
uint64_t seclude_collected_entries(const seclude_collected *collected);

/** Returns the number of bytes in the files. 0 for NULL. */
uint64_t seclude_collected_bytes(const seclude_collected *collected);

/**
 * Returns the path of something that matches and is neither a file nor a directory, from index 0.
 * NULL past the last. Borrowed: valid until the object is freed.
 *
 * A symbolic link that a pattern would lead through is listed too.
 */
const char *seclude_collected_skipped(const seclude_collected *collected, size_t index);

/**
 * Returns a pattern that matched nothing, from index 0. NULL past the last. Borrowed: valid until
 * the object is freed.
 */
const char *seclude_collected_unmatched(const seclude_collected *collected, size_t index);

/**
 * Returns the files that the command has left. Without `seclude_command_collect` there are none.
 * NULL for NULL. Borrowed: valid until the output is freed.
 */
const seclude_collected *seclude_output_files(const seclude_output *output);

/* ================================================================================================
 * System calls that the caller decides
 *
 * seclude_listener:
 * A source of the system calls that a filter leaves to the caller. A thread that makes such a call
 * is stopped until the caller has answered.
 *
 * seclude_notification:
 * A system call that waits for an answer. Freed without one, the call fails with EPERM.
 *
 * The arguments may point to memory that other threads of the program can change while the caller
 * reads it. So `seclude_notification_allow` cannot approve a call because of that memory's
 * contents. Act for the program instead, and answer with the result.
 * ============================================================================================= */

/**
 * Takes the listener of a command whose filter has `SECLUDE_SECCOMP_NOTIFY`.
 *
 * The caller must then receive and answer the calls. Returns `SECLUDE_EINVAL` if there is no
 * listener, or if it was taken before. `*listener` is owned: free it with `seclude_listener_free`.
 * It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_child_take_listener(seclude_child *child, seclude_listener **listener,
                                seclude_error **err);

/**
 * Frees a listener. NULL is a no-op. Once it and its notifications are freed, the calls that the
 * filter leaves to the caller fail with ENOSYS.
 */
void seclude_listener_free(seclude_listener *listener);

/**
 * Returns the listener's descriptor, as of seccomp_unotify(2). `SECLUDE_EINVAL` for NULL.
 *
 * It is readable when a call waits, and hung up (POLLHUP) when no process is left that could make
 * one. Borrowed: never close it; valid until the listener is freed.
 */
int seclude_listener_fd(const seclude_listener *listener);

/**
 * Waits for the next call, for at most `timeout_ms` milliseconds, or without a limit if that is
 * negative.
 *
 * Returns 1 and `*call`, or 0 if no call came in time or no process is left that could make one.
 * `*call` is owned: answer it or free it with `seclude_notification_free`, each of which frees it.
 * It is NULL unless this returns 1.
 */
SECLUDE_WARN_UNUSED
int seclude_listener_receive(const seclude_listener *listener, int64_t timeout_ms,
                             seclude_notification **call, seclude_error **err);

/** Frees a notification. The call fails with EPERM. NULL is a no-op. */
void seclude_notification_free(seclude_notification *call);

/**
 * Returns the name of the call. NULL for NULL. Borrowed: valid until the notification is freed or
 * answered.
 *
 * A call that is newer than the library has its number in decimal. A call of another architecture
 * has `foreign:` and its number.
 */
const char *seclude_notification_name(const seclude_notification *call);

/** Returns the number of the call. -1 for NULL. */
int seclude_notification_number(const seclude_notification *call);

/** Returns the thread that makes the call, by its id in the caller's pid namespace. 0 for NULL. */
uint32_t seclude_notification_pid(const seclude_notification *call);

/**
 * Writes the six arguments of the call, as they stood in the registers, to `arguments[0]` to
 * `arguments[5]`.
 */
void seclude_notification_arguments(const seclude_notification *call, uint64_t *arguments);

/**
 * Reads `size` bytes of the program's memory from `address` to `into`. Returns how many bytes it
 * read: fewer if unmapped memory follows.
 */
SECLUDE_WARN_UNUSED
int seclude_notification_read(const seclude_notification *call, uint64_t address, void *into,
                              size_t size, seclude_error **err);

/**
 * Lets the kernel make the call, with whatever its arguments point to by then. Frees the
 * notification, on failure too. Linux 5.5.
 */
SECLUDE_WARN_UNUSED
int seclude_notification_allow(seclude_notification *call, seclude_error **err);

/**
 * Lets the call succeed with the result `value`, without making it. Frees the notification, on
 * failure too.
 */
SECLUDE_WARN_UNUSED
int seclude_notification_succeed(seclude_notification *call, int64_t value, seclude_error **err);

/**
 * Lets the call fail with an error number of errno(3), 1 to 4095. Frees the notification, on
 * failure too.
 */
SECLUDE_WARN_UNUSED
int seclude_notification_fail(seclude_notification *call, int errnum, seclude_error **err);

/**
 * Lets the call succeed with a new descriptor in the program, a copy of `fd`: the answer to
 * open(2), for example.
 *
 * Returns the number of the descriptor in the program. It is close-on-exec there if
 * `close_on_exec` is not 0. `fd` is borrowed. Frees the notification, on failure too. Linux 5.9.
 */
SECLUDE_WARN_UNUSED
int seclude_notification_succeed_with_fd(seclude_notification *call, int fd, int close_on_exec,
                                         seclude_error **err);

/* ================================================================================================
 * Learning a filter: seclude_learned
 *
 * What a program did: its system calls, and the paths that it named.
 * ============================================================================================= */

/**
 * Runs the command to its end, and learns which system calls it makes and which paths it names.
 *
 * Output that the command does not redirect is discarded, and its standard input is /dev/null. The
 * sandbox's filter applies, but the caller's process applies it instead of the kernel. Every call
 * waits for that, so the command takes many times as long. A thread that this function starts has
 * ended when it returns. Linux 5.5.
 *
 * `*outcome` receives how the command ended. `size` is its size in bytes, and it may be NULL.
 * `*learned` is owned: free it with `seclude_learned_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_command_learn(seclude_command *command, seclude_learned **learned,
                          seclude_outcome *outcome, size_t size, seclude_error **err);

/** Frees what was learned. NULL is a no-op. */
void seclude_learned_free(seclude_learned *learned);

/**
 * Returns the system calls in the order of their numbers, one per line: the name, how often it was
 * made, and `refused` if the filter refuses it.
 *
 * NULL for NULL. Owned: free it with `seclude_text_free`.
 */
SECLUDE_WARN_UNUSED
seclude_text *seclude_learned_calls(const seclude_learned *learned);

/**
 * Returns the paths as seen inside, with a NUL after each. NULL for NULL. Owned: free it with
 * `seclude_text_free`.
 */
SECLUDE_WARN_UNUSED
seclude_text *seclude_learned_paths(const seclude_learned *learned);

/**
 * Makes a sandbox like the one that the command ran in, with a filter that allows what the command
 * did.
 *
 * The filter has what the command's own filter says of each of these calls. Any other call fails
 * with EPERM. `seclude_sandbox_to_toml` writes the policy down. One run may not have done
 * everything that the program can do.
 *
 * `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_learned_sandbox(const seclude_learned *learned, seclude_sandbox **sandbox,
                            seclude_error **err);

/* ================================================================================================
 * Commands that talk to each other: seclude_interaction
 *
 * Commands that are joined by pipes and started together: a solution and its judge, for example.
 * Each has its own sandbox, limits and end.
 *
 * A mistake in a setter sticks to the interaction. Starting it reports the first mistake, that of
 * a command before its own.
 * ============================================================================================= */

/**
 * Makes an interaction without commands. Never NULL. Owned: free it with
 * `seclude_interaction_free`.
 */
SECLUDE_WARN_UNUSED
seclude_interaction *seclude_interaction_new(void);

/**
 * Frees an interaction, its commands, and their copies of descriptors. NULL is a no-op. Children
 * that it started are not affected.
 */
void seclude_interaction_free(seclude_interaction *interaction);

/**
 * Adds a command and returns its number, from 0. A mistake sticks, and returns a negative
 * `SECLUDE_E...`.
 *
 * The interaction takes ownership of the command, on failure too: the caller neither uses nor
 * frees it afterwards. If `interaction` is NULL, the command is freed at once.
 */
SECLUDE_WARN_UNUSED
int seclude_interaction_add(seclude_interaction *interaction, seclude_command *command);

/**
 * Connects the descriptor `from` of the command `writer` to the descriptor `to` of the command
 * `reader` by a pipe.
 *
 * `seclude_interaction_pipe(interaction, solution, 1, judge, 0)` connects the solution's output to
 * the judge's input. Each descriptor of a command is connected once.
 */
void seclude_interaction_pipe(seclude_interaction *interaction, int writer, int from, int reader,
                              int to);

/**
 * Sets up all commands, then starts them together.
 *
 * Streams that are not connected are those of `seclude_command_spawn`. Commands of one pool take
 * their places together, and wait for them without a time limit. A pool with fewer places is
 * `SECLUDE_EINVAL`.
 *
 * `children` is an array of `count` elements, the number of commands. Each receives a child, in
 * the order in which the commands were added. Owned: free each with `seclude_child_free`. On
 * failure nothing runs, and all are NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_interaction_spawn(seclude_interaction *interaction, seclude_child **children,
                              size_t count, seclude_error **err);

/**
 * Starts the commands, and waits at most `milliseconds` for places in a pool. With 0 it does not
 * wait. Otherwise like `seclude_interaction_spawn`.
 *
 * Returns 1 if they run, and 0 if the pool had too few free places in that time: nothing was
 * started then, and all `children` are NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_interaction_spawn_timeout(seclude_interaction *interaction, uint64_t milliseconds,
                                      seclude_child **children, size_t count, seclude_error **err);

/**
 * Starts the commands together, collects the output of streams that are not connected, and waits
 * for all.
 *
 * Returns 0 if they ran, however each ended. `outputs` is an array of `count` elements, the number
 * of commands. Each receives an output, in the order in which the commands were added. Owned: free
 * each with `seclude_output_free`. On failure all are NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_interaction_output(seclude_interaction *interaction, seclude_output **outputs,
                               size_t count, seclude_error **err);

/* ================================================================================================
 * Cells: seclude_cell
 *
 * A sandbox that stays up and runs many commands, which share its files, processes and network.
 *
 * What one command leaves behind is there for the next. The sandbox's limits on memory, processes,
 * processor time, and input and output apply to all commands together. Those on wall time and
 * output apply to each command by itself, and so do the limits of a command:
 * `seclude_command_memory` and the like.
 *
 * A command has an outcome and a usage of its own. They count its first process and the processes
 * that this one has waited for, or, if the command has a cgroup of its own, everything in that
 * cgroup.
 *
 * All functions on a cell may overlap, in any thread.
 * ============================================================================================= */

/**
 * Makes a template of this policy. Later runs, cells and pools of the sandbox are copied from it
 * instead of being mounted anew.
 *
 * The copies are as fresh and as isolated from each other as without a template. The template
 * exists as long as a copy of it or the sandbox does. A later setter makes another policy, without
 * a template. Returns 0 also where no template is possible: with a shared user, mount or pid
 * namespace, a network of the caller's, or an overlay that keeps its changes in a directory.
 *
 * With a writable root, an overlay or exact files, each copy makes its own mounts, and only the
 * start of the process is saved.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_prepare(const seclude_sandbox *sandbox, seclude_error **err);

/**
 * Starts a cell with the sandbox's current policy, and waits until it is set up.
 *
 * `*cell` is owned: free it with `seclude_cell_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_cell(const seclude_sandbox *sandbox, seclude_cell **cell, seclude_error **err);

/**
 * Frees a cell. NULL is a no-op.
 *
 * The cell ends, with everything inside, once its commands and children are freed too.
 * `seclude_cell_close` ends it at once. In a process that the caller forked, this ends nothing.
 */
void seclude_cell_free(seclude_cell *cell);

/**
 * Makes a command that runs `program` in the cell, like `seclude_sandbox_command`. Owned: free it
 * with `seclude_command_free`.
 *
 * Many commands can run at a time. When a command ends by itself, the processes that it started
 * live on. When it is killed, they are killed too.
 */
SECLUDE_WARN_UNUSED
seclude_command *seclude_cell_command(const seclude_cell *cell, const char *program);

/**
 * Returns the process id of the cell's warden in the caller's pid namespace. It changes with a
 * reset. 0 for a closed cell, and for NULL.
 */
uint32_t seclude_cell_pid(const seclude_cell *cell);

/**
 * Publishes the cell under `name`, so that other processes of the caller's user can find and enter
 * it: `seclude_named_cell_enter`.
 *
 * It stays published until it is closed, freed, or published under another name. A name is 1 to 64
 * letters, digits, dots, hyphens and underscores, and does not begin with a dot. It is an error if
 * another cell is published under it.
 *
 * The directory of names is the value of the environment variable SECLUDE_CELLS. Otherwise it is
 * `$XDG_RUNTIME_DIR/seclude`, `/run/seclude` for root, and `/tmp/seclude-UID` for other users. The
 * user must own it, and nobody else may be able to write it.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_publish(const seclude_cell *cell, const char *name, seclude_error **err);

/**
 * Lists the processes inside at this moment: the warden first, each process after its parent.
 *
 * `*processes` is owned: free it with `seclude_processes_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_processes(const seclude_cell *cell, seclude_processes **processes,
                           seclude_error **err);

/**
 * Writes to `*usage` what all commands have used together since the start or the last reset, and
 * which protections and mechanisms are active.
 *
 * The fields about an end are 0. `size` is the size of `*usage` in bytes. `usage` may be NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_usage(const seclude_cell *cell, seclude_outcome *usage, size_t size,
                       seclude_error **err);

/** Freezes everything inside until `seclude_cell_thaw`, as `seclude_child_freeze` does. */
SECLUDE_WARN_UNUSED
int seclude_cell_freeze(const seclude_cell *cell, int *how, seclude_error **err);

/** Thaws everything inside. Returns 0 also if the cell is not frozen. */
SECLUDE_WARN_UNUSED
int seclude_cell_thaw(const seclude_cell *cell, seclude_error **err);

/**
 * Kills everything inside. Does not wait. Running commands end as `SECLUDE_ENDED_KILLED`. The cell
 * stays, with its files.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_kill_all(const seclude_cell *cell, seclude_error **err);

/**
 * Takes the cell back to its state after the set-up. Running commands end as
 * `SECLUDE_ENDED_KILLED`.
 *
 * No process is left. File systems in memory are empty. The network, System V objects, message
 * queues, keys and clocks are new, and the cgroups' counters are 0. The caller's files that are
 * bound writable stay as they are. The cell is a member of its policy's network again, and of no
 * other. It keeps its address there, and its ports on the host.
 *
 * The first reset makes a template (`seclude_sandbox_prepare`). From then on, a reset costs a
 * fraction of a new cell.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_reset(const seclude_cell *cell, seclude_error **err);

/**
 * Ends everything inside, and waits until it is gone. The cell must still be freed.
 *
 * Using a closed cell is `SECLUDE_EINVAL`. Closing it again is a no-op, and so is NULL.
 */
void seclude_cell_close(const seclude_cell *cell);

/**
 * Returns 1 if the cell can run commands, which means that it is not closed and its warden is
 * alive. Otherwise 0.
 */
int seclude_cell_is_alive(const seclude_cell *cell);

/**
 * Changes the memory limit of all commands together, in bytes, until the next reset.
 *
 * The policy must set that limit. If it does not, this and the other `seclude_cell_set_...` return
 * `SECLUDE_EINVAL`.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_set_memory(const seclude_cell *cell, uint64_t bytes, seclude_error **err);

/**
 * Changes how many processors all commands together may use at a time, 0.01 to 8192, until the
 * next reset.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_set_cpus(const seclude_cell *cell, double number, seclude_error **err);

/** Changes how many processes and threads may exist inside at a time, until the next reset. */
SECLUDE_WARN_UNUSED
int seclude_cell_set_pids(const seclude_cell *cell, uint64_t number, seclude_error **err);

/** Copies a file or tree out of the cell, as `seclude_child_copy_out` does. */
SECLUDE_WARN_UNUSED
int seclude_cell_copy_out(const seclude_cell *cell, const char *inside, const char *to,
                          const seclude_transfer *transfer, seclude_copied *copied, size_t size,
                          seclude_error **err);

/** Copies the caller's file or tree into the cell, as `seclude_child_copy_in` does. */
SECLUDE_WARN_UNUSED
int seclude_cell_copy_in(const seclude_cell *cell, const char *from, const char *inside,
                         const seclude_transfer *transfer, seclude_copied *copied, size_t size,
                         seclude_error **err);

/* ================================================================================================
 * Images and their store
 *
 * seclude_store:
 * A directory with images: the files of their layers, and their names.
 *
 * Many threads and processes can use one store at once. What a program in a sandbox changes is
 * never in it. An image that is in use stays until it is not.
 *
 * All functions on a store may overlap, in any thread.
 *
 * seclude_image:
 * A file system with the software of another system, in a store. It stays there as long as this
 * object, or a sandbox that uses it, exists.
 *
 * The image never changes. All functions on it may overlap, in any thread.
 *
 * seclude_image_list:
 * The images of a store at one moment, by name. The list never changes.
 *
 * For an index past the end, the functions return NULL or 0.
 *
 * docs/images.md has the whole.
 * ============================================================================================= */

/**
 * Whatever is at the path: `SECLUDE_IMAGE_OCI` for a directory with `oci-layout` or `index.json`,
 * `SECLUDE_IMAGE_ARCHIVE` for an archive of images, and else one of the other two.
 */
#define SECLUDE_IMAGE_FOUND 0

/** A directory with an OCI image layout, as `skopeo copy docker://NAME oci:DIRECTORY` makes it. */
#define SECLUDE_IMAGE_OCI 1

/**
 * A tar archive with images, as `docker save` makes it, or of an OCI image layout. It may be
 * compressed.
 */
#define SECLUDE_IMAGE_ARCHIVE 2

/**
 * A tar archive with the files of a root, as `docker export` makes it. It may be compressed with
 * gzip or Zstandard.
 */
#define SECLUDE_IMAGE_TAR 3

/** A directory with the files of a root. What is mounted below it is left out. */
#define SECLUDE_IMAGE_DIRECTORY 4

/**
 * Opens a store, and makes it if it is not there.
 *
 * `path` is its directory. With NULL it is the caller's own: at the path in the environment
 * variable `SECLUDE_STORE`, else at `/var/lib/seclude/store` for root, and at
 * `$XDG_DATA_HOME/seclude/store` or `~/.local/share/seclude/store` for other users. The file
 * system must be one that overlays can write to: ext4, xfs, btrfs or, since Linux 6.6, tmpfs; not
 * another overlay or NFS.
 *
 * `SECLUDE_EINVAL` if it is open to other users, who could find set-user-ID programs there.
 *
 * `*store` is owned: free it with `seclude_store_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_store_open(const char *path, seclude_store **store, seclude_error **err);

/** Frees a store. NULL is a no-op. The directory stays. */
void seclude_store_free(seclude_store *store);

/** Returns the path of a store. NULL for NULL. Borrowed: valid until the store is freed. */
const char *seclude_store_path(const seclude_store *store);

/**
 * Imports an image.
 *
 * `form` is a `SECLUDE_IMAGE_...` that says what is at `path`. `reference` chooses an image of
 * several in a layout or archive, and NULL the only one. `name` is its name in the store, which
 * may have stood for another one; with NULL it is the digest. What is unpacked has at most
 * `max_bytes` bytes and `max_entries` entries. With 0, these are 16 GiB and 2000000. `ids` is a
 * `SECLUDE_IDS_...` that says how many ids own the files, or 0 for the default of sandboxes;
 * sandboxes with the image must have as many.
 *
 * Layers that the store already has are not read again. The files are made in a sandbox, with the
 * ids that a sandbox of this caller's can have: a privileged caller's with their owners, and an
 * unprivileged caller's all with one owner. Device nodes and sockets are left out. When the
 * function returns, the files are on the disk.
 *
 * `SECLUDE_EINVAL` if the image is damaged, has another digest than its manifest says, leads out
 * of itself or exceeds the bounds; `SECLUDE_ESOURCE_MISSING` if it is not there. Nothing is left
 * of it in the store then, but layers that were complete. `SECLUDE_EIO` if the store has no room.
 *
 * `*image` is owned: free it with `seclude_image_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_store_import(const seclude_store *store, int form, const char *path,
                         const char *reference, const char *name, uint64_t max_bytes,
                         uint64_t max_entries, int ids, seclude_image **image, seclude_error **err);

/**
 * Finds an image by its name.
 *
 * `SECLUDE_ESOURCE_MISSING` if there is none, with the most similar name as the hint.
 *
 * `*image` is owned: free it with `seclude_image_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_store_image(const seclude_store *store, const char *name, seclude_image **image,
                        seclude_error **err);

/**
 * Removes the name of an image. Its files go with the next `seclude_store_collect`, unless another
 * image has them.
 */
SECLUDE_WARN_UNUSED
int seclude_store_remove(const seclude_store *store, const char *name, seclude_error **err);

/**
 * Removes the files of no image, and what killed imports have left. With `unused_ms` other than
 * `SECLUDE_UNLIMITED`, also the images that no sandbox has used for so many milliseconds. What is
 * in use stays.
 *
 * `*images` and `*layers` receive the number of names and layers that were removed. Both may be
 * NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_store_collect(const seclude_store *store, uint64_t unused_ms, size_t *images,
                          size_t *layers, seclude_error **err);

/**
 * Lists the images of a store at this moment.
 *
 * `*list` is owned: free it with `seclude_image_list_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_store_images(const seclude_store *store, seclude_image_list **list,
                         seclude_error **err);

/** Frees a list. NULL is a no-op. */
void seclude_image_list_free(seclude_image_list *list);

/** Returns the number of images in a list. 0 for NULL. */
size_t seclude_image_list_count(const seclude_image_list *list);

/** Returns the name of an image. Borrowed: valid until the list is freed. */
const char *seclude_image_list_name(const seclude_image_list *list, size_t index);

/**
 * Returns the digest of an image: "sha256:" and 64 digits. Borrowed: valid until the list is
 * freed.
 */
const char *seclude_image_list_digest(const seclude_image_list *list, size_t index);

/**
 * Returns the number of bytes in the files of an image. Layers that images share count for each.
 */
uint64_t seclude_image_list_bytes(const seclude_image_list *list, size_t index);

/** Returns the number of entries in the layers of an image. */
uint64_t seclude_image_list_entries(const seclude_image_list *list, size_t index);

/**
 * Returns the last use of an image, in seconds since the epoch: the import, or the start of a
 * sandbox.
 */
uint64_t seclude_image_list_used(const seclude_image_list *list, size_t index);

/** Frees an image. NULL is a no-op. It stays in the store, and sandboxes that have it keep it. */
void seclude_image_free(seclude_image *image);

/** Returns the name in the store. NULL for NULL. Borrowed: valid until the image is freed. */
const char *seclude_image_name(const seclude_image *image);

/**
 * Returns the digest of the manifest, or of what the image was imported from: "sha256:" and 64
 * digits. NULL for NULL. Borrowed: valid until the image is freed.
 */
const char *seclude_image_digest(const seclude_image *image);

/** Returns the number of layers that are shown one above the other. 0 for NULL. */
size_t seclude_image_layers(const seclude_image *image);

/** Returns the number of bytes in the files of its layers. 0 for NULL. */
uint64_t seclude_image_bytes(const seclude_image *image);

/** Returns the number of entries in its layers. 0 for NULL. */
uint64_t seclude_image_entries(const seclude_image *image);

/** Returns the number of device nodes and sockets that were left out. 0 for NULL. */
uint64_t seclude_image_left_out(const seclude_image *image);

/**
 * Returns a variable of the environment of its commands, `NAME=VALUE`, from 0. NULL past the last.
 * Borrowed: valid until the image is freed.
 */
const char *seclude_image_variable(const seclude_image *image, size_t index);

/**
 * Returns a word of the command that the image is for, from 0, which is the program. NULL past the
 * last. Borrowed: valid until the image is freed.
 */
const char *seclude_image_argument(const seclude_image *image, size_t index);

/**
 * Returns the working directory of its commands. NULL for NULL. Borrowed: valid until the image is
 * freed.
 */
const char *seclude_image_directory(const seclude_image *image);

/**
 * Returns the user of its commands, and the group: `USER[:GROUP]`, as names or numbers. "" if the
 * image does not say it, which means root. NULL for NULL. Borrowed: valid until the image is
 * freed.
 */
const char *seclude_image_user(const seclude_image *image);

/**
 * Makes a sandbox with the image as its root, whose commands are the image's user.
 *
 * `SECLUDE_EINVAL` if the image has no user of that name.
 *
 * `*sandbox` is owned: free it with `seclude_sandbox_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_image_sandbox(const seclude_image *image, seclude_sandbox **sandbox,
                          seclude_error **err);

/**
 * Makes the command that the image is for, in a sandbox that has the image as its root. Its
 * program, its arguments, its environment and its working directory are the image's.
 *
 * An image that names no command is an error, which the function that starts the command reports.
 *
 * Owned: free it with `seclude_command_free`. Never NULL.
 */
seclude_command *seclude_image_command(const seclude_image *image, const seclude_sandbox *sandbox);

/**
 * Adds a writable view of an image at the absolute path `at`. At "/" it is the root.
 *
 * What the sandbox changes is kept as `seclude_sandbox_overlay` says: in the directory `kept`, or
 * with NULL in memory, where it takes at most `size` bytes and `inodes` files and directories.
 * With 0, these are 64 MiB and 65536.
 *
 * The image is found at the first start, by its name and the path of its store, and stays in the
 * store as long as the policy is in use. The caller may free it.
 */
void seclude_sandbox_image(seclude_sandbox *sandbox, const seclude_image *image, const char *at,
                           const char *kept, uint64_t size, uint64_t inodes);

/**
 * Writes an image as an OCI image layout into a directory, which is new or empty. Other programs
 * can take it from there, such as `skopeo copy oci:DIRECTORY docker://NAME`.
 *
 * Each layer has the owners that the image was imported with, and is compressed with gzip. The
 * same image gives the same bytes. `reference` is its name in the layout, and NULL stands for
 * "latest". `SECLUDE_EINVAL` if the directory has something in it.
 */
SECLUDE_WARN_UNUSED
int seclude_image_export_oci(const seclude_image *image, const char *directory,
                             const char *reference, seclude_error **err);

/**
 * Writes the files of an image, as its programs see them, as a tar archive, which is not
 * compressed. The file must not exist. The same image gives the same bytes.
 */
SECLUDE_WARN_UNUSED
int seclude_image_export_tar(const seclude_image *image, const char *file, seclude_error **err);

/* ================================================================================================
 * Changes of a cell
 *
 * seclude_changes:
 * What differs in an overlay from its layers, by path. The list never changes.
 *
 * For an index past the end, the functions return NULL or 0.
 * ============================================================================================= */

/** It is new. */
#define SECLUDE_CHANGE_ADDED 1

/** It is another one, or has other contents or attributes. */
#define SECLUDE_CHANGE_CHANGED 2

/** It is gone, with all that was below it. */
#define SECLUDE_CHANGE_DELETED 3

/**
 * Lists what differs in the cell's overlay from its layers. The overlay is the one at `/`, or else
 * the first of the policy.
 *
 * A directory counts as changed if its owner or mode is another one, or if it took the place of
 * another file; not for what is in it. Times do not count. Commands that run meanwhile may change
 * more: `seclude_cell_freeze` stops them. `SECLUDE_EINVAL` if the policy has no overlay.
 *
 * `*changes` is owned: free it with `seclude_changes_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_changes(const seclude_cell *of, seclude_changes **changes, seclude_error **err);

/**
 * Makes an image: the one of the cell's policy, with what commands have changed as one more layer.
 *
 * `name` is the name in the same store; with NULL it is the digest. The cell goes on as it is, and
 * the new image never changes. What is mounted in the overlay is not a part of it. An image of
 * very many layers becomes one of a single layer. Commands that run meanwhile may change what is
 * read: `seclude_cell_freeze` stops them. `SECLUDE_EINVAL` if the policy has no overlay with an
 * image.
 *
 * `*image` is owned: free it with `seclude_image_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_commit(const seclude_cell *of, const char *name, seclude_image **image,
                        seclude_error **err);

/** Frees a list. NULL is a no-op. */
void seclude_changes_free(seclude_changes *changes);

/** Returns the number of changes in a list. 0 for NULL. */
size_t seclude_changes_count(const seclude_changes *changes);

/** Returns what happened to a file: a `SECLUDE_CHANGE_...`. */
int seclude_changes_kind(const seclude_changes *changes, size_t index);

/**
 * Returns the name of a `SECLUDE_CHANGE_...`, which is the same in every language: "deleted". NULL
 * for any other number. Static: never freed.
 */
const char *seclude_change_name(int kind);

/**
 * Returns the path of a file inside, from 0. NULL past the last. Borrowed: valid until the list is
 * freed.
 */
const char *seclude_changes_path(const seclude_changes *changes, size_t index);

/* ================================================================================================
 * Pools: seclude_pool
 *
 * Sandboxes of one policy that are ready before a command needs one.
 *
 * Every command has a sandbox of its own, as fresh and as isolated as one that is made for it. The
 * sandboxes are copies of the policy's template, where it can have one
 * (`seclude_sandbox_prepare`). Threads of the pool make them, at most one per processor.
 *
 * The size of a pool is the number of sandboxes that it keeps ready, and of commands that run at a
 * time. A running command has a place in the pool, and returns it when it has ended, whether or
 * not anybody waits for its child. If no place is free, `seclude_command_spawn` waits,
 * `seclude_command_spawn_timeout` waits for a limited time, and `seclude_command_try_spawn` does
 * not wait.
 *
 * All functions on a pool may overlap, in any thread. A process that the caller forked may only
 * free the pool.
 * ============================================================================================= */

/**
 * Starts a pool of `size` sandboxes with the sandbox's current policy, and waits until one is
 * ready.
 *
 * If `reuse` is not 0, a sandbox is used again when its command has ended. The next command then
 * finds what the previous one left behind, processes included. Use that only for commands that
 * trust one another.
 *
 * `*pool` is owned: free it with `seclude_pool_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_pool(const seclude_sandbox *sandbox, size_t size, int reuse,
                         seclude_pool **pool, seclude_error **err);

/**
 * Frees a pool. NULL is a no-op. Running children live on.
 *
 * Its ready sandboxes and its threads end once its commands are freed too. `seclude_pool_close`
 * ends them at once.
 */
void seclude_pool_free(seclude_pool *pool);

/**
 * Makes a command that runs `program` in one of the pool's sandboxes, like
 * `seclude_sandbox_command`.
 *
 * Owned: free it with `seclude_command_free`. Spawning it waits while all places of the pool are
 * in use.
 */
SECLUDE_WARN_UNUSED
seclude_command *seclude_pool_command(const seclude_pool *pool, const char *program);

/**
 * Returns a descriptor for poll(2) and event loops. `SECLUDE_EINVAL` for NULL.
 *
 * It is readable while `seclude_command_try_spawn` may have a result: a place is free and a
 * sandbox ready, an error is to be reported, or the pool is closed. Another thread may be faster.
 * Do not read from it. Borrowed: never close it; valid until the pool is freed.
 */
int seclude_pool_fd(const seclude_pool *pool);

/**
 * Writes to `*statistics` what the pool has done so far. Returns 0, or -1 if `pool` is NULL.
 *
 * `size` is the size of `*statistics` in bytes.
 */
int seclude_pool_statistics(const seclude_pool *pool, seclude_statistics *statistics, size_t size);

/**
 * Writes to `*networks` what became of the network namespaces of the pool's sandboxes. Returns 0,
 * or -1 if `pool` is NULL.
 *
 * `size` is the size of `*networks` in bytes.
 */
int seclude_pool_networks(const seclude_pool *pool, seclude_networks *networks, size_t size);

/**
 * Ends the ready sandboxes and the pool's threads. Running children live on. The pool must still
 * be freed.
 *
 * Spawning a command of a closed pool is `SECLUDE_EINVAL`. Closing it again is a no-op, and so is
 * NULL.
 */
void seclude_pool_close(const seclude_pool *pool);

/**
 * What a pool has done so far, and what it contains. The times are those of the last 1000 events.
 *
 * Functions that fill it take its size, `sizeof(seclude_statistics)`, as for `seclude_outcome`.
 */
struct seclude_statistics {
    /**
     * The number of sandboxes that the pool keeps ready, and the most that can be in use at a
     * time.
     */
    uint64_t size;
    /** The sandboxes that are ready now. */
    uint64_t ready;
    /** The sandboxes that are in use now. */
    uint64_t in_use;
    /** The most sandboxes that were in use at a time. */
    uint64_t most_in_use;
    /** The sandboxes that were made. */
    uint64_t made;
    /** The sandboxes that were given to a command. */
    uint64_t handed_out;
    /** How often a command had to wait for a sandbox. */
    uint64_t waited;
    /** The sandboxes that had died before a command needed them, and were replaced. */
    uint64_t lost;
    /** How often a sandbox could not be made. */
    uint64_t failed;
    /** How long a command took to get a sandbox, in nanoseconds: the median. */
    uint64_t hand_out_p50_ns;
    /** How long a command took to get a sandbox, in nanoseconds: the 99th percentile. */
    uint64_t hand_out_p99_ns;
    /** How long it took to make a sandbox, in nanoseconds: the median. */
    uint64_t make_p50_ns;
    /** How long it took to make a sandbox, in nanoseconds: the 99th percentile. */
    uint64_t make_p99_ns;
};

/**
 * What became of the network namespaces of a policy's template.
 *
 * Each copy of the template has a network namespace to itself. When the copy has ended, another
 * copy gets the namespace only if the kernel's record of it (`/proc/net`) equals that of a new
 * one. Everything is 0 without a template, or if the sandboxes share the caller's network.
 *
 * Functions that fill it take its size, `sizeof(seclude_networks)`, as for `seclude_outcome`.
 */
struct seclude_networks {
    /** The network namespaces that were made. */
    uint64_t made;
    /** How often a used network namespace was used again. */
    uint64_t reused;
    /** The network namespaces that differed from a new one, and were discarded. */
    uint64_t retired;
    /**
     * The last one that was discarded, by its number in `/proc/PID/ns/net` (namespaces(7)); 0 if
     * there is none.
     */
    uint64_t last_retired;
    /**
     * The file in `/proc/net` that differed, such as `dev` after traffic, or `sockstat` while a
     * socket is left. Empty if there is none.
     */
    char last_retired_why[24];
};

/* ================================================================================================
 * Private networks
 *
 * seclude_network:
 * A private network that sandboxes and cells join.
 *
 * Each member has an Ethernet device `eth0` with an address of its own, and reaches the others
 * directly, in IPv4 and IPv6. Nothing leads out: neither to the host nor to another network. The
 * members find each other by their host names (`seclude_sandbox_hostname`), which are in the
 * `/etc/hosts` of each. A member is part of the network as long as its sandbox lives.
 *
 * No privileges are needed. A command can change neither the links and addresses nor the routes
 * and packet filters of its network, whatever capabilities it keeps.
 *
 * All functions on a network may overlap, in any thread. A process that the caller forked may only
 * free the network.
 *
 * seclude_members:
 * The members of a network at one moment, in the order of their addresses. The list never changes.
 *
 * For an index past the end, the functions return NULL.
 * ============================================================================================= */

/**
 * Makes a network.
 *
 * `name` has 1 to 64 bytes, and NULL stands for `network`. Policies as text name the network by
 * it. UTF-8.
 *
 * `subnets` is an array of strings that ends with NULL: a subnet in the form `10.9.0.0/24`, one in
 * the form `fd00:9::/64`, or one of each. With NULL, the network has 254 IPv4 addresses, and IPv6
 * unless the kernel has none. No other network of this process then has the same.
 *
 * `SECLUDE_ENAMESPACES_DENIED` if the host lets the caller make no user and network namespaces,
 * `SECLUDE_EUNSUPPORTED` if the kernel has no bridges or no virtual Ethernet devices.
 *
 * `*network` is owned: free it with `seclude_network_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_network_new(const char *name, const char *const *subnets, seclude_network **network,
                        seclude_error **err);

/**
 * Frees a network. NULL is a no-op.
 *
 * The network ends once the sandboxes to which it was given and its members are gone, too, and
 * when the calling process ends.
 */
void seclude_network_free(seclude_network *network);

/** Returns the name. NULL for NULL. Borrowed: valid until the network is freed. */
const char *seclude_network_name(const seclude_network *network);

/**
 * Returns a subnet, such as `10.64.0.0/24`, from 0, IPv4 first. NULL past the last. Borrowed:
 * valid until the network is freed.
 */
const char *seclude_network_subnet(const seclude_network *network, size_t index);

/**
 * Draws the network in characters of UTF-8: a line for each member, with its addresses, and below
 * it a line for each fault that meets what it sends (docs/networks.md). For people to read: the
 * form may change.
 *
 * `*text` is owned: free it with `seclude_text_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_network_draw(const seclude_network *network, seclude_text **text, seclude_error **err);

/**
 * Lists the members at this moment.
 *
 * `*members` is owned: free it with `seclude_members_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_network_members(const seclude_network *network, seclude_members **members,
                            seclude_error **err);

/** Frees a list. NULL is a no-op. */
void seclude_members_free(seclude_members *members);

/** Returns the number of members in the list. 0 for NULL. */
size_t seclude_members_count(const seclude_members *members);

/**
 * Returns a member's host name, or NULL if its policy sets none. Borrowed: valid until the list is
 * freed.
 */
const char *seclude_members_hostname(const seclude_members *members, size_t index);

/**
 * Returns one of a member's addresses, from 0, IPv4 first. NULL past the last. Borrowed: valid
 * until the list is freed.
 */
const char *seclude_members_address(const seclude_members *members, size_t index, size_t address);

/**
 * Makes each command and each cell of the sandbox a member of a private network. The sandbox keeps
 * the network, so the caller may free it.
 *
 * A member has an address of its own there (`seclude_sandbox_address`) and, if a host name is set
 * (`seclude_sandbox_hostname`), a name that the other members find in `/etc/hosts`. Two members
 * cannot have the same name at once.
 *
 * A policy as text only names its network, by the key `network`. It is an error to start a command
 * of such a sandbox before this function has given it a network, which then takes the place of the
 * named one.
 */
void seclude_sandbox_network(seclude_sandbox *sandbox, const seclude_network *network);

/**
 * Returns the name of the network that the policy asks for, whether or not it was given yet.
 *
 * NULL if the policy asks for none, and for NULL. Owned: free it with `seclude_text_free`.
 */
SECLUDE_WARN_UNUSED
seclude_text *seclude_sandbox_network_name(const seclude_sandbox *sandbox);

/**
 * Returns the command's addresses in its private network, with a NUL after each, IPv4 first. The
 * text is empty without a network.
 *
 * NULL after the output was collected, and for NULL. Owned: free it with `seclude_text_free`.
 */
SECLUDE_WARN_UNUSED
seclude_text *seclude_child_addresses(const seclude_child *child);

/**
 * Stores the cell's addresses in its private networks, with a NUL after each. Those in its
 * policy's network come first.
 *
 * `*addresses` is owned: free it with `seclude_text_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_addresses(const seclude_cell *cell, seclude_text **addresses, seclude_error **err);

/**
 * Waits until a TCP socket listens on `port` in the cell's network, for at most `milliseconds`.
 * Makes no connection.
 *
 * Returns 1 if one does, and 0 if the cell has ended or the time is over.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_wait_ready(const seclude_cell *cell, uint16_t port, uint64_t milliseconds,
                            seclude_error **err);

/**
 * Waits until a TCP socket listens on `port` in the command's network, for at most `milliseconds`.
 * Makes no connection.
 *
 * Returns 1 if one does, and 0 if the command has ended or the time is over. In a network that the
 * command shares, another program may be the one that listens.
 */
SECLUDE_WARN_UNUSED
int seclude_child_wait_ready(const seclude_child *child, uint16_t port, uint64_t milliseconds,
                             seclude_error **err);

/**
 * Makes the running cell a member of a private network, by a further Ethernet device, until a
 * reset.
 *
 * The other members find it by its host name, if its policy sets one. It finds them by their
 * addresses: its own `/etc/hosts` lists only the network of its policy. `SECLUDE_EINVAL` if the
 * cell is closed or shares the caller's network, if the subnets overlap with those of a network
 * that it is a member of, if a member has its host name, or if no address is left.
 *
 * `*addresses` receives its addresses there, with a NUL after each, and is owned: free it with
 * `seclude_text_free`. It is NULL on failure. `addresses` may be NULL.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_connect(const seclude_cell *cell, const seclude_network *network,
                         seclude_text **addresses, seclude_error **err);

/**
 * Takes the running cell out of a private network. Its connections there stop. `SECLUDE_EINVAL` if
 * the cell is closed or is no member.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_disconnect(const seclude_cell *cell, const seclude_network *network,
                            seclude_error **err);

/** The kernel carries out the faults where it can, else the relay. */
#define SECLUDE_BACKEND_AUTO 0

/** The kernel's filters. They can do nothing but lose frames, and not by a seed. */
#define SECLUDE_BACKEND_KERNEL 1

/** A thread of the caller's process, which receives the frames, and sends them on. */
#define SECLUDE_BACKEND_RELAY 2

/**
 * The faults of a link, in one direction. A structure of zeros has none.
 *
 * The faults are those of whole frames. A frame holds up to 64 KiB of a TCP stream. Frames of ARP
 * and neighbour discovery are delayed, and never lost, duplicated or reordered.
 *
 * Functions that read it take its size, `sizeof(seclude_link)`.
 */
struct seclude_link {
    /** Delivers each frame later by this time, in nanoseconds: at most an hour. */
    uint64_t delay_ns;
    /**
     * Varies the delay of each frame by up to this time, in both directions, evenly. In
     * nanoseconds, at most as long as the delay. The order of the frames stays.
     */
    uint64_t jitter_ns;
    /** Loses each frame with this probability, from 0 to 1. */
    double loss;
    /** Delivers each frame twice with this probability, from 0 to 1. */
    double duplicate;
    /**
     * Delivers each frame at once with this probability, from 0 to 1, so that it overtakes those
     * that are delayed.
     */
    double reorder;
    /**
     * Delivers no more than this many bits in a second: 1000 or more. 0: no limit. Frames wait
     * for it, at most 10,000 of 16 MiB together; what is more is lost.
     */
    uint64_t rate;
    /**
     * The seed of the random numbers, if `seeded` is not 0. With the same frames, the same ones
     * are then lost, duplicated and reordered.
     */
    uint64_t seed;
    /** Whether `seed` is one. If it is 0, the seed is another one each time. */
    int32_t seeded;
    /** One of `SECLUDE_BACKEND_...`. */
    int32_t backend;
};

/**
 * What a member of a network has sent and received since it joined.
 *
 * The kernel counts it at the port of the switch. Bytes include the headers of the frames.
 *
 * Functions that fill it take its size, `sizeof(seclude_traffic)`, as for `seclude_outcome`.
 */
struct seclude_traffic {
    /** The frames that it has sent. */
    uint64_t sent_packets;
    /** The bytes in these frames. */
    uint64_t sent_bytes;
    /** The frames that it has received. Those that were lost on the way do not count. */
    uint64_t received_packets;
    /** The bytes in these frames. */
    uint64_t received_bytes;
};

/**
 * Parts the members into groups that do not reach each other. The members that no group names form
 * a group of their own. Replaces an earlier partition.
 *
 * `groups` is an array that ends with NULL. Each of its elements is an array of strings that ends
 * with NULL: the host names of members, or addresses of theirs.
 *
 * A fault applies to whoever has the name, also to a member that ends and starts again. The
 * members may run meanwhile. A frame that meets a fault is lost. The ports of the network change
 * one after another, within about a tenth of a millisecond each.
 *
 * `SECLUDE_EINVAL` if there is no such member, or if one is in two groups. `SECLUDE_EUNSUPPORTED`
 * if the kernel has no classic filters (CONFIG_NET_CLS_BPF).
 */
SECLUDE_WARN_UNUSED
int seclude_network_partition(const seclude_network *network, const char *const *const *groups,
                              seclude_error **err);

/** Cuts a member off from all others. Fails as `seclude_network_partition` does. */
SECLUDE_WARN_UNUSED
int seclude_network_isolate(const seclude_network *network, const char *member,
                            seclude_error **err);

/**
 * Drops everything that one member sends to another. The other direction stays as it is. Fails as
 * `seclude_network_partition` does.
 */
SECLUDE_WARN_UNUSED
int seclude_network_block(const seclude_network *network, const char *from, const char *to,
                          seclude_error **err);

/**
 * Delays, loses, duplicates or reorders the frames that one member sends to another, or bounds
 * their rate. Takes the place of an earlier call for the same two members. The other direction
 * stays as it is. NULL for `link`, or a structure of zeros, ends it.
 *
 * Without a seed, the kernel itself loses frames. Everything else is done by a thread of the
 * caller's process, which also carries the frames. `size` is the size of `*link` in bytes.
 * `SECLUDE_EINVAL` if a value is out of its range or has no effect. Otherwise it fails as
 * `seclude_network_partition` does.
 */
SECLUDE_WARN_UNUSED
int seclude_network_set_link(const seclude_network *network, const char *from, const char *to,
                             const seclude_link *link, size_t size, seclude_error **err);

/** Ends the partition, all isolation and all blocks. Links stay as they are. */
SECLUDE_WARN_UNUSED
int seclude_network_heal(const seclude_network *network, seclude_error **err);

/**
 * Writes to `*traffic` what a member, named by its host name or by one of its addresses, has sent
 * and received since it joined. `SECLUDE_EINVAL` if there is no such member.
 *
 * `size` is the size of `*traffic` in bytes.
 */
SECLUDE_WARN_UNUSED
int seclude_network_traffic(const seclude_network *network, const char *member,
                            seclude_traffic *traffic, size_t size, seclude_error **err);

/* ================================================================================================
 * Published ports and the way out
 *
 * seclude_sandbox_ports publishes ports of a sandbox on the host. seclude_sandbox_egress lets it
 * reach destinations outside, by rules. docs/networks.md and docs/egress.md describe both.
 * ============================================================================================= */

/**
 * What has been reached outside by the rules of a policy (`seclude_sandbox_egress`), and what was
 * tried in vain. The fields are 0 without such rules.
 *
 * Functions that fill it take its size, `sizeof(seclude_egress)`, as for `seclude_outcome`.
 */
struct seclude_egress {
    /** The number of attempts that were allowed. */
    uint64_t allowed;
    /** The number of attempts that were denied. */
    uint64_t denied;
    /** The bytes that were carried out, without the headers of the protocols. */
    uint64_t sent_bytes;
    /** The bytes that were carried in. */
    uint64_t received_bytes;
};

/**
 * Has a function decide about each destination that no rule allows (`seclude_sandbox_egress`) and
 * none denies. It is asked for a name when the program asks for that (port 53 of "udp", no
 * address), and again for each connection and each first datagram, with the address.
 *
 * It is called in threads of the library, several at once, with `data`, as long as the sandbox and
 * all that was started from it live. The program waits meanwhile. It cannot open an address that
 * is not public, or is the host's own: that takes a rule. NULL for `decide` is a mistake.
 */
void seclude_sandbox_decide_egress(seclude_sandbox *sandbox, int (*decide)(const char *protocol,
                                   const char *name, const char *address, uint16_t port,
                                   void *data), void *data);

/**
 * Returns the command's published ports (`seclude_sandbox_ports`), with a NUL after each, in the
 * order of the policy. Each has the form `127.0.0.1:40123:80/tcp`: the address and port on the
 * host, and the port in the sandbox. The text is empty once the command has ended.
 *
 * NULL after the output was collected, and for NULL. Owned: free it with `seclude_text_free`.
 */
SECLUDE_WARN_UNUSED
seclude_text *seclude_child_ports(const seclude_child *child);

/**
 * Returns the port of the host that leads to the port `inside` of the command's sandbox: "80", or
 * "53/udp". 0 if none does, and once the command has ended.
 */
SECLUDE_WARN_UNUSED
uint16_t seclude_child_port(const seclude_child *child, const char *inside);

/**
 * Stores the cell's published ports, as `seclude_child_ports` returns them.
 *
 * `*ports` is owned: free it with `seclude_text_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_ports(const seclude_cell *cell, seclude_text **ports, seclude_error **err);

/**
 * Returns the port of the host that leads to the port `inside` of the cell: "80", or "53/udp". 0
 * if none does, and for a closed cell.
 */
SECLUDE_WARN_UNUSED
uint16_t seclude_cell_port(const seclude_cell *cell, const char *inside);

/**
 * Writes to `*report` what the command has reached outside. In a cell: what all its commands have.
 *
 * `*attempts` receives the last attempts, at most 1000, with a NUL after each, and is owned: free
 * it with `seclude_text_free`. Each is like `tcp example.org:443 (93.184.216.34): allowed`, or
 * ends with the reason why it was denied. It is NULL on failure. `attempts` may be NULL. `size` is
 * the size of `*report` in bytes.
 */
SECLUDE_WARN_UNUSED
int seclude_child_egress(const seclude_child *child, seclude_egress *report, size_t size,
                         seclude_text **attempts, seclude_error **err);

/**
 * Writes to `*report` what the cell's commands have reached outside since it was started or reset.
 * Otherwise like `seclude_child_egress`.
 */
SECLUDE_WARN_UNUSED
int seclude_cell_egress(const seclude_cell *cell, seclude_egress *report, size_t size,
                        seclude_text **attempts, seclude_error **err);

/**
 * Writes to `*report` what a finished command has reached outside. Otherwise like
 * `seclude_child_egress`.
 */
SECLUDE_WARN_UNUSED
int seclude_output_egress(const seclude_output *output, seclude_egress *report, size_t size,
                          seclude_text **attempts, seclude_error **err);

/* ================================================================================================
 * Namespaces that exist: seclude_namespaces
 *
 * The namespaces that the caller may see, at one moment. The list never changes.
 *
 * They are sorted by kind (user, mount, pid, net, ipc, uts, cgroup, time), outer ones before inner
 * ones. For an index past the end, the functions return 0 or NULL.
 * ============================================================================================= */

/**
 * Finds every namespace that the caller may see, and the processes in each. Enters, stops and
 * changes nothing.
 *
 * It finds the namespaces of all processes in /proc, those that a process has prepared for its
 * next children, those that own or enclose one of these, even without processes, and those that a
 * mount keeps. It does not find a namespace that only an open descriptor keeps.
 *
 * Fails if /proc cannot be read or no descriptor can be opened, and never because of what another
 * process does meanwhile. `*namespaces` is owned: free it with `seclude_namespaces_free`. It is
 * NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_namespaces_read(seclude_namespaces **namespaces, seclude_error **err);

/** Frees a list. NULL is a no-op. */
void seclude_namespaces_free(seclude_namespaces *namespaces);

/** Returns the number of namespaces in the list. 0 for NULL. */
size_t seclude_namespaces_count(const seclude_namespaces *namespaces);

/** Returns a namespace's kind: one of `SECLUDE_NAMESPACE_...`. */
int seclude_namespaces_kind(const seclude_namespaces *namespaces, size_t index);

/**
 * Returns a namespace's number, the inode that `readlink /proc/PID/ns/...` shows. No other
 * namespace of any kind has it at the same time.
 */
uint64_t seclude_namespaces_id(const seclude_namespaces *namespaces, size_t index);

/**
 * Returns the number of the user namespace that owns a namespace. For a user namespace that is its
 * parent.
 *
 * 0 if the caller may not know it, because it is in another branch or further inside. 0 also for
 * the initial user namespace, which has no owner.
 */
uint64_t seclude_namespaces_owner(const seclude_namespaces *namespaces, size_t index);

/**
 * Returns the user who made a user namespace, in the caller's user namespace. `UINT32_MAX`, which
 * is no user's, for other kinds.
 */
uint32_t seclude_namespaces_owner_uid(const seclude_namespaces *namespaces, size_t index);

/**
 * Returns the number of the namespace around a pid or user namespace. 0 for other kinds, for the
 * initial namespace, and if the caller may not know it.
 */
uint64_t seclude_namespaces_parent(const seclude_namespaces *namespaces, size_t index);

/**
 * Returns the processes in a namespace, each after its parent, without those in namespaces further
 * inside. NULL past the end.
 *
 * The inside id of a process is the one in its own pid namespace. Borrowed: valid until the list
 * of namespaces is freed.
 */
const seclude_processes *seclude_namespaces_processes(const seclude_namespaces *namespaces,
                                                      size_t index);

/**
 * Returns a mount that keeps a namespace, from 0: a path in the caller's mount namespace. NULL
 * past the last. Borrowed: valid until the list is freed.
 */
const char *seclude_namespaces_held_by(const seclude_namespaces *namespaces, size_t index,
                                       size_t mount);

/**
 * Returns an address of a network namespace that others can reach, from 0, IPv4 first, without
 * loopback and link-local ones. None are known if no process is in it, or `/proc` does not show
 * them. NULL past the last. Borrowed: valid until the list is freed.
 */
const char *seclude_namespaces_address(const seclude_namespaces *namespaces, size_t index,
                                       size_t address);

/**
 * Returns the processes whose namespaces the caller may not read, which usually belong to other
 * users.
 *
 * `seclude_processes_pid_at` tells how deep they are in pid namespaces. NULL for NULL. Borrowed:
 * valid until the list of namespaces is freed.
 */
const seclude_processes *seclude_namespaces_closed(const seclude_namespaces *namespaces);

/* ================================================================================================
 * Joining namespaces
 *
 * seclude_join:
 * Existing namespaces, named by a process, a path or a descriptor.
 *
 * A later call replaces what an earlier one named of the same kind. Nothing is looked up until
 * `seclude_sandbox_join` or `seclude_join_persist`.
 *
 * seclude_joined:
 * A policy together with existing namespaces, in which its commands run. The policy determines the
 * rest.
 *
 * The object keeps the namespaces by descriptors. A pid namespace still ends with its first
 * process.
 * ============================================================================================= */

/** Makes an object that names no namespace. Never NULL. Owned: free it with `seclude_join_free`. */
SECLUDE_WARN_UNUSED
seclude_join *seclude_join_new(void);

/** Frees the object. NULL is a no-op. */
void seclude_join_free(seclude_join *join);

/**
 * Names the namespaces of a process, by its id in the caller's pid namespace.
 *
 * If the process ends and another one gets its id before the look-up, the other one's namespaces
 * are used. A pidfd does not have this problem.
 */
void seclude_join_process(seclude_join *join, uint32_t pid);

/**
 * Names the namespaces of a process, by a pidfd: pidfd_open(2), `seclude_child_pidfd`. It is
 * borrowed and duplicated at once.
 */
void seclude_join_pidfd(seclude_join *join, int pidfd);

/**
 * Names the namespace at a path: /proc/PID/ns/net, or a mount that keeps one
 * (`seclude_join_persist`, ip-netns(8)).
 */
void seclude_join_path(seclude_join *join, const char *path);

/** Names the namespace that a descriptor refers to. It is borrowed and duplicated at once. */
void seclude_join_descriptor(seclude_join *join, int descriptor_of_it);

/** Uses only these kinds of a process's namespaces: `SECLUDE_NAMESPACE_...`, joined by `|`. */
void seclude_join_only(seclude_join *join, int kinds);

/**
 * Keeps the named namespace of this kind, even without processes, by a mount at `path`, as
 * ip-netns(8) does.
 *
 * It makes a file of mode 0444 at `path`. The namespace is kept until `seclude_namespace_release`,
 * or until the machine shuts down. Takes CAP_SYS_ADMIN over the caller's mount namespace.
 */
SECLUDE_WARN_UNUSED
int seclude_join_persist(const seclude_join *join, int kind, const char *path, seclude_error **err);

/**
 * Removes the mount and the file at `path` by which `seclude_join_persist` keeps a namespace.
 * Processes in the namespace live on. Fails if no namespace is kept there.
 */
SECLUDE_WARN_UNUSED
int seclude_namespace_release(const char *path, seclude_error **err);

/**
 * Combines the sandbox's current policy with existing namespaces, which replace new ones of the
 * same kinds: setns(2).
 *
 * The policy determines everything else: the user, the filter, the limits, and the files unless
 * the mount namespace is joined. The user is the policy's uid in the joined user namespace, and
 * never the host's root. Namespaces that a process shares with the caller are shared, except the
 * user namespace.
 *
 * `*joined` is owned: free it with `seclude_joined_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_sandbox_join(const seclude_sandbox *sandbox, const seclude_join *join,
                         seclude_joined **joined, seclude_error **err);

/** Frees the object. NULL is a no-op. Its commands and children are not affected. */
void seclude_joined_free(seclude_joined *joined);

/**
 * Makes a command that runs `program` in the namespaces, like `seclude_sandbox_command`.
 * Everything that it starts ends with it.
 *
 * Owned: free it with `seclude_command_free`.
 */
SECLUDE_WARN_UNUSED
seclude_command *seclude_joined_command(const seclude_joined *joined, const char *program);

/**
 * Returns the kinds of namespaces that are joined: `SECLUDE_NAMESPACE_...`, joined by `|`. 0 for
 * NULL.
 */
int seclude_joined_kinds(const seclude_joined *joined);

/* ================================================================================================
 * Published cells: seclude_named_cells
 *
 * The published cells of the caller's user, at one moment, sorted by name. The list never changes.
 *
 * For an index past the end, the functions return 0 or NULL.
 * ============================================================================================= */

/**
 * Finds every published cell (`seclude_cell_publish`) of the caller's user that is alive.
 *
 * It removes the entries of cells that are not, for example because their caller was killed.
 * `*cells` is owned: free it with `seclude_named_cells_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_named_cells_read(seclude_named_cells **cells, seclude_error **err);

/** Frees a list. NULL is a no-op. */
void seclude_named_cells_free(seclude_named_cells *cells);

/** Returns the number of cells in the list. 0 for NULL. */
size_t seclude_named_cells_count(const seclude_named_cells *cells);

/** Returns the name of a cell. Borrowed: valid until the list is freed. */
const char *seclude_named_cells_name(const seclude_named_cells *cells, size_t index);

/** Returns the process id of a cell's warden in the caller's pid namespace. */
uint32_t seclude_named_cells_pid(const seclude_named_cells *cells, size_t index);

/**
 * Enters the published cell of this name. Fails if there is none.
 *
 * Commands run in all its namespaces and cgroups, under its policy, next to those of the cell's
 * own caller. The processes that a command starts end with it. Wall time, output and processor
 * time are limited for each command. The other limits are those of the cell. Landlock does not
 * restrict signals and abstract sockets, because they would then not reach the cell's own
 * processes.
 *
 * `*joined` is owned: free it with `seclude_joined_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_named_cell_enter(const char *name, seclude_joined **joined, seclude_error **err);

/* ================================================================================================
 * What the host allows: seclude_report
 *
 * What this host allows: a list of checks, one for each feature. It never changes.
 *
 * For an index past the end, the functions return 0 or NULL.
 * ============================================================================================= */

/**
 * Finds out what this host allows to this process.
 *
 * It starts about forty sandboxes, one after another, each of which tries one feature. Their
 * program comes from the library and ends at once. A feature that does not work is part of the
 * report, and no error. Nothing is left behind.
 *
 * `*report` is owned: free it with `seclude_report_free`. It is NULL on failure.
 */
SECLUDE_WARN_UNUSED
int seclude_doctor(seclude_report **report, seclude_error **err);

/** Frees a report. NULL is a no-op. */
void seclude_report_free(seclude_report *report);

/** Returns 1 if sandboxes can be started at all, otherwise 0. */
int seclude_report_ready(const seclude_report *report);

/**
 * Returns the kernel's release, as `uname -r` prints it. "" if /proc does not show it, NULL for
 * NULL. Borrowed: valid until the report is freed.
 */
const char *seclude_report_kernel(const seclude_report *report);

/**
 * Returns the report as a table for people, without a newline at its end. NULL for NULL. Borrowed:
 * valid until the report is freed.
 */
const char *seclude_report_table(const seclude_report *report);

/**
 * Returns the report in JSON. NULL for NULL. Borrowed: valid until the report is freed.
 *
 * It is an object with "seclude", "kernel", "ready" and "checks". The last is a list of objects
 * with "name", "state", "detail", "cause" and "remedy".
 */
const char *seclude_report_json(const seclude_report *report);

/** Returns the number of checks. 0 for NULL. */
size_t seclude_report_count(const seclude_report *report);

/**
 * Returns the name of a check, which is the same in every version: "namespace.user",
 * "limit.memory". Borrowed: valid until the report is freed.
 */
const char *seclude_report_name(const seclude_report *report, size_t index);

/** Returns how far the feature works: one of `SECLUDE_STATE_...`. */
int seclude_report_state(const seclude_report *report, size_t index);

/**
 * Returns what the check found: a mechanism, a path. "" if there is nothing to say. Borrowed:
 * valid until the report is freed.
 */
const char *seclude_report_detail(const seclude_report *report, size_t index);

/**
 * Returns why the feature does not work, or is restricted. NULL if it works. Borrowed: valid until
 * the report is freed.
 */
const char *seclude_report_cause(const seclude_report *report, size_t index);

/**
 * Returns what to do about it. NULL if no remedy is known or needed. Borrowed: valid until the
 * report is freed.
 */
const char *seclude_report_remedy(const seclude_report *report, size_t index);

/* ---- States of a check ---- */

/** The feature works as documented. */
#define SECLUDE_STATE_WORKS 1

/** The feature works with a restriction, which the report names. */
#define SECLUDE_STATE_WEAKER 2

/** The feature does not work. */
#define SECLUDE_STATE_MISSING 3

/* ================================================================================================
 * Test programs: seclude/testing.h, seclude/gtest.hpp
 * ============================================================================================= */

/**
 * Returns 1 if this process runs in a sandbox that `seclude_test_command` has made, otherwise 0.
 */
int seclude_test_is_inside(void);

/**
 * Makes a command that runs this program again in the sandbox of `seclude_sandbox_for_tests`, with
 * the same working directory and environment. It has no arguments yet. Never NULL: a failure
 * sticks to the command.
 *
 * Owned: free it with `seclude_command_free`.
 */
SECLUDE_WARN_UNUSED
seclude_command *seclude_test_command(void);

#ifdef __cplusplus
}
#endif

#endif /* SECLUDE_H */
