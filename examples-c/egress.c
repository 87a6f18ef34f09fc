/* A server in a sandbox that the caller reaches by a published port, and that reaches one name.
 *
 * The server passes on what it is asked to a service of this program. A policy for the real world
 * would allow a name such as api.example.org:443, without an address in its place. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <seclude.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static const char SERVER[] =
    "import socket\n"
    "def ask(host, port, question):\n"
    "    try:\n"
    "        with socket.create_connection((host, port)) as connection:\n"
    "            connection.sendall(question)\n"
    "            return connection.recv(100)\n"
    "    except OSError as error:\n"
    "        return error.strerror.encode()\n"
    "server = socket.create_server(('', 80))\n"
    "guest, _ = server.accept()\n"
    "question = guest.recv(100)\n"
    "guest.sendall(ask('service.test', 80, question) + b'; ' + ask('203.0.113.5', 80, question))\n";

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Listens on a port that the kernel chooses. Nobody may connect, so waiting has an end. */
static int listen_outside(uint16_t *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        return -1;
    *port = ntohs(address.sin_port);
    return fd;
}

/* Connects to a port of loopback. */
static int connect_to(uint16_t port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        perror("connect");
    return fd;
}

/* Answers one question outside of the sandbox. */
static void serve(int service)
{
    char text[200] = "the service was asked: ";
    size_t start = strlen(text);
    int connection = accept(service, NULL, NULL);
    ssize_t length = read(connection, text + start, sizeof text - start);
    if (length < 0 || write(connection, text, start + (size_t)length) < 0)
        perror("the service");
    close(connection);
}

/* Asks the server in the sandbox, which asks the service, and prints the answer. */
static void ask(uint16_t published, int service)
{
    static const char QUESTION[] = "who is there?";
    char text[100];
    ssize_t length = 0;
    int fd = connect_to(published);
    if (write(fd, QUESTION, strlen(QUESTION)) < 0)
        perror("write");
    serve(service);
    while ((length = read(fd, text, sizeof text)) > 0)
        fwrite(text, 1, (size_t)length, stdout);
    putchar('\n');
    close(fd);
}

static void print_report(const seclude_output *output)
{
    seclude_egress report;
    seclude_text *attempts = NULL;
    if (seclude_output_egress(output, &report, sizeof report, &attempts, NULL) < 0)
        return;
    printf("%llu bytes sent, %llu received\n", (unsigned long long)report.sent_bytes,
           (unsigned long long)report.received_bytes);
    /* A NUL ends each attempt. */
    const char *text = seclude_text_string(attempts), *end = text + seclude_text_length(attempts);
    for (; text < end; text += strlen(text) + 1)
        printf("%s\n", text);
    seclude_text_free(attempts);
}

int main(void)
{
    uint16_t port = 0;
    int service = listen_outside(&port);
    if (service < 0) {
        perror("the service");
        return 1;
    }

    char name[64];
    snprintf(name, sizeof name, "service.test=127.0.0.1:%u", port);
    const char *const ports[] = {"80", NULL}, *const egress[] = {"service.test:80", NULL},
                      *const names[] = {name, NULL};
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_ports(sandbox, ports);
    seclude_sandbox_egress(sandbox, egress);
    seclude_sandbox_egress_names(sandbox, names);
    seclude_sandbox_wall_time(sandbox, 20000);
    seclude_command *command = seclude_sandbox_command(sandbox, "python3");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, SERVER);

    seclude_error *err = NULL;
    seclude_child *child = NULL;
    seclude_output *output = NULL;
    int code = seclude_command_spawn(command, &child, &err);
    if (code == 0)
        code = seclude_child_wait_ready(child, 80, 10000, &err);
    if (code > 0) {
        uint16_t published = seclude_child_port(child, "80");
        printf("published 127.0.0.1:%u:80/tcp\n", published);
        ask(published, service);
        code = seclude_child_wait_with_output(child, &output, &err);
        if (code == 0)
            print_report(output);
    }
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_error_free(err);
    seclude_output_free(output);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    close(service);
    return code != 0;
}
