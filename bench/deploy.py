#!/usr/bin/env python3
"""What becomes of policies that are exported: whether they are still the same, how big they are, how fast they act.

    cargo build --release
    pip install onnxruntime numpy
    python3 bench/deploy.py                       # writes bench/record/deploy.json

Trains a teacher and distils a student in each environment (seed 0), exports both in every format and verifies each
export on 10,000 states and 100 episodes. Then times an action of the CartPole policies, one observation at a time: the
runner of the policy file, the generated Rust and C compiled for this processor, and the exported model in tract and in
ONNX Runtime, both called from Rust, ONNX Runtime from Python too, which costs. The contenders take turns; a time is the
median of their rounds, and the least is beside it because a busy machine only ever adds. Needs cc, cargo, which fetches
tract and the `ort` crate into a temporary folder and builds them there, and about twenty minutes.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy
import onnxruntime
from machine import provenance

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ["CartPole-v1", "Acrobot-v1", "Pendulum-v1"]
EXPORTS = [("rust", None), ("c", None), ("onnx", None), ("onnx-exact", None), ("safetensors", None), ("rust", "int8"), ("c", "int8")]
ROUNDS = 15
# For this processor, but in vectors of 256 bits: in longer ones so small networks take longer.
FLAGS = {
    "c": ["-march=native", "-mprefer-vector-width=256"],
    "rust": ["-Ctarget-cpu=native", "-Ctarget-feature=+prefer-256-bit"],
}

# Every timer does as the policy file's own does: a batch to warm up, then 31 of about a millisecond, of which the median.
C_TIMER = """
#define _POSIX_C_SOURCE 199309L
#include "policy.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static float observations[64][POLICY_OBSERVATION], action[POLICY_ACTION];
static volatile float sink;

static double batch(int passes)
{
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int pass = 0; pass < passes; pass++)
        for (int i = 0; i < 64; i++) { policy_act(observations[i], action); sink = action[0]; }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return ((double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec)) / (64.0 * passes);
}

static int ascending(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(void)
{
    double times[31];
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < POLICY_OBSERVATION; j++) observations[i][j] = (float)((i * 7 + j * 13) % 64) / 32 - 1;
    int passes = (int)(1e6 / (batch(20) * 64)) + 1;
    for (int k = 0; k < 31; k++) times[k] = batch(passes);
    qsort(times, 31, sizeof times[0], ascending);
    printf("%f\\n", times[15]);
    return 0;
}
"""

RUST_TIMER = """
#[path = "policy.rs"]
#[allow(dead_code)]
mod policy;
use std::{array::from_fn, hint::black_box, time::Instant};

fn main() {
    let observations: [[f32; policy::OBSERVATION]; 64] =
        from_fn(|i| from_fn(|j| ((i * 7 + j * 13) % 64) as f32 / 32.0 - 1.0));
    let batch = |passes: u32| {
        let started = Instant::now();
        for _ in 0..passes {
            for observation in &observations {
                black_box(policy::act(black_box(observation)));
            }
        }
        started.elapsed().as_nanos() as f64 / (64.0 * f64::from(passes))
    };
    let passes = (1e6 / (64.0 * batch(20))) as u32 + 1;
    let mut times: [f64; 31] = from_fn(|_| batch(passes));
    times.sort_by(f64::total_cmp);
    println!("{}", times[15]);
}
"""


# ONNX Runtime is the library that the Python package brings along.
PEERS_MANIFEST = """
[package]
name = "peers"
version = "0.1.0"
edition = "2024"

[dependencies]
tract-onnx = "=0.22.5"
ort = { version = "=2.0.0-rc.10", default-features = false, features = ["std", "load-dynamic"] }

[workspace]
"""

PEERS = """
//! Times an action of a model in tract and in ONNX Runtime, one observation at a time: `peers MODEL WIDTH RUNTIME`, where
//! RUNTIME is the path of ONNX Runtime's library, or nothing for tract.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;
use tract_onnx::prelude::*;

