#!/usr/bin/env python3
"""Students that remember, students of several tasks, of several domains, and of one task after another.

    cargo build --release
    python3 bench/distill_tasks.py             # writes bench/record/distill_tasks.json
    python3 bench/distill_tasks.py --only continual

memory: CartPole without its velocities, from a teacher that sees them: students with a GRU and without.

multi_task: one student of the teachers of CartPole, Acrobot and MountainCar, trained on all at once.

physics: one student of two teachers with different physics each, on a variant between them that neither it nor they have
seen; normalised by a teacher that was trained on that variant, and random actions in the known ones.

continual: a student with four hidden units learns Acrobot, then CartPole, then MountainCar. Forgetting of a task is
(after its own turn - at the end) / (after its own turn - random), in mean returns of 100 and of 20 episodes that nobody was
trained on. Naively, with states of earlier tasks kept (replay), and with elastic weight consolidation (ewc).

later: a student of the teacher of a light pendulum (32 hidden units) learns on from that of a heavy one (`distill --init`),
which nobody knew of before. Mean returns in both, normalised by the teacher of each and its random actions: before, after
learning on naively, and with elastic weight consolidation, which computes what to hold on to from the first run's states.
Last the same with a teacher that itself begins as the student (`train --init`): progress and compress.

features: cloning into one hidden unit, about 2 % of the teacher, with a loss of hidden features beside the divergence. The
weights are round numbers that nobody tuned. Normalised returns.

Five seeds each; interquartile means with 95 % bootstrap intervals. Needs nothing but Python's standard library. Teachers
are those of bench/distill_table.py.
"""
import argparse
import json
import shutil
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from distill_claims import summary
from distill_table import ROOT, SEEDS, apprentice, is_finished, teacher, teachers
from machine import provenance

PARTS = ["memory", "multi_task", "physics", "continual", "later", "features"]
RECORD = ROOT / "bench/record/distill_tasks.json"
POSITIONS = '[{"type": "SelectObservation", "indices": [0, 2]}]'
TASKS = ["CartPole-v1", "Acrobot-v1", "MountainCar-v0"]
IN_TURN = ["Acrobot-v1", "CartPole-v1", "MountainCar-v0"]
# (environment, parameter, the teachers' values, the student's)
PHYSICS = [("CartPole-v1", "length", [0.25, 1.0], 0.5), ("Pendulum-v1", "g", [8.0, 12.0], 10.0)]
# (loss of hidden features, its weight), beside kl = 1; all on burn, so that nothing else differs.
FEATURES = [(None, 0), ("hint", 1), ("attention", 1), ("rkd_distance", 1), ("rkd_angle", 1)]
NARROW = ["Taxi-v4", "GridWorld-v0"]
LATER = ("Pendulum-v1", "g", [8.0, 12.0])
LATER_METHODS = {"naive": [], "ewc": ["ewc=100"], "progress_and_compress": ["ewc=100"]}
CONTINUAL = {"naive": [], "replay": ["replay=2048"], "ewc": ["ewc=100"]}


def told(settings):
    return [x for setting in settings for x in ("--set", setting)]


def distil(folder, teachers, *arguments):
    sources = [x for path in teachers for x in ("--teacher", path)]
    return apprentice("distill", *sources, "--out", f"{folder}/run", *arguments)


def memory(seed):
    result = {"seed": seed}
    for units in [0, 16]:
        with tempfile.TemporaryDirectory() as folder:
            report = distil(folder, [teacher("CartPole-v1", seed)], "--wrappers", POSITIONS, "--seed", seed,
                            *told([f"gru_hidden_size={units}", "hidden=[]", "learning_rate=1e-2", "evaluations=0"]))
            keys = ["return_mean", "parameters", "train_seconds"]
            result["gru" if units else "none"] = {key: report["student"][key] for key in keys}
    return result


def multi_task(seed):
    with tempfile.TemporaryDirectory() as folder:
        report = distil(folder, [teacher(env, seed) for env in TASKS], "--fusion", "tasks", "--seed", seed,
                        *told(["num_envs=24", "total_timesteps=122880", "hidden=[32]", "evaluations=0"]))
    student = report["tasks"][0]["student"]
    return {"seed": seed, "parameters": student["parameters"], "train_seconds": student["train_seconds"],
            "normalized": {task["env"]["id"]: task["normalized_return"] for task in report["tasks"]}}


def variant(env, parameter, value, seed):
    folder = teachers() / f"{env}-{parameter}-{value}-{seed}"
    if not is_finished(folder):
        shutil.rmtree(folder, ignore_errors=True)
        apprentice("train", env, "--kwargs", json.dumps({parameter: value}), "--seed", seed, "--out", folder)
    return folder


def physics(env, parameter, known, new, seed):
    kwargs = json.dumps({parameter: new})
    with tempfile.TemporaryDirectory() as folder:
        report = distil(folder, [variant(env, parameter, value, seed) for value in known], "--fusion", "domains", "--seed",
                        seed, *told(["total_timesteps=81920", "evaluations=0"]))
        student = apprentice("eval", f"{folder}/run", "--env", env, "--kwargs", kwargs)["return_mean"]
    expert = apprentice("eval", variant(env, parameter, new, seed), "--env", env, "--kwargs", kwargs)["return_mean"]
    lost = [apprentice("eval", variant(env, parameter, value, seed), "--env", env, "--kwargs", kwargs)["return_mean"]
            for value in known]
    random = statistics.fmean(task["random_return_mean"] for task in report["tasks"])
    return {"seed": seed, "random": random, "student": student, "teacher_of_the_variant": expert,
            "teachers_there": lost, "normalized": (student - random) / (expert - random)}


