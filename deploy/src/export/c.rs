//! A policy as a header and a source in C99: static buffers, no heap, no library.

use super::examples::Example;
use super::source::{about, choices, ifs, inputs, integers, numbers};
use crate::{
    Action, Activation, Body, Bounding, Error, Features, Gru, Header, Input, Int8, Layer, Policy, kernel::dense::LANES,
    kernel::int8::TANH,
};

pub(super) fn header(policy: &Policy, name: &str) -> String {
    let guard = name.to_uppercase();
    let action = &policy.header().action;
    let (length, memory) = match policy.memory_len() {
        0 => (String::new(), String::new()),
        n => (
            format!(",\n    /* The numbers that are remembered of an episode. */\n    {guard}_MEMORY = {n}"),
            format!(
                "/* What is remembered of the episode. The functions below change it by what they observe, unless they return 1.\n   \
                 Whoever runs many episodes at once copies it out and in. */\nextern float {name}_memory[{guard}_MEMORY];\n\n\
                 /* Forgets what was before: the next observation is the first of its episode, as at the start of the program. */\n\
                 void {name}_reset(void);\n\n"
            ),
        ),
    };
    let mut text = comment(policy);
    text += &format!(
        "#ifndef {guard}_H\n#define {guard}_H\n\n#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n\
         enum {{\n    /* The values of an observation: the flat row that the environment gives. */\n    \
         {guard}_OBSERVATION = {},\n    \
         /* The parameters of the distribution of actions: logits, or means and logarithms of standard deviations. */\n    \
         {guard}_PARAMS = {},\n    /* The components of an action. */\n    {guard}_ACTION = {}{length}\n}};\n\n{memory}\
         /* All of these return 0, or 1 if an integer of the observation is out of range or an output not finite, as\n   \
         after a NaN; then they write nothing that is of use. One call at a time: they share static buffers. */\n\n\
         /* The parameters of the distribution of actions. */\n{};\n\n",
        policy.header().observation.flat_len(),
        action.distribution().num_params(),
        action.dim(),
        signature(name, "params")
    );
    let real = matches!(action, Action::Box { .. });
    if !policy.header().masked {
        text += &format!(
            "/* The most probable action{}. */\n{};\n\n\
             /* A random action, by a draw for each component: {}. */\n{};\n\n",
            if real { ": the mean within its bounds" } else { ", the first of equals" },
            signature(name, "act"),
            if real { "from the standard normal distribution" } else { "from [0, 1)" },
            signature(name, "sample")
        );
    }
    if !real {
        text += &format!(
            "/* The same among the choices whose place in the mask is not 0; 1 too if nothing is allowed. */\n{};\n{};\n\n",
            signature(name, "act_masked"),
            signature(name, "sample_masked")
        );
    }
    text + &format!(
        "/* 0 if every example leads here to what it should lead to, bit for bit{}. */\nint {name}_self_test(void);\n\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif\n",
        if policy.memory_len() > 0 { "; forgets what was before" } else { "" }
    )
}

/// A function as the header and the source declare it.
fn signature(name: &str, function: &str) -> String {
    let guard = name.to_uppercase();
    let mask = if function.ends_with("masked") {
        format!(", const unsigned char mask[{guard}_PARAMS]")
    } else {
        String::new()
    };
    let draws =
        if function.starts_with("sample") { format!(", const double draws[{guard}_ACTION]") } else { String::new() };
    let result = if function == "params" {
        format!("float params[{guard}_PARAMS]")
    } else {
        format!("float action[{guard}_ACTION]")
    };
    format!("int {name}_{function}(const float observation[{guard}_OBSERVATION]{mask}{draws}, {result})")
}

fn comment(policy: &Policy) -> String {
    format!(
        "/*\n * {}\n *\n * Bit for bit what apprentice_deploy::Runner computes, on every platform whose float is IEEE single precision;\n * \
         the self-test makes sure of it where it runs. Compile as C99 with -std=c99 or -ffp-contract=off, without\n * \
         -ffast-math. Calls nothing. Do not edit.\n */\n",
        about(policy).join("\n * ")
    )
}

