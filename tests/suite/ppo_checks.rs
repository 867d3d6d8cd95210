//! Checks of the PPO update itself: the buffer's alignment, the first minibatch, and the gradients.

use apprentice::agents::{
    Activation, Anchor, Architecture, Behavior, Collector, Engine, EngineChoice, Fused, Learner, LossCoefs, Minibatch,
    Objective, OptimizerConfig, Ppo, PpoConfig, Rollout, Samples, SeedStream, ValueClip, ValueLoss, device,
    policy_action, ppo_loss,
};
use apprentice::deploy::{Bounding, Distribution, Normalizer};
use apprentice::envs::{Env, Generator, Registry, Space, Step, SyncVector, Threads};
use apprentice::telemetry::Logger;
use burn::tensor::{DType, Device, Tensor, TensorData};
use ndarray::{Array2, Axis};

/// Says in its observation where it is: [its own number, the episode, the step].
#[derive(Clone)]
struct Where {
    env: f32,
    episode: f32,
    t: f32,
}

impl Env for Where {
    type Observation = [f32; 3];
    type Action = i64;
    type State = [f32; 3];

    fn observation_space(&self) -> Space {
        Space::bounded(&[0.0; 3], &[f32::INFINITY; 3])
    }

    fn action_space(&self) -> Space {
        Space::discrete(2)
    }

    fn reset(&mut self, rng: &mut Generator) -> [f32; 3] {
        if self.episode < 0.0 {
            self.env = rng.integers(1_000_000) as f32;
        }
        self.episode += 1.0;
        self.t = 0.0;
        [self.env, self.episode, 0.0]
    }

    /// Episodes have 3, 4, 5, 6, 3, … steps and end and are cut off in turn.
    fn step(&mut self, action: &i64, _: &mut Generator) -> Step<[f32; 3]> {
        let reward = f64::from(10.0 * self.t) + *action as f64;
        self.t += 1.0;
        let over = self.t == 3.0 + self.episode % 4.0;
        let odd = self.episode % 2.0 == 1.0;
        Step { observation: [self.env, self.episode, self.t], reward, terminated: over && !odd, truncated: over && odd }
    }

    fn state(&self) -> [f32; 3] {
        [self.env, self.episode, self.t]
    }

    fn set_state(&mut self, state: [f32; 3]) -> Result<(), apprentice::envs::Error> {
        [self.env, self.episode, self.t] = state;
        Ok(())
    }
}

#[test]
fn every_row_of_a_rollout_belongs_together() {
    check_rows(0);
}

/// Also what is remembered: nothing at the beginning of an episode, and in every step what the one before it left.
#[test]
fn every_row_of_a_rollout_with_a_memory_belongs_together() {
    check_rows(6);
}

