//! `apprentice verify`: whether an export is its policy.

use super::{Failure, Output, load_policy};
use crate::agents::{EVALUATION_SEED, Error, EvaluationPlan, episodes, evaluate_in, mean, policy_env, run_episodes};
use crate::deploy::export::{Answer, Built, Format, manifest};
use crate::deploy::{Error as DeployError, Policy};
use crate::distill::{figure, same_action};
use crate::envs::Registry;
use clap::Args;
use serde::Serialize;
use std::ops::Range;
use std::path::PathBuf;

/// How far a model may be off, relative to the largest number if that is above 1: runtimes of ONNX have functions and sums of their own.
const MODEL_TOLERANCE: f32 = 1e-5;

/// And its mean return.
const RETURN_TOLERANCE: f64 = 1e-2;

/// Compiles an export, runs its self-test, and compares it with its policy: numbers and actions, bit for bit, in states
/// that the policy visits, in whole episodes if it is recurrent, and the returns of episodes in which the export acts. Exit
/// code 1 if anything differs. A model is loaded in the ONNX Runtime of $PYTHON, and may be off by 1e-5.
#[derive(Args)]
pub(super) struct Verify {
    /// The policy: a file, or the run directory that holds one.
    policy: PathBuf,
    /// The folder that `apprentice export` wrote.
    #[arg(long, value_name = "DIR")]
    export: PathBuf,
    /// States to compare in.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    states: u32,
    /// Episodes to compare the returns of.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    episodes: u32,
    /// A flag for the compiler, such as -march=native; may be given often.
    #[arg(long = "flag", value_name = "FLAG", allow_hyphen_values = true)]
    flags: Vec<String>,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Verified {
    format: Format,
    checksum: String,
    states: usize,
    /// Of these, how many have the same parameters of the distribution of actions.
    equal_params: usize,
    /// And how many the same action.
    equal_actions: usize,
    /// The greatest difference between parameters, relative to the largest if that is above 1.
    max_error: f32,
    episodes: u32,
    return_mean: f64,
    export_return_mean: f64,
    /// Episodes with the same return.
    equal_returns: usize,
    /// How the policy in integers and the one it was made of compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    int8: Option<Quantized>,
    passed: bool,
}

/// How a policy in integers and the one it was made of compare.
#[derive(Serialize)]
struct Quantized {
    /// In how many of the states they take the same action; real numbers within 5 % of their range.
    same_actions: usize,
    /// The mean return of the policy in f32.
    float_return_mean: f64,
}

/// An export at work.
enum Subject {
    Program(Built),
    /// What the tensors are as a policy, and what it remembers of the episode.
    Tensors(Box<Policy>, Vec<f32>),
}

impl Subject {
    /// Lets an episode begin.
    fn reset(&mut self) {
        match self {
            Self::Program(built) => built.reset(),
            Self::Tensors(_, memory) => memory.fill(0.0),
        }
    }

