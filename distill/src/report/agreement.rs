//! How well a student knows its teacher.

use crate::same_action;
use apprentice_agents::{Contender, EpisodeRunner, Error, Evaluation, EvaluationPlan, run_episodes, run_episodes_of};
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
        Self::with(actor, &mut EpisodeRunner::new(other, plan.episodes), env, registry, plan)
    }

    /// The same with anyone who can be asked.
    pub(crate) fn with(
        actor: &Policy,
        other: &mut dyn Contender,
        env: &EnvSpec,
        registry: &Registry,
        plan: &EvaluationPlan,
    ) -> Result<Self, Error> {
        let mut envs = registry.make_vec(env, plan.episodes, plan.seed)?;
        other.check(&*envs)?;
        let space = &actor.header().action;
        let mut own = EpisodeRunner::new(actor, plan.episodes);
        let mut decided = vec![0.0; space.dim()];
        let distribution = space.distribution();
        let (mut same, mut states) = (0_u64, 0_u64);
        // Per bin: states, and sums of both probabilities.
        let mut bins = [(0_u64, 0.0, 0.0); BINS];
        run_episodes(actor, &mut *envs, plan, |episode, observation, mask, action| {
            states += 1;
            let others = other.explain(episode, observation, mask, &mut decided)?;
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

/// Lets `actor` act in `envs` and asks `other`, if it is given, in every state. Returns how the actor fared, and the share of
/// states where both do [the same](same_action).
pub(crate) fn evaluate_beside(
    actor: &mut dyn Contender,
    other: Option<&Policy>,
    env: &EnvSpec,
    registry: &Registry,
    plan: &EvaluationPlan,
) -> Result<(Evaluation, Option<f64>), Error> {
    let mut envs = registry.make_vec(env, plan.episodes, plan.seed)?;
    let mut other = other.map(|policy| EpisodeRunner::new(policy, plan.episodes));
    other.iter().try_for_each(|other| other.check(&*envs))?;
    let space = actor.action().clone();
    let (mut same, mut states, mut decided) = (0_u64, 0_u64, vec![0.0; space.dim()]);
    let evaluation = run_episodes_of(actor, &mut *envs, plan, |episode, observation, mask, action| {
        if let Some(other) = &mut other {
            states += 1;
            other.decide(episode, observation, mask, None, &mut decided)?;
            same += u64::from(same_action(&space, &decided, action));
        }
        Ok(())
    })?;
    Ok((evaluation, other.map(|_| same as f64 / states as f64)))
}
