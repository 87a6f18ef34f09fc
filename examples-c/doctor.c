/* Prints what this host allows, and what a judge of submissions would lack. Exits with 0 if
 * sandboxes can be started at all. */
#include <seclude.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    static const char *const wanted[] = {"limit.memory", "limit.cpu_time", "limit.pids"};

    seclude_report *report;
    seclude_error *err = NULL;
    if (seclude_doctor(&report, &err) < 0) {
        fprintf(stderr, "%s\n", seclude_error_message(err));
        seclude_error_free(err);
        return 2;
    }
    puts(seclude_report_table(report));

    for (size_t i = 0; i < seclude_report_count(report); i++) {
        for (size_t j = 0; j < sizeof wanted / sizeof *wanted; j++) {
            if (strcmp(seclude_report_name(report, i), wanted[j]) ||
                seclude_report_state(report, i) == SECLUDE_STATE_WORKS)
                continue;
            const char *remedy = seclude_report_remedy(report, i);
            printf("a judge wants an exact %s: %s\n", wanted[j],
                   remedy ? remedy : seclude_report_cause(report, i));
        }
    }
    int ready = seclude_report_ready(report);
    seclude_report_free(report);
    return ready ? 0 : 1;
}
