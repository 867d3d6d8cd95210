//! Every environment that Gymnasium has too: replays what `testdata/record_traces.py` recorded, in the scalar and in
//! the vector form.

use apprentice_envs::{EnvSpec, Space, StepBuffer, Value, make, make_vec};
use ndarray::Array2;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/traces");

#[derive(Deserialize)]
struct Trace {
    id: String,
    kwargs: Map<String, Json>,
    seed: u64,
    first: Value,
    steps: Vec<Recorded>,
}

/// [action, observation, reward, ends] and, after an end, the first observation of the next episode.
#[derive(Deserialize)]
#[serde(untagged)]
enum Recorded {
    Ended(Value, Value, f64, u8, Value),
    GoesOn(Value, Value, f64, u8),
}

impl Recorded {
    fn parts(&self) -> (&Value, &Value, f64, bool, bool, Option<&Value>) {
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
fn assert_same(got: &Value, expected: &Value, place: &dyn Fn() -> String) {
    let same = match (got, expected) {
        (Value::Box(got), Value::Box(expected)) => {
            got.len() == expected.len() && got.iter().zip(expected).all(|(g, e)| g.to_bits() == e.to_bits())
        }
        _ => got == expected,
    };
    assert!(same, "{}: {got:?} instead of {expected:?}", place());
}

#[test]
fn scalar_environments_equal_gymnasium() {
    for trace in traces() {
        let spec = EnvSpec { kwargs: trace.kwargs.clone(), ..EnvSpec::new(&trace.id) };
        let mut env = make(spec).unwrap();
        let at = |step: usize| format!("{} {:?}, seed {}, step {step}", trace.id, trace.kwargs, trace.seed);
        assert_same(&env.reset(Some(trace.seed)), &trace.first, &|| at(0));
        for (i, recorded) in trace.steps.iter().enumerate() {
            let (action, observation, reward, terminated, truncated, next) = recorded.parts();
            let step = env.step(action).unwrap();
            assert_same(&step.observation, observation, &|| at(i + 1));
            assert!(env.observation_space().contains(&step.observation), "{}", at(i + 1));
            assert_eq!(step.reward.to_bits(), reward.to_bits(), "{}: {} and {reward}", at(i + 1), step.reward);
            assert_eq!((step.terminated, step.truncated), (terminated, truncated), "{}", at(i + 1));
            if let Some(next) = next {
                assert_same(&env.reset(None), next, &|| at(i + 1));
            }
        }
    }
}

#[test]
fn vector_environments_equal_gymnasium() {
    for trace in traces() {
        let spec = EnvSpec { kwargs: trace.kwargs.clone(), ..EnvSpec::new(&trace.id) };
        // The environment in question is the second of three.
        let mut envs = make_vec(spec, 3, trace.seed.wrapping_sub(1)).unwrap();
        let mut buffer = StepBuffer::new(&*envs);
        let space = envs.observation_space().clone();
        let mut actions = Array2::zeros((3, envs.action_space().flat_dim()));
        let row = |values: &Array2<f32>| match &space {
            Space::Box { .. } => Value::Box(values.row(1).to_vec()),
            _ => Value::Discrete(values[[1, 0]] as i64),
        };
        envs.reset(None, buffer.observations.view_mut()).unwrap();
        assert_same(&row(&buffer.observations), &trace.first, &|| trace.id.clone());
        for (i, recorded) in trace.steps.iter().enumerate() {
            let at = || format!("{} {:?}, seed {}, step {i}", trace.id, trace.kwargs, trace.seed);
            let (action, observation, reward, terminated, truncated, next) = recorded.parts();
            for mut to in actions.rows_mut() {
                match action {
                    Value::Discrete(element) => to[0] = *element as f32,
                    Value::Box(values) => to.iter_mut().zip(values).for_each(|(to, x)| *to = *x),
                }
            }
            envs.step(actions.view(), buffer.view_mut()).unwrap();
            match next {
                Some(next) => {
                    assert_same(&row(&buffer.final_observations), observation, &at);
                    assert_same(&row(&buffer.observations), next, &at);
                }
                None => assert_same(&row(&buffer.observations), observation, &at),
            }
            assert_eq!(buffer.rewards[1].to_bits(), reward.to_bits(), "{}", at());
            assert_eq!((buffer.terminated[1], buffer.truncated[1]), (terminated, truncated), "{}", at());
        }
    }
}