pub(super) fn source(policy: &Policy, name: &str, examples: &[Example]) -> Result<String, Error> {
    let header = policy.header();
    let guard = name.to_uppercase();
    let mut text = comment(policy);
    text += &format!("#include \"{name}.h\"\n\n");
    text += include_str!("c/head.c");
    text += &kernels(policy);
    text += &buffers(policy);
    if let Body::Gru(gru) = policy.body() {
        text += &memory(gru.cell.units(), name);
    }
    text += &features(header);
    text += &outputs(policy, name)?;
    text += &params(policy, name);
    let choices = choices(&header.action);
    match choices.is_empty() {
        true => text += &reals(policy, name),
        false => text += &choosing(&choices, policy, name),
    }
    Ok(text + &self_test(policy, name, &guard, examples))
}

/// The functions that this policy needs.
fn kernels(policy: &Policy) -> String {
    let mut parts = vec![include_str!("c/exp.c")];
    let squashes = matches!(&policy.header().action, Action::Box { bounding: Bounding::Tanh, .. });
    let uses = |activation| policy.layers().iter().any(|layer| layer.activation == activation);
    let gates = match policy.body() {
        Body::Gru(gru) => Some(gru.cell.bias_x.len()),
        _ => None,
    };
    if squashes || uses(Activation::Tanh) || uses(Activation::Gelu) || gates.is_some() {
        parts.push(include_str!("c/tanh.c"));
    }
    if uses(Activation::Gelu) {
        parts.push(include_str!("c/gelu.c"));
    }
    if uses(Activation::Relu) {
        parts.push(include_str!("c/relu.c"));
    }
    let outputs = || policy.layers().iter().map(Layer::outputs).chain(gates);
    if outputs().any(|outputs| outputs >= LANES) {
        parts.push(include_str!("c/wide.c"));
    }
    if outputs().any(|outputs| outputs < LANES) {
        parts.push(include_str!("c/narrow.c"));
    }
    if gates.is_some() {
        parts.push(include_str!("c/gru.c"));
    }
    if !matches!(policy.header().action, Action::Box { .. }) {
        parts.extend([include_str!("c/argmax.c"), include_str!("c/choose.c")]);
    }
    let mut text = parts.join("\n") + "\n";
    if let Body::Int8(int8) = policy.body() {
        text += include_str!("c/int8.c");
        if int8.layers.iter().any(|layer| layer.activation == Activation::Tanh) {
            text += &include_str!("c/tanh_q15.c").replace("TABLE", &integers(&TANH));
        }
    }
    text
}

/// Whether an observation is its features: there is nothing to encode or to normalise.
fn plain(header: &Header) -> bool {
    matches!(header.observation, Features::Box { .. }) && header.normalizer.is_none()
}

/// The two rows that features and layers go between, each as long as the longest that it is for.
fn buffers(policy: &Policy) -> String {
    let mut longest = [if plain(policy.header()) { 0 } else { policy.header().observation.len() }, 0];
    for (i, layer) in policy.layers().iter().enumerate() {
        longest[(i + 1) % 2] = longest[(i + 1) % 2].max(layer.outputs());
    }
    let mut text = String::new();
    if let Body::Gru(gru) = policy.body() {
        longest = longest.map(|longest| longest.max(gru.cell.bias_x.len()));
    }
    if let Body::Int8(int8) = policy.body() {
        // Features, hidden activations in turn, and the outputs.
        let (last, hidden) = int8.layers.split_last().expect("a policy has a layer");
        let mut integers = [policy.header().observation.len(), 0];
        for (i, layer) in hidden.iter().enumerate() {
            integers[(i + 1) % 2] = integers[(i + 1) % 2].max(layer.bias.len());
        }
        let used = integers.iter().enumerate().filter(|(_, longest)| **longest > 0);
        text += &used.map(|(i, longest)| format!("static int16_t integers_{i}[{longest}];\n")).collect::<String>();
        longest[1] = last.bias.len();
    }
    let rows = longest.iter().enumerate().filter(|(_, longest)| **longest > 0);
    text + &rows.map(|(i, longest)| format!("static float row_{i}[{longest}];\n")).collect::<String>() + "\n"
}

