/* Private networks: members, names and addresses, cells that join further networks, and mistakes. */
#include "check.h"

static const char *const LAB[] = {"10.9.0.0/24", NULL};
static const char *const OTHER[] = {"10.8.0.0/24", NULL};

static seclude_network *network_of(const char *name, const char *const *subnets)
{
    seclude_network *network = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_network_new(name, subnets, &network, &err), err);
    return network;
}

static seclude_sandbox *member(const seclude_network *network, const char *hostname)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_network(sandbox, network);
    if (hostname)
        seclude_sandbox_hostname(sandbox, hostname);
    seclude_sandbox_wall_time(sandbox, 60000);
    return sandbox;
}

/* The code of the error with which a sandbox does not start, whose text has `part`. */
static int refusal(seclude_sandbox *sandbox, const char *part)
{
    seclude_command *command = seclude_sandbox_command(sandbox, "true");
    seclude_error *err = NULL;
    int code = seclude_command_run(command, NULL, 0, &err);
    if (code < 0 && !strstr(seclude_error_message(err), part))
        fprintf(stderr, "%s\n", seclude_error_message(err)), failures++;
    seclude_error_free(err);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    return code;
}

static void members_find_each_other_by_name(void)
{
    seclude_network *network = network_of("lab", LAB);
    seclude_sandbox *servers = member(network, "server"), *clients = member(network, "client");
    seclude_cell *cell = NULL;
    seclude_members *members = NULL;
    seclude_text *addresses = NULL;
    seclude_output *output = NULL;
    seclude_error *err = NULL;
    size_t length = 0;

    CHECK_TEXT(seclude_network_name(network), "lab");
    CHECK_TEXT(seclude_network_subnet(network, 0), "10.9.0.0/24");
    CHECK(seclude_network_subnet(network, 1) == NULL);
    seclude_sandbox_address(servers, "10.9.0.5");
    CHECK_OK(seclude_sandbox_cell(servers, &cell, &err), err);
    CHECK_OK(seclude_cell_addresses(cell, &addresses, &err), err);
    CHECK_TEXT(seclude_text_string(addresses), "10.9.0.5");
    CHECK_INT(seclude_text_length(addresses), 9);
    seclude_text_free(addresses);

    CHECK_OK(seclude_network_members(network, &members, &err), err);
    CHECK_INT(seclude_members_count(members), 1);
    CHECK_TEXT(seclude_members_hostname(members, 0), "server");
    CHECK_TEXT(seclude_members_address(members, 0, 0), "10.9.0.5");
    CHECK(seclude_members_address(members, 0, 1) == NULL);
    CHECK(seclude_members_hostname(members, 1) == NULL);
    seclude_members_free(members);
    CHECK_OK(seclude_network_draw(network, &addresses, &err), err);
    CHECK_TEXT(seclude_text_string(addresses), "lab  10.9.0.0/24\n└─ server  10.9.0.5");
    seclude_text_free(addresses);
    seclude_namespaces *seen = NULL;
    CHECK_OK(seclude_namespaces_read(&seen, &err), err);
    int found = 0;
    for (size_t index = 0; index < seclude_namespaces_count(seen); index++) {
        const char *address = seclude_namespaces_address(seen, index, 0);
        found += address && strcmp(address, "10.9.0.5") == 0;
    }
    CHECK_INT(found, 1);
    CHECK(seclude_namespaces_address(seen, 0, 0) == NULL);
    CHECK(seclude_namespaces_address(NULL, 0, 0) == NULL);
    seclude_namespaces_free(seen);

    /* The sandboxes keep the network. */
    seclude_network_free(network);
    seclude_command *command = seclude_sandbox_command(clients, "getent");
    seclude_command_arg(command, "hosts");
    seclude_command_arg(command, "server");
    CHECK_OK(seclude_command_output(command, &output, &err), err);
    const char *text = seclude_output_stdout(output, &length);
    CHECK(length > 8 && memcmp(text, "10.9.0.5", 8) == 0);
    seclude_output_free(output);
    seclude_command_free(command);
    seclude_cell_free(cell);
    seclude_sandbox_free(clients);
    seclude_sandbox_free(servers);
}

