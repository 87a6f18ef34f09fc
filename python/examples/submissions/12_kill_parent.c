// contained: kills its parent, the judge, and every other process that it can reach
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void shoot(const char *whom, pid_t pid)
{
    const char *answer = kill(pid, SIGKILL) == 0 ? "sent" : strerror(errno);
    fprintf(stderr, "attack: kill %s: %s\n", whom, answer);
}

int main(void)
{
    shoot("the target", atoi(getenv("TARGET_PID")));
    shoot("everybody", -1);
    /* kill() succeeds, but the kernel discards the signal, because the parent is the first process
     * of the pid namespace (pid_namespaces(7)). */
    shoot("the parent", getppid());
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    fprintf(stderr, "attack: look at the parent: %s\n",
            kill(getppid(), 0) == 0 ? "still there" : strerror(errno));
}
