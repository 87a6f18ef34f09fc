// GoogleTest: tests that run in a sandbox of their own.
//
//     #include <seclude/gtest.hpp>
//
//     SECLUDE_TEST(Server, BindsItsPort)
//     {
//         EXPECT_EQ(bind_port(80), 0);    // nothing else is in this network
//     }
//
// The test starts the program again in the sandbox of `seclude_sandbox_for_tests`, for this test
// alone. That is safe with threads. Failures inside appear with their file, line and text; so do
// skips, and a crash. What the body changes in memory is gone at its end. Fixtures of `TEST_F` are
// not supported. Global environments (`AddGlobalTestEnvironment`) are set up in each process.
//
// The program must call InitGoogleTest, as gtest_main does. C++11 and GoogleTest 1.10 or later.
#ifndef SECLUDE_GTEST_HPP
#define SECLUDE_GTEST_HPP

#include <gtest/gtest.h>
#include <seclude/testing.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace seclude {
namespace testing {

// Writes each result of the test to a descriptor: type, line, file, and text, each ended by a NUL.
class Reporter : public ::testing::EmptyTestEventListener {
public:
    explicit Reporter(int descriptor) : descriptor_(descriptor) {}

    void OnTestPartResult(const ::testing::TestPartResult &part) override
    {
        std::string text = std::to_string(static_cast<int>(part.type())) + '\0' +
                           std::to_string(part.line_number()) + '\0';
        text += part.file_name() ? part.file_name() : "";
        text += '\0';
        text += part.message();
        text += '\0';
        for (size_t done = 0; done < text.size();) {
            ssize_t count = write(descriptor_, text.data() + done, text.size() - done);
            if (count < 0 && errno != EINTR)
                return;
            done += count > 0 ? static_cast<size_t>(count) : 0;
        }
    }

private:
    int descriptor_;
};

// Runs the body here, and reports its results to the process outside.
inline void run_inside(int descriptor, void (*body)())
{
    // Processes that the test starts must not keep the pipe open.
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    ::testing::TestEventListeners &listeners = ::testing::UnitTest::GetInstance()->listeners();
    // The process outside prints the results.
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new Reporter(descriptor));
    body();
}

// Repeats the results that the test inside has reported. Returns whether one was a failure.
inline bool repeat(const std::string &told)
{
    bool failed = false;
    for (size_t at = 0; at < told.size();) {
        std::string word[4];
        for (std::string &one : word) {
            size_t end = told.find('\0', at);
            end = end == std::string::npos ? told.size() : end;
            one = told.substr(at, end - at);
            at = end + 1;
        }
        auto type = static_cast<::testing::TestPartResult::Type>(std::atoi(word[0].c_str()));
        failed = failed || type == ::testing::TestPartResult::kNonFatalFailure ||
                 type == ::testing::TestPartResult::kFatalFailure;
        GTEST_MESSAGE_AT_(word[2].c_str(), std::atoi(word[1].c_str()), word[3].c_str(), type);
    }
    return failed;
}

// Runs the test of this name in a sandbox.
inline void run(const char *name, void (*body)())
{
    const char *inside = getenv("SECLUDE_TEST_NAME");
    const char *reports = getenv("SECLUDE_TEST_REPORTS");
    if (inside && reports && std::string(inside) == name && seclude_test_is_inside())
        return run_inside(std::atoi(reports), body);

    const int kReports = 3;
    seclude_error *err = nullptr;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        FAIL() << "a pipe for the results of " << name << ": " << std::strerror(errno);
    seclude_command *command = seclude_test_command();
    seclude_command_env(command, "SECLUDE_TEST_NAME", name);
    seclude_command_env(command, "SECLUDE_TEST_REPORTS", std::to_string(kReports).c_str());
    seclude_command_fd(command, kReports, ends[1]);
    const std::string filter = std::string("--gtest_filter=") + name;
    for (const char *argument : {filter.c_str(), "--gtest_also_run_disabled_tests",
                                 "--gtest_brief=1", "--gtest_repeat=1", "--gtest_output="})
        seclude_command_arg(command, argument);
    seclude_child *child = nullptr;
    const int started = seclude_command_spawn(command, &child, &err);
    seclude_command_free(command);
    close(ends[1]);
    std::string told;
    char piece[4096];
    for (ssize_t count; started == 0 && (count = read(ends[0], piece, sizeof piece)) != 0;)
        if (count > 0)
            told.append(piece, static_cast<size_t>(count));
        else if (errno != EINTR)
            break;
    close(ends[0]);
    seclude_outcome outcome;
    if (started != 0 || seclude_child_wait(child, &outcome, sizeof outcome, &err) != 0) {
        const std::string why = seclude_error_message(err);
        const bool denied = seclude_test_is_denied(err);
        seclude_error_free(err);
        seclude_child_free(child);
        if (denied)
            GTEST_SKIP() << "no sandbox for tests: " << why;
        FAIL() << "no sandbox for tests: " << why;
    }
    seclude_child_free(child);
    const bool failed = repeat(told);
    if (outcome.returncode != 0 && !failed)
        FAIL() << name << ", in a sandbox, was not completed: it " << outcome.text;
}

} // namespace testing
} // namespace seclude

// A test that runs in a sandbox of its own.
#define SECLUDE_TEST(suite, name)                                                                 \
    static void seclude_test_body_##suite##_##name();                                             \
    TEST(suite, name)                                                                             \
    {                                                                                             \
        ::seclude::testing::run(#suite "." #name, seclude_test_body_##suite##_##name);            \
    }                                                                                             \
    static void seclude_test_body_##suite##_##name()

#endif
