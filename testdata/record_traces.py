#!/usr/bin/env python3
"""Records traces of Gymnasium's environments, for envs/tests/golden/traces.rs to compare with.

    python3 -m venv venv
    venv/bin/pip install gymnasium==1.4.0 numpy==2.4.6
    venv/bin/python testdata/record_traces.py            # all of them
    venv/bin/python testdata/record_traces.py Acrobot    # those whose id begins so, or wrapped

Writes testdata/traces/ID.jsonl and wrapped.jsonl; the same versions write the same bytes. A line is one environment:

    {"id": …, "kwargs": {…}, "wrappers": [{"type": …, …}, …], "seed": …, "first": observation, "steps": [step, …],
     "masks": [mask, …]}

The first wrapper is the innermost; the key is missing where there is none.

A step is [action, observation, reward, ends] with ends 0 (goes on), 1 (terminated), 2 (truncated) or 3 (both), and one
entry more after an end: the observation of the reset() without a seed that follows. Where the environment gives an
action mask, masks holds that of every observation in turn, a digit 1 for every action that makes sense. Numbers are written so that they
read back to the same bits: f32 observations as the doubles that equal them, rewards as doubles.
"""

import functools
import json
import pathlib
import sys

import gymnasium
import numpy as np
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

HERE = pathlib.Path(__file__).parent
VERSIONS = {"gymnasium": "1.4.0", "numpy": "2.4.6"}


def plain(value):
    """An observation or action as JSON."""
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(float).tolist()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return int(value)


def at_random(env, seed):
    """Samples of the action space, seeded."""
    env.action_space.seed(1000 + seed)
    return lambda observation: env.action_space.sample()


def along(column):
    """Pushes the way that a column of the observation points, which pumps energy into a swing; seeded."""

    def policy(env, seed):
        env.action_space.seed(1000 + seed)

        def act(observation):
            if isinstance(env.action_space, gymnasium.spaces.Discrete):
                return env.action_space.n - 1 if observation[column] >= 0 else 0
            return np.copysign(env.action_space.sample(), observation[column])

        return act

    return policy


@functools.cache
def best_actions(env):
    """The best action of every state, by value iteration. Of an environment with a table P."""
    table, values = env.unwrapped.P, np.zeros(len(env.unwrapped.P))

    def worth(state, action):
        return sum(p * (r + 0.95 * values[s] * (not end)) for p, s, r, end in table[state][action])

    for _ in range(100):
        values = np.array([max(worth(state, action) for action in table[state]) for state in table])
    return {state: max(table[state], key=lambda action: worth(state, action)) for state in table}


def near_optimal(env, seed):
    """The best action, and at every fifth step a random one."""
    best, actions = best_actions(env), env.action_space.n
    rng = np.random.default_rng(1000 + seed)
    return lambda observation: rng.integers(actions) if rng.random() < 0.2 else best[int(env.unwrapped.s)]


def wrapped(env, wrappers):
    """The environment within Gymnasium's wrappers of these names and parameters; a list is a tuple there."""
    for spec in wrappers:
        kwargs = {name: tuple(value) if name == "repeat_action_duration" else value for name, value in spec.items()}
        env = getattr(gymnasium.wrappers, kwargs.pop("type"))(env, **kwargs)
    return env


def mostly_hit(env, seed):
    """In Blackjack: sticks with a probability that grows with the sum, so that hands of all lengths are played out."""
    rng = np.random.default_rng(1000 + seed)
    return lambda observation: int(rng.random() > (observation[0] / 21) ** 4)


