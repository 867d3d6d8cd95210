#!/usr/bin/env python3
"""Learning curves of both engines, burn's autodiff and the fused one, side by side.

    cargo build --release
    python3 bench/engines.py                   # writes bench/record/engines.json

Both have the same weights at first and draw the same numbers, and differ by rounding. So the curves of one seed part after
some iterations, and those of many seeds should not be told apart: the area under the curve of evaluations (20 episodes
never trained on, twenty times a run) is compared by an exact permutation test over the signs of the differences of paired
seeds. Ten seeds each; needs nothing but Python's standard library.
"""
import argparse
import itertools
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
APPRENTICE = ROOT / "target/release/apprentice"
RECORD = ROOT / "bench/record/engines.json"
TASKS = [("CartPole-v1", ["total_timesteps=50000"]), ("Pendulum-v1", ["total_timesteps=50000"])]


def curves(env, settings, engine, seeds):
    with tempfile.TemporaryDirectory() as folder:
        told = [x for setting in settings for x in ("--set", setting)]
        command = [APPRENTICE, "train", env, "--engine", engine, "--seeds", str(seeds), *told, "--json", "--quiet"]
        done = subprocess.run([*command, "--out", f"{folder}/run"], check=True, capture_output=True, text=True)
        result = []
        for seed in json.loads(done.stdout)["seeds"]:
            lines = (json.loads(line) for line in (Path(seed["run"]) / "metrics.jsonl").read_text().splitlines())
            result.append([line["value"] for line in lines if line["tag"] == "eval/return_mean"])
        return result


def p_value(differences):
    """How many choices of signs make the sum at least as large."""
    observed = abs(sum(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences)))
            for signs in itertools.product([1, -1], repeat=len(differences))]
    return sum(total >= observed - 1e-9 for total in sums) / len(sums)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    record = {"provenance": provenance(), "tasks": {}}
    for env, settings in TASKS:
        both = {engine: curves(env, settings, engine, arguments.seeds) for engine in ["burn", "fused"]}
        area = {engine: [statistics.fmean(curve) for curve in found] for engine, found in both.items()}
        differences = [a - b for a, b in zip(area["burn"], area["fused"])]
        mean = {engine: [round(statistics.fmean(column), 2) for column in zip(*found)] for engine, found in both.items()}
        record["tasks"][env] = {"settings": settings, "area": area, "p_value": p_value(differences), "mean_curve": mean}
        print(env, {engine: round(statistics.fmean(areas), 2) for engine, areas in area.items()},
              f"p = {record['tasks'][env]['p_value']:.3f}", flush=True)
    RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
