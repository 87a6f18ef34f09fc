// compile error: asks the compiler to quote a file of the judge's
#include "/etc/shadow"

int main(void)
{
}
