#!/usr/bin/env python3
"""Compares every environment with the installed Gymnasium, bit for bit, on seeds drawn afresh.

    cargo build --release
    python3 -m venv venv
    venv/bin/pip install gymnasium==1.4.0 numpy==2.4.6
    venv/bin/python testdata/compare_gymnasium.py                  # 100 seeds x 1,000 steps for each of CASES
    venv/bin/python testdata/compare_gymnasium.py --only FrozenLake --seed 123

Gymnasium acts first, by a policy that sees its observations; `apprentice trace` then takes the same seed and the same
actions. Observations, rewards, terminated and truncated must have the same bits in every step and in every reset. Where
an environment has parameters, they are drawn from the seed too, so that no two runs compare the same things.

Prints a line a case and the place of every case's first difference; the exit code is 1 if anything differs. What the
golden tests replay is a recorded sample of this.
"""

import argparse
import collections
import json
import pathlib
import secrets
import subprocess
import sys
import tempfile
import time
import warnings

import gymnasium
import numpy as np
from gymnasium.envs.toy_text.frozen_lake import generate_random_map
from record_gymnasium import VERSIONS, balance
from record_traces import along, at_random, near_optimal, plain

ROOT = pathlib.Path(__file__).resolve().parent.parent


def balancing(env, seed):
    """Keeps CartPole's pole up to the time limit, and at every tenth step acts at random."""
    rng = np.random.default_rng(1000 + seed)
    return lambda observation: int(rng.integers(2)) if rng.random() < 0.1 else balance(observation)


def stick_at_17(env, seed):
    """Blackjack as the dealer plays it."""
    return lambda observation: int(observation[0] < 17)


def the_same(kwargs):
    return lambda rng: (kwargs, kwargs)


def custom_lake(rng):
    """Any rectangle of cells with a start; possibly several, possibly no goal. Gymnasium needs two columns."""
    rows, columns = rng.integers(1, 9), rng.integers(2, 9)
    cells = rng.choice(list("SFHG"), (rows, columns), p=[0.1, 0.6, 0.2, 0.1])
    cells[rng.integers(rows), rng.integers(columns)] = "S"
    kwargs = {"desc": ["".join(row) for row in cells], **slippery_lake(rng)[0]}
    return kwargs, kwargs


def random_lake(rng):
    """Ours draws the lake that Gymnasium's generate_random_map draws."""
    lake = {"size": int(rng.integers(2, 13)), "p": float(rng.uniform(0.6, 1)), "seed": int(rng.integers(2**63))}
    rules = slippery_lake(rng)[0]
    return {"desc": generate_random_map(**lake), **rules}, {"random": lake, **rules}


def slippery_lake(rng):
    kwargs = {
        "success_rate": float(rng.random()),
        "reward_schedule": rng.normal(size=3).tolist(),
        "is_slippery": bool(rng.random() < 0.8),
    }
    return kwargs, kwargs


def taxi(rng):
    kwargs = {
        "is_rainy": bool(rng.random() < 0.7),
        "rainy_probability": float(rng.random()),
        "fickle_passenger": bool(rng.random() < 0.7),
        "fickle_probability": float(rng.random()),
    }
    return kwargs, kwargs


def drawn(name, low, high):
    def parameters(rng):
        kwargs = {name: float(rng.uniform(low, high))}
        return kwargs, kwargs

    return parameters


