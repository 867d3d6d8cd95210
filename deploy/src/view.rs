//! A policy over slices: the whole of it, without a heap or an operating system.

use crate::head::{clamp, drawn_choices, drawn_reals, mask_logits, most_probable, ranges};
use crate::{GruView, Head, Int8View, MlpView, Split, descend, int8};
use core::fmt;

/// A policy whose parts lie wherever they lie: what [`Runner`](crate::Runner) runs, and what a program without a heap can
/// build from constants.
///
/// ```
/// use apprentice_deploy::{Activation, BodyView, Head, Input, LayerShape, MlpView, PolicyView};
///
/// // Push right where 4 θ + 2 θ̇ > 0.
/// let shapes = [LayerShape { inputs: 2, outputs: 2, activation: Activation::Identity }];
/// let weights = [-4.0, 4.0, -2.0, 2.0, 0.0, 0.0];
/// let policy = PolicyView {
///     inputs: &[Input::Real { len: 2 }],
///     normalizer: None,
///     body: BodyView::Mlp(MlpView { shapes: &shapes, weights: &weights }),
///     head: Head::Choices { nvec: &[2], start: &[0] },
///     masked: false,
/// };
/// let (mut scratch, mut params, mut action) = ([0.0; 4], [0.0; 2], [0.0; 1]);
/// policy.act(&[0.1, 0.0], None, &mut [], &mut scratch, &mut params, &mut action)?;
/// assert_eq!(action, [1.0]);
/// # Ok::<(), apprentice_deploy::Fault>(())
/// ```
///
/// The view itself remembers nothing. What a recurrent policy remembers of an episode is `memory`, a row of
/// [`memory_len`](Self::memory_len) numbers that belongs to the caller: zeros when an episode begins, and changed by each
/// observation, but left alone by an error. Of other policies it is empty.
#[derive(Clone, Copy, Debug)]
pub struct PolicyView<'a> {
    /// What it reads, one part after another.
    pub inputs: &'a [Input],
    /// What is done to the features before the body sees them.
    pub normalizer: Option<NormalizerView<'a>>,
    /// From features to outputs.
    pub body: BodyView<'a>,
    /// What the outputs stand for.
    pub head: Head<'a>,
    /// Whether it has to be told which choices are allowed.
    pub masked: bool,
}

/// A part of an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Real values, as they are.
    Real {
        /// How many.
        len: usize,
    },
    /// One integer of start, …, start + n − 1, which becomes a one-hot row.
    OneHot {
        /// How many integers there are.
        n: usize,
        /// The smallest.
        start: i64,
    },
}

impl Input {
    /// The number of values in an observation.
    pub fn flat_len(&self) -> usize {
        match self {
            Self::Real { len } => *len,
            Self::OneHot { .. } => 1,
        }
    }

    /// The number of features that they become.
    pub fn features(&self) -> usize {
        match self {
            Self::Real { len } => *len,
            Self::OneHot { n, .. } => *n,
        }
    }
}

/// Which of start, …, start + n − 1 a value is, counted from 0; None if it is none of them.
#[inline(always)]
pub(crate) fn one_hot(value: f32, n: usize, start: i64) -> Option<usize> {
    let choice = value - start as f32;
    // Exact, since no f32 that a policy may start from or end at is rounded; false for NaN.
    (0.0 <= choice && choice < n as f32 && choice as usize as f32 == choice).then_some(choice as usize)
}

/// [`Normalizer`](crate::Normalizer) over slices.
#[derive(Clone, Copy, Debug)]
pub struct NormalizerView<'a> {
    /// Mean of every feature.
    pub mean: &'a [f32],
    /// Standard deviation of every feature, positive.
    pub std: &'a [f32],
    /// Bound of the result, positive.
    pub clip: f32,
}

impl NormalizerView<'_> {
    /// x = clamp((x − mean) / std, −clip, clip).
    #[inline(always)]
    pub(crate) fn apply(&self, x: &mut [f32]) {
        for ((x, mean), std) in x.iter_mut().zip(self.mean).zip(self.std) {
            *x = self.one(*x, *mean, *std);
        }
    }

    /// A single feature.
    #[inline(always)]
    pub(crate) fn one(&self, x: f32, mean: f32, std: f32) -> f32 {
        clamp((x - mean) / std, -self.clip, self.clip)
    }
}

/// [`Body`](crate::Body) over slices.
#[derive(Clone, Copy, Debug)]
pub enum BodyView<'a> {
    /// Layers.
    Mlp(MlpView<'a>),
    /// A decision tree.
    Tree {
        /// Its questions, the root first.
        splits: &'a [Split],
        /// Its answers, `[leaves × outputs]`.
        leaves: &'a [f32],
    },
    /// Layers in integers.
    Int8 {
        /// A feature times this is its integer.
        scale: f32,
        /// First to last.
        layers: &'a [Int8View<'a>],
    },
    /// A recurrent cell and layers.
    Gru(GruView<'a>),
}

