/*
 * Apprentice's plugin interface: reinforcement-learning environments in a shared library.
 *
 * A plugin is a shared library (.so, .dylib, .dll) that exports one function, apprentice_plugin(). It returns a
 * table of functions; through them the host makes environments and steps them. examples/c/cartpole.c is a whole
 * plugin, and `apprentice check-plugin FILE` says whether yours keeps to what is written here.
 *
 * Rules for every function:
 *
 *  - Batch first. An instance is a batch of `num_envs` environments with the same parameters, numbered from 0.
 *    Arrays over the environments have num_envs entries; rows follow each other without gaps.
 *  - The host owns all buffers and the plugin writes into them. The one thing that the plugin allocates is the
 *    instance. Pointers that it is given are valid during the call only, and never NULL.
 *  - A function returns APPRENTICE_OK, or APPRENTICE_ERROR after it has put the reason into error->message.
 *  - The calls on one instance come one at a time, though perhaps from different threads. Calls on different
 *    instances may come at the same time, so a plugin has no global state that changes.
 *  - All randomness comes from the seeds that reset is given: the same seed and actions give the same episode.
 *  - No exception and no longjmp leaves a function.
 *
 * The host looks after everything around an episode: time limits, autoreset, seeds, threads, the check of actions.
 *
 * C99, and valid C++.
 */
#ifndef APPRENTICE_ENV_H
#define APPRENTICE_ENV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes only when plugins built with an older header can no longer be used. */
#define APPRENTICE_ABI_VERSION 1u

/* What functions return. */
#define APPRENTICE_OK 0
#define APPRENTICE_ERROR 1

/* Where a function that fails writes why: UTF-8, with a NUL at the end. */
typedef struct apprentice_error {
    char message[512];
} apprentice_error;

/* One kind of environment that the plugin offers. All of it is constant. */
typedef struct apprentice_env_info {
    uint32_t struct_size;       /* sizeof(apprentice_env_info) */
    uint32_t max_episode_steps; /* the host cuts episodes off at this step; 0: never */
    double reward_threshold;    /* the mean return from which the task counts as solved; NAN: there is none */
    const char *id;             /* "namespace/Name-v0": ASCII letters, digits, '_', '-' and '.' */
    const char *page;           /* Markdown: rewards, units, start, end, parameters; or NULL */
} apprentice_env_info;

/*
 * The table. A field that is added in a later version of the same ABI comes at the end, so that struct_size tells
 * what there is.
 */
typedef struct apprentice_plugin_table {
    uint32_t abi_version; /* APPRENTICE_ABI_VERSION */
    uint32_t struct_size; /* sizeof(apprentice_plugin_table) */
    uint32_t num_kinds;   /* how many kinds of environment there are */

    /* The kind `kind`, from 0 to num_kinds - 1. */
    const apprentice_env_info *(*info)(uint32_t kind);

    /*
     * Makes `num_envs` environments (at least 1). `kwargs` is a JSON object with the parameters that differ from
     * their defaults, without white space: "{}" if none does. Refuse what you do not know: a typing error should
     * not be ignored.
     */
    int32_t (*create)(uint32_t kind, uint32_t num_envs, const char *kwargs, void **instance, apprentice_error *error);

    /* Frees an instance. */
    void (*destroy)(void *instance);

    /*
     * The spaces of the environments as JSON (README.md has the grammar), such as
     *   {"type":"Discrete","n":2}
     *   {"type":"Box","low":[-4.8,"-inf"],"high":[4.8,"inf"],"shape":[2]}
     * They may depend on the parameters. The text lives at least as long as the instance.
     *
     * An element of a space is a row of floats: one for each coordinate of a Box, for each integer of a Discrete or
     * MultiDiscrete, and for each switch of a MultiBinary; the parts of a Tuple or a Dict (in the order of its keys)
     * one after another.
     */
    const char *(*observation_space)(void *instance);
    const char *(*action_space)(void *instance);

    /*
     * Starts episodes in `count` of the environments. For k = 0 … count - 1: environment envs[k] starts an episode
     * that depends on seeds[k] alone, and its first observation is row k of `observations`, count rows in all.
     */
    int32_t (*reset)(void *instance, uint32_t count, const uint32_t *envs, const uint64_t *seeds, float *observations,
                     apprentice_error *error);

    /*
     * Advances every environment i by one step: reads row i of `actions`, which is always an element of the action
     * space, and writes row i of `observations`, rewards[i], terminated[i] (1: the episode ended by the rules of the
     * task, else 0) and truncated[i] (1: the environment itself cut it off, else 0).
     *
     * Environments whose skip[i] is 1 are reset right after. They need not be stepped, and what is written for them
     * does not count; it is 0 for all others, which have been reset and whose episode has not ended.
     */
    int32_t (*step)(void *instance, const float *actions, const uint8_t *skip, float *observations, double *rewards,
                    uint8_t *terminated, uint8_t *truncated, apprentice_error *error);

    /*
     * Stores everything that the future of environment `env` depends on: sets *size to the number of bytes and, if
     * `capacity` is at least as many, writes them. The host asks for the size first, with a capacity of 0.
     * Comes at any time after create.
     */
    int32_t (*save)(void *instance, uint32_t env, uint8_t *bytes, size_t capacity, size_t *size,
                    apprentice_error *error);

    /*
     * Goes on from bytes that save gave, perhaps for another environment with the same parameters and in another
     * process. They may be damaged: refuse a state that cannot be.
     */
    int32_t (*load)(void *instance, uint32_t env, const uint8_t *bytes, size_t size, apprentice_error *error);

    /* The functions below may be NULL. */

    /*
     * Marks the actions that make sense in the present state of environment `env`. `mask` comes filled with 1 and
     * has an entry for each choice: n for a Discrete(n), one after another for a MultiDiscrete, one for every other
     * column. Write 0 where a choice makes no sense.
     */
    int32_t (*action_mask)(void *instance, uint32_t env, uint8_t *mask, apprentice_error *error);

    /*
     * Draws environment `env` as text in UTF-8, perhaps coloured by ANSI escapes. Size and capacity as for save; size 0
     * says that environments of its kind do not draw themselves so.
     */
    int32_t (*render_text)(void *instance, uint32_t env, char *text, size_t capacity, size_t *size,
                           apprentice_error *error);

    /*
     * Draws environment `env` as a picture: sets *width and *height and, if `capacity` is at least
     * height * width * 3, writes so many bytes: red, green, blue; rows from the top. A width and height of 0 say that
     * environments of its kind do not draw themselves so.
     */
    int32_t (*render_rgb)(void *instance, uint32_t env, uint8_t *rgb, size_t capacity, uint32_t *width,
                          uint32_t *height, apprentice_error *error);
} apprentice_plugin_table;

#if defined(_WIN32)
#define APPRENTICE_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define APPRENTICE_EXPORT __attribute__((visibility("default")))
#else
#define APPRENTICE_EXPORT
#endif

/* What a plugin exports. The table is constant and lives as long as the library is loaded. */
APPRENTICE_EXPORT const apprentice_plugin_table *apprentice_plugin(void);

#ifdef __cplusplus
}
#endif

#endif
