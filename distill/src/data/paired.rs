//! A student and its teacher in the same episodes, with different eyes.
//!
//! Environments with the same seeds and the same actions take the same course, whatever wrappers show of it. So a student
//! that sees less (or noisier, or delayed) can learn from a teacher that sees everything: each looks at a copy of its own.

use apprentice_agents::Error;
use apprentice_envs::{Autoreset, Error as EnvError, Frame, Snapshot, Space, StepBuffer, StepView, VectorEnv};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis};

/// The student's environments, and beside every observation the teacher's of the same state: flat rows
/// `[student | teacher]`.
pub(crate) struct Paired {
    student: Box<dyn VectorEnv>,
    teacher: Box<dyn VectorEnv>,
    /// The steps of each.
    steps: [StepBuffer; 2],
    space: Space,
}

impl Paired {
    /// # Errors
    /// If both are not as many, or take different actions.
    pub(crate) fn new(student: Box<dyn VectorEnv>, teacher: Box<dyn VectorEnv>) -> Result<Self, Error> {
        if student.action_space() != teacher.action_space() || student.num_envs() != teacher.num_envs() {
            return Err(Error::environment(format!(
                "teacher_env: expected the actions of the student's environment, {}, got {}",
                student.action_space(),
                teacher.action_space()
            )));
        }
        let spaces = vec![student.observation_space().clone(), teacher.observation_space().clone()];
        let steps = [StepBuffer::new(&*student), StepBuffer::new(&*teacher)];
        Ok(Self { student, teacher, steps, space: Space::Tuple { spaces } })
    }

    /// Joins the observations of both, row by row.
    fn join(&self, mut to: ArrayViewMut2<'_, f32>, of: fn(&StepBuffer) -> ArrayView2<'_, f32>) {
        let [student, teacher] = &self.steps;
        let (mut left, mut right) = to.view_mut().split_at(Axis(1), of(student).ncols());
        left.assign(&of(student));
        right.assign(&of(teacher));
    }
}

impl VectorEnv for Paired {
    fn num_envs(&self) -> usize {
        self.student.num_envs()
    }

    fn observation_space(&self) -> &Space {
        &self.space
    }

    fn action_space(&self) -> &Space {
        self.student.action_space()
    }

    fn autoreset(&self) -> Autoreset {
        self.student.autoreset()
    }

    fn reset(&mut self, seed: Option<u64>, observations: ArrayViewMut2<'_, f32>) -> Result<(), EnvError> {
        let [student, teacher] = &mut self.steps;
        self.student.reset(seed, student.observations.view_mut())?;
        self.teacher.reset(seed, teacher.observations.view_mut())?;
        self.join(observations, |step| step.observations.view());
        Ok(())
    }

    fn reset_where(
        &mut self,
        mask: ArrayView1<'_, bool>,
        seeds: Option<&[u64]>,
        observations: ArrayViewMut2<'_, f32>,
    ) -> Result<(), EnvError> {
        let [student, teacher] = &mut self.steps;
        self.student.reset_where(mask, seeds, student.observations.view_mut())?;
        self.teacher.reset_where(mask, seeds, teacher.observations.view_mut())?;
        self.join(observations, |step| step.observations.view());
        Ok(())
    }

    fn step(&mut self, actions: ArrayView2<'_, f32>, mut out: StepView<'_>) -> Result<(), EnvError> {
        let [student, teacher] = &mut self.steps;
        self.student.step(actions, student.view_mut())?;
        self.teacher.step(actions, teacher.view_mut())?;
        if student.terminated != teacher.terminated || student.truncated != teacher.truncated {
            return Err(EnvError::environment(
                "teacher_env: the teacher's episodes take another course than the student's: the two environments may \
                 differ in what they show and in nothing else",
            ));
        }
        out.rewards.assign(&student.rewards);
        out.terminated.assign(&student.terminated);
        out.truncated.assign(&student.truncated);
        self.join(out.observations.view_mut(), |step| step.observations.view());
        self.join(out.final_observations.view_mut(), |step| step.final_observations.view());
        Ok(())
    }

    fn action_masks(&self, masks: ArrayViewMut2<'_, bool>) -> Result<(), EnvError> {
        self.student.action_masks(masks)
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::of_parts([&self.student, &self.teacher].map(|envs| envs.snapshot()).into_iter())
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<(), EnvError> {
        let parts = snapshot.parts(2)?;
        // One that does not fit must leave the other as it was.
        let before = self.student.snapshot();
        self.student.restore(&parts[0])?;
        if let Err(error) = self.teacher.restore(&parts[1]) {
            self.student.restore(&before)?;
            return Err(error);
        }
        Ok(())
    }

    fn render_ansi(&self, env: usize) -> Option<String> {
        self.student.render_ansi(env)
    }

    fn render_rgb(&self, env: usize) -> Option<Frame> {
        self.student.render_rgb(env)
    }
}
