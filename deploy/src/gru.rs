//! Recurrent policies: a cell that remembers the episode so far, and layers behind it.

use crate::kernel::gru::remember;
use crate::mlp::{Activation, MlpView, layer};

/// A gated recurrent unit and layers over slices.
#[derive(Clone, Copy, Debug)]
pub struct GruView<'a> {
    /// From the features and the memory to the new memory.
    pub cell: GruCellView<'a>,
    /// From the new memory to the outputs; at least one layer.
    pub layers: MlpView<'a>,
}

/// [`GruCell`](crate::GruCell) over slices.
#[derive(Clone, Copy, Debug)]
pub struct GruCellView<'a> {
    /// `[features × 3 · units]`, row-major.
    pub weight_x: &'a [f32],
    /// `[3 · units]`.
    pub bias_x: &'a [f32],
    /// `[units × 3 · units]`, row-major.
    pub weight_h: &'a [f32],
    /// `[3 · units]`.
    pub bias_h: &'a [f32],
}

impl GruCellView<'_> {
    /// The length of the memory.
    pub fn units(&self) -> usize {
        self.bias_x.len() / 3
    }

    /// The number of features that go in.
    pub fn features(&self) -> usize {
        self.weight_x.len() / self.bias_x.len().max(1)
    }
}

impl GruView<'_> {
    /// The longest row on the way from features to outputs.
    pub(crate) fn widest(&self, features: usize) -> usize {
        self.layers.widest(features.max(3 * self.cell.units()))
    }

    /// Computes the cell on the features that `x` begins with and `memory`, writes the new memory to `next`, and returns
    /// the outputs of the layers with the rest of the row that they begin. Both rows are overwritten; `memory` is left as
    /// it is, for the caller to replace if the outputs are sound. None if a row is too short.
    ///
    /// # Panics
    /// If the weights end early.
    pub(crate) fn forward<'r>(
        &self,
        x: &'r mut [f32],
        y: &'r mut [f32],
        memory: &[f32],
        next: &mut [f32],
    ) -> Option<&'r [f32]> {
        let GruCellView { weight_x, bias_x, weight_h, bias_h } = self.cell;
        let units = next.len();
        let of_features = y.get_mut(..3 * units)?;
        layer(x.get(..self.cell.features())?, weight_x, bias_x, Activation::Identity, of_features);
        let of_memory = x.get_mut(..3 * units)?;
        layer(memory, weight_h, bias_h, Activation::Identity, of_memory);
        remember_here(of_features, of_memory, memory, next);
        x[..units].copy_from_slice(next);
        self.layers.forward(x, y)
    }
}

fn remember_here(x: &[f32], h: &[f32], memory: &[f32], next: &mut [f32]) {
    // As in the layers: wider registers, same bits.
    #[cfg(all(feature = "std", target_arch = "x86_64"))]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as asked in the line above.
        return unsafe { remember_avx2(x, h, memory, next) };
    }
    remember(x, h, memory, next);
}

#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[target_feature(enable = "avx2")]
fn remember_avx2(x: &[f32], h: &[f32], memory: &[f32], next: &mut [f32]) {
    remember(x, h, memory, next);
}

#[cfg(feature = "std")]
pub use owned::{Gru, GruCell};

#[cfg(feature = "std")]
mod owned {
    use super::GruCellView;
    use crate::body::check_layers;
    use crate::{Error, Layer};

