//! Spaces made of other spaces: what wrappers say that their observations lie in.

use crate::Space;

impl Space {
    /// The `Box` of this shape without bounds.
    pub(super) fn unbounded(mut self) -> Self {
        if let Self::Box { low, high, .. } = &mut self {
            low.fill(f32::NEG_INFINITY);
            high.fill(f32::INFINITY);
        }
        self
    }

    /// Writes the element that is nearest to zero, as Gymnasium's `create_zero_array` has it: of integers the smallest.
    pub(super) fn write_zero(&self, row: &mut [f32]) {
        match self {
            Self::Discrete { start, .. } => row[0] = *start as f32,
            Self::Box { low, high, .. } => {
                row.iter_mut().zip(low.iter().zip(high)).for_each(|(to, (&low, &high))| *to = 0_f32.clamp(low, high));
            }
            Self::MultiDiscrete { start, .. } => row.iter_mut().zip(start).for_each(|(to, &start)| *to = start as f32),
            Self::MultiBinary { .. } => row.fill(0.0),
            Self::Tuple { .. } | Self::Dict { .. } => {
                let mut rest = row;
                for part in self.parts() {
                    let (columns, after) = rest.split_at_mut(part.flat_dim());
                    part.write_zero(columns);
                    rest = after;
                }
            }
        }
    }

    /// `n` elements of this space as one, Gymnasium's `batch_space`: arrays get one more dimension, in front, and the
    /// parts of a `Tuple` or a `Dict` are batched each by itself.
    pub(super) fn batched(&self, n: usize) -> Self {
        let in_front = |shape: &[usize]| [&[n], shape].concat();
        match self {
            Self::Discrete { n: choices, start } => {
                Self::MultiDiscrete { nvec: vec![*choices; n], start: vec![*start; n] }
            }
            Self::Box { low, high, shape } => {
                Self::Box { low: low.repeat(n), high: high.repeat(n), shape: in_front(shape) }
            }
            Self::MultiDiscrete { nvec, start } => Self::MultiDiscrete { nvec: nvec.repeat(n), start: start.repeat(n) },
            Self::MultiBinary { shape } => Self::MultiBinary { shape: in_front(shape) },
            Self::Tuple { spaces } => Self::tuple(spaces.iter().map(|space| space.batched(n)).collect::<Vec<_>>()),
            Self::Dict { spaces } => Self::dict(spaces.iter().map(|(name, space)| (name, space.batched(n)))),
        }
    }

    /// The columns of each part that [`batched`](Self::batched) batches by itself, in the order of a flat row.
    pub(super) fn leaves(&self) -> Vec<usize> {
        match self {
            Self::Tuple { .. } | Self::Dict { .. } => self.parts().flat_map(Self::leaves).collect(),
            _ => vec![self.flat_dim()],
        }
    }

    /// The `Box` that this space's feature rows lie in, Gymnasium's `flatten_space`: 0 to 1 for the one-hot columns of
    /// integers and for switches.
    pub(super) fn flattened(&self) -> Self {
        let (low, high) = self.feature_bounds();
        Self::bounded(&low, &high)
    }

    fn feature_bounds(&self) -> (Vec<f32>, Vec<f32>) {
        match self {
            Self::Box { low, high, .. } => (low.clone(), high.clone()),
            Self::Tuple { .. } | Self::Dict { .. } => {
                let parts = self.parts().map(Self::feature_bounds);
                let (low, high): (Vec<_>, Vec<_>) = parts.unzip();
                (low.concat(), high.concat())
            }
            _ => (vec![0.0; self.feature_dim()], vec![1.0; self.feature_dim()]),
        }
    }
}
