/* Callers in unusual states: standard streams closed, all descriptors closed, no free descriptor, a
 * limit on the size of files. Each is a forked process, whose exit status tells the line that
 * failed. */
#define _GNU_SOURCE
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* For a forked process, which may have no stream to print to: exits with a status that encodes the
 * line. */
#define REQUIRE(condition)             \
    do {                               \
        if (!(condition))              \
            _exit(__LINE__ % 250 + 1); \
    } while (0)

/* Waits for the forked process. Returns 0, the line modulo 250 plus 1, or minus a signal. */
static int ended(pid_t forked)
{
    int status;
    if (forked < 0 || waitpid(forked, &status, 0) != forked)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Where commands run: in sandboxes of their own, in copies of a template, in a cell, in a pool, or
 * in namespaces of another sandbox. */
struct ground {
    seclude_sandbox *sandbox;
    seclude_cell *cell;
    seclude_pool *pool;
    seclude_joined *joined;
    seclude_child *beside;
};

enum { OWN, PREPARED, CELL, POOL, REUSED, JOINED, GROUNDS };

static int ready(struct ground *ground, int kind)
{
    *ground = (struct ground){.sandbox = seclude_sandbox_new()};
    switch (kind) {
    case PREPARED:
        return seclude_sandbox_prepare(ground->sandbox, NULL);
    case CELL:
        return seclude_sandbox_cell(ground->sandbox, &ground->cell, NULL);
    case POOL:
    case REUSED:
        return seclude_sandbox_pool(ground->sandbox, 1, kind == REUSED, &ground->pool, NULL);
    case JOINED: {
        seclude_command *command = seclude_sandbox_command(ground->sandbox, "sleep");
        seclude_command_arg(command, "1000");
        int code = seclude_command_spawn(command, &ground->beside, NULL);
        seclude_command_free(command);
        if (code < 0)
            return code;
        seclude_join *join = seclude_join_new();
        seclude_join_process(join, seclude_child_pid(ground->beside));
        seclude_join_only(join, SECLUDE_NAMESPACE_USER | SECLUDE_NAMESPACE_NET);
        code = seclude_sandbox_join(ground->sandbox, join, &ground->joined, NULL);
        seclude_join_free(join);
        return code;
    }
    default:
        return 0;
    }
}

static seclude_command *command_of(const struct ground *ground, const char *program)
{
    if (ground->cell)
        return seclude_cell_command(ground->cell, program);
    if (ground->pool)
        return seclude_pool_command(ground->pool, program);
    if (ground->joined)
        return seclude_joined_command(ground->joined, program);
    return seclude_sandbox_command(ground->sandbox, program);
}

static void let_go(struct ground *ground)
{
    seclude_joined_free(ground->joined);
    seclude_child_free(ground->beside);
    seclude_pool_free(ground->pool);
    seclude_cell_free(ground->cell);
    seclude_sandbox_free(ground->sandbox);
}

/* Closes the standard streams whose bits are set in `closed`, and runs commands. */
static void without_streams(int closed, int kind)
{
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    int reader = fcntl(ends[0], F_DUPFD_CLOEXEC, 10), writer = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
    close(ends[0]);
    close(ends[1]);
    for (int fd = 0; fd < 3; fd++) {
        if (closed & 1 << fd)
            close(fd);
    }
    struct ground ground;
    REQUIRE(ready(&ground, kind) == 0);
    seclude_command *command = command_of(&ground, "sh");
    const char *const words[] = {
        "-c", "for n in 0 1 2; do link=$(readlink /proc/$$/fd/$n); echo $link >&9; done", NULL};
    seclude_command_args(command, words);
    seclude_command_fd(command, 9, writer);
    seclude_outcome outcome = {0};
    REQUIRE(seclude_command_run(command, &outcome, sizeof outcome, NULL) == 0);
    REQUIRE(outcome.success);
    /* The library keeps no descriptor under these numbers. */
    for (int fd = 0; fd < 3; fd++)
        REQUIRE(!(closed & 1 << fd) || fcntl(fd, F_GETFD) == -1);
    seclude_command_free(command);
    close(writer);
    char text[4096] = "";
    size_t length = 0;
    for (ssize_t count; (count = read(reader, text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)count;
    char *line = strtok(text, "\n");
    for (int fd = 0; fd < 3; fd++, line = strtok(NULL, "\n")) {
        REQUIRE(line);
        REQUIRE(!(closed & 1 << fd) || strcmp(line, "/dev/null") == 0);
    }
    /* A descriptor of the caller under such a number is passed like any other. */
    if (closed & 1) {
        REQUIRE(open("/etc/hostname", O_RDONLY) == 0);
        command = command_of(&ground, "sh");
        const char *const reads[] = {"-c", "test -f /dev/stdin && read line && test -n \"$line\"",
                                     NULL};
        seclude_command_args(command, reads);
        seclude_command_stdin(command, 0);
        REQUIRE(seclude_command_run(command, &outcome, sizeof outcome, NULL) == 0);
        REQUIRE(outcome.success);
        seclude_command_free(command);
        REQUIRE(fcntl(0, F_GETFD) != -1);
    }
    let_go(&ground);
    _exit(0);
}

static void a_caller_without_standard_streams_starts_commands_everywhere(void)
{
    static const int closed[] = {1, 2, 4, 6, 7};
    for (size_t index = 0; index < sizeof closed / sizeof *closed; index++) {
        for (int kind = 0; kind < GROUNDS; kind++) {
            pid_t forked = fork();
            if (forked == 0)
                without_streams(closed[index], kind);
            int line = ended(forked);
            if (line)
                fprintf(stderr, "closed %d, ground %d: ", closed[index], kind);
            CHECK_INT(line, 0);
        }
    }
}

enum { PAIRS = 40 };

static void close_all(void)
{
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
}

/* Opens sockets under the free numbers. */
static void take_numbers(int sockets[PAIRS][2], ino_t inodes[PAIRS][2])
{
    struct stat status;
    for (int pair = 0; pair < PAIRS; pair++) {
        REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets[pair]) == 0);
        for (int end = 0; end < 2; end++) {
            REQUIRE(fstat(sockets[pair][end], &status) == 0);
            inodes[pair][end] = status.st_ino;
        }
    }
}

/* Checks that the library has neither written to one of them nor closed one. */
static void require_unharmed(int sockets[PAIRS][2], ino_t inodes[PAIRS][2])
{
    struct stat status;
    char byte;
    for (int pair = 0; pair < PAIRS; pair++) {
        for (int end = 0; end < 2; end++) {
            REQUIRE(fstat(sockets[pair][end], &status) == 0 && status.st_ino == inodes[pair][end]);
            REQUIRE(recv(sockets[pair][end], &byte, 1, 0) == -1 && errno == EAGAIN);
        }
    }
}

static void after_closefrom(int kind)
{
    struct ground ground;
    int sockets[PAIRS][2];
    ino_t inodes[PAIRS][2];
    REQUIRE(ready(&ground, kind) == 0);
    seclude_command *sleeper = command_of(&ground, "sleep");
    seclude_command_arg(sleeper, "1000");
    seclude_command_stdin(sleeper, SECLUDE_STDIO_PIPED);
    seclude_command_stdout(sleeper, SECLUDE_STDIO_PIPED);
    seclude_child *child = NULL;
    REQUIRE(seclude_command_spawn(sleeper, &child, NULL) == 0);
    seclude_command_free(sleeper);
    /* Wait until the pool's threads have nothing to do. */
    seclude_statistics statistics = {0};
    while (kind == POOL &&
           seclude_pool_statistics(ground.pool, &statistics, sizeof statistics) == 0 &&
           statistics.ready < 1)
        usleep(1000);
    close_all();
    take_numbers(sockets, inodes);
    alarm(60);
    REQUIRE(seclude_child_take_stdout(child) == SECLUDE_EINVAL);
    seclude_outcome outcome = {0};
    REQUIRE(seclude_child_wait(child, &outcome, sizeof outcome, NULL) == 0);
    REQUIRE(outcome.ended == SECLUDE_ENDED_WARDEN_LOST);
    seclude_child_free(child);
    seclude_command *command = command_of(&ground, "true");
    seclude_error *err = NULL;
    int code = seclude_command_run(command, &outcome, sizeof outcome, &err);
    int told = err && strstr(seclude_error_message(err),
                             "the caller has closed a descriptor of the library's");
    switch (kind) {
    case CELL:
        REQUIRE(code == SECLUDE_EWARDEN_LOST && told);
        break;
    case POOL:
    case REUSED:
    case JOINED:
        REQUIRE(code == SECLUDE_EIO && told);
        break;
    default: /* The library opens its descriptors again where it can. */
        REQUIRE(code == 0 && outcome.success);
    }
    seclude_error_free(err);
    seclude_command_free(command);
    let_go(&ground);
    require_unharmed(sockets, inodes);
    _exit(0);
}

static void what_the_caller_has_closed_is_left_alone(void)
{
    for (int kind = 0; kind < GROUNDS; kind++) {
        pid_t forked = fork();
        if (forked == 0)
            after_closefrom(kind);
        int line = ended(forked);
        if (line)
            fprintf(stderr, "ground %d: ", kind);
        CHECK_INT(line, 0);
    }
}

/* A forked process closes everything, as a daemon does. The parent is not affected. */
static void a_forked_process_that_closes_everything_harms_nobody(void)
{
    for (int kind = 0; kind < GROUNDS; kind++) {
        struct ground ground;
        CHECK_INT(ready(&ground, kind), 0);
        pid_t forked = fork();
        if (forked == 0) {
            int sockets[PAIRS][2];
            ino_t inodes[PAIRS][2];
            close_all();
            take_numbers(sockets, inodes);
            alarm(60);
            if (kind == OWN || kind == PREPARED) {
                seclude_command *command = command_of(&ground, "true");
                seclude_outcome outcome = {0};
                REQUIRE(seclude_command_run(command, &outcome, sizeof outcome, NULL) == 0 &&
                        outcome.success);
                seclude_command_free(command);
            }
            let_go(&ground);
            require_unharmed(sockets, inodes);
            _exit(0);
        }
        CHECK_INT(ended(forked), 0);
        seclude_command *command = command_of(&ground, "true");
        seclude_outcome outcome = {0};
        seclude_error *err = NULL;
        CHECK_OK(seclude_command_run(command, &outcome, sizeof outcome, &err), err);
        CHECK(outcome.success);
        seclude_command_free(command);
        let_go(&ground);
    }
}

static void a_shortage_of_descriptors_is_the_hosts(void)
{
    pid_t forked = fork();
    if (forked == 0) {
        seclude_sandbox *sandbox = seclude_sandbox_new();
        struct rlimit few = {64, 64};
        REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
        int last = 0;
        for (int fd; (fd = dup(2)) >= 0;)
            last = fd;
        int limited = 0;
        for (int room = 0; room < 24; room++, close(last--)) {
            seclude_command *command = seclude_sandbox_command(sandbox, "true");
            seclude_command_stdout(command, 2);
            seclude_command_fd(command, 7, 2);
            seclude_outcome outcome = {0};
            seclude_error *err = NULL;
            int code = seclude_command_run(command, &outcome, sizeof outcome, &err);
            REQUIRE(code == 0 ||
                    (code == SECLUDE_EHOST_LIMIT && seclude_error_errno(err) == EMFILE));
            REQUIRE(code == 0 || strstr(seclude_error_hint(err), "RLIMIT_NOFILE"));
            limited += code != 0;
            seclude_error_free(err);
            seclude_command_free(command);
        }
        REQUIRE(limited > 2 && limited < 24);
        _exit(0);
    }
    CHECK_INT(ended(forked), 0);
}

/* SIGXFSZ kills a process that writes too large a file. It does not kill one that starts
 * commands. */
static void a_limit_on_the_size_of_files_ends_no_caller(void)
{
    static char word[100 * 1024];
    memset(word, 'x', sizeof word - 1);
    for (int hard = 0; hard < 2; hard++) {
        for (rlim_t limit = 0; limit <= 16384; limit += 16384) {
            pid_t forked = fork();
            if (forked == 0) {
                signal(SIGXFSZ, SIG_DFL);
                struct rlimit size = {limit, hard ? limit : RLIM_INFINITY};
                REQUIRE(setrlimit(RLIMIT_FSIZE, &size) == 0);
                seclude_sandbox *sandbox = seclude_sandbox_new();
                seclude_sandbox_file(sandbox, "/etc/large", word, sizeof word, 0644);
                seclude_command *command = seclude_sandbox_command(sandbox, "true");
                for (int count = 0; count < 3; count++)
                    seclude_command_arg(command, word);
                seclude_outcome outcome = {0};
                seclude_error *err = NULL;
                int code = seclude_command_run(command, &outcome, sizeof outcome, &err);
                if (code < 0) {
                    REQUIRE(hard && code == SECLUDE_EHOST_LIMIT &&
                            seclude_error_errno(err) == EFBIG);
                    REQUIRE(strstr(seclude_error_hint(err), "RLIMIT_FSIZE"));
                } else {
                    REQUIRE(outcome.success);
                }
                _exit(0);
            }
            CHECK_INT(ended(forked), 0);
        }
    }
    /* The control: a process that writes the data itself is killed. */
    pid_t forked = fork();
    if (forked == 0) {
        struct rlimit none = {0, 0}, no_core = {0, 0};
        FILE *file = tmpfile();
        REQUIRE(file && setrlimit(RLIMIT_FSIZE, &none) == 0 &&
                setrlimit(RLIMIT_CORE, &no_core) == 0);
        _exit(write(fileno(file), word, sizeof word) < 0 ? 0 : 1);
    }
    CHECK_INT(ended(forked), -SIGXFSZ);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(a_caller_without_standard_streams_starts_commands_everywhere),
        TEST(what_the_caller_has_closed_is_left_alone),
        TEST(a_forked_process_that_closes_everything_harms_nobody),
        TEST(a_shortage_of_descriptors_is_the_hosts),
        TEST(a_limit_on_the_size_of_files_ends_no_caller),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
