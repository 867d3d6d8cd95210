//! Every mistake that a plugin makes becomes an error which says what is wrong.

use crate::built::{HERE, cc};
use apprentice_envs::{Autoreset, Error, Registry, StepBuffer, Value, VectorOptions};
use ndarray::{Array2, array};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const ID: &str = "t/Count-v0";

/// The plugin of `faulty.c` with these definitions.
fn built(definitions: &[&str]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(HERE).join("tests/c/faulty.c");
    let plugin = cc(folder.path(), "faulty.so", &source, &[&["-shared", "-O1"], definitions].concat());
    (folder, plugin)
}

/// The plugin with one fault.
pub(crate) fn faulty(fault: &str) -> (TempDir, PathBuf) {
    built(&[&format!("-DFAULT=\"{fault}\"")])
}

fn loaded(fault: &str) -> (TempDir, Registry) {
    let (folder, plugin) = faulty(fault);
    let mut registry = Registry::empty();
    apprentice_plugins::load(&plugin, &mut registry).unwrap();
    (folder, registry)
}

fn load_error(path: &Path) -> String {
    let mut registry = Registry::empty();
    let error = apprentice_plugins::load(path, &mut registry).unwrap_err();
    assert!(error.is_config() && registry.list().next().is_none(), "{error}");
    let message = error.to_string();
    assert!(message.starts_with(&format!("plugin {}", path.display())), "{message}");
    message
}

/// Holds an error against what it should say; it always names the plugin and the environment.
fn assert_says(error: &Error, said: &str, fault: &str) {
    let message = error.to_string();
    let named = message.contains("faulty.so") && message.contains(ID);
    assert!(named && message.contains(said), "{fault}: expected {said:?}, got {message:?}");
}

#[test]
fn files_that_are_no_plugins() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(load_error(&at("nothing.so")).contains("cannot be read"));
    assert!(load_error(folder.path()).contains("something that is no file"));
    let mut rng = apprentice_envs::Generator::new(3);
    let garbage: Vec<u8> = (0..5000).map(|_| rng.bits32() as u8).collect();
    for (name, bytes) in [("garbage.so", &garbage[..]), ("empty.so", b""), ("text.so", b"#include <stdio.h>\n")] {
        std::fs::write(at(name), bytes).unwrap();
        let error = load_error(&at(name));
        assert!(
            error.contains("expected a shared library for this machine") && !error.contains("dlopen failed"),
            "{error}"
        );
    }
    let (_folder, other) = built(&["-DNO_ENTRY", "-Wno-unused-function"]);
    assert!(load_error(&other).contains("no plugin of Apprentice: expected that it exports the function"));
}

