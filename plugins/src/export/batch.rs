//! A batch of environments in Rust, as the C interface wants it.

use super::Exported;
use apprentice_envs::{EnvSpec, Error, Generator, RowEnv, Space};
use std::ffi::{CStr, CString};

/// Environments of one kind. Each draws from a generator that is seeded anew with every episode.
pub(super) struct ExportedBatch {
    envs: Vec<Box<dyn RowEnv>>,
    rngs: Vec<Generator>,
    pub(super) observation_space: CString,
    pub(super) action_space: CString,
    pub(super) observation_columns: usize,
    pub(super) action_columns: usize,
    pub(super) mask_entries: usize,
}

/// Where a step is written.
pub(super) struct Out<'a> {
    pub(super) observations: &'a mut [f32],
    pub(super) rewards: &'a mut [f64],
    pub(super) terminated: &'a mut [u8],
    pub(super) truncated: &'a mut [u8],
}

impl ExportedBatch {
    pub(super) fn new(exported: &Exported, kind: u32, num_envs: u32, kwargs: &CStr) -> Result<Self, Error> {
        let kind =
            exported.kinds.get(kind as usize).ok_or_else(|| Error::config(format!("there is no kind {kind}")))?;
        let kwargs = serde_json::from_slice(kwargs.to_bytes())
            .map_err(|e| Error::config(format!("parameters: expected a JSON object: {e}")))?;
        let env = exported.registry.make_rows(EnvSpec { kwargs, ..EnvSpec::new(&kind.id) })?;
        let (observation_space, action_space) = (env.observation_space(), env.action_space());
        let text = |space: &Space| CString::new(serde_json::to_string(space).expect("a space is plain data"));
        Ok(Self {
            envs: vec![env; num_envs as usize],
            rngs: vec![Generator::new(0); num_envs as usize],
            observation_columns: observation_space.flat_dim(),
            action_columns: action_space.flat_dim(),
            mask_entries: action_space.feature_dim(),
            observation_space: text(&observation_space).expect("JSON has no NUL"),
            action_space: text(&action_space).expect("JSON has no NUL"),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.envs.len()
    }

    pub(super) fn env(&self, env: u32) -> &dyn RowEnv {
        &*self.envs[env as usize]
    }

    pub(super) fn reset(&mut self, envs: &[u32], seeds: &[u64], observations: &mut [f32]) -> Result<(), Error> {
        let rows = observations.chunks_exact_mut(self.observation_columns);
        for ((&env, &seed), row) in envs.iter().zip(seeds).zip(rows) {
            let env = env as usize;
            self.rngs[env] = Generator::new(seed);
            self.envs[env].reset(&mut self.rngs[env], row)?;
        }
        Ok(())
    }

    pub(super) fn step(&mut self, actions: &[f32], skip: &[u8], out: Out<'_>) -> Result<(), Error> {
        let rows = out.observations.chunks_exact_mut(self.observation_columns);
        let actions = actions.chunks_exact(self.action_columns);
        let envs = self.envs.iter_mut().zip(&mut self.rngs);
        for (i, (((env, rng), action), row)) in envs.zip(actions).zip(rows).enumerate() {
            if skip[i] != 0 {
                continue;
            }
            let outcome = env.step(action, rng, row)?;
            out.rewards[i] = outcome.reward;
            out.terminated[i] = outcome.terminated.into();
            out.truncated[i] = outcome.truncated.into();
        }
        Ok(())
    }

    /// The generator and the state.
    pub(super) fn save(&self, env: u32) -> Vec<u8> {
        let env = env as usize;
        postcard::to_allocvec(&(&self.rngs[env], self.envs[env].save())).expect("a state is plain data")
    }

    pub(super) fn load(&mut self, env: u32, bytes: &[u8]) -> Result<(), Error> {
        let env = env as usize;
        let Ok(((rng, state), [])) = postcard::take_from_bytes::<(Generator, Vec<u8>)>(bytes) else {
            return Err(Error::snapshot("the state is not one of this environment: restore it where it was saved"));
        };
        self.envs[env].load(&state)?;
        self.rngs[env] = rng;
        Ok(())
    }
}
