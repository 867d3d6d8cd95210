//! Several vector environments as one, such as variants of a task with different physics.

use super::{Autoreset, StepView, VectorEnv};
use crate::{Error, Frame, Snapshot, Space};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis};

/// Vector environments side by side, the first ones first. Environment i is seeded with seed + i, whichever part it
/// belongs to.
pub struct Joined {
    parts: Vec<Box<dyn VectorEnv>>,
    num_envs: usize,
}

impl Joined {
    /// Joins environments with the same spaces and the same autoreset mode.
    ///
    /// # Errors
    /// If there are none, or they differ in these.
    pub fn new(parts: Vec<Box<dyn VectorEnv>>) -> Result<Self, Error> {
        let Some(first) = parts.first() else {
            return Err(Error::shape("joined environments: expected at least one part, got none"));
        };
        let kind =
            |part: &dyn VectorEnv| (part.observation_space().clone(), part.action_space().clone(), part.autoreset());
        let expected = kind(&**first);
        if let Some(other) = parts.iter().map(|part| kind(&**part)).find(|other| *other != expected) {
            return Err(Error::shape(format!(
                "joined environments: expected the same spaces and the same autoreset mode in all parts, got observations \
                 of {} and {}, actions of {} and {}",
                expected.0, other.0, expected.1, other.1
            )));
        }
        Ok(Self { num_envs: parts.iter().map(|part| part.num_envs()).sum(), parts })
    }

    /// The part that environment `env` belongs to, and its place there.
    fn part_of(&self, env: usize) -> Option<(&dyn VectorEnv, usize)> {
        let mut rest = env;
        for part in &self.parts {
            if rest < part.num_envs() {
                return Some((&**part, rest));
            }
            rest -= part.num_envs();
        }
        None
    }
}

impl VectorEnv for Joined {
    fn num_envs(&self) -> usize {
        self.num_envs
    }

    fn observation_space(&self) -> &Space {
        self.parts[0].observation_space()
    }

    fn action_space(&self) -> &Space {
        self.parts[0].action_space()
    }

    fn autoreset(&self) -> Autoreset {
        self.parts[0].autoreset()
    }

    fn reset(&mut self, seed: Option<u64>, mut observations: ArrayViewMut2<'_, f32>) -> Result<(), Error> {
        check_rows("observations", observations.nrows(), self.num_envs)?;
        let mut first = 0;
        for part in &mut self.parts {
            let n = part.num_envs();
            let seed = seed.map(|seed| seed.wrapping_add(first as u64));
            part.reset(seed, observations.slice_axis_mut(Axis(0), (first..first + n).into()))?;
            first += n;
        }
        Ok(())
    }

    fn reset_where(
        &mut self,
        mask: ArrayView1<'_, bool>,
        seeds: Option<&[u64]>,
        mut observations: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        check_rows("observations", observations.nrows(), self.num_envs)?;
        check_rows("mask", mask.len(), self.num_envs)?;
        check_rows("seeds", seeds.map_or(self.num_envs, <[u64]>::len), self.num_envs)?;
        let mut first = 0;
        for part in &mut self.parts {
            let rows = first..first + part.num_envs();
            part.reset_where(
                mask.slice_axis(Axis(0), rows.clone().into()),
                seeds.map(|seeds| &seeds[rows.clone()]),
                observations.slice_axis_mut(Axis(0), rows.clone().into()),
            )?;
            first = rows.end;
        }
        Ok(())
    }

    /// If the action of a later part is refused, earlier parts have been stepped: all have to be reset.
    fn step(&mut self, actions: ArrayView2<'_, f32>, mut out: StepView<'_>) -> Result<(), Error> {
        check_rows("actions", actions.nrows(), self.num_envs)?;
        check_rows("observations", out.observations.nrows(), self.num_envs)?;
        let mut first = 0;
        for part in &mut self.parts {
            let rows = first..first + part.num_envs();
            let view = StepView {
                observations: out.observations.slice_axis_mut(Axis(0), rows.clone().into()),
                final_observations: out.final_observations.slice_axis_mut(Axis(0), rows.clone().into()),
                rewards: out.rewards.slice_axis_mut(Axis(0), rows.clone().into()),
                terminated: out.terminated.slice_axis_mut(Axis(0), rows.clone().into()),
                truncated: out.truncated.slice_axis_mut(Axis(0), rows.clone().into()),
            };
            part.step(actions.slice_axis(Axis(0), rows.clone().into()), view)?;
            first = rows.end;
        }
        Ok(())
    }

