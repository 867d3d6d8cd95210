//! Training that begins with a policy, such as a student that shall outgrow its teacher.

use crate::{Engine, Error, Ppo, PpoConfig};
use apprentice_deploy::{Action, Activation, Body, Bounding, GruCell, Layer, Policy, TeacherRef};
use apprentice_envs::Registry;
use burn::tensor::Device;

impl Ppo {
    /// An agent whose actor is `policy`: `config` gets its architecture and the way in which it acts. Its observations are
    /// normalised as the policy does, and their statistics stay as they are.
    ///
    /// The critic is a fresh one. Advantages by a critic that knows nothing undo what the policy can do, so that it pays to
    /// let it learn alone at first: `config.critic_warmup`.
    ///
    /// # Errors
    /// As [`new`](Self::new), and if the policy is no network in f32, or does not fit the environment.
    pub fn from_policy(
        mut config: PpoConfig,
        policy: &Policy,
        registry: &Registry,
        device: &Device,
    ) -> Result<Self, Error> {
        let initial = Initial::of(policy)?;
        let header = policy.header();
        // How it sees is part of the policy, and if it sees everything as it is, so is that.
        config.norm_obs = false;
        config.hidden = initial.hidden();
        config.gru_hidden_size = initial.gru_hidden_size();
        config.shared_trunk = false;
        config.mask_actions = header.masked;
        config.activation = initial.activation.unwrap_or(config.activation);
        if let Action::Box { bounding, log_std, .. } = &header.action {
            (config.squash_output, config.state_dependent_std) = (*bounding == Bounding::Tanh, log_std.is_none());
        }
        let mut ppo = Self::new(config, registry, device)?;
        let envs = ppo.collector().envs();
        crate::check_fit(policy, envs.observation_space(), envs.action_space())?;

        initial.write_into(ppo.engine())?;
        ppo.begin_with(
            header.normalizer.clone(),
            TeacherRef {
                checksum: policy.checksum(),
                algorithm: header.provenance.algorithm.clone(),
                seed: header.provenance.seed,
            },
        );
        Ok(ppo)
    }
}

/// A policy that a network in training can begin as.
pub struct Initial<'p> {
    policy: &'p Policy,
    cell: Option<&'p GruCell>,
    layers: &'p [Layer],
    /// What follows its hidden layers; None if it has none.
    pub activation: Option<crate::Activation>,
}

impl<'p> Initial<'p> {
    /// # Errors
    /// If the policy is no network in f32, or one that no configuration can describe.
    pub fn of(policy: &'p Policy) -> Result<Self, Error> {
        let (cell, layers) = match policy.body() {
            Body::Mlp(layers) => (None, &layers[..]),
            Body::Gru(gru) => (Some(&gru.cell), &gru.layers[..]),
            other => {
                return Err(Error::config(format!(
                    "init: expected a network in f32 to go on training, got {}; give the policy that it was made from",
                    if matches!(other, Body::Tree(_)) { "a tree" } else { "a network of integers" }
                )));
            }
        };
        Ok(Self { policy, cell, layers, activation: activation(layers)? })
    }

    /// The sizes of its hidden layers.
    pub fn hidden(&self) -> Vec<usize> {
        self.layers[..self.layers.len() - 1].iter().map(Layer::outputs).collect()
    }

    /// The units of its memory; 0 without one.
    pub fn gru_hidden_size(&self) -> usize {
        self.cell.map_or(0, GruCell::units)
    }

    /// Makes it the actor of an engine of its architecture, whose optimiser forgets what it knew.
    ///
    /// # Errors
    /// If the architecture is another one.
    pub fn write_into(&self, engine: &mut dyn Engine) -> Result<(), Error> {
        let mut networks = engine.architecture().networks(&engine.parameters());
        (networks.gru, networks.actor) = (self.cell.cloned(), self.layers.to_vec());
        if let Action::Box { log_std: Some(log_std), .. } = &self.policy.header().action {
            networks.log_std.clone_from(log_std);
        }
        let fresh = engine.optimizer_state()?;
        engine.restore(&networks.to_parameters(), fresh)
    }
}

