/* The shortest use: run a program in the default sandbox, and print how it ended. */
#include <seclude.h>
#include <stdio.h>

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, "echo hello from user $(id -u) on $(hostname)");

    seclude_outcome outcome;
    seclude_error *err = NULL;
    int code = seclude_command_run(command, &outcome, sizeof outcome, &err);
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    else
        printf("%s %d after %.1f ms\n", seclude_ended_name(outcome.ended), outcome.value,
               (double)outcome.wall_ns / 1e6);

    seclude_error_free(err);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    return code < 0 || !outcome.success;
}
