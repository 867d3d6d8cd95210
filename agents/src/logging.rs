//! What a run logs beside its scalars: histograms of weights and of action probabilities, and hyperparameters.

use crate::{Engine, Networks};
use apprentice_deploy::{Distribution, GruCell};
use apprentice_telemetry::{HparamValue, Logger};
use ndarray::Array2;

/// Histograms of every layer of an engine's networks.
pub fn log_weights(logger: &mut Logger, engine: &dyn Engine, step: u64) {
    let Networks { gru, actor, critic, log_std } = engine.networks();
    if let Some(gru) = gru {
        let GruCell { weight_x, bias_x, weight_h, bias_h } = gru;
        for (name, part) in [("weight_x", weight_x), ("bias_x", bias_x), ("weight_h", weight_h), ("bias_h", bias_h)] {
            logger.histogram(&format!("weights/gru.{name}"), &part, step);
        }
    }
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

/// Histograms of distributions of actions by their `params` `[states, params]`: the probability of each choice, or the mean
/// and the standard deviation of each real number. Masks are left out of account.
pub fn log_actions(logger: &mut Logger, distribution: &Distribution, mut params: Array2<f32>, step: u64) {
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
            (0..*dim).for_each(|i| histogram(format!("mean_{i}"), i, false));
            (0..*dim).for_each(|i| histogram(format!("std_{i}"), dim + i, true));
        }
    }
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
