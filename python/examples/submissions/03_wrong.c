// wrong answer: forgets the last number
#include <stdio.h>

int main(void)
{
    long sum = 0, last = 0, number;
    while (scanf("%ld", &number) == 1) {
        sum += last;
        last = number;
    }
    printf("%ld\n", sum);
}
