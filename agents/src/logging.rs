//! What a run logs beside its scalars: histograms of weights and of action probabilities, and hyperparameters.

use crate::{Engine, Error};
use apprentice_deploy::Distribution;
use apprentice_telemetry::{HparamValue, Logger};
use ndarray::{Array2, ArrayView2};

/// Histograms of every layer of an engine's networks.
pub fn log_weights(logger: &mut Logger, engine: &dyn Engine, step: u64) {
    let (actor, critic, log_std) = engine.architecture().layers(&engine.parameters());
    for (name, layers) in [("actor", actor), ("critic", critic)] {
        for (i, layer) in layers.iter().enumerate() {
            logger.histogram(&format!("weights/{name}.{i}.weight"), &layer.weight, step);
            logger.histogram(&format!("weights/{name}.{i}.bias"), &layer.bias, step);
        }
    }
    if !log_std.is_empty() {
        logger.histogram("weights/log_std", &log_std, step);
    }
}

/// Histograms over some states, by their flat observations, of what an engine's policy would do there: the probability of each choice,
/// or the mean and the standard deviation of each real
/// number. Masks are left out of account.
///
/// # Errors
/// If the policy has no finite answer.
pub fn log_actions(
    logger: &mut Logger,
    engine: &mut dyn Engine,
    observations: ArrayView2<'_, f32>,
    step: u64,
) -> Result<(), Error> {
    let distribution = engine.architecture().distribution.clone();
    let mut params = Array2::zeros((observations.nrows(), distribution.num_params()));
    engine.params(observations, params.view_mut())?;
    for mut row in params.rows_mut() {
        distribution.normalize(row.as_slice_mut().expect("rows are contiguous"));
    }
    let mut histogram = |name: String, column: usize, exp: bool| {
        let values = params.column(column).mapv(|x| if exp { x.exp() } else { x });
        logger.histogram(&format!("actions/{name}"), &values.to_vec(), step);
    };
    match distribution {
        // The one choice of a Discrete space needs no number.
        Distribution::Categorical { nvec } if nvec.len() == 1 => {
            (0..nvec[0]).for_each(|action| histogram(format!("probability_{action}"), action, true));
        }
        Distribution::Categorical { .. } => {
            for (choice, range) in distribution.choices().enumerate() {
                let first = range.start;
                range.for_each(|i| histogram(format!("probability_{choice}_{}", i - first), i, true));
            }
        }
        Distribution::Gaussian { dim, .. } => {
            (0..dim).for_each(|i| histogram(format!("mean_{i}"), i, false));
            (0..dim).for_each(|i| histogram(format!("std_{i}"), dim + i, true));
        }
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
