//! A batch of foreign environments whose every answer is looked at.

use crate::border::Foreign;
use crate::guarded::Guarded;
use crate::kind::Kind;
use apprentice_envs::{Error, Frame, Generator};
use std::sync::Arc;

/// States and texts beyond this size are taken for a mistake.
const MAX_BYTES: usize = 1 << 28;
const MAX_PIXELS: u32 = 1 << 14;

/// n environments of one kind. Buffers for a step are made once.
pub(crate) struct Instance {
    foreign: Foreign,
    kind: Arc<Kind>,
    first_observations: Guarded<f32>,
    flags: [Guarded<u8>; 2],
    actions: Vec<f32>,
    envs: Vec<u32>,
    seeds: Vec<u64>,
}

/// Where a step goes: buffers of n rows and entries, or longer.
pub(crate) struct Out<'a> {
    pub(crate) observations: &'a mut [f32],
    pub(crate) rewards: &'a mut [f64],
    pub(crate) terminated: &'a mut [bool],
    pub(crate) truncated: &'a mut [bool],
}

impl Instance {
    pub(crate) fn new(kind: Arc<Kind>, mut foreign: Foreign) -> Result<Self, Error> {
        foreign.set_widths(kind.widths);
        let n = foreign.num_envs();
        let columns = n.checked_mul(kind.widths.observation.max(kind.widths.action)).filter(|&c| c <= MAX_BYTES);
        if columns.is_none() {
            return Err(kind.fails(format!("{n} environments with rows so wide do not fit into memory")));
        }
        Ok(Self {
            first_observations: Guarded::rows(n * kind.widths.observation),
            flags: [Guarded::bytes(n), Guarded::bytes(n)],
            actions: vec![0.0; n * kind.widths.action],
            envs: Vec::with_capacity(n),
            seeds: Vec::with_capacity(n),
            foreign,
            kind,
        })
    }

    pub(crate) fn kind(&self) -> &Arc<Kind> {
        &self.kind
    }

    pub(crate) fn num_envs(&self) -> usize {
        self.foreign.num_envs()
    }

    /// Starts episodes in `envs`, each with a seed drawn from its generator, and writes their rows.
    pub(crate) fn reset(
        &mut self,
        envs: impl Iterator<Item = usize>,
        rngs: &mut [Generator],
        observations: &mut [f32],
    ) -> Result<(), Error> {
        self.envs.clear();
        self.seeds.clear();
        for env in envs {
            self.envs.push(env as u32);
            self.seeds.push(rngs[env].bits64());
        }
        if self.envs.is_empty() {
            return Ok(());
        }
        let columns = self.kind.widths.observation;
        let entries = self.envs.len() * columns;
        let armed = self.first_observations.arm(entries);
        self.foreign.reset(&self.envs, &self.seeds, armed).map_err(|e| self.kind.fails(e))?;
        let rows = self.first_observations.read(entries).ok_or_else(|| self.overrun("reset", "observations"))?;
        let all = self.kind.observation_columns.contain(rows);
        for (row, &env) in rows.chunks_exact(columns).zip(&self.envs) {
            if !all {
                self.check_row("reset", env as usize, row)?;
            }
            let at = env as usize * columns;
            observations[at..at + columns].copy_from_slice(row);
        }
        Ok(())
    }

    /// Advances every environment, though what `skip` says does not count.
    pub(crate) fn step(&mut self, actions: &[f32], skip: &[bool], out: Out<'_>) -> Result<(), Error> {
        let n = self.num_envs();
        let actions = match skip.contains(&true) {
            true => valid_actions(&mut self.actions, actions, skip, &self.kind.any_action),
            false => actions,
        };
        let [terminated, truncated] = &mut self.flags;
        let flags = [terminated.arm(n), truncated.arm(n)];
        self.foreign.step(actions, skip, out.observations, out.rewards, flags).map_err(|e| self.kind.fails(e))?;

        let observations = &out.observations[..n * self.kind.widths.observation];
        let rewards = &out.rewards[..n];
        let [terminated, truncated] = &self.flags;
        let terminated = terminated.read(n).ok_or_else(|| self.overrun("step", "terminated"))?;
        let truncated = truncated.read(n).ok_or_else(|| self.overrun("step", "truncated"))?;
        let finite = rewards.iter().fold(true, |all, reward| all & reward.is_finite());
        let bits = |flags: &[u8]| flags.iter().fold(0, |all, flag| all | flag);
        let good = finite & ((bits(terminated) | bits(truncated)) <= 1);
        if !(good && self.kind.observation_columns.contain(observations)) {
            let mut rows = observations.chunks_exact(self.kind.widths.observation).enumerate();
            rows.by_ref().filter(|(env, _)| !skip[*env]).try_for_each(|(env, row)| {
                self.check_row("step", env, row)?;
                self.check_step(env, rewards[env], terminated[env], truncated[env])
            })?;
        }
        for (to, flags) in [(out.terminated, terminated), (out.truncated, truncated)] {
            to.iter_mut().zip(flags).for_each(|(to, flag)| *to = *flag == 1);
        }
        Ok(())
    }

