/* A directory that a program may change at will. The first time, nothing is kept of that. The
 * second time, the changes are kept beside the directory, which stays as it was. */
#define _POSIX_C_SOURCE 200809L
#include <seclude.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Runs a script in /work: the directory `layer`, with its changes in `kept`, or in memory. */
static int change(const char *layer, const char *kept, const char *script)
{
    const char *layers[] = {layer, NULL};
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_overlay(sandbox, layers, "/work", kept, 0, 0);
    /* Inside, root owns what the caller owns. It has no privilege. */
    seclude_sandbox_uid(sandbox, 0);
    seclude_sandbox_gid(sandbox, 0);
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    const char *const words[] = {"-c", script, NULL};
    seclude_command_args(command, words);
    seclude_command_cwd(command, "/work");
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    int code = seclude_command_output(command, &output, &err);
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    else
        printf("%s", seclude_output_stdout(output, NULL));
    seclude_error_free(err);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    return code;
}

int main(void)
{
    char place[] = "/tmp/seclude-overlay-XXXXXX", layer[64], kept[64], text[96], remove_all[64];
    if (!mkdtemp(place))
        return perror("mkdtemp"), 1;
    snprintf(layer, sizeof layer, "%s/layer", place);
    snprintf(kept, sizeof kept, "%s/kept", place);
    snprintf(text, sizeof text, "%s/text", layer);
    FILE *file = mkdir(layer, 0755) == 0 && mkdir(kept, 0700) == 0 ? fopen(text, "w") : NULL;
    if (!file || fputs("as it was\n", file) < 0 || fclose(file) != 0)
        return perror(text), 1;

    static const char WRITE[] = "echo changed >text; cat text";
    int code = change(layer, NULL, WRITE);                    /* changed */
    code = code < 0 ? code : change(layer, NULL, "cat text"); /* as it was */
    code = code < 0 ? code : change(layer, kept, WRITE);      /* changed */
    code = code < 0 ? code : change(layer, kept, "cat text"); /* changed */
    snprintf(remove_all, sizeof remove_all, "rm -r %s", place);
    return code < 0 || system(remove_all) != 0;
}
