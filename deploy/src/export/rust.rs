//! A policy as a module of Rust that needs `core` only.

use super::examples::Example;
use super::source::{about, choices, ifs, inputs, integers, numbers};
use crate::{Action, Activation, Body, Bounding, Error, Gru, Header, Input, Int8, Layer, Policy};

const MATH: &str = include_str!("../kernel/math.rs");
const DENSE: &str = include_str!("../kernel/dense.rs");
const CHOOSE: &str = include_str!("../kernel/choose.rs");
const INT8: &str = include_str!("../kernel/int8.rs");
const GRU: &str = include_str!("../kernel/gru.rs");

/// From so many outputs on, a layer's weights begin where a vector register wants them.
const WIDE: usize = 32;

pub(super) fn module(policy: &Policy, examples: &[Example]) -> Result<String, Error> {
    let header = policy.header();
    let choices = choices(&header.action);
    let mut text = String::new();
    for line in about(policy) {
        text += &format!("// {line}\n");
    }
    text += &format!(
        "//\n// Needs `core` only. Bit for bit what `apprentice_deploy::Runner` computes, on every platform; `self_test`\n\
         // makes sure of it where it runs. Include it as `#[allow(dead_code)] mod …;`. Do not edit.\n\n\
         /// The values of an observation: the flat row that the environment gives.\n\
         pub const OBSERVATION: usize = {};\n\
         /// The parameters of the distribution of actions: logits, or means and logarithms of standard deviations.\n\
         pub const PARAMS: usize = {};\n\
         /// The components of an action.\n\
         pub const ACTION: usize = {};\n\n\
         const FEATURES: usize = {};\n\
         const OUTPUTS: usize = {};\n\n",
        header.observation.flat_len(),
        header.action.distribution().num_params(),
        header.action.dim(),
        header.observation.len(),
        header.action.outputs(),
    );
    let acting = match (choices.is_empty(), header.masked) {
        (true, _) => REAL.to_owned(),
        (false, true) => MASKS.to_owned(),
        (false, false) => format!("{UNMASKED}{MASKS}"),
    };
    text += &match policy.memory_len() {
        0 => acting,
        n => format!(
            "/// The numbers that are remembered of an episode.\npub const MEMORY: usize = {n};\n\n{RESET}{}",
            remembering(&acting)
        ),
    };
    text += &features(header);
    text += &body(policy)?;
    text += &params(policy);
    text += &if choices.is_empty() { reals(header) } else { choosing(&choices) };
    text += &self_test(policy, examples);
    text += "\n/// The arithmetic: the files of `apprentice_deploy::kernel`.\n#[allow(dead_code)]\nmod kernel {\n";
    let files = match policy.body() {
        Body::Int8(_) => &[MATH, INT8, CHOOSE][..],
        Body::Gru(_) => &[MATH, DENSE, GRU, CHOOSE],
        Body::Mlp(_) | Body::Tree(_) => &[MATH, DENSE, CHOOSE],
    };
    files.iter().for_each(|file| text += &kernel(file));
    Ok(text + "}\n")
}

/// A file of the kernel without its tests, its head and its imports.
fn kernel(file: &str) -> String {
    let code = file.split("#[cfg(test)]").next().expect("the first part of a text is there");
    let kept = code.lines().filter(|line| !line.starts_with("//!") && !line.starts_with("use "));
    let lines: Vec<String> =
        kept.map(|line| if line.is_empty() { String::new() } else { format!("    {line}") }).collect();
    format!("    {}\n", lines.join("\n").trim())
}

