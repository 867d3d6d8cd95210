//! Beside these: `tests/golden` compares with Gymnasium, and `check` puts every wrapper through `check_env`.

use super::*;
use crate::{
    DynEnv, Env, EnvSpec, Error, Generator, Outcome, Pendulum, PendulumConfig, Registry, RowEnv, Rows, Space, Step,
    StepBuffer, Value, VectorOptions, make,
};
use ndarray::Array2;
use serde_json::json;

fn spec(id: &str, wrappers: serde_json::Value) -> EnvSpec {
    serde_json::from_value(json!({ "id": id, "wrappers": wrappers })).unwrap()
}

fn made(id: &str, wrappers: serde_json::Value) -> Box<dyn DynEnv> {
    make(spec(id, wrappers)).unwrap()
}

#[test]
fn a_spec_with_wrappers_survives_json_and_says_nothing_of_defaults_it_lacks() {
    let text = r#"{"id":"Pendulum-v1","kwargs":{},"wrappers":[{"type":"ClipAction"},{"type":"GaussianNoiseObservation","std":[0.1,0.1,0.5]},{"type":"ClipReward","min_reward":-1.0}]}"#;
    let spec: EnvSpec = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&spec).unwrap(), text);
    assert_eq!(serde_json::to_string(&EnvSpec::new("x")).unwrap(), r#"{"id":"x","kwargs":{}}"#);
}

/// The page has an example of every wrapper that there is, and each can be read.
#[test]
fn the_page_shows_every_wrapper() {
    let examples = PAGE.split('`').filter(|part| part.starts_with("{\"type\""));
    let shown: Vec<String> = examples
        .map(|example| {
            let wrapper: WrapperSpec = serde_json::from_str(example).unwrap_or_else(|e| panic!("{example}: {e}"));
            serde_json::to_value(wrapper).unwrap()["type"].as_str().unwrap().to_owned()
        })
        .collect();
    let error = serde_json::from_value::<WrapperSpec>(json!({ "type": "?" })).unwrap_err().to_string();
    let known: Vec<&str> = error.split('`').skip(1).step_by(2).filter(|name| *name != "?").collect();
    assert!(known.len() > 20 && known.iter().all(|name| shown.contains(&(*name).to_owned())), "{known:?}, {shown:?}");
}

#[test]
fn unknown_wrappers_and_parameters_are_refused() {
    for wrapper in [
        json!({ "type": "Sticky" }),
        json!({ "type": "ClipAction", "low": 1 }),
        json!({ "type": "TimeLimit", "max_episode_steps": 3, "steps": 4 }),
        json!({ "type": "TimeLimit" }),
        json!({ "type": "TimeLimit", "max_episode_steps": -1 }),
    ] {
        assert!(serde_json::from_value::<WrapperSpec>(wrapper.clone()).is_err(), "{wrapper}");
    }
}