    fn check_row(&self, call: &str, env: usize, row: &[f32]) -> Result<(), Error> {
        match self.kind.observation_columns.flaw(row) {
            None => Ok(()),
            Some(flaw) => {
                let unwritten = if row.iter().any(|x| x.is_nan()) { " (was the row written?)" } else { "" };
                Err(self.kind.fails(format!(
                    "{call} gave environment {env} of {} the observation {flaw}{unwritten}",
                    self.num_envs()
                )))
            }
        }
    }

    fn check_step(&self, env: usize, reward: f64, terminated: u8, truncated: u8) -> Result<(), Error> {
        let place = format!("environment {env} of {}", self.num_envs());
        if !reward.is_finite() {
            return Err(self.kind.fails(format!("step gave {place} the reward {reward}: expected a finite number")));
        }
        for (name, flag) in [("terminated", terminated), ("truncated", truncated)] {
            if flag > 1 {
                return Err(self.kind.fails(format!("step set {name} of {place} to {flag}: expected 0 or 1")));
            }
        }
        Ok(())
    }

    pub(crate) fn overrun(&self, call: &str, buffer: &str) -> Error {
        let n = self.num_envs();
        self.kind.fails(format!(
            "{call} wrote past the end of {buffer}: is the space as wide as the rows, and the batch of {n} as large?"
        ))
    }

    /// The state of an environment.
    pub(crate) fn save(&self, env: usize) -> Result<Vec<u8>, String> {
        let size = self.foreign.save(env, &mut [], 0)?;
        self.fetch("save", size, |bytes, capacity| self.foreign.save(env, bytes, capacity))
    }

    /// Goes on from a state.
    pub(crate) fn load(&mut self, env: usize, bytes: &[u8]) -> Result<(), String> {
        self.foreign.load(env, bytes)
    }

    /// Marks the actions that make sense; leaves the mask alone if the plugin has no opinion.
    pub(crate) fn action_mask(&self, env: usize, mask: &mut [bool]) -> Result<(), String> {
        let n = self.kind.widths.mask;
        let mut flags = Guarded::bytes(n);
        let armed = flags.arm(n);
        armed[..n].fill(1);
        match self.foreign.action_mask(env, armed) {
            None => return Ok(()),
            Some(marked) => marked?,
        }
        let flags = flags.read(n).ok_or_else(|| format!("action_mask wrote past the end of its {n} entries"))?;
        if let Some(strange) = flags.iter().find(|flag| **flag > 1) {
            return Err(format!("action_mask wrote {strange}: expected 0 or 1"));
        }
        mask.iter_mut().zip(flags).for_each(|(to, flag)| *to = *flag == 1);
        Ok(())
    }

    /// An environment as text; None if it does not draw itself so.
    pub(crate) fn render_text(&self, env: usize) -> Option<Result<String, String>> {
        let render = |size: usize| {
            self.fetch("render_text", size, |bytes, capacity| {
                self.foreign.render_text(env, bytes, capacity).expect("the plugin has this function")
            })
        };
        let text = match self.foreign.render_text(env, &mut [], 0)? {
            Ok(0) => return None,
            size => size.and_then(render),
        };
        Some(text.and_then(|text| String::from_utf8(text).map_err(|e| format!("render_text: expected UTF-8: {e}"))))
    }

    /// An environment as a picture; None if it does not draw itself so.
    pub(crate) fn render_rgb(&self, env: usize) -> Option<Result<Frame, String>> {
        let size = self.foreign.render_rgb(env, &mut [], 0)?;
        if size == Ok((0, 0)) {
            return None;
        }
        Some(size.and_then(|(width, height)| {
            if ![width, height].iter().all(|side| (1..=MAX_PIXELS).contains(side)) {
                return Err(format!("render_rgb: expected 1 to {MAX_PIXELS} pixels a side, got {width} × {height}"));
            }
            let rgb = self.fetch("render_rgb", width as usize * height as usize * 3, |bytes, capacity| {
                let drawn = self.foreign.render_rgb(env, bytes, capacity).expect("the plugin has this function");
                drawn.map(|(width, height)| width as usize * height as usize * 3)
            })?;
            Ok(Frame { width, height, rgb })
        }))
    }

    /// Has `size` bytes written by a function that then must say the same size.
    fn fetch(
        &self,
        call: &str,
        size: usize,
        write: impl FnOnce(&mut [u8], usize) -> Result<usize, String>,
    ) -> Result<Vec<u8>, String> {
        if size > MAX_BYTES {
            return Err(format!("{call}: expected at most {MAX_BYTES} bytes, got {size}; was the size written?"));
        }
        let mut bytes = Guarded::bytes(size);
        let written = write(bytes.arm(size), size)?;
        if written != size {
            return Err(format!(
                "{call} announced {size} bytes and then wrote {written}: expected the same both times"
            ));
        }
        let bytes =
            bytes.read(size).ok_or_else(|| format!("{call} wrote past the end of the {size} bytes it asked for"))?;
        Ok(bytes.to_vec())
    }
}

/// The actions with a valid one where an environment is skipped, whose own may be anything.
fn valid_actions<'a>(scratch: &'a mut [f32], actions: &[f32], skip: &[bool], valid: &[f32]) -> &'a [f32] {
    scratch.copy_from_slice(actions);
    let rows = scratch.chunks_exact_mut(valid.len()).zip(skip);
    rows.filter(|(_, skip)| **skip).for_each(|(action, _)| action.copy_from_slice(valid));
    scratch
}
