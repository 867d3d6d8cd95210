//! Exports compiled and run: the same bits as the runner's, for every kind of policy.

mod cortex_m;
mod policies;
mod wasm;

use apprentice_deploy::export::{Built, Format, export, write};
use apprentice_deploy::{Activation, Body, Features, Policy};
use policies::{Draws, policies};
use std::path::Path;
use std::process::Command;

/// How many states each export is compared on.
const STATES: usize = 100_000;

/// An observation that fits, or hardly ever one that does not.
fn observation(features: &Features, draws: &mut Draws, row: &mut Vec<f32>) {
    match features {
        Features::Box { len } => row.extend((0..*len).map(|_| match draws.uniform() {
            u if u < 1e-3 => f32::NAN,
            u if u < 2e-3 => f32::INFINITY,
            u if u < 0.2 => draws.real(100.0),
            _ => draws.real(1.0),
        })),
        Features::OneHot { n, start } => {
            let choice = (draws.uniform() * *n as f64) as i64 + start;
            row.push(if draws.uniform() < 1e-3 { 0.5 } else { choice as f32 });
        }
        Features::Concat { parts } => parts.iter().for_each(|part| observation(part, draws, row)),
    }
}

fn bits(row: &[f32]) -> Vec<u32> {
    row.iter().map(|x| x.to_bits()).collect()
}

/// Compiles the export and compares it with the runner on many states, in episodes of 1 to 100 of them.
fn check(name: &str, policy: &Policy, format: Format, flags: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &export(policy, format, name, &[]).unwrap()).unwrap();
    let mut built = Built::new(policy, folder.path(), flags).unwrap_or_else(|e| panic!("{name}: {e}"));
    let mut runner = policy.runner();
    let (params, dim) = (runner.distribution().num_params(), runner.distribution().dim());
    let choices: Vec<_> = runner.distribution().choices().collect();
    let mut draws = Draws(9);
    let (mut rows, mut masks, mut uniforms) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..STATES {
        observation(&policy.header().observation, &mut draws, &mut rows);
        let told = policy.header().masked || draws.uniform() < 0.5;
        masks.extend((0..params).map(|_| !told || draws.uniform() < 0.7));
        if draws.uniform() < 0.99 {
            choices.iter().for_each(|range| masks[i * params + range.start] = true);
        }
        uniforms.extend((0..dim).map(|_| draws.uniform()));
    }
    let width = rows.len() / STATES;
    let (mut answers, mut starts) = (Vec::new(), Vec::new());
    while answers.len() < STATES {
        let start = answers.len();
        let end = STATES.min(start + 1 + (draws.uniform() * 100.0) as usize);
        starts.push(start);
        built.reset();
        let (masks, uniforms) = (&masks[start * params..end * params], &uniforms[start * dim..end * dim]);
        answers.extend(built.answers(&rows[start * width..end * width], Some(masks), Some(uniforms)).unwrap());
    }
    let mut refused = 0;
    for (i, answer) in answers.iter().enumerate() {
        if starts.binary_search(&i).is_ok() {
            runner.reset();
        }
        let row = &rows[i * width..(i + 1) * width];
        let mask = (!choices.is_empty()).then_some(&masks[i * params..][..params]);
        let drawn = &uniforms[i * dim..][..dim];
        let before = runner.memory().to_vec();
        let expected = runner.decide(row, mask, None).map(bits).ok();
        refused += usize::from(expected.is_none());
        assert_eq!(answer.as_ref().map(|answer| bits(&answer.action)), expected, "{name}: {row:?}");
        let Some(answer) = answer else { continue };
        runner.memory().copy_from_slice(&before);
        assert_eq!(bits(&answer.drawn), bits(runner.decide(row, mask, Some(drawn)).unwrap()), "{name}: {row:?}");
        runner.memory().copy_from_slice(&before);
        assert_eq!(bits(&answer.params), bits(runner.params(row).unwrap()), "{name}: {row:?}");
    }
    assert_eq!(answers.len(), STATES);
    assert!((1..STATES / 10).contains(&refused), "{name}: {refused} refused");
}

pub(crate) fn has(compiler: &str) -> bool {
    let found = Command::new(compiler).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: there is no {compiler}");
    }
    found
}

