// process limit: forks more and more children, and fails when fork fails
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
