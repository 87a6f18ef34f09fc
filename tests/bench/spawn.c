/* Measures posix_spawn(3) of a program, alone or with a sandboxing program in front of it.
 *
 *     usage: spawn MIB WARMUP PROGRAM [ARGUMENT…]
 *            spawn --many THREADS RUNS PROGRAM [ARGUMENT…]
 *
 * The first form does one run per line of input, as measure.h describes. The second prints "ready",
 * waits for a line, does all runs in threads, and prints the nanoseconds. */
#define _GNU_SOURCE
#include "measure.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>

static char **command;
static posix_spawn_file_actions_t quiet, *actions;
static atomic_long left;

static void run(void) {
    static char *environment[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
    pid_t pid;
    int status;
    errno = posix_spawn(&pid, command[0], actions, NULL, command, environment);
    if (errno != 0)
        give_up(command[0]);
    if (waitpid(pid, &status, 0) < 0)
        give_up("waitpid");
    if (status != 0) {
        fprintf(stderr, "%s ended with status %#x\n", command[0], status);
        exit(1);
    }
}

static void *work(void *unused) {
    while (atomic_fetch_sub(&left, 1) > 0)
        run();
    return unused;
}

static int run_many(const char *threads, const char *runs) {
    const size_t number = strtoul(threads, NULL, 10);
    pthread_t *workers = calloc(number, sizeof *workers);
    run();
    puts("ready");
    fflush(stdout);
    if (workers == NULL || getchar() == EOF)
        return 1;
    atomic_store(&left, strtol(runs, NULL, 10));
    uint64_t start = nanoseconds();
    for (size_t i = 0; i < number; i++)
        if (pthread_create(&workers[i], NULL, work, NULL) != 0)
            give_up("pthread_create");
    for (size_t i = 0; i < number; i++)
        pthread_join(workers[i], NULL);
    printf("%llu\n", (unsigned long long)(nanoseconds() - start));
    return 0;
}

int main(int argc, char **argv) {
    int many = argc > 1 && strcmp(argv[1], "--many") == 0;
    argv += many;
    argc -= many;
    if (argc < 4) {
        fprintf(stderr, "usage: spawn [--many] MIB|THREADS WARMUP|RUNS PROGRAM [ARGUMENT…]\n");
        return 2;
    }
    command = argv + 3;
    /* Hides what peers print about this host while they are measured. Why one fails is found out
     * before. */
    if (argc > 4) {
        actions = &quiet;
        if (posix_spawn_file_actions_init(&quiet) != 0 || posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0) != 0)
            give_up("posix_spawn_file_actions");
    }
    return many ? run_many(argv[1], argv[2]) : take_turns(argv[1], argv[2], run, NULL);
}
