//! Mean and variance of a stream of rows.

use crate::Error;
use serde::{Deserialize, Serialize};

/// The mean and the variance of every column of all rows so far, in double precision.
///
/// A batch of rows is merged by the formula of Chan, Golub and LeVeque, *Updating Formulae and a Pairwise Algorithm for
/// Computing Sample Variances*, 1979. As in Gymnasium's `RunningMeanStd` there is a prior of mean 0 and variance 1 that
/// counts as 10⁻⁴ rows, and the variance is that of the population (divided by the count).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct RunningMeanStd {
    mean: Vec<f64>,
    var: Vec<f64>,
    count: f64,
}

impl RunningMeanStd {
    /// The prior, for rows of `columns` columns.
    pub fn new(columns: usize) -> Self {
        Self { mean: vec![0.0; columns], var: vec![1.0; columns], count: 1e-4 }
    }

    /// The mean of each column.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The variance of each column.
    pub fn var(&self) -> &[f64] {
        &self.var
    }

    /// How many rows these are of, the prior's 10⁻⁴ among them.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// Takes some rows in. Without a row nothing changes.
    pub fn update<'a, T: Into<f64> + Copy + 'a>(&mut self, rows: impl Iterator<Item = &'a [T]> + Clone) {
        let count = rows.clone().count() as f64;
        if count == 0.0 {
            return;
        }
        self.merge_columns(count, |column| {
            let values = || rows.clone().map(|row| row[column].into());
            let mean = values().sum::<f64>() / count;
            let squares = values().map(|x| (x - mean) * (x - mean)).sum::<f64>();
            (mean, squares / count)
        });
    }

    /// Takes in the rows of other statistics, such as another worker's. Both priors count.
    ///
    /// # Errors
    /// If they are of another number of columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), Error> {
        let (expected, got) = (self.mean.len(), other.mean.len());
        if expected != got {
            return Err(Error::shape(format!("statistics to merge: expected {expected} columns, got {got}")));
        }
        self.merge_columns(other.count, |column| (other.mean[column], other.var[column]));
        Ok(())
    }

    /// Takes in `count` rows of which `moments` gives the mean and the variance of each column.
    fn merge_columns(&mut self, count: f64, moments: impl Fn(usize) -> (f64, f64)) {
        let total = self.count + count;
        for (column, (mean, var)) in self.mean.iter_mut().zip(&mut self.var).enumerate() {
            let (other_mean, other_var) = moments(column);
            let delta = other_mean - *mean;
            *mean += delta * count / total;
            let squares = *var * self.count + other_var * count + delta * delta * self.count * count / total;
            *var = squares / total;
        }
        self.count = total;
    }
}

/// What is read, perhaps from a damaged file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    mean: Vec<f64>,
    var: Vec<f64>,
    count: f64,
}

impl TryFrom<Unchecked> for RunningMeanStd {
    type Error = &'static str;

    fn try_from(Unchecked { mean, var, count }: Unchecked) -> Result<Self, &'static str> {
        let finite = mean.iter().all(|x| x.is_finite()) && var.iter().all(|x| x.is_finite() && *x >= 0.0);
        if mean.len() == var.len() && finite && count > 0.0 && count.is_finite() {
            return Ok(Self { mean, var, count });
        }
        Err("expected as many finite means as variances from 0 on, and a positive count")
    }
}