# (id, what the case is, policy, parameters); parameters(rng) gives those for Gymnasium and those for us.
CASES = [
    ("CartPole-v0", "balancing", balancing, the_same({})),
    ("CartPole-v0", "random", at_random, the_same({})),
    ("CartPole-v1", "balancing", balancing, the_same({})),
    ("CartPole-v1", "random", at_random, the_same({})),
    ("CartPole-v1", "sutton_barto_reward", balancing, the_same({"sutton_barto_reward": True})),
    ("MountainCar-v0", "with the velocity", along(1), the_same({})),
    ("MountainCar-v0", "random", at_random, the_same({})),
    ("MountainCar-v0", "goal_velocity", along(1), drawn("goal_velocity", 0, 0.06)),
    ("MountainCarContinuous-v0", "with the velocity", along(1), the_same({})),
    ("MountainCarContinuous-v0", "random", at_random, the_same({})),
    ("MountainCarContinuous-v0", "goal_velocity", along(1), drawn("goal_velocity", 0, 0.06)),
    ("Pendulum-v1", "with the velocity", along(2), the_same({})),
    ("Pendulum-v1", "random", at_random, the_same({})),
    ("Pendulum-v1", "g", at_random, drawn("g", 0, 30)),
    ("Acrobot-v1", "with the velocity", along(5), the_same({})),
    ("Acrobot-v1", "random", at_random, the_same({})),
    ("FrozenLake-v1", "near optimal", near_optimal, the_same({})),
    ("FrozenLake-v1", "random", at_random, the_same({})),
    ("FrozenLake-v1", "not slippery", near_optimal, the_same({"is_slippery": False})),
    ("FrozenLake-v1", "map_name 8x8", near_optimal, the_same({"map_name": "8x8"})),
    ("FrozenLake-v1", "success_rate, reward_schedule", near_optimal, slippery_lake),
    ("FrozenLake-v1", "custom maps", at_random, custom_lake),
    ("FrozenLake-v1", "random maps", near_optimal, random_lake),
    ("FrozenLake8x8-v1", "near optimal", near_optimal, the_same({})),
    ("FrozenLake8x8-v1", "random", at_random, the_same({})),
    ("FrozenLake8x8-v1", "success_rate, reward_schedule", near_optimal, slippery_lake),
    ("CliffWalking-v1", "near optimal", near_optimal, the_same({})),
    ("CliffWalking-v1", "random", at_random, the_same({})),
    ("CliffWalking-v1", "slippery", near_optimal, the_same({"is_slippery": True})),
    ("CliffWalkingSlippery-v1", "near optimal", near_optimal, the_same({})),
    ("CliffWalkingSlippery-v1", "random", at_random, the_same({})),
    ("Taxi-v4", "near optimal", near_optimal, the_same({})),
    ("Taxi-v4", "random", at_random, the_same({})),
    ("Taxi-v4", "rainy", near_optimal, the_same({"is_rainy": True})),
    ("Taxi-v4", "fickle", near_optimal, the_same({"fickle_passenger": True})),
    ("Taxi-v4", "rainy and fickle, probabilities", near_optimal, taxi),
    ("Blackjack-v1", "sab", at_random, the_same({})),
    ("Blackjack-v1", "sab, stick at 17", stick_at_17, the_same({})),
    ("Blackjack-v1", "natural", stick_at_17, the_same({"natural": True, "sab": False})),
    ("Blackjack-v1", "neither", stick_at_17, the_same({"natural": False, "sab": False})),
]


def theirs(env, policy, seed, steps):
    """What Gymnasium does, as the lines of `apprentice trace`."""
    act = policy(env, seed)
    observation, _ = env.reset(seed=seed)
    lines = [{"reset": True, "observation": plain(observation)}]
    for _ in range(steps):
        action = act(observation)
        observation, reward, terminated, truncated, _ = env.step(action)
        lines.append(
            {
                "action": plain(action),
                "observation": plain(observation),
                "reward": float(reward),
                "terminated": bool(terminated),
                "truncated": bool(truncated),
            }
        )
        if terminated or truncated:
            observation, _ = env.reset()
            lines.append({"reset": True, "observation": plain(observation)})
    return lines


class Refused(Exception):
    """`apprentice trace` ended with an error."""


def ours(apprentice, env_id, kwargs, seed, actions):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps(action) + "\n" for action in actions)
        file.flush()
        command = [apprentice, "trace", env_id, "--seed", str(seed), "--actions", file.name]
        done = subprocess.run([*command, "--kwargs", json.dumps(kwargs)], capture_output=True, text=True)
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return [json.loads(line) for line in done.stdout.splitlines()]


def difference(a, b):
    """What differs between two lines: None or the name of a field. Floats are compared by their bits."""
    if a.keys() != b.keys():
        return "order of steps and resets"
    for field in ["observation", "reward", "terminated", "truncated"]:
        x, y = a.get(field), b.get(field)
        # Equal numbers have equal bits but for the sign of zero, which repr() shows.
        if (x != y) or repr(x) != repr(y):
            return field
    return None


def is_one_ulp_off(a, b):
    """Whether f32 observations differ by at most one unit in the last place each."""
    a, b = np.float32(a), np.float32(b)
    return bool(np.all((a == b) | (np.nextafter(a, b) == b)))


