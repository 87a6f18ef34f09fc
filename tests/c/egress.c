/* Published ports, and what commands reach outside by rules: addresses, reports and mistakes. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char *const PORTS[] = {"7", "7/udp", NULL};
static const char *const RULES[] = {"one.test:7", NULL};

/* Answers on port 7, over both protocols. */
static const char SERVER[] =
    "import socket, threading\n"
    "def stream():\n"
    "    server = socket.create_server(('', 7))\n"
    "    while True:\n"
    "        with server.accept()[0] as connection:\n"
    "            connection.sendall(b'tcp ' + connection.recv(100))\n"
    "datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
    "datagrams.bind(('', 7))\n"
    "threading.Thread(target=stream).start()\n"
    "while True:\n"
    "    data, peer = datagrams.recvfrom(100)\n"
    "    datagrams.sendto(b'udp ' + data, peer)\n";

/* Asks for an allowed name, and connects to an address that is not allowed. */
static const char CLIENT[] =
    "import socket\n"
    "for host in 'one.test', '8.8.8.8':\n"
    "    try:\n"
    "        with socket.create_connection((host, 7)) as connection:\n"
    "            connection.sendall(b'question')\n"
    "            print(connection.recv(100).decode())\n"
    "    except OSError as error:\n"
    "        print(type(error).__name__)\n";

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* What a port answers to "hello". */
static const char *ask(int kind, uint16_t port)
{
    static char answer[100];
    struct sockaddr_in address = loopback(port);
    struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_INET, kind | SOCK_CLOEXEC, 0);
    ssize_t length = -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && write(fd, "hello", 5) == 5)
        length = read(fd, answer, sizeof answer - 1);
    close(fd);
    answer[length < 0 ? 0 : length] = 0;
    return length < 0 ? "an error" : answer;
}

static seclude_sandbox *sandbox_of(const char *const *ports, const char *const *egress)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    if (ports)
        seclude_sandbox_ports(sandbox, ports);
    if (egress)
        seclude_sandbox_egress(sandbox, egress);
    seclude_sandbox_wall_time(sandbox, 60000);
    return sandbox;
}

static void set_program(seclude_command *command, const char *program)
{
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, program);
}

/* Whether a text has the form 127.0.0.1:PORT and then `rest`. */
static int has_form(const char *text, uint16_t port, const char *rest)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "127.0.0.1:%u%s", port, rest);
    return strcmp(text, wanted) == 0;
}

