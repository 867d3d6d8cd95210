//! Running a policy on many observations at once.

mod simd;

use crate::aligned::Aligned;
use crate::head::{Head, mask_logits, most_probable, ranges};
use crate::view::one_hot;
use crate::{Body, Error, Input, Policy, PolicyView, Runner};
use simd::{Level, MOST_LANES, Packed};

/// A policy with the buffers to run it on many observations in one call, as a simulation on a server does.
///
/// Layers are computed for many observations side by side, with the widest vector instructions that the processor has.
/// They do not round where the [`Runner`] does: parameters differ by about as much as f32 rounds, and actions where the
/// two best are as close as that. Other bodies go row by row, and have the runner's bits.
#[derive(Debug)]
pub struct BatchRunner<'a> {
    runner: Runner<'a>,
    layers: Option<Layers>,
}

impl<'a> BatchRunner<'a> {
    pub(crate) fn new(policy: &'a Policy) -> Self {
        Self::at(policy, Level::detect())
    }

    fn at(policy: &'a Policy, level: Level) -> Self {
        let runner = policy.runner();
        let layers = matches!(policy.body(), Body::Mlp(_)).then(|| {
            let table = || Aligned::new(vec![0.0; runner.view().widest() * level.block()]);
            let packed = policy.layers().iter().map(Packed::new).collect();
            Layers { level, packed, x: table(), y: table() }
        });
        Self { runner, layers }
    }

    /// Takes the most probable action for each of n observations, `[n × flat_len]`: writes the parameters of the
    /// distributions, `[n × num_params]`, and the actions, `[n × dim]`. `masks`, if there are any, is `[n × num_params]`;
    /// `memories` is `[n × memory_len]`, what the policy remembers of n episodes, and empty if it has no memory.
    ///
    /// Each row is what [`Runner::decide`] makes of it, and like that this allocates nothing.
    ///
    /// # Errors
    /// If a table has another size, or as there for a row, which the error names. Other rows may have been written then,
    /// and the memories of those before it have moved on.
    pub fn act(
        &mut self,
        observations: &[f32],
        masks: Option<&[bool]>,
        memories: &mut [f32],
        params: &mut [f32],
        actions: &mut [f32],
    ) -> Result<(), Error> {
        let view = self.runner.view();
        let width = view.inputs.iter().map(Input::flat_len).sum();
        let (memory, num_params, dim) = (view.memory_len(), view.head.num_params(), view.head.dim());
        let n = observations.len() / width;
        let number_of_masks = masks.map_or(n * num_params, <[bool]>::len);
        for (what, row, got) in [
            ("observations", width, observations.len()),
            ("masks", num_params, number_of_masks),
            ("memories", memory, memories.len()),
            ("params", num_params, params.len()),
            ("actions", dim, actions.len()),
        ] {
            if got != n * row {
                return Err(Error::shape(format!(
                    "{what}: expected whole rows of {row}, as many of each kind as of observations, {n}; got {got} numbers"
                )));
            }
        }
        let mut batch = Batch { observations, masks, memories, params, actions, width, memory, num_params, dim };
        match &mut self.layers {
            None => (0..n).try_for_each(|i| batch.row(i).run(&mut self.runner, i)),
            Some(layers) => {
                let lanes = layers.level.block();
                let mut firsts = (0..n).step_by(lanes);
                firsts.try_for_each(|first| layers.block(&mut self.runner, &mut batch, first, lanes.min(n - first)))
            }
        }
    }
}

/// The tables of a call.
struct Batch<'r> {
    observations: &'r [f32],
    masks: Option<&'r [bool]>,
    memories: &'r mut [f32],
    params: &'r mut [f32],
    actions: &'r mut [f32],
    /// Their widths.
    width: usize,
    memory: usize,
    num_params: usize,
    dim: usize,
}

/// A row of each.
struct Row<'r> {
    observation: &'r [f32],
    mask: Option<&'r [bool]>,
    memory: &'r mut [f32],
    params: &'r mut [f32],
    action: &'r mut [f32],
}

impl Batch<'_> {
    fn row(&mut self, i: usize) -> Row<'_> {
        let Self { width, memory, num_params, dim, .. } = *self;
        Row {
            observation: &self.observations[i * width..][..width],
            mask: self.masks.map(|masks| &masks[i * num_params..][..num_params]),
            memory: &mut self.memories[i * memory..][..memory],
            params: &mut self.params[i * num_params..][..num_params],
            action: &mut self.actions[i * dim..][..dim],
        }
    }
}

