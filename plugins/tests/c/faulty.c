/*
 * A plugin that works, and with -DFAULT="name" one that is broken in one place. Its environment counts steps: the
 * observation is the count and the last action, the episode ends at 5.
 */
#include "apprentice_env.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef FAULT
#define FAULT "none"
#endif

static int is(const char *fault) { return strcmp(FAULT, fault) == 0; }

typedef struct {
    uint32_t num_envs;
    float *state; /* count and action of each */
} Count;

/* What no plugin should have: a state that all environments share. */
static float common = 0;

static const apprentice_env_info *info(uint32_t kind) {
    static apprentice_env_info counts[2];
    apprentice_env_info *count = &counts[kind];
    count->struct_size = is("small_info") ? 8 : sizeof(apprentice_env_info);
    count->max_episode_steps = 0;
    count->reward_threshold = is("infinite_threshold") ? -HUGE_VAL : (double)NAN;
    count->id = kind == 0 || is("twins") ? "t/Count-v0" : "t/Other-v0";
    if (is("bad_id")) count->id = "Count";
    if (is("no_id")) count->id = NULL;
    count->page = is("page_not_utf8") ? "# Z\xe4hler" : NULL;
    return is("no_info") ? NULL : count;
}

static int32_t create(uint32_t kind, uint32_t num_envs, const char *kwargs, void **instance, apprentice_error *error) {
    Count *env;
    (void)kind;
    if (is("create_fails") || (strcmp(kwargs, "{}") != 0 && !is("any_parameter"))) {
        snprintf(error->message, sizeof error->message, "no toys\nleft");
        return APPRENTICE_ERROR;
    }
    if (is("endless_message")) {
        memset(error->message, '!', sizeof error->message);
        return APPRENTICE_ERROR;
    }
    if (is("create_says_nothing")) return APPRENTICE_ERROR;
    if (is("create_gives_nothing")) return APPRENTICE_OK;
    if (is("strange_status")) return 7;
    if (is("batches_fail") && num_envs > 1) return APPRENTICE_ERROR;
    env = malloc(sizeof *env);
    env->num_envs = num_envs;
    env->state = calloc(2 * num_envs, sizeof(float));
    *instance = env;
    return APPRENTICE_OK;
}

static void destroy(void *instance) {
    free(((Count *)instance)->state);
    free(instance);
}

static const char *observation_space(void *instance) {
    const Count *env = instance;
    if (is("no_space")) return NULL;
    if (is("space_not_json")) return "Box(2)";
    if (is("space_not_utf8")) return "\xff\xfe";
    if (is("space_of_another_type")) return "{\"type\":\"Sphere\",\"n\":2}";
    if (is("empty_space")) return "{\"type\":\"Tuple\",\"spaces\":[]}";
    if (is("huge_space")) return "{\"type\":\"MultiBinary\",\"shape\":[4294967296,4294967296]}";
    if (is("space_that_lies")) return "{\"type\":\"Box\",\"low\":[0,0],\"high\":[5,1],\"shape\":[3]}";
    if (is("narrow_space")) return "{\"type\":\"Box\",\"low\":[0],\"high\":[5],\"shape\":[1]}";
    if (is("wide_space")) return "{\"type\":\"Box\",\"low\":[0,0,0],\"high\":[5,1,1],\"shape\":[3]}";
    if (is("changing_space") && env->num_envs > 1) {
        return "{\"type\":\"Box\",\"low\":[0,0],\"high\":[6,1],\"shape\":[2]}";
    }
    return "{\"type\":\"Box\",\"low\":[0,0],\"high\":[5,1],\"shape\":[2]}";
}

static const char *action_space(void *instance) {
    (void)instance;
    return is("empty_actions") ? "{\"type\":\"Discrete\",\"n\":0}" : "{\"type\":\"Discrete\",\"n\":2}";
}

static int32_t reset(void *instance, uint32_t count, const uint32_t *envs, const uint64_t *seeds, float *observations,
                     apprentice_error *error) {
    Count *env = instance;
    uint32_t k;
    (void)seeds, (void)error;
    for (k = 0; k < count; k++) {
        float *state = env->state + 2 * envs[k];
        state[0] = state[1] = 0;
        observations[2 * k] = is("reset_outside") ? 9.0f : 0.0f;
        observations[2 * k + 1] = 0;
    }
    if (is("resets_all") && count < env->num_envs) memset(env->state, 0, 2 * env->num_envs * sizeof(float));
    return is("reset_fails") ? APPRENTICE_ERROR : APPRENTICE_OK;
}

