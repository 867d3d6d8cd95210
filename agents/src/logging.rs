//! What a run logs beside its scalars: histograms of weights and of action probabilities, and hyperparameters.

use crate::{Engine, Error, Rollout};
use apprentice_deploy::log_softmax;
use apprentice_telemetry::{HparamValue, Logger};
use ndarray::Array2;

/// Histograms of every layer of an engine's networks.
pub fn log_weights(logger: &mut Logger, engine: &dyn Engine, step: u64) {
    let (actor, critic) = engine.architecture().layers(&engine.parameters());
    for (name, layers) in [("actor", actor), ("critic", critic)] {
        for (i, layer) in layers.iter().enumerate() {
            logger.histogram(&format!("weights/{name}.{i}.weight"), &layer.weight, step);
            logger.histogram(&format!("weights/{name}.{i}.bias"), &layer.bias, step);
        }
    }
}

/// Histograms of the probability that an engine's policy gives each action, over the states of a rollout.
///
/// # Errors
/// If the policy has no finite answer.
pub fn log_action_probabilities(
    logger: &mut Logger,
    engine: &mut dyn Engine,
    rollout: &Rollout,
    step: u64,
) -> Result<(), Error> {
    let observations = rollout.observation_rows();
    let actions = engine.architecture().actions;
    let mut logits = Array2::zeros((observations.nrows(), actions));
    engine.logits(observations, logits.view_mut())?;
    let mut log_probs = vec![0.0; actions];
    for mut row in logits.rows_mut() {
        log_softmax(row.as_slice().expect("rows are contiguous"), &mut log_probs);
        row.iter_mut().zip(&log_probs).for_each(|(to, log_prob)| *to = log_prob.exp());
    }
    for action in 0..actions {
        logger.histogram(&format!("actions/probability_{action}"), &logits.column(action).to_vec(), step);
    }
    Ok(())
}

/// The numbers, names and switches of a configuration, for TensorBoard's comparison of runs.
pub fn hyperparameters(config: &impl serde::Serialize) -> Vec<(String, HparamValue)> {
    let value = serde_json::to_value(config).expect("a configuration is plain data");
    let fields = value.as_object().cloned().unwrap_or_default();
    let hparam = |value: serde_json::Value| match value {
        serde_json::Value::Bool(value) => HparamValue::Bool(value),
        serde_json::Value::Number(value) => HparamValue::Number(value.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(value) => HparamValue::Text(value),
        other => HparamValue::Text(other.to_string()),
    };
    fields.into_iter().map(|(key, value)| (key, hparam(value))).collect()
}
