/* Measures seclude from C: one whole run per line of input, as measure.h says.
 *
 * usage: face MIB WARMUP PAYLOAD */
#include "measure.h"
#include <seclude.h>

static seclude_sandbox *sandbox;

static void run(void) {
    seclude_command *command = seclude_sandbox_command(sandbox, "/payload");
    seclude_outcome outcome;
    seclude_error *error = NULL;
    if (seclude_command_run(command, &outcome, sizeof outcome, &error) < 0) {
        fprintf(stderr, "%s\n", seclude_error_message(error));
        exit(1);
    }
    if (!outcome.success) {
        fprintf(stderr, "the payload returned %d\n", (int)outcome.returncode);
        exit(1);
    }
    seclude_command_free(command);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s MIB WARMUP PAYLOAD\n", argv[0]);
        return 2;
    }
    sandbox = seclude_sandbox_new();
    seclude_sandbox_bind_ro(sandbox, argv[3], "/payload");
    return take_turns(argv[1], argv[2], run);
}
