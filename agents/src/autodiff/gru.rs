//! The gated recurrent unit: what a network remembers of an episode.

use super::nn::{linear, orthogonal, to_vec};
use apprentice_deploy::GruCell;
use apprentice_envs::Generator;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};

/// A gated recurrent unit (Cho et al. 2014) with the gates r, z, n and the biases of PyTorch's and cuDNN's:
///
/// ```text
/// r, z = σ(x W_x + b_x + h W_h + b_h)
/// n    = tanh(x W_x + b_x + r ⊙ (h W_h + b_h))
/// h'   = (1 − z) ⊙ n + z ⊙ h
/// ```
///
/// each with columns of its own in W and b.
#[derive(Module, Debug)]
pub struct Gru {
    /// `[inputs, 3 · units]`.
    input: Linear,
    /// `[units, 3 · units]`.
    hidden: Linear,
}

impl Gru {
    /// A unit whose weights are orthogonal, gate by gate, and whose biases are zero. Parameters are numbered from
    /// `first_id`.
    pub(crate) fn new(inputs: usize, units: usize, first_id: u64, rng: &mut Generator, device: &Device) -> Self {
        let mut weight = |inputs: usize| {
            let gates: Vec<Vec<f32>> = (0..3).map(|_| orthogonal(inputs, units, 1.0, rng).0).collect();
            let row = |i: usize| gates.iter().flat_map(move |gate| gate[i * units..][..units].iter().copied());
            (0..inputs).flat_map(row).collect()
        };
        let cell = GruCell {
            weight_x: weight(inputs),
            weight_h: weight(units),
            bias_x: vec![0.0; 3 * units],
            bias_h: vec![0.0; 3 * units],
        };
        Self::from_cell(cell, [first_id, first_id + 2], device)
    }

    fn from_cell(cell: GruCell, [input, hidden]: [u64; 2], device: &Device) -> Self {
        let GruCell { weight_x, bias_x, weight_h, bias_h } = cell;
        let gates = bias_h.len();
        let (inputs, units) = (weight_x.len() / gates, gates / 3);
        Self {
            input: linear((weight_x, inputs, gates), bias_x, input, device),
            hidden: linear((weight_h, units, gates), bias_h, hidden, device),
        }
    }

    /// How many numbers are remembered.
    pub fn units(&self) -> usize {
        self.hidden.weight.dims()[0]
    }

    /// What is remembered after one step: `inputs` `[S, inputs]`, `memory` `[S, units]` → `[S, units]`.
    pub fn step(&self, inputs: Tensor<2>, memory: Tensor<2>) -> Tensor<2> {
        let units = self.units();
        let (x, h) = (self.input.forward(inputs), self.hidden.forward(memory.clone()));
        let rows = 0..x.dims()[0];
        let part = |of: &Tensor<2>, gates: std::ops::Range<usize>| {
            of.clone().slice([rows.clone(), gates.start * units..gates.end * units])
        };
        let gates = activation::sigmoid(part(&x, 0..2) + part(&h, 0..2));
        let (r, z) = (part(&gates, 0..1), part(&gates, 1..2));
        let n = activation::tanh(part(&x, 2..3) + r * part(&h, 2..3));
        n.clone() + z * (memory - n)
    }

    /// What is remembered after every step of S sequences.
    ///
    /// # Shapes
    /// `inputs` `[L·S, inputs]`: row l·S + s is step l of sequence s. `memory` `[S, units]`: before the first step.
    /// `starts` `[L·S]`: whether an episode begins with a step, so that nothing before it is remembered; or empty. →
    /// `[L·S, units]`
    pub fn sequence(&self, inputs: Tensor<2>, mut memory: Tensor<2>, starts: &[bool]) -> Tensor<2> {
        let ([rows, width], [sequences, units]) = (inputs.dims(), memory.dims());
        let mut steps = Vec::with_capacity(rows / sequences);
        for first in (0..rows).step_by(sequences) {
            let begins = starts.get(first..first + sequences).unwrap_or_default();
            // In the first step the memory is what it is: blank, if an episode begins there.
            if first > 0 && begins.contains(&true) {
                let keep: Vec<f32> = begins.iter().map(|begins| f32::from(u8::from(!begins))).collect();
                let keep = Tensor::<2>::from_data(TensorData::new(keep, [sequences, 1]), &memory.device());
                memory = memory * keep.expand([sequences, units]);
            }
            memory = self.step(inputs.clone().slice([first..first + sequences, 0..width]), memory);
            steps.push(memory.clone());
        }
        Tensor::cat(steps, 0)
    }

