//! Every loss three ways: its definition in plain f64, the formula on tensors, and the one with its gradient by hand.

use super::*;
use apprentice_deploy::MASKED_LOGIT;
use apprentice_envs::Generator;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// The definitions, of one state.
fn definition(loss: PolicyLoss, distribution: &Distribution, t: &[f64], s: &[f64], temperatures: Temperatures) -> f64 {
    match distribution {
        Distribution::Categorical { .. } => {
            let part = |range: std::ops::Range<usize>| choice(loss, &t[range.clone()], &s[range], temperatures);
            distribution.choices().map(part).sum()
        }
        Distribution::Gaussian { dim, .. } => {
            let clamp = |x: f64| x.clamp(-20.0, 2.0);
            let one = |i: usize| normal(loss, [t[i], clamp(t[dim + i])], [s[i], clamp(s[dim + i])], *dim as f64);
            (0..*dim).map(one).sum()
        }
    }
}

fn softmax(logits: &[f64], temperature: f64) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = logits.iter().map(|z| ((z - max) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

/// What was forbidden is left out, as if it were no choice at all.
fn choice(loss: PolicyLoss, t: &[f64], s: &[f64], Temperatures { softening, sharpening }: Temperatures) -> f64 {
    let n = t.len() as f64;
    let allowed: Vec<usize> = (0..t.len()).filter(|&j| t[j] > 0.5 * f64::from(MASKED_LOGIT)).collect();
    let [t, s] = [t, s].map(|z| allowed.iter().map(|&j| z[j]).collect::<Vec<f64>>());
    let (p, q) = (softmax(&t, softening), softmax(&s, softening));
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 { p.iter().zip(&q).map(|(p, q)| f(*p, *q)).sum() };
    let kl = |p: &[f64], q: &[f64]| -> f64 { p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum() };
    let soft = softening * softening;
    let centred = |z: &[f64]| {
        let mean = z.iter().sum::<f64>() / z.len() as f64;
        z.iter().map(|z| z - mean).collect::<Vec<_>>()
    };
    let errors = || centred(&t).into_iter().zip(centred(&s)).map(|(t, s)| s - t).collect::<Vec<f64>>();
    match loss {
        PolicyLoss::Kl => soft * kl(&p, &q),
        PolicyLoss::ReverseKl => soft * kl(&q, &p),
        PolicyLoss::JensenShannon => {
            let m: Vec<f64> = p.iter().zip(&q).map(|(p, q)| 0.5 * (p + q)).collect();
            soft * 0.5 * (kl(&p, &m) + kl(&q, &m))
        }
        PolicyLoss::CrossEntropy => -soft * sum(&|p, q| p * q.ln()),
        PolicyLoss::ReverseCrossEntropy => -soft * sum(&|p, q| q * p.ln()),
        PolicyLoss::BinaryCrossEntropy => -soft / n * sum(&|p, q| p * q.ln() + (1.0 - p) * (1.0 - q).ln()),
        PolicyLoss::Hard => {
            let best = (0..t.len()).rev().max_by(|&a, &b| t[a].total_cmp(&t[b])).unwrap();
            -softmax(&s, 1.0)[best].ln()
        }
        PolicyLoss::SharpenedKl => kl(&softmax(&t, sharpening), &softmax(&s, 1.0)),
        PolicyLoss::Mse => errors().iter().map(|e| e * e).sum::<f64>() / t.len() as f64,
        PolicyLoss::Huber => errors().iter().map(|e| huber(*e)).sum::<f64>() / t.len() as f64,
    }
}

fn huber(e: f64) -> f64 {
    if e.abs() <= 1.0 { 0.5 * e * e } else { e.abs() - 0.5 }
}

/// Integrals over the real line, where the notes have closed forms.
fn normal(loss: PolicyLoss, t: [f64; 2], s: [f64; 2], dims: f64) -> f64 {
    let log_density = |[mean, log_std]: [f64; 2], x: f64| {
        let z = (x - mean) / log_std.exp();
        -0.5 * z * z - log_std - 0.5 * std::f64::consts::TAU.ln()
    };
    let expect = |of: [f64; 2], f: &dyn Fn(f64) -> f64| -> f64 {
        let step = of[1].exp() / 1000.0;
        let point = |i: i32| of[0] + f64::from(i) * step;
        (-12_000..12_000).map(|i| log_density(of, point(i)).exp() * f(point(i))).sum::<f64>() * step
    };
    match loss {
        PolicyLoss::Kl => expect(t, &|x| log_density(t, x) - log_density(s, x)),
        PolicyLoss::ReverseKl => expect(s, &|x| log_density(s, x) - log_density(t, x)),
        PolicyLoss::CrossEntropy => -expect(t, &|x| log_density(s, x)),
        PolicyLoss::ReverseCrossEntropy => -expect(s, &|x| log_density(t, x)),
        PolicyLoss::Hard => -log_density(s, t[0]),
        PolicyLoss::Mse => (s[0] - t[0]).powi(2) / dims,
        PolicyLoss::Huber => huber(s[0] - t[0]) / dims,
        _ => unreachable!("it does not apply"),
    }
}

/// A distribution and what it is tried with: logits of every size, forbidden choices, deviations beyond their bounds.
fn cases() -> Vec<(Distribution, Vec<f64>, Vec<f64>)> {
    let mut rng = Generator::new(1);
    let mut draw = |scale: f64| scale * (2.0 * rng.random() - 1.0);
    let mut cases = Vec::new();
    for nvec in [vec![2], vec![3], vec![5, 2, 3]] {
        let n = nvec.iter().sum();
        for scale in [0.1, 1.0, 4.0] {
            let mut teacher: Vec<f64> = (0..n).map(|_| draw(scale)).collect();
            let student = (0..n).map(|_| draw(scale)).collect();
            cases.push((Distribution::Categorical { nvec: nvec.clone() }, teacher.clone(), student));
            if n > 2 {
                teacher[1] = MASKED_LOGIT.into();
                let student = (0..n).map(|_| draw(scale)).collect();
                cases.push((Distribution::Categorical { nvec: nvec.clone() }, teacher, student));
            }
        }
    }
    for dim in [1, 3] {
        for scale in [0.1, 1.0] {
            let [teacher, student] = [(); 2].map(|()| (0..2 * dim).map(|_| draw(scale)).collect());
            cases.push((Distribution::Gaussian { dim, squash: false }, teacher, student));
        }
    }
    cases
}

fn temperatures(distribution: &Distribution) -> Vec<Temperatures> {
    let soft = if matches!(distribution, Distribution::Categorical { .. }) { &[1.0, 0.5, 4.0][..] } else { &[1.0] };
    soft.iter().map(|&softening| Temperatures { softening, sharpening: 0.1 }).collect()
}

fn each(mut test: impl FnMut(PolicyLoss, &Distribution, &[f64], &[f64], Temperatures)) {
    for (distribution, teacher, student) in cases() {
        for loss in PolicyLoss::ALL.into_iter().filter(|loss| loss.applies_to(&distribution)) {
            for temperatures in temperatures(&distribution) {
                test(loss, &distribution, &teacher, &student, temperatures);
            }
        }
    }
}

fn row(values: &[f64], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), (device, DType::F64))
}

