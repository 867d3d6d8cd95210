//! Distillation losses.

use apprentice_agents::clamp_log_std;
use apprentice_deploy::{Distribution, MASKED_LOGIT};
use burn::tensor::{Tensor, activation};

/// The KL divergence of the student's policy from the teacher's, mean over the batch. Choices are softened by the
/// temperature T:
///
/// ```text
/// L_KD = T² · mean KL(softmax(z_teacher / T) ‖ softmax(z_student / T))
/// ```
///
/// T² keeps the size of the gradient independent of T. Both sides are log-softmax, so that no probability underflows; what
/// the teacher was not allowed, neither is the student. (Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural
/// Network*, 2015.) Gaussians have nothing dark to bring to light, and no temperature.
///
/// # Shapes
/// `teacher` and `student` are parameters of the distribution, `[batch, params]` → scalar.
pub fn kd_loss(distribution: &Distribution, teacher: Tensor<2>, student: Tensor<2>, temperature: f64) -> Tensor<1> {
    match distribution {
        Distribution::Categorical { .. } => {
            let forbidden = teacher.clone().lower_equal_elem(0.5 * MASKED_LOGIT);
            let student = student.mask_fill(forbidden, MASKED_LOGIT);
            let part = |range: std::ops::Range<usize>| {
                let soften = |params: &Tensor<2>| {
                    activation::log_softmax(params.clone().slice_dim(1, range.clone()).div_scalar(temperature), 1)
                };
                let teacher = soften(&teacher);
                (teacher.clone().exp() * (teacher - soften(&student))).sum_dim(1)
            };
            let sum = distribution.choices().map(part).reduce(|sum, part| sum + part);
            sum.expect("there is at least one choice").mean().mul_scalar(temperature * temperature)
        }
        Distribution::Gaussian { dim, .. } => {
            let mean = |params: &Tensor<2>| params.clone().slice_dim(1, 0..*dim);
            let log_std = |params: &Tensor<2>| clamp_log_std(params.clone().slice_dim(1, *dim..2 * dim));
            let (from, to) = (log_std(&teacher), log_std(&student));
            let spread = (from.clone() - to.clone()).exp().square();
            let shift = ((mean(&teacher) - mean(&student)) / to.clone().exp()).square();
            ((spread + shift - 1.0).mul_scalar(0.5) + to - from).sum_dim(1).mean()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    fn choices() -> Distribution {
        Distribution::Categorical { nvec: vec![3] }
    }

    fn tensor(values: &[f64], device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [2, 3]), (device, DType::F64))
    }

    const TEACHER: [f64; 6] = [1.0, 0.0, -1.0, 0.2, 2.0, 0.1];
    const STUDENT: [f64; 6] = [0.5, 0.1, 0.3, -0.2, 0.4, 1.1];

    /// The definition, in plain arithmetic.
    fn by_hand(teacher: &[f64], student: &[f64], temperature: f64) -> f64 {
        let softmax = |row: &[f64]| -> Vec<f64> {
            let sum: f64 = row.iter().map(|z| (z / temperature).exp()).sum();
            row.iter().map(|z| (z / temperature).exp() / sum).collect()
        };
        let rows = teacher.chunks(3).zip(student.chunks(3));
        let kl = rows.map(|(t, s)| -> f64 { softmax(t).iter().zip(softmax(s)).map(|(p, q)| p * (p / q).ln()).sum() });
        temperature * temperature * kl.sum::<f64>() / 2.0
    }

    #[test]
    fn equals_the_definition() {
        let device = Device::flex();
        for temperature in [0.5, 1.0, 4.0] {
            let got: f64 =
                kd_loss(&choices(), tensor(&TEACHER, &device), tensor(&STUDENT, &device), temperature).into_scalar();
            assert!((got - by_hand(&TEACHER, &STUDENT, temperature)).abs() < 1e-12);
        }
        let same: f64 = kd_loss(&choices(), tensor(&TEACHER, &device), tensor(&TEACHER, &device), 2.0).into_scalar();
        assert!(same.abs() < 1e-15);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences_and_only_the_students() {
        let device = Device::flex().autodiff();
        let student = tensor(&STUDENT, &device).require_grad();
        let grads = kd_loss(&choices(), tensor(&TEACHER, &device), student.clone(), 3.0).backward();
        let got: Vec<f64> = student.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        for i in 0..6 {
            let moved = |by: f64| {
                let mut student = STUDENT;
                student[i] += by;
                by_hand(&TEACHER, &student, 3.0)
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((got[i] - expected).abs() < 1e-8, "{i}: {} and {expected}", got[i]);
        }
    }

    #[test]
    fn certain_policies_give_finite_losses() {
        let device = Device::flex();
        let teacher = tensor(&[1000.0, 0.0, -1000.0, 0.0, 0.0, 0.0], &device);
        let student = tensor(&[-1000.0, 0.0, 1000.0, 0.0, 0.0, 0.0], &device);
        let got: f64 = kd_loss(&choices(), teacher, student, 1.0).into_scalar();
        assert!(got.is_finite() && got > 900.0, "{got}");
    }

    /// Of two choices it is the sum of both; of Gaussians that of their densities.
    #[test]
    fn divergences_of_several_choices_and_of_gaussians() {
        let device = Device::flex();
        let (t, s) = ([1.0, 0.0, -1.0, 0.2, 2.0, 0.1], [0.5, 0.1, 0.3, -0.2, 0.4, 1.1]);
        let row = |values: &[f64]| {
            let shape = [1, values.len()];
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), (&device, DType::F64))
        };
        let both = Distribution::Categorical { nvec: vec![4, 2] };
        let got: f64 = kd_loss(&both, row(&t), row(&s), 2.0).into_scalar();
        let part = |range: std::ops::Range<usize>| -> f64 {
            let alone = Distribution::Categorical { nvec: vec![range.len()] };
            kd_loss(&alone, row(&t[range.clone()]), row(&s[range]), 2.0).into_scalar()
        };
        assert!((got - part(0..4) - part(4..6)).abs() < 1e-12);

        let gaussian = Distribution::Gaussian { dim: 1, squash: false };
        let (p, q) = ([0.5, -0.2], [-0.1, 0.3]);
        let log_density = |[mean, log_std]: [f64; 2], x: f64| {
            let z = (x - mean) / f64::exp(log_std);
            -0.5 * z * z - log_std - 0.5 * std::f64::consts::TAU.ln()
        };
        let at = |i: i32| f64::from(i) / 1000.0;
        let kl =
            (-20_000..20_000).map(|i| log_density(p, at(i)).exp() * (log_density(p, at(i)) - log_density(q, at(i))));
        let expected = kl.sum::<f64>() / 1000.0;
        let got: f64 = kd_loss(&gaussian, row(&p), row(&q), 1.0).into_scalar();
        assert!((got - expected).abs() < 1e-6, "{got} and {expected}");
    }

    /// A forbidden choice is as if it were not there, whatever the student makes of it.
    #[test]
    fn what_the_teacher_was_not_allowed_does_not_count() {
        let device = Device::flex();
        let row = |values: &[f64]| {
            let shape = [1, values.len()];
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), (&device, DType::F64))
        };
        let with = |forbidden: f64| -> f64 {
            let teacher = row(&[1.0, MASKED_LOGIT.into(), -1.0]);
            kd_loss(&choices(), teacher, row(&[0.5, forbidden, 0.3]), 2.0).into_scalar()
        };
        let two = Distribution::Categorical { nvec: vec![2] };
        let without: f64 = kd_loss(&two, row(&[1.0, -1.0]), row(&[0.5, 0.3]), 2.0).into_scalar();
        assert!((with(9.0) - without).abs() < 1e-12 && (with(-9.0) - without).abs() < 1e-12);
    }
}
