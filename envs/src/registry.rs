//! The registry: environments by id.

use crate::wrappers::{WrapperSpec, wrap};
use crate::{
    Autoreset, Batch, Checked, Copies, DynEnv, Element, Env, Error, Generator, RowEnv, Rows, Vector, VectorEnv,
    acrobot, cartpole, gridworld, mountain_car, pendulum, toy_text,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest batch that is made: beyond it a typing error is likelier than a purpose.
const MAX_NUM_ENVS: usize = 1 << 20;
const MAX_THREADS: usize = 1 << 10;

/// What to make: an id, the environment's parameters and, if wanted, another time limit and wrappers. Serialises.
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
    /// What is put around the environment and its time limit, the innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrappers: Vec<WrapperSpec>,
}

impl EnvSpec {
    /// The environment registered under `id`, with its defaults.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), kwargs: Map::new(), max_episode_steps: None, wrappers: Vec::new() }
    }

    /// Sets a parameter.
    pub fn with(mut self, parameter: &str, value: impl Into<Json>) -> Self {
        self.kwargs.insert(parameter.to_owned(), value.into());
        self
    }

    /// Puts a wrapper around what there is so far.
    pub fn wrapped(mut self, wrapper: WrapperSpec) -> Self {
        self.wrappers.push(wrapper);
        self
    }

    /// The wrappers with the time limit beneath them.
    fn wrappers_over(&self, limit: Option<u32>) -> Vec<WrapperSpec> {
        let limit = limit.map(|max_episode_steps| WrapperSpec::TimeLimit { max_episode_steps });
        limit.into_iter().chain(self.wrappers.iter().cloned()).collect()
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
    /// At how many pictures a second an animation shows it at its natural speed.
    pub render_fps: u32,
    /// Parameters that stand for the physics of the task, with their defaults: what a policy may find different where it
    /// is used.
    pub physics: Vec<(String, f64)>,
    /// The environment's page in Markdown: units, bounds, reward, start, end, parameters, versions, source.
    #[serde(skip)]
    pub page: &'static str,
}

impl EnvInfo {
    /// An environment without a time limit, a threshold or a page, at 30 pictures a second.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            max_episode_steps: None,
            reward_threshold: None,
            render_fps: 30,
            physics: Vec::new(),
            page: "",
        }
    }

    /// Truncates episodes at this step.
    pub fn max_episode_steps(self, steps: u32) -> Self {
        Self { max_episode_steps: Some(steps), ..self }
    }

    /// Counts the task as solved from this mean return on.
    pub fn reward_threshold(self, threshold: f64) -> Self {
        Self { reward_threshold: Some(threshold), ..self }
    }

    /// Animates it at so many pictures a second.
    pub fn render_fps(self, fps: u32) -> Self {
        Self { render_fps: fps, ..self }
    }

    /// Names the parameters that stand for its physics, with their defaults.
    pub fn physics(self, parameters: &[(&str, f64)]) -> Self {
        Self { physics: parameters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(), ..self }
    }

    /// Adds a page in Markdown.
    pub fn page(self, page: &'static str) -> Self {
        Self { page, ..self }
    }
}

/// How a vector environment is made.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorOptions {
    /// How many environments, 1 to 1,048,576.
    pub num_envs: usize,
    /// Environment i draws from a generator seeded with seed + i.
    pub seed: u64,
    /// What happens when an episode ends.
    pub autoreset: Autoreset,
    /// On how many threads the batch is stepped; it changes no bit. One is best below some thousand environments.
    pub threads: usize,
    /// Parameters of each environment, beside those of the spec; empty if they are all the same. With randomised
    /// physics for instance: `[{"length": 0.41}, {"length": 0.63}, …]`.
    pub each: Vec<Map<String, Json>>,
}

impl VectorOptions {
    /// `num_envs` environments with same-step autoreset on one thread.
    pub fn new(num_envs: usize, seed: u64) -> Self {
        Self { num_envs, seed, autoreset: Autoreset::SameStep, threads: 1, each: Vec::new() }
    }

    /// Sets what happens when an episode ends.
    pub fn autoreset(self, autoreset: Autoreset) -> Self {
        Self { autoreset, ..self }
    }

    /// Sets the number of threads.
    pub fn threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Draws a number from `low` to `high` for the parameter of each environment, uniformly; the draws depend only on
    /// the seed, the parameter's name and the environment's place.
    pub fn randomize(mut self, parameter: &str, low: f64, high: f64) -> Self {
        self.each.resize(self.num_envs, Map::new());
        let mut rng = Generator::stream(self.seed, crc32fast::hash(parameter.as_bytes()));
        for kwargs in &mut self.each {
            kwargs.insert(parameter.to_owned(), rng.uniform(low, high).into());
        }
        self
    }
}

type Build = Box<dyn Fn(Json) -> Result<Box<dyn RowEnv>, Error> + Send + Sync>;
type Vectorise = Box<dyn Fn(Vec<Json>, Option<u32>, &VectorOptions) -> Result<Box<dyn VectorEnv>, Error> + Send + Sync>;

