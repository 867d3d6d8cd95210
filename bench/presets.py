#!/usr/bin/env python3
"""Trains every environment with the preset tuned for it under ten seeds, and writes the results page.

    cargo build --release
    python3 bench/presets.py            # writes bench/record/presets.json and docs/results.md
    python3 bench/presets.py --only Pendulum-v1 Acrobot-v1     # renews these

Needs nothing but Python's standard library.
"""
import argparse
import functools
import itertools
import json
import random
import statistics
import subprocess
import tempfile
from pathlib import Path

from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
APPRENTICE = ROOT / "target/release/apprentice"
RECORD = ROOT / "bench/record/presets.json"
# (environment, further arguments, what a mean return should reach, why that)
TASKS = [
    ("CartPole-v1", [], 475, "Gymnasium's threshold"),
    ("CartPole-v0", [], 195, "Gymnasium's threshold"),
    ("CartPole-v1", ["--preset", "cleanrl"], 475, "Gymnasium's threshold"),
    ("CartPole-v1", ["--preset", "cartpole_positions"], 475, "Gymnasium's threshold"),
    ("Acrobot-v1", [], -90, "CleanRL's PPO: -86 ± 1"),
    ("MountainCar-v0", [], -115, "RL Zoo's PPO: -110"),
    ("MountainCar-v0", ["--preset", "cleanrl"], None, "a negative control: without normalisation it stays at -200"),
    ("MountainCarContinuous-v0", [], 90, "Gymnasium's threshold"),
    ("Pendulum-v1", [], -200, "RL Zoo's PPO: -172 ± 104"),
    ("FrozenLake-v1", [], 0.70, "Gymnasium's threshold"),
    ("FrozenLake8x8-v1", [], 0.85, "Gymnasium's threshold"),
    ("Taxi-v4", [], 7.5, "the optimum is about 7.9 on average over starts"),
    ("CliffWalking-v1", [], -13, "the optimum"),
    ("CliffWalkingSlippery-v1", [], -65, "the optimum is {cliff:.2f}, by dynamic programming"),
    ("Blackjack-v1", [], -0.05, "the optimum is {blackjack:.4f}, by dynamic programming over an endless deck"),
    ("GridWorld-v0", [], None, "the optimum is tested: tests/suite/gridworld.rs"),
    ("KeyDoor-v0", [], None, ""),
    ("Obstacles-v0", [], None, ""),
    ("Memory-v0", [], 0.9, "who remembers the cue and walks straight earns 0.93"),
    ("Memory-v0", ["--preset", "gridworld"], None, "a negative control: without a memory half of the cues are missed"),
]


# Where 100 episodes say little.
MANY_EPISODES = ["Blackjack-v1"]


