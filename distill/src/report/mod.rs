//! The report: what the student is, beside what the teacher was.

mod agreement;
mod comparison;
mod comparison_page;
mod contest;
mod curves;
mod front;
mod joint;
mod page;
mod robustness;
mod table;

pub use agreement::Agreement;
pub use comparison::{Comparison, Pupil, ReportCard, Students, Watch};
pub use contest::Footprint;
pub use curves::{Curve, Series, draw_curves, read_curve};
pub use joint::{JointComparison, Versatile, by_environment};
pub use page::figure;
pub use robustness::{ACTION_NOISE_LEVELS, NOISE_LEVELS, PHYSICS_FACTORS, Robustness};

use crate::Teacher;
use crate::data::collect::teacher_env;
use agreement::evaluate_beside;
use apprentice_agents::{Error, EvaluationPlan, evaluate_random, policy_env};
use apprentice_deploy::{Action, Policy};
use apprentice_envs::{EnvSpec, Registry};
use contest::{contender, evaluate_teacher};
use serde::{Deserialize, Serialize};

/// What a policy is and does, measured on its deployed form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyCard {
    /// What it takes; None of an expert, which is no policy.
    #[serde(flatten)]
    pub footprint: Option<Footprint>,
    /// Mean return over the evaluation episodes, most probable actions.
    pub return_mean: f64,
    /// Standard deviation of these returns.
    pub return_std: f64,
    /// 95 % interval of the mean (bootstrap).
    pub return_ci95: [f64; 2],
    /// Mean return when actions are sampled from the policy's distribution; None of an expert, which is certain.
    pub return_mean_sampled: Option<f64>,
    /// Mean return under observation noise, by its standard deviation σ; of an expert, which may be slow to answer, only
    /// without any.
    pub noise: NoiseReturns,
    /// Evaluation episodes of each of these figures.
    pub episodes: usize,
    /// Of those with the most probable actions, the ones that had not ended when an evaluation stops, and count with what they
    /// had earned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished: usize,
    /// Environment steps the policy was trained on; several policies, all of them together.
    pub train_steps: u64,
    /// Seconds of its training, if the run recorded them.
    pub train_seconds: Option<f64>,
    /// Share of states where the student does [the same](same_action) as the teacher, over the states the *student* visits in its
    /// evaluation episodes. Only a student has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Mean returns under observation noise; serialises as an object from σ to return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "std::collections::BTreeMap<String, f64>", into = "std::collections::BTreeMap<String, f64>")]
pub struct NoiseReturns(pub Vec<(f64, f64)>);

impl From<NoiseReturns> for std::collections::BTreeMap<String, f64> {
    fn from(noise: NoiseReturns) -> Self {
        noise.0.into_iter().map(|(sigma, mean)| (sigma.to_string(), mean)).collect()
    }
}

impl From<std::collections::BTreeMap<String, f64>> for NoiseReturns {
    fn from(noise: std::collections::BTreeMap<String, f64>) -> Self {
        let mut levels: Vec<_> =
            noise.into_iter().filter_map(|(sigma, mean)| Some((sigma.parse().ok()?, mean))).collect();
        levels.sort_by(|a: &(f64, f64), b| a.0.total_cmp(&b.0));
        Self(levels)
    }
}

impl PolicyCard {
    /// Measures `policy` over `episodes` evaluation episodes for each figure, in the environment it was made for or
    /// in `env` if that is given.
    ///
    /// # Errors
    /// If the environment is unknown or the policy cannot act in it.
    pub fn measure(
        policy: &Policy,
        env: Option<&EnvSpec>,
        registry: &Registry,
        plan: &EvaluationPlan,
        train_seconds: Option<f64>,
    ) -> Result<Self, Error> {
        let own = policy_env(policy)?;
        Self::beside(&mut Teacher::policy(policy), None, env.unwrap_or(&own), registry, plan, train_seconds)
            .map(|(card, _)| card)
    }

    /// Measures anyone who acts; and if there is someone to ask beside it, the share of the states that it visits where both do
    /// the same.
    fn beside(
        actor: &mut Teacher<'_>,
        other: Option<&Policy>,
        env: &EnvSpec,
        registry: &Registry,
        plan: &EvaluationPlan,
        train_seconds: Option<f64>,
    ) -> Result<(Self, Option<f64>), Error> {
        let policies = actor.policies().to_vec();
        let footprint = Footprint::of(&policies);
        let (greedy, same) = evaluate_beside(&mut *contender(actor, plan.episodes), other, env, registry, plan)?;
        let mut run =
            |sampled, noise| evaluate_teacher(actor, env, registry, &EvaluationPlan { sampled, noise, ..plan.clone() });
        let mut noise = Vec::new();
        for sigma in NOISE_LEVELS.into_iter().filter(|sigma| footprint.is_some() || *sigma == plan.noise) {
            let mean = if sigma == plan.noise { greedy.mean() } else { run(false, sigma)?.mean() };
            noise.push((sigma, mean));
        }
        let sampled = footprint.map(|_| run(true, plan.noise)).transpose()?;
        let card = Self {
            footprint,
            return_mean: greedy.mean(),
            return_std: greedy.std(),
            return_ci95: greedy.ci95(),
            return_mean_sampled: sampled.map(|sampled| sampled.mean()),
            noise: NoiseReturns(noise),
            episodes: plan.episodes,
            unfinished: greedy.unfinished,
            train_steps: policies.iter().map(|policy| policy.header().provenance.train_steps).sum(),
            train_seconds,
            fidelity: None,
        };
        Ok((card, same))
    }
}

