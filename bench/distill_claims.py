#!/usr/bin/env python3
"""What distillation can do beside shrinking a network: three claims, measured.

    cargo build --release
    python3 bench/distill_claims.py            # writes bench/record/distill_claims.json

corrupted: the weights of one teacher are disturbed by Gaussian noise, in proportion to the standard deviation of each
layer. The student of proximal policy distillation hears of the task's reward, the student-driven one does not; both have
the same steps. The interval of the teacher is over its episodes, those of the students over five seeds.

kickstarting: steps until an evaluation (20 episodes never trained on) first reaches Acrobot's threshold of -100: PPO from
scratch, and with a teacher whose word counts for less and less. Both have the same network and hyperparameters.

viper: decision trees of a few nodes, beside the interval of their teacher's mean return.

Five seeds each; interquartile means with 95 % bootstrap intervals. Needs nothing but Python's standard library. Teachers
are those of bench/distill_table.py.
"""
import argparse
import json
import random
import statistics
import struct
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from distill_table import ROOT, SEEDS, apprentice, interval, iqm, teacher
from machine import provenance

RECORD = ROOT / "bench/record/distill_claims.json"
# The teacher's word counts for less and less.
DECAY = "coef={schedule='linear',start=1.0,end=0.0}"
# (environment, noise as a share of each layer's standard deviation, what both students are told)
CORRUPTED = [
    ("Pendulum-v1", 0.7, ["total_timesteps=204800", "gamma=0.98", "hidden=[32,32]", DECAY]),
    ("MountainCar-v0", 2.5, ["total_timesteps=204800", "gae_lambda=0.98", "hidden=[32,32]", DECAY]),
]
# (environment, the largest tree)
TREES = [("CartPole-v1", 15), ("Acrobot-v1", 7), ("MountainCar-v0", 31)]


def corrupt(policy, share, seed):
    """The bytes of a policy file (layers) with noise on its weights."""
    version, length = struct.unpack_from("<II", policy, 8)
    assert version == 1, "a file of layers"
    header = json.loads(policy[16 : 16 + length])
    rng, at, out = random.Random(seed), 16 + length, bytearray(policy[:-4])
    for layer in header["layers"]:
        count = layer["inputs"] * layer["outputs"]
        weights = struct.unpack_from(f"<{count}f", policy, at)
        spread = share * statistics.pstdev(weights)
        struct.pack_into(f"<{count}f", out, at, *[w + rng.gauss(0, spread) for w in weights])
        at += 4 * (count + layer["outputs"])
    return bytes(out) + struct.pack("<I", zlib.crc32(out))


def corrupted(env, share, extra, seed):
    with tempfile.TemporaryDirectory() as folder:
        bad = Path(folder) / "bad.apprentice"
        source = teacher(env, SEEDS[0])
        bad.write_bytes(corrupt((source / "policy.apprentice").read_bytes(), share, 1))
        result = {"seed": seed, "good_teacher": apprentice("eval", source)["return_mean"]}
        for method in ["student_driven", "ppd"]:
            report = apprentice("distill", "--teacher", bad, "--preset", method, "--seed", seed, "--out",
                                f"{folder}/{method}", "--set", "evaluations=0", *[x for s in extra for x in ("--set", s)])
            result["teacher"] = report["teacher"]["return_mean"]
            result["teacher_ci95"] = report["teacher"]["return_ci95"]
            result["random"] = report["random_return_mean"]
            result[method] = report["student"]["return_mean"]
        return result


def viper(env, nodes, seed):
    with tempfile.TemporaryDirectory() as folder:
        report = apprentice("distill", "--teacher", teacher(env, seed), "--preset", "viper", "--seed", seed, "--out",
                            f"{folder}/tree", "--set", f"max_nodes={nodes}")
    keys = ["return_mean", "fidelity", "parameters", "train_seconds"]
    return {"seed": seed, "teacher_ci95": report["teacher"]["return_ci95"], "normalized": report["normalized_return"],
            **{key: report["student"][key] for key in keys}}


def first_reaching(metrics, tag, threshold):
    for line in metrics.read_text().splitlines():
        line = json.loads(line)
        if line["tag"] == tag and line["value"] >= threshold:
            return line["step"]
    return None


def kickstarting(seed):
    env, threshold, steps = "Acrobot-v1", -100, 204_800
    same = ["num_envs=16", "num_steps=128", "learning_rate=3e-4", "gae_lambda=0.94", "ent_coef=0.0", "vf_coef=1.0",
            f"total_timesteps={steps}", "evaluations=100", "hidden=[64,64]", "norm_reward=true"]
    told = [x for s in same for x in ("--set", s)]
    with tempfile.TemporaryDirectory() as folder:
        apprentice("train", env, "--seed", seed + 7, "--out", f"{folder}/scratch", *told,
                   "--set", "num_minibatches=32")
        apprentice("distill", "--teacher", teacher(env, seed), "--preset", "kickstarting", "--seed", seed + 7, "--out",
                   f"{folder}/kick", *told, "--set", "minibatch_size=64")
        scratch = first_reaching(Path(folder) / "scratch/metrics.jsonl", "eval/return_mean", threshold)
        kick = first_reaching(Path(folder) / "kick/metrics.jsonl", "distill/student_return", threshold)
        return {"seed": seed, "from_scratch": scratch, "kickstarted": kick}


def summary(values):
    return {"iqm": iqm(values), "interval": interval(values)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--try", nargs="*", dest="told", help="tried beside the rest; nothing is recorded")
    parser.add_argument("--only", choices=["corrupted", "kickstarting", "viper"])
    arguments = parser.parse_args()
    record = {"provenance": provenance(), "corrupted": {}, "kickstarting": {}, "viper": {}}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for env, nodes in TREES if arguments.only in [None, "viper"] else []:
            rows = list(pool.map(lambda seed: viper(env, nodes, seed), SEEDS))
            record["viper"][env] = {"max_nodes": nodes, "seeds": rows, **summary([row["normalized"] for row in rows])}
            print("viper", env, nodes, [row["return_mean"] for row in rows], record["viper"][env]["iqm"], flush=True)
        for env, share, extra in CORRUPTED if arguments.only in [None, "corrupted"] else []:
            rows = list(pool.map(lambda seed: corrupted(env, share, extra + (arguments.told or []), seed), SEEDS))
            scale = lambda x: (x - rows[0]["random"]) / (rows[0]["good_teacher"] - rows[0]["random"])
            result = {who: summary([scale(row[who]) for row in rows]) for who in ["student_driven", "ppd"]}
            low, high = rows[0]["teacher_ci95"]
            result["teacher"] = {"mean": scale(rows[0]["teacher"]), "interval": (scale(low), scale(high))}
            record["corrupted"][env] = {"noise": share, "told": extra, "seeds": rows, "normalized_by_good_teacher": result}
            print(env, json.dumps(result), flush=True)
        if arguments.only in [None, "kickstarting"]:
            rows = list(pool.map(kickstarting, SEEDS))
            print(rows)
            ratios = [row["kickstarted"] / row["from_scratch"] for row in rows]
            record["kickstarting"] = {"seeds": rows, "share_of_steps": summary(ratios)}
            print("kickstarting", record["kickstarting"]["share_of_steps"])
    if arguments.told is None and arguments.only is None:
        RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
