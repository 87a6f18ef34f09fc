/* What the C tests share: checks that print a failure and go on, named tests, and the loop that
 * runs them. There is no framework, because the tests also run under sanitizers, under valgrind,
 * and on machines with nothing but a compiler. */
#ifndef CHECK_H
#define CHECK_H

#include <seclude.h>
#include <stdio.h>
#include <string.h>

static int failures;

/* Checks a condition, and prints it if it is false. */
#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            failures++;                                                               \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
        }                                                                             \
    } while (0)

/* Compares two numbers, and prints both if they differ. */
#define CHECK_INT(found, wanted)                                                                 \
    do {                                                                                         \
        long long found_ = (long long)(found), wanted_ = (long long)(wanted);                    \
        if (found_ != wanted_) {                                                                 \
            failures++;                                                                          \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #found, found_, \
                    wanted_);                                                                    \
        }                                                                                        \
    } while (0)

/* Compares two texts, of which the first may be NULL, and prints both if they differ. */
#define CHECK_TEXT(found, wanted)                                                            \
    do {                                                                                     \
        const char *found_ = (found), *wanted_ = (wanted);                                   \
        if (!found_ || strcmp(found_, wanted_) != 0) {                                       \
            failures++;                                                                      \
            fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", __FILE__, __LINE__, #found, \
                    found_ ? found_ : "NULL", wanted_);                                      \
        }                                                                                    \
    } while (0)

/* Checks that a call succeeds, and prints its error if it fails. */
#define CHECK_OK(call, err)                                                          \
    do {                                                                             \
        int code_ = (call);                                                          \
        if (code_ < 0) {                                                             \
            failures++;                                                              \
            fprintf(stderr, "%s:%d: %s: %d, %s\n", __FILE__, __LINE__, #call, code_, \
                    seclude_error_message(err));                                     \
            seclude_error_free(err);                                                 \
            err = NULL;                                                              \
        }                                                                            \
    } while (0)

struct test {
    const char *name;
    void (*run)(void);
};

/* An entry in a list of tests. */
/* clang-format off */
#define TEST(name) {#name, name}
/* clang-format on */

/* Runs all tests, or those that the command line names, and prints a line for each. */
static int run_tests(const struct test *tests, size_t count, int argc, char **argv)
{
    int failed = 0, ran = 0;
    for (size_t index = 0; index < count; index++) {
        int wanted = argc < 2;
        for (int word = 1; word < argc; word++)
            wanted |= strcmp(argv[word], tests[index].name) == 0;
        if (!wanted)
            continue;
        failures = 0;
        tests[index].run();
        ran++;
        failed += failures != 0;
        printf("%s %s\n", failures ? "FAILED" : "ok", tests[index].name);
        fflush(stdout);
    }
    return failed != 0 || ran == 0;
}

#define RUN_TESTS(tests, argc, argv) run_tests(tests, sizeof tests / sizeof *tests, argc, argv)

#endif
