/* Limits that end a command, usage of a running command, changes of limits, freezing, and commands
 * that talk to each other. Hosts differ in what enforces a limit, but not in what is checked
 * here. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

static seclude_command *shell(const seclude_sandbox *sandbox, const char *script)
{
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    const char *const words[] = {"-c", script, NULL};
    seclude_command_args(command, words);
    return command;
}

/* Runs a script with both streams collected. Frees the sandbox. */
static seclude_outcome outcome_of(seclude_sandbox *sandbox, const char *script, size_t *out,
                                  size_t *errors)
{
    seclude_command *command = shell(sandbox, script);
    seclude_outcome outcome = {0};
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    seclude_output_outcome(output, &outcome, sizeof outcome);
    seclude_output_stdout(output, out);
    seclude_output_stderr(output, errors);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    return outcome;
}

/* Starts a script with its input and output piped, and waits for its first line. */
static seclude_child *running(const seclude_sandbox *sandbox, const char *script)
{
    seclude_command *command = shell(sandbox, script);
    seclude_child *child = NULL;
    seclude_error *err = NULL;
    seclude_command_stdin(command, SECLUDE_STDIO_PIPED);
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    seclude_command_free(command);
    int out = seclude_child_take_stdout(child);
    char byte = 0;
    while (out >= 0 && read(out, &byte, 1) == 1 && byte != '\n')
        continue;
    CHECK(byte == '\n');
    close(out);
    return child;
}

static void memory_is_limited(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(64));
    /* tail keeps in memory what it may have to print. */
    seclude_outcome outcome =
        outcome_of(sandbox, "head -c 300M /dev/zero | tail -c 300M | wc -c", NULL, NULL);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_MEMORY_LIMIT);
    CHECK_INT(outcome.limit, SECLUDE_MIB(64));
    CHECK_INT(outcome.returncode, -9);
    CHECK_INT(outcome.success, 0);
    CHECK_TEXT(outcome.text, "stopped by the memory limit of 67108864 bytes");
    CHECK(outcome.mechanisms[SECLUDE_LIMIT_MEMORY] != 0);
    CHECK(outcome.mechanisms[SECLUDE_LIMIT_PIDS] == 0);
    CHECK(outcome.memory_peak >= SECLUDE_MIB(16) &&
          seclude_memory_source_name(outcome.memory_source) != NULL);
}

static void processes_are_limited(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_pids(sandbox, 8);
    seclude_sandbox_wall_time(sandbox, 60000);
    seclude_outcome outcome = outcome_of(
        sandbox, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 60 & done; wait", NULL, NULL);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_PROCESS_LIMIT);
    CHECK_INT(outcome.limit, 8);
    CHECK(outcome.mechanisms[SECLUDE_LIMIT_PIDS] != 0);
}

static void processor_time_is_limited(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_cpu_time(sandbox, 200);
    seclude_sandbox_wall_time(sandbox, 60000);
    seclude_outcome outcome = outcome_of(sandbox, "while :; do :; done", NULL, NULL);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_CPU_TIME);
    CHECK_INT(outcome.limit, 200 * 1000 * 1000);
    CHECK_TEXT(outcome.text, "stopped by the processor time limit of 200ms");
    CHECK(outcome.user_ns + outcome.system_ns >= UINT64_C(180000000));
}

static void output_is_cut_exactly(void)
{
    for (int errors = 0; errors < 2; errors++) {
        seclude_sandbox *sandbox = seclude_sandbox_new();
        seclude_sandbox_output(sandbox, 10000);
        size_t length[2] = {0, 0};
        seclude_outcome outcome = outcome_of(sandbox,
                                             errors ? "exec >&2; while :; do echo line; done"
                                                    : "while :; do echo line; done",
                                             &length[0], &length[1]);
        CHECK_INT(outcome.ended, SECLUDE_ENDED_OUTPUT_LIMIT);
        CHECK_INT(outcome.limit, 10000);
        CHECK_INT(length[errors], 10000);
        CHECK_INT(length[!errors], 0);
        CHECK(outcome.stdout_bytes != SECLUDE_UNKNOWN && outcome.stderr_bytes != SECLUDE_UNKNOWN);
    }
}

static void a_signal_comes_before_the_kill(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_wall_time(sandbox, 300);
    seclude_sandbox_wall_time_grace(sandbox, SIGTERM, 60000);
    seclude_outcome outcome =
        outcome_of(sandbox, "trap 'exit 5' TERM; while :; do sleep 0.05; done", NULL, NULL);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_WALL_TIME);
    CHECK_INT(outcome.returncode, -9);
    CHECK(outcome.status_known);
    CHECK_INT(outcome.status, 5);
    CHECK_INT(outcome.limit, 300 * 1000 * 1000);
}

