/* Two programs that talk to each other: a judge that thinks of a number, and a solution that
 * guesses it. Each has its own sandbox, limits and end. Each one's standard output is the other's
 * standard input. */
#include <seclude.h>
#include <stdio.h>

static const char JUDGE[] = "secret=37 tries=0\n"
                            "while read guess; do\n"
                            "  tries=$((tries + 1))\n"
                            "  if [ $guess -lt $secret ]; then echo more\n"
                            "  elif [ $guess -gt $secret ]; then echo less\n"
                            "  else\n"
                            "    echo right; echo \"found after $tries guesses\" >&2; exit 0\n"
                            "  fi\n"
                            "done\n"
                            "echo 'gave up' >&2; exit 1\n";

static const char SOLUTION[] = "low=1 high=100\n"
                               "while :; do\n"
                               "  guess=$(((low + high) / 2)); echo $guess; read answer || exit 1\n"
                               "  case $answer in\n"
                               "  more) low=$((guess + 1));;\n"
                               "  less) high=$((guess - 1));;\n"
                               "  right) exit 0;;\n"
                               "  esac\n"
                               "done\n";

static seclude_command *command(const char *script, uint64_t memory)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_memory(sandbox, memory);
    seclude_sandbox_wall_time(sandbox, 10000);
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, script);
    seclude_sandbox_free(sandbox);
    return command;
}

int main(void)
{
    /* The interaction takes ownership of the commands. */
    seclude_interaction *interaction = seclude_interaction_new();
    int judge = seclude_interaction_add(interaction, command(JUDGE, SECLUDE_MIB(256)));
    int solution = seclude_interaction_add(interaction, command(SOLUTION, SECLUDE_MIB(64)));
    seclude_interaction_pipe(interaction, solution, 1, judge, 0);
    seclude_interaction_pipe(interaction, judge, 1, solution, 0);

    static const char *const NAMES[] = {"judge", "solution"};
    seclude_output *outputs[2];
    seclude_error *err = NULL;
    int failed = 0;
    if (seclude_interaction_output(interaction, outputs, 2, &err) < 0) {
        fprintf(stderr, "%s\n", seclude_error_message(err));
        failed = 1;
    }
    for (int index = 0; index < 2 && !failed; index++) {
        seclude_outcome outcome;
        seclude_output_outcome(outputs[index], &outcome, sizeof outcome);
        printf("%s: %s, %.1f ms of processor time\n%s", NAMES[index], outcome.text,
               (double)(outcome.user_ns + outcome.system_ns) / 1e6,
               seclude_output_stderr(outputs[index], NULL));
        failed |= !outcome.success;
    }
    for (int index = 0; index < 2; index++)
        seclude_output_free(outputs[index]);
    seclude_error_free(err);
    seclude_interaction_free(interaction);
    return failed;
}