static void a_running_command_has_addresses_until_it_is_collected(void)
{
    seclude_network *network = network_of(NULL, LAB);
    seclude_sandbox *sandbox = member(network, NULL);
    seclude_command *command = seclude_sandbox_command(sandbox, "cat");
    seclude_child *child = NULL;
    seclude_members *members = NULL;
    seclude_output *output = NULL;
    seclude_error *err = NULL;

    CHECK_TEXT(seclude_network_name(network), "network");
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    CHECK_OK(seclude_network_members(network, &members, &err), err);
    seclude_text *addresses = seclude_child_addresses(child);
    CHECK_TEXT(seclude_text_string(addresses), seclude_members_address(members, 0, 0));
    CHECK(seclude_members_hostname(members, 0) == NULL);
    seclude_text_free(addresses);
    seclude_members_free(members);
    CHECK_OK(seclude_child_kill(child, &err), err);
    CHECK_OK(seclude_child_wait_with_output(child, &output, &err), err);
    CHECK(seclude_child_addresses(child) == NULL);
    seclude_output_free(output);
    seclude_child_free(child);
    seclude_command_free(command);

    CHECK_OK(seclude_network_members(network, &members, &err), err);
    CHECK_INT(seclude_members_count(members), 0);
    seclude_members_free(members);
    seclude_sandbox_free(sandbox);

    /* Without a network, the list of addresses is empty. */
    sandbox = seclude_sandbox_new();
    command = seclude_sandbox_command(sandbox, "cat");
    CHECK_OK(seclude_command_spawn(command, &child, &err), err);
    addresses = seclude_child_addresses(child);
    CHECK(addresses != NULL);
    CHECK_INT(seclude_text_length(addresses), 0);
    seclude_text_free(addresses);
    seclude_child_free(child);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    seclude_network_free(network);
}

static void a_cell_joins_and_leaves_a_further_network(void)
{
    seclude_network *lab = network_of("lab", LAB), *other = network_of("other", OTHER);
    seclude_network *same = network_of("same", LAB);
    seclude_sandbox *sandbox = member(lab, "both");
    seclude_cell *cell = NULL;
    seclude_members *members = NULL;
    seclude_text *there = NULL, *all = NULL;
    seclude_error *err = NULL;

    CHECK_OK(seclude_sandbox_cell(sandbox, &cell, &err), err);
    CHECK_OK(seclude_cell_connect(cell, other, &there, &err), err);
    CHECK(strncmp(seclude_text_string(there), "10.8.0.", 7) == 0);
    CHECK_OK(seclude_cell_addresses(cell, &all, &err), err);
    const char *first = seclude_text_string(all);
    CHECK(strncmp(first, "10.9.0.", 7) == 0);
    CHECK_TEXT(first + strlen(first) + 1, seclude_text_string(there));
    seclude_text_free(all);
    seclude_text_free(there);
    CHECK_OK(seclude_network_members(other, &members, &err), err);
    CHECK_TEXT(seclude_members_hostname(members, 0), "both");
    seclude_members_free(members);

    CHECK_INT(seclude_cell_connect(cell, same, &there, &err), SECLUDE_EINVAL);
    CHECK(there == NULL && strstr(seclude_error_message(err), "overlap"));
    seclude_error_free(err);
    err = NULL;
    CHECK_OK(seclude_cell_disconnect(cell, other, &err), err);
    CHECK_INT(seclude_cell_disconnect(cell, other, NULL), SECLUDE_EINVAL);
    CHECK_OK(seclude_cell_connect(cell, other, NULL, &err), err);
    seclude_cell_close(cell);
    CHECK_INT(seclude_cell_addresses(cell, &all, NULL), SECLUDE_EINVAL);
    CHECK(all == NULL);
    CHECK_INT(seclude_cell_connect(cell, other, NULL, NULL), SECLUDE_EINVAL);
    seclude_cell_free(cell);
    seclude_sandbox_free(sandbox);
    seclude_network_free(same);
    seclude_network_free(other);
    seclude_network_free(lab);
}

static void a_policy_as_text_names_its_network(void)
{
    seclude_sandbox *sandbox = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_sandbox_from_json("{\"network\": \"lab\"}", &sandbox, &err), err);
    seclude_text *name = seclude_sandbox_network_name(sandbox);
    CHECK_TEXT(seclude_text_string(name), "lab");
    CHECK_INT(refusal(seclude_sandbox_clone(sandbox), "nothing gives it"), SECLUDE_EINVAL);
    seclude_network *network = network_of(seclude_text_string(name), NULL);
    seclude_sandbox_network(sandbox, network);
    CHECK_INT(refusal(sandbox, ""), 0);
    seclude_text_free(name);
    seclude_network_free(network);
    sandbox = seclude_sandbox_new();
    CHECK(seclude_sandbox_network_name(sandbox) == NULL);
    seclude_sandbox_free(sandbox);
}

