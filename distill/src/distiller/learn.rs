//! What the student learns from a rollout: labels, rewards, minibatches, and how far it has come.

use super::{Coefs, Distiller, TrainStats};
use crate::data::collect::{allowed, labels};
use crate::data::dataset::{Dataset, States};
use crate::data::mixture::eyes;
use crate::loss::features::FeatureTerm;
use crate::loss::imitation::{Imitation, normalized};
use crate::loss::{Scratch, add_loss};
use crate::{DistillConfig, PolicyLoss, Temperatures, ValueGate, same_action};
use apprentice_agents::{
    Behavior, Error, LossCoefs, NormAdv, Objective, OutputLoss, Rollout, Samples, ValueClip, ValueLoss, gae,
    minibatches, normalize_advantages, params_in_order, sequence_heads, sequence_rows, trajectories,
};
use apprentice_deploy::{Action, Distribution};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, s};

impl Distiller<'_> {
    /// Adds the states of the rollout to the data, with the teacher's answers, of which these are known already.
    pub(super) fn label(&mut self, answers: Vec<f32>) -> Result<(), Error> {
        let (observations, teacher_sees) = eyes(self.rollout.observation_rows(), self.border);
        let (memory, teacher_memory) = self.rollout.memory_rows().split_at(Axis(1), self.student.memory_len());
        let labels = labels(&mut self.teacher, answers, &self.rollout, teacher_memory, self.border)?;
        let (mut values, mut weights) = (Vec::new(), Vec::new());
        if self.config.wants_teacher_values() {
            values = vec![0.0; observations.nrows()];
            self.teacher.values(teacher_sees, teacher_memory, &mut values);
            let scale = self.config.gate_scale as f32;
            let pairs = values.iter().zip(&self.rollout.values);
            weights = match self.config.value_gate {
                ValueGate::Off => Vec::new(),
                ValueGate::Hard => pairs.map(|(teacher, student)| f32::from(u8::from(teacher > student))).collect(),
                ValueGate::Soft => {
                    pairs.map(|(teacher, student)| (scale * (teacher - student)).min(1.0).exp()).collect()
                }
            };
        }
        let features = match &self.projection {
            Some(_) => self.teacher.features(teacher_sees, teacher_memory)?,
            None => Array2::zeros((observations.nrows(), 0)),
        };
        self.data.extend(&States {
            features: features.view(),
            observations,
            labels: labels.view(),
            values: &values,
            weights: &weights,
            memory,
            starts: &self.rollout.starts(),
        });
        Ok(())
    }

    /// Epochs over the data.
    pub(super) fn update(&mut self, coefs: Coefs) -> Result<TrainStats, Error> {
        let reshaped = self.config.kd_reward > 0.0 || self.config.task_reward != 1.0;
        if coefs.task_coef > 0.0 && reshaped {
            self.reshape_rewards(coefs)?;
        }
        let config = &self.config;
        let task = (coefs.task_coef > 0.0).then(|| {
            let (mut advantages, returns) = gae(&trajectories(&self.rollout), config.gamma, config.gae_lambda);
            if config.norm_adv == NormAdv::Batch {
                normalize_advantages(advantages.as_slice_mut().expect("advantages are contiguous"));
            }
            let losses = LossCoefs {
                policy_coef: coefs.task_coef,
                clip_coef: config.clip_coef,
                clip_vloss: ValueClip::Off,
                value_loss: ValueLoss::Mse,
                ent_coef: config.ent_coef * coefs.task_coef,
                vf_coef: config.vf_coef * coefs.task_coef,
            };
            (advantages, returns, losses)
        });
        let losses = self.weighted_losses(coefs.coef);
        let feature_losses: Vec<_> =
            config.feature_losses().into_iter().map(|(loss, weight)| (loss, weight * coefs.coef)).collect();
        let distribution = self.teacher.distribution().clone();
        let (num_envs, length, remembered) = (config.num_envs, config.sequence_length(), config.gru_hidden_size);
        let (mut order, mut rows) = (sequence_heads(self.data.len(), num_envs, length), Vec::new());
        let sequences = (config.minibatch_size / length).max(1);
        let (mut stats, mut updates) = (TrainStats::default(), 0.0);
        for _ in 0..config.update_epochs {
            self.permutation.shuffle(&mut order);
            for heads in minibatches(&order, order.len().div_ceil(sequences)) {
                sequence_rows(heads, num_envs, length, &mut rows);
                let rows = &rows[..];
                let mut samples = match &task {
                    // The data is the rollout, in its order.
                    Some((advantages, returns, _)) => {
                        let norm_adv = config.norm_adv == NormAdv::Minibatch;
                        self.rollout.samples(advantages, returns, rows, length, norm_adv)
                    }
                    None if config.proximal => {
                        let none = Array2::zeros(self.rollout.rewards.dim());
                        self.rollout.samples(&none, &none, rows, length, false)
                    }
                    None => {
                        let observations = self.data.observations.select(Axis(0), rows);
                        let memory = self.data.memory.select(Axis(0), &rows[..heads.len()]);
                        let starts = rows.iter().map(|&row| self.data.starts[row]).collect();
                        Samples { observations, memory, starts, ..Samples::default() }
                    }
                };
                // Without the teacher's part of what is seen and remembered.
                if samples.memory.ncols() > remembered {
                    samples.memory = samples.memory.slice(s![.., ..remembered]).to_owned();
                }
                if let Some(border) = self.border.filter(|border| samples.observations.ncols() > *border) {
                    samples.observations = samples.observations.slice(s![.., ..border]).to_owned();
                }
                let mut imitation = imitation(config, &distribution, &self.data, rows, &losses, coefs.coef, &samples);
                imitation.features = self.projection.as_ref().map(|projection| FeatureTerm {
                    losses: &feature_losses,
                    teacher: self.data.features.select(Axis(0), rows),
                    projection,
                });
                let other: Option<&dyn OutputLoss> = if coefs.coef > 0.0 { Some(&imitation) } else { None };
                let ppo = task.as_ref().map(|(.., losses)| *losses);
                let objective = Objective { ppo, other, anchor: self.anchor.as_ref() };
                let update = self.student.update(&samples, coefs.learning_rate, &objective);
                stats.update.add(&update);
                updates += 1.0;
            }
        }
        stats.update.divide(updates);
        let update = &stats.update;
        if let Some((.., losses)) = &task {
            let LossCoefs { policy_coef, ent_coef, vf_coef, .. } = losses;
            let weighted = policy_coef * update.policy_loss - ent_coef * update.entropy + vf_coef * update.value_loss;
            stats.task = weighted / coefs.task_coef;
        }
        stats.kd = if coefs.coef > 0.0 { update.other_loss / coefs.coef } else { 0.0 };
        stats.total = coefs.coef * stats.kd + coefs.task_coef * stats.task;
        Ok(stats)
    }

    /// The losses of the configuration, each with its weight times `coef`.
    fn weighted_losses(&self, coef: f64) -> Vec<(PolicyLoss, f64)> {
        self.config.policy_losses().into_iter().map(|(loss, weight)| (loss, weight * coef)).collect()
    }

    /// Turns the rewards of the rollout into `task_reward` · r − `kd_reward` · `coef` / `task_coef` · L_KD(s'), with s' the
    /// state that the action has led to. After the end of an episode there is none; the last observation of one that was
    /// cut off is not looked at.
    ///
    /// Czarnecki et al., *Distilling Policy Distillation*, 2019.
    fn reshape_rewards(&mut self, coefs: Coefs) -> Result<(), Error> {
        let num_envs = self.config.num_envs;
        let mut losses = vec![0.0; self.rollout.rewards.len()];
        let scale = self.config.kd_reward / coefs.task_coef;
        let losses_at_work = self.weighted_losses(coefs.coef);
        if scale > 0.0 {
            // The data is the rollout, in its order; what comes after its last step is asked for.
            let task = self.phase().0;
            let collector = &mut self.collectors[task];
            let masks = collector.masks()?.map(|masks| masks.to_owned());
            let (last, teacher_sees) = eyes(collector.observations(), self.border);
            let (memory, teacher_memory) = collector.memory().split_at(Axis(1), self.student.memory_len());
            let last_labels =
                self.teacher.labels(teacher_sees, masks.as_ref().map(|masks| masks.view()), teacher_memory)?;
            let last_labels = allowed(last_labels, self.teacher.distribution(), masks.into_iter().flatten());
            let Self { student, teacher, config, data, .. } = self;
            let (distribution, temperatures) = (teacher.distribution(), config.temperatures());
            let mut of = |observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>, labels: &Array2<f32>| {
                let mut params = Array2::zeros(labels.dim());
                student.params(observations, None, memory.to_owned().view_mut(), params.view_mut())?;
                Ok::<_, Error>(state_losses(&params, labels, distribution, &losses_at_work, temperatures))
            };
            losses = of(data.observations.view(), data.memory.view(), &data.labels)?;
            losses.drain(..num_envs);
            losses.extend(of(last, memory, &last_labels)?);
        }
        let Rollout { rewards, terminated, truncated, .. } = &mut self.rollout;
        let ended = terminated.iter().zip(&*truncated).map(|(a, b)| *a || *b);
        for ((reward, loss), ended) in rewards.iter_mut().zip(losses).zip(ended) {
            let loss = if ended { 0.0 } else { loss };
            *reward = (self.config.task_reward * f64::from(*reward) - scale * loss) as f32;
        }
        Ok(())
    }

    /// The distillation loss on the held-out states, and the share of them where student and teacher would do
    /// [the same](same_action).
    pub(super) fn validate(&mut self) -> Result<(f64, f64), Error> {
        let Self { student, teacher, config, validation, .. } = self;
        let Dataset { observations, labels, starts, num_envs, .. } = validation;
        let (distribution, action) = (teacher.distribution(), teacher.action());
        let mut memory = Array2::zeros((*num_envs, student.memory_len()));
        let params =
            params_in_order(&mut **student, observations.view(), &mut memory, starts, distribution.num_params())?;
        let losses = state_losses(&params, labels, distribution, &config.policy_losses(), config.temperatures());
        let (mut same, mut student) = (0, Vec::new());
        for (params, label) in params.rows().into_iter().zip(labels.rows()) {
            let label = label.as_slice().expect("rows are contiguous");
            normalized(distribution, label, params.as_slice().expect("rows are contiguous"), &mut student);
            let [a, b] = [&student[..], label].map(|params| greedy_action(action, distribution, params));
            same += usize::from(same_action(action, &a, &b));
        }
        Ok((apprentice_agents::mean(&losses), same as f64 / labels.nrows() as f64))
    }
}

