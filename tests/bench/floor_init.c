/* PID 1 of the floor: starts the program named by its arguments, reaps children until that ends,
 * and exits with its status.
 *
 * It has no libc, is static, and is executed from memory by floor.c, which has dropped all
 * privileges before. It does what must follow an exec: it becomes unreadable and gives the program
 * its own session and limits. */
#include "raw.h"
#include <asm/unistd.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <stdint.h>

/* An exit code that the payload does not use: the set-up failed. */
enum { FAILED = 125 };

static const struct {
    int resource;
    struct { uint64_t soft, hard; } limit;
} LIMITS[] = {
    {RLIMIT_CORE, {1, 1}},
    {RLIMIT_NOFILE, {1024, 1024}},
    {RLIMIT_MEMLOCK, {64 << 10, 64 << 10}},
    {RLIMIT_STACK, {8 << 20, 8 << 20}},
};

/* vfork(2) by hand: the return address must not be on the stack, which the child goes on using. */
static inline __attribute__((always_inline)) long borrow_memory(void) {
    const long flags = 0x4000 /* CLONE_VFORK */ | 0x100 /* CLONE_VM */ | 17 /* SIGCHLD */;
    return SYS(__NR_clone, flags, 0, 0, 0, 0);
}

static __attribute__((noreturn)) void end(long code) {
    for (;;)
        SYS(__NR_exit_group, code);
}

__attribute__((used, noreturn)) static void run(long *stack) {
    char **argv = (char **)(stack + 1) + 1;
    char **environment = argv + stack[0];
    if (SYS(__NR_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        end(FAILED);
    long program = borrow_memory();
    if (program == 0) {
        int bad = SYS(__NR_setsid) < 0;
        for (unsigned i = 0; i < sizeof LIMITS / sizeof *LIMITS; i++)
            bad |= SYS(__NR_prlimit64, 0, LIMITS[i].resource, &LIMITS[i].limit, 0) < 0;
        SYS(__NR_umask, 022);
        if (!bad)
            SYS(__NR_execve, argv[0], argv, environment);
        end(FAILED);
    }
    int status = 0, code = FAILED;
    for (long ended; (ended = SYS(__NR_wait4, -1, &status, 0, 0)) >= 0;)
        if (ended == program)
            code = status & 0x7f ? FAILED : status >> 8 & 0xff;
    end(code);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call run\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n mov x29, #0\n mov x0, sp\n and sp, x0, #-16\n bl run\n");
#endif
