//! An actor and a critic, and their gradient for a part of a batch.

use super::BLOCK;
use super::loss::{Lanes, LossBlock};
use super::network::{Gradients, Network, Trace, Transposed};
use super::row::Row;
use super::simd::Level;
use crate::encoder::Input;
use crate::{Architecture, Objective, OutputBlock, OutputLoss, Samples, UpdateStats};
use std::ops::Range;

/// What all threads read: two networks by their parameters.
pub(super) struct Model {
    pub(super) architecture: Architecture,
    pub(super) level: Level,
    /// In the order of [`Engine::parameters`](crate::Engine::parameters): the actor's, the critic's, and the logarithms of
    /// standard deviations that do not depend on the state. Behind the actor's are zeros, so that the critic's begin with a
    /// cache line.
    pub(super) parameters: Row,
    /// The actor's parameters with weights rounded to 8 bits, if it computes with these; else nothing.
    pub(super) rounded: Row,
    pub(super) actor: Network,
    pub(super) critic: Network,
    pub(super) actor_transposed: Transposed,
    pub(super) critic_transposed: Transposed,
}

/// Which networks a piece of work is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nets {
    Actor,
    Critic,
    /// Both, because one of them depends on what the other puts out, or only one is wanted.
    Both,
}

/// Some consecutive samples of a batch, what is computed of them, and room for it: a piece of work for one thread.
pub(super) struct Part {
    pub(super) nets: Nets,
    pub(super) samples: Range<usize>,
    /// The gradient of what the samples add to the loss, in the layout of the parameters; those of other networks are not
    /// its own.
    pub(super) grads: Row,
    /// The sum of the squares of the gradient.
    pub(super) square: f32,
    /// What they add to the parts of the loss.
    pub(super) stats: UpdateStats,
    /// What a network puts out for each of the samples, if that is all that is asked for.
    pub(super) outputs: Vec<f32>,
    actor_trace: Trace,
    critic_trace: Trace,
    output_grads: Vec<f32>,
    value_grads: Vec<f32>,
    /// `[params][samples]`: room for the parameters of the distributions.
    params: Vec<Lanes>,
    other: OtherLoss,
}

impl Part {
    pub(super) fn new(model: &Model) -> Self {
        let width = model.architecture.distribution.num_params();
        Self {
            nets: Nets::Both,
            samples: 0..0,
            grads: Row::zeros(model.parameters.len()),
            square: 0.0,
            stats: UpdateStats::default(),
            outputs: Vec::new(),
            actor_trace: Trace::default(),
            critic_trace: Trace::default(),
            output_grads: Vec::new(),
            value_grads: Vec::new(),
            params: vec![[0.0; BLOCK]; width],
            other: OtherLoss { width, ..OtherLoss::default() },
        }
    }

    /// The samples in blocks.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let Range { start, end } = self.samples;
        (start..end).step_by(BLOCK).map(move |first| first..(first + BLOCK).min(end))
    }

    /// Adds what other samples add to the loss.
    pub(super) fn add(&mut self, model: &Model, others: &[Self]) {
        for other in others {
            self.stats.add(&other.stats);
            for range in model.ranges(self.nets) {
                let sums = self.grads[range.clone()].iter_mut().zip(&other.grads[range]);
                sums.for_each(|(sum, grad)| *sum += grad);
            }
        }
    }

    /// Adds up the squares of the gradient.
    pub(super) fn square(&mut self, model: &Model) {
        self.square = 0.0;
        for range in model.ranges(self.nets) {
            let mut square = 0.0;
            model.level.sum_of_squares(&self.grads[range], &mut square);
            self.square += square;
        }
    }
}

impl Model {
    /// Of these parameters, in the layout of [`Engine::parameters`](crate::Engine::parameters).
    pub(super) fn new(architecture: Architecture, parameters: &[f32]) -> Self {
        let actor = Network::new(&architecture.actor_sizes(), architecture.activation);
        let mut model = Self {
            level: Level::detect(),
            parameters: Row::default(),
            rounded: Row::zeros(if architecture.int8_weights { actor.len() } else { 0 }),
            actor,
            critic: Network::new(&architecture.critic_sizes(), architecture.activation),
            actor_transposed: Transposed::default(),
            critic_transposed: Transposed::default(),
            architecture,
        };
        model.parameters = model.row(parameters);
        model.changed();
        model
    }

