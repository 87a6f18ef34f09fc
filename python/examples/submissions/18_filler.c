// scratch full: fills the scratch file system
#include <stdio.h>

int main(void)
{
    static char page[4096];
    FILE *file = fopen("/scratch/filler", "w");
    while (file && fwrite(page, sizeof page, 1, file) == 1 && fflush(file) == 0)
        continue;
    return 1;
}
