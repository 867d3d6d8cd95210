//! The example in C does everything that a built-in environment does, by the same physics.

use crate::built::cartpole;
use apprentice_envs::{Autoreset, EnvSpec, Registry, Snapshot, Space, StepBuffer, Value, VectorEnv, VectorOptions};
use ndarray::Array2;

const ID: &str = "c/CartPole-v1";

fn registry() -> (tempfile::TempDir, Registry) {
    let (folder, plugin) = cartpole();
    let mut registry = Registry::builtin();
    assert_eq!(apprentice_plugins::load(&plugin, &mut registry).unwrap(), [ID]);
    (folder, registry)
}

/// What `steps` steps with a fixed pattern of actions give: observations, rewards, terminated, truncated.
fn run(env: &mut dyn VectorEnv, steps: usize) -> Vec<StepBuffer> {
    let mut buffer = StepBuffer::new(env);
    env.reset(None, buffer.observations.view_mut()).unwrap();
    let mut all = vec![buffer.clone()];
    for t in 0..steps {
        let actions = Array2::from_shape_fn((env.num_envs(), 1), |(i, _)| ((t * 7 + i * 3) % 5 % 2) as f32);
        // The mode in which the caller resets: every environment whose episode has ended.
        if env.autoreset() == Autoreset::Disabled {
            let ended: Vec<bool> = buffer.terminated.iter().zip(&buffer.truncated).map(|(a, b)| *a | *b).collect();
            env.reset_where(ended[..].into(), None, buffer.observations.view_mut()).unwrap();
        }
        env.step(actions.view(), buffer.view_mut()).unwrap();
        all.push(buffer.clone());
    }
    all
}

#[test]
fn it_is_listed_with_what_it_says_of_itself() {
    let (_folder, registry) = registry();
    let info = registry.info(ID).unwrap();
    assert_eq!((info.max_episode_steps, info.reward_threshold), (Some(500), Some(475.0)));
    assert!(info.page.starts_with("# c/CartPole-v1"));
    let (mine, builtin) = (registry.make(ID).unwrap(), registry.make("CartPole-v1").unwrap());
    assert_eq!(mine.observation_space(), builtin.observation_space());
    assert_eq!(mine.action_space(), &Space::discrete(2));
}

/// From the same state, the same actions lead to the same states up to the last bits of the sine.
#[test]
fn its_physics_are_those_of_the_built_in() {
    let (_folder, registry) = registry();
    for (gravity, length) in [(9.8, 0.5), (1.62, 0.9)] {
        let make = |id: &str| registry.make(EnvSpec::new(id).with("gravity", gravity).with("length", length)).unwrap();
        let (mut mine, mut builtin) = (make(ID), make("CartPole-v1"));
        let mut compared = 0;
        for seed in 0..20 {
            builtin.reset(Some(seed)).unwrap();
            mine.reset(Some(seed)).unwrap();
            // Put the plugin's environment into the built-in one's state: both are four doubles.
            let state = state(&builtin.snapshot());
            let bytes = with_state(&mine.snapshot(), state);
            mine.restore(&bytes).unwrap();
            for t in 0..200 {
                let action = Value::Discrete((t / 3 + seed as i64) % 2);
                let (a, b) = (mine.step(&action).unwrap(), builtin.step(&action).unwrap());
                let (Value::Box(x), Value::Box(y)) = (&a.observation, &b.observation) else { unreachable!() };
                assert!(x.iter().zip(y).all(|(x, y)| (x - y).abs() <= 1e-6 * y.abs().max(1e-3)), "{x:?} {y:?}");
                assert_eq!((a.reward, a.terminated, a.truncated), (b.reward, b.terminated, b.truncated));
                compared += 1;
                if a.done() {
                    break;
                }
            }
        }
        assert!(compared > 200);
    }
}

/// The four doubles of a snapshot of the built-in.
fn state(snapshot: &Snapshot) -> [u8; 32] {
    let json = serde_json::to_value(snapshot).unwrap();
    let bytes: Vec<u8> = serde_json::from_value(json["episodes"][0]["state"].clone()).unwrap();
    bytes.try_into().unwrap()
}