fn check_rows(gru_hidden_size: usize) {
    let (num_steps, num_envs) = (50, 5);
    let env = Where { env: 0.0, episode: -1.0, t: 0.0 };
    let envs = Box::new(SyncVector::copies(env, None, num_envs, 7));
    let space = Space::bounded(&[0.0; 3], &[f32::INFINITY; 3]);
    let architecture = Architecture { gru_hidden_size, ..Architecture::categorical(space, 2, &[8], Activation::Relu) };
    let optimizer = OptimizerConfig::default();
    let mut learner = Learner::new(&architecture, &optimizer, &mut Generator::new(0), &device("cpu").unwrap());
    // Numbers of a size that leaves the memory something to say.
    let std = vec![1e6, 20.0, 5.0];
    learner.set_normalizer(Some(Normalizer { mean: vec![0.0; 3], std, clip: 10.0 }));
    let mut remembered = Array2::<f32>::zeros((num_envs, gru_hidden_size));
    let action = policy_action(&Space::discrete(2), Bounding::Clip, None).unwrap();
    let mut collector = Collector::new(envs, action, SeedStream::Actions.generator(7)).unwrap();
    let mut rollout = Rollout::new(num_steps, num_envs, 3, &architecture.distribution);
    let mut expected: Vec<[f32; 3]> =
        (0..num_envs as u64).map(|i| [Generator::new(7 + i).integers(1_000_000) as f32, 0.0, 0.0]).collect();
    // Two rollouts, so that the seam between them is checked too.
    for _ in 0..2 {
        let ended = collector.collect(&mut learner, &mut rollout).unwrap();
        let mut ends = 0;
        for t in 0..num_steps {
            for (env, expected) in expected.iter_mut().enumerate() {
                let at = [t, env];
                let observation = rollout.observations.index_axis(Axis(0), t).row(env).to_vec();
                assert_eq!(observation, *expected, "step {t} of environment {env}");
                let [id, episode, step] = *expected;
                assert_eq!(rollout.rewards[at], 10.0 * step + rollout.actions[[t, env, 0]]);
                let over = step + 1.0 == 3.0 + episode % 4.0;
                let odd = episode % 2.0 == 1.0;
                assert_eq!((rollout.terminated[at], rollout.truncated[at]), (over && !odd, over && odd));
                let mut value = [0.0];
                let mut memory = remembered.row_mut(env).insert_axis(Axis(0));
                assert_eq!(rollout.memory.index_axis(Axis(0), t).row(env), memory.row(0));
                let mut params = Array2::zeros((1, 2));
                let seen = Array2::from_shape_vec((1, 3), observation).unwrap();
                learner.params(seen.view(), None, memory.view_mut(), params.view_mut()).unwrap();
                if over && odd {
                    let last = Array2::from_shape_vec((1, 3), vec![id, episode, step + 1.0]).unwrap();
                    learner.values(last.view(), memory.view(), &mut value);
                }
                if over {
                    memory.fill(0.0);
                }
                assert!((rollout.final_values[at] - value[0]).abs() <= 1e-5 * value[0].abs());
                *expected = if over { [id, episode + 1.0, 0.0] } else { [id, episode, step + 1.0] };
                ends += usize::from(over);
            }
        }
        assert_eq!(ended.len(), ends);
        let mut last = vec![0.0; num_envs];
        learner.values(collector.observations(), remembered.view(), &mut last);
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-5 * a.abs();
        assert!(!rollout.last_values.iter().zip(&last).any(far), "{} and {last:?}", rollout.last_values);
    }
}

/// Before the first step of an iteration the policy is the one that acted: every ratio is 1, for every type of action.
#[test]
fn the_first_minibatch_has_ratio_one() {
    for engine in [EngineChoice::Burn, EngineChoice::Fused] {
        for (env, set) in [
            ("CartPole-v1", ""),
            ("CartPole-v1", "norm_obs = true\nnorm_reward = true"),
            ("Taxi-v4", "mask_actions = true"),
            ("Pendulum-v1", "norm_obs = true"),
            ("Pendulum-v1", "squash_output = true\nlog_std_init = -0.5"),
            ("Pendulum-v1", "state_dependent_std = true"),
            ("CartPole-v1", "gru_hidden_size = 8\nsequence_length = 16"),
            ("Pendulum-v1", "gru_hidden_size = 8\nsequence_length = 128\nshared_trunk = true\nnorm_obs = true"),
        ] {
            if engine == EngineChoice::Fused && set.contains("gru") {
                continue;
            }
            // A learning rate too small to change any f32, so that the policy after the update is the one that acted.
            let config = PpoConfig {
                engine,
                learning_rate: 1e-30,
                update_epochs: 1,
                num_minibatches: 1,
                env: apprentice::envs::EnvSpec::new(env),
                ..PpoConfig::from_toml(set).unwrap()
            };
            let mut ppo = Ppo::new(config, &Registry::builtin(), &device("cpu").unwrap()).unwrap();
            // In the second iteration statistics of observations have moved on.
            for _ in 0..2 {
                let stats = ppo.train_iteration(&mut Logger::none()).unwrap();
                assert!(stats.approx_kl.abs() < 1e-6 && stats.clipfrac == 0.0, "{engine:?} {env} {set}: {stats:?}");
            }

            let rollout = ppo.rollout().clone();
            let distribution = ppo.engine().architecture().distribution.clone();
            let mut params = Array2::zeros((rollout.values.len(), distribution.num_params()));
            let mut memory = rollout.memory_rows().to_owned();
            ppo.engine().params(rollout.observation_rows(), None, memory.view_mut(), params.view_mut()).unwrap();
            let mut worst: f32 = 0.0;
            for (i, (mut row, acted)) in params.rows_mut().into_iter().zip(&rollout.log_probs).enumerate() {
                let at = (i / rollout.values.ncols(), i % rollout.values.ncols());
                let row = row.as_slice_mut().unwrap();
                distribution.mask(row, &rollout.masks.slice(ndarray::s![at.0, at.1, ..]).to_vec());
                distribution.normalize(row);
                let action = rollout.actions.slice(ndarray::s![at.0, at.1, ..]).to_vec();
                worst = worst.max(((distribution.log_prob(row, &action) - acted).exp() - 1.0).abs());
            }
            assert!(worst < 2e-6, "{engine:?} {env} {set}: max |ratio − 1| = {worst}");
        }
    }
}

