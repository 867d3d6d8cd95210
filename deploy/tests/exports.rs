//! Exports compiled and run: the same bits as the runner's, for every kind of policy.

use apprentice_deploy::export::{Built, Format, export, write};
use apprentice_deploy::{
    Action, Activation, Body, Bounding, Child, EnvironmentRef, Features, Header, Layer, Normalizer, Policy, Provenance,
    Split, Tree,
};

/// How many states each export is compared on.
const STATES: usize = 100_000;

/// A linear congruential generator, the same numbers for ever.
struct Draws(u64);

impl Draws {
    /// From [0, 1).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn real(&mut self, scale: f64) -> f32 {
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

fn layers(sizes: &[usize], activation: Activation) -> Body {
    let mut draws = Draws(3);
    let last = sizes.len() - 2;
    let layer = |(i, pair): (usize, &[usize])| Layer {
        weight: (0..pair[0] * pair[1]).map(|_| draws.real(1.0)).collect(),
        bias: (0..pair[1]).map(|_| draws.real(1.0)).collect(),
        activation: if i < last { activation } else { Activation::Identity },
    };
    Body::Mlp(sizes.windows(2).enumerate().map(layer).collect())
}

/// Policies of every kind: bodies, observations, actions, normaliser, masks.
fn policies() -> Vec<(&'static str, Policy)> {
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
    let tree = |n| Body::Tree(Tree { splits: splits.clone(), leaves: leaves(n) });
    let of = |header, body: Body| Policy::new(header, body).unwrap();
    vec![
        ("teacher", of(header(box4(), two(), normalizer(), false), layers(&[4, 64, 64, 2], Activation::Tanh))),
        ("student", of(header(box4(), two(), None, false), layers(&[4, 16, 2], Activation::Tanh))),
        ("linear", of(header(box4(), two(), None, false), layers(&[4, 2], Activation::Tanh))),
        ("many", of(header(mixed.clone(), multi(), None, false), layers(&[10, 9, 7, 9], Activation::Relu))),
        ("told", of(header(mixed, multi(), None, true), layers(&[10, 33, 9], Activation::Gelu))),
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
        ("leaf", of(header(box4(), two(), None, false), Body::Tree(Tree { splits: vec![], leaves: vec![0.1, 0.2] }))),
    ]
}

/// An observation that fits, or hardly ever one that does not.
fn observation(features: &Features, draws: &mut Draws, row: &mut Vec<f32>) {
    match features {
        Features::Box { len } => row.extend((0..*len).map(|_| match draws.uniform() {
            u if u < 1e-3 => f32::NAN,
            u if u < 2e-3 => f32::INFINITY,
            u if u < 0.2 => draws.real(100.0),
            _ => draws.real(1.0),
        })),
        Features::OneHot { n, start } => {
            let choice = (draws.uniform() * *n as f64) as i64 + start;
            row.push(if draws.uniform() < 1e-3 { 0.5 } else { choice as f32 });
        }
        Features::Concat { parts } => parts.iter().for_each(|part| observation(part, draws, row)),
    }
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|x| x.to_bits()).collect()
}

/// Compiles the export and compares it with the runner on many states.
fn check(name: &str, policy: &Policy, format: Format, flags: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &export(policy, format, name, &[]).unwrap()).unwrap();
    let mut built = Built::new(policy, folder.path(), flags).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut runner = policy.runner();
    let (params, dim) = (runner.distribution().num_params(), runner.distribution().dim());
    let choices: Vec<_> = runner.distribution().choices().collect();
    let mut draws = Draws(9);
    let (mut rows, mut masks, mut uniforms) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..STATES {
        observation(&policy.header().observation, &mut draws, &mut rows);
        let told = policy.header().masked || draws.uniform() < 0.5;
        masks.extend((0..params).map(|_| !told || draws.uniform() < 0.7));
        if draws.uniform() < 0.99 {
            choices.iter().for_each(|range| masks[i * params + range.start] = true);
        }
        uniforms.extend((0..dim).map(|_| draws.uniform()));
    }
    let answers = built.answers(&rows, Some(&masks), Some(&uniforms)).unwrap();
    let mut refused = 0;
    for (i, answer) in answers.iter().enumerate() {
        let row = &rows[i * rows.len() / STATES..(i + 1) * rows.len() / STATES];
        let mask = (!choices.is_empty()).then_some(&masks[i * params..][..params]);
        let drawn = &uniforms[i * dim..][..dim];
        let expected = runner.decide(row, mask, None).map(bits).ok();
        refused += usize::from(expected.is_none());
        assert_eq!(answer.as_ref().map(|answer| bits(&answer.action)), expected, "{name}: {row:?}");
        let Some(answer) = answer else { continue };
        assert_eq!(bits(&answer.drawn), bits(runner.decide(row, mask, Some(drawn)).unwrap()), "{name}: {row:?}");
        assert_eq!(bits(&answer.params), bits(runner.params(row).unwrap()), "{name}: {row:?}");
    }
    assert_eq!(answers.len(), STATES);
    assert!((1..STATES / 10).contains(&refused), "{name}: {refused} refused");
}

fn has(compiler: &str) -> bool {
    let found = std::process::Command::new(compiler).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no {compiler}");
    }
    found
}

#[test]
fn rust_modules_have_the_runners_bits() {
    if has("rustc") {
        policies().iter().for_each(|(name, policy)| check(name, policy, Format::Rust, &["-Dwarnings"]));
    }
}

#[test]
fn c_sources_have_the_runners_bits() {
    if has("cc") {
        let flags =
            ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        policies().iter().for_each(|(name, policy)| check(name, policy, Format::C, &flags));
    }
}