impl Row<'_> {
    /// Lets the runner do it.
    fn run(self, runner: &mut Runner<'_>, i: usize) -> Result<(), Error> {
        let Self { observation, mask, memory, params, action } = self;
        runner.act_into(observation, mask, memory, params, action).map_err(|error| error.in_row(i))
    }

    /// Completes the parameters and takes the action, if nothing is odd about the row.
    fn finish(&mut self, view: &PolicyView<'_>) -> bool {
        match (view.head, self.mask) {
            (Head::Choices { nvec, .. }, mask) if mask.is_some() || !view.masked => {
                if let Some(mask) = mask {
                    if !ranges(nvec).all(|range| mask[range].contains(&true)) {
                        return false;
                    }
                    mask_logits(self.params, mask);
                }
                most_probable(nvec, self.params, self.action);
            }
            (Head::Real { log_std, .. }, None) => {
                let (means, log_stds) = self.params.split_at_mut(self.action.len());
                if let Some(fixed) = log_std {
                    log_stds.copy_from_slice(fixed);
                }
                self.action.copy_from_slice(means);
            }
            _ => return false,
        }
        view.head.bound(self.action);
        self.params.iter().all(|x| x.is_finite())
    }
}

/// Layers made ready for blocks of observations.
#[derive(Debug)]
struct Layers {
    level: Level,
    packed: Vec<Packed>,
    /// Two tables `[widest × lanes]`, which the layers go between.
    x: Aligned,
    y: Aligned,
}

impl Layers {
    /// Takes actions for `count` rows, at most as many as there are lanes.
    fn block(
        &mut self,
        runner: &mut Runner<'_>,
        batch: &mut Batch<'_>,
        first: usize,
        count: usize,
    ) -> Result<(), Error> {
        let lanes = self.level.block();
        let view = runner.view();
        let observations = &batch.observations[first * batch.width..][..count * batch.width];
        write_features(&view, observations, batch.width, self.x.as_mut(), lanes);
        let outputs = self.level.forward(&self.packed, self.x.as_mut(), self.y.as_mut());
        let outputs = &outputs[..self.packed.last().map_or(0, Packed::outputs) * lanes];
        let params = &mut batch.params[first * batch.num_params..][..count * batch.num_params];
        for (i, row) in outputs.chunks_exact(lanes).enumerate() {
            for (params, x) in params.chunks_exact_mut(batch.num_params).zip(row) {
                params[i] = *x;
            }
        }
        // The most common actions side by side too.
        if let (Head::Choices { nvec: [_], start: [start] }, None, false) = (view.head, batch.masks, view.masked)
            && params.iter().fold(true, |finite, x| finite & x.is_finite())
        {
            most_probable_of_each(outputs, lanes, *start as f32, &mut batch.actions[first..first + count]);
            return Ok(());
        }
        let rows = first..first + count;
        let odd = rows.clone().find(|i| !batch.row(*i).finish(&view));
        // From there on the runner: it says what is wrong, or its sums do not overflow where these do.
        (odd.unwrap_or(rows.end)..rows.end).try_for_each(|i| batch.row(i).run(runner, i))
    }
}

/// The index of the largest of the outputs in each lane, the first of equals, counted from `start`. All are finite.
fn most_probable_of_each(outputs: &[f32], lanes: usize, start: f32, actions: &mut [f32]) {
    let mut best = [f32::NEG_INFINITY; MOST_LANES];
    for (choice, row) in outputs.chunks_exact(lanes).enumerate() {
        let choice = start + choice as f32;
        for ((best, action), x) in best.iter_mut().zip(&mut *actions).zip(row) {
            let better = *x > *best;
            *action = if better { choice } else { *action };
            *best = if better { *x } else { *best };
        }
    }
}

