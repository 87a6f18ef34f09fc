/* A command on a terminal of its own, the size of its window, and raw mode for a terminal of the
 * caller's. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static seclude_command *on_terminal(const seclude_sandbox *sandbox, const char *script)
{
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, script);
    seclude_command_stdin(command, SECLUDE_STDIO_PTY);
    seclude_command_stdout(command, SECLUDE_STDIO_PTY);
    return command;
}

/* Reads until no process inside has the terminal open. */
static void read_all(int terminal, char *text, size_t room)
{
    size_t length = 0;
    ssize_t count;
    while (length < room - 1 && (count = read(terminal, text + length, room - 1 - length)) > 0)
        length += (size_t)count;
    CHECK(length == room - 1 || count == 0 || errno == EIO);
    text[length] = 0;
}

static void what_is_typed_is_read(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_terminals(sandbox);
    seclude_command *command =
        on_terminal(sandbox, "read first; stty size; echo \"$first\"; read second");
    seclude_command_window_size(command, 10, 20);
    seclude_child *child = NULL;
    seclude_error *err = NULL;
    seclude_outcome outcome = {0};
    char text[256];
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    int terminal = seclude_child_take_terminal(child);
    CHECK(terminal > 2 && (fcntl(terminal, F_GETFD) & FD_CLOEXEC));
    CHECK_INT(seclude_child_take_terminal(child), SECLUDE_EINVAL);
    CHECK_OK(seclude_terminal_resize(terminal, 11, 21, &err), err);
    CHECK_INT(write(terminal, "typed\n\004", 7), 7);
    read_all(terminal, text, sizeof text);
    CHECK_TEXT(text, "typed\r\n11 21\r\ntyped\r\n");
    close(terminal);
    CHECK_OK(seclude_child_wait(child, &outcome, sizeof outcome, &err), err);
    CHECK_INT(outcome.returncode, 1);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void its_output_is_collected(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_terminals(sandbox);
    seclude_command *command = on_terminal(sandbox, "tty");
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    size_t length = 0;
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    const char *text = seclude_output_stdout(output, &length);
    CHECK(length == 12 && memcmp(text, "/dev/pts/0\r\n", 12) == 0);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void without_terminals_there_is_none(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_no_terminals(sandbox);
    seclude_command *command = on_terminal(sandbox, "true");
    seclude_child *child = NULL;
    seclude_error *err = NULL;
    CHECK_INT(seclude_command_spawn(command, &child, &err), SECLUDE_EINVAL);
    CHECK(strstr(seclude_error_message(err), "terminal"));
    seclude_error_free(err);
    err = NULL;
    CHECK(seclude_terminal_resize(-1, 1, 1, &err) < 0);
    seclude_error_free(err);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
}

static void raw_mode_is_undone(void)
{
    int ours = posix_openpt(O_RDWR | O_NOCTTY), theirs;
    struct termios before, during, after;
    seclude_raw_mode *raw = NULL;
    seclude_error *err = NULL;
    CHECK(ours >= 0 && unlockpt(ours) == 0);
    theirs = open(ptsname(ours), O_RDWR | O_NOCTTY);
    CHECK_INT(tcgetattr(theirs, &before), 0);
    CHECK_OK(seclude_raw_mode_enter(theirs, &raw, &err), err);
    CHECK_INT(tcgetattr(theirs, &during), 0);
    CHECK((before.c_lflag & ISIG) && !(during.c_lflag & (ISIG | ICANON | ECHO)));
    seclude_raw_mode_free(raw);
    CHECK_INT(tcgetattr(theirs, &after), 0);
    CHECK_INT(after.c_lflag, before.c_lflag);
    close(theirs);
    close(ours);
    int null = open("/dev/null", O_RDWR);
    CHECK(seclude_raw_mode_enter(null, &raw, &err) < 0 && raw == NULL);
    seclude_error_free(err);
    close(null);
    seclude_raw_mode_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(what_is_typed_is_read),
        TEST(its_output_is_collected),
        TEST(without_terminals_there_is_none),
        TEST(raw_mode_is_undone),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
