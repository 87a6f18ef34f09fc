// contained: writes where it may not
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void vandalise(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    int written = file >= 0 && write(file, "vandal\n", 7) == 7;
    fprintf(stderr, "attack: write to %s: %s\n", path, written ? "SUCCEEDED" : strerror(errno));
}

int main(int count, char **arguments)
{
    vandalise(getenv("TARGET_FILE"));
    vandalise("/usr/bin/vandal");
    vandalise("/etc/passwd");
    vandalise("/proc/sys/kernel/core_pattern");
    if (count)
        vandalise(arguments[0]);
}
