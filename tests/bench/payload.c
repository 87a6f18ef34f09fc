/* The smallest program: it exits. The cost of starting it is part of the cost of starting any
 * program. No libc, static. */
#include "raw.h"
#include <asm/unistd.h>

void _start(void);
void _start(void) {
    for (;;)
        SYS(__NR_exit_group, 0);
}
