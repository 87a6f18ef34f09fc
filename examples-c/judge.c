/* A small contest judge: compiles and runs each submission in a sandbox of its own, and prints a
 * verdict. The first line of each submission names the expected verdict. The judge does not trust
 * what a submission says in its own favour: after each run, a watch (judge-watch.h) checks whether
 * anything got out. Exits with 0 if all verdicts are as expected. python/examples/judge.py is the
 * same program in Python, for the same submissions. */
#define _GNU_SOURCE
#include "judge-watch.h"

#include <seclude.h>
#include <sys/resource.h>

#include <signal.h>

/* The sandboxes of privileged callers share one range of host ids by default. This judge has a
 * range of its own, but nothing reserves it. */
static const uint32_t HOST_IDS = 0x71000000;

/* The result of one command. */
struct run {
    seclude_outcome outcome;
    struct bytes output, errors;
};

/* ---- running */

static struct bytes copied(const char *data, size_t length)
{
    struct bytes copy = {malloc(length + 1), length};
    need(copy.data, "memory");
    memcpy(copy.data, data, length);
    copy.data[length] = 0;
    return copy;
}

/* Runs a command and collects its output, as much as its sandbox allows. */
static struct run run_of(seclude_command *command)
{
    struct run run = {0};
    seclude_output *output;
    seclude_error *err = NULL;
    if (seclude_command_output(command, &output, &err) == 0) {
        size_t length;
        const char *data = seclude_output_stdout(output, &length);
        run.output = copied(data, length);
        data = seclude_output_stderr(output, &length);
        run.errors = copied(data, length);
        seclude_output_outcome(output, &run.outcome, sizeof run.outcome);
        seclude_output_free(output);
    } else { /* The sandbox failed, not the submission: there is no verdict. */
        fprintf(stderr, "%s\n", seclude_error_message(err));
        need(false, "judge");
    }
    seclude_command_free(command);
    return run;
}

static void run_free(struct run *run)
{
    free(run->output.data);
    free(run->errors.data);
}

/* Times are in milliseconds, sizes in bytes. */
static seclude_sandbox *sandbox_of(uint64_t memory, uint64_t cpu_time, uint64_t wall_time,
                                   uint64_t processes, uint64_t output)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_host_ids(sandbox, HOST_IDS);
    seclude_sandbox_memory(sandbox, memory);
    seclude_sandbox_cpu_time(sandbox, cpu_time);
    seclude_sandbox_wall_time(sandbox, wall_time);
    seclude_sandbox_pids(sandbox, processes);
    seclude_sandbox_output(sandbox, output);
    seclude_sandbox_rlimit(sandbox, RLIMIT_NOFILE, 64, 64);
    return sandbox;
}

/* A hostile source may attack the compiler, so it runs in a sandbox too. It returns the program
 * through its standard output. */
static struct run compile(const struct bytes *source)
{
    seclude_sandbox *sandbox = sandbox_of(SECLUDE_MIB(512), 10000, 30000, 16, SECLUDE_MIB(4));
    seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(32));
    seclude_sandbox_file(sandbox, "/judge/source.c", source->data, source->length, 0644);
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(
        command, "gcc -std=gnu11 -O2 -w -o /tmp/program /judge/source.c && cat /tmp/program");
    struct run run = run_of(command);
    seclude_sandbox_free(sandbox);
    return run;
}

/* ---- judging */

static const char SPACE[] = " \t\r\n";

static bool same_words(const struct bytes *output, const char *answer)
{
    const char *said = output->data;
    if (strlen(said) != output->length)
        return false; /* it contains a NUL */
    for (;;) {
        said += strspn(said, SPACE);
        answer += strspn(answer, SPACE);
        size_t length = strcspn(said, SPACE);
        if (length != strcspn(answer, SPACE) || strncmp(said, answer, length) != 0)
            return false;
        if (length == 0)
            return true;
        said += length;
        answer += length;
    }
}

/* Derives the verdict from the end and the output. A hostile submission writes to its standard
 * error what it tried, and with which result. */
static const char *verdict(const struct run *run, const char *answer, remark text)
{
    static const char ATTACK[] = "attack: ", SUCCEEDED[] = ": SUCCEEDED";
    bool attacked = false, succeeded = false;
    for (size_t index = 0; index < run->errors.length; index++)
        if (!run->errors.data[index])
            run->errors.data[index] = '?';
    for (char *line = run->errors.data, *next; line && *line; line = next) {
        size_t length = strcspn(line, "\n");
        next = line + length + (line[length] != 0);
        if (strncmp(line, ATTACK, strlen(ATTACK)) != 0)
            continue;
        attacked = true;
        succeeded |= memmem(line, length, SUCCEEDED, strlen(SUCCEEDED)) != NULL;
        add(text, "%.*s", (int)(length - strlen(ATTACK)), line + strlen(ATTACK));
    }
    if (succeeded)
        return "breach";
    switch (run->outcome.ended) {
    case SECLUDE_ENDED_MEMORY_LIMIT:
        return "memory limit";
    case SECLUDE_ENDED_CPU_TIME:
        /* To a contestant, waiting too long is the same as computing too long. */
    case SECLUDE_ENDED_WALL_TIME:
        return "time limit";
    case SECLUDE_ENDED_PROCESS_LIMIT:
        return "process limit";
    case SECLUDE_ENDED_OUTPUT_LIMIT:
        return "output limit";
    case SECLUDE_ENDED_SCRATCH_FULL:
        return "scratch full";
    }
    if (attacked)
        return "contained";
    if (!run->outcome.success)
        return "runtime error";
    return same_words(&run->output, answer) ? "accepted" : "wrong answer";
}

