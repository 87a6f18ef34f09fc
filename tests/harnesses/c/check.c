/* Check: one line in main puts the whole test program into a sandbox. */
#include <check.h>
#include <seclude/testing.h>
#include <unistd.h>

START_TEST(the_directory_for_temporary_files_is_empty)
{
    ck_assert_int_eq(access("/tmp/seclude-harness-outside", F_OK), -1);
}
END_TEST

START_TEST(a_failure_shows_its_line)
{
    ck_assert_msg(getenv("SAMPLE_FAILS") == NULL, "failed as told"); /* line 14 */
}
END_TEST

START_TEST(this_one_runs_last)
{
    puts("the last test ran");
    fflush(stdout);
}
END_TEST

int main(int argc, char **argv)
{
    (void)argc;
    seclude_test_main(argv);
    Suite *suite = suite_create("sample");
    TCase *tests = tcase_create("core");
    tcase_add_test(tests, the_directory_for_temporary_files_is_empty);
    tcase_add_test(tests, a_failure_shows_its_line);
    tcase_add_test(tests, this_one_runs_last);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures != 0;
}
