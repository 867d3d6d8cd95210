/* Runs an exported policy on records from stdin and writes what it does to stdout. */
#include "NAME.h"
#include <stdio.h>
#include <string.h>

/* Begins a record, and an episode if it is the first of one; then goes back to where the record began, as often as need be.
   0 always. */
MEMORY

int main(void)
{
    float observation[GUARD_OBSERVATION], params[GUARD_PARAMS], action[2][GUARD_ACTION];
    unsigned char first, mask[GUARD_PARAMS];
    double draws[GUARD_ACTION];
    unsigned char failed = (unsigned char)NAME_self_test();
    fwrite(&failed, 1, 1, stdout);
    fflush(stdout);
    while (fread(&first, 1, 1, stdin) == 1 && fread(observation, sizeof observation, 1, stdin) == 1
           && fread(mask, sizeof mask, 1, stdin) == 1 && fread(draws, sizeof draws, 1, stdin) == 1) {
        memset(params, 0, sizeof params);
        memset(action, 0, sizeof action);
        begin(first);
        failed = (unsigned char)(NAME_params(observation, params) || again() || ACT || again() || SAMPLE);
        if (failed) {
            again();
        }
        fwrite(&failed, 1, 1, stdout);
        fwrite(params, sizeof params, 1, stdout);
        fwrite(action, sizeof action, 1, stdout);
        fflush(stdout);
    }
    return 0;
}
