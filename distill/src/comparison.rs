//! Several students side by side, with their teachers: the report card.

use crate::collect::teacher_env;
use crate::{Agreement, Robustness};
use apprentice_agents::{Error, EvaluationPlan, ci95, evaluate, evaluate_random, iqm, mean, policy_env};
use apprentice_deploy::{Body, LayerShape, Policy, ns_per_action};
use apprentice_envs::{EnvSpec, Registry};
use serde::{Deserialize, Serialize};

/// A student with the teacher it comes from.
pub struct Pupil {
    /// The student.
    pub student: Policy,
    /// What it was distilled from.
    pub teacher: Policy,
    /// Seconds of its training, if they are known.
    pub train_seconds: Option<f64>,
}

/// What a kind of policy is and does, over the seeds that it was trained under. Figures are means over seeds unless they
/// say otherwise; returns are over evaluation episodes that nobody was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportCard {
    /// What it is called in the comparison.
    pub name: String,
    /// Its form, such as `4-16-2 tanh` or `tree of 15 nodes`.
    pub architecture: String,
    /// What trained it.
    pub algorithm: String,
    /// How many seeds it was trained under.
    pub seeds: usize,
    /// Weights and biases, or thresholds and leaves.
    pub parameters: usize,
    /// Bytes of the policy file.
    pub bytes: usize,
    /// Multiply-adds of an action; of a tree, comparisons.
    pub macs: usize,
    /// Nanoseconds an action takes on this machine, one observation at a time.
    pub ns_per_action: f64,
    /// Mean return, most probable actions.
    pub return_mean: f64,
    /// Mean return of sampled actions.
    pub return_mean_sampled: f64,
    /// (return − random) / (teacher − random), each student with its own teacher: the interquartile mean over seeds, or of
    /// a single seed over episodes. None where a teacher is no better than random.
    pub normalized_iqm: Option<f64>,
    /// 95 % interval of that (bootstrap), over the same.
    pub normalized_ci95: Option<[f64; 2]>,
    /// How far it does what its teacher would do, in the states that it visits itself. None of a teacher, and of a student
    /// with other eyes than its teacher's.
    pub agreement: Option<Agreement>,
    /// Mean returns under disturbances.
    pub robustness: Robustness,
    /// Environment steps it was trained on.
    pub train_steps: u64,
    /// Seconds of its training, if they are known.
    pub train_seconds: Option<f64>,
    /// Whether no other has at most as many parameters and a higher normalised return, or fewer parameters and at least
    /// the same.
    pub on_front: bool,
}

/// Report cards of one environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The environment.
    pub env: EnvSpec,
    /// Episodes of each figure and seed.
    pub episodes: usize,
    /// Mean return of uniformly random actions: the zero of the normalised return.
    pub random_return_mean: f64,
    /// The teachers first, then the students in the order in which they were given.
    pub cards: Vec<ReportCard>,
}

/// Who is told what is being measured, and how much of it all is done.
pub type Watch<'a> = dyn FnMut(&str, u64, u64) + 'a;