#[test]
fn parameters_that_make_no_sense_are_refused_by_name() {
    for (id, wrapper, part) in [
        ("CartPole-v1", json!({ "type": "TimeLimit", "max_episode_steps": 0 }), "max_episode_steps"),
        ("CliffWalking-v1", json!({ "type": "TimeAwareObservation" }), "no time limit"),
        ("CartPole-v1", json!({ "type": "FrameStackObservation", "stack_size": 0 }), "stack_size"),
        ("CartPole-v1", json!({ "type": "FrameStackObservation", "stack_size": 1_000_000_000 }), "stack_size"),
        ("CartPole-v1", json!({ "type": "FilterObservation", "filter_keys": ["time"] }), "Dict or a Tuple"),
        ("Taxi-v4", json!({ "type": "ClipObservation", "min_obs": 0, "max_obs": 1 }), "observations of a Box"),
        ("Taxi-v4", json!({ "type": "SelectObservation", "indices": [0] }), "observations of a Box"),
        ("CartPole-v1", json!({ "type": "SelectObservation", "indices": [0, 4] }), "0 to 3"),
        ("CartPole-v1", json!({ "type": "SelectObservation", "indices": [] }), "at least one"),
        ("CartPole-v1", json!({ "type": "MultiTask", "task": 2, "observations": [4, 2], "actions": [2, 3] }), "task 2"),
        (
            "CartPole-v1",
            json!({ "type": "MultiTask", "task": 1, "observations": [4, 2], "actions": [2, 3] }),
            "4 features",
        ),
        (
            "Pendulum-v1",
            json!({ "type": "MultiTask", "task": 0, "observations": [3], "actions": [2] }),
            "DiscretizeAction",
        ),
        ("Pendulum-v1", json!({ "type": "ClipObservation", "min_obs": 1, "max_obs": 0 }), "min_obs, max_obs"),
        ("Pendulum-v1", json!({ "type": "ClipObservation", "min_obs": [0, 0], "max_obs": 0 }), "a list of 3"),
        ("CartPole-v1", json!({ "type": "RescaleObservation", "min_obs": 0, "max_obs": 1 }), "clip them first"),
        ("Pendulum-v1", json!({ "type": "RescaleObservation", "min_obs": 0, "max_obs": 1e39 }), "max_obs"),
        ("Pendulum-v1", json!({ "type": "RescaleAction", "min_action": 1, "max_action": 1 }), "min_action"),
        ("CartPole-v1", json!({ "type": "RescaleAction", "min_action": 0, "max_action": 1 }), "actions of a Box"),
        ("CartPole-v1", json!({ "type": "ClipAction" }), "actions of a Box"),
        ("Pendulum-v1", json!({ "type": "DiscretizeAction", "bins": 0 }), "bins"),
        ("Pendulum-v1", json!({ "type": "DiscretizeObservation", "bins": 1000 }), "2^24"),
        ("CartPole-v1", json!({ "type": "DiscretizeObservation", "bins": 3 }), "clip them first"),
        ("CartPole-v1", json!({ "type": "ClipObservation", "min_obs": -1e39, "max_obs": 0 }), "finite"),
        ("CartPole-v1", json!({ "type": "DelayObservation", "delay": 4_000_000_000_u32 }), "delay"),
        ("CartPole-v1", json!({ "type": "DelayAction", "delay": 10_000 }), "delay"),
        ("CartPole-v1", json!({ "type": "GaussianNoiseObservation", "std": -0.1 }), "std"),
        ("CartPole-v1", json!({ "type": "DropoutObservation", "probability": 1 }), "probability"),
        ("CartPole-v1", json!({ "type": "StickyAction", "repeat_action_probability": 1 }), "repeat_action_probability"),
        (
            "CartPole-v1",
            json!({ "type": "StickyAction", "repeat_action_probability": 0.1, "repeat_action_duration": [3, 2] }),
            "repeat_action_duration",
        ),
        ("CartPole-v1", json!({ "type": "RepeatAction", "num_repeats": 0 }), "num_repeats"),
        ("CartPole-v1", json!({ "type": "ClipReward" }), "neither"),
        ("CartPole-v1", json!({ "type": "ClipReward", "min_reward": 1, "max_reward": 0 }), "min_reward"),
    ] {
        let error = make(spec(id, json!([wrapper]))).err().expect("this should have been refused");
        let kind = wrapper["type"].as_str().unwrap();
        assert!(error.is_config() && error.to_string().contains(part), "{wrapper}: {error}");
        assert!(error.to_string().starts_with(&format!("wrapper {{\"type\":\"{kind}\"")), "{error}");
    }
    assert!(rescale::ScaleReward::new(f64::NAN, 0.0).is_err());
    let leave_out = clip::ClipReward::new(Some(f64::NEG_INFINITY), Some(1.0)).err().unwrap().to_string();
    assert!(leave_out.contains("leave out"), "{leave_out}");
}