/// What is remembered, and what is to be remembered if nothing goes wrong.
fn memory(units: usize, name: &str) -> String {
    let guard = name.to_uppercase();
    format!(
        "float {name}_memory[{guard}_MEMORY];\nstatic float next[{guard}_MEMORY];\n\n\
         void {name}_reset(void)\n{{\n    size_t i;\n    for (i = 0; i < {units}; i++) {{\n        \
         {name}_memory[i] = 0.0f;\n    }}\n}}\n\n\
         static void keep(void)\n{{\n    size_t i;\n    for (i = 0; i < {units}; i++) {{\n        \
         {name}_memory[i] = next[i];\n    }}\n}}\n\n"
    )
}

/// The end of a function of the header that nothing went wrong in.
fn done(policy: &Policy) -> &'static str {
    if policy.memory_len() > 0 { "    keep();\n    return 0;\n" } else { "    return 0;\n" }
}

fn features(header: &Header) -> String {
    let within = match (&header.normalizer, &header.action) {
        (None, Action::Discrete { .. } | Action::MultiDiscrete { .. }) => String::new(),
        _ => format!("{}\n", include_str!("c/within.c")),
    };
    if plain(header) {
        return within;
    }
    let mut text = "static int features(const float *observation, float *x)\n{\n".to_owned();
    let inputs = inputs(header);
    text += "    size_t i;\n";
    if inputs.iter().any(|(.., input)| matches!(input, Input::OneHot { .. })) {
        text += "    float choice;\n";
    }
    for (at, feature, input) in inputs {
        text += &match input {
            Input::Real { len } => {
                format!(
                    "    for (i = 0; i < {len}; i++) {{\n        x[{feature} + i] = observation[{at} + i];\n    }}\n"
                )
            }
            Input::OneHot { n, start } => format!(
                "    choice = observation[{at}] - {:?}f;\n    \
                 if (!(0.0f <= choice && choice < {:?}f && (float)(uint32_t)choice == choice)) {{\n        return 1;\n    }}\n    \
                 for (i = 0; i < {n}; i++) {{\n        x[{feature} + i] = i == (uint32_t)choice ? 1.0f : 0.0f;\n    }}\n",
                start as f32, n as f32
            ),
        };
    }
    let mut constants = String::new();
    if let Some(normalizer) = &header.normalizer {
        let n = normalizer.mean.len();
        constants = format!(
            "static const float mean[{n}] = {{{}}};\nstatic const float deviation[{n}] = {{{}}};\n\n",
            numbers(&normalizer.mean, "f"),
            numbers(&normalizer.std, "f")
        );
        text += &format!(
            "    for (i = 0; i < {n}; i++) {{\n        x[i] = within((x[i] - mean[i]) / deviation[i], -{0:?}f, {0:?}f);\n    }}\n",
            normalizer.clip
        );
    }
    format!("{within}{constants}{text}    return 0;\n}}\n\n")
}

fn outputs(policy: &Policy, name: &str) -> Result<String, Error> {
    match policy.body() {
        Body::Mlp(layers) => Ok(mlp(layers)),
        Body::Int8(layers) => Ok(int8(layers)),
        Body::Gru(body) => Ok(gru(body, name)),
        Body::Tree(tree) => {
            let rows: Vec<String> =
                tree.leaves.chunks(tree.width()).map(|row| format!("    {{{}    }}", numbers(row, "f"))).collect();
            let (leaves, width, features) = (tree.splits.len() + 1, tree.width(), policy.header().observation.len());
            let unused = if tree.splits.is_empty() { "    (void)x;\n" } else { "" };
            Ok(format!(
                "static const float leaves[{leaves}][{width}] = {{\n{}\n}};\n\n\
                 static size_t leaf(const float *x)\n{{\n{unused}{}}}\n\n\
                 static const float *outputs(const float *x)\n{{\n    \
                 return all_finite(x, {features}) ? leaves[leaf(x)] : NULL;\n}}\n\n",
                rows.join(",\n"),
                ifs(tree, true, "f")?
            ))
        }
    }
}

fn mlp(layers: &[Layer]) -> String {
    let (constants, code) = dense(layers, "x");
    let index = if code.contains("(i = 0") { "    size_t i;\n" } else { "" };
    let (last, outputs) = (layers.len() % 2, layers.last().map_or(0, Layer::outputs));
    format!(
        "{constants}static const float *outputs(const float *x)\n{{\n{index}{code}    \
         return all_finite(row_{last}, {outputs}) ? row_{last} : NULL;\n}}\n\n"
    )
}

