/* The files of a sandbox: a read-only and a writable directory of the caller, a file system in
 * memory, files from bytes. Then an empty root, which has only what is bound. */
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
    /* Outside, the command's files belong to the user that the command is there. If the caller is
     * root, that user has an id that nothing else on the host uses. So the directory is writable
     * for everybody. */
    char results[] = "/tmp/seclude-files-XXXXXX";
    if (!mkdtemp(results) || chmod(results, 0777) != 0)
        return perror("results"), 1;

    static const char DATA[] = "from memory\n";
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_bind_ro(sandbox, "/usr/share", "/data");
    seclude_sandbox_bind_rw(sandbox, results, "/results");
    seclude_sandbox_bind(sandbox, "/no/such/cache", "/cache",
                         SECLUDE_BIND_OPTIONAL | SECLUDE_BIND_NOEXEC);
    seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(16));
    seclude_sandbox_dir(sandbox, "/empty", 0755);
    seclude_sandbox_file(sandbox, "/etc/motd", DATA, strlen(DATA), 0644);
    seclude_sandbox_symlink(sandbox, "/etc/motd", "/motd");
    static const char *const WORK[] = {"sh", "-c",
                                       "cat /motd; touch /data/x; "
                                       "dd if=/dev/zero of=/tmp/big bs=1M count=17 status=none; "
                                       "echo done > /results/done",
                                       NULL};
    int code = show(sandbox, WORK);
    seclude_sandbox_free(sandbox);

    char done[sizeof results + 8];
    snprintf(done, sizeof done, "%s/done", results);
    if (remove(done) != 0)
        return perror(done), 1;
    printf("outside: the command's file was there\n");
    rmdir(results);

    /* Only the loader, the C library and one program. The rest of the host's `/usr` is not
     * there. */
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
