//! The command line: what it writes, what it prints, and how it fails.

use crate::distillation::balancing_teacher;
use apprentice::run::RunDir;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SHORT: [&str; 6] = ["train", "CartPole-v1", "--set", "total_timesteps=2048", "--set", "evaluations=2"];

pub(crate) fn apprentice(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_apprentice")).current_dir(folder).args(args).output().unwrap()
}

/// Runs with `--json --quiet` and reads the one object on stdout.
pub(crate) fn json(folder: &Path, args: &[&str]) -> Value {
    let output = apprentice(folder, &[args, &["--json", "--quiet"]].concat());
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs what must fail, and returns its exit code and its message.
pub(crate) fn failure(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = apprentice(folder, args);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(!message.contains("panicked"), "{message}");
    // A trace is printed as it is made, so it may stand before what went wrong.
    assert!(output.stdout.is_empty() || args[0] == "trace", "{args:?}");
    (output.status.code().unwrap(), message)
}

pub(crate) fn scalars_without_times(run: &Path) -> Vec<(u64, String, Value)> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let times = ["charts/SPS", "final/train_seconds"];
    let kept = lines.filter(|line| !times.contains(&line["tag"].as_str().unwrap()));
    kept.map(|line| {
        let value = if line["value"].is_null() { line["text"].clone() } else { line["value"].clone() };
        (line["step"].as_u64().unwrap(), line["tag"].as_str().unwrap().to_owned(), value)
    })
    .collect()
}

fn exists(run: &Path, name: &str) -> bool {
    std::fs::read_dir(run).unwrap().any(|entry| entry.unwrap().file_name().to_str().unwrap().starts_with(name))
}

#[test]
fn train_distill_and_eval_leave_what_they_promise() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let teacher = json(at, &[&SHORT[..], &["--out", "teacher"]].concat());
    for name in ["config.toml", "metrics.jsonl", "events.out.tfevents", "checkpoints", "policy.apprentice"] {
        assert!(exists(&at.join("teacher"), name), "{name}");
    }
    assert_eq!(teacher["global_step"], 2048);
    assert_eq!(teacher["finished"], true);

    let set = ["--set", "total_timesteps=2048", "--set", "evaluations=1"];
    let distilled = json(at, &[&["distill", "--teacher", "teacher", "--out", "student"][..], &set].concat());
    for name in [
        "config.toml",
        "metrics.jsonl",
        "events.out.tfevents",
        "checkpoints",
        "policy.apprentice",
        "report.md",
        "report.png",
    ] {
        assert!(exists(&at.join("student"), name), "{name}");
    }
    let report: Value = serde_json::from_slice(&std::fs::read(at.join("student/report.json")).unwrap()).unwrap();
    assert_eq!(report["teacher"], distilled["teacher"]);
    let keys = [
        "parameters",
        "bytes",
        "macs",
        "ns_per_action",
        "return_mean",
        "return_ci95",
        "noise",
        "train_steps",
        "train_seconds",
    ];
    for key in keys {
        assert!(!report["teacher"][key].is_null() && !report["student"][key].is_null(), "{key}");
    }
    assert!(report["student"]["fidelity"].is_number() && report["teacher"]["fidelity"].is_null());
    assert_eq!(report["student"]["parameters"], 114);
    for sigma in ["0", "0.05", "0.1", "0.2"] {
        assert!(report["student"]["noise"][sigma].is_number(), "{sigma}");
    }

    let evaluated = json(at, &["eval", "student"]);
    for key in keys {
        assert!(!evaluated[key].is_null(), "{key}");
    }
    assert_eq!(evaluated["return_mean"], report["student"]["return_mean"]);
    // A run is never overwritten.
    let (code, message) = failure(at, &[&SHORT[..], &["--out", "teacher"]].concat());
    assert!(code == 1 && message.contains("already holds"), "{message}");
}

