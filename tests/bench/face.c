/* Measures seclude from C: one whole run per line of input, as measure.h describes.
 *
 *     usage: face [--on template|pool|cell] MIB WARMUP PAYLOAD */
#include "measure.h"
#include <seclude.h>
#include <string.h>

static seclude_sandbox *sandbox;
static seclude_pool *pool;
static seclude_cell *cell;
static seclude_error *error;

static void must(int result) {
    if (result < 0) {
        fprintf(stderr, "%s\n", seclude_error_message(error));
        exit(1);
    }
}

static void run(void) {
    seclude_command *command = pool != NULL   ? seclude_pool_command(pool, "/payload")
                               : cell != NULL ? seclude_cell_command(cell, "/payload")
                                              : seclude_sandbox_command(sandbox, "/payload");
    seclude_outcome outcome;
    must(seclude_command_run(command, &outcome, sizeof outcome, &error));
    if (!outcome.success) {
        fprintf(stderr, "the payload returned %d\n", (int)outcome.returncode);
        exit(1);
    }
    seclude_command_free(command);
}

/* Waits until the pool is full again. */
static void settle(void) {
    seclude_statistics statistics;
    while (pool != NULL && seclude_pool_statistics(pool, &statistics, sizeof statistics) == 0 && statistics.ready < statistics.size)
        usleep(100);
}

int main(int argc, char **argv) {
    const char *ground = argc == 6 && strcmp(argv[1], "--on") == 0 ? argv[2] : "";
    argv += *ground != '\0' ? 2 : 0;
    if (argc != 4 && *ground == '\0') {
        fprintf(stderr, "usage: face [--on template|pool|cell] MIB WARMUP PAYLOAD\n");
        return 2;
    }
    sandbox = seclude_sandbox_new();
    seclude_sandbox_bind_ro(sandbox, argv[3], "/payload");
    if (strcmp(ground, "template") == 0)
        must(seclude_sandbox_prepare(sandbox, &error));
    if (strcmp(ground, "pool") == 0)
        must(seclude_sandbox_pool(sandbox, 4, 0, &pool, &error));
    if (strcmp(ground, "cell") == 0)
        must(seclude_sandbox_cell(sandbox, &cell, &error));
    return take_turns(argv[1], argv[2], run, settle);
}