/// A file that was cut off while it was copied, wherever that was.
#[cfg(target_os = "linux")]
#[test]
fn files_that_are_cut_off() {
    let (folder, plugin) = faulty("none");
    let bytes = std::fs::read(&plugin).unwrap();
    for part in 0..20 {
        let cut = folder.path().join(format!("{part}.so"));
        std::fs::write(&cut, &bytes[..bytes.len() * part / 20]).unwrap();
        let message = load_error(&cut);
        let expected = if part == 0 { "expected a shared library" } else { "the file is cut off" };
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn tables_that_are_not_as_they_should_be() {
    for (fault, said) in [
        ("newer_abi", "abi_version: expected 1, got 99; build a newer host"),
        ("older_abi", "abi_version: expected 1, got 0; build a newer plugin"),
        ("small_table", "got 40; set it to sizeof(apprentice_plugin_table)"),
        ("no_table", "apprentice_plugin returned no table"),
        ("no_kinds", "num_kinds: expected 1 to 4096, got 0"),
        ("many_kinds", "num_kinds: expected 1 to 4096, got 4000000000"),
        ("no_info", "info(0): expected an apprentice_env_info, got NULL"),
        ("small_info", "got 8; set it to sizeof(apprentice_env_info)"),
        ("bad_id", "id: expected namespace/Name-v0"),
        ("no_id", "id: expected namespace/Name-v0, got NULL"),
        ("twins", "info(0) and info(1) have the same id t/Count-v0"),
        ("page_not_utf8", "info(0): page: expected UTF-8"),
        ("infinite_threshold", "reward_threshold of t/Count-v0: expected a finite number"),
    ] {
        let message = load_error(&faulty(fault).1);
        assert!(message.contains(said), "{fault}: expected {said:?}, got {message:?}");
    }
    for function in ["info", "create", "destroy", "observation_space", "action_space", "reset", "step", "save", "load"]
    {
        let message = load_error(&built(&[&format!("-DMISSING={function}")]).1);
        assert!(message.contains(&format!("the table has no function {function}:")), "{message}");
    }
}

/// These come out when the environment is made, before anybody trains in it.
#[test]
fn environments_that_cannot_be_made() {
    for (fault, said) in [
        ("create_fails", "create failed: no toys left"),
        ("endless_message", "create failed: !!!!"),
        ("create_says_nothing", "create failed without a message"),
        ("create_gives_nothing", "create returned APPRENTICE_OK but no instance"),
        ("strange_status", "create returned the status 7: expected 0"),
        ("no_space", "observation_space returned NULL"),
        ("space_not_json", "observation_space: expected JSON such as"),
        ("space_not_utf8", "observation_space: expected UTF-8"),
        ("space_of_another_type", "unknown variant `Sphere`"),
        ("empty_space", "observation_space: its space Tuple() is empty"),
        ("huge_space", "observation_space: its space MultiBinary"),
        ("space_that_lies", "observation_space: its space Box"),
        ("empty_actions", "action_space: its space Discrete(0) is empty"),
        ("narrow_space", "wrote past the end of observations"),
        ("wide_space", "was the row written?"),
        ("reset_outside", "reset gave environment 0 of 1 the observation 9 in column 0: expected a number from 0 to 5"),
        ("reset_fails", "reset failed without a message"),
        ("step_outside", "step gave environment 0 of 1 the observation 1.5 in column 1: expected a number from 0 to 1"),
        ("step_nan", "step gave environment 0 of 1 the observation NaN in column 0"),
        ("infinite_reward", "step gave environment 0 of 1 the reward inf: expected a finite number"),
        ("nan_reward", "the reward NaN"),
        ("strange_terminated", "step set terminated of environment 0 of 1 to 2: expected 0 or 1"),
        ("strange_truncated", "step set truncated of environment 0 of 1 to 77"),
        ("unwritten_truncated", "step set truncated of environment 0 of 1 to 255"),
        ("flags_overrun", "step wrote past the end of terminated"),
        ("rewards_overrun", "step wrote past the end of rewards"),
        ("step_fails", "step failed: a wheel came off"),
        ("step_status", "step returned the status -1"),
        ("save_fails", "save failed without a message"),
        ("save_is_huge", "save: expected at most 268435456 bytes"),
        ("save_changes_size", "save announced 8 bytes and then wrote 9"),
        ("save_overruns", "save wrote past the end of the 8 bytes it asked for"),
        ("load_fails", "load failed: not a count"),
    ] {
        let (_folder, registry) = loaded(fault);
        let error = registry.make(ID).err().unwrap_or_else(|| panic!("{fault} was not noticed"));
        assert_says(&error, said, fault);
        assert!(error.is_config(), "{fault}");
    }
}

#[test]
fn batches_that_differ_from_one() {
    for (fault, said) in [
        ("batches_fail", "create failed without a message"),
        ("changing_space", "the spaces of 4 environments are not those of one with the same parameters"),
    ] {
        let (_folder, registry) = loaded(fault);
        assert!(registry.make(ID).is_ok(), "{fault}");
        assert_says(&registry.make_vec(ID, 4, 0).err().unwrap(), said, fault);
    }
}

#[test]
fn a_failing_batch_says_where_and_can_be_reset() {
    let (_folder, registry) = loaded("batch_step_nan");
    let mut env = registry.make_vec(ID, 4, 0).unwrap();
    let mut buffer = StepBuffer::new(&*env);
    env.reset(Some(0), buffer.observations.view_mut()).unwrap();
    let error = env.step(Array2::zeros((4, 1)).view(), buffer.view_mut()).unwrap_err();
    assert!(error.is_environment());
    assert_says(&error, "step gave environment 2 of 4 the observation NaN in column 0", "batch_step_nan");
    assert!(env.step(Array2::zeros((4, 1)).view(), buffer.view_mut()).unwrap_err().is_order());
    env.reset(None, buffer.observations.view_mut()).unwrap();
}

/// With autoreset in the next step, the action of an environment that is about to be reset may be anything; the
/// plugin never sees it, and what it writes there does not count.
#[test]
fn actions_that_do_not_count_never_arrive() {
    let (_folder, registry) = loaded("none");
    let options = VectorOptions::new(3, 0).autoreset(Autoreset::NextStep);
    let mut env = registry.make_vec_with(ID, &options).unwrap();
    let mut buffer = StepBuffer::new(&*env);
    env.reset(Some(0), buffer.observations.view_mut()).unwrap();
    for _ in 0..5 {
        env.step(array![[0.0], [1.0], [0.0]].view(), buffer.view_mut()).unwrap();
    }
    assert!(buffer.terminated.iter().all(|&ended| ended));
    env.step(array![[f32::NAN], [7.0], [0.0]].view(), buffer.view_mut()).unwrap();
    assert_eq!(buffer.observations, Array2::<f32>::zeros((3, 2)));
    assert!(env.step(array![[0.0], [7.0], [0.0]].view(), buffer.view_mut()).unwrap_err().is_action());
}

#[test]
fn masks_and_pictures() {
    let (_folder, registry) = loaded("none");
    let mut env = registry.make(ID).unwrap();
    env.reset(Some(0)).unwrap();
    assert_eq!(env.action_mask(), [true, true]);
    env.step(&Value::Discrete(1)).unwrap();
    env.step(&Value::Discrete(1)).unwrap();
    assert_eq!(env.action_mask(), [true, false]);
    assert_eq!(env.render_ansi().unwrap(), "2");
    let frame = env.render_rgb().unwrap();
    assert_eq!((frame.width, frame.height, frame.rgb), (2, 1, vec![80; 6]));

    let masks = |fault: &str| {
        let (folder, registry) = loaded(fault);
        let mut env = registry.make_vec_with(ID, &VectorOptions::new(3, 0).threads(2)).unwrap();
        let mut buffer = StepBuffer::new(&*env);
        env.reset(Some(0), buffer.observations.view_mut()).unwrap();
        (0..2).for_each(|_| env.step(Array2::zeros((3, 1)).view(), buffer.view_mut()).unwrap());
        let mut masks = Array2::from_elem((3, 2), false);
        let marked = env.action_masks(masks.view_mut());
        let drawn = (env.render_ansi(2), env.render_rgb(2).map(|frame| frame.rgb));
        drop(folder);
        marked.map(|()| (masks, drawn))
    };
    let (marked, drawn) = masks("none").unwrap();
    assert_eq!(marked, array![[true, false], [true, false], [true, false]]);
    assert_eq!(drawn, (Some("2".to_owned()), Some(vec![80; 6])));
    for (fault, said) in [
        ("strange_mask", "action_mask wrote 3: expected 0 or 1"),
        ("mask_overruns", "action_mask wrote past the end of its 2 entries"),
        ("mask_fails", "action_mask failed without a message"),
    ] {
        assert_says(&masks(fault).unwrap_err(), said, fault);
    }
    // What is no picture is none.
    assert_eq!(masks("text_not_utf8").unwrap().1.0, None);
    assert_eq!(masks("huge_picture").unwrap().1.1, None);
}
