//! Every environment here is clean, and every mistake is caught in an environment that makes it on purpose.

mod broken;

use super::*;
use crate::wrappers::{Wrapped, WrapperSpec};
use crate::{DynEnv, EnvInfo, Rows};
use broken::{Careless, Config, Fault, Forgiving, Lenient, RowFault, Walker, Walkers};

fn assert_clean(registry: &Registry, spec: EnvSpec) {
    let findings = check_env(registry, &spec).unwrap();
    let text: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(findings.is_empty(), "{spec:?}:\n{}", text.join("\n"));
}

#[test]
fn every_built_in_environment_is_clean() {
    let registry = Registry::builtin();
    for info in registry.list() {
        assert_clean(&registry, EnvSpec::new(&info.id));
    }
}

#[test]
fn parameters_leave_environments_clean() {
    let registry = Registry::builtin();
    for (id, kwargs) in [
        ("FrozenLake-v1", r#"{"map_name": "8x8", "is_slippery": false}"#),
        ("GridWorld-v0", r#"{"random": {"seed": 3}, "observation": {"window": 5}, "slip": 0.3}"#),
        ("Taxi-v4", r#"{"is_rainy": true, "fickle_passenger": true}"#),
    ] {
        assert_clean(&registry, EnvSpec { kwargs: serde_json::from_str(kwargs).unwrap(), ..EnvSpec::new(id) });
    }
}

#[test]
fn every_wrapper_leaves_environments_clean() {
    let registry = Registry::builtin();
    let wrappers: Vec<WrapperSpec> = serde_json::from_str(
        r#"[
            {"type": "TimeLimit", "max_episode_steps": 11},
            {"type": "TimeAwareObservation", "normalize_time": true},
            {"type": "TimeAwareObservation", "flatten": false},
            {"type": "FrameStackObservation", "stack_size": 3},
            {"type": "FrameStackObservation", "stack_size": 2, "padding_type": "zero"},
            {"type": "FlattenObservation"},
            {"type": "FilterObservation", "filter_keys": [2, 0]},
            {"type": "ClipObservation", "min_obs": -0.5, "max_obs": 0.01},
            {"type": "RescaleObservation", "min_obs": -0.1, "max_obs": 0.7},
            {"type": "DiscretizeObservation", "bins": 7},
            {"type": "DiscretizeObservation", "bins": 5, "multidiscrete": true},
            {"type": "DelayObservation", "delay": 3},
            {"type": "GaussianNoiseObservation", "std": 0.1},
            {"type": "DropoutObservation", "probability": 0.3},
            {"type": "ClipAction"},
            {"type": "RescaleAction", "min_action": 0.1, "max_action": 0.7},
            {"type": "DiscretizeAction", "bins": 4},
            {"type": "DiscretizeAction", "bins": 4, "multidiscrete": true},
            {"type": "StickyAction", "repeat_action_probability": 0.3, "repeat_action_duration": [1, 3]},
            {"type": "DelayAction", "delay": 2},
            {"type": "RepeatAction", "num_repeats": 3},
            {"type": "ClipReward", "max_reward": 0.25},
            {"type": "ScaleReward", "scale": 0.3, "shift": 1}
        ]"#,
    )
    .unwrap();
    for wrapper in wrappers {
        let mut fitting = 0;
        for id in ["CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Blackjack-v1"] {
            let spec = EnvSpec::new(id).wrapped(wrapper.clone());
            if registry.make(&spec).is_ok() {
                fitting += 1;
                assert_clean(&registry, spec);
            }
        }
        assert!(fitting > 0, "{wrapper} fits nothing");
    }
}

#[test]
fn wrappers_within_wrappers_are_clean() {
    let wrappers = serde_json::from_str(
        r#"[
            {"type": "RescaleAction", "min_action": -1, "max_action": 1},
            {"type": "StickyAction", "repeat_action_probability": 0.3},
            {"type": "DelayAction", "delay": 1},
            {"type": "DiscretizeAction", "bins": 5},
            {"type": "RepeatAction", "num_repeats": 2},
            {"type": "GaussianNoiseObservation", "std": [0.1, 0, 0.5]},
            {"type": "ClipObservation", "min_obs": -2, "max_obs": 2},
            {"type": "DelayObservation", "delay": 1},
            {"type": "FrameStackObservation", "stack_size": 3},
            {"type": "TimeLimit", "max_episode_steps": 20},
            {"type": "TimeAwareObservation"}
        ]"#,
    )
    .unwrap();
    assert_clean(&Registry::builtin(), EnvSpec { wrappers, ..EnvSpec::new("Pendulum-v1") });
}

fn walkers() -> Registry {
    let mut registry = Registry::empty();
    registry.register_native::<Walkers, _, _>(EnvInfo::new("me/Walker-v0").max_episode_steps(30), Walker::new);
    registry
}

fn walker(fault: Fault) -> Rows<Walker> {
    Rows::new(Walker::new(Config { fault }).unwrap())
}

#[test]
fn a_walker_without_a_fault_is_clean() {
    let clean = EnvSpec::new("me/Walker-v0").with("fault", "none");
    assert_clean(&walkers(), clean);
    assert_eq!(check_row_env(walker(Fault::None)), []);
}

#[test]
fn every_mistake_is_caught() {
    let registry = walkers();
    for (fault, mistake, words) in [
        ("build", Mistake::Panic, "(where it is made): expected no panic, got \"no walker today\""),
        ("crossed_bounds", Mistake::Spaces, "bounds that cross"),
        ("growing_space", Mistake::Spaces, "expected still Box([-1.0, 0.0], [7.0, 50.0], [2])"),
        ("outside_its_space", Mistake::Observation, "step 2): expected a number from -1 to 7 in column 0, got 8.5"),
        ("a_column_too_many", Mistake::Failure, "an observation has 3 columns: expected 2"),
        ("nan_reward", Mistake::Reward, "step 2): expected a finite number, got NaN"),
        ("clock", Mistake::Determinism, "the second time"),
        ("stale_step", Mistake::Reset, "in an environment that was used before): expected 0 in column 1"),
        ("own_generator", Mistake::Reset, "in an environment that was used before"),
        ("forgotten_state", Mistake::Snapshot, "restored in a new one): expected"),
        ("refused_state", Mistake::Snapshot, "its own state to be taken back, got \"too late\""),
        ("shared_state", Mistake::Copies, "after a copy was stepped"),
        ("mask_without_choice", Mistake::ActionMask, "one of 3 choices to be left, got none"),
        ("long_mask", Mistake::ActionMask, "expected 3 entries, got \"index out of bounds: the len is 3"),
        ("panic", Mistake::Panic, "step 3): expected no panic, got \"the walker fell over\""),
        ("batch_reward", Mistake::Vector, "environment 4, step 1): expected the reward 1, terminated false"),
        (
            "batch_forgets_an_end",
            Mistake::Vector,
            "terminated true, truncated false, got the reward 1, terminated false",
        ),
        ("batch_leaves_a_row", Mistake::Vector, "environment 1, observations of step 1, column 0): expected"),
        ("batch_draws_for_the_skipped", Mistake::Vector, "autoreset NextStep, threads 1, environment"),
        ("batch_keeps_another_state", Mistake::Vector, "environment 5, after step"),
        ("batch_panics", Mistake::Panic, "got \"all fell over\""),
        ("batch_fails", Mistake::Failure, "got \"no connection\""),
    ] {
        let spec = EnvSpec::new("me/Walker-v0").with("fault", fault);
        let findings = check_env(&registry, spec).unwrap();
        let first = findings.first().unwrap_or_else(|| panic!("{fault} was not caught"));
        assert_eq!(first.mistake, mistake, "{fault}: {first}");
        assert!(first.to_string().contains(words), "{fault}: {first}");
    }
}

#[test]
fn what_never_returns_is_named_and_what_returns_is_not() {
    let check = |fault, seconds| {
        let spec = EnvSpec::new("me/Walker-v0").with("fault", fault);
        check_env_within(&walkers(), spec, Duration::from_secs_f64(seconds)).unwrap()
    };
    let [found] = &check("no_return", 0.2)[..] else { panic!("one finding was expected") };
    assert_eq!(found.mistake, Mistake::Timeout);
    assert!(
        found.to_string().contains("(seed 0, episode 1, step 3): expected all checks to be done within 0.2 s"),
        "{found}"
    );
    assert_eq!(check("none", 600.0), []);
    assert_eq!(check("panic", 600.0)[0].mistake, Mistake::Panic);
    assert!(check_env_within(&walkers(), "me/Walker-v1", Duration::MAX).unwrap_err().is_unknown_environment());
}

#[test]
fn mistakes_in_rows_are_caught() {
    let careless = |fault| check_row_env(Wrapped::new(walker(Fault::None).boxed(), Careless(fault)));
    for (findings, mistake, words) in [
        (
            careless(RowFault::Unwritten),
            Mistake::Unwritten,
            "seed 0, reset to episode 1): expected a number in column 1",
        ),
        (careless(RowFault::Fails), Mistake::Failure, "episode 1, step 1): expected no error, got \"no connection\""),
        (check_row_env(Forgiving(walker(Fault::None))), Mistake::Snapshot, "without its last byte to be refused"),
    ] {
        let first = findings.first().expect("this was not caught");
        assert!(first.mistake == mistake && first.to_string().contains(words), "{first}");
    }
}

#[test]
fn steps_that_must_be_refused_are_tried() {
    let make = || Ok(Box::new(Lenient(crate::make("CartPole-v1")?)) as Box<dyn DynEnv>);
    let findings = calls::check(make).into_vec();
    let kinds: Vec<Mistake> = findings.iter().map(|finding| finding.mistake).collect();
    assert_eq!(kinds, [Mistake::Order, Mistake::InvalidAction], "{findings:?}");
    assert!(findings[1].to_string().contains("an error for the action"), "{}", findings[1]);
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    let registry = Registry::builtin();
    assert!(check_env(&registry, "Cartpole-v1").unwrap_err().is_unknown_environment());
    assert!(check_env(&registry, EnvSpec::new("CartPole-v1").with("gravitas", 1)).unwrap_err().is_config());
    let wrapper = WrapperSpec::RepeatAction { num_repeats: 0 };
    assert!(check_env(&registry, EnvSpec::new("CartPole-v1").wrapped(wrapper)).unwrap_err().is_config());
}
