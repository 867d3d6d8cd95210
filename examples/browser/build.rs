//! The policy file as a module of Rust: what `apprentice export --format rust` writes.

use apprentice_deploy::Policy;
use apprentice_deploy::export::{Format, export};
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-env-changed=STUDENT");
    let path = std::env::var_os("STUDENT").map_or_else(|| PathBuf::from("student.apprentice"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", path.display());
    if let Err(error) = module(&path) {
        println!("cargo::error={error}");
    }
}

fn module(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let policy = Policy::load(path)?;
    let (id, wrappers) = (&policy.header().environment.id, &policy.header().environment.wrappers);
    // The page's calls are those of a policy without a memory that sees the task as it is.
    if !id.starts_with("CartPole-v") || !wrappers.is_null() || policy.memory_len() > 0 {
        let path = path.display();
        return Err(
            format!("{path}: the page takes policies for CartPole without wrappers and without a memory").into()
        );
    }
    let (_, mut module) = export(&policy, Format::Rust, "student", &[])?.swap_remove(0);
    module.extend(format!("\npub const PARAMETERS: usize = {};\n", policy.parameters()).bytes());
    std::fs::write(Path::new(&std::env::var("OUT_DIR")?).join("student.rs"), module)?;
    Ok(())
}