static void each_mistake_names_itself(void)
{
    static const char *const WRONG[][3] = {
        {"10.9.0.1/24", NULL}, {"lab", NULL}, {"10.9.0.0/24", "10.8.0.0/24", NULL}};
    seclude_network *network = NULL;
    for (size_t index = 0; index < sizeof WRONG / sizeof *WRONG; index++) {
        CHECK_INT(seclude_network_new(NULL, WRONG[index], &network, NULL), SECLUDE_EINVAL);
        CHECK(network == NULL);
    }
    CHECK_INT(seclude_network_new("", NULL, &network, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_network_new("\xff", NULL, &network, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_network_new(NULL, NULL, NULL, NULL), SECLUDE_EINVAL);

    network = network_of("lab", LAB);
    seclude_sandbox *sandbox = member(network, "one");
    seclude_sandbox_address(sandbox, "192.0.2.1");
    CHECK_INT(refusal(sandbox, "10.9.0.0/24"), SECLUDE_EINVAL);
    sandbox = member(network, "one two");
    CHECK_INT(refusal(sandbox, "others look up"), SECLUDE_EINVAL);
    sandbox = member(network, "one");
    seclude_sandbox_share(sandbox, SECLUDE_NAMESPACE_NET);
    CHECK_INT(refusal(sandbox, "shared"), SECLUDE_EINVAL);
    sandbox = seclude_sandbox_new();
    seclude_sandbox_address(sandbox, "10.9.0.5");
    CHECK_INT(refusal(sandbox, "no network"), SECLUDE_EINVAL);
    sandbox = seclude_sandbox_new();
    seclude_sandbox_network(sandbox, NULL);
    CHECK_INT(refusal(sandbox, "network: is NULL"), SECLUDE_EINVAL);
    seclude_network_free(network);
}

static void null_is_never_a_crash(void)
{
    seclude_members *members;
    seclude_text *text;
    CHECK(seclude_network_name(NULL) == NULL);
    CHECK(seclude_network_subnet(NULL, 0) == NULL);
    CHECK_INT(seclude_network_members(NULL, &members, NULL), SECLUDE_EINVAL);
    CHECK(members == NULL);
    CHECK_INT(seclude_members_count(NULL), 0);
    CHECK(seclude_members_hostname(NULL, 0) == NULL);
    CHECK(seclude_members_address(NULL, 0, 0) == NULL);
    CHECK(seclude_sandbox_network_name(NULL) == NULL);
    CHECK(seclude_child_addresses(NULL) == NULL);
    CHECK_INT(seclude_cell_addresses(NULL, &text, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_cell_connect(NULL, NULL, &text, NULL), SECLUDE_EINVAL);
    CHECK(text == NULL);
    CHECK_INT(seclude_cell_disconnect(NULL, NULL, NULL), SECLUDE_EINVAL);
    seclude_sandbox_network(NULL, NULL);
    seclude_sandbox_address(NULL, NULL);
    seclude_network_free(NULL);
    seclude_members_free(NULL);
}

/* Whether a connection from one cell to a member succeeds. */
static int reaches(seclude_cell *cell, const char *host)
{
    static const char *const ASK =
        "import socket, sys; socket.create_connection((sys.argv[1], 7), 0.3)";
    seclude_command *command = seclude_cell_command(cell, "python3");
    seclude_outcome outcome;
    seclude_error *err = NULL;
    seclude_command_arg(command, "-c");
    seclude_command_arg(command, ASK);
    seclude_command_arg(command, host);
    seclude_command_stderr(command, SECLUDE_STDIO_NULL);
    CHECK_OK(seclude_command_run(command, &outcome, sizeof outcome, &err), err);
    seclude_command_free(command);
    return outcome.success;
}

static void faults_do_what_they_say(void)
{
    static const char *const SERVE =
        "import socket, time; s = socket.create_server(('', 7)); time.sleep(1000)";
    static const char *const A[] = {"a", NULL}, *const B[] = {"b", NULL}, *const X[] = {"x", NULL};
    static const char *const *const APART[] = {A, B, NULL};
    static const char *const *const TWICE[] = {A, A, NULL};
    static const char *const *const NOBODY[] = {X, NULL};
    seclude_network *network = network_of(NULL, LAB);
    seclude_sandbox *first = member(network, "a"), *second = member(network, "b");
    seclude_cell *a = NULL, *b = NULL;
    seclude_child *server = NULL;
    seclude_traffic traffic;
    seclude_error *err = NULL;

    CHECK_OK(seclude_sandbox_cell(first, &a, &err), err);
    CHECK_OK(seclude_sandbox_cell(second, &b, &err), err);
    seclude_command *serve = seclude_cell_command(b, "python3");
    seclude_command_arg(serve, "-c");
    seclude_command_arg(serve, SERVE);
    CHECK_INT(seclude_cell_wait_ready(b, 7, 0, &err), 0);
    CHECK_OK(seclude_command_spawn(serve, &server, &err), err);
    CHECK_INT(seclude_child_wait_ready(server, 7, 60000, &err), 1);
    CHECK_INT(seclude_cell_wait_ready(b, 7, 60000, &err), 1);

    CHECK(reaches(a, "b"));
    CHECK_OK(seclude_network_partition(network, APART, &err), err);
    CHECK(!reaches(a, "b"));
    CHECK_OK(seclude_network_heal(network, &err), err);
    CHECK(reaches(a, "b"));
    CHECK_OK(seclude_network_isolate(network, "b", &err), err);
    CHECK(!reaches(a, "b"));
    CHECK_OK(seclude_network_heal(network, &err), err);
    CHECK_OK(seclude_network_block(network, "b", "a", &err), err);
    CHECK(!reaches(a, "b"));
    CHECK_OK(seclude_network_heal(network, &err), err);
    seclude_link link = {.loss = 1};
    CHECK_OK(seclude_network_set_link(network, "a", "b", &link, sizeof link, &err), err);
    CHECK(!reaches(a, "b"));
    CHECK_OK(seclude_network_set_link(network, "a", "b", NULL, 0, &err), err);
    CHECK(reaches(a, "b"));
    link = (seclude_link){.delay_ns = 1000000, .seed = 1, .seeded = 1};
    link.backend = SECLUDE_BACKEND_RELAY;
    CHECK_OK(seclude_network_set_link(network, "a", "b", &link, sizeof link, &err), err);
    CHECK(reaches(a, "b"));
    link.loss = 1;
    CHECK_OK(seclude_network_set_link(network, "a", "b", &link, sizeof link, &err), err);
    CHECK(!reaches(a, "b"));
    /* An older program knows the first fields alone. */
    CHECK_OK(seclude_network_set_link(network, "a", "b", &link, sizeof link.delay_ns, &err), err);
    CHECK(reaches(a, "b"));
    link.backend = SECLUDE_BACKEND_KERNEL;
    CHECK_INT(seclude_network_set_link(network, "a", "b", &link, sizeof link, NULL),
              SECLUDE_EINVAL);
    link.backend = 7;
    CHECK_INT(seclude_network_set_link(network, "a", "b", &link, sizeof link, NULL),
              SECLUDE_EINVAL);
    CHECK_OK(seclude_network_set_link(network, "a", "b", NULL, 0, &err), err);
    CHECK_OK(seclude_network_traffic(network, "b", &traffic, sizeof traffic, &err), err);
    CHECK(traffic.received_packets > 5 && traffic.received_bytes > 40 * traffic.received_packets);
    CHECK(traffic.sent_packets > 5 && traffic.sent_bytes > 40 * traffic.sent_packets);

    CHECK_INT(seclude_network_partition(network, TWICE, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_network_partition(network, NOBODY, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_network_partition(network, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_network_isolate(network, "x", NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_network_isolate(NULL, "a", NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_network_block(network, "a", NULL, NULL), SECLUDE_EINVAL);
    link = (seclude_link){.loss = 2};
    CHECK_INT(seclude_network_set_link(network, "a", "b", &link, sizeof link, NULL),
              SECLUDE_EINVAL);
    CHECK_INT(seclude_network_traffic(network, "x", NULL, 0, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_wait_ready(NULL, 7, 0, NULL), SECLUDE_EINVAL);

    seclude_child_free(server);
    seclude_command_free(serve);
    seclude_cell_free(a);
    seclude_cell_free(b);
    seclude_sandbox_free(first);
    seclude_sandbox_free(second);
    seclude_network_free(network);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(members_find_each_other_by_name),
        TEST(a_running_command_has_addresses_until_it_is_collected),
        TEST(a_cell_joins_and_leaves_a_further_network),
        TEST(a_policy_as_text_names_its_network),
        TEST(faults_do_what_they_say),
        TEST(each_mistake_names_itself),
        TEST(null_is_never_a_crash),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
