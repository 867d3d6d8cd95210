//! Small policies of every kind, for tests.

use crate::*;

pub(crate) fn header(observation: Features, n: usize, normalizer: Option<Normalizer>) -> Header {
    acting(observation, Action::Discrete { n, start: 0 }, normalizer)
}

pub(crate) fn acting(observation: Features, action: Action, normalizer: Option<Normalizer>) -> Header {
    Header {
        environment: EnvironmentRef {
            id: "Test-v0".into(),
            kwargs: serde_json::json!({}),
            max_episode_steps: None,
            wrappers: serde_json::Value::Null,
        },
        observation,
        normalizer,
        action,
        masked: false,
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
pub(crate) fn layers(sizes: &[usize]) -> Vec<Layer> {
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

/// Asks for x₀ ≤ 0.5, then for x₁ ≤ −1.
pub(crate) fn tree_policy() -> Policy {
    let splits = vec![
        Split { feature: 0, threshold: 0.5, left: Child::Split(1), right: Child::Leaf(2) },
        Split { feature: 1, threshold: -1.0, left: Child::Leaf(0), right: Child::Leaf(1) },
    ];
    let tree = Tree { splits, leaves: vec![0.0, -1.0, -2.0, -0.1, -0.7, -0.6] };
    Policy::new(header(Features::Box { len: 3 }, 2, None), tree).unwrap()
}

/// A cell of `units` units and layers behind it.
pub(crate) fn gru(features: usize, units: usize, rest: &[usize]) -> Gru {
    let [x, h] = [[features, 3 * units], [units, 3 * units]].map(|sizes| layers(&sizes).remove(0));
    let cell = GruCell { weight_x: x.weight, bias_x: x.bias, weight_h: h.weight, bias_h: h.bias };
    Gru { cell, layers: layers(&[&[units], rest].concat()) }
}

pub(crate) fn gru_policy() -> Policy {
    let normalizer = Normalizer { mean: vec![0.5, -0.5, 0.0], std: vec![2.0, 1.0, 0.25], clip: 5.0 };
    Policy::new(header(Features::Box { len: 3 }, 2, Some(normalizer)), gru(3, 2, &[4, 2])).unwrap()
}

/// [`policy`] in integers.
pub(crate) fn int8_policy() -> Policy {
    let observations: Vec<Vec<f32>> = (0..100).map(|i| vec![i as f32 / 50.0 - 1.0, i as f32 / 25.0, -0.3]).collect();
    policy().to_int8(&observations).unwrap()
}
