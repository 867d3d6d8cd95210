//! Plugins from the command line: the example in C through every subcommand that makes an environment, and broken ones.

use crate::cli::{apprentice, failure, json};
use std::path::Path;
use std::process::Command;

/// Builds the example in C as `cartpole.so` in `folder`.
fn build(folder: &Path) {
    cc("plugins/examples/c/cartpole.c", "-O2", &folder.join("cartpole.so"));
}

/// Compiles a plugin.
fn cc(source: &str, option: &str, plugin: &Path) {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let ran = Command::new(&compiler)
        .args(["-std=c99", "-fPIC", "-shared", "-I", "plugins/include", option, source, "-o"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .arg(plugin)
        .arg("-lm")
        .output()
        .unwrap_or_else(|e| panic!("this test needs a C compiler, but {compiler}: {e}"));
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn its_environments_are_like_built_in_ones() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    build(at);
    let plugin = ["--plugin", "cartpole.so"];
    let with = |args: &[&str]| json(at, &[args, &plugin].concat());

    let listed = with(&["envs"]);
    let ids: Vec<_> = listed["envs"].as_array().unwrap().iter().map(|env| env["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"c/CartPole-v1") && ids.contains(&"CartPole-v1"), "{ids:?}");
    assert!(with(&["envs", "c/CartPole-v1"])["page"].as_str().unwrap().starts_with("# c/CartPole-v1"));
    assert_eq!(with(&["check-env", "c/CartPole-v1"])["findings"], serde_json::json!([]));
    let trace = with(&["trace", "c/CartPole-v1", "--seed", "3", "--steps", "20"]);
    assert_eq!(trace, with(&["trace", "c/CartPole-v1", "--seed", "3", "--steps", "20"]));
    assert!(trace["lines"].as_array().unwrap().len() > 20);
    assert!(with(&["bench", "env", "c/CartPole-v1", "--num-envs", "8", "--seconds", "0.01"])["batches"].is_array());

    let short = ["--set", "total_timesteps=2048", "--set", "evaluations=1"];
    with(&[&["train", "c/CartPole-v1", "--preset", "cartpole", "--out", "teacher"][..], &short].concat());
    with(&[&["distill", "--teacher", "teacher", "--out", "student"][..], &short].concat());
    assert_eq!(with(&["eval", "student", "--episodes", "3"])["made_for"], "c/CartPole-v1");
    // A policy does not carry its plugin along.
    let (code, message) = failure(at, &["eval", "student", "--episodes", "3"]);
    let says = "unknown environment \"c/CartPole-v1\"; nothing is registered in the namespace c; load the plugin";
    assert!(code == 2 && message.contains(says) && message.contains("--plugin FILE"), "{message}");
    // The flag may stand first as well.
    assert!(apprentice(at, &["--plugin", "cartpole.so", "envs", "c/CartPole-v1"]).status.success());
}

#[test]
fn what_is_no_plugin_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    build(at);
    std::fs::write(at.join("garbage.so"), [7; 999]).unwrap();
    for (args, says) in [
        (&["envs", "--plugin", "missing.so"][..], "plugin missing.so: cannot be read"),
        (&["envs", "--plugin", "garbage.so"], "plugin garbage.so: cannot be loaded: expected a shared library"),
        (&["envs", "--plugin", "cartpole.so", "--plugin", "cartpole.so"], "the id c/CartPole-v1 is taken"),
        (
            &["trace", "c/CartPole-v1", "--plugin", "cartpole.so", "--kwargs", "{\"gravitas\":1}"],
            "unknown parameter gravitas",
        ),
    ] {
        let (code, message) = failure(at, args);
        assert!(code == 2 && message.contains(says), "{args:?}: exit code {code}, {message}");
    }
}

#[test]
fn check_plugin_says_what_is_wrong_or_that_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    build(at);
    let report = json(at, &["check-plugin", "cartpole.so"]);
    assert_eq!((&report["ok"], &report["envs"][0]["id"]), (&true.into(), &"c/CartPole-v1".into()));
    let output = apprentice(at, &["check-plugin", "cartpole.so"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("cartpole.so: all is well with 1 environment\n"), "{text}");

    let output = apprentice(at, &["check-plugin", "missing.so", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(1), &false.into()));
    assert!(report["error"].as_str().unwrap().starts_with("plugin missing.so: cannot be read"));
}

#[test]
fn a_plugin_that_falls_does_not_take_its_verdict_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let source = at.join("falls.c");
    std::fs::write(&source, "#include <stdlib.h>\nconst void *apprentice_plugin(void) { abort(); }\n").unwrap();
    cc(source.to_str().unwrap(), "-O2", &at.join("falls.so"));
    let output = apprentice(at, &["check-plugin", "falls.so", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &report["ok"]), (Some(1), &false.into()));
    assert!(report["error"].as_str().unwrap().contains("it ended the program that checked it (signal: 6"), "{report}");
}

#[test]
fn check_env_ends_with_1_where_it_finds_something() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (fault, timeout, mistake, says) in [
        ("load_forgets_a_part", "60", "snapshot", "put everything that changes between two steps into the state"),
        ("never_returns", "0.5", "timeout", "expected all checks to be done within 0.5 s, got no answer"),
    ] {
        cc("plugins/tests/c/faulty.c", &format!("-DFAULT=\"{fault}\""), &at.join("faulty.so"));
        let args = ["check-env", "t/Count-v0", "--plugin", "faulty.so", "--timeout", timeout];
        let output = apprentice(at, &[&args[..], &["--json"]].concat());
        let checked: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{checked}");
        assert_eq!(
            (&checked["env"]["id"], &checked["findings"][0]["mistake"]),
            (&"t/Count-v0".into(), &mistake.into())
        );
        assert!(checked["findings"][0]["message"].as_str().unwrap().contains(says), "{checked}");
        let output = apprentice(at, &args);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("t/Count-v0: "));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
