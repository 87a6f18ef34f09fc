/* The fault that each sanitizer must find. The first letter of the argument selects it; "n" is
 * none. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;
static char *volatile lost;

static void *add(void *unused) {
    for (int i = 0; i < 1000; i++)
        shared++;
    return unused;
}

int main(int count, char **words) {
    char fault = count > 1 ? *words[1] : 'n';
    if (fault == 'l') {
        lost = malloc(10);
        lost = NULL;
    }
    if (fault == 'o') {
        char *five = malloc(5);
        memset(five, 0, 5 + count);
        free(five);
    }
    if (fault == 'u') {
        int most = 2147483647;
        most += count;
        shared = most;
    }
    if (fault == 'r') {
        pthread_t one, two;
        pthread_create(&one, NULL, add, NULL);
        pthread_create(&two, NULL, add, NULL);
        pthread_join(one, NULL);
        pthread_join(two, NULL);
    }
    if (fault == 'm') {
        int *unset = malloc(sizeof *unset);
        if (*unset == 7)
            shared = 1;
        free(unset);
    }
    puts("42");
    return 0;
}
