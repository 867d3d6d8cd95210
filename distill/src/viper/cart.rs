//! Regression trees: CART (Breiman et al., *Classification and Regression Trees*, 1984), grown best first.
//!
//! A tree minimises the weighted squared error of its leaves' means. With one-hot targets this error is the Gini
//! impurity, so that one criterion serves for choices and for real numbers.

use apprentice_deploy::{Child, Split, Tree};
use ndarray::ArrayView2;

/// Rows to learn from.
pub(crate) struct Examples<'a> {
    /// `[samples, features]`.
    pub(crate) features: ArrayView2<'a, f32>,
    /// `[samples, targets]`.
    pub(crate) targets: ArrayView2<'a, f32>,
    /// `[samples]`: what each counts for, not negative.
    pub(crate) weights: &'a [f64],
}

/// The largest tree that may be grown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Splits and leaves together.
    pub(crate) max_nodes: usize,
    /// Splits on the longest way to a leaf.
    pub(crate) max_depth: usize,
}

/// A node that may still be split.
struct Node {
    rows: Vec<u32>,
    /// They by each feature.
    orders: Vec<Order>,
    depth: usize,
    cut: Option<Cut>,
    children: Option<(usize, usize)>,
}

/// Rows by a feature.
enum Order {
    /// All of them in its order.
    Sorted(Vec<u32>),
    /// Those with the higher one of its two values. Where observations are integers there are hundreds of such features, and
    /// each row has the higher value in one of them: all together they are as long as one that is sorted.
    Two { low: f32, high: f32, above: Vec<u32> },
}

impl Order {
    /// Parts of a sorted row are sorted.
    fn partition(self, is_left: impl Fn(&u32) -> bool) -> (Self, Self) {
        match self {
            Self::Sorted(rows) => {
                let (left, right) = rows.into_iter().partition(is_left);
                (Self::Sorted(left), Self::Sorted(right))
            }
            Self::Two { low, high, above } => {
                let (left, right) = above.into_iter().partition(is_left);
                (Self::Two { low, high, above: left }, Self::Two { low, high, above: right })
            }
        }
    }
}

/// The values of a feature.
#[derive(Clone)]
struct Values {
    low: f32,
    high: f32,
    /// Whether there are others in between.
    more: bool,
}

/// The rows by every feature.
fn orders(features: ArrayView2<'_, f32>, rows: &[u32]) -> Vec<Order> {
    // Row by row, as they lie in memory.
    let none = Values { low: f32::INFINITY, high: f32::NEG_INFINITY, more: false };
    let mut values = vec![none; features.ncols()];
    for row in rows {
        for (Values { low, high, more }, x) in values.iter_mut().zip(features.row(*row as usize)) {
            *more |= *low < *high && x != low && x != high;
            (*low, *high) = (low.min(*x), high.max(*x));
        }
    }
    let mut above = vec![Vec::new(); features.ncols()];
    for row in rows {
        for ((above, of), x) in above.iter_mut().zip(&values).zip(features.row(*row as usize)) {
            if !of.more && *x == of.high && of.low < of.high {
                above.push(*row);
            }
        }
    }
    let sorted = |feature: usize| {
        let value = |row: u32| features[[row as usize, feature]];
        let mut order = rows.to_vec();
        order.sort_unstable_by(|a, b| value(*a).total_cmp(&value(*b)).then(a.cmp(b)));
        Order::Sorted(order)
    };
    let by_feature = values.into_iter().zip(above).enumerate();
    by_feature
        .map(
            |(feature, (Values { low, high, more }, above))| {
                if more { sorted(feature) } else { Order::Two { low, high, above } }
            },
        )
        .collect()
}

/// The best way to split a node.
#[derive(Clone, Copy)]
struct Cut {
    feature: usize,
    threshold: f32,
    /// By how much it reduces the squared error.
    gain: f64,
}

