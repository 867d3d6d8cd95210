//! A batch of foreign environments: one call a step for as many as have the same parameters.

use crate::env::PluginEnv;
use crate::instance::{Instance, Out};
use apprentice_envs::{Batch, BatchStep, Error, Frame, Generator};

/// Environments of a plugin, stepped together.
pub struct PluginBatch {
    /// Neighbours with the same parameters share an instance; mostly there is one.
    parts: Vec<Instance>,
    columns: usize,
    action_columns: usize,
    /// Why an environment could not be replaced: the next call says so.
    failed: Option<Error>,
}

impl PluginBatch {
    /// The instance that environment `env` is in, and its place there.
    fn locate(&self, env: usize) -> (usize, usize) {
        let mut place = env;
        for (part, instance) in self.parts.iter().enumerate() {
            match place.checked_sub(instance.num_envs()) {
                None => return (part, place),
                Some(rest) => place = rest,
            }
        }
        panic!("environment {env} is beyond the batch")
    }

    fn check(&mut self) -> Result<(), Error> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl Batch for PluginBatch {
    type Env = PluginEnv;

    fn from_envs(envs: Vec<PluginEnv>) -> Result<Self, Error> {
        let widths = envs.first().map(|env| env.kind().widths).unwrap_or_default();
        let mut parts = Vec::new();
        for same in envs.chunk_by(|a, b| a.kind().is(b.kind())) {
            let mut instance = same[0].kind().create(same.len())?;
            same.iter().enumerate().try_for_each(|(i, env)| env.put_into(&mut instance, i))?;
            parts.push(instance);
        }
        Ok(Self { parts, columns: widths.observation, action_columns: widths.action, failed: None })
    }

    fn env(&self, env: usize) -> PluginEnv {
        let (part, place) = self.locate(env);
        PluginEnv::copy_of(&self.parts[part], place)
    }

    fn set_env(&mut self, env: usize, to: PluginEnv) {
        let (part, place) = self.locate(env);
        if let Err(error) = to.put_into(&mut self.parts[part], place) {
            self.failed = Some(error);
        }
    }

    fn reset(&mut self, envs: &[usize], rngs: &mut [Generator], observations: &mut [f32]) -> Result<(), Error> {
        self.check()?;
        let mut first = 0;
        for part in &mut self.parts {
            let range = first..first + part.num_envs();
            let chosen = envs.iter().filter(|env| range.contains(env)).map(|env| env - first);
            let rows = &mut observations[range.start * self.columns..range.end * self.columns];
            part.reset(chosen, &mut rngs[range.clone()], rows)?;
            first = range.end;
        }
        Ok(())
    }

    fn step(&mut self, actions: &[f32], skip: &[bool], _: &mut [Generator], out: BatchStep<'_>) -> Result<(), Error> {
        self.check()?;
        let mut first = 0;
        for part in &mut self.parts {
            let range = first..first + part.num_envs();
            let part_out = Out {
                observations: &mut out.observations[range.start * self.columns..range.end * self.columns],
                rewards: &mut out.rewards[range.clone()],
                terminated: &mut out.terminated[range.clone()],
                truncated: &mut out.truncated[range.clone()],
            };
            let actions = &actions[range.start * self.action_columns..range.end * self.action_columns];
            part.step(actions, &skip[range.clone()], part_out)?;
            first = range.end;
        }
        Ok(())
    }

    fn action_mask(&self, env: usize, mask: &mut [bool]) -> Result<(), Error> {
        let (part, place) = self.locate(env);
        let instance = &self.parts[part];
        instance.action_mask(place, mask).map_err(|e| instance.kind().fails(e))
    }

    fn render_ansi(&self, env: usize) -> Option<String> {
        let (part, place) = self.locate(env);
        self.parts[part].render_text(place)?.ok()
    }

    fn render_rgb(&self, env: usize) -> Option<Frame> {
        let (part, place) = self.locate(env);
        self.parts[part].render_rgb(place)?.ok()
    }
}