static void a_command_has_ports_until_it_has_ended(void)
{
    seclude_sandbox *sandbox = sandbox_of(PORTS, NULL);
    seclude_command *command = seclude_sandbox_command(sandbox, "python3");
    seclude_child *child = NULL;
    seclude_output *output = NULL;
    seclude_egress report = {1, 1, 1, 1};
    seclude_error *err = NULL;

    set_program(command, SERVER);
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    CHECK_INT(seclude_child_wait_ready(child, 7, 60000, &err), 1);
    uint16_t stream = seclude_child_port(child, "7"), datagram = seclude_child_port(child, "7/udp");
    CHECK(stream > 0 && datagram > 0);
    CHECK_INT(seclude_child_port(child, "7/tcp"), stream);
    CHECK_INT(seclude_child_port(child, "8"), 0);
    CHECK_INT(seclude_child_port(child, "7/sctp"), 0);
    CHECK_INT(seclude_child_port(child, ""), 0);
    CHECK_INT(seclude_child_port(child, NULL), 0);

    seclude_text *ports = seclude_child_ports(child);
    const char *text = seclude_text_string(ports);
    CHECK(has_form(text, stream, ":7/tcp"));
    CHECK(has_form(text + strlen(text) + 1, datagram, ":7/udp"));
    CHECK_INT(seclude_text_length(ports), strlen(text) + strlen(text + strlen(text) + 1) + 2);
    seclude_text_free(ports);
    CHECK_TEXT(ask(SOCK_STREAM, stream), "tcp hello");
    CHECK_TEXT(ask(SOCK_DGRAM, datagram), "udp hello");

    /* Without rules, the report is zero. */
    CHECK_OK(seclude_child_egress(child, &report, sizeof report, NULL, &err), err);
    CHECK(!report.allowed && !report.denied && !report.sent_bytes && !report.received_bytes);
    CHECK_OK(seclude_child_kill(child, &err), err);
    CHECK_OK(seclude_child_wait_with_output(child, &output, &err), err);
    CHECK(seclude_child_ports(child) == NULL);
    CHECK_INT(seclude_child_port(child, "7"), 0);
    CHECK_TEXT(ask(SOCK_STREAM, stream), "an error");
    seclude_output_free(output);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void a_cell_has_ports_until_it_is_closed(void)
{
    seclude_sandbox *sandbox = sandbox_of(PORTS, NULL);
    seclude_cell *cell = NULL;
    seclude_child *child = NULL;
    seclude_text *ports = NULL;
    seclude_error *err = NULL;

    CHECK_OK(seclude_sandbox_cell(sandbox, &cell, &err), err);
    seclude_command *command = seclude_cell_command(cell, "python3");
    set_program(command, SERVER);
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    CHECK_INT(seclude_cell_wait_ready(cell, 7, 60000, &err), 1);
    uint16_t port = seclude_cell_port(cell, "7");
    CHECK_OK(seclude_cell_ports(cell, &ports, &err), err);
    CHECK(has_form(seclude_text_string(ports), port, ":7/tcp"));
    seclude_text_free(ports);
    CHECK_INT(seclude_child_port(child, "7"), port);
    CHECK_INT(seclude_cell_port(cell, "8"), 0);
    CHECK_TEXT(ask(SOCK_STREAM, port), "tcp hello");
    seclude_child_free(child);
    seclude_command_free(command);

    seclude_cell_close(cell);
    CHECK_INT(seclude_cell_ports(cell, &ports, NULL), SECLUDE_EINVAL);
    CHECK(ports == NULL);
    CHECK_INT(seclude_cell_port(cell, "7"), 0);
    CHECK_TEXT(ask(SOCK_STREAM, port), "an error");
    seclude_cell_free(cell);
    seclude_sandbox_free(sandbox);
}

/* Checks the report of a client, of which each function gives the same. */
static void check_report(int code, const seclude_egress *report, seclude_text *attempts)
{
    CHECK_INT(code, 0);
    CHECK_INT(report->allowed, 1);
    CHECK_INT(report->denied, 1);
    CHECK_INT(report->sent_bytes, 8);
    CHECK_INT(report->received_bytes, 6);
    const char *text = seclude_text_string(attempts);
    CHECK_TEXT(text, "tcp one.test:7 (127.0.0.1): allowed");
    if (text)
        CHECK_TEXT(text + strlen(text) + 1, "tcp 8.8.8.8:7: no rule allows it");
    seclude_text_free(attempts);
}

static void what_rules_allow_is_reached_and_reported(void)
{
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(server, (struct sockaddr *)&address, length) == 0 && listen(server, 1) == 0);
    CHECK(getsockname(server, (struct sockaddr *)&address, &length) == 0);

    char name[64];
    snprintf(name, sizeof name, "one.test=127.0.0.1:%u", ntohs(address.sin_port));
    const char *const names[] = {name, NULL};
    seclude_sandbox *sandbox = sandbox_of(NULL, RULES);
    seclude_sandbox_egress_names(sandbox, names);
    seclude_cell *cell = NULL;
    seclude_child *child = NULL;
    seclude_output *output = NULL;
    seclude_text *attempts = NULL;
    seclude_egress report;
    seclude_error *err = NULL;
    size_t size = 0;

    CHECK_OK(seclude_sandbox_cell(sandbox, &cell, &err), err);
    seclude_command *command = seclude_cell_command(cell, "python3");
    set_program(command, CLIENT);
    seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    char question[100];
    int connection = accept(server, NULL, NULL);
    CHECK_INT(read(connection, question, sizeof question), 8);
    CHECK_INT(write(connection, "answer", 6), 6);
    close(connection);
    CHECK_OK(seclude_child_wait_with_output(child, &output, &err), err);
    const char *printed = seclude_output_stdout(output, &size);
    CHECK(size == 28 && memcmp(printed, "answer\nConnectionResetError\n", size) == 0);

    int code = seclude_output_egress(output, &report, sizeof report, &attempts, &err);
    check_report(code, &report, attempts);
    code = seclude_child_egress(child, &report, sizeof report, &attempts, &err);
    check_report(code, &report, attempts);
    code = seclude_cell_egress(cell, &report, sizeof report, &attempts, &err);
    check_report(code, &report, attempts);

    /* An older caller knows fewer fields, and the list of attempts is not for all. */
    report.denied = 77;
    CHECK_OK(seclude_cell_egress(cell, &report, sizeof report.allowed, NULL, &err), err);
    CHECK_INT(report.allowed, 1);
    CHECK_INT(report.denied, 77);
    CHECK_OK(seclude_cell_reset(cell, &err), err);
    CHECK_OK(seclude_cell_egress(cell, &report, sizeof report, &attempts, &err), err);
    CHECK_INT(report.allowed + report.denied + report.sent_bytes + report.received_bytes, 0);
    CHECK_INT(seclude_text_length(attempts), 0);
    seclude_text_free(attempts);
    seclude_cell_close(cell);
    CHECK_INT(seclude_cell_egress(cell, &report, sizeof report, &attempts, NULL), SECLUDE_EINVAL);
    CHECK(attempts == NULL);

    close(server);
    seclude_output_free(output);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_cell_free(cell);
    seclude_sandbox_free(sandbox);
}

/* The code of the error with which a policy is refused, if its text has `part`. */
static int refusal(seclude_sandbox *sandbox, const char *part)
{
    seclude_error *err = NULL;
    int code = seclude_sandbox_check(sandbox, &err);
    if (code < 0 && !strstr(seclude_error_message(err), part))
        fprintf(stderr, "%s\n", seclude_error_message(err)), failures++;
    seclude_error_free(err);
    seclude_sandbox_free(sandbox);
    return code;
}

