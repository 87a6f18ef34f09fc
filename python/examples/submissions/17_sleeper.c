// time limit: waits for ever, and pays no heed to a polite request
#include <signal.h>
#include <unistd.h>

int main(void)
{
    signal(SIGTERM, SIG_IGN);
    for (;;)
        pause();
}
