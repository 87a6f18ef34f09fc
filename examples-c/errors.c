/* The parts of an error: a code to branch on, the failed step, the errno, a hint. No command of
 * this program starts. */
#include <seclude.h>
#include <stdio.h>

/* Tries to start the command, prints the error, and returns its code. */
static int fail(seclude_command *command)
{
    seclude_child *child;
    seclude_error *err = NULL;
    int code = seclude_command_spawn(command, &child, &err);
    if (code < 0) {
        const char *path = seclude_error_path(err), *hint = seclude_error_hint(err);
        printf("%s (%d)\n  step: %s\n  errno: %d\n  path: %s\n  hint: %s\n",
               seclude_error_name(err), code, seclude_error_step(err), seclude_error_errno(err),
               path ? path : "-", hint ? hint : "-");
        printf("  in one line: %s\n", seclude_error_message(err));
    }
    seclude_error_free(err);
    seclude_child_free(child);
    seclude_command_free(command);
    return code;
}

int main(void)
{
    int unexpected = 0;

    seclude_sandbox *sandbox = seclude_sandbox_new();
    unexpected +=
        fail(seclude_sandbox_command(sandbox, "no-such-program")) != SECLUDE_EPROGRAM_MISSING;
    unexpected +=
        fail(seclude_sandbox_command(sandbox, "/etc/passwd")) != SECLUDE_EPROGRAM_NOT_EXECUTABLE;
    seclude_sandbox_bind_ro(sandbox, "/no/such/directory", "/opt");
    unexpected += fail(seclude_sandbox_command(sandbox, "true")) != SECLUDE_ESOURCE_MISSING;
    seclude_sandbox_free(sandbox);

    /* A mistake in a setter sticks to the sandbox, and then to a command that is made from it. It
     * is reported when the command is started. */
    sandbox = seclude_sandbox_new();
    seclude_sandbox_hostname(sandbox, NULL);
    seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(1));
    unexpected += fail(seclude_sandbox_command(sandbox, "true")) != SECLUDE_EINVAL;
    seclude_sandbox_free(sandbox);

    /* A NULL command is an error too, and no crash. */
    unexpected += fail(NULL) != SECLUDE_EINVAL;
    return unexpected != 0;
}