    /// A gated recurrent unit and the layers that its memory goes into. What a policy remembers of an episode is a row of
    /// as many numbers as the cell has units, zeros when the episode begins.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Gru {
        /// Reads the features.
        pub cell: GruCell,
        /// Read the memory that the cell has just written; at least one.
        pub layers: Vec<Layer>,
    }

    /// A gated recurrent unit, with the gates in PyTorch's order: reset r, update z, new n.
    ///
    /// ```text
    /// r  = σ(x Wxr + bxr + h Whr + bhr)
    /// z  = σ(x Wxz + bxz + h Whz + bhz)
    /// n  = tanh(x Wxn + bxn + r ⊙ (h Whn + bhn))
    /// h' = (1 − z) ⊙ n + z ⊙ h
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    pub struct GruCell {
        /// `[features × 3 · units]`, row-major.
        pub weight_x: Vec<f32>,
        /// `[3 · units]`.
        pub bias_x: Vec<f32>,
        /// `[units × 3 · units]`, row-major.
        pub weight_h: Vec<f32>,
        /// `[3 · units]`.
        pub bias_h: Vec<f32>,
    }

    impl GruCell {
        /// The same over slices.
        pub fn view(&self) -> GruCellView<'_> {
            let Self { weight_x, bias_x, weight_h, bias_h } = self;
            GruCellView { weight_x, bias_x, weight_h, bias_h }
        }

        /// The length of the memory.
        pub fn units(&self) -> usize {
            self.view().units()
        }

        /// The number of features that go in.
        pub fn features(&self) -> usize {
            self.view().features()
        }

        /// Its numbers, part by part.
        pub(crate) fn parts(&self) -> [&[f32]; 4] {
            [&self.weight_x, &self.bias_x, &self.weight_h, &self.bias_h]
        }
    }

    impl Gru {
        /// Refuses what does not lead from `inputs` features to `outputs` finite outputs.
        pub(crate) fn check(&self, inputs: usize, outputs: usize) -> Result<(), Error> {
            let gates = self.cell.bias_x.len();
            let units = gates / 3;
            let sizes = self.cell.parts().map(<[f32]>::len);
            let [weight_x, bias_x, weight_h, bias_h] = sizes;
            let expected = [inputs.checked_mul(gates), Some(3 * units), units.checked_mul(gates), Some(gates)];
            if units == 0 || sizes.map(Some) != expected {
                return Err(Error::shape(format!(
                    "gru: expected, with at least one unit, {inputs} × 3 units weights and 3 units biases of features, \
                     units × 3 units weights and 3 units biases of the memory, got {weight_x} and {bias_x}, {weight_h} \
                     and {bias_h}"
                )));
            }
            if !self.cell.parts().into_iter().flatten().all(|x| x.is_finite()) {
                return Err(Error::shape("gru: a weight or bias is not finite"));
            }
            check_layers(&self.layers, units, outputs)
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::fixtures::{gru, gru_policy, header, tree_policy};
    use crate::{Body, BodyView, Fault, Features, Gru, Head, Input, Policy, PolicyView, ns_per_action};

    /// The formulas of [`GruCell`](crate::GruCell) and of the layers in f64, one sum after another.
    fn plain(gru: &Gru, x: &[f64], memory: &mut [f64]) -> Vec<f64> {
        let units = memory.len();
        let affine = |x: &[f64], weight: &[f32], bias: &[f32], j: usize| {
            let products = x.iter().enumerate().map(|(i, x)| x * f64::from(weight[i * bias.len() + j]));
            f64::from(bias[j]) + products.sum::<f64>()
        };
        let cell = &gru.cell;
        let of_x = |gate: usize, j: usize| affine(x, &cell.weight_x, &cell.bias_x, gate * units + j);
        let before = memory.to_vec();
        let of_h = |gate: usize, j: usize| affine(&before, &cell.weight_h, &cell.bias_h, gate * units + j);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for j in 0..units {
            let r = sigmoid(of_x(0, j) + of_h(0, j));
            let z = sigmoid(of_x(1, j) + of_h(1, j));
            let n = (of_x(2, j) + r * of_h(2, j)).tanh();
            memory[j] = (1.0 - z) * n + z * before[j];
        }
        gru.layers.iter().fold(memory.to_vec(), |x, layer| {
            let y = (0..layer.outputs()).map(|j| affine(&x, &layer.weight, &layer.bias, j));
            y.map(|y| if layer.activation == Activation::Tanh { y.tanh() } else { y }).collect()
        })
    }

    fn observation(i: usize) -> [f32; 3] {
        [7, 13, 5].map(|step| ((i * step) % 64) as f32 / 32.0 - 1.0)
    }

    /// Within 1e-6, relative to the largest output if that is above 1: tanh is half as much off.
    #[test]
    fn it_is_its_formulas() {
        for (units, rest) in [(1, &[2][..]), (2, &[4, 2]), (3, &[2]), (16, &[2]), (21, &[9, 2])] {
            let mut gru = gru(3, units, rest);
            // So that errors do not grow in the memory.
            gru.cell.weight_h.iter_mut().for_each(|w| *w *= 0.5);
            let policy = Policy::new(header(Features::Box { len: 3 }, 2, None), gru.clone()).unwrap();
            let mut runner = policy.runner();
            let mut expected = vec![0.0; units];
            for i in 0..200 {
                let x = observation(i);
                let outputs = plain(&gru, &x.map(f64::from), &mut expected);
                let computed = runner.params(&x).unwrap().to_vec();
                let scale = outputs.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
                let near = |(a, b): (&f32, &f64)| (f64::from(*a) - b).abs() < 1e-6 * scale;
                assert!(computed.iter().zip(&outputs).all(near), "{units} units, step {i}: {computed:?}, {outputs:?}");
                let remembers = runner.memory().iter().zip(&expected).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6);
                assert!(remembers, "{units} units, step {i}");
            }
        }
    }

    /// Wider registers give the bits of the plain loop, and no compiler or platform may differ.
    #[test]
    fn the_bits_are_the_same_everywhere() {
        let policy = gru_policy();
        let mut runner = policy.runner();
        for i in 0..20 {
            runner.act(&observation(i)).unwrap();
        }
        let bits: Vec<u32> = runner.memory().iter().map(|x| x.to_bits()).collect();
        assert_eq!(bits, [0x3e43daf7, 0xbea4d365], "{bits:x?}");
        for units in [1, 7, 8, 19, 64] {
            let row = |n: usize, step: usize| (0..n).map(|i| ((i * step) % 97) as f32 / 24.0 - 2.0).collect::<Vec<_>>();
            let (x, h, memory) = (row(3 * units, 31), row(3 * units, 57), row(units, 13));
            let (mut next, mut here) = (vec![0.0; units], vec![9.0; units]);
            remember(&x, &h, &memory, &mut next);
            remember_here(&x, &h, &memory, &mut here);
            assert!(next.iter().zip(&here).all(|(a, b)| a.to_bits() == b.to_bits()), "{units}");
        }
    }

    #[test]
    fn an_episode_begins_with_nothing() {
        let policy = gru_policy();
        assert_eq!((policy.memory_len(), tree_policy().memory_len()), (2, 0));
        let mut runner = policy.runner();
        let mut play = |from: usize| -> Vec<Vec<f32>> {
            runner.reset();
            (from..from + 9).map(|i| runner.params(&observation(i)).unwrap().to_vec()).collect()
        };
        let (first, other) = (play(0), play(3));
        assert_eq!(play(0), first, "what came between is forgotten");
        assert!(first[3..].iter().zip(&other).all(|(a, b)| a != b), "what came before matters");
    }

    #[test]
    fn one_runner_runs_many_episodes() {
        let policy = gru_policy();
        let mut one = policy.runner();
        let mut runners = [policy.runner(), policy.runner(), policy.runner()];
        let mut memories = [[0.0; 2]; 3];
        for step in 0..20 {
            for (episode, (own, memory)) in runners.iter_mut().zip(&mut memories).enumerate() {
                let x = observation(step + 5 * episode);
                one.memory().copy_from_slice(memory);
                let together = one.decide(&x, None, Some(&[0.3])).unwrap().to_vec();
                memory.copy_from_slice(one.memory());
                assert_eq!(own.sample(&x, &[0.3]).unwrap(), together);
                assert_eq!(own.memory(), memory);
            }
        }
    }

    #[test]
    fn an_error_leaves_the_memory_alone() {
        let policy = gru_policy();
        let mut runner = policy.runner();
        runner.act(&observation(1)).unwrap();
        let before = runner.memory().to_vec();
        assert_ne!(before, [0.0; 2]);
        let x = observation(2);
        assert!(runner.act(&[x[0], f32::NAN, x[2]]).unwrap_err().is_shape());
        assert!(runner.params(&x[..2]).unwrap_err().is_shape());
        assert!(runner.sample(&x, &[1.0]).unwrap_err().is_shape());
        assert!(runner.decide(&x, Some(&[false, false]), None).unwrap_err().is_shape());
        assert_eq!(runner.memory(), before);
        runner.decide(&x, Some(&[false, true]), Some(&[0.5])).unwrap();
        assert_ne!(runner.memory(), before);

        // Numbers that overflow behind the cell, whose own are sound.
        let Body::Gru(mut gru) = policy.body().clone() else { unreachable!() };
        gru.layers[1].weight.fill(f32::MAX);
        gru.layers[0].bias.fill(f32::MAX);
        gru.layers[0].activation = Activation::Relu;
        let overflowing = Policy::new(policy.header().clone(), gru).unwrap();
        let mut runner = overflowing.runner();
        assert!(runner.act(&x).unwrap_err().is_shape());
        assert_eq!(runner.memory(), [0.0; 2]);
        runner.memory()[0] = f32::NAN;
        assert!(runner.act(&x).unwrap_err().is_shape());
    }

    #[test]
    fn a_view_takes_rows_that_are_long_enough() {
        let gru = gru(3, 2, &[4, 2]);
        let weights: Vec<f32> = gru.layers.iter().flat_map(|layer| [&layer.weight[..], &layer.bias].concat()).collect();
        let shapes: Vec<_> = gru.layers.iter().map(crate::Layer::shape).collect();
        let layers = MlpView { shapes: &shapes, weights: &weights };
        let view = PolicyView {
            inputs: &[Input::Real { len: 3 }],
            normalizer: None,
            body: BodyView::Gru(GruView { cell: gru.cell.view(), layers }),
            head: Head::Choices { nvec: &[2], start: &[0] },
            masked: false,
        };
        assert_eq!((view.memory_len(), view.scratch_len()), (2, 2 * 6 + 2));
        let act = |memory: &mut [f32], scratch: usize| {
            view.act(&observation(5), None, memory, &mut vec![9.0; scratch], &mut [0.0; 2], &mut [0.0])
        };
        let (mut memory, mut longer) = ([0.0; 2], [0.0, 0.0, 7.0]);
        assert_eq!((act(&mut memory, 14), act(&mut longer, 99)), (Ok(()), Ok(())));
        assert_eq!(longer, [memory[0], memory[1], 7.0]);
        assert_ne!(memory, [0.0; 2]);
        for (memory, scratch) in [(&mut memory[..1], 14), (&mut [0.0; 2], 13), (&mut [0.0; 2], 1)] {
            assert_eq!(act(memory, scratch), Err(Fault::Buffer));
        }
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let policy = gru_policy();
        let Body::Gru(sound) = policy.body().clone() else { unreachable!() };
        let (cell, layers) = (3 * 6 + 6 + 2 * 6 + 6, 2 * 4 + 4 + 4 * 2 + 2);
        assert_eq!((policy.parameters(), policy.macs()), (cell + layers, 5 * 6 + 2 * 4 + 4 * 2));
        assert_eq!((policy.layers(), ns_per_action(&policy) > 0.0), (&sound.layers[..], true));
        let broken = |change: fn(&mut Gru)| {
            let mut gru = sound.clone();
            change(&mut gru);
            Policy::new(policy.header().clone(), gru).unwrap_err().is_shape()
        };
        assert!(broken(|gru| gru.cell.weight_x.truncate(17)) && broken(|gru| gru.cell.weight_x.push(0.0)));
        assert!(broken(|gru| gru.cell.bias_x.truncate(5)) && broken(|gru| gru.cell.bias_h.truncate(5)));
        assert!(broken(|gru| gru.cell.weight_h.truncate(11)) && broken(|gru| gru.cell.weight_h[3] = f32::NAN));
        assert!(broken(|gru| gru.cell.bias_h[0] = f32::INFINITY) && broken(|gru| gru.layers.clear()));
        assert!(broken(|gru| drop(gru.layers.remove(0))) && broken(|gru| drop(gru.layers.pop())));
        assert!(
            broken(
                |gru| gru.cell = crate::GruCell { weight_x: vec![], bias_x: vec![], weight_h: vec![], bias_h: vec![] }
            ),
            "no units"
        );
        let error = policy.to_int8(&[vec![0.0; 3]]).unwrap_err();
        assert!(error.is_shape() && error.to_string().contains("only layers are quantised"), "{error}");
    }
}
