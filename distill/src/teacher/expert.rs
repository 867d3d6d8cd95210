//! Experts: anyone who knows an action for an observation.

use super::{Source, Teacher};
use crate::Program;
use apprentice_agents::{Error, policy_action};
use apprentice_deploy::{Action, Bounding, Distribution};
use apprentice_envs::Space;

/// Writes the flat action for a flat observation.
pub type Expert<'a> = dyn FnMut(&[f32], &mut [f32]) -> Result<(), Error> + Send + 'a;

/// What an expert's action is more probable than any other, as a logarithm.
const CERTAINTY: f32 = 12.0;

/// The standard deviation of an expert's real action, as a part of the range between its bounds; and where there are
/// none, in its own units.
const EXPERT_STD: f32 = 0.05;

impl<'a> Teacher<'a> {
    /// Anyone who knows the flat action for a flat observation of an environment with these actions: a controller, a
    /// planner, a program.
    ///
    /// # Errors
    /// If no policy could act there either.
    pub fn expert(
        action_space: &Space,
        expert: impl FnMut(&[f32], &mut [f32]) -> Result<(), Error> + Send + 'a,
    ) -> Result<Self, Error> {
        let action = policy_action(action_space, Bounding::Clip, None)?;
        let log_std = match &action {
            Action::Box { low, high, .. } => {
                let std = |(low, high): (&f32, &f32)| {
                    let range = high - low;
                    (EXPERT_STD * if range.is_finite() && range > 0.0 { range } else { 1.0 }).ln()
                };
                Some(low.iter().zip(high).map(std).collect())
            }
            _ => None,
        };
        let action = policy_action(action_space, Bounding::Clip, log_std)?;
        let distribution = action.distribution();
        let source = Source::Expert { act: Box::new(expert), command: None };
        Ok(Self { source, critic: None, action, distribution })
    }

    /// A [`Program`] that knows the action for an observation of an environment with these actions.
    ///
    /// # Errors
    /// If it cannot be started, or no policy could act there either.
    pub fn program(action_space: &Space, command: &str) -> Result<Self, Error> {
        let mut program = Program::start(command)?;
        let mut teacher = Self::expert(action_space, move |observation, action| program.act(observation, action))?;
        if let Source::Expert { command: named, .. } = &mut teacher.source {
            *named = Some(command.to_owned());
        }
        Ok(teacher)
    }
}

/// Writes the parameters of a distribution that is as good as certain of a flat action.
pub(super) fn express(
    action: &Action,
    distribution: &Distribution,
    taken: &[f32],
    params: &mut [f32],
) -> Result<(), Error> {
    let refuse =
        || Error::failed(format!("the expert took {taken:?}: expected one of {action}; look at what it answers with"));
    let starts = match action {
        Action::Discrete { start, .. } => vec![*start],
        Action::MultiDiscrete { start, .. } => start.clone(),
        Action::Box { log_std, .. } => {
            if !taken.iter().all(|x| x.is_finite()) {
                return Err(refuse());
            }
            let (means, log_stds) = params.split_at_mut(taken.len());
            means.copy_from_slice(taken);
            log_stds.copy_from_slice(log_std.as_ref().expect("an expert's spread is its own"));
            return Ok(());
        }
    };
    params.fill(0.0);
    for ((range, start), x) in distribution.choices().zip(starts).zip(taken) {
        let choice = x - start as f32;
        if !(choice.fract() == 0.0 && (0.0..range.len() as f32).contains(&choice)) {
            return Err(refuse());
        }
        params[range.start + choice as usize] = CERTAINTY;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn an_expert_is_as_good_as_certain_of_its_action() {
        let space = Space::Discrete { n: 3, start: -1 };
        let mut teacher = Teacher::expert(&space, |observation, action| {
            action[0] = observation[0];
            Ok(())
        })
        .unwrap();
        let none = Array2::zeros((2, 0));
        let labels = teacher.labels(array![[1.0], [-1.0]].view(), None, none.view()).unwrap();
        let probabilities = labels.mapv(f32::exp);
        assert!(probabilities[[0, 2]] > 0.9999 && probabilities[[1, 0]] > 0.9999, "{probabilities}");
        let error = teacher.labels(array![[2.0]].view(), None, none.view()).unwrap_err();
        assert!(error.is_failed() && error.to_string().contains("[2.0]"), "{error}");

        let mut teacher = Teacher::expert(&Space::bounded(&[-2.0], &[2.0]), |_, action| {
            action[0] = 1.5;
            Ok(())
        })
        .unwrap();
        assert_eq!(teacher.labels(array![[0.0]].view(), None, none.view()).unwrap(), array![[1.5, 0.2_f32.ln()]]);
        assert!(teacher.env().unwrap_err().is_config());
    }
}
