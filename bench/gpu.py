#!/usr/bin/env python3
"""What there is to check and to measure where a CUDA card is at hand; prints a short table last.

    python3 bench/gpu.py                     # builds with the feature cuda; writes bench/record/gpu.json
    python3 bench/gpu.py --device cpu        # the same steps without a card, to try the script

1. PPO updates on the card are those of PyTorch and of the CPU: the parity test, with burn on the card.
2. CartPole is trained to 475 on the card.
3. Steps a second of PPO at several numbers of environments, on the card and on the CPU beside it.

Needs a CUDA toolkit, and nothing but Python's standard library.
"""
import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
APPRENTICE = ROOT / "target/release/apprentice"
SIZES = [1024, 4096, 16384]


def card():
    try:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def bench(num_envs, device, engine):
    """Steps a second with 8 minibatches an epoch, whatever the number of environments."""
    command = [APPRENTICE, "bench", "ppo", "--preset", "cleanrl", "--device", device, "--engine", engine, "--json"]
    for setting in [f"num_envs={num_envs}", "num_steps=32", "num_minibatches=8"]:
        command += ["--set", setting]
    command += ["--steps", str(num_envs * 32 * 5)]
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["steps_per_second"]


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--device", default="cuda:0")
args = parser.parse_args()
features = [] if args.device == "cpu" else ["--features", "cuda"]
subprocess.run(["cargo", "build", "--release", *features], cwd=ROOT, check=True)

rows = []
test = ["cargo", "test", "--release", *features, "--test", "suite", "parity", "--", "--nocapture"]
parity = subprocess.run(test, cwd=ROOT, env={**os.environ, "APPRENTICE_DEVICE": args.device}, capture_output=True, text=True)
rows.append(("parity with PyTorch and the CPU", "passed" if parity.returncode == 0 else "FAILED"))
with tempfile.TemporaryDirectory() as folder:
    command = [APPRENTICE, "train", "CartPole-v1", "--device", args.device, "--engine", "burn", "--quiet", "--json"]
    done = subprocess.run([*command, "--out", f"{folder}/run"], capture_output=True, text=True)
    trained = json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-500:]}
rows.append(("CartPole-v1, mean return", trained.get("return_mean", "FAILED")))
rows.append(("CartPole-v1, training seconds", round(trained.get("train_seconds", float("nan")), 1)))
for num_envs in SIZES:
    for device, engine in [(args.device, "burn"), ("cpu", "burn"), ("cpu", "fused")]:
        rows.append((f"steps/s, {num_envs} environments, {engine} on {device}", round(bench(num_envs, device, engine))))

record = {"command": "python3 bench/gpu.py", **provenance(), "card": card(), "device": args.device, "rows": rows}
record["parity_output"] = [line for line in parity.stdout.splitlines() if "differ by" in line or "panicked" in line]
if args.device != "cpu":
    (ROOT / "bench/record/gpu.json").write_text(json.dumps(record, indent=1) + "\n")
width = max(len(name) for name, _ in rows)
print(f"\n{record['card'] or 'no card'}")
for name, value in rows:
    print(f"{name:<{width}}  {value}")
