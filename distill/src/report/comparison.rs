//! Several students side by side, with their teachers: the report card.

use super::contest::{contender, evaluate_teacher};
use crate::{Agreement, Footprint, Robustness, Teacher, TeacherRecord};
use apprentice_agents::{Error, EvaluationPlan, ci95, evaluate_random, iqm, mean, policy_env};
use apprentice_deploy::{Body, LayerShape, Policy};
use apprentice_envs::wrappers::WrapperSpec;
use apprentice_envs::{EnvSpec, Registry};
use serde::{Deserialize, Serialize};

/// A student with the teacher it comes from.
pub struct Pupil {
    /// The student.
    pub student: Policy,
    /// The policies that it was distilled from; none of a program.
    pub teachers: Vec<Policy>,
    /// What they do together.
    pub record: TeacherRecord,
    /// Seconds of its training, if they are known.
    pub train_seconds: Option<f64>,
}

/// Students by their names, each with a pupil for every seed.
pub type Students = Vec<(String, Vec<Pupil>)>;

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
    /// The wrappers through which it sees the environment, the innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sees: Vec<WrapperSpec>,
    /// How many seeds it was trained under.
    pub seeds: usize,
    /// What it takes; None of an expert, which is no policy.
    #[serde(flatten)]
    pub footprint: Option<Footprint>,
    /// Mean return, most probable actions.
    pub return_mean: f64,
    /// Mean return of sampled actions; None of an expert, which is certain.
    pub return_mean_sampled: Option<f64>,
    /// (return − random) / (teacher − random), each student with its own teacher: the interquartile mean over seeds, or of
    /// a single seed the mean over episodes. None where a teacher is no better than random.
    pub normalized_iqm: Option<f64>,
    /// 95 % interval of that (bootstrap), over the same.
    pub normalized_ci95: Option<[f64; 2]>,
    /// How far it does what its teacher would do, in the states that it visits itself. None of a teacher, and of a student
    /// with other eyes than its teacher's.
    pub agreement: Option<Agreement>,
    /// Mean returns under disturbances; none of an expert, which may be slow to answer.
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
    /// The teachers first, a card for each kind: single policies, several that answer as one, experts. Then the students in the
    /// order in which they were given.
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
        let course = course(&policy_env(&first.student)?);
        let mut envs = Vec::new();
        for (name, pupils) in students {
            for (i, pupil) in pupils.iter().enumerate() {
                let env = policy_env(&pupil.student)?;
                if super::comparison::course(&env) != course {
                    return Err(Error::config(format!(
                        "a comparison: expected students of one environment, got one of {} and one of {}; compare those of one \
                         environment at a time",
                        describe(&course),
                        describe(&env)
                    )));
                }
                if i > 0 && envs.last() != Some(&env) {
                    return Err(Error::config(format!(
                        "{name}: expected seeds that see the same, got one in {} and one in {}; give them names of their own",
                        describe(&env),
                        envs.last().map(describe).unwrap_or_default()
                    )));
                }
                envs.push(env);
            }
        }
        let mut random = registry.make_vec(&course, plan.episodes, plan.seed)?;
        let random = evaluate_random(&mut *random, plan)?.mean();

        let mut teachers: Vec<Taught<'_>> = Vec::new();
        // Of every pupil its teacher's place.
        let mut taught_by = Vec::new();
        for (pupil, env) in all().zip(&envs) {
            let told = told_to_see(&pupil.student);
            let policies: Vec<&Policy> = pupil.teachers.iter().collect();
            let teacher = pupil.record.teacher(&policies, env, registry)?;
            let seen = teacher.sees(told.as_ref(), env, registry)?;
            let known = teachers.iter().position(|taught| *taught.record == pupil.record && taught.env == seen);
            taught_by.push(known.unwrap_or(teachers.len()));
            if known.is_none() {
                teachers.push(Taught { teacher, record: &pupil.record, env: seen, return_mean: f64::NAN });
            }
        }
        let total = (teachers.len() + all().count()) as u64;
        let mut done = 0;
        let mut tell = |what: &str| {
            watch(what, done, total);
            done += 1;
        };
        // Those that see different things are not averaged: the sensors that they lose are not the same.
        let mut kinds: Vec<(String, Vec<usize>)> = Vec::new();
        for (k, taught) in teachers.iter().enumerate() {
            let kind = taught.record.kind();
            let alike = |of: usize| teachers[of].record.kind() == kind && teachers[of].env == taught.env;
            match kinds.iter_mut().find(|(_, members)| alike(members[0])) {
                Some((_, members)) => members.push(k),
                None => kinds.push((kind, vec![k])),
            }
        }
        tell_apart(&mut kinds, |k| &teachers[k].env);

        let mut cards = Vec::new();
        for (kind, members) in &kinds {
            let mut measured = Vec::new();
            for k in members {
                tell(kind);
                let taught = &mut teachers[*k];
                measured.push(Measured::of(&mut taught.teacher, &taught.env, None, None, registry, plan)?);
                taught.return_mean = mean(&measured.last().expect("it was pushed").returns);
            }
            let first = &teachers[members[0]].teacher;
            let sees = shown(&teachers[members[0]].env);
            cards.push(card(kind, form(first), algorithm(first), sees, &measured, random));
        }
        let mut places = taught_by.into_iter().zip(&envs);
        for (name, pupils) in students {
            let mut measured = Vec::new();
            let mut sees = Vec::new();
            for (pupil, (k, env)) in pupils.iter().zip(&mut places) {
                tell(name);
                let mut student = Teacher::policy(&pupil.student);
                let one = Measured::of(&mut student, env, Some(&mut teachers[k]), pupil.train_seconds, registry, plan)?;
                measured.push(one);
                sees = shown(env);
            }
            let first = pupils.first().map(|pupil| Teacher::policy(&pupil.student));
            let first =
                first.ok_or_else(|| Error::config(format!("{name}: expected at least one student, got none")))?;
            cards.push(card(name, form(&first), algorithm(&first), sees, &measured, random));
        }
        mark_front(&mut cards);
        // Where all of them see the same, that is part of it.
        let env = envs.iter().find(|env| envs.iter().all(|other| other == *env)).unwrap_or(&course).clone();
        Ok(Self { env, episodes: plan.episodes, random_return_mean: random, cards })
    }
}