/// No two of these are too much by themselves.
#[test]
fn what_no_memory_holds_is_refused_before_it_is_asked_for() {
    let stack = json!({ "type": "FrameStackObservation", "stack_size": 10_000 });
    for last in [stack.clone(), json!({ "type": "DelayObservation", "delay": 9_999 })] {
        let error = make(spec("CartPole-v1", json!([stack, last]))).err().unwrap().to_string();
        assert!(error.contains("2^24 numbers"), "{error}");
    }
    let bins = json!({ "type": "DiscretizeObservation", "bins": 1 << 23, "multidiscrete": true });
    let error = make(spec("Pendulum-v1", json!([bins]))).err().unwrap().to_string();
    assert!(error.contains("beyond 2^24"), "{error}");
    let clip = json!({ "type": "ClipObservation", "min_obs": -3e38, "max_obs": 3e38 });
    let bins = json!({ "type": "DiscretizeObservation", "bins": 3 });
    let error = make(spec("CartPole-v1", json!([clip, bins]))).err().unwrap().to_string();
    assert!(error.contains("apart"), "{error}");
}

/// Observes a pair: how many steps have been taken, and a switch for each bit of that.
#[derive(Clone)]
struct Counter(i64);

impl Counter {
    fn observe(&self) -> (i64, [bool; 3]) {
        (self.0, [0, 1, 2].map(|bit| self.0 >> bit & 1 == 1))
    }
}

impl Env for Counter {
    type Observation = (i64, [bool; 3]);
    type Action = i64;
    type State = i64;

    fn observation_space(&self) -> Space {
        Space::tuple([Space::discrete(8), Space::multi_binary(3)])
    }

    fn action_space(&self) -> Space {
        Space::Discrete { n: 3, start: 5 }
    }

    fn reset(&mut self, _: &mut Generator) -> (i64, [bool; 3]) {
        self.0 = 0;
        self.observe()
    }

    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<(i64, [bool; 3])> {
        self.0 += 1;
        let reward = *action as f64;
        Step { observation: self.observe(), reward, terminated: self.0 == 7, truncated: false }
    }

    fn state(&self) -> i64 {
        self.0
    }

    fn set_state(&mut self, state: i64) -> Result<(), Error> {
        self.0 = state;
        Ok(())
    }
}

/// What `Counter` within `wrappers` observes first and after each action, and the rewards.
fn run(wrappers: serde_json::Value, actions: &[f32]) -> (Space, Vec<Vec<f32>>, Vec<f64>) {
    let specs: Vec<WrapperSpec> = serde_json::from_value(wrappers).unwrap();
    let mut env = wrap(Rows::new(Counter(0)).boxed(), &specs).unwrap();
    let (mut rng, space) = (Generator::new(0), env.observation_space());
    let mut row = vec![f32::NAN; space.flat_dim()];
    env.reset(&mut rng, &mut row).unwrap();
    let (mut observations, mut rewards) = (vec![row.clone()], Vec::new());
    for action in actions {
        rewards.push(env.step(&[*action], &mut rng, &mut row).unwrap().reward);
        observations.push(row.clone());
    }
    assert!(observations.iter().all(|row| space.contains_flat(row)), "{space}: {observations:?}");
    (space, observations, rewards)
}

