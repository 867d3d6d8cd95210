/* The logistic function. */
static float sigmoid_of(float x)
{
    return 0.5f + 0.5f * tanh_of(0.5f * x);
}

/* What is remembered next, from linear layers of the features and of the memory; of each the gates r, z, n. */
static void remember(const float *x, const float *h, const float *memory, float *restrict next, size_t units)
{
    size_t j;
    for (j = 0; j < units; j++) {
        float r = sigmoid_of(x[j] + h[j]);
        float z = sigmoid_of(x[units + j] + h[units + j]);
        float n = tanh_of(x[2 * units + j] + r * h[2 * units + j]);
        next[j] = (1.0f - z) * n + z * memory[j];
    }
}
