/* What the sanitizers must find, or they find nothing: called by tests/sanitize/run before the tests. */
#include <stdlib.h>

int counter;

void beyond(void)  /* the end of an array */
{
    volatile double *values = malloc(4 * sizeof *values);
    values[4] = 1;
    free((void *)values);
}

void undefined(int shift)
{
    counter = 1 << shift;
}

void race(int n)
{
#pragma omp parallel for num_threads(2)
    for (int i = 0; i < n; i++)
        counter += i;
}

void no_race(int n, int *sums)  /* threads meet at the end of each loop */
{
    for (int turn = 0; turn < 20; turn++) {
#pragma omp parallel for num_threads(2)
        for (int i = 0; i < n; i++)
            sums[(i + turn * 7) % n] += i;
    }
}
