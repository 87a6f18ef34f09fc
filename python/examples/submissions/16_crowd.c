// process limit: calls more and more helpers, and gives up when one is refused
#include <unistd.h>

int main(void)
{
    for (;;) {
        pid_t child = fork();
        if (child < 0)
            return 1;
        while (child == 0)
            pause();
    }
}
