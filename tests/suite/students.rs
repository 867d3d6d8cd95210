//! Students from the command line: trees, experts, seeds, report cards and the search.

use crate::cli::{failure, json};
use crate::distillation::balancing_teacher;
use apprentice::deploy::{Activation, Layer, Policy};
use serde_json::Value;
use std::path::Path;

/// A folder with a teacher in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    balancing_teacher().save(&folder.path().join("teacher.apprentice")).unwrap();
    folder
}

const DISTILL: [&str; 3] = ["distill", "--teacher", "teacher.apprentice"];
const SHORT: [&str; 4] = ["--set", "total_timesteps=4096", "--set", "evaluations=2"];
const TREE: [&str; 6] = ["--preset", "viper", "--set", "rounds=8", "--set", "num_steps=64"];

#[test]
fn students_of_every_kind_are_compared() {
    let folder = folder();
    let at = folder.path();
    let tree = json(at, &[&DISTILL[..], &TREE, &["--out", "tree"]].concat());
    assert_eq!(tree["finished"], true);
    let seeds = json(at, &[&DISTILL[..], &SHORT, &["--seeds", "2", "--out", "seeds"]].concat());
    assert_eq!((&seeds["finished"], &seeds["cards"][1]["seeds"]), (&Value::Bool(true), &Value::from(2)));
    for name in ["report.md", "report.json", "front.png", "seed-0/policy.apprentice", "seed-1000/teacher.apprentice"] {
        assert!(at.join("seeds").join(name).exists(), "{name}");
    }

    let report = json(at, &["report", "tree", "seeds", "--out", "report", "--episodes", "20"]);
    let cards = report["cards"].as_array().unwrap();
    let names: Vec<&str> = cards.iter().map(|card| card["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["teacher", "tree", "seeds"]);
    assert!(cards[1]["architecture"].as_str().unwrap().starts_with("tree of"), "{}", cards[1]);
    for card in &cards[1..] {
        assert!(card["normalized_iqm"].as_f64().unwrap() <= 1.0 && card["agreement"]["fidelity"].is_number());
        assert!(card["agreement"]["calibration_error"].as_f64().unwrap() < 1.0);
        let robustness = &card["robustness"];
        assert_eq!(robustness["dropped_sensors"].as_array().unwrap().len(), 4);
        assert_eq!(robustness["physics"].as_array().unwrap().len(), 16);
        // Random actions half of the time, and another physics, are felt.
        let returns: Vec<f64> =
            robustness["action_noise"].as_array().unwrap().iter().map(|point| point[1].as_f64().unwrap()).collect();
        assert!(returns[3] <= returns[0], "{returns:?}");
    }
    assert!(cards.iter().any(|card| card["on_front"] == true));
    let page = std::fs::read_to_string(at.join("report/report.md")).unwrap();
    for part in ["| tree", "Robustness", "Changed physics", "fewer than 5 seeds", "front.png"] {
        assert!(page.contains(part), "{part}");
    }

    let (code, message) = failure(at, &["report", "teacher.apprentice"]);
    assert!(code == 1 && message.contains("run directories of `distill`") || message.contains("no run"), "{message}");
    std::fs::remove_file(at.join("tree/teacher.apprentice")).unwrap();
    assert!(failure(at, &["report", "tree"]).1.contains("teacher.apprentice"));
}

/// A tree's file is a policy like any other.
#[test]
fn a_tree_is_evaluated_and_played_and_goes_on_from_its_configuration() {
    let folder = folder();
    let at = folder.path();
    let tree = json(at, &[&DISTILL[..], &TREE, &["--set", "max_nodes=7", "--out", "tree"]].concat());
    assert!(tree["student"]["parameters"].as_u64().unwrap() <= 3 + 4 * 2);
    let evaluated = json(at, &["eval", "tree", "--episodes", "10"]);
    assert!(evaluated["return_mean"].as_f64().unwrap() > 50.0, "{evaluated}");
    json(at, &["play", "tree", "--episodes", "1"]);
    let config = ["--config", "tree/config.toml", "--set", "rounds=3", "--out", "again"];
    assert_eq!(json(at, &[&DISTILL[..], &config].concat())["finished"], true);
    let (code, message) = failure(at, &[&DISTILL[..], &["--preset", "viper", "--set", "hidden=[8]"]].concat());
    assert!(code == 2 && message.contains("hidden"), "{message}");
}

/// The teacher is measured through its own eyes, and not asked about what it does not see.
#[test]
fn a_student_with_other_eyes_is_reported_and_compared() {
    let folder = folder();
    let at = folder.path();
    for (out, indices) in [("backwards", "[3, 2, 1, 0]"), ("fewer", "[1, 2, 3]")] {
        let wrappers = format!("[{{\"type\": \"SelectObservation\", \"indices\": {indices}}}]");
        let student = json(at, &[&DISTILL[..], &SHORT, &["--wrappers", &wrappers, "--out", out]].concat());
        assert_eq!(student["teacher"]["return_mean"], 500.0, "{out}");
        assert!(student["student"].get("fidelity").is_none() && student["fidelity_on_teacher_states"].is_null());
        let card = json(at, &["report", out, "--episodes", "10"])["cards"].clone();
        assert_eq!(card[0]["return_mean"], 500.0, "{out}");
        assert!(card[1]["agreement"].is_null(), "{out}");
    }
}

#[cfg(unix)]
#[test]
fn a_program_teaches() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let always_right = "while read line; do echo 1; done";
    let expert = |command, out| {
        let student = ["distill", "--env", "CartPole-v1", "--expert", command, "--out", out];
        [&student[..], &["--set", "losses={hard=1.0}"], &SHORT].concat()
    };
    json(at, &expert(always_right, "student"));
    let evaluated = json(at, &["eval", "student", "--episodes", "20"]);
    assert!(evaluated["return_mean"].as_f64().unwrap() < 11.0, "nothing falls faster: {evaluated}");

    // The program is measured as it acts. It has no size, and is not asked more than is needed.
    let report: Value = serde_json::from_slice(&std::fs::read(at.join("student/report.json")).unwrap()).unwrap();
    assert!(report["teacher"]["return_mean"].as_f64().unwrap() < 11.0, "{report}");
    assert_eq!((&report["student"]["fidelity"], &report["fidelity_on_teacher_states"]), (&1.0.into(), &1.0.into()));
    assert!(report["teacher"].get("parameters").is_none() && report["compression_ratio"].is_null());
    assert!(report["teacher"]["noise"]["0.1"].is_null() && report["student"]["noise"]["0.1"].is_number());
    assert!(report["normalized_return"].is_null(), "random actions are better: {report}");
    let cards = json(at, &["report", "student", "--episodes", "10", "--out", "cards"])["cards"].clone();
    assert_eq!((&cards[0]["name"], &cards[0]["architecture"]), (&"expert".into(), &"program".into()));
    assert!(cards[0].get("bytes").is_none() && cards[1]["bytes"].is_number(), "{cards}");
    assert_eq!(cards[1]["agreement"]["fidelity"], 1.0);
    let page = std::fs::read_to_string(at.join("cards/report.md")).unwrap();
    assert!(page.contains("| expert | program | 1 | – | – | – | – |") && page.contains("Changed physics"), "{page}");
    let (code, message) = failure(at, &expert("echo left", "other"));
    assert!(code == 1 && message.contains("echo left"), "{code} {message}");
    assert_eq!(failure(at, &["distill", "--expert", "cat"]).0, 2);
}

/// Of students that see the same, one teacher may see more than another: they lose other sensors.
#[test]
fn teachers_with_other_eyes_have_rows_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    balancing_teacher().save(&at.join("full.apprentice")).unwrap();
    let angles = r#"[{"type": "SelectObservation", "indices": [0, 2]}]"#;
    let short = ["--set", "total_timesteps=4096", "--set", "evaluations=0"];
    json(at, &[&["train", "CartPole-v1", "--wrappers", angles, "--out", "half"][..], &short].concat());
    json(at, &[&["distill", "--teacher", "full.apprentice", "--wrappers", angles, "--out", "a"][..], &short].concat());
    json(at, &[&["distill", "--teacher", "half", "--out", "b"][..], &short].concat());
    let report = json(at, &["report", "a", "b", "--episodes", "5", "--out", "report"]);
    let names: Vec<_> = report["cards"].as_array().unwrap().iter().map(|card| card["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["teacher", "teacher in SelectObservation", "a", "b"]);
}

/// Two who know half of a task each: as one they are measured as one, beside a student of somebody else.
#[test]
fn teachers_that_answer_as_one_are_reported_as_one() {
    let folder = folder();
    let at = folder.path();
    let whole = balancing_teacher();
    let part = |weight: [f32; 8], name: &str| {
        let layer = Layer { weight: weight.to_vec(), bias: vec![0.0; 2], activation: Activation::Identity };
        Policy::new(whole.header().clone(), vec![layer]).unwrap().save(&at.join(name)).unwrap();
    };
    part([0.0, 0.0, -4.0, 4.0, -16.0, 16.0, 0.0, 0.0], "angle.apprentice");
    part([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -8.0, 8.0], "speed.apprentice");
    let both = ["distill", "--teacher", "angle.apprentice", "--teacher", "speed.apprentice", "--fusion"];
    let two = json(at, &[&both[..], &["product", "--out", "two"], &SHORT].concat());
    let teacher = &two["teacher"];
    assert_eq!(teacher["return_mean"], 500.0, "together they are the one who knows all: {two}");
    assert_eq!((&teacher["parameters"], &teacher["macs"]), (&20.into(), &16.into()));
    assert!(teacher["noise"]["0.2"].is_number() && teacher["return_mean_sampled"].is_number());
    for fidelity in [&two["student"]["fidelity"], &two["fidelity_on_teacher_states"]] {
        assert!(fidelity.as_f64().unwrap() > 0.6, "{two}");
    }
    assert!(at.join("two/report.md").exists());
    let half = json(at, &["eval", "speed.apprentice", "--episodes", "20"])["return_mean"].as_f64().unwrap();
    assert!(half < 450.0, "alone it cannot: {half}");

    // As one, the product is the policy that it was cut from: the same actions, so the same returns under every disturbance.
    json(at, &[&DISTILL[..], &SHORT, &["--out", "one"]].concat());
    let cards = json(at, &["report", "one", "two", "--episodes", "10"])["cards"].clone();
    let names: Vec<&str> = cards.as_array().unwrap().iter().map(|card| card["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["teacher", "product of 2", "one", "two"]);
    assert_eq!(cards[1]["architecture"], "2 × 4-2 linear");
    assert_eq!(cards[0]["return_mean"], cards[1]["return_mean"]);
    for kind in ["observation_noise", "dropped_sensors"] {
        assert_eq!(cards[0]["robustness"][kind].as_array().unwrap().len(), 4);
        assert_eq!(cards[0]["robustness"][kind], cards[1]["robustness"][kind], "{kind}");
    }
    let bytes = ["angle", "speed"].map(|name| std::fs::metadata(at.join(format!("{name}.apprentice"))).unwrap().len());
    assert_eq!(cards[1]["bytes"], bytes[0] + bytes[1]);
    let seeds = json(at, &[&both[..], &["mixture", "--seeds", "2", "--out", "seeds"], &SHORT].concat());
    assert_eq!((&seeds["cards"][0]["name"], &seeds["cards"][1]["seeds"]), (&"mixture of 2".into(), &2.into()));

    let domains = json(at, &[&both[..], &["domains", "--out", "domains"], &SHORT].concat());
    assert_eq!(domains["finished"], true);
    // Beside what is no student, which is named and left out.
    let cards = json(at, &["report", "domains", "speed.apprentice", "--episodes", "10"])["cards"].clone();
    assert_eq!(
        (&cards[0]["name"], &cards[1]["name"], &cards[1]["seeds"]),
        (&"teacher".into(), &"domains".into(), &1.into())
    );
    let (code, message) = failure(at, &["report", "speed.apprentice", "angle.apprentice"]);
    assert!(code == 1 && message.contains("give directories that distill has written"), "{message}");
}

/// A student of several tasks is compared in each of them, and is as good as its worst; so is it evaluated, by the name of
/// the environment alone.
#[test]
fn a_student_of_several_tasks_is_compared_in_each() {
    let folder = folder();
    let at = folder.path();
    let short = ["--set", "total_timesteps=4096", "--set", "evaluations=0"];
    json(at, &[&["train", "GridWorld-v0", "--out", "grid"][..], &short].concat());
    let tasks = ["distill", "--teacher", "teacher.apprentice", "--teacher", "grid", "--fusion", "tasks"];
    let made = json(at, &[&tasks[..], &["--seeds", "2", "--out", "seeds", "--set", "hidden=[8]"], &short].concat());
    assert_eq!(made["students"][0]["name"], "seeds");
    assert!(at.join("seeds/report.md").exists() && at.join("seeds/2-GridWorld-v0/front.png").exists());

    json(at, &[&DISTILL[..], &SHORT, &["--out", "one"]].concat());
    let report = json(at, &["report", "seeds", "one", "--episodes", "10", "--out", "page"]);
    let envs: Vec<&str> =
        report["comparisons"].as_array().unwrap().iter().map(|it| it["env"]["id"].as_str().unwrap()).collect();
    assert_eq!(envs, ["CartPole-v1", "GridWorld-v0"]);
    // However they see it: beside each other, from the same zero, but for the sensors that they may lose.
    let cards = report["comparisons"][0]["cards"].as_array().unwrap();
    let names: Vec<&str> = cards.iter().map(|card| card["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["teacher", "seeds", "one"]);
    assert_eq!((&cards[1]["sees"][0]["type"], &cards[2]["sees"]), (&"MultiTask".into(), &Value::Null));
    assert!(cards[1]["agreement"].is_null() && cards[2]["agreement"].is_object());
    let alone = json(at, &["report", "one", "--episodes", "10"]);
    assert_eq!(report["comparisons"][0]["random_return_mean"], alone["random_return_mean"]);
    assert_eq!(cards[2]["normalized_iqm"], alone["cards"][1]["normalized_iqm"]);
    let sensors = std::fs::read_to_string(at.join("page/1-CartPole-v1/report.md")).unwrap();
    let without = sensors.lines().find(|line| line.starts_with("| without 0 |")).unwrap();
    assert_eq!(without.split('|').nth(3).unwrap().trim(), "–", "{without}");
    // Two tasks in one environment are two students of it.
    let twice = ["distill", "--teacher", "teacher.apprentice", "--teacher", "teacher.apprentice", "--fusion", "tasks"];
    let twice = json(at, &[&twice[..], &short, &["--seeds", "2", "--out", "twice"]].concat());
    let names: Vec<&str> =
        twice["cards"].as_array().unwrap().iter().map(|card| card["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["teacher", "twice, task 1", "twice, task 2"]);
    let students = report["students"].as_array().unwrap();
    assert_eq!((students.len(), &students[0]["name"]), (1, &"seeds".into()));
    let normalized = students[0]["normalized"].as_array().unwrap();
    assert!(normalized[0].as_f64() >= students[0]["worst"].as_f64() && normalized.len() == 2, "{students:?}");
    assert_eq!(report["comparisons"][0]["cards"][1]["seeds"], 2);
    let page = std::fs::read_to_string(at.join("page/report.md")).unwrap();
    assert!(page.contains("| seeds |") && page.contains("(2-GridWorld-v0/report.md)"), "{page}");

    for (env, task) in [("CartPole-v1", 0), ("GridWorld-v0", 1)] {
        let evaluated = json(at, &["eval", "seeds/seed-0", "--env", env, "--episodes", "10"]);
        assert_eq!((&evaluated["env"]["id"], &evaluated["env"]["wrappers"][0]["task"]), (&env.into(), &task.into()));
    }
    let (code, message) = failure(at, &["eval", "seeds/seed-0", "--env", "Acrobot-v1"]);
    assert!(code == 2 && message.contains("fits 0 of them"), "{message}");
    // What the message says can be done.
    let wrappers = message.rsplit('\'').nth(1).unwrap().replace("…, ", "");
    let elsewhere = ["eval", "seeds/seed-0", "--env", "CartPole-v0", "--episodes", "10", "--wrappers", &wrappers];
    assert_eq!(json(at, &elsewhere)["env"]["id"], "CartPole-v0");
}

/// Students under several seeds that were stopped go on with the same command, and nothing else is counted among them.
#[test]
fn students_of_several_seeds_go_on() {
    let folder = folder();
    let at = folder.path();
    let three = [&DISTILL[..], &SHORT, &["--set", "hidden=[4]", "--seeds", "3", "--out", "seeds"]].concat();
    let whole = json(at, &three);
    let policy = |seed: &str| std::fs::read(at.join("seeds").join(seed).join("policy.apprentice")).unwrap();
    let policies = ["seed-0", "seed-1000", "seed-2000"].map(policy);
    // One is finished, one has its first checkpoint, and one has not begun.
    let run = at.join("seeds/seed-1000");
    for entry in std::fs::read_dir(run.join("checkpoints")).unwrap().map(Result::unwrap) {
        if entry.file_name() != "000000002048.checkpoint" {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    for file in ["policy.apprentice", "report.md"] {
        std::fs::remove_file(run.join(file)).unwrap();
    }
    let metrics = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let kept: String =
        metrics.lines().filter(|line| !line.contains("final/")).map(|line| format!("{line}\n")).collect();
    std::fs::write(run.join("metrics.jsonl"), kept).unwrap();
    std::fs::remove_dir_all(at.join("seeds/seed-2000")).unwrap();
    // A folder in which something is not finished is not compared, whether that has come to a policy or diverged before; nor
    // is one taught from.
    for left in [false, true] {
        if left {
            std::fs::copy(at.join("seeds/seed-0/policy.apprentice"), run.join("policy.apprentice")).unwrap();
        }
        let pupils = ["distill", "--teacher", "seeds", "--seeds", "2", "--quiet"];
        for command in [&["report", "seeds"][..], &pupils] {
            let (code, message) = failure(at, command);
            assert!(code == 1 && message.contains("seed-1000 has not come to its end"), "{message}");
        }
    }

    // A run's own report is not written over.
    let (code, message) = failure(at, &["report", "seeds/seed-0", "--out", "seeds/seed-0"]);
    assert!(code == 1 && message.contains("directory of a run"), "{message}");
    // Nor does a second program go on with what another one is at, or a lost config.toml cost a run what it has logged.
    let lock = std::fs::File::create(at.join("seeds/.lock")).unwrap();
    lock.lock().unwrap();
    let (code, message) = failure(at, &three);
    assert!(code == 1 && message.contains("another program"), "{message}");
    drop(lock);
    let config = std::fs::read(at.join("seeds/seed-0/config.toml")).unwrap();
    std::fs::write(at.join("seeds/seed-0/config.toml"), "").unwrap();
    let (code, message) = failure(at, &three);
    assert!(code == 1 && message.contains("its config.toml is empty"), "{message}");
    std::fs::write(at.join("seeds/seed-0/config.toml"), config).unwrap();

    let mut again = json(at, &three);
    assert_eq!(["seed-0", "seed-1000", "seed-2000"].map(policy), policies);
    assert_eq!(again["cards"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&again["cards"][1]["seeds"], &again["cards"][1]["return_mean"]),
        (&3.into(), &whole["cards"][1]["return_mean"])
    );
    assert!(again["seeds"].take().as_array().unwrap().iter().all(|seed| seed["finished"] == true));
    // Fewer of them are those alone; others do not come into their folder, nor any into that of a single run.
    let two = [&DISTILL[..], &SHORT, &["--set", "hidden=[4]", "--seeds", "2", "--out", "seeds"]].concat();
    assert_eq!(json(at, &two)["cards"][1]["seeds"], 2);
    let others = [&DISTILL[..], &SHORT, &["--set", "hidden=[8]", "--seeds", "4", "--out", "seeds"]].concat();
    let (code, message) = failure(at, &others);
    assert!(
        code == 1 && message.contains("another configuration") && !at.join("seeds/seed-3000").exists(),
        "{message}"
    );
    for command in [&DISTILL[..], &["train", "CartPole-v1"]] {
        let (code, message) = failure(at, &[command, &["--seeds", "2", "--out", "seeds/seed-0"]].concat());
        assert!(code == 1 && message.contains("it is a run itself"), "{message}");
    }
}

/// A policy that training goes on from knows where, and what it brings along cannot be set.
#[test]
fn training_goes_on_where_the_policy_is_at_home() {
    let folder = folder();
    let set = ["--set", "total_timesteps=2048", "--set", "evaluations=2", "--set", "hidden=[5]", "--quiet", "--json"];
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_apprentice"))
        .current_dir(folder.path())
        .args([&["train", "--init", "teacher.apprentice", "--out", "on"][..], &set].concat())
        .output()
        .unwrap();
    let trained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&trained["env"]["id"], &trained["parameters"]), (&"CartPole-v1".into(), &10.into()));
    // The run has cost all of its steps, whichever policy was the best.
    assert_eq!(trained["train_steps"], trained["global_step"]);
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(note.contains("note: hidden changes nothing here"), "{note}");
}

fn trials(at: &Path, folder: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(at.join(folder).join("journal.jsonl")).unwrap();
    let mut trials: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    trials.iter_mut().for_each(|trial| trial["seconds"] = Value::Null);
    trials.sort_by_key(|trial| trial["trial"].as_u64());
    trials
}

/// With half of its journal lost a search ends as it did before.
#[test]
fn a_search_finds_a_front_and_survives_a_kill() {
    let folder = folder();
    let at = folder.path();
    let space = "hidden = { choices = [[], [2], [8]] }\nlearning_rate = { low = 1e-3, high = 1e-2, log = true }";
    std::fs::write(at.join("space.toml"), space).unwrap();
    let tune = |out| {
        let search = ["tune", "--teacher", "teacher.apprentice", "--space", "space.toml", "--out", out];
        [&search[..], &["--trials", "8", "--generation", "3"], &SHORT].concat()
    };
    let tuned = json(at, &tune("search"));
    assert_eq!((&tuned["finished"], &tuned["trials"]), (&Value::Bool(true), &Value::from(8)));
    let front = tuned["front"].as_array().unwrap();
    assert!(!front.is_empty() && tuned["report"]["cards"].as_array().unwrap().len() == front.len() + 1);
    assert!(at.join("search/front.png").exists() && at.join("search/trial-007/policy.apprentice").exists());

    let whole = trials(at, "search");
    let journal = at.join("search/journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, &text[..text.len() / 2]).unwrap();
    assert_eq!(json(at, &tune("search"))["front"].as_array().unwrap().len(), front.len());
    let again: Vec<Value> = trials_that_are_whole(at);
    assert_eq!(again, whole);
    let other = [&tune("search")[..], &["--seed", "5"]].concat();
    let (code, message) = failure(at, &other);
    assert!(code == 2 && message.contains("study.json"), "{message}");
}

/// As [`trials`], passing over the line that was cut off.
fn trials_that_are_whole(at: &Path) -> Vec<Value> {
    let journal = at.join("search/journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let whole = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).collect::<Vec<_>>().join("\n");
    std::fs::write(&journal, whole + "\n").unwrap();
    trials(at, "search")
}

/// A key that is none is found before a trial is tried, and a search in which nothing worked has failed.
#[test]
fn a_search_that_cannot_work_fails() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("typo.toml"), "hiden = { low = 1, high = 4, integer = true }\n").unwrap();
    std::fs::write(at.join("impossible.toml"), "num_envs = { low = 100000, high = 200000, integer = true }\n").unwrap();
    let tune = ["tune", "--teacher", "teacher.apprentice", "--trials", "2", "--out", "search", "--space"];
    let (code, message) = failure(at, &[&tune[..], &["typo.toml"]].concat());
    assert!(code == 2 && message.contains("hiden") && !at.join("search").exists(), "{message}");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_apprentice"))
        .current_dir(at)
        .args([&tune[..], &["impossible.toml", "--quiet"]].concat())
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && message.contains("every trial failed"), "{message}");
    let (code, message) = failure(at, &["tune", "CartPole-v1", "--target", "nan"]);
    assert!(code == 2 && message.contains("expected a number"), "{message}");
}