/// Writes the normalised features of rows, one in each lane. A value that is none of those it may be becomes NaN.
fn write_features(view: &PolicyView<'_>, observations: &[f32], width: usize, x: &mut [f32], lanes: usize) {
    let (mut at, mut feature) = (0, 0);
    for input in view.inputs {
        let table = &mut x[feature * lanes..][..input.features() * lanes];
        match *input {
            Input::Real { .. } => {
                for (i, lane) in table.chunks_exact_mut(lanes).enumerate() {
                    for (x, row) in lane.iter_mut().zip(observations.chunks_exact(width)) {
                        *x = row[at + i];
                    }
                }
            }
            Input::OneHot { n, start } => {
                table.fill(0.0);
                for (lane, row) in observations.chunks_exact(width).enumerate() {
                    match one_hot(row[at], n, start) {
                        Some(choice) => table[choice * lanes + lane] = 1.0,
                        None => table[lane] = f32::NAN,
                    }
                }
            }
        }
        at += input.flat_len();
        feature += input.features();
    }
    if let Some(normalizer) = &view.normalizer {
        for ((row, mean), std) in x.chunks_exact_mut(lanes).zip(normalizer.mean).zip(normalizer.std) {
            row.iter_mut().for_each(|x| *x = normalizer.one(*x, *mean, *std));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{acting, gru_policy, header, int8_policy, layers, tree_policy};
    use crate::{Action, Activation, Bounding, Features, Normalizer};
    use std::time::Instant;

    fn examples(policy: &Policy, n: usize) -> Vec<f32> {
        let mut rows = Vec::new();
        (0..n).for_each(|i| policy.header().observation.example(i, &mut rows));
        rows
    }

    /// Policies of layers of every kind.
    fn policies() -> Vec<Policy> {
        let normalizer = Normalizer { mean: vec![0.5, -0.5, 0.0], std: vec![2.0, 1.0, 0.25], clip: 5.0 };
        let three = || Features::Box { len: 3 };
        let parts = vec![Features::OneHot { n: 5, start: -2 }, three(), Features::OneHot { n: 3, start: 0 }];
        let mixed = Features::Concat { parts };
        let multi = || Action::MultiDiscrete { nvec: vec![3, 2, 4], start: vec![0, -1, 5] };
        let real = |bounding, log_std| Action::Box { low: vec![-0.5; 2], high: vec![0.5; 2], bounding, log_std };
        let with = |activation: Activation, sizes: &[usize]| {
            let mut layers = layers(sizes);
            let last = layers.len() - 1;
            layers[..last].iter_mut().for_each(|layer| layer.activation = activation);
            layers
        };
        let of = |header, layers: Vec<crate::Layer>| Policy::new(header, layers).unwrap();
        let masked = crate::Header { masked: true, ..acting(mixed.clone(), multi(), None) };
        vec![
            of(header(three(), 2, Some(normalizer)), layers(&[3, 64, 64, 2])),
            of(header(three(), 1, None), layers(&[3, 5, 1])),
            of(acting(three(), Action::Discrete { n: 7, start: -3 }, None), layers(&[3, 7])),
            of(acting(mixed.clone(), multi(), None), with(Activation::Gelu, &[11, 33, 9])),
            of(masked, with(Activation::Relu, &[11, 6, 9, 9])),
            of(acting(three(), real(Bounding::Clip, Some(vec![0.2, -3.0])), None), layers(&[3, 10, 2])),
            of(acting(three(), real(Bounding::Tanh, None), None), layers(&[3, 4, 4])),
        ]
    }

    /// In batches that fill their blocks and in others, at every level of this processor.
    #[test]
    fn a_batch_is_its_rows() {
        for policy in policies() {
            let mut runner = policy.runner();
            let (params, dim) = (runner.distribution().num_params(), runner.distribution().dim());
            let choices: Vec<_> = runner.distribution().choices().collect();
            for level in Level::available() {
                let mut batch = BatchRunner::at(&policy, level);
                for n in [0, 1, 7, level.block(), 3 * level.block() + 5] {
                    let observations = examples(&policy, n);
                    let masks: Vec<bool> = (0..n * params).map(|i| i % 3 != 1).collect();
                    let masks = policy.header().masked.then_some(&masks[..]);
                    let (mut got, mut actions) = (vec![9.0; n * params], vec![9.0; n * dim]);
                    batch.act(&observations, masks, &mut [], &mut got, &mut actions).unwrap();
                    for i in 0..n {
                        let width = observations.len() / n;
                        let row = &observations[i * width..][..width];
                        let mask = masks.map(|masks| &masks[i * params..][..params]);
                        let mut expected = vec![0.0; params];
                        let mut action = vec![0.0; dim];
                        runner.act_into(row, mask, &mut [], &mut expected, &mut action).unwrap();
                        let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
                        let got = &got[i * params..][..params];
                        assert!(
                            got.iter().zip(&expected).all(near),
                            "{level:?}, row {i} of {n}: {got:?}, {expected:?}"
                        );
                        // No two logits here are as close as that.
                        let tolerance = if choices.is_empty() { 1e-5 } else { 0.0 };
                        let same = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance;
                        assert!(actions[i * dim..][..dim].iter().zip(&action).all(same), "{level:?}, row {i} of {n}");
                    }
                }
            }
        }
    }

    #[test]
    fn other_bodies_go_row_by_row_and_memories_with_them() {
        for policy in [tree_policy(), int8_policy(), gru_policy()] {
            let (n, memory) = (21, policy.memory_len());
            let mut batch = policy.batch_runner();
            let mut runners: Vec<_> = (0..n).map(|_| policy.runner()).collect();
            let mut memories = vec![0.0; n * memory];
            for step in 0..5 {
                let observations = examples(&policy, n + step).split_off(3 * step);
                let (mut params, mut actions) = (vec![0.0; 2 * n], vec![0.0; n]);
                batch.act(&observations, None, &mut memories, &mut params, &mut actions).unwrap();
                for (i, runner) in runners.iter_mut().enumerate() {
                    let row = &observations[3 * i..][..3];
                    let before = runner.memory().to_vec();
                    assert_eq!(params[2 * i..][..2], *runner.params(row).unwrap());
                    runner.memory().copy_from_slice(&before);
                    assert_eq!(actions[i], runner.act(row).unwrap()[0]);
                    assert_eq!(memories[i * memory..][..memory], *runner.memory());
                }
            }
        }
    }

    #[test]
    fn an_error_names_its_row() {
        let policies = policies();
        let cases = [(0, 1), (3, 0), (3, 4)].into_iter();
        for ((policy, column), level) in cases.flat_map(|case| Level::available().into_iter().map(move |l| (case, l))) {
            let policy = &policies[policy];
            let (n, mut batch) = (150, BatchRunner::at(policy, level));
            let (params, dim) = (batch.runner.distribution().num_params(), batch.runner.distribution().dim());
            let mut observations = examples(policy, n);
            let width = observations.len() / n;
            let mut act = |observations: &[f32], masks: Option<&[bool]>| {
                let done = batch.act(observations, masks, &mut [], &mut vec![0.0; n * params], &mut vec![0.0; n * dim]);
                done.map_err(|error| error.to_string())
            };
            let mut masks = vec![true; n * params];
            act(&observations, Some(&masks)).unwrap();
            masks[70 * params..71 * params].fill(false);
            assert!(act(&observations, Some(&masks)).unwrap_err().starts_with("row 70: mask"));
            observations[99 * width + column] = f32::NAN;
            let error = act(&observations, None).unwrap_err();
            assert!(error.starts_with("row 99: observation"), "{error}");
            assert!(act(&observations[1..], None).unwrap_err().starts_with("observations: expected"));
            assert!(act(&observations[width..], None).unwrap_err().starts_with("params: expected"));
        }
        let told = &policies[4];
        let mut batch = told.batch_runner();
        let error = batch.act(&examples(told, 3), None, &mut [], &mut [0.0; 27], &mut [0.0; 9]).unwrap_err();
        assert!(error.is_shape() && error.to_string().starts_with("row 0: this policy has to be told"), "{error}");
        let mut gru = [0.0; 3];
        assert!(gru_policy().batch_runner().act(&[0.0; 3], None, &mut gru, &mut [0.0; 2], &mut [0.0]).is_err());
    }

    /// Prints the speed of the layers of a teacher and of a student at every level, beside what a core could do.
    ///
    /// `cargo test --release -p apprentice-deploy batch -- --ignored --nocapture`
    #[test]
    #[ignore = "a benchmark"]
    fn speed() {
        let n = 4_096;
        for sizes in [&[4, 64, 64, 2][..], &[4, 16, 2]] {
            let policy = Policy::new(header(Features::Box { len: 4 }, 2, None), layers(sizes)).unwrap();
            let observations: Vec<f32> = (0..4 * n).map(|i| (i * 7 % 64) as f32 / 32.0 - 1.0).collect();
            let (mut params, mut actions) = (vec![0.0; 2 * n], vec![0.0; n]);
            for level in Level::available() {
                let mut runner = BatchRunner::at(&policy, level);
                let mut times = Vec::new();
                let mut peaks = Vec::new();
                for round in 0..201 {
                    if round % 40 == 0 {
                        peaks.push(simd::tests::peak_flops(level));
                    }
                    let started = Instant::now();
                    runner.act(&observations, None, &mut [], &mut params, &mut actions).unwrap();
                    times.push(started.elapsed().as_secs_f64());
                }
                times.sort_by(f64::total_cmp);
                peaks.sort_by(f64::total_cmp);
                let peak = peaks[peaks.len() / 2];
                for (what, seconds) in [("median", times[times.len() / 2]), ("least", times[0])] {
                    let flops = 2.0 * (policy.macs() * n) as f64 / seconds;
                    // Of plain Rust the peak depends on what the compiler makes of it.
                    let share = match level == Level::Portable {
                        true => String::new(),
                        false => format!(" of {:.1}, {:.0} %", peak / 1e9, 100.0 * flops / peak),
                    };
                    let ns = seconds * 1e9 / n as f64;
                    println!(
                        "{sizes:?} {level:?}, {what}: {ns:.1} ns an observation, {:.1} GFLOP/s{share}",
                        flops / 1e9
                    );
                }
            }
        }
    }
}
