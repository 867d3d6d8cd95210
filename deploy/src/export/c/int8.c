/* x times scale, rounded to the nearest integer, halves away from zero, and limited to 16 bits. */
static int16_t quantize(float x, float scale)
{
    x = x * scale;
    if (x < -32767.0f) {
        x = -32767.0f;
    }
    if (x > 32767.0f) {
        x = 32767.0f;
    }
    return (int16_t)(x + (x < 0.0f ? -0.5f : 0.5f));
}

/* One output of a layer, its sum times a multiplier over two to the shift, halves rounded up. Expects that >> of a
   negative number rounds down, as every compiler for such chips has it; the self-test would tell. */
static int64_t dense(const int16_t *x, size_t inputs, const int8_t *weight, int32_t sum, int32_t multiplier, unsigned shift)
{
    size_t i;
    for (i = 0; i < inputs; i++) {
        sum += (int32_t)x[i] * weight[i];
    }
    return ((int64_t)sum * multiplier + ((int64_t)1 << (shift - 1))) >> shift;
}

static int64_t limit(int64_t y, int64_t low, int64_t high)
{
    return y < low ? low : y > high ? high : y;
}

