//! From flat rows of observations to what networks read.

use apprentice_deploy::Normalizer;
use apprentice_envs::Space;
use ndarray::ArrayView2;

/// Lays observations out as features and normalises them, with the arithmetic of the deployed policy.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    space: Space,
    normalizer: Option<Normalizer>,
}

impl Encoder {
    pub(crate) fn new(space: Space) -> Self {
        Self { space, normalizer: None }
    }

    /// The number of features.
    pub(crate) fn width(&self) -> usize {
        self.space.feature_dim()
    }

    pub(crate) fn set_normalizer(&mut self, normalizer: Option<Normalizer>) {
        self.normalizer = normalizer;
    }

    /// Writes the features of flat rows `[B, flat_dim]`, `[B × features]`.
    pub(crate) fn write(&self, observations: ArrayView2<'_, f32>, features: &mut Vec<f32>) {
        features.resize(observations.nrows() * self.width(), 0.0);
        for (flat, row) in observations.rows().into_iter().zip(features.chunks_exact_mut(self.width())) {
            match flat.as_slice() {
                Some(flat) => self.space.write_features(flat, row),
                None => self.space.write_features(&flat.to_vec(), row),
            }
            if let Some(normalizer) = &self.normalizer {
                normalizer.apply(row);
            }
        }
    }
}
