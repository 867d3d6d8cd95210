//! Running a policy: one observation in, one action out, no allocation.

use crate::{Dense, Error, Features, Policy, argmax, log_softmax, sample};
use std::hint::black_box;
use std::time::Instant;

/// A policy with the working memory to run it.
#[derive(Clone, Debug)]
pub struct Runner<'a> {
    policy: &'a Policy,
    /// Two rows, each as long as the widest layer; they take turns as input and output of a layer.
    input: Vec<f32>,
    output: Vec<f32>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(policy: &'a Policy) -> Self {
        let outputs = policy.layers().iter().map(|layer| layer.outputs());
        let widest = outputs.chain([policy.header().observation.len()]).max().unwrap_or(0);
        Self { policy, input: vec![0.0; widest], output: vec![0.0; widest] }
    }

    /// The outputs of the last layer, one an action.
    ///
    /// `observation` holds the values of a `Box` observation, or the one integer of a discrete one.
    ///
    /// # Errors
    /// If the observation has the wrong length or is not one of the integers, or if an output is not finite, as after
    /// a NaN in the observation.
    pub fn logits(&mut self, observation: &[f32]) -> Result<&[f32], Error> {
        self.write_features(observation)?;
        let mut width = self.policy.header().observation.len();
        for layer in self.policy.layers() {
            let dense = Dense { weight: &layer.weight, bias: &layer.bias, activation: layer.activation };
            dense.forward(&self.input[..width], &mut self.output[..layer.outputs()]);
            width = layer.outputs();
            std::mem::swap(&mut self.input, &mut self.output);
        }
        let logits = &self.input[..width];
        if !logits.iter().all(|logit| logit.is_finite()) {
            return Err(Error::shape(format!(
                "observation: expected values that give finite outputs, got {observation:?}; look for NaN and infinity"
            )));
        }
        Ok(logits)
    }

    /// Writes ln π(a | observation) of every action a into `log_probabilities`.
    ///
    /// # Errors
    /// As [`logits`](Self::logits), and if there are not as many places as actions.
    pub fn log_probabilities(&mut self, observation: &[f32], log_probabilities: &mut [f32]) -> Result<(), Error> {
        let logits = self.logits(observation)?;
        if log_probabilities.len() != logits.len() {
            return Err(Error::shape(format!(
                "log_probabilities: expected room for {} actions, got {}",
                logits.len(),
                log_probabilities.len()
            )));
        }
        log_softmax(logits, log_probabilities);
        Ok(())
    }

    /// The most probable action, counted from 0; the first of equals.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub fn act(&mut self, observation: &[f32]) -> Result<usize, Error> {
        self.logits(observation).map(argmax)
    }

    /// An action drawn from the policy's distribution, counted from 0. `uniform` is a draw from [0, 1).
    ///
    /// # Errors
    /// As [`logits`](Self::logits), and if `uniform` is outside [0, 1).
    pub fn sample(&mut self, observation: &[f32], uniform: f64) -> Result<usize, Error> {
        if !(0.0..1.0).contains(&uniform) {
            return Err(Error::shape(format!("uniform: expected a draw from [0, 1), got {uniform}; draw it anew")));
        }
        Ok(sample(self.logits(observation)?, uniform))
    }

    fn write_features(&mut self, observation: &[f32]) -> Result<(), Error> {
        let header = self.policy.header();
        let features = &mut self.input[..header.observation.len()];
        match header.observation {
            Features::Box { len } => {
                if observation.len() != len {
                    return Err(Error::shape(format!(
                        "observation: expected {len} values, got {}; give what {} returns",
                        observation.len(),
                        header.environment.id
                    )));
                }
                features.copy_from_slice(observation);
            }
            Features::OneHot { n } => {
                let index = match observation {
                    [x] if x.fract() == 0.0 && (0.0..n as f32).contains(x) => *x as usize,
                    _ => {
                        return Err(Error::shape(format!(
                            "observation: expected one integer of 0 to {}, got {observation:?}",
                            n - 1
                        )));
                    }
                };
                features.fill(0.0);
                features[index] = 1.0;
            }
        }
        if let Some(normalizer) = &header.normalizer {
            for ((x, mean), std) in features.iter_mut().zip(&normalizer.mean).zip(&normalizer.std) {
                *x = ((*x - mean) / std).clamp(-normalizer.clip, normalizer.clip);
            }
        }
        Ok(())
    }
}

