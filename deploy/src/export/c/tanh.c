/* Hyperbolic tangent within 5e-7: a minimax rational function on a clamped argument. NaN stays NaN. */
static float tanh_of(float x)
{
    float u, p, q;
    if (x < -7.8f) {
        x = -7.8f;
    }
    if (x > 7.8f) {
        x = 7.8f;
    }
    u = x * x;
    p = ((1.1519712e-5f * u + 2.9581701e-3f) * u + 0.12931678f) * u + 0.99999946f;
    q = (((2.491027e-7f * u + 2.3976342e-4f) * u + 2.3843009e-2f) * u + 0.46264818f) * u + 1.0f;
    return x * p / q;
}
