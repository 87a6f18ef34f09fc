/* A policy as text: reads it from JSON (a file that the command line names, or the text below),
 * checks it, runs a command, and writes the policy as TOML. The same text works in Rust and
 * Python. */
#include <seclude.h>
#include <stdio.h>
#include <stdlib.h>

static const char POLICY[] = "{\n"
                             "  \"hostname\": \"judge\",\n"
                             "  \"wall_time\": \"2s\",\n"
                             "  \"rlimits\": {\"nofile\": 64, \"fsize\": \"1M\"},\n"
                             "  \"files\": [\n"
                             "    {\"tmpfs\": \"/tmp\", \"size\": \"64M\"},\n"
                             "    {\"file\": \"/input\", \"data\": \"6 7\\n\"}\n"
                             "  ]\n"
                             "}\n";

static char *contents(const char *path)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "r");
    if (!file)
        return perror(path), NULL;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    const char *json = argc > 1 ? contents(argv[1]) : POLICY;
    seclude_sandbox *sandbox = NULL;
    seclude_text *toml = NULL;
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    seclude_command *command = NULL;

    int code = seclude_sandbox_from_json(json, &sandbox, &err);
    if (code == 0)
        code = seclude_sandbox_check(sandbox, &err);
    if (code == 0)
        code = seclude_sandbox_to_toml(sandbox, &toml, &err);
    if (code == 0) {
        command = seclude_sandbox_command(sandbox, "sh");
        seclude_command_arg(command, "-c");
        seclude_command_arg(
            command, "read a b </input; echo $((a * b)) on $(hostname), $(ulimit -n) descriptors");
        code = seclude_command_output(command, &output, &err);
    }
    if (code == 0)
        printf("%s\nprinted: %s", seclude_text_string(toml), seclude_output_stdout(output, NULL));
    else
        fprintf(stderr, "%s\n", seclude_error_message(err));

    seclude_error_free(err);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_text_free(toml);
    seclude_sandbox_free(sandbox);
    return code < 0;
}
