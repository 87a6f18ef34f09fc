/* Files that a command leaves, collected from its output or its child. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char place[] = "/tmp/seclude-collect-XXXXXX";

/* A command in a new sandbox with an empty directory. The caller frees both. */
static seclude_command *leaves(const char *script, seclude_sandbox **sandbox)
{
    *sandbox = seclude_sandbox_new();
    seclude_sandbox_tmpfs(*sandbox, "/work", SECLUDE_MIB(1));
    seclude_command *command = seclude_sandbox_command(*sandbox, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, script);
    seclude_command_cwd(command, "/work");
    return command;
}

static void an_output_has_the_files(void)
{
    seclude_sandbox *sandbox;
    seclude_command *command =
        leaves("printf 1 >a.t; printf '2\\0002' >b.t; chmod 600 b.t; ln -s / c.t", &sandbox);
    seclude_command_collect(command, "*.t");
    seclude_command_collect(command, "/no/*");
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    const seclude_collected *files = seclude_output_files(output);
    CHECK(seclude_collected_error(files) == NULL);
    CHECK_INT(seclude_collected_count(files), 2);
    CHECK_INT(seclude_collected_entries(files), 2);
    CHECK_INT(seclude_collected_bytes(files), 4);
    CHECK_TEXT(seclude_collected_path(files, 0), "a.t");
    size_t length = 0;
    CHECK(memcmp(seclude_collected_contents(files, 1, &length), "2\0002", 4) == 0);
    CHECK_INT(length, 3);
    CHECK_TEXT(seclude_collected_contents(files, 0, NULL), "1");
    CHECK_INT(seclude_collected_permissions(files, 1), 0600);
    CHECK_INT(seclude_collected_find(files, "b.t"), 1);
    CHECK_INT(seclude_collected_find(files, "c.t"), SECLUDE_EINVAL);
    CHECK_TEXT(seclude_collected_skipped(files, 0), "c.t");
    CHECK(seclude_collected_skipped(files, 1) == NULL);
    CHECK_TEXT(seclude_collected_unmatched(files, 0), "/no/*");
    CHECK(seclude_collected_unmatched(files, 1) == NULL);
    CHECK(seclude_collected_path(files, 2) == NULL);
    CHECK(seclude_collected_contents(files, 2, &length) == NULL && length == 0);
    seclude_output_free(output);
    /* The same command can run again, but not for its outcome alone. */
    CHECK_INT(seclude_command_run(command, NULL, 0, NULL), SECLUDE_EINVAL);
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    CHECK_INT(seclude_collected_count(seclude_output_files(output)), 2);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void a_child_is_collected_after_its_end(void)
{
    seclude_sandbox *sandbox;
    seclude_command *command = leaves("mkdir d; printf 1 >d/a; printf 2 >d/b", &sandbox);
    seclude_command_collect(command, "d");
    seclude_child *child = NULL;
    seclude_collected *files = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    CHECK_OK(seclude_child_wait(child, NULL, 0, &err), err);
    char into[64], copy[96];
    snprintf(into, sizeof into, "%s/full", place);
    CHECK_INT(mkdir(into, 0755), 0);
    CHECK_INT(seclude_child_collect_to(child, place, &files, NULL), SECLUDE_EINVAL);
    CHECK(files == NULL);
    snprintf(into, sizeof into, "%s/into", place);
    snprintf(copy, sizeof copy, "%s/d/b", into);
    CHECK_OK(seclude_child_collect_to(child, into, &files, &err), err);
    CHECK_INT(seclude_collected_count(files), 0);
    CHECK_INT(seclude_collected_entries(files), 3);
    struct stat status;
    CHECK(stat(copy, &status) == 0 && status.st_size == 1 && status.st_uid == geteuid());
    seclude_collected_free(files);
    CHECK_INT(seclude_child_collect(child, &files, NULL), SECLUDE_EINVAL);
    seclude_child_free(child);
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    CHECK_INT(seclude_child_collect(child, &files, NULL), SECLUDE_EINVAL);
    CHECK_OK(seclude_child_wait(child, NULL, 0, &err), err);
    CHECK_OK(seclude_child_collect(child, &files, &err), err);
    CHECK_TEXT(seclude_collected_path(files, 1), "d/b");
    seclude_collected_free(files);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void a_bound_is_an_error_of_the_files(void)
{
    seclude_sandbox *sandbox;
    seclude_command *command = leaves("printf 12345 >a", &sandbox);
    seclude_transfer *transfer = seclude_transfer_new();
    seclude_transfer_max_bytes(transfer, 4);
    seclude_command_collect(command, "a");
    seclude_command_collect_within(command, transfer);
    seclude_transfer_free(transfer);
    seclude_output *output = NULL;
    seclude_outcome outcome;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    seclude_output_outcome(output, &outcome, sizeof outcome);
    CHECK_INT(outcome.success, 1);
    const seclude_error *why = seclude_collected_error(seclude_output_files(output));
    CHECK_INT(seclude_error_code(why), SECLUDE_EINVAL);
    CHECK_INT(seclude_error_errno(why), EFBIG);
    CHECK_INT(seclude_collected_count(seclude_output_files(output)), 0);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void mistakes_stick(void)
{
    static const char *const WRONG[] = {"", "../a", "a/**", "a[", "a/", "a\\"};
    seclude_sandbox *sandbox;
    seclude_output *output = NULL;
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
        seclude_command *command = leaves("true", &sandbox);
        seclude_command_collect(command, WRONG[i]);
        CHECK_INT(seclude_command_output(command, &output, NULL), SECLUDE_EINVAL);
        seclude_command_free(command);
        seclude_sandbox_free(sandbox);
    }
    seclude_command *command = leaves("true", &sandbox);
    seclude_command_collect(command, NULL);
    CHECK_INT(seclude_command_output(command, &output, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    command = leaves("true", &sandbox);
    seclude_command_collect_into(command, place);
    CHECK_INT(seclude_command_output(command, &output, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    seclude_command_collect(NULL, "a");
    seclude_command_collect_within(NULL, NULL);
    seclude_command_collect_into(NULL, NULL);
    seclude_collected *files = NULL;
    CHECK_INT(seclude_child_collect(NULL, &files, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_collect_to(NULL, place, &files, NULL), SECLUDE_EINVAL);
    CHECK(seclude_output_files(NULL) == NULL && seclude_collected_error(NULL) == NULL);
    CHECK_INT(seclude_collected_count(NULL), 0);
    CHECK_INT(seclude_collected_find(NULL, "a"), SECLUDE_EINVAL);
    seclude_collected_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(an_output_has_the_files),
        TEST(a_child_is_collected_after_its_end),
        TEST(a_bound_is_an_error_of_the_files),
        TEST(mistakes_stick),
    };
    if (!mkdtemp(place) || chmod(place, 0755) != 0)
        return 1;
    int result = RUN_TESTS(TESTS, argc, argv);
    char remove[64];
    snprintf(remove, sizeof remove, "rm -r %s", place);
    return system(remove) != 0 || result;
}