/// Both engines start from the same weights and compute the same losses, gradients and steps, on random batches that
/// reach every branch of the loss.
#[test]
fn engines_agree() {
    let device = device("cpu").unwrap();
    let mut rng = Generator::new(11);
    let boxed = |n: usize| Space::bounded(&vec![-9.0; n], &vec![9.0; n]);
    let categorical = |nvec: &[usize]| Distribution::Categorical { nvec: nvec.to_vec() };
    let gaussian = |dim, squash| Distribution::Gaussian { dim, squash };
    for (round, (hidden, activation, space, distribution, state_dependent_std)) in [
        (vec![64, 64], Activation::Tanh, boxed(4), categorical(&[2]), false),
        (vec![7, 33], Activation::Relu, boxed(3), categorical(&[6]), false),
        (vec![], Activation::Tanh, Space::discrete(5), categorical(&[10]), false),
        (vec![16], Activation::Gelu, boxed(3), categorical(&[3, 2, 4]), false),
        (vec![16], Activation::Tanh, Space::multi_discrete(&[3, 4]), categorical(&[3, 2, 4]), false),
        (vec![16, 8], Activation::Gelu, boxed(3), gaussian(2, false), false),
        (vec![16, 8], Activation::Tanh, boxed(3), gaussian(3, true), true),
    ]
    .into_iter()
    .enumerate()
    {
        let shape = Architecture {
            observation_space: space.clone(),
            distribution: distribution.clone(),
            gru_hidden_size: 0,
            // Beyond the bounds in one round: from there too a spread finds its way.
            log_std_init: if round == 5 { 2.5 } else { -0.3 },
            state_dependent_std,
            hidden,
            // The narrow one, the masked one and the squashed one.
            shared_trunk: [1, 4, 6].contains(&round),
            activation,
            int8_weights: [0, 1, 5].contains(&round),
        };
        let norm = if round == 1 { 1e9 } else { 0.5 };
        let weight_decay = if round == 4 { 0.1 } else { 0.0 };
        let optimizer = OptimizerConfig { max_grad_norm: norm, weight_decay, ..OptimizerConfig::default() };
        let mut reference = Learner::new(&shape, &optimizer, &mut Generator::new(1), &device);
        let mut fused = Fused::new(&shape, &optimizer, &mut Generator::new(1));
        let threads = Threads::new(3).unwrap();
        let mut threaded = Fused::with_threads(&shape, &optimizer, &mut Generator::new(1), threads);
        assert_eq!(reference.parameters(), fused.parameters());
        let masked = round == 4;
        for step in 0..40 {
            let samples = 1 + rng.integers(300) as usize;
            let mut draw = |low: f64, high: f64| rng.uniform(low, high) as f32;
            let observations = match space {
                Space::Discrete { n, .. } => Array2::from_shape_fn((samples, 1), |_| draw(0.0, f64::from(n)).floor()),
                Space::MultiDiscrete { ref nvec, .. } => {
                    Array2::from_shape_fn((samples, nvec.len()), |(_, i)| draw(0.0, f64::from(nvec[i])).floor())
                }
                ref space => Array2::from_shape_fn((samples, space.flat_dim()), |_| draw(-2.0, 2.0)),
            };
            let actions = match &distribution {
                Distribution::Categorical { nvec } => {
                    Array2::from_shape_fn((samples, nvec.len()), |(_, i)| draw(0.0, nvec[i] as f64).floor())
                }
                Distribution::Gaussian { dim, .. } => Array2::from_shape_fn((samples, *dim), |_| draw(-2.0, 2.0)),
            };
            // What was taken was allowed.
            let masks =
                Array2::from_shape_fn((samples, if masked { distribution.num_params() } else { 0 }), |(row, i)| {
                    let (choice, range) =
                        distribution.choices().enumerate().find(|(_, range)| range.contains(&i)).unwrap();
                    range.start + actions[[row, choice]] as usize == i || draw(0.0, 1.0) < 0.6
                });
            let mut column = |low, high| (0..samples).map(|_| draw(low, high)).collect::<Vec<f32>>();
            let batch = Samples {
                observations,
                actions,
                masks,
                log_probs: column(-2.5, -0.2),
                advantages: column(-2.0, 2.0),
                returns: column(-2.0, 2.0),
                values: column(-1.0, 1.0),
                ..Samples::default()
            };
            let coefs = LossCoefs {
                policy_coef: if step % 5 == 4 { 0.0 } else { 1.0 },
                clip_coef: 0.2,
                clip_vloss: [ValueClip::Max, ValueClip::Off, ValueClip::Clamp][step % 3],
                value_loss: if step % 2 == 0 { ValueLoss::Mse } else { ValueLoss::Huber },
                ent_coef: 0.01,
                vf_coef: 0.5,
            };
            let anchor = Anchor {
                parameters: reference.parameters().iter().map(|x| x + 0.1).collect(),
                importance: (0..reference.parameters().len()).map(|i| (i % 5) as f32).collect(),
            };
            let objective = Objective { anchor: (step % 4 == 3).then_some(&anchor), ..Objective::ppo(coefs) };
            let (a, b) = (reference.gradient(&batch, &objective), fused.gradient(&batch, &objective));
            let scale = a.iter().map(|x| x * x).sum::<f32>().sqrt();
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-5 * (1.0 + scale), "round {round}, step {step}: gradients differ by {worst} of {scale}");
            let [(params, values), others] =
                [&mut fused, &mut threaded].map(|engine| answers(engine, &batch.observations));
            assert!(params == others.0 && values == others.1, "round {round}, step {step}: threads change the answers");
            let (a, b) = (reference.update(&batch, 1e-3, &objective), fused.update(&batch, 1e-3, &objective));
            assert_eq!(threaded.update(&batch, 1e-3, &objective), b, "round {round}, step {step}: threads");
            assert_eq!(threaded.parameters(), fused.parameters(), "round {round}, step {step}: threads");
            for ((tag, a), (_, b)) in a.tagged().into_iter().zip(b.tagged()) {
                assert!((a - b).abs() <= 2e-5 * (1.0 + a.abs()), "round {round}, step {step}, {tag}: {a} and {b}");
            }
            let (a, b) = (reference.parameters(), fused.parameters());
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "round {round}, step {step}: parameters differ by {worst}");
            // The next step starts from the same parameters, so that rounding does not add up.
            let state = fused.optimizer_state().unwrap();
            fused.restore(&a, state.clone()).unwrap();
            threaded.restore(&a, state).unwrap();
        }
        if round == 5 {
            assert!(fused.parameters().iter().rev().take(2).all(|log_std| (log_std - 2.5).abs() > 1e-3));
        }
    }
}