static void each_mistake_names_itself(void)
{
    static const char *const PORT[] = {"80:x", NULL}, *const RULE[] = {"a.*.org", NULL},
                            *const OTHER[] = {"other.test=127.0.0.1", NULL},
                            *const NAME[] = {"one.test=somewhere", NULL}, *const NONE[] = {NULL},
                            *const TOKEN[] = {"https://one.test=token", NULL};

    CHECK_INT(refusal(sandbox_of(PORT, NULL), "port \"80:x\""), SECLUDE_EINVAL);
    CHECK_INT(refusal(sandbox_of(NULL, RULE), "egress \"a.*.org\""), SECLUDE_EINVAL);
    seclude_sandbox *sandbox = sandbox_of(NULL, NULL);
    seclude_sandbox_egress_deny(sandbox, RULES);
    CHECK_INT(refusal(sandbox, "nothing to deny"), SECLUDE_EINVAL);
    sandbox = sandbox_of(NULL, RULES);
    seclude_sandbox_egress_deny(sandbox, RULES);
    CHECK_INT(refusal(sandbox, "it can never match"), SECLUDE_EINVAL);
    sandbox = sandbox_of(NULL, RULES);
    seclude_sandbox_egress_names(sandbox, OTHER);
    CHECK_INT(refusal(sandbox, "no rule allows the name"), SECLUDE_EINVAL);
    sandbox = sandbox_of(NULL, RULES);
    seclude_sandbox_egress_names(sandbox, NAME);
    CHECK_INT(refusal(sandbox, "its address is malformed"), SECLUDE_EINVAL);
    sandbox = sandbox_of(NULL, RULES);
    seclude_sandbox_egress_credentials(sandbox, TOKEN);
    CHECK_INT(refusal(sandbox, "no absolute path"), SECLUDE_EINVAL);
    /* An empty list takes back what was set before. */
    sandbox = sandbox_of(PORT, RULE);
    seclude_sandbox_ports(sandbox, NONE);
    seclude_sandbox_egress(sandbox, NONE);
    CHECK_INT(refusal(sandbox, ""), 0);
}

static int asked;

static int decide(const char *protocol, const char *name, const char *address, uint16_t port,
                  void *data)
{
    asked += !strcmp(protocol, "tcp") && !name && !strcmp(address, "8.8.8.8") && port == 7;
    asked += !strcmp(protocol, "udp") && !strcmp(name, "one.test") && !address && port == 53;
    return *(const int *)data;
}

static void a_function_decides_about_what_no_rule_is_about(void)
{
    seclude_error *err = NULL;
    seclude_egress report = {0};
    int answer = 0;
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_decide_egress(sandbox, decide, &answer);
    seclude_command *command = seclude_sandbox_command(sandbox, "python3");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, CLIENT);
    seclude_output *output = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    CHECK_OK(seclude_output_egress(output, &report, sizeof report, NULL, &err), err);
    CHECK(asked >= 2);
    CHECK(report.allowed == 0 && report.denied >= 2);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    sandbox = seclude_sandbox_new();
    seclude_sandbox_decide_egress(sandbox, NULL, NULL);
    CHECK_INT(refusal(sandbox, "decide"), SECLUDE_EINVAL);
}

static void null_is_never_a_crash(void)
{
    seclude_text *text = NULL;
    seclude_egress report;
    seclude_error *err = NULL;

    seclude_sandbox_ports(NULL, PORTS);
    seclude_sandbox_decide_egress(NULL, decide, NULL);
    seclude_sandbox_egress(NULL, RULES);
    CHECK(seclude_child_ports(NULL) == NULL);
    CHECK_INT(seclude_child_port(NULL, "80"), 0);
    CHECK_INT(seclude_cell_port(NULL, NULL), 0);
    CHECK_INT(seclude_cell_ports(NULL, &text, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_cell_ports(NULL, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_egress(NULL, &report, sizeof report, &text, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_cell_egress(NULL, NULL, 0, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_output_egress(NULL, &report, sizeof report, NULL, NULL), SECLUDE_EINVAL);
    CHECK(text == NULL);

    seclude_sandbox *sandbox = sandbox_of(NULL, RULES);
    seclude_command *command = seclude_sandbox_command(sandbox, "true");
    seclude_output *output = NULL;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    CHECK_OK(seclude_output_egress(output, NULL, sizeof report, NULL, &err), err);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    CHECK_INT(refusal(sandbox_of(NULL, NULL), ""), 0);
    sandbox = seclude_sandbox_new();
    seclude_sandbox_ports(sandbox, NULL);
    CHECK_INT(refusal(sandbox, "ports"), SECLUDE_EINVAL);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(a_command_has_ports_until_it_has_ended),
        TEST(a_cell_has_ports_until_it_is_closed),
        TEST(what_rules_allow_is_reached_and_reported),
        TEST(each_mistake_names_itself),
        TEST(a_function_decides_about_what_no_rule_is_about),
        TEST(null_is_never_a_crash),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