/// A snapshot of the plugin's with other doubles; through JSON, since a snapshot's bytes carry a checksum.
fn with_state(snapshot: &Snapshot, state: [u8; 32]) -> Snapshot {
    let mut json = serde_json::to_value(snapshot).unwrap();
    let bytes = json["episodes"][0]["state"].as_array_mut().unwrap();
    let at = bytes.len() - 32;
    bytes.truncate(at);
    bytes.extend(state.iter().map(|&b| b.into()));
    serde_json::from_value(json).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_episodes_alone_in_batches_and_on_threads() {
    let (_folder, registry) = registry();
    let (n, seed) = (9, 40);
    for autoreset in [Autoreset::SameStep, Autoreset::NextStep, Autoreset::Disabled] {
        let make = |threads| {
            let options = VectorOptions::new(n, seed).autoreset(autoreset).threads(threads);
            registry.make_vec_with(ID, &options).unwrap()
        };
        let expected = run(&mut *make(1), 300);
        assert_eq!(expected, run(&mut *make(1), 300));
        assert_eq!(expected, run(&mut *make(4), 300));
        let ends = expected.iter().flat_map(|buffer| &buffer.terminated).filter(|ended| **ended).count();
        assert!(ends > 50, "{ends}");
    }
    // The scalar form against the batch.
    let expected = run(&mut *registry.make_vec(ID, n, seed).unwrap(), 300);
    for i in 0..n {
        let mut env = registry.make(ID).unwrap();
        let row = |t: usize| Value::Box(expected[t].observations.row(i).to_vec());
        assert_eq!(env.reset(Some(seed + i as u64)).unwrap(), row(0));
        for t in 0..300 {
            let step = env.step(&Value::Discrete(((t * 7 + i * 3) % 5 % 2) as i64)).unwrap();
            assert_eq!(step.terminated, expected[t + 1].terminated[i]);
            match step.done() {
                true => assert_eq!(env.reset(None).unwrap(), row(t + 1)),
                false => assert_eq!(step.observation, row(t + 1)),
            }
        }
    }
}

#[test]
fn a_snapshot_goes_on_in_another_batch_and_alone() {
    let (_folder, registry) = registry();
    let mut env = registry.make_vec(ID, 5, 1).unwrap();
    run(&mut *env, 40);
    let snapshot = Snapshot::from_bytes(&env.snapshot().to_bytes()).unwrap();
    let go_on = |env: &mut dyn VectorEnv| {
        let mut buffer = StepBuffer::new(env);
        let actions = Array2::from_shape_fn((5, 1), |(i, _)| (i % 2) as f32);
        (0..60).for_each(|_| env.step(actions.view(), buffer.view_mut()).unwrap());
        buffer
    };
    let expected = go_on(&mut *env);
    let mut other = registry.make_vec_with(ID, &VectorOptions::new(5, 77).threads(2)).unwrap();
    other.restore(&snapshot).unwrap();
    assert_eq!(go_on(&mut *other), expected);

    let mut alone = registry.make(ID).unwrap();
    alone.restore(&snapshot.single(3).unwrap()).unwrap();
    let twin = alone.snapshot();
    let step = alone.step(&Value::Discrete(1)).unwrap();
    alone.restore(&twin).unwrap();
    assert_eq!(alone.step(&Value::Discrete(1)).unwrap(), step);
    // A batch that has not been reset has a snapshot too.
    let mut fresh = registry.make_vec(ID, 5, 1).unwrap();
    let snapshot = fresh.snapshot();
    fresh.restore(&snapshot).unwrap();
}

#[test]
fn parameters_may_differ_within_a_batch() {
    let (_folder, registry) = registry();
    let options = VectorOptions::new(6, 3).randomize("length", 0.3, 0.9);
    let each = options.each.clone();
    let together = run(&mut *registry.make_vec_with(ID, &options).unwrap(), 30);
    for (i, kwargs) in each.into_iter().enumerate() {
        let spec = EnvSpec { kwargs, ..EnvSpec::new(ID) };
        let mut alone = registry.make(spec).unwrap();
        alone.reset(Some(3 + i as u64)).unwrap();
        for t in 0..5 {
            let step = alone.step(&Value::Discrete(((t * 7 + i * 3) % 5 % 2) as i64)).unwrap();
            assert_eq!(step.observation, Value::Box(together[t + 1].observations.row(i).to_vec()));
        }
    }
}

#[test]
fn bad_parameters_and_states_are_refused_by_name() {
    let (folder, registry) = registry();
    for (parameter, value, said) in [
        ("gravitas", serde_json::json!(1.0), "unknown parameter gravitas"),
        ("gravity", serde_json::json!("low"), "gravity: expected a number"),
        ("length", serde_json::json!(-1.0), "length: expected a positive number"),
        ("Ä", serde_json::json!(1), "expected an object of numbers"),
    ] {
        let error = registry.make(EnvSpec::new(ID).with(parameter, value)).err().unwrap();
        let named = error.to_string().contains(folder.path().to_str().unwrap()) && error.to_string().contains(ID);
        assert!(error.is_config() && named && error.to_string().contains(said), "{error}");
    }
    let mut mine = registry.make(ID).unwrap();
    mine.reset(Some(0)).unwrap();
    let before = mine.snapshot();
    let mut builtin = registry.make("CartPole-v1").unwrap();
    builtin.reset(Some(0)).unwrap();
    assert!(mine.restore(&builtin.snapshot()).unwrap_err().is_snapshot());
    let error = mine.restore(&with_state(&before, [0xff; 32])).unwrap_err();
    assert!(error.is_snapshot() && error.to_string().contains("the state is not finite"), "{error}");
    assert_eq!(mine.snapshot(), before);
}

#[test]
fn an_id_is_not_taken_twice() {
    let (folder, mut registry) = registry();
    let error = apprentice_plugins::load(&folder.path().join("cartpole.so"), &mut registry).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("the id c/CartPole-v1 is taken"), "{error}");
}

/// The library stays as long as an environment needs it.
#[test]
fn environments_outlive_the_registry() {
    let (folder, registry) = registry();
    let mut env = registry.make_vec(ID, 3, 0).unwrap();
    drop((registry, folder));
    run(&mut *env, 50);
}