#[test]
fn formulas_on_tensors_are_the_definitions() {
    let device = Device::flex();
    each(|loss, distribution, t, s, temperatures| {
        let got: f64 =
            policy_loss(loss, distribution, &row(t, &device), &row(s, &device), temperatures).sum().into_scalar();
        let expected = definition(loss, distribution, t, s, temperatures);
        let error = (got - expected).abs();
        assert!(error <= 1e-5 * (1.0 + expected.abs()), "{loss:?} {distribution:?} {t:?} {s:?}: {got}, {expected}");
    });
}

#[test]
fn losses_by_hand_are_the_definitions_and_their_gradients_those_of_finite_differences() {
    each(|loss, distribution, t, s, temperatures| {
        let f32s = |values: &[f64]| values.iter().map(|x| *x as f32).collect::<Vec<_>>();
        let (mut grads, weight) = (vec![0.0; t.len()], 0.7);
        let got = add_loss(
            (loss, weight),
            distribution,
            &f32s(t),
            &f32s(s),
            temperatures,
            &mut grads,
            &mut Scratch::default(),
        );
        let at = |s: &[f64]| f64::from(weight) * definition(loss, distribution, t, s, temperatures);
        let error = (f64::from(got) - at(s)).abs();
        assert!(error <= 2e-5 * (1.0 + at(s).abs()), "{loss:?} {distribution:?} {temperatures:?}: {got}, {}", at(s));
        for i in 0..t.len() {
            let moved = |by: f64| {
                let mut s = s.to_vec();
                s[i] += by;
                at(&s)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let error = (f64::from(grads[i]) - slope).abs();
            assert!(error <= 1e-3 * (1e-2 + slope.abs()), "{loss:?} {distribution:?} {i}: {} and {slope}", grads[i]);
        }
    });
}

#[test]
fn gradients_on_tensors_are_those_by_hand_and_only_the_students() {
    let device = Device::flex().autodiff();
    each(|loss, distribution, t, s, temperatures| {
        let student = row(s, &device).require_grad();
        let teacher = row(t, &device).require_grad();
        let grads = policy_loss(loss, distribution, &teacher.clone().detach(), &student, temperatures).sum().backward();
        assert!(teacher.grad(&grads).is_none());
        let on_tensors: Vec<f64> = student.grad(&grads).unwrap().into_data().try_to_vec().unwrap();
        let f32s = |values: &[f64]| values.iter().map(|x| *x as f32).collect::<Vec<_>>();
        let mut by_hand = vec![0.0; t.len()];
        let scratch = &mut Scratch::default();
        add_loss((loss, 1.0), distribution, &f32s(t), &f32s(s), temperatures, &mut by_hand, scratch);
        for (a, b) in on_tensors.iter().zip(&by_hand) {
            let error = (a - f64::from(*b)).abs();
            assert!(error <= 2e-5 * (1.0 + a.abs()), "{loss:?} {distribution:?} {temperatures:?}: {on_tensors:?}");
        }
    });
}

/// T² keeps the size of the gradient: without it, it would fall by a factor of 64 from T = 2 to T = 16.
#[test]
fn softening_keeps_the_scale_of_the_gradient() {
    let mut rng = Generator::new(3);
    let distribution = Distribution::Categorical { nvec: vec![4] };
    let mut logits = || (0..4).map(|_| rng.random() as f32 - 0.5).collect::<Vec<f32>>();
    let pairs: Vec<_> = (0..100).map(|_| (logits(), logits())).collect();
    let size = |softening| {
        let temperatures = Temperatures { softening, ..Temperatures::default() };
        let norm = |(t, s): &(Vec<f32>, Vec<f32>)| {
            let mut grads = vec![0.0; 4];
            let scratch = &mut Scratch::default();
            add_loss((PolicyLoss::Kl, 1.0), &distribution, t, s, temperatures, &mut grads, scratch);
            grads.iter().map(|g| g * g).sum::<f32>().sqrt()
        };
        pairs.iter().map(norm).sum::<f32>()
    };
    let at_2 = size(2.0);
    for softening in [2.0, 4.0, 8.0, 16.0] {
        assert!((size(softening) / at_2 - 1.0).abs() < 0.1, "{softening}: {} and {at_2}", size(softening));
    }
}

#[test]
fn certain_policies_give_finite_losses() {
    let device = Device::flex();
    let (t, s) = ([1000.0, 0.0, -1000.0], [-1000.0, 0.0, 1000.0]);
    let three = Distribution::Categorical { nvec: vec![3] };
    for loss in PolicyLoss::ALL {
        let mut grads = vec![0.0; 3];
        let [a, b] = [t, s].map(|values| values.map(|x| x as f32));
        let (temperatures, scratch) = (Temperatures::default(), &mut Scratch::default());
        let by_hand = add_loss((loss, 1.0), &three, &a, &b, temperatures, &mut grads, scratch);
        let got: f64 =
            policy_loss(loss, &three, &row(&t, &device), &row(&s, &device), temperatures).sum().into_scalar();
        assert!(got.is_finite() && by_hand.is_finite() && grads.iter().all(|g| g.is_finite()), "{loss:?}: {got}");
    }
}

#[test]
fn losses_without_a_closed_form_and_temperatures_of_real_numbers_are_refused() {
    let gaussian = Distribution::Gaussian { dim: 1, squash: false };
    let check = |loss, softening| {
        check_losses(&[(loss, 1.0)], Temperatures { softening, ..Temperatures::default() }, &gaussian)
    };
    let error = check(PolicyLoss::JensenShannon, 1.0).unwrap_err();
    assert!(error.is_config() && error.to_string().contains("losses.jensen_shannon"), "{error}");
    assert!(check(PolicyLoss::Kl, 2.0).unwrap_err().to_string().contains("temperature"));
    check(PolicyLoss::ReverseKl, 1.0).unwrap();
}
