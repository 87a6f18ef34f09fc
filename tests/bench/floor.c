/* The physical limit: the default sandbox written out by hand, without anything that only a library
 * needs.
 *
 * It has the same isolation as `Sandbox::new()` plus one bind, /payload (see core/src/plan.rs and
 * policy/profile.rs). It has no protocol, no named errors and no policy: any failure ends the run with a
 * status that encodes the line. The time that seclude takes beyond this is the cost of its
 * contract.
 *
 * One clone makes the namespaces. The new process borrows the caller's memory until it executes the
 * init, so the part marked below uses raw calls only and no libc. The caller is not suspended (no
 * CLONE_VFORK), because it writes the id maps meanwhile. Only a process outside may write maps of a
 * range, which root needs.
 *
 *     usage: floor [--share-net] MIB WARMUP PAYLOAD */
#define _GNU_SOURCE
#include "measure.h"
#include "raw.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/keyctl.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ID = 1000, HOST_IDS = 0x70000000, IDS = 65536, DETACH = 2 /* MNT_DETACH */ };
enum { READ_ONLY = MOUNT_ATTR_RDONLY, NO_SUID = MOUNT_ATTR_NOSUID, NO_DEV = MOUNT_ATTR_NODEV, NO_EXEC = MOUNT_ATTR_NOEXEC };
// Since Linux 6.5; older headers do not define it.
enum { MOUNT_BENEATH = 0x200 };

/* floor_init, embedded as the library embeds its warden. */
__asm__(".section .rodata\n.globl init_start\n.globl init_end\ninit_start: .incbin \"" INIT_IMAGE "\"\ninit_end:\n.previous\n");
extern const char init_start[], init_end[];

/* The default profile's filter program, as the library compiles it. */
__asm__(".section .rodata\n.balign 8\n.globl filter_start\n.globl filter_end\nfilter_start: .incbin \"" FILTER "\"\nfilter_end:\n.previous\n");
extern const struct sock_filter filter_start[], filter_end[];

/* Prepared once, outside of the measured time. */

/* A part of the host's file system to show: its name inside, and whether it is a copy of the mount
 * or a link. */
struct shown {
    const char *name, *source;
    char link[256];
    int directory, present;
};

static struct shown system_entries[] = {
    {.name = "usr", .source = "/usr"},     {.name = "bin", .source = "/bin"},     {.name = "sbin", .source = "/sbin"},
    {.name = "lib", .source = "/lib"},     {.name = "lib32", .source = "/lib32"}, {.name = "lib64", .source = "/lib64"},
    {.name = "libx32", .source = "/libx32"},
    {.name = "etc/ld.so.cache", .source = "/etc/ld.so.cache"},
    {.name = "etc/ld.so.conf", .source = "/etc/ld.so.conf"},
    {.name = "etc/ld.so.conf.d", .source = "/etc/ld.so.conf.d"},
    {.name = "etc/alternatives", .source = "/etc/alternatives"},
    {.name = "etc/localtime", .source = "/etc/localtime"},
    {.name = "etc/nsswitch.conf", .source = "/etc/nsswitch.conf"},
    {.name = "payload"},
};
static struct shown devices[] = {
    {.name = "dev/null", .source = "/dev/null"},     {.name = "dev/zero", .source = "/dev/zero"},
    {.name = "dev/full", .source = "/dev/full"},     {.name = "dev/random", .source = "/dev/random"},
    {.name = "dev/urandom", .source = "/dev/urandom"},
};
/* Paths in /proc that become read-only or are covered. Which of them this kernel has is found out
 * once. */
static struct shown knobs[] = {{.name = "proc/bus"}, {.name = "proc/fs"}, {.name = "proc/irq"}, {.name = "proc/sys"}, {.name = "proc/sysrq-trigger"}};
static struct shown masked[] = {
    {.name = "proc/acpi"},      {.name = "proc/asound"},        {.name = "proc/interrupts"},  {.name = "proc/kallsyms"},
    {.name = "proc/kcore"},     {.name = "proc/key-users"},     {.name = "proc/keys"},        {.name = "proc/latency_stats"},
    {.name = "proc/sched_debug"}, {.name = "proc/scsi"},        {.name = "proc/timer_list"},  {.name = "proc/timer_stats"},
};
#define COUNT(list) (sizeof(list) / sizeof *(list))
#define EACH(entry, list) for (struct shown *entry = (list); entry < (list) + COUNT(list); entry++)