fn features(header: &Header) -> String {
    let mut text = "fn features(observation: &[f32; OBSERVATION]) -> Option<[f32; FEATURES]> {\n".to_owned();
    text += "    let mut x = [0.0_f32; FEATURES];\n";
    for (at, feature, input) in inputs(header) {
        text += &match input {
            Input::Real { len } => {
                format!("    x[{feature}..{}].copy_from_slice(&observation[{at}..{}]);\n", feature + len, at + len)
            }
            Input::OneHot { n, start } => format!(
                "    let choice = observation[{at}] - {:?};\n    \
                 if !(0.0 <= choice && choice < {:?} && choice as usize as f32 == choice) {{\n        return None;\n    }}\n    \
                 x[{feature} + choice as usize] = 1.0;\n",
                start as f32, n as f32
            ),
        };
    }
    let mut constants = String::new();
    if let Some(normalizer) = &header.normalizer {
        constants = format!(
            "const MEAN: [f32; FEATURES] = [{}];\nconst STD: [f32; FEATURES] = [{}];\nconst CLIP: f32 = {:?};\n\n",
            numbers(&normalizer.mean, ""),
            numbers(&normalizer.std, ""),
            normalizer.clip
        );
        text += "    for i in 0..FEATURES {\n        x[i] = ((x[i] - MEAN[i]) / STD[i]).clamp(-CLIP, CLIP);\n    }\n";
    }
    constants + &text + "    Some(x)\n}\n\n"
}

fn body(policy: &Policy) -> Result<String, Error> {
    match policy.body() {
        Body::Mlp(layers) => Ok(mlp(layers)),
        Body::Int8(layers) => Ok(int8(layers)),
        Body::Gru(body) => Ok(gru(body)),
        Body::Tree(tree) => {
            let leaves: Vec<String> =
                tree.leaves.chunks(tree.width()).map(|row| format!("[{}],", numbers(row, ""))).collect();
            Ok(format!(
                "static LEAVES: [[f32; OUTPUTS]; {}] = [\n{}\n];\n\n\
                 fn outputs(x: &[f32; FEATURES]) -> Option<[f32; OUTPUTS]> {{\n    \
                 if !x.iter().all(|x| x.is_finite()) {{\n        return None;\n    }}\n    Some(LEAVES[leaf(x)])\n}}\n\n\
                 fn leaf(x: &[f32; FEATURES]) -> usize {{\n{}{}}}\n\n",
                tree.splits.len() + 1,
                leaves.join("\n"),
                if tree.splits.is_empty() { "    let _ = x;\n" } else { "" },
                ifs(tree, false, "")?
            ))
        }
    }
}

fn mlp(layers: &[Layer]) -> String {
    let (text, calls) = dense_layers(layers);
    let calls = calls.replacen("(&x)", "(x)", 1);
    aligned(layers.iter().map(Layer::outputs))
        + &text
        + &format!("fn outputs(x: &[f32; FEATURES]) -> Option<[f32; OUTPUTS]> {{\n{calls}    Some(x)\n}}\n\n")
}

fn gru(gru: &Gru) -> String {
    let (cell, gates) = (&gru.cell, gru.cell.bias_x.len());
    let (layers, calls) = dense_layers(&gru.layers);
    let calls = calls.replacen("(&x)", "(&next)", 1);
    aligned(gru.layers.iter().map(Layer::outputs).chain([gates]))
        + &constants("X", &cell.weight_x, &cell.bias_x)
        + &constants("H", &cell.weight_h, &cell.bias_h)
        + &layers
        + &format!(
            "fn cell(x: &[f32; FEATURES], memory: &[f32; MEMORY]) -> [f32; MEMORY] {{\n    \
             let x = kernel::dense::<FEATURES, {gates}>(x, &WEIGHT_X{0}, &BIAS_X);\n    \
             let h = kernel::dense::<MEMORY, {gates}>(memory, &WEIGHT_H{0}, &BIAS_H);\n    \
             let mut next = [0.0; MEMORY];\n    kernel::remember(&x, &h, memory, &mut next);\n    next\n}}\n\n\
             fn outputs(x: &[f32; FEATURES], memory: &[f32; MEMORY]) -> ([f32; OUTPUTS], [f32; MEMORY]) {{\n    \
             let next = cell(x, memory);\n{calls}    (x, next)\n}}\n\n",
            if gates < WIDE { "" } else { ".0" }
        )
}

/// The type that wide weights are kept in, if there are any among these numbers of outputs.
fn aligned(mut outputs: impl Iterator<Item = usize>) -> String {
    let text = "#[repr(align(32))]\nstruct Aligned<T>(T);\n\n";
    if outputs.any(|outputs| outputs >= WIDE) { text.to_owned() } else { String::new() }
}

