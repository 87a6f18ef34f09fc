/* A cell: the steps of a build share files, and a reset removes what they left. */
#include <seclude.h>
#include <stdio.h>

static int step(const seclude_cell *cell, const char *script)
{
    seclude_command *command = seclude_cell_command(cell, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, script);
    /* One step may use only a part of what the cell may use. */
    seclude_command_memory(command, SECLUDE_MIB(64));
    seclude_outcome outcome;
    seclude_error *err = NULL;
    int code = seclude_command_run(command, &outcome, sizeof outcome, &err);
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_error_free(err);
    seclude_command_free(command);
    return code < 0 ? code : outcome.returncode;
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(64));
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(256));
    seclude_cell *cell = NULL;
    seclude_error *err = NULL;
    if (seclude_sandbox_cell(sandbox, &cell, &err) < 0) {
        fprintf(stderr, "%s\n", seclude_error_message(err));
        seclude_error_free(err);
        seclude_sandbox_free(sandbox);
        return 1;
    }
    int failed = step(cell, "echo 'what was made' > /tmp/product") != 0;
    failed |= step(cell, "cat /tmp/product") != 0;
    failed |= seclude_cell_reset(cell, NULL) < 0;
    failed |= step(cell, "test ! -e /tmp/product && echo 'nothing is left'") != 0;
    seclude_cell_free(cell);
    seclude_sandbox_free(sandbox);
    return failed;
}