/// The distillation loss of some states of the data.
fn imitation<'m>(
    config: &DistillConfig,
    distribution: &'m Distribution,
    data: &Dataset,
    rows: &[usize],
    losses: &'m [(PolicyLoss, f64)],
    coef: f64,
    samples: &'m Samples,
) -> Imitation<'m> {
    let pick = |from: &[f32]| if from.is_empty() { Vec::new() } else { rows.iter().map(|&row| from[row]).collect() };
    Imitation {
        distribution,
        losses,
        temperatures: config.temperatures(),
        labels: data.labels.select(Axis(0), rows),
        weights: pick(&data.weights),
        teacher_values: pick(&data.values),
        value_coef: coef * config.value_coef,
        proximal: config.proximal.then_some((samples, config.clip_coef)),
        features: None,
    }
}

/// Of every state the sum of the losses of a student that are weighed there, by its and the teacher's parameters.
fn state_losses(
    params: &Array2<f32>,
    labels: &Array2<f32>,
    distribution: &Distribution,
    losses: &[(PolicyLoss, f64)],
    temperatures: Temperatures,
) -> Vec<f64> {
    let (mut unused, mut scratch) = (vec![0.0; labels.ncols()], Scratch::default());
    let mut of = |(params, label): (ArrayView1<'_, f32>, ArrayView1<'_, f32>)| {
        let [params, label] = [params.to_slice(), label.to_slice()].map(|row| row.expect("rows are contiguous"));
        let mut one = |(loss, weight): &(PolicyLoss, f64)| {
            let loss = (*loss, *weight as f32);
            f64::from(add_loss(loss, distribution, label, params, temperatures, &mut unused, &mut scratch))
        };
        losses.iter().map(&mut one).sum()
    };
    params.rows().into_iter().zip(labels.rows()).map(&mut of).collect()
}

