//! What the exporters of source code share.

use crate::{Action, Body, Child, Error, Header, Input, Layer, Policy, Tree};

/// The deepest tree that is written as nested `if`s: compilers have limits of their own.
const DEEPEST: usize = 100;

/// Numbers as literals, in lines, each with `suffix`.
pub(super) fn numbers(numbers: &[f32], suffix: &str) -> String {
    let mut text = String::new();
    for line in numbers.chunks(8) {
        text += "\n    ";
        let line: Vec<String> = line.iter().map(|x| format!("{x:?}{suffix},")).collect();
        text += &line.join(" ");
    }
    text + "\n"
}

/// Integers as literals, in lines.
pub(super) fn integers<T: ToString>(numbers: &[T]) -> String {
    let mut text = String::new();
    for line in numbers.chunks(16) {
        let line: Vec<String> = line.iter().map(|x| format!("{},", x.to_string())).collect();
        text += &format!("\n    {}", line.join(" "));
    }
    text + "\n"
}

/// Who the policy is, a line each, for the comment at the top.
pub(super) fn about(policy: &Policy) -> Vec<String> {
    let Header { environment, observation, action, normalizer, masked, provenance } = policy.header();
    let body = match policy.body() {
        Body::Mlp(layers) => format!("layers {}", sizes(observation.len(), layers)),
        Body::Gru(gru) => {
            let units = gru.cell.units();
            format!("a gated recurrent unit of {units}, layers {}", sizes(units, &gru.layers))
        }
        Body::Tree(tree) => format!("a tree of {} nodes, {} deep", tree.nodes(), tree.depth()),
        Body::Int8(int8) => {
            let sizes = std::iter::once(observation.len()).chain(int8.layers.iter().map(|layer| layer.bias.len()));
            format!("layers {} in integers", sizes.map(|n| n.to_string()).collect::<Vec<_>>().join("-"))
        }
    };
    let normalizer = if normalizer.is_some() { ", normalised observations" } else { "" };
    let masked = if *masked { ", needs a mask" } else { "" };
    // Into a comment goes nothing that could end it.
    let harmless = |text: &str| {
        let kept = |c: char| c.is_alphanumeric() || " -_./:".contains(c);
        text.chars().map(|c| if kept(c) { c } else { '?' }).collect::<String>()
    };
    vec![
        format!(
            "A {} for {}, checksum {}, exported by Apprentice.",
            harmless(&provenance.role),
            harmless(&environment.id),
            policy.checksum()
        ),
        format!("It takes {observation} and gives {action}: {body}{normalizer}{masked}."),
    ]
}

fn sizes(inputs: usize, layers: &[Layer]) -> String {
    let sizes = std::iter::once(inputs).chain(layers.iter().map(Layer::outputs));
    sizes.map(|n| n.to_string()).collect::<Vec<_>>().join("-")
}

/// The parts of observations with where each begins, in the flat row and among the features.
pub(super) fn inputs(header: &Header) -> Vec<(usize, usize, Input)> {
    let (mut at, mut feature) = (0, 0);
    let place = |input: Input| {
        let placed = (at, feature, input);
        at += input.flat_len();
        feature += input.features();
        placed
    };
    header.observation.inputs().into_iter().map(place).collect()
}

/// Where the logits of each choice begin, how many there are, and the smallest value.
pub(super) fn choices(action: &Action) -> Vec<(usize, usize, i64)> {
    let (nvec, start) = match action {
        Action::Discrete { n, start } => (vec![*n], vec![*start]),
        Action::MultiDiscrete { nvec, start } => (nvec.clone(), start.clone()),
        Action::Box { .. } => (vec![], vec![]),
    };
    let mut first = 0;
    let choice = |(n, start)| {
        first += n;
        (first - n, n, start)
    };
    nvec.into_iter().zip(start).map(choice).collect()
}

/// A tree as nested `if`s that return the index of a leaf: valid Rust, and valid C with `parentheses`.
pub(super) fn ifs(tree: &Tree, parentheses: bool, suffix: &str) -> Result<String, Error> {
    if tree.depth() > DEEPEST {
        return Err(Error::shape(format!(
            "the tree is {} deep: expected at most {DEEPEST} to write it as nested ifs; prune it, or export it as onnx",
            tree.depth()
        )));
    }
    let mut text = String::new();
    let root = if tree.splits.is_empty() { Child::Leaf(0) } else { Child::Split(0) };
    let mut rest = vec![(root, 1, false)];
    while let Some((child, depth, closes)) = rest.pop() {
        let indent = "    ".repeat(depth);
        match child {
            Child::Leaf(leaf) => text += &format!("{indent}return {leaf};\n"),
            Child::Split(i) => {
                let split = &tree.splits[i as usize];
                let question = format!("x[{}] <= {:?}{suffix}", split.feature, split.threshold);
                let question = if parentheses { format!("({question})") } else { question };
                text += &format!("{indent}if {question} {{\n");
                rest.push((split.right, depth, closes));
                rest.push((split.left, depth + 1, true));
                continue;
            }
        }
        if closes {
            text += &format!("{}}}\n", "    ".repeat(depth - 1));
        }
    }
    Ok(text)
}
