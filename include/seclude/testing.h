/*
 * Test programs in C and C++ that run in a sandbox for tests, whatever the harness is.
 *
 *     #include <seclude/testing.h>
 *
 *     int main(int argc, char **argv)
 *     {
 *         seclude_test_main(argv);     // first, before any thread and any test
 *         return run_all_tests();      // Check, cmocka, Unity, GoogleTest, ...
 *     }
 *
 * The program starts itself again in the sandbox of `seclude_sandbox_for_tests`: with the host's
 * files and the same working directory, and with a private network, process tree, /tmp, /run and
 * /dev/shm. Its streams, arguments and environment are the same, so the harness shows each failure
 * as always. Processes that a test leaves behind are killed at its end.
 *
 * For a sandbox for each test, see seclude/gtest.hpp, or the wrapper `seclude run --test`.
 */
#ifndef SECLUDE_TESTING_H
#define SECLUDE_TESTING_H

#include <seclude.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The exit status by which harnesses count a test as skipped. */
#define SECLUDE_TEST_SKIPPED 77

/* Whether an error says that this host does not allow sandboxes for tests. */
static inline int seclude_test_is_denied(const seclude_error *error)
{
    int code = seclude_error_code(error);
    return code == SECLUDE_ENAMESPACES_DENIED || code == SECLUDE_EUNSUPPORTED;
}

/*
 * Runs this program in a sandbox, and exits as it does: with 128 and the number of a signal that
 * killed it. Returns only inside. Exits with 77 and says why where the host does not allow
 * sandboxes. Call it first in `main`.
 */
static inline void seclude_test_main(char **argv)
{
    seclude_outcome outcome;
    seclude_error *error = NULL;
    seclude_command *command;
    int code;

    if (seclude_test_is_inside())
        return;
    command = seclude_test_command();
    seclude_command_arg0(command, argv[0]);
    seclude_command_args(command, (const char *const *)(argv + 1));
    fflush(NULL);
    code = seclude_command_run(command, &outcome, sizeof outcome, &error);
    seclude_command_free(command);
    if (code == 0) {
        if (outcome.ended != SECLUDE_ENDED_EXITED)
            fprintf(stderr, "%s: %s\n", argv[0], outcome.text);
        exit(outcome.returncode < 0 ? 128 - outcome.returncode : outcome.returncode);
    }
    code = seclude_test_is_denied(error) ? SECLUDE_TEST_SKIPPED : EXIT_FAILURE;
    fprintf(stderr, "%s: %s%s\n", argv[0],
            code == SECLUDE_TEST_SKIPPED ? "skipped: " : "no sandbox for tests: ",
            seclude_error_message(error));
    seclude_error_free(error);
    exit(code);
}

#ifdef __cplusplus
}
#endif

#endif
