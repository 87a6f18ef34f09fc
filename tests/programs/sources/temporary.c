#include <stdio.h>

int main(void) {
    FILE *file = tmpfile();
    int number;
    if (!file || fputs("42", file) < 0)
        return 1;
    rewind(file);
    return fscanf(file, "%d", &number) != 1 || printf("%d\n", number) < 0;
}
