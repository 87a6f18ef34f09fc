/* A shell in a sandbox, on a terminal of its own. If the input is a terminal, every key is passed
 * on as it is. If it is a pipe, its lines are typed into the terminal. */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <poll.h>
#include <seclude.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Copies input and output until no process inside has the terminal open. Returns 0 on success. */
static int converse(int terminal)
{
    char piece[4096];
    struct pollfd ready[2] = {{.fd = terminal, .events = POLLIN},
                              {.fd = STDIN_FILENO, .events = POLLIN}};
    for (;;) {
        if (poll(ready, 2, -1) < 0)
            return errno == EINTR ? 0 : -1;
        if (ready[1].revents) {
            ssize_t typed = read(STDIN_FILENO, piece, sizeof piece);
            if (typed > 0 && write(terminal, piece, (size_t)typed) < 0)
                return -1;
            /* At the end of its input, type the end of file: Ctrl-D. */
            if (typed <= 0) {
                ready[1].fd = -1;
                if (write(terminal, "\004", 1) < 0)
                    return -1;
            }
        }
        if (ready[0].revents) {
            ssize_t shown = read(terminal, piece, sizeof piece);
            if (shown <= 0)
                return shown == 0 || errno == EIO ? 0 : -1;
            if (write(STDOUT_FILENO, piece, (size_t)shown) < 0)
                return -1;
        }
    }
}

int main(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_terminals(sandbox);
    seclude_command *command = seclude_sandbox_command(sandbox, "sh");
    seclude_command_stdin(command, SECLUDE_STDIO_PTY);
    seclude_command_stdout(command, SECLUDE_STDIO_PTY);
    seclude_command_stderr(command, SECLUDE_STDIO_PTY);
    struct winsize window;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &window) == 0)
        seclude_command_window_size(command, window.ws_row, window.ws_col);

    seclude_child *child = NULL;
    seclude_raw_mode *raw = NULL;
    seclude_error *err = NULL;
    seclude_outcome outcome = {0};
    int code = seclude_command_spawn(command, &child, &err);
    if (code == 0 && isatty(STDIN_FILENO))
        code = seclude_raw_mode_enter(STDIN_FILENO, &raw, &err);
    if (code == 0) {
        int terminal = seclude_child_take_terminal(child);
        if (converse(terminal) < 0)
            perror("shell");
        close(terminal);
        code = seclude_child_wait(child, &outcome, sizeof outcome, &err);
    }
    seclude_raw_mode_free(raw);
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    seclude_error_free(err);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    return code < 0 ? 1 : outcome.returncode & 0xff;
}
