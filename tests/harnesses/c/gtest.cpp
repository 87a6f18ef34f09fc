// GoogleTest: each SECLUDE_TEST runs in a sandbox of its own.
#include <seclude/gtest.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <csignal>
#include <thread>

static int bind_port()
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(4711);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    return bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address);
}

static int changed = 0;

SECLUDE_TEST(Sample, BindsThePort)
{
    changed = 1;
    EXPECT_EQ(bind_port(), 0);
    std::thread([] { EXPECT_EQ(access("/tmp/seclude-harness-outside", F_OK), -1); }).join();
}

SECLUDE_TEST(Sample, BindsThePortToo)
{
    EXPECT_EQ(bind_port(), 0);
    EXPECT_EQ(changed, 0) << "what another test changed is not seen here";
}

SECLUDE_TEST(Sample, IsSkipped)
{
    GTEST_SKIP() << "skipped as told";
}

SECLUDE_TEST(Failing, ShowsItsLine)
{
    EXPECT_EQ(1 + 1, 3) << "failed as told"; // line 43
    ADD_FAILURE() << "and went on";
}

SECLUDE_TEST(Failing, Crashes)
{
    raise(SIGSEGV);
}

TEST(Plain, RunsOutside)
{
    EXPECT_FALSE(seclude_test_is_inside());
}
