//! Tasks one after another, and what is done against forgetting.

use crate::Distiller;
use crate::checkpoint::{Checkpoint, State};
use crate::data::dataset::Dataset;
use apprentice_agents::{Anchor, Engine, Error, LossCoefs, Objective, Samples, ValueClip, ValueLoss};
use apprentice_deploy::{Distribution, MASKED_LOGIT};
use apprentice_envs::Generator;
use ndarray::{Array2, Axis};

/// States that the Fisher information is estimated from.
const FISHER_STATES: usize = 512;

impl Distiller<'_> {
    /// Which of several tasks is learnt now, and when: the iteration that it begins with, and how many it has. All
    /// iterations, where tasks are not learnt one after another.
    pub(crate) fn phase(&self) -> (usize, u64, u64) {
        let (n, all) = (self.collectors.len() as u64, self.num_iterations);
        let first = |phase: u64| (phase * all).div_ceil(n);
        let phase = (0..n).rev().find(|phase| first(*phase) <= self.iteration).unwrap_or(0);
        (phase as usize, first(phase), first(phase + 1) - first(phase))
    }

    /// Goes on to the next task: keeps states of the last one, and holds the parameters where they are.
    pub(crate) fn next_task(&mut self) -> Result<(), Error> {
        self.hold()?;
        self.data.keep_sample(self.config.replay, &mut self.permutation);
        Ok(())
    }

    /// Goes on from an earlier distillation with another teacher: holds on to what it has taught, as between two tasks.
    /// (The step that Schwarz et al., *Progress & Compress*, 2018, call compression, if the teacher has learnt a new task.)
    pub(crate) fn remember(&mut self, earlier: Checkpoint) -> Result<(), Error> {
        if self.config.replay > 0 && (self.config.wants_teacher_values() || !self.config.feature_losses().is_empty()) {
            return Err(Error::config(
                "init with replay: expected value_coef = 0, value_gate = \"off\" and no features, of which the states of the earlier \
                 distillation know nothing; leave them out, or use ewc",
            ));
        }
        let State { data, anchor, .. } = earlier.state;
        let n = self.student.parameters().len();
        let fits = data.observations.ncols() == self.data.observations.ncols()
            && data.labels.ncols() == self.data.labels.ncols()
            && data.memory.ncols() == self.data.memory.ncols()
            && anchor.as_ref().is_none_or(|anchor| anchor.importance.len() == n);
        if !fits || data.len() == 0 {
            return Err(Error::config(
                "init with ewc or replay: expected the run directory of a distillation whose student has these inputs, outputs and \
                 layers, and has learnt something",
            ));
        }
        self.data.take_over(data);
        self.anchor = anchor.filter(|_| self.config.ewc > 0.0);
        self.hold()?;
        match self.config.replay {
            0 => self.data.clear(),
            count => self.data.keep_sample(count, &mut self.permutation),
        }
        Ok(())
    }

    /// Holds the parameters where they are, as far as they matter in the states of the data.
    fn hold(&mut self) -> Result<(), Error> {
        if self.config.ewc > 0.0 {
            // What the states that are kept of earlier tasks say is in an anchor's sum already.
            let first = if self.anchor.is_some() { self.data.kept() } else { 0 };
            let rows = (first..self.data.len()).collect();
            let fisher =
                fisher(&mut *self.student, &self.data, rows, self.teacher.distribution(), &mut self.permutation)?;
            // The information of all tasks so far adds up, around the newest parameters (Schwarz et al., *Progress &
            // Compress*, 2018).
            let lambda = self.config.ewc as f32;
            let parameters = self.student.parameters();
            let before = self.anchor.take().map_or_else(|| vec![0.0; parameters.len()], |anchor| anchor.importance);
            let importance = before.iter().zip(fisher).map(|(sum, new)| sum + lambda * new).collect();
            self.anchor = Some(Anchor { parameters, importance });
        }
        Ok(())
    }
}