/// A weight and a bias.
fn constants(name: &str, weight: &[f32], bias: &[f32]) -> String {
    let (n, outputs) = (weight.len(), bias.len());
    let (weight, bias) = (numbers(weight, ""), numbers(bias, ""));
    let weight = match outputs < WIDE {
        true => format!("[f32; {n}] = [{weight}]"),
        false => format!("Aligned<[f32; {n}]> = Aligned([{weight}])"),
    };
    format!("static WEIGHT_{name}: {weight};\nstatic BIAS_{name}: [f32; {outputs}] = [{bias}];\n\n")
}

/// A function for each layer, and the calls of all of them on `x`.
fn dense_layers(layers: &[Layer]) -> (String, String) {
    let (mut text, mut calls) = (String::new(), String::new());
    for (i, layer) in layers.iter().enumerate() {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        text += &constants(&i.to_string(), &layer.weight, &layer.bias);
        // A function of its own keeps the sums of a wide layer in registers.
        let (attribute, field) = if outputs >= WIDE { ("#[inline(never)]\n", ".0") } else { ("", "") };
        let activation = match layer.activation {
            Activation::Tanh => "    y.iter_mut().for_each(|y| *y = kernel::tanh(*y));\n",
            Activation::Relu => "    y.iter_mut().for_each(|y| *y = kernel::relu(*y));\n",
            Activation::Gelu => "    y.iter_mut().for_each(|y| *y = kernel::gelu(*y));\n",
            Activation::Identity => "",
        };
        let mutable = if activation.is_empty() { "" } else { "mut " };
        text += &format!(
            "{attribute}fn layer_{i}(x: &[f32; {inputs}]) -> [f32; {outputs}] {{\n    \
             let {mutable}y = kernel::dense::<{inputs}, {outputs}>(x, &WEIGHT_{i}{field}, &BIAS_{i});\n{activation}    y\n}}\n\n"
        );
        calls += &format!("    let x = layer_{i}(&x);\n");
    }
    (text, calls)
}

fn int8(int8: &Int8) -> String {
    let (mut text, mut calls) = (String::new(), String::new());
    for (i, layer) in int8.layers.iter().enumerate() {
        let shape = layer.shape();
        let (inputs, outputs) = (shape.inputs, shape.outputs);
        let (kind, convert) = match layer.activation {
            _ if i + 1 == int8.layers.len() => ("f32", "output"),
            Activation::Tanh => ("i16", "tanh_q15"),
            Activation::Relu => ("i16", "relu_q"),
            Activation::Identity | Activation::Gelu => ("i16", "identity_q"),
        };
        text += &format!(
            "static WEIGHT_{i}: [i8; {}] = [{}];\nstatic BIAS_{i}: [i32; {outputs}] = [{}];\n\
             static MULTIPLIER_{i}: [i32; {outputs}] = [{}];\n\n\
             fn layer_{i}(x: &[i16; {inputs}]) -> [{kind}; {outputs}] {{\n    core::array::from_fn(|j| {{\n        \
             let sum = kernel::sum(x, &WEIGHT_{i}[j * {inputs}..][..{inputs}], BIAS_{i}[j]);\n        \
             kernel::{convert}(kernel::requantize(sum, MULTIPLIER_{i}[j], {}))\n    }})\n}}\n\n",
            layer.weight.len(),
            integers(&layer.by_output()),
            integers(&layer.bias),
            integers(&layer.multiplier),
            layer.shift
        );
        calls += &format!("    let x = layer_{i}(&x);\n");
    }
    text + &format!(
        "fn outputs(x: &[f32; FEATURES]) -> Option<[f32; OUTPUTS]> {{\n    \
         if !x.iter().all(|x| x.is_finite()) {{\n        return None;\n    }}\n    \
         let x = x.map(|x| kernel::quantize(x, {:?}));\n{calls}    Some(x)\n}}\n\n",
        int8.scale
    )
}

