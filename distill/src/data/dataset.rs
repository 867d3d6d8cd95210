//! The states that a student learns from, with what the teacher would do in them.

use apprentice_envs::Generator;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use serde::{Deserialize, Serialize};

/// States to add, in the order of a rollout; see [`Dataset`].
pub(crate) struct States<'a> {
    pub(crate) observations: ArrayView2<'a, f32>,
    pub(crate) labels: ArrayView2<'a, f32>,
    pub(crate) values: &'a [f32],
    pub(crate) weights: &'a [f32],
    pub(crate) features: ArrayView2<'a, f32>,
    pub(crate) memory: ArrayView2<'a, f32>,
    pub(crate) starts: &'a [bool],
}

/// Observations with the teacher's answers beside them, so that the teacher is asked once a state and not once an epoch.
/// Keeps the newest `capacity` states.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dataset {
    /// `[states, flat_dim]`.
    #[serde(with = "rows")]
    pub(crate) observations: Array2<f32>,
    /// `[states, params]`: the teacher's distribution in each.
    #[serde(with = "rows")]
    pub(crate) labels: Array2<f32>,
    /// `[states]`: the teacher's values, or empty if nobody asks for them.
    pub(crate) values: Vec<f32>,
    /// `[states]`: what each counts for, or empty if all count the same.
    pub(crate) weights: Vec<f32>,
    /// `[states, units]`: the teacher's last hidden layer; without columns if nobody asks for it.
    #[serde(with = "rows")]
    pub(crate) features: Array2<f32>,
    /// `[states, memory]`: what the student remembered before each.
    #[serde(with = "rows")]
    pub(crate) memory: Array2<f32>,
    /// `[states]`: whether an episode begins there.
    pub(crate) starts: Vec<bool>,
    /// The environments that the states come from: row t·N + n is step t of environment n.
    pub(crate) num_envs: usize,
    capacity: usize,
    /// The first so many are never let go.
    kept: usize,
}

impl Dataset {
    /// Room for `capacity` states of `num_envs` environments.
    pub(crate) fn new(capacity: usize, num_envs: usize, flat_dim: usize, num_params: usize, memory: usize) -> Self {
        Self {
            observations: Array2::zeros((0, flat_dim)),
            labels: Array2::zeros((0, num_params)),
            values: Vec::new(),
            weights: Vec::new(),
            features: Array2::zeros((0, 0)),
            memory: Array2::zeros((0, memory)),
            starts: Vec::new(),
            num_envs,
            capacity,
            kept: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.observations.nrows()
    }

    /// The number of states that are never let go.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// Whether `other` could have come of this one by adding states.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let shape = |data: &Self| {
            (data.observations.ncols(), data.labels.ncols(), data.memory.ncols(), data.num_envs, data.capacity)
        };
        let n = other.len();
        let arrays = [&other.labels, &other.features, &other.memory];
        let columns = [other.values.len(), other.weights.len(), other.starts.len()];
        shape(self) == shape(other)
            && arrays.iter().all(|array| array.nrows() == n || array.is_empty())
            && columns.iter().all(|length| [0, n].contains(length))
            && other.kept <= n
    }

    /// Adds states, letting go of the oldest beyond the capacity.
    pub(crate) fn extend(&mut self, states: &States<'_>) {
        let States { observations, labels, values, weights, features, memory, starts } = *states;
        if self.len() == 0 {
            self.features = Array2::zeros((0, features.ncols()));
        }
        let kept = self.kept;
        let surplus = (self.len() - kept + observations.nrows()).saturating_sub(self.capacity);
        let append = |old: &Array2<f32>, new: ArrayView2<'_, f32>| {
            let (first, rest) = old.view().split_at(Axis(0), kept);
            let both = concatenate(Axis(0), &[rest, new]).expect("rows of a dataset have one width");
            concatenate(Axis(0), &[first, both.slice(s![surplus.., ..])]).expect("rows of a dataset have one width")
        };
        self.observations = append(&self.observations, observations);
        self.labels = append(&self.labels, labels);
        self.features = append(&self.features, features);
        self.memory = append(&self.memory, memory);
        self.starts.extend_from_slice(starts);
        self.starts.drain(kept..kept + surplus);
        for (old, new) in [(&mut self.values, values), (&mut self.weights, weights)] {
            old.extend_from_slice(new);
            if !old.is_empty() {
                old.drain(kept..kept + surplus);
            }
        }
    }

    /// Takes the states of another one over, and what it keeps for good.
    pub(crate) fn take_over(&mut self, other: Self) {
        let Self { capacity, num_envs, .. } = *self;
        let features = Array2::zeros((other.len(), 0));
        *self = Self { capacity, num_envs, values: Vec::new(), weights: Vec::new(), features, ..other };
    }

    /// Lets go of everything, also of what it has kept.
    pub(crate) fn clear(&mut self) {
        let Self { observations, labels, memory, .. } = &*self;
        *self = Self::new(self.capacity, self.num_envs, observations.ncols(), labels.ncols(), memory.ncols());
    }

    /// Keeps a sample of `count` of the newest states for good, beside those that are kept already, and lets go of all others.
    pub(crate) fn keep_sample(&mut self, count: usize, rng: &mut Generator) {
        let mut newest: Vec<usize> = (self.kept..self.len()).collect();
        rng.shuffle(&mut newest);
        newest.truncate(count);
        let rows: Vec<usize> = (0..self.kept).chain(newest).collect();
        let pick = |from: &Vec<f32>| if from.is_empty() { Vec::new() } else { rows.iter().map(|i| from[*i]).collect() };
        (self.values, self.weights) = (pick(&self.values), pick(&self.weights));
        self.starts = rows.iter().map(|i| self.starts[*i]).collect();
        for array in [&mut self.observations, &mut self.labels, &mut self.features, &mut self.memory] {
            *array = array.select(Axis(0), &rows);
        }
        self.kept = rows.len();
    }
}

