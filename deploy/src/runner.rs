//! Running a policy: one observation in, one action out, no allocation.

use crate::aligned::{ALIGNMENT, Aligned};
use crate::{
    Action, Body, BodyView, Distribution, Error, Fault, Features, GruCellView, GruView, Head, Header, Input, Int8View,
    LayerShape, MlpView, Policy,
};
use crate::{PolicyView, argmax};

/// A policy with the buffers to run it, and with what it remembers.
///
/// A recurrent policy remembers the observations of an episode: each call that succeeds is one more of them, and
/// [`reset`](Self::reset) begins the next episode. Whoever runs many episodes at once with one runner puts the
/// [`memory`](Self::memory) of each in its place before the call and takes it out after it. Other policies remember
/// nothing, and need neither.
#[derive(Clone, Debug)]
pub struct Runner<'a> {
    parts: Parts<'a>,
    distribution: Distribution,
    memory: Aligned,
    scratch: Aligned,
    params: Vec<f32>,
    action: Vec<f32>,
}

impl<'a> Runner<'a> {
    pub(crate) fn new(policy: &'a Policy) -> Self {
        let parts = Parts::new(policy);
        let action = &policy.header().action;
        let distribution = action.distribution();
        Self {
            // Each half begins in a place that suits vector instructions.
            scratch: Aligned::new(vec![
                0.0;
                2 * parts.view().widest().next_multiple_of(ALIGNMENT) + policy.memory_len()
            ]),
            memory: Aligned::new(vec![0.0; policy.memory_len()]),
            params: vec![0.0; distribution.num_params()],
            action: vec![0.0; action.dim()],
            distribution,
            parts,
        }
    }

    /// Forgets what was before: the next observation is the first of its episode.
    pub fn reset(&mut self) {
        self.memory().fill(0.0);
    }

    /// What the policy remembers of the episode, [`memory_len`](Policy::memory_len) numbers.
    pub fn memory(&mut self) -> &mut [f32] {
        self.memory.as_mut()
    }

    /// The distribution that actions come from.
    pub fn distribution(&self) -> &Distribution {
        &self.distribution
    }

    /// The parameters of the distribution of actions: logits, or means and logarithms of standard deviations.
    ///
    /// `observation` is a flat row: real numbers and integers as the environment gave them.
    ///
    /// # Errors
    /// If the observation has the wrong length or one of its integers is out of range, or if an output is not finite, as
    /// after a NaN in the observation.
    pub fn params(&mut self, observation: &[f32]) -> Result<&[f32], Error> {
        let (memory, scratch) = (self.memory.as_mut(), self.scratch.as_mut());
        let done = self.parts.view().params(observation, None, memory, scratch, &mut self.params);
        done.map_err(|fault| self.explain(fault, observation, None, None))?;
        Ok(&self.params)
    }

    /// The most probable action, as a flat row of the environment's action space; the first of equals.
    ///
    /// # Errors
    /// As [`params`](Self::params), and if the policy needs a mask: see [`decide`](Self::decide).
    pub fn act(&mut self, observation: &[f32]) -> Result<&[f32], Error> {
        self.decide(observation, None, None)
    }

    /// The index of the most probable action, counted from 0; for `Discrete` actions.
    ///
    /// # Errors
    /// As [`params`](Self::params), and if actions are not `Discrete` or the policy needs a mask.
    pub fn act_discrete(&mut self, observation: &[f32]) -> Result<usize, Error> {
        let action = &self.parts.policy.header().action;
        let Action::Discrete { .. } = action else {
            return Err(Error::shape(format!("expected a policy with Discrete actions, got {action}; use act")));
        };
        self.decide(observation, None, None)?;
        Ok(argmax(&self.params))
    }

    /// A random action from the policy's distribution, as a flat row of the environment's action space. `draws` has a
    /// number for each of its components: uniform from [0, 1) for an integer, standard normal for a real number.
    ///
    /// # Errors
    /// As [`params`](Self::params), and if draws are not such numbers or the policy needs a mask.
    pub fn sample(&mut self, observation: &[f32], draws: &[f64]) -> Result<&[f32], Error> {
        self.decide(observation, None, Some(draws))
    }

