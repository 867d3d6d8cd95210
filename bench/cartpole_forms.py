#!/usr/bin/env python3
"""CartPole in each of its forms: typed, in batches on one and on two threads, and as the plugin in C.

    cargo build --release
    python3 bench/cartpole_forms.py             # writes bench/record/cartpole_forms.json

- The typed API: `cargo bench -p apprentice-envs`, nanoseconds a step of every classic task by
  processor time, resets included.
- The plugin: `c/CartPole-v1` of plugins/examples/c/cartpole.c, built as its README says, against `CartPole-v1`, by
  processor time, in alternation and pinned to core 0.
- Two threads against one: wall-clock time, in alternation. Beside them, as the most that the machine allows, two
  processes at once with half the environments each, which share nothing: on many machines two processors are not twice
  one.

A figure is the median of the rounds, and a ratio that of the medians. Run it on a quiet machine: two threads cannot be
measured beside another program on two cores.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from machine import ROOT, provenance

APPRENTICE = ROOT / "target/release/apprentice"
NUM_ENVS = [64, 1024, 4096]


def json_of(*command):
    done = subprocess.run([str(word) for word in command], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def bench(env, num_envs, threads=1, prefix=(), arguments=()):
    """Nanoseconds a step by the wall and by the processor, for each of the sizes."""
    command = [APPRENTICE, "bench", "env", env, "--num-envs", ",".join(map(str, num_envs)), "--threads", threads]
    batches = json_of(*prefix, *command, "--seconds", args.seconds, "--json", *arguments)["batches"]
    return {b["num_envs"]: [b[key] / b["steps"] * 1e9 for key in ("wall_seconds", "cpu_seconds")] for b in batches}


def compared(name, theirs, name_ours, ours):
    """Two lists of nanoseconds, their medians and how many times faster the second is."""
    a, b = statistics.median(theirs), statistics.median(ours)
    rounded = [[round(x, 2) for x in xs] for xs in (theirs, ours)]
    return {name: round(a, 2), name_ours: round(b, 2), "ratio": round(a / b, 3), "rounds": rounded}


def typed():
    steps = json_of("cargo", "bench", "--quiet", "-p", "apprentice-envs", "--bench", "typed")
    return {
        env: {"median": round(statistics.median(rounds), 1), "rounds": [round(x, 1) for x in rounds]}
        for env, rounds in steps.items()
    }


def plugin():
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for options in (["-O3"], ["-O3", "-march=native"]):
            library = Path(folder) / f"{len(options)}.so"
            source = ["-I", "plugins/include", "plugins/examples/c/cartpole.c"]
            command = ["cc", "-std=c99", *options, "-fPIC", "-shared", *source, "-o", library, "-lm"]
            subprocess.run(command, cwd=ROOT, check=True)
            pinned = ["taskset", "-c", "0"]
            builtin, plugin = [], []
            for _ in range(args.rounds):
                builtin.append(bench("CartPole-v1", NUM_ENVS, prefix=pinned))
                plugin.append(bench("c/CartPole-v1", NUM_ENVS, prefix=pinned, arguments=["--plugin", library]))
            figures[" ".join(options)] = {
                n: compared("builtin", [r[n][1] for r in builtin], "plugin", [r[n][1] for r in plugin]) for n in NUM_ENVS
            }
    return figures


def two_processes(n):
    """Nanoseconds a step of two processes together, each with half of `n` environments."""
    with ThreadPoolExecutor() as pool:
        halves = list(pool.map(lambda _: bench("CartPole-v1", [n // 2])[n // 2][0], range(2)))
    return 1 / sum(1 / half for half in halves)


def threads():
    figures = {}
    for n in (4096, 16384, 65536):
        one, two, apart = [], [], []
        for _ in range(args.rounds):
            one.append(bench("CartPole-v1", [n], 1)[n][0])
            two.append(bench("CartPole-v1", [n], 2)[n][0])
            apart.append(two_processes(n))
        limit = compared("one", one, "two_processes", apart)
        figures[n] = compared("one", one, "two", two) | {
            "two_processes": limit["two_processes"],
            "two_processes_ratio": limit["ratio"],
            "two_processes_rounds": limit["rounds"][1],
        }
    return figures


FORMS = {"typed": typed, "plugin": plugin, "threads": threads}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--apprentice", type=Path, default=APPRENTICE, help="the program")
parser.add_argument("--only", nargs="+", choices=FORMS, default=FORMS, help="forms; the others stay as they are recorded")
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--seconds", type=float, default=1.0, help="of a measurement, a quarter of it warm-up")
parser.add_argument("--out", type=Path, default=ROOT / "bench/record/cartpole_forms.json")
args = parser.parse_args()
APPRENTICE = args.apprentice.resolve()

record = json.loads(args.out.read_text()) if args.out.exists() else {}
for form in args.only:
    command = f"cargo build --release && python3 bench/cartpole_forms.py --only {form}"
    record[form] = {"command": command, **provenance(), "nanoseconds": FORMS[form]()}
    args.out.write_text(json.dumps(record, indent=1) + "\n")

for env, figure in record.get("typed", {}).get("nanoseconds", {}).items():
    print(f"{env:<26} {figure['median']:6.1f} ns a step, typed")
for options, sizes in record.get("plugin", {}).get("nanoseconds", {}).items():
    for n, row in sizes.items():
        print(f"plugin, {options}, {n} environments: {row['ratio']:.0%} of the built-in one")
for n, row in record.get("threads", {}).get("nanoseconds", {}).items():
    print(
        f"{n} environments: {row['one']} ns on one thread; two threads {row['ratio']} times as fast, two processes "
        f"{row['two_processes_ratio']} times"
    )
