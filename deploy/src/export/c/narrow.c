/* A linear layer of fewer than eight outputs: the i-th product goes to sum i mod 8, and the sums are added in halves. */
static void narrow(const float *x, size_t inputs, const float *weight, const float *bias, float *restrict y, size_t outputs)
{
    size_t i, j, k;
    float s[8];
    for (j = 0; j < outputs; j++) {
        for (k = 0; k < 8; k++) {
            float sum = 0.0f;
            for (i = k; i < inputs; i += 8) {
                sum += x[i] * weight[i * outputs + j];
            }
            s[k] = sum;
        }
        for (k = 4; k > 0; k /= 2) {
            for (i = 0; i < k; i++) {
                s[i] += s[i + k];
            }
        }
        y[j] = bias[j] + s[0];
    }
}
