/* Objects without commands: making, copying, setting, freeing, errors, policies as text. No command
 * starts, so the tests run under valgrind, which lacks the system calls that a start needs. For the
 * same reason they are one program, longer than 400 lines. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

/* Returns the message of the first mistake in `sandbox`, or "". */
static const char *complaint(const seclude_sandbox *sandbox)
{
    static char text[512];
    seclude_error *err = NULL;
    int code = seclude_sandbox_check(sandbox, &err);
    snprintf(text, sizeof text, "%s", code < 0 ? seclude_error_message(err) : "");
    CHECK((code < 0) == (err != NULL));
    CHECK_INT(seclude_error_code(err), code);
    seclude_error_free(err);
    return text;
}

static void versions_agree(void)
{
    CHECK(seclude_version_number() >= SECLUDE_VERSION_NUMBER);
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", SECLUDE_VERSION_MAJOR, SECLUDE_VERSION_MINOR,
             SECLUDE_VERSION_PATCH);
    CHECK_TEXT(seclude_version(), text);
}

static void names_are_those_of_every_language(void)
{
    CHECK_TEXT(seclude_code_name(SECLUDE_EPROGRAM_MISSING), "program-missing");
    CHECK_TEXT(seclude_code_name(SECLUDE_EPANIC), "panic");
    CHECK(seclude_code_name(0) == NULL);
    CHECK_TEXT(seclude_ended_name(SECLUDE_ENDED_WALL_TIME), "wall-time");
    CHECK(seclude_ended_name(0) == NULL);
    CHECK_TEXT(seclude_protection_name(SECLUDE_PROTECTION_NO_CAPABILITIES), "no-capabilities");
    CHECK(seclude_protection_name(0) == NULL);
    CHECK(seclude_protection_name(SECLUDE_PROTECTION_OWN_ROOT | SECLUDE_PROTECTION_NO_GROUPS) ==
          NULL);
    for (int code = SECLUDE_EINVAL; code >= SECLUDE_ELIMIT_UNAVAILABLE; code--)
        CHECK(seclude_code_name(code) != NULL);
}

static void every_setter_is_taken(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_share(sandbox, SECLUDE_NAMESPACE_NET | SECLUDE_NAMESPACE_CGROUP);
    seclude_sandbox_unshare(sandbox, SECLUDE_NAMESPACE_TIME);
    seclude_sandbox_clock_offset(sandbox, SECLUDE_CLOCK_BOOTTIME, -60);
    seclude_sandbox_hostname(sandbox, "judge");
    seclude_sandbox_domainname(sandbox, "lan");
    seclude_sandbox_uid(sandbox, 0);
    seclude_sandbox_gid(sandbox, 5);
    seclude_sandbox_user(sandbox, "me");
    seclude_sandbox_home(sandbox, "/work");
    seclude_sandbox_host_ids(sandbox, 300000);
    seclude_sandbox_root(sandbox, "/srv/other");
    seclude_sandbox_writable_root(sandbox);
    seclude_sandbox_bind_ro(sandbox, "/a", "/a");
    seclude_sandbox_bind_rw(sandbox, "/b", "/c");
    seclude_sandbox_bind(sandbox, "/d", "/e",
                         SECLUDE_BIND_OPTIONAL | SECLUDE_BIND_NOEXEC | SECLUDE_BIND_DEVICES);
    seclude_sandbox_tmpfs(sandbox, "/tmp", 4096);
    seclude_sandbox_tmpfs_with(sandbox, "/t", SECLUDE_UNLIMITED, 9, 0700, SECLUDE_TMPFS_NOEXEC);
    seclude_sandbox_dir(sandbox, "/dir", 0700);
    seclude_sandbox_symlink(sandbox, "target", "/link");
    seclude_sandbox_mqueue(sandbox, "/dev/mqueue");
    seclude_sandbox_sys(sandbox, "/parts");
    seclude_sandbox_disk_image(sandbox, "/of/image", "/image");
    seclude_sandbox_overlay(sandbox, (const char *[]){"/lowest", "/topmost", NULL}, "/seen",
                            NULL, 65536, 77);
    seclude_sandbox_overlay(sandbox, (const char *[]){"/low", NULL}, "/again", "/changes", 0, 0);
    seclude_sandbox_capabilities(sandbox, 1 << 12);
    seclude_sandbox_file(sandbox, "/file", "a\0b", 3, 0600);
    seclude_sandbox_file(sandbox, "/nothing", NULL, 0, 0644);
    seclude_sandbox_nested(sandbox);
    seclude_sandbox_rlimit(sandbox, RLIMIT_NOFILE, 5, SECLUDE_UNLIMITED);
    seclude_sandbox_wall_time(sandbox, 1500);
    seclude_sandbox_warden(sandbox, "/usr/libexec/seclude/warden");
    CHECK_TEXT(complaint(sandbox), "");

    /* Each value appears once in the policy as text, which every language reads. */
    seclude_text *json = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_sandbox_to_json(sandbox, &json, &err), err);
    CHECK_INT(seclude_text_length(json), strlen(seclude_text_string(json)));
    /* clang-format off */
    static const char *const SAID[] = {
        "net", "cgroup", "time", "boottime", "-60", "judge", "lan", "\"uid\"", "\"gid\"", "\"me\"",
        "/work", "300000", "/srv/other", "writable_root", "\"/a\"", "\"/b\"", "\"/c\"", "writable",
        "optional", "noexec", "devices", "4096", "0700", "\"/dir\"", "target", "/link", "mqueue",
        "/parts", "/of/image", "/image",
        "/lowest", "/topmost", "/seen", "65536", "77", "/changes",
        "net_admin",
        "/file", "0600", "/nothing", "nested", "nofile", "unlimited", "1.5",
        "/usr/libexec/seclude/warden",
    };
    /* clang-format on */
    for (size_t index = 0; index < sizeof SAID / sizeof *SAID; index++) {
        const char *quoted = SAID[index];
        if (!strstr(seclude_text_string(json), quoted) &&
            !(quoted[0] == '0' && strstr(seclude_text_string(json), quoted + 1))) {
            fprintf(stderr, "the policy does not say %s: %s\n", quoted, seclude_text_string(json));
            failures++;
        }
    }
    seclude_text_free(json);
    seclude_sandbox_free(sandbox);
}

