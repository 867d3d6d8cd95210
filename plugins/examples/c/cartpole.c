/*
 * CartPole as a plugin: the equations of apprentice's CartPole-v1 in plain C99.
 *
 *     cc -std=c99 -O3 -march=native -fPIC -shared -I include examples/c/cartpole.c -o cartpole.so
 *     apprentice check-plugin cartpole.so
 *     apprentice train c/CartPole-v1 --plugin cartpole.so --preset cartpole
 *
 * The states of a batch lie in four arrays, so that the compiler steps several cart-poles at once.
 */
#include "apprentice_env.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double PI = 3.14159265358979323846;
static const double X_THRESHOLD = 2.4; /* m */
#define THETA_THRESHOLD (12.0 * 2.0 * PI / 360.0)

enum { X, X_DOT, THETA, THETA_DOT, DIM };

typedef struct {
    uint32_t num_envs;
    double gravity, masscart, masspole, length, force_mag, tau;
    double *state[DIM]; /* num_envs entries each */
} CartPole;

/* ---- parameters ---- */

/* Reads a flat JSON object of numbers, such as {"gravity":1.62,"length":0.7}. */
static int32_t read_kwargs(CartPole *env, const char *kwargs, apprentice_error *error) {
    struct { const char *name; double *value; int positive; } known[] = {
        {"gravity", &env->gravity, 0},   {"masscart", &env->masscart, 1}, {"masspole", &env->masspole, 1},
        {"length", &env->length, 1},     {"force_mag", &env->force_mag, 0}, {"tau", &env->tau, 1},
    };
    const char *at = kwargs + 1; /* behind the brace */
    while (*at == '"') {
        char name[32];
        int length = 0;
        size_t k = 0;
        char *end;
        if (sscanf(at, "\"%31[a-z_]\":%n", name, &length) != 1 || length == 0) break;
        while (k < sizeof known / sizeof *known && strcmp(known[k].name, name) != 0) k++;
        if (k == sizeof known / sizeof *known) {
            snprintf(error->message, sizeof error->message,
                     "unknown parameter %s: expected gravity, masscart, masspole, length, force_mag or tau", name);
            return APPRENTICE_ERROR;
        }
        *known[k].value = strtod(at + length, &end);
        if (end == at + length || !isfinite(*known[k].value) || (known[k].positive && *known[k].value <= 0)) {
            snprintf(error->message, sizeof error->message, "%s: expected a %snumber", name,
                     known[k].positive ? "positive " : "");
            return APPRENTICE_ERROR;
        }
        at = *end == ',' ? end + 1 : end;
    }
    if (strcmp(at, "}") == 0) return APPRENTICE_OK;
    snprintf(error->message, sizeof error->message, "expected an object of numbers, got %.200s", kwargs);
    return APPRENTICE_ERROR;
}

/* ---- dynamics ---- */

/* The series of sine and cosine, to the last bit or the one before it: an episode ends beyond 12 degrees, so that
   what is stepped stands at a small angle. */
static double small_sin(double x) {
    double z = x * x;
    return x - x * z * (1.0 / 6 - z * (1.0 / 120 - z * (1.0 / 5040 - z * (1.0 / 362880 - z * (1.0 / 39916800)))));
}

static double small_cos(double x) {
    double z = x * x;
    return 1.0 - z * (0.5 - z * (1.0 / 24 - z * (1.0 / 720 - z * (1.0 / 40320 - z * (1.0 / 3628800)))));
}

static int ended(double x, double theta) {
    return (x < -X_THRESHOLD) | (x > X_THRESHOLD) | (theta < -THETA_THRESHOLD) | (theta > THETA_THRESHOLD);
}

/* One Euler step of the equations of motion (Florian 2007) for every environment. */
static int32_t step(void *instance, const float *actions, const uint8_t *skip, float *observations, double *rewards,
                    uint8_t *terminated, uint8_t *truncated, apprentice_error *error) {
    const CartPole *env = instance;
    const double gravity = env->gravity, force_mag = env->force_mag, length = env->length, tau = env->tau;
    const double masspole = env->masspole, total_mass = env->masspole + env->masscart;
    const double polemass_length = env->masspole * env->length;
    double *restrict x = env->state[X], *restrict x_dot = env->state[X_DOT];
    double *restrict theta = env->state[THETA], *restrict theta_dot = env->state[THETA_DOT];
    uint32_t i;
    (void)skip; /* to step one that is reset right after does no harm */
    (void)error;
    for (i = 0; i < env->num_envs; i++) {
        double force = actions[i] == 1.0f ? force_mag : -force_mag;
        double sine = small_sin(theta[i]), cosine = small_cos(theta[i]);
        double temp = (force + polemass_length * (theta_dot[i] * theta_dot[i]) * sine) / total_mass;
        double theta_acc = (gravity * sine - cosine * temp) /
                           (length * (4.0 / 3.0 - masspole * (cosine * cosine) / total_mass));
        double x_acc = temp - polemass_length * theta_acc * cosine / total_mass;
        x[i] += tau * x_dot[i];
        x_dot[i] += tau * x_acc;
        theta[i] += tau * theta_dot[i];
        theta_dot[i] += tau * theta_acc;
    }
    for (i = 0; i < env->num_envs; i++) {
        observations[4 * i + X] = (float)x[i];
        observations[4 * i + X_DOT] = (float)x_dot[i];
        observations[4 * i + THETA] = (float)theta[i];
        observations[4 * i + THETA_DOT] = (float)theta_dot[i];
    }
    for (i = 0; i < env->num_envs; i++) {
        terminated[i] = (uint8_t)ended(x[i], theta[i]);
        truncated[i] = 0;
        rewards[i] = 1.0;
    }
    return APPRENTICE_OK;
}