/// Nanoseconds that [`Runner::act`] takes here, for one observation at a time: the median of 31 batches, about 30 ms
/// in all.
pub fn ns_per_action(policy: &Policy) -> f64 {
    let mut runner = policy.runner();
    let observations: Vec<Vec<f32>> = (0..64)
        .map(|i| match policy.header().observation {
            Features::Box { len } => (0..len).map(|j| ((i * 7 + j * 13) % 64) as f32 / 32.0 - 1.0).collect(),
            Features::OneHot { n } => vec![(i % n) as f32],
        })
        .collect();
    let mut batch = |passes: u32| {
        let started = Instant::now();
        for _ in 0..passes {
            for observation in &observations {
                black_box(runner.act(black_box(observation)).ok());
            }
        }
        started.elapsed().as_nanos() as f64 / (f64::from(passes) * observations.len() as f64)
    };
    let warm = batch(20).max(1.0);
    let passes = (1e6 / (warm * observations.len() as f64)).clamp(1.0, 1e5) as u32;
    let mut times: Vec<f64> = (0..31).map(|_| batch(passes)).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Action, Activation, EnvironmentRef, Header, Layer, Normalizer, Provenance};

    fn header(observation: Features, n: usize, normalizer: Option<Normalizer>) -> Header {
        Header {
            environment: EnvironmentRef {
                id: "Test-v0".into(),
                kwargs: serde_json::json!({}),
                max_episode_steps: None,
                wrappers: serde_json::Value::Null,
            },
            observation,
            normalizer,
            action: Action::Discrete { n, start: 0 },
            provenance: Provenance {
                role: "teacher".into(),
                algorithm: "none".into(),
                seed: 0,
                train_steps: 0,
                version: "0".into(),
                config: serde_json::Value::Null,
                teacher: None,
            },
        }
    }

    /// Weights in (−1, 1) from a linear congruential generator, the same ones for ever.
    fn layers(sizes: &[usize]) -> Vec<Layer> {
        let mut state = 1_u32;
        let mut draw = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let last = sizes.len() - 2;
        let layer = |(i, pair): (usize, &[usize])| Layer {
            weight: (0..pair[0] * pair[1]).map(|_| draw()).collect(),
            bias: (0..pair[1]).map(|_| draw()).collect(),
            activation: if i < last { Activation::Tanh } else { Activation::Identity },
        };
        sizes.windows(2).enumerate().map(layer).collect()
    }

    pub(crate) fn policy() -> Policy {
        let normalizer = Normalizer { mean: vec![0.5, -0.5, 0.0], std: vec![2.0, 1.0, 0.25], clip: 5.0 };
        Policy::new(header(Features::Box { len: 3 }, 2, Some(normalizer)), layers(&[3, 4, 2])).unwrap()
    }

    #[test]
    fn the_bits_are_the_same_everywhere() {
        let policy = policy();
        let bits: Vec<u32> =
            policy.runner().logits(&[0.3, -1.0, 2.0]).unwrap().iter().map(|logit| logit.to_bits()).collect();
        assert_eq!(bits, [0xbf1d_36fe, 0x3fca_19cc], "{bits:x?}");
    }

    #[test]
    fn the_normalizer_is_part_of_the_policy() {
        let with = policy();
        let without = Policy::new(header(Features::Box { len: 3 }, 2, None), with.layers().to_vec()).unwrap();
        let normalized = [(0.3 - 0.5) / 2.0, (-1.0 + 0.5) / 1.0, 5.0];
        assert_eq!(with.runner().logits(&[0.3, -1.0, 2.0]).unwrap(), without.runner().logits(&normalized).unwrap());
    }

    #[test]
    fn a_discrete_observation_picks_a_row() {
        let policy = Policy::new(header(Features::OneHot { n: 3 }, 2, None), layers(&[3, 2])).unwrap();
        let layer = &policy.layers()[0];
        let expected = [layer.weight[4] + layer.bias[0], layer.weight[5] + layer.bias[1]];
        assert_eq!(policy.runner().logits(&[2.0]).unwrap(), expected);
        for wrong in [&[3.0][..], &[-1.0], &[0.5], &[f32::NAN], &[], &[0.0, 0.0]] {
            assert!(policy.runner().logits(wrong).unwrap_err().is_shape(), "{wrong:?}");
        }
    }

    #[test]
    fn probabilities_sum_to_one_and_samples_follow_them() {
        let policy = policy();
        let mut runner = policy.runner();
        let observation = [0.3, -1.0, 2.0];
        let mut log_probabilities = [0.0; 2];
        runner.log_probabilities(&observation, &mut log_probabilities).unwrap();
        let [p, q] = log_probabilities.map(|l| f64::from(l).exp());
        assert!((p + q - 1.0).abs() < 1e-6);
        let zeros = (0..1000).filter(|i| runner.sample(&observation, (f64::from(*i) + 0.5) / 1000.0).unwrap() == 0);
        assert!((zeros.count() as f64 / 1000.0 - p).abs() < 2e-3);
        assert_eq!(runner.sample(&observation, 1.0 - f64::EPSILON / 2.0).unwrap(), 1);
        assert!(runner.log_probabilities(&observation, &mut [0.0; 3]).unwrap_err().is_shape());
        assert!(runner.act(&[0.0]).unwrap_err().is_shape());
        assert!(runner.act(&[0.0, f32::NAN, 0.0]).unwrap_err().is_shape());
        for wrong in [-0.1, 1.0, f64::NAN] {
            assert!(runner.sample(&observation, wrong).unwrap_err().is_shape());
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let of = |observation, n, layers| Policy::new(header(observation, n, None), layers);
        let box3 = Features::Box { len: 3 };
        assert!(of(box3, 2, layers(&[3, 4, 2])).is_ok());
        assert!(of(box3, 3, layers(&[3, 4, 2])).unwrap_err().is_shape());
        assert!(of(Features::Box { len: 4 }, 2, layers(&[3, 4, 2])).unwrap_err().is_shape());
        assert!(of(box3, 2, vec![]).unwrap_err().is_shape());
        let mut broken = layers(&[3, 4, 2]);
        broken[1].weight[0] = f32::NAN;
        assert!(of(box3, 2, broken).unwrap_err().is_shape());
        let normalizer = Normalizer { mean: vec![0.0; 3], std: vec![1.0, 0.0, 1.0], clip: 1.0 };
        let header = header(box3, 2, Some(normalizer));
        assert!(Policy::new(header, layers(&[3, 4, 2])).unwrap_err().is_shape());
    }

    #[test]
    fn sizes_are_counted() {
        let policy = Policy::new(header(Features::Box { len: 4 }, 2, None), layers(&[4, 64, 64, 2])).unwrap();
        assert_eq!((policy.parameters(), policy.macs()), (4610, 4 * 64 + 64 * 64 + 64 * 2));
        println!("4-64-64-2: {:.0} ns an action", ns_per_action(&policy));
    }
}