fn params(policy: &Policy) -> String {
    let mut text = "/// The parameters of the distribution of actions; None if an integer of the observation is out of range, or an\n\
                    /// output not finite, as after a NaN.\n"
        .to_owned();
    text += match policy.memory_len() {
        0 => {
            "pub fn params(observation: &[f32; OBSERVATION]) -> Option<[f32; PARAMS]> {\n    \
             let outputs = outputs(&features(observation)?)?;\n    \
             if !outputs.iter().all(|output| output.is_finite()) {\n        return None;\n    }\n"
        }
        _ => {
            "pub fn params(observation: &[f32; OBSERVATION], memory: &mut [f32; MEMORY]) -> Option<[f32; PARAMS]> {\n    \
             let (outputs, next) = outputs(&features(observation)?, memory);\n    \
             if !outputs.iter().chain(&next).all(|x| x.is_finite()) {\n        return None;\n    }\n    \
             *memory = next;\n"
        }
    };
    text += &match &policy.header().action {
        Action::Box { log_std: Some(log_std), low, .. } => format!(
            "    let mut params = [0.0; PARAMS];\n    params[..{0}].copy_from_slice(&outputs);\n    \
             params[{0}..].copy_from_slice(&[{1}    ]);\n    Some(params)\n}}\n\n",
            low.len(),
            numbers(log_std, "")
        ),
        _ => "    Some(outputs)\n}\n\n".to_owned(),
    };
    text
}

/// Acting in integers that a mask forbids some of.
const MASKS: &str = "\
/// The most probable action among the choices that `mask` allows, the first of equals. None as for `params`, and if
/// nothing is allowed.
pub fn act_masked(observation: &[f32; OBSERVATION], mask: &[bool; PARAMS]) -> Option<[f32; ACTION]> {
    if !allows_something(mask) {
        return None;
    }
    let mut params = params(observation)?;
    forbid(&mut params, mask);
    Some(most_probable(&params))
}

/// A random action among the choices that `mask` allows, by a draw from [0, 1) for each component. None as for
/// `act_masked`, and for another draw.
pub fn sample_masked(
    observation: &[f32; OBSERVATION],
    mask: &[bool; PARAMS],
    draws: &[f64; ACTION],
) -> Option<[f32; ACTION]> {
    if !allows_something(mask) || !sound(draws) {
        return None;
    }
    let mut params = params(observation)?;
    forbid(&mut params, mask);
    Some(drawn(&params, draws))
}

fn forbid(params: &mut [f32; PARAMS], mask: &[bool; PARAMS]) {
    params.iter_mut().zip(mask).filter(|(_, allowed)| !**allowed).for_each(|(logit, _)| *logit = -1e8);
}

";

/// Acting in integers.
const UNMASKED: &str = "\
/// The most probable action, the first of equals. None as for `params`.
pub fn act(observation: &[f32; OBSERVATION]) -> Option<[f32; ACTION]> {
    Some(most_probable(&params(observation)?))
}

/// A random action, by a draw from [0, 1) for each component. None as for `params`, and for another draw.
pub fn sample(observation: &[f32; OBSERVATION], draws: &[f64; ACTION]) -> Option<[f32; ACTION]> {
    if !sound(draws) {
        return None;
    }
    Some(drawn(&params(observation)?, draws))
}

";

/// Acting in real numbers.
const REAL: &str = "\
/// The most probable action: the mean within its bounds. None as for `params`.
pub fn act(observation: &[f32; OBSERVATION]) -> Option<[f32; ACTION]> {
    let params = params(observation)?;
    Some(bound(core::array::from_fn(|i| params[i])))
}

/// A random action within its bounds, by a draw from the standard normal distribution for each component. None as for
/// `params`, and for a draw that is not finite.
pub fn sample(observation: &[f32; OBSERVATION], draws: &[f64; ACTION]) -> Option<[f32; ACTION]> {
    if !draws.iter().all(|draw| draw.is_finite()) {
        return None;
    }
    let params = params(observation)?;
    Some(bound(core::array::from_fn(|i| {
        let log_std = params[ACTION + i].clamp(-20.0, 2.0);
        params[i] + kernel::exp(f64::from(log_std)) as f32 * draws[i] as f32
    })))
}

";

/// A policy that remembers.
const RESET: &str = "\
/// Forgets what was before: the next observation is the first of its episode. Every other function changes the memory by
/// what it observes, unless it returns None.
pub fn reset(memory: &mut [f32; MEMORY]) {
    *memory = [0.0; MEMORY];
}

";

/// The functions of a policy that remembers: each takes the memory too.
fn remembering(acting: &str) -> String {
    let parameter = "observation: &[f32; OBSERVATION]";
    acting
        .replace(parameter, &format!("{parameter}, memory: &mut [f32; MEMORY]"))
        .replace("params(observation)", "params(observation, memory)")
}