/// A policy takes its wrappers along: it is evaluated, and distilled, within them.
#[test]
fn wrappers_go_from_the_configuration_into_the_policy() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let wrappers = "env.wrappers=[{type = \"TimeLimit\", max_episode_steps = 7}, \
                    {type = \"FrameStackObservation\", stack_size = 3}]";
    json(at, &[&SHORT[..], &["--set", wrappers, "--out", "teacher"]].concat());
    let evaluated = json(at, &["eval", "teacher", "--episodes", "5"]);
    assert_eq!(evaluated["env"]["wrappers"][1]["stack_size"], 3);
    assert_eq!(evaluated["return_mean"], 7.0);
    let elsewhere = json(at, &["eval", "teacher", "--env", "CartPole-v0", "--episodes", "5"]);
    assert_eq!(elsewhere["return_mean"], 7.0);
    let longer =
        r#"[{"type": "TimeLimit", "max_episode_steps": 8}, {"type": "FrameStackObservation", "stack_size": 3}]"#;
    assert_eq!(json(at, &["eval", "teacher", "--wrappers", longer, "--episodes", "5"])["return_mean"], 8.0);
    let set = ["--set", "total_timesteps=2048", "--set", "evaluations=0"];
    json(at, &[&["distill", "--teacher", "teacher", "--out", "student"][..], &set].concat());
    assert_eq!(json(at, &["eval", "student", "--episodes", "5"])["return_mean"], 7.0);

    for (wrappers, part) in [("{}", "JSON list"), (r#"[{"type": "Sticky"}]"#, "StickyAction"), ("[]", "observation")] {
        let (code, message) = failure(at, &["eval", "teacher", "--wrappers", wrappers]);
        assert!(code == 2 && message.contains(part), "{code}: {message}");
    }
}

#[test]
fn the_same_seed_gives_the_same_policy_and_the_same_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let threads = ["--set", "threads=3", "--set", "env_threads=2"];
    for (out, set) in [("a", &[][..]), ("b", &[]), ("threads", &threads)] {
        json(folder.path(), &[&SHORT[..], &["--seed", "5", "--out", out], set].concat());
    }
    let policy = |out: &str| std::fs::read(folder.path().join(out).join("policy.apprentice")).unwrap();
    let scalars = |out: &str| {
        let mut scalars = scalars_without_times(&folder.path().join(out));
        // The configuration says how many threads there were.
        scalars.retain(|(_, tag, _)| tag != "config");
        scalars
    };
    assert!(scalars("a").len() > 50);
    for other in ["b", "threads"] {
        assert!(policy(other) == policy("a"), "{other}");
        assert!(scalars(other) == scalars("a"), "{other}");
    }
}

/// Runs that start at the same time without a directory of their own each get one.
#[test]
fn simultaneous_runs_do_not_share_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apprentice"));
        command.current_dir(folder.path()).args(SHORT).arg("--quiet").stdout(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| start()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let runs: Vec<_> = std::fs::read_dir(folder.path().join("runs")).unwrap().map(|run| run.unwrap().path()).collect();
    assert_eq!(runs.len(), 4);
    for run in runs {
        let files = std::fs::read_dir(&run).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        assert_eq!(files.filter(|name| name.starts_with("events")).count(), 1, "{}", run.display());
    }
}

/// CliffWalking has no time limit, and an untrained policy may walk into a wall for ever.
#[test]
fn an_environment_without_a_time_limit_can_be_trained_in() {
    let folder = tempfile::tempdir().unwrap();
    let trained = json(folder.path(), &["train", "CliffWalking-v1", "--set", "total_timesteps=2048"]);
    assert_eq!(trained["finished"], true);
}

