/* e to the x: x = n ln 2 + r, and e to the r by its Taylor series. Expects IEEE doubles, and x of -1e8 to 709. */
static double exp_of(double x)
{
    union {
        double number;
        uint64_t bits;
    } shifted, power;
    static const double coefficients[13] = {
        1.0 / 6227020800.0,
        1.0 / 479001600.0,
        1.0 / 39916800.0,
        1.0 / 3628800.0,
        1.0 / 362880.0,
        1.0 / 40320.0,
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        1.0 / 2.0,
        1.0
    };
    double n, r, sum = 0.0;
    int k;
    if (x < -708.0) {
        return 0.0;
    }
    shifted.number = x * 1.4426950408889634 + 6755399441055744.0;
    n = shifted.number - 6755399441055744.0;
    r = x - n * 0.6931471803691238 - n * 1.9082149292705877e-10;
    for (k = 0; k < 13; k++) {
        sum = (sum + coefficients[k]) * r;
    }
    sum += 1.0;
    power.bits = (shifted.bits + 1023) << 52;
    return sum * power.number;
}