    fn action_masks(&self, mut masks: ArrayViewMut2<'_, bool>) -> Result<(), Error> {
        check_rows("masks", masks.nrows(), self.num_envs)?;
        let mut first = 0;
        for part in &self.parts {
            let rows = first..first + part.num_envs();
            part.action_masks(masks.slice_axis_mut(Axis(0), rows.clone().into()))?;
            first = rows.end;
        }
        Ok(())
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::of_parts(self.parts.iter().map(|part| part.snapshot()))
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let parts = snapshot.parts(self.parts.len())?;
        // One that does not fit must leave the others as they were.
        let before: Vec<Snapshot> = self.parts.iter().map(|part| part.snapshot()).collect();
        for (i, new) in parts.iter().enumerate() {
            if let Err(error) = self.parts[i].restore(new) {
                for (part, old) in self.parts.iter_mut().zip(&before).take(i) {
                    part.restore(old)?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn render_ansi(&self, env: usize) -> Option<String> {
        let (part, env) = self.part_of(env)?;
        part.render_ansi(env)
    }

    fn render_rgb(&self, env: usize) -> Option<Frame> {
        let (part, env) = self.part_of(env)?;
        part.render_rgb(env)
    }
}

fn check_rows(what: &str, got: usize, expected: usize) -> Result<(), Error> {
    match got == expected {
        true => Ok(()),
        false => Err(Error::shape(format!("{what}: expected {expected} rows, one for each environment, got {got}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EnvSpec, Registry, StepBuffer};
    use ndarray::Array2;

    fn joined() -> Joined {
        let registry = Registry::builtin();
        let heavy = EnvSpec::new("CartPole-v1").with("gravity", 30.0);
        let parts = [EnvSpec::new("CartPole-v1"), heavy].map(|spec| registry.make_vec(spec, 3, 0).unwrap());
        Joined::new(parts.into()).unwrap()
    }

    fn run(envs: &mut dyn VectorEnv, steps: usize) -> StepBuffer {
        let mut step = StepBuffer::new(envs);
        for t in 0..steps {
            let actions = Array2::from_shape_fn((envs.num_envs(), 1), |(env, _)| ((env + t) % 2) as f32);
            envs.step(actions.view(), step.view_mut()).unwrap();
        }
        step
    }

    /// Every part is what it would be alone, with the seeds of its place; and goes on from a snapshot.
    #[test]
    fn parts_are_what_they_are_alone() {
        let registry = Registry::builtin();
        let mut together = joined();
        let mut observations = Array2::zeros((6, 4));
        together.reset(Some(7), observations.view_mut()).unwrap();
        let mut alone = registry.make_vec(EnvSpec::new("CartPole-v1").with("gravity", 30.0), 3, 0).unwrap();
        let mut part = Array2::zeros((3, 4));
        alone.reset(Some(10), part.view_mut()).unwrap();
        assert_eq!(observations.slice_axis(Axis(0), (3..6).into()), part);
        let (a, b) = (run(&mut together, 30), {
            let mut step = StepBuffer::new(&*alone);
            for t in 0..30 {
                let actions = Array2::from_shape_fn((3, 1), |(env, _)| ((env + 3 + t) % 2) as f32);
                alone.step(actions.view(), step.view_mut()).unwrap();
            }
            step
        });
        assert_eq!(a.observations.slice_axis(Axis(0), (3..6).into()), b.observations);

        let snapshot = Snapshot::from_bytes(&together.snapshot().to_bytes()).unwrap();
        let expected = run(&mut together, 20);
        let mut other = joined();
        other.reset(Some(1), observations.view_mut()).unwrap();
        other.restore(&snapshot).unwrap();
        assert_eq!(run(&mut other, 20).observations, expected.observations);
        assert!(other.restore(&alone.snapshot()).is_err());
        assert!(other.render_rgb(5).is_some() && other.render_rgb(6).is_none());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let registry = Registry::builtin();
        let parts = ["CartPole-v1", "Acrobot-v1"].map(|id| registry.make_vec(id, 1, 0).unwrap());
        assert!(Joined::new(parts.into()).err().unwrap().to_string().contains("same spaces"));
        assert!(Joined::new(Vec::new()).is_err());
        assert!(joined().reset(None, Array2::zeros((5, 4)).view_mut()).is_err());
    }
}
