#!/usr/bin/env python3
"""Steps a second of the environments: ours and those of Gymnasium, EnvPool and gymnax, on this machine, in alternation.

    cargo build --release
    python3.11 -m venv venv
    venv/bin/pip install gymnasium==1.4.0 numpy==2.4.6 envpool==1.2.5 gymnax==0.0.9 jax==0.10.2 six
    venv/bin/python bench/envs.py                     # writes bench/record/envs.json

A measurement is a process of its own that steps a batch with random actions for some seconds, after a warm-up. In a
round every contender has one; a figure is the median of the rounds. What counts as a step, and what is in the time:

- A step that only resets is not a step. Gymnasium's and EnvPool's environments spend one after every end; those are
  subtracted.
- Ours and gymnax draw their actions while the time runs. Gymnasium and EnvPool take batches that were drawn before.
- gymnax is compiled: actions, steps and resets are one jitted scan, whose compilation is not counted.
- One core: the process is pinned to core 0, and the time is the processor time of all its threads, which other
  programs on the machine do not lengthen. Two cores: wall-clock time, on cores 0 and 1.

EnvPool and gymnax compute in f32; Gymnasium and we in f64, with the same bits.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
APPRENTICE = ROOT / "target/release/apprentice"
ENVS = ["CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"]
# (contender, threads). Gymnasium's vector environments have one.
CONTENDERS = [
    ("apprentice", 1),
    ("gymnasium native", 1),
    ("gymnasium sync", 1),
    ("envpool", 1),
    ("gymnax", 1),
    ("apprentice", 2),
    ("envpool", 2),
    ("gymnax", 2),
]
PACKAGES = ["gymnasium", "numpy", "envpool", "gymnax", "jax", "jaxlib"]


def timed(step, seconds):
    """Calls step(), which returns how many steps it took, for this long; the first quarter warms up."""
    started = time.monotonic()
    while time.monotonic() - started < seconds / 4:
        step()
    steps, cpu, wall = 0, time.process_time(), time.monotonic()
    while time.monotonic() - wall < seconds * 3 / 4:
        steps += step()
    return {"steps": steps, "wall_seconds": time.monotonic() - wall, "cpu_seconds": time.process_time() - cpu}


def drawn_actions(space, num_envs, batches=32):
    """Batches of random actions of a single environment's space."""
    import numpy as np

    rng = np.random.default_rng(0)
    if hasattr(space, "n"):
        return list(rng.integers(space.n, size=(batches, num_envs), dtype=np.int32))
    return list(rng.uniform(space.low, space.high, (batches, num_envs, *space.shape)).astype(np.float32))


def stepping(envs, space, num_envs):
    """A step of a Gymnasium-like vector environment, which resets in the step after an end."""
    import numpy as np

    envs.reset()
    actions = drawn_actions(space, num_envs)
    count, reset_only = 0, 0

    def step():
        nonlocal count, reset_only
        _, _, terminated, truncated, _ = envs.step(actions[count % len(actions)])
        steps = num_envs - reset_only
        count, reset_only = count + 1, int(np.count_nonzero(terminated | truncated))
        return steps

    return step


def gymnasium(env_id, num_envs, mode):
    import gymnasium

    envs = gymnasium.make_vec(env_id, num_envs=num_envs, vectorization_mode=mode)
    return stepping(envs, envs.single_action_space, num_envs)


def envpool(env_id, num_envs, threads):
    import envpool

    envs = envpool.make_gymnasium(env_id, num_envs=num_envs, batch_size=num_envs, num_threads=threads, seed=0)
    return stepping(envs, envs.action_space, num_envs)


def gymnax(env_id, num_envs):
    import jax

    jax.config.update("jax_platforms", "cpu")
    import gymnax

    env, params = gymnax.make(env_id)
    space, length = env.action_space(params), 64

    def draw(key):
        if hasattr(space, "n"):
            return jax.random.randint(key, (num_envs,), 0, space.n)
        return jax.random.uniform(key, (num_envs, *space.shape), minval=space.low, maxval=space.high)

    def advance(carry, _):
        key, states, _, rewards, ends = carry
        key, for_actions, for_steps = jax.random.split(key, 3)
        keys = jax.random.split(for_steps, num_envs)
        observations, states, reward, end, _ = jax.vmap(env.step, (0, 0, 0, None))(
            keys, states, draw(for_actions), params
        )
        return (key, states, observations, rewards + reward, ends + end), None

    @jax.jit
    def scan(carry):
        return jax.lax.scan(advance, carry, length=length)[0]

    key = jax.random.key(0)
    observations, states = jax.jit(jax.vmap(env.reset, (0, None)))(jax.random.split(key, num_envs), params)
    zeros = jax.numpy.zeros(num_envs)
    carry = (key, states, observations, zeros, zeros)
    jax.block_until_ready(scan(carry))

    def step():
        nonlocal carry
        carry = jax.block_until_ready(scan(carry))
        return length * num_envs

    return step


