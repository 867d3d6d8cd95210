//! The checks: each uses an environment as programs do, and says what it did not expect.

use crate::env::PluginEnv;
use crate::library::Library;
use apprentice_envs::{
    DynEnv, Element, EnvSpec, Error, Generator, Registry, RowEnv, Step, StepBuffer, Value, VectorEnv, VectorOptions,
};
use ndarray::Array2;
use serde_json::json;
use std::sync::Arc;

/// An environment on trial.
pub(super) struct Trial<'a> {
    pub(super) library: &'a Arc<Library>,
    pub(super) registry: &'a Registry,
    pub(super) index: u32,
    pub(super) id: &'a str,
}

type Outcome = Result<(), String>;
type Run = fn(&Trial<'_>) -> Outcome;

/// What should hold, and how it is tried. Without the first of them there is nothing to try.
pub(super) const CHECKS: [(&str, Run); 9] = [
    ("it can be made, reset and stepped", made),
    ("parameters that it does not know are refused", unknown_parameters),
    ("what it returns lies in its spaces, over a thousand steps", long_run),
    ("the same seed gives the same episodes", same_seed),
    ("a batch, on threads too, gives the episodes of single environments", batch),
    ("resetting some environments of a batch leaves the others alone", partial_reset),
    ("a snapshot goes on as the environment would have", snapshot),
    ("a damaged snapshot is refused", damaged_snapshot),
    ("masks and pictures can be had where they are offered", masks_and_pictures),
];

const NUM_ENVS: usize = 5;

fn text(error: Error) -> String {
    error.to_string()
}

fn made(trial: &Trial<'_>) -> Outcome {
    trial.env().map(drop)
}

fn unknown_parameters(trial: &Trial<'_>) -> Outcome {
    match trial.registry.make(EnvSpec::new(trial.id).with("no_such_parameter", 1)) {
        Err(_) => Ok(()),
        Ok(_) => Err("create accepted {\"no_such_parameter\":1}: refuse what you do not know, so that a typing error \
                      in a parameter is not ignored"
            .into()),
    }
}

fn long_run(trial: &Trial<'_>) -> Outcome {
    trial.episodes(&mut *trial.env()?, Some(0), 1000).map(drop)
}

fn same_seed(trial: &Trial<'_>) -> Outcome {
    let (mut one, mut two) = (trial.env()?, trial.env()?);
    for seed in [3, 4, 3] {
        let (a, b) = (trial.episodes(&mut *one, Some(seed), 200)?, trial.episodes(&mut *two, Some(seed), 200)?);
        differ(
            &a,
            &b,
            "two environments with the same seed and actions",
            "take all randomness from the seed of reset",
        )?;
        // The second environment has a longer past than the first when the seed comes again.
        trial.episodes(&mut *two, Some(9), 30)?;
    }
    Ok(())
}

fn batch(trial: &Trial<'_>) -> Outcome {
    let advice = "an environment may depend on nothing but its own state, action and seed";
    for threads in [1, 2] {
        let mut batch = trial.batch(threads)?;
        let together = trial.rows(&mut *batch, 200)?;
        for (i, together) in together.iter().enumerate() {
            let alone = trial.episodes(&mut *trial.env()?, Some(i as u64), 200)?;
            differ(&alone, together, &format!("a single environment and environment {i} of {NUM_ENVS}"), advice)?;
        }
    }
    Ok(())
}

fn partial_reset(trial: &Trial<'_>) -> Outcome {
    let (mut untouched, mut batch) = (trial.batch(1)?, trial.batch(1)?);
    let (mut expected, mut buffer) = (StepBuffer::new(&*untouched), StepBuffer::new(&*batch));
    untouched.reset(Some(0), expected.observations.view_mut()).map_err(text)?;
    batch.reset(Some(0), buffer.observations.view_mut()).map_err(text)?;
    let mask = [false, true, false, true, false];
    let mut rng = Generator::new(5);
    for t in 0..20 {
        // In the midst of episodes, when there is something to lose.
        if t == 3 {
            batch.reset_where(mask[..].into(), None, buffer.observations.view_mut()).map_err(text)?;
        }
        let actions = actions(&*batch, &mut rng);
        untouched.step(actions.view(), expected.view_mut()).map_err(text)?;
        batch.step(actions.view(), buffer.view_mut()).map_err(text)?;
        for env in (0..NUM_ENVS).filter(|&env| !mask[env]) {
            let same = buffer.observations.row(env) == expected.observations.row(env)
                && buffer.rewards[env] == expected.rewards[env];
            if !same {
                return Err(format!(
                    "environments 1 and 3 of {NUM_ENVS} were reset, and with that environment {env} changed too: in \
                     reset, touch the environments in envs alone"
                ));
            }
        }
    }
    Ok(())
}

fn snapshot(trial: &Trial<'_>) -> Outcome {
    let mut env = trial.env()?;
    trial.episodes(&mut *env, Some(1), 0)?;
    // At many points: what a state forgets may happen to be nothing at one of them.
    for steps in (0..16).chain([17]) {
        let mut actions = Generator::new(steps);
        trial.go_on(&mut *env, steps as usize, &mut actions)?;
        let snapshot = env.snapshot();
        let mut other = trial.env()?;
        trial.episodes(&mut *other, Some(8), 25)?;
        other.restore(&snapshot).map_err(text)?;
        if other.snapshot() != snapshot {
            return Err("save right after load gave other bytes than those that were loaded".into());
        }
        let (a, b) = (trial.go_on(&mut *env, 50, &mut actions.clone())?, trial.go_on(&mut *other, 50, &mut actions)?);
        differ(&a, &b, "an environment and its snapshot", "save and load everything that changes between two steps")?;
    }
    Ok(())
}

fn damaged_snapshot(trial: &Trial<'_>) -> Outcome {
    let mut env = trial.plugin_env()?;
    let mut row = vec![0.0; env.observation_space().flat_dim()];
    env.reset(&mut Generator::new(0), &mut row).map_err(text)?;
    let state = env.save();
    let longer = [&state[..], &[0]].concat();
    // The first byte is the host's. An environment without a state has nothing to cut off.
    let damaged = [("without its last byte", &state[..state.len() - 1]), ("with a byte more", &longer[..])];
    for (how, bytes) in damaged.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        if env.clone().load(bytes).is_ok() {
            return Err(format!("load accepted a state {how}: compare its size with the one that save gives"));
        }
    }
    env.load(&state).map_err(text)
}