/// Why a policy cannot act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The observation has another length.
    Length,
    /// The value of this index is none of the integers that it may be.
    Integer {
        /// Counted from 0.
        index: usize,
    },
    /// An output is not finite, as after a NaN in the observation.
    NotFinite,
    /// The mask is missing though the policy needs one, has another length, or allows nothing.
    Mask,
    /// There is not one draw for each component, or one is not from [0, 1) for an integer, or not finite.
    Draws,
    /// A buffer is too short.
    Buffer,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("observation: expected another number of values"),
            Self::Integer { index } => write!(f, "observation: value {index} is none of the integers it may be"),
            Self::NotFinite => f.write_str("observation: expected values that give finite outputs; look for NaN"),
            Self::Mask => f.write_str("mask: expected one switch for each choice, one at least on for each integer"),
            Self::Draws => f.write_str("draws: expected one for each component, from [0, 1) or standard normal"),
            Self::Buffer => f.write_str("a buffer is too short"),
        }
    }
}

impl core::error::Error for Fault {}

impl PolicyView<'_> {
    /// The length of the scratch memory that [`params`](Self::params) needs: twice the widest row on the way from
    /// features to outputs, and the memory once.
    pub fn scratch_len(&self) -> usize {
        2 * self.widest() + self.memory_len()
    }

    /// The length of the memory: 0 unless the body is recurrent.
    #[inline]
    pub fn memory_len(&self) -> usize {
        match self.body {
            BodyView::Gru(gru) => gru.cell.units(),
            BodyView::Mlp(_) | BodyView::Tree { .. } | BodyView::Int8 { .. } => 0,
        }
    }

    /// The longest row on the way from features to outputs.
    pub(crate) fn widest(&self) -> usize {
        let features = self.inputs.iter().map(Input::features).sum();
        match self.body {
            BodyView::Mlp(mlp) => mlp.widest(features),
            BodyView::Tree { .. } => features,
            BodyView::Int8 { layers, .. } => layers.iter().map(|layer| layer.bias.len()).fold(features, usize::max),
            BodyView::Gru(gru) => gru.widest(features),
        }
    }

    /// Writes the parameters of the distribution of actions, `[num_params]`: logits, or means and logarithms of
    /// standard deviations. The logits of choices that a mask forbids become [`MASKED_LOGIT`](crate::MASKED_LOGIT).
    ///
    /// # Errors
    /// If the observation, the mask or a buffer is not what it should be.
    ///
    /// # Panics
    /// If the view's own parts do not fit together. Those of a [`Policy`](crate::Policy) do.
    pub fn params(
        &self,
        observation: &[f32],
        mask: Option<&[bool]>,
        memory: &mut [f32],
        scratch: &mut [f32],
        params: &mut [f32],
    ) -> Result<(), Fault> {
        let params = params.get_mut(..self.head.num_params()).ok_or(Fault::Buffer)?;
        let memory = memory.get_mut(..self.memory_len()).ok_or(Fault::Buffer)?;
        let rows = scratch.len().checked_sub(memory.len()).ok_or(Fault::Buffer)?;
        let (rows, next) = scratch.split_at_mut(rows);
        let (x, y) = rows.split_at_mut(rows.len() / 2);
        let features = self.features(observation, x)?;
        let outputs = match self.head {
            Head::Real { log_std: Some(log_std), low, .. } => {
                let (means, fixed) = params.split_at_mut(low.len());
                fixed.copy_from_slice(log_std);
                means
            }
            _ => params,
        };
        match self.body {
            BodyView::Mlp(mlp) => {
                let computed = mlp.forward(x, y).and_then(|y| y.get(..outputs.len())).ok_or(Fault::Buffer)?;
                outputs.copy_from_slice(computed);
            }
            BodyView::Gru(gru) => {
                let computed = gru.forward(x, y, memory, next).and_then(|y| y.get(..outputs.len()));
                outputs.copy_from_slice(computed.ok_or(Fault::Buffer)?);
            }
            // A leaf and an integer are finite whatever led to them.
            _ if !x[..features].iter().all(|x| x.is_finite()) => return Err(Fault::NotFinite),
            BodyView::Int8 { scale, layers } => {
                let computed = int8::forward(layers, scale, x, y).and_then(|y| y.get(..outputs.len()));
                outputs.copy_from_slice(computed.ok_or(Fault::Buffer)?);
            }
            BodyView::Tree { splits, leaves } => {
                let n = outputs.len();
                outputs.copy_from_slice(&leaves[descend(splits, x) * n..][..n]);
            }
        }
        if !outputs.iter().all(|x| x.is_finite()) || !next.iter().all(|x| x.is_finite()) {
            return Err(Fault::NotFinite);
        }
        match (mask, self.head) {
            (None, _) => {}
            (Some(mask), Head::Choices { nvec, .. })
                if mask.len() == outputs.len() && ranges(nvec).all(|range| mask[range].contains(&true)) =>
            {
                mask_logits(outputs, mask);
            }
            _ => return Err(Fault::Mask),
        }
        // Only now that nothing is wrong; most policies have none.
        if !memory.is_empty() {
            memory.copy_from_slice(next);
        }
        Ok(())
    }

    /// Writes the features of an observation, normalised, to the beginning of `x`; returns how many there are.
    #[inline(always)]
    pub(crate) fn features(&self, observation: &[f32], x: &mut [f32]) -> Result<usize, Fault> {
        let features = self.write_features(observation, x)?;
        if let Some(normalizer) = &self.normalizer {
            normalizer.apply(&mut x[..features]);
        }
        Ok(features)
    }

    #[inline(always)]
    fn write_features(&self, observation: &[f32], x: &mut [f32]) -> Result<usize, Fault> {
        let (mut at, mut feature) = (0, 0);
        for input in self.inputs {
            let values = observation.get(at..at + input.flat_len()).ok_or(Fault::Length)?;
            let to = x.get_mut(feature..feature + input.features()).ok_or(Fault::Buffer)?;
            match *input {
                Input::Real { .. } => to.copy_from_slice(values),
                Input::OneHot { n, start } => {
                    let choice = one_hot(values[0], n, start).ok_or(Fault::Integer { index: at })?;
                    to.fill(0.0);
                    to[choice] = 1.0;
                }
            }
            at += values.len();
            feature += input.features();
        }
        if at == observation.len() { Ok(feature) } else { Err(Fault::Length) }
    }

    /// Writes the most probable action, `[dim]`, as a flat row of the environment's action space, the first of equals;
    /// and the [parameters](Self::params) of the distribution.
    ///
    /// # Errors
    /// As [`params`](Self::params), and if a policy that needs a mask is given none.
    ///
    /// # Panics
    /// As there.
    #[inline]
    pub fn act(
        &self,
        observation: &[f32],
        mask: Option<&[bool]>,
        memory: &mut [f32],
        scratch: &mut [f32],
        params: &mut [f32],
        action: &mut [f32],
    ) -> Result<(), Fault> {
        let action = self.prepare(observation, mask, memory, scratch, params, action)?;
        match self.head {
            Head::Choices { nvec, .. } => most_probable(nvec, params, action),
            Head::Real { .. } => action.copy_from_slice(&params[..action.len()]),
        }
        self.head.bound(action);
        Ok(())
    }

    /// Writes a random action from the policy's distribution. `draws` has a number for each of its components: uniform
    /// from [0, 1) for an integer, standard normal for a real number.
    ///
    /// # Errors
    /// As [`act`](Self::act), and if draws are not such numbers.
    ///
    /// # Panics
    /// As there.
    #[expect(clippy::too_many_arguments, reason = "each is a row of the caller's")]
    pub fn sample(
        &self,
        observation: &[f32],
        mask: Option<&[bool]>,
        draws: &[f64],
        memory: &mut [f32],
        scratch: &mut [f32],
        params: &mut [f32],
        action: &mut [f32],
    ) -> Result<(), Fault> {
        let sound = |draw: &f64| match self.head {
            Head::Choices { .. } => (0.0..1.0).contains(draw),
            Head::Real { .. } => draw.is_finite(),
        };
        if draws.len() != self.head.dim() || !draws.iter().all(sound) {
            return Err(Fault::Draws);
        }
        let action = self.prepare(observation, mask, memory, scratch, params, action)?;
        match self.head {
            Head::Choices { nvec, .. } => drawn_choices(nvec, params, draws, action),
            Head::Real { .. } => drawn_reals(params, draws, action),
        }
        self.head.bound(action);
        Ok(())
    }

    /// Computes the parameters; returns the part of `action` that is to be filled.
    #[inline]
    fn prepare<'r>(
        &self,
        observation: &[f32],
        mask: Option<&[bool]>,
        memory: &mut [f32],
        scratch: &mut [f32],
        params: &mut [f32],
        action: &'r mut [f32],
    ) -> Result<&'r mut [f32], Fault> {
        // A policy that was trained with masks has never learnt what not to choose.
        if self.masked && mask.is_none() {
            return Err(Fault::Mask);
        }
        let action = action.get_mut(..self.head.dim()).ok_or(Fault::Buffer)?;
        self.params(observation, mask, memory, scratch, params)?;
        Ok(action)
    }
}
