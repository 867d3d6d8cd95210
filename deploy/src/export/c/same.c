/* Whether n numbers are the same bits. */
static int same(const float *a, const float *b, size_t n)
{
    size_t i;
    union {
        float number;
        uint32_t bits;
    } x, y;
    for (i = 0; i < n; i++) {
        x.number = a[i];
        y.number = b[i];
        if (x.bits != y.bits) {
            return 0;
        }
    }
    return 1;
}