fn gru(gru: &Gru, name: &str) -> String {
    let cell = &gru.cell;
    let (features, units, gates) = (cell.features(), cell.units(), cell.bias_x.len());
    let (constants, code) = dense(&gru.layers, "next");
    let index = if code.contains("(i = 0") { "    size_t i;\n" } else { "" };
    let (last, outputs) = (gru.layers.len() % 2, gru.layers.last().map_or(0, Layer::outputs));
    let function = function(gates);
    format!(
        "{}{}{constants}static const float *outputs(const float *x)\n{{\n{index}    \
         {function}(x, {features}, weight_x, bias_x, row_1, {gates});\n    \
         {function}({name}_memory, {units}, weight_h, bias_h, row_0, {gates});\n    \
         remember(row_1, row_0, {name}_memory, next, {units});\n{code}    \
         return all_finite(row_{last}, {outputs}) && all_finite(next, {units}) ? row_{last} : NULL;\n}}\n\n",
        weights("x", &cell.weight_x, &cell.bias_x),
        weights("h", &cell.weight_h, &cell.bias_h)
    )
}

/// A weight and a bias.
fn weights(name: &str, weight: &[f32], bias: &[f32]) -> String {
    format!(
        "static const float weight_{name}[{}] = {{{}}};\nstatic const float bias_{name}[{}] = {{{}}};\n\n",
        weight.len(),
        numbers(weight, "f"),
        bias.len(),
        numbers(bias, "f")
    )
}

/// The function that computes a layer of so many outputs.
fn function(outputs: usize) -> &'static str {
    if outputs < LANES { "narrow" } else { "wide" }
}

/// The numbers of layers and the calls that compute them, `first` being what goes into the first.
fn dense(layers: &[Layer], first: &str) -> (String, String) {
    let (mut constants, mut code) = (String::new(), String::new());
    for (i, layer) in layers.iter().enumerate() {
        let (inputs, outputs) = (layer.inputs(), layer.outputs());
        constants += &weights(&i.to_string(), &layer.weight, &layer.bias);
        let (from, to) = (if i == 0 { first.to_owned() } else { format!("row_{}", i % 2) }, (i + 1) % 2);
        let function = function(outputs);
        code += &format!("    {function}({from}, {inputs}, weight_{i}, bias_{i}, row_{to}, {outputs});\n");
        let activation = match layer.activation {
            Activation::Tanh => "tanh_of",
            Activation::Relu => "relu_of",
            Activation::Gelu => "gelu_of",
            Activation::Identity => continue,
        };
        code += &format!(
            "    for (i = 0; i < {outputs}; i++) {{\n        row_{to}[i] = {activation}(row_{to}[i]);\n    }}\n"
        );
    }
    (constants, code)
}

fn int8(int8: &Int8) -> String {
    let (mut constants, mut code) = (String::new(), String::new());
    for (i, layer) in int8.layers.iter().enumerate() {
        let shape = layer.shape();
        let (inputs, outputs, shift) = (shape.inputs, shape.outputs, layer.shift);
        constants += &format!(
            "static const int8_t weight_{i}[{}] = {{{}}};\nstatic const int32_t bias_{i}[{outputs}] = {{{}}};\n\
             static const int32_t multiplier_{i}[{outputs}] = {{{}}};\n\n",
            layer.weight.len(),
            integers(&layer.by_output()),
            integers(&layer.bias),
            integers(&layer.multiplier)
        );
        let from = i % 2;
        let sum = format!(
            "dense(integers_{from}, {inputs}, weight_{i} + j * {inputs}, bias_{i}[j], multiplier_{i}[j], {shift})"
        );
        let to = (i + 1) % 2;
        let assign = match layer.activation {
            _ if i + 1 == int8.layers.len() => {
                format!("row_1[j] = (float)limit({sum}, -1073741824, 1073741824) * (1.0f / 65536.0f)")
            }
            Activation::Tanh => format!("integers_{to}[j] = tanh_q15({sum})"),
            Activation::Relu => format!("integers_{to}[j] = (int16_t)limit({sum}, 0, 32767)"),
            Activation::Identity | Activation::Gelu => {
                format!("integers_{to}[j] = (int16_t)limit({sum}, -32767, 32767)")
            }
        };
        code += &format!("    for (j = 0; j < {outputs}; j++) {{\n        {assign};\n    }}\n");
    }
    let features = int8.layers.first().map_or(0, |layer| layer.shape().inputs);
    format!(
        "{constants}static const float *outputs(const float *x)\n{{\n    size_t j;\n    \
         if (!all_finite(x, {features})) {{\n        return NULL;\n    }}\n    \
         for (j = 0; j < {features}; j++) {{\n        integers_0[j] = quantize(x[j], {:?}f);\n    }}\n{code}    \
         return row_1;\n}}\n\n",
        int8.scale
    )
}

