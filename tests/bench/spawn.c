/* Measures posix_spawn(3) of a program, alone or with the sandboxing program that is put before it.
 *
 * usage: spawn MIB WARMUP PROGRAM [ARGUMENT…] */
#define _GNU_SOURCE
#include "measure.h"
#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

static char **command;

static void run(void) {
    static char *environment[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
    pid_t pid;
    int status;
    errno = posix_spawn(&pid, command[0], NULL, NULL, command, environment);
    if (errno != 0)
        give_up(command[0]);
    if (waitpid(pid, &status, 0) < 0)
        give_up("waitpid");
    if (status != 0) {
        fprintf(stderr, "%s ended with status %#x\n", command[0], status);
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s MIB WARMUP PROGRAM [ARGUMENT…]\n", argv[0]);
        return 2;
    }
    command = argv + 3;
    return take_turns(argv[1], argv[2], run);
}