def continual(settings, seed):
    with tempfile.TemporaryDirectory() as folder:
        report = distil(folder, [teacher(env, seed) for env in IN_TURN], "--fusion", "tasks", "--preset", "student_driven",
                        "--seed", seed, *told(["sequential=true", "num_envs=24", "total_timesteps=368640", "hidden=[4]",
                                               "evaluations=3", *settings]))
        lines = [json.loads(line) for line in Path(f"{folder}/run/metrics.jsonl").read_text().splitlines()]
    result = {"seed": seed, "train_seconds": report["tasks"][0]["student"]["train_seconds"], "tasks": {}}
    for k, task in enumerate(report["tasks"]):
        curve = [x["value"] for x in lines if x["tag"].startswith(f"distill/student_return_{k}_")]
        # Before anything, and at the end of each turn.
        assert len(curve) == 1 + len(IN_TURN), curve
        learnt, random = curve[k + 1], task["random_return_mean"]
        result["tasks"][task["env"]["id"]] = {
            "after_its_turn": learnt, "at_the_end": curve[-1], "normalized": task["normalized_return"],
            "forgetting": (learnt - curve[-1]) / (learnt - random),
        }
    return result


def later(seed):
    env, parameter, (first, second) = LATER
    old, new = (variant(env, parameter, value, seed) for value in (first, second))
    with tempfile.TemporaryDirectory() as folder:
        random = [apprentice("distill", "--teacher", old, "--out", f"{folder}/before", "--seed", seed,
                             *told(["hidden=[32]"]))["random_return_mean"]]
        there = ["--kwargs", json.dumps({parameter: second})]
        apprentice("train", env, *there, "--init", f"{folder}/before", "--out", f"{folder}/progress", "--seed", seed)
        for name, settings in LATER_METHODS.items():
            source = f"{folder}/progress" if name == "progress_and_compress" else new
            report = apprentice("distill", "--teacher", source, "--init", f"{folder}/before", "--out", f"{folder}/{name}",
                                "--seed", seed, *told(settings))
        random.append(report["random_return_mean"])
        result = {"seed": seed}
        for name in ["before", *LATER_METHODS]:
            result[name] = {}
            for value, expert, zero in zip((first, second), (old, new), random):
                there = ["--env", env, "--kwargs", json.dumps({parameter: value})]
                student, best = (apprentice("eval", policy, *there)["return_mean"] for policy in (f"{folder}/{name}", expert))
                result[name][str(value)] = {"return_mean": student, "normalized": (student - zero) / (best - zero)}
    return result


def features(env, loss, weight, seed):
    extra = [f"features.{loss}={weight}"] if loss else []
    with tempfile.TemporaryDirectory() as folder:
        report = distil(folder, [teacher(env, seed)], "--preset", "teacher_driven", "--seed", seed,
                        *told(["hidden=[1]", "evaluations=0", "engine=burn", *extra]))
    keys = ["fidelity", "train_seconds"]
    return {"seed": seed, "normalized": report["normalized_return"], **{key: report["student"][key] for key in keys}}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=PARTS)
    arguments = parser.parse_args()
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    wanted = [arguments.only] if arguments.only else PARTS
    for env in TASKS + NARROW:
        for seed in SEEDS:
            teacher(env, seed)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        seeds = lambda run: list(pool.map(run, SEEDS))
        if "memory" in wanted:
            rows = seeds(memory)
            returns = {who: summary([row[who]["return_mean"] for row in rows]) for who in ["none", "gru"]}
            record["memory"] = {"seeds": rows, "returns": returns}
        if "multi_task" in wanted:
            rows = seeds(multi_task)
            normalized = {env: summary([row["normalized"][env] for row in rows]) for env in TASKS}
            record["multi_task"] = {"seeds": rows, "normalized": normalized}
        for env, parameter, known, new in PHYSICS if "physics" in wanted else []:
            rows = seeds(lambda seed: physics(env, parameter, known, new, seed))
            normalized = summary([row["normalized"] for row in rows])
            record.setdefault("physics", {})[env] = {"parameter": parameter, "teachers": known, "held_out": new,
                                                     "seeds": rows, "normalized": normalized}
        for name, settings in CONTINUAL.items() if "continual" in wanted else []:
            rows = seeds(lambda seed: continual(settings, seed))
            forgetting = {env: summary([row["tasks"][env]["forgetting"] for row in rows]) for env in IN_TURN[:-1]}
            normalized = {env: summary([row["tasks"][env]["normalized"] for row in rows]) for env in IN_TURN}
            record.setdefault("continual", {})[name] = {"told": settings, "seeds": rows, "forgetting": forgetting,
                                                        "normalized": normalized}
        if "later" in wanted:
            rows = seeds(later)
            over = lambda name, value: summary([row[name][str(value)]["normalized"] for row in rows])
            record["later"] = {"environment": LATER, "told": LATER_METHODS, "seeds": rows, "normalized": {
                name: {value: over(name, value) for value in LATER[2]} for name in ["before", *LATER_METHODS]}}
        for env in NARROW if "features" in wanted else []:
            for loss, weight in FEATURES:
                rows = seeds(lambda seed: features(env, loss, weight, seed))
                result = {"weight": weight, "seeds": rows, "normalized": summary([row["normalized"] for row in rows])}
                record.setdefault("features", {})[f"{env} {loss}"] = result
        for part in wanted:
            print(part)
            for name, value in record[part].items():
                print("  ", name, json.dumps({k: v for k, v in value.items() if k != "seeds"}) if isinstance(value, dict) else "")
    RECORD.write_text(json.dumps({"provenance": provenance(), **{k: v for k, v in record.items() if k != "provenance"}},
                                 indent=1) + "\n")


if __name__ == "__main__":
    main()
