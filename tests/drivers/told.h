/* What the C face's driver tells, in the order and the words of its twins (tests/src/job.rs):
 * errors, ends, usage. */
#ifndef TOLD_H
#define TOLD_H

#include <inttypes.h>
#include <seclude.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *result;

static void tell(const char *key, const char *value, size_t length)
{
    fprintf(result, "%s ", key);
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)value[i];
        fprintf(result, byte > ' ' && byte < 0x7f && byte != '%' ? "%c" : "%%%02X", byte);
    }
    fputc('\n', result);
}

static void tell_text(const char *key, const char *value)
{
    if (value)
        tell(key, value, strlen(value));
}

static void tell_error(seclude_error *error)
{
    char number[16];
    tell_text("error", seclude_error_name(error));
    tell_text("step", seclude_error_step(error));
    tell_text("step_kind", seclude_step_name(seclude_error_step_kind(error)));
    tell_text("message", seclude_error_message(error));
    tell_text("path", seclude_error_path(error));
    tell_text("hint", seclude_error_hint(error));
    if (seclude_error_errno(error)) {
        snprintf(number, sizeof number, "%d", seclude_error_errno(error));
        tell_text("errno", number);
    }
    seclude_error_free(error);
}

/* What the command has tried to reach outside. */
static void tell_egress(const seclude_child *child)
{
    seclude_egress report;
    seclude_text *attempts = NULL;
    if (seclude_child_egress(child, &report, sizeof report, &attempts, NULL) < 0)
        return;
    const size_t length = seclude_text_length(attempts);
    const char *data = seclude_text_string(attempts);
    char *lines = malloc(length + 1);
    memcpy(lines, data, length);
    for (size_t i = 0; i < length; i++)
        if (!lines[i])
            lines[i] = '\n';
    if (length)
        tell("egress", lines, length);
    free(lines);
    seclude_text_free(attempts);
}

/* What was collected: each file with its mode and contents, then what is missing, and why. */
static void tell_collected(const seclude_collected *collected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    const char *word;
    for (size_t i = 0; i < seclude_collected_count(collected); i++) {
        size_t length;
        const char *data = seclude_collected_contents(collected, i, &length);
        fprintf(out, "%s %o: ", seclude_collected_path(collected, i),
                seclude_collected_permissions(collected, i));
        fwrite(data, 1, length, out);
        fputc('\n', out);
    }
    for (size_t i = 0; (word = seclude_collected_skipped(collected, i)); i++)
        fprintf(out, "skipped: %s\n", word);
    for (size_t i = 0; (word = seclude_collected_unmatched(collected, i)); i++)
        fprintf(out, "unmatched: %s\n", word);
    const seclude_error *error = seclude_collected_error(collected);
    if (error)
        fprintf(out, "error: %s: %s\n", seclude_error_name(error), seclude_error_message(error));
    fclose(out);
    tell("collected", text, size);
    free(text);
}

/* Every number, times in microseconds, in the order of seclude_outcome. What was not counted is
 * left out. */
static void tell_usage(const seclude_outcome *outcome)
{
    char text[2048];
    const char *source = seclude_memory_source_name(outcome->memory_source);
    size_t length = (size_t)snprintf(text, sizeof text, "memory_source=%s", source);
    const uint64_t unknown = SECLUDE_UNKNOWN;
    const struct {
        const char *name;
        uint64_t number;
    } numbers[] = {
        /* faces: begin figures as numbers */
        {"wall_us", outcome->wall_ns / 1000},
        {"user_us", outcome->user_ns / 1000},
        {"system_us", outcome->system_ns / 1000},
        {"throttled_us", outcome->throttled_ns / 1000},
        {"memory", outcome->memory},
        {"memory_peak", outcome->memory_peak},
        {"anonymous_peak", outcome->anonymous_peak},
        {"max_rss", outcome->max_rss},
        {"processes", outcome->processes},
        {"processes_peak", outcome->processes_peak},
        {"minor_faults", outcome->minor_faults},
        {"major_faults", outcome->major_faults},
        {"voluntary_switches", outcome->voluntary_switches},
        {"involuntary_switches", outcome->involuntary_switches},
        {"bytes_read", outcome->bytes_read},
        {"bytes_written", outcome->bytes_written},
        {"stdout_bytes", outcome->stdout_bytes},
        {"stderr_bytes", outcome->stderr_bytes},
        /* faces: end */
        {"pressure_cpu_some_us",
         outcome->pressure_known ? outcome->pressure_cpu_some_ns / 1000 : unknown},
        {"pressure_memory_some_us",
         outcome->pressure_known ? outcome->pressure_memory_some_ns / 1000 : unknown},
        {"pressure_memory_full_us",
         outcome->pressure_known ? outcome->pressure_memory_full_ns / 1000 : unknown},
        {"pressure_io_some_us",
         outcome->pressure_known ? outcome->pressure_io_some_ns / 1000 : unknown},
        {"pressure_io_full_us",
         outcome->pressure_known ? outcome->pressure_io_full_ns / 1000 : unknown},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].number != unknown)
            length += (size_t)snprintf(text + length, sizeof text - length, " %s=%" PRIu64,
                                       numbers[i].name, numbers[i].number);
    tell_text("usage", text);
}

static void tell_number(const char *key, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    tell_text(key, text);
}

static void tell_outcome(const seclude_outcome *outcome)
{
    char text[1024];
    int has_value = outcome->ended == SECLUDE_ENDED_EXITED ||
                    outcome->ended == SECLUDE_ENDED_SIGNALED ||
                    outcome->ended == SECLUDE_ENDED_WARDEN_LOST;
    int length = snprintf(text, sizeof text, "%s", seclude_ended_name(outcome->ended));
    if (has_value)
        snprintf(text + length, sizeof text - (size_t)length, " %d", outcome->value);
    if (outcome->ended == SECLUDE_ENDED_SYSCALL)
        snprintf(text + length, sizeof text - (size_t)length, " %s",
                 seclude_syscall_name(outcome->value));
    tell_text("ended", text);
    tell_number("returncode", outcome->returncode);
    tell_text("message", outcome->text);
    text[0] = 0;
    for (int bit = 0; bit < 64; bit++) {
        if (outcome->enforced >> bit & 1) {
            strcat(text, text[0] ? " " : "");
            strcat(text, seclude_protection_name(UINT64_C(1) << bit));
        }
    }
    tell_text("enforced", text);
    length = 0;
    text[0] = 0;
    for (int limit = 0; seclude_limit_name(limit); limit++)
        if (outcome->mechanisms[limit])
            length += snprintf(text + length, sizeof text - (size_t)length, "%s%s=%s",
                               length ? " " : "", seclude_limit_name(limit),
                               seclude_mechanism_name(outcome->mechanisms[limit]));
    tell_text("limits", text);
    if (outcome->status_known)
        tell_number("status", outcome->status);
    if (outcome->limit)
        tell_number("limit", (int64_t)outcome->limit);
}

#endif
