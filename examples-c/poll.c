/* Several commands at a time in one poll(2) loop without threads. Each child has a descriptor that
 * becomes readable when it has ended. The same loop reads their output. One of the commands never
 * ends by itself. */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <seclude.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { CHILDREN = 3 };

static const char *const SCRIPTS[CHILDREN] = {
    "echo quick",
    "echo slow; sleep 0.2; exit 3",
    "echo endless; while :; do sleep 1; done",
};

/* poll(2) watches two descriptors of each child, its pidfd and its output. It ignores a negative
 * descriptor. */
static void start(seclude_sandbox *sandbox, int index, seclude_child **child, struct pollfd *end,
                  struct pollfd *output)
{
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, SCRIPTS[index]);
    seclude_command_stdin(command, SECLUDE_STDIO_NULL);
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    seclude_error *err = NULL;
    if (seclude_command_spawn(command, child, &err) < 0) {
        fprintf(stderr, "%d: %s\n", index, seclude_error_message(err));
        seclude_error_free(err);
    }
    seclude_command_free(command);
    *end = (struct pollfd){.fd = *child ? seclude_child_pidfd(*child) : -1, .events = POLLIN};
    *output =
        (struct pollfd){.fd = *child ? seclude_child_take_stdout(*child) : -1, .events = POLLIN};
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_wall_time(sandbox, 500);

    seclude_child *children[CHILDREN];
    struct pollfd watched[2 * CHILDREN];
    int open = 0, started = 0;
    for (int index = 0; index < CHILDREN; index++) {
        start(sandbox, index, &children[index], &watched[2 * index], &watched[2 * index + 1]);
        started += children[index] != NULL;
        open += 2 * (children[index] != NULL);
    }

    while (open > 0 && poll(watched, 2 * CHILDREN, -1) > 0) {
        for (int index = 0; index < CHILDREN; index++) {
            struct pollfd *end = &watched[2 * index], *output = &watched[2 * index + 1];
            if (output->fd >= 0 && output->revents) {
                char text[256];
                ssize_t length = read(output->fd, text, sizeof text);
                if (length > 0) {
                    printf("%d wrote: %.*s", index, (int)length, text);
                } else {
                    close(output->fd);
                    output->fd = -1;
                    open--;
                }
            }
            if (end->fd >= 0 && end->revents) {
                seclude_outcome outcome;
                if (seclude_child_wait(children[index], &outcome, sizeof outcome, NULL) == 0)
                    printf("%d ended: %s %d, %.0f ms\n", index, seclude_ended_name(outcome.ended),
                           outcome.value, (double)outcome.wall_ns / 1e6);
                end->fd = -1; /* borrowed: not closed, only ignored from now on */
                open--;
            }
        }
    }

    for (int index = 0; index < CHILDREN; index++)
        seclude_child_free(children[index]);
    seclude_sandbox_free(sandbox);
    return started != CHILDREN;
}
