//! Decision trees: questions about single features, and rows of outputs as answers.

/// A question of a tree: is x\[feature\] ≤ threshold?
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// The feature it is about: after the encoding and the normaliser, like the input of a first layer.
    pub feature: u32,
    /// Finite.
    pub threshold: f32,
    /// Where to go if the feature is at most the threshold.
    pub left: Child,
    /// Where to go if it is greater.
    pub right: Child,
}

/// What comes after a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// Another question, by its index.
    Split(u32),
    /// An answer, by its index.
    Leaf(u32),
}

/// The leaf that features `x` come to, among the leaves of a tree with these `splits`; 0 if there are none.
///
/// # Panics
/// If a split is about a feature, or leads to a split, that is not there.
#[inline]
pub fn descend(splits: &[Split], x: &[f32]) -> usize {
    let mut at = if splits.is_empty() { Child::Leaf(0) } else { Child::Split(0) };
    loop {
        match at {
            Child::Leaf(leaf) => return leaf as usize,
            Child::Split(i) => {
                let split = &splits[i as usize];
                at = if x[split.feature as usize] <= split.threshold { split.left } else { split.right };
            }
        }
    }
}

#[cfg(feature = "std")]
pub use owned::Tree;

#[cfg(feature = "std")]
mod owned {
    use super::{Child, Split, descend};
    use crate::Error;

    /// A decision tree. Its root is the first split; without splits it is a single leaf.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Tree {
        /// The questions. Each stands before those below it, and each but the first follows exactly one other.
        pub splits: Vec<Split>,
        /// The answers, `[leaves × outputs]`: in each row what a last layer would compute, which is logits for choices
        /// (such as logarithms of the shares of the samples in the leaf) and means for real actions. There is one leaf
        /// more than there are splits, and each follows exactly one of them.
        pub leaves: Vec<f32>,
    }

    impl Tree {
        /// The outputs for features `x`.
        pub fn outputs(&self, x: &[f32]) -> &[f32] {
            let width = self.width();
            &self.leaves[descend(&self.splits, x) * width..][..width]
        }

        /// The number of outputs.
        pub fn width(&self) -> usize {
            self.leaves.len() / (self.splits.len() + 1)
        }

        /// Splits and leaves together.
        pub fn nodes(&self) -> usize {
            2 * self.splits.len() + 1
        }

        /// The number of questions on the longest way from the root to a leaf.
        pub fn depth(&self) -> usize {
            let mut deepest = 0;
            let mut depth = vec![1; self.splits.len()];
            for (i, split) in self.splits.iter().enumerate() {
                deepest = deepest.max(depth[i]);
                for child in [split.left, split.right] {
                    if let Child::Split(child) = child {
                        depth[child as usize] = depth[i] + 1;
                    }
                }
            }
            deepest
        }

        /// Refuses what is no tree from `inputs` features to `outputs` outputs.
        pub(crate) fn check(&self, inputs: usize, outputs: usize) -> Result<(), Error> {
            let leaves = self.splits.len() + 1;
            if Some(self.leaves.len()) != leaves.checked_mul(outputs) {
                return Err(Error::shape(format!(
                    "tree: expected a row of {outputs} outputs for each of {leaves} leaves, one more than there are \
                     splits, got {} numbers",
                    self.leaves.len()
                )));
            }
            if !self.leaves.iter().chain(self.splits.iter().map(|split| &split.threshold)).all(|x| x.is_finite()) {
                return Err(Error::shape("tree: a threshold or an output is not finite"));
            }
            let (mut split_seen, mut leaf_seen) = (vec![false; leaves - 1], vec![false; leaves]);
            for (i, split) in self.splits.iter().enumerate() {
                if split.feature as usize >= inputs {
                    return Err(Error::shape(format!(
                        "tree: split {i} is about feature {}: expected one of 0 to {}",
                        split.feature,
                        inputs - 1
                    )));
                }
                for child in [split.left, split.right] {
                    let seen = match child {
                        Child::Split(child) if child as usize > i => split_seen.get_mut(child as usize),
                        Child::Split(_) => None,
                        Child::Leaf(leaf) => leaf_seen.get_mut(leaf as usize),
                    };
                    if seen.is_none_or(|seen| std::mem::replace(seen, true)) {
                        return Err(Error::shape(format!(
                            "tree: split {i} leads to {child:?}: expected a later split or a leaf that is there and \
                             that no other leads to"
                        )));
                    }
                }
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x₀ ≤ 0.5 and x₁ ≤ −1, otherwise x₀ > 0.5.
    fn splits() -> [Split; 2] {
        [
            Split { feature: 0, threshold: 0.5, left: Child::Split(1), right: Child::Leaf(2) },
            Split { feature: 1, threshold: -1.0, left: Child::Leaf(0), right: Child::Leaf(1) },
        ]
    }

    #[test]
    fn a_threshold_itself_goes_left() {
        for (x, leaf) in [([0.5, -1.0], 0), ([0.5, -0.9], 1), ([0.6, -1.0], 2), ([-9.0, 9.0], 1)] {
            assert_eq!(descend(&splits(), &x), leaf, "{x:?}");
        }
        assert_eq!(descend(&[], &[]), 0);
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_tree_counts_its_nodes_and_refuses_to_be_none() {
        let tree = Tree { splits: splits().to_vec(), leaves: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] };
        assert_eq!((tree.nodes(), tree.depth(), tree.width()), (5, 2, 2));
        assert_eq!(tree.outputs(&[0.6, 0.0]), [4.0, 5.0]);
        let single = Tree { splits: vec![], leaves: vec![7.0] };
        assert_eq!((single.nodes(), single.depth(), single.outputs(&[])), (1, 0, &[7.0][..]));
        assert!(tree.check(2, 2).is_ok() && single.check(1, 1).is_ok());

        let broken = |change: fn(&mut Tree)| {
            let mut tree = tree.clone();
            change(&mut tree);
            tree.check(2, 2).unwrap_err().is_shape()
        };
        assert!(tree.check(1, 2).unwrap_err().is_shape(), "a feature that is not there");
        assert!(broken(|tree| tree.leaves.truncate(5)));
        assert!(broken(|tree| tree.leaves[3] = f32::NAN));
        assert!(broken(|tree| tree.splits[0].threshold = f32::INFINITY));
        assert!(broken(|tree| tree.splits[1].left = Child::Split(0)), "a way back");
        assert!(broken(|tree| tree.splits[1].left = Child::Split(1)), "a way to itself");
        assert!(broken(|tree| tree.splits[1].left = Child::Split(9)));
        assert!(broken(|tree| tree.splits[1].left = Child::Leaf(3)));
        assert!(broken(|tree| tree.splits[1].left = Child::Leaf(2)), "two ways to one leaf");
    }
}
