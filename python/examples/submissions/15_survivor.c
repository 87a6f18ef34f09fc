// contained: gives the right answer, and leaves a daemon behind in a session of its own
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    int ready[2];
    if (pipe(ready) != 0)
        return 1;
    if (fork() == 0) {
        setsid();
        if (fork() != 0)
            _exit(0);
        for (int number = 1; number < NSIG; number++)
            signal(number, SIG_IGN);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;) {
            int file = open(getenv("TARGET_FILE"), O_WRONLY | O_APPEND);
            if (file >= 0 && write(file, "still here\n", 11) == 11)
                close(file);
            usleep(1000);
        }
    }
    char byte;
    if (read(ready[0], &byte, 1) != 1)
        return 1;
    fprintf(stderr, "attack: outlive the run: a grandchild goes on\n");

    long sum = 0, number;
    while (scanf("%ld", &number) == 1)
        sum += number;
    printf("%ld\n", sum);
}
