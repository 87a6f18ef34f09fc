// time limit: forks until fork fails, then loops for ever in every process
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
