/* The judge's watch: it knows nothing of sandboxes, and checks from outside whether a submission
 * got out of one. It prepares targets that a submission would touch, and reports which were
 * touched. First it proves that it can. judge.c includes it, and defines _GNU_SOURCE before. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ALARMS = 6 };

struct bytes {
    char *data; /* a NUL follows the last byte */
    size_t length;
};

typedef char remark[1024];

/* Appends a remark. It may quote a submission, which must not send escape sequences to the
 * terminal. */
__attribute__((format(printf, 2, 3))) static void add(remark text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list values;
    va_start(values, format);
    if (used > 0 && used < sizeof(remark) - 2)
        used += (size_t)snprintf(text + used, sizeof(remark) - used, "; ");
    vsnprintf(text + used, sizeof(remark) - used, format, values);
    va_end(values);
    for (char *byte = text; *byte; byte++)
        if (!isprint((unsigned char)*byte))
            *byte = '?';
}

/* For operations that the judge cannot do without: prints the error and exits. */
static void need(bool done, const char *what)
{
    if (!done) {
        perror(what);
        exit(2);
    }
}

/* Reads once, at most `most` bytes. Returns false at the end of the file. */
static bool read_more(int descriptor, struct bytes *into, size_t most)
{
    into->data = realloc(into->data, into->length + most + 1);
    need(into->data, "memory");
    ssize_t count = read(descriptor, into->data + into->length, most);
    into->length += count > 0 ? (size_t)count : 0;
    into->data[into->length] = 0;
    return count > 0;
}

static struct bytes read_file(int directory, const char *name)
{
    struct bytes file = {0};
    int descriptor = openat(directory, name, O_RDONLY | O_CLOEXEC);
    need(descriptor >= 0, name);
    while (read_more(descriptor, &file, 4096))
        continue;
    close(descriptor);
    return file;
}

/* What a submission would touch if it got out: a process, a file, a secret, a port, a socket. The
 * mark identifies its processes. */
struct watch {
    char directory[32], file[48], secret_file[48], secret[33], mark[39];
    pid_t process;
    int port, socket;
    struct sockaddr_in port_address;
    struct sockaddr_un socket_address;
    socklen_t socket_length;
};

static void random_text(char text[33])
{
    unsigned char bytes[16];
    need(getentropy(bytes, sizeof bytes) == 0, "random");
    for (size_t index = 0; index < sizeof bytes; index++)
        sprintf(text + 2 * index, "%02x", bytes[index]);
}

static bool write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

static int listener(int family, struct sockaddr *address, socklen_t length)
{
    int descriptor = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    need(descriptor >= 0 && bind(descriptor, address, length) == 0 && listen(descriptor, 8) == 0,
         "listen");
    return descriptor;
}

/* Starts a process that does nothing, and that ends with the judge. */
static pid_t idle(void)
{
    pid_t process = fork();
    need(process >= 0, "fork");
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return process;
}

static struct watch watch_new(void)
{
    struct watch watch = {.directory = "/tmp/judge-XXXXXX", .mark = "judge-", .process = idle()};
    random_text(watch.mark + strlen(watch.mark));
    random_text(watch.secret);
    /* Everybody may write here: the judge's user, and any other that a mistake in the id map lets
     * in. */
    need(mkdtemp(watch.directory) && chmod(watch.directory, 0777) == 0, "directory");
    snprintf(watch.file, sizeof watch.file, "%s/canary", watch.directory);
    snprintf(watch.secret_file, sizeof watch.secret_file, "%s/secret", watch.directory);
    need(write_text(watch.file, "untouched") && chmod(watch.file, 0666) == 0, watch.file);
    need(write_text(watch.secret_file, watch.secret), watch.secret_file);

    watch.port_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof watch.port_address;
    watch.port = listener(AF_INET, (struct sockaddr *)&watch.port_address, length);
    need(getsockname(watch.port, (struct sockaddr *)&watch.port_address, &length) == 0, "port");
    watch.socket_address.sun_family = AF_UNIX;
    strcpy(watch.socket_address.sun_path + 1,
           watch.mark); /* a NUL at the beginning makes it an abstract socket: unix(7) */
    watch.socket_length =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(watch.mark));
    watch.socket = listener(AF_UNIX, (struct sockaddr *)&watch.socket_address, watch.socket_length);
    return watch;
}