static void a_limit_that_nobody_reaches_is_held_all_the_same(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(512));
    seclude_sandbox_pids(sandbox, 100);
    seclude_sandbox_cpu_time(sandbox, 60000);
    seclude_sandbox_output(sandbox, 1000);
    seclude_sandbox_cpus(sandbox, 1.5);
    seclude_sandbox_best_effort(sandbox, SECLUDE_LIMIT_CPUS);
    size_t length = 0;
    seclude_outcome outcome = outcome_of(sandbox, "echo out; exit 3", &length, NULL);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_EXITED);
    CHECK_INT(outcome.value, 3);
    CHECK_INT(outcome.status, 3);
    CHECK_INT(outcome.limit, 0);
    CHECK_INT(length, 4);
    CHECK_INT(outcome.stdout_bytes, 4);
    CHECK_INT(outcome.stderr_bytes, 0);
    CHECK_TEXT(outcome.text, "exited with code 3");
    for (int limit = 0; limit < 32; limit++) {
        int asked = limit == SECLUDE_LIMIT_MEMORY || limit == SECLUDE_LIMIT_PIDS ||
                    limit == SECLUDE_LIMIT_CPU_TIME || limit == SECLUDE_LIMIT_OUTPUT;
        CHECK(limit == SECLUDE_LIMIT_CPUS || asked == (outcome.mechanisms[limit] != 0));
        CHECK(outcome.mechanisms[limit] == 0 ||
              seclude_mechanism_name(outcome.mechanisms[limit]) != NULL);
    }
}

static void usage_is_told_while_it_runs_and_after(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(512));
    seclude_child *child = running(sandbox, "sleep 600 & echo up; read line; kill $!");
    seclude_outcome now, end, after;
    seclude_error *err = NULL;
    CHECK_OK(seclude_child_usage(child, &now, sizeof now, &err), err);
    CHECK_INT(now.ended, 0);
    CHECK_TEXT(now.text, "");
    CHECK_INT(now.processes, 2);
    CHECK(now.wall_ns > 0 && now.memory > 0);
    CHECK((now.enforced & SECLUDE_PROTECTION_OWN_ROOT) != 0);
    CHECK(now.mechanisms[SECLUDE_LIMIT_MEMORY] != 0);
    CHECK_INT(seclude_child_wait(child, &end, sizeof end, NULL), 0);
    CHECK_OK(seclude_child_usage(child, &after, sizeof after, &err), err);
    CHECK_INT(after.processes, 0);
    CHECK(end.wall_ns >= now.wall_ns && after.wall_ns == end.wall_ns &&
          after.memory_peak == end.memory_peak);
    seclude_child_free(child);
    seclude_sandbox_free(sandbox);
}

static void limits_change_while_it_runs(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_cpu_time(sandbox, 60000);
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(256));
    seclude_child *child = running(sandbox, "echo up; while :; do :; done");
    seclude_error *err = NULL;
    CHECK_OK(seclude_child_set_memory(child, SECLUDE_MIB(128), &err), err);
    /* The policy has no limit on processes. */
    CHECK_INT(seclude_child_set_pids(child, 5, &err), SECLUDE_EINVAL);
    CHECK(strstr(seclude_error_message(err), "pids") != NULL);
    seclude_error_free(err);
    err = NULL;
    CHECK_INT(seclude_child_set_memory(child, 0, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_set_cpus(child, 0, NULL), SECLUDE_EINVAL);
    CHECK_OK(seclude_child_set_cpu_time(child, 100, &err), err);
    seclude_outcome outcome;
    CHECK_INT(seclude_child_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_CPU_TIME);
    CHECK_INT(outcome.limit, 100 * 1000 * 1000);
    CHECK_OK(seclude_child_set_cpu_time(child, 100, &err), err); /* no effect, and no error */
    seclude_child_free(child);
    seclude_sandbox_free(sandbox);
}

static void a_frozen_command_stands_still(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_child *child = running(sandbox, "echo up; read line; exit 6");
    seclude_error *err = NULL;
    int how = 0;
    CHECK_OK(seclude_child_freeze(child, &how, &err), err);
    CHECK(seclude_freezer_name(how) != NULL);
    int in = seclude_child_take_stdin(child);
    CHECK_INT(write(in, "go\n", 3), 3);
    /* It is frozen, so it does not read. */
    CHECK_INT(seclude_child_wait_timeout(child, 100, NULL, 0, NULL), 0);
    CHECK_OK(seclude_child_thaw(child, &err), err);
    seclude_outcome outcome;
    CHECK_INT(seclude_child_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(outcome.value, 6);
    close(in);
    CHECK_OK(seclude_child_thaw(child, &err), err);
    seclude_child_free(child);

    child = running(sandbox, "echo up; read line");
    CHECK_OK(seclude_child_freeze(child, NULL, &err), err);
    CHECK_OK(seclude_child_kill(child, &err), err);
    CHECK_INT(seclude_child_wait(child, &outcome, sizeof outcome, NULL), 0);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_KILLED);
    seclude_child_free(child);
    seclude_sandbox_free(sandbox);
}