struct Entry {
    info: EnvInfo,
    build: Build,
    vectorise: Vectorise,
}

/// Environments by id. A plugin is anything that gets a `&mut Registry`.
#[derive(Clone, Default)]
pub struct Registry {
    entries: BTreeMap<String, Arc<Entry>>,
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
        self.register_native::<Copies<Rows<E>>, C, E>(info, build);
    }

    /// Registers an environment that has a vector form of its own, the [`Batch`] `B`.
    pub fn register_native<B, C, E>(&mut self, info: EnvInfo, build: fn(C) -> Result<E, Error>)
    where
        B: Batch<Env: From<E>>,
        C: DeserializeOwned + 'static,
        E: Env,
    {
        let id = info.id.clone();
        self.register_rows::<B>(info, move |kwargs| {
            let config =
                serde_json::from_value(kwargs).map_err(|e| Error::config(format!("parameters of {id}: {e}")))?;
            build(config).map(B::Env::from).map_err(|e| Error::config(format!("parameters of {id}: {e}")))
        });
    }

    /// Registers an environment that speaks in rows, such as a foreign one; `build` gets its parameters as a JSON
    /// object.
    pub fn register_rows<B: Batch>(
        &mut self,
        info: EnvInfo,
        build: impl Fn(Json) -> Result<B::Env, Error> + Clone + Send + Sync + 'static,
    ) {
        let (id, build_each) = (info.id.clone(), build.clone());
        let vectorise = move |kwargs, limit, options: &VectorOptions| {
            let envs = build_all(kwargs, options.num_envs, |kwargs| probed(build_each(kwargs)?, &id))?;
            vector::<B>(envs, limit, options)
        };
        let build = move |kwargs| Ok(Box::new(build(kwargs)?) as Box<dyn RowEnv>);
        let entry = Entry { info, build: Box::new(build), vectorise: Box::new(vectorise) };
        self.entries.insert(entry.info.id.clone(), Arc::new(entry));
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
        let mut spec = spec.into();
        let entry = self.entry(&spec.id)?;
        let limit = self.limit(&spec, entry)?;
        let env = probed((entry.build)(Json::Object(std::mem::take(&mut spec.kwargs)))?, &spec.id)?;
        Ok(Box::new(match spec.wrappers[..] {
            [] => Checked::new(env, limit, 0),
            _ => Checked::new(wrap(env, &spec.wrappers_over(limit))?, None, 0),
        }))
    }

    /// One environment in rows, without the generator, the time limit and the checks that [`make`](Self::make) puts
    /// around it: for programs that bring these themselves.
    ///
    /// # Errors
    /// If the id is unknown or a parameter is not acceptable.
    pub fn make_rows(&self, spec: impl Into<EnvSpec>) -> Result<Box<dyn RowEnv>, Error> {
        let spec = spec.into();
        (self.entry(&spec.id)?.build)(Json::Object(spec.kwargs))
    }

    /// A batch of `num_envs` environments, environment i seeded with seed + i.
    ///
    /// # Errors
    /// If the id is unknown, a parameter is not acceptable or `num_envs` is not 1 to 1,048,576.
    pub fn make_vec(&self, spec: impl Into<EnvSpec>, num_envs: usize, seed: u64) -> Result<Box<dyn VectorEnv>, Error> {
        self.make_vec_with(spec, &VectorOptions::new(num_envs, seed))
    }

    /// A batch of environments.
    ///
    /// # Errors
    /// If the id is unknown or a parameter or an option is not acceptable.
    pub fn make_vec_with(
        &self,
        spec: impl Into<EnvSpec>,
        options: &VectorOptions,
    ) -> Result<Box<dyn VectorEnv>, Error> {
        let spec = spec.into();
        let entry = self.entry(&spec.id)?;
        let VectorOptions { num_envs, threads, ref each, .. } = *options;
        for (name, max, got) in [("num_envs", MAX_NUM_ENVS, num_envs), ("threads", MAX_THREADS, threads)] {
            if !(1..=max).contains(&got) {
                return Err(Error::config(format!("{name}: expected 1 to {max}, got {got}")));
            }
        }
        if !each.is_empty() && each.len() != num_envs {
            let got = each.len();
            return Err(Error::config(format!("each: expected parameters for {num_envs} environments, got {got}")));
        }
        let limit = self.limit(&spec, entry)?;
        let merged = |own: &Map<String, Json>| {
            let mut kwargs = spec.kwargs.clone();
            kwargs.extend(own.clone());
            Json::Object(kwargs)
        };
        let kwargs = if each.is_empty() { vec![merged(&Map::new())] } else { each.iter().map(merged).collect() };
        if spec.wrappers.is_empty() {
            return (entry.vectorise)(kwargs, limit, options);
        }
        let wrappers = spec.wrappers_over(limit);
        let envs = build_all(kwargs, num_envs, |kwargs| wrap(probed((entry.build)(kwargs)?, &spec.id)?, &wrappers))?;
        vector::<Copies<Box<dyn RowEnv>>>(envs, None, options)
    }

    /// One environment by itself, not even looked at, and the wrappers that go around it.
    pub(crate) fn bare(&self, spec: &EnvSpec) -> Result<(Box<dyn RowEnv>, Vec<WrapperSpec>), Error> {
        let entry = self.entry(&spec.id)?;
        let wrappers = spec.wrappers_over(self.limit(spec, entry)?);
        Ok(((entry.build)(Json::Object(spec.kwargs.clone()))?, wrappers))
    }

    fn limit(&self, spec: &EnvSpec, entry: &Entry) -> Result<Option<u32>, Error> {
        match spec.max_episode_steps {
            Some(0) => Err(Error::config("max_episode_steps: expected at least 1, got 0")),
            given => Ok(given.or(entry.info.max_episode_steps)),
        }
    }

    fn entry(&self, id: &str) -> Result<&Entry, Error> {
        self.entries.get(id).map(Arc::as_ref).ok_or_else(|| {
            let similarity = |known: &&String| strsim::jaro_winkler(&id.to_lowercase(), &known.to_lowercase());
            let nearest = self.entries.keys().max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
            let advice = match (nearest.filter(|known| similarity(known) > 0.75), id.split_once('/')) {
                (_, Some((namespace, _))) if !self.has_namespace(namespace) => format!(
                    "nothing is registered in the namespace {namespace}; load the plugin that brings it (on the command \
                     line with --plugin FILE), or register it"
                ),
                (Some(known), _) => format!("did you mean {known:?}?"),
                (None, _) => "the subcommand `envs` lists what there is".to_owned(),
            };
            Error::unknown_environment(format!("unknown environment {id:?}; {advice}"))
        })
    }

    /// Whether an id begins with this namespace.
    fn has_namespace(&self, namespace: &str) -> bool {
        self.entries.keys().any(|id| id.split_once('/').is_some_and(|(known, _)| known == namespace))
    }
}