    /// Does what [`act`](Self::act) and, with draws, [`sample`](Self::sample) do, among the choices that `mask` allows:
    /// one place for each value of each integer.
    ///
    /// # Errors
    /// As there, and if the mask has another length or allows nothing.
    pub fn decide(
        &mut self,
        observation: &[f32],
        mask: Option<&[bool]>,
        draws: Option<&[f64]>,
    ) -> Result<&[f32], Error> {
        if mask.is_none() && draws.is_none() && self.decide_simply(observation).is_some() {
            return Ok(&self.action);
        }
        let view = self.parts.view();
        let (memory, scratch) = (self.memory.as_mut(), self.scratch.as_mut());
        let (params, action) = (&mut self.params[..], &mut self.action[..]);
        let done = match draws {
            None => view.act(observation, mask, memory, scratch, params, action),
            Some(draws) => view.sample(observation, mask, draws, memory, scratch, params, action),
        };
        done.map_err(|fault| self.explain(fault, observation, mask, draws))?;
        Ok(&self.action)
    }

    /// Takes the most probable action where that is layers, on real numbers, and one choice: what [`PolicyView::act`] does
    /// then, without the questions it asks for other policies, which take as long as a small network. None, and nothing
    /// is done, where there is more to it or something is wrong.
    #[inline]
    fn decide_simply(&mut self, observation: &[f32]) -> Option<()> {
        let Simple { features, start } = self.parts.simple?;
        let scratch = self.scratch.as_mut();
        let (x, y) = scratch.split_at_mut(scratch.len() / 2);
        let features = &mut x[..features];
        if observation.len() != features.len() {
            return None;
        }
        features.copy_from_slice(observation);
        if let Some(normalizer) = &self.parts.policy.header().normalizer {
            normalizer.apply(features);
        }
        let outputs = self.parts.mlp().forward(x, y)?.get(..self.params.len())?;
        if !outputs.iter().all(|output| output.is_finite()) {
            return None;
        }
        self.params.copy_from_slice(outputs);
        self.action[0] = argmax(outputs) as f32 + start;
        Some(())
    }

    /// Takes the most probable action with rows of the caller's: the memory before and after, parameters, action.
    pub(crate) fn act_into(
        &mut self,
        observation: &[f32],
        mask: Option<&[bool]>,
        memory: &mut [f32],
        params: &mut [f32],
        action: &mut [f32],
    ) -> Result<(), Error> {
        let done = self.parts.view().act(observation, mask, memory, self.scratch.as_mut(), params, action);
        done.map_err(|fault| self.explain(fault, observation, mask, None))
    }

    /// The policy over slices.
    pub(crate) fn view(&self) -> PolicyView<'_> {
        self.parts.view()
    }

    /// Writes the features of an observation, normalised.
    pub(crate) fn features(&self, observation: &[f32], x: &mut [f32]) -> Result<usize, Error> {
        self.parts.view().features(observation, x).map_err(|fault| self.explain(fault, observation, None, None))
    }

    /// What was expected, what was given, what to do.
    #[cold]
    fn explain(&self, fault: Fault, observation: &[f32], mask: Option<&[bool]>, draws: Option<&[f64]>) -> Error {
        let features = &self.parts.policy.header().observation;
        Error::shape(match fault {
            Fault::Length => format!(
                "observation: expected {} values, got {}; give what the environment returns, as a flat row",
                features.flat_len(),
                observation.len()
            ),
            Fault::Integer { index } => {
                let part = self.parts.inputs.iter().scan(0, |end, input| {
                    *end += input.flat_len();
                    Some((*end, input))
                });
                let range = match part.into_iter().find(|(end, _)| *end > index) {
                    Some((_, Input::OneHot { n, start })) => format!("{start} to {}", start + *n as i64 - 1),
                    _ => "its range".to_owned(),
                };
                format!("observation: expected value {index} to be an integer of {range}, got {}", observation[index])
            }
            Fault::NotFinite => format!(
                "observation: expected values that give finite outputs, got {observation:?}; look for NaN and infinity"
            ),
            Fault::Mask => {
                let places = self.distribution.choices().last().map_or(0, |range| range.end);
                match mask {
                    None => "this policy has to be told which choices are allowed; use decide with a mask".to_owned(),
                    Some(mask) => {
                        format!("mask: expected {places} switches, one at least on for each choice, got {mask:?}")
                    }
                }
            }
            Fault::Draws => {
                let kind = match self.distribution {
                    Distribution::Categorical { .. } => "from [0, 1)",
                    Distribution::Gaussian { .. } => "standard normal",
                };
                let draws = draws.unwrap_or_default();
                format!("draws: expected {} numbers, {kind}, got {draws:?}; draw them anew", self.distribution.dim())
            }
            Fault::Buffer => fault.to_string(),
        })
    }
}