/// Teacher and student side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The environment, with its parameters.
    pub env: EnvSpec,
    /// What was distilled.
    pub teacher: PolicyCard,
    /// What came of it.
    pub student: PolicyCard,
    /// Teacher parameters for each parameter of the student; None of an expert.
    pub compression_ratio: Option<f64>,
    /// Mean return of uniformly random actions: the zero of the normalised return.
    pub random_return_mean: f64,
    /// The return from which the task counts as solved, if it has one and is as it was registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_threshold: Option<f64>,
    /// (student − random) / (teacher − random); None where the teacher is no better than random.
    pub normalized_return: Option<f64>,
    /// Share of states where both pick the same action, over the states the *teacher* visits. None, like the student's,
    /// where they do not see the same.
    pub fidelity_on_teacher_states: Option<f64>,
}

impl Report {
    /// Measures both policies over 100 evaluation episodes for each figure.
    ///
    /// # Errors
    /// If the environment is unknown or a policy cannot act in it.
    pub fn measure(
        teacher: (&Policy, Option<f64>),
        student: (&Policy, Option<f64>),
        registry: &Registry,
    ) -> Result<Self, Error> {
        let sees = teacher_env(teacher.0, &policy_env(student.0)?, registry)?;
        Self::of_teacher((&mut Teacher::policy(teacher.0), teacher.1), Some(&sees), student, registry)
    }

    /// Does what [`measure`](Self::measure) does with any teacher of one task: several policies that answer as one, a program,
    /// a closure. `teacher_env` is what it sees of the student's episodes, where that is not what a policy was made with.
    ///
    /// # Errors
    /// As there, if the teacher is one of several domains or tasks, or if an expert does not know.
    pub fn of_teacher(
        (teacher, teacher_seconds): (&mut Teacher<'_>, Option<f64>),
        sees: Option<&EnvSpec>,
        (student, student_seconds): (&Policy, Option<f64>),
        registry: &Registry,
    ) -> Result<Self, Error> {
        let env = policy_env(student)?;
        let plan = EvaluationPlan::default();
        let teacher_sees = teacher.sees(sees, &env, registry)?;
        // Who does not see the same cannot be asked about it.
        let same_eyes = teacher_sees == env;
        let (teacher_card, fidelity_on_teacher_states) = PolicyCard::beside(
            teacher,
            Some(student).filter(|_| same_eyes),
            &teacher_sees,
            registry,
            &plan,
            teacher_seconds,
        )?;
        let mut student_card = PolicyCard::measure(student, Some(&env), registry, &plan, student_seconds)?;
        if same_eyes {
            let mut asked = contender(teacher, plan.episodes);
            student_card.fidelity = Some(Agreement::with(student, &mut *asked, &env, registry, &plan)?.fidelity);
        }
        // As the teacher acts: a student of several tasks has choices that mean nothing here.
        let mut envs = registry.make_vec(&teacher_sees, plan.episodes, plan.seed)?;
        let random = evaluate_random(&mut *envs, &plan)?.mean();
        let span = teacher_card.return_mean - random;
        let parameters = |card: &PolicyCard| card.footprint.map(|footprint| footprint.parameters as f64);
        Ok(Self {
            compression_ratio: parameters(&teacher_card).zip(parameters(&student_card)).map(|(t, s)| t / s),
            random_return_mean: random,
            reward_threshold: threshold(&env, registry),
            normalized_return: (span > 0.0).then(|| (student_card.return_mean - random) / span),
            fidelity_on_teacher_states,
            teacher: teacher_card,
            student: student_card,
            env,
        })
    }
}

/// The return from which an environment counts as solved, unless its parameters, wrappers or time limit may change what can
/// be earned.
fn threshold(env: &EnvSpec, registry: &Registry) -> Option<f64> {
    let info = registry.info(&env.id).ok()?;
    let only_shown = env.wrappers.iter().all(|wrapper| wrapper.only_shows());
    let limit = env.max_episode_steps.is_none() || env.max_episode_steps == info.max_episode_steps;
    info.reward_threshold.filter(|_| env.kwargs.is_empty() && only_shown && limit)
}

/// Whether two flat actions count as the same: equal integers, or real numbers that differ by at most 5 % of the range
/// between their bounds (of their own size, where there are none).
pub fn same_action(space: &Action, a: &[f32], b: &[f32]) -> bool {
    match space {
        Action::Box { low, high, .. } => a.iter().zip(b).zip(low.iter().zip(high)).all(|((a, b), (low, high))| {
            let range = if (high - low).is_finite() { high - low } else { a.abs().max(b.abs()) };
            (a - b).abs() <= 0.05 * range
        }),
        _ => a == b,
    }
}
