//! The registry: environments by id.

use crate::{
    Checked, DynEnv, Element, Env, Error, Generator, Space, SyncVector, TimeLimit, Value, VectorEnv, acrobot, cartpole,
    gridworld, mountain_car, pendulum, toy_text,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// The largest batch that is made: beyond it a typing error is likelier than a purpose.
const MAX_NUM_ENVS: usize = 1 << 20;

/// What to make: an id, the environment's parameters and, if wanted, another time limit. Serialises.
///
/// ```
/// use apprentice_envs::{EnvSpec, make};
/// let on_the_moon = EnvSpec::new("CartPole-v1").with("gravity", 1.62);
/// assert!(make(on_the_moon).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvSpec {
    /// The id, `Name-vN` or `namespace/Name-vN`.
    pub id: String,
    /// Parameters that differ from the environment's defaults. Unknown ones are an error.
    #[serde(default)]
    pub kwargs: Map<String, Json>,
    /// The time limit, if it shall differ from the registered one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_episode_steps: Option<u32>,
}

impl EnvSpec {
    /// The environment registered under `id`, with its defaults.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), kwargs: Map::new(), max_episode_steps: None }
    }

    /// Sets a parameter.
    pub fn with(mut self, parameter: &str, value: impl Into<Json>) -> Self {
        self.kwargs.insert(parameter.to_owned(), value.into());
        self
    }
}

impl From<&str> for EnvSpec {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl From<&EnvSpec> for EnvSpec {
    fn from(spec: &EnvSpec) -> Self {
        spec.clone()
    }
}

/// What is known about a registered environment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EnvInfo {
    /// The id.
    pub id: String,
    /// Episodes are truncated at this step.
    pub max_episode_steps: Option<u32>,
    /// The mean return from which the task counts as solved.
    pub reward_threshold: Option<f64>,
    /// The environment's page in Markdown: units, bounds, reward, start, end, parameters, versions, source.
    #[serde(skip)]
    pub page: &'static str,
}

impl EnvInfo {
    /// An environment without a time limit, a threshold or a page.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), max_episode_steps: None, reward_threshold: None, page: "" }
    }

    /// Truncates episodes at this step.
    pub fn max_episode_steps(self, steps: u32) -> Self {
        Self { max_episode_steps: Some(steps), ..self }
    }

    /// Counts the task as solved from this mean return on.
    pub fn reward_threshold(self, threshold: f64) -> Self {
        Self { reward_threshold: Some(threshold), ..self }
    }

    /// Adds a page in Markdown.
    pub fn page(self, page: &'static str) -> Self {
        Self { page, ..self }
    }
}

type MakeEnv = Box<dyn Fn(Json, Option<u32>) -> Result<Box<dyn DynEnv>, Error> + Send + Sync>;
type MakeVec = Box<dyn Fn(Json, Option<u32>, usize, u64) -> Result<Box<dyn VectorEnv>, Error> + Send + Sync>;

struct Entry {
    info: EnvInfo,
    make: MakeEnv,
    make_vec: MakeVec,
}

/// Environments by id. A plugin is anything that gets a `&mut Registry`.
#[derive(Default)]
pub struct Registry {
    entries: BTreeMap<String, Entry>,
}

impl Registry {
    /// A registry without environments.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A registry with every built-in environment.
    pub fn builtin() -> Self {
        let mut registry = Self::empty();
        cartpole::register(&mut registry);
        gridworld::register(&mut registry);
        toy_text::register(&mut registry);
        mountain_car::register(&mut registry);
        pendulum::register(&mut registry);
        acrobot::register(&mut registry);
        registry
    }

    /// Registers an environment. `build` turns its parameters into an environment or says why it cannot;
    /// let `C` refuse unknown fields. An id that is already taken is replaced.
    pub fn register<C, E>(&mut self, info: EnvInfo, build: fn(C) -> Result<E, Error>)
    where
        C: DeserializeOwned + 'static,
        E: Env,
    {
        self.register_native(info, build, |env, limit, num_envs, seed| {
            Box::new(SyncVector::new(TimeLimit::new(env, limit), num_envs, seed))
        });
    }

