/* Limits and interactions without commands that run: setting, names, mistakes, NULL. No command
 * starts, so the tests run under valgrind. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <math.h>
#include <signal.h>
#include <stdint.h>

/* Returns the message of the first mistake in `sandbox`, or "". */
static const char *complaint(const seclude_sandbox *sandbox)
{
    static char text[512];
    seclude_error *err = NULL;
    int code = seclude_sandbox_check(sandbox, &err);
    snprintf(text, sizeof text, "%s", code < 0 ? seclude_error_message(err) : "");
    seclude_error_free(err);
    return text;
}

static void names_are_those_of_every_language(void)
{
    int limit;
    for (limit = 0; seclude_limit_name(limit); limit++)
        for (int other = 0; other < limit; other++)
            CHECK(strcmp(seclude_limit_name(limit), seclude_limit_name(other)) != 0);
    CHECK(limit > SECLUDE_LIMIT_OUTPUT);
    CHECK_TEXT(seclude_limit_name(SECLUDE_LIMIT_MEMORY), "memory");
    CHECK_TEXT(seclude_limit_name(SECLUDE_LIMIT_CPU_TIME), "cpu_time");
    CHECK_TEXT(seclude_limit_name(SECLUDE_LIMIT_OUTPUT), "output");
    CHECK(seclude_limit_name(-1) == NULL);
    CHECK_TEXT(seclude_mechanism_name(SECLUDE_MECHANISM_CGROUP_V2), "cgroup-v2");
    CHECK_TEXT(seclude_mechanism_name(SECLUDE_MECHANISM_SAMPLED), "sampled");
    CHECK(seclude_mechanism_name(0) == NULL);
    CHECK_TEXT(seclude_ended_name(SECLUDE_ENDED_MEMORY_LIMIT), "memory-limit");
    CHECK_TEXT(seclude_ended_name(SECLUDE_ENDED_WARDEN_LOST), "warden-lost");
    CHECK_TEXT(seclude_memory_source_name(SECLUDE_MEMORY_LARGEST_PROCESS), "largest-process");
    CHECK(seclude_memory_source_name(0) == NULL);
    CHECK_TEXT(seclude_freezer_name(SECLUDE_FREEZER_SIGNAL), "sigstop");
    CHECK(seclude_freezer_name(4) == NULL);
    CHECK_TEXT(seclude_code_name(SECLUDE_ELIMIT_UNAVAILABLE), "limit-unavailable");
}

