//! Gymnasium's normalisation, as `testdata/record_normalize.py` recorded it.
//!
//! Gymnasium keeps the statistics of observations and the returns in single precision, so its values are compared to
//! five digits and not to the last bit.

use apprentice_envs::wrappers::{Normalize, NormalizeObservation, NormalizeReward};
use apprentice_envs::{Autoreset, EnvSpec, Registry, StepBuffer, VectorEnv, VectorOptions};
use ndarray::{Array1, Array2, Array3};
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Deserialize)]
struct Batch {
    id: String,
    max_episode_steps: u32,
    autoreset: Autoreset,
    normalize: String,
    seed: u64,
    frozen_from: usize,
    actions: Vec<Vec<Vec<f32>>>,
    values: Vec<Json>,
}

fn batches() -> Vec<Batch> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/normalize.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn rows<T: for<'a> Deserialize<'a> + Clone>(json: &Json) -> Array2<T> {
    let rows: Vec<Vec<T>> = serde_json::from_value(json.clone()).unwrap();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

#[test]
fn normalisation_equals_gymnasium() {
    for batch in batches() {
        let Batch { id, max_episode_steps, autoreset, normalize, seed, frozen_from, actions, values } = batch;
        let (steps, num_envs, columns) = (actions.len(), actions[0].len(), actions[0][0].len());
        let actions = Array3::from_shape_vec((steps, num_envs, columns), actions.concat().concat()).unwrap();
        let spec = EnvSpec { max_episode_steps: Some(max_episode_steps), ..EnvSpec::new(&id) };
        let options = VectorOptions::new(num_envs, seed).autoreset(autoreset);
        let envs = Registry::builtin().make_vec_with(spec, &options).unwrap();
        let observations = normalize == "observations";
        let columns = envs.observation_space().flat_dim();
        let mut envs = Normalize::new(
            envs,
            observations.then(|| NormalizeObservation::new(columns)),
            (!observations).then(|| NormalizeReward::new(num_envs)),
        )
        .unwrap();
        let mut out = StepBuffer::new(&envs);
        envs.reset(None, out.observations.view_mut()).unwrap();
        let mut values = values.iter();
        let close = |got: f64, expected: f64| (got - expected).abs() <= 1e-5 * (1.0 + expected.abs());
        let mut compare = |out: &StepBuffer, step: usize| {
            let expected = values.next().unwrap();
            let same = match observations {
                true => {
                    let expected = rows::<f64>(expected);
                    out.observations.iter().zip(&expected).all(|(&got, &expected)| close(got.into(), expected))
                }
                false => {
                    let expected: Vec<f64> = serde_json::from_value(expected.clone()).unwrap();
                    out.rewards.iter().zip(Array1::from(expected)).all(|(&got, expected)| close(got, expected))
                }
            };
            let got = if observations { format!("{}", out.observations) } else { format!("{}", out.rewards) };
            assert!(same, "{id}, {normalize}, step {step}: {got} instead of {expected}");
        };
        if observations {
            compare(&out, 0);
        }
        for (step, actions) in actions.outer_iter().enumerate() {
            envs.freeze(step >= frozen_from);
            envs.step(actions, out.view_mut()).unwrap();
            compare(&out, step + 1);
        }
    }
}
