/* The private network of a job in the C face's driver: the network, and its further members, which
 * are there until the driver ends. tests/src/job/network.rs describes the lines. */
#ifndef MEMBERS_H
#define MEMBERS_H

#include <seclude.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS 8
#define SUBNETS 4

static struct member {
    seclude_cell *cell;
    seclude_child *running;
} members[MEMBERS];
static size_t member_count;
static seclude_network *network;

/* Makes the network that the sandbox's policy names, and gives it to the sandbox. */
static int make_network(seclude_sandbox *sandbox, const char *const *subnets, seclude_error **error)
{
    seclude_text *name = seclude_sandbox_network_name(sandbox);
    const int code = seclude_network_new(seclude_text_string(name), subnets, &network, error);
    seclude_text_free(name);
    if (code == 0)
        seclude_sandbox_network(sandbox, network);
    return code;
}

/* Starts a further member, and its command if it has one. Waits for the command's first line. */
static int start_member(const char *policy, const char *const *words, seclude_error **error)
{
    struct member *member = &members[member_count++];
    seclude_sandbox *sandbox = NULL;
    int code = seclude_sandbox_from_json(policy, &sandbox, error);
    if (code == 0) {
        seclude_sandbox_network(sandbox, network);
        code = seclude_sandbox_cell(sandbox, &member->cell, error);
    }
    if (code == 0 && *words) {
        seclude_command *command = seclude_cell_command(member->cell, *words);
        seclude_command_args(command, words + 1);
        seclude_command_stdout(command, SECLUDE_STDIO_PIPED);
        code = seclude_command_spawn(command, &member->running, error);
        seclude_command_free(command);
    }
    if (member->running) {
        const int fd = seclude_child_take_stdout(member->running);
        char byte = 0;
        while (byte != '\n' && read(fd, &byte, 1) == 1)
            ;
        close(fd);
    }
    seclude_sandbox_free(sandbox);
    return code;
}

static void end_members(void)
{
    while (member_count > 0) {
        member_count--;
        seclude_child_free(members[member_count].running);
        seclude_cell_free(members[member_count].cell);
    }
    seclude_network_free(network);
}

#endif
