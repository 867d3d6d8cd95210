//! From a network in training to a policy that needs no burn.

use crate::evaluate::features;
use crate::{Error, discrete_actions};
use apprentice_deploy::{Action, EnvironmentRef, Header, Layer, Policy, Provenance};
use apprentice_envs::Space;

/// The policy that the layers `actor` compute, with everything else that acting needs.
///
/// # Errors
/// If a weight is not finite, or the spaces are not ones that a policy file can name.
pub fn export(
    actor: Vec<Layer>,
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
    Policy::new(header, actor).map_err(|e| Error::diverged(format!("the policy cannot be exported: {e}")))
}
