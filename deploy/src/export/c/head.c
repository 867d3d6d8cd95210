#include <float.h>
#include <stddef.h>
#include <stdint.h>

#if FLT_EVAL_METHOD != 0
#error "floats are computed with more bits here: compile with -mfpmath=sse, or for a 64-bit processor"
#endif
#ifdef __FAST_MATH__
#error "compile without -ffast-math"
#endif
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__ && !defined __STRICT_ANSI__
#pragma GCC optimize("fp-contract=off")
#endif

/* Whether none of n numbers is infinite or not a number. */
static int all_finite(const float *x, size_t n)
{
    size_t i;
    for (i = 0; i < n; i++) {
        if (!(x[i] - x[i] == 0.0f)) {
            return 0;
        }
    }
    return 1;
}

