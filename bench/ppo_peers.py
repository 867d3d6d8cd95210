#!/usr/bin/env python3
"""How fast PPO trains CartPole: ours, PureJaxRL, CleanRL and Stable-Baselines3, on one core, in alternation.

    cargo build --release
    git clone https://github.com/vwxyzjn/cleanrl                # tried with fe8d8a03
    git clone https://github.com/luchris429/purejaxrl           # tried with 31756b19
    python3.11 -m venv venv
    venv/bin/pip install torch==2.15.0 stable-baselines3==2.9.2 gymnasium==0.29.1 numpy==1.26.4 tyro tensorboard
    python3.11 -m venv jax-venv
    jax-venv/bin/pip install jax==0.10.2 gymnax==0.0.9 distrax==0.1.9 optax==0.2.8 flax==0.12.8 brax==0.14.2 \\
        navix==0.7.4
    venv/bin/python bench/ppo_peers.py --cleanrl cleanrl --purejaxrl purejaxrl --jax-python jax-venv/bin/python

Writes bench/record/ppo_peers.json. All train the same, what CleanRL's ppo.py, PureJaxRL's and our preset `cleanrl` have
as defaults: 4 environments × 128 steps, 4 epochs of 4 minibatches, an actor and a critic of two tanh layers of 64, a
learning rate of 2.5e-4 that falls to 0. Stable-Baselines3 is set to that; only the value loss it clips in its own way.

A measurement is a process that trains for so many steps and ends, pinned to core 0. In a round every contender has a
short run and a long one; a figure is the median of the rounds. Seconds are processor time, which other programs on the
machine lengthen least; runs have the wall-clock time too.

- steps_per_second: the steps that the long run has more, over the seconds that it takes more. Neither the start nor
  JAX's compilation counts.
- start_seconds: what the short run takes beyond its steps at that rate: imports and compilation, and with ours the
  evaluation of the final policy on some hundreds of episodes.
- seconds: from the start of the process to its end, for 500,000 steps. Where no run has as many it is extrapolated as
  start + steps at the rate; `--full` trains CleanRL and Stable-Baselines3 that long too.
- steps_per_second_cold: 500,000 over those seconds.
- peak_memory_mb: the most that was resident in the short run.

How soon ours solves CartPole is measured besides, with the preset tuned for it, on ten seeds: a process that trains
until the greedy policy earns 475 as the mean of 100 episodes never trained on, and confirms it on 100 others.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
APPRENTICE = ROOT / "target/release/apprentice"
ROLLOUT = 4 * 128
# All round 500,000 steps down to whole rollouts.
FULL = 500_000 // ROLLOUT * ROLLOUT
STEPS = {
    "apprentice": (FULL, 5 * FULL),
    "purejaxrl": (FULL, 5 * FULL),
    "cleanrl": (20 * ROLLOUT, 100 * ROLLOUT),
    "stable-baselines3": (20 * ROLLOUT, 100 * ROLLOUT),
}
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
SOLVED, SEEDS = 475, 10


def train_purejaxrl(steps, seed, checkout):
    """The main program of its ppo.py, but that it does not print every episode."""
    sys.path.insert(0, str(checkout / "purejaxrl"))
    import jax
    import ppo

    config = {
        "LR": 2.5e-4,
        "NUM_ENVS": 4,
        "NUM_STEPS": 128,
        "TOTAL_TIMESTEPS": steps,
        "UPDATE_EPOCHS": 4,
        "NUM_MINIBATCHES": 4,
        "GAMMA": 0.99,
        "GAE_LAMBDA": 0.95,
        "CLIP_EPS": 0.2,
        "ENT_COEF": 0.01,
        "VF_COEF": 0.5,
        "MAX_GRAD_NORM": 0.5,
        "ACTIVATION": "tanh",
        "ENV_NAME": "CartPole-v1",
        "ANNEAL_LR": True,
        "DEBUG": False,
    }
    jax.block_until_ready(jax.jit(ppo.make_train(config))(jax.random.PRNGKey(seed)))


def train_stable_baselines3(steps, seed):
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    model = PPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=4, seed=seed),
        learning_rate=lambda remaining: 2.5e-4 * remaining,
        n_steps=128,
        batch_size=128,
        n_epochs=4,
        gamma=0.99,
        gae_lambda=0.95,
        clip_range=0.2,
        clip_range_vf=0.2,
        ent_coef=0.01,
        vf_coef=0.25,  # CleanRL's 0.5 has a ½ beside it
        max_grad_norm=0.5,
        policy_kwargs={"net_arch": [64, 64]},
        seed=seed,
        device="cpu",
    )
    model.learn(total_timesteps=steps)


def command(contender, steps, seed, arguments):
    """What trains for so many steps."""
    if contender == "apprentice":
        keys = [f"total_timesteps={steps}", "evaluations=0", "checkpoints=0"]
        options = [option for key in keys for option in ("--set", key)]
        return [APPRENTICE, "train", "CartPole-v1", "--preset", "cleanrl", *options, "--seed", seed, "--quiet"]
    if contender == "cleanrl":
        script = arguments.cleanrl / "cleanrl/ppo.py"
        return [sys.executable, script, "--total-timesteps", steps, "--seed", seed, "--no-cuda"]
    train = [Path(__file__).resolve(), "--train", contender, steps, seed]
    if contender == "purejaxrl":
        return [arguments.jax_python, *train, "--purejaxrl", arguments.purejaxrl]
    return [sys.executable, *train]


def measure(words):
    """What a process pinned to core 0 costs, and what it prints. It runs in a folder of its own, which is removed."""
    words = ["taskset", "--cpu-list", "0", *map(str, words)]
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/out", "w") as out, open(f"{folder}/err", "w") as err:
        started = time.monotonic()
        process = subprocess.Popen(words, cwd=folder, env=os.environ | ONE_THREAD, stdout=out, stderr=err)
        # The peak that wait4 knows of has this program's own memory in it, as of before the process became another.
        peak_memory = 0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak_memory = max(peak_memory, resident_peak(process.pid))
            time.sleep(0.005)
        wall_seconds = time.monotonic() - started
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed, complaints = Path(out.name).read_text(), Path(err.name).read_text()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)} failed:\n{complaints}")
    cost = {
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3),
        "wall_seconds": round(wall_seconds, 3),
        "peak_memory_mb": round(peak_memory / 1024, 1),
    }
    return cost, printed


def resident_peak(pid):
    """The most that was resident so far, KiB; 0 once the process has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return max((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), default=0)


