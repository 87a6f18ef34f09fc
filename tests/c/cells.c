/* Cells and pools: commands that share a sandbox, resets, and sandboxes that are ready in
 * advance. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A test hangs if something takes longer than this, in milliseconds. */
#define HANG 30000

static seclude_sandbox *sandbox_with_tmp(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_tmpfs(sandbox, "/tmp", SECLUDE_MIB(1));
    seclude_sandbox_wall_time(sandbox, 60000);
    return sandbox;
}

/* Runs a script to its end, and returns how it ended. */
static seclude_outcome run(seclude_command *command, const char *script)
{
    seclude_outcome outcome = {0};
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, script);
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    CHECK_INT(seclude_output_outcome(output, &outcome, sizeof outcome), 0);
    seclude_output_free(output);
    seclude_command_free(command);
    return outcome;
}

static int status_in(seclude_cell *cell, const char *script)
{
    return run(seclude_cell_command(cell, "sh"), script).returncode;
}

static void what_is_left_is_there_until_a_reset(void)
{
    seclude_sandbox *sandbox = sandbox_with_tmp();
    seclude_cell *cell = NULL;
    seclude_error *err = NULL;
    seclude_processes *processes = NULL;
    seclude_outcome usage = {0};
    CHECK_OK(seclude_sandbox_cell(sandbox, &cell, &err), err);
    seclude_sandbox_free(sandbox);
    CHECK_INT(seclude_cell_is_alive(cell), 1);
    CHECK_INT(status_in(cell, "touch /tmp/left; sleep 1000 & exit 3"), 3);
    CHECK_INT(status_in(cell, "test -e /tmp/left"), 0);
    CHECK_OK(seclude_cell_processes(cell, &processes, &err), err);
    CHECK(seclude_processes_count(processes) >= 2);
    seclude_processes_free(processes);
    CHECK_OK(seclude_cell_usage(cell, &usage, sizeof usage, &err), err);
    CHECK(usage.wall_ns > 0 && usage.ended == 0 && (usage.enforced & SECLUDE_PROTECTION_OWN_ROOT));
    CHECK_OK(seclude_cell_reset(cell, &err), err);
    CHECK_INT(status_in(cell, "test -e /tmp/left"), 1);
    CHECK_OK(seclude_cell_processes(cell, &processes, &err), err);
    CHECK_INT(seclude_processes_count(processes), 1);
    seclude_processes_free(processes);
    seclude_cell_close(cell);
    CHECK_INT(seclude_cell_is_alive(cell), 0);
    CHECK_INT(seclude_cell_reset(cell, NULL), SECLUDE_EINVAL);
    seclude_cell_close(cell);
    seclude_cell_free(cell);
}

static void a_command_is_ended_or_all_are(void)
{
    seclude_sandbox *sandbox = sandbox_with_tmp();
    seclude_cell *cell = NULL;
    seclude_child *child[2] = {NULL, NULL};
    seclude_outcome outcome = {0};
    seclude_error *err = NULL;
    int how = 0;
    CHECK_OK(seclude_sandbox_cell(sandbox, &cell, &err), err);
    for (int i = 0; i < 2; i++) {
        seclude_command *command = seclude_cell_command(cell, "sleep");
        seclude_command_arg(command, "1000");
        CHECK_OK(seclude_command_spawn(command, &child[i], &err), err);
        seclude_command_free(command);
    }
    CHECK_OK(seclude_child_kill(child[0], &err), err);
    CHECK_OK(seclude_child_wait(child[0], &outcome, sizeof outcome, &err), err);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_KILLED);
    CHECK_INT(seclude_child_try_wait(child[1], &outcome, sizeof outcome, &err), 0);
    CHECK_OK(seclude_cell_freeze(cell, &how, &err), err);
    CHECK(seclude_freezer_name(how) != NULL);
    CHECK_OK(seclude_cell_thaw(cell, &err), err);
    CHECK_OK(seclude_cell_kill_all(cell, &err), err);
    CHECK_OK(seclude_child_wait(child[1], &outcome, sizeof outcome, &err), err);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_KILLED);
    CHECK_INT(status_in(cell, "exit 0"), 0);
    CHECK_INT(seclude_cell_set_memory(cell, SECLUDE_GIB(1), NULL), SECLUDE_EINVAL);
    seclude_child_free(child[0]);
    seclude_child_free(child[1]);
    seclude_cell_free(cell);
    seclude_sandbox_free(sandbox);
}

