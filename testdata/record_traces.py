#!/usr/bin/env python3
"""Records traces of Gymnasium's environments, for envs/tests/golden/traces.rs to compare with.

    python3 -m venv venv
    venv/bin/pip install gymnasium==1.4.0 numpy==2.4.6
    venv/bin/python testdata/record_traces.py            # all of them
    venv/bin/python testdata/record_traces.py Acrobot    # those whose id begins so

Writes testdata/traces/ID.jsonl; the same versions write the same bytes. A line is one environment:

    {"id": …, "kwargs": {…}, "seed": …, "first": observation, "steps": [step, …]}

A step is [action, observation, reward, ends] with ends 0 (goes on), 1 (terminated), 2 (truncated) or 3 (both), and one
entry more after an end: the observation of the reset() without a seed that follows. Numbers are written so that they
read back to the same bits: f32 observations as the doubles that equal them, rewards as doubles.
"""

import json
import pathlib
import sys

import gymnasium
import numpy as np

HERE = pathlib.Path(__file__).parent
VERSIONS = {"gymnasium": "1.4.0", "numpy": "2.4.6"}


def plain(value):
    """An observation or action as JSON."""
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.ndarray):
        return value.astype(float).tolist()
    return int(value)


def at_random(env, seed):
    """Samples of the action space, seeded."""
    env.action_space.seed(1000 + seed)
    return lambda observation: env.action_space.sample()


def trace(env_id, kwargs, seed, steps, policy=at_random):
    env = gymnasium.make(env_id, **kwargs)
    act = policy(env, seed)
    observation, _ = env.reset(seed=seed)
    first, recorded = plain(observation), []
    for _ in range(steps):
        action = act(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        step = [plain(action), plain(observation), float(reward), int(terminated) + 2 * int(truncated)]
        if terminated or truncated:
            observation, _ = env.reset()
            step.append(plain(observation))
        recorded.append(step)
    return {"id": env_id, "kwargs": kwargs, "seed": seed, "first": first, "steps": recorded}


# What is recorded of each environment: (parameters, seeds, steps, policy).
RECORDS = {
    "CartPole-v1": [({"sutton_barto_reward": True}, [0, 1], 60, at_random)],
}


def main():
    found = {"gymnasium": gymnasium.__version__, "numpy": np.__version__}
    assert found == VERSIONS, f"record with {VERSIONS}, not {found}"
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    (HERE / "traces").mkdir(exist_ok=True)
    for env_id, records in RECORDS.items():
        if not env_id.startswith(wanted):
            continue
        with open(HERE / "traces" / f"{env_id}.jsonl", "w") as file:
            for kwargs, seeds, steps, policy in records:
                for seed in seeds:
                    file.write(json.dumps(trace(env_id, kwargs, seed, steps, policy), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
