//! From a network in training to a policy that needs no burn.

use crate::evaluate::features;
use crate::{Activation, Error, Mlp, discrete_actions};
use apprentice_deploy::{Action, EnvironmentRef, Header, Layer, Policy, Provenance};
use apprentice_envs::Space;

/// The policy that `actor` computes: its layers, and everything else that acting needs.
///
/// # Errors
/// If a weight is not finite, or the spaces are not ones that a policy file can name.
pub fn export(
    actor: &Mlp,
    environment: EnvironmentRef,
    observation_space: &Space,
    action_space: &Space,
    provenance: Provenance,
) -> Result<Policy, Error> {
    let (n, start) = discrete_actions(action_space)?;
    let header = Header {
        environment,
        observation: features(observation_space)?,
        normalizer: None,
        action: Action::Discrete { n, start },
        provenance,
    };
    let weights = actor.weights();
    let last = weights.len() - 1;
    let hidden = match actor.activation() {
        Activation::Tanh => apprentice_deploy::Activation::Tanh,
        Activation::Relu => apprentice_deploy::Activation::Relu,
    };
    let layer = |(i, (weight, bias))| Layer {
        weight,
        bias,
        activation: if i < last { hidden } else { apprentice_deploy::Activation::Identity },
    };
    let layers = weights.into_iter().enumerate().map(layer).collect();
    Policy::new(header, layers).map_err(|e| Error::diverged(format!("the policy cannot be exported: {e}")))
}
