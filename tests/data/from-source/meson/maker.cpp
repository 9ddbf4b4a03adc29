#include <iostream>

int main()
{
    std::cout << "#define SUFFIX \"meson\"\n";
}
