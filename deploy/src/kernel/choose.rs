//! From the outputs of a policy to its action.

use super::math::exp;

/// The index of the largest score, the first of equals; NaN is never the largest. 0 for no scores.
#[inline]
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = 0;
    for (i, &score) in scores.iter().enumerate() {
        if score > scores[best] || (scores[best].is_nan() && !score.is_nan()) {
            best = i;
        }
    }
    best
}

/// The choice that `uniform`, a draw from [0, 1), picks from the distribution with these logits: the first one whose
/// cumulative probability exceeds it.
pub fn choose(logits: &[f32], uniform: f64) -> usize {
    // Weights that are kept, so that most policies have none to compute twice.
    let mut kept = [0.0; 8];
    let mut max = f32::NAN;
    for &logit in logits {
        max = max.max(logit);
    }
    let weight = |logit: f32| exp(f64::from(logit - max));
    let mut sum = 0.0;
    for (choice, &logit) in logits.iter().enumerate() {
        let weight = weight(logit);
        if let Some(kept) = kept.get_mut(choice) {
            *kept = weight;
        }
        sum += weight;
    }
    let mut rest = uniform * sum;
    // Rounding can leave a hair's breadth; it belongs to the last choice that is possible at all.
    let mut last = 0;
    for (choice, &logit) in logits.iter().enumerate() {
        let weight = kept.get(choice).copied().unwrap_or_else(|| weight(logit));
        rest -= weight;
        if rest < 0.0 {
            return choice;
        }
        if weight > 0.0 {
            last = choice;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn argmax_takes_the_first_of_equals_and_never_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        assert_eq!(argmax(&[f32::NAN, 2.0, f32::NAN]), 1);
        assert_eq!(argmax(&[f32::NAN, f32::NEG_INFINITY]), 1);
        assert_eq!(argmax(&[f32::NAN, f32::NAN]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn a_draw_of_almost_1_takes_the_last_choice_that_is_possible() {
        let almost_1 = 1.0 - f64::EPSILON / 2.0;
        assert_eq!(choose(&[0.2_f32.ln(), 0.5_f32.ln(), 0.3_f32.ln()], almost_1), 2);
        assert_eq!(choose(&[0.0, f32::NEG_INFINITY], almost_1), 0);
        assert_eq!(choose(&[0.0, -1e8], almost_1), 0);
    }
}
