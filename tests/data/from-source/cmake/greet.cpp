#include <iostream>

const char *word();

int main()
{
    std::cout << word() << "cmake\n";
}
