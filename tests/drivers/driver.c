/* The driver of the C face: does one job (tests/src/job.rs) with seclude.h and writes the result.
 *
 * Usage: driver JOB RESULT. tests/src/bin/driver.rs and driver.py do the same. A job consists of
 * lines `key value...`, with %XX for special characters. C strings contain no NUL, so no job for
 * this driver does. An invalid job ends the program. It is one file of more than 400 lines, so that
 * one call of the compiler builds it. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <seclude.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "members.h"
#include "told.h"

#define LINES 4096

/* The job. */

struct line {
    char *key;
    char *value[3];
    size_t length[3];
};

static struct line lines[LINES];
static size_t line_count;

static void fail(const char *what)
{
    fprintf(stderr, "driver: %s: %s\n", what, strerror(errno));
    exit(3);
}

/* Decodes in place and returns the new length. */
static size_t unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '%') {
            const char digits[3] = {from[1], from[2], 0};
            *to++ = (char)strtol(digits, NULL, 16);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
    return (size_t)(to - text);
}

static void read_job(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    if (!file)
        fail(path);
    while ((length = getline(&text, &room, file)) > 0) {
        struct line *line = &lines[line_count++];
        char *rest = text;
        if (line_count == LINES)
            fail("too many lines");
        if (text[length - 1] == '\n')
            text[length - 1] = 0;
        line->key = strdup(strsep(&rest, " "));
        for (int i = 0; i < 3 && rest; i++) {
            line->value[i] = strdup(strsep(&rest, " "));
            line->length[i] = unescape(line->value[i]);
        }
    }
    free(text);
    fclose(file);
}

static const struct line *find(const char *key)
{
    for (size_t i = 0; i < line_count; i++)
        if (!strcmp(lines[i].key, key))
            return &lines[i];
    return NULL;
}

/* Makes the network of the job and its further members. */
static int join_network(seclude_sandbox *sandbox, seclude_error **error)
{
    const char *subnets[SUBNETS + 1] = {NULL};
    size_t count = 0;
    if (!find("network"))
        return 0;
    for (size_t i = 0; i < line_count; i++)
        if (!strcmp(lines[i].key, "subnet") && count < SUBNETS)
            subnets[count++] = lines[i].value[0];
    int code = make_network(sandbox, count ? subnets : NULL, error);
    for (size_t i = 0; i < line_count && code == 0 && member_count < MEMBERS; i++) {
        const char *words[16] = {NULL};
        if (strcmp(lines[i].key, "member"))
            continue;
        for (size_t j = 0; j < 15 && i + 1 + j < line_count; j++) {
            if (strcmp(lines[i + 1 + j].key, "member-arg"))
                break;
            words[j] = lines[i + 1 + j].value[0];
        }
        code = start_member(lines[i].value[0], words, error);
    }
    return code;
}

static int acts(const char *name)
{
    return !strcmp(find("action")->value[0], name);
}

/* The command. */

static int open_file(const char *path, int writing)
{
    int fd = open(path, writing ? O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC : O_RDONLY | O_CLOEXEC, 0666);
    if (fd < 0)
        fail(path);
    return fd;
}

static int stream_of(const char *key, int writing)
{
    const struct line *line = find(key);
    if (!strcmp(line->value[0], "inherit"))
        return SECLUDE_STDIO_INHERIT;
    if (!strcmp(line->value[0], "null"))
        return SECLUDE_STDIO_NULL;
    if (!strcmp(line->value[0], "piped"))
        return SECLUDE_STDIO_PIPED;
    if (!strcmp(line->value[0], "pty"))
        return SECLUDE_STDIO_PTY;
    return open_file(line->value[1], writing);
}

/* Where the command runs, from SECLUDE_TEST_GROUND. */
static seclude_cell *cell;
static seclude_pool *pool;
static seclude_joined *joined;

/* Joins all namespaces of a cell of the policy, or enters the cell by its name. */
static int come_in(const seclude_sandbox *sandbox, seclude_cell **home, seclude_error **error)
{
    seclude_join *join = seclude_join_new();
    seclude_sandbox *other = seclude_sandbox_new();
    int code = seclude_sandbox_cell(sandbox, home, error);
    if (code == 0 && acts("enter"))
        code = seclude_cell_publish(*home, "driver", error);
    if (code == 0 && acts("enter"))
        code = seclude_named_cell_enter("driver", &joined, error);
    if (code == 0 && acts("join")) {
        seclude_join_process(join, seclude_cell_pid(*home));
        code = seclude_sandbox_join(other, join, &joined, error);
    }
    seclude_sandbox_free(other);
    seclude_join_free(join);
    return code;
}

