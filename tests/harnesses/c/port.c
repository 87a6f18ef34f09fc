/*
 * The test that every harness runs several times at once. It needs a network, a /tmp and a process
 * tree of its own: it binds a fixed port, makes a file at a fixed path, and leaves a process behind.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(4711)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1))
        return failed("bind port 4711");
    if (open("/tmp/seclude-harness-sample", O_CREAT | O_EXCL | O_WRONLY, 0600) < 0)
        return failed("/tmp/seclude-harness-sample");
    if (fork() == 0) {
        setsid();
        execl("/bin/sleep", "seclude-harness-leftover", "60", (char *)NULL);
        _exit(1);
    }
    /* Long enough for another test to start meanwhile. */
    usleep(300000);
    if (argc > 1 && strcmp(argv[1], "fail") == 0) {
        fprintf(stderr, "port.c: failed as told\n");
        return 3;
    }
    puts("ok");
    return 0;
}