#[test]
fn the_parts_of_a_tuple_are_stacked_each_by_itself() {
    let (space, observations, _) = run(json!([{ "type": "FrameStackObservation", "stack_size": 2 }]), &[5.0, 5.0]);
    let switches = Space::MultiBinary { shape: vec![2, 3] };
    assert_eq!(space, Space::tuple([Space::multi_discrete(&[8, 8]), switches]));
    assert_eq!(observations[2], [1.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn the_time_is_the_last_part_of_a_tuple() {
    let limit = json!({ "type": "TimeLimit", "max_episode_steps": 4 });
    let time = json!({ "type": "TimeAwareObservation", "flatten": false, "normalize_time": true });
    let (_, observations, _) = run(json!([limit, time]), &[5.0, 6.0, 7.0]);
    assert_eq!(observations[3], [3.0, 1.0, 1.0, 0.0, 0.75]);
    let (space, observations, _) = run(json!([limit, { "type": "TimeAwareObservation" }]), &[5.0]);
    assert_eq!(space.flat_dim(), 8 + 3 + 1);
    assert_eq!(observations[1], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn parts_of_a_tuple_can_be_kept_by_place() {
    let (space, observations, _) = run(json!([{ "type": "FilterObservation", "filter_keys": [1] }]), &[5.0]);
    assert_eq!(space, Space::tuple([Space::multi_binary(3)]));
    assert_eq!(observations[1], [1.0, 0.0, 0.0]);
    for keys in [json!([]), json!([2]), json!([1, 1]), json!(["switches"])] {
        let filter = serde_json::from_value(json!({ "type": "FilterObservation", "filter_keys": keys })).unwrap();
        assert!(wrap(Rows::new(Counter(0)).boxed(), &[filter]).is_err(), "{keys}");
    }
}

/// The second of two tasks: its features behind those of the first, its choices likewise, and no others allowed.
#[test]
fn each_task_has_inputs_and_choices_of_its_own() {
    let task = json!({ "type": "MultiTask", "task": 1, "observations": [2, 11], "actions": [4, 3] });
    let (space, observations, rewards) = run(json!([task]), &[4.0, 6.0, 0.0]);
    assert_eq!(space.flat_dim(), 2 + 2 + 11);
    assert_eq!(observations[2], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(rewards, [5.0, 7.0, 5.0], "another task's choice becomes the nearest of its own");
    let env = wrap(Rows::new(Counter(0)).boxed(), &[serde_json::from_value(task).unwrap()]).unwrap();
    let mut mask = [true; 7];
    env.action_mask(&mut mask);
    assert_eq!(mask, [false, false, false, false, true, true, true]);
}

#[test]
fn delayed_actions_begin_with_the_smallest() {
    let (_, _, rewards) = run(json!([{ "type": "DelayAction", "delay": 2 }]), &[7.0, 6.0, 5.0, 5.0]);
    assert_eq!(rewards, [5.0, 5.0, 7.0, 6.0]);
}

#[test]
fn rewards_are_scaled_and_shifted() {
    let (_, _, rewards) = run(json!([{ "type": "ScaleReward", "scale": 0.5, "shift": -1 }]), &[7.0, 6.0]);
    assert_eq!(rewards, [2.5, 2.0]);
}

#[test]
fn noise_has_the_standard_deviation_that_was_asked_for_and_no_bounds() {
    let noise = json!({ "type": "GaussianNoiseObservation", "std": [0.5, 0, 2] });
    let (mut env, mut twin) = (made("Pendulum-v1", json!([noise])), made("Pendulum-v1", json!([])));
    let Space::Box { low, .. } = env.observation_space() else { panic!("not a Box") };
    assert_eq!(low[..], [f32::NEG_INFINITY, -1.0, f32::NEG_INFINITY]);
    let mut squares = [0.0; 3];
    for seed in 0..2000 {
        let (Value::Box(seen), Value::Box(real)) = (env.reset(Some(seed)).unwrap(), twin.reset(Some(seed)).unwrap())
        else {
            panic!("not rows")
        };
        for i in 0..3 {
            squares[i] += f64::from(seen[i] - real[i]).powi(2) / 2000.0;
        }
    }
    assert!((squares[0].sqrt() - 0.5).abs() < 0.03 && squares[1] == 0.0, "{squares:?}");
    assert!((squares[2].sqrt() - 2.0).abs() < 0.12, "{squares:?}");
}

#[test]
fn dropout_takes_its_share() {
    let mut env = made("Pendulum-v1", json!([{ "type": "DropoutObservation", "probability": 0.2 }]));
    let zeros = |seed| match env.reset(Some(seed)).unwrap() {
        Value::Box(row) => row.iter().filter(|&&x| x == 0.0).count(),
        _ => panic!("not a row"),
    };
    let share = (0..2000).map(zeros).sum::<usize>() as f64 / 6000.0;
    assert!((share - 0.2).abs() < 0.02, "{share}");
}

/// Noise takes observations out of the bounds, and a clip takes them back in.
#[test]
fn a_clip_bounds_what_has_no_bounds() {
    let clip = json!({ "type": "ClipObservation", "min_obs": [-3, -2, -0.3, -2], "max_obs": [3, 2, 0.3, 2] });
    let env = made("CartPole-v1", json!([clip]));
    assert_eq!(*env.observation_space(), Space::bounded(&[-3.0, -2.0, -0.3, -2.0], &[3.0, 2.0, 0.3, 2.0]));
}

#[test]
fn functions_make_wrappers() {
    let pendulum = Rows::new(Pendulum::new(PendulumConfig::default()).unwrap()).boxed();
    let three = TransformAction::new(Space::discrete(3), |action: &[f32], to: &mut [f32]| to[0] = action[0] - 1.0);
    let env = Wrapped::new(pendulum, three).boxed();
    let env = Wrapped::new(env, TransformReward(|reward: f64| reward + 20.0)).boxed();
    let high = Space::bounded(&[-1.0], &[1.0]);
    let height = TransformObservation::new(high, |all: &[f32], to: &mut [f32]| to.copy_from_slice(&all[..1]));
    let mut env = Wrapped::new(env, height);
    let (mut rng, mut row) = (Generator::new(3), [f32::NAN]);
    env.reset(&mut rng, &mut row).unwrap();
    let Outcome { reward, .. } = env.step(&[2.0], &mut rng, &mut row).unwrap();
    assert!(env.observation_space().contains_flat(&row) && reward > 0.0, "{row:?}, {reward}");
    assert_eq!(env.action_space(), Space::discrete(3));
}

/// Each environment of a batch has parameters of its own within the same wrappers.
#[test]
fn wrappers_go_with_parameters_of_each_environment() {
    let registry = Registry::builtin();
    let stack = || spec("CartPole-v1", json!([{ "type": "FrameStackObservation", "stack_size": 2 }]));
    let options = VectorOptions::new(3, 7).randomize("length", 0.2, 0.9).threads(2);
    let mut envs = registry.make_vec_with(stack(), &options).unwrap();
    let mut out = StepBuffer::new(&*envs);
    envs.reset(None, out.observations.view_mut()).unwrap();
    envs.step(Array2::ones((3, 1)).view(), out.view_mut()).unwrap();
    for (i, kwargs) in options.each.iter().enumerate() {
        let mut single = registry.make(EnvSpec { kwargs: kwargs.clone(), ..stack() }).unwrap();
        single.reset(Some(7 + i as u64)).unwrap();
        let step = single.step(&Value::Discrete(1)).unwrap();
        assert_eq!(Value::Box(out.observations.row(i).to_vec()), step.observation);
    }
}

/// Of every wrapper a state that it can go on from, and none that it cannot.
#[test]
fn damaged_states_are_refused_or_harmless() {
    let all = json!([
        { "type": "StickyAction", "repeat_action_probability": 0.5, "repeat_action_duration": [1, 4] },
        { "type": "DelayAction", "delay": 2 },
        { "type": "FrameStackObservation", "stack_size": 2 },
        { "type": "TimeAwareObservation" },
        { "type": "DelayObservation", "delay": 2 },
        { "type": "TimeLimit", "max_episode_steps": 20 },
    ]);
    let mut specs: Vec<WrapperSpec> = serde_json::from_value(all).unwrap();
    specs.insert(0, WrapperSpec::TimeLimit { max_episode_steps: 30 });
    let mut env = wrap(Rows::new(Counter(0)).boxed(), &specs).unwrap();
    let (mut rng, mut row) = (Generator::new(0), vec![0.0; env.observation_space().flat_dim()]);
    env.reset(&mut rng, &mut row).unwrap();
    for _ in 0..4 {
        env.step(&[6.0], &mut rng, &mut row).unwrap();
    }
    let state = env.save();
    let mut refused = 0;
    for i in 0..state.len() {
        for bit in 0..8 {
            let (mut damaged, mut twin) = (state.clone(), env.clone());
            damaged[i] ^= 1 << bit;
            match twin.load(&damaged) {
                Ok(()) => drop(twin.step(&[6.0], &mut rng, &mut row).unwrap()),
                Err(error) => {
                    refused += 1;
                    assert!(error.is_snapshot(), "{error}");
                    assert_eq!(twin.save(), state, "a state that is refused changes nothing");
                }
            }
        }
        assert!(env.clone().load(&state[..i]).is_err(), "{i} bytes");
    }
    assert!(refused > state.len(), "{refused} of {} damaged states were noticed", 8 * state.len());
}
