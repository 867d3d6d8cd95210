//! Builds shared libraries from C.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The folder of this crate.
pub(crate) const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the system's C compiler, or the one that CC names, with warnings as errors; the output is `folder/name`.
pub(crate) fn cc(folder: &Path, name: &str, source: &Path, flags: &[&str]) -> PathBuf {
    let output = folder.join(name);
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let mut command = Command::new(&compiler);
    command.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fPIC", "-I"]);
    command.arg(Path::new(HERE).join("include")).args(flags).arg(source).arg("-o").arg(&output).arg("-lm");
    let ran = command.output().unwrap_or_else(|e| panic!("these tests need a C compiler, but {compiler}: {e}"));
    assert!(ran.status.success(), "{}: {}", source.display(), String::from_utf8_lossy(&ran.stderr));
    output
}

/// The example in C, optimised as its comment says but for the machine.
pub(crate) fn cartpole() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(HERE).join("examples/c/cartpole.c");
    let plugin = cc(folder.path(), "cartpole.so", &source, &["-shared", "-O3"]);
    (folder, plugin)
}