/// The parts of a policy as a [`PolicyView`] wants them.
#[derive(Clone, Debug)]
struct Parts<'a> {
    policy: &'a Policy,
    inputs: Vec<Input>,
    shapes: Vec<LayerShape>,
    /// Of the recurrent cell, if there is one, and of the layers.
    weights: Aligned,
    int8: Vec<Int8View<'a>>,
    nvec: Vec<usize>,
    start: Vec<i64>,
    simple: Option<Simple>,
}

/// A policy of layers that reads real numbers, makes one choice and needs no mask.
#[derive(Clone, Copy, Debug)]
struct Simple {
    features: usize,
    /// The smallest value of the choice.
    start: f32,
}

impl<'a> Parts<'a> {
    fn new(policy: &'a Policy) -> Self {
        let (nvec, start) = match &policy.header().action {
            Action::Discrete { n, start } => (vec![*n], vec![*start]),
            Action::MultiDiscrete { nvec, start } => (nvec.clone(), start.clone()),
            Action::Box { .. } => (vec![], vec![]),
        };
        let cell = match policy.body() {
            Body::Gru(gru) => gru.cell.parts(),
            _ => [&[][..]; 4],
        };
        let layers = policy.layers().iter().flat_map(|layer| [&layer.weight[..], &layer.bias]);
        let weights = cell.into_iter().chain(layers).flatten();
        let simple = match (&policy.header().observation, &policy.header().action, policy.body()) {
            (Features::Box { len }, Action::Discrete { start, .. }, Body::Mlp(_)) if !policy.header().masked => {
                Some(Simple { features: *len, start: *start as f32 })
            }
            _ => None,
        };
        Self {
            simple,
            inputs: policy.header().observation.inputs(),
            shapes: policy.layers().iter().map(|layer| layer.shape()).collect(),
            weights: Aligned::new(weights.copied().collect()),
            int8: match policy.body() {
                Body::Int8(int8) => int8.layers.iter().map(|layer| layer.view()).collect(),
                _ => vec![],
            },
            nvec,
            start,
            policy,
        }
    }

