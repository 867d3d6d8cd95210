//! From flat rows of observations to what networks read.

use crate::evaluate::columns_of;
use apprentice_deploy::Normalizer;
use apprentice_envs::Space;
use ndarray::ArrayView2;
use std::ops::Range;

/// Lays observations out as features and normalises them, with the arithmetic of the deployed policy.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    space: Space,
    normalizer: Option<Normalizer>,
    one_hot: Option<OneHot>,
}

/// Observations of integers only: every column of a flat row is one feature of several that is 1, and the others are 0.
#[derive(Clone, Debug)]
struct OneHot {
    /// Of every column: its smallest integer, and the place of that one's feature.
    columns: Vec<(i64, u32)>,
}

/// What a network reads, of some samples.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    /// Features, `[samples × width]`.
    Dense(&'a [f32]),
    /// The features that are 1, `[samples × columns]`.
    OneHot { places: &'a [u32], columns: usize },
}

/// Room for the features of many samples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inputs {
    features: Vec<f32>,
    places: Vec<u32>,
}

impl Encoder {
    pub(crate) fn new(space: Space) -> Self {
        let integers: Option<Vec<(u32, i64)>> = columns_of(&space).into_iter().collect();
        // A switch is a feature as it is, and not two.
        let one_hot =
            integers.filter(|integers| space.feature_dim() == integers.iter().map(|(n, _)| *n as usize).sum::<usize>());
        let one_hot = one_hot.map(|integers| {
            let place = |width: &mut u32, (n, start): (u32, i64)| {
                *width += n;
                Some((start, *width - n))
            };
            OneHot { columns: integers.into_iter().scan(0, place).collect() }
        });
        Self { space, normalizer: None, one_hot }
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
        if let (Space::Box { .. }, None, Some(flat)) = (&self.space, &self.normalizer, observations.as_slice()) {
            features.copy_from_slice(flat);
            return;
        }
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

    /// Writes what a network reads for flat rows `[B, flat_dim]`, in the shortest form.
    pub(crate) fn encode(&self, observations: ArrayView2<'_, f32>, inputs: &mut Inputs) {
        match &self.one_hot {
            None => self.write(observations, &mut inputs.features),
            Some(OneHot { columns }) => {
                let place = |(x, (start, first)): (&f32, &(i64, u32))| (*x as i64 - start) as u32 + first;
                inputs.places.clear();
                let rows = observations.rows().into_iter();
                rows.for_each(|row| inputs.places.extend(row.iter().zip(columns).map(place)));
            }
        }
    }

    /// Some consecutive samples.
    pub(crate) fn samples<'a>(&self, inputs: &'a Inputs, samples: Range<usize>) -> Input<'a> {
        match &self.one_hot {
            None => Input::Dense(&inputs.features[samples.start * self.width()..samples.end * self.width()]),
            Some(OneHot { columns }) => {
                let columns = columns.len();
                Input::OneHot { places: &inputs.places[samples.start * columns..samples.end * columns], columns }
            }
        }
    }
}