/// A hash of what the runner does in many states from a linear congruential generator, to compare with another machine's.
/// An episode has fifty of them; parameters and action are two observations of the same state to a policy that remembers.
pub(crate) fn state_hash(policy: &Policy, states: u32) -> u32 {
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 4_194_304.0 - 2.0
    };
    let mut runner = policy.runner();
    let mut hash = 2_166_136_261_u32;
    let mut add = |numbers: &[f32]| {
        for x in numbers {
            hash = (hash ^ x.to_bits()).wrapping_mul(16_777_619);
        }
    };
    for i in 0..states {
        if i % 50 == 0 {
            runner.reset();
        }
        let observation: Vec<f32> = (0..policy.header().observation.flat_len()).map(|_| draw()).collect();
        add(runner.params(&observation).unwrap());
        add(runner.act(&observation).unwrap());
    }
    hash
}

/// Whether Rust can compile for a target.
pub(crate) fn has_target(target: &str) -> bool {
    let folder = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let found = folder.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).exists());
    if !found {
        eprintln!("skipped: rustup target add {target}");
    }
    found
}

#[test]
fn rust_modules_have_the_runners_bits() {
    if has("rustc") {
        policies().iter().for_each(|(name, policy)| check(name, policy, Format::Rust, &["-Dwarnings"]));
    }
}

#[test]
fn c_sources_have_the_runners_bits() {
    if has("cc") {
        let flags =
            ["-Wall", "-Wextra", "-Werror", "-pedantic", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        policies().iter().for_each(|(name, policy)| check(name, policy, Format::C, &flags));
    }
}

/// Needs a Python with `onnxruntime`, which `$PYTHON` may name.
#[test]
fn models_compute_what_the_runner_does_in_onnx_runtime() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import onnxruntime"]).output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no onnxruntime");
        return;
    }
    let both = [(Format::Onnx, 1e-5), (Format::OnnxExact, 0.0)];
    for ((name, policy), (format, tolerance)) in
        policies().into_iter().flat_map(|it| both.map(|both| (it.clone(), both)))
    {
        if matches!(policy.body(), Body::Int8(_)) {
            assert!(export(&policy, format, name, &[]).unwrap_err().is_shape());
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &export(&policy, format, name, &[]).unwrap()).unwrap();
        let mut built = Built::new(&policy, folder.path(), &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut runner = policy.runner();
        let params = runner.distribution().num_params();
        let choices: Vec<_> = runner.distribution().choices().collect();
        let mut draws = Draws(11);
        let (mut worst, mut other_actions, mut compared) = (0.0_f32, 0, 0);
        for i in 0..10_000 {
            if i % 50 == 0 {
                runner.reset();
                built.reset();
            }
            let mut row = Vec::new();
            observation(&policy.header().observation, &mut draws, &mut row);
            let mut mask: Vec<bool> = (0..params).map(|_| !policy.header().masked || draws.uniform() < 0.7).collect();
            choices.iter().for_each(|range| mask[range.start] = true);
            let told = policy.header().masked.then_some(&mask[..]);
            let before = runner.memory().to_vec();
            let Ok(action) = runner.decide(&row, told, None).map(<[f32]>::to_vec) else { continue };
            runner.memory().copy_from_slice(&before);
            let answer = built.answers(&row, Some(&mask), None).unwrap().remove(0).unwrap();
            // Relative to the largest number: where sums are large, so is what is lost of them.
            let error = |got: &[f32], expected: &[f32]| {
                let scale = expected.iter().fold(1.0, |scale: f32, x| scale.max(x.abs()));
                got.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale).fold(0.0, f32::max)
            };
            let expected = runner.params(&row).unwrap();
            worst = worst.max(error(&answer.params, expected));
            if format == Format::OnnxExact {
                assert_eq!(bits(&answer.params), bits(expected), "{name}: {row:?}");
                assert_eq!(bits(&answer.action), bits(&action), "{name}: {row:?}");
            }
            let other = error(&answer.action, &action) > if choices.is_empty() { tolerance } else { 0.0 };
            other_actions += usize::from(other);
            compared += 1;
        }
        println!("{name}, {format}: {compared} states, parameters within {worst:.1e}, {other_actions} other actions");
        let fits = worst <= tolerance && other_actions == 0 && compared > 9_000;
        assert!(fits, "{name}, {format}: {worst:e}, {other_actions}");
    }
}

