#!/usr/bin/env python3
"""The resident memory of a long training run, for both engines: it should not grow.

    cargo build --release
    python3 bench/memory.py                       # 20 million steps each; writes bench/record/memory.json
    python3 bench/memory.py --engines fused --steps 5000000

Needs Linux, and nothing but Python's standard library. The burn engine takes its time: about a quarter of an hour.
"""
import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
APPRENTICE = ROOT / "target/release/apprentice"
POINTS = 100


def resident_mb(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return None


def run(engine, steps):
    with tempfile.TemporaryDirectory() as folder:
        command = [APPRENTICE, "train", "CartPole-v1", "--preset", "cleanrl", "--quiet", "--engine", engine]
        for setting in [f"total_timesteps={steps}", "evaluations=100", "checkpoints=20"]:
            command += ["--set", setting]
        started = time.monotonic()
        process = subprocess.Popen([*command, "--out", f"{folder}/run"], stdout=subprocess.DEVNULL)
        curve = []
        while process.poll() is None:
            memory = resident_mb(process.pid)
            if memory is not None:
                curve.append((round(time.monotonic() - started, 1), round(memory, 2)))
            time.sleep(0.5)
        assert process.returncode == 0, f"{engine} failed"
    # The last reading may be of a process that is already letting go.
    curve = curve[:-1]
    tenth = max(1, len(curve) // 10)
    return {
        "steps": steps,
        "seconds": round(time.monotonic() - started, 1),
        "mb_after_a_tenth": curve[tenth][1],
        "mb_at_the_end": curve[-1][1],
        "growth_mb": round(curve[-1][1] - curve[tenth][1], 2),
        "seconds_and_mb": curve[:: max(1, len(curve) // POINTS)],
    }


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--engines", nargs="+", default=["fused", "burn"])
parser.add_argument("--steps", type=int, default=20_000_000)
args = parser.parse_args()
record_file = ROOT / "bench/record/memory.json"
record = json.loads(record_file.read_text()) if record_file.exists() else {}
for engine in args.engines:
    command = f"cargo build --release && python3 bench/memory.py --engines {engine} --steps {args.steps}"
    record[engine] = {"command": command, **provenance(), **run(engine, args.steps)}
    print(json.dumps({key: value for key, value in record[engine].items() if key != "seconds_and_mb"}), flush=True)
    record_file.write_text(json.dumps(record) + "\n")
