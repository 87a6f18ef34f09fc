/* Running commands: output, ends, limits, descriptors, lists of processes, and what freeing a child
 * ends. The file is longer than 400 lines because each has a test, and all share one beginning. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static seclude_command *shell(const char *script)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_sandbox_free(sandbox);
    const char *const words[] = {"-c", script, NULL};
    seclude_command_args(command, words);
    seclude_command_stdin(command, SECLUDE_STDIO_NULL);
    return command;
}

static seclude_child *started(seclude_command *command)
{
    seclude_child *child = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    seclude_command_free(command);
    return child;
}

static seclude_outcome run(seclude_command *command)
{
    seclude_outcome outcome = {0};
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_run(command, &outcome, sizeof outcome, &err), err);
    seclude_command_free(command);
    return outcome;
}

static void output_and_outcome_are_told(void)
{
    seclude_command *command = shell("echo out; echo err >&2; exit 3");
    for (int round = 0; round < 2; round++) { /* a command can be started again */
        seclude_output *output = NULL;
        seclude_error *err = NULL;
        CHECK_OK(seclude_command_output(command, &output, &err), err);
        size_t length = 0;
        CHECK_TEXT(seclude_output_stdout(output, &length), "out\n");
        CHECK_INT(length, 4);
        CHECK_TEXT(seclude_output_stderr(output, NULL), "err\n");
        seclude_outcome outcome;
        CHECK_INT(seclude_output_outcome(output, &outcome, sizeof outcome), 0);
        CHECK_INT(outcome.ended, SECLUDE_ENDED_EXITED);
        CHECK_INT(outcome.value, 3);
        CHECK_INT(outcome.returncode, 3);
        CHECK_INT(outcome.success, 0);
        CHECK(outcome.wall_ns > 0 && outcome.max_rss > 0);
        uint64_t must = SECLUDE_PROTECTION_NO_CAPABILITIES | SECLUDE_PROTECTION_OWN_ROOT |
                        SECLUDE_PROTECTION_PID_NAMESPACE;
        CHECK((outcome.enforced & must) == must);
        CHECK((outcome.enforced & SECLUDE_PROTECTION_TIME_NAMESPACE) == 0);
        seclude_output_free(output);
    }
    seclude_command_free(command);
}

static void every_end_is_distinct(void)
{
    seclude_outcome outcome = run(shell("kill -TERM $$"));
    CHECK_INT(outcome.ended, SECLUDE_ENDED_SIGNALED);
    CHECK_INT(outcome.value, SIGTERM);
    CHECK_INT(outcome.returncode, -SIGTERM);

    seclude_command *command = shell("while :; do sleep 1; done");
    seclude_command_wall_time(command, 50);
    outcome = run(command);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_WALL_TIME);
    CHECK_INT(outcome.returncode, -SIGKILL);

    seclude_child *child = started(shell("sleep 600"));
    CHECK_INT(seclude_child_try_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(seclude_child_kill(child, NULL), 0);
    CHECK_INT(seclude_child_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_KILLED);
    /* Every way to wait again gives the same result. */
    CHECK_INT(seclude_child_kill(child, NULL), 0);
    CHECK_INT(seclude_child_wait(child, NULL, 0, NULL), 0);
    CHECK_INT(seclude_child_try_wait(child, &outcome, sizeof outcome, NULL), 1);
    CHECK_INT(seclude_child_wait_timeout(child, 0, &outcome, sizeof outcome, NULL), 1);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_KILLED);
    seclude_child_free(child);

    child = started(shell("exec sleep 600"));
    CHECK_INT(seclude_child_signal(child, 0, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_signal(child, SIGUSR1, NULL), 0);
    CHECK_INT(seclude_child_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_SIGNALED);
    CHECK_INT(outcome.value, SIGUSR1);
    seclude_child_free(child);

    seclude_sandbox *sandbox = seclude_sandbox_new();
    command = seclude_sandbox_command(sandbox, "no-such-program");
    seclude_sandbox_free(sandbox);
    seclude_error *err = NULL;
    CHECK_INT(seclude_command_run(command, &outcome, sizeof outcome, &err),
              SECLUDE_EPROGRAM_MISSING);
    CHECK_INT(seclude_error_errno(err), ENOENT);
    CHECK(seclude_error_hint(err) != NULL);
    seclude_error_free(err);
    seclude_command_free(command);
}

