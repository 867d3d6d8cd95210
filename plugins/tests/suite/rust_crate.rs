//! The example crate, built outside of this repository, is a plugin.

use crate::built::HERE;
use apprentice_envs::{EnvSpec, Registry, StepBuffer, VectorOptions};
use ndarray::Array2;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Builds the crate in a folder of its own, with the versions of dependencies that the workspace has.
fn built() -> PathBuf {
    let (example, root) = (Path::new(HERE).join("examples/rust-crate"), Path::new(HERE).parent().unwrap());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rust-crate");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    for file in ["src/lib.rs", "src/main.rs"] {
        std::fs::copy(example.join(file), folder.join(file)).unwrap();
    }
    let manifest = std::fs::read_to_string(example.join("Cargo.toml")).unwrap();
    let there = |path: &Path| format!("path = \"{}\"", path.display());
    let manifest = manifest
        .replace("path = \"../../..\"", &there(root))
        .replace("path = \"../../../envs\"", &there(&root.join("envs")))
        .replace("path = \"../..\"", &there(Path::new(HERE)));
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();

    let cargo = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--lib", "--target-dir", "target"])
        .current_dir(&folder)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    folder.join(format!("target/debug/{prefix}thermostat{suffix}"))
}

#[test]
fn a_crate_of_its_own_is_a_plugin() {
    let library = built();
    let report = apprentice_plugins::check(&library, Duration::from_secs(60));
    assert!(report.ok, "{}", report.to_text());
    let mut registry = Registry::builtin();
    let ids = apprentice_plugins::load(&library, &mut registry).unwrap();
    assert_eq!(ids, ["lab/Thermostat-v0"]);
    let spec = EnvSpec::new("lab/Thermostat-v0").with("target", 18.0);
    let options = VectorOptions::new(8, 0).threads(2).randomize("heating", 1.0, 2.0);
    let mut env = registry.make_vec_with(spec, &options).unwrap();
    let mut buffer = StepBuffer::new(&*env);
    env.reset(Some(0), buffer.observations.view_mut()).unwrap();
    for _ in 0..100 {
        // Heat where it is too cold.
        let heat = |i| if buffer.observations[(i, 0)] < 0.0 { 1.0 } else { 0.0 };
        let actions = Array2::from_shape_fn((8, 1), |(i, _)| heat(i));
        env.step(actions.view(), buffer.view_mut()).unwrap();
    }
    assert!(buffer.truncated.iter().all(|&cut| cut), "after a hundred steps");
    assert!(buffer.final_observations.column(0).iter().all(|difference| difference.abs() < 3.0));
    let error = registry.make(EnvSpec::new("lab/Thermostat-v0").with("loss", 2.0)).err().unwrap();
    assert!(error.is_config() && error.to_string().contains("expected loss from 0 to 1"), "{error}");
    let error = registry.make(EnvSpec::new("lab/Thermostat-v0").with("los", 0.2)).err().unwrap();
    assert!(error.to_string().contains("unknown field `los`"), "{error}");
    let env = registry.make("lab/Thermostat-v0").unwrap();
    assert!(env.render_ansi().is_none() && env.render_rgb().is_none(), "it does not draw itself");
}