def as_f32(line):
    """Observations of a Box are f32; `apprentice trace` writes the shortest digits that read back as that f32."""
    if isinstance(line["observation"], list) and any(isinstance(x, float) for x in line["observation"]):
        line["observation"] = np.float32(line["observation"]).astype(float).tolist()
    return line


def compare(apprentice, case, rng, seeds, steps, tally):
    """Runs a case; counts in `tally` and returns a description of its first difference, if there is one."""
    env_id, _, policy, parameters = case
    first = None
    # While the parameters stay the same so does the environment: the policies for tables are costly to find.
    made = {}
    for i in range(seeds):
        # Seeds of one and of two 32-bit words, which numpy hashes in different ways.
        seed = int(rng.integers(2 ** (32 if i % 2 else 64) - 1, dtype=np.uint64, endpoint=True))
        their_kwargs, our_kwargs = parameters(rng)
        key = json.dumps(their_kwargs)
        if key not in made:
            made = {key: gymnasium.make(env_id, **their_kwargs)}
        expected = theirs(made[key], policy, seed, steps)
        try:
            got = ours(apprentice, env_id, our_kwargs, seed, [line["action"] for line in expected if "action" in line])
        except Refused as refusal:
            tally["mismatches"] += 1
            return first or f"seed {seed}, {our_kwargs}: {refusal}"
        tally["seeds"] += 1
        tally["steps"] += steps
        if len(expected) != len(got):
            tally["mismatches"] += 1
            first = first or f"seed {seed}, {our_kwargs}: {len(expected)} lines there, {len(got)} here"
        for t, (a, b) in enumerate(zip(expected, map(as_f32, got))):
            tally["terminated"] += a.get("terminated", False)
            tally["truncated"] += a.get("truncated", False)
            field = difference(a, b)
            if field is None:
                continue
            if env_id == "Acrobot-v1" and "reset" in a and is_one_ulp_off(a["observation"], b["observation"]):
                # numpy's single-precision sine and cosine depend on the processor.
                tally["resets off by 1 ULP"] += 1
                continue
            tally["mismatches"] += 1
            first = first or f"seed {seed}, {our_kwargs}, line {t + 1}, {field}:\n    there {a}\n    here  {b}"
    return first


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="draws the seeds and parameters of the comparison [default: fresh]")
    parser.add_argument("--seeds", type=int, default=100, help="seeds for a case")
    parser.add_argument("--steps", type=int, default=1000, help="steps for a seed")
    parser.add_argument("--only", default="", help="cases whose id begins so")
    parser.add_argument("--apprentice", default=str(ROOT / "target/release/apprentice"), help="the program")
    arguments = parser.parse_args()
    found = {"gymnasium": gymnasium.__version__, "numpy": np.__version__}
    if found != VERSIONS:
        parser.error(f"compare with {VERSIONS}, not {found}")
    cases = [case for case in CASES if case[0].startswith(arguments.only)]
    if not cases:
        parser.error(f"--only {arguments.only}: no such case")

    warnings.filterwarnings("ignore", category=DeprecationWarning)  # CartPole-v0 is out of date.
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    print(f"gymnasium {found['gymnasium']}, numpy {found['numpy']}, --seed {seed}")
    total, started = collections.Counter(), time.monotonic()
    for case in cases:
        # A generator for each, so that --only does not change what is drawn.
        rng = np.random.default_rng([seed, CASES.index(case)])
        tally = collections.Counter()
        first = compare(arguments.apprentice, case, rng, arguments.seeds, arguments.steps, tally)
        total += tally
        ulps = f", {tally['resets off by 1 ULP']} resets off by 1 ULP" if tally["resets off by 1 ULP"] else ""
        print(
            f"{case[0]:<25} {case[1]:<32} {tally['seeds']} seeds, {tally['steps']} steps, {tally['terminated']} "
            f"terminated, {tally['truncated']} truncated: {tally['mismatches']} mismatches{ulps}",
            flush=True,
        )
        if first:
            print(f"  first: {first}", flush=True)
    print(
        f"{len(cases)} cases, {total['seeds']} seeds, {total['steps']} steps in {time.monotonic() - started:.0f} s: "
        f"{total['mismatches']} mismatches"
    )
    return 1 if total["mismatches"] else 0


if __name__ == "__main__":
    sys.exit(main())
