//! Every environment that Gymnasium has too: replays what `testdata/record_traces.py` recorded, in the scalar and in
//! the vector form.

use apprentice_envs::wrappers::WrapperSpec;
use apprentice_envs::{DynEnv, Element, EnvSpec, Registry, Space, StepBuffer, Value, VectorOptions, make};
use ndarray::Array2;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/traces");

#[derive(Deserialize)]
struct Trace {
    id: String,
    kwargs: Map<String, Json>,
    #[serde(default)]
    wrappers: Vec<WrapperSpec>,
    seed: u64,
    first: Json,
    steps: Vec<Recorded>,
    /// The action mask of every observation, if the environment has one.
    #[serde(default)]
    masks: Vec<String>,
}

impl Trace {
    fn spec(&self) -> EnvSpec {
        EnvSpec { kwargs: self.kwargs.clone(), wrappers: self.wrappers.clone(), ..EnvSpec::new(&self.id) }
    }

    fn at(&self, step: usize) -> String {
        format!("{} {:?} within {:?}, seed {}, step {step}", self.id, self.kwargs, self.wrappers, self.seed)
    }
}

/// [action, observation, reward, ends] and, after an end, the first observation of the next episode.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    Ended(Json, Json, f64, u8, Json),
    GoesOn(Json, Json, f64, u8),
}

impl Recorded {
    fn parts(&self) -> (&Json, &Json, f64, bool, bool, Option<&Json>) {
        let (action, observation, reward, ends, next) = match self {
            Self::Ended(action, observation, reward, ends, next) => (action, observation, reward, ends, Some(next)),
            Self::GoesOn(action, observation, reward, ends) => (action, observation, reward, ends, None),
        };
        (action, observation, *reward, ends & 1 != 0, ends & 2 != 0, next)
    }
}

fn traces() -> Vec<Trace> {
    let files = std::fs::read_dir(TRACES).unwrap().map(|entry| entry.unwrap().path());
    let text = files.map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Equal in every bit.
fn assert_same(got: &Value, expected: &Json, space: &Space, place: &dyn Fn() -> String) {
    let row = |value: &Value| {
        let mut row = vec![0.0; space.flat_dim()];
        value.write_flat(&mut row);
        row.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let expected = space.value_from_json(expected).unwrap();
    assert!(row(got) == row(&expected), "{}: {got:?} instead of {expected:?}", place());
}

#[test]
fn scalar_environments_equal_gymnasium() {
    for trace in traces() {
        let mut env = make(trace.spec()).unwrap();
        let (space, actions) = (env.observation_space().clone(), env.action_space().clone());
        let at = |step| trace.at(step);
        assert_same(&env.reset(Some(trace.seed)).unwrap(), &trace.first, &space, &|| at(0));
        for (i, recorded) in trace.steps.iter().enumerate() {
            let (action, observation, reward, terminated, truncated, next) = recorded.parts();
            let step = env.step(&actions.value_from_json(action).unwrap()).unwrap();
            assert_same(&step.observation, observation, &space, &|| at(i + 1));
            assert!(space.contains(&step.observation), "{}", at(i + 1));
            assert_eq!(step.reward.to_bits(), reward.to_bits(), "{}: {} and {reward}", at(i + 1), step.reward);
            assert_eq!((step.terminated, step.truncated), (terminated, truncated), "{}", at(i + 1));
            if let Some(next) = next {
                assert_same(&env.reset(None).unwrap(), next, &space, &|| at(i + 1));
            }
        }
    }
}

/// Gymnasium's `info["action_mask"]`.
#[test]
fn action_masks_equal_gymnasium() {
    let mut ids = BTreeSet::new();
    for trace in traces() {
        let mut env = make(trace.spec()).unwrap();
        let actions = env.action_space().clone();
        let mut masks = trace.masks.iter();
        let mut check = |env: &dyn DynEnv, step: usize| {
            let got: String = env.action_mask().iter().map(|&sensible| if sensible { '1' } else { '0' }).collect();
            let free = "1".repeat(got.len());
            let expected = if trace.masks.is_empty() { &free } else { masks.next().unwrap() };
            assert_eq!(&got, expected, "{} {:?}, seed {}, step {step}", trace.id, trace.kwargs, trace.seed);
        };
        env.reset(Some(trace.seed)).unwrap();
        check(&*env, 0);
        for (i, recorded) in trace.steps.iter().enumerate() {
            let (action, .., next) = recorded.parts();
            env.step(&actions.value_from_json(action).unwrap()).unwrap();
            check(&*env, i + 1);
            if next.is_some() {
                env.reset(None).unwrap();
                check(&*env, i + 1);
            }
        }
        assert!(masks.next().is_none());
        ids.extend((!trace.masks.is_empty()).then_some(trace.id));
    }
    assert_eq!(ids, BTreeSet::from(["Taxi-v4".to_owned()]));
}

#[test]
fn vector_environments_equal_gymnasium() {
    let registry = Registry::builtin();
    for (trace, threads) in traces().into_iter().zip([1, 2, 3].into_iter().cycle()) {
        // The environment in question is the last but one of many, so that it is neither in the first block of a native
        // form nor in the first chunk of a thread.
        let (num_envs, row) = (21, 19);
        let options = VectorOptions::new(num_envs, trace.seed.wrapping_sub(row as u64)).threads(threads);
        let mut envs = registry.make_vec_with(trace.spec(), &options).unwrap();
        let mut buffer = StepBuffer::new(&*envs);
        let (space, action_space) = (envs.observation_space().clone(), envs.action_space().clone());
        let mut actions = Array2::zeros((num_envs, action_space.flat_dim()));
        let at_row = |rows: &Array2<f32>| Value::from_flat(&rows.row(row).to_vec(), &space).unwrap();
        envs.reset(None, buffer.observations.view_mut()).unwrap();
        assert_same(&at_row(&buffer.observations), &trace.first, &space, &|| trace.id.clone());
        for (i, recorded) in trace.steps.iter().enumerate() {
            let at = || format!("{}, {threads} threads", trace.at(i + 1));
            let (action, observation, reward, terminated, truncated, next) = recorded.parts();
            let action = action_space.value_from_json(action).unwrap();
            for mut to in actions.rows_mut() {
                action.write_flat(to.as_slice_mut().unwrap());
            }
            envs.step(actions.view(), buffer.view_mut()).unwrap();
            match next {
                Some(next) => {
                    assert_same(&at_row(&buffer.final_observations), observation, &space, &at);
                    assert_same(&at_row(&buffer.observations), next, &space, &at);
                }
                None => assert_same(&at_row(&buffer.observations), observation, &space, &at),
            }
            assert_eq!(buffer.rewards[row].to_bits(), reward.to_bits(), "{}", at());
            assert_eq!((buffer.terminated[row], buffer.truncated[row]), (terminated, truncated), "{}", at());
        }
    }
}
