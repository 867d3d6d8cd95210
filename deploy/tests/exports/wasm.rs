//! The Rust module in a browser's machine: WebAssembly, run by node.
//!
//! Needs `node` and `rustup target add wasm32-unknown-unknown`; without them the test says so and is skipped.

use crate::policies::policies;
use crate::{has, has_target, state_hash};
use apprentice_deploy::export::{Format, export, write};
use std::process::Command;

/// How many states are compared.
const STATES: u32 = 100_000;

const LIBRARY: &str = r#"
#![no_std]
#[allow(dead_code)]
mod policy;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
pub extern "C" fn self_test() -> u32 {
    u32::from(policy::self_test())
}

/// The hash of what the policy does in many states from a linear congruential generator.
#[unsafe(no_mangle)]
pub extern "C" fn hash(states: u32) -> u32 {
    let (mut state, mut hash) = (1_u32, 2_166_136_261_u32);
    MEMORY
    for _i in 0..states {
        RESET
        let observation = core::array::from_fn(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 4_194_304.0 - 2.0
        });
        let (params, action) = (policy::params(OBSERVED).unwrap(), policy::act(OBSERVED).unwrap());
        for x in params.iter().chain(&action) {
            hash = (hash ^ x.to_bits()).wrapping_mul(16_777_619);
        }
    }
    hash
}
"#;

const SCRIPT: &str = "
const fs = require('fs');
WebAssembly.instantiate(fs.readFileSync('policy.wasm')).then(({ instance }) => {
    const { self_test, hash } = instance.exports;
    console.log(self_test(), hash(Number(process.argv[2])) >>> 0);
});
";

#[test]
fn rust_has_the_runners_bits_in_webassembly() {
    if !has_target("wasm32-unknown-unknown") || !has("node") {
        return;
    }
    let names = ["student", "tree", "int8_student", "gru"];
    for (name, policy) in policies().into_iter().filter(|(name, _)| names.contains(name)) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &export(&policy, Format::Rust, "policy", &[]).unwrap()).unwrap();
        let (memory, reset, observed) = match policy.memory_len() {
            0 => ("", "", "&observation"),
            _ => (
                "let mut memory = [0.0; policy::MEMORY];",
                "if _i % 50 == 0 { policy::reset(&mut memory); }",
                "&observation, &mut memory",
            ),
        };
        let library = LIBRARY.replace("MEMORY", memory).replace("RESET", reset).replace("OBSERVED", observed);
        std::fs::write(folder.path().join("lib.rs"), library).unwrap();
        std::fs::write(folder.path().join("run.js"), SCRIPT).unwrap();
        let mut compiler = Command::new("rustc");
        compiler.current_dir(folder.path()).args(["--edition", "2024", "-O", "--target", "wasm32-unknown-unknown"]);
        compiler.args(["-C", "panic=abort", "--crate-type", "cdylib", "lib.rs", "-o", "policy.wasm"]);
        assert!(compiler.status().unwrap().success(), "{name} does not compile");
        let mut node = Command::new("node");
        let output = node.current_dir(folder.path()).args(["run.js", &STATES.to_string()]).output().unwrap();
        let expected = format!("1 {}\n", state_hash(&policy, STATES));
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{name}: {output:?}");
    }
}