static const char PASSWD[] = "root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n";
static const char GROUP[] = "root:x:0:\nuser:x:1000:\nnogroup:x:65534:\n";
static char *const ARGUMENTS[] = {"init", "/payload", NULL};
static char *const ENVIRONMENT[] = {"HOME=/", "LANG=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};

static int init_memory, unprivileged, share_net;

static void look_at(struct shown *entry, const char *path) {
    struct stat status;
    ssize_t length;
    entry->present = lstat(path, &status) == 0;
    if (!entry->present)
        return;
    entry->directory = S_ISDIR(status.st_mode);
    if (S_ISLNK(status.st_mode) && (length = readlink(path, entry->link, sizeof entry->link - 1)) > 0)
        entry->link[length] = '\0';
}

static void prepare(const char *payload) {
    static char path[64];
    system_entries[COUNT(system_entries) - 1].source = realpath(payload, NULL);
    EACH(entry, system_entries) look_at(entry, entry->source);
    EACH(entry, devices) look_at(entry, entry->source);
    EACH(entry, knobs) snprintf(path, sizeof path, "/%s", entry->name), look_at(entry, path);
    EACH(entry, masked) snprintf(path, sizeof path, "/%s", entry->name), look_at(entry, path);
    init_memory = memfd_create("init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (init_memory < 0 || write(init_memory, init_start, (size_t)(init_end - init_start)) != init_end - init_start)
        give_up("memfd");
    fcntl(init_memory, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    unprivileged = geteuid() != 0;
}

/* Without libc: from here on the code runs in the new process, in borrowed memory. */

static int maps_written; /* a futex */

#define NEED(call)                               \
    ({                                           \
        long result_ = (call);                   \
        if (result_ < 0)                         \
            refuse(__LINE__, result_);           \
        result_;                                 \
    })

static __attribute__((noreturn)) void refuse(int line, long error) {
    char text[] = "floor: line 0000, error 000\n";
    for (int at = 14; at > 10; at--, line /= 10)
        text[at + 1] = (char)('0' + line % 10);
    for (int at = 26; at > 23; at--, error /= 10)
        text[at] = (char)('0' - error % 10);
    SYS(__NR_write, 2, text, sizeof text - 1);
    for (;;)
        SYS(__NR_exit_group, 125);
}

/* Makes a detached copy of the mount tree at `path`, private and with these attributes. */
static int copy_tree(int directory, const char *path, int attributes) {
    struct mount_attr attr = {.attr_set = (unsigned)attributes, .propagation = 1 << 18 /* MS_PRIVATE */};
    int tree = (int)NEED(SYS(__NR_open_tree, directory, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW));
    NEED(SYS(__NR_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr));
    return tree;
}

static void attach(int tree, int directory, const char *at) {
    NEED(SYS(__NR_move_mount, tree, "", directory, at, MOVE_MOUNT_F_EMPTY_PATH));
}

static int configure(const char *kind) {
    return (int)NEED(SYS(__NR_fsopen, kind, FSOPEN_CLOEXEC));
}

static void option(int context, const char *key, const char *value) {
    NEED(SYS(__NR_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0));
}

static int mounted(int context, int attributes) {
    NEED(SYS(__NR_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0));
    return (int)NEED(SYS(__NR_fsmount, context, FSMOUNT_CLOEXEC, attributes));
}

static int new_file(int root, const char *at, int mode) {
    return (int)NEED(SYS(__NR_openat, root, at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
}

static void write_file(int root, const char *at, const char *text, size_t length) {
    int file = new_file(root, at, 0644);
    NEED(SYS(__NR_write, file, text, length));
    NEED(SYS(__NR_close, file));
}

static void show(int root, const struct shown *entry, int tree) {
    if (entry->link[0] != '\0') {
        NEED(SYS(__NR_symlinkat, entry->link, root, entry->name));
        return;
    }
    if (entry->directory)
        NEED(SYS(__NR_mkdirat, root, entry->name, 0755));
    else
        NEED(SYS(__NR_close, new_file(root, entry->name, 0444)));
    attach(tree, root, entry->name);
}

static void fill_root(int root, const int *trees, const int *device_trees) {
    static const char *const FOLDERS[] = {"etc", "dev", "proc", "tmp"};
    static const char *const LINKS[][2] = {
        {"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"}};
    for (size_t i = 0; i < COUNT(FOLDERS); i++)
        NEED(SYS(__NR_mkdirat, root, FOLDERS[i], 0755));
    for (size_t i = 0; i < COUNT(system_entries); i++)
        if (system_entries[i].present)
            show(root, &system_entries[i], trees[i]);
    for (size_t i = 0; i < COUNT(devices); i++)
        show(root, &devices[i], device_trees[i]);
    for (size_t i = 0; i < COUNT(LINKS); i++)
        NEED(SYS(__NR_symlinkat, LINKS[i][0], root, LINKS[i][1]));
    write_file(root, "etc/passwd", PASSWD, sizeof PASSWD - 1);
    write_file(root, "etc/group", GROUP, sizeof GROUP - 1);

    int shm = configure("tmpfs");
    option(shm, "size", "67108864");
    option(shm, "mode", "1777");
    NEED(SYS(__NR_mkdirat, root, "dev/shm", 0755));
    attach(mounted(shm, NO_SUID | NO_DEV), root, "dev/shm");
}

static void mount_proc(int root) {
    int proc = configure("proc");
    option(proc, "hidepid", "2");
    attach(mounted(proc, NO_SUID | NO_DEV | NO_EXEC), root, "proc");
    int limit = (int)NEED(SYS(__NR_openat, root, "proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC, 0));
    NEED(SYS(__NR_write, limit, "0", 1));
    EACH(entry, knobs) {
        if (entry->present)
            attach(copy_tree(root, entry->name, READ_ONLY | NO_SUID | NO_DEV | NO_EXEC), root, entry->name);
    }
    EACH(entry, masked) {
        if (!entry->present)
            continue;
        if (entry->directory) {
            int nothing = configure("tmpfs");
            option(nothing, "nr_inodes", "1");
            option(nothing, "mode", "555");
            attach(mounted(nothing, READ_ONLY | NO_SUID | NO_DEV | NO_EXEC), root, entry->name);
        } else {
            attach(copy_tree(root, "dev/null", READ_ONLY | NO_SUID | NO_EXEC), root, entry->name);
        }
    }
}

static void loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int socket = (int)NEED(SYS(__NR_socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    NEED(SYS(__NR_ioctl, socket, SIOCSIFFLAGS, &request));
}

static void become_user(void) {
    if (!unprivileged)
        NEED(SYS(__NR_setgroups, 0, 0));
    NEED(SYS(__NR_setresgid, ID, ID, ID));
    NEED(SYS(__NR_setresuid, ID, ID, ID));
}

/* The Landlock ruleset of the default sandbox, as far as this kernel supports it; see
 * core/src/plan/landlock.rs. Returns 0 without Landlock. */
static int wall(void) {
    enum { CREATE = 444, ADD = 445, VERSION = 1, BENEATH = 1 };
    enum { EXECUTE = 1, WRITE = 2, READ = 4, LIST = 8, TRUNCATE = 1 << 14, IOCTL = 1 << 15 };
    long abi = SYS(CREATE, 0, 0, VERSION);
    if (abi < 2)
        return 0;
    uint64_t files = abi < 3 ? TRUNCATE - 1 : abi < 5 ? IOCTL - 1 : (IOCTL << 1) - 1, scopes = share_net ? 2 : 3;
    uint64_t handled[3] = {files, 0, abi < 6 ? 0 : scopes};
    int ruleset = (int)NEED(SYS(CREATE, handled, abi < 4 ? 8 : abi < 6 ? 16 : 24, 0));
    static const struct { const char *path; uint64_t rights; } rules[] = {
        {"/", EXECUTE | READ | LIST}, {"/dev/shm", ~0ull}, {"/dev/full", WRITE | TRUNCATE | IOCTL}, {"/dev/null", WRITE | TRUNCATE | IOCTL},
        {"/dev/random", WRITE | TRUNCATE | IOCTL}, {"/dev/urandom", WRITE | TRUNCATE | IOCTL}, {"/dev/zero", WRITE | TRUNCATE | IOCTL},
        {"/proc", WRITE | TRUNCATE | IOCTL},
    };
    struct __attribute__((packed)) { uint64_t rights; int fd; } rule;
    for (size_t i = 0; i < COUNT(rules); i++) {
        rule.fd = (int)NEED(SYS(__NR_openat, AT_FDCWD, rules[i].path, O_PATH | O_CLOEXEC));
        rule.rights = rules[i].rights & files;
        NEED(SYS(ADD, ruleset, BENEATH, &rule, 0));
        SYS(__NR_close, rule.fd);
    }
    rule.fd = mounted(configure("mqueue"), READ_ONLY | NO_SUID | NO_DEV | NO_EXEC);
    rule.rights = files;
    NEED(SYS(ADD, ruleset, BENEATH, &rule, 0));
    // Attached under /proc, where it cannot be reached: closing a detached mount waits for every
    // processor.
    int proc = (int)NEED(SYS(__NR_openat, AT_FDCWD, "/proc", O_PATH | O_CLOEXEC));
    SYS(__NR_move_mount, rule.fd, "", proc, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH | MOUNT_BENEATH);
    SYS(__NR_close, proc);
    SYS(__NR_close, rule.fd);
    return ruleset;
}

static void seal(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {0};
    NEED(SYS(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0));
    for (long capability = 0; SYS(__NR_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;)
        capability++;
    NEED(SYS(__NR_prctl, PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED
        | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED, 0, 0, 0));
    NEED(SYS(__NR_capset, &header, none));
    NEED(SYS(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void filter(int ruleset) {
    enum { RESTRICT = 446 };
    struct sock_fprog program = {(unsigned short)(filter_end - filter_start), (struct sock_filter *)filter_start};
    if (ruleset != 0)
        NEED(SYS(RESTRICT, ruleset, 0));
    NEED(SYS(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static int child(void *unused) {
    (void)unused;
    int trees[COUNT(system_entries)], device_trees[COUNT(devices)];
    SYS(__NR_umask, 0);
    /* The caller's files are opened with the caller's ids, while it writes the maps. */
    for (size_t i = 0; i < COUNT(system_entries); i++)
        if (system_entries[i].present && system_entries[i].link[0] == '\0')
            trees[i] = copy_tree(AT_FDCWD, system_entries[i].source, READ_ONLY | NO_SUID | NO_DEV);
    for (size_t i = 0; i < COUNT(devices); i++)
        device_trees[i] = copy_tree(AT_FDCWD, devices[i].source, NO_SUID | NO_EXEC);
    while (__atomic_load_n(&maps_written, __ATOMIC_ACQUIRE) == 0)
        SYS(__NR_futex, &maps_written, FUTEX_WAIT, 0, 0);
    become_user();
    if (!share_net)
        loopback_up();
    NEED(SYS(__NR_sethostname, "sandbox", 7));

    int root_context = configure("tmpfs");
    option(root_context, "size", "16777216");
    option(root_context, "mode", "755");
    int root = mounted(root_context, NO_SUID | NO_DEV);
    attach(root, AT_FDCWD, "/");
    fill_root(root, trees, device_trees);
    mount_proc(root);
    NEED(SYS(__NR_fchdir, root));
    NEED(SYS(__NR_pivot_root, ".", "."));
    NEED(SYS(__NR_umount2, ".", DETACH));
    NEED(SYS(__NR_chdir, "/"));
    struct mount_attr read_only = {.attr_set = READ_ONLY | NO_SUID | NO_DEV};
    NEED(SYS(__NR_mount_setattr, root, "", AT_EMPTY_PATH, &read_only, sizeof read_only));

    int ruleset = wall();
    seal();
    filter(ruleset);
    NEED(SYS(__NR_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC));
    NEED(SYS(__NR_execveat, init_memory, "", ARGUMENTS, ENVIRONMENT, AT_EMPTY_PATH));
    return 0;
}

/* The caller's side. */

static void write_map(pid_t pid, const char *file, const char *text) {
    char path[48];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int map = open(path, O_WRONLY | O_CLOEXEC);
    if (map < 0 || write(map, text, strlen(text)) < 0)
        give_up(path);
    close(map);
}

static void write_maps(pid_t pid) {
    char uids[48] = "", gids[48] = "";
    if (unprivileged) {
        write_map(pid, "setgroups", "deny");
        snprintf(uids, sizeof uids, "%d %d 1\n", ID, (int)geteuid());
        snprintf(gids, sizeof gids, "%d %d 1\n", ID, (int)getegid());
    } else {
        snprintf(uids, sizeof uids, "0 %d %d\n", HOST_IDS, IDS);
        memcpy(gids, uids, sizeof gids);
    }
    write_map(pid, "gid_map", gids);
    write_map(pid, "uid_map", uids);
}

static void run(void) {
    static _Alignas(16) char stack[64 << 10];
    int status, flags = CLONE_VM | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    maps_written = 0;
    pid_t pid = clone(child, stack + sizeof stack, flags | (share_net ? 0 : CLONE_NEWNET) | SIGCHLD, NULL);
    if (pid < 0)
        give_up("clone");
    write_maps(pid);
    __atomic_store_n(&maps_written, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, &maps_written, FUTEX_WAKE, 1);
    if (waitpid(pid, &status, __WALL) < 0)
        give_up("waitpid");
    if (status != 0) {
        fprintf(stderr, "floor: ended with status %#x\n", status);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc == 5 && strcmp(argv[1], "--share-net") == 0) {
        share_net = 1;
        argv++;
    } else if (argc != 4) {
        fprintf(stderr, "usage: %s [--share-net] MIB WARMUP PAYLOAD\n", argv[0]);
        return 2;
    }
    prepare(argv[3]);
    return take_turns(argv[1], argv[2], run, NULL);
}