#[test]
fn bad_input_is_a_clear_error_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("file"), "not a policy").unwrap();
    let bytes = balancing_teacher().to_bytes();
    std::fs::write(at.join("whole.apprentice"), &bytes).unwrap();
    std::fs::write(at.join("cut.apprentice"), &bytes[..bytes.len() / 2]).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() - 20] ^= 1;
    std::fs::write(at.join("flipped.apprentice"), flipped).unwrap();
    std::fs::write(at.join("actions"), "0\n7\n").unwrap();
    std::fs::write(at.join("empty"), "").unwrap();
    std::fs::write(at.join("no_env.toml"), "gamma = 0.9\n").unwrap();
    std::fs::create_dir(at.join("a-run")).unwrap();
    std::fs::write(at.join("a-run/config.toml"), "gamma = 0.9\n").unwrap();

    for (args, code, says) in [
        (&["train", "Cartpole-v1"][..], 2, "did you mean \"CartPole-v1\"?"),
        (&["train"], 2, "<ENV>"),
        (&["train", "CartPole-v1", "--set", "num_env=4"], 2, "num_env"),
        (&["train", "CartPole-v1", "--set", "env.id=Taxi-v4"], 2, "already"),
        (&["train", "CartPole-v1", "--config", "empty"], 2, "empty"),
        (&["eval", "."], 1, "no policy.apprentice"),
        (&["eval", "some.checkpoint"], 1, "is a checkpoint"),
        (&["train", "CartPole-v1", "--set", "num_envs=0"], 2, "num_envs: expected at least 1, got 0"),
        (&["train", "CartPole-v1", "--set", "num_steps=-8"], 2, "num_steps"),
        (
            &["train", "CartPole-v1", "--set", "num_steps=1048576", "--set", "num_envs=1048576"],
            2,
            "num_envs × num_steps",
        ),
        (&["train", "CartPole-v1", "--set", "eval_episodes=2000000", "--out", "new"], 2, "eval_episodes"),
        (&["train", "CartPole-v1", "--seed", "18446744073709551615", "--out", "new"], 2, "is not in 0..="),
        (&["train", "--config", "no_env.toml", "--out", "new"], 2, "train ENV --config no_env.toml"),
        (&["train", "CartPole-v1", "--config", "no_env.toml", "--set", "num_env=4", "--out", "new"], 2, "--set over"),
        (&["tune", "--teacher", "whole.apprentice", "--preset", "viper", "--out", "new"], 2, "for networks"),
        (&["tune", "--teacher", "whole.apprentice", "--out", "a-run"], 1, "a directory of its own"),
        (&["play", "random", "--env", "CartPole-v1", "--gif", "a.png"], 2, "ends in .gif"),
        (&["train", "GridWorld-v0", "--kwargs", "{\"map_name\":null}", "--out", "new"], 2, "TOML"),
        (&["train", "CartPole-v1", "--config", "file"], 2, "file"),
        (&["train", "CartPole-v1", "--set", "hidden=[0]"], 2, "hidden"),
        (&["train", "CartPole-v1", "--set", "hidden=[8"], 2, "as TOML has it"),
        (&["train", "CartPole-v1", "--set", "env.kwargs.gravity=inf"], 2, "env.kwargs"),
        (
            &[
                "train",
                "CartPole-v1",
                "--wrappers",
                r#"[{"type": "FrameStackObservation", "stack_size": 10000}]"#,
                "--set",
                "num_envs=512",
                "--set",
                "hidden=[8]",
            ],
            2,
            "at most 2^29",
        ),
        (&["train", "CartPole-v1", "--preset", "cartpol"], 2, "cartpole"),
        (&["train", "CartPole-v1", "--kwargs", "{\"gravitas\":1}"], 2, "gravitas"),
        (&["train", "CartPole-v1", "--kwargs", "9.8"], 2, "JSON object"),
        (&["train", "CartPole-v1", "--device", "cuda:0"], 2, "not compiled in"),
        (&["train", "CartPole-v1", "--device", "tpu"], 2, "cpu or cuda:N"),
        (&["train", "CartPole-v1", "--out", "file/run"], 1, "file/run"),
        (&["train", "--resume", "nowhere"], 1, "nowhere"),
        (&["eval", "nowhere.apprentice"], 1, "nowhere.apprentice"),
        (&["eval", "file"], 1, "not a policy file"),
        (&["eval", "cut.apprentice"], 1, "damaged"),
        (&["eval", "flipped.apprentice"], 1, "damaged"),
        (&["eval", "whole.apprentice", "--env", "GridWorld-v0"], 2, "CartPole-v1"),
        (&["eval", "whole.apprentice", "--episodes", "0"], 2, "episodes"),
        (&["distill", "--teacher", "cut.apprentice"], 1, "damaged"),
        (
            &["distill", "--teacher", "whole.apprentice", "--kwargs", "{\"force_mag\":1e300}", "--out", "new"],
            1,
            "not finite",
        ),
        (&["distill", "--teacher", "whole.apprentice", "--env", "GridWorld-v0"], 2, "CartPole-v1"),
        (&["distill", "--teacher", "whole.apprentice", "--set", "temperature=0"], 2, "temperature"),
        (&["envs", "CartPole"], 2, "did you mean"),
        (&["trace", "CartPole-v1", "--actions", "actions"], 2, "invalid action 7"),
        (&["trace", "CartPole-v1", "--actions", "file"], 2, "line 1"),
        (&["trace", "CartPole-v1", "--actions", "actions", "--steps", "3"], 2, "only 2 actions"),
        (&["trace", "CartPole-v1", "--actions", "random:x"], 2, "random:0"),
        (&["bench", "env", "CartPol-v1"], 2, "did you mean"),
        (&["bench", "env", "CartPole-v1", "--num-envs", "8,0"], 2, "num_envs: expected 1"),
        (&["bench", "env", "CartPole-v1", "--threads", "0"], 2, "threads: expected 1"),
        (&["bench", "env", "CartPole-v1", "--seconds", "0"], 2, "0.001 to 3600"),
        (&["bench", "env", "CartPole-v1", "--kwargs", "{\"gravitas\":1}"], 2, "gravitas"),
        (&["bench", "ppo", "--env", "Taxi-v4", "--set", "norm_obs=true"], 2, "norm_obs"),
        (&["bench", "ppo", "--env", "Pendulum-v1", "--set", "activation=sine"], 2, "gelu"),
        (&["train", "Pendulum-v1", "--set", "mask_actions=true", "--out", "new"], 2, "mask_actions"),
        (&["bench", "ppo", "--preset", "cleanarl"], 2, "cleanrl"),
        (&["bench", "ppo", "--steps", "0"], 2, "1.."),
        (&["train", "CartPole-v1", "--engine", "fast"], 2, "fused"),
        (&["play", "random"], 2, "--env"),
        (&["play", "random", "--env", "Cartpole-v1"], 2, "did you mean"),
        (&["play", "random", "--env", "CartPole-v1", "--ansi"], 2, "as text"),
        (&["play", "random", "--env", "Taxi-v4", "--ansi", "--num-envs", "2"], 2, "--num-envs"),
        (&["play", "random", "--env", "CartPole-v1", "--gif", "missing/a.gif"], 1, "missing/a.gif"),
        (&["play", "random", "--env", "CartPole-v1", "--png", "missing/a.png"], 1, "missing/a.png"),
        (&["play", "missing.apprentice"], 1, "missing.apprentice"),
        (&["play", "whole.apprentice", "--env", "Taxi-v4"], 2, "but the environment here"),
    ] {
        let (got, message) = failure(at, args);
        assert!(got == code && message.contains(says), "{args:?}: exit code {got}, {message}");
    }
    // Nothing was made on the way to an error.
    assert!(!at.join("runs").exists() && !at.join("new").exists());
}

