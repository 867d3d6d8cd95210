#!/usr/bin/env python3
"""How fast PPO trains on one core of this machine, and how much of what the core could do the updates reach.

    cargo build --release
    python3 bench/ppo.py                              # writes bench/record/ppo.json
    python3 bench/ppo.py --before OTHER/apprentice    # the same of another build, in alternation

A round is one `apprentice bench ppo` of every contender, a process of its own pinned to core 0; a figure is the median
of the rounds. Steps a second are counted by processor time, which other programs on the machine lengthen least. Needs
nothing but Python's standard library.
"""
import argparse
import json
import statistics
import subprocess
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
FIGURES = [
    "steps_per_second",
    "steps_per_cpu_second",
    "collect_share",
    "update_share",
    "peak_gflops",
    "update_gflops",
    "update_share_of_peak",
    "peak_memory_mb",
]


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--before", type=Path, metavar="APPRENTICE", help="another build to alternate with")
parser.add_argument("--rounds", type=int, default=9)
args = parser.parse_args()

contenders = {"apprentice": ROOT / "target/release/apprentice"} | ({"before": args.before} if args.before else {})
options = "bench ppo --env CartPole-v1 --preset cleanrl --steps 200000 --json".split()
runs = {name: [] for name in contenders}
for _ in range(args.rounds):
    for name, program in contenders.items():
        command = ["taskset", "--cpu-list", "0", program, *options]
        runs[name].append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        print(name, json.dumps(runs[name][-1]), flush=True)

record = {
    "command": "cargo build --release && python3 bench/ppo.py",
    "measured": "taskset --cpu-list 0 apprentice " + " ".join(options),
    **provenance(),
    "rounds": args.rounds,
    "median": {
        name: {figure: round(statistics.median(run[figure] for run in of), 3) for figure in FIGURES}
        for name, of in runs.items()
    },
    "runs": runs,
}
path = ROOT / "bench/record/ppo.json"
path.write_text(json.dumps(record, indent=1) + "\n")
print(json.dumps(record["median"], indent=1))
