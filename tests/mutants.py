#!/usr/bin/env python3
"""The mutation gate: puts known bugs of PPO and distillation into a copy of the sources, one at a time, and demands that the tests see each.

    python3 tests/mutants.py                 # all; some two minutes for each
    python3 tests/mutants.py clip lr         # those whose names contain a word
    python3 tests/mutants.py --list          # what there is; fails if one no longer fits the sources

Each of these bugs has shipped in some implementation, or is the kind that learning hides. A mutant is killed if
the ordinary suite fails with it: the unit tests of `agents` and `distill` first, then the suite's checks. One that does not
compile counts as an error of this list. Ends with 0 if all are killed, 1 if one survives, 2 if one does not fit.

Needs nothing but Python's standard library. The copy is a git worktree of HEAD in a temporary folder, which builds
into target/mutants.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = [
    (["-p", "apprentice-agents", "--lib"], []),
    (["-p", "apprentice-distill", "--lib"], []),
    (["--test", "suite"], ["parity", "ppo_checks", "probes", "memory", "distillation", "seven_states"]),
]
# (name, file, what is there, what takes its place)
MUTANTS = [
    ("flags-off-by-one", "agents/src/rollout.rs",
     "rollout.terminated.row_mut(t).assign(&self.step.terminated);",
     "rollout.terminated.row_mut((t + 1) % num_steps).assign(&self.step.terminated);"),
    ("no-final-bootstrap", "agents/src/rollout.rs",
     "rollout.final_values[[t, env]] = value;",
     "rollout.final_values[[t, env]] = 0.0 * value;"),
    ("bootstrap-from-the-next-episode", "agents/src/rollout.rs",
     "[&self.step.final_observations, &self.memory]",
     "[&self.step.observations, &self.memory]"),
    ("truncation-is-an-end", "agents/src/gae.rs",
     "(next_value, next_advantage) = (steps.final_values[at], 0.0);",
     "(next_value, next_advantage) = (0.0, 0.0);"),
    ("advantage-leaks-over-a-time-limit", "agents/src/gae.rs",
     "(next_value, next_advantage) = (steps.final_values[at], 0.0);",
     "next_value = steps.final_values[at];"),
    ("sampled-with-replacement", "agents/src/ppo.rs",
     "self.permutation.shuffle(&mut order);",
     "order.iter_mut().for_each(|i| *i = self.permutation.integers(self.plan.batch_size as u32) as usize);"),
    ("last-row-never-trained", "agents/src/ppo.rs",
     "&order[i * order.len() / parts..(i + 1) * order.len() / parts]",
     "&order[i * (order.len() - 1) / parts..(i + 1) * (order.len() - 1) / parts]"),
    ("value-coefficient", "agents/src/fused/loss.rs",
     "scale * vf_coef * inner",
     "2.0 * scale * vf_coef * inner"),
    ("value-coefficient-burn", "agents/src/autodiff/loss.rs",
     "value.clone().mul_scalar(coefs.vf_coef)",
     "value.clone().mul_scalar(2.0 * coefs.vf_coef)"),
    ("adam-epsilon", "agents/src/fused/mod.rs",
     "epsilon: self.optimizer.adam_epsilon * root",
     "epsilon: 1e-8 * root"),
    ("adam-epsilon-burn", "agents/src/autodiff/mod.rs",
     ".with_epsilon(optimizer.adam_epsilon)",
     ".with_epsilon(1e-8)"),
    ("advantages-over-the-whole-batch", "agents/src/ppo.rs",
     "if self.config.norm_adv == NormAdv::Batch {",
     "let given = std::mem::replace(&mut self.config.norm_adv, NormAdv::Batch); if given != NormAdv::Off {"),
    ("deviation-of-n", "agents/src/rollout.rs",
     "/ (n - 1.0)).sqrt()",
     "/ n).sqrt()"),
    ("clip-per-network", "agents/src/fused/mod.rs",
     "square += parts[0].square;",
     "square = f32::max(square, parts[0].square);"),
    ("gradient-of-the-first-part-only", "agents/src/fused/mod.rs",
     "first.add(model, others);",
     "let _ = others;"),
    ("weights-not-rounded-in-the-file", "agents/src/engine.rs",
     "if architecture.int8_weights {",
     "if architecture.int8_weights && architecture.shared_trunk {"),
    ("students-permutation-not-in-the-checkpoint", "distill/src/distiller/begin.rs",
     "(distiller.permutation, distiller.turns) = (permutation, turns);",
     "let _ = (permutation, turns);"),
    ("stale-log-probs", "agents/src/rollout.rs",
     "pick(&self.log_probs, rows, &mut to.log_probs);",
     "pick(&self.log_probs, &rows.iter().map(|r| r.saturating_sub(1)).collect::<Vec<_>>(), &mut to.log_probs);"),
    ("clipped-action-stored", "agents/src/rollout.rs",
     "self.action.bound(bounded);\n",
     "self.action.bound(bounded);\n        action.copy_from_slice(bounded);\n"),
    ("gain-of-the-policy-head", "agents/src/autodiff/nn.rs",
     "shape.activation, 0.01, 1, rng, device)",
     "shape.activation, 1.0, 1, rng, device)"),
    ("lr-falls-per-minibatch", "agents/src/ppo.rs",
     "let update = self.engine.update(&self.samples, learning_rate, &Objective::ppo(coefs));",
     "learning_rate *= 0.999; "
     "let update = self.engine.update(&self.samples, learning_rate, &Objective::ppo(coefs));"),
    ("ratio-clipped-on-one-side", "agents/src/fused/loss.rs",
     "let clipped = ratio.clamp(1.0 - clip, 1.0 + clip);",
     "let clipped = ratio.min(1.0 + clip);"),
    ("entropy-with-the-wrong-sign", "agents/src/autodiff/loss.rs",
     "policy.clone().mul_scalar(coefs.policy_coef) - entropy.clone().mul_scalar(coefs.ent_coef)",
     "policy.clone().mul_scalar(coefs.policy_coef) + entropy.clone().mul_scalar(coefs.ent_coef)"),
    ("mask-forgotten-in-the-update", "agents/src/fused/distribution.rs",
     "if !masks.is_empty() {",
     "if masks.is_empty() {"),
    ("statistics-move-within-an-iteration", "agents/src/ppo.rs",
     "let collected = Instant::now();",
     "self.take_in_observations(); self.renew_normalizer(); let collected = Instant::now();"),
    ("spread-without-a-gradient", "agents/src/fused/loss.rs",
     "*to += grad[..samples].iter().sum::<f32>();",
     "*to += 0.0 * grad[..samples].iter().sum::<f32>();"),
    ("generator-not-in-the-checkpoint", "agents/src/ppo.rs",
     "ppo.permutation = header.permutation_rng;",
     "let _ = header.permutation_rng;"),
    ("normaliser-not-in-the-policy", "agents/src/ppo.rs",
     "let (normalizer, masked) = (self.normalizer.clone(), self.config.mask_actions);",
     "let (normalizer, masked) = (None, self.config.mask_actions);"),
    ("temperature-squared-forgotten", "distill/src/loss/by_hand.rs",
     "soft * soft * value",
     "value"),
    ("clipped-ratio-forgotten", "distill/src/loss/imitation.rs",
     "weight *= ratio.max(least);",
     "let _ = ratio.max(least);"),
    ("teacher-and-student-change-turns", "distill/src/data/mixture.rs",
     "beta => self.rng.random() < beta,",
     "beta => self.rng.random() >= beta,"),
    ("distance-rewarded", "distill/src/distiller/learn.rs",
     "f64::from(*reward) - scale * loss",
     "f64::from(*reward) + scale * loss"),
    ("distance-of-the-state-that-was-left", "distill/src/distiller/learn.rs",
     "losses.drain(..num_envs);",
     "let _ = losses.split_off(losses.len() - num_envs);"),
    ("student-sees-what-the-teacher-sees", "distill/src/data/mixture.rs",
     "observations.split_at(Axis(1), border)",
     "{ let (a, b) = observations.split_at(Axis(1), border); (a.reborrow(), if a.dim() == b.dim() { a } else { b }) }"),
    ("memory-goes-on-in-the-next-episode", "agents/src/rollout.rs",
     "            self.forget();\n",
     ""),
    ("memory-of-the-step-before-for-the-last-value", "agents/src/rollout.rs",
     "who.values(self.step.observations.view(), self.memory.view(), last_values);",
     "who.values(self.step.observations.view(), Array2::zeros(self.memory.dim()).view(), last_values);"),
    ("sequences-forget-where-episodes-begin", "agents/src/autodiff/gru.rs",
     "if first > 0 && begins.contains(&true) {",
     "if first > 0 && begins.contains(&true) && rows == 0 {"),
    ("sequences-of-another-environment", "agents/src/sequences.rs",
     "heads.iter().map(move |head| head + step * num_envs)",
     "heads.iter().map(move |head| head + step)"),
    ("memory-not-in-the-checkpoint", "agents/src/rollout.rs",
     "(self.step.observations, self.memory) = (observations, memory);",
     "self.step.observations = observations; let _ = memory;"),
    ("labels-of-another-task", "distill/src/teacher/mod.rs",
     "row[task.choices.clone()].copy_from_slice(&answer(runner, &seen, own)?);",
     "row[tasks[0].choices.clone()].copy_from_slice(&answer(runner, &seen, own)?[..tasks[0].choices.len()]);"),
]


def find(name, file, old):
    """The sources of a mutant's file; None if what it replaces is not there exactly once."""
    text = (ROOT / file).read_text()
    if text.count(old) == 1:
        return text
    print(f"{name}: {file} has {text.count(old)} times what it replaces; it no longer fits", file=sys.stderr)
    return None


