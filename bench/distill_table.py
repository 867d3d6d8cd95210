#!/usr/bin/env python3
"""Distils the teachers of several tasks by four methods into students of four sizes, under five seeds each.

    cargo build --release
    python3 bench/distill_table.py            # writes bench/record/distill_table.json and docs/distillation_results.md
    python3 bench/distill_table.py --only Acrobot-v1 --methods dagger     # renews these

A teacher is trained with the preset of its task and seed 1000 · i; student i learns from teacher i. Returns are means of
100 episodes that nobody was trained on, normalised as (student - random) / (teacher - random); the table has their
interquartile mean over the seeds and its 95 % bootstrap interval. Needs nothing but Python's standard library. Teachers
are kept in target/teachers, those of each build of the program by themselves.
"""
import argparse
import concurrent.futures
import functools
import hashlib
import json
import random
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
APPRENTICE = ROOT / "target/release/apprentice"
RECORD = ROOT / "bench/record/distill_table.json"
PAGE = ROOT / "docs/distillation_results.md"
# (environment, features in, outputs, what distillation is told beside method and size)
TASKS = [
    ("CartPole-v1", 4, 2, []),
    ("Acrobot-v1", 6, 3, []),
    ("MountainCar-v0", 2, 3, []),
    ("MountainCarContinuous-v0", 2, 1, []),
    ("Pendulum-v1", 3, 1, []),
    # One unit for 500 states, as 2 % leave it, takes longer steps to find its place.
    ("Taxi-v4", 500, 6, ["learning_rate=2e-2"]),
    ("GridWorld-v0", 64, 4, []),
]
METHODS = ["teacher_driven", "student_driven", "dagger", "ppd"]
SHARES = [0.5, 0.1, 0.02, 0.005]
SEEDS = [1000 * i for i in range(5)]