/// What an actor and a critic say of some observations.
fn answers(engine: &mut Fused, observations: &Array2<f32>) -> (Array2<f32>, Vec<f32>) {
    let samples = observations.nrows();
    let mut params = Array2::zeros((samples, engine.architecture().distribution.num_params()));
    let mut values = vec![0.0; samples];
    let mut memory = Array2::zeros((samples, 0));
    engine.params(observations.view(), None, memory.view_mut(), params.view_mut()).unwrap();
    engine.values(observations.view(), memory.view(), &mut values);
    (params, values)
}

/// Six samples, one for each branch: ratio below, inside and above the clip range, times the sign of the advantage.
/// Their values are in turn inside and outside the value's clip range, with the clipped and the raw error larger.
struct Branches {
    logits: Vec<f64>,
    values: Vec<f64>,
    device: Device,
}

const CLIP: f64 = 0.2;

impl Branches {
    fn new() -> Self {
        Self {
            logits: vec![0.3, -0.2, 0.1, -0.5, 0.8, 0.2, 0.4, 0.4, -0.3, 0.1, 0.0, 0.9, 0.2, -0.7, 0.5, 0.6, -0.1, 0.3],
            values: vec![0.5, 1.5, -0.3, 0.1, 0.9, -1.2],
            device: Device::flex().autodiff(),
        }
    }