/// An environment for each of the parameters, or `num_envs` copies of one where there is only one set of them.
fn build_all<E: Clone>(
    mut kwargs: Vec<Json>,
    num_envs: usize,
    build: impl Fn(Json) -> Result<E, Error>,
) -> Result<Vec<E>, Error> {
    match kwargs.len() {
        1 => Ok(vec![build(kwargs.remove(0))?; num_envs]),
        _ => kwargs.into_iter().map(build).collect(),
    }
}

fn vector<B: Batch>(
    envs: Vec<B::Env>,
    limit: Option<u32>,
    options: &VectorOptions,
) -> Result<Box<dyn VectorEnv>, Error> {
    Ok(Box::new(Vector::<B>::new(envs, limit, options.seed, options.autoreset, options.threads)?))
}

/// The environment `id`, if it is what it says.
fn probed<E: RowEnv + Clone>(env: E, id: &str) -> Result<E, Error> {
    probe(env.clone()).map_err(|what| Error::config(format!("{id} contradicts itself: {what}")))?;
    Ok(env)
}

/// One reset and one step of a copy: an environment whose observations, actions or rewards are not what it says fails
/// here, with its name, and not somewhere inside a training run.
fn probe(mut env: impl RowEnv) -> Result<(), String> {
    let (observations, actions) = (env.observation_space(), env.action_space());
    if let Some(flaw) = observations.flaw().or_else(|| actions.flaw()) {
        return Err(flaw);
    }
    let mut rng = Generator::new(0);
    let mut row = vec![f32::NAN; observations.flat_dim()];
    let inside = |call: &str, row: &[f32]| match observations.contains_flat(row) {
        true => Ok(()),
        false => Err(format!("{call} returned the observation {row:?}, which is not in {observations}")),
    };
    env.reset(&mut rng, &mut row).map_err(|e| e.to_string())?;
    inside("reset", &row)?;
    let mut action = vec![0.0; actions.flat_dim()];
    actions.sample(&mut rng).write_flat(&mut action);
    let outcome = env.step(&action, &mut rng, &mut row).map_err(|e| e.to_string())?;
    inside("step", &row)?;
    if outcome.reward.is_finite() { Ok(()) } else { Err(format!("step returned the reward {}", outcome.reward)) }
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
        let message = error(make("me/CartPole-v1")).to_string();
        assert!(message.contains("nothing is registered in the namespace me; load the plugin"), "{message}");
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
        type State = ();

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

        fn state(&self) {}

        fn set_state(&mut self, (): ()) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn an_environment_that_contradicts_itself_is_refused_by_name() {
        let mut registry = Registry::empty();
        registry.register(EnvInfo::new("me/Liar-v0").max_episode_steps(5), |_: Map<String, Json>| Ok(Liar));
        let e = error(registry.make_vec("me/Liar-v0", 2, 0));
        assert!(e.is_config() && e.to_string().contains("me/Liar-v0 contradicts itself: an observation has"), "{e}");
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
        env.reset(Some(1)).unwrap();
        for action in [Value::Discrete(2), Value::Discrete(-1), Value::Box(vec![0.0])] {
            assert!(error(env.step(&action)).is_action());
        }
        assert!(env.step(&Value::Discrete(0)).unwrap().truncated);
        assert!(error(env.step(&Value::Discrete(0))).is_order());
    }
}