fn params(policy: &Policy, name: &str) -> String {
    let header = policy.header();
    let mut text = match plain(header) {
        true => "static const float *compute(const float *observation)\n{\n    return outputs(observation);\n}\n\n"
            .to_owned(),
        false => "static const float *compute(const float *observation)\n{\n    \
                  return features(observation, row_0) ? NULL : outputs(row_0);\n}\n\n"
            .to_owned(),
    };
    let outputs = header.action.outputs();
    let mut fixed = String::new();
    if let Action::Box { log_std: Some(log_std), .. } = &header.action {
        let n = log_std.len();
        text += &format!("static const float log_std[{n}] = {{{}}};\n\n", numbers(log_std, "f"));
        fixed = format!("    for (i = 0; i < {n}; i++) {{\n        params[{outputs} + i] = log_std[i];\n    }}\n");
    }
    let body = format!(
        "    size_t i;\n    const float *y = compute(observation);\n    if (y == NULL) {{\n        return 1;\n    }}\n    \
         for (i = 0; i < {outputs}; i++) {{\n        params[i] = y[i];\n    }}\n{fixed}    return 0;\n"
    );
    let public = signature(name, "params");
    // What may still go wrong after it must leave the memory alone.
    text + &match policy.memory_len() {
        0 => format!("{public}\n{{\n{body}}}\n\n"),
        _ => format!(
            "static int parameters(const float *observation, float *params)\n{{\n{body}}}\n\n\
             {public}\n{{\n    if (parameters(observation, params)) {{\n        return 1;\n    }}\n{}}}\n\n",
            done(policy)
        ),
    }
}

/// The function that computes parameters and remembers nothing.
fn parameters(policy: &Policy, name: &str) -> String {
    if policy.memory_len() > 0 { "parameters".to_owned() } else { format!("{name}_params") }
}

fn reals(policy: &Policy, name: &str) -> String {
    let Action::Box { low, high, bounding, .. } = &policy.header().action else { return String::new() };
    let literal = |bounds: &[f32]| {
        let finite = |x: f32| x.clamp(f32::MIN, f32::MAX);
        numbers(&bounds.iter().copied().map(finite).collect::<Vec<_>>(), "f")
    };
    let squash = match bounding {
        Bounding::Clip => "",
        Bounding::Tanh => "        action[i] = low[i] + 0.5f * (tanh_of(action[i]) + 1.0f) * (high[i] - low[i]);\n",
    };
    let n = low.len();
    let guard = name.to_uppercase();
    let (parameters, done) = (parameters(policy, name), done(policy));
    format!(
        "static const float low[{n}] = {{{}}};\nstatic const float high[{n}] = {{{}}};\n\n\
         static void bound(float *action)\n{{\n    size_t i;\n    for (i = 0; i < {n}; i++) {{\n{squash}        \
         action[i] = within(action[i], low[i], high[i]);\n    }}\n}}\n\n\
         {}\n{{\n    size_t i;\n    const float *y = compute(observation);\n    if (y == NULL) {{\n        return 1;\n    }}\n    \
         for (i = 0; i < {n}; i++) {{\n        action[i] = y[i];\n    }}\n    bound(action);\n{done}}}\n\n\
         {}\n{{\n    size_t i;\n    float params[{guard}_PARAMS];\n    if ({parameters}(observation, params)) {{\n        \
         return 1;\n    }}\n    for (i = 0; i < {n}; i++) {{\n        if (draws[i] - draws[i] != 0.0) {{\n            \
         return 1;\n        }}\n        \
         action[i] = params[i] + (float)exp_of((double)within(params[{n} + i], -20.0f, 2.0f)) * (float)draws[i];\n    }}\n    \
         bound(action);\n{done}}}\n\n",
        literal(low),
        literal(high),
        signature(name, "act"),
        signature(name, "sample")
    )
}