impl Comparison {
    /// Measures students, each by its name with a pupil for every seed, and their teachers.
    ///
    /// # Errors
    /// If there are none, if they were made for different environments, or one cannot act in its own.
    pub fn measure(
        students: &[(String, Vec<Pupil>)],
        registry: &Registry,
        plan: &EvaluationPlan,
        watch: &mut Watch<'_>,
    ) -> Result<Self, Error> {
        let all = || students.iter().flat_map(|(_, pupils)| pupils);
        let first =
            all().next().ok_or_else(|| Error::config("a comparison: expected at least one student, got none"))?;
        let env = policy_env(&first.student)?;
        for pupil in all() {
            let other = policy_env(&pupil.student)?;
            if other != env {
                return Err(Error::config(format!(
                    "a comparison: expected students of one environment, got one of {} and one of {}; compare those of one \
                     environment at a time",
                    describe(&env),
                    describe(&other)
                )));
            }
        }
        let mut envs = registry.make_vec(&env, plan.episodes, plan.seed)?;
        let random = evaluate_random(&mut *envs, plan)?.mean();

        let mut teachers: Vec<Taught<'_>> = Vec::new();
        for pupil in all() {
            if !teachers.iter().any(|teacher| teacher.policy == &pupil.teacher) {
                let seen = teacher_env(&pupil.teacher, &env, registry)?;
                teachers.push(Taught { policy: &pupil.teacher, env: seen, returns: Vec::new() });
            }
        }
        let total = (teachers.len() + all().count()) as u64;
        let mut done = 0;
        let mut tell = |what: &str| {
            watch(what, done, total);
            done += 1;
        };
        for teacher in &mut teachers {
            tell("teacher");
            teacher.returns = evaluate(teacher.policy, Some(&teacher.env), registry, plan)?.returns;
        }
        let returns_of = |policy: &Policy| {
            let teacher = teachers.iter().find(|teacher| teacher.policy == policy);
            &teacher.expect("every pupil's teacher is among them").returns[..]
        };

        let mut cards = Vec::new();
        let subjects: Vec<Subject<'_>> = teachers
            .iter()
            .map(|t| Subject { policy: t.policy, env: &t.env, teacher: None, same_eyes: false, train_seconds: None })
            .collect();
        let name = if teachers.len() == 1 { "teacher" } else { "teachers" };
        cards.push(card(name, &subjects, random, &|policy| returns_of(policy).to_vec(), registry, plan)?);
        for (name, pupils) in students {
            let mut subjects = Vec::new();
            for pupil in pupils {
                tell(name);
                let seen = teachers.iter().find(|teacher| teacher.policy == &pupil.teacher).map(|teacher| &teacher.env);
                subjects.push(Subject {
                    policy: &pupil.student,
                    env: &env,
                    teacher: Some(&pupil.teacher),
                    same_eyes: seen == Some(&env),
                    train_seconds: pupil.train_seconds,
                });
            }
            cards.push(card(name, &subjects, random, &|policy| returns_of(policy).to_vec(), registry, plan)?);
        }
        mark_front(&mut cards);
        Ok(Self { env, episodes: plan.episodes, random_return_mean: random, cards })
    }
}

/// A teacher and the returns of its evaluation episodes.
struct Taught<'a> {
    policy: &'a Policy,
    /// What it sees of the students' environment.
    env: EnvSpec,
    returns: Vec<f64>,
}

struct Subject<'a> {
    policy: &'a Policy,
    /// Where it acts.
    env: &'a EnvSpec,
    teacher: Option<&'a Policy>,
    /// Whether its teacher sees what it sees, and so can be asked about it.
    same_eyes: bool,
    train_seconds: Option<f64>,
}