fn masks_and_pictures(trial: &Trial<'_>) -> Outcome {
    let mut env = trial.plugin_env()?;
    let mut row = vec![0.0; env.observation_space().flat_dim()];
    env.reset(&mut Generator::new(0), &mut row).map_err(text)?;
    let mut mask = vec![true; env.action_space().feature_dim()];
    env.ask(|instance| instance.action_mask(0, &mut mask)).map_err(text)??;
    if !mask.contains(&true) {
        return Err("action_mask left no action at all after reset: mark at least one".into());
    }
    env.ask(|instance| instance.render_text(0)).map_err(text)?.transpose()?;
    env.ask(|instance| instance.render_rgb(0)).map_err(text)?.transpose()?;
    Ok(())
}

impl Trial<'_> {
    fn env(&self) -> Result<Box<dyn DynEnv>, String> {
        self.registry.make(self.id).map_err(text)
    }

    fn plugin_env(&self) -> Result<PluginEnv, String> {
        PluginEnv::new(self.library, self.index, self.id, &json!({})).map_err(text)
    }

    fn batch(&self, threads: usize) -> Result<Box<dyn VectorEnv>, String> {
        self.registry.make_vec_with(self.id, &VectorOptions::new(NUM_ENVS, 0).threads(threads)).map_err(text)
    }

    /// What an environment gives from a reset on, with actions that depend on the seed.
    fn episodes(&self, env: &mut dyn DynEnv, seed: Option<u64>, steps: usize) -> Result<Vec<Step<Value>>, String> {
        let mut all = vec![first(env.reset(seed).map_err(text)?)];
        all.extend(self.go_on(env, steps, &mut Generator::new(seed.unwrap_or(0)))?);
        Ok(all)
    }

    /// What an environment gives, the first observations of new episodes included.
    fn go_on(&self, env: &mut dyn DynEnv, steps: usize, actions: &mut Generator) -> Result<Vec<Step<Value>>, String> {
        let mut all = Vec::new();
        for _ in 0..steps {
            let action = env.action_space().sample(actions);
            let step = env.step(&action).map_err(text)?;
            let done = step.done();
            all.push(step);
            if done {
                all.push(first(env.reset(None).map_err(text)?));
            }
        }
        Ok(all)
    }

    /// What each environment of a batch gives with the actions that `episodes` takes, in the same form.
    fn rows(&self, batch: &mut dyn VectorEnv, steps: usize) -> Result<Vec<Vec<Step<Value>>>, String> {
        let space = batch.observation_space().clone();
        let value = |row: ndarray::ArrayView1<'_, f32>| {
            Value::from_flat(&row.to_vec(), &space).ok_or_else(|| format!("{row} is not an element of {space}"))
        };
        let mut buffer = StepBuffer::new(batch);
        let mut rngs: Vec<_> = (0..NUM_ENVS as u64).map(Generator::new).collect();
        batch.reset(Some(0), buffer.observations.view_mut()).map_err(text)?;
        let mut all = vec![Vec::new(); NUM_ENVS];
        for (env, all) in all.iter_mut().enumerate() {
            all.push(first(value(buffer.observations.row(env))?));
        }
        for _ in 0..steps {
            let mut actions = Array2::zeros((NUM_ENVS, batch.action_space().flat_dim()));
            for (mut row, rng) in actions.rows_mut().into_iter().zip(&mut rngs) {
                batch.action_space().sample(rng).write_flat(row.as_slice_mut().expect("rows are contiguous"));
            }
            batch.step(actions.view(), buffer.view_mut()).map_err(text)?;
            for (env, all) in all.iter_mut().enumerate() {
                let (reward, terminated) = (buffer.rewards[env], buffer.terminated[env]);
                let truncated = buffer.truncated[env];
                let done = terminated || truncated;
                let rows = if done { &buffer.final_observations } else { &buffer.observations };
                all.push(Step { observation: value(rows.row(env))?, reward, terminated, truncated });
                if done {
                    all.push(first(value(buffer.observations.row(env))?));
                }
            }
        }
        Ok(all)
    }
}

/// An action for each environment of a batch.
fn actions(batch: &dyn VectorEnv, rng: &mut Generator) -> Array2<f32> {
    let mut actions = Array2::zeros((batch.num_envs(), batch.action_space().flat_dim()));
    for mut row in actions.rows_mut() {
        batch.action_space().sample(rng).write_flat(row.as_slice_mut().expect("rows are contiguous"));
    }
    actions
}

/// The first observation of an episode in the form of a step.
fn first(observation: Value) -> Step<Value> {
    Step { observation, reward: 0.0, terminated: false, truncated: false }
}

/// Says where two runs part.
fn differ(a: &[Step<Value>], b: &[Step<Value>], who: &str, advice: &str) -> Outcome {
    let Some(at) = (0..a.len().max(b.len())).find(|&t| a.get(t) != b.get(t)) else { return Ok(()) };
    let show = |steps: &[Step<Value>]| match steps.get(at) {
        Some(Step { observation, reward, terminated, truncated }) => {
            format!("observation {observation}, reward {reward}, terminated {terminated}, truncated {truncated}")
        }
        None => "nothing".into(),
    };
    Err(format!("{who} part after {at} steps: {} and {}; {advice}", show(a), show(b)))
}