/* SplitMix64 (Steele, Lea and Flood 2014): a generator that needs no state but its seed. */
static double uniform(uint64_t *seed, double low, double high) {
    uint64_t z = (*seed += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return low + (high - low) * ((double)(z >> 11) / 9007199254740992.0);
}

static int32_t reset(void *instance, uint32_t count, const uint32_t *envs, const uint64_t *seeds, float *observations,
                     apprentice_error *error) {
    CartPole *env = instance;
    uint32_t k;
    int d;
    (void)error;
    for (k = 0; k < count; k++) {
        uint64_t seed = seeds[k];
        for (d = 0; d < DIM; d++) {
            double start = uniform(&seed, -0.05, 0.05);
            env->state[d][envs[k]] = start;
            observations[4 * k + (uint32_t)d] = (float)start;
        }
    }
    return APPRENTICE_OK;
}

/* ---- snapshots: the four numbers ---- */

static int32_t save(void *instance, uint32_t i, uint8_t *bytes, size_t capacity, size_t *size,
                    apprentice_error *error) {
    const CartPole *env = instance;
    double state[DIM];
    int d;
    (void)error;
    for (d = 0; d < DIM; d++) state[d] = env->state[d][i];
    *size = sizeof state;
    if (capacity >= sizeof state) memcpy(bytes, state, sizeof state);
    return APPRENTICE_OK;
}

static int32_t load(void *instance, uint32_t i, const uint8_t *bytes, size_t size, apprentice_error *error) {
    CartPole *env = instance;
    double state[DIM];
    int d, finite = 1;
    if (size != sizeof state) {
        snprintf(error->message, sizeof error->message, "expected %u bytes, got %lu", (unsigned)sizeof state,
                 (unsigned long)size);
        return APPRENTICE_ERROR;
    }
    memcpy(state, bytes, sizeof state);
    for (d = 0; d < DIM; d++) finite &= isfinite(state[d]) != 0;
    if (!finite) {
        snprintf(error->message, sizeof error->message, "the state is not finite");
        return APPRENTICE_ERROR;
    }
    for (d = 0; d < DIM; d++) env->state[d][i] = state[d];
    return APPRENTICE_OK;
}

/* ---- what there is ---- */

static void destroy(void *instance) {
    CartPole *env = instance;
    int d;
    for (d = 0; d < DIM; d++) free(env->state[d]);
    free(env);
}

static int32_t create(uint32_t kind, uint32_t num_envs, const char *kwargs, void **instance, apprentice_error *error) {
    CartPole *env = calloc(1, sizeof *env);
    int d, complete = env != NULL;
    (void)kind;
    for (d = 0; complete && d < DIM; d++) {
        env->state[d] = calloc(num_envs, sizeof(double));
        complete = env->state[d] != NULL;
    }
    if (!complete) {
        snprintf(error->message, sizeof error->message, "out of memory");
        if (env) destroy(env);
        return APPRENTICE_ERROR;
    }
    env->num_envs = num_envs;
    env->gravity = 9.8;
    env->masscart = 1.0;
    env->masspole = 0.1;
    env->length = 0.5; /* half the pole's */
    env->force_mag = 10.0;
    env->tau = 0.02;
    if (read_kwargs(env, kwargs, error) != APPRENTICE_OK) {
        destroy(env);
        return APPRENTICE_ERROR;
    }
    *instance = env;
    return APPRENTICE_OK;
}

static const char *observation_space(void *instance) {
    (void)instance;
    /* Twice the bounds beyond which an episode ends. */
    return "{\"type\":\"Box\",\"low\":[-4.8,\"-inf\",-0.41887903,\"-inf\"],"
           "\"high\":[4.8,\"inf\",0.41887903,\"inf\"],\"shape\":[4]}";
}

static const char *action_space(void *instance) {
    (void)instance;
    return "{\"type\":\"Discrete\",\"n\":2}";
}

static const apprentice_env_info *info(uint32_t kind) {
    static const apprentice_env_info cartpole = {
        sizeof(apprentice_env_info), 500, 475.0, "c/CartPole-v1",
        "# c/CartPole-v1\n\nThe cart-pole of CartPole-v1, written in C, with starts from a generator of its own.\n\n"
        "**Parameters**: `gravity`, `masscart`, `masspole`, `length`, `force_mag`, `tau`.\n",
    };
    (void)kind;
    return &cartpole;
}

const apprentice_plugin_table *apprentice_plugin(void) {
    static const apprentice_plugin_table table = {
        .abi_version = APPRENTICE_ABI_VERSION,
        .struct_size = sizeof(apprentice_plugin_table),
        .num_kinds = 1,
        .info = info,
        .create = create,
        .destroy = destroy,
        .observation_space = observation_space,
        .action_space = action_space,
        .reset = reset,
        .step = step,
        .save = save,
        .load = load,
    };
    return &table;
}