static void exact_files_are_taken_in_their_order(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_text *json = NULL;
    seclude_error *err = NULL;
    seclude_sandbox_exact_files(sandbox);
    seclude_sandbox_proc(sandbox, "/p");
    seclude_sandbox_dev(sandbox, "/d");
    seclude_sandbox_bound_file(sandbox, "/f", "a", 1, 0400, 1);
    seclude_sandbox_bound_file(sandbox, "/f", NULL, 0, 0644, 0);
    seclude_sandbox_chmod(sandbox, "/d", 0711);
    seclude_sandbox_read_only(sandbox, "/d");
    CHECK_TEXT(complaint(sandbox), "");
    CHECK_OK(seclude_sandbox_to_json(sandbox, &json, &err), err);
    CHECK_TEXT(seclude_text_string(json),
               "{\"exact_files\":true,\"files\":[{\"proc\":\"/p\"},{\"dev\":\"/d\"},"
               "{\"bound\":true,\"data\":\"a\",\"file\":\"/f\",\"mode\":\"0400\","
               "\"writable\":true},{\"bound\":true,\"data\":\"\",\"file\":\"/f\"},"
               "{\"chmod\":\"/d\",\"mode\":\"0711\"},"
               "{\"read_only\":\"/d\"}]}");
    seclude_text_free(json);
    seclude_sandbox_free(sandbox);
}

static void a_policy_goes_through_both_texts(void)
{
    static const char POLICY[] =
        "{\"hostname\":\"judge\",\"files\":[{\"tmpfs\":\"/tmp\",\"size\":\"1M\"}],\"wall_time\":2}";
    seclude_sandbox *first = NULL, *second = NULL;
    seclude_text *toml = NULL, *json = NULL, *again = NULL;
    seclude_error *err = NULL;
    CHECK_OK(seclude_sandbox_from_json(POLICY, &first, &err), err);
    CHECK_OK(seclude_sandbox_to_toml(first, &toml, &err), err);
    CHECK_OK(seclude_sandbox_from_toml(seclude_text_string(toml), &second, &err), err);
    CHECK_OK(seclude_sandbox_to_json(first, &json, &err), err);
    CHECK_OK(seclude_sandbox_to_json(second, &again, &err), err);
    CHECK_TEXT(seclude_text_string(again), seclude_text_string(json));
    CHECK(strstr(seclude_text_string(json), "judge") != NULL);
    seclude_text_free(again);
    seclude_text_free(json);
    seclude_text_free(toml);
    seclude_sandbox_free(second);
    seclude_sandbox_free(first);
}

