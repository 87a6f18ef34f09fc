/* Copies into and out of a running sandbox, and out of a directory with hostile contents. No link
 * is followed. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char place[] = "/tmp/seclude-transfer-XXXXXX";

static char *at(const char *name)
{
    static char paths[8][256];
    static int next;
    next = (next + 1) % 8;
    snprintf(paths[next], sizeof paths[next], "%s/%s", place, name);
    return paths[next];
}

static void text_to(const char *name, const char *text)
{
    FILE *file = fopen(at(name), "w");
    CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void links_are_refused_or_left_out(void)
{
    seclude_transfer *transfer = seclude_transfer_new();
    seclude_copied copied = {0};
    seclude_error *err = NULL;
    CHECK_INT(mkdir(at("base"), 0755), 0);
    text_to("base/file", "text");
    CHECK_OK(seclude_transfer_copy(transfer, place, "base", at("to"), &copied, sizeof copied, &err),
             err);
    CHECK_INT(copied.entries, 2);
    CHECK_INT(copied.bytes, 4);
    CHECK_INT(symlink("/etc/passwd", at("base/link")), 0);
    CHECK_INT(seclude_transfer_copy(transfer, place, "base", at("again"), NULL, 0, NULL),
              SECLUDE_EINVAL);
    CHECK_INT(access(at("again"), F_OK), -1);
    CHECK(seclude_transfer_copy(transfer, place, "base/link/x", at("again"), NULL, 0, NULL) < 0);
    seclude_transfer_skip_special(transfer);
    CHECK_OK(
        seclude_transfer_copy(transfer, place, "base", at("again"), &copied, sizeof copied, &err),
        err);
    CHECK_INT(copied.skipped, 1);
    seclude_transfer_max_bytes(transfer, 3);
    CHECK(seclude_transfer_copy(transfer, place, "base/file", at("large"), NULL, 0, &err) < 0);
    CHECK_INT(seclude_error_errno(err), EFBIG);
    seclude_error_free(err);
    seclude_transfer_max_entries(transfer, 0);
    CHECK(seclude_transfer_copy(transfer, place, "base", at("large"), NULL, 0, NULL) < 0);
    CHECK_INT(seclude_transfer_copy(NULL, place, "base", at("none"), NULL, 0, NULL),
              SECLUDE_EINVAL);
    CHECK_INT(seclude_transfer_copy(transfer, NULL, "base", at("none"), NULL, 0, NULL),
              SECLUDE_EINVAL);
    CHECK_INT(seclude_child_copy_out(NULL, "/a", at("none"), transfer, NULL, 0, NULL),
              SECLUDE_EINVAL);
    seclude_transfer_free(transfer);
    seclude_transfer_free(NULL);
}

static int count(uint64_t entries, uint64_t bytes, void *data)
{
    uint64_t *seen = data;
    seen[0]++;
    seen[1] = entries;
    seen[2] = bytes;
    return seen[0] == seen[3];
}

static void links_are_kept_and_the_progress_is_told(void)
{
    seclude_transfer *transfer = seclude_transfer_new();
    seclude_copied copied = {0};
    seclude_error *err = NULL;
    struct stat first, second;
    uint64_t seen[4] = {0};
    CHECK_INT(mkdir(at("tree"), 0755), 0);
    text_to("tree/file", "text");
    CHECK_INT(link(at("tree/file"), at("tree/other")), 0);
    CHECK_INT(symlink("nowhere", at("tree/link")), 0);
    seclude_transfer_archive(transfer);
    seclude_transfer_progress(transfer, count, seen);
    CHECK_OK(seclude_transfer_copy(transfer, place, "tree", at("kept"), &copied, sizeof copied,
                                   &err),
             err);
    CHECK_INT(copied.entries, 4);
    CHECK_INT(copied.bytes, 4);
    CHECK(seen[0] >= 2);
    CHECK_INT(seen[1], 4);
    CHECK_INT(seen[2], 4);
    CHECK(lstat(at("kept/link"), &first) == 0 && S_ISLNK(first.st_mode));
    CHECK(stat(at("kept/file"), &first) == 0 && stat(at("kept/other"), &second) == 0);
    CHECK(first.st_ino == second.st_ino && first.st_nlink == 2);
    for (seen[3] = 1; seen[3] <= 2; seen[3]++) {
        seen[0] = 0;
        CHECK(seclude_transfer_copy(transfer, place, "tree", at("none"), NULL, 0, &err) < 0);
        CHECK_INT(seclude_error_errno(err), ECANCELED);
        CHECK_INT(access(at("none"), F_OK), -1);
        seclude_error_free(err);
    }
    seclude_transfer_progress(transfer, NULL, NULL);
    CHECK_INT(seclude_transfer_copy(transfer, place, "tree", at("none"), NULL, 0, NULL),
              SECLUDE_EINVAL);
    seclude_transfer_free(transfer);
}

static void in_and_out_while_it_runs(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(1));
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    const char *const words[] = {
        "-c", "read go; cat /tmp/data > /tmp/result; rm /tmp/data; echo; read end", NULL};
    seclude_command_args(command, words);
    seclude_command_stdin(command, SECLUDE_STDIO_PIPED);
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    seclude_transfer *transfer = seclude_transfer_new();
    seclude_child *child = NULL;
    seclude_copied copied = {0};
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    text_to("data", "6 7");
    CHECK_OK(seclude_child_copy_in(child, at("data"), "/tmp/data", transfer, &copied, sizeof copied,
                                   &err),
             err);
    CHECK_INT(copied.bytes, 3);
    int in = seclude_child_take_stdin(child), out = seclude_child_take_stdout(child);
    char byte = 0;
    CHECK(write(in, "\n", 1) == 1 && read(out, &byte, 1) == 1);
    CHECK_OK(seclude_child_copy_out(child, "/tmp/result", at("result"), transfer, &copied,
                                    sizeof copied, &err),
             err);
    CHECK_INT(copied.bytes, 3);
    close(in);
    close(out);
    CHECK_OK(seclude_child_wait(child, NULL, 0, &err), err);
    CHECK_INT(seclude_child_copy_out(child, "/tmp/result", at("late"), transfer, NULL, 0, NULL),
              SECLUDE_EINVAL);
    seclude_transfer_free(transfer);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(links_are_refused_or_left_out),
        TEST(links_are_kept_and_the_progress_is_told),
        TEST(in_and_out_while_it_runs),
    };
    if (!mkdtemp(place) || chmod(place, 0755) != 0)
        return 1;
    int result = RUN_TESTS(TESTS, argc, argv);
    char remove[64];
    snprintf(remove, sizeof remove, "rm -r %s", place);
    return system(remove) != 0 || result;
}