    fn f64s<const D: usize>(&self, values: &[f64], shape: [usize; D]) -> Tensor<D> {
        Tensor::from_data(TensorData::new(values.to_vec(), shape), (&self.device, DType::F64))
    }

    fn batch(&self) -> Minibatch {
        let actions = [0, 1, 2, 0, 1, 2];
        let base = Branches::new();
        let log_probs: Vec<f64> = (0..6)
            .map(|i| {
                let row = &base.logits[3 * i..3 * i + 3];
                let log_sum = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                let log_ratio = [-0.5, 0.05, 0.5][i % 3];
                row[actions[i]] - log_sum - log_ratio
            })
            .collect();
        let old_values: Vec<f64> = vec![0.45, 1.0, -0.9, 0.2, 1.6, -1.15];
        let actions = actions.map(|action| action as f64);
        Minibatch {
            features: self.f64s(&[0.0; 6], [6, 1]),
            actions: self.f64s(&actions, [6, 1]),
            masks: None,
            log_probs: self.f64s(&log_probs, [6]),
            advantages: self.f64s(&[1.0, 0.7, 1.3, -0.9, -1.1, -0.4], [6]),
            returns: self.f64s(&[0.2, 2.0, -1.5, 0.6, 0.3, -1.0], [6]),
            values: self.f64s(&old_values, [6]),
        }
    }

    fn loss(&self, logits: Tensor<2>, values: Tensor<1>, coefs: &LossCoefs) -> Tensor<1> {
        ppo_loss(&Distribution::Categorical { nvec: vec![3] }, logits, values, &self.batch(), coefs).total
    }

    fn number(&self, coefs: &LossCoefs) -> f64 {
        let loss = self.loss(self.f64s(&self.logits, [6, 3]), self.f64s(&self.values, [6]), coefs);
        loss.into_scalar()
    }

    fn gradients(&self, coefs: &LossCoefs) -> (Vec<f64>, Vec<f64>) {
        let logits = self.f64s::<2>(&self.logits, [6, 3]).require_grad();
        let values = self.f64s::<1>(&self.values, [6]).require_grad();
        let grads = self.loss(logits.clone(), values.clone(), coefs).backward();
        let vec = |data: TensorData| data.try_to_vec::<f64>().unwrap();
        (vec(logits.grad(&grads).unwrap().into_data()), vec(values.grad(&grads).unwrap().into_data()))
    }
}

fn coefs(clip_vloss: ValueClip, value_loss: ValueLoss) -> LossCoefs {
    LossCoefs { policy_coef: 1.0, clip_coef: CLIP, clip_vloss, value_loss, ent_coef: 0.03, vf_coef: 0.7 }
}

/// The central difference of the loss in one of its inputs.
fn slope(at: &mut Branches, input: impl Fn(&mut Branches) -> &mut f64, coefs: &LossCoefs) -> f64 {
    const H: f64 = 1e-6;
    let x = *input(at);
    let mut loss_at = |x: f64| {
        *input(at) = x;
        at.number(coefs)
    };
    let slope = (loss_at(x + H) - loss_at(x - H)) / (2.0 * H);
    *input(at) = x;
    slope
}