    /// What it does with each of these flat observations; None where it refuses.
    fn answers(&mut self, observations: &[f32], masks: Option<&[bool]>) -> Result<Vec<Option<Answer>>, DeployError> {
        let (policy, memory) = match self {
            Self::Program(built) => return built.answers(observations, masks, None),
            Self::Tensors(policy, memory) => (policy, memory),
        };
        let mut runner = policy.runner();
        runner.memory().copy_from_slice(memory);
        let params = runner.distribution().num_params();
        let rows = observations.chunks_exact(policy.header().observation.flat_len()).enumerate();
        let answer = |(i, row): (usize, &[f32])| {
            let before = runner.memory().to_vec();
            let action = runner.decide(row, masks.map(|masks| &masks[i * params..][..params]), None).ok()?.to_vec();
            // The same observation once more, not the next one.
            runner.memory().copy_from_slice(&before);
            Some(Answer { params: runner.params(row).ok()?.to_vec(), drawn: vec![0.0; action.len()], action })
        };
        let answers = rows.map(answer).collect();
        memory.copy_from_slice(runner.memory());
        Ok(answers)
    }
}

/// How an export and its policy compare in many states.
#[derive(Default)]
struct Comparison {
    equal_params: usize,
    equal_actions: usize,
    max_error: f32,
}

/// States that the policy visits: flat observations and masks, one after another.
struct Visited {
    observations: Vec<f32>,
    masks: Option<Vec<bool>>,
    /// The state that each episode begins with. Of a policy that remembers nothing, episodes are mixed.
    starts: Vec<usize>,
}

impl Visited {
    /// The states of each episode, of so many in all.
    fn episodes(&self, states: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let ends = self.starts.iter().skip(1).copied().chain([states]);
        self.starts.iter().copied().zip(ends).map(|(start, end)| start..end)
    }
}

impl Verify {
    pub(super) fn run(&self, registry: &Registry) -> Result<(), Failure> {
        let (given, _) = load_policy(&self.policy)?;
        let policy = self.exported(&given)?;
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let manifest = manifest(&self.export)?;
        let mut subject = match manifest.format {
            Format::Safetensors => {
                let path = self.export.join(format!("{}.safetensors", manifest.name));
                let tensors = Policy::load(&path)?;
                let (own, other) = (policy.header(), tensors.header());
                if (&own.observation, &own.action) != (&other.observation, &other.action) {
                    return Err(Error::config(format!(
                        "{} is of another policy: expected observations and actions like those of {}; give the policy that \
                         was exported",
                        path.display(),
                        self.policy.display()
                    ))
                    .into());
                }
                let memory = vec![0.0; tensors.memory_len()];
                Subject::Tensors(Box::new(tensors), memory)
            }
            _ => Subject::Program(Built::new(&policy, &self.export, &flags)?),
        };
        let visited = self.visit(&policy, registry)?;
        let format = manifest.format;
        let tolerance = if format == Format::Onnx { MODEL_TOLERANCE } else { 0.0 };
        let Comparison { equal_params, equal_actions, max_error } =
            compare(&policy, &mut subject, &visited, tolerance)?;

        let plans = self.plans(&policy);
        let env = policy_env(&policy)?;
        let make = |plan: &EvaluationPlan| registry.make_vec(&env, plan.episodes, plan.seed);
        let evaluate = |policy: &Policy| {
            let mut returns = Vec::new();
            for plan in &plans {
                returns.extend(evaluate_in(policy, &mut *make(plan)?, plan)?.returns);
            }
            Ok::<_, Failure>(returns)
        };
        let expected = evaluate(&policy)?;
        let mut returns = Vec::new();
        for plan in &plans {
            subject.reset();
            let act = |_: usize, observation: &[f32], mask: Option<&[bool]>, _: &mut _, action: &mut [f32]| {
                let answer = subject.answers(observation, mask)?.remove(0);
                let answer =
                    answer.ok_or_else(|| Error::failed("the export refuses an observation of the environment"))?;
                action.copy_from_slice(&answer.action);
                Ok(())
            };
            returns.extend(episodes(&mut *make(plan)?, plan, policy.header().masked, act)?.returns);
        }
        let states = self.states as usize;
        let equal_returns = returns.iter().zip(&expected).filter(|(a, b)| a == b).count();
        let (return_mean, export_return_mean) = (mean(&expected), mean(&returns));
        let same_returns = match format {
            Format::Onnx => (return_mean - export_return_mean).abs() <= RETURN_TOLERANCE * return_mean.abs().max(1.0),
            _ => equal_returns == returns.len(),
        };
        let verified = Verified {
            format,
            checksum: policy.checksum(),
            states,
            equal_params,
            equal_actions,
            max_error,
            episodes: self.episodes,
            return_mean,
            export_return_mean,
            equal_returns,
            int8: match policy == given {
                true => None,
                false => Some(Quantized {
                    same_actions: same_actions(&policy, &given, &visited)?,
                    float_return_mean: mean(&evaluate(&given)?),
                }),
            },
            passed: (equal_params, equal_actions) == (states, states) && same_returns,
        };
        let printed = self.output.print(&verified, || verified.text());
        if verified.passed { printed } else { Err(Failure::Reported) }
    }

    /// The policy that was exported: the one given, or what the export made of it in integers.
    fn exported(&self, given: &Policy) -> Result<Policy, Failure> {
        let manifest = manifest(&self.export)?;
        let path = self.export.join(format!("{}.apprentice", manifest.name));
        if manifest.checksum == given.checksum() || !path.exists() {
            return Ok(given.clone());
        }
        let policy = Policy::load(&path)?;
        if policy.header() != given.header() {
            let hint = "it was made of another policy than the one given; export that one again";
            return Err(Error::io("verify", &path, hint).into());
        }
        Ok(policy)
    }

    /// The episodes to compare the returns of: all at once, or of a policy that remembers one after another.
    fn plans(&self, policy: &Policy) -> Vec<EvaluationPlan> {
        let plan = EvaluationPlan { episodes: self.episodes as usize, ..EvaluationPlan::default() };
        if policy.memory_len() == 0 {
            return vec![plan];
        }
        let one = |i| EvaluationPlan { episodes: 1, seed: plan.seed.wrapping_add(u64::from(i)), ..plan };
        (0..self.episodes).map(one).collect()
    }