    /// Brings what follows from the parameters up to date; to be called whenever they have changed.
    pub(super) fn changed(&mut self) {
        let (mut actor, critic) = (&self.parameters[..self.actor.len()], &self.parameters[self.critic_range()]);
        if !self.rounded.is_empty() {
            self.actor.round(actor, &mut self.rounded);
            actor = &self.rounded;
        }
        self.actor.transpose(self.level, actor, &mut self.actor_transposed);
        self.critic.transpose(self.level, critic, &mut self.critic_transposed);
    }

    /// Where the critic's parameters are.
    pub(super) fn critic_range(&self) -> Range<usize> {
        let start = Row::next_line(self.actor.len());
        start..start + self.critic.len()
    }

    /// The number of parameters.
    pub(super) fn num_parameters(&self) -> usize {
        self.flat_index(self.parameters.len())
    }

    /// The place in the layout of [`Engine::parameters`](crate::Engine::parameters) of what has this one in a row.
    pub(super) fn flat_index(&self, i: usize) -> usize {
        let start = self.critic_range().start;
        if i < start { i } else { i - (start - self.actor.len()) }
    }

    /// A row, in the layout of [`Engine::parameters`](crate::Engine::parameters).
    pub(super) fn flat(&self, row: &[f32]) -> Vec<f32> {
        [&row[..self.actor.len()], &row[self.critic_range().start..]].concat()
    }

    /// A row from that layout.
    pub(super) fn row(&self, flat: &[f32]) -> Row {
        let (actor, rest) = flat.split_at(self.actor.len());
        let start = self.critic_range().start;
        let mut row = Row::zeros(start + rest.len());
        row[..actor.len()].copy_from_slice(actor);
        row[start..].copy_from_slice(rest);
        row
    }

    /// Where the parameters are that the loss of some networks depends on.
    pub(super) fn ranges(&self, nets: Nets) -> [Range<usize>; 2] {
        let (critic, end) = (self.critic_range(), self.parameters.len());
        match nets {
            Nets::Actor => [0..self.actor.len(), critic.end..end],
            Nets::Critic => [critic, end..end],
            Nets::Both => [0..self.actor.len(), critic.start..end],
        }
    }

    /// The logarithms of standard deviations that do not depend on the state.
    pub(super) fn log_std(&self) -> &[f32] {
        &self.parameters[self.critic_range().end..]
    }

    /// The number of the actor's outputs.
    pub(super) fn num_outputs(&self) -> usize {
        self.architecture.distribution.num_params() - self.log_std().len()
    }

    /// Whether the actor's and the critic's gradients have nothing to do with one another.
    pub(super) fn separate(&self, objective: &Objective<'_>) -> bool {
        let other = objective.other.is_some_and(OutputLoss::wants_values);
        objective.wants_values() && !other && !self.architecture.shared_trunk
    }