fn card(
    name: &str,
    subjects: &[Subject<'_>],
    random: f64,
    returns_of: &dyn Fn(&Policy) -> Vec<f64>,
    registry: &Registry,
    plan: &EvaluationPlan,
) -> Result<ReportCard, Error> {
    let (mut returns, mut sampled, mut robustness) = (Vec::new(), Vec::new(), Vec::new());
    let (mut agreements, mut normalized, mut nanoseconds) = (Vec::new(), Vec::new(), Vec::new());
    for Subject { policy, env, teacher, same_eyes, .. } in subjects {
        let greedy = evaluate(policy, Some(env), registry, plan)?.returns;
        let span = mean(&returns_of(teacher.unwrap_or(policy))) - random;
        let normal = |x: f64| (x - random) / span;
        // With one seed, what varies is the episodes.
        let these = if subjects.len() == 1 { greedy.clone() } else { vec![mean(&greedy)] };
        normalized.extend(these.into_iter().map(|x| (span > 0.0).then(|| normal(x))));
        returns.push(mean(&greedy));
        let sampled_plan = EvaluationPlan { sampled: true, ..plan.clone() };
        sampled.push(evaluate(policy, Some(env), registry, &sampled_plan)?.mean());
        robustness.push(Robustness::measure(policy, env, registry, plan)?);
        if let Some(teacher) = teacher.filter(|_| *same_eyes) {
            agreements.push(Agreement::measure(policy, teacher, env, registry, plan)?);
        }
        nanoseconds.push(ns_per_action(policy));
    }
    let over = |of: &dyn Fn(&Policy) -> usize| {
        mean(&subjects.iter().map(|s| of(s.policy) as f64).collect::<Vec<_>>()).round() as usize
    };
    let normalized: Option<Vec<f64>> = normalized.into_iter().collect();
    let calibration: Option<Vec<f64>> = agreements.iter().map(|agreement| agreement.calibration_error).collect();
    let seconds: Option<Vec<f64>> = subjects.iter().map(|subject| subject.train_seconds).collect();
    let first = subjects.first().expect("every kind has a pupil").policy;
    Ok(ReportCard {
        name: name.to_owned(),
        architecture: architecture(first),
        algorithm: first.header().provenance.algorithm.clone(),
        seeds: subjects.len(),
        parameters: over(&Policy::parameters),
        bytes: over(&Policy::bytes),
        macs: over(&Policy::macs),
        ns_per_action: mean(&nanoseconds),
        return_mean: mean(&returns),
        return_mean_sampled: mean(&sampled),
        normalized_iqm: normalized.as_deref().map(iqm),
        normalized_ci95: normalized.as_deref().map(|values| ci95(values, iqm)),
        agreement: (!agreements.is_empty()).then(|| Agreement {
            fidelity: mean(&agreements.iter().map(|agreement| agreement.fidelity).collect::<Vec<_>>()),
            calibration_error: calibration.as_deref().map(mean),
        }),
        robustness: Robustness::average(&robustness),
        train_steps: over(&|policy| policy.header().provenance.train_steps as usize) as u64,
        train_seconds: seconds.as_deref().map(mean),
        on_front: false,
    })
}

/// The form of a policy in a few words.
fn architecture(policy: &Policy) -> String {
    match policy.body() {
        Body::Tree(tree) => format!("tree of {} nodes", tree.nodes()),
        Body::Mlp(layers) => perceptron(layers.iter().map(|layer| layer.shape()).collect()),
        Body::Gru(gru) => {
            let units = gru.cell.units();
            let layers = perceptron(gru.layers.iter().map(|layer| layer.shape()).collect());
            format!("GRU of {units}, {layers}")
        }
        Body::Int8(int8) => perceptron(int8.layers.iter().map(|layer| layer.shape()).collect()) + ", int8",
    }
}

fn perceptron(layers: Vec<LayerShape>) -> String {
    let inputs = layers.first().map_or(0, |layer| layer.inputs);
    let sizes = std::iter::once(inputs).chain(layers.iter().map(|layer| layer.outputs));
    let sizes = sizes.map(|size| size.to_string()).collect::<Vec<_>>().join("-");
    match &layers[..] {
        [_] => format!("{sizes} linear"),
        layers => format!("{sizes} {:?}", layers[0].activation).to_lowercase(),
    }
}

/// Marks the Pareto front of parameters and normalised return.
fn mark_front(cards: &mut [ReportCard]) {
    let points: Vec<Option<(usize, f64)>> =
        cards.iter().map(|card| card.normalized_iqm.map(|value| (card.parameters, value))).collect();
    for (card, point) in cards.iter_mut().zip(&points) {
        let Some((size, value)) = *point else { continue };
        let better = |&(s, v): &(usize, f64)| s <= size && v > value || s < size && v >= value;
        card.on_front = !points.iter().flatten().any(better);
    }
}

fn describe(env: &EnvSpec) -> String {
    serde_json::to_string(env).expect("a specification is plain data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nobody_beats() {
        let card = |parameters, normalized_iqm| ReportCard {
            name: String::new(),
            architecture: String::new(),
            algorithm: String::new(),
            seeds: 1,
            parameters,
            bytes: 0,
            macs: 0,
            ns_per_action: 0.0,
            return_mean: 0.0,
            return_mean_sampled: 0.0,
            normalized_iqm,
            normalized_ci95: None,
            agreement: None,
            robustness: Robustness::default(),
            train_steps: 0,
            train_seconds: None,
            on_front: false,
        };
        let mut cards =
            [(100, Some(1.0)), (50, Some(1.0)), (50, Some(0.9)), (10, Some(0.5)), (20, Some(0.4)), (1, None)]
                .map(|(size, value)| card(size, value));
        mark_front(&mut cards);
        assert_eq!(cards.map(|card| card.on_front), [false, true, false, true, false, false]);
    }
}