static int choose_ground(const seclude_sandbox *sandbox, seclude_error **error)
{
    const char *ground = acts("reset") ? "cell" : getenv("SECLUDE_TEST_GROUND");
    if (ground && !strcmp(ground, "cell"))
        return seclude_sandbox_cell(sandbox, &cell, error);
    if (ground && !strcmp(ground, "pool"))
        return seclude_sandbox_pool(sandbox, 1, 0, &pool, error);
    if (ground && !strcmp(ground, "prepared"))
        return seclude_sandbox_prepare(sandbox, error);
    return 0;
}

/* Sets an attribute of the command's process: numbers, separated by commas. */
static void set_process(seclude_command *command, const struct line *line)
{
    const char *name = line->value[0];
    uint32_t numbers[128] = {0};
    size_t count = 0;
    for (char *rest = line->value[1], *end; *rest; rest = *end ? end + 1 : end) {
        if (count == sizeof numbers / sizeof *numbers)
            fail("too many numbers");
        numbers[count++] = (uint32_t)strtoll(rest, &end, 10);
    }
    if (!strcmp(name, "umask"))
        seclude_command_umask(command, numbers[0]);
    else if (!strcmp(name, "process_group"))
        seclude_command_process_group(command, (int)numbers[0]);
    else if (!strcmp(name, "uid"))
        seclude_command_uid(command, numbers[0]);
    else if (!strcmp(name, "gid"))
        seclude_command_gid(command, numbers[0]);
    else if (!strcmp(name, "groups"))
        seclude_command_groups(command, count ? numbers : NULL, count);
    else if (!strcmp(name, "ignore_signals"))
        for (size_t i = 0; i < count; i++)
            seclude_command_ignore_signal(command, (int)numbers[i]);
    else if (!strcmp(name, "inherit_ignored_signals")) {
        signal(SIGPIPE, SIG_IGN);
        seclude_command_inherit_ignored_signals(command);
    } else {
        errno = EINVAL;
        fail(name);
    }
}

static seclude_command *command_of(const seclude_sandbox *sandbox)
{
    const char *program = find("program")->value[0];
    seclude_command *command = cell ? seclude_cell_command(cell, program)
                             : pool ? seclude_pool_command(pool, program)
                             : joined ? seclude_joined_command(joined, program)
                                      : seclude_sandbox_command(sandbox, program);
    for (size_t i = 0; i < line_count; i++) {
        const char *key = lines[i].key;
        char *const *value = lines[i].value;
        if (!strcmp(key, "arg"))
            seclude_command_arg(command, value[0]);
        else if (!strcmp(key, "arg0"))
            seclude_command_arg0(command, value[0]);
        else if (!strcmp(key, "env-clear"))
            seclude_command_env_clear(command);
        else if (!strcmp(key, "env-remove"))
            seclude_command_env_remove(command, value[0]);
        else if (!strcmp(key, "env"))
            seclude_command_env(command, value[0], value[1]);
        else if (!strcmp(key, "directory"))
            seclude_command_cwd(command, value[0]);
        else if (!strcmp(key, "collect"))
            seclude_command_collect(command, value[0]);
        else if (!strcmp(key, "wall-ms"))
            seclude_command_wall_time(command, strtoull(value[0], NULL, 10));
        else if (!strcmp(key, "share")) {
            uint64_t share = strtoull(value[1], NULL, 10);
            if (!strcmp(value[0], "memory"))
                seclude_command_memory(command, share);
            else if (!strcmp(value[0], "cpu_time"))
                seclude_command_cpu_time(command, share);
            else
                seclude_command_pids(command, share);
        } else if (!strcmp(key, "process"))
            set_process(command, &lines[i]);
        else if (!strcmp(key, "window"))
            seclude_command_window_size(command, (uint16_t)atoi(value[0]), (uint16_t)atoi(value[1]));
        else if (!strcmp(key, "fd"))
            seclude_command_fd(command, (int)strtol(value[0], NULL, 10), open_file(value[2], !strcmp(value[1], "write")));
    }
    const struct line *bounds = find("collect-bounds");
    if (bounds) {
        seclude_transfer *transfer = seclude_transfer_new();
        seclude_transfer_max_bytes(transfer, strtoull(bounds->value[0], NULL, 10));
        seclude_transfer_max_entries(transfer, strtoull(bounds->value[1], NULL, 10));
        seclude_transfer_skip_special(transfer);
        seclude_command_collect_within(command, transfer);
        seclude_transfer_free(transfer);
    }
    seclude_command_stdin(command, stream_of("stdin", 0));
    seclude_command_stdout(command, stream_of("stdout", 1));
    seclude_command_stderr(command, stream_of("stderr", 1));
    return command;
}