/// What follows the hidden layers; None if there are none.
fn activation(layers: &[Layer]) -> Result<Option<crate::Activation>, Error> {
    let (last, hidden) = layers.split_last().expect("a policy has at least one layer");
    let first = hidden.first().map(|layer| layer.activation);
    let alike = hidden.iter().all(|layer| Some(layer.activation) == first);
    match first.filter(|_| last.activation == Activation::Identity) {
        None if hidden.is_empty() && last.activation == Activation::Identity => Ok(None),
        Some(Activation::Tanh) if alike => Ok(Some(crate::Activation::Tanh)),
        Some(Activation::Relu) if alike => Ok(Some(crate::Activation::Relu)),
        Some(Activation::Gelu) if alike => Ok(Some(crate::Activation::Gelu)),
        _ => Err(Error::config(
            "init: expected a policy with one kind of activation after all hidden layers (tanh, relu or gelu) and none after \
             the last; give one that train or distill has written",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EngineChoice, device};
    use apprentice_envs::EnvSpec;
    use apprentice_telemetry::Logger;

    /// Of every kind of actor: the same policy before the first step, and while the critic learns alone; another one
    /// afterwards. It goes on from a checkpoint as from here.
    #[test]
    fn training_begins_with_the_policy() {
        let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
        for (env, set) in [
            ("CartPole-v1", "norm_obs = true\nactivation = \"relu\""),
            ("Pendulum-v1", "log_std_init = -0.7\nhidden = []"),
            ("Pendulum-v1", "state_dependent_std = true\nsquash_output = true"),
            ("CartPole-v1", "gru_hidden_size = 4"),
        ] {
            let env = EnvSpec::new(env);
            let own = PpoConfig { env: env.clone(), ..PpoConfig::from_toml(set).unwrap() };
            let mut first = Ppo::new(own, &registry, &device).unwrap();
            first.train_iteration(&mut Logger::none()).unwrap();
            let policy = first.policy().unwrap();

            // One iteration for the critic alone, where that does not change what the actor reads.
            let critic_warmup = if set.contains("gru") { 0 } else { 512 };
            let norm_obs = true;
            let config = PpoConfig { seed: 5, env, critic_warmup, norm_obs, evaluations: 0, ..PpoConfig::default() };
            let mut tuned = Ppo::from_policy(config, &policy, &registry, &device).unwrap();
            let parts = |ppo: &Ppo| {
                let policy = ppo.policy().unwrap();
                (policy.body().clone(), policy.header().normalizer.clone(), policy.header().action.clone())
            };
            let before = parts(&tuned);
            assert_eq!(
                before,
                (policy.body().clone(), policy.header().normalizer.clone(), policy.header().action.clone())
            );
            // Whatever the configuration says, it sees as it did.
            assert!(!tuned.config().norm_obs);
            let critic = tuned.engine().parameters();
            tuned.train_iteration(&mut Logger::none()).unwrap();
            assert_ne!(tuned.engine().parameters(), critic, "{set}");
            assert_eq!(parts(&tuned) == before, critic_warmup > 0, "{set}");

            let checkpoint = tuned.checkpoint().unwrap();
            let mut resumed = Ppo::resume(checkpoint, &registry, &device).unwrap();
            tuned.train_iteration(&mut Logger::none()).unwrap();
            resumed.train_iteration(&mut Logger::none()).unwrap();
            assert_ne!(parts(&tuned).0, before.0, "{set}");
            assert_eq!(resumed.policy().unwrap(), tuned.policy().unwrap(), "{set}");
            let teacher = tuned.policy().unwrap().header().provenance.teacher.clone().unwrap();
            assert_eq!(teacher.checksum, policy.checksum());
        }
    }

    /// With `keep_best`, training that ruins the policy ends with the one that it began with.
    #[test]
    fn what_training_began_with_is_kept_if_nothing_better_comes() {
        let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
        let config = PpoConfig { total_timesteps: 4096, learning_rate: 10.0, keep_best: true, ..PpoConfig::default() };
        let mut layers = Ppo::new(config.clone(), &registry, &device).unwrap().policy().unwrap();
        // Push to where the pole falls.
        let header = layers.header().clone();
        let weight = vec![-1.0, 1.0, -1.0, 1.0, -10.0, 10.0, -10.0, 10.0];
        let rule = Layer { weight, bias: vec![0.0; 2], activation: Activation::Identity };
        layers = Policy::new(header, vec![rule]).unwrap();
        let mut ruined = Ppo::from_policy(config, &layers, &registry, &device).unwrap();
        ruined.train(&mut crate::Session::default()).unwrap();
        assert_eq!(ruined.final_policy().unwrap().body(), layers.body());
        assert_ne!(ruined.policy().unwrap().body(), layers.body());
    }

    /// After the critic has learnt alone, the actor's first step is that of a fresh Adam: as long as the learning rate.
    #[test]
    fn a_warmed_up_optimiser_does_not_overstep() {
        let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
        let policy = Ppo::new(PpoConfig::default(), &registry, &device).unwrap().policy().unwrap();
        for engine in [EngineChoice::Burn, EngineChoice::Fused] {
            let config = PpoConfig {
                engine,
                critic_warmup: 1024,
                num_minibatches: 1,
                update_epochs: 1,
                lr_schedule: crate::LrSchedule::Constant,
                evaluations: 0,
                ..PpoConfig::default()
            };
            let mut ppo = Ppo::from_policy(config, &policy, &registry, &device).unwrap();
            let actor = |ppo: &Ppo| ppo.policy().unwrap().layers().iter().flat_map(|l| l.weight.clone()).collect();
            let mut iterate = || -> f32 {
                let before: Vec<f32> = actor(&ppo);
                ppo.train_iteration(&mut Logger::none()).unwrap();
                let after: Vec<f32> = actor(&ppo);
                before.iter().zip(after).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            assert_eq!([iterate(), iterate()], [0.0; 2], "alone");
            let step = iterate() / 2.5e-4;
            assert!((0.9..1.01).contains(&step), "{engine}: {step} learning rates");
        }
    }

    #[test]
    fn what_cannot_be_trained_on_is_refused() {
        let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
        let policy = Ppo::new(PpoConfig::default(), &registry, &device).unwrap().policy().unwrap();
        let other = PpoConfig { env: EnvSpec::new("Acrobot-v1"), ..PpoConfig::default() };
        let error = Ppo::from_policy(other, &policy, &registry, &device).err().unwrap();
        assert!(error.is_environment() && error.to_string().contains("CartPole-v1"), "{error}");

        // The last layer has an activation, which nobody could train.
        let mut layers = policy.layers().to_vec();
        layers.last_mut().unwrap().activation = Activation::Tanh;
        let odd = Policy::new(policy.header().clone(), layers).unwrap();
        let error = Ppo::from_policy(PpoConfig::default(), &odd, &registry, &device).err().unwrap();
        assert!(error.is_config() && error.to_string().contains("activation"), "{error}");

        let tree = apprentice_deploy::Tree { splits: vec![], leaves: vec![0.0, 1.0] };
        let tree = Policy::new(policy.header().clone(), tree).unwrap();
        let error = Ppo::from_policy(PpoConfig::default(), &tree, &registry, &device).err().unwrap();
        assert!(error.is_config() && error.to_string().contains("a tree"), "{error}");

        for (set, key) in [
            ("critic_warmup = 512\nshared_trunk = true", "critic_warmup"),
            ("critic_warmup = 512\ngru_hidden_size = 4", "critic_warmup"),
            ("critic_warmup = 512\nweight_decay = 0.1", "critic_warmup"),
            ("critic_warmup = 500000", "critic_warmup"),
        ] {
            let config = PpoConfig { engine: EngineChoice::Auto, ..PpoConfig::from_toml(set).unwrap() };
            let error = config.plan().unwrap_err();
            assert!(error.is_config() && error.to_string().contains(key), "{error}");
        }
    }
}
