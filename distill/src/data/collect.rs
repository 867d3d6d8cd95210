//! Where a student's data comes from: the environments, what its teacher sees of them, and what it says.

use super::dataset::{Dataset, States};
use super::mixture::eyes;
use super::paired::Paired;
use crate::{DistillConfig, Teacher};
use apprentice_agents::{Behavior, Collector, Error, Rollout, SeedStream, check, check_fit, policy_env};
use apprentice_deploy::{Distribution, Policy};
use apprentice_envs::wrappers::WrapperSpec;
use apprentice_envs::{EnvSpec, Generator, Joined, Registry, Space, VectorEnv};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

/// Validation environments have seeds of their own, those that begin with the bytes "VALI".
const VALIDATION_SEED: u64 = 0x5641_4c49_0000_0000;

/// Steps `envs` as `teacher` is to act in them: with masks if it needs them.
pub(crate) fn collector(envs: Box<dyn VectorEnv>, teacher: &Teacher<'_>, rng: Generator) -> Result<Collector, Error> {
    let collector = Collector::new(envs, teacher.action().clone(), rng)?;
    if teacher.masked() { collector.mask_actions() } else { Ok(collector) }
}

/// The environments that a student learns in, and the space of what it sees there: `num_envs` of its own, or as many of
/// each of the teacher's domains. Where the teacher sees something else, each observation is followed by the teacher's.
pub(crate) fn training_envs(
    teacher: &mut Teacher<'_>,
    config: &DistillConfig,
    num_envs: usize,
    seed: u64,
    registry: &Registry,
) -> Result<(Box<dyn VectorEnv>, Space), Error> {
    let env = config.env.as_ref().expect("it has been filled in");
    let domains = teacher.domains_at_work()?;
    let envs: Box<dyn VectorEnv> = if domains.is_empty() {
        registry.make_vec(env, num_envs, seed)?
    } else {
        let tasks = teacher.several_tasks().is_some();
        if let Some(other) = domains.iter().find(|domain| !tasks && domain.wrappers != env.wrappers) {
            return Err(Error::config(format!(
                "domains: expected teachers within the student's wrappers {:?}, got one within {:?}",
                env.wrappers, other.wrappers
            )));
        }
        let n = domains.len();
        let expected = format!("a multiple of the number of domains, {n}");
        check("num_envs", num_envs, num_envs.is_multiple_of(n), &expected)?;
        teacher.set_num_envs(num_envs);
        let make = |(k, domain)| {
            let first = (k * num_envs / n) as u64;
            registry.make_vec(domain, num_envs / n, seed.wrapping_add(first))
        };
        let parts = domains.into_iter().enumerate().map(make).collect::<Result<Vec<_>, _>>()?;
        Box::new(Joined::new(parts)?)
    };
    let space = envs.observation_space().clone();
    let teacher_env = match (&config.teacher_env, teacher.policies().first()) {
        (Some(env), _) => env.clone(),
        (None, Some(_)) if teacher.several_tasks().is_some() => env.clone(),
        (None, Some(policy)) => teacher_env(policy, env, registry)?,
        (None, None) => env.clone(),
    };
    if teacher_env == *env {
        teacher.check(&*envs)?;
        return Ok((envs, space));
    }
    let twin = registry.make_vec(teacher_env, num_envs, seed)?;
    teacher.check(&*twin)?;
    Ok((Box::new(Paired::new(envs, twin)?), space))
}

/// What a teacher sees of `env`: the same through the wrappers of observations that it was made with. If that does not
/// fit, a parameter may say what is shown: then the environment that it was made for, if that is the same one.
///
/// Where the steps themselves are wrapped, what is seen depends on the order: four frames of a `RepeatAction` are not the
/// repetition of four frames. Wrapped like the teacher's own, they come in its order.
///
/// # Errors
/// If they are wrapped otherwise, and the teacher's order says nothing of it.
pub(crate) fn teacher_env(teacher: &Policy, env: &EnvSpec, registry: &Registry) -> Result<EnvSpec, Error> {
    let own = policy_env(teacher)?;
    let of = |env: &EnvSpec, shows: bool| -> Vec<WrapperSpec> {
        env.wrappers.iter().filter(|wrapper| wrapper.only_shows() == shows).cloned().collect()
    };
    let (course, own_course, own_eyes) = (of(env, false), of(&own, false), of(&own, true));
    let wrappers = if own_course == course {
        own.wrappers.clone()
    } else if course.is_empty() || own.wrappers.ends_with(&own_eyes) {
        [course, own_eyes].concat()
    } else {
        return Err(Error::config(format!(
            "the teacher's wrappers {:?} show what comes before some of its steps are wrapped; expected the student's steps \
             wrapped like that, got {:?}; give the teacher's environment with teacher_env",
            own.wrappers, env.wrappers
        )));
    };
    let seen = EnvSpec { wrappers, ..env.clone() };
    let made = registry.make(&seen);
    let fits = made.is_ok_and(|made| check_fit(teacher, made.observation_space(), made.action_space()).is_ok());
    Ok(if fits || own.id != env.id { seen } else { own })
}

/// A teacher that acts while a student watches, which may have eyes of its own.
pub(crate) struct Watched<'t, 'a> {
    teacher: &'t mut Teacher<'a>,
    border: Option<usize>,
    /// What it answered, a row of parameters for every state.
    pub(crate) answers: Vec<f32>,
}

impl<'t, 'a> Watched<'t, 'a> {
    pub(crate) fn new(teacher: &'t mut Teacher<'a>, border: Option<usize>) -> Self {
        Self { teacher, border, answers: Vec::new() }
    }
}

