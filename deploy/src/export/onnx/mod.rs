//! A policy as an ONNX model: the encoding, the normaliser, the mask and the choice of the action are inside.
//!
//! Inputs are `observation` `[batch, values]` and, for a policy that needs one, `mask` `[batch, choices]`; outputs are
//! `params` `[batch, params]`, before the mask, and `action` `[batch, components]`. A recurrent policy has besides the
//! input `memory` and the output `next_memory`, `[batch, units]`: zeros when an episode begins, then what came out for the
//! observation before. Operator set 13. What an integer out of range or a NaN leads to is left to the runtime, as ONNX
//! has no errors.
//!
//! Runtimes add in whatever order is fastest and have a tanh of their own. An *exact* model leaves them no choice, and has
//! the bits of the runner: its products are added with `CumSum`, one after another, and its tanh is ours, in the basic
//! operators that IEEE 754 defines to the last bit.

mod proto;

use super::examples::Example;
use super::source::{choices, inputs};
use crate::kernel::dense::LANES;
use crate::kernel::math::{TANH_LIMIT, TANH_P, TANH_Q};
use crate::{
    Action, Activation, Body, Bounding, Child, Error, GruCell, Header, Input, Layer, MASKED_LOGIT, Policy, Tree,
};
use proto::{Attribute, Graph, Type, floats, ints, model, node, value};

pub(super) const SELF_TEST: &str = include_str!("self_test.py");

pub(super) fn file(policy: &Policy, name: &str, exact: bool, examples: &[Example]) -> Result<Vec<u8>, Error> {
    let header = policy.header();
    let mut builder = Builder { exact, ..Builder::default() };
    builder.graph.inputs.push(value("observation", Type::Float, header.observation.flat_len()));
    let features = builder.features(header);
    let mut next = None;
    let outputs = match policy.body() {
        Body::Mlp(layers) => builder.layers(features, layers),
        Body::Gru(gru) => {
            let remembered = builder.cell(&features, &gru.cell);
            next = Some(remembered.clone());
            builder.layers(remembered, &gru.layers)
        }
        Body::Tree(tree) => builder.tree(&features, tree),
        Body::Int8(_) => {
            let message = "expected layers in f32 or a tree: ONNX has no such integers; export it as rust or c";
            return Err(Error::shape(format!("onnx: {message}")));
        }
    };
    let (params, action) = match &header.action {
        Action::Box { low, high, bounding, log_std } => {
            builder.reals(&outputs, low, high, *bounding, log_std.as_deref())
        }
        _ => builder.choices(&outputs, header),
    };
    for (name, from, width) in
        [("params", params, header.action.distribution().num_params()), ("action", action, header.action.dim())]
    {
        builder.output(name, &from, width);
    }
    if let Some(next) = next {
        builder.output("next_memory", &next, policy.memory_len());
    }
    let example =
        |e: &Example| serde_json::json!({"observation": e.observation, "params": e.params, "action": e.action});
    let examples: Vec<_> = examples.iter().map(example).collect();
    let metadata = [
        ("apprentice", serde_json::to_string(header).expect("a header is plain data")),
        ("checksum", policy.checksum()),
        ("examples", serde_json::Value::from(examples).to_string()),
    ];
    Ok(model(name, builder.graph, &[("", 13), ("ai.onnx.ml", 1)], &metadata))
}

/// A graph in the making, whose values get names of their own.
#[derive(Default)]
struct Builder {
    graph: Graph,
    values: usize,
    /// Whether it is an exact model that is made.
    exact: bool,
}

impl Builder {
    fn node(&mut self, operator: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        self.node_of("", operator, inputs, attributes)
    }

    fn node_of(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> String {
        self.values += 1;
        let output = format!("{}_{}", operator.to_lowercase(), self.values);
        self.graph.nodes.push(node(domain, operator, inputs, &output, attributes));
        output
    }

    fn output(&mut self, name: &str, from: &str, width: usize) {
        self.graph.nodes.push(node("", "Identity", &[from], name, &[]));
        self.graph.outputs.push(value(name, Type::Float, width));
    }

    fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.graph.constants.push(floats(name, dims, values));
        name.to_owned()
    }

    /// A row `[1, n]` without a name that matters.
    fn row(&mut self, values: &[f32]) -> String {
        self.values += 1;
        self.floats(&format!("constant_{}", self.values), &[1, values.len()], values)
    }

    fn scalar(&mut self, value: f32) -> String {
        self.values += 1;
        self.floats(&format!("constant_{}", self.values), &[], &[value])
    }

    fn int(&mut self, value: usize) -> String {
        self.integers(&[], &[value])
    }

