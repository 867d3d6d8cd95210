/* The least program around a policy, to see what the policy adds to it. */
#include "policy.h"

volatile float sensors[POLICY_OBSERVATION], motor;

int main(void)
{
    float observation[POLICY_OBSERVATION], action[POLICY_ACTION];
    unsigned i;
    for (i = 0; i < POLICY_OBSERVATION; i++) {
        observation[i] = sensors[i];
    }
#ifdef WITH_POLICY
    policy_act(observation, action);
#else
    action[0] = observation[0] + observation[1];
#endif
    motor = action[0];
    return 0;
}
