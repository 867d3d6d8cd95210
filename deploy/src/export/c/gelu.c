/* The Gaussian error linear unit in its tanh form. */
static float gelu_of(float x)
{
    return 0.5f * x * (1.0f + tanh_of(0.7978846f * x * (1.0f + 0.044715f * x * x)));
}