/// Nanoseconds of a call, over 64 observations again and again.
fn time(width: usize, mut act: impl FnMut(&[f32]) -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let observations: Vec<Vec<f32>> =
        (0..64).map(|i| (0..width).map(|j| ((i * 7 + j * 13) % 64) as f32 / 32.0 - 1.0).collect()).collect();
    let mut batch = |passes: usize| {
        let started = Instant::now();
        for _ in 0..passes {
            for observation in &observations {
                act(black_box(observation))?;
            }
        }
        Ok::<_, Box<dyn Error>>(started.elapsed().as_nanos() as f64 / (64 * passes) as f64)
    };
    let passes = (1e6 / (64.0 * batch(20)?)) as usize + 1;
    let mut times = (0..31).map(|_| batch(passes)).collect::<Result<Vec<_>, _>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times[15])
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (model, width) = (&arguments[1], arguments[2].parse()?);
    let nanoseconds = match arguments.get(3) {
        None => {
            let input = InferenceFact::dt_shape(f32::datum_type(), tvec!(1, width));
            let plan = tract_onnx::onnx().model_for_path(model)?.with_input_fact(0, input)?;
            let plan = plan.with_output_names(["action"])?.into_optimized()?.into_runnable()?;
            time(width, |observation| {
                let input = Tensor::from_shape(&[1, width], observation)?;
                black_box(plan.run(tvec!(input.into()))?);
                Ok(())
            })?
        }
        Some(library) => {
            ort::init_from(library).commit()?;
            let mut session = ort::session::Session::builder()?.with_intra_threads(1)?.commit_from_file(model)?;
            time(width, |observation| {
                let input = ort::value::TensorRef::from_array_view(([1, width], observation))?;
                black_box(session.run(ort::inputs!["observation" => input])?);
                Ok(())
            })?
        }
    };
    println!("{nanoseconds}");
    Ok(())
}
"""


def build_peers(folder):
    """The program that times a model in other runtimes, and the versions of these that it was built with."""
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(PEERS_MANIFEST)
    (folder / "src/main.rs").write_text(PEERS)
    subprocess.run(["cargo", "build", "--release", "--quiet", "--target-dir", "target"], cwd=folder, check=True)
    lock = tomllib.loads((folder / "Cargo.lock").read_text())
    versions = {p["name"]: p["version"] for p in lock["package"] if p["name"] in ("tract-onnx", "ort")}
    return folder / "target/release/peers", versions


def apprentice(program, *args):
    output = subprocess.run([program, *map(str, args), "--json", "--quiet"], stdout=subprocess.PIPE, text=True)
    assert output.returncode == 0, args
    return json.loads(output.stdout)


def verify(program, policy, format, quant, folder):
    quant_args = ["--quant", quant] if quant else []
    exported = apprentice(program, "export", policy, "--format", format, *quant_args, "--out", folder)
    verified = apprentice(program, "verify", policy, "--export", folder)
    inspected = apprentice(program, "inspect", folder / "policy.apprentice" if quant else policy)
    return {**verified, "quant": quant, "files": exported["files"], "policy_bytes": inspected["bytes"]}


def contenders(program, policy, exports, peers):
    """Functions that time an action once, in nanoseconds."""

    def compiled(folder, quant):
        for name, text in [("timer.c", C_TIMER), ("timer.rs", RUST_TIMER)]:
            (folder / name).write_text(text)
        if (folder / "policy.c").exists():
            command = ["cc", "-std=c99", "-O3", *FLAGS["c"], "-ffp-contract=off", "-fno-trapping-math", "timer.c", "policy.c", "-o", "timer"]
        else:
            command = ["rustc", "--edition", "2024", "-Copt-level=3", *FLAGS["rust"], "timer.rs", "-o", "timer"]
        subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
        return lambda: float(subprocess.run([folder / "timer"], capture_output=True, text=True, check=True).stdout)

    def onnx(folder):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(folder / "policy.onnx", options, providers=["CPUExecutionProvider"])
        given = {"observation": numpy.zeros((1, session.get_inputs()[0].shape[1]), numpy.float32)}

        def batch(passes):
            started = time.perf_counter_ns()
            for _ in range(passes):
                session.run(["action"], given)
            return (time.perf_counter_ns() - started) / passes

        def once():
            passes = int(1e6 / batch(1280)) + 1
            return statistics.median(batch(passes) for _ in range(31))

        return once

    def peer(folder, *library):
        model = folder / "policy.onnx"
        width = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].shape[1]
        command = [peers, model, str(width), *library]
        return lambda: float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def runner():
        return apprentice(program, "eval", policy, "--episodes", 1)["ns_per_action"]

    timed = {"policy file, runner": runner}
    for (format, quant), folder in exports.items():
        library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
        if format == "onnx-exact":
            timed["ONNX Runtime, exact model, from Rust"] = peer(folder, library)
        elif format == "onnx":
            timed["tract"] = peer(folder)
            timed["ONNX Runtime, from Rust"] = peer(folder, library)
            timed["ONNX Runtime, from Python"] = onnx(folder)
        elif format != "safetensors":
            timed[" ".join(filter(None, [format, quant]))] = compiled(folder, quant)
    return timed


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--apprentice", type=Path, default=ROOT / "target/release/apprentice")
args = parser.parse_args()
os.environ["PYTHON"] = sys.executable
verified, times = [], []
with tempfile.TemporaryDirectory() as work:
    work = Path(work)
    peers, versions = build_peers(work / "peers")
    for env in ENVIRONMENTS:
        apprentice(args.apprentice, "train", env, "--out", work / env / "teacher")
        apprentice(args.apprentice, "distill", "--teacher", work / env / "teacher", "--out", work / env / "student")
        for role in ["teacher", "student"]:
            policy = work / env / role
            exports = {}
            for format, quant in EXPORTS:
                folder = exports[format, quant] = work / env / f"{role}-{format}-{quant}"
                verified.append({"env": env, "role": role, **verify(args.apprentice, policy, format, quant, folder)})
                print(json.dumps(verified[-1]), flush=True)
            if env != "CartPole-v1":
                continue
            timed = contenders(args.apprentice, policy, exports, peers)
            rounds = {name: [] for name in timed}
            for _ in range(ROUNDS):
                for name, once in timed.items():
                    rounds[name].append(once())
            for name, ns in rounds.items():
                row = {"role": role, "contender": name, "ns": round(statistics.median(ns), 1), "least_ns": round(min(ns), 1)}
                times.append(row)
                print(json.dumps(row), flush=True)
record = {
    "command": "cargo build --release && python3 bench/deploy.py",
    **provenance(),
    "flags": FLAGS,
    "onnxruntime": onnxruntime.__version__,
    **versions,
    "verified": verified,
    "ns_per_action": times,
}
(ROOT / "bench/record/deploy.json").write_text(json.dumps(record, indent=1) + "\n")
