//! The report: what the student is, beside what the teacher was.

use crate::collect::teacher_env;
use crate::{Agreement, NOISE_LEVELS};
use apprentice_agents::{Error, EvaluationPlan, evaluate, evaluate_random, policy_env};
use apprentice_deploy::{Action, Policy, ns_per_action};
use apprentice_envs::{EnvSpec, Registry};
use serde::{Deserialize, Serialize};

/// What a policy is and does, measured on its deployed form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyCard {
    /// Weights and biases.
    pub parameters: usize,
    /// Size of the policy file.
    pub bytes: usize,
    /// Multiply-adds of an action.
    pub macs: usize,
    /// Nanoseconds an action takes on this machine, one observation at a time.
    pub ns_per_action: f64,
    /// Mean return over the evaluation episodes, most probable actions.
    pub return_mean: f64,
    /// Standard deviation of these returns.
    pub return_std: f64,
    /// 95 % interval of the mean (bootstrap).
    pub return_ci95: [f64; 2],
    /// Mean return when actions are sampled from the policy's distribution.
    pub return_mean_sampled: f64,
    /// Mean return under observation noise, by its standard deviation σ.
    pub noise: NoiseReturns,
    /// Evaluation episodes of each of these figures.
    pub episodes: usize,
    /// Environment steps the policy was trained on.
    pub train_steps: u64,
    /// Seconds of its training, if the run recorded them.
    pub train_seconds: Option<f64>,
    /// Share of states where the student does [the same](same_action) as the teacher, over the states the *student* visits in its
    /// evaluation episodes. Only a student has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
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
        let run = |sampled, noise| evaluate(policy, env, registry, &EvaluationPlan { sampled, noise, ..plan.clone() });
        let greedy = run(false, plan.noise)?;
        let mut noise = Vec::new();
        for sigma in NOISE_LEVELS {
            let mean = if sigma == plan.noise { greedy.mean() } else { run(false, sigma)?.mean() };
            noise.push((sigma, mean));
        }
        Ok(Self {
            parameters: policy.parameters(),
            bytes: policy.bytes(),
            macs: policy.macs(),
            ns_per_action: ns_per_action(policy),
            return_mean: greedy.mean(),
            return_std: greedy.std(),
            return_ci95: greedy.ci95(),
            return_mean_sampled: run(true, plan.noise)?.mean(),
            noise: NoiseReturns(noise),
            episodes: plan.episodes,
            train_steps: policy.header().provenance.train_steps,
            train_seconds,
            fidelity: None,
        })
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
    /// Teacher parameters for each parameter of the student.
    pub compression_ratio: f64,
    /// Mean return of uniformly random actions: the zero of the normalised return.
    pub random_return_mean: f64,
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
        let env = policy_env(student.0)?;
        let plan = EvaluationPlan::default();
        let teacher_sees = teacher_env(teacher.0, &env, registry)?;
        let card = |(policy, seconds), env| PolicyCard::measure(policy, Some(env), registry, &plan, seconds);
        let (teacher_card, mut student_card) = (card(teacher, &teacher_sees)?, card(student, &env)?);
        // Who does not see the same cannot be asked about it.
        let fidelity = |actor, other| -> Result<Option<f64>, Error> {
            let same_eyes = teacher_sees == env;
            let agreement = same_eyes.then(|| Agreement::measure(actor, other, &env, registry, &plan)).transpose()?;
            Ok(agreement.map(|agreement| agreement.fidelity))
        };
        student_card.fidelity = fidelity(student.0, teacher.0)?;
        // As the teacher acts: a student of several tasks has choices that mean nothing here.
        let mut envs = registry.make_vec(&teacher_sees, plan.episodes, plan.seed)?;
        let random = evaluate_random(&mut *envs, &plan)?.mean();
        let span = teacher_card.return_mean - random;
        Ok(Self {
            compression_ratio: teacher_card.parameters as f64 / student_card.parameters as f64,
            random_return_mean: random,
            normalized_return: (span > 0.0).then(|| (student_card.return_mean - random) / span),
            fidelity_on_teacher_states: fidelity(teacher.0, student.0)?,
            teacher: teacher_card,
            student: student_card,
            env,
        })
    }
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
