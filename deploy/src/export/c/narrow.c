/* A linear layer of fewer than eight outputs: the i-th product goes to sum i mod 8. */
static void narrow(const float *x, size_t inputs, const float *weight, const float *bias, float *restrict y, size_t outputs)
{
    size_t i, j;
    for (j = 0; j < outputs; j++) {
        float s[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
        for (i = 0; i < inputs; i++) {
            s[i % 8] += x[i] * weight[i * outputs + j];
        }
        y[j] = bias[j] + (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])));
    }
}
