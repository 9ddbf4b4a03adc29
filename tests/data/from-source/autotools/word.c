static const char *words[] = {"hello from", "autotools"};

const char *word(int number)
{
    return words[number];
}