static void one_command_may_have_less(void)
{
    seclude_sandbox *sandbox = sandbox_with_tmp();
    seclude_sandbox_memory(sandbox, SECLUDE_MIB(512));
    seclude_sandbox_cpu_time(sandbox, 60000);
    seclude_sandbox_pids(sandbox, 50);
    seclude_cell *cell = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_sandbox_cell(sandbox, &cell, &err), err);
    seclude_outcome outcome;
    seclude_command *command = seclude_cell_command(cell, "sh");
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, "while :; do :; done");
    seclude_command_memory(command, SECLUDE_MIB(64));
    seclude_command_cpu_time(command, 200);
    seclude_command_pids(command, 4);
    CHECK_OK(seclude_command_run(command, &outcome, sizeof outcome, &err), err);
    CHECK_INT(outcome.ended, SECLUDE_ENDED_CPU_TIME);
    CHECK_INT(outcome.limit, 200000000);
    seclude_command_free(command);
    CHECK_INT(status_in(cell, "exit 0"), 0);
    /* A limit on one command takes a limit of the sandbox. */
    seclude_sandbox *without = seclude_sandbox_new();
    command = seclude_sandbox_command(without, "true");
    seclude_command_pids(command, 4);
    CHECK_INT(seclude_command_run(command, &outcome, sizeof outcome, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    seclude_sandbox_free(without);
    seclude_cell_free(cell);
    seclude_sandbox_free(sandbox);
}

static void *many(void *pool)
{
    for (int i = 0; i < 10; i++)
        CHECK_INT(run(seclude_pool_command(pool, "sh"),
                      "test ! -e /tmp/left && touch /tmp/left && exit 5")
                      .returncode,
                  5);
    return NULL;
}

static void a_pool_serves_threads(void)
{
    seclude_sandbox *sandbox = sandbox_with_tmp();
    seclude_pool *pool = NULL;
    seclude_error *err = NULL;
    seclude_statistics told = {0};
    pthread_t threads[4];
    CHECK_OK(seclude_sandbox_prepare(sandbox, &err), err);
    CHECK_OK(seclude_sandbox_pool(sandbox, 2, 0, &pool, &err), err);
    seclude_sandbox_free(sandbox);
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, many, pool), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(seclude_pool_statistics(pool, &told, sizeof told), 0);
    CHECK(told.size == 2 && told.handed_out == 40 && told.most_in_use <= 2 && told.in_use == 0 &&
          told.failed == 0);
    seclude_networks networks = {.last_retired = 1};
    CHECK_INT(seclude_pool_networks(pool, &networks, sizeof networks), 0);
    CHECK(networks.made > 0 && networks.reused > 0 && networks.retired == 0);
    CHECK(networks.last_retired == 0 && networks.last_retired_why[0] == '\0');
    const char *packet = "from socket import *; a = socket(AF_INET, SOCK_DGRAM); "
                         "a.bind(('127.0.0.1', 0)); a.sendto(b'x', a.getsockname())";
    CHECK_INT(run(seclude_pool_command(pool, "python3"), packet).returncode, 0);
    /* The child's end is known as soon as everything inside has ended. The warden ends a moment
     * later. */
    for (int i = 0; i < 1000 && networks.retired == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        CHECK_INT(seclude_pool_networks(pool, &networks, sizeof networks), 0);
    }
    CHECK(networks.retired == 1 && networks.last_retired != 0);
    CHECK(strcmp(networks.last_retired_why, "dev") == 0);
    seclude_pool_close(pool);
    seclude_command *command = seclude_pool_command(pool, "true");
    seclude_child *child = NULL;
    CHECK_INT(seclude_command_spawn(command, &child, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    seclude_pool_free(pool);
}

/* Starts a command that ends when its input ends. */
static seclude_command *cat(seclude_pool *pool)
{
    seclude_command *command = seclude_pool_command(pool, "cat");
    seclude_command_stdin(command, SECLUDE_STDIO_PIPED);
    seclude_command_stdout(command, SECLUDE_STDIO_NULL);
    return command;
}

static int readable(int fd, int milliseconds)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    return poll(&polled, 1, milliseconds);
}

/* Lets it end, without waiting for the child. */
static void end_unseen(seclude_child *child)
{
    CHECK_INT(close(seclude_child_take_stdin(child)), 0);
    CHECK_INT(readable(seclude_child_pidfd(child), HANG), 1);
}

static void a_full_pool_says_so_and_an_ended_command_has_no_place(void)
{
    seclude_sandbox *sandbox = sandbox_with_tmp();
    seclude_pool *pool = NULL;
    seclude_error *err = NULL;
    seclude_child *first = NULL, *second = NULL;
    seclude_outcome outcome = {0};
    CHECK_OK(seclude_sandbox_pool(sandbox, 1, 0, &pool, &err), err);
    seclude_sandbox_free(sandbox);
    seclude_command *command = cat(pool);
    CHECK_INT(seclude_command_spawn_timeout(command, HANG, &first, &err), 1);
    CHECK(first != NULL);
    CHECK_INT(readable(seclude_pool_fd(pool), 0), 0);
    second = first;
    CHECK_INT(seclude_command_try_spawn(command, &second, &err), 0);
    CHECK(second == NULL && err == NULL);
    second = first;
    CHECK_INT(seclude_command_spawn_timeout(command, 20, &second, &err), 0);
    CHECK(second == NULL && err == NULL);

    end_unseen(first);
    CHECK_INT(readable(seclude_pool_fd(pool), HANG), 1);
    CHECK_INT(seclude_command_spawn_timeout(command, HANG, &second, &err), 1);
    CHECK_OK(seclude_child_wait(first, &outcome, sizeof outcome, &err), err);
    CHECK_INT(outcome.returncode, 0);
    seclude_child_free(first);
    CHECK_INT(seclude_command_try_spawn(command, &first, &err), 0);
    seclude_child_free(second);

    seclude_pool_close(pool);
    CHECK_INT(readable(seclude_pool_fd(pool), 0), 1);
    CHECK_INT(seclude_command_try_spawn(command, &first, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_command_spawn_timeout(command, HANG, &first, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    seclude_pool_free(pool);
}

/* Makes `count` commands of one pool that start together. */
static seclude_interaction *together(seclude_pool *pool, int count)
{
    seclude_interaction *interaction = seclude_interaction_new();
    for (int i = 0; i < count; i++)
        CHECK_INT(seclude_interaction_add(interaction, seclude_pool_command(pool, "true")), i);
    return interaction;
}

static void commands_that_start_together_need_all_their_places(void)
{
    seclude_sandbox *sandbox = sandbox_with_tmp();
    seclude_pool *pool = NULL;
    seclude_error *err = NULL;
    seclude_child *running = NULL, *children[3] = {NULL};
    CHECK_OK(seclude_sandbox_pool(sandbox, 2, 0, &pool, &err), err);
    seclude_sandbox_free(sandbox);
    seclude_command *command = cat(pool);
    CHECK_OK(seclude_command_spawn(command, &running, &err), err);
    seclude_interaction *two = together(pool, 2), *three = together(pool, 3);
    children[0] = children[1] = running;
    CHECK_INT(seclude_interaction_spawn_timeout(two, 0, children, 2, &err), 0);
    CHECK(children[0] == NULL && children[1] == NULL && err == NULL);
    CHECK_INT(seclude_interaction_spawn_timeout(three, HANG, children, 3, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_interaction_spawn(three, children, 3, NULL), SECLUDE_EINVAL);
    end_unseen(running);
    CHECK_INT(seclude_interaction_spawn_timeout(two, HANG, children, 2, &err), 1);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(seclude_child_wait(children[i], NULL, 0, &err), err);
        seclude_child_free(children[i]);
    }
    seclude_child_free(running);
    seclude_interaction_free(two);
    seclude_interaction_free(three);
    seclude_command_free(command);
    seclude_pool_free(pool);
}

static void null_is_an_error(void)
{
    seclude_cell *cell = NULL;
    seclude_pool *pool = NULL;
    seclude_child *child = NULL;
    seclude_sandbox *sandbox = seclude_sandbox_new();
    CHECK_INT(seclude_sandbox_cell(NULL, &cell, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_cell(sandbox, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_pool(sandbox, 0, 0, &pool, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_pool(NULL, 1, 0, &pool, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_prepare(NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_cell_reset(NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_cell_kill_all(NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_cell_is_alive(NULL), 0);
    CHECK_INT(seclude_pool_statistics(NULL, NULL, 0), -1);
    CHECK_INT(seclude_pool_networks(NULL, NULL, 0), -1);
    seclude_command *command = seclude_cell_command(NULL, "true");
    CHECK_INT(seclude_command_spawn(command, &child, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    command = seclude_pool_command(NULL, "true");
    CHECK_INT(seclude_command_spawn(command, &child, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_command_try_spawn(command, &child, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_command_spawn_timeout(command, 0, &child, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    CHECK_INT(seclude_command_try_spawn(NULL, &child, NULL), SECLUDE_EINVAL);
    command = seclude_sandbox_command(sandbox, "true");
    CHECK_INT(seclude_command_try_spawn(command, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_command_spawn_timeout(command, 0, NULL, NULL), SECLUDE_EINVAL);
    /* Without a pool there is nothing to wait for. */
    CHECK_INT(seclude_command_try_spawn(command, &child, NULL), 1);
    seclude_child_free(child);
    seclude_command_free(command);
    CHECK_INT(seclude_interaction_spawn_timeout(NULL, 0, &child, 1, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_pool_fd(NULL), SECLUDE_EINVAL);
    seclude_cell_close(NULL);
    seclude_cell_free(NULL);
    seclude_pool_close(NULL);
    seclude_pool_free(NULL);
    seclude_sandbox_free(sandbox);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(what_is_left_is_there_until_a_reset),
        TEST(a_command_is_ended_or_all_are),
        TEST(one_command_may_have_less),
        TEST(a_pool_serves_threads),
        TEST(a_full_pool_says_so_and_an_ended_command_has_no_place),
        TEST(commands_that_start_together_need_all_their_places),
        TEST(null_is_an_error),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
