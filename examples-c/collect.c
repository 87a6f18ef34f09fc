/* Takes the files that a program leaves, by pattern, once it has ended. */
#include <seclude.h>
#include <stdio.h>

static int failed(seclude_error *err)
{
    fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_error_free(err);
    return 1;
}

static int show(const seclude_collected *files)
{
    if (seclude_collected_error(files)) {
        fprintf(stderr, "%s\n", seclude_error_message(seclude_collected_error(files)));
        return 1;
    }
    for (size_t i = 0; i < seclude_collected_count(files); i++) {
        size_t length;
        const char *contents = seclude_collected_contents(files, i, &length);
        printf("%s, %zu bytes: %s", seclude_collected_path(files, i), length, contents);
    }
    for (size_t i = 0; seclude_collected_skipped(files, i); i++)
        printf("left out %s\n", seclude_collected_skipped(files, i));
    return 0;
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_tmpfs(sandbox, "/work", SECLUDE_MIB(16));
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, "mkdir out; echo 42 >out/answer; ln -s /etc/passwd out/link");
    seclude_command_cwd(command, "/work");
    seclude_command_collect(command, "out/*");

    seclude_output *output = NULL;
    seclude_error *err = NULL;
    int code = seclude_command_output(command, &output, &err);
    code = code < 0 ? failed(err) : show(seclude_output_files(output));

    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    return code;
}
