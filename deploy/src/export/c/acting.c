static void most_probable(const float *params, float *action)
{
    size_t i;
    for (i = 0; i < ACTION; i++) {
        action[i] = (float)argmax(params, nvec[i]) + start[i];
        params += nvec[i];
    }
}

static int drawn(const float *params, const double *draws, float *action)
{
    size_t i;
    for (i = 0; i < ACTION; i++) {
        if (!(0.0 <= draws[i] && draws[i] < 1.0)) {
            return 1;
        }
        action[i] = (float)choose(params, nvec[i], draws[i]) + start[i];
        params += nvec[i];
    }
    return 0;
}

/* Makes what the mask does not allow improbable; 1 if it allows nothing. */
static int forbid(float *params, const unsigned char *mask)
{
    size_t i, j, allowed;
    for (i = 0; i < ACTION; i++) {
        allowed = 0;
        for (j = 0; j < nvec[i]; j++) {
            if (*mask++) {
                allowed++;
            } else {
                params[j] = -1e8f;
            }
        }
        if (allowed == 0) {
            return 1;
        }
        params += nvec[i];
    }
    return 0;
}

