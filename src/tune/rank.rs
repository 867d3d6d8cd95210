//! What makes one trial better than another.

/// What a trial came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Score {
    /// The more the better.
    pub(crate) value: f64,
    /// The fewer the better.
    pub(crate) parameters: usize,
}

impl Score {
    /// Whether this one is at least as good in both, and better in one.
    fn dominates(&self, other: &Self) -> bool {
        self.value >= other.value && self.parameters <= other.parameters && self != other
    }
}

/// The indices of the trials that no other dominates and that reach `target`, the smallest first. Of equal ones the
/// first.
pub(crate) fn front(scores: &[Option<Score>], target: f64) -> Vec<usize> {
    let reached = |score: &Score| score.value >= target;
    let scored = || scores.iter().enumerate().filter_map(|(i, score)| Some((i, score.filter(reached)?)));
    let beaten =
        |i: usize, score: &Score| scored().any(|(j, other)| other.dominates(score) || other == *score && j < i);
    let mut front: Vec<(usize, Score)> = scored().filter(|(i, score)| !beaten(*i, score)).collect();
    front.sort_by_key(|(_, score)| score.parameters);
    front.into_iter().map(|(i, _)| i).collect()
}

/// The cost of every trial. Those that reach `target` are ranked by fronts: of the first one 0, of the one behind it 1, and
/// so on, as in multi-objective TPE (Ozaki et al. 2020). Behind them all come those that miss it, by how far; and last
/// those without a score.
pub(crate) fn costs(scores: &[Option<Score>], target: f64) -> Vec<f64> {
    let mut costs = vec![f64::MAX; scores.len()];
    let mut left = scores.to_vec();
    let mut rank = 0.0;
    loop {
        let next = front(&left, target);
        if next.is_empty() {
            break;
        }
        for &i in &next {
            costs[i] = rank;
            // Equal ones share their rank.
            let equal = left[i];
            for (j, score) in left.iter_mut().enumerate() {
                if *score == equal {
                    costs[j] = rank;
                    *score = None;
                }
            }
        }
        rank += 1.0;
    }
    for (cost, score) in costs.iter_mut().zip(scores) {
        if let Some(score) = score.filter(|score| score.value < target) {
            *cost = rank + (target - score.value).min(1e300);
        }
    }
    costs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(value: f64, parameters: usize) -> Option<Score> {
        Some(Score { value, parameters })
    }

    #[test]
    fn fronts_rank_before_misses_and_those_before_nothing() {
        let scores =
            [score(1.0, 100), score(0.98, 10), score(0.99, 100), score(0.5, 1), None, score(0.98, 10), score(0.9, 2)];
        assert_eq!(front(&scores, 0.95), [1, 0]);
        assert_eq!(front(&scores, f64::NEG_INFINITY), [3, 6, 1, 0]);
        let costs = costs(&scores, 0.95);
        assert_eq!(&costs[..3], [0.0, 0.0, 1.0]);
        assert_eq!((costs[5], costs[4]), (0.0, f64::MAX));
        assert!((costs[3] - 2.45).abs() < 1e-12 && (costs[6] - 2.05).abs() < 1e-12, "{costs:?}");
    }
}