#[test]
fn check_env_finds_nothing_in_an_environment_that_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let wrappers =
        r#"[{"type": "TimeLimit", "max_episode_steps": 9}, {"type": "FrameStackObservation", "stack_size": 2}]"#;
    let args = ["check-env", "FrozenLake-v1", "--kwargs", r#"{"map_name": "8x8"}"#, "--wrappers", wrappers];
    let checked = json(folder.path(), &args);
    assert_eq!(checked["findings"], serde_json::json!([]));
    assert_eq!(checked["env"]["wrappers"][1]["stack_size"], 2);
    let output = apprentice(folder.path(), &args);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "FrozenLake-v1: no mistake was found\n");
    let (code, message) = failure(folder.path(), &["check-env", "FrozenLake"]);
    assert!(code == 2 && message.contains("FrozenLake-v1"), "{message}");
}

#[test]
fn play_shows_what_eval_counts() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    balancing_teacher().save(&at.join("policy.apprentice")).unwrap();
    let policy = ["--max-steps", "30", "--episodes", "2", "--num-envs", "3", "--gif", "a.gif", "--png", "a.png"];
    let played = json(at, &[&["play", "policy.apprentice"][..], &policy].concat());
    assert_eq!(played["returns"], Value::from(vec![30.0; 6]), "it balances as long as it may");
    assert_eq!((&played["lengths"][5], &played["return_mean"]), (&30.into(), &30.0.into()));
    let (gif, png) = (std::fs::read(at.join("a.gif")).unwrap(), std::fs::read(at.join("a.png")).unwrap());
    // Two rows of two pictures of 600 × 400 with gaps of 4.
    assert_eq!((&gif[..6], &gif[6..10]), (&b"GIF89a"[..], &[0xb4, 0x04, 0x24, 0x03][..]));
    assert_eq!((&png[1..4], &png[16..24]), (&b"PNG"[..], &[0, 0, 0x04, 0xb4, 0, 0, 0x03, 0x24][..]));
    assert_eq!(std::fs::read_dir(at).unwrap().count(), 3);

    // Without a limit of its own, the returns are those that `eval` finds on the same seeds.
    let evaluated = json(at, &["eval", "policy.apprentice", "--episodes", "4", "--kwargs", r#"{"length": 2.0}"#]);
    let args = ["play", "policy.apprentice", "--num-envs", "2", "--episodes", "2", "--kwargs", r#"{"length": 2.0}"#];
    assert_eq!(json(at, &args)["return_mean"], evaluated["return_mean"]);
}

#[test]
fn random_play_follows_its_seed_and_prints_text() {
    let folder = tempfile::tempdir().unwrap();
    let play = |args: &[&str]| json(folder.path(), &[&["play", "random", "--env", "FrozenLake-v1"][..], args].concat());
    let returns = |args: &[&str]| play(args)["lengths"].clone();
    let one_by_one = returns(&["--seed", "7", "--episodes", "6"]);
    assert_eq!(returns(&["--seed", "7", "--episodes", "2", "--num-envs", "3"]), one_by_one);
    assert_ne!(returns(&["--seed", "8", "--episodes", "6"]), one_by_one);

    let args = ["play", "random", "--env", "FrozenLake-v1", "--kwargs", r#"{"desc": ["SG"]}"#, "--ansi", "--seed", "1"];
    let output = apprentice(folder.path(), &args);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("\n\x1b[41mS\x1b[0mG\n\n"), "{text:?}");
    assert!(text.contains("S\x1b[41mG\x1b[0m\n") && text.contains("episode 0: return 1.00 in"), "{text:?}");
}

#[test]
fn trace_gives_gymnasiums_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let golden = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cartpole-v1.jsonl")).unwrap();
    let golden: Value = serde_json::from_str(golden.lines().nth(1).unwrap()).unwrap();
    let actions = golden["actions"].as_str().unwrap();
    let file: String = actions.chars().map(|action| format!("{action}\n")).collect();
    std::fs::write(folder.path().join("actions"), file).unwrap();
    let seed = golden["seed"].to_string();
    let output = apprentice(folder.path(), &["trace", "CartPole-v1", "--seed", &seed, "--actions", "actions"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut observations = String::new();
    let mut resets = 0;
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        resets += usize::from(line["reset"] == true);
        for x in line["observation"].as_array().unwrap() {
            observations += &format!("{:08x}", (x.as_f64().unwrap() as f32).to_bits());
        }
    }
    assert!(resets > 5);
    assert_eq!(observations, golden["observations"].as_str().unwrap());
}

#[test]
fn bench_measures_every_size_with_every_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    // Actions: a power of two, another number, real ones.
    for id in ["CartPole-v1", "Acrobot-v1", "Pendulum-v1"] {
        let args = ["bench", "env", id, "--num-envs", "1,70", "--threads", "1,2", "--seconds", "0.04"];
        let measured = json(folder.path(), &args);
        assert_eq!(measured["env"]["id"], id);
        let batches = measured["batches"].as_array().unwrap();
        let sizes =
            batches.iter().map(|batch| (batch["num_envs"].as_u64().unwrap(), batch["threads"].as_u64().unwrap()));
        assert_eq!(sizes.collect::<Vec<_>>(), [(1, 1), (1, 2), (70, 1), (70, 2)]);
        for speed in batches.iter().chain([&measured["single"]]) {
            let [steps, seconds, rate] =
                ["steps", "wall_seconds", "steps_per_second"].map(|key| speed[key].as_f64().unwrap());
            assert!(steps >= 4096.0 && seconds >= 0.03, "{speed}");
            assert!((rate / (steps / seconds) - 1.0).abs() < 1e-9, "{speed}");
        }
    }
}

#[test]
fn bench_ppo_measures_both_engines() {
    let folder = tempfile::tempdir().unwrap();
    for engine in ["fused", "burn"] {
        let args = ["bench", "ppo", "--engine", engine, "--steps", "600", "--set", "num_steps=32"];
        let measured = json(folder.path(), &args);
        let figure = |key: &str| measured[key].as_f64().unwrap();
        assert_eq!(measured["engine"], engine);
        // Five rollouts of 4 × 32.
        assert_eq!(figure("steps"), 640.0);
        assert!((figure("steps_per_second") * figure("wall_seconds") / 640.0 - 1.0).abs() < 1e-9);
        assert!((figure("collect_share") + figure("update_share") - 1.0).abs() < 1e-9);
        assert!((0.0..1.5).contains(&figure("update_share_of_peak")), "{measured}");
    }
}

#[test]
fn envs_lists_and_describes() {
    let folder = tempfile::tempdir().unwrap();
    let all = json(folder.path(), &["envs"]);
    let ids: Vec<_> = all["envs"].as_array().unwrap().iter().map(|env| env["id"].as_str().unwrap()).collect();
    for id in ["CartPole-v0", "CartPole-v1", "GridWorld-v0"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    // Each has its page in the docs.
    let docs = include_str!("../../docs/environments.md");
    assert!(ids.iter().all(|id| docs.contains(&format!("`{id}`"))), "{ids:?}");
    let links: Vec<_> = docs.split("](").skip(1).map(|rest| rest.split_once(')').unwrap().0).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    assert!(links.len() > 13 && links.iter().all(|link| root.join(link).exists()), "{links:?}");
    for id in ids {
        let page = json(folder.path(), &["envs", id])["page"].as_str().unwrap().to_owned();
        let parts =
            ["| action |", "| observation |", "| reward |", "| start |", "| end (terminated) |", "| time limit"];
        for part in parts.into_iter().chain(["**Parameters**", "**Versions**", "**Source**"]) {
            assert!(page.contains(part), "{id}: {part}");
        }
    }
    let page = json(folder.path(), &["envs", "CartPole-v1"]);
    assert_eq!(page["max_episode_steps"], 500);
    assert!(page["page"].as_str().unwrap().contains("rad/s"));
}

/// Ctrl-C in the middle: whole lines in the log, a checkpoint that loads, and a run that goes on from it.
#[cfg(unix)]
#[test]
fn an_interrupted_run_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let args = [
        "train",
        "CartPole-v1",
        "--out",
        "run",
        "--quiet",
        "--set",
        "total_timesteps=204800",
        "--set",
        "eval_episodes=1",
    ];
    let child = Command::new(env!("CARGO_BIN_EXE_apprentice"))
        .current_dir(folder.path())
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while std::fs::metadata(run.join("metrics.jsonl")).map_or(0, |m| m.len()) == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "the run did not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("--resume run"), "{message}");

    let steps: Vec<_> = scalars_without_times(&run).into_iter().filter(|(_, tag, _)| tag == "losses/entropy").collect();
    let checkpoint = RunDir::open(&run).unwrap().last_checkpoint().unwrap().0;
    assert_eq!(checkpoint.iteration(), steps.len() as u64);
    assert!(checkpoint.iteration() < 800);

    // A damaged newest checkpoint costs the steps since the one before it, and is named.
    std::fs::write(run.join("checkpoints/999999999999.checkpoint"), "half of one").unwrap();
    let (_, damaged) = RunDir::open(&run).unwrap().last_checkpoint().unwrap();
    assert!(damaged[0].to_string().contains("999999999999"));
    let resumed = json(folder.path(), &["train", "--resume", "run"]);
    assert_eq!(resumed["global_step"], 204_800);
    let steps = scalars_without_times(&run).into_iter().filter(|(_, tag, _)| tag == "losses/entropy").count();
    assert_eq!(steps, 800);
    let (code, message) = failure(folder.path(), &["train", "--resume", "run"]);
    assert!(code == 2 && message.contains("finished"), "{message}");
}

/// Killed at any moment, a run goes on from its last checkpoint and ends with the bits of one that was left alone, in its
/// policy and in its metrics.
#[cfg(unix)]
#[test]
fn a_run_that_was_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let args = ["train", "CartPole-v1", "--set", "total_timesteps=40960", "--set", "checkpoints=80"];
    let args = [&args[..], &["--set", "norm_obs=true", "--set", "norm_reward=true", "--set", "evaluations=4"]].concat();
    json(at, &[&args[..], &["--out", "whole"]].concat());
    let mut kills = 0;
    for round in 0..4 {
        let out = format!("killed-{round}");
        let mut child = Command::new(env!("CARGO_BIN_EXE_apprentice"))
            .current_dir(at)
            .args([&args[..], &["--out", &out, "--quiet"]].concat())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let checkpoints = || {
            let files = std::fs::read_dir(at.join(&out).join("checkpoints")).into_iter().flatten().flatten();
            files.filter(|file| file.path().extension().is_some_and(|e| e == "checkpoint")).count()
        };
        while checkpoints() <= 20 * round && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        if !at.join(&out).join("policy.apprentice").exists() {
            json(at, &["train", "--resume", &out]);
        }
        let policy = |run: &str| std::fs::read(at.join(run).join("policy.apprentice")).unwrap();
        assert!(policy(&out) == policy("whole"), "round {round}");
        assert_eq!(scalars_without_times(&at.join(&out)), scalars_without_times(&at.join("whole")), "round {round}");
    }
    assert!(kills > 0, "every run was over before it could be killed");
}

