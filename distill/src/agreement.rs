//! How well a student knows its teacher.

use crate::same_action;
use apprentice_agents::{EpisodeRunner, Error, EvaluationPlan, check_fit, run_episodes};
use apprentice_deploy::{Distribution, MASKED_LOGIT, Policy};
use apprentice_envs::{EnvSpec, Registry};
use serde::{Deserialize, Serialize};

/// How many bins of confidence there are.
const BINS: usize = 10;

/// Over the states that one policy visits in evaluation episodes, what another makes of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// The share of states where both do [the same](same_action).
    pub fidelity: f64,
    /// The expected calibration error of the actor's probabilities with the other's as truth: in ten bins by the actor's
    /// probability of its own action, how far the mean of that probability is from the mean probability that the other
    /// gives to that action (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017). None where actions are real numbers.
    pub calibration_error: Option<f64>,
}

impl Agreement {
    /// Lets `actor` act and asks `other` in every state.
    ///
    /// # Errors
    /// If the environment is unknown or a policy cannot act in it.
    pub fn measure(
        actor: &Policy,
        other: &Policy,
        env: &EnvSpec,
        registry: &Registry,
        plan: &EvaluationPlan,
    ) -> Result<Self, Error> {
        let mut envs = registry.make_vec(env, plan.episodes, plan.seed)?;
        check_fit(other, envs.observation_space(), envs.action_space())?;
        let space = &actor.header().action;
        let [mut own, mut others] = [actor, other].map(|policy| EpisodeRunner::new(policy, plan.episodes));
        let distribution = space.distribution();
        let (mut same, mut states) = (0_u64, 0_u64);
        // Per bin: states, and sums of both probabilities.
        let mut bins = [(0_u64, 0.0, 0.0); BINS];
        run_episodes(actor, &mut *envs, plan, |episode, observation, mask, action| {
            states += 1;
            let (decided, others) = others.in_episode(episode, |runner| {
                let before = runner.memory().to_vec();
                let params = runner.params(observation)?.to_vec();
                // Once more from the same memory, which ends up the same.
                runner.memory().copy_from_slice(&before);
                Ok::<_, Error>((runner.decide(observation, mask, None)?.to_vec(), params))
            })?;
            same += u64::from(same_action(space, &decided, action));
            if let Distribution::Categorical { .. } = distribution {
                let mut rows =
                    [own.in_episode(episode, |runner| runner.params(observation).map(<[f32]>::to_vec))?, others];
                for row in &mut rows {
                    if let Some(mask) = mask {
                        row.iter_mut().zip(mask).filter(|(_, allowed)| !**allowed).for_each(|(x, _)| *x = MASKED_LOGIT);
                    }
                    distribution.normalize(row);
                }
                // That of all choices together.
                let mut choice = vec![0.0; distribution.dim()];
                distribution.mode(&rows[0], &mut choice);
                let [confidence, truth] = rows.map(|row| f64::from(distribution.log_prob(&row, &choice)).exp());
                let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
                *bin = (bin.0 + 1, bin.1 + confidence, bin.2 + truth);
            }
            Ok(())
        })?;
        let choices = matches!(distribution, Distribution::Categorical { .. });
        let error = bins.iter().map(|(_, confidence, truth)| (confidence - truth).abs()).sum::<f64>();
        Ok(Self { fidelity: same as f64 / states as f64, calibration_error: choices.then(|| error / states as f64) })
    }
}