def run(env, arguments, seeds):
    with tempfile.TemporaryDirectory() as folder:
        command = [APPRENTICE, "train", env, *arguments, "--seeds", str(seeds), "--json", "--quiet"]
        done = subprocess.run([*command, "--out", f"{folder}/run"], check=True, capture_output=True, text=True)
        report = json.loads(done.stdout)
        returns = [seed["return_mean"] for seed in report["seeds"]]
        for i, seed in enumerate(report["seeds"]) if env in MANY_EPISODES else []:
            evaluation = [APPRENTICE, "eval", seed["run"], "--episodes", "100000", "--json"]
            done = subprocess.run(evaluation, check=True, capture_output=True, text=True)
            returns[i] = json.loads(done.stdout)["return_mean"]
    return {
        "command": " ".join(["apprentice", *map(str, command[1:-2])]),
        "env": env,
        "steps": report["seeds"][0]["train_steps"],
        "return_mean": statistics.mean(returns),
        "return_mean_ci95": bootstrap(returns),
        "returns": returns,
        "median_train_seconds": sorted(seed["train_seconds"] for seed in report["seeds"])[len(returns) // 2],
        "wall_seconds": report["wall_seconds"],
    }


def cliff_optimum():
    """The expected return of the best walk along the slippery cliff: exact, from the rules."""
    moves = [(-1, 0), (0, 1), (1, 0), (0, -1)]
    cells = [(row, column) for row in range(4) for column in range(12) if row < 3 or column in (0, 11)]
    value = dict.fromkeys(cells, 0.0)

    def outcome(cell, move):
        row, column = (min(max(at + by, 0), most) for at, by, most in zip(cell, move, (3, 11)))
        fell = row == 3 and 0 < column < 11
        return -100 + value[3, 0] if fell else -1 + value[row, column]

    for _ in range(10_000):
        for cell in cells:
            if cell != (3, 11):
                of = [sum(outcome(cell, moves[(i + by) % 4]) for by in (-1, 0, 1)) / 3 for i in range(4)]
                value[cell] = max(of)
    return value[3, 0]


def blackjack_optimum():
    """The expected return of the best policy: exact, from the rules."""
    cards = {card: 1 / 13 for card in range(1, 10)} | {10: 4 / 13}

    def worth(hand, ace):
        return hand + 10 if ace and hand + 10 <= 21 else hand

    @functools.cache
    def dealer(hand, ace):
        """The distribution of what the dealer ends with; 0 is going bust."""
        total = worth(hand, ace)
        if total >= 17:
            return {total if total <= 21 else 0: 1.0}
        ends = {}
        for card, p in cards.items():
            for end, q in dealer(hand + card, ace or card == 1).items():
                ends[end] = ends.get(end, 0) + p * q
        return ends

    @functools.cache
    def value(hand, ace, shown):
        total = worth(hand, ace)
        if total > 21:
            return -1.0
        stick = sum(p * ((total > end) - (total < end)) for end, p in dealer(shown, shown == 1).items())
        return max(stick, sum(p * value(hand + card, ace or card == 1, shown) for card, p in cards.items()))

    def dealt(a, b, shown):
        """A natural wins against anything but another one."""
        if {a, b} == {1, 10}:
            return 1 - cards[10] * (shown == 1) - cards[1] * (shown == 10)
        return value(a + b, 1 in (a, b), shown)

    deals = itertools.product(cards, repeat=3)
    return sum(cards[a] * cards[b] * cards[c] * dealt(a, b, c) for a, b, c in deals)


def bootstrap(values):
    """A 95 % interval of the mean."""
    draw = random.Random(95)
    means = sorted(statistics.mean(draw.choices(values, k=len(values))) for _ in range(2000))
    return [means[49], means[1949]]


def page(record):
    lines = [
        "# Results of the presets",
        "",
        f"Every environment with the preset tuned for it, {record['seeds']} seeds. A return is the mean over 100 episodes",
        "that no training has seen (Blackjack: 100,000), most probable actions; the mean over seeds has a 95 % bootstrap",
        f"interval. Seconds are of training one seed on one core ({record['machine']['cpu']}; two at a time), evaluations during",
        "the run included.",
        "",
        "`python3 bench/presets.py` makes this page; the raw figures are in",
        "[`bench/record/presets.json`](../bench/record/presets.json).",
        "",
        "| command | steps | mean return | worst seed | aim | seeds that reach it | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    figure = lambda x: f"{x:.3f}" if abs(x) < 1 else f"{x:.2f}" if abs(x) < 10 else f"{x:.1f}"
    for task in record["tasks"]:
        low, high = task["return_mean_ci95"]
        mean = f"{figure(task['return_mean'])} [{figure(low)}, {figure(high)}]"
        aim, reached = "–", "–"
        if task["aim"] is not None:
            aim = str(task["aim"])
            reached = f"{sum(r >= task['aim'] for r in task['returns'])} of {len(task['returns'])}"
        worst = figure(min(task["returns"]))
        seconds = f"{task['median_train_seconds']:.1f}"
        lines.append(f"| `{task['command']}` | {task['steps']:,} | {mean} | {worst} | {aim} | {reached} | {seconds} |")
    lines += ["", "Where the aims come from:", ""]
    optima = {"blackjack": blackjack_optimum(), "cliff": cliff_optimum()}
    whys = [(task["env"], task["why"].format(**optima)) for task in record["tasks"] if task["why"]]
    lines += [f"- {env}: {why}." for env, why in dict.fromkeys(whys)]
    return "\n".join(lines) + "\n"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--page", action="store_true", help="only write the page anew, from the record")
parser.add_argument("--only", nargs="+", help="environments [default: all]")
parser.add_argument("--seeds", type=int, default=10)
args = parser.parse_args()
if args.page:
    (ROOT / "docs/results.md").write_text(page(json.loads(RECORD.read_text())))
    raise SystemExit

old = json.loads(RECORD.read_text())["tasks"] if args.only and RECORD.exists() else []
tasks = []
for env, arguments, aim, why in TASKS:
    if args.only and env not in args.only:
        tasks += [task for task in old if task["env"] == env and task["arguments"] == arguments]
        continue
    tasks.append({**run(env, arguments, args.seeds), "arguments": arguments, "aim": aim, "why": why})
    print(json.dumps({key: tasks[-1][key] for key in ["command", "return_mean", "returns", "median_train_seconds"]}), flush=True)
record = {"command": "cargo build --release && python3 bench/presets.py", **provenance(), "seeds": args.seeds, "tasks": tasks}
RECORD.write_text(json.dumps(record, indent=1) + "\n")
(ROOT / "docs/results.md").write_text(page(record))