/// How far the runner is from the same policy in double precision, and how far of that is single precision itself: with a
/// true tanh, but sums in f32. No two programs that add in another order can be expected to agree better than that.
#[test]
fn the_runner_is_as_near_to_double_precision_as_its_tanh_lets_it() {
    for (name, policy) in policies() {
        let (Body::Mlp(layers), None) = (policy.body(), &policy.header().normalizer) else { continue };
        if layers.len() < 2 || layers[..layers.len() - 1].iter().any(|layer| layer.activation != Activation::Tanh) {
            continue;
        }
        let (mut runner, mut draws) = (policy.runner(), Draws(13));
        let outputs = layers.last().unwrap().outputs();
        let (mut whole, mut sums) = (0.0_f64, 0.0_f64);
        for _ in 0..10_000 {
            let row: Vec<f32> = (0..layers[0].inputs()).map(|_| draws.real(1.0)).collect();
            let (mut double, mut single): (Vec<f64>, Vec<f32>) =
                (row.iter().map(|x| f64::from(*x)).collect(), row.clone());
            for (i, layer) in layers.iter().enumerate() {
                let n = layer.outputs();
                let (mut a, mut b): (Vec<f64>, Vec<f32>) =
                    (layer.bias.iter().map(|x| f64::from(*x)).collect(), layer.bias.clone());
                for (weights, (x, y)) in layer.weight.chunks_exact(n).zip(double.iter().zip(&single)) {
                    for (k, weight) in weights.iter().enumerate() {
                        a[k] += f64::from(*weight) * x;
                        b[k] += weight * y;
                    }
                }
                if i + 1 < layers.len() {
                    a.iter_mut().for_each(|x| *x = x.tanh());
                    b.iter_mut().for_each(|x| *x = f64::from(*x).tanh() as f32);
                }
                (double, single) = (a, b);
            }
            let scale = double.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
            let off = |got: &[f32]| {
                let errors = got.iter().zip(&double).map(|(a, b)| (f64::from(*a) - b).abs() / scale);
                errors.fold(0.0, f64::max)
            };
            whole = whole.max(off(&runner.params(&row).unwrap()[..outputs]));
            sums = sums.max(off(&single));
        }
        println!("{name}: within {whole:.1e} of double precision, with a true tanh {sums:.1e}");
        assert!(whole < 5e-6 && sums < 2e-6, "{name}: {whole:e}, {sums:e}");
    }
}

/// What files and functions of an export are called after collides with nothing in them or beside them.
#[test]
fn names_collide_with_nothing() {
    let (_, policy) = policies().into_iter().next().unwrap();
    for (format, compiler) in [(Format::Rust, "rustc"), (Format::C, "cc")] {
        for name in ["example", "params_of", "harness", "run", "policy", "kernel", "int"] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), &export(&policy, format, name, &[]).unwrap()).unwrap();
            let built = Built::new(&policy, folder.path(), &[]);
            assert!(!has(compiler) || built.is_ok(), "{name} as {format}: {:?}", built.err());
        }
    }
}

/// Names are anybody's text, and stay within their comments.
#[test]
fn no_name_becomes_code() {
    let (_, policy) = policies().into_iter().next().unwrap();
    let mut header = policy.header().clone();
    header.environment.id = "a/B-v0 */ int x; /*\nfn x() {}\\".into();
    header.provenance.role = "\r\nfn y() {} */".into();
    let policy = Policy::new(header, policy.body().clone()).unwrap();
    for (format, compiler) in [(Format::Rust, "rustc"), (Format::C, "cc")] {
        let files = export(&policy, format, "named", &[]).unwrap();
        let text = String::from_utf8_lossy(&files[0].1).into_owned();
        assert!(text.contains("a/B-v0 ?/ int x? /??fn x?? ???"), "{text}");
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files).unwrap();
        assert!(!has(compiler) || Built::new(&policy, folder.path(), &[]).is_ok());
    }
}