/// Makes names of kinds: says where there are several, and through what those that are called the same see.
fn tell_apart<'e>(kinds: &mut [(String, Vec<usize>)], env: impl Fn(usize) -> &'e EnvSpec) {
    let count = |names: &[String], name: &String| names.iter().filter(|other| *other == name).count();
    let names_of = |kinds: &[(String, Vec<usize>)]| kinds.iter().map(|(kind, _)| kind.clone()).collect::<Vec<_>>();
    let names = names_of(kinds);
    for ((kind, members), name) in kinds.iter_mut().zip(&names) {
        if members.len() > 1 {
            kind.push('s');
        }
        let wrappers = env(members[0]).wrappers.iter().map(WrapperSpec::name).collect::<Vec<_>>();
        if count(&names, name) > 1 && !wrappers.is_empty() {
            *kind += &format!(" in {}", wrappers.join(", "));
        }
    }
    let names = names_of(kinds);
    for (i, (kind, _)) in kinds.iter_mut().enumerate() {
        if count(&names, &names[i]) > 1 {
            *kind += &format!(" {}", count(&names[..=i], &names[i]));
        }
    }
}

/// A teacher, and what it earns.
struct Taught<'a> {
    teacher: Teacher<'a>,
    record: &'a TeacherRecord,
    /// What it sees of the students' environment.
    env: EnvSpec,
    return_mean: f64,
}

/// What was measured of one seed.
struct Measured {
    returns: Vec<f64>,
    /// What its teacher earns, or it itself if it has none.
    yardstick: f64,
    sampled: Option<f64>,
    footprint: Option<Footprint>,
    robustness: Option<Robustness>,
    agreement: Option<Agreement>,
    train_steps: u64,
    train_seconds: Option<f64>,
}

