//! Who acts while a student's data is collected.

use apprentice_agents::{Behavior, Error};
use apprentice_envs::Generator;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Zip};

/// Lets the teacher act with probability β in every step of every environment, and the student otherwise (Ross, Gordon
/// and Bagnell, *A Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning*, 2011).
pub(crate) struct Mixture<'a> {
    pub(crate) teacher: &'a mut dyn Behavior,
    pub(crate) student: &'a mut dyn Behavior,
    pub(crate) beta: f64,
    pub(crate) rng: &'a mut Generator,
    /// Whether the student's values of the states are of use to anybody.
    pub(crate) wants_values: bool,
    /// Where the student's part of an observation ends and the teacher's begins, if each has one of its own.
    pub(crate) border: Option<usize>,
    /// What the teacher answered, a row of parameters for every state that it was asked about.
    pub(crate) answers: &'a mut Vec<f32>,
}

/// The student's part and the teacher's of flat observations: the columns before and after the border; without one both
/// see everything.
pub(crate) fn eyes<'a>(
    observations: ArrayView2<'a, f32>,
    border: Option<usize>,
) -> (ArrayView2<'a, f32>, ArrayView2<'a, f32>) {
    match border {
        Some(border) => observations.split_at(Axis(1), border),
        None => (observations, observations),
    }
}

impl Behavior for Mixture<'_> {
    /// What the student remembers, then what the teacher does.
    fn memory_len(&self) -> usize {
        self.student.memory_len() + self.teacher.memory_len()
    }

    fn params(
        &mut self,
        observations: ArrayView2<'_, f32>,
        masks: Option<ArrayView2<'_, bool>>,
        memory: ArrayViewMut2<'_, f32>,
        mut params: ArrayViewMut2<'_, f32>,
    ) -> Result<(), Error> {
        let (student_sees, teacher_sees) = eyes(observations, self.border);
        let (student_memory, teacher_memory) = memory.split_at(Axis(1), self.student.memory_len());
        // At both ends nothing is drawn, and whoever does not act is not asked, unless it has to keep an episode in mind.
        if self.beta < 1.0 || self.student.memory_len() > 0 {
            self.student.params(student_sees, masks, student_memory, params.view_mut())?;
        }
        if self.beta > 0.0 || self.teacher.memory_len() > 0 {
            let mut teacher = Array2::zeros(params.dim());
            self.teacher.params(teacher_sees, masks, teacher_memory, teacher.view_mut())?;
            self.answers.extend(&teacher);
            Zip::from(params.rows_mut()).and(teacher.rows()).for_each(|mut student, teacher| {
                let teacher_acts = match self.beta {
                    beta if beta <= 0.0 => false,
                    beta if beta >= 1.0 => true,
                    beta => self.rng.random() < beta,
                };
                if teacher_acts {
                    student.assign(&teacher);
                }
            });
        }
        Ok(())
    }

    fn values(&mut self, observations: ArrayView2<'_, f32>, memory: ArrayView2<'_, f32>, values: &mut [f32]) {
        match self.wants_values {
            true => {
                let own = memory.split_at(Axis(1), self.student.memory_len()).0;
                self.student.values(eyes(observations, self.border).0, own, values);
            }
            false => values.fill(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always the same parameter, which it remembers as often as the second number says.
    struct Says(f32, usize);

    impl Behavior for Says {
        fn memory_len(&self) -> usize {
            self.1
        }

        fn params(
            &mut self,
            _: ArrayView2<'_, f32>,
            _: Option<ArrayView2<'_, bool>>,
            mut memory: ArrayViewMut2<'_, f32>,
            mut params: ArrayViewMut2<'_, f32>,
        ) -> Result<(), Error> {
            params.fill(self.0);
            memory.fill(self.0);
            Ok(())
        }

        fn values(&mut self, _: ArrayView2<'_, f32>, _: ArrayView2<'_, f32>, values: &mut [f32]) {
            values.fill(self.0);
        }
    }

    #[test]
    fn the_teacher_acts_as_often_as_beta_says() {
        for (beta, expected) in [(0.0, 0.0..=0.0), (0.3, 0.27..=0.33), (1.0, 1.0..=1.0)] {
            for (student_remembers, teacher_remembers) in [(0, 0), (1, 0), (0, 2), (1, 2)] {
                let mut rng = Generator::new(7);
                let (mut teacher, mut student) = (Says(1.0, teacher_remembers), Says(0.0, student_remembers));
                let (teacher, student): (&mut dyn Behavior, &mut dyn Behavior) = (&mut teacher, &mut student);
                let mut answers = Vec::new();
                let mut mixture = Mixture {
                    teacher,
                    student,
                    beta,
                    rng: &mut rng,
                    wants_values: true,
                    border: None,
                    answers: &mut answers,
                };
                let remembered = student_remembers + teacher_remembers;
                assert_eq!(mixture.memory_len(), remembered);
                let (observations, mut params) = (Array2::zeros((10_000, 1)), Array2::zeros((10_000, 1)));
                let mut memory = Array2::from_elem((10_000, remembered), 9.0);
                mixture.params(observations.view(), None, memory.view_mut(), params.view_mut()).unwrap();
                assert!(expected.contains(&params.mean().unwrap()), "{beta}: {:?}", params.mean());
                // Each keeps the episode in mind, whoever acts.
                let own = [vec![0.0; student_remembers], vec![1.0; teacher_remembers]].concat();
                assert!(memory.rows().into_iter().all(|row| row.to_vec() == own), "{memory}");
                let mut values = [9.0];
                mixture.values(observations.view(), memory.view(), &mut values);
                assert_eq!(values, [0.0], "the student's");
                assert_eq!(rng == Generator::new(7), beta == 0.0 || beta == 1.0);
                let asked = beta > 0.0 || teacher_remembers > 0;
                assert_eq!(answers, vec![1.0; if asked { 10_000 } else { 0 }]);
            }
        }
    }
}
