//! From a network in training to a policy that needs no burn.

use crate::Error;
use crate::evaluate::features;
use apprentice_deploy::{Action, Body, Bounding, EnvironmentRef, Header, Normalizer, Policy, Provenance};
use apprentice_envs::Space;

/// The policy that the layers, or the tree, of `actor` compute, with everything else that acting needs.
///
/// # Errors
/// If a weight is not finite, or the spaces are not ones that a policy file can name.
pub fn export(
    actor: impl Into<Body>,
    environment: EnvironmentRef,
    observation_space: &Space,
    normalizer: Option<Normalizer>,
    action: Action,
    masked: bool,
    provenance: Provenance,
) -> Result<Policy, Error> {
    let observation = features(observation_space);
    let header = Header { environment, observation, normalizer, action, masked, provenance };
    Policy::new(header, actor).map_err(|e| Error::diverged(format!("the policy cannot be exported: {e}")))
}

/// How a policy acts in an action space. For real numbers, `bounding` keeps them within their bounds, and `log_std`
/// has the logarithms of their standard deviations, if these are not outputs of the actor.
///
/// # Errors
/// If the space is not `Discrete`, `MultiDiscrete`, `MultiBinary` or `Box`, or has no bounds to squash actions into.
pub fn policy_action(space: &Space, bounding: Bounding, log_std: Option<Vec<f32>>) -> Result<Action, Error> {
    Ok(match space {
        Space::Discrete { n, start } => Action::Discrete { n: *n as usize, start: *start },
        Space::MultiDiscrete { nvec, start } => {
            Action::MultiDiscrete { nvec: nvec.iter().map(|n| *n as usize).collect(), start: start.clone() }
        }
        Space::MultiBinary { .. } => {
            Action::MultiDiscrete { nvec: vec![2; space.flat_dim()], start: vec![0; space.flat_dim()] }
        }
        Space::Box { low, high, .. } => {
            let bounded = low.iter().zip(high).all(|(low, high)| (high - low).is_finite());
            if bounding == Bounding::Tanh && !bounded {
                return Err(Error::config(format!(
                    "squash_output: expected actions with finite bounds, got {space}; switch it off, or wrap the \
                     environment in RescaleAction"
                )));
            }
            Action::Box { low: low.clone(), high: high.clone(), bounding, log_std }
        }
        other => {
            return Err(Error::config(format!(
                "the action space is {other}: expected Discrete, MultiDiscrete, MultiBinary or Box, those that policies \
                 act in"
            )));
        }
    })
}
