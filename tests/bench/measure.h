/* What every measuring program in C shares: a caller like a real one, and one timed run per line of input.
 *
 * Usage of each: PROGRAM MIB WARMUP …; it prints "ready" after its warm-up, then, for each line that it reads, does one
 * run and prints how many nanoseconds it took. So compare.py can have several take turns. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* How many threads of the caller wait all the time, as those of a server do. */
enum { PARKED = 4 };

static inline __attribute__((noreturn)) void give_up(const char *what) {
    perror(what);
    exit(1);
}

static inline uint64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static inline void *park(void *unused) {
    for (;;)
        pause();
    return unused;
}

/* Fills so many MiB, page by page, and starts the threads that wait. */
static inline void be_caller(size_t mib) {
    const size_t page = 4096, length = mib << 20;
    for (int i = 0; i < PARKED; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, park, NULL) != 0)
            give_up("pthread_create");
    }
    if (length == 0)
        return;
    char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("mmap");
    for (size_t at = 0; at < length; at += page)
        memory[at] = 1;
}

/* `run` does one whole run: start, end, nothing left. `settle`, if there is one, waits until the next turn costs nobody else anything. */
static inline int take_turns(const char *mib, const char *warmup, void (*run)(void), void (*settle)(void)) {
    be_caller(strtoul(mib, NULL, 10));
    for (unsigned long left = strtoul(warmup, NULL, 10); left > 0; left--)
        run();
    puts("ready");
    fflush(stdout);
    for (int c; (c = getchar()) != EOF;) {
        if (c != '\n')
            continue;
        uint64_t start = nanoseconds();
        run();
        uint64_t time = nanoseconds() - start;
        if (settle != NULL)
            settle();
        printf("%llu\n", (unsigned long long)time);
        fflush(stdout);
    }
    return 0;
}

#endif
