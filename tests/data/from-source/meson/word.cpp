#include <string>

const char *word()
{
    static std::string word = "hello from ";
    return word.c_str();
}
