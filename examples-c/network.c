/* A private network: a server in one sandbox, and a client in another that finds it by its name.
 * No other program on the machine can reach either. */
#define _POSIX_C_SOURCE 200809L
#include <seclude.h>
#include <stdio.h>

static const char SERVER[] =
    "import socket\n"
    "server = socket.create_server(('', 80))\n"
    "print('it listens', flush=True)\n"
    "guest, (address, port) = server.accept()\n"
    "guest.sendall(b'hello, ' + guest.recv(100))\n";

static const char CLIENT[] =
    "import socket\n"
    "server = socket.create_connection(('server', 80))\n"
    "server.sendall(socket.gethostname().encode())\n"
    "print(server.recv(100).decode())\n";

/* A sandbox that is to be a member. It keeps the network as long as it lives. */
static seclude_sandbox *member(const seclude_network *network, const char *hostname)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_network(sandbox, network);
    seclude_sandbox_hostname(sandbox, hostname);
    seclude_sandbox_wall_time(sandbox, 10000);
    return sandbox;
}

static seclude_command *python(const seclude_sandbox *sandbox, const char *program)
{
    seclude_command *command = seclude_sandbox_command(sandbox, "python3");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, program);
    return command;
}

/* Waits for the first line that the server writes. */
static void await_line(seclude_child *child)
{
    int fd = seclude_child_take_stdout(child);
    FILE *lines = fd < 0 ? NULL : fdopen(fd, "r");
    for (int byte = 0; lines && byte != '\n' && byte != EOF;)
        byte = fgetc(lines);
    if (lines)
        fclose(lines);
}

int main(void)
{
    seclude_error *err = NULL;
    seclude_network *network = NULL;
    if (seclude_network_new(NULL, NULL, &network, &err) < 0) {
        fprintf(stderr, "%s\n", seclude_error_message(err));
        seclude_error_free(err);
        return 1;
    }
    seclude_sandbox *servers = member(network, "server"), *clients = member(network, "client");
    seclude_command *server = python(servers, SERVER), *client = python(clients, CLIENT);
    seclude_command_stdout(server, SECLUDE_STDIO_PIPED);

    seclude_child *child = NULL;
    seclude_outcome outcome;
    int code = seclude_command_spawn(server, &child, &err);
    if (code == 0) {
        seclude_text *addresses = seclude_child_addresses(child);
        printf("the server's address is %s\n", seclude_text_string(addresses));
        fflush(stdout);
        seclude_text_free(addresses);
        await_line(child);
        code = seclude_command_run(client, &outcome, sizeof outcome, &err);
    }
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_error_free(err);
    seclude_child_free(child);
    seclude_command_free(client);
    seclude_command_free(server);
    seclude_sandbox_free(clients);
    seclude_sandbox_free(servers);
    seclude_network_free(network);
    return code < 0 || outcome.returncode != 0;
}