/// A run that lost its end, its policy alone or its last checkpoint too, has it again and logs nothing twice, whether it
/// ended after all its steps or at its target.
#[test]
fn a_run_that_lost_its_end_has_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (out, target) in
        [("all", &[][..]), ("target", &["--set", "target_return=50", "--set", "total_timesteps=40960"])]
    {
        let trained = json(at, &[&SHORT[..], target, &["--out", out]].concat());
        let step = trained["global_step"].as_u64().unwrap();
        assert!((1..=20_480).contains(&step), "{trained}");
        let run = at.join(out);
        let (policy, scalars) = (std::fs::read(run.join("policy.apprentice")).unwrap(), scalars_without_times(&run));
        let checkpoint = run.join(format!("checkpoints/{step:012}.checkpoint"));
        for lost in [&[run.join("policy.apprentice")][..], &[run.join("policy.apprentice"), checkpoint]] {
            lost.iter().for_each(|file| std::fs::remove_file(file).unwrap());
            assert_eq!(json(at, &["train", "--resume", out])["global_step"], trained["global_step"]);
            assert!(std::fs::read(run.join("policy.apprentice")).unwrap() == policy, "{lost:?}");
            assert_eq!(scalars_without_times(&run), scalars, "{lost:?}");
        }
    }
}