static int32_t step(void *instance, const float *actions, const uint8_t *skip, float *observations, double *rewards,
                    uint8_t *terminated, uint8_t *truncated, apprentice_error *error) {
    Count *env = instance;
    uint32_t i, n = env->num_envs;
    (void)skip;
    for (i = 0; i < n; i++) {
        float *state = env->state + 2 * i;
        if (actions[i] != 0 && actions[i] != 1) {
            snprintf(error->message, sizeof error->message, "the host sent the action %g", actions[i]);
            return APPRENTICE_ERROR;
        }
        if (state[0] < 5) state[0] += 1;
        state[1] = actions[i];
        observations[2 * i] = state[0];
        observations[2 * i + 1] = state[1];
        rewards[i] = 1;
        terminated[i] = state[0] == 5;
        truncated[i] = 0;
    }
    while (is("never_returns") && env->state[0] == 3) sleep(1);
    if (is("nan_at_last")) rewards[0] = env->state[0] == 4 ? NAN : 1;
    if (is("common_state")) rewards[0] = common++;
    if (is("batch_differs") && n > 1) rewards[1] = 2;
    if (is("step_outside")) observations[2 * n - 1] = 0.5f + n;
    if (is("step_nan")) observations[2 * n - 2] = NAN;
    if (is("infinite_reward")) rewards[n - 1] = HUGE_VAL;
    if (is("nan_reward")) rewards[n - 1] = NAN;
    if (is("strange_terminated")) terminated[n - 1] = 2;
    if (is("strange_truncated")) truncated[n - 1] = 77;
    if (is("unwritten_truncated")) truncated[n - 1] = 0xff;
    if (is("flags_overrun")) terminated[n] = 1;
    if (is("rewards_overrun") && n == 1) rewards[n] = 1;
    if (is("step_fails")) return snprintf(error->message, sizeof error->message, "a wheel came off"), APPRENTICE_ERROR;
    if (is("batch_step_nan") && n == 4) observations[2 * 2] = NAN;
    return is("step_status") ? -1 : APPRENTICE_OK;
}

static int32_t save(void *instance, uint32_t i, uint8_t *bytes, size_t capacity, size_t *size,
                    apprentice_error *error) {
    Count *env = instance;
    size_t own = 2 * sizeof(float);
    (void)error;
    if (is("save_fails")) return APPRENTICE_ERROR;
    *size = is("save_is_huge") ? (size_t)-5 : own;
    if (is("save_changes_size") && capacity > 0) *size = own + 1;
    if (capacity >= own) memcpy(bytes, env->state + 2 * i, own);
    if (is("save_overruns") && capacity > 0) bytes[own] = 1;
    return APPRENTICE_OK;
}

static int32_t load(void *instance, uint32_t i, const uint8_t *bytes, size_t size, apprentice_error *error) {
    Count *env = instance;
    if ((size != 2 * sizeof(float) && !is("load_takes_all")) || is("load_fails")) {
        snprintf(error->message, sizeof error->message, "not a count");
        return APPRENTICE_ERROR;
    }
    memcpy(env->state + 2 * i, bytes, size < 2 * sizeof(float) ? size : 2 * sizeof(float));
    if (is("load_forgets_a_part")) env->state[2 * i + 1] = 0;
    return APPRENTICE_OK;
}

static int32_t action_mask(void *instance, uint32_t i, uint8_t *mask, apprentice_error *error) {
    Count *env = instance;
    (void)error;
    if (is("empty_mask")) mask[0] = mask[1] = 0;
    else mask[1] = is("strange_mask") ? 3 : env->state[2 * i] < 2;
    if (is("mask_overruns")) mask[2] = 1;
    return is("mask_fails") ? APPRENTICE_ERROR : APPRENTICE_OK;
}

static int32_t render_text(void *instance, uint32_t i, char *text, size_t capacity, size_t *size,
                           apprentice_error *error) {
    Count *env = instance;
    (void)error;
    *size = 1;
    if (capacity >= 1) text[0] = is("text_not_utf8") ? '\xff' : (char)('0' + (int)env->state[2 * i]);
    return APPRENTICE_OK;
}

static int32_t render_rgb(void *instance, uint32_t i, uint8_t *rgb, size_t capacity, uint32_t *width,
                          uint32_t *height, apprentice_error *error) {
    Count *env = instance;
    (void)error;
    *width = is("huge_picture") ? 1u << 20 : 2;
    *height = 1;
    if (capacity >= 6) memset(rgb, 40 * (int)env->state[2 * i], 6);
    return APPRENTICE_OK;
}

#ifndef NO_ENTRY
const apprentice_plugin_table *apprentice_plugin(void) {
    /* Larger than the host knows, as that of a newer version would be. */
    static struct {
        apprentice_plugin_table table;
        void (*newer)(void);
    } larger;
    apprentice_plugin_table *table = &larger.table;
    table->abi_version = is("newer_abi") ? 99 : is("older_abi") ? 0 : APPRENTICE_ABI_VERSION;
    table->struct_size = is("small_table") ? 40 : sizeof larger;
    table->num_kinds = is("no_kinds") ? 0 : is("many_kinds") ? 4000000000u : 2;
    table->info = info;
    table->create = create;
    table->destroy = destroy;
    table->observation_space = observation_space;
    table->action_space = action_space;
    table->reset = reset;
    table->step = step;
    table->save = save;
    table->load = load;
    table->action_mask = action_mask;
    table->render_text = render_text;
    table->render_rgb = render_rgb;
#ifdef MISSING
    table->MISSING = NULL;
#endif
    return is("no_table") ? NULL : table;
}
#endif
