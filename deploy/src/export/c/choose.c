/* The first choice whose cumulative probability exceeds the draw. */
static size_t choose(const float *logits, size_t n, double draw)
{
    size_t i, last = 0;
    float max = logits[argmax(logits, n)];
    double weight, rest = 0.0;
    for (i = 0; i < n; i++) {
        rest += exp_of((double)(logits[i] - max));
    }
    rest *= draw;
    for (i = 0; i < n; i++) {
        weight = exp_of((double)(logits[i] - max));
        rest -= weight;
        if (rest < 0.0) {
            return i;
        }
        if (weight > 0.0) {
            last = i;
        }
    }
    return last;
}