/// The diagonal of the Fisher information of a student's policy, E (∂ log π(a|s) / ∂θ)² over some of these rows of the data
/// and actions of its own, which are drawn from `rng`.
fn fisher(
    student: &mut dyn Engine,
    data: &Dataset,
    mut rows: Vec<usize>,
    distribution: &Distribution,
    rng: &mut Generator,
) -> Result<Vec<f32>, Error> {
    // With a ratio of 1 and an advantage of 1 the gradient of PPO's loss is that of −log π.
    let coefs = LossCoefs {
        policy_coef: 1.0,
        clip_coef: 0.2,
        clip_vloss: ValueClip::Off,
        value_loss: ValueLoss::Mse,
        ent_coef: 0.0,
        vf_coef: 0.0,
    };
    rng.shuffle(&mut rows);
    rows.truncate(FISHER_STATES);
    let mut sum = vec![0.0; student.parameters().len()];
    let (mut params, mut draws) = (Array2::zeros((1, distribution.num_params())), vec![0.0; distribution.dim()]);
    for row in &rows {
        let observations = data.observations.select(Axis(0), &[*row]);
        let memory = data.memory.select(Axis(0), &[*row]);
        student.params(observations.view(), None, memory.clone().view_mut(), params.view_mut())?;
        let params = params.as_slice_mut().expect("a row is contiguous");
        let label = data.labels.row(*row);
        let allowed: Vec<bool> = label.iter().map(|logit| !Distribution::is_masked(*logit)).collect();
        let choices = matches!(distribution, Distribution::Categorical { .. });
        if choices {
            let forbidden = params.iter_mut().zip(&allowed).filter(|(_, allowed)| !**allowed);
            forbidden.for_each(|(logit, _)| *logit = MASKED_LOGIT);
        }
        distribution.normalize(params);
        let mut actions = Array2::zeros((1, distribution.dim()));
        let action = actions.as_slice_mut().expect("a row is contiguous");
        draws.iter_mut().for_each(|draw| *draw = if choices { rng.random() } else { rng.standard_normal() });
        distribution.sample(params, &draws, action);
        let log_probs = vec![distribution.log_prob(params, action)];
        let samples = Samples {
            observations,
            actions,
            masks: Array2::from_shape_fn((1, if choices { allowed.len() } else { 0 }), |(_, i)| allowed[i]),
            log_probs,
            advantages: vec![1.0],
            returns: vec![0.0],
            values: vec![0.0],
            memory,
            starts: vec![false],
        };
        let gradient = student.gradient(&samples, &Objective::ppo(coefs));
        sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g * g / rows.len() as f32);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::dataset::States;
    use crate::{DistillConfig, Teacher};
    use apprentice_agents::{Activation, Architecture, EngineChoice, OptimizerConfig, Session, device, engine_for};
    use apprentice_deploy::Policy;
    use apprentice_envs::{EnvSpec, Registry, Space};

    /// Of a choice between two by one weight each, the Fisher information is x² p (1 − p).
    #[test]
    fn the_fisher_information_is_that_of_the_definition() {
        let space = Space::bounded(&[-9.0], &[9.0]);
        let architecture = Architecture::categorical(space, 2, &[], Activation::Tanh);
        for choice in [EngineChoice::Burn, EngineChoice::Fused] {
            let optimizer = OptimizerConfig::default();
            let (mut rng, device) = (Generator::new(1), device("cpu").unwrap());
            let mut student = engine_for(choice, &architecture, &optimizer, &mut rng, &device, 1).unwrap();
            let state = student.optimizer_state().unwrap();
            // Logits 0.3 x and −0.5 x; then the critic.
            student.restore(&[0.3, -0.5, 0.0, 0.0, 7.0, 1.0], state).unwrap();
            let mut data = Dataset::new(4096, 1, 1, 2, 0);
            let n = 4096;
            data.extend(&States {
                observations: Array2::from_elem((n, 1), 2.0).view(),
                labels: Array2::from_elem((n, 2), 0.5_f32.ln()).view(),
                values: &[],
                weights: &[],
                features: Array2::zeros((n, 0)).view(),
                memory: Array2::zeros((n, 0)).view(),
                starts: &vec![false; n],
            });
            let fisher = fisher(&mut *student, &data, (0..n).collect(), &architecture.distribution, &mut rng).unwrap();
            let p = 1.0 / (1.0 + (-1.6_f32).exp());
            let expected = [4.0, 4.0, 1.0, 1.0, 0.0, 0.0].map(|x| x * p * (1.0 - p));
            for (got, expected) in fisher.iter().zip(expected) {
                assert!((got - expected).abs() <= 0.15 * expected, "{choice:?}: {fisher:?}");
            }
        }
    }

    /// Whichever way the distillation before held on to what it knew.
    #[test]
    fn what_is_held_on_to_follows_the_configuration_alone() {
        let (registry, device) = (Registry::builtin(), device("cpu").unwrap());
        let push = |to: f32| {
            let rule = move |_: &[f32], action: &mut [f32]| {
                action[0] = to;
                Ok(())
            };
            Teacher::expert(&Space::discrete(2), rule).unwrap()
        };
        let config = |ewc: f64, replay: usize| DistillConfig {
            env: Some(EnvSpec::new("CartPole-v1")),
            hidden: vec![4],
            total_timesteps: 4096,
            evaluations: 0,
            keep_best: false,
            ewc,
            replay,
            ..DistillConfig::default()
        };
        let learn = |mut distiller: Distiller<'static>| {
            distiller.train(&mut Session::default()).unwrap();
            (distiller.policy().unwrap(), move || distiller.checkpoint().unwrap())
        };
        let on = |(policy, earlier): (&Policy, Checkpoint), ewc: f64, replay: usize| {
            Distiller::from_policy(config(ewc, replay), policy, Some(earlier), push(1.0), &registry, &device).unwrap()
        };
        let first = learn(Distiller::new(config(0.0, 0), push(0.0), &registry, &device).unwrap());

        let held = learn(on((&first.0, first.1()), 100.0, 0));
        assert!(on((&held.0, held.1()), 100.0, 0).anchor.is_some());
        assert!(on((&held.0, held.1()), 0.0, 64).anchor.is_none(), "without ewc nothing is held by it");

        let replayed = learn(on((&first.0, first.1()), 0.0, 512));
        let importance = |change: f32| {
            let mut earlier = replayed.1();
            let kept = earlier.state.data.kept();
            assert_eq!(kept, 512);
            earlier.state.data.observations.slice_mut(ndarray::s![..kept, ..]).mapv_inplace(|x| x * change);
            on((&replayed.0, earlier), 100.0, 0).anchor.unwrap().importance
        };
        assert_ne!(importance(1.0), importance(9.0), "the states of the first teacher count too");
    }
}
