//! Hyperparameters for TensorBoard's HParams page.
//!
//! The plugin reads three summaries, told apart by their tags: what the
//! experiment varies and measures, what this session was started with, and that
//! it ended. All they say is in their metadata. The measured values themselves
//! are ordinary scalars under the tags named here.

use std::io;

use protobuf::well_known_types::Value;
use protobuf::{Message, RepeatedField};
use tensorboard_proto::api::{DataType, Experiment, HParamInfo, MetricInfo, MetricName, Status};
use tensorboard_proto::plugin_hparams::{HParamsPluginData, SessionEndInfo, SessionStartInfo};
use tensorboard_proto::summary::Summary;
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::tensor_shape::{TensorShapeProto, TensorShapeProto_Dim};
use tensorboard_proto::types;

use super::summary::for_plugin;
use crate::sink::{HparamValue, wall_time};

/// The three summaries of a session that `started` then and ends now.
pub(super) fn summaries(
    values: &[(String, HparamValue)],
    final_metrics: &[(String, f64)],
    started: f64,
) -> io::Result<[Summary; 3]> {
    let mut experiment = HParamsPluginData::new();
    experiment.set_experiment(experiment_of(values, final_metrics, started));

    let mut start_info = SessionStartInfo::new();
    start_info.set_start_time_secs(started);
    start_info.set_hparams(values.iter().map(|(name, value)| (name.clone(), typed(value).1)).collect());
    let mut start = HParamsPluginData::new();
    start.set_session_start_info(start_info);

    let mut end_info = SessionEndInfo::new();
    end_info.set_status(Status::STATUS_SUCCESS);
    end_info.set_end_time_secs(wall_time());
    let mut end = HParamsPluginData::new();
    end.set_session_end_info(end_info);

    Ok([
        plugin_summary("_hparams_/experiment", &experiment)?,
        plugin_summary("_hparams_/session_start_info", &start)?,
        plugin_summary("_hparams_/session_end_info", &end)?,
    ])
}

fn experiment_of(values: &[(String, HparamValue)], final_metrics: &[(String, f64)], started: f64) -> Experiment {
    let hparams = values.iter().map(|(name, value)| {
        let mut info = HParamInfo::new();
        info.set_name(name.clone());
        info.set_field_type(typed(value).0);
        info
    });
    let metrics = final_metrics.iter().map(|(tag, _)| {
        let mut name = MetricName::new();
        name.set_tag(tag.clone());
        let mut info = MetricInfo::new();
        info.set_name(name);
        info
    });
    let mut experiment = Experiment::new();
    experiment.set_time_created_secs(started);
    experiment.set_hparam_infos(hparams.collect());
    experiment.set_metric_infos(metrics.collect());
    experiment
}

fn typed(value: &HparamValue) -> (DataType, Value) {
    let mut typed = Value::new();
    let data_type = match value {
        HparamValue::Number(number) if number.is_finite() => {
            typed.set_number_value(*number);
            DataType::DATA_TYPE_FLOAT64
        }
        // The page travels as JSON, where such a number is an error.
        HparamValue::Number(number) => {
            typed.set_string_value(number.to_string());
            DataType::DATA_TYPE_STRING
        }
        HparamValue::Text(text) => {
            typed.set_string_value(text.clone());
            DataType::DATA_TYPE_STRING
        }
        HparamValue::Bool(switch) => {
            typed.set_bool_value(*switch);
            DataType::DATA_TYPE_BOOL
        }
    };
    (data_type, typed)
}

fn plugin_summary(tag: &str, data: &HParamsPluginData) -> io::Result<Summary> {
    let content = data.write_to_bytes().map_err(io::Error::other)?;
    // TensorBoard passes over a summary without a value, so this one has the
    // shortest there is: no floats.
    let mut shape = TensorShapeProto::new();
    shape.set_dim(RepeatedField::from_vec(vec![TensorShapeProto_Dim::new()]));
    let mut tensor = TensorProto::new();
    tensor.set_dtype(types::DataType::DT_FLOAT);
    tensor.set_tensor_shape(shape);
    Ok(for_plugin("hparams", content, tag, tensor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_keeps_its_values_and_names_its_metrics() {
        let values = [
            ("lr".to_owned(), HparamValue::Number(3e-4)),
            ("clip".to_owned(), HparamValue::Number(f64::INFINITY)),
            ("algo".to_owned(), HparamValue::Text("ppo".to_owned())),
            ("anneal".to_owned(), HparamValue::Bool(true)),
        ];
        let metrics = [("final/return".to_owned(), 500.0)];
        let written = summaries(&values, &metrics, 1.0).unwrap();
        let [experiment, start, end] = written.map(|summary| {
            let plugin = summary.get_value()[0].get_metadata().get_plugin_data();
            assert_eq!(plugin.get_plugin_name(), "hparams");
            HParamsPluginData::parse_from_bytes(plugin.get_content()).unwrap()
        });

        let names = experiment.get_experiment().get_metric_infos();
        assert_eq!(names[0].get_name().get_tag(), "final/return");
        assert_eq!(experiment.get_experiment().get_hparam_infos().len(), 4);

        let started_with = start.get_session_start_info().get_hparams();
        assert_eq!(started_with["lr"].get_number_value(), 3e-4);
        assert_eq!(started_with["clip"].get_string_value(), "inf");
        assert_eq!(started_with["algo"].get_string_value(), "ppo");
        assert!(started_with["anneal"].get_bool_value());

        let status = end.get_session_end_info().get_status();
        assert_eq!(status, Status::STATUS_SUCCESS);
    }
}