    /// Its numbers.
    pub(crate) fn cell(&self) -> GruCell {
        let [(weight_x, bias_x), (weight_h, bias_h)] = [&self.input, &self.hidden].map(|linear| {
            let bias = linear.bias.as_ref().expect("every gate has a bias");
            (to_vec(linear.weight.val()), to_vec(bias.val()))
        });
        GruCell { weight_x, bias_x, weight_h, bias_h }
    }

    /// The same unit with other numbers.
    pub(crate) fn with_cell(&self, cell: GruCell, device: &Device) -> Self {
        Self::from_cell(cell, [&self.input, &self.hidden].map(|linear| linear.weight.id.val()), device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gru(seed: u64) -> Gru {
        Gru::new(2, 3, 1, &mut Generator::new(seed), &Device::flex().autodiff())
    }

    fn random(rows: usize, columns: usize, rng: &mut Generator) -> Tensor<2> {
        let values = (0..rows * columns).map(|_| rng.standard_normal() as f32).collect();
        Tensor::from_data(TensorData::new(values, [rows, columns]), &Device::flex().autodiff())
    }

    /// The formula of the documentation, in f64.
    #[test]
    fn a_step_is_the_documented_formula() {
        let (gru, mut rng) = (gru(3), Generator::new(4));
        let zeros = gru.cell();
        let cell = GruCell {
            bias_x: (0..9).map(|i| 0.1 * i as f32).collect(),
            bias_h: (0..9).map(|i| 0.5 - 0.2 * i as f32).collect(),
            ..zeros
        };
        let gru = gru.with_cell(cell.clone(), &Device::flex().autodiff());
        let (x, h) = (random(1, 2, &mut rng), random(1, 3, &mut rng));
        let computed = to_vec(gru.step(x.clone(), h.clone()));
        let (x, h) = (to_vec(x), to_vec(h));
        let affine = |v: &[f32], weight: &[f32], bias: &[f32], column: usize| {
            let product = |(i, v): (usize, &f32)| f64::from(*v) * f64::from(weight[i * 9 + column]);
            v.iter().enumerate().map(product).sum::<f64>() + f64::from(bias[column])
        };
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        for unit in 0..3 {
            let [[xr, hr], [xz, hz], [xn, hn]] = [0, 3, 6].map(|gate| {
                [
                    affine(&x, &cell.weight_x, &cell.bias_x, gate + unit),
                    affine(&h, &cell.weight_h, &cell.bias_h, gate + unit),
                ]
            });
            let (r, z) = (sigmoid(xr + hr), sigmoid(xz + hz));
            let n = (xn + r * hn).tanh();
            let expected = (1.0 - z) * n + z * f64::from(h[unit]);
            assert!((f64::from(computed[unit]) - expected).abs() < 1e-6, "{unit}: {} and {expected}", computed[unit]);
        }
    }

    /// A sequence is its steps, one after another, and nothing is remembered beyond the end of an episode.
    #[test]
    fn a_sequence_is_its_steps() {
        let (gru, mut rng) = (gru(5), Generator::new(6));
        let (inputs, memory) = (random(8, 2, &mut rng), random(2, 3, &mut rng));
        let starts = [true, false, false, true, false, false, true, false];
        let all = gru.sequence(inputs.clone(), memory.clone(), &starts);
        let mut h = memory;
        for l in 0..4 {
            let mut rows = to_vec(h);
            for s in 0..2 {
                if l > 0 && starts[2 * l + s] {
                    rows[3 * s..][..3].fill(0.0);
                }
            }
            let before = Tensor::from_data(TensorData::new(rows, [2, 3]), &Device::flex().autodiff());
            h = gru.step(inputs.clone().slice([2 * l..2 * l + 2, 0..2]), before);
            let same = all.clone().slice([2 * l..2 * l + 2, 0..3]);
            assert_eq!(to_vec(same), to_vec(h.clone()), "step {l}");
        }
    }
}