/* Connects the output of each command to the input of the other. */
static seclude_interaction *between(const seclude_sandbox *sandbox, const char *first,
                                    const char *second)
{
    seclude_interaction *interaction = seclude_interaction_new();
    CHECK_INT(seclude_interaction_add(interaction, shell(sandbox, first)), 0);
    CHECK_INT(seclude_interaction_add(interaction, shell(sandbox, second)), 1);
    seclude_interaction_pipe(interaction, 0, 1, 1, 0);
    seclude_interaction_pipe(interaction, 1, 1, 0, 0);
    return interaction;
}

static void commands_talk_and_each_has_its_end(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_wall_time(sandbox, 60000);
    seclude_interaction *interaction =
        between(sandbox, "echo 20; read answer; echo \"got $answer\" >&2; exit 4",
                "read n; echo $((n + 1))");
    for (int round = 0; round < 2; round++) { /* it can be started again */
        seclude_output *outputs[2];
        seclude_outcome outcome;
        seclude_error *err = NULL;
        CHECK_OK(seclude_interaction_output(interaction, outputs, 2, &err), err);
        CHECK_TEXT(seclude_output_stderr(outputs[0], NULL), "got 21\n");
        CHECK_TEXT(seclude_output_stdout(outputs[1], NULL), "");
        CHECK_INT(seclude_output_outcome(outputs[0], &outcome, sizeof outcome), 0);
        CHECK_INT(outcome.value, 4);
        CHECK_INT(seclude_output_outcome(outputs[1], &outcome, sizeof outcome), 0);
        CHECK_INT(outcome.success, 1);
        seclude_output_free(outputs[0]);
        seclude_output_free(outputs[1]);
    }
    seclude_interaction_free(interaction);

    /* A command that waits forever ends by its own limit. The other one then reads the end of its
     * input. */
    seclude_sandbox_wall_time(sandbox, 300);
    seclude_sandbox *patient = seclude_sandbox_new();
    interaction = seclude_interaction_new();
    CHECK_INT(seclude_interaction_add(interaction, shell(sandbox, "read line; exit 1")), 0);
    CHECK_INT(seclude_interaction_add(interaction, shell(patient, "read line || exit 9")), 1);
    seclude_interaction_pipe(interaction, 0, 1, 1, 0);
    seclude_interaction_pipe(interaction, 1, 1, 0, 0);
    seclude_child *children[2];
    seclude_outcome ends[2];
    seclude_error *err = NULL;
    CHECK_OK(seclude_interaction_spawn(interaction, children, 2, &err), err);
    seclude_interaction_free(interaction); /* the children live on */
    for (int index = 0; index < 2; index++) {
        CHECK_INT(seclude_child_wait(children[index], &ends[index], sizeof ends[index], NULL), 0);
        seclude_child_free(children[index]);
    }
    CHECK_INT(ends[0].ended, SECLUDE_ENDED_WALL_TIME);
    CHECK_INT(ends[1].value, 9);
    seclude_sandbox_free(patient);
    seclude_sandbox_free(sandbox);
}

static void one_that_cannot_start_stops_all(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_interaction *interaction = seclude_interaction_new();
    CHECK_INT(seclude_interaction_add(interaction, shell(sandbox, "read line")), 0);
    CHECK_INT(
        seclude_interaction_add(interaction, seclude_sandbox_command(sandbox, "no-such-program")),
        1);
    seclude_interaction_pipe(interaction, 1, 1, 0, 0);
    seclude_child *children[2] = {(seclude_child *)&failures, (seclude_child *)&failures};
    seclude_error *err = NULL;
    CHECK_INT(seclude_interaction_spawn(interaction, children, 2, &err), SECLUDE_EPROGRAM_MISSING);
    CHECK(children[0] == NULL && children[1] == NULL);
    seclude_error_free(err);
    seclude_interaction_free(interaction);
    seclude_sandbox_free(sandbox);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(memory_is_limited),
        TEST(processes_are_limited),
        TEST(processor_time_is_limited),
        TEST(output_is_cut_exactly),
        TEST(a_signal_comes_before_the_kill),
        TEST(a_limit_that_nobody_reaches_is_held_all_the_same),
        TEST(usage_is_told_while_it_runs_and_after),
        TEST(limits_change_while_it_runs),
        TEST(a_frozen_command_stands_still),
        TEST(commands_talk_and_each_has_its_end),
        TEST(one_that_cannot_start_stops_all),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