    fn mlp(&self) -> MlpView<'_> {
        MlpView { shapes: &self.shapes, weights: self.weights.as_ref() }
    }

    fn view(&self) -> PolicyView<'_> {
        let Header { normalizer, action, masked, .. } = self.policy.header();
        PolicyView {
            inputs: &self.inputs,
            normalizer: normalizer.as_ref().map(|normalizer| normalizer.view()),
            body: match self.policy.body() {
                Body::Mlp(_) => BodyView::Mlp(self.mlp()),
                Body::Tree(tree) => BodyView::Tree { splits: &tree.splits, leaves: &tree.leaves },
                Body::Int8(int8) => BodyView::Int8 { scale: int8.scale, layers: &self.int8 },
                Body::Gru(gru) => {
                    let [weight_x, bias_x, weight_h, _] = gru.cell.parts().map(<[f32]>::len);
                    let (weight_x, rest) = self.weights.as_ref().split_at(weight_x);
                    let (bias_x, rest) = rest.split_at(bias_x);
                    let (weight_h, rest) = rest.split_at(weight_h);
                    let (bias_h, weights) = rest.split_at(bias_x.len());
                    let cell = GruCellView { weight_x, bias_x, weight_h, bias_h };
                    BodyView::Gru(GruView { cell, layers: MlpView { shapes: &self.shapes, weights } })
                }
            },
            head: match action {
                Action::Box { low, high, bounding, log_std } => {
                    Head::Real { low, high, bounding: *bounding, log_std: log_std.as_deref() }
                }
                _ => Head::Choices { nvec: &self.nvec, start: &self.start },
            },
            masked: *masked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::*;
    use crate::ns_per_action;
    use crate::{Bounding, Normalizer};

    #[test]
    fn integers_come_close_to_floats() {
        let (float, int8) = (policy(), int8_policy());
        let mut worst: f32 = 0.0;
        for i in 0..1000 {
            let x = [i as f32 / 500.0 - 1.0, (i * 7 % 1000) as f32 / 250.0, -0.3];
            let expected = float.runner().params(&x).unwrap().to_vec();
            let error = |(a, b): (&f32, &f32)| (a - b).abs();
            worst = int8.runner().params(&x).unwrap().iter().zip(&expected).map(error).fold(worst, f32::max);
        }
        assert!(worst < 0.02, "{worst}");
        for strange in [f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(int8.runner().act(&[strange, 0.0, 0.0]).is_err(), strange.is_nan(), "infinity is clipped");
        }
        let far = int8.runner().params(&[1e30, -1e30, 1e30]).unwrap().to_vec();
        assert!(far.iter().all(|x| x.abs() < 10.0), "{far:?}");
        assert_eq!((int8.parameters(), int8.macs()), (float.parameters(), float.macs()));
        assert!(float.to_int8(&[]).unwrap_err().is_shape());
        assert!(float.to_int8(&[vec![0.0]]).unwrap_err().is_shape());
        assert!(tree_policy().to_int8(&[vec![0.0; 3]]).unwrap_err().is_shape());
        assert!(int8.to_int8(&[vec![0.0; 3]]).unwrap_err().is_shape());

        let Body::Int8(sound) = int8.body().clone() else { unreachable!() };
        let broken = |change: fn(&mut crate::Int8)| {
            let mut int8 = sound.clone();
            change(&mut int8);
            Policy::new(float.header().clone(), int8).unwrap_err().is_shape()
        };
        assert!(broken(|int8| int8.scale = 0.0) && broken(|int8| int8.layers[0].shift = 0));
        assert!(broken(|int8| int8.layers[0].bias[0] = i32::MIN), "a sum that overflows");
        assert!(broken(|int8| int8.layers[0].multiplier[0] = -1) && broken(|int8| drop(int8.layers.pop())));
    }

    #[test]
    fn a_tree_is_a_policy() {
        let policy = tree_policy();
        let mut runner = policy.runner();
        for (x, params, choice) in
            [([0.5, -1.0, 9.0], [0.0, -1.0], 0), ([0.5, 0.0, 9.0], [-2.0, -0.1], 1), ([0.6, 0.0, 9.0], [-0.7, -0.6], 1)]
        {
            assert_eq!(runner.params(&x).unwrap(), params);
            assert_eq!(runner.act_discrete(&x).unwrap(), choice);
        }
        for strange in [f32::NAN, f32::INFINITY] {
            assert!(runner.act(&[0.5, 0.0, strange]).unwrap_err().is_shape());
        }
        assert_eq!((policy.parameters(), policy.macs(), policy.layers().len()), (2 + 6, 2, 0));

        let wide = Policy::new(header(Features::Box { len: 3 }, 3, None), policy.body().clone());
        assert!(wide.unwrap_err().is_shape());
        let normalizer = Normalizer { mean: vec![1.0; 3], std: vec![2.0; 3], clip: 5.0 };
        let Body::Tree(tree) = policy.body().clone() else { unreachable!() };
        let normalized = Policy::new(header(Features::Box { len: 3 }, 2, Some(normalizer)), tree).unwrap();
        assert_eq!(
            normalized.runner().params(&[2.0, -1.0, 0.0]).unwrap(),
            [0.0, -1.0],
            "splits see what is normalised"
        );
    }

    #[test]
    fn the_bits_are_the_same_everywhere() {
        let policy = policy();
        let bits: Vec<u32> =
            policy.runner().params(&[0.3, -1.0, 2.0]).unwrap().iter().map(|logit| logit.to_bits()).collect();
        assert_eq!(bits, [0xbf1d_36fd, 0x3fca_19cb], "{bits:x?}");
    }

    #[test]
    fn the_normalizer_is_part_of_the_policy() {
        let with = policy();
        let without = Policy::new(header(Features::Box { len: 3 }, 2, None), with.layers().to_vec()).unwrap();
        let normalized = [(0.3 - 0.5) / 2.0, (-1.0 + 0.5) / 1.0, 5.0];
        assert_eq!(with.runner().params(&[0.3, -1.0, 2.0]).unwrap(), without.runner().params(&normalized).unwrap());
    }

    /// Bit for bit, with a normaliser and a choice that does not count from 0, and where something is wrong.
    #[test]
    fn the_simple_way_is_the_general_one() {
        let action = Action::Discrete { n: 7, start: -3 };
        let seven = Policy::new(acting(Features::Box { len: 3 }, action, None), layers(&[3, 70, 7])).unwrap();
        for policy in [policy(), seven] {
            let (mut simple, mut general) = (policy.runner(), policy.runner());
            assert!(simple.parts.simple.is_some());
            let mut params = simple.params.clone();
            for i in 0..200 {
                let mut x = [7, 13, 5].map(|step| ((i * step) % 64) as f32 / 8.0 - 4.0);
                if i % 10 == 0 {
                    x[i / 10 % 3] = if i < 100 { f32::NAN } else { f32::INFINITY };
                }
                let mut action = [9.0];
                let expected = general.act_into(&x, None, &mut [], &mut params, &mut action);
                let done = simple.act(&x).map(<[f32]>::to_vec);
                assert_eq!(done.as_ref().ok(), expected.is_ok().then_some(&action.to_vec()), "{x:?}");
                let bits = |params: &[f32]| params.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert!(done.is_err() || bits(&simple.params) == bits(&params), "{x:?}");
            }
            assert!(simple.act(&[0.0; 2]).unwrap_err().is_shape());
        }
        for other in [tree_policy(), int8_policy(), gru_policy()] {
            assert!(other.runner().parts.simple.is_none());
        }
    }

    #[test]
    fn a_discrete_observation_picks_a_row() {
        let policy = Policy::new(header(Features::OneHot { n: 3, start: 0 }, 2, None), layers(&[3, 2])).unwrap();
        let layer = &policy.layers()[0];
        let expected = [layer.weight[4] + layer.bias[0], layer.weight[5] + layer.bias[1]];
        assert_eq!(policy.runner().params(&[2.0]).unwrap(), expected);
        for wrong in [&[3.0][..], &[-1.0], &[0.5], &[f32::NAN], &[], &[0.0, 0.0]] {
            assert!(policy.runner().params(wrong).unwrap_err().is_shape(), "{wrong:?}");
        }
    }

    #[test]
    fn samples_follow_the_distribution() {
        let policy = policy();
        let mut runner = policy.runner();
        let observation = [0.3, -1.0, 2.0];
        let mut params = runner.params(&observation).unwrap().to_vec();
        runner.distribution().normalize(&mut params);
        let mut zeros = 0;
        for i in 0..1000 {
            zeros += i32::from(runner.sample(&observation, &[(f64::from(i) + 0.5) / 1000.0]).unwrap() == [0.0]);
        }
        assert!((f64::from(zeros) / 1000.0 - f64::from(params[0]).exp()).abs() < 2e-3);
        assert_eq!(runner.act_discrete(&observation).unwrap() as f32, runner.act(&observation).unwrap()[0]);
        assert!(runner.act(&[0.0]).unwrap_err().is_shape());
        assert!(runner.act(&[0.0, f32::NAN, 0.0]).unwrap_err().is_shape());
        for wrong in [&[-0.1][..], &[1.0], &[f64::NAN], &[], &[0.1, 0.1]] {
            assert!(runner.sample(&observation, wrong).unwrap_err().is_shape());
        }
    }

    #[test]
    fn a_mask_forbids_choices() {
        let action = Action::MultiDiscrete { nvec: vec![2, 2], start: vec![0, 5] };
        let policy = Policy::new(acting(Features::Box { len: 3 }, action, None), layers(&[3, 4])).unwrap();
        let mut runner = policy.runner();
        for (mask, expected) in [([true, false, false, true], [0.0, 6.0]), ([false, true, true, false], [1.0, 5.0])] {
            for draws in [None, Some(&[0.0, 0.999][..])] {
                assert_eq!(runner.decide(&[0.3, -1.0, 2.0], Some(&mask), draws).unwrap(), expected);
            }
        }
        for wrong in [&[true, true, true][..], &[true, true, false, false], &[]] {
            assert!(runner.decide(&[0.3, -1.0, 2.0], Some(wrong), None).unwrap_err().is_shape());
        }
        assert!(runner.act_discrete(&[0.3, -1.0, 2.0]).unwrap_err().is_shape());

        let told = Policy::new(Header { masked: true, ..policy.header().clone() }, policy.layers().to_vec()).unwrap();
        let mut runner = told.runner();
        assert!(runner.act(&[0.3, -1.0, 2.0]).unwrap_err().is_shape());
        assert!(runner.sample(&[0.3, -1.0, 2.0], &[0.5, 0.5]).unwrap_err().is_shape());
        assert!(runner.decide(&[0.3, -1.0, 2.0], Some(&[true; 4]), None).is_ok());
    }

    #[test]
    fn real_actions_are_the_mean_within_its_bounds() {
        let of = |bounding, log_std: Option<Vec<f32>>, outputs| {
            let action = Action::Box { low: vec![-0.5; 2], high: vec![0.5; 2], bounding, log_std };
            Policy::new(acting(Features::Box { len: 3 }, action, None), layers(&[3, outputs]))
        };
        let observation = [0.3, -1.0, 2.0];
        let fixed = of(Bounding::Clip, Some(vec![0.0, -1.0]), 2).unwrap();
        let mut runner = fixed.runner();
        let params = runner.params(&observation).unwrap().to_vec();
        assert_eq!(params[2..], [0.0, -1.0]);
        let means = [params[0], params[1]];
        assert_eq!(runner.act(&observation).unwrap(), means.map(|x| x.clamp(-0.5, 0.5)));
        let sampled = [means[0] + 0.25, means[1] - 0.5 * (-1.0_f32).exp()].map(|x| x.clamp(-0.5, 0.5));
        assert_eq!(runner.sample(&observation, &[0.25, -0.5]).unwrap(), sampled);

        let squashed = of(Bounding::Tanh, None, 4).unwrap();
        assert_eq!(squashed.runner().params(&observation).unwrap().len(), 4);
        assert!(squashed.runner().act(&observation).unwrap().iter().all(|x| x.abs() < 0.5));
        assert!(of(Bounding::Clip, None, 2).unwrap_err().is_shape(), "spreads that follow the means need outputs");
        let masked = Header { masked: true, ..fixed.header().clone() };
        assert!(Policy::new(masked, fixed.layers().to_vec()).unwrap_err().is_shape());
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let of = |observation: Features, n, layers| Policy::new(header(observation, n, None), layers);
        let box3 = Features::Box { len: 3 };
        assert!(of(box3.clone(), 2, layers(&[3, 4, 2])).is_ok());
        assert!(of(box3.clone(), 3, layers(&[3, 4, 2])).unwrap_err().is_shape());
        assert!(of(Features::Box { len: 4 }, 2, layers(&[3, 4, 2])).unwrap_err().is_shape());
        assert!(of(box3.clone(), 2, vec![]).unwrap_err().is_shape());
        let mut broken = layers(&[3, 4, 2]);
        broken[1].weight[0] = f32::NAN;
        assert!(of(box3.clone(), 2, broken).unwrap_err().is_shape());
        let normalizer = Normalizer { mean: vec![0.0; 3], std: vec![1.0, 0.0, 1.0], clip: 1.0 };
        let header = header(box3, 2, Some(normalizer));
        assert!(Policy::new(header, layers(&[3, 4, 2])).unwrap_err().is_shape());
    }

    #[test]
    fn sizes_are_counted() {
        let policy = Policy::new(header(Features::Box { len: 4 }, 2, None), layers(&[4, 64, 64, 2])).unwrap();
        assert_eq!((policy.parameters(), policy.macs()), (4610, 4 * 64 + 64 * 64 + 64 * 2));
        println!("4-64-64-2: {:.0} ns an action", ns_per_action(&policy));
        let student = Policy::new(header(Features::Box { len: 4 }, 2, None), layers(&[4, 16, 2])).unwrap();
        println!("4-16-2: {:.0} ns an action", ns_per_action(&student));
    }
}