fn choosing(choices: &[(usize, usize, i64)], policy: &Policy, name: &str) -> String {
    let guard = name.to_uppercase();
    let n = choices.len();
    let nvec: Vec<String> = choices.iter().map(|(_, n, _)| n.to_string()).collect();
    let start: Vec<f32> = choices.iter().map(|(.., start)| *start as f32).collect();
    let mut text = format!("static const size_t nvec[{n}] = {{{}}};\n", nvec.join(", "));
    let mut acting = include_str!("c/acting.c").replace("ACTION", &format!("{guard}_ACTION"));
    if start.iter().all(|start| *start == 0.0) {
        acting = acting.replace(" + start[i]", "");
    } else {
        text += &format!("static const float start[{n}] = {{{}}};\n", numbers(&start, "f"));
    }
    text += &format!("\n{acting}");
    let (parameters, done) = (parameters(policy, name), done(policy));
    let function = |kind: &str, mask: &str, act: &str| {
        format!(
            "{}\n{{\n    float params[{guard}_PARAMS];\n    if ({parameters}(observation, params){mask}) {{\n        \
             return 1;\n    }}\n{act}}}\n\n",
            signature(name, kind)
        )
    };
    let act = &format!("    most_probable(params, action);\n{done}")[..];
    let sample = &match policy.memory_len() {
        0 => "    return drawn(params, draws, action);\n".to_owned(),
        _ => format!("    if (drawn(params, draws, action)) {{\n        return 1;\n    }}\n{done}"),
    }[..];
    if !policy.header().masked {
        text += &format!(
            "{}\n{{\n    const float *y = compute(observation);\n    if (y == NULL) {{\n        return 1;\n    }}\n    \
             most_probable(y, action);\n{done}}}\n\n",
            signature(name, "act")
        );
        text += &function("sample", "", sample);
    }
    text += &function("act_masked", " || forbid(params, mask)", act);
    text + &function("sample_masked", " || forbid(params, mask)", sample)
}

fn self_test(policy: &Policy, name: &str, guard: &str, examples: &[Example]) -> String {
    let table = |kind: &str, size: &str, row: fn(&Example) -> &[f32]| {
        let rows: Vec<String> = examples.iter().map(|e| format!("    {{{}    }}", numbers(row(e), "f"))).collect();
        format!(
            "static const float {kind}_of_examples[{}][{guard}_{size}] = {{\n{}\n}};\n\n",
            examples.len(),
            rows.join(",\n")
        )
    };
    let (mask, act) = match policy.header().masked {
        true => (
            format!("    unsigned char mask[{guard}_PARAMS];\n"),
            format!("{name}_act_masked(observation_of_examples[i], mask, action)"),
        ),
        false => (String::new(), format!("{name}_act(observation_of_examples[i], action)")),
    };
    let fill = match mask.is_empty() {
        true => String::new(),
        false => format!("    for (i = 0; i < {guard}_PARAMS; i++) {{\n        mask[i] = 1;\n    }}\n"),
    };
    // A policy that remembers is led through the examples twice, since each call is one more observation to it.
    let (reset, once_more) = match policy.memory_len() {
        0 => (String::new(), String::new()),
        _ => (
            format!("    {name}_reset();\n"),
            format!("    }}\n    {name}_reset();\n    for (i = 0; i < {}; i++) {{\n", examples.len()),
        ),
    };
    table("observation", "OBSERVATION", |example| &example.observation)
        + &table("params", "PARAMS", |example| &example.params)
        + &table("action", "ACTION", |example| &example.action)
        + include_str!("c/same.c")
        + &format!(
            "int {name}_self_test(void)\n{{\n    size_t i;\n    float params[{guard}_PARAMS], action[{guard}_ACTION];\n{mask}{fill}{reset}    \
             for (i = 0; i < {n}; i++) {{\n        \
             if ({name}_params(observation_of_examples[i], params) || !same(params, params_of_examples[i], {guard}_PARAMS)) {{\n            \
             return 1;\n        }}\n{once_more}        \
             if ({act} || !same(action, action_of_examples[i], {guard}_ACTION)) {{\n            \
             return 1;\n        }}\n    }}\n{reset}    return 0;\n}}\n",
            n = examples.len(),
        )
}
