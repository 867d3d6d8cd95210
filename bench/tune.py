#!/usr/bin/env python3
"""Searches for the smallest student that keeps a teacher's skill, and kills a search half-way.

    cargo build --release
    python3 bench/tune.py             # writes bench/record/tune.json

For each of five teachers of Acrobot: `apprentice tune --teacher`, 64 trials, two at a time. The student is the smallest of the
front that keeps 97 % of the teacher's return on episodes that no trial was judged on. Then the same search is killed
(SIGKILL) once half of its trials have ended and begun again with the same command: its front must be that of the search
that was left alone. Needs nothing but Python's standard library. Teachers are those of bench/distill_table.py.
"""
import json
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from distill_table import APPRENTICE, ROOT, SEEDS, apprentice, teacher
from machine import provenance

RECORD = ROOT / "bench/record/tune.json"
ENV, TRIALS, TARGET = "Acrobot-v1", 64, 0.97


def command(path, out):
    return ["tune", "--teacher", path, "--trials", TRIALS, "--jobs", 2, "--out", out]


def front(tuned):
    return [[trial["trial"], trial["overrides"], trial["value"], trial["parameters"]] for trial in tuned["front"]]


def search(seed):
    path = teacher(ENV, seed)
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        whole = apprentice(*command(path, f"{folder}/whole"))
        seconds = time.monotonic() - started
        students = [card for card in whole["report"]["cards"] if card["name"].startswith("trial")]
        kept = [card for card in students if card["normalized_iqm"] >= TARGET]
        best = min(kept, key=lambda card: card["parameters"])

        words = [str(word) for word in [APPRENTICE, *command(path, f"{folder}/killed"), "--quiet"]]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        journal = Path(folder) / "killed/journal.jsonl"
        while process.poll() is None and (not journal.exists() or journal.read_text().count("\n") < TRIALS // 2):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        ended = journal.read_text().count("\n")
        again = apprentice(*command(path, f"{folder}/killed"))
    return {
        "seed": seed,
        "seconds": seconds,
        "student": {key: best[key] for key in ["name", "architecture", "parameters", "normalized_iqm", "return_mean"]},
        "killed_after_trials": ended,
        "same_front": front(again) == front(whole),
    }


def main():
    rows = []
    for seed in SEEDS:
        rows.append(search(seed))
        print(json.dumps(rows[-1]), flush=True)
    RECORD.write_text(json.dumps({"provenance": provenance(), "trials": TRIALS, "target": TARGET, "searches": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
