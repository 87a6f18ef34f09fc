// contained: takes over PID 1, which controls this process
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>

static void tell(const char *what, long result)
{
    fprintf(stderr, "attack: %s: %s\n", what, result < 0 ? strerror(errno) : "SUCCEEDED");
}

int main(void)
{
    tell("ptrace PID 1", ptrace(PTRACE_ATTACH, 1, 0, 0));
    tell("write to the memory of PID 1", open("/proc/1/mem", O_RDWR));
    tell("list the descriptors of PID 1", open("/proc/1/fd", O_RDONLY));
}