static void pipes_are_taken_once_and_owned(void)
{
    seclude_command *command = shell("read line; echo \"got $line\"");
    seclude_command_stdin(command, SECLUDE_STDIO_PIPED);
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    seclude_child *child = started(command);
    int in = seclude_child_take_stdin(child), out = seclude_child_take_stdout(child);
    CHECK(in >= 0 && out >= 0);
    CHECK_INT(seclude_child_take_stdin(child), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_take_stderr(child), SECLUDE_EINVAL);
    CHECK_INT(write(in, "it\n", 3), 3);
    CHECK_INT(close(in), 0);
    char text[32] = "";
    CHECK_INT(read(out, text, sizeof text - 1), 7);
    CHECK_TEXT(text, "got it\n");
    struct pollfd end = {.fd = seclude_child_pidfd(child), .events = POLLIN};
    CHECK_INT(poll(&end, 1, 60000), 1);
    seclude_outcome outcome;
    CHECK_INT(seclude_child_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(outcome.success, 1);
    seclude_child_free(child);
    CHECK_INT(close(out), 0); /* the caller owns it, so it is still open */
}

static void full_pipes_do_not_deadlock_and_a_collected_child_still_answers(void)
{
    seclude_command *command =
        shell("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; exit 4");
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    seclude_command_stderr(command, SECLUDE_STDIO_PIPED);
    seclude_child *child = started(command);
    uint32_t pid = seclude_child_pid(child);
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_child_wait_with_output(child, &output, &err), err);
    size_t out = 0, errors = 0;
    seclude_output_stdout(output, &out);
    seclude_output_stderr(output, &errors);
    CHECK_INT(out, 300000);
    CHECK_INT(errors, 300000);
    seclude_output_free(output);
    CHECK_INT(seclude_child_wait_with_output(child, &output, NULL), SECLUDE_EINVAL);
    seclude_outcome outcome;
    CHECK_INT(seclude_child_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(outcome.value, 4);
    CHECK_INT(seclude_child_pid(child), pid);
    CHECK_INT(seclude_child_pidfd(child), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_take_stdout(child), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_kill(child, NULL), 0);
    seclude_processes *list = NULL;
    CHECK_INT(seclude_child_processes(child, &list, NULL), 0);
    CHECK_INT(seclude_processes_count(list), 0);
    seclude_processes_free(list);
    seclude_child_free(child);
}

static void a_descriptor_is_copied_when_it_is_set(void)
{
    int ends[2];
    CHECK_INT(pipe(ends), 0);
    seclude_command *command = shell("echo through seven >&7");
    seclude_command_fd(command, 7, ends[1]);
    CHECK_INT(close(ends[1]), 0);
    CHECK_INT(run(command).success, 1); /* freeing the command closes its copy */
    char text[32] = "";
    CHECK_INT(read(ends[0], text, sizeof text - 1), 14);
    CHECK_TEXT(text, "through seven\n");
    CHECK_INT(read(ends[0], text, sizeof text), 0);
    close(ends[0]);
}

static void the_environment_and_the_names_are_ours(void)
{
    seclude_command *command = shell("echo \"$0 $A ${HOME-none} ${LANG-none} $PWD\"");
    seclude_command_env(command, "B", "b");
    seclude_command_env_clear(command);
    seclude_command_env(command, "A", "a");
    seclude_command_env(command, "HOME", "/x");
    seclude_command_env_remove(command, "HOME");
    seclude_command_cwd(command, "/usr");
    seclude_command_arg0(command, "myself");
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    CHECK_TEXT(seclude_output_stdout(output, NULL), "myself a none none /usr\n");
    seclude_output_free(output);
    seclude_command_free(command);
}

static void a_signal_is_ignored_where_it_is_asked_for(void)
{
    seclude_command *command =
        shell("kill -HUP $$; echo alive; grep SigIgn: /proc/self/status | tail -c 17");
    seclude_command_ignore_signal(command, SIGHUP);
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    CHECK_TEXT(seclude_output_stdout(output, NULL), "alive\n0000000000000001\n");
    seclude_output_free(output);
    seclude_command_ignore_signal(command, SIGKILL);
    CHECK_INT(seclude_command_output(command, &output, &err), SECLUDE_EINVAL);
    CHECK_TEXT(seclude_error_step(err), "ignore signal 9");
    seclude_error_free(err);
    seclude_command_free(command);
}

/* Runs the command, frees it, and checks what it wrote. */
static void writes(seclude_command *command, const char *text)
{
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    CHECK_TEXT(seclude_output_stdout(output, NULL), text);
    seclude_output_free(output);
    seclude_command_free(command);
}

/* Starts the command, frees it, and checks the step of the error. */
static void fails(seclude_command *command, int code, const char *step)
{
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_INT(seclude_command_output(command, &output, &err), code);
    CHECK(output == NULL);
    CHECK_TEXT(seclude_error_step(err), step);
    seclude_error_free(err);
    seclude_command_free(command);
}

static void the_process_has_the_attributes_that_are_set(void)
{
    static const uint32_t GROUPS[] = {5, 6};
    seclude_command *command = shell("umask; kill -PIPE $$; kill -USR1 $$; echo alive");
    seclude_command_umask(command, 027);
    seclude_command_process_group(command, 0);
    seclude_command_ignore_signal(command, SIGUSR1);
    seclude_command_inherit_ignored_signals(command);
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    writes(command, "0027\nalive\n");
    signal(SIGPIPE, before);

    command = shell("id -u; id -g");
    seclude_command_uid(command, 12);
    seclude_command_gid(command, 34);
    writes(command, "12\n34\n");

    command = shell("id -G");
    seclude_command_groups(command, GROUPS, 2);
    if (geteuid() == 0)
        writes(command, "1000 5 6\n");
    else
        fails(command, SECLUDE_ENAMESPACES_DENIED, "set the supplementary groups [5, 6]");

    command = shell("id -G");
    seclude_command_umask(command, 01000);
    fails(command, SECLUDE_EINVAL, "umask 0o1000");
    command = shell("id -G");
    seclude_command_process_group(command, 1);
    fails(command, SECLUDE_EINVAL, "process group 1");
    command = shell("id -G");
    seclude_command_uid(command, UINT32_MAX);
    fails(command, SECLUDE_EINVAL, "uid 4294967295");
    command = shell("id -G");
    seclude_command_groups(command, NULL, 2);
    fails(command, SECLUDE_EINVAL, "groups");
}

static void the_processes_inside_are_listed(void)
{
    seclude_command *command = shell("sleep 600 & echo up; wait");
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    seclude_child *child = started(command);
    int out = seclude_child_take_stdout(child);
    char up[3];
    CHECK_INT(read(out, up, 3), 3);
    seclude_processes *list = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_child_processes(child, &list, &err), err);
    CHECK_INT(seclude_processes_count(list), 3);
    CHECK_INT(seclude_processes_inside_pid(list, 0), 1);
    CHECK_INT(seclude_processes_pid(list, 1), seclude_child_pid(child));
    CHECK_INT(seclude_processes_inside_pid(list, 1), seclude_child_inside_pid(child));
    CHECK_INT(seclude_processes_parent(list, 2), seclude_child_pid(child));
    CHECK_INT(seclude_processes_pid_at(list, 2, 0), seclude_processes_pid(list, 2));
    CHECK_INT(seclude_processes_pid_at(list, 2, 1), seclude_processes_inside_pid(list, 2));
    CHECK_INT(seclude_processes_pid_at(list, 2, 2), 0);
    CHECK_TEXT(seclude_processes_name(list, 1), "sh");
    CHECK_TEXT(seclude_processes_argument(list, 1, 1), "-c");
    CHECK(seclude_processes_argument(list, 1, 9) == NULL);
    CHECK(seclude_processes_state(list, 1) >= 'A');
    CHECK(seclude_processes_uid(list, 1) != 0);
    CHECK_INT(seclude_processes_pid(list, 3), 0);
    seclude_processes_free(list);
    close(out);
    seclude_child_free(child);
}