static void watch_free(struct watch *watch)
{
    kill(watch->process, SIGKILL);
    waitpid(watch->process, NULL, 0);
    close(watch->port);
    close(watch->socket);
    unlink(watch->file);
    unlink(watch->secret_file);
    rmdir(watch->directory);
}

static int entries(const char *directory)
{
    DIR *list = opendir(directory);
    int count = 0;
    while (list && readdir(list))
        count++;
    if (list)
        closedir(list);
    return count;
}

/* Returns how many processes on this machine have the mark in their command line. */
static int survivors(const char *mark)
{
    DIR *processes = opendir("/proc");
    need(processes, "/proc");
    int found = 0;
    for (struct dirent *entry; (entry = readdir(processes));) {
        char path[sizeof entry->d_name + 16], line[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        int file = isdigit((unsigned char)*entry->d_name) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        ssize_t length = file >= 0 ? read(file, line, sizeof line)
                                   : -1; /* The process may have ended meanwhile. */
        found += length > 0 && memmem(line, (size_t)length, mark, strlen(mark)) != NULL;
        if (file >= 0)
            close(file);
    }
    closedir(processes);
    return found;
}

/* Does not wait for the process, so that no other process gets its id meanwhile. */
static bool has_ended(pid_t process)
{
    siginfo_t end = {0};
    return waitid(P_PID, (id_t)process, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid != 0;
}

static bool visited(int listening)
{
    int connection = accept(listening, NULL, NULL);
    if (connection >= 0)
        close(connection);
    return connection >= 0;
}

static bool contains(const struct bytes *text, const char *word)
{
    return text->length > 0 && memmem(text->data, text->length, word, strlen(word));
}

/* Adds to `text` what was touched. Returns how many things. */
static int alarms(struct watch *watch, const struct bytes *output, const struct bytes *errors,
                  remark text)
{
    struct bytes file = read_file(AT_FDCWD, watch->file);
    const struct {
        bool raised;
        const char *what;
    } all[ALARMS] = {
        {has_ended(watch->process), "the target process is dead"},
        {strcmp(file.data, "untouched") != 0 || entries(watch->directory) != 4,
         "a file was written"},
        {contains(output, watch->secret) || contains(errors, watch->secret), "the secret is out"},
        {visited(watch->port), "a connection came to the port"},
        {visited(watch->socket), "a connection came to the socket"},
        {survivors(watch->mark) > 0, "a process is still running"},
    };
    int raised = 0;
    for (int index = 0; index < ALARMS; index++) {
        raised += all[index].raised;
        if (all[index].raised)
            add(text, "%s", all[index].what);
    }
    free(file.data);
    return raised;
}

/* Touches everything once, from outside of any sandbox, and returns how much of it the watch
 * noticed. A watch that cannot raise an alarm proves nothing. */
static int drill(void)
{
    struct watch watch = watch_new();
    struct bytes nothing = {0}, secret = {watch.secret, strlen(watch.secret)};
    remark text = "";
    bool quiet = alarms(&watch, &nothing, &nothing, text) == 0;
    int port = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    connect(port, (struct sockaddr *)&watch.port_address, sizeof watch.port_address);
    connect(local, (struct sockaddr *)&watch.socket_address, watch.socket_length);
    int started[2];
    need(pipe2(started, O_CLOEXEC) == 0, "pipe");
    pid_t marked = fork();
    if (marked == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("sh", "sh", "-c", "kill -STOP $$", watch.mark, (char *)NULL);
        _exit(127);
    }
    close(started[1]);
    /* The exec closes the pipe. From then on, the process has its mark. */
    need(marked > 0 && read(started[0], text, 1) == 0, "fork");
    close(started[0]);
    write_text(watch.file, "vandal");
    kill(watch.process, SIGKILL);
    waitid(P_PID, (id_t)watch.process, &(siginfo_t){0}, WEXITED | WNOWAIT);
    int raised = quiet ? alarms(&watch, &secret, &nothing, text) : 0;
    kill(marked, SIGKILL);
    waitpid(marked, NULL, 0);
    close(port);
    close(local);
    watch_free(&watch);
    return raised;
}