    fn ints(&mut self, values: &[usize]) -> String {
        self.integers(&[values.len()], values)
    }

    fn integers(&mut self, dims: &[usize], values: &[usize]) -> String {
        self.values += 1;
        let name = format!("constant_{}", self.values);
        let values: Vec<i64> = values.iter().map(|value| *value as i64).collect();
        self.graph.constants.push(ints(&name, dims, &values));
        name
    }

    /// Columns first, …, first + n − 1.
    fn columns(&mut self, x: &str, first: usize, n: usize) -> String {
        let (start, end, axis) = (self.ints(&[first]), self.ints(&[first + n]), self.ints(&[1]));
        self.node("Slice", &[x, &start, &end, &axis], &[])
    }

    fn side_by_side(&mut self, parts: &[String]) -> String {
        if let [single] = parts {
            return single.clone();
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.node("Concat", &parts, &[("axis", Attribute::Int(1))])
    }

    fn features(&mut self, header: &Header) -> String {
        let whole = header.observation.flat_len();
        let mut parts = Vec::new();
        for (at, _, input) in inputs(header) {
            let part = match input.flat_len() {
                n if n == whole => "observation".to_owned(),
                n => self.columns("observation", at, n),
            };
            parts.push(match input {
                Input::Real { .. } => part,
                Input::OneHot { n, start } => {
                    let integers: Vec<f32> = (0..n).map(|i| (start + i as i64) as f32).collect();
                    let integers = self.row(&integers);
                    let equal = self.node("Equal", &[&part, &integers], &[]);
                    self.cast(&equal, Type::Float)
                }
            });
        }
        let x = self.side_by_side(&parts);
        let Some(normalizer) = &header.normalizer else { return x };
        let (mean, std) = (self.row(&normalizer.mean), self.row(&normalizer.std));
        let (low, high) = (self.scalar(-normalizer.clip), self.scalar(normalizer.clip));
        let x = self.node("Sub", &[&x, &mean], &[]);
        let x = self.node("Div", &[&x, &std], &[]);
        self.node("Clip", &[&x, &low, &high], &[])
    }

    fn linear(&mut self, name: &str, x: &str, weight: &[f32], bias: &[f32]) -> String {
        let (inputs, outputs) = (weight.len() / bias.len(), bias.len());
        let (weight_name, bias_name) = (format!("weight_{name}"), format!("bias_{name}"));
        if !self.exact {
            self.floats(&weight_name, &[inputs, outputs], weight);
            self.floats(&bias_name, &[outputs], bias);
            return self.node("Gemm", &[x, &weight_name, &bias_name], &[]);
        }
        if outputs >= LANES {
            // b · 1 + x₀ w₀ + x₁ w₁ + …
            self.floats(&weight_name, &[inputs + 1, outputs], &[bias, weight].concat());
            let x = self.pad(x, 1, 0, 1.0);
            let products = self.products(&x, &weight_name);
            return self.running_sum(&products, inputs);
        }
        // As `narrow` does: lanes of every eighth product, from 0 on; then the lanes, and the bias.
        let end = inputs.next_multiple_of(LANES) - inputs;
        let (before, after) = (vec![0.0; LANES * outputs], vec![0.0; end * outputs]);
        self.floats(&weight_name, &[LANES + inputs + end, outputs], &[&before, weight, &after].concat());
        self.floats(&bias_name, &[outputs], bias);
        let x = self.pad(x, LANES, end, 0.0);
        let products = self.products(&x, &weight_name);
        let groups = 1 + (inputs + end) / LANES;
        let shape = self.ints(&[0, groups, LANES, outputs]);
        let lanes = self.node("Reshape", &[&products, &shape], &[]);
        let mut sum = self.running_sum(&lanes, groups - 1);
        for half in [LANES / 2, LANES / 4, LANES / 8] {
            let (front, back) = (self.columns(&sum, 0, half), self.columns(&sum, half, half));
            sum = self.node("Add", &[&front, &back], &[]);
        }
        let one = self.ints(&[1]);
        let sum = self.node("Squeeze", &[&sum, &one], &[]);
        self.node("Add", &[&bias_name, &sum], &[])
    }

    /// Rows `[batch, n]` with so many columns of `value` before and after them.
    fn pad(&mut self, x: &str, before: usize, after: usize, value: f32) -> String {
        let (pads, value) = (self.ints(&[0, before, 0, after]), self.scalar(value));
        self.node("Pad", &[x, &pads, &value], &[])
    }

    /// `[batch, n]` and `[n, outputs]` → `[batch, n, outputs]`.
    fn products(&mut self, x: &str, weight: &str) -> String {
        let last = self.ints(&[2]);
        let x = self.node("Unsqueeze", &[x, &last], &[]);
        self.node("Mul", &[&x, weight], &[])
    }

    /// Of `[batch, n, …]` the sum of the entries 0 to `last`, one after another: `[batch, …]`.
    fn running_sum(&mut self, x: &str, last: usize) -> String {
        let (axis, last) = (self.int(1), self.int(last));
        let sums = self.node("CumSum", &[x, &axis], &[]);
        self.node("Gather", &[&sums, &last], &[("axis", Attribute::Int(1))])
    }

    fn cast(&mut self, x: &str, to: Type) -> String {
        self.node("Cast", &[x], &[("to", Attribute::Int(to as i64))])
    }

    /// A node with a second input that is a number.
    fn with(&mut self, operator: &str, x: &str, number: f32) -> String {
        let number = self.scalar(number);
        self.node(operator, &[x, &number], &[])
    }

    fn tanh(&mut self, x: &str) -> String {
        if !self.exact {
            return self.node("Tanh", &[x], &[]);
        }
        let (low, high) = (self.scalar(-TANH_LIMIT), self.scalar(TANH_LIMIT));
        let x = self.node("Clip", &[x, &low, &high], &[]);
        let u = self.node("Mul", &[&x, &x], &[]);
        let [p, q] = [&TANH_P[..], &TANH_Q].map(|coefficients| {
            let first = self.with("Mul", &u, coefficients[0]);
            let (rest, last) = coefficients[1..].split_at(coefficients.len() - 2);
            let sum = rest.iter().fold(first, |sum, coefficient| {
                let sum = self.with("Add", &sum, *coefficient);
                self.node("Mul", &[&sum, &u], &[])
            });
            self.with("Add", &sum, last[0])
        });
        let p = self.node("Mul", &[&x, &p], &[]);
        self.node("Div", &[&p, &q], &[])
    }

    fn sigmoid(&mut self, x: &str) -> String {
        if !self.exact {
            return self.node("Sigmoid", &[x], &[]);
        }
        let half = self.with("Mul", x, 0.5);
        let t = self.tanh(&half);
        let t = self.with("Mul", &t, 0.5);
        self.with("Add", &t, 0.5)
    }

    fn layers(&mut self, x: String, layers: &[Layer]) -> String {
        layers.iter().enumerate().fold(x, |x, (i, layer)| {
            let y = self.linear(&i.to_string(), &x, &layer.weight, &layer.bias);
            self.activation(&y, layer.activation)
        })
    }

    /// A recurrent cell in basic operators: more runtimes have them than have `GRU`, and its first dimension, of time,
    /// would stand before the batch.
    fn cell(&mut self, x: &str, cell: &GruCell) -> String {
        let units = cell.units();
        self.graph.inputs.push(value("memory", Type::Float, units));
        let x = self.linear("x", x, &cell.weight_x, &cell.bias_x);
        let h = self.linear("h", "memory", &cell.weight_h, &cell.bias_h);
        let [xr, xz, xn] = [0, 1, 2].map(|gate| self.columns(&x, gate * units, units));
        let [hr, hz, hn] = [0, 1, 2].map(|gate| self.columns(&h, gate * units, units));
        let [r, z] = [(xr, hr), (xz, hz)].map(|(x, h)| {
            let sum = self.node("Add", &[&x, &h], &[]);
            self.sigmoid(&sum)
        });
        let reset = self.node("Mul", &[&r, &hn], &[]);
        let sum = self.node("Add", &[&xn, &reset], &[]);
        let n = self.tanh(&sum);
        let one = self.scalar(1.0);
        let rest = self.node("Sub", &[&one, &z], &[]);
        let [new, kept] = [(rest, n), (z, "memory".to_owned())].map(|(a, b)| self.node("Mul", &[&a, &b], &[]));
        self.node("Add", &[&new, &kept], &[])
    }

    fn activation(&mut self, x: &str, activation: Activation) -> String {
        match activation {
            Activation::Tanh => self.tanh(x),
            Activation::Relu => self.node("Relu", &[x], &[]),
            Activation::Identity => x.to_owned(),
            Activation::Gelu => {
                // ½ x (1 + tanh(√(2/π) x (1 + 0.044715 x x))), in the order of `gelu`.
                let t = self.with("Mul", x, 0.044_715);
                let t = self.node("Mul", &[&t, x], &[]);
                let t = self.with("Add", &t, 1.0);
                let scaled = self.with("Mul", x, 0.797_884_6);
                let t = self.node("Mul", &[&scaled, &t], &[]);
                let t = self.tanh(&t);
                let t = self.with("Add", &t, 1.0);
                let x = self.with("Mul", x, 0.5);
                self.node("Mul", &[&x, &t], &[])
            }
        }
    }

    /// The splits are nodes 0, 1, …, and the leaves come after them.
    fn tree(&mut self, x: &str, tree: &Tree) -> String {
        let (splits, width) = (tree.splits.len(), tree.width());
        let nodes = tree.nodes();
        let id = |child| match child {
            Child::Split(i) => i64::from(i),
            Child::Leaf(i) => splits as i64 + i64::from(i),
        };
        let padded = |of_splits: Vec<i64>| {
            let mut all = of_splits;
            all.resize(nodes, 0);
            Attribute::Ints(all)
        };
        let of = |f: fn(&crate::Split) -> i64| tree.splits.iter().map(f).collect::<Vec<_>>();
        let mut thresholds: Vec<f32> = tree.splits.iter().map(|split| split.threshold).collect();
        thresholds.resize(nodes, 0.0);
        let modes = (0..nodes).map(|i| if i < splits { "BRANCH_LEQ" } else { "LEAF" }).collect();
        let targets = tree.leaves.len();
        let attributes = [
            ("n_targets", Attribute::Int(width as i64)),
            ("nodes_treeids", Attribute::Ints(vec![0; nodes])),
            ("nodes_nodeids", Attribute::Ints((0..nodes as i64).collect())),
            ("nodes_featureids", padded(of(|split| i64::from(split.feature)))),
            ("nodes_modes", Attribute::Texts(modes)),
            ("nodes_values", Attribute::Floats(thresholds)),
            ("nodes_truenodeids", padded(tree.splits.iter().map(|split| id(split.left)).collect())),
            ("nodes_falsenodeids", padded(tree.splits.iter().map(|split| id(split.right)).collect())),
            ("nodes_missing_value_tracks_true", Attribute::Ints(vec![0; nodes])),
            ("target_treeids", Attribute::Ints(vec![0; targets])),
            ("target_nodeids", Attribute::Ints((0..targets).map(|i| (splits + i / width) as i64).collect())),
            ("target_ids", Attribute::Ints((0..targets).map(|i| (i % width) as i64).collect())),
            ("target_weights", Attribute::Floats(tree.leaves.clone())),
            ("aggregate_function", Attribute::Text("SUM")),
            ("post_transform", Attribute::Text("NONE")),
        ];
        self.node_of("ai.onnx.ml", "TreeEnsembleRegressor", &[x], &attributes)
    }

    fn choices(&mut self, outputs: &str, header: &Header) -> (String, String) {
        let n = header.action.outputs();
        let mut logits = outputs.to_owned();
        if header.masked {
            self.graph.inputs.push(value("mask", Type::Bool, n));
            let forbidden = self.scalar(MASKED_LOGIT);
            logits = self.node("Where", &["mask", &logits, &forbidden], &[]);
        }
        let mut parts = Vec::new();
        for (first, count, start) in choices(&header.action) {
            let part = if count == n { logits.clone() } else { self.columns(&logits, first, count) };
            let best = self.node("ArgMax", &[&part], &[("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(1))]);
            let best = self.cast(&best, Type::Float);
            parts.push(self.with("Add", &best, start as f32));
        }
        (outputs.to_owned(), self.side_by_side(&parts))
    }

    fn reals(
        &mut self,
        outputs: &str,
        low: &[f32],
        high: &[f32],
        bounding: Bounding,
        log_std: Option<&[f32]>,
    ) -> (String, String) {
        let (params, means) = match log_std {
            None => (outputs.to_owned(), self.columns(outputs, 0, low.len())),
            Some(log_std) => {
                let (row, shape) = (self.row(log_std), self.node("Shape", &[outputs], &[]));
                let log_std = self.node("Expand", &[&row, &shape], &[]);
                (self.side_by_side(&[outputs.to_owned(), log_std]), outputs.to_owned())
            }
        };
        let (low_row, high_row) = (self.row(low), self.row(high));
        let mut x = means;
        if bounding == Bounding::Tanh {
            // low + ½ (tanh x + 1) (high − low).
            let range: Vec<f32> = low.iter().zip(high).map(|(low, high)| high - low).collect();
            let range = self.row(&range);
            x = self.tanh(&x);
            x = self.with("Add", &x, 1.0);
            x = self.with("Mul", &x, 0.5);
            for (operator, with) in [("Mul", &range), ("Add", &low_row)] {
                x = self.node(operator, &[&x, with], &[]);
            }
        }
        x = self.node("Max", &[&x, &low_row], &[]);
        (params, self.node("Min", &[&x, &high_row], &[]))
    }
}
