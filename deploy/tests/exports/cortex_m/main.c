/* On a Cortex-M4: the self-test, a hash over many states, the instructions of an action; all by semihosting. */
#include "policy.h"
#include <stddef.h>
#include <stdint.h>

static int semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void print(const char *name, uint32_t value)
{
    char text[40];
    size_t i, n = 0;
    while (*name != 0) {
        text[n++] = *name++;
    }
    text[n++] = ' ';
    for (i = 0; i < 8; i++) {
        text[n++] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    }
    text[n++] = '\n';
    text[n] = 0;
    semihost(4, text);
}

static uint32_t state = 1;

/* From [-2, 2), exactly. */
static float draw(void)
{
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 4194304.0f - 2.0f;
}

static uint32_t hash = 2166136261u;

static void add(const float *numbers, size_t n)
{
    size_t i;
    union {
        float number;
        uint32_t bits;
    } x;
    for (i = 0; i < n; i++) {
        x.number = numbers[i];
        hash = (hash ^ x.bits) * 16777619u;
    }
}

int main(void)
{
    volatile uint32_t *systick = (volatile uint32_t *)0xe000e010;
    float observation[POLICY_OBSERVATION], params[POLICY_PARAMS], action[POLICY_ACTION];
    uint32_t i, j, before;
    print("self_test", (uint32_t)policy_self_test());
    for (i = 0; i < STATES; i++) {
#ifdef REMEMBERS
        if (i % 50 == 0) {
            policy_reset();
        }
#endif
        for (j = 0; j < POLICY_OBSERVATION; j++) {
            observation[j] = draw();
        }
        policy_params(observation, params);
        policy_act(observation, action);
        add(params, POLICY_PARAMS);
        add(action, POLICY_ACTION);
    }
    print("hash", hash);
    systick[1] = 0xffffff;
    systick[2] = 0;
    systick[0] = 5;
    do {
        before = systick[2];
    } while (before == 0);
    for (i = 0; i < 1000; i++) {
        policy_act(observation, action);
    }
    /* A tick is 40 of QEMU's nanoseconds, and each of these an instruction. */
    print("instructions", (before - systick[2]) * 40 / 1000);
    semihost(0x18, (const void *)0x20026);
    return 0;
}