/* A pipe ends only when no process inside holds its other end any more. */
static void freeing_a_child_kills_everything_inside(void)
{
    seclude_command *command = shell("setsid sleep 600 & sleep 600 & echo up; wait");
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    seclude_child *child = started(command);
    int out = seclude_child_take_stdout(child);
    char text[8];
    CHECK_INT(read(out, text, 3), 3);
    seclude_child_free(child);
    CHECK_INT(read(out, text, sizeof text), 0);
    close(out);
}

static void a_forked_process_may_free_without_harm(void)
{
    seclude_child *child = started(shell("sleep 600"));
    pid_t forked = fork();
    if (forked == 0) {
        seclude_child_free(child);
        _exit(0);
    }
    int status;
    CHECK(waitpid(forked, &status, 0) == forked && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_INT(seclude_child_try_wait(child, NULL, 0, NULL), 0); /* it still runs */
    seclude_child_free(child);
}

static void an_outcome_of_any_size_is_filled(void)
{
    struct newer {
        seclude_outcome known;
        uint64_t later, beyond;
    } newer;
    memset(&newer, 0xff, sizeof newer);
    seclude_command *command = shell("exit 9");
    CHECK_INT(seclude_command_run(command, &newer.known, offsetof(struct newer, beyond), NULL), 0);
    CHECK_INT(newer.known.value, 9);
    CHECK(newer.later == 0 && newer.beyond == UINT64_MAX);
    memset(&newer, 0xff, sizeof newer);
    CHECK_INT(
        seclude_command_run(command, &newer.known, offsetof(seclude_outcome, returncode), NULL), 0);
    CHECK_INT(newer.known.value, 9);
    CHECK_INT(newer.known.returncode, -1); /* not written */
    CHECK_INT(seclude_command_run(command, NULL, 0, NULL), 0);
    seclude_command_free(command);
}

/* A forked process closes its standard streams, as daemons do. Its exit status encodes the line
 * that failed. */
static void a_caller_without_standard_streams_starts_commands(void)
{
#define REQUIRE(condition)             \
    do {                               \
        if (!(condition))              \
            _exit(__LINE__ % 250 + 1); \
    } while (0)
    pid_t forked = fork();
    if (forked == 0) {
        seclude_sandbox *sandbox = seclude_sandbox_new();
        seclude_command *command = seclude_sandbox_command(sandbox, "sh");
        const char *const words[] = {
            "-c", "echo out; read line; test \"$(readlink /proc/$$/fd/0)\" = /dev/null", NULL};
        seclude_command_args(command, words);
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        seclude_outcome outcome = {0};
        REQUIRE(seclude_command_run(command, &outcome, sizeof outcome, NULL) == 0);
        REQUIRE(outcome.success);
        seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
        seclude_child *child = NULL;
        REQUIRE(seclude_command_spawn(command, &child, NULL) == 0);
        /* The library keeps no descriptor under these numbers, so output of the caller cannot reach
         * a command. */
        for (int fd = 0; fd < 3; fd++)
            REQUIRE(fcntl(fd, F_GETFD) == -1);
        int out = seclude_child_take_stdout(child);
        char text[8] = "";
        REQUIRE(out > 2 && read(out, text, sizeof text) == 4 && strcmp(text, "out\n") == 0);
        REQUIRE(seclude_child_wait(child, &outcome, sizeof outcome, NULL) == 0);
        REQUIRE(outcome.success);
        _exit(0);
    }
    int status;
    CHECK(waitpid(forked, &status, 0) == forked && WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(output_and_outcome_are_told),
        TEST(every_end_is_distinct),
        TEST(pipes_are_taken_once_and_owned),
        TEST(full_pipes_do_not_deadlock_and_a_collected_child_still_answers),
        TEST(a_descriptor_is_copied_when_it_is_set),
        TEST(the_environment_and_the_names_are_ours),
        TEST(a_signal_is_ignored_where_it_is_asked_for),
        TEST(the_process_has_the_attributes_that_are_set),
        TEST(the_processes_inside_are_listed),
        TEST(freeing_a_child_kills_everything_inside),
        TEST(a_forked_process_may_free_without_harm),
        TEST(an_outcome_of_any_size_is_filled),
        TEST(a_caller_without_standard_streams_starts_commands),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
