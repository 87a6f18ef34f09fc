/* The limits of a sandbox: one program that keeps to them, and four that exceed one each. For each,
 * prints how it ended, the limit, what it used, and which mechanism enforced the limits. */
#include <inttypes.h>
#include <seclude.h>
#include <stdio.h>

static const char *const SCRIPTS[] = {
    "echo modest; exit 0",
    "head -c 200M /dev/zero | tail -c 200M >/dev/null", /* tail keeps its input */
    "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 1 & done; wait",
    "while :; do :; done",
    "while :; do echo more and more; done",
};
static const int ENDS[] = {SECLUDE_ENDED_EXITED, SECLUDE_ENDED_MEMORY_LIMIT,
                           SECLUDE_ENDED_PROCESS_LIMIT, SECLUDE_ENDED_CPU_TIME,
                           SECLUDE_ENDED_OUTPUT_LIMIT};

static void show(const seclude_outcome *outcome)
{
    printf("%s\n", outcome->text);
    printf("  ended %s, returncode %d, limit %" PRIu64 "\n", seclude_ended_name(outcome->ended),
           outcome->returncode, outcome->limit);
    printf("  used %.0f ms of processor time in %.0f ms, at most %" PRIu64 " KiB (%s)\n",
           (double)(outcome->user_ns + outcome->system_ns) / 1e6, (double)outcome->wall_ns / 1e6,
           outcome->memory_peak / 1024, seclude_memory_source_name(outcome->memory_source));
    printf("  held:");
    for (int limit = 0; seclude_limit_name(limit); limit++)
        if (outcome->mechanisms[limit])
            printf(" %s by %s,", seclude_limit_name(limit),
                   seclude_mechanism_name(outcome->mechanisms[limit]));
    printf("\n");
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(64));
    seclude_sandbox_pids(sandbox, 16);
    /* Far more than the program that exceeds the memory limit needs, also on a slow machine. */
    seclude_sandbox_cpu_time(sandbox, 2000);
    seclude_sandbox_output(sandbox, SECLUDE_KIB(64));
    seclude_sandbox_wall_time(sandbox, 10000);
    /* Half a processor, where this host can enforce that. It takes a cgroup. Without one, the
     * programs run without this limit. */
    seclude_sandbox_cpus(sandbox, 0.5);
    seclude_sandbox_best_effort(sandbox, SECLUDE_LIMIT_CPUS);

    int unexpected = 0;
    for (size_t index = 0; index < sizeof SCRIPTS / sizeof *SCRIPTS; index++) {
        seclude_command *command = seclude_sandbox_command(sandbox, "sh");
        seclude_command_arg(command, "-c");
        seclude_command_arg(command, SCRIPTS[index]);
        seclude_output *output = NULL;
        seclude_outcome outcome = {0};
        seclude_error *err = NULL;
        if (seclude_command_output(command, &output, &err) < 0)
            fprintf(stderr, "%s\n", seclude_error_message(err));
        else if (seclude_output_outcome(output, &outcome, sizeof outcome) == 0)
            show(&outcome);
        unexpected += outcome.ended != ENDS[index];
        seclude_error_free(err);
        seclude_output_free(output);
        seclude_command_free(command);
    }
    seclude_sandbox_free(sandbox);
    return unexpected != 0;
}
