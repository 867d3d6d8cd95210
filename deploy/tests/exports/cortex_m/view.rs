//! Files run by a [`PolicyView`](apprentice_deploy::PolicyView), without a heap.

use super::{compare, cost, has_rust, policy, rustc, surround};
use apprentice_deploy::{Action, Body, Gru, LayerShape, Policy};
use std::fmt::Write;
use std::path::Path;

/// Writes what a file says of the policy as constants of the program in `policy_view.rs.txt`.
fn constants(policy: &Policy) -> String {
    let header = policy.header();
    let (observation, params) = (header.observation.flat_len(), header.action.distribution().num_params());
    let (action, memory) = (header.action.dim(), policy.memory_len());
    // Features, gates and the outputs of layers are the rows on the way.
    let layers = shapes(policy.body());
    let widest = layers.iter().map(|layer| layer.outputs).fold(header.observation.len().max(3 * memory), usize::max);
    let scratch = 2 * widest + memory;
    let mut text = String::new();
    for (name, value) in
        [("OBSERVATION", observation), ("PARAMS", params), ("ACTION", action), ("MEMORY", memory), ("SCRATCH", scratch)]
    {
        writeln!(text, "const {name}: usize = {value};").unwrap();
    }
    let inputs: String = header.observation.inputs().iter().map(|input| format!("Input::{input:?}, ")).collect();
    let normalizer = header.normalizer.as_ref().map(|normalizer| {
        let (mean, std) = (row(&normalizer.mean), row(&normalizer.std));
        format!("NormalizerView {{ mean: {mean}, std: {std}, clip: {:?} }}", normalizer.clip)
    });
    let (normalizer, body, head) = (option(normalizer), body(policy.body(), &layers), head(&header.action));
    writeln!(
        text,
        "static POLICY: PolicyView<'static> = PolicyView {{
    inputs: &[{inputs}],
    normalizer: {normalizer},
    body: {body},
    head: {head},
    masked: {},
}};",
        header.masked
    )
    .unwrap();
    text
}

fn option(text: Option<String>) -> String {
    text.map_or("None".to_owned(), |text| format!("Some({text})"))
}

/// Bit by bit, since a bound may be infinite.
fn row(numbers: &[f32]) -> String {
    let numbers: String = numbers.iter().map(|x| format!("f32::from_bits({}), ", x.to_bits())).collect();
    format!("&[{numbers}]")
}

fn shapes(body: &Body) -> Vec<LayerShape> {
    match body {
        Body::Int8(int8) => int8.layers.iter().map(|layer| layer.shape()).collect(),
        _ => body.layers().iter().map(|layer| layer.shape()).collect(),
    }
}

/// The body, each part of which is read from where it lies in the file.
fn body(body: &Body, layers: &[LayerShape]) -> String {
    let mut end = 0;
    let mut part = |read: &str, count: usize, bytes: usize| {
        let at = end;
        // Bytes are filled up to whole words.
        end += (count * bytes).next_multiple_of(4);
        format!("&{read}::<{count}>({at})")
    };
    let shape = |layer: &LayerShape| {
        let LayerShape { inputs, outputs, activation } = layer;
        format!("LayerShape {{ inputs: {inputs}, outputs: {outputs}, activation: Activation::{activation:?} }}, ")
    };
    let shapes: String = layers.iter().map(shape).collect();
    let weights = layers.iter().map(|layer| (layer.inputs + 1) * layer.outputs).sum();
    match body {
        Body::Mlp(_) => {
            let weights = part("floats", weights, 4);
            format!("BodyView::Mlp(MlpView {{ shapes: &[{shapes}], weights: {weights} }})")
        }
        Body::Tree(tree) => {
            let (splits, leaves) = (part("splits", tree.splits.len(), 16), part("floats", tree.leaves.len(), 4));
            format!("BodyView::Tree {{ splits: {splits}, leaves: {leaves} }}")
        }
        Body::Int8(int8) => {
            let mut layers = String::new();
            for layer in &int8.layers {
                let outputs = layer.bias.len();
                let (weight, bias) = (part("bytes", layer.weight.len(), 1), part("integers", outputs, 4));
                let (multiplier, shift, activation) = (part("integers", outputs, 4), layer.shift, layer.activation);
                write!(
                    layers,
                    "Int8View {{ weight: {weight}, bias: {bias}, multiplier: {multiplier}, shift: {shift}, \
                     activation: Activation::{activation:?} }}, "
                )
                .unwrap();
            }
            format!("BodyView::Int8 {{ scale: {:?}, layers: &[{layers}] }}", int8.scale)
        }
        Body::Gru(Gru { cell, .. }) => {
            let (weight_x, bias_x) = (part("floats", cell.weight_x.len(), 4), part("floats", cell.bias_x.len(), 4));
            let (weight_h, bias_h) = (part("floats", cell.weight_h.len(), 4), part("floats", cell.bias_h.len(), 4));
            let weights = part("floats", weights, 4);
            format!(
                "BodyView::Gru(GruView {{
        cell: GruCellView {{ weight_x: {weight_x}, bias_x: {bias_x}, weight_h: {weight_h}, bias_h: {bias_h} }},
        layers: MlpView {{ shapes: &[{shapes}], weights: {weights} }},
    }})"
            )
        }
    }
}