static void what_is_set_is_what_the_policy_says(void)
{
    static const uint32_t PROCESSORS[] = {0, 1};
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(64));
    seclude_sandbox_swap(sandbox, SECLUDE_MIB(1));
    seclude_sandbox_cpu_time(sandbox, 1500);
    seclude_sandbox_cpus(sandbox, 0.75);
    seclude_sandbox_cpu_burst(sandbox, 20);
    seclude_sandbox_cpu_weight(sandbox, 42);
    seclude_sandbox_cpu_set(sandbox, PROCESSORS, 2);
    seclude_sandbox_pids(sandbox, 33);
    seclude_sandbox_io(sandbox, "/var", 1111, SECLUDE_UNLIMITED, SECLUDE_UNLIMITED, 2222);
    seclude_sandbox_wall_time(sandbox, 2500);
    seclude_sandbox_wall_time_grace(sandbox, SIGTERM, 250);
    seclude_sandbox_output(sandbox, 7777);
    seclude_sandbox_require(sandbox, SECLUDE_LIMIT_PIDS);
    seclude_sandbox_best_effort(sandbox, SECLUDE_LIMIT_CPU_SET);
    seclude_sandbox_best_effort_isolation(sandbox, SECLUDE_ISOLATION_NAMESPACES);
    seclude_sandbox_best_effort_isolation(sandbox, SECLUDE_ISOLATION_SIGNALS);
    seclude_sandbox_cgroup(sandbox, "/sys/fs/cgroup/judges");
    CHECK_TEXT(complaint(sandbox), "");

    /* The same policy, read back from its text. */
    seclude_text *json = NULL, *again = NULL;
    seclude_error *err = NULL;
    seclude_sandbox *read = NULL;
    CHECK_OK(seclude_sandbox_to_json(sandbox, &json, &err), err);
    static const char *const SAID[] = {"\"memory\"",
                                       "\"swap\"",
                                       "\"cpu_time\"",
                                       "1.5",
                                       "\"cpus\":0.75",
                                       "\"cpu_burst\":0.02",
                                       "\"cpu_weight\":42",
                                       "\"cpu_set\":[0,1]",
                                       "\"pids\":33",
                                       "\"/var\"",
                                       "\"read_bytes\":1111",
                                       "\"write_operations\":2222",
                                       "\"wall_time\"",
                                       "2.5",
                                       "\"wall_time_grace\"",
                                       "15",
                                       "7777",
                                       "\"require\":[\"pids\"]",
                                       "\"best_effort\":[\"cpu_set\",\"namespaces\",\"signals\"]",
                                       "\"/sys/fs/cgroup/judges\""};
    for (size_t index = 0; index < sizeof SAID / sizeof *SAID; index++) {
        if (!strstr(seclude_text_string(json), SAID[index])) {
            fprintf(stderr, "the policy does not say %s: %s\n", SAID[index],
                    seclude_text_string(json));
            failures++;
        }
    }
    CHECK(strstr(seclude_text_string(json), "write_bytes") == NULL);
    CHECK_OK(seclude_sandbox_from_json(seclude_text_string(json), &read, &err), err);
    CHECK_OK(seclude_sandbox_to_json(read, &again, &err), err);
    CHECK_TEXT(seclude_text_string(again), seclude_text_string(json));
    seclude_text_free(again);
    seclude_text_free(json);
    seclude_sandbox_free(read);
    seclude_sandbox_free(sandbox);
}

