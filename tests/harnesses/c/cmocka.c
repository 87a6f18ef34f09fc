/* cmocka: one line in main puts the whole test program into a sandbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <seclude/testing.h>
#include <unistd.h>

static void the_directory_for_temporary_files_is_empty(void **state)
{
    (void)state;
    assert_int_equal(access("/tmp/seclude-harness-outside", F_OK), -1);
}

static void a_failure_shows_its_line(void **state)
{
    (void)state;
    assert_null(getenv("SAMPLE_FAILS")); /* line 20 */
}

static void this_one_runs_last(void **state)
{
    (void)state;
    puts("the last test ran");
}

int main(int argc, char **argv)
{
    (void)argc;
    seclude_test_main(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_directory_for_temporary_files_is_empty),
        cmocka_unit_test(a_failure_shows_its_line),
        cmocka_unit_test(this_one_runs_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