impl Behavior for Watched<'_, '_> {
    fn memory_len(&self) -> usize {
        self.teacher.memory_len()
    }

    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        masks: Option<ArrayView2<'_, bool>>,
        memory: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        self.teacher.params(eyes(observations, self.border).1, masks, memory, params.view_mut())?;
        self.answers.extend(&params);
        Ok(())
    }

    fn values(&mut self, _: ArrayView2<'_, f32>, _: ArrayView2<'_, f32>, values: &mut [f32]) {
        values.fill(0.0);
    }
}

/// States that the teacher visits in environments of their own.
pub(crate) fn held_out_states(
    teacher: &mut Teacher<'_>,
    config: &DistillConfig,
    registry: &Registry,
) -> Result<Dataset, Error> {
    // An equal share of each domain, if there are several.
    let domains = teacher.domains_at_work()?.len().max(1);
    let num_envs = config.validation_states.min(16).div_ceil(domains) * domains;
    let seed = VALIDATION_SEED.wrapping_add(config.seed);
    let (envs, space) = training_envs(teacher, config, num_envs, seed, registry)?;
    let (flat_dim, distribution) = (envs.observation_space().flat_dim(), teacher.distribution().clone());
    let border = (*envs.observation_space() != space).then(|| space.flat_dim());
    let mut rollout = Rollout::new(config.validation_states.div_ceil(num_envs), num_envs, flat_dim, &distribution);
    let mut collector = collector(envs, teacher, SeedStream::Actions.generator(seed))?;
    let mut watched = Watched::new(teacher, border);
    collector.collect(&mut watched, &mut rollout)?;
    let Watched { teacher, answers, .. } = watched;
    let mut data = Dataset::new(rollout.rewards.len(), num_envs, space.flat_dim(), distribution.num_params(), 0);
    let labels = labels(teacher, answers, &rollout, rollout.memory_rows(), border)?;
    data.extend(&States {
        observations: eyes(rollout.observation_rows(), border).0,
        labels: labels.view(),
        values: &[],
        weights: &[],
        features: ArrayView2::from_shape((labels.nrows(), 0), &[]).expect("nothing"),
        // A student's own is found out when it is validated.
        memory: ArrayView2::from_shape((labels.nrows(), 0), &[]).expect("nothing"),
        starts: &rollout.starts(),
    });
    Ok(data)
}

/// The teacher's distributions in the states of a rollout, `memory` `[T·N, memory]` being what it remembered before each,
/// within what was allowed there. If it has been asked about every state on the way, these are its `answers`: an expert may
/// be dear to ask, and to ask it again would be another question if it draws lots.
pub(crate) fn labels(
    teacher: &mut Teacher<'_>,
    answers: Vec<f32>,
    rollout: &Rollout,
    memory: ArrayView2<'_, f32>,
    border: Option<usize>,
) -> Result<Array2<f32>, Error> {
    let sees = eyes(rollout.observation_rows(), border).1;
    let shape = (sees.nrows(), teacher.distribution().num_params());
    let labels = match answers.is_empty() {
        true => teacher.labels(sees, rollout.mask_rows(), memory)?,
        false => Array2::from_shape_vec(shape, answers).expect("an answer for every state"),
    };
    Ok(allowed(labels, teacher.distribution(), rollout.masks.iter().copied()))
}

/// Distributions within what is allowed in each state; without `masks` everything is.
pub(crate) fn allowed(
    mut labels: Array2<f32>,
    distribution: &Distribution,
    masks: impl IntoIterator<Item = bool>,
) -> Array2<f32> {
    let masks: Vec<bool> = masks.into_iter().collect();
    let width = labels.ncols();
    for (mut label, mask) in labels.rows_mut().into_iter().zip(masks.chunks_exact(width)) {
        let label = label.as_slice_mut().expect("rows are contiguous");
        distribution.mask(label, mask);
        distribution.normalize(label);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use apprentice_agents::{Ppo, PpoConfig, device};
    use apprentice_envs::wrappers::Padding;

    /// A frame of every fourth step is another picture than four times the last one.
    #[test]
    fn a_teacher_sees_through_its_wrappers_in_its_order() {
        let registry = Registry::builtin();
        let select = WrapperSpec::SelectObservation { indices: vec![0, 2] };
        let stack = WrapperSpec::FrameStackObservation { stack_size: 2, padding_type: Padding::default() };
        let repeat = WrapperSpec::RepeatAction { num_repeats: 4 };
        let env = |wrappers: &[&WrapperSpec]| {
            wrappers.iter().fold(EnvSpec::new("CartPole-v1"), |env, wrapper| env.wrapped((*wrapper).clone()))
        };
        let teacher = |env: EnvSpec| {
            let config = PpoConfig { env, evaluations: 0, ..PpoConfig::default() };
            Ppo::new(config, &registry, &device("cpu").unwrap()).unwrap().policy().unwrap()
        };
        let sees =
            |own: &[&WrapperSpec], student: &[&WrapperSpec]| teacher_env(&teacher(env(own)), &env(student), &registry);
        let (inner, outer) = ([&select, &stack, &repeat], [&repeat, &select, &stack]);
        assert_eq!(sees(&inner, &[&repeat]).unwrap(), env(&inner));
        assert_eq!(sees(&outer, &[&repeat]).unwrap(), env(&outer));
        assert_eq!(sees(&inner, &[]).unwrap(), env(&[&select, &stack]));
        assert_eq!(sees(&[&select, &stack], &[&repeat]).unwrap(), env(&outer));
        let twice = WrapperSpec::RepeatAction { num_repeats: 2 };
        assert!(sees(&inner, &[&twice]).unwrap_err().to_string().contains("teacher_env"));
        assert_eq!(sees(&outer, &[&twice]).unwrap(), env(&[&twice, &select, &stack]));
    }
}
