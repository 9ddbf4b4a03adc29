#include <stdio.h>

extern const char *word(int number);

int main(void)
{
    printf("%s %s %d\n", word(0), word(1), NUMBER);
    return 0;
}