    /// Writes the actor's outputs for a part; `x` says what the networks read for some samples.
    pub(super) fn outputs<'a>(&self, x: impl Fn(Range<usize>) -> Input<'a>, part: &mut Part) {
        part.outputs.clear();
        for samples in part.blocks() {
            self.run_actor(x(samples.clone()), samples.len(), &mut part.actor_trace);
            part.outputs.extend_from_slice(part.actor_trace.output());
        }
    }

    /// Writes the critic's values for a part.
    pub(super) fn values<'a>(&self, x: impl Fn(Range<usize>) -> Input<'a>, part: &mut Part) {
        part.outputs.clear();
        for samples in part.blocks() {
            let (mut x, samples) = (x(samples.clone()), samples.len());
            if self.architecture.shared_trunk {
                self.run_actor(x, samples, &mut part.actor_trace);
                x = part.actor_trace.hidden().map_or(x, Input::Dense);
            }
            self.run_critic(x, samples, &mut part.critic_trace);
            part.outputs.extend_from_slice(part.critic_trace.output());
        }
    }

    fn run_actor(&self, x: Input<'_>, samples: usize, trace: &mut Trace) {
        let parameters = if self.rounded.is_empty() { &self.parameters[..self.actor.len()] } else { &self.rounded };
        self.actor.forward(self.level, (parameters, &self.actor_transposed), x, samples, trace);
    }

    fn run_critic(&self, x: Input<'_>, samples: usize, trace: &mut Trace) {
        let parameters = &self.parameters[self.critic_range()];
        self.critic.forward(self.level, (parameters, &self.critic_transposed), x, samples, trace);
    }

    /// Writes the gradient of what a part of `batch` adds to its loss, and that.
    pub(super) fn gradient<'a>(
        &self,
        x: impl Fn(Range<usize>) -> Input<'a>,
        batch: &Samples,
        objective: &Objective<'_>,
        part: &mut Part,
    ) {
        let blocks = part.blocks();
        let Part { nets, grads, stats, actor_trace, critic_trace, output_grads, value_grads, params, other, .. } = part;
        self.ranges(*nets).into_iter().for_each(|range| grads[range].fill(0.0));
        *stats = UpdateStats::default();
        let critic = self.critic_range();
        let (actor_grads, rest) = grads.split_at_mut(critic.start);
        let (critic_grads, log_std_grads) = rest.split_at_mut(critic.len());
        let actor_runs = *nets != Nets::Critic;
        let critic_runs = *nets != Nets::Actor && objective.wants_values();
        for block in blocks {
            let (first, samples, x) = (block.start, block.len(), x(block));
            output_grads.clear();
            value_grads.clear();
            let (mut outputs, mut values, mut critic_x): (&[f32], &[f32], _) = (&[], &[], x);
            if actor_runs {
                self.run_actor(x, samples, actor_trace);
                outputs = actor_trace.output();
                output_grads.resize(outputs.len(), 0.0);
            }
            if critic_runs {
                if self.architecture.shared_trunk {
                    critic_x = actor_trace.hidden().map_or(x, Input::Dense);
                }
                self.run_critic(critic_x, samples, critic_trace);
                values = critic_trace.output();
                value_grads.resize(samples, 0.0);
            }
            if let Some(coefs) = &objective.ppo {
                self.level.loss_gradients(LossBlock {
                    distribution: &self.architecture.distribution,
                    samples,
                    outputs,
                    log_std: self.log_std(),
                    values,
                    batch,
                    first,
                    coefs,
                    stats,
                    output_grads,
                    log_std_grads,
                    value_grads,
                    params,
                });
            }
            if let Some(loss) = objective.other.filter(|_| actor_runs) {
                let of = (outputs, self.log_std(), values);
                stats.other_loss += other.add_gradients(loss, first, of, (output_grads, log_std_grads, value_grads));
            }
            let shared = self.architecture.shared_trunk && critic_runs;
            if critic_runs {
                let from = Gradients { output: value_grads, head: None, inputs: shared };
                self.critic.backward(self.level, (&self.critic_transposed, critic_grads), critic_x, from, critic_trace);
            }
            if actor_runs {
                let head = shared.then(|| critic_trace.input_grad());
                let from = Gradients { output: output_grads, head, inputs: false };
                self.actor.backward(self.level, (&self.actor_transposed, actor_grads), x, from, actor_trace);
            }
        }
    }
}

/// Room for the rows that a loss beside PPO's reads and writes.
#[derive(Default)]
struct OtherLoss {
    /// Parameters of a distribution.
    width: usize,
    /// `[samples × params]`.
    params: Vec<f32>,
    param_grads: Vec<f32>,
    value_grads: Vec<f32>,
}

impl OtherLoss {
    /// Adds the gradient of `loss` in the outputs of a block of samples, which begins with the sample `first`; returns what
    /// they add to the loss. Outputs and gradients are those of the actor `[samples × outputs]`, of the logarithms of
    /// standard deviations that do not depend on the state, and of the critic `[samples]`.
    fn add_gradients(
        &mut self,
        loss: &dyn OutputLoss,
        first: usize,
        (outputs, log_std, values): (&[f32], &[f32], &[f32]),
        (output_grads, log_std_grads, value_grads): (&mut [f32], &mut [f32], &mut [f32]),
    ) -> f64 {
        let width = self.width;
        let row = width - log_std.len();
        self.params.clear();
        outputs.chunks_exact(row).for_each(|outputs| {
            self.params.extend_from_slice(outputs);
            self.params.extend_from_slice(log_std);
        });
        self.param_grads.clear();
        self.param_grads.resize(self.params.len(), 0.0);
        self.value_grads.clear();
        self.value_grads.resize(values.len(), 0.0);
        let loss = loss.gradients(OutputBlock {
            first,
            params: &self.params,
            values,
            param_grads: &mut self.param_grads,
            value_grads: &mut self.value_grads,
        });
        let add = |to: &mut [f32], from: &[f32]| to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
        for (to, from) in output_grads.chunks_exact_mut(row).zip(self.param_grads.chunks_exact(width)) {
            add(to, &from[..row]);
            add(log_std_grads, &from[row..]);
        }
        add(value_grads, &self.value_grads);
        loss
    }
}