def survives(folder):
    """Runs the suites; says which of them failed, and whether a build did."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(ROOT / "target/mutants"), "CARGO_TERM_COLOR": "never"}
    run = lambda command: subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    for build_options, test_options in SUITES:
        command = ["cargo", "test", "--quiet", *build_options]
        build = run([*command, "--no-run"])
        if build.returncode != 0:
            return "does not compile", build.stderr
        done = run([*command, "--", *test_options])
        if done.returncode != 0:
            failed = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("    ") and "::" in line]
            return "killed", ", ".join(dict.fromkeys(failed)) or "an abort"
    return "SURVIVES", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="run the mutants whose names contain one of these")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    chosen = [m for m in MUTANTS if not arguments.words or any(word in m[0] for word in arguments.words)]
    if not chosen or None in [find(*mutant[:3]) for mutant in chosen]:
        return 2
    if arguments.list:
        print("\n".join(name for name, *_ in chosen))
        return 0
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "copy"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(folder), "HEAD"], check=True)
        try:
            print("as it is:", survives(folder)[0].replace("SURVIVES", "passes"), flush=True)
            for name, file, old, new in chosen:
                text = (folder / file).read_text()
                (folder / file).write_text(text.replace(old, new))
                started = time.monotonic()
                results[name], what = survives(folder)
                print(f"{name}: {results[name]} in {time.monotonic() - started:.0f} s {what}", flush=True)
                (folder / file).write_text(text)
        finally:
            subprocess.run([*git, "remove", "--force", str(folder)], check=True)
    killed = sum(result == "killed" for result in results.values())
    print(f"{killed} of {len(results)} killed")
    return 0 if killed == len(results) else 1


sys.exit(main())
