#!/usr/bin/env python3
"""Records Gymnasium's normalisation wrappers, for envs/tests/golden/normalize.rs to compare with.

    python3 -m venv venv
    venv/bin/pip install gymnasium==1.4.0 numpy==2.4.6
    venv/bin/python testdata/record_normalize.py

Writes normalize.json beside this script; the same versions write the same bytes. It holds a list of batches:

    {"id": …, "max_episode_steps": …, "autoreset": …, "normalize": "observations" | "rewards", "seed": …,
     "actions": [T][N][…], "frozen_from": step, "values": [T][N] rewards or [T + 1][N][…] observations}

Observations are normalised in next-step mode, the only one that Gymnasium's wrapper takes; rewards in same-step mode,
in which its returns end with the episodes.
"""

import json
import pathlib

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import NormalizeObservation, NormalizeReward

HERE = pathlib.Path(__file__).parent
VERSIONS = {"gymnasium": "1.4.0", "numpy": "2.4.6"}
NUM_ENVS, STEPS, FROZEN_FROM = 3, 90, 70


def record(env_id, max_episode_steps, normalize, seed):
    observations = normalize == "observations"
    mode = AutoresetMode.NEXT_STEP if observations else AutoresetMode.SAME_STEP
    make = lambda: gymnasium.make(env_id, max_episode_steps=max_episode_steps)
    envs = SyncVectorEnv([make] * NUM_ENVS, autoreset_mode=mode)
    envs = NormalizeObservation(envs) if observations else NormalizeReward(envs)
    envs.action_space.seed(seed)
    first, _ = envs.reset(seed=seed)
    actions, values = [], [first.astype(float).tolist()] if observations else []
    for step in range(STEPS):
        envs.update_running_mean = step < FROZEN_FROM
        action = envs.action_space.sample()
        observation, reward, _, _, _ = envs.step(action)
        actions.append(action.reshape(NUM_ENVS, -1).astype(float).tolist())
        values.append((observation.astype(float) if observations else reward).tolist())
    return {
        "id": env_id,
        "max_episode_steps": max_episode_steps,
        "autoreset": "next_step" if observations else "same_step",
        "normalize": normalize,
        "seed": seed,
        "frozen_from": FROZEN_FROM,
        "actions": actions,
        "values": values,
    }


def main():
    found = {"gymnasium": gymnasium.__version__, "numpy": np.__version__}
    assert found == VERSIONS, f"record with {VERSIONS}, not {found}"
    batches = [
        record("CartPole-v1", 500, "observations", 0),
        record("Pendulum-v1", 20, "observations", 1),
        record("CartPole-v1", 500, "rewards", 2),
        record("Pendulum-v1", 20, "rewards", 3),
    ]
    with open(HERE / "normalize.json", "w") as file:
        json.dump(batches, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
