/* System calls: filters from profiles and rules, the end by a call, a listener that decides, and
 * learning. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const MAKE_DIRECTORY[] = {"-c", "import os; os.mkdir('/dev/shm/d')", NULL};

static seclude_command *python(const seclude_sandbox *sandbox, const char *const *words)
{
    seclude_command *command = seclude_sandbox_command(sandbox, "python3");
    seclude_command_args(command, words);
    return command;
}

/* Runs a command with its output collected, and frees it. */
static seclude_outcome outcome_of(seclude_command *command)
{
    seclude_outcome outcome = {0};
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    seclude_output_outcome(output, &outcome, sizeof outcome);
    seclude_output_free(output);
    seclude_command_free(command);
    return outcome;
}

static void a_rule_kills_and_the_end_has_a_name(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_seccomp *filter = seclude_seccomp_new("default");
    seclude_seccomp_rule(filter, "mkdir", SECLUDE_SECCOMP_KILL, 0);
    seclude_seccomp_rule(filter, "mkdirat", SECLUDE_SECCOMP_KILL, 0);
    seclude_sandbox_seccomp(sandbox, filter);
    seclude_seccomp_free(filter);
    seclude_outcome outcome = outcome_of(python(sandbox, MAKE_DIRECTORY));
    CHECK_INT(outcome.ended, SECLUDE_ENDED_SYSCALL);
    const char *name = seclude_syscall_name(outcome.value);
    CHECK(name && strncmp(name, "mkdir", 5) == 0);
    CHECK(outcome.enforced & SECLUDE_PROTECTION_SECCOMP_FILTER);
    seclude_sandbox_free(sandbox);
}

static void a_test_narrows_a_rule(void)
{
    const char *const words[] = {"-c",
                                 "import os; os.umask(0o27)\n"
                                 "try: os.kill(os.getpid(), 10)\n"
                                 "except PermissionError: os._exit(7)",
                                 NULL};
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_seccomp *filter = seclude_seccomp_new("default");
    seclude_seccomp_rule(filter, "kill", SECLUDE_SECCOMP_DENY, EPERM);
    seclude_seccomp_when(filter, 1, SECLUDE_COMPARE_EQUAL, 10, UINT64_MAX, 0);
    seclude_seccomp_rule(filter, "umask", SECLUDE_SECCOMP_KILL, 0);
    seclude_seccomp_when(filter, 0, SECLUDE_COMPARE_GREATER, 0777, UINT64_MAX, 1);
    seclude_seccomp_socket_family(filter, 16);
    seclude_sandbox_seccomp(sandbox, filter);
    seclude_seccomp_free(filter);
    seclude_outcome outcome = outcome_of(python(sandbox, words));
    CHECK_INT(outcome.ended, SECLUDE_ENDED_EXITED);
    CHECK_INT(outcome.value, 7);
    seclude_sandbox_free(sandbox);
}

static void mistakes_stick(void)
{
    seclude_error *err = NULL;
    struct {
        const char *profile, *call;
        int action, errnum;
    } mistakes[] = {{"lax", "read", SECLUDE_SECCOMP_ALLOW, 0},
                    {NULL, "read", SECLUDE_SECCOMP_ALLOW, 0},
                    {"default", NULL, SECLUDE_SECCOMP_ALLOW, 0},
                    {"default", "raed", SECLUDE_SECCOMP_ALLOW, 0},
                    {"default", "read", 99, 0},
                    {"default", "read", SECLUDE_SECCOMP_DENY, 0},
                    {"default", "read", SECLUDE_SECCOMP_DENY, 5000}};
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        seclude_sandbox *sandbox = seclude_sandbox_new();
        seclude_seccomp *filter = seclude_seccomp_new(mistakes[i].profile);
        seclude_seccomp_rule(filter, mistakes[i].call, mistakes[i].action, mistakes[i].errnum);
        seclude_sandbox_seccomp(sandbox, filter);
        CHECK_INT(seclude_sandbox_check(sandbox, &err), SECLUDE_EINVAL);
        seclude_error_free(err);
        err = NULL;
        seclude_seccomp_free(filter);
        seclude_sandbox_free(sandbox);
    }
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_seccomp *filter = seclude_seccomp_new("default");
    seclude_seccomp_when(filter, 0, SECLUDE_COMPARE_EQUAL, 0, 0, 0);
    seclude_sandbox_seccomp(sandbox, filter);
    CHECK_INT(seclude_sandbox_check(sandbox, NULL), SECLUDE_EINVAL);
    seclude_sandbox_free(sandbox);
    sandbox = seclude_sandbox_new();
    seclude_sandbox_seccomp_bpf(sandbox, "1234567", 7);
    CHECK_INT(seclude_sandbox_check(sandbox, NULL), SECLUDE_EINVAL);
    seclude_sandbox_free(sandbox);
    seclude_seccomp_free(filter);
    seclude_seccomp_free(NULL);
    CHECK_INT(seclude_syscall_number("raed"), -1);
    CHECK_INT(seclude_syscall_number(NULL), -1);
    CHECK(seclude_syscall_name(-1) == NULL && seclude_syscall_name(99999) == NULL);
    CHECK_TEXT(seclude_syscall_name(seclude_syscall_number("openat")), "openat");
}

/* Allows every openat except that of /secret, which it answers with a descriptor of the caller.
 * Fails every uname. */