def figures(short, long):
    """What follows from a short and a long run."""
    rate = (long["steps"] - short["steps"]) / (long["cpu_seconds"] - short["cpu_seconds"])
    start = short["cpu_seconds"] - short["steps"] / rate
    whole = [run["cpu_seconds"] for run in (short, long) if run["steps"] == FULL]
    seconds = whole[0] if whole else start + FULL / rate
    return {
        "steps_per_second": rate,
        "start_seconds": start,
        "seconds": seconds,
        "steps_per_second_cold": FULL / seconds,
        "peak_memory_mb": short["peak_memory_mb"],
    }


def summary(rounds):
    """Of every contender the medians over its rounds, and how many times as fast ours is."""
    rows = {}
    for contender, pairs in rounds.items():
        of_rounds = [figures(*pair) for pair in pairs]
        rows[contender] = {key: statistics.median(of[key] for of in of_rounds) for key in of_rounds[0]}
        rows[contender]["extrapolated"] = all(run["steps"] != FULL for run in pairs[0])
    ours = rows.get("apprentice")
    for row in rows.values():
        if ours and row is not ours:
            row["apprentice_trains_faster_by"] = ours["steps_per_second"] / row["steps_per_second"]
            row["apprentice_is_done_sooner_by"] = row["seconds"] / ours["seconds"]
    four_digits = lambda value: float(f"{value:.4g}") if isinstance(value, float) else value
    return {contender: {key: four_digits(value) for key, value in row.items()} for contender, row in rows.items()}


def time_to_solve():
    """What ours takes until it has solved CartPole, by seed."""
    options = ["--set", f"target_return={SOLVED}", "--set", "eval_episodes=100", "--set", "checkpoints=0", "--quiet"]
    runs = []
    for seed in range(SEEDS):
        cost, printed = measure([APPRENTICE, "train", "CartPole-v1", *options, "--json", "--seed", seed])
        outcome = json.loads(printed)
        runs.append({"seed": seed, **cost, "steps": outcome["train_steps"], "return_mean": outcome["return_mean"]})
    keys = ["cpu_seconds", "wall_seconds", "peak_memory_mb", "steps"]
    return {
        "measured": " ".join(["apprentice train CartPole-v1", *options, "--json --seed SEED"]),
        "median": {key: statistics.median(run[key] for run in runs) for key in keys},
        "seeds": SEEDS,
        "seeds_confirmed": sum(run["return_mean"] >= SOLVED for run in runs),
        "runs": runs,
    }