/// Grows a tree whose leaves are the weighted means of the targets, always splitting where that reduces the error most.
/// Of equal splits it takes the first, so that the same examples give the same tree.
pub(crate) fn grow(examples: &Examples<'_>, limits: Limits) -> Tree {
    let counts = |row: &u32| examples.weights[*row as usize] > 0.0;
    let rows: Vec<u32> = (0..examples.features.nrows() as u32).filter(counts).collect();
    let orders = orders(examples.features, &rows);
    let mut nodes = vec![node(examples, rows, orders, 0, limits)];
    while nodes.len() + 2 <= limits.max_nodes {
        let gain = |node: &Node| node.cut.filter(|_| node.children.is_none()).map(|cut| cut.gain);
        let open = nodes.iter().enumerate().filter_map(|(i, node)| Some((i, gain(node)?)));
        // The first of equals: the last one that is strictly greater.
        let best = open.fold(None, |best: Option<(usize, f64)>, (i, gain)| match best {
            Some((_, most)) if gain <= most => best,
            _ => Some((i, gain)),
        });
        let Some((i, _)) = best else { break };
        let cut = nodes[i].cut.expect("it has a gain");
        let is_left = |row: &u32| examples.features[[*row as usize, cut.feature]] <= cut.threshold;
        let (left_rows, right_rows) = std::mem::take(&mut nodes[i].rows).into_iter().partition(is_left);
        let orders = std::mem::take(&mut nodes[i].orders).into_iter();
        let (left, right): (Vec<_>, Vec<_>) = orders.map(|order| order.partition(is_left)).unzip();
        let depth = nodes[i].depth + 1;
        nodes[i].children = Some((nodes.len(), nodes.len() + 1));
        nodes.push(node(examples, left_rows, left, depth, limits));
        nodes.push(node(examples, right_rows, right, depth, limits));
    }
    let mut tree = Tree { splits: Vec::new(), leaves: Vec::new() };
    write(&nodes, 0, examples, &mut tree);
    tree
}

fn node(examples: &Examples<'_>, rows: Vec<u32>, orders: Vec<Order>, depth: usize, limits: Limits) -> Node {
    let cut = if depth < limits.max_depth { best_cut(examples, &rows, &orders) } else { None };
    Node { rows, orders, depth, cut, children: None }
}

/// Writes a node and what is below it, parents before their children.
fn write(nodes: &[Node], at: usize, examples: &Examples<'_>, tree: &mut Tree) -> Child {
    let node = &nodes[at];
    let (Some((left, right)), Some(cut)) = (node.children, node.cut) else {
        let leaf = tree.leaves.len() / examples.targets.ncols();
        tree.leaves.extend(mean(examples, &node.rows));
        return Child::Leaf(leaf as u32);
    };
    let index = tree.splits.len();
    let unknown = Child::Leaf(0);
    tree.splits.push(Split { feature: cut.feature as u32, threshold: cut.threshold, left: unknown, right: unknown });
    tree.splits[index].left = write(nodes, left, examples, tree);
    tree.splits[index].right = write(nodes, right, examples, tree);
    Child::Split(index as u32)
}

fn mean(examples: &Examples<'_>, rows: &[u32]) -> Vec<f32> {
    let mut sums = Sums::new(examples.targets.ncols());
    rows.iter().for_each(|row| sums.add(examples, *row, 1.0));
    sums.of.iter().map(|sum| if sums.weight > 0.0 { (sum / sums.weight) as f32 } else { 0.0 }).collect()
}

/// Weighted sums of targets.
#[derive(Clone)]
struct Sums {
    weight: f64,
    of: Vec<f64>,
}

impl Sums {
    fn new(targets: usize) -> Self {
        Self { weight: 0.0, of: vec![0.0; targets] }
    }

    fn add(&mut self, examples: &Examples<'_>, row: u32, sign: f64) {
        let weight = sign * examples.weights[row as usize];
        self.weight += weight;
        let targets = examples.targets.row(row as usize);
        self.of.iter_mut().zip(targets).for_each(|(sum, target)| *sum += weight * f64::from(*target));
    }

    /// Σ S² / W: the larger it is, the smaller the squared error around the mean.
    fn explained(&self) -> f64 {
        self.of.iter().map(|sum| sum * sum).sum::<f64>() / self.weight.max(f64::MIN_POSITIVE)
    }
}