static void show(const char *name, const char *verdict, const seclude_outcome *outcome,
                 const char *text)
{
    char end[24];
    bool number =
        outcome->ended == SECLUDE_ENDED_EXITED || outcome->ended == SECLUDE_ENDED_SIGNALED;
    snprintf(end, sizeof end, number ? "%s %d" : "%s", seclude_ended_name(outcome->ended),
             outcome->value);
    printf("%-18s %-14s %-13s %5.0f ms %5.0f ms %7.1f MiB  %s\n", name, verdict, end,
           (double)outcome->wall_ns / 1e6, (double)(outcome->user_ns + outcome->system_ns) / 1e6,
           (double)outcome->memory_peak / (double)SECLUDE_MIB(1), text);
}

/* Tells the submission what to attack, because a contestant may know the machine of the judge. */
static void tell_targets(seclude_command *command, const struct watch *watch)
{
    char process[16], port[16];
    snprintf(process, sizeof process, "%d", (int)watch->process);
    snprintf(port, sizeof port, "%d", ntohs(watch->port_address.sin_port));
    seclude_command_env(command, "TARGET_PID", process);
    seclude_command_env(command, "TARGET_FILE", watch->file);
    seclude_command_env(command, "TARGET_SECRET", watch->secret_file);
    seclude_command_env(command, "TARGET_PORT", port);
    seclude_command_env(command, "TARGET_SOCKET", watch->mark);
}

/* Compiles and runs a submission, compares its output, and checks the watch. Returns true if the
 * verdict is the expected one. */
static bool judge(int directory, const char *name, struct watch *watch, const char *answer)
{
    struct bytes source = read_file(directory, name);
    const char *first = source.data + strspn(source.data, "/# "), *said = "compile error";
    bool compiled = strcmp(strrchr(name, '.'), ".c") == 0, runs = true;
    struct run run = {0};
    remark text = "";
    struct bytes program = source;
    if (compiled) {
        run = compile(&source);
        runs = run.outcome.success;
        program = run.output;
    }
    if (runs) {
        seclude_sandbox *sandbox = sandbox_of(SECLUDE_MIB(64), 1000, 3000, 24, SECLUDE_KIB(64));
        seclude_sandbox_wall_time_grace(sandbox, SIGTERM, 200);
        seclude_sandbox_tmpfs(sandbox, "/scratch", SECLUDE_MIB(1));
        seclude_sandbox_file(sandbox, "/judge/program", program.data, program.length, 0755);
        seclude_command *command =
            seclude_sandbox_command(sandbox, compiled ? "/judge/program" : "python3");
        static const char *const PYTHON[] = {"-I", "/judge/program", NULL};
        if (!compiled)
            seclude_command_args(command, PYTHON);
        seclude_command_arg(command, watch->mark);
        tell_targets(command, watch);
        int input = openat(directory, "input.txt", O_RDONLY | O_CLOEXEC);
        need(input >= 0, "input.txt");
        seclude_command_stdin(command, input);
        close(input);
        run_free(&run);
        run = run_of(command);
        seclude_sandbox_free(sandbox);
        said = verdict(&run, answer, text);
    }
    if (alarms(watch, &run.output, &run.errors, text) > 0)
        said = "breach";
    size_t length = strcspn(first, ":\n");
    bool right = strlen(said) == length && strncmp(first, said, length) == 0;
    if (!right)
        add(text, "expected: %.*s", (int)length, first);
    show(name, said, &run.outcome, text);
    run_free(&run);
    free(source.data);
    return right;
}

static int is_submission(const struct dirent *entry)
{
    const char *suffix = strrchr(entry->d_name, '.');
    return suffix && (strcmp(suffix, ".c") == 0 || strcmp(suffix, ".py") == 0);
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : "../python/examples/submissions";
    struct dirent **submissions;
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int number = scandir(path, &submissions, is_submission, alphasort);
    if (directory < 0 || number < 0) {
        fprintf(stderr, "usage: %s SUBMISSIONS-DIRECTORY\n%s: %s\n", arguments[0], path,
                strerror(errno));
        return 2;
    }

    setvbuf(stdout, NULL, _IOLBF, 0);
    int noticed = drill(), right = 0;
    printf("the watch noticed %d of %d things that the judge did to it; uid %d\n", noticed, ALARMS,
           (int)getuid());
    printf("%-18s %-14s %-13s %8s %8s %11s  %s\n", "submission", "verdict", "end", "wall", "cpu",
           "peak memory", "remark");
    struct bytes answer = read_file(directory, "answer.txt");
    struct watch watch = watch_new();
    for (int index = 0; index < number; index++) {
        right += judge(directory, submissions[index]->d_name, &watch, answer.data);
        free(submissions[index]);
    }
    watch_free(&watch);
    free(submissions);
    free(answer.data);
    close(directory);
    printf("%d of %d verdicts as expected\n", right, number);
    return number > 0 && right == number && noticed == ALARMS ? 0 : 1;
}