def commit(checkout):
    words = ["git", "-C", checkout, "rev-parse", "HEAD"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def versions(python, packages):
    program = "import importlib.metadata as m, json, sys; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    return json.loads(subprocess.run([python, "-c", program, *packages], check=True, stdout=subprocess.PIPE).stdout)


def peers(arguments):
    """What the contenders are, beside ourselves."""
    found = {}
    if {"cleanrl", "stable-baselines3"} & set(arguments.only):
        found["torch"] = versions(sys.executable, ["torch", "stable-baselines3", "gymnasium", "numpy"])
    if "cleanrl" in arguments.only:
        found["cleanrl"] = commit(arguments.cleanrl)
    if "purejaxrl" in arguments.only:
        found["jax"] = versions(arguments.jax_python, ["jax", "jaxlib", "gymnax", "distrax", "optax", "flax"])
        found["purejaxrl"] = commit(arguments.purejaxrl)
    return found


def arguments_of(parser):
    def path(text):
        # Not resolved: a virtual environment is known by the link to its Python.
        return Path(text).absolute()

    parser.add_argument("--cleanrl", type=path, metavar="DIR", help="checkout of CleanRL")
    parser.add_argument("--purejaxrl", type=path, metavar="DIR", help="checkout of PureJaxRL")
    parser.add_argument("--jax-python", type=path, metavar="PYTHON", help="the Python that PureJaxRL runs in")
    parser.add_argument("--only", nargs="+", choices=list(STEPS), default=list(STEPS), help="contenders [default: all]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--full", action="store_true", help="500,000 steps of all, which takes the slow ones minutes")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/record/ppo_peers.json")
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    needed = {
        "cleanrl": [("--cleanrl", arguments.cleanrl, "cleanrl/ppo.py")],
        "purejaxrl": [
            ("--purejaxrl", arguments.purejaxrl, "purejaxrl/ppo.py"),
            ("--jax-python", arguments.jax_python, ""),
        ],
    }
    for option, given, file in [of for contender in arguments.only for of in needed.get(contender, [])]:
        if not arguments.train and not (given and (given / file).is_file()):
            parser.error(f"{option}: expected {f'a folder with {file}' if file else 'a program'}, got {given}")
    return arguments


def main():
    arguments = arguments_of(argparse.ArgumentParser(description=__doc__.splitlines()[0]))
    if arguments.train:
        contender, steps, seed = arguments.train
        if contender == "purejaxrl":
            return train_purejaxrl(int(steps), int(seed), arguments.purejaxrl)
        return train_stable_baselines3(int(steps), int(seed))

    lengths = {contender: STEPS[contender] for contender in arguments.only}
    if arguments.full:
        lengths = {contender: (short, max(long, FULL)) for contender, (short, long) in lengths.items()}
    options = "--cleanrl cleanrl --purejaxrl purejaxrl --jax-python jax-venv/bin/python"
    options += f" --rounds {arguments.rounds}" + " --full" * arguments.full
    options += f" --only {' '.join(arguments.only)}" * (arguments.only != list(STEPS))
    record = {
        "command": f"cargo build --release && venv/bin/python bench/ppo_peers.py {options}",
        **provenance(),
        "peers": peers(arguments),
        "rounds": arguments.rounds,
        "load_average_before": os.getloadavg()[0],
    }
    rounds = {contender: [] for contender in lengths}
    for seed in range(arguments.rounds):
        for contender, pair in lengths.items():
            costs = [{"steps": steps, **measure(command(contender, steps, seed, arguments))[0]} for steps in pair]
            rounds[contender].append(costs)
            print(contender, json.dumps(costs), flush=True)
    record["contenders"] = summary(rounds)
    if "apprentice" in lengths:
        record["time_to_solve"] = time_to_solve()
    record |= {"runs": rounds, "load_average_after": os.getloadavg()[0]}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=1) + "\n")
    temporary.replace(arguments.out)
    print(json.dumps(record["contenders"], indent=1))


if __name__ == "__main__":
    main()