fn reals(header: &Header) -> String {
    let Action::Box { low, high, bounding, .. } = &header.action else { return String::new() };
    let literal = |bounds: &[f32]| {
        let finite = |x: f32| x.clamp(f32::MIN, f32::MAX);
        numbers(&bounds.iter().copied().map(finite).collect::<Vec<_>>(), "")
    };
    let squash = match bounding {
        Bounding::Clip => "",
        Bounding::Tanh => "        action[i] = LOW[i] + 0.5 * (kernel::tanh(action[i]) + 1.0) * (HIGH[i] - LOW[i]);\n",
    };
    format!(
        "static LOW: [f32; ACTION] = [{}];\nstatic HIGH: [f32; ACTION] = [{}];\n\n\
         fn bound(mut action: [f32; ACTION]) -> [f32; ACTION] {{\n    for i in 0..ACTION {{\n{squash}        \
         action[i] = action[i].clamp(LOW[i], HIGH[i]);\n    }}\n    action\n}}\n\n",
        literal(low),
        literal(high)
    )
}

fn choosing(choices: &[(usize, usize, i64)]) -> String {
    let list = |line: &dyn Fn(&(usize, usize, i64)) -> String| choices.iter().map(line).collect::<Vec<_>>();
    format!(
        "fn most_probable(params: &[f32; PARAMS]) -> [f32; ACTION] {{\n    [\n{}\n    ]\n}}\n\n\
         fn drawn(params: &[f32; PARAMS], draws: &[f64; ACTION]) -> [f32; ACTION] {{\n    [\n{}\n    ]\n}}\n\n\
         fn sound(draws: &[f64; ACTION]) -> bool {{\n    draws.iter().all(|draw| (0.0..1.0).contains(draw))\n}}\n\n\
         fn allows_something(mask: &[bool; PARAMS]) -> bool {{\n    {}\n}}\n\n",
        list(&|(first, n, start)| format!(
            "        kernel::argmax(&params[{first}..{}]) as f32 + {:?},",
            first + n,
            *start as f32
        ))
        .join("\n"),
        choices
            .iter()
            .enumerate()
            .map(|(i, (first, n, start))| format!(
                "        kernel::choose(&params[{first}..{}], draws[{i}]) as f32 + {:?},",
                first + n,
                *start as f32
            ))
            .collect::<Vec<_>>()
            .join("\n"),
        list(&|(first, n, _)| format!("mask[{first}..{}].contains(&true)", first + n)).join("\n        && ")
    )
}

fn self_test(policy: &Policy, examples: &[Example]) -> String {
    let rows: Vec<String> = examples
        .iter()
        .map(|example| {
            format!(
                "    ([{}    ], [{}    ], [{}    ]),",
                numbers(&example.observation, ""),
                numbers(&example.params, ""),
                numbers(&example.action, "")
            )
        })
        .collect();
    let remembers = policy.memory_len() > 0;
    let (memory, again, of_again, of_memory) = match remembers {
        true => (
            "    let mut memory = [0.0; MEMORY];\n",
            "        let mut again = memory;\n",
            ", &mut again",
            ", &mut memory",
        ),
        false => ("", "", "", ""),
    };
    let act = match policy.header().masked {
        true => format!("act_masked(observation{of_memory}, &[true; PARAMS])"),
        false => format!("act(observation{of_memory})"),
    };
    format!(
        "/// Observations with the parameters and the actions that they lead to{}.\n\
         pub static EXAMPLES: [([f32; OBSERVATION], [f32; PARAMS], [f32; ACTION]); {}] = [\n{}\n];\n\n\
         /// Whether every example leads here to what it should lead to, bit for bit.\n\
         pub fn self_test() -> bool {{\n{memory}    EXAMPLES.iter().all(|(observation, expected, action)| {{\n{again}        \
         params(observation{of_again}).is_some_and(|params| params.map(f32::to_bits) == expected.map(f32::to_bits))\n            \
         && {act}.as_ref() == Some(action)\n    }})\n}}\n",
        if remembers { ": the first of an episode" } else { "" },
        examples.len(),
        rows.join("\n")
    )
}
