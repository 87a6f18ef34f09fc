/* System calls without libc, for code where libc is not available: a program without it, and a
 * process that borrows its caller's memory (its `errno` would be the caller's). The result is the
 * kernel's: negative on error. */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

static inline long raw(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#else
#error "system calls of this processor are not written down here"
#endif
}

/* A call with up to five arguments, numbers or pointers. */
#define SYS_PICK(number, a, b, c, d, e, ...) raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))
#define SYS(...) SYS_PICK(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

#endif
