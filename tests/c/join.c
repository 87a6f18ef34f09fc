/* Commands in existing namespaces, named by process, descriptor and path, and in a published
 * cell. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static seclude_cell *inhabited(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_cell *cell = NULL;
    seclude_error *err = NULL;
    seclude_sandbox_hostname(sandbox, "inhabited");
    seclude_sandbox_wall_time(sandbox, 60000);
    CHECK_OK(seclude_sandbox_cell(sandbox, &cell, &err), err);
    seclude_sandbox_free(sandbox);
    return cell;
}

static void check_name_in(const seclude_joined *joined)
{
    seclude_command *command = seclude_joined_command(joined, "hostname");
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    size_t length = 0;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    const char *text = seclude_output_stdout(output, &length);
    CHECK(length == 10 && memcmp(text, "inhabited\n", 10) == 0);
    seclude_output_free(output);
    seclude_command_free(command);
}

static void the_namespaces_of_a_process(void)
{
    seclude_cell *cell = inhabited();
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_error *err = NULL;
    char path[64];
    CHECK(seclude_cell_pid(cell) > 1);
    snprintf(path, sizeof path, "/proc/%u/ns/uts", seclude_cell_pid(cell));
    for (int way = 0; way < 3; way++) {
        seclude_join *join = seclude_join_new();
        seclude_joined *joined = NULL;
        int expected = SECLUDE_NAMESPACE_USER | SECLUDE_NAMESPACE_UTS;
        seclude_join_process(join, seclude_cell_pid(cell));
        if (way == 0)
            expected |= SECLUDE_NAMESPACE_MOUNT | SECLUDE_NAMESPACE_PID | SECLUDE_NAMESPACE_NET |
                        SECLUDE_NAMESPACE_IPC | SECLUDE_NAMESPACE_CGROUP;
        else
            seclude_join_only(join, SECLUDE_NAMESPACE_USER);
        if (way == 1)
            seclude_join_path(join, path);
        if (way == 2) {
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            seclude_join_descriptor(join, fd);
            close(fd);
        }
        CHECK_OK(seclude_sandbox_join(sandbox, join, &joined, &err), err);
        CHECK_INT(seclude_joined_kinds(joined), expected);
        check_name_in(joined);
        seclude_joined_free(joined);
        seclude_join_free(join);
    }
    seclude_sandbox_free(sandbox);
    seclude_cell_free(cell);
}

static void what_cannot_be_joined(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_join *join = seclude_join_new();
    seclude_joined *joined = NULL;
    seclude_error *err = NULL;
    CHECK_INT(seclude_sandbox_join(sandbox, join, &joined, &err), SECLUDE_EINVAL);
    CHECK(joined == NULL);
    seclude_error_free(err);
    err = NULL;
    /* The first mistake sticks. */
    seclude_join_only(join, 1);
    seclude_join_process(join, 1);
    CHECK_INT(seclude_sandbox_join(sandbox, join, &joined, &err), SECLUDE_EINVAL);
    CHECK(strstr(seclude_error_message(err), "namespaces 0x1"));
    seclude_error_free(err);
    err = NULL;
    CHECK(seclude_join_persist(join, SECLUDE_NAMESPACE_NET, "/tmp/x", &err) < 0);
    seclude_error_free(err);
    err = NULL;
    CHECK_INT(seclude_namespace_release("/tmp", &err), SECLUDE_EINVAL);
    seclude_error_free(err);
    CHECK_INT(seclude_joined_kinds(NULL), 0);
    seclude_joined_free(NULL);
    seclude_join_free(NULL);
    seclude_join_free(join);
    seclude_sandbox_free(sandbox);
}

static void a_published_cell(void)
{
    char directory[] = "/tmp/seclude-test-XXXXXX", place[64];
    seclude_cell *cell = inhabited();
    seclude_named_cells *cells = NULL;
    seclude_joined *joined = NULL;
    seclude_error *err = NULL;
    CHECK(mkdtemp(directory) != NULL);
    snprintf(place, sizeof place, "%s/cells", directory);
    setenv("SECLUDE_CELLS", place, 1);
    CHECK_INT(seclude_cell_publish(cell, "a b", NULL), SECLUDE_EINVAL);
    CHECK_OK(seclude_cell_publish(cell, "a", &err), err);
    CHECK_OK(seclude_named_cells_read(&cells, &err), err);
    CHECK_INT(seclude_named_cells_count(cells), 1);
    CHECK_TEXT(seclude_named_cells_name(cells, 0), "a");
    CHECK_INT(seclude_named_cells_pid(cells, 0), seclude_cell_pid(cell));
    CHECK(seclude_named_cells_name(cells, 1) == NULL);
    seclude_named_cells_free(cells);
    CHECK_OK(seclude_named_cell_enter("a", &joined, &err), err);
    check_name_in(joined);
    seclude_joined_free(joined);
    seclude_cell_free(cell);
    CHECK_INT(seclude_named_cell_enter("a", &joined, NULL), SECLUDE_EINVAL);
    /* What remains is the file by which users of the directory wait for each other. */
    snprintf(place, sizeof place, "%s/cells/.lock", directory);
    CHECK(unlink(place) == 0);
    snprintf(place, sizeof place, "%s/cells", directory);
    CHECK(rmdir(place) == 0 && rmdir(directory) == 0);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(the_namespaces_of_a_process),
        TEST(what_cannot_be_joined),
        TEST(a_published_cell),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
