//! Both engines beside PyTorch: `testdata/record_ppo.py` says what the file holds.
//!
//! The variable `APPRENTICE_DEVICE` moves the burn engine to another device: `bench/gpu.py` uses it.

use apprentice::agents::{
    Activation, Architecture, Engine, Fused, Learner, LossCoefs, NormAdv, Objective, PpoConfig, Rollout, UpdateStats,
    device, minibatches, ppo_loss,
};
use apprentice::deploy::Distribution;
use apprentice::envs::{Generator, Space};
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use ndarray::{Array2, Array3};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    observation_dim: usize,
    distribution: Head,
    config: PpoConfig,
    parameters: Vec<f32>,
    batch: Batch,
    permutations: Vec<Vec<usize>>,
    first: First,
    parameters_after_1: Vec<f64>,
    parameters_after_16: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Head {
    Categorical { nvec: Vec<usize> },
    Gaussian { dim: usize },
}

#[derive(Deserialize)]
struct Batch {
    observations: Vec<Vec<f32>>,
    actions: Vec<Vec<f32>>,
    log_probs: Vec<f32>,
    advantages: Vec<f32>,
    returns: Vec<f32>,
    values: Vec<f32>,
}

#[derive(Deserialize)]
struct First {
    policy_loss: f64,
    value_loss: f64,
    entropy: f64,
    approx_kl: f64,
    clipfrac: f64,
    grad_norm: f64,
    gradient: Vec<f64>,
}

impl Case {
    fn architecture(&self) -> Architecture {
        let n = self.observation_dim;
        Architecture {
            observation_space: Space::bounded(&vec![-9.0; n], &vec![9.0; n]),
            distribution: match &self.distribution {
                Head::Categorical { nvec } => Distribution::Categorical { nvec: nvec.clone() },
                Head::Gaussian { dim } => Distribution::Gaussian { dim: *dim, squash: false },
            },
            gru_hidden_size: 0,
            log_std_init: 0.0,
            state_dependent_std: false,
            hidden: self.config.hidden.clone(),
            shared_trunk: false,
            activation: Activation::Tanh,
            int8_weights: false,
        }
    }

    /// The batch as a rollout of one environment, its advantages and returns.
    fn rollout(&self) -> (Rollout, Array2<f32>, Array2<f32>) {
        let Batch { observations, actions, log_probs, advantages, returns, values } = &self.batch;
        let rows = |rows: &[Vec<f32>]| {
            Array3::from_shape_vec((rows.len(), 1, rows[0].len()), rows.concat()).expect("rows of one length")
        };
        let column = |values: &[f32]| Array2::from_shape_vec((values.len(), 1), values.to_vec()).expect("a column");
        let architecture = self.architecture();
        let rollout = Rollout {
            observations: rows(observations),
            actions: rows(actions),
            log_probs: column(log_probs),
            values: column(values),
            ..Rollout::new(log_probs.len(), 1, self.observation_dim, &architecture.distribution)
        };
        (rollout, column(advantages), column(returns))
    }

    fn coefs(&self) -> LossCoefs {
        let PpoConfig { clip_coef, clip_vloss, value_loss, ent_coef, vf_coef, .. } = self.config;
        LossCoefs { policy_coef: 1.0, clip_coef, clip_vloss, value_loss, ent_coef, vf_coef }
    }

    /// Takes all gradient steps; returns what the first update reports, and the parameters after it and at the end.
    fn run(&self, engine: &mut dyn Engine) -> (UpdateStats, Vec<f32>, Vec<f32>) {
        let (rollout, advantages, returns) = self.rollout();
        let norm_adv = self.config.norm_adv == NormAdv::Minibatch;
        let mut first = None;
        for order in &self.permutations {
            for rows in minibatches(order, self.config.num_minibatches) {
                let samples = rollout.samples(&advantages, &returns, rows, 1, norm_adv);
                let stats = engine.update(&samples, self.config.learning_rate, &Objective::ppo(self.coefs()));
                first.get_or_insert_with(|| (stats, engine.parameters()));
            }
        }
        let (stats, after_1) = first.expect("there is a minibatch");
        (stats, after_1, engine.parameters())
    }

    /// The gradient of the first minibatch by burn's autodiff.
    fn burn_gradient(&self, learner: &Learner) -> Vec<f32> {
        let (rollout, advantages, returns) = self.rollout();
        let rows = minibatches(&self.permutations[0], self.config.num_minibatches).next().expect("there is one");
        let batch = learner.minibatch(&rollout.samples(&advantages, &returns, rows, 1, true));
        let network = learner.network();
        let (params, values) = (network.policy(batch.features.clone()), network.value(batch.features.clone()));
        let loss = ppo_loss(&learner.architecture().distribution, params, values, &batch, &self.coefs());
        let mut flat = Flat { grads: GradientsParams::from_grads(loss.total.backward(), network), values: Vec::new() };
        network.visit(&mut flat);
        flat.values
    }
}

struct Flat {
    grads: GradientsParams,
    values: Vec<f32>,
}

impl ModuleVisitor for Flat {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let grad = self.grads.get::<D>(param.id).expect("every parameter has a gradient");
        self.values.extend(grad.into_data().try_to_vec::<f32>().expect("gradients are f32"));
    }
}

fn worst(got: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    got.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

/// Losses to 1e-6, gradients to 1e-5 of the largest, and parameters after 1 and after 16 steps of Adam.
#[test]
fn updates_are_those_of_pytorch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../testdata/ppo_parity.json")).unwrap();
    assert_eq!(cases.len(), 4);
    let device = device(std::env::var("APPRENTICE_DEVICE").as_deref().unwrap_or("cpu")).unwrap();
    for case in &cases {
        let (architecture, optimizer) = (case.architecture(), case.config.optimizer());
        let mut learner = Learner::new(&architecture, &optimizer, &mut Generator::new(0), &device);
        let state = learner.optimizer_state().unwrap();
        learner.restore(&case.parameters, state).unwrap();
        let gradient = case.burn_gradient(&learner);
        let mut fused = Fused::new(&architecture, &optimizer, &mut Generator::new(0));
        let state = fused.optimizer_state().unwrap();
        fused.restore(&case.parameters, state).unwrap();

        let largest = case.first.gradient.iter().fold(0.0, |max: f64, g| max.max(g.abs()));
        assert!(worst(&gradient, &case.first.gradient) < 1e-5 * largest, "{}", case.name);
        for engine in [&mut learner as &mut dyn Engine, &mut fused] {
            let name = format!("{} on {}", case.name, engine.choice());
            let (stats, after_1, after_16) = case.run(engine);
            for (tag, got, expected) in [
                ("policy_loss", stats.policy_loss, case.first.policy_loss),
                ("value_loss", stats.value_loss, case.first.value_loss),
                ("entropy", stats.entropy, case.first.entropy),
                ("approx_kl", stats.approx_kl, case.first.approx_kl),
                ("clipfrac", stats.clipfrac, case.first.clipfrac),
                ("grad_norm", stats.grad_norm, case.first.grad_norm),
            ] {
                assert!((got - expected).abs() < 1e-6 * expected.abs().max(1.0), "{name}: {tag} {got} and {expected}");
            }
            let (after_1, after_16) =
                (worst(&after_1, &case.parameters_after_1), worst(&after_16, &case.parameters_after_16));
            println!("{name}: parameters differ by {after_1:.1e} after 1 step, {after_16:.1e} after 16");
            assert!(after_1 < 2e-6 && after_16 < 1e-5, "{name}: {after_1:e} {after_16:e}");
        }
    }
}
