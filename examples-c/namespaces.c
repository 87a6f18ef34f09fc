/* Prints every pid namespace that this process may see, with its parent, its owner, and the
 * processes in it by their ids outside and inside. One of them is that of a sandbox. */
#include <inttypes.h>
#include <seclude.h>
#include <stdio.h>

static void show(const seclude_namespaces *seen)
{
    for (size_t i = 0; i < seclude_namespaces_count(seen); i++) {
        if (seclude_namespaces_kind(seen, i) != SECLUDE_NAMESPACE_PID)
            continue;
        printf("pid namespace %" PRIu64 " in %" PRIu64 ", of user namespace %" PRIu64 "\n",
               seclude_namespaces_id(seen, i), seclude_namespaces_parent(seen, i),
               seclude_namespaces_owner(seen, i));
        const seclude_processes *processes = seclude_namespaces_processes(seen, i);
        for (size_t j = 0; j < seclude_processes_count(processes); j++) {
            printf("%8" PRIu32 " inside %-8" PRIu32, seclude_processes_pid(processes, j),
                   seclude_processes_inside_pid(processes, j));
            /* A name may contain any bytes. Print only those that are harmless to a terminal. */
            for (const char *byte = seclude_processes_name(processes, j); *byte; byte++)
                putchar(*byte >= ' ' && *byte < 127 ? *byte : '?');
            putchar('\n');
        }
    }
    printf("%zu processes may not be looked into\n",
           seclude_processes_count(seclude_namespaces_closed(seen)));
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_command *command = seclude_sandbox_command(sandbox, "sleep");
    seclude_command_arg(command, "1000");
    seclude_child *child = NULL;
    seclude_namespaces *seen = NULL;
    seclude_error *err = NULL;
    int good = seclude_command_spawn(command, &child, &err) >= 0 &&
               seclude_namespaces_read(&seen, &err) >= 0;
    if (good)
        show(seen);
    else
        fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_error_free(err);
    seclude_namespaces_free(seen);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    return good ? 0 : 1;
}