static void a_bad_policy_is_refused_with_its_key(void)
{
    seclude_sandbox *sandbox = (seclude_sandbox *)&failures;
    seclude_error *err = NULL;
    CHECK_INT(seclude_sandbox_from_json("{\"hostnme\": \"a\"}", &sandbox, &err), SECLUDE_EPOLICY);
    CHECK(sandbox == NULL);
    CHECK_TEXT(seclude_error_name(err), "policy");
    CHECK(strstr(seclude_error_message(err), "hostnme") &&
          strstr(seclude_error_hint(err), "hostname"));
    CHECK_INT(seclude_error_errno(err), 0);
    CHECK(seclude_error_path(err) == NULL);
    seclude_error_free(err);
    CHECK_INT(seclude_sandbox_from_toml("hostname", &sandbox, NULL), SECLUDE_EPOLICY);
    CHECK_INT(seclude_sandbox_from_json("\xff", &sandbox, NULL), SECLUDE_EINVAL);

    /* A NUL cannot be passed from C, but JSON can contain one. The error spells it out instead of
     * ending there. */
    err = NULL;
    int code =
        seclude_sandbox_from_json("{\"files\": [{\"dir\": \"/a\\u0000b\"}]}", &sandbox, &err);
    if (code == 0)
        code = seclude_sandbox_check(sandbox, &err);
    CHECK_INT(code, SECLUDE_EINVAL);
    CHECK(strstr(seclude_error_message(err), "\\0b") && strstr(seclude_error_message(err), "NUL"));
    seclude_error_free(err);
    seclude_sandbox_free(sandbox);
}

static void the_first_mistake_sticks(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    seclude_sandbox_hostname(sandbox, NULL);
    seclude_sandbox_share(sandbox, 1);
    seclude_sandbox_hostname(sandbox, "fine");
    CHECK_TEXT(complaint(sandbox), "hostname: is NULL");

    /* Copies, commands and texts have the mistake too. */
    seclude_sandbox *copy = seclude_sandbox_clone(sandbox);
    CHECK_TEXT(complaint(copy), "hostname: is NULL");
    seclude_text *text = (seclude_text *)&failures;
    CHECK_INT(seclude_sandbox_to_json(sandbox, &text, NULL), SECLUDE_EINVAL);
    CHECK(text == NULL);
    seclude_command *command = seclude_sandbox_command(copy, "true");
    seclude_sandbox_free(copy);
    seclude_sandbox_free(sandbox);
    seclude_command_arg(command, NULL);
    seclude_child *child = (seclude_child *)&failures;
    seclude_error *err = NULL;
    CHECK_INT(seclude_command_spawn(command, &child, &err), SECLUDE_EINVAL);
    CHECK_TEXT(seclude_error_message(err), "hostname: is NULL");
    CHECK(child == NULL);
    seclude_error_free(err);
    seclude_command_free(command);
}