fn best_cut(examples: &Examples<'_>, rows: &[u32], orders: &[Order]) -> Option<Cut> {
    let mut all = Sums::new(examples.targets.ncols());
    rows.iter().for_each(|row| all.add(examples, *row, 1.0));
    // Less than rounding is no gain.
    let before = all.explained();
    let mut best = Cut { feature: 0, threshold: 0.0, gain: 1e-9 * all.weight };
    let mut found = false;
    let mut consider = |feature: usize, (low, high): (f32, f32), left: &Sums, right: &Sums| {
        let gain = left.explained() + right.explained() - before;
        if gain > best.gain {
            // Half-way, unless rounding takes that to the upper value, which belongs to the right.
            let middle = low + 0.5 * (high - low);
            best = Cut { feature, threshold: if middle < high { middle } else { low }, gain };
            found = true;
        }
    };
    for (feature, order) in orders.iter().enumerate() {
        match order {
            Order::Sorted(order) => {
                let value = |row: u32| examples.features[[row as usize, feature]];
                let (mut left, mut right) = (Sums::new(all.of.len()), all.clone());
                for pair in order.windows(2) {
                    left.add(examples, pair[0], 1.0);
                    right.add(examples, pair[0], -1.0);
                    let (low, high) = (value(pair[0]), value(pair[1]));
                    if low != high {
                        consider(feature, (low, high), &left, &right);
                    }
                }
            }
            Order::Two { low, high, above } if (1..rows.len()).contains(&above.len()) => {
                let (mut left, mut right) = (all.clone(), Sums::new(all.of.len()));
                for row in above {
                    left.add(examples, *row, -1.0);
                    right.add(examples, *row, 1.0);
                }
                consider(feature, (*low, *high), &left, &right);
            }
            Order::Two { .. } => {}
        }
    }
    found.then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn grown(features: &Array2<f32>, targets: &Array2<f32>, weights: &[f64], max_nodes: usize) -> Tree {
        let examples = Examples { features: features.view(), targets: targets.view(), weights };
        grow(&examples, Limits { max_nodes, max_depth: 8 })
    }

    #[test]
    fn a_tree_finds_the_corners_of_a_staircase() {
        let features = Array2::from_shape_fn((100, 2), |(i, j)| if j == 0 { (i / 10) as f32 } else { (i % 10) as f32 });
        let class = |x: &[f32]| usize::from(x[0] > 3.0) + usize::from(x[0] > 3.0 && x[1] > 6.0);
        let targets = Array2::from_shape_fn((100, 3), |(i, j)| {
            f32::from(u8::from(class(features.row(i).as_slice().unwrap()) == j))
        });
        let tree = grown(&features, &targets, &[1.0; 100], 9);
        assert_eq!(tree.nodes(), 5, "three regions, and nothing is split beyond them");
        for row in features.rows() {
            let x = row.as_slice().unwrap();
            assert_eq!(tree.outputs(x)[class(x)], 1.0, "{x:?}");
        }
        assert_eq!(grown(&features, &targets, &[1.0; 100], 3).nodes(), 3);
    }

    #[test]
    fn leaves_are_weighted_means_and_what_weighs_nothing_is_not_seen() {
        let (features, targets) = (array![[0.0], [0.0], [1.0], [5.0]], array![[1.0], [4.0], [9.0], [99.0]]);
        let tree = grown(&features, &targets, &[2.0, 1.0, 1.0, 0.0], 99);
        assert_eq!((tree.leaves.as_slice(), tree.splits[0].threshold), (&[2.0, 9.0][..], 0.5));
    }

    /// Two neighbouring floats have no number between them.
    #[test]
    fn thresholds_part_what_they_were_made_to_part() {
        let low = 1.0_f32;
        let high = f32::from_bits(low.to_bits() + 1);
        let tree = grown(&array![[low], [high]], &array![[0.0], [1.0]], &[1.0; 2], 3);
        assert_eq!((tree.outputs(&[low]), tree.outputs(&[high])), (&[0.0][..], &[1.0][..]));
    }

    /// Features of two values take another way, to the same tree: a third value in one row of next to no weight is all that
    /// sends them along the other one.
    #[test]
    fn features_of_two_values_are_split_like_any_others() {
        let category = |i: usize| i * 7 % 5;
        let (one_hot, target) =
            (|i: usize, j: usize| f32::from(u8::from(category(i) == j)), |i: usize| category(i) % 3);
        let targets = Array2::from_shape_fn((50, 3), |(i, j)| f32::from(u8::from(target(i) == j)));
        let two = Array2::from_shape_fn((50, 5), |(i, j)| one_hot(i, j));
        let mut three = two.clone();
        three.row_mut(49).fill(0.75);
        let weights: Vec<f64> = (0..50).map(|i| if i == 49 { 1e-12 } else { 1.0 + (i % 4) as f64 }).collect();
        let (tree, other) = (grown(&two, &targets, &weights, 9), grown(&three, &targets, &weights, 9));
        assert!(tree.nodes() >= 5);
        for i in 0..49 {
            let x: Vec<f32> = (0..5).map(|j| one_hot(i, j)).collect();
            assert!(tree.outputs(&x)[target(i)] > 0.999 && other.outputs(&x)[target(i)] > 0.999);
        }
        let asked = |tree: &Tree| tree.splits.iter().map(|split| split.feature).collect::<Vec<_>>();
        assert_eq!(asked(&tree), asked(&other));
    }
}
