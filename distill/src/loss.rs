//! Distillation losses.

use burn::tensor::{Tensor, activation};

/// The KL divergence of the student's softened policy from the teacher's, mean over the batch:
///
/// ```text
/// L_KD = T² · mean KL(softmax(z_teacher / T) ‖ softmax(z_student / T))
/// ```
///
/// T² keeps the size of the gradient independent of T. Both sides are log-softmax, so that no probability
/// underflows. (Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network*, 2015.)
///
/// # Shapes
/// `teacher` and `student` are logits (or log-probabilities, which are logits too), `[batch, actions]` → scalar.
pub fn kd_loss(teacher: Tensor<2>, student: Tensor<2>, temperature: f64) -> Tensor<1> {
    let soften = |logits: Tensor<2>| activation::log_softmax(logits.div_scalar(temperature), 1);
    let teacher = soften(teacher);
    let divergence = teacher.clone().exp() * (teacher - soften(student));
    divergence.sum_dim(1).mean().mul_scalar(temperature * temperature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

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
            let got: f64 = kd_loss(tensor(&TEACHER, &device), tensor(&STUDENT, &device), temperature).into_scalar();
            assert!((got - by_hand(&TEACHER, &STUDENT, temperature)).abs() < 1e-12);
        }
        let same: f64 = kd_loss(tensor(&TEACHER, &device), tensor(&TEACHER, &device), 2.0).into_scalar();
        assert!(same.abs() < 1e-15);
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences_and_only_the_students() {
        let device = Device::flex().autodiff();
        let student = tensor(&STUDENT, &device).require_grad();
        let grads = kd_loss(tensor(&TEACHER, &device), student.clone(), 3.0).backward();
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
        let got: f64 = kd_loss(teacher, student, 1.0).into_scalar();
        assert!(got.is_finite() && got > 900.0, "{got}");
    }
}