/* Reads the first line that the command writes, byte by byte, because wait_with_output needs the
 * rest. */
static size_t first_line(int fd, char *text, size_t room)
{
    size_t length = 0;
    while (length < room && read(fd, text + length, 1) == 1)
        if (text[length++] == '\n')
            break;
    return length;
}

static void write_input(int fd)
{
    const struct line *line = find("stdin");
    if (fd >= 0 && line->length[1] > 0 && write(fd, line->value[1], line->length[1]) < 0 && errno != EPIPE)
        fail("write the input");
}

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "driver: %s\n", what);
        exit(4);
    }
}

/* The actions. */

static int change(seclude_child *child, seclude_error **error)
{
    int code = 0;
    for (size_t i = 0; i < line_count && code == 0; i++) {
        const char *name = lines[i].value[0];
        if (strcmp(lines[i].key, "set"))
            continue;
        const double value = strtod(lines[i].value[1], NULL);
        if (!strcmp(name, "memory"))
            code = seclude_child_set_memory(child, (uint64_t)value, error);
        else if (!strcmp(name, "cpus"))
            code = seclude_child_set_cpus(child, value, error);
        else if (!strcmp(name, "cpu_time"))
            code = seclude_child_set_cpu_time(child, (uint64_t)(value * 1000), error);
        else if (!strcmp(name, "pids"))
            code = seclude_child_set_pids(child, (uint64_t)value, error);
        else
            must(0, "no such limit can be changed");
    }
    return code;
}

static int freeze(seclude_child *child, seclude_error **error)
{
    int how;
    if (seclude_child_freeze(child, &how, error) < 0)
        return -1;
    tell_text("freezer", seclude_freezer_name(how));
    if (acts("wait-frozen"))
        return 0;
    must(seclude_child_wait_timeout(child, 50, NULL, 0, NULL) == 0, "it is frozen");
    return acts("freeze") ? seclude_child_thaw(child, error) : seclude_child_kill(child, error);
}

static int tell_child(seclude_child *child, int report, seclude_error **error)
{
    static char text[1 << 20];
    size_t length = 0, rest;
    ssize_t count;
    seclude_outcome outcome, again;
    seclude_output *output = NULL;
    const char *data;
    int in = seclude_child_take_stdin(child), out = -1;
    const int terminal = seclude_child_take_terminal(child);
    const int watched = acts("kill") || acts("terminate") || acts("processes") || acts("usage") || acts("change") || acts("freeze") ||
                        acts("kill-frozen") || acts("wait-frozen");

    write_input(in >= 0 ? in : terminal);
    if (watched || acts("try-wait"))
        out = seclude_child_take_stdout(child);
    else if (terminal >= 0 && (out = seclude_child_take_stdout(child)) < 0)
        out = terminal;
    if (watched)
        length = first_line(out, text, sizeof text);
    if (acts("processes")) {
        seclude_processes *list;
        char shown[4096] = "";
        if (seclude_child_processes(child, &list, error) < 0)
            return -1;
        for (size_t i = 0; i < seclude_processes_count(list); i++) {
            size_t end = strlen(shown);
            end += (size_t)snprintf(shown + end, sizeof shown - end, "%u %s", seclude_processes_inside_pid(list, i), seclude_processes_name(list, i));
            for (size_t j = 0; seclude_processes_argument(list, i, j); j++)
                end += (size_t)snprintf(shown + end, sizeof shown - end, " %s", seclude_processes_argument(list, i, j));
            strcat(shown, "\n");
        }
        seclude_processes_free(list);
        tell_text("processes", shown);
    }
    if (acts("usage")) {
        if (seclude_child_usage(child, &outcome, sizeof outcome, error) < 0)
            return -1;
        tell_usage(&outcome);
    }
    if (acts("change") && change(child, error) < 0)
        return -1;
    if ((acts("freeze") || acts("kill-frozen") || acts("wait-frozen")) && freeze(child, error) < 0)
        return -1;
    if ((acts("kill") || acts("processes") || acts("usage")) && seclude_child_kill(child, error) < 0)
        return -1;
    if (acts("terminate") && seclude_child_signal(child, SIGTERM, error) < 0)
        return -1;
    if (acts("try-wait"))
        must(seclude_child_try_wait(child, NULL, 0, NULL) == 0, "it waits for its input");
    if (acts("wait-timeout"))
        must(seclude_child_wait_timeout(child, 50, NULL, 0, NULL) == 0, "it waits for its input");
    if (in >= 0)
        close(in);
    if (out >= 0) {
        while (length < sizeof text && (count = read(out, text + length, sizeof text - length)) > 0)
            length += (size_t)count;
        close(out);
    }
    if (acts("try-wait")) {
        must(seclude_child_wait(child, &outcome, sizeof outcome, NULL) == 0, "it ends");
        must(seclude_child_try_wait(child, &again, sizeof again, NULL) == 1, "the answer stays");
        must(outcome.ended == again.ended && outcome.value == again.value, "the answer stays");
    }
    const int collected = seclude_child_wait_with_output(child, &output, error);
    /* Not earlier: closing the terminal would hang up on a command that is about to end. */
    if (terminal >= 0 && terminal != out)
        close(terminal);
    if (collected < 0)
        return -1;
    if (report) {
        seclude_output_outcome(output, &outcome, sizeof outcome);
        tell_outcome(&outcome);
        /* Some actions have already reported the usage of the running command instead. */
        if (!acts("usage"))
            tell_usage(&outcome);
        data = seclude_output_stdout(output, &rest);
        if (out >= 0)
            tell("stdout", text, length);
        else
            tell("stdout", data ? data : "", data ? rest : 0);
        data = seclude_output_stderr(output, &rest);
        tell("stderr", data ? data : "", data ? rest : 0);
        if (find("collect"))
            tell_collected(seclude_output_files(output));
        tell_egress(child);
    }
    seclude_output_free(output);
    return 0;
}

