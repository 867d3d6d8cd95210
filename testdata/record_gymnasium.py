#!/usr/bin/env python3
"""Records what Gymnasium and numpy do, for envs/tests/golden to compare with.

    python3 -m venv venv
    venv/bin/pip install gymnasium==1.4.0 numpy==2.4.6
    venv/bin/python testdata/record_gymnasium.py

Writes two files beside this script; the same versions write the same bytes.

cartpole-v1.jsonl holds one environment a line, seeded with consecutive seeds
within an id. All four strings run over the same steps:

    actions        a digit a step
    rewards        a digit a step
    ends           a digit a step: 0 goes on, 1 terminated, 2 truncated, 3 both
    observations   32 hex digits (four big-endian f32 bit patterns) for the
                   first reset, for every step, and after each step that ends
                   an episode for the reset() without a seed that follows it

numpy_generator.json holds draws of numpy's generators and samples of
Gymnasium's spaces, each list in the order of drawing. Of a million draws there
is a sum: draw i's 64 bits times i, counted from 1, modulo 2**64.
"""

import json
import pathlib

import gymnasium
import numpy as np

HERE = pathlib.Path(__file__).parent
VERSIONS = {"gymnasium": "1.4.0", "numpy": "2.4.6"}


def balance(observation):
    """Keeps the pole up for more than 500 steps, so that time limits are reached."""
    _, x_dot, theta, theta_dot = (float(x) for x in observation)
    return int(x_dot + 4 * theta + 2 * theta_dot > 0)


def bits(observation):
    assert observation.dtype == np.float32
    return observation.astype(">f4").tobytes().hex()


def trace(env_id, seed, steps):
    """Even seeds balance, odd ones act at random."""
    env = gymnasium.make(env_id)
    random = np.random.default_rng(1000 + seed)
    observation, _ = env.reset(seed=seed)
    actions, rewards, ends, observations = "", "", "", bits(observation)
    for _ in range(steps):
        action = balance(observation) if seed % 2 == 0 else int(random.integers(2))
        observation, reward, terminated, truncated, _ = env.step(action)
        actions += str(action)
        rewards += str(int(reward))
        assert reward == int(reward)
        ends += str(int(terminated) + 2 * int(truncated))
        observations += bits(observation)
        if terminated or truncated:
            observation, _ = env.reset()
            observations += bits(observation)
    return {
        "id": env_id,
        "seed": seed,
        "actions": actions,
        "rewards": rewards,
        "ends": ends,
        "observations": observations,
    }


def draws(rng):
    """Integers in turn with others: a 32-bit draw leaves a half behind that doubles must not touch."""
    recorded = []
    for n in [1, 2, 3, 6, 10, 1000, 2**16, 2**31 - 1, 2**31, 2**31 + 1, 3 * 2**30, 2**32 - 1]:
        for _ in range(3):
            recorded.append({"random": float(rng.random())})
            recorded.append({"integers": n, "value": int(rng.integers(n))})
            recorded.append({"standard_normal": float(rng.standard_normal())})
            recorded.append({"standard_exponential": float(rng.standard_exponential())})
        recorded.append({"uniform": [-0.05, 0.05], "value": float(rng.uniform(-0.05, 0.05))})
        recorded.append({"uniform": [-3.0, 1e6], "value": float(rng.uniform(-3.0, 1e6))})
    return recorded


def generators():
    seeds = [0, 1, 42, 2**32 - 1, 2**32, 2**32 + 5, 2**63, 2**64 - 1]
    for seed in seeds:
        yield {"seed": seed, "stream": None, "draws": draws(np.random.default_rng(seed))}
    for seed in seeds:
        for stream in [0, 1, 7, 2**32 - 1]:
            sequence = np.random.SeedSequence(seed, spawn_key=(stream,))
            yield {"seed": seed, "stream": stream, "draws": draws(np.random.default_rng(sequence))}


def millions(count=1_000_000):
    """So many draws that every layer of the ziggurats, their edges and their tails are among them."""
    place = np.arange(1, count + 1, dtype=np.uint64)
    for distribution in ["standard_normal", "standard_exponential"]:
        for seed in [0, 2**40 + 1]:
            drawn = getattr(np.random.default_rng(seed), distribution)(count)
            total = np.sum(drawn.view(np.uint64) * place, dtype=np.uint64)
            yield {"distribution": distribution, "seed": seed, "count": count, "sum": int(total)}


def bounds(values):
    """JSON has no infinity."""
    return [x if np.isfinite(x) else str(x) for x in values.ravel().tolist()]


def space_samples():
    inf = np.inf
    box = gymnasium.spaces.Box
    for seed in [0, 42]:
        for n, start in [(1, 0), (2, 0), (5, -2), (1000, 7)]:
            space = gymnasium.spaces.Discrete(n, start=start, seed=seed)
            yield {
                "space": {"type": "Discrete", "n": n, "start": start},
                "seed": seed,
                "samples": [int(space.sample()) for _ in range(20)],
            }
        for nvec, start in [([1], [0]), ([3, 2, 7], [0, 0, 0]), ([5, 1000, 2, 1], [-2, 7, 0, 3])]:
            space = gymnasium.spaces.MultiDiscrete(nvec, start=start, seed=seed)
            yield {
                "space": {"type": "MultiDiscrete", "nvec": nvec, "start": start},
                "seed": seed,
                "samples": [space.sample().tolist() for _ in range(20)],
            }
        # Samples that take a part of 32 bits, and all of them.
        for shape in [[1], [4], [5], [2, 3]]:
            space = gymnasium.spaces.MultiBinary(shape, seed=seed)
            yield {
                "space": {"type": "MultiBinary", "shape": shape},
                "seed": seed,
                "samples": [space.sample().ravel().tolist() for _ in range(20)],
            }
        for low, high in [
            ([0.0], [1.0]),
            ([-1.0, 2.0, -1e30], [1.0, 2.5, 1e30]),
            ([-4.8, -0.1, 3.0], [4.8, 0.7, 3.0]),
            ([-inf], [inf]),
            ([-4.8, -inf, -0.418, -inf], [4.8, inf, 0.418, inf]),
            ([-0.1, -inf, -inf, 7.0, -inf, 0.0], [inf, 0.3, inf, 8.0, -7.7, inf]),
            ([[-inf, 0.1], [1.0, -inf]], [[inf, inf], [2.0, inf]]),
        ]:
            low, high = np.array(low, np.float32), np.array(high, np.float32)
            space = box(low, high, dtype=np.float32, seed=seed)
            yield {
                "space": {"type": "Box", "low": bounds(low), "high": bounds(high), "shape": list(low.shape)},
                "seed": seed,
                "samples": [space.sample().ravel().tolist() for _ in range(20)],
            }


def main():
    found = {"gymnasium": gymnasium.__version__, "numpy": np.__version__}
    assert found == VERSIONS, f"record with {VERSIONS}, not {found}"

    with open(HERE / "cartpole-v1.jsonl", "w") as file:
        traces = [trace("CartPole-v1", seed, steps=620) for seed in range(24)]
        traces += [trace("CartPole-v0", seed, steps=420) for seed in range(100, 108)]
        for recorded in traces:
            print(json.dumps(recorded, separators=(",", ":")), file=file)

    with open(HERE / "numpy_generator.json", "w") as file:
        json.dump(
            {"generators": list(generators()), "millions": list(millions()), "spaces": list(space_samples())},
            file,
            separators=(",", ":"),
        )
        file.write("\n")


if __name__ == "__main__":
    main()
