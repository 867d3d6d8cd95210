//! Builds the page: one file that needs neither a network nor a server.
//!
//! `cargo run -p apprentice-browser -- [POLICY [PAGE]]`, a policy file or the run directory that holds one.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";
/// The place in `index.html` where the module goes.
const PLACE: &str = "WASM";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // This program lies in a folder of the target directory, that of its profile.
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program is in no target directory")?;
    let mut policy = arguments.next().unwrap_or_else(|| here.join("student.apprentice"));
    if policy.is_dir() {
        policy.push("policy.apprentice");
    }
    let page = arguments.next().unwrap_or_else(|| target.join("cartpole.html"));

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--lib", "--target", TARGET, "--target-dir"]).arg(target);
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "true").env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    cargo.current_dir(here).env("STUDENT", std::path::absolute(policy)?);
    if !cargo.status()?.success() {
        return Err(format!("cargo could not build the module; it needs, once: rustup target add {TARGET}").into());
    }
    let module = std::fs::read(target.join(TARGET).join("release/cartpole.wasm"))?;
    std::fs::write(&page, include_str!("../index.html").replacen(PLACE, &base64(&module), 1))?;
    println!("{}: {} kB, {} of them WebAssembly", page.display(), page.metadata()?.len() / 1000, module.len() / 1000);
    Ok(())
}

/// A page opened from a disk may read no other file, so the module is in it as text.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, i| number << 8 | usize::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..4 {
            let digit = DIGITS[number >> (18 - 6 * i) & 63];
            text.push(if i <= chunk.len() { digit.into() } else { '=' });
        }
    }
    text
}