/// A disk that fills up while logging costs the log, not the run.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_the_log_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::os::unix::fs::symlink("/dev/full", run.join("metrics.jsonl")).unwrap();
    let output = apprentice(folder.path(), &[&SHORT[..], &["--out", "run", "--quiet"]].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    assert_eq!(message.matches("warning").count(), 1, "{message}");
    assert!(run.join("policy.apprentice").exists());
}

/// Every seed's run has the bits that it has alone, and the report is over all of them.
#[test]
fn several_seeds_are_trained_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let report = json(at, &[&SHORT[..], &["--seed", "5", "--seeds", "3", "--jobs", "2", "--out", "all"]].concat());
    json(at, &[&SHORT[..], &["--seed", "1005", "--out", "alone"]].concat());
    let policy = |run: &str| std::fs::read(at.join(run).join("policy.apprentice")).unwrap();
    assert_eq!(policy("all/seed-1005"), policy("alone"));

    let seeds = report["seeds"].as_array().unwrap();
    assert_eq!(seeds.iter().map(|seed| seed["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 1005, 2005]);
    let returns: Vec<f64> = seeds.iter().map(|seed| seed["return_mean"].as_f64().unwrap()).collect();
    assert!((report["return_mean"].as_f64().unwrap() - returns.iter().sum::<f64>() / 3.0).abs() < 1e-9);
    assert!(report["curve"].as_array().unwrap().len() > 1);
    assert!(at.join("all/seeds.png").exists() && at.join("all/seeds.json").exists());
    let (code, message) = failure(at, &["train", "CartPole-v1", "--seeds", "0"]);
    assert!(code == 2 && message.contains("1..=1000"), "{message}");
    // Others in the same folder are refused; the same go on, and those that are finished stay as they are.
    let more = [&SHORT[..], &["--seed", "5", "--seeds", "4", "--out", "all"]].concat();
    let (code, message) = failure(at, &[&more[..], &["--set", "gamma=0.5"]].concat());
    assert!(code == 1 && message.contains("another configuration"), "{message}");
    let written = || std::fs::metadata(at.join("all/seed-1005/policy.apprentice")).unwrap().modified().unwrap();
    let before = written();
    let run = at.join("all/seed-2005");
    let (whole, metrics) = (policy("all/seed-2005"), scalars_without_times(&run));
    let mut checkpoints: Vec<_> =
        std::fs::read_dir(run.join("checkpoints")).unwrap().map(|file| file.unwrap().path()).collect();
    checkpoints.sort();
    // One that was stopped after its first checkpoint, and one before it.
    checkpoints[1..].iter().for_each(|path| std::fs::remove_file(path).unwrap());
    std::fs::remove_file(run.join("policy.apprentice")).unwrap();
    let (early, begun) = (at.join("all/seed-5"), policy("all/seed-5"));
    std::fs::remove_dir_all(early.join("checkpoints")).unwrap();
    std::fs::create_dir(early.join("checkpoints")).unwrap();
    std::fs::remove_file(early.join("policy.apprentice")).unwrap();
    let again = json(at, &more);
    assert!(written() == before && policy("all/seed-2005") == whole && policy("all/seed-5") == begun);
    assert_eq!(scalars_without_times(&run), metrics);
    let seeds = again["seeds"].as_array().unwrap();
    let now: Vec<f64> = seeds[..3].iter().map(|seed| seed["return_mean"].as_f64().unwrap()).collect();
    assert!(now == returns && seeds[3]["finished"] == true && seeds[1]["train_steps"] == 2048, "{seeds:?}");
}

/// Runs that were stopped before they began leave nothing behind, and no figure counts them.
#[test]
fn seeds_that_are_stopped_do_not_begin() {
    let folder = tempfile::tempdir().unwrap();
    let config = apprentice::presets::ppo("cartpole", &[]).unwrap();
    let (registry, device) = (apprentice::envs::Registry::builtin(), apprentice::agents::device("cpu").unwrap());
    let stop = std::sync::atomic::AtomicBool::new(true);
    let options = apprentice::run::RunOptions { quiet: true, stop: Some(&stop), ..Default::default() };
    let out = folder.path().join("all");
    let report = apprentice::seeds::train_seeds(&config, 3, 2, &out, &registry, &device, options).unwrap();
    assert!(report.statistics.is_none() && report.curve.is_empty());
    assert!(report.seeds.iter().all(|seed| !seed.finished && seed.return_mean.is_none()));
    assert!(!out.join("seed-0").exists());
}

#[test]
fn presets_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let all = json(at, &["presets"]);
    let listed = |name: &str| all["presets"].as_array().unwrap().iter().find(|preset| preset["name"] == name).cloned();
    assert_eq!(listed("acrobot").unwrap()["env"], "Acrobot-v1");
    assert_eq!(listed("viper").unwrap()["of"], "distill");
    let one = json(at, &["presets", "cleanrl"]);
    assert!(one["toml"].as_str().unwrap().contains("learning_rate = 2.5e-4"));
    let (code, message) = failure(at, &["presets", "nothing"]);
    assert!(code == 2 && message.contains("continuous"), "{message}");
    // A negative number is a value, and not an option that there is not.
    let (code, message) = failure(at, &["train", "CartPole-v1", "--seed", "-1"]);
    assert!(code == 2 && message.contains("invalid value '-1' for '--seed"), "{message}");
}

/// What training would fail at in silence is said before: real actions of another size, masks that nobody looks at, episodes
/// that do not end.
#[test]
fn what_is_left_unused_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let set = [
        "--set",
        "total_timesteps=128",
        "--set",
        "evaluations=0",
        "--set",
        "num_steps=8",
        "--set",
        "num_minibatches=1",
    ];
    let said = |args: &[&str]| {
        let output = apprentice(at, &[args, &set].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stderr).unwrap()
    };
    let large = r#"[{"type": "RescaleAction", "min_action": -500, "max_action": 500}]"#;
    let pendulum = ["train", "Pendulum-v1", "--preset", "continuous", "--wrappers"];
    // A preset that was tuned has looked at its environment, but not within these wrappers.
    assert!(said(&[&pendulum[..], &[large]].concat()).contains("RescaleAction"));
    let small = r#"[{"type": "RescaleAction", "min_action": -1, "max_action": 1}]"#;
    assert!(!said(&[&pendulum[..], &[small]].concat()).contains("RescaleAction"));
    let taxi = ["train", "Taxi-v4", "--preset", "cleanrl", "--out", "taxi"];
    assert!(said(&taxi).contains("--set mask_actions=true"));
    assert!(
        !said(&["train", "Taxi-v4", "--preset", "cleanrl", "--set", "mask_actions=true"]).contains("masks actions")
    );

    let output = apprentice(at, &["eval", "taxi", "--episodes", "3", "--max-steps", "20", "--json"]);
    let card: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(card["unfinished"], 3);
    assert!(String::from_utf8(output.stderr).unwrap().contains("3 of 3 episodes had not ended after 20 steps"));
}