impl Measured {
    fn of(
        actor: &mut Teacher<'_>,
        env: &EnvSpec,
        taught: Option<&mut Taught<'_>>,
        train_seconds: Option<f64>,
        registry: &Registry,
        plan: &EvaluationPlan,
    ) -> Result<Self, Error> {
        let policies = actor.policies().to_vec();
        let footprint = Footprint::of(&policies);
        let returns = evaluate_teacher(actor, env, registry, plan)?.returns;
        let (mut sampled, mut robustness) = (None, None);
        if footprint.is_some() {
            let plan_sampled = EvaluationPlan { sampled: true, ..plan.clone() };
            sampled = Some(evaluate_teacher(actor, env, registry, &plan_sampled)?.mean());
            robustness = Some(Robustness::of(actor, env, registry, plan)?);
        }
        let yardstick = taught.as_ref().map_or_else(|| mean(&returns), |taught| taught.return_mean);
        // Who sees something else cannot be asked about it.
        let asked = taught.filter(|taught| taught.env == *env);
        let agree = |taught: &mut Taught<'_>| {
            let mut teacher = contender(&mut taught.teacher, plan.episodes);
            Agreement::with(policies[0], &mut *teacher, env, registry, plan)
        };
        Ok(Self {
            agreement: asked.map(agree).transpose()?,
            train_steps: policies.iter().map(|policy| policy.header().provenance.train_steps).sum(),
            returns,
            yardstick,
            sampled,
            footprint,
            robustness,
            train_seconds,
        })
    }
}

fn card(
    name: &str,
    architecture: String,
    algorithm: String,
    sees: Vec<WrapperSpec>,
    seeds: &[Measured],
    random: f64,
) -> ReportCard {
    let over = |of: &dyn Fn(&Measured) -> f64| mean(&seeds.iter().map(of).collect::<Vec<_>>());
    let if_all = |of: &dyn Fn(&Measured) -> Option<f64>| {
        seeds.iter().map(of).collect::<Option<Vec<f64>>>().map(|values| mean(&values))
    };
    let mut normalized = Vec::new();
    for Measured { returns, yardstick, .. } in seeds {
        // With one seed, what varies is the episodes.
        let these = if seeds.len() == 1 { returns.clone() } else { vec![mean(returns)] };
        let span = yardstick - random;
        normalized.extend(these.into_iter().map(|x| (span > 0.0).then(|| (x - random) / span)));
    }
    let normalized: Option<Vec<f64>> = normalized.into_iter().collect();
    // Of episodes the mean, as of random actions and of the teacher: where a tenth of them fail, the middle half does not
    // tell. Of a few seeds the middle ones, which a single bad one does not move.
    let statistic = if seeds.len() == 1 { mean } else { iqm };
    let footprints: Option<Vec<Footprint>> = seeds.iter().map(|seed| seed.footprint).collect();
    let footprint = footprints.map(|footprints| {
        let over = |of: &dyn Fn(&Footprint) -> f64| mean(&footprints.iter().map(of).collect::<Vec<_>>());
        Footprint {
            parameters: over(&|footprint| footprint.parameters as f64).round() as usize,
            bytes: over(&|footprint| footprint.bytes as f64).round() as usize,
            macs: over(&|footprint| footprint.macs as f64).round() as usize,
            ns_per_action: over(&|footprint| footprint.ns_per_action),
        }
    });
    let agreements: Vec<Agreement> = seeds.iter().filter_map(|seed| seed.agreement).collect();
    let calibration: Option<Vec<f64>> = agreements.iter().map(|agreement| agreement.calibration_error).collect();
    let robustness: Option<Vec<Robustness>> = seeds.iter().map(|seed| seed.robustness.clone()).collect();
    ReportCard {
        name: name.to_owned(),
        architecture,
        algorithm,
        sees,
        seeds: seeds.len(),
        footprint,
        return_mean: over(&|seed| mean(&seed.returns)),
        return_mean_sampled: if_all(&|seed| seed.sampled),
        normalized_iqm: normalized.as_deref().map(statistic),
        normalized_ci95: normalized.as_deref().map(|values| ci95(values, statistic)),
        agreement: (!agreements.is_empty()).then(|| Agreement {
            fidelity: mean(&agreements.iter().map(|agreement| agreement.fidelity).collect::<Vec<_>>()),
            calibration_error: calibration.as_deref().map(mean),
        }),
        robustness: Robustness::average(&robustness.unwrap_or_default()),
        train_steps: over(&|seed| seed.train_steps as f64).round() as u64,
        train_seconds: if_all(&|seed| seed.train_seconds),
        on_front: false,
    }
}

