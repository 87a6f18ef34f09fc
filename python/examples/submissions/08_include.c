// compile error: makes the compiler quote a file of the judge
#include "/etc/shadow"

int main(void)
{
}
