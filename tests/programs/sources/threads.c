#include <pthread.h>
#include <stdio.h>

static void *work(void *sum) {
    *(int *)sum = 42;
    return sum;
}

int main(void) {
    pthread_t thread;
    int sum = 0;
    pthread_create(&thread, NULL, work, &sum);
    pthread_join(thread, NULL);
    return printf("%d\n", sum) < 0;
}
