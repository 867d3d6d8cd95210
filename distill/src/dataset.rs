//! The states that a student learns from, with what the teacher would do in them.

use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

/// Observations with the teacher's answers beside them, so that the teacher is asked once a state and not once an epoch.
/// Keeps the newest `capacity` states.
#[derive(Clone, Debug)]
pub(crate) struct Dataset {
    /// `[states, flat_dim]`.
    pub(crate) observations: Array2<f32>,
    /// `[states, params]`: the teacher's distribution in each.
    pub(crate) labels: Array2<f32>,
    /// `[states]`: the teacher's values, or empty if nobody asks for them.
    pub(crate) values: Vec<f32>,
    /// `[states]`: what each counts for, or empty if all count the same.
    pub(crate) weights: Vec<f32>,
    capacity: usize,
}

impl Dataset {
    /// Room for `capacity` states.
    pub(crate) fn new(capacity: usize, flat_dim: usize, num_params: usize) -> Self {
        Self {
            observations: Array2::zeros((0, flat_dim)),
            labels: Array2::zeros((0, num_params)),
            values: Vec::new(),
            weights: Vec::new(),
            capacity,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.observations.nrows()
    }

    /// Adds states with their labels, values and weights, letting go of the oldest beyond the capacity.
    pub(crate) fn extend(
        &mut self,
        observations: ArrayView2<'_, f32>,
        labels: ArrayView2<'_, f32>,
        values: &[f32],
        weights: &[f32],
    ) {
        let surplus = (self.len() + observations.nrows()).saturating_sub(self.capacity);
        let append = |old: &Array2<f32>, new: ArrayView2<'_, f32>| {
            let both = concatenate(Axis(0), &[old.view(), new]).expect("rows of a dataset have one width");
            both.slice(s![surplus.., ..]).to_owned()
        };
        self.observations = append(&self.observations, observations);
        self.labels = append(&self.labels, labels);
        for (old, new) in [(&mut self.values, values), (&mut self.weights, weights)] {
            old.extend_from_slice(new);
            old.drain(..surplus.min(old.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn keeps_the_newest_states_beside_their_labels() {
        let mut data = Dataset::new(3, 1, 2);
        data.extend(array![[1.0], [2.0]].view(), array![[1.0, 1.0], [2.0, 2.0]].view(), &[1.0, 2.0], &[]);
        data.extend(array![[3.0], [4.0]].view(), array![[3.0, 3.0], [4.0, 4.0]].view(), &[3.0, 4.0], &[]);
        assert_eq!(data.observations, array![[2.0], [3.0], [4.0]]);
        assert_eq!(data.labels, array![[2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]);
        assert_eq!(data.values, [2.0, 3.0, 4.0]);
        assert!(data.weights.is_empty());
        assert_eq!(data.len(), 3);
    }
}