def apprentice(*arguments):
    command = [str(argument) for argument in [APPRENTICE, *arguments, "--json", "--quiet"]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def is_finished(folder):
    """Whether a run has come to its end, which is the last that is logged of it."""
    metrics = folder / "metrics.jsonl"
    return metrics.exists() and "final/return_mean" in metrics.read_text()


@functools.cache
def teachers():
    """The folder of the teachers that the program of today has trained, presets included."""
    return ROOT / "target/teachers" / hashlib.sha256(APPRENTICE.read_bytes()).hexdigest()[:12]


def teacher(env, seed):
    folder = teachers() / f"{env}-{seed}"
    if not is_finished(folder):
        shutil.rmtree(folder, ignore_errors=True)
        apprentice("train", env, "--seed", seed, "--out", folder)
    return folder


def hidden(inputs, outputs, budget):
    """The hidden layers of the largest student of at most this many parameters: two of one size if half of the teacher's
    may be spent, else one; none if fewer than three units fit and a linear student does. None if nothing fits."""
    one = int((budget - outputs) // (inputs + outputs + 1))
    linear = (inputs + 1) * outputs
    if one < 3 and linear <= budget:
        return []
    return [one] if one >= 1 else None


def two_hidden(inputs, outputs, budget):
    h = 1
    while (inputs + 1) * (h + 1) + (h + 2) * (h + 1) + (h + 2) * outputs <= budget:
        h += 1
    return [h, h]


def distil(env, inputs, outputs, extra, method, share, seed):
    source = teacher(env, seed)
    parameters = json.loads((source / "size.json").read_text())
    budget = share * parameters
    layers = two_hidden(inputs, outputs, budget) if share >= 0.5 else hidden(inputs, outputs, budget)
    if layers is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        report = apprentice(
            "distill", "--teacher", source, "--preset", method, "--seed", seed, "--out", f"{folder}/run",
            "--set", f"hidden={layers}", "--set", "evaluations=0", *[x for s in extra for x in ("--set", s)],
        )
    student = report["student"]
    return {
        "seed": seed,
        "hidden": layers,
        "parameters": student["parameters"],
        "return": student["return_mean"],
        "normalized_return": report["normalized_return"],
        "fidelity": student["fidelity"],
        "train_seconds": student["train_seconds"],
        "train_steps": student["train_steps"],
    }


def iqm(values):
    values = sorted(values)
    cut = len(values) // 4
    return statistics.fmean(values[cut : len(values) - cut])


def interval(values):
    rng = random.Random(95)
    statistics_ = sorted(iqm(rng.choices(values, k=len(values))) for _ in range(2000))
    return statistics_[49], statistics_[1949]


def size_of(env, seed):
    folder = teacher(env, seed)
    path = folder / "size.json"
    if not path.exists():
        with tempfile.TemporaryDirectory() as out:
            report = apprentice("distill", "--teacher", folder, "--out", f"{out}/run", "--set", "total_timesteps=2048",
                                "--set", "evaluations=0")
        path.write_text(json.dumps(report["teacher"]["parameters"]))
        (folder / "return.json").write_text(
            json.dumps({"teacher": report["teacher"]["return_mean"], "random": report["random_return_mean"]})
        )


def page(record):
    lines = [
        "# Distillation: methods and sizes",
        "",
        "Returns of students, normalised as (student - random) / (teacher - random): interquartile mean over five seeds, each",
        "with a teacher of its own, and in brackets its 95 % bootstrap interval. An episode counts if nobody was trained on",
        "it: 100 for each figure. The size is the student's share of the teacher's actor. Made by",
        "`python3 bench/distill_table.py`; raw results in `bench/record/distill_table.json`.",
        "",
    ]
    for env, _, _, extra in TASKS:
        rows = [row for row in record["rows"] if row["env"] == env]
        told = [f"All methods with `{' '.join(extra)}`.", ""] if extra else []
        lines += [f"## {env}", "", *told, "| size | " + " | ".join(METHODS) + " |", "|---|" + "---|" * len(METHODS)]
        for share in SHARES:
            cells = []
            for method in METHODS:
                row = next((r for r in rows if r["share"] == share and r["method"] == method), None)
                if row is None or not row["students"]:
                    cells.append("none that small")
                    continue
                low, high = row["interval"]
                cells.append(f"{row['iqm']:.3f} [{low:.3f}, {high:.3f}]")
            lines.append(f"| {100 * share:g} % | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=[task[0] for task in TASKS])
    parser.add_argument("--methods", nargs="*", default=METHODS)
    parser.add_argument("--shares", nargs="*", type=float, default=SHARES)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--set", nargs="*", default=[], help="tried in place of the presets' values; nothing is recorded")
    arguments = parser.parse_args()
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"rows": []}
    for env, inputs, outputs, extra in TASKS:
        if env not in arguments.only:
            continue
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda seed: size_of(env, seed), SEEDS))
            for method in arguments.methods:
                for share in arguments.shares:
                    students = pool.map(
                        lambda seed: distil(env, inputs, outputs, extra + arguments.set, method, share, seed), SEEDS
                    )
                    students = [student for student in students if student]
                    returns = [student["normalized_return"] for student in students]
                    row = {"env": env, "method": method, "share": share, "students": students}
                    if students:
                        row |= {"iqm": iqm(returns), "interval": interval(returns)}
                        fidelity = statistics.fmean(s["fidelity"] for s in students)
                        seconds = statistics.fmean(s["train_seconds"] for s in students)
                        print(f"{env} {method} {share}: {row['iqm']:.3f} {row['interval']} fidelity {fidelity:.3f}, "
                              f"{seconds:.2f} s, hidden {students[0]['hidden']}, worst {min(returns):.3f}", flush=True)
                    same = [env, method, share]
                    record["rows"] = [r for r in record["rows"] if [r["env"], r["method"], r["share"]] != same] + [row]
    if not arguments.set:
        order = [task[0] for task in TASKS]
        record["rows"].sort(key=lambda row: order.index(row["env"]))
        RECORD.write_text(json.dumps({"provenance": provenance(), "rows": record["rows"]}, indent=1) + "\n")
        PAGE.write_text(page(record))


if __name__ == "__main__":
    main()