    /// As many states as are wanted, from episodes with other seeds than those whose returns are compared.
    fn visit(&self, policy: &Policy, registry: &Registry) -> Result<Visited, Failure> {
        let masks = policy.header().masked.then(Vec::new);
        let mut visited = Visited { observations: Vec::new(), masks, starts: Vec::new() };
        let width = policy.header().observation.flat_len();
        let wanted = self.states as usize * width;
        let together = if policy.memory_len() > 0 { 1 } else { 16 };
        let mut seed = EVALUATION_SEED.wrapping_add(1 << 24);
        while visited.observations.len() < wanted {
            visited.starts.push(visited.observations.len() / width);
            // Sampled actions lead to more of the states there are.
            let plan = EvaluationPlan { episodes: together, seed, sampled: true, ..EvaluationPlan::default() };
            let mut envs = registry.make_vec(policy_env(policy)?, plan.episodes, plan.seed)?;
            run_episodes(policy, &mut *envs, &plan, |_, observation, mask, _| {
                if visited.observations.len() < wanted {
                    visited.observations.extend(observation);
                    if let (Some(masks), Some(mask)) = (&mut visited.masks, mask) {
                        masks.extend(mask);
                    }
                }
                Ok(())
            })?;
            seed = seed.wrapping_add(together as u64);
        }
        Ok(visited)
    }
}

fn compare(policy: &Policy, subject: &mut Subject, visited: &Visited, tolerance: f32) -> Result<Comparison, Failure> {
    let mut runner = policy.runner();
    let params = runner.distribution().num_params();
    let choices = runner.distribution().choices().count() > 0;
    let width = policy.header().observation.flat_len();
    let mut comparison = Comparison::default();
    for episode in visited.episodes(visited.observations.len() / width) {
        let rows = &visited.observations[episode.start * width..episode.end * width];
        let masks = visited.masks.as_ref().map(|masks| &masks[episode.start * params..episode.end * params]);
        subject.reset();
        runner.reset();
        for (i, (row, answer)) in rows.chunks_exact(width).zip(subject.answers(rows, masks)?).enumerate() {
            let mask = masks.map(|masks| &masks[i * params..][..params]);
            let before = runner.memory().to_vec();
            let action = runner.decide(row, mask, None)?.to_vec();
            runner.memory().copy_from_slice(&before);
            let expected = runner.params(row)?;
            let Some(answer) = answer else { continue };
            let (action_error, params_error) = (error(&answer.action, &action), error(&answer.params, expected));
            comparison.equal_actions += usize::from(action_error <= if choices { 0.0 } else { tolerance });
            comparison.equal_params += usize::from(params_error <= tolerance);
            comparison.max_error = comparison.max_error.max(params_error);
        }
    }
    Ok(comparison)
}

/// The greatest difference, relative to the largest number if that is above 1; 0 only for the same bits.
fn error(got: &[f32], expected: &[f32]) -> f32 {
    let scale = expected.iter().fold(1.0, |scale: f32, x| scale.max(x.abs()));
    let one = |(got, expected): (&f32, &f32)| match got.to_bits() == expected.to_bits() {
        true => 0.0,
        false => match (got - expected).abs() / scale {
            difference if difference.is_nan() => f32::INFINITY,
            difference => difference.max(f32::MIN_POSITIVE),
        },
    };
    got.iter().zip(expected).map(one).fold(0.0, f32::max)
}

/// In how many states two policies take the same action.
fn same_actions(a: &Policy, b: &Policy, visited: &Visited) -> Result<usize, Failure> {
    let (mut first, mut second) = (a.runner(), b.runner());
    let params = first.distribution().num_params();
    let mut same = 0;
    for (i, row) in visited.observations.chunks_exact(a.header().observation.flat_len()).enumerate() {
        let mask = visited.masks.as_ref().map(|masks| &masks[i * params..][..params]);
        same += usize::from(same_action(
            &a.header().action,
            first.decide(row, mask, None)?,
            second.decide(row, mask, None)?,
        ));
    }
    Ok(same)
}

impl Verified {
    fn text(&self) -> String {
        let Self { states, equal_params, equal_actions, episodes, equal_returns, .. } = self;
        let numbers = match self.format {
            Format::Onnx => format!("within {:.1e}", self.max_error),
            _ => format!("the same bits in {equal_params} of {states} states"),
        };
        // A file of tensors has none.
        let self_test = if self.format == Format::Safetensors { "" } else { "self-test    passed\n" };
        let int8 = self.int8.as_ref().map_or(String::new(), |int8| {
            format!(
                "in integers  the same action as in f32 (real numbers: within 5 % of their range) in {} of {states} states; mean \
                 return in f32 {}\n",
                int8.same_actions,
                figure(int8.float_return_mean)
            )
        });
        format!(
            "the {} export of policy {}\n\
             {self_test}numbers      {numbers}\n\
             actions      the same in {equal_actions} of {states} states\n\
             returns      the same in {equal_returns} of {episodes} episodes; mean {} and {}\n\
             {int8}{}\n",
            self.format,
            self.checksum,
            figure(self.return_mean),
            figure(self.export_return_mean),
            if self.passed { "it is its policy" } else { "IT IS NOT ITS POLICY" }
        )
    }
}
