//! The policy leaves the house: `export`, `verify` and `inspect`.

use crate::cli::{apprentice, failure, json};
use crate::distillation::balancing_teacher;
use apprentice::deploy::{Child, Policy, Split, Tree};

/// Pushes right where θ̇ > 0 or else θ > 0.1: a bad policy, and a tree.
fn tree() -> Policy {
    let splits = vec![
        Split { feature: 3, threshold: 0.0, left: Child::Split(1), right: Child::Leaf(2) },
        Split { feature: 2, threshold: 0.1, left: Child::Leaf(0), right: Child::Leaf(1) },
    ];
    let tree = Tree { splits, leaves: vec![0.0, -1.0, -1.0, 0.0, -1.0, 0.0] };
    Policy::new(balancing_teacher().header().clone(), tree).unwrap()
}

#[test]
fn an_export_is_its_policy() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    balancing_teacher().save(&at.join("layers.apprentice")).unwrap();
    tree().save(&at.join("tree.apprentice")).unwrap();
    for policy in ["layers.apprentice", "tree.apprentice"] {
        for format in ["rust", "c", "safetensors"] {
            if (policy, format) == ("tree.apprentice", "safetensors") {
                let (code, message) = failure(at, &["export", policy, "--format", format, "--out", "x"]);
                assert!(code == 1 && message.contains("policy file"), "{message}");
                continue;
            }
            let out = format!("{policy}.{format}");
            let exported = json(at, &["export", policy, "--format", format, "--name", "student", "--out", &out]);
            for file in exported["files"].as_array().unwrap() {
                assert_eq!(at.join(&out).join(file[0].as_str().unwrap()).metadata().unwrap().len(), file[1]);
            }
            let verified = json(at, &["verify", policy, "--export", &out, "--states", "2000", "--episodes", "10"]);
            assert_eq!((&verified["equal_params"], &verified["equal_actions"]), (&2000.into(), &2000.into()));
            assert_eq!(verified["equal_returns"], 10);
            assert_eq!(verified["return_mean"], verified["export_return_mean"]);
        }
    }
    let evaluated = json(at, &["eval", "layers.apprentice.safetensors/student.safetensors", "--episodes", "10"]);
    assert_eq!((&evaluated["return_mean"], &evaluated["parameters"]), (&500.0.into(), &10.into()));

    let args = ["export", "layers.apprentice", "--format", "c", "--quant", "int8", "--name", "small", "--out", "int8"];
    json(at, &args);
    let args = ["verify", "layers.apprentice", "--export", "int8", "--states", "2000", "--episodes", "10"];
    let verified = json(at, &args);
    assert_eq!((&verified["equal_params"], &verified["equal_returns"]), (&2000.into(), &10.into()));
    assert!(verified["int8"]["same_actions"].as_u64().unwrap() >= 1980, "{verified}");
    assert_eq!(verified["int8"]["float_return_mean"], 500.0);
    assert_eq!(json(at, &["eval", "int8/small.apprentice", "--episodes", "10"])["return_mean"], 500.0);
    assert_eq!(json(at, &["inspect", "int8/small.apprentice"])["body"]["type"], "int8");

    let inspected = json(at, &["inspect", "tree.apprentice"]);
    assert_eq!(inspected["body"], serde_json::json!({"type": "tree", "nodes": 5, "depth": 2}));
    assert_eq!(inspected["environment"]["id"], "CartPole-v1");
    let text = apprentice(at, &["inspect", "layers.apprentice"]).stdout;
    assert!(String::from_utf8(text).unwrap().contains("4 → 2 identity; 10 parameters"));
}

#[test]
fn an_export_that_computes_something_else_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    balancing_teacher().save(&at.join("a.apprentice")).unwrap();
    tree().save(&at.join("b.apprentice")).unwrap();
    json(at, &["export", "a.apprentice", "--format", "c", "--out", "a"]);
    let source = std::fs::read_to_string(at.join("a/policy.c")).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(source.contains(from), "{from}");
        std::fs::write(at.join("a/policy.c"), source.replacen(from, to, 1)).unwrap();
        failure(at, &["verify", "a.apprentice", "--export", "a", "--states", "100", "--episodes", "2"])
    };
    for (from, to, code, says) in [
        ("-8.0f", "-8.001f", 1, "self-test"),
        ("static const float weight_0", "static float weight_0 const", 1, "does not compile"),
    ] {
        let (got, message) = changed(from, to);
        assert!(got == code && message.contains(says), "{got}: {message}");
    }
    for (args, code, says) in [
        (&["verify", "b.apprentice", "--export", "a"][..], 1, "export it again"),
        (&["verify", "a.apprentice", "--export", "missing"], 1, "missing"),
        (&["export", "a.apprentice", "--format", "cobol", "--out", "x"], 2, "rust, c, onnx, onnx-exact, safetensors"),
        (&["export", "a.apprentice", "--format", "c", "--name", "Größe", "--out", "x"], 2, "lower-case"),
        (&["export", "missing.apprentice", "--format", "c", "--out", "x"], 1, "missing.apprentice"),
        (&["inspect", "a/policy.c"], 1, "not a policy file"),
        (&["export", "b.apprentice", "--format", "c", "--quant", "int8", "--out", "x"], 1, "int8"),
        (&["export", "a.apprentice", "--format", "c", "--quant", "int4", "--out", "x"], 2, "int8"),
    ] {
        let (got, message) = failure(at, args);
        assert!(got == code && message.contains(says), "{args:?}: {got}: {message}");
    }

    // Passes its self-test and then errs: the states and the returns tell.
    std::fs::write(
        at.join("a/policy.c"),
        source.replacen(
            "int policy_act(const float observation[POLICY_OBSERVATION], float action[POLICY_ACTION])\n{",
            "int policy_act(const float observation[POLICY_OBSERVATION], float action[POLICY_ACTION])\n{\n    \
             static int calls;\n    if (++calls > 100) {\n        action[0] = 0.0f;\n        return 0;\n    }",
            1,
        ),
    )
    .unwrap();
    let output =
        apprentice(at, &["verify", "a.apprentice", "--export", "a", "--states", "500", "--episodes", "2", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let verified: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&verified["passed"], &verified["equal_params"]), (&false.into(), &500.into()));
    assert!(verified["equal_actions"].as_u64().unwrap() < 500 && verified["equal_returns"] == 0, "{verified}");
}