fn head(action: &Action) -> String {
    match action {
        Action::Discrete { n, start } => format!("Head::Choices {{ nvec: &[{n}], start: &[{start}] }}"),
        Action::MultiDiscrete { nvec, start } => format!("Head::Choices {{ nvec: &{nvec:?}, start: &{start:?} }}"),
        Action::Box { low, high, bounding, log_std } => {
            let (low, high, log_std) = (row(low), row(high), option(log_std.as_deref().map(row)));
            format!("Head::Real {{ low: {low}, high: {high}, bounding: Bounding::{bounding:?}, log_std: {log_std} }}")
        }
    }
}

/// Compiles the crate without its features, and the program around the policy's file; returns what the file holds.
fn build(folder: &Path, name: &str, flags: &[&str]) -> Policy {
    let file = policy(name).to_bytes();
    let policy = Policy::from_bytes(&file).unwrap();
    std::fs::write(folder.join("policy.apprentice"), file).unwrap();
    surround(folder, &policy, &(include_str!("policy_view.rs.txt").to_owned() + &constants(&policy)));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    rustc(folder, &[flags, &["--crate-name", "apprentice_deploy", "--crate-type", "rlib", source]].concat());
    let of = "apprentice_deploy=libapprentice_deploy.rlib";
    // A policy needs only some of what the program names.
    let allowed = ["-Adead_code", "-Aunused_imports"];
    rustc(folder, &[flags, &["--extern", of, "--crate-type", "staticlib", "lib.rs"], &allowed].concat());
    policy
}

#[test]
fn a_view_has_the_runners_bits_on_a_cortex_m4() {
    if !has_rust() {
        return;
    }
    for (name, states) in [
        ("student", 100_000),
        ("teacher", 500),
        ("squashed", 1_000),
        ("clipped", 5_000),
        ("tree", 20_000),
        ("real_tree", 20_000),
        ("gru", 10_000),
        ("deep_gru", 500),
        ("real_gru", 1_000),
        ("int8_student", 100_000),
        ("int8_teacher", 500),
        ("int8_clipped", 5_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let policy = build(folder.path(), name, &["-O"]);
        compare(folder.path(), "liblib.a", &policy, &format!("{name} in a view"), states);
    }
}

/// Optimised as a whole, a program loses what other policies would need and the words of panics that cannot happen.
#[test]
fn a_view_fits_into_little_flash() {
    if !has_rust() {
        return;
    }
    let whole = &["-Copt-level=s", "-Clto"][..];
    for (name, flags, flash_limit) in [
        ("student", whole, 6_000),
        ("int8_student", whole, 2_500),
        ("tree", whole, 1_200),
        ("gru", whole, 12_000),
        ("clipped", whole, 6_000),
        // In two parts it holds all of them, but nothing that writes real numbers, which takes more than the rest.
        ("clipped", &whole[..1], 20_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let policy = build(folder.path(), name, flags);
        let what = format!("{name} in a view by {}", flags.join(" "));
        let (flash, ram) = cost(folder.path(), "liblib.a");
        println!("{what}: {flash} bytes of flash, {ram} of RAM");
        assert!(flash < flash_limit && ram < 600, "{what}: {flash} bytes of flash, {ram} of RAM");
        compare(folder.path(), "liblib.a", &policy, &what, 1_000);
    }
}