    /// Registers an environment that has a vector form of its own; `vectorise` gets the environment, the time
    /// limit, the number of environments and the seed.
    pub fn register_native<C, E>(
        &mut self,
        info: EnvInfo,
        build: fn(C) -> Result<E, Error>,
        vectorise: fn(E, Option<u32>, usize, u64) -> Box<dyn VectorEnv>,
    ) where
        C: DeserializeOwned + 'static,
        E: Env,
    {
        let id = info.id.clone();
        let build = move |kwargs| {
            let config =
                serde_json::from_value(kwargs).map_err(|e| Error::config(format!("parameters of {id}: {e}")))?;
            let env = build(config).map_err(|e| Error::config(format!("parameters of {id}: {e}")))?;
            probe(&env).map_err(|what| Error::config(format!("{id} contradicts itself: {what}")))?;
            Ok(env)
        };
        let build_vec = build.clone();
        let entry = Entry {
            make: Box::new(move |kwargs, limit| Ok(Box::new(Checked::new(TimeLimit::new(build(kwargs)?, limit), 0)))),
            make_vec: Box::new(move |kwargs, limit, n, seed| Ok(vectorise(build_vec(kwargs)?, limit, n, seed))),
            info,
        };
        self.entries.insert(entry.info.id.clone(), entry);
    }

    /// The registered environments, ordered by id.
    pub fn list(&self) -> impl Iterator<Item = &EnvInfo> {
        self.entries.values().map(|entry| &entry.info)
    }

    /// What is known about the environment `id`.
    ///
    /// # Errors
    /// If there is none; the message names the nearest id.
    pub fn info(&self, id: &str) -> Result<&EnvInfo, Error> {
        self.entry(id).map(|entry| &entry.info)
    }

    /// One environment, its generator seeded with 0 until `reset(Some(seed))` says otherwise.
    ///
    /// # Errors
    /// If the id is unknown or a parameter is not acceptable.
    pub fn make(&self, spec: impl Into<EnvSpec>) -> Result<Box<dyn DynEnv>, Error> {
        let spec = spec.into();
        let entry = self.entry(&spec.id)?;
        (entry.make)(Json::Object(spec.kwargs.clone()), self.limit(&spec, entry)?)
    }

    /// A batch of `num_envs` environments, environment i seeded with seed + i.
    ///
    /// # Errors
    /// If the id is unknown, a parameter is not acceptable or `num_envs` is not 1 to 1,048,576.
    pub fn make_vec(&self, spec: impl Into<EnvSpec>, num_envs: usize, seed: u64) -> Result<Box<dyn VectorEnv>, Error> {
        let spec = spec.into();
        let entry = self.entry(&spec.id)?;
        if !(1..=MAX_NUM_ENVS).contains(&num_envs) {
            return Err(Error::config(format!("num_envs: expected 1 to {MAX_NUM_ENVS}, got {num_envs}")));
        }
        (entry.make_vec)(Json::Object(spec.kwargs.clone()), self.limit(&spec, entry)?, num_envs, seed)
    }

    fn limit(&self, spec: &EnvSpec, entry: &Entry) -> Result<Option<u32>, Error> {
        match spec.max_episode_steps {
            Some(0) => Err(Error::config("max_episode_steps: expected at least 1, got 0")),
            given => Ok(given.or(entry.info.max_episode_steps)),
        }
    }

    fn entry(&self, id: &str) -> Result<&Entry, Error> {
        self.entries.get(id).ok_or_else(|| {
            let similarity = |known: &&String| strsim::jaro_winkler(&id.to_lowercase(), &known.to_lowercase());
            let nearest = self.entries.keys().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
            let advice = match nearest.filter(|known| similarity(known) > 0.75) {
                Some(known) => format!("did you mean {known:?}?"),
                None => "the subcommand `envs` lists what there is".to_owned(),
            };
            Error::unknown_environment(format!("unknown environment {id:?}; {advice}"))
        })
    }
}

/// One reset and one step of a copy: an environment whose observations, actions or rewards are not what it says fails
/// here, with its name, and not somewhere inside a training run.
fn probe<E: Env>(env: &E) -> Result<(), String> {
    let (mut env, mut rng) = (env.clone(), Generator::new(0));
    let (observations, actions) = (env.observation_space(), env.action_space());
    for space in [&observations, &actions] {
        let fits = match space {
            // Integers cross the vector environment's buffers as f32.
            Space::Discrete { n, start } => *n > 0 && start.abs() + i64::from(*n) <= 1 << 24,
            Space::Box { low, high, shape } => {
                !low.is_empty() && low.len() == high.len() && shape.iter().product::<usize>() == low.len()
            }
        };
        if !fits {
            return Err(format!("its space {space} is empty, has bounds of other lengths, or integers beyond 2^24"));
        }
    }
    let inside = |call: &str, observation: Value| match observations.contains(&observation) {
        true => Ok(()),
        false => Err(format!("{call} returned the observation {observation}, which is not in {observations}")),
    };
    inside("reset", env.reset(&mut rng).to_value())?;
    let action = actions.sample(&mut rng);
    let typed = E::Action::from_value(&action)
        .ok_or_else(|| format!("its actions are {actions}, but its type Action cannot hold {action}"))?;
    let step = env.step(&typed, &mut rng);
    inside("step", step.observation.to_value())?;
    if step.reward.is_finite() { Ok(()) } else { Err(format!("step returned the reward {}", step.reward)) }
}