/// The most probable action of a distribution, as the environment is given it.
pub(crate) fn greedy_action(action: &Action, distribution: &Distribution, params: &[f32]) -> Vec<f32> {
    let mut row = vec![0.0; action.dim()];
    distribution.mode(params, &mut row);
    action.bound(&mut row);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Teacher;
    use apprentice_agents::device;
    use apprentice_envs::{EnvSpec, Registry};
    use apprentice_telemetry::Logger;

    /// The reward of a step is minus the distance in the state that it led to, and nothing where it ended the episode.
    #[test]
    fn the_distance_of_the_next_state_is_the_reward() {
        let (registry, env) = (Registry::builtin(), EnvSpec::new("CartPole-v1"));
        let actions = registry.make(&env).unwrap().action_space().clone();
        let teacher = Teacher::expert(&actions, |observation, action| {
            action[0] = f32::from(u8::from(observation[2] > 0.0));
            Ok(())
        });
        let config = DistillConfig {
            env: Some(env),
            coef: 3.0.into(),
            task_coef: 0.5.into(),
            task_reward: 0.0,
            kd_reward: 1.0,
            // So small that the student stays what it was.
            learning_rate: 1e-30,
            total_timesteps: 256,
            num_envs: 4,
            num_steps: 64,
            update_epochs: 1,
            validation_states: 16,
            evaluations: 0,
            ..DistillConfig::default()
        };
        let mut distiller = Distiller::new(config, teacher.unwrap(), &registry, &device("cpu").unwrap()).unwrap();
        distiller.train_iteration(&mut Logger::none()).unwrap();
        let Distiller { student, teacher, rollout, data, config, .. } = &mut distiller;
        let mut params = Array2::zeros(data.labels.dim());
        let mut none = Array2::zeros((params.nrows(), 0));
        student.params(data.observations.view(), None, none.view_mut(), params.view_mut()).unwrap();
        let losses = [(PolicyLoss::Kl, 3.0 / 0.5)];
        let losses = state_losses(&params, &data.labels, teacher.distribution(), &losses, config.temperatures());
        let (mut ends, mut steps) = (0, 0);
        for t in 0..63 {
            for env in 0..4 {
                let ended = rollout.terminated[[t, env]] || rollout.truncated[[t, env]];
                let expected = if ended { 0.0 } else { -losses[(t + 1) * 4 + env] };
                let got = f64::from(rollout.rewards[[t, env]]);
                assert!((got - expected).abs() < 1e-4 * (1.0 + expected.abs()), "{t}, {env}: {got} and {expected}");
                (ends, steps) = (ends + usize::from(ended), steps + usize::from(!ended));
            }
        }
        assert!(ends > 0 && steps > 100, "{ends} ends and {steps} steps");
    }
}
