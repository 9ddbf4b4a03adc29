#include <iostream>

#include "suffix.h"

const char *word();

int main()
{
    std::cout << word() << SUFFIX "\n";
}