#[test]
fn gradients_equal_finite_differences_in_every_branch() {
    let clips = [ValueClip::Max, ValueClip::Off, ValueClip::Clamp];
    for coefs in clips.into_iter().flat_map(|clip| [ValueLoss::Mse, ValueLoss::Huber].map(|loss| coefs(clip, loss))) {
        let mut at = Branches::new();
        let (logits, values) = at.gradients(&coefs);
        for (i, got) in logits.into_iter().enumerate() {
            let expected = slope(&mut at, |at| &mut at.logits[i], &coefs);
            assert!((got - expected).abs() < 1e-8, "logit {i}: {got} and {expected}");
        }
        for (i, got) in values.into_iter().enumerate() {
            let expected = slope(&mut at, |at| &mut at.values[i], &coefs);
            assert!((got - expected).abs() < 1e-8, "value {i}: {got} and {expected}");
        }
    }
}

#[test]
fn clipped_samples_have_no_gradient_at_all() {
    let only_policy = LossCoefs { ent_coef: 0.0, vf_coef: 0.0, ..coefs(ValueClip::Max, ValueLoss::Mse) };
    let (logits, _) = Branches::new().gradients(&only_policy);
    for i in 0..6 {
        // Clipped: ratio too large with a positive advantage (2), too small with a negative one (3).
        let none = logits[3 * i..3 * i + 3].iter().all(|g| *g == 0.0);
        assert_eq!(none, i == 2 || i == 3, "sample {i}: {:?}", &logits[3 * i..3 * i + 3]);
    }
    let (_, values) = Branches::new().gradients(&coefs(ValueClip::Max, ValueLoss::Mse));
    // Clipped value, and its error is the larger one: the raw value has no say.
    assert!(values.contains(&0.0) && values.iter().any(|g| *g != 0.0), "{values:?}");
}

/// What leaves the house is what was trained, its normaliser and its spread included.
#[test]
fn the_policy_is_the_one_in_training() {
    for (env, set) in [
        ("CartPole-v1", "norm_obs = true\nactivation = \"gelu\""),
        ("Pendulum-v1", "norm_obs = true\nlog_std_init = -0.5"),
        ("Pendulum-v1", "state_dependent_std = true\nactivation = \"relu\""),
        ("Blackjack-v1", "hidden = [8]"),
        ("CartPole-v1", "gru_hidden_size = 8\nnorm_obs = true"),
        ("Pendulum-v1", "gru_hidden_size = 8\nhidden = []\nstate_dependent_std = true"),
    ] {
        let config = PpoConfig { env: apprentice::envs::EnvSpec::new(env), ..PpoConfig::from_toml(set).unwrap() };
        let mut ppo = Ppo::new(config, &Registry::builtin(), &device("cpu").unwrap()).unwrap();
        for _ in 0..2 {
            ppo.train_iteration(&mut Logger::none()).unwrap();
        }
        let (policy, rollout) = (ppo.policy().unwrap(), ppo.rollout().clone());
        let observations = rollout.observation_rows();
        let mut expected = Array2::zeros((observations.nrows(), policy.header().action.distribution().num_params()));
        let mut memory = rollout.memory_rows().to_owned();
        ppo.engine().params(observations, None, memory.view_mut(), expected.view_mut()).unwrap();
        let mut runner = policy.runner();
        let remembered = rollout.memory_rows();
        let rows = observations.rows().into_iter().zip(remembered.rows()).zip(expected.rows());
        for ((observation, memory), expected) in rows {
            runner.memory().copy_from_slice(memory.as_slice().unwrap());
            let got = runner.params(observation.as_slice().unwrap()).unwrap();
            let worst = got.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{env} {set}: {got:?} and {expected}");
        }
    }
}

/// What lies outside of the bounds is moved there on its way to the environment, and learnt from as it was drawn.
#[test]
fn real_actions_are_kept_as_they_were_drawn() {
    let config =
        PpoConfig { env: apprentice::envs::EnvSpec::new("Pendulum-v1"), log_std_init: 1.5, ..PpoConfig::default() };
    let mut ppo = Ppo::new(config, &Registry::builtin(), &device("cpu").unwrap()).unwrap();
    ppo.train_iteration(&mut Logger::none()).unwrap();
    // Of a normal distribution with a deviation of e^1.5 about 66 % lie beyond ±2.
    let beyond = ppo.rollout().actions.iter().filter(|action| action.abs() > 2.0).count();
    let share = beyond as f64 / ppo.rollout().actions.len() as f64;
    assert!((share - 0.66).abs() < 0.1, "{share}");
}