static void *decide(void *given)
{
    seclude_listener *listener = given;
    seclude_notification *call = NULL;
    seclude_error *err = NULL;
    FILE *secret = tmpfile();
    fputs("handed over\n", secret);
    rewind(secret);
    while (seclude_listener_receive(listener, -1, &call, &err) == 1) {
        uint64_t arguments[6];
        char path[8] = "";
        seclude_notification_arguments(call, arguments);
        CHECK(seclude_notification_pid(call) > 0);
        CHECK_INT(seclude_notification_number(call),
                  seclude_syscall_number(seclude_notification_name(call)));
        if (strcmp(seclude_notification_name(call), "uname") == 0) {
            CHECK_OK(seclude_notification_fail(call, EIO, &err), err);
            continue;
        }
        int length = seclude_notification_read(call, arguments[1], path, sizeof path, &err);
        if (length == (int)sizeof path && memcmp(path, "/secret", 8) == 0)
            CHECK_OK(seclude_notification_succeed_with_fd(call, fileno(secret), 1, &err), err);
        else
            CHECK_OK(seclude_notification_allow(call, &err), err);
    }
    CHECK(call == NULL && err == NULL);
    fclose(secret);
    return NULL;
}

static void a_listener_decides(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_seccomp *filter = seclude_seccomp_new("default");
    seclude_seccomp_rule(filter, "openat", SECLUDE_SECCOMP_NOTIFY, 0);
    seclude_seccomp_rule(filter, "uname", SECLUDE_SECCOMP_NOTIFY, 0);
    seclude_sandbox_seccomp(sandbox, filter);
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    const char *const words[] = {"-c", "cat /secret; uname 2>/dev/null || echo no", NULL};
    seclude_command_args(command, words);
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    seclude_child *child = NULL;
    seclude_listener *listener = NULL, *again = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    CHECK_OK(seclude_child_take_listener(child, &listener, &err), err);
    CHECK_INT(seclude_child_take_listener(child, &again, NULL), SECLUDE_EINVAL);
    CHECK(seclude_listener_fd(listener) >= 0);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, decide, listener), 0);
    seclude_output *output = NULL;
    CHECK_OK(seclude_child_wait_with_output(child, &output, &err), err);
    size_t length = 0;
    const void *text = seclude_output_stdout(output, &length);
    CHECK(length == 15 && memcmp(text, "handed over\nno\n", 15) == 0);
    pthread_join(thread, NULL);
    seclude_output_free(output);
    seclude_listener_free(listener);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_seccomp_free(filter);
    seclude_sandbox_free(sandbox);
}

static void a_program_is_learned(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new(), *taught = NULL;
    seclude_command *command = seclude_sandbox_command(sandbox, "cat");
    seclude_command_arg(command, "/etc/passwd");
    seclude_learned *learned = NULL;
    seclude_outcome outcome = {0};
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_learn(command, &learned, &outcome, sizeof outcome, &err), err);
    CHECK_INT(outcome.success, 1);
    seclude_text *calls = seclude_learned_calls(learned), *paths = seclude_learned_paths(learned);
    CHECK(strstr(seclude_text_string(calls), "execve 1\n") != NULL);
    const char *path = seclude_text_string(paths), *end = path + seclude_text_length(paths);
    while (path < end && strcmp(path, "/etc/passwd") != 0)
        path += strlen(path) + 1;
    CHECK(path < end);
    CHECK_OK(seclude_learned_sandbox(learned, &taught, &err), err);
    seclude_command *same = seclude_sandbox_command(taught, "cat");
    seclude_command_arg(same, "/etc/passwd");
    CHECK_INT(outcome_of(same).success, 1);
    CHECK_INT(outcome_of(python(taught, MAKE_DIRECTORY)).success, 0);
    seclude_text_free(calls);
    seclude_text_free(paths);
    seclude_learned_free(learned);
    seclude_sandbox_free(taught);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void null_is_an_error(void)
{
    seclude_notification *call = NULL;
    seclude_learned *learned = NULL;
    seclude_seccomp_rule(NULL, "read", SECLUDE_SECCOMP_ALLOW, 0);
    seclude_seccomp_when(NULL, 0, SECLUDE_COMPARE_EQUAL, 0, 0, 0);
    seclude_seccomp_otherwise(NULL, SECLUDE_SECCOMP_ALLOW, 0);
    CHECK_INT(seclude_listener_receive(NULL, 0, &call, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_listener_fd(NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_notification_allow(NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_notification_read(NULL, 0, NULL, 0, NULL), SECLUDE_EINVAL);
    CHECK(seclude_notification_name(NULL) == NULL);
    seclude_notification_arguments(NULL, NULL);
    seclude_notification_free(NULL);
    seclude_listener_free(NULL);
    CHECK_INT(seclude_command_learn(NULL, &learned, NULL, 0, NULL), SECLUDE_EINVAL);
    CHECK(seclude_learned_calls(NULL) == NULL && seclude_learned_paths(NULL) == NULL);
    seclude_learned_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(a_rule_kills_and_the_end_has_a_name),
        TEST(a_test_narrows_a_rule),
        TEST(mistakes_stick),
        TEST(a_listener_decides),
        TEST(a_program_is_learned),
        TEST(null_is_an_error),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