static void each_mistake_in_the_policy_names_itself(void)
{
#define REFUSED(setter, words)                                        \
    do {                                                              \
        seclude_sandbox *sandbox = seclude_sandbox_new();             \
        setter;                                                       \
        if (!strstr(complaint(sandbox), words)) {                     \
            fprintf(stderr, "%s: %s\n", #setter, complaint(sandbox)); \
            failures++;                                               \
        }                                                             \
        seclude_sandbox_free(sandbox);                                \
    } while (0)
    REFUSED(seclude_sandbox_share(sandbox, 0), "none is named");
    REFUSED(seclude_sandbox_share(sandbox, -1), "no kind of namespace");
    REFUSED(seclude_sandbox_unshare(sandbox, 1 << 8), "no kind of namespace");
    REFUSED(seclude_sandbox_share(sandbox, SECLUDE_NAMESPACE_USER), "shared with the caller");
    REFUSED(seclude_sandbox_clock_offset(sandbox, 0, 1), "clock 0");
    REFUSED(seclude_sandbox_hostname(sandbox, ""), "must have 1 to 64");
    REFUSED(seclude_sandbox_hostname(sandbox, "\xff"), "is not UTF-8");
    REFUSED(seclude_sandbox_uid(sandbox, UINT32_MAX), "uid");
    REFUSED(seclude_sandbox_user(sandbox, "a:b"), "colon");
    REFUSED(seclude_sandbox_home(sandbox, "here"), "absolute");
    REFUSED(seclude_sandbox_host_ids(sandbox, 0), "host ids");
    REFUSED(seclude_sandbox_root(sandbox, ""), "empty");
    REFUSED(seclude_sandbox_bind_ro(sandbox, "/usr", "usr"), "absolute");
    REFUSED(seclude_sandbox_bind_ro(sandbox, "/usr", "/a/../b"), "..");
    REFUSED(seclude_sandbox_bind_rw(sandbox, NULL, "/a"), "bind source: is NULL");
    REFUSED(seclude_sandbox_bind_rw(sandbox, "/a", NULL), "bind destination: is NULL");
    REFUSED(seclude_sandbox_bind(sandbox, "/usr", "/a", 64), "bind flags 0x40");
    REFUSED(seclude_sandbox_tmpfs(sandbox, "/a", 0), "zero");
    REFUSED(seclude_sandbox_tmpfs_with(sandbox, "/a", 1, 1, 010000, 0), "above 0o7777");
    REFUSED(seclude_sandbox_tmpfs_with(sandbox, "/a", 1, 1, 0, 2), "tmpfs flags 0x2");
    REFUSED(seclude_sandbox_dir(sandbox, "/", 0755), "destination /");
    REFUSED(seclude_sandbox_symlink(sandbox, "", "/a"), "empty");
    REFUSED(seclude_sandbox_file(sandbox, "/a", NULL, 1, 0644), "file data: is NULL");
    REFUSED(seclude_sandbox_file(sandbox, "/a", "", SIZE_MAX, 0644), "larger than any memory");
    REFUSED(seclude_sandbox_rlimit(sandbox, 999, 1, 1), "rlimit 999");
    REFUSED(seclude_sandbox_rlimit(sandbox, -1, 1, 1), "rlimit -1");
    REFUSED(seclude_sandbox_rlimit(sandbox, RLIMIT_NOFILE, 2, 1), "above the hard limit");
    REFUSED(seclude_sandbox_wall_time(sandbox, 0), "zero");
    REFUSED(seclude_sandbox_wall_time(sandbox, UINT64_MAX), "wall_time");
    REFUSED((seclude_sandbox_dir(sandbox, "/a", 0755), seclude_sandbox_dir(sandbox, "/a", 0755)),
            "given twice");
#undef REFUSED
}

static void each_mistake_in_a_command_names_itself(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
#define REFUSED(setter, words)                                                   \
    do {                                                                         \
        seclude_command *command = seclude_sandbox_command(sandbox, "true");     \
        seclude_child *child;                                                    \
        seclude_error *err = NULL;                                               \
        setter;                                                                  \
        CHECK_INT(seclude_command_spawn(command, &child, &err), SECLUDE_EINVAL); \
        if (!strstr(seclude_error_message(err), words)) {                        \
            fprintf(stderr, "%s: %s\n", #setter, seclude_error_message(err));    \
            failures++;                                                          \
        }                                                                        \
        seclude_error_free(err);                                                 \
        seclude_command_free(command);                                           \
    } while (0)
    int closed = dup(0);
    close(closed);
    REFUSED(seclude_command_arg(command, NULL), "argument: is NULL");
    REFUSED(seclude_command_args(command, NULL), "arguments: is NULL");
    REFUSED(seclude_command_arg0(command, NULL), "is NULL");
    REFUSED(seclude_command_env(command, NULL, "a"), "environment variable: is NULL");
    REFUSED(seclude_command_env(command, "a", NULL), "value: is NULL");
    REFUSED(seclude_command_env(command, "a=b", "c"), "has no \"=\"");
    REFUSED(seclude_command_env_remove(command, NULL), "is NULL");
    REFUSED(seclude_command_cwd(command, "here"), "absolute");
    REFUSED(seclude_command_cwd(command, NULL), "is NULL");
    REFUSED(seclude_command_stdin(command, -1), "stdin -1: is not a descriptor");
    REFUSED(seclude_command_stdout(command, closed), "bad file descriptor");
    REFUSED(seclude_command_stderr(command, -77), "stderr -77");
    REFUSED(seclude_command_fd(command, 3, closed), "bad file descriptor");
    REFUSED(seclude_command_fd(command, 2, 0), "3 or higher");
    REFUSED((seclude_command_fd(command, 5, 0), seclude_command_fd(command, 5, 0)), "given twice");
    REFUSED(seclude_command_wall_time(command, 0), "zero");
#undef REFUSED
    seclude_sandbox_free(sandbox);
}

/* Every function with NULL for every pointer: returns a code or a harmless value, and never
 * crashes. */
static void null_is_never_a_crash(void)
{
    seclude_error *err = NULL;
    seclude_outcome outcome;
    seclude_child *child;
    seclude_output *output;
    seclude_processes *processes;
    seclude_text *text;
    seclude_sandbox *sandbox;
    size_t length = 7;

    CHECK(seclude_sandbox_clone(NULL) == NULL);
    seclude_sandbox_free(NULL);
    CHECK_INT(seclude_sandbox_check(NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_from_json(NULL, &sandbox, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_from_json("{}", NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_from_toml(NULL, &sandbox, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_from_toml("", NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_to_json(NULL, &text, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_to_toml(NULL, &text, NULL), SECLUDE_EINVAL);
    seclude_sandbox_share(NULL, SECLUDE_NAMESPACE_NET);
    seclude_sandbox_unshare(NULL, SECLUDE_NAMESPACE_NET);
    seclude_sandbox_clock_offset(NULL, SECLUDE_CLOCK_BOOTTIME, 1);
    seclude_sandbox_hostname(NULL, NULL);
    seclude_sandbox_domainname(NULL, NULL);
    seclude_sandbox_uid(NULL, 1);
    seclude_sandbox_gid(NULL, 1);
    seclude_sandbox_user(NULL, NULL);
    seclude_sandbox_home(NULL, NULL);
    seclude_sandbox_host_ids(NULL, 1);
    seclude_sandbox_root(NULL, NULL);
    seclude_sandbox_empty_root(NULL);
    seclude_sandbox_etc(NULL, NULL);
    seclude_sandbox_no_terminals(NULL);
    seclude_sandbox_as_pid_1(NULL);
    seclude_sandbox_writable_root(NULL);
    seclude_sandbox_bind_ro(NULL, NULL, NULL);
    seclude_sandbox_bind_rw(NULL, NULL, NULL);
    seclude_sandbox_bind(NULL, NULL, NULL, 0);
    seclude_sandbox_tmpfs(NULL, NULL, 1);
    seclude_sandbox_tmpfs_with(NULL, NULL, 1, 1, 0, 0);
    seclude_sandbox_dir(NULL, NULL, 0);
    seclude_sandbox_symlink(NULL, NULL, NULL);
    seclude_sandbox_mqueue(NULL, NULL);
    seclude_sandbox_sys(NULL, NULL);
    seclude_sandbox_disk_image(NULL, NULL, NULL);
    seclude_sandbox_overlay(NULL, NULL, NULL, NULL, 0, 0);
    seclude_sandbox_exact_files(NULL);
    seclude_sandbox_proc(NULL, NULL);
    seclude_sandbox_dev(NULL, NULL);
    seclude_sandbox_read_only(NULL, NULL);
    seclude_sandbox_chmod(NULL, NULL, 0);
    seclude_sandbox_bound_file(NULL, NULL, NULL, 0, 0, 0);
    seclude_sandbox_capabilities(NULL, 0);
    seclude_sandbox_file(NULL, NULL, NULL, 0, 0);
    seclude_sandbox_nested(NULL);
    seclude_sandbox_rlimit(NULL, RLIMIT_CPU, 1, 1);
    seclude_sandbox_wall_time(NULL, 1);
    seclude_sandbox_warden(NULL, NULL);
    sandbox = seclude_sandbox_new();
    CHECK_INT(seclude_sandbox_to_json(sandbox, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_sandbox_to_toml(sandbox, NULL, NULL), SECLUDE_EINVAL);
#define STICKS(setter)                                                  \
    do {                                                                \
        seclude_sandbox *object = seclude_sandbox_new();                \
        setter;                                                         \
        CHECK_INT(seclude_sandbox_check(object, NULL), SECLUDE_EINVAL); \
        seclude_sandbox_free(object);                                   \
    } while (0)
    STICKS(seclude_sandbox_hostname(object, NULL));
    STICKS(seclude_sandbox_domainname(object, NULL));
    STICKS(seclude_sandbox_user(object, NULL));
    STICKS(seclude_sandbox_home(object, NULL));
    STICKS(seclude_sandbox_root(object, NULL));
    STICKS(seclude_sandbox_bind_ro(object, NULL, "/a"));
    STICKS(seclude_sandbox_bind_ro(object, "/a", NULL));
    STICKS(seclude_sandbox_bind_rw(object, NULL, "/a"));
    STICKS(seclude_sandbox_bind(object, NULL, "/a", 0));
    STICKS(seclude_sandbox_bind(object, "/a", NULL, 0));
    STICKS(seclude_sandbox_tmpfs(object, NULL, 1));
    STICKS(seclude_sandbox_tmpfs_with(object, NULL, 1, 1, 0, 0));
    STICKS(seclude_sandbox_dir(object, NULL, 0));
    STICKS(seclude_sandbox_symlink(object, NULL, "/a"));
    STICKS(seclude_sandbox_symlink(object, "a", NULL));
    STICKS(seclude_sandbox_mqueue(object, NULL));
    STICKS(seclude_sandbox_sys(object, NULL));
    STICKS(seclude_sandbox_disk_image(object, NULL, "/a"));
    STICKS(seclude_sandbox_disk_image(object, "/a", NULL));
    STICKS(seclude_sandbox_overlay(object, NULL, "/a", NULL, 0, 0));
    STICKS(seclude_sandbox_overlay(object, (const char *[]){"/a", NULL}, NULL, NULL, 0, 0));
    STICKS(seclude_sandbox_proc(object, NULL));
    STICKS(seclude_sandbox_dev(object, NULL));
    STICKS(seclude_sandbox_read_only(object, NULL));
    STICKS(seclude_sandbox_chmod(object, NULL, 0));
    STICKS(seclude_sandbox_bound_file(object, NULL, "a", 1, 0, 0));
    STICKS(seclude_sandbox_bound_file(object, "/a", NULL, 1, 0, 0));
    STICKS(seclude_sandbox_capabilities(object, UINT64_MAX));
    STICKS(seclude_sandbox_file(object, NULL, "a", 1, 0));
    STICKS(seclude_sandbox_file(object, "/a", NULL, 1, 0));
    STICKS(seclude_sandbox_warden(object, NULL));
#undef STICKS

    /* A command is never NULL. The mistake sticks to it. */
    for (int which = 0; which < 2; which++) {
        seclude_command *command =
            seclude_sandbox_command(which ? sandbox : NULL, which ? NULL : "true");
        CHECK(command != NULL);
        CHECK_INT(seclude_command_spawn(command, &child, &err), SECLUDE_EINVAL);
        CHECK_TEXT(seclude_error_message(err), which ? "program: is NULL" : "sandbox: is NULL");
        seclude_error_free(err);
        seclude_command_free(command);
    }
    seclude_command *command = seclude_sandbox_command(sandbox, "true");
    CHECK_INT(seclude_command_spawn(command, NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_command_output(command, NULL, NULL), SECLUDE_EINVAL);
    seclude_command_free(command);
    seclude_sandbox_free(sandbox);
    seclude_command_free(NULL);
    seclude_command_arg(NULL, NULL);
    seclude_command_args(NULL, NULL);
    seclude_command_arg0(NULL, NULL);
    seclude_command_env(NULL, NULL, NULL);
    seclude_command_env_remove(NULL, NULL);
    seclude_command_env_clear(NULL);
    seclude_command_cwd(NULL, NULL);
    seclude_command_ignore_signal(NULL, 1);
    seclude_command_inherit_ignored_signals(NULL);
    seclude_command_umask(NULL, 0);
    seclude_command_process_group(NULL, 0);
    seclude_command_uid(NULL, 1);
    seclude_command_gid(NULL, 1);
    seclude_command_groups(NULL, NULL, 0);
    seclude_command_stdin(NULL, 0);
    seclude_command_stdout(NULL, 0);
    seclude_command_stderr(NULL, 0);
    seclude_command_fd(NULL, 3, 0);
    seclude_command_wall_time(NULL, 1);
    CHECK_INT(seclude_command_spawn(NULL, &child, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_command_run(NULL, &outcome, sizeof outcome, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_command_output(NULL, &output, NULL), SECLUDE_EINVAL);

    seclude_child_free(NULL);
    CHECK_INT(seclude_child_pidfd(NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_pid(NULL), 0);
    CHECK_INT(seclude_child_inside_pid(NULL), 0);
    CHECK_INT(seclude_child_enforced(NULL), 0);
    CHECK_INT(seclude_child_take_stdin(NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_take_stdout(NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_take_stderr(NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_wait(NULL, &outcome, sizeof outcome, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_wait_timeout(NULL, 1, &outcome, sizeof outcome, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_try_wait(NULL, &outcome, sizeof outcome, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_wait_with_output(NULL, &output, NULL), SECLUDE_EINVAL);
    CHECK(output == NULL);
    CHECK_INT(seclude_child_kill(NULL, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_signal(NULL, 15, NULL), SECLUDE_EINVAL);
    CHECK_INT(seclude_child_processes(NULL, &processes, NULL), SECLUDE_EINVAL);

    seclude_output_free(NULL);
    CHECK_INT(seclude_output_outcome(NULL, &outcome, sizeof outcome), SECLUDE_EINVAL);
    CHECK_TEXT(seclude_output_stdout(NULL, &length), "");
    CHECK_INT(length, 0);
    CHECK_TEXT(seclude_output_stderr(NULL, NULL), "");

    seclude_processes_free(NULL);
    CHECK_INT(seclude_processes_count(NULL), 0);
    CHECK_INT(seclude_processes_pid(NULL, 0), 0);
    CHECK_INT(seclude_processes_inside_pid(NULL, 0), 0);
    CHECK_INT(seclude_processes_pid_at(NULL, 0, 0), 0);
    CHECK_INT(seclude_processes_parent(NULL, 0), 0);
    CHECK_INT(seclude_processes_uid(NULL, 0), UINT32_MAX);
    CHECK_INT(seclude_processes_state(NULL, 0), 0);
    CHECK(seclude_processes_name(NULL, 0) == NULL);
    CHECK(seclude_processes_argument(NULL, 0, 0) == NULL);

    seclude_text_free(NULL);
    CHECK_TEXT(seclude_text_string(NULL), "");
    CHECK_INT(seclude_text_length(NULL), 0);

    seclude_error_free(NULL);
    CHECK_INT(seclude_error_code(NULL), 0);
    CHECK(seclude_error_name(NULL) == NULL);
    CHECK_TEXT(seclude_error_message(NULL), "no error");
    CHECK(seclude_error_step(NULL) == NULL);
    CHECK_INT(seclude_error_errno(NULL), 0);
    CHECK(seclude_error_path(NULL) == NULL);
    CHECK(seclude_error_hint(NULL) == NULL);
}

static void what_goes_in_is_copied(void)
{
    char name[] = "judge", json[] = "{\"hostname\": \"a\"}";
    seclude_sandbox *sandbox = seclude_sandbox_new(), *parsed = NULL;
    seclude_sandbox_hostname(sandbox, name);
    CHECK_INT(seclude_sandbox_from_json(json, &parsed, NULL), 0);
    memset(name, 0, sizeof name);
    memset(json, 0, sizeof json);
    seclude_text *text = NULL;
    CHECK_INT(seclude_sandbox_to_json(sandbox, &text, NULL), 0);
    CHECK_TEXT(seclude_text_string(text), "{\"hostname\":\"judge\"}");
    seclude_text_free(text);
    seclude_sandbox_free(parsed);
    seclude_sandbox_free(sandbox);
}

static void ten_thousand_entries_are_taken_at_once(void)
{
    seclude_sandbox *sandbox = seclude_sandbox_new();
    char at[32];
    for (int index = 0; index < 10000; index++) {
        snprintf(at, sizeof at, "/d/%d", index);
        seclude_sandbox_dir(sandbox, at, 0755);
    }
    CHECK_TEXT(complaint(sandbox), "");
    seclude_sandbox_free(sandbox);
}

int main(int argc, char **argv)
{
    static const struct test TESTS[] = {
        TEST(versions_agree),
        TEST(names_are_those_of_every_language),
        TEST(every_setter_is_taken),
        TEST(exact_files_are_taken_in_their_order),
        TEST(a_policy_goes_through_both_texts),
        TEST(a_bad_policy_is_refused_with_its_key),
        TEST(the_first_mistake_sticks),
        TEST(each_mistake_in_the_policy_names_itself),
        TEST(each_mistake_in_a_command_names_itself),
        TEST(null_is_never_a_crash),
        TEST(what_goes_in_is_copied),
        TEST(ten_thousand_entries_are_taken_at_once),
    };
    return RUN_TESTS(TESTS, argc, argv);
}
