//! The same student as a file, as Rust, as C, in integers and as ONNX, side by side.
//!
//! ```sh
//! cargo run --release --example side_by_side -- runs/CartPole-v1-distill-0/policy.apprentice
//! ```
//!
//! Needs `rustc` and `cc`; for ONNX a Python with onnxruntime, which `PYTHON` may name.

use apprentice::agents::{EvaluationPlan, policy_env, run_episodes};
use apprentice::deploy::Policy;
use apprentice::deploy::export::{Built, Format, export, write};
use apprentice::envs::Registry;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let path =
        std::env::args().nth(1).ok_or("give a policy file, such as runs/CartPole-v1-distill-0/policy.apprentice")?;
    let policy = Policy::load(path.as_ref())?;
    let mut states = Vec::new();
    let plan = EvaluationPlan { episodes: 4, sampled: true, ..EvaluationPlan::default() };
    let mut envs = Registry::builtin().make_vec(policy_env(&policy)?, plan.episodes, plan.seed)?;
    run_episodes(&policy, &mut *envs, &plan, |_, observation, _, _| {
        states.push(observation.to_vec());
        Ok(())
    })?;
    let int8 = policy.to_int8(&states);
    let shown: Vec<_> = states.iter().step_by(states.len().div_ceil(5)).collect();
    println!("{:<26}{}", "", shown.iter().map(|state| format!("{:>32}", format!("{state:.2?}"))).collect::<String>());

    let show = |name: &str, rows: Vec<(Vec<f32>, Vec<f32>)>| {
        let cells = rows.iter().map(|(params, action)| format!("{:>32}", format!("{params:.5?} → {action:?}")));
        println!("{name:<26}{}", cells.collect::<String>());
    };
    for (name, policy, formats) in [
        ("f32", Ok(&policy), &[Format::Rust, Format::C, Format::OnnxExact, Format::Onnx][..]),
        ("int8", int8.as_ref(), &[Format::Rust, Format::C]),
    ] {
        let policy = match policy {
            Ok(policy) => policy,
            Err(error) => {
                println!("{name}: {error}");
                continue;
            }
        };
        let mut runner = policy.runner();
        let mut run = |state: &[f32]| {
            let before = runner.memory().to_vec();
            let params = runner.params(state)?.to_vec();
            // If the policy has a memory: the same state once more, not the next one.
            runner.memory().copy_from_slice(&before);
            Ok((params, runner.act(state)?.to_vec()))
        };
        let rows = shown.iter().map(|state| run(state)).collect::<Result<_, apprentice::deploy::Error>>()?;
        show(&format!("{name}, the file's runner"), rows);
        for format in formats {
            let folder = std::env::temp_dir().join(format!("apprentice-{}-{name}-{format}", std::process::id()));
            write(&folder, &export(policy, *format, "student", &states[..8.min(states.len())])?)?;
            match Built::new(policy, &folder, &[]) {
                Ok(mut built) => {
                    let answers =
                        built.answers(&shown.iter().copied().flatten().copied().collect::<Vec<_>>(), None, None)?;
                    let rows = answers.into_iter().flatten().map(|answer| (answer.params, answer.action)).collect();
                    show(&format!("{name}, {format}"), rows);
                }
                Err(error) => println!("{name}, {format}: {error}"),
            }
            std::fs::remove_dir_all(&folder)?;
        }
    }
    Ok(())
}
