/* A linear layer of eight outputs or more: to the bias come the products in the order of the inputs. */
static void wide(const float *x, size_t inputs, const float *weight, const float *bias, float *restrict y, size_t outputs)
{
    size_t i, j;
    for (j = 0; j < outputs; j++) {
        y[j] = bias[j];
    }
    for (i = 0; i < inputs; i++) {
        for (j = 0; j < outputs; j++) {
            y[j] += x[i] * weight[i * outputs + j];
        }
    }
}
