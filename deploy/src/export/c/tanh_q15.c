/* tanh of z / 4096 in units of 1/32767: a table of the positive half with straight lines in between. */
static int16_t tanh_q15(int64_t z)
{
    static const int16_t table[129] = {TABLE};
    int32_t magnitude = (int32_t)limit(z < 0 ? -z : z, 0, 32767);
    int32_t low = table[magnitude >> 8], high = table[(magnitude >> 8) + 1];
    int32_t y = low + (((high - low) * (magnitude & 255) + 128) >> 8);
    return (int16_t)(z < 0 ? -y : y);
}

