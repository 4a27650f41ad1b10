/* kpid-scenario FILE...: runs scenarios; prints what was not as expected, with file and line, and a closing line. */
#include "scenario.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;

    if (argc < 2) {
        fprintf(stderr, "usage: kpid-scenario FILE...\n");
        return 2;
    }
    for (int i = 1; i < argc; i++)
        *(script_run(argv[i]) ? &passed : &failed) += 1;
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
