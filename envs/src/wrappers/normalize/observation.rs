//! Observations with mean 0 and variance 1.

use super::RunningMeanStd;
use crate::Error;
use serde::{Deserialize, Serialize};

/// Takes the mean of all observations so far off each observation and divides by their standard deviation:
/// (x − mean) / √(var + ε), limited to ±`clip`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizeObservation {
    /// Of the flat rows.
    pub statistics: RunningMeanStd,
    /// ε, above 0.
    pub epsilon: f64,
    /// The greatest value in either direction, above 0.
    pub clip: Option<f32>,
    /// Whether observations are taken into the statistics: off for evaluation.
    pub update_running_mean: bool,
}

impl NormalizeObservation {
    /// Gymnasium's: ε = 10⁻⁸ and no limit. `columns` is an observation's.
    pub fn new(columns: usize) -> Self {
        Self { statistics: RunningMeanStd::new(columns), epsilon: 1e-8, clip: None, update_running_mean: true }
    }

    /// Takes observations into the statistics, unless they are frozen.
    pub fn update<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]> + Clone) {
        if self.update_running_mean {
            self.statistics.update(rows);
        }
    }

    /// Normalises one observation.
    pub fn apply(&self, row: &mut [f32]) {
        let clip = self.clip.unwrap_or(f32::INFINITY);
        let moments = self.statistics.mean().iter().zip(self.statistics.var());
        for (x, (mean, var)) in row.iter_mut().zip(moments) {
            let normalized = (f64::from(*x) - mean) / (var + self.epsilon).sqrt();
            *x = (normalized as f32).clamp(-clip, clip);
        }
    }

    /// Refuses parameters that make no sense, and statistics of other columns.
    pub(super) fn check(&self, columns: usize) -> Result<(), Error> {
        let got = self.statistics.mean().len();
        if got != columns {
            return Err(Error::config(format!("statistics: expected {columns} columns, the observation's, got {got}")));
        }
        super::positive("epsilon", self.epsilon)?;
        super::positive("clip", self.clip.map_or(1.0, f64::from))
    }
}
