/* The index of the largest of n finite scores, the first of equals. */
static size_t argmax(const float *scores, size_t n)
{
    size_t i, best = 0;
    for (i = 1; i < n; i++) {
        if (scores[i] > scores[best]) {
            best = i;
        }
    }
    return best;
}
