#!/usr/bin/env python3
"""Runs the example `cartpole_distill` with ten seeds and records what came of it.

    python3 bench/cartpole_distill.py            # builds it, and writes bench/record/cartpole_distill.json

Needs nothing but Python's standard library. Peak memory is the kernel's maximum resident set size.
"""
import json, os, statistics, subprocess, tempfile, time
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "target/release/examples/cartpole_distill"
# A run uses the environment seeds seed, seed + 1, …, so that seeds far apart share none.
SEEDS = range(0, 10_000, 1000)


def run(seed):
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        process = subprocess.Popen([EXAMPLE, "--quiet", "--seed", str(seed), "--out", folder], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        assert status == 0, f"seed {seed} failed"
        report = json.loads((Path(folder) / "student/report.json").read_text())
    teacher, student = report["teacher"], report["student"]
    return {
        "seed": seed,
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(usage.ru_maxrss / 1024, 1),
        "teacher_return": teacher["return_mean"],
        "student_return": student["return_mean"],
        "student_share_of_parameters": round(student["parameters"] / teacher["parameters"], 4),
        "student_share_of_return": round(student["return_mean"] / teacher["return_mean"], 4),
        "fidelity": round(student["fidelity"], 4),
        "teacher_seconds": round(teacher["train_seconds"], 1),
        "student_seconds": round(student["train_seconds"], 1),
    }


# A program of yesterday would be recorded as one of today.
subprocess.run(["cargo", "build", "--release", "--example", EXAMPLE.name], cwd=ROOT, check=True)
runs = []
for seed in SEEDS:
    runs.append(run(seed))
    print(json.dumps(runs[-1]), flush=True)

summary = {
    "teachers_at_475_or_more": sum(r["teacher_return"] >= 475 for r in runs),
    "students_at_97_percent_or_more": sum(r["student_share_of_return"] >= 0.97 for r in runs),
    "median_seconds": round(statistics.median(r["seconds"] for r in runs), 1),
    "max_seconds": max(r["seconds"] for r in runs),
    "max_peak_memory_mb": max(r["peak_memory_mb"] for r in runs),
}
record = {
    "command": "python3 bench/cartpole_distill.py",
    **provenance(),
    "summary": summary,
    "runs": runs,
}
path = ROOT / "bench/record/cartpole_distill.json"
path.parent.mkdir(exist_ok=True)
path.write_text(json.dumps(record, indent=1) + "\n")
print(json.dumps(summary))
