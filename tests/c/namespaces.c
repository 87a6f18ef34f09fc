/* The list of namespaces contains those of a running sandbox, with its processes, owner and
 * parents. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <stdlib.h>
#include <unistd.h>

static const size_t NONE = SIZE_MAX;

/* Returns the number that the kernel shows. */
static unsigned long long number(long pid, const char *kind)
{
    char path[64], link[64] = "";
    snprintf(path, sizeof path, "/proc/%ld/ns/%s", pid, kind);
    ssize_t length = readlink(path, link, sizeof link - 1);
    const char *start = length > 0 ? strchr(link, '[') : NULL;
    return start ? strtoull(start + 1, NULL, 10) : 0;
}

static size_t place(const seclude_namespaces *seen, unsigned long long id)
{
    for (size_t index = 0; index < seclude_namespaces_count(seen); index++) {
        if (seclude_namespaces_id(seen, index) == id)
            return index;
    }
    return NONE;
}

static void a_sandbox_is_among_them(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_command *command = seclude_sandbox_command(sandbox, "cat");
    seclude_command_stdin(command, SECLUDE_STDIO_PIPED);
    seclude_child *child = NULL;
    seclude_namespaces *seen = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    CHECK_OK(seclude_namespaces_read(&seen, &err), err);

    long pid = (long)seclude_child_pid(child);
    size_t inside = place(seen, number(pid, "pid")), user = place(seen, number(pid, "user"));
    CHECK(inside != NONE && user != NONE && user < inside);
    CHECK_INT(seclude_namespaces_kind(seen, inside), SECLUDE_NAMESPACE_PID);
    CHECK_INT(seclude_namespaces_kind(seen, user), SECLUDE_NAMESPACE_USER);
    CHECK_INT(seclude_namespaces_owner(seen, inside), number(pid, "user"));
    CHECK_INT(seclude_namespaces_parent(seen, inside), number(getpid(), "pid"));
    CHECK_INT(seclude_namespaces_parent(seen, user), number(getpid(), "user"));
    CHECK_INT(seclude_namespaces_owner_uid(seen, user), geteuid());
    CHECK_INT(seclude_namespaces_owner_uid(seen, inside), UINT32_MAX);
    CHECK_INT(seclude_namespaces_parent(seen, place(seen, number(pid, "net"))), 0);

    const seclude_processes *processes = seclude_namespaces_processes(seen, inside);
    CHECK_INT(seclude_processes_count(processes), 2);
    CHECK_INT(seclude_processes_inside_pid(processes, 0), 1);
    CHECK_INT(seclude_processes_pid(processes, 1), pid);
    CHECK_INT(seclude_processes_inside_pid(processes, 1), seclude_child_inside_pid(child));
    CHECK(seclude_namespaces_held_by(seen, inside, 0) == NULL);
    CHECK(seclude_namespaces_closed(seen) != NULL);

    seclude_namespaces_free(seen);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void nothing_is_asked_of_nothing(void)
{
    seclude_namespaces *seen = NULL;
    seclude_error *err = NULL;
    CHECK_INT(seclude_namespaces_read(NULL, NULL), SECLUDE_EINVAL);
    CHECK_OK(seclude_namespaces_read(&seen, &err), err);
    size_t end = seclude_namespaces_count(seen);
    CHECK(end >= 7);
    for (int null = 0; null < 2; null++) {
        const seclude_namespaces *one = null ? NULL : seen;
        CHECK_INT(seclude_namespaces_kind(one, end), 0);
        CHECK_INT(seclude_namespaces_id(one, end), 0);
        CHECK_INT(seclude_namespaces_owner(one, end), 0);
        CHECK_INT(seclude_namespaces_owner_uid(one, end), UINT32_MAX);
        CHECK_INT(seclude_namespaces_parent(one, end), 0);
        CHECK(seclude_namespaces_processes(one, end) == NULL);
        CHECK(seclude_namespaces_held_by(one, end, 0) == NULL);
    }
    CHECK_INT(seclude_namespaces_count(NULL), 0);
    CHECK(seclude_namespaces_closed(NULL) == NULL);
    seclude_namespaces_free(seen);
    seclude_namespaces_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(a_sandbox_is_among_them),
        TEST(nothing_is_asked_of_nothing),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