/// One of the built-in environments: [`Registry::make`] of [`Registry::builtin`].
///
/// # Errors
/// If the id is unknown or a parameter is not acceptable.
pub fn make(spec: impl Into<EnvSpec>) -> Result<Box<dyn DynEnv>, Error> {
    Registry::builtin().make(spec)
}

/// A batch of built-in environments: [`Registry::make_vec`] of [`Registry::builtin`].
///
/// # Errors
/// If the id is unknown, a parameter is not acceptable or `num_envs` is not 1 to 1,048,576.
pub fn make_vec(spec: impl Into<EnvSpec>, num_envs: usize, seed: u64) -> Result<Box<dyn VectorEnv>, Error> {
    Registry::builtin().make_vec(spec, num_envs, seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T>(result: Result<T, Error>) -> Error {
        result.err().expect("this should have been refused")
    }

    #[test]
    fn an_unknown_id_suggests_the_nearest() {
        let e = error(make("Cartpole-v1"));
        assert!(e.is_unknown_environment());
        assert_eq!(e.to_string(), "unknown environment \"Cartpole-v1\"; did you mean \"CartPole-v1\"?");
        assert_eq!(
            error(make("Zzz")).to_string(),
            "unknown environment \"Zzz\"; the subcommand `envs` lists what there is"
        );
    }

    #[test]
    fn bad_parameters_are_refused() {
        for spec in [
            EnvSpec::new("CartPole-v1").with("gravitas", 1.0),
            EnvSpec::new("CartPole-v1").with("gravity", "low"),
            EnvSpec::new("CartPole-v1").with("length", -1.0),
            EnvSpec { max_episode_steps: Some(0), ..EnvSpec::new("CartPole-v1") },
        ] {
            assert!(error(make(&spec)).is_config(), "{spec:?}");
        }
        assert!(error(make_vec("CartPole-v1", 0, 0)).is_config());
    }

    /// Says that it observes two numbers and returns one.
    #[derive(Clone)]
    struct Liar;

    impl Env for Liar {
        type Observation = Vec<f32>;
        type Action = i64;

        fn observation_space(&self) -> crate::Space {
            crate::Space::bounded(&[0.0; 2], &[1.0; 2])
        }

        fn action_space(&self) -> crate::Space {
            crate::Space::discrete(2)
        }

        fn reset(&mut self, _: &mut Generator) -> Vec<f32> {
            vec![0.5]
        }

        fn step(&mut self, _: &i64, _: &mut Generator) -> crate::Step<Vec<f32>> {
            crate::Step { observation: vec![0.5], reward: 0.0, terminated: true, truncated: false }
        }
    }

    #[test]
    fn an_environment_that_contradicts_itself_is_refused_by_name() {
        let mut registry = Registry::empty();
        registry.register(EnvInfo::new("me/Liar-v0").max_episode_steps(5), |_: Map<String, Json>| Ok(Liar));
        let e = error(registry.make_vec("me/Liar-v0", 2, 0));
        assert!(e.is_config() && e.to_string().contains("me/Liar-v0 contradicts itself: reset returned"), "{e}");
    }

    #[test]
    fn a_spec_survives_serialisation_and_refuses_unknown_keys() {
        let spec = EnvSpec { max_episode_steps: Some(7), ..EnvSpec::new("CartPole-v1").with("gravity", 1.62) };
        let text = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<EnvSpec>(&text).unwrap(), spec);
        assert!(serde_json::from_str::<EnvSpec>(r#"{"id":"x","limit":3}"#).is_err());
    }

    #[test]
    fn steps_out_of_order_and_invalid_actions_are_errors() {
        use crate::Value;
        let mut env = make(EnvSpec { max_episode_steps: Some(1), ..EnvSpec::new("CartPole-v1") }).unwrap();
        assert!(error(env.step(&Value::Discrete(0))).is_order());
        env.reset(Some(1));
        for action in [Value::Discrete(2), Value::Discrete(-1), Value::Box(vec![0.0])] {
            assert!(error(env.step(&action)).is_action());
        }
        assert!(env.step(&Value::Discrete(0)).unwrap().truncated);
        assert!(error(env.step(&Value::Discrete(0))).is_order());
    }
}