static int run(seclude_command *command, int report, seclude_error **error)
{
    seclude_child *child = NULL;
    int code = seclude_command_spawn(command, &child, error);
    if (code == 0)
        code = tell_child(child, report, error);
    seclude_child_free(child);
    return code;
}

static int tell_policy(seclude_sandbox **sandbox, int over_toml, seclude_error **error)
{
    seclude_text *text = NULL;
    int code = 0;
    if (over_toml) {
        code = seclude_sandbox_to_toml(*sandbox, &text, error);
        seclude_sandbox_free(*sandbox);
        *sandbox = NULL;
        if (code == 0)
            code = seclude_sandbox_from_toml(seclude_text_string(text), sandbox, error);
        seclude_text_free(text);
        text = NULL;
    }
    if (code == 0)
        code = seclude_sandbox_to_json(*sandbox, &text, error);
    if (code == 0)
        tell("stdout", seclude_text_string(text), seclude_text_length(text));
    seclude_text_free(text);
    return code;
}

int main(int count, char **words)
{
    seclude_sandbox *sandbox = NULL;
    seclude_error *error = NULL;
    seclude_cell *home = NULL;
    int code;

    if (count != 3) {
        fprintf(stderr, "usage: driver JOB RESULT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    read_job(words[1]);
    if (!(result = fopen(words[2], "we")))
        fail(words[2]);
    if (find("policy-toml"))
        code = seclude_sandbox_from_toml(find("policy-toml")->value[0], &sandbox, &error);
    else
        code = seclude_sandbox_from_json(find("policy-json")->value[0], &sandbox, &error);
    if (code == 0)
        code = join_network(sandbox, &error);
    if (code == 0 && acts("check")) {
        code = seclude_sandbox_check(sandbox, &error);
    } else if (code == 0 && (acts("json") || acts("toml"))) {
        code = tell_policy(&sandbox, acts("toml"), &error);
    } else if (code == 0) {
        code = acts("enter") || acts("join") ? come_in(sandbox, &home, &error) : choose_ground(sandbox, &error);
        seclude_command *command = command_of(sandbox);
        if (code == 0 && (acts("twice") || acts("reset")))
            code = run(command, 0, &error);
        if (code == 0 && acts("reset"))
            code = seclude_cell_reset(cell, &error);
        if (code == 0)
            code = run(command, 1, &error);
        seclude_command_free(command);
    }
    if (code < 0)
        tell_error(error);
    seclude_joined_free(joined);
    seclude_cell_free(home);
    seclude_cell_free(cell);
    seclude_pool_free(pool);
    seclude_sandbox_free(sandbox);
    end_members();
    return fclose(result) == 0 ? 0 : 3;
}
