/* Code shared by the measuring programs in C: a realistic caller, and one timed run per line of
 * input.
 *
 * Usage of each: PROGRAM MIB WARMUP …. It prints "ready" after its warm-up. Then for each line of
 * input it does one run and prints how many nanoseconds that took, so that compare.py can let
 * several programs take turns. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The number of threads of the caller that only wait, as those of a server do. */
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

/* Fills this much memory page by page and starts the waiting threads. */
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

/* `run` does one whole run: start, end, and clean-up. `settle`, if not NULL, waits until the next
 * turn of another program is not affected any more. */
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
