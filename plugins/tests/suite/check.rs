//! `check` finds what loading cannot see, and nothing in a plugin that is well.

use crate::built::cartpole;
use crate::faults::faulty;
use apprentice_plugins::{Report, check};
use std::time::Duration;

/// Longer than any check takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(600);

fn problems(report: &Report) -> Vec<(&str, &str)> {
    let checks = report.envs.iter().flat_map(|env| &env.checks);
    checks.filter_map(|check| Some((check.name, check.problem.as_deref()?))).collect()
}

#[test]
fn all_is_well_with_the_examples() {
    for (_folder, plugin) in [cartpole(), faulty("none")] {
        let report = check(&plugin, LIMIT);
        assert_eq!((report.ok, problems(&report)), (true, vec![]), "{}", report.to_text());
        assert!(report.envs.iter().all(|env| env.checks.len() == 9));
        assert!(report.to_text().contains("faulty.so: all is well with 2 environments") || report.envs.len() == 1);
    }
}

#[test]
fn what_is_no_plugin_is_reported() {
    let report = check("no/such/file.so".as_ref(), LIMIT);
    assert!(!report.ok && report.envs.is_empty());
    assert!(report.to_text().starts_with("plugin no/such/file.so: cannot be read"));
}

#[test]
fn mistakes_are_found_by_using_the_environment() {
    for (fault, name, said) in [
        ("nan_reward", "it can be made", "the reward NaN"),
        ("any_parameter", "parameters that it does not know", "create accepted"),
        ("nan_at_last", "what it returns", "the reward NaN"),
        ("common_state", "the same seed", "part after"),
        ("batch_differs", "a batch", "environment 1 of 5 part after 1 steps"),
        ("resets_all", "resetting some", "with that environment 0 changed too"),
        ("load_forgets_a_part", "a snapshot goes on", "save right after load gave other bytes"),
        ("load_takes_all", "a damaged snapshot", "load accepted a state without its last byte"),
        ("empty_mask", "masks and pictures", "action_mask left no action at all"),
        ("strange_mask", "masks and pictures", "action_mask wrote 3"),
        ("text_not_utf8", "masks and pictures", "render_text: expected UTF-8"),
        ("huge_picture", "masks and pictures", "render_rgb: expected 1 to 16384 pixels a side, got 1048576"),
    ] {
        let (_folder, plugin) = faulty(fault);
        let report = check(&plugin, LIMIT);
        let problems = problems(&report);
        assert!(!report.ok, "{fault}");
        assert!(
            problems.iter().any(|(check, problem)| check.starts_with(name) && problem.contains(said)),
            "{fault}: {problems:?}"
        );
        assert!(report.to_text().contains("2 of 2 environments failed"), "{}", report.to_text());
    }
}

#[test]
fn what_never_returns_is_named() {
    let (_folder, plugin) = faulty("never_returns");
    let report = check(&plugin, Duration::from_millis(500));
    let text = report.to_text();
    assert!(!report.ok && text.contains("within 0.5 s, got no answer at t/Count-v0: what it returns lies"), "{text}");
}