/// Arrays as their shape and their numbers.
mod rows {
    use super::{Array2, Deserialize, Serialize};
    use serde::{Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(array: &Array2<f32>, serializer: S) -> Result<S::Ok, S::Error> {
        (array.dim(), array.iter().copied().collect::<Vec<f32>>()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Array2<f32>, D::Error> {
        let (shape, values) = <((usize, usize), Vec<f32>)>::deserialize(deserializer)?;
        Array2::from_shape_vec(shape, values).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn keeps_the_newest_states_beside_their_labels() {
        let mut data = Dataset::new(3, 2, 1, 2, 1);
        for (a, b) in [(1.0, 2.0), (3.0, 4.0)] {
            data.extend(&States {
                observations: array![[a], [b]].view(),
                labels: array![[a, a], [b, b]].view(),
                values: &[a, b],
                weights: &[],
                features: array![[10.0 * a], [10.0 * b]].view(),
                memory: array![[-a], [-b]].view(),
                starts: &[a == 1.0, false],
            });
        }
        assert_eq!(data.memory, array![[-2.0], [-3.0], [-4.0]]);
        assert_eq!(data.features, array![[20.0], [30.0], [40.0]]);
        assert_eq!(data.starts, [false; 3]);
        assert_eq!(data.observations, array![[2.0], [3.0], [4.0]]);
        assert_eq!(data.labels, array![[2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]);
        assert_eq!(data.values, [2.0, 3.0, 4.0]);
        assert!(data.weights.is_empty());
        assert_eq!(data.len(), 3);

        data.keep_sample(2, &mut Generator::new(1));
        let kept = data.observations.clone();
        assert_eq!(kept.nrows(), 2);
        assert_eq!(data.labels.column(0), kept.column(0));
        for x in [5.0, 6.0, 7.0] {
            data.extend(&States {
                observations: array![[x], [x]].view(),
                labels: array![[x, x], [x, x]].view(),
                values: &[x, x],
                weights: &[],
                features: array![[10.0 * x], [10.0 * x]].view(),
                memory: array![[-x], [-x]].view(),
                starts: &[false, false],
            });
        }
        // Three of the newest beside the two.
        assert_eq!(data.observations.slice(s![..2, ..]), kept);
        assert_eq!(data.observations.slice(s![2.., ..]), array![[6.0], [7.0], [7.0]]);
        assert_eq!(data.values, [kept[[0, 0]], kept[[1, 0]], 6.0, 7.0, 7.0]);
        assert_eq!(data.starts.len(), 5);
    }

    /// What an earlier distillation held on to is held on to by the next, and the one after it.
    #[test]
    fn what_is_kept_is_kept_through_several_distillations() {
        let states = |value: f32, n: usize| (Array2::from_elem((n, 1), value), Array2::zeros((n, 2)), vec![false; n]);
        let mut data = Dataset::new(8, 1, 1, 2, 0);
        let mut rng = Generator::new(0);
        for task in 0..4_u8 {
            let mut next = Dataset::new(8, 1, 1, 2, 0);
            if task > 0 {
                next.take_over(data);
                next.keep_sample(2, &mut rng);
            }
            let (observations, labels, starts) = states(f32::from(task), 12);
            let none = Array2::zeros((12, 0));
            next.extend(&States {
                observations: observations.view(),
                labels: labels.view(),
                values: &[],
                weights: &[],
                features: none.view(),
                memory: none.view(),
                starts: &starts,
            });
            data = next;
            assert_eq!((data.kept(), data.len()), (2 * usize::from(task), 2 * usize::from(task) + 8));
        }
        let firsts: Vec<f32> = data.observations.iter().take(6).copied().collect();
        assert_eq!(firsts, [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]);
    }
}
