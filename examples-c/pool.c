/* Four threads share a pool. Every command gets a sandbox of its own, which was ready before. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <seclude.h>
#include <stdio.h>

enum { THREADS = 4, JOBS = 25 };

/* Runs the jobs of one thread, and returns how many ended as expected. */
static void *work(void *pool)
{
    static const char SCRIPT[] = "test ! -e /tmp/mine && touch /tmp/mine && exit 7";
    static int good[THREADS], next;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    int *count = &good[next++];
    pthread_mutex_unlock(&lock);
    for (int job = 0; job < JOBS; job++) {
        seclude_command *command = seclude_pool_command(pool, "sh");
        seclude_command_arg(command, "-c");
        seclude_command_arg(command, SCRIPT);
        seclude_outcome outcome;
        seclude_error *err = NULL;
        if (seclude_command_run(command, &outcome, sizeof outcome, &err) < 0)
            fprintf(stderr, "%s\n", seclude_error_message(err));
        else
            *count += outcome.returncode == 7;
        seclude_error_free(err);
        seclude_command_free(command);
    }
    return count;
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(1));
    seclude_pool *pool = NULL;
    seclude_error *err = NULL;
    if (seclude_sandbox_pool(sandbox, THREADS, 0, &pool, &err) < 0) {
        fprintf(stderr, "%s\n", seclude_error_message(err));
        seclude_error_free(err);
        seclude_sandbox_free(sandbox);
        return 1;
    }
    pthread_t threads[THREADS];
    int started = 0, good = 0;
    while (started < THREADS && pthread_create(&threads[started], NULL, work, pool) == 0)
        started++;
    for (int i = 0; i < started; i++) {
        void *count = NULL;
        pthread_join(threads[i], &count);
        good += *(int *)count;
    }
    seclude_statistics statistics;
    seclude_pool_statistics(pool, &statistics, sizeof statistics);
    printf("%d of %d jobs found a fresh sandbox; %llu were made, at most %llu in use at one time\n",
           good, THREADS * JOBS, (unsigned long long)statistics.made,
           (unsigned long long)statistics.most_in_use);
    seclude_networks networks;
    seclude_pool_networks(pool, &networks, sizeof networks);
    printf("of their network namespaces %llu were made, and lent again %llu times\n",
           (unsigned long long)networks.made, (unsigned long long)networks.reused);
    seclude_pool_free(pool);
    seclude_sandbox_free(sandbox);
    return good != THREADS * JOBS;
}
