/* A world of one's own: a directory of the caller's read-only, another writable, memory to work in, files from bytes; then the same
 * with an empty root, where only what was bound is there. */
#define _POSIX_C_SOURCE 200809L
#include <seclude.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int show(seclude_sandbox *sandbox, const char *const *words)
{
    seclude_command *command = seclude_sandbox_command(sandbox, words[0]);
    seclude_command_args(command, words + 1);
    seclude_command_stderr(command, SECLUDE_STDIO_PIPED);
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    int code = seclude_command_output(command, &output, &err);
    if (code < 0)
        fprintf(stderr, "%s\n", seclude_error_message(err));
    else
        printf("%s%s", seclude_output_stdout(output, NULL), seclude_output_stderr(output, NULL));
    seclude_error_free(err);
    seclude_output_free(output);
    seclude_command_free(command);
    return code;
}

int main(void)
{
    /* What the command writes belongs, outside, to the user that stands behind it: a root caller's is a number that means nothing
     * on the host. So the directory lets everybody write. */
    char results[] = "/tmp/seclude-files-XXXXXX";
    if (!mkdtemp(results) || chmod(results, 0777) != 0)
        return perror("results"), 1;

    static const char DATA[] = "from memory\n";
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_bind_ro(sandbox, "/usr/share", "/data");
    seclude_sandbox_bind_rw(sandbox, results, "/results");
    seclude_sandbox_bind(sandbox, "/no/such/cache", "/cache", SECLUDE_BIND_OPTIONAL | SECLUDE_BIND_NOEXEC);
    seclude_sandbox_tmpfs(sandbox, "/tmp", 16u << 20);
    seclude_sandbox_dir(sandbox, "/empty", 0755);
    seclude_sandbox_file(sandbox, "/etc/motd", DATA, strlen(DATA), 0644);
    seclude_sandbox_symlink(sandbox, "/etc/motd", "/motd");
    static const char *const WORK[] = {"sh", "-c",
        "cat /motd; touch /data/x; dd if=/dev/zero of=/tmp/big bs=1M count=17 status=none; echo done > /results/done", NULL};
    int code = show(sandbox, WORK);
    seclude_sandbox_free(sandbox);

    char done[sizeof results + 8];
    snprintf(done, sizeof done, "%s/done", results);
    if (remove(done) != 0)
        return perror(done), 1;
    printf("outside: the command's file was there\n");
    rmdir(results);

    /* Nothing but the loader, the C library and one program: `/usr` of the host has no part in it. */
    seclude_sandbox *bare = seclude_sandbox_new();
    seclude_sandbox_empty_root(bare);
    seclude_sandbox_bind_ro(bare, "/bin/ls", "/ls");
    seclude_sandbox_bind(bare, "/lib", "/lib", 0);
    seclude_sandbox_bind(bare, "/lib64", "/lib64", SECLUDE_BIND_OPTIONAL);
    static const char *const LIST[] = {"/ls", "/", NULL};
    code = show(bare, LIST) < 0 ? -1 : code;
    seclude_sandbox_free(bare);
    return code < 0;
}