/// The environment without what only changes how somebody sees it: students with different eyes are compared in it, and
/// so are those of several tasks in one of theirs.
pub(crate) fn course(env: &EnvSpec) -> EnvSpec {
    let shows = |wrapper: &WrapperSpec| wrapper.only_shows() || matches!(wrapper, WrapperSpec::MultiTask { .. });
    EnvSpec { wrappers: env.wrappers.iter().filter(|wrapper| !shows(wrapper)).cloned().collect(), ..env.clone() }
}

/// The wrappers that are left out of the [course].
fn shown(env: &EnvSpec) -> Vec<WrapperSpec> {
    let course = course(env);
    env.wrappers.iter().filter(|wrapper| !course.wrappers.contains(wrapper)).cloned().collect()
}

/// What a student's configuration says that its teacher sees.
fn told_to_see(student: &Policy) -> Option<EnvSpec> {
    let config = &student.header().provenance.config;
    config.get("teacher_env").and_then(|env| serde_json::from_value(env.clone()).ok())
}

/// The form of all policies of a teacher in a few words.
fn form(teacher: &Teacher<'_>) -> String {
    let forms: Vec<String> = teacher.policies().iter().map(|policy| architecture(policy)).collect();
    match &forms[..] {
        [] => "program".to_owned(),
        [one] => one.clone(),
        [first, ..] if forms.iter().all(|form| form == first) => format!("{} × {first}", forms.len()),
        _ => forms.join(" + "),
    }
}

/// What trained the policies of a teacher.
fn algorithm(teacher: &Teacher<'_>) -> String {
    let mut names: Vec<&str> =
        teacher.policies().iter().map(|policy| policy.header().provenance.algorithm.as_str()).collect();
    names.dedup();
    if names.is_empty() { "expert".to_owned() } else { names.join(" + ") }
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
    let point = |card: &ReportCard| Some((card.footprint?.parameters, card.normalized_iqm?));
    let points: Vec<Option<(usize, f64)>> = cards.iter().map(point).collect();
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

    /// Where three of twenty episodes fail, the middle half knows of none.
    #[test]
    fn a_single_seed_is_measured_by_its_mean_as_its_teacher_is() {
        let returns: Vec<f64> = (0..20).map(|episode| f64::from(u8::from(episode >= 3))).collect();
        let seed = |returns: &[f64]| Measured {
            returns: returns.to_vec(),
            yardstick: 0.85,
            sampled: None,
            footprint: None,
            robustness: None,
            agreement: None,
            train_steps: 0,
            train_seconds: None,
        };
        let of = |seeds: &[Measured]| {
            let card = card("", String::new(), String::new(), Vec::new(), seeds, 0.05);
            (card.normalized_iqm.unwrap(), card.normalized_ci95.unwrap())
        };
        let (alone, [low, high]) = of(&[seed(&returns)]);
        assert!((alone - 1.0).abs() < 1e-12 && low < 0.95 && high > 1.05, "{alone} [{low}, {high}]");
        // Of seeds the worst and the best do not count.
        let (five, _) = of(&[0.0, 0.85, 0.85, 0.85, 1.0].map(|mean| seed(&[mean])));
        assert!((five - 1.0).abs() < 1e-12, "{five}");
    }

    #[test]
    fn the_front_is_what_nobody_beats() {
        let card = |parameters, normalized_iqm| ReportCard {
            name: String::new(),
            architecture: String::new(),
            algorithm: String::new(),
            sees: Vec::new(),
            seeds: 1,
            footprint: Some(Footprint { parameters, bytes: 0, macs: 0, ns_per_action: 0.0 }),
            return_mean: 0.0,
            return_mean_sampled: None,
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