def trace(env_id, kwargs, seed, steps, policy=at_random, wrappers=()):
    env = wrapped(gymnasium.make(env_id, **kwargs), wrappers)
    act = policy(env, seed)
    masks = []

    def note(info):
        if "action_mask" in info:
            masks.append("".join(str(int(sensible)) for sensible in info["action_mask"]))

    observation, info = env.reset(seed=seed)
    note(info)
    first, recorded = plain(observation), []
    for _ in range(steps):
        action = act(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        note(info)
        step = [plain(action), plain(observation), float(reward), int(terminated) + 2 * int(truncated)]
        if terminated or truncated:
            observation, info = env.reset()
            note(info)
            step.append(plain(observation))
        recorded.append(step)
    around = {"wrappers": wrappers} if wrappers else {}
    line = {"id": env_id, "kwargs": kwargs, **around, "seed": seed, "first": first, "steps": recorded}
    return line | {"masks": masks} if masks else line


# What is recorded of each environment: (parameters, seeds, steps, policy).
RECORDS = {
    "CartPole-v1": [({"sutton_barto_reward": True}, [0, 1], 60, at_random)],
    "MountainCar-v0": [
        ({}, [0], 420, at_random),
        ({}, [1, 42], 420, along(1)),
        ({"goal_velocity": 0.04}, [2, 3], 420, along(1)),
    ],
    "MountainCarContinuous-v0": [
        ({}, [0], 1010, at_random),
        ({}, [42], 230, along(1)),
        # 0.07 is the top speed. As f32 both goals are that; as doubles, only the first can be reached.
        ({"goal_velocity": 0.07}, [2], 170, along(1)),
        ({"goal_velocity": 0.07000000029802322}, [2], 170, along(1)),
    ],
    "Pendulum-v1": [
        # Seeds for which pow(x, 2) is not x * x, in single and in double precision.
        ({}, [17, 23], 410, at_random),
        ({}, [1], 210, along(2)),
        ({"g": 9.81}, [2], 210, at_random),
    ],
    "Acrobot-v1": [
        # A seed for which pow(x, 2) is not x * x, and two whose first observations are not those of rounded doubles.
        ({}, [93], 510, at_random),
        ({}, [4658, 14142], 225, along(5)),
    ],
    "CliffWalking-v1": [
        ({}, [0], 500, at_random),
        ({}, [1, 2], 300, near_optimal),
        ({"is_slippery": True}, [3], 300, near_optimal),
    ],
    "CliffWalkingSlippery-v1": [
        ({}, [0, 1], 500, at_random),
        ({}, [2, 3], 500, near_optimal),
        ({"is_slippery": False}, [4], 300, near_optimal),
    ],
    "FrozenLake-v1": [
        ({}, [0, 1], 300, at_random),
        ({}, [2, 3], 300, near_optimal),
        ({"is_slippery": False}, [4, 5], 200, near_optimal),
        ({"map_name": "8x8", "success_rate": 0.8, "reward_schedule": [10, -2.5, -0.01]}, [6, 7], 300, near_optimal),
        ({"desc": ["FSFHF", "FFFFS", "SFHFG"]}, [8, 9], 300, at_random),
        ({"desc": generate_random_map(size=5, p=0.6, seed=42)}, [10, 11], 300, near_optimal),
    ],
    "FrozenLake8x8-v1": [
        ({}, [0, 1], 300, at_random),
        ({}, [2, 3], 300, near_optimal),
        # Lives long enough to be truncated.
        ({"reward_schedule": [0, -1, 0.125]}, [4], 420, near_optimal),
    ],
    "Blackjack-v1": [
        ({}, [0], 300, at_random),
        ({}, [1, 2, 2**40 + 3], 600, mostly_hit),
        ({"natural": True}, [4], 300, mostly_hit),
        ({"sab": False}, [5], 600, mostly_hit),
        ({"natural": True, "sab": False}, [6, 7], 600, mostly_hit),
    ],
    "Taxi-v4": [
        ({}, [0], 420, at_random),
        ({}, [1, 2, 3], 300, near_optimal),
        ({"is_rainy": True}, [4], 420, at_random),
        ({"is_rainy": True, "rainy_probability": 0.6}, [5, 6], 300, near_optimal),
        ({"fickle_passenger": True}, [7, 8], 300, near_optimal),
        ({"fickle_passenger": True, "fickle_probability": 0.9, "is_rainy": True}, [9, 10], 400, near_optimal),
    ],
}

# What is recorded of wrapped environments: (id, parameters, seed, steps, policy, wrappers).
WRAPPED = [
    ("CartPole-v1", {}, 0, 60, at_random, [{"type": "StickyAction", "repeat_action_probability": 0.3}]),
    (
        "FrozenLake-v1",
        {},
        1,
        150,
        near_optimal,
        [
            # The wrapper and the ice draw from one generator, doubles and 32-bit integers in turn.
            {"type": "StickyAction", "repeat_action_probability": 0.4, "repeat_action_duration": [1, 3]},
            {"type": "FrameStackObservation", "stack_size": 3, "padding_type": "zero"},
        ],
    ),
    (
        "FrozenLake-v1",
        {},
        2,
        80,
        at_random,
        [{"type": "DelayObservation", "delay": 2}, {"type": "TimeAwareObservation"}],
    ),
    (
        "Pendulum-v1",
        {},
        3,
        210,
        at_random,
        [
            {"type": "RescaleAction", "min_action": -1, "max_action": 1},
            {"type": "FrameStackObservation", "stack_size": 2},
            {"type": "TimeAwareObservation", "normalize_time": True},
        ],
    ),
    (
        "Pendulum-v1",
        {},
        4,
        60,
        at_random,
        [
            {"type": "RescaleAction", "min_action": 0.1, "max_action": 0.7},
            {"type": "RescaleObservation", "min_obs": -0.3, "max_obs": 1.1},
        ],
    ),
    (
        "Pendulum-v1",
        {},
        5,
        60,
        at_random,
        [
            {"type": "DiscretizeAction", "bins": 7},
            {"type": "DiscretizeObservation", "bins": [5, 6, 9]},
        ],
    ),
    (
        "Pendulum-v1",
        {},
        6,
        60,
        at_random,
        [
            {"type": "DiscretizeAction", "bins": [3], "multidiscrete": True},
            {"type": "DiscretizeObservation", "bins": 11, "multidiscrete": True},
            {"type": "FlattenObservation"},
        ],
    ),
    (
        "Pendulum-v1",
        {},
        7,
        60,
        at_random,
        [{"type": "ClipAction"}, {"type": "ClipReward", "min_reward": -4.5, "max_reward": -0.5}],
    ),
    # A bound whose product with the gradient has to be rounded before the sum.
    (
        "MountainCar-v0",
        {},
        8,
        60,
        at_random,
        [{"type": "RescaleObservation", "min_obs": -1, "max_obs": 1}],
    ),
    # The car starts at a speed of 0, which is an edge.
    ("MountainCar-v0", {}, 8, 60, at_random, [{"type": "DiscretizeObservation", "bins": [6, 4]}]),
    (
        "MountainCar-v0",
        {},
        8,
        100,
        along(1),
        # The registered limit counts inner steps, the outer one the repetitions.
        [{"type": "RepeatAction", "num_repeats": 6}, {"type": "ClipReward", "min_reward": -4.0}],
    ),
    (
        "MountainCar-v0",
        {},
        9,
        60,
        at_random,
        [{"type": "RepeatAction", "num_repeats": 4}, {"type": "TimeLimit", "max_episode_steps": 20}],
    ),
    (
        "CartPole-v1",
        {},
        10,
        60,
        at_random,
        [
            {"type": "TimeAwareObservation", "flatten": False},
            {"type": "FrameStackObservation", "stack_size": 2},
            {"type": "FilterObservation", "filter_keys": ["time", "obs"]},
        ],
    ),
    (
        "CartPole-v1",
        {},
        11,
        60,
        at_random,
        [
            {"type": "DelayObservation", "delay": 3},
            {"type": "TimeLimit", "max_episode_steps": 12},
            {"type": "TimeAwareObservation", "flatten": False},
            {"type": "TimeAwareObservation", "flatten": False, "normalize_time": True, "dict_time_key": "share"},
            {"type": "FilterObservation", "filter_keys": ["share"]},
        ],
    ),
]


def line(record):
    return json.dumps(record, separators=(",", ":")) + "\n"


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
                    file.write(line(trace(env_id, kwargs, seed, steps, policy)))
    if "wrapped".startswith(wanted):
        with open(HERE / "traces" / "wrapped.jsonl", "w") as file:
            for record in WRAPPED:
                file.write(line(trace(*record)))


if __name__ == "__main__":
    main()