static void each_mistake_names_itself(void)
{
    static const uint32_t PROCESSOR = 0;
#define REFUSED(setter, words)                              \
    do {                                                    \
        seclude_sandbox *sandbox = seclude_sandbox_new();   \
        setter;                                             \
        const char *said = complaint(sandbox);              \
        if (!*said || !strstr(said, words)) {               \
            fprintf(stderr, "%s: \"%s\"\n", #setter, said); \
            failures++;                                     \
        }                                                   \
        seclude_sandbox_free(sandbox);                      \
    } while (0)
    REFUSED(seclude_sandbox_memory(sandbox, 0), "memory");
    REFUSED(seclude_sandbox_memory(sandbox, SECLUDE_UNLIMITED), "memory");
    REFUSED(seclude_sandbox_swap(sandbox, SECLUDE_UNLIMITED), "swap");
    REFUSED(seclude_sandbox_cpu_time(sandbox, 0), "zero");
    REFUSED(seclude_sandbox_cpu_time(sandbox, UINT64_MAX), "cpu");
    REFUSED(seclude_sandbox_cpus(sandbox, 0), "cpus");
    REFUSED(seclude_sandbox_cpus(sandbox, -1), "-1");
    REFUSED(seclude_sandbox_cpus(sandbox, (double)NAN), "cpus");
    REFUSED(seclude_sandbox_cpus(sandbox, (double)INFINITY), "cpus");
    REFUSED(seclude_sandbox_cpu_weight(sandbox, 0), "weight");
    REFUSED(seclude_sandbox_cpu_weight(sandbox, 10001), "10001");
    REFUSED(seclude_sandbox_cpu_set(sandbox, &PROCESSOR, 0), "processors: none is named");
    REFUSED(seclude_sandbox_cpu_set(sandbox, NULL, 1), "processors: is NULL");
    REFUSED(seclude_sandbox_cpu_set(sandbox, &PROCESSOR, SIZE_MAX), "more than any memory");
    REFUSED(seclude_sandbox_pids(sandbox, 0), "zero");
    REFUSED(seclude_sandbox_io(sandbox, NULL, 1, 1, 1, 1), "io path: is NULL");
    REFUSED(seclude_sandbox_io(sandbox, "/", 0, 1, 1, 1), "io");
    REFUSED(seclude_sandbox_io(sandbox, "/", SECLUDE_UNLIMITED, SECLUDE_UNLIMITED,
                               SECLUDE_UNLIMITED, SECLUDE_UNLIMITED),
            "io");
    REFUSED(seclude_sandbox_output(sandbox, 0), "output");
    REFUSED(
        (seclude_sandbox_wall_time(sandbox, 1), seclude_sandbox_wall_time_grace(sandbox, 0, 100)),
        "signal");
    REFUSED(
        (seclude_sandbox_wall_time(sandbox, 1), seclude_sandbox_wall_time_grace(sandbox, 65, 100)),
        "65");
    REFUSED(seclude_sandbox_wall_time_grace(sandbox, SIGTERM, 100), "wall time");
    REFUSED(seclude_sandbox_require(sandbox, -1), "limit -1: no limit has this number");
    REFUSED(seclude_sandbox_require(sandbox, 99), "limit 99: no limit has this number");
    REFUSED(seclude_sandbox_require(sandbox, SECLUDE_LIMIT_MEMORY), "memory");
    REFUSED(seclude_sandbox_best_effort(sandbox, 99), "limit 99: no limit has this number");
    REFUSED(seclude_sandbox_best_effort_isolation(sandbox, 0), "isolation 0: no part");
    REFUSED(seclude_sandbox_best_effort_isolation(sandbox, 99), "isolation 99: no part");
    REFUSED(seclude_sandbox_best_effort_isolation(sandbox, SECLUDE_ISOLATION_FILES), "namespaces");
    REFUSED(seclude_sandbox_cgroup(sandbox, NULL), "cgroup: is NULL");
    REFUSED(seclude_sandbox_cgroup(sandbox, "here"), "absolute");
#undef REFUSED
}

static void null_is_never_a_crash(void)
{
    seclude_outcome outcome;
    seclude_sandbox_memory(NULL, 1);
    seclude_sandbox_swap(NULL, 1);
    seclude_sandbox_cpu_time(NULL, 1);
    seclude_sandbox_cpus(NULL, 1);
    seclude_sandbox_cpu_weight(NULL, 1);
    seclude_sandbox_cpu_set(NULL, NULL, 1);
    seclude_sandbox_pids(NULL, 1);
    seclude_sandbox_io(NULL, NULL, 1, 1, 1, 1);
    seclude_sandbox_wall_time_grace(NULL, 15, 1);
    seclude_sandbox_output(NULL, 1);
    seclude_sandbox_require(NULL, 0);
    seclude_sandbox_best_effort(NULL, 0);
    seclude_sandbox_best_effort_isolation(NULL, SECLUDE_ISOLATION_FILES);
    seclude_sandbox_cgroup(NULL, NULL);

    CHECK_INT(seclude_child_usage(NULL, &outcome, sizeof outcome, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_set_memory(NULL, 1, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_set_cpus(NULL, 1, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_set_cpu_time(NULL, 1, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_set_pids(NULL, 1, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_freeze(NULL, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_thaw(NULL, NULL), SECLUDE_EINVAL);

    seclude_child *children[2] = {(seclude_child *)&failures, (seclude_child *)&failures};
    seclude_output *outputs[1] = {(seclude_output *)&failures};
    seclude_interaction_free(NULL);
    seclude_interaction_pipe(NULL, 0, 1, 1, 0);
    CHECK_INT(seclude_interaction_add(NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_interaction_spawn(NULL, children, 2, NULL), SECLUDE_EINVAL);
    CHECK(children[0] == NULL && children[1] == NULL);
    CHECK_INT(seclude_interaction_output(NULL, outputs, 1, NULL), SECLUDE_EINVAL);
    CHECK(outputs[0] == NULL);
    seclude_interaction *interaction = seclude_interaction_new();
    CHECK_INT(seclude_interaction_spawn(interaction, NULL, 0, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_interaction_output(interaction, NULL, 2, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_interaction_add(interaction, NULL), SECLUDE_EINVAL);
    seclude_interaction_free(interaction);
}

static seclude_command *some_command(const char *hostname)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_hostname(sandbox, hostname);
    seclude_command *command = seclude_sandbox_command(sandbox, "true");
    seclude_sandbox_free(sandbox);
    return command;
}

/* Every command that is added is freed once, whatever the mistake. AddressSanitizer and valgrind
 * check that. */
static void a_command_is_handed_over_even_if_something_is_wrong(void)
{
    CHECK_INT(seclude_interaction_add(NULL, some_command("a")), SECLUDE_EINVAL);

    seclude_interaction *interaction = seclude_interaction_new();
    CHECK_INT(seclude_interaction_add(interaction, some_command("a")), 0);
    CHECK_INT(seclude_interaction_add(interaction, some_command("b")), 1);
    CHECK_INT(seclude_interaction_add(interaction, some_command(NULL)), SECLUDE_EINVAL);
    CHECK_INT(seclude_interaction_add(interaction, some_command("c")), SECLUDE_EINVAL);
    seclude_child *children[2];
    seclude_error *err = NULL;
    CHECK_INT(seclude_interaction_spawn(interaction, children, 2, &err), SECLUDE_EINVAL);
    CHECK_TEXT(seclude_error_message(err), "hostname: is NULL");
    seclude_error_free(err);
    seclude_interaction_free(interaction);
}

static void each_mistake_in_an_interaction_names_itself(void)
{
#define REFUSED(room, change, words)                                                             \
    do {                                                                                         \
        seclude_interaction *interaction = seclude_interaction_new();                            \
        seclude_child *children[3] = {NULL, NULL, NULL};                                         \
        seclude_error *err = NULL;                                                               \
        CHECK_INT(seclude_interaction_add(interaction, some_command("a")), 0);                   \
        CHECK_INT(seclude_interaction_add(interaction, some_command("b")), 1);                   \
        change;                                                                                  \
        CHECK_INT(seclude_interaction_spawn(interaction, children, room, &err), SECLUDE_EINVAL); \
        if (!strstr(seclude_error_message(err), words)) {                                        \
            fprintf(stderr, "%s: %s\n", #change, seclude_error_message(err));                    \
            failures++;                                                                          \
        }                                                                                        \
        CHECK(children[0] == NULL);                                                              \
        seclude_error_free(err);                                                                 \
        seclude_interaction_free(interaction);                                                   \
    } while (0)
    REFUSED(3, seclude_interaction_pipe(interaction, 0, 1, 1, 0),
            "room for 3, and there are 2 commands");
    REFUSED(1, seclude_interaction_pipe(interaction, 0, 1, 1, 0), "room for 1");
    REFUSED(2, seclude_interaction_pipe(interaction, 2, 1, 1, 0),
            "command 2: no command has this number");
    REFUSED(2, seclude_interaction_pipe(interaction, 0, 1, -1, 0),
            "command -1: no command has this number");
    REFUSED(2, seclude_interaction_pipe(interaction, 0, -1, 1, 0), "-1");
    REFUSED(2,
            (seclude_interaction_pipe(interaction, 0, 1, 1, 0),
             seclude_interaction_pipe(interaction, 0, 1, 1, 3)),
            "1");
#undef REFUSED
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(names_are_those_of_every_language),
        TEST(what_is_set_is_what_the_policy_says),
        TEST(each_mistake_names_itself),
        TEST(null_is_never_a_crash),
        TEST(a_command_is_handed_over_even_if_something_is_wrong),
        TEST(each_mistake_in_an_interaction_names_itself),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
