//! Where a policy is judged while it is trained, and what it has become is judged at the end: on different episodes.

use crate::evaluate::{EVALUATION_SEED, EvaluationPlan, SELECTION_SEED, evaluate_in, snapshot};
use crate::{Error, Evaluation};
use apprentice_deploy::Policy;
use apprentice_envs::{DynEnv, EnvSpec, Registry, VectorEnv};
use apprentice_telemetry::Image;

/// Steps of the episode that a picture is taken in.
const PICTURE_STEPS: u32 = 100;

/// Environments of one kind that nobody trains in.
pub struct Arena {
    /// For policies in training, the best of which may be kept.
    selection: Box<dyn VectorEnv>,
    /// For the policy that training ends with.
    finals: Box<dyn VectorEnv>,
    stage: Box<dyn DynEnv>,
}

impl Arena {
    /// An arena whose [`evaluate`](Self::evaluate) takes so many `episodes`.
    ///
    /// # Errors
    /// If the environment cannot be made.
    pub fn new(env: &EnvSpec, episodes: usize, registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            selection: registry.make_vec(env, episodes, SELECTION_SEED)?,
            finals: registry.make_vec(env, EvaluationPlan::default().episodes, EVALUATION_SEED)?,
            stage: registry.make(env)?,
        })
    }

    /// Judges a policy in training.
    ///
    /// # Errors
    /// If it cannot act here.
    pub fn evaluate(&mut self, policy: &Policy) -> Result<Evaluation, Error> {
        let plan = EvaluationPlan { seed: SELECTION_SEED, ..EvaluationPlan::default() };
        evaluate_in(policy, &mut *self.selection, &plan)
    }

    /// The mean return of the policy that training ends with, over the episodes that reports use.
    ///
    /// # Errors
    /// If it cannot act here.
    pub fn final_return(&mut self, policy: &Policy) -> Result<f64, Error> {
        Ok(evaluate_in(policy, &mut *self.finals, &EvaluationPlan::default())?.mean())
    }

    /// The policy at work, if the environment can be drawn.
    ///
    /// # Errors
    /// If it cannot act here.
    pub fn picture(&mut self, policy: &Policy) -> Result<Option<Image>, Error> {
        let frame = snapshot(policy, &mut *self.stage, SELECTION_SEED, PICTURE_STEPS)?;
        Ok(frame.map(|frame| Image { width: frame.width, height: frame.height, rgb: frame.rgb }))
    }
}
