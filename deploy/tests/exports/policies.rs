//! Policies to try exporters with.

use apprentice_deploy::{
    Action, Activation, Body, Bounding, Child, EnvironmentRef, Features, Gru, GruCell, Header, Input, Layer,
    Normalizer, Policy, Provenance, Split, Tree,
};

/// A linear congruential generator, the same numbers for ever.
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    /// From [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn real(&mut self, scale: f64) -> f32 {
        ((2.0 * self.uniform() - 1.0) * scale) as f32
    }
}

fn header(observation: Features, action: Action, normalizer: Option<Normalizer>, masked: bool) -> Header {
    let environment = EnvironmentRef {
        id: "Test-v0".into(),
        kwargs: serde_json::Value::Null,
        max_episode_steps: None,
        wrappers: serde_json::Value::Null,
    };
    let provenance = Provenance {
        role: "student".into(),
        algorithm: "none".into(),
        seed: 0,
        train_steps: 0,
        version: "0".into(),
        config: serde_json::Value::Null,
        teacher: None,
    };
    Header { environment, observation, normalizer, action, masked, provenance }
}

fn layers(sizes: &[usize], activation: Activation) -> Vec<Layer> {
    let mut draws = Draws(3);
    let last = sizes.len() - 2;
    let layer = |(i, pair): (usize, &[usize])| Layer {
        weight: (0..pair[0] * pair[1]).map(|_| draws.real(1.0)).collect(),
        bias: (0..pair[1]).map(|_| draws.real(1.0)).collect(),
        activation: if i < last { activation } else { Activation::Identity },
    };
    sizes.windows(2).enumerate().map(layer).collect()
}

/// From so many features by a cell of so many units and layers from there on.
fn gru(features: usize, sizes: &[usize]) -> Gru {
    let mut draws = Draws(4);
    let mut numbers = |n: usize| (0..n).map(|_| draws.real(0.5)).collect::<Vec<f32>>();
    let units = sizes[0];
    let cell = GruCell {
        weight_x: numbers(features * 3 * units),
        bias_x: numbers(3 * units),
        weight_h: numbers(units * 3 * units),
        bias_h: numbers(3 * units),
    };
    Gru { cell, layers: layers(sizes, Activation::Tanh) }
}

/// Policies of every kind: bodies, observations, actions, normaliser, masks.
pub(crate) fn policies() -> Vec<(&'static str, Policy)> {
    let box4 = || Features::Box { len: 4 };
    let mixed = Features::Concat {
        parts: vec![
            Features::OneHot { n: 5, start: -2 },
            Features::Box { len: 2 },
            Features::OneHot { n: 3, start: 0 },
        ],
    };
    let normalizer = || Some(Normalizer { mean: vec![0.1, -0.2, 0.0, 1.0], std: vec![0.5, 2.0, 0.3, 1.5], clip: 3.0 });
    let two = || Action::Discrete { n: 2, start: 0 };
    let multi = || Action::MultiDiscrete { nvec: vec![3, 2, 4], start: vec![0, -1, 5] };
    let real = |bounding, log_std| Action::Box {
        low: vec![-2.0, if bounding == Bounding::Tanh { -1.0 } else { f32::NEG_INFINITY }],
        high: vec![2.0, 0.5],
        bounding,
        log_std,
    };
    let splits = vec![
        Split { feature: 1, threshold: 0.1, left: Child::Split(1), right: Child::Split(2) },
        Split { feature: 0, threshold: -0.3, left: Child::Leaf(0), right: Child::Split(3) },
        Split { feature: 3, threshold: 0.0, left: Child::Leaf(1), right: Child::Leaf(2) },
        Split { feature: 2, threshold: 0.7, left: Child::Leaf(3), right: Child::Leaf(4) },
    ];
    let leaves = |n: usize| (0..5 * n).map(|i| (i * 7 % 11) as f32 * 0.1 - 0.4).collect::<Vec<f32>>();
    let tree = |n| Tree { splits: splits.clone(), leaves: leaves(n) };
    fn of(header: Header, body: impl Into<Body>) -> Policy {
        Policy::new(header, body).unwrap()
    }
    let int8 = |policy: Policy| {
        let mut draws = Draws(5);
        let mut row = || {
            let mut row = Vec::new();
            for input in policy.header().observation.inputs() {
                match input {
                    Input::Real { len } => row.extend((0..len).map(|_| draws.real(1.0))),
                    Input::OneHot { n, start } => row.push(((draws.uniform() * n as f64) as i64 + start) as f32),
                }
            }
            row
        };
        let observations: Vec<_> = (0..200).map(|_| row()).collect();
        policy.to_int8(&observations).unwrap()
    };
    let mut policies = vec![
        ("teacher", of(header(box4(), two(), normalizer(), false), layers(&[4, 64, 64, 2], Activation::Tanh))),
        ("student", of(header(box4(), two(), None, false), layers(&[4, 16, 2], Activation::Tanh))),
        ("linear", of(header(box4(), two(), None, false), layers(&[4, 2], Activation::Tanh))),
        ("many", of(header(mixed.clone(), multi(), None, false), layers(&[10, 9, 7, 9], Activation::Relu))),
        ("told", of(header(mixed.clone(), multi(), None, true), layers(&[10, 33, 9], Activation::Gelu))),
        (
            "clipped",
            of(
                header(box4(), real(Bounding::Clip, Some(vec![0.2, -3.0])), normalizer(), false),
                layers(&[4, 8, 2], Activation::Tanh),
            ),
        ),
        (
            "squashed",
            of(header(box4(), real(Bounding::Tanh, None), None, false), layers(&[4, 40, 4], Activation::Tanh)),
        ),
        ("tree", of(header(box4(), two(), normalizer(), false), tree(2))),
        ("told_tree", of(header(box4(), Action::Discrete { n: 3, start: 1 }, None, true), tree(3))),
        ("real_tree", of(header(box4(), real(Bounding::Clip, Some(vec![0.0; 2])), None, false), tree(2))),
        ("leaf", of(header(box4(), two(), None, false), Tree { splits: vec![], leaves: vec![0.1, 0.2] })),
        ("gru", of(header(box4(), two(), None, false), gru(4, &[16, 2]))),
        ("deep_gru", of(header(box4(), two(), normalizer(), false), gru(4, &[32, 64, 2]))),
        ("told_gru", of(header(mixed.clone(), multi(), None, true), gru(10, &[5, 9]))),
        ("many_gru", of(header(mixed.clone(), multi(), None, false), gru(10, &[12, 9]))),
        ("real_gru", of(header(box4(), real(Bounding::Tanh, None), None, false), gru(4, &[2, 8, 4]))),
    ];
    for (from, to) in
        [("teacher", "int8_teacher"), ("student", "int8_student"), ("many", "int8_many"), ("clipped", "int8_clipped")]
    {
        let (_, policy) = policies.iter().find(|(name, _)| *name == from).expect("there is such a policy");
        policies.push((to, int8(policy.clone())));
    }
    policies
}
