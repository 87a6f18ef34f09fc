/* System calls: a filter that kills at one call, and a filter that is learned from a run. */
#include <seclude.h>
#include <stdio.h>

static void show(const char *what, seclude_command *command)
{
    seclude_outcome outcome;
    seclude_error *err = NULL;
    if (seclude_command_run(command, &outcome, sizeof outcome, &err) < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    else
        printf("%s: %s\n", what, outcome.text);
    seclude_error_free(err);
    seclude_command_free(command);
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new(), *taught = NULL;
    seclude_seccomp *filter = seclude_seccomp_new("default");
    seclude_seccomp_rule(filter, "mkdir", SECLUDE_SECCOMP_KILL, 0);
    seclude_seccomp_rule(filter, "mkdirat", SECLUDE_SECCOMP_KILL, 0);
    seclude_sandbox_seccomp(sandbox, filter);
    seclude_seccomp_free(filter);
    seclude_command *command = seclude_sandbox_command(sandbox, "mkdir");
    seclude_command_arg(command, "/dev/shm/d");
    show("mkdir", command);
    seclude_sandbox_free(sandbox);

    sandbox = seclude_sandbox_new();
    command = seclude_sandbox_command(sandbox, "true");
    seclude_learned *learned = NULL;
    seclude_error *err = NULL;
    if (seclude_command_learn(command, &learned, NULL, 0, &err) < 0 ||
        seclude_learned_sandbox(learned, &taught, &err) < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_text *calls = seclude_learned_calls(learned);
    printf("true makes these calls:\n%s", seclude_text_string(calls));
    show("true, allowed nothing else", seclude_sandbox_command(taught, "true"));
    seclude_text_free(calls);
    seclude_error_free(err);
    seclude_learned_free(learned);
    seclude_command_free(command);
    seclude_sandbox_free(taught);
    seclude_sandbox_free(sandbox);
    return 0;
}