def measure(contender, env_id, num_envs, threads, seconds):
    """What a measuring process prints; None where the contender has no such environment."""
    if contender == "apprentice":
        command = [APPRENTICE, "bench", "env", env_id, "--num-envs", num_envs, "--threads", threads]
        command += ["--seconds", seconds, "--json"]
        done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
        [batch] = json.loads(done.stdout)["batches"]
        return {key: batch[key] for key in ["steps", "wall_seconds", "cpu_seconds"]}
    step = {
        "gymnasium native": lambda: gymnasium(env_id, num_envs, "vector_entry_point"),
        "gymnasium sync": lambda: gymnasium(env_id, num_envs, "sync"),
        "envpool": lambda: envpool(env_id, num_envs, threads),
        "gymnax": lambda: gymnax(env_id, num_envs),
    }[contender]()
    return timed(step, seconds)


def in_a_process(contender, env_id, num_envs, threads, seconds):
    command = ["taskset", "-c", "0" if threads == 1 else "0,1", sys.executable, "-W", "ignore", __file__]
    command += ["--measure", contender, env_id, num_envs, threads, seconds]
    environment = dict(os.environ)
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run([str(word) for word in command], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{contender}, {env_id}, {threads} threads failed:\n{done.stderr}")
    measured = json.loads(done.stdout.splitlines()[-1])
    seconds = measured["cpu_seconds"] if threads == 1 else measured["wall_seconds"]
    return {**{key: round(value, 3) for key, value in measured.items()}, "steps_per_second": measured["steps"] / seconds}


def contenders(env_id, only):
    """Gymnasium has native vector form only of CartPole."""
    found = [pair for pair in CONTENDERS if pair[0] != "gymnasium native" or env_id.startswith("CartPole")]
    return [pair for pair in found if only is None or pair[0] in only]


def summary(rounds):
    """Medians, and ours over theirs; the same number of threads where they have it."""
    median = {pair: statistics.median(r["steps_per_second"] for r in runs) for pair, runs in rounds.items()}
    rows = []
    for (contender, threads), steps_per_second in median.items():
        row = {
            "contender": contender,
            "threads": threads,
            "steps_per_second": round(steps_per_second),
            "nanoseconds_per_step": float(f"{1e9 / steps_per_second:.4g}"),
        }
        if contender != "apprentice" and ("apprentice", threads) in median:
            row["apprentice_is_faster_by"] = float(f"{median['apprentice', threads] / steps_per_second:.3g}")
        rows.append({**row, "rounds": rounds[contender, threads]})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    parser.add_argument("--envs", nargs="+", default=ENVS)
    parser.add_argument("--only", nargs="+", help="contenders [default: all]")
    parser.add_argument("--num-envs", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a measurement, a quarter of it warm-up")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/record/envs.json")
    arguments = parser.parse_args()
    if arguments.measure:
        contender, env_id, num_envs, threads, seconds = arguments.measure
        print(json.dumps(measure(contender, env_id, int(num_envs), int(threads), float(seconds))))
        return

    record = {
        "command": "cargo build --release && " + " ".join(["venv/bin/python", "bench/envs.py", *sys.argv[1:]]),
        **provenance(),
        "versions": {package: version(package) for package in PACKAGES},
        "num_envs": arguments.num_envs,
        "load_average_before": os.getloadavg()[0],
        "envs": {},
    }
    for env_id in arguments.envs:
        rounds = {pair: [] for pair in contenders(env_id, arguments.only)}
        for _ in range(arguments.rounds):
            for (contender, threads), runs in rounds.items():
                runs.append(in_a_process(contender, env_id, arguments.num_envs, threads, arguments.seconds))
        record["envs"][env_id] = summary(rounds)
        for row in record["envs"][env_id]:
            shown = {key: value for key, value in row.items() if key != "rounds"}
            print(env_id, json.dumps(shown), flush=True)
    record["load_average_after"] = os.getloadavg()[0]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    temporary.replace(arguments.out)


if __name__ == "__main__":
    main()
